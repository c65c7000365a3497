/**
 * GatherObject: the gathers of one place (shared/gather-place.ts), each by its id. It remembers what was asked, what came, and how it
 * ended, and asks for the rest to be seen to until it is. One alarm, for whichever is due first. Never here: asking mailboxes
 * (workers/gather.ts), what counts as a reply (shared/arrival.ts), or rows (durable-objects/gather-store.ts).
 */
import { DurableObject } from 'cloudflare:workers'
import { type Arrival, arrive } from '../shared/arrival.ts'
import {
  cancelGather,
  elapse,
  type Gather,
  type GatherNews,
  type GatherOpening,
  openGather,
  progressGather,
} from '../shared/gather.ts'
import type { GatherObjectPort, GatherReport, ResultsReport, Told } from '../shared/gather-port.ts'
import { gatherDueAt, unsent } from '../shared/gather-work.ts'
import type { LegFailure } from '../shared/leg-failure.ts'
import { limits } from '../shared/limits.ts'
import type { ChancePort, StoragePort, Synchronous } from '../shared/ports.ts'
import { chance } from './chance.ts'
import { GatherStore, type Text } from './gather-store.ts'
import { type OutboxEnv, sendGathers } from './outbox.ts'

const alarmRetryMs = 5_000
// One that cannot be looked at is left alone for a while, and is in nobody's way.
const brokenMs = 300_000
// At one ring of the alarm. Whatever else is due rings it again at once.
const visitedAtOnce = 100
// Those that are forgotten in the same hour share a ring.
const forgottenEveryMs = 3_600_000
// As storage has them: a scatter of a thousand legs is not read again for each reply, nor a request between its opening and its reply.
// Few, because each may have 64 KB of context, and 32 objects may share one isolate's memory.
const remembered = 32

export class GatherObject extends DurableObject<OutboxEnv> implements Synchronous<GatherObjectPort> {
  readonly #storage: StoragePort
  readonly #store: GatherStore
  readonly #chance: Pick<ChancePort, 'now'>
  readonly #known = new Map<string, Gather>()
  /** Undefined: not known. */
  #alarmAt: number | undefined

  constructor(ctx: DurableObjectState, env: OutboxEnv, ports: Pick<ChancePort, 'now'> = chance) {
    super(ctx, env)
    // The narrow shape that is used; the platform's own class satisfies it.
    this.#storage = ctx.storage as unknown as StoragePort
    this.#store = new GatherStore(this.#storage)
    this.#chance = ports
  }

