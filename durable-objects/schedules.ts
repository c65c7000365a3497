/**
 * SchedulesObject: every schedule of the deployment, each a row with the time at which it wakes. One instance, named `all`. Its
 * alarm is the clock: it moves what is due into firings and says whose they are through the `work` queue, again and again until
 * they were published. Never here: publishing (workers/fire.ts), what is due (shared/firing.ts).
 */
import { DurableObject } from 'cloudflare:workers'
import { report, tick } from '../shared/firing.ts'
import type { ChancePort, SqlValue, StoragePort, Synchronous } from '../shared/ports.ts'
import {
  type FiringNews,
  type Founding,
  isForgotten,
  pause,
  pendingOf,
  put,
  readSchedule,
  resume,
  type Schedule,
  type SchedulesPort,
  trigger,
  wakeAt,
} from '../shared/schedule.ts'
import type { ScheduleInput } from '../shared/schedule-input.ts'
import { chance } from './chance.ts'
import { type OutboxEnv, sendFirings } from './outbox.ts'

const tables = [
  'CREATE TABLE IF NOT EXISTS schedules (id TEXT PRIMARY KEY, owner TEXT NOT NULL, wake_at INTEGER, record TEXT NOT NULL) WITHOUT ROWID',
  'CREATE INDEX IF NOT EXISTS schedules_by_wake ON schedules (wake_at) WHERE wake_at IS NOT NULL',
  'CREATE INDEX IF NOT EXISTS schedules_by_owner ON schedules (owner, id)',
]

/** Schedules that one alarm sees to; the others are due at once again. */
const perAlarm = 100
const alarmRetryMs = 5_000
/** One whose row cannot be read must not be the next thing due for ever. */
const unreadableMs = 3_600_000

export class SchedulesObject extends DurableObject<OutboxEnv> implements Synchronous<SchedulesPort> {
  readonly #storage: StoragePort
  readonly #chance: Pick<ChancePort, 'now' | 'random'>

  constructor(ctx: DurableObjectState, env: OutboxEnv, ports: Pick<ChancePort, 'now' | 'random'> = chance) {
    super(ctx, env)
    // The narrow shape that is used; the platform's own class satisfies it.
    this.#storage = ctx.storage as unknown as StoragePort
    this.#chance = ports
    for (const table of tables) this.#storage.sql.exec(table)
  }

