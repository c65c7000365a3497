/**
 * The gathers of one object, each by its id: what was asked, what came, and how it ended, and when each wants to be looked at again.
 * An object of gathers has many, and an agent's object those of the requests that it is asked. Never here: the object's alarm
 * (durable-objects/gather.ts, durable-objects/mailbox-shell.ts), asking mailboxes (workers/gather.ts), what counts as a reply
 * (shared/arrival.ts), or rows (durable-objects/gather-store.ts).
 */
import { type Arrival, arrive } from '../shared/arrival.ts'
import {
  cancelGather,
  elapse,
  type Gather,
  type GatherNews,
  type GatherOpened,
  type GatherOpening,
  openGather,
  progressGather,
} from '../shared/gather.ts'
import type { GatherObjectPort, GatherReport, ResultsReport, Told } from '../shared/gather-port.ts'
import { gatherDueAt, isWorthNoRow, unsent } from '../shared/gather-work.ts'
import { limits } from '../shared/limits.ts'
import type { ChancePort, StoragePort, Synchronous } from '../shared/ports.ts'
import { GatherStore, type Text } from './gather-store.ts'

// One that cannot be looked at is left alone for a while, and is in nobody's way.
const brokenMs = 300_000
// At one ring of the alarm. Whatever else is due rings it again at once.
const visitedAtOnce = 100
// Those that are forgotten in the same hour share a ring.
const forgottenEveryMs = 3_600_000
// As storage has them: a scatter of a thousand legs is not read again for each reply, nor a request between its opening and its reply.
// Few and small, because many objects may share one isolate's memory.
const remembered = 32
const contextRemembered = 4_096

/** What the object that has them gives them. */
export interface Frame {
  /** Runs it as one, together with the alarm that it arms. What failed is neither in storage nor remembered as armed. */
  together(write: () => void): void
  /** Inside `together`: at this time, or earlier, the alarm rings. */
  arm(dueAt: number, now: number): void
}

/** What one ring of the alarm found. */
export interface Visited {
  /** To be gone on with by somebody. */
  readonly work: readonly string[]
  /** To be forgotten. */
  readonly over: readonly string[]
}

export class Gathers implements Synchronous<GatherObjectPort> {
  readonly #store: GatherStore
  readonly #chance: Pick<ChancePort, 'now'>
  readonly #frame: Frame
  readonly #known = new Map<string, Gather>()
  /** Sends of requests just opened that are known to be accepted, by gather. Not written: forgotten, they are asked for once more. */
  readonly #accepted = new Map<string, readonly string[]>()

  constructor(storage: StoragePort, ports: Pick<ChancePort, 'now'>, frame: Frame) {
    this.#store = new GatherStore(storage)
    this.#chance = ports
    this.#frame = frame
  }

  open(id: string, opening: GatherOpening, bodies: readonly string[]): GatherOpened {
    const opened = this.opened(id, opening)
    if (opened.status === 'opened') this.#together(opened.gather, () => this.writeOpened(opened.gather, bodies))
    return opened
  }

