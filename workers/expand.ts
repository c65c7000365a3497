/**
 * Expand: have the legs of a publication accepted by their mailboxes, and write down how far it got. Whoever comes next goes
 * on where the last one stopped; a leg asked twice is a duplicate to its mailbox. Never here: choosing the legs.
 */
import type { Admission, Incoming } from '../shared/admission.ts'
import { limits } from '../shared/limits.ts'
import { messageSchema } from '../shared/message.ts'
import type { Platform } from '../shared/ports.ts'
import {
  deadLetterOfPublication,
  isUnheard,
  type Leg,
  type LegState,
  legGiveUpMs,
  type Plan,
  type Publication,
  pendingLegs,
} from '../shared/publication.ts'
import type { ReceiptStatus } from '../shared/receipt.ts'
import { unreachable } from '../shared/result.ts'
import { type Candidates, reaches } from '../shared/subscription.ts'
import { accept } from './accept.ts'
import { enqueue, sendBounded } from './enqueue.ts'

// Mailboxes asked at once: each is a subrequest, and a page of a hundred should not wait for its slowest one by one.
const askedAtOnce = 20
// Pages in one invocation: enough for a thousand legs, short enough for anybody's patience.
const pagesPerRun = 10
// Legs that an earlier run left behind and this one asks again.
const repeatsPerRun = 1_000

/** A publication that has something left to do, and its message. `page`: the first page of its plan, if it is at hand. */
export interface Begun {
  readonly publication: Publication
  readonly body: string
  readonly page?: Candidates
}

export interface Expanded {
  readonly publication: Publication
  /** Where the deliveries of this run stand, by agent. */
  readonly standing: ReadonlyMap<string, ReceiptStatus>
}

/** Goes on with a publication until it is closed, or this run's share is done; then the rest is asked for on the queue. */
export async function expand(platform: Platform, id: string, begun?: Begun): Promise<Expanded | undefined> {
  const port = platform.publication(id)
  const left = begun ?? (await port.unfinished())
  if (left === undefined || left.publication.closedAt !== undefined) {
    const publication = left?.publication ?? (await port.report())
    return publication === undefined ? undefined : { publication, standing: new Map() }
  }
  const run = new Run(platform, left)
  await run.repeat()
  await run.turnPages(begun?.page)
  await run.tell()
  const { publication, standing } = run
  if (publication.plan?.done === false)
    platform.waitUntil(sendBounded(platform, platform.work, { v: 1, publication: id }, id))
  platform.log('expand', {
    publication: id,
    accepted: publication.accepted,
    refused: publication.refused,
    open: publication.closedAt === undefined,
  })
  return { publication, standing }
}

/** One invocation's share of an expansion. `publication` is what the object knew after each step. */
class Run {
  readonly #platform: Platform
  readonly #incoming: Incoming
  readonly standing = new Map<string, ReceiptStatus>()
  publication: Publication

  constructor(platform: Platform, { publication, body }: Begun) {
    this.#platform = platform
    this.#incoming = incomingOf(publication, body)
    this.publication = publication
  }

  /** Legs by name: those of a small publication, or what earlier pages left pending. */
  async repeat(): Promise<void> {
    const pending = pendingLegs(this.publication)
    // Of very many any part, so that those that stay full do not keep the others away.
    const from = pending.length > repeatsPerRun ? Math.floor(this.#platform.random() * pending.length) : 0
    const named = [...pending.slice(from), ...pending.slice(0, from)].slice(0, repeatsPerRun)
    if (named.length > 0) await this.#progress({ legs: await this.#ask(named) })
  }

  /** Pages of a plan, each written down before the next is asked for. */
  async turnPages(first: Candidates | undefined): Promise<void> {
    for (let turned = 0; turned < pagesPerRun; turned++) {
      const { plan } = this.publication
      if (plan === undefined || plan.done || pendingLegs(this.publication).length >= limits.legsPending) return
      const from = plan.cursor
      const found = (from === undefined ? first : undefined) ?? (await this.#candidates(plan))
      const agents = found.items.filter((c) => reaches(c, this.#incoming.message)).map((c) => c.agent)
      const page = {
        ...(from === undefined ? {} : { from }),
        ...(found.cursor === undefined ? { done: true } : { cursor: found.cursor, done: false }),
      }
      await this.#progress({ legs: await this.#ask(agents), page })
    }
  }

  /** That nobody was reached becomes a dead letter first, so that a crash in between repeats it rather than forgets it. */
  async tell(): Promise<void> {
    if (!isUnheard(this.publication)) return
    await this.#platform.deadLetters().bury([deadLetterOfPublication(this.publication)])
    await this.#progress({ legs: [], told: true })
  }

  #candidates({ audience, cursor, version }: Plan): Promise<Candidates> {
    return this.#platform.directory().candidates(audience, cursor, limits.legsPerPage, version)
  }

  async #progress(news: Parameters<ReturnType<Platform['publication']>['progress']>[0]): Promise<void> {
    const known = await this.#platform.publication(this.publication.id).progress(news)
    this.publication = known ?? this.publication
  }

  async #ask(agents: readonly string[]): Promise<Leg[]> {
    const legs: Leg[] = []
    for (let i = 0; i < agents.length; i += askedAtOnce)
      legs.push(...(await Promise.all(agents.slice(i, i + askedAtOnce).map((agent) => this.#askOne(agent)))))
    return legs
  }

  // A leg's trouble is its own: it stays pending, and the others go on.
  async #askOne(agent: string): Promise<Leg> {
    const { id, openedAt } = this.publication
    try {
      const answer = await accept(this.#platform, agent, [this.#incoming], `publication.${id}`)
      enqueue(this.#platform, agent, answer.references)
      const [admission] = answer.admissions
      const [known] = answer.known
      if (known !== undefined) this.standing.set(agent, known.status)
      if (admission !== undefined) return { agent, state: stateOf(admission, this.#platform.now() - openedAt) }
    } catch (error) {
      this.#platform.log('expand.failed', { publication: id, agent, error: String(error) })
    }
    return { agent, state: { status: 'pending' } }
  }
}

/** Its message as each leg's mailbox is offered it. */
export function incomingOf(publication: Publication, body: string): Incoming {
  const message = messageSchema.parse(JSON.parse(body))
  const { key, contentHash, hops } = publication
  // The broker's own id towards each mailbox: it must stay known while anybody may ask again, whatever became of the leg.
  return { message, body, key, contentHash, hops, brokerMade: true }
}

function stateOf(admission: Admission, ageMs: number): LegState {
  switch (admission.status) {
    case 'accepted':
    case 'duplicate':
      return { status: 'accepted', delivery: admission.id }
    case 'full':
      return ageMs < legGiveUpMs ? { status: 'pending' } : { status: 'refused', reason: 'backpressure' }
    case 'unknown':
      return { status: 'refused', reason: 'agent_not_found' }
    case 'conflict':
      return { status: 'refused', reason: 'key_reused' }
    default:
      return unreachable(admission)
  }
}
