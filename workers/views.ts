/**
 * Views: what of a message each leg of a publish to many asked for, and with what it shares its call. From the candidates that are at hand; whoever goes on where
 * another was cut short asks the directory for them. Never here: whom the message reaches (workers/choose.ts).
 */
import type { Incoming } from '../shared/admission.ts'
import { limits } from '../shared/limits.ts'
import type { Message } from '../shared/message.ts'
import type { Platform } from '../shared/ports.ts'
import { type Audience, batchFor, type Candidates, viewFor } from '../shared/subscription.ts'
import { viewOfMessage } from '../shared/view.ts'

// Pages of candidates that are asked for the views of one run: as many as the legs that it may have.
const pagesAsked = Math.ceil(limits.legsPending / limits.legsPerPage)

type Handing = Pick<Incoming, 'view' | 'batch'>

export class Views {
  readonly #message: Message
  readonly #known = new Map<string, Handing>()

  constructor(message: Message) {
    this.#message = message
  }

  /** How a leg is handed the message; nothing: all of it, as its agent's policy says. */
  of(agent: string): Handing {
    return this.#known.get(agent) ?? {}
  }

  /** Remembers what these asked for. */
  note({ items }: Candidates): void {
    for (const candidate of items) {
      const view = viewOfMessage(this.#message, viewFor(candidate, this.#message))
      const batch = batchFor(candidate, this.#message)
      this.#known.set(candidate.agent, {
        ...(view === undefined ? {} : { view }),
        ...(batch === undefined ? {} : { batch }),
      })
    }
  }

  /** Sees to it that these are known, in the order of their names. One that has unsubscribed since is handed all. */
  async find(platform: Platform, agents: readonly string[], caught: boolean): Promise<void> {
    const { topic } = this.#message
    const unknown = agents.filter((agent) => !this.#known.has(agent))
    const last = unknown.at(-1)
    if (topic === undefined || last === undefined) return
    const audience: Audience = { kind: 'topic', topic, ...(caught && { catching: true }) }
    let cursor: string | undefined
    for (let page = 0; page < pagesAsked; page++) {
      const found = await platform.directory().candidates(audience, cursor, limits.legsPerPage)
      this.note(found)
      cursor = found.cursor
      if (cursor === undefined || cursor >= last) return
    }
  }
}
