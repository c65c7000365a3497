/**
 * GatherObject: one gather, named by its id. It remembers what was asked, what came, and how it ended, and asks for the rest
 * to be seen to until it is. Never here: asking mailboxes (workers/gather.ts), or what counts as a reply (shared/arrival.ts).
 */
import { DurableObject } from 'cloudflare:workers'
import { type Arrival, type Arrived, arrive } from '../shared/arrival.ts'
import {
  cancelGather,
  elapse,
  type Gather,
  type GatherNews,
  type GatherOpening,
  openGather,
  progressGather,
  readGather,
} from '../shared/gather.ts'
import type { GatherPort, GatherReport, ResultsReport } from '../shared/gather-port.ts'
import { changedLegs, isTrunkChanged, readLeg, trunkOf, withLegs } from '../shared/gather-rows.ts'
import { gatherDueAt, unsent } from '../shared/gather-work.ts'
import type { LegFailure } from '../shared/leg-failure.ts'
import { limits } from '../shared/limits.ts'
import type { ChancePort, SqlValue, StoragePort, Synchronous } from '../shared/ports.ts'
import { chance } from './chance.ts'
import { type OutboxEnv, sendGather } from './outbox.ts'

const alarmRetryMs = 5_000

const tables = [
  'CREATE TABLE IF NOT EXISTS gather (id TEXT PRIMARY KEY, record TEXT NOT NULL) WITHOUT ROWID',
  // What its legs are sent (`ask`, in their order), what they said (`reply`, by arrival), and what was made of it (`result`).
  `CREATE TABLE IF NOT EXISTS texts (
     kind TEXT NOT NULL, n INTEGER NOT NULL, body TEXT NOT NULL, PRIMARY KEY (kind, n)
   ) WITHOUT ROWID`,
]

// A scatter's only.
const legsTable = 'CREATE TABLE IF NOT EXISTS legs (n INTEGER PRIMARY KEY, record TEXT NOT NULL)'

export class GatherObject extends DurableObject<OutboxEnv> implements Synchronous<GatherPort> {
  readonly #storage: StoragePort
  readonly #chance: Pick<ChancePort, 'now'>
  readonly #name: string
  /** As storage has it: a scatter of a thousand legs is not read again for each reply. */
  #known: Gather | undefined

  constructor(ctx: DurableObjectState, env: OutboxEnv, ports: Pick<ChancePort, 'now'> = chance) {
    super(ctx, env)
    // The narrow shape that is used; the platform's own class satisfies it.
    this.#storage = ctx.storage as unknown as StoragePort
    this.#chance = ports
    this.#name = ctx.id.name ?? ''
  }

  open(opening: GatherOpening, bodies: readonly string[]) {
    const opened = openGather(this.#current(), opening, this.#chance.now())
    if (opened.status === 'opened')
      this.#save(undefined, opened.gather, () => {
        this.#rows('DELETE FROM texts')
        if (opening.scatter !== undefined) this.#rows('DELETE FROM legs WHERE n > ?', opened.gather.legs.length)
        bodies.forEach((body, i) => void this.#keep('ask', i + 1, body))
      })
    return opened
  }

  unfinished() {
    const gather = this.#current()
    if (gather === undefined || gather.told) return undefined
    return { gather, bodies: this.#texts('ask').map(({ body }) => body) }
  }

  progress(news: GatherNews, result?: string): Gather | undefined {
    const isNew = news.reduction !== undefined && this.#current()?.scatter?.reduction === undefined
    return this.#step(
      (gather, now) => progressGather(gather, news, now),
      () => {
        if (isNew && result !== undefined) this.#keep('result', 1, result)
      },
    )
  }