  put(
    founding: Founding,
    input: ScheduleInput,
    options: { readonly max: number; readonly maxOfOwner: number; readonly by?: string },
  ) {
    const before = this.find(founding.id)
    if (before !== undefined && options.by !== undefined && before.owner !== options.by)
      return { status: 'foreign' } as const
    const isTooMany =
      before === undefined &&
      (this.#count('SELECT count(*) AS n FROM schedules') >= options.max ||
        this.#count('SELECT count(*) AS n FROM schedules WHERE owner = ?', founding.owner) >= options.maxOfOwner)
    if (isTooMany) return { status: 'too_many' } as const
    const answer = put(before, founding, input, this.#chance.now(), this.#chance.random)
    if (answer.status === 'put') this.#save(before, answer.schedule)
    return answer
  }

  find(id: string): Schedule | undefined {
    const [row] = this.#rows('SELECT record FROM schedules WHERE id = ?', id)
    return row === undefined ? undefined : readSchedule(row.record)
  }

  list(owner: string | undefined, cursor: string | undefined, limit: number) {
    const after = cursor ?? ''
    const rows =
      owner === undefined
        ? this.#rows('SELECT record FROM schedules WHERE id > ? ORDER BY id LIMIT ?', after, limit + 1)
        : this.#rows(
            'SELECT record FROM schedules WHERE owner = ? AND id > ? ORDER BY id LIMIT ?',
            owner,
            after,
            limit + 1,
          )
    const items = rows.slice(0, limit).map((row) => readSchedule(row.record))
    const last = items.at(-1)
    return { items, ...(rows.length > limit && last !== undefined ? { cursor: last.id } : {}) }
  }

  // Its alarm may come for nothing once; that costs less than asking what is due next.
  remove(id: string): boolean {
    return this.#rows('DELETE FROM schedules WHERE id = ? RETURNING id', id).length > 0
  }

  pause(id: string, reason: string, by: string): Schedule | undefined {
    return this.#step(id, (schedule) => pause(schedule, reason, by, this.#chance.now()))
  }

  resume(id: string): Schedule | undefined {
    return this.#step(id, (schedule) => resume(schedule, this.#chance.now(), this.#chance.random))
  }

  trigger(id: string, token: string): Schedule | 'busy' | undefined {
    const before = this.find(id)
    if (before === undefined) return undefined
    const after = trigger(before, token, this.#chance.now())
    if (after !== 'busy') this.#save(before, after)
    return after
  }

  report(id: string, news: readonly FiringNews[]): Schedule | undefined {
    return this.#step(id, (schedule) => report(schedule, news, this.#chance.now()))
  }

  sweep(): void {
    void this.#arm()
  }

  /** Never throws, and re-arms itself while anything is to come (M6). */
  override async alarm(): Promise<void> {
    try {
      const now = this.#chance.now()
      const due = this.#rows('SELECT id FROM schedules WHERE wake_at <= ? ORDER BY wake_at LIMIT ?', now, perAlarm)
      const said: string[] = []
      this.#storage.transactionSync(() => {
        for (const { id } of due) if (this.#wake(String(id), now)) said.push(String(id))
        void this.#arm()
      })
      await sendFirings(this.env, said)
    } catch (error) {
      console.error(JSON.stringify({ step: 'schedules.alarm', error: String(error) }))
      await this.#storage.setAlarm(this.#chance.now() + alarmRetryMs)
    }
  }

  // --- inside ---------------------------------------------------------------------------------------------------------

  // True when somebody must be asked to publish. One that cannot be read is its own trouble, not the others'.
  #wake(id: string, now: number): boolean {
    try {
      const before = this.find(id)
      if (before === undefined) return false
      if (isForgotten(before, now)) {
        this.remove(id)
        return false
      }
      const after = tick(before, now, this.#chance.random)
      if (after !== before) this.#write(after)
      return after.askAt !== before.askAt && pendingOf(after).length > 0
    } catch (error) {
      console.error(JSON.stringify({ step: 'schedules.wake', schedule: id, error: String(error) }))
      this.#rows('UPDATE schedules SET wake_at = ? WHERE id = ?', now + unreadableMs, id)
      return false
    }
  }

  #step(id: string, step: (schedule: Schedule) => Schedule): Schedule | undefined {
    const before = this.find(id)
    if (before === undefined) return undefined
    const after = step(before)
    this.#save(before, after)
    return after
  }

  // M6: the alarm is armed in the transaction that makes it needed.
  #save(before: Schedule | undefined, after: Schedule): void {
    if (after === before) return
    this.#storage.transactionSync(() => {
      this.#write(after)
      void this.#arm()
    })
  }

  #write(schedule: Schedule): void {
    this.#rows(
      `INSERT INTO schedules (id, owner, wake_at, record) VALUES (?, ?, ?, ?)
       ON CONFLICT (id) DO UPDATE SET wake_at = excluded.wake_at, record = excluded.record`,
      schedule.id,
      schedule.owner,
      wakeAt(schedule) ?? null,
      JSON.stringify(schedule),
    )
  }

  #arm(): Promise<void> | undefined {
    const [row] = this.#rows('SELECT min(wake_at) AS at FROM schedules WHERE wake_at IS NOT NULL')
    return typeof row?.at === 'number' ? this.#storage.setAlarm(row.at) : undefined
  }

  #count(query: string, ...bindings: SqlValue[]): number {
    return Number(this.#rows(query, ...bindings)[0]?.n)
  }

  #rows(query: string, ...bindings: SqlValue[]): Record<string, unknown>[] {
    return this.#storage.sql.exec(query, ...bindings).toArray()
  }
}