  unfinished(id: string) {
    const gather = this.#current(id)
    if (gather === undefined || gather.told) return undefined
    return { gather, bodies: this.#store.texts(id, 'ask').map(({ body }) => body) }
  }

  progress(id: string, news: GatherNews, result?: string): Gather | undefined {
    const current = this.#current(id)
    if (current !== undefined && isWorthNoRow(current, news, this.#chance.now())) {
      if (current.outcome === undefined)
        this.#accepted.set(id, [...(this.#accepted.get(id) ?? []), ...(news.accepted ?? [])])
      return current
    }
    const isNew = news.reduction !== undefined && current?.scatter?.reduction === undefined
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

  cancel(id: string): Gather | undefined {
    return this.#step(id, (gather, now) => cancelGather(gather, now))
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

  // --- for a step of the object that writes more than the gather ---------------------------------------------------------

  /** As `open` would have it. Nothing is written. */
  opened(id: string, opening: GatherOpening): GatherOpened {
    return openGather(this.#current(id), opening, this.#chance.now())
  }

  /** As `arrive` would have it, with what writes it; undefined where there is no such gather, or none that can be read. Nothing is written. */
  arrival(id: string, arrival: Arrival, body?: string) {
    const gather = this.#isReadable(id) ? this.#current(id) : undefined
    if (gather === undefined) return undefined
    const [next, standing, n] = arrive(gather, arrival, this.#chance.now())
    const reply = n === undefined || body === undefined ? undefined : { n, body }
    return { standing, write: () => (next === gather ? undefined : this.#write(gather, next, reply)) }
  }

  /** Inside the object's transaction. When that fails the object must be made anew. */
  writeOpened(gather: Gather, bodies: readonly string[]): void {
    const now = this.#chance.now()
    // Who opens it asks at once.
    const dueAt = gatherDueAt(gather, now)
    this.#store.make()
    this.#store.insert(gather, dueAt, bodies)
    this.#frame.arm(dueAt, now)
    this.#remember(gather)
  }

  // --- time -----------------------------------------------------------------------------------------------------------

  earliestDueAt(): number | undefined {
    return this.#store.isMade() ? this.#store.earliestDueAt() : undefined
  }

  /** Looks at those that are due, and puts off those that are not over. */
  visit(now: number): Visited {
    const due = this.#store.due(now, visitedAtOnce)
    const visits = due.map((id) => this.#visit(id, now))
    return {
      work: due.filter((_, i) => visits[i] === 'work'),
      over: due.filter((_, i) => visits[i] === 'over'),
    }
  }

  /** Is nothing kept beside these? */
  holdsOnly(ids: readonly string[]): boolean {
    return this.#store.isMade() && this.#store.holdsOnly(ids)
  }

  /** All that the object stored was deleted. */
  gone(): void {
    this.#known.clear()
    this.#store.remake()
  }

  holdsAny(): boolean {
    return this.#store.isMade() && !this.#store.holdsOnly([])
  }

  forget(ids: readonly string[]): void {
    for (const id of ids) this.#known.delete(id)
    if (ids.length === 0) return
    this.#frame.together(() => {
      for (const id of ids) this.#store.forget(id)
    })
  }

  /** With all that the object has. */
  forgetAll(): Promise<void> {
    this.#known.clear()
    return this.#store.deleteAll()
  }

  // --- inside ---------------------------------------------------------------------------------------------------------

  // What one cannot do keeps no other from its time.
  #visit(id: string, now: number): 'over' | 'work' | 'later' {
    try {
      const current = this.#current(id)
      if (current === undefined) return 'over'
      const gather = progressGather(current, { accepted: this.#accepted.get(id) ?? [] }, now)
      this.#accepted.delete(id)
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

  // What cannot be read is its own trouble, and not that of what is written with it.
  #isReadable(id: string): boolean {
    try {
      return this.#read(id) !== undefined
    } catch (error) {
      console.error(JSON.stringify({ step: 'gather.arrival', gather: id, error: String(error) }))
      return false
    }
  }

  #read(id: string): Gather | undefined {
    const gather = this.#known.get(id) ?? this.#store.load(id)
    if (gather !== undefined) this.#remember(gather)
    return gather
  }

  /** As it is now: whatever time alone changes has happened, whether or not the alarm came in time. */
  #current(id: string): Gather | undefined {
    const gather = this.#read(id)
    if (gather === undefined) return undefined
    const next = elapse(gather, this.#chance.now())
    if (next !== gather) this.#save(gather, next)
    return next
  }

  // The one that was asked for longest ago gives way.
  #remember(gather: Gather): void {
    this.#known.delete(gather.id)
    if (gather.context !== undefined && JSON.stringify(gather.context).length > contextRemembered) return
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

  #save(before: Gather, gather: Gather, reply?: Text, result?: string): void {
    this.#together(gather, () => this.#write(before, gather, reply, result))
  }

  // M6: when it is due, and the alarm for it, are in the transaction that makes them needed earlier: by the opening, by another round,
  // and by the end. Otherwise it is looked at too early at worst, and one visit is cheaper than a row for each change.
  #write(before: Gather, gather: Gather, reply?: Text, result?: string): void {
    const now = this.#chance.now()
    const ended = gather.outcome !== undefined && before.outcome === undefined
    if (ended) this.#accepted.delete(gather.id)
    const again = gather.rounds !== before.rounds
    // Another round is the alarm's, or whoever noticed first, to begin: at once.
    const atOnce = again || (ended && !gather.told)
    const dueAt = atOnce ? now : ended ? wholeHour(gather, gatherDueAt(gather, now)) : undefined
    this.#store.update(before, gather, dueAt, reply)
    if (result !== undefined) this.#store.keep(gather.id, 'result', 1, result)
    if (dueAt !== undefined) this.#frame.arm(dueAt, now)
    this.#remember(gather)
  }

  // What follows a save that failed is read anew.
  #together({ id }: Gather, write: () => void): void {
    try {
      this.#frame.together(write)
    } catch (error) {
      this.#known.delete(id)
      this.#store.remake()
      throw error
    }
  }
}

function wholeHour(gather: Gather, at: number): number {
  return gather.told ? Math.ceil(at / forgottenEveryMs) * forgottenEveryMs : at
}