  arrive(arrival: Arrival, body?: string): Arrived {
    const gather = this.#current()
    if (gather === undefined) return 'unknown'
    const [next, arrived, n] = arrive(gather, arrival, this.#chance.now())
    if (next !== gather)
      this.#save(gather, next, () => {
        if (n !== undefined && body !== undefined) this.#keep('reply', n, body)
      })
    return arrived
  }

  cancel(failure?: LegFailure): Gather | undefined {
    return this.#step((gather, now) => cancelGather(gather, failure, now))
  }

  report(): GatherReport | undefined {
    const gather = this.#current()
    if (gather === undefined) return undefined
    return { gather, replies: gather.scatter === undefined ? this.#texts('reply') : [] }
  }

  results(fromLeg: number): ResultsReport | undefined {
    const gather = this.#current()
    if (gather === undefined) return undefined
    const replies: { n: number; body: string }[] = []
    let bytes = 0
    for (const { n, state } of gather.legs) {
      if (n < fromLeg || state.status !== 'replied') continue
      const body = this.#text('reply', state.arrival)
      if (body === undefined) continue
      bytes += body.length
      // The first always fits.
      if (replies.length > 0 && bytes > limits.scatterAnswerBytes) return { gather, replies, upTo: n - 1, next: n }
      replies.push({ n: state.arrival, body })
    }
    const result = this.#text('result', 1)
    return { gather, replies, upTo: gather.legs.length, ...(result === undefined ? {} : { result }) }
  }

  /** Never throws, and re-arms itself until it is forgotten (M6). */
  override async alarm(): Promise<void> {
    try {
      const gather = this.#current()
      if (gather === undefined) return
      const now = this.#chance.now()
      const dueAt = gatherDueAt(gather, now)
      if (gather.told && dueAt <= now) {
        // All of it: an empty database would be stored, and paid, for ever.
        await this.#storage.deleteAll()
        this.#known = undefined
        return
      }
      await this.#storage.setAlarm(dueAt)
      if (!gather.told && (gather.outcome !== undefined || unsent(gather).length > 0))
        await sendGather(this.env, this.#name)
    } catch (error) {
      console.error(JSON.stringify({ step: 'gather.alarm', gather: this.#name, error: String(error) }))
      await this.#storage.setAlarm(this.#chance.now() + alarmRetryMs)
    }
  }

  // --- inside ---------------------------------------------------------------------------------------------------------

  /** As it is now: whatever time alone changes has happened, whether or not the alarm came in time. */
  #current(): Gather | undefined {
    const gather = this.#known ?? this.#stored()
    if (gather === undefined) return undefined
    this.#known = gather
    const next = elapse(gather, this.#chance.now())
    if (next !== gather) this.#save(gather, next)
    return next
  }

  #stored(): Gather | undefined {
    if (!this.#hasTable()) return undefined
    const [row] = this.#rows('SELECT record FROM gather')
    if (row === undefined) return undefined
    const trunk = readGather(row.record)
    if (trunk.scatter === undefined) return trunk
    return withLegs(
      trunk,
      this.#rows('SELECT record FROM legs ORDER BY n').map((leg) => readLeg(leg.record)),
    )
  }

  #step(work: (gather: Gather, now: number) => Gather, more?: () => void): Gather | undefined {
    const gather = this.#current()
    if (gather === undefined) return undefined
    const next = work(gather, this.#chance.now())
    if (next !== gather) this.#save(gather, next, more)
    return next
  }

  // M6: the alarm is armed in the transaction that makes it needed earlier: by the opening, by another round, and by the end.
  // Otherwise the armed one is too early at worst, and one visit is cheaper than a row for each change.
  #save(before: Gather | undefined, gather: Gather, more: () => void = () => undefined): void {
    const now = this.#chance.now()
    // Until it is saved, memory knows nothing: what follows a save that failed is read anew.
    this.#known = undefined
    this.#storage.transactionSync(() => {
      if (before === undefined) for (const table of tables) this.#storage.sql.exec(table)
      if (before === undefined && gather.scatter !== undefined) this.#storage.sql.exec(legsTable)
      if (isTrunkChanged(before, gather))
        this.#rows(
          'INSERT OR REPLACE INTO gather (id, record) VALUES (?, ?)',
          gather.id,
          JSON.stringify(trunkOf(gather)),
        )
      for (const { n, record } of changedLegs(before, gather))
        this.#rows('INSERT OR REPLACE INTO legs (n, record) VALUES (?, ?)', n, record)
      more()
      const ended = gather.outcome !== undefined && before?.outcome === undefined
      // Nobody is asked any more.
      if (ended) this.#rows("DELETE FROM texts WHERE kind = 'ask'")
      if (ended || before === undefined || gather.rounds !== before.rounds)
        void this.#storage.setAlarm(ended && !gather.told ? now : this.#dueAt(before, gather, now))
    })
    this.#known = gather
  }

  // Who opens it asks at once; another round is the alarm's, or whoever noticed first, to begin: at once.
  #dueAt(before: Gather | undefined, gather: Gather, now: number): number {
    return before !== undefined && gather.rounds !== before.rounds ? now : gatherDueAt(gather, now)
  }

  #text(kind: 'reply' | 'result', n: number): string | undefined {
    const [row] = this.#rows('SELECT body FROM texts WHERE kind = ? AND n = ?', kind, n)
    return row === undefined ? undefined : String(row.body)
  }

  #keep(kind: 'ask' | 'reply' | 'result', n: number, body: string): void {
    this.#rows('INSERT OR REPLACE INTO texts (kind, n, body) VALUES (?, ?, ?)', kind, n, body)
  }

  #texts(kind: 'ask' | 'reply'): { n: number; body: string }[] {
    return this.#rows('SELECT n, body FROM texts WHERE kind = ? ORDER BY n', kind).map((row) => ({
      n: Number(row.n),
      body: String(row.body),
    }))
  }

  #hasTable(): boolean {
    return this.#rows("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'gather'").length > 0
  }

  #rows(query: string, ...bindings: SqlValue[]): Record<string, unknown>[] {
    return this.#storage.sql.exec(query, ...bindings).toArray()
  }
}
