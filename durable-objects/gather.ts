/**
 * GatherObject: the gathers of one place (shared/gather-place.ts), each by its id, and one alarm for whichever is due first. Never here:
 * what is remembered of one (durable-objects/gathers.ts).
 */
import { DurableObject } from 'cloudflare:workers'
import type { Arrival } from '../shared/arrival.ts'
import type { GatherNews, GatherOpening } from '../shared/gather.ts'
import type { GatherObjectPort } from '../shared/gather-port.ts'
import type { ChancePort, StoragePort, Synchronous } from '../shared/ports.ts'
import { chance } from './chance.ts'
import { Gathers } from './gathers.ts'
import { type OutboxEnv, sendGathers } from './outbox.ts'

const alarmRetryMs = 5_000

export class GatherObject extends DurableObject<OutboxEnv> implements Synchronous<GatherObjectPort> {
  readonly #storage: StoragePort
  readonly #gathers: Gathers
  readonly #chance: Pick<ChancePort, 'now'>
  /** Undefined: not known. */
  #alarmAt: number | undefined

  constructor(ctx: DurableObjectState, env: OutboxEnv, ports: Pick<ChancePort, 'now'> = chance) {
    super(ctx, env)
    // The narrow shape that is used; the platform's own class satisfies it.
    this.#storage = ctx.storage as unknown as StoragePort
    this.#gathers = new Gathers(this.#storage, ports, {
      together: (write) => this.#together(write),
      arm: (dueAt, now) => this.#arm(dueAt, now),
    })
    this.#chance = ports
  }

  open(id: string, opening: GatherOpening, bodies: readonly string[]) {
    return this.#gathers.open(id, opening, bodies)
  }

  unfinished(id: string) {
    return this.#gathers.unfinished(id)
  }

  progress(id: string, news: GatherNews, result?: string) {
    return this.#gathers.progress(id, news, result)
  }

  arrive(id: string, arrival: Arrival, body?: string, tell = false) {
    return this.#gathers.arrive(id, arrival, body, tell)
  }

  cancel(id: string) {
    return this.#gathers.cancel(id)
  }

  report(id: string) {
    return this.#gathers.report(id)
  }

  results(id: string, fromLeg: number) {
    return this.#gathers.results(id, fromLeg)
  }

  /** Never throws, and re-arms itself until everything is forgotten (M6). */
  override async alarm(): Promise<void> {
    this.#alarmAt = undefined
    try {
      const now = this.#chance.now()
      const { work, over } = this.#gathers.visit(now)
      if (this.#gathers.holdsOnly(over)) {
        await this.#gathers.forgetAll()
        return
      }
      this.#gathers.forget(over)
      const next = this.#gathers.earliestDueAt()
      if (next !== undefined) await this.#setAlarm(Math.max(next, now))
      await sendGathers(this.env, work)
    } catch (error) {
      console.error(JSON.stringify({ step: 'gather.alarm', error: String(error) }))
      await this.#setAlarm(this.#chance.now() + alarmRetryMs)
    }
  }

  // --- inside ---------------------------------------------------------------------------------------------------------

  // What a save that failed had armed is armed no more.
  #together(write: () => void): void {
    try {
      this.#storage.transactionSync(write)
    } catch (error) {
      this.#alarmAt = undefined
      throw error
    }
  }

  // What is armed for earlier will do. Not known after a rebuild, and long overdue, it may be lost: then for whatever is due first.
  #arm(dueAt: number, now: number): void {
    const armed = this.#alarmAt
    const isSure = armed !== undefined && armed > now - alarmRetryMs
    if (isSure && armed <= dueAt) return
    const at = isSure ? dueAt : Math.max(now, this.#gathers.earliestDueAt() ?? dueAt)
    // Not awaited: it belongs to the transaction that is being written, and the output gate waits for that.
    void this.#setAlarm(at)
  }

  #setAlarm(at: number): Promise<void> {
    this.#alarmAt = at
    return this.#storage.setAlarm(at)
  }
}