  open(id: string, opening: GatherOpening, bodies: readonly string[]) {
    const now = this.#chance.now()
    const opened = openGather(this.#current(id), opening, now)
    const { gather } = opened
    // Who opens it asks at once.
    const dueAt = gatherDueAt(gather, now)
    if (opened.status === 'opened') this.#write(gather, dueAt, () => this.#store.insert(gather, dueAt, bodies))
    return opened
  }

  unfinished(id: string) {
    const gather = this.#current(id)
    if (gather === undefined || gather.told) return undefined
    return { gather, bodies: this.#store.texts(id, 'ask').map(({ body }) => body) }
  }

  progress(id: string, news: GatherNews, result?: string): Gather | undefined {
    const isNew = news.reduction !== undefined && this.#current(id)?.scatter?.reduction === undefined
    return this.#step(id, (gather, now) => progressGather(gather, news, now), isNew ? result : undefined)
  }

  arrive(id: string, arrival: Arrival, body?: string, tell = false): Told {
    const gather = this.#current(id)
    if (gather === undefined) return { standing: 'unknown' }
    const [next, standing, n] = arrive(gather, arrival, this.#chance.now())
    if (next !== gather) this.#save(gather, next, n === undefined || body === undefined ? undefined : { n, body })
    const report = tell ? this.report(id) : undefined
    return { standing, ...(report === undefined ? {} : { report }) }
  }

  cancel(id: string, failure?: LegFailure): Gather | undefined {
    return this.#step(id, (gather, now) => cancelGather(gather, failure, now))
  }

  report(id: string): GatherReport | undefined {
    const gather = this.#current(id)
    if (gather === undefined) return undefined
    return { gather, replies: gather.scatter === undefined ? this.#store.texts(id, 'reply') : [] }
  }

  results(id: string, fromLeg: number): ResultsReport | undefined {
    const gather = this.#current(id)
    if (gather === undefined) return undefined
    const replies: Text[] = []
    let bytes = 0
    for (const { n, state } of gather.legs) {
      if (n < fromLeg || state.status !== 'replied') continue
      const body = this.#store.reply(id, state.arrival)
      if (body === undefined) continue
      bytes += body.length
      // The first always fits.
      if (replies.length > 0 && bytes > limits.scatterAnswerBytes) return { gather, replies, upTo: n - 1, next: n }
      replies.push({ n: state.arrival, body })
    }
    const result = this.#store.result(id)
    return { gather, replies, upTo: gather.legs.length, ...(result === undefined ? {} : { result }) }
  }

  /** Never throws, and re-arms itself until everything is forgotten (M6). */
  override async alarm(): Promise<void> {
    this.#alarmAt = undefined
    try {
      const now = this.#chance.now()
      const due = this.#store.due(now, visitedAtOnce)
      const visits = due.map((id) => this.#visit(id, now))
      const over = due.filter((_, i) => visits[i] === 'over')
      if (this.#store.isMade() && this.#store.holdsOnly(over)) {
        this.#known.clear()
        await this.#store.deleteAll()
        return
      }
      this.#forget(over)
      const next = this.#store.isMade() ? this.#store.earliestDueAt() : undefined
      if (next !== undefined) await this.#setAlarm(Math.max(next, now))
      const left = due.filter((_, i) => visits[i] === 'work')
      await sendGathers(this.env, left)
    } catch (error) {
      console.error(JSON.stringify({ step: 'gather.alarm', error: String(error) }))
      await this.#setAlarm(this.#chance.now() + alarmRetryMs)
    }
  }

  // --- inside ---------------------------------------------------------------------------------------------------------

  // What one cannot do keeps no other from its time.
  #visit(id: string, now: number): 'over' | 'work' | 'later' {
    try {
      const gather = this.#current(id)
      if (gather === undefined) return 'over'
      const dueAt = gatherDueAt(gather, now)
      if (gather.told && dueAt <= now) return 'over'
      this.#store.dueLater(id, wholeHour(gather, dueAt))
      return !gather.told && (gather.outcome !== undefined || unsent(gather).length > 0) ? 'work' : 'later'
    } catch (error) {
      console.error(JSON.stringify({ step: 'gather.visit', gather: id, error: String(error) }))
      this.#known.delete(id)
      this.#store.dueLater(id, now + brokenMs)
      return 'later'
    }
  }

  #forget(ids: readonly string[]): void {
    for (const id of ids) this.#known.delete(id)
    if (ids.length > 0)
      this.#store.together(() => {
        for (const id of ids) this.#store.forget(id)
      })
  }

  /** As it is now: whatever time alone changes has happened, whether or not the alarm came in time. */
  #current(id: string): Gather | undefined {
    const gather = this.#known.get(id) ?? this.#store.load(id)
    if (gather === undefined) return undefined
    this.#remember(gather)
    const next = elapse(gather, this.#chance.now())
    if (next !== gather) this.#save(gather, next)
    return next
  }

  // The one that was asked for longest ago gives way.
  #remember(gather: Gather): void {
    this.#known.delete(gather.id)
    this.#known.set(gather.id, gather)
    const [oldest] = this.#known.keys()
    if (this.#known.size > remembered && oldest !== undefined) this.#known.delete(oldest)
  }

  #step(id: string, work: (gather: Gather, now: number) => Gather, result?: string): Gather | undefined {
    const gather = this.#current(id)
    if (gather === undefined) return undefined
    const next = work(gather, this.#chance.now())
    if (next !== gather) this.#save(gather, next, undefined, result)
    return next
  }

  // M6: when it is due, and the alarm for it, are in the transaction that makes them needed earlier: by the opening, by another round,
  // and by the end. Otherwise it is looked at too early at worst, and one visit is cheaper than a row for each change.
  #save(before: Gather, gather: Gather, reply?: Text, result?: string): void {
    const now = this.#chance.now()
    const ended = gather.outcome !== undefined && before.outcome === undefined
    const again = gather.rounds !== before.rounds
    // Another round is the alarm's, or whoever noticed first, to begin: at once.
    const atOnce = again || (ended && !gather.told)
    const dueAt = atOnce ? now : ended ? wholeHour(gather, gatherDueAt(gather, now)) : undefined
    this.#write(gather, dueAt, () => {
      this.#store.update(before, gather, dueAt, reply)
      if (result !== undefined) this.#store.keep(gather.id, 'result', 1, result)
    })
  }

  #write(gather: Gather, dueAt: number | undefined, write: () => void): void {
    const armed = this.#alarmAt
    let armedAt = armed
    // Until it is saved, memory knows nothing: what follows a save that failed is read anew.
    this.#known.delete(gather.id)
    this.#alarmAt = undefined
    this.#store.together(() => {
      write()
      if (dueAt !== undefined) armedAt = this.#arm(armed, dueAt, this.#chance.now())
    })
    this.#alarmAt = armedAt
    this.#remember(gather)
  }

  // What is armed for earlier will do. Not known after a rebuild, and long overdue, it may be lost: then for whatever is due first.
  #arm(armed: number | undefined, dueAt: number, now: number): number {
    const isSure = armed !== undefined && armed > now - alarmRetryMs
    if (isSure && armed <= dueAt) return armed
    const at = isSure ? dueAt : Math.max(now, this.#store.earliestDueAt() ?? dueAt)
    // Not awaited: it belongs to the transaction that is being written, and the output gate waits for that.
    void this.#storage.setAlarm(at)
    return at
  }

  #setAlarm(at: number): Promise<void> {
    this.#alarmAt = at
    return this.#storage.setAlarm(at)
  }
}

function wholeHour(gather: Gather, at: number): number {
  return gather.told ? Math.ceil(at / forgottenEveryMs) * forgottenEveryMs : at
}
