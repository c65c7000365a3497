/**
 * PromiseObject: one promise, named by its id. It remembers how it ended, keeps its deadline, and has its end told through the
 * `work` queue until it was. Never here: telling anybody (workers/tell-promise.ts), what counts as an end (shared/promise.ts).
 */
import { DurableObject } from 'cloudflare:workers'
import type { EffectStatus } from '../shared/effects.ts'
import type { ChancePort, SqlValue, StoragePort, Synchronous } from '../shared/ports.ts'
import {
  askForTelling,
  elapsePromise,
  endPromise,
  isPromiseForgotten,
  openPromise,
  type PromiseEnded,
  type PromiseEnding,
  type PromiseOpened,
  type PromiseOpening,
  type PromisePort,
  type PromiseRecord,
  promiseTold,
  promiseWakeAt,
  readPromise,
} from '../shared/promise.ts'
import { chance } from './chance.ts'
import { type OutboxEnv, sendPromise } from './outbox.ts'

const table = 'CREATE TABLE IF NOT EXISTS promise (id TEXT PRIMARY KEY, record TEXT NOT NULL) WITHOUT ROWID'

const alarmRetryMs = 5_000

export class PromiseObject extends DurableObject<OutboxEnv> implements Synchronous<PromisePort> {
  readonly #storage: StoragePort
  readonly #chance: Pick<ChancePort, 'now'>

  constructor(ctx: DurableObjectState, env: OutboxEnv, ports: Pick<ChancePort, 'now'> = chance) {
    super(ctx, env)
    // The narrow shape that is used; the platform's own class satisfies it.
    this.#storage = ctx.storage as unknown as StoragePort
    this.#chance = ports
  }

  open(opening: PromiseOpening): PromiseOpened {
    const before = this.#read()
    const opened = openPromise(before, opening, this.#chance.now())
    this.#save(before, opened.promise)
    return opened
  }

  find(): PromiseRecord | undefined {
    return this.#step((promise) => promise)
  }

  end(ending: PromiseEnding): PromiseEnded | undefined {
    const before = this.#read()
    if (before === undefined) return undefined
    const ended = endPromise(before, ending, this.#chance.now())
    this.#save(before, ended.promise)
    return ended
  }

  told(news: EffectStatus): PromiseRecord | undefined {
    return this.#step((promise) => promiseTold(promise, news))
  }

  /** Never throws, and re-arms itself while anything is to come (M6). */
  override async alarm(): Promise<void> {
    try {
      const now = this.#chance.now()
      const before = this.#read()
      if (before === undefined) return
      // All of it: an empty database would be stored, and paid, for ever.
      if (isPromiseForgotten(before, now)) return await this.#storage.deleteAll()
      const elapsed = elapsePromise(before, now)
      const asked = askForTelling(elapsed, now)
      this.#write(asked ?? elapsed)
      if (asked !== undefined) await sendPromise(this.env, asked.id)
    } catch (error) {
      console.error(JSON.stringify({ step: 'promise.alarm', error: String(error) }))
      await this.#storage.setAlarm(this.#chance.now() + alarmRetryMs)
    }
  }

  // --- inside ---------------------------------------------------------------------------------------------------------

  #step(step: (promise: PromiseRecord) => PromiseRecord): PromiseRecord | undefined {
    const before = this.#read()
    if (before === undefined) return undefined
    const after = step(elapsePromise(before, this.#chance.now()))
    this.#save(before, after)
    return after
  }

  // An id that nobody gave away leaves nothing behind: its table is made with its promise.
  #read(): PromiseRecord | undefined {
    if (this.#rows("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'promise'").length === 0)
      return undefined
    const [row] = this.#rows('SELECT record FROM promise')
    return row === undefined ? undefined : readPromise(row['record'])
  }

  #save(before: PromiseRecord | undefined, after: PromiseRecord): void {
    if (after !== before) this.#write(after)
  }

  // M6: the alarm is armed in the transaction that makes it needed.
  #write(promise: PromiseRecord): void {
    this.#storage.transactionSync(() => {
      this.#rows(table)
      this.#rows('INSERT OR REPLACE INTO promise (id, record) VALUES (?, ?)', promise.id, JSON.stringify(promise))
      void this.#storage.setAlarm(promiseWakeAt(promise))
    })
  }

  #rows(query: string, ...bindings: SqlValue[]): Record<string, unknown>[] {
    return this.#storage.sql.exec(query, ...bindings).toArray()
  }
}
