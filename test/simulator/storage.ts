/**
 * A Durable Object's storage over node:sqlite: the same SQL, real transactions, an alarm that its owner fires.
 * What was committed survives a "crash" (a new object over the same storage); what was not is rolled back.
 */
import { DatabaseSync, type SQLInputValue, type StatementSync } from 'node:sqlite'
import type { SqlValue, StoragePort } from '../../shared/ports.ts'

export class SimStorage implements StoragePort {
  readonly #db = new DatabaseSync(':memory:')
  readonly #statements = new Map<string, StatementSync>()
  #depth = 0
  /** The armed alarm. Part of the transaction that armed it, as on the platform. */
  alarmAt: number | null = null
  /** Set to make the next commit fail, as a full disk would. */
  failNextCommit = false

  readonly sql = {
    exec: (query: string, ...bindings: SqlValue[]) => {
      if (query.includes(';') || /^\s*(CREATE|DROP)/i.test(query)) {
        this.#statements.clear()
        this.#db.exec(query)
        return { toArray: () => [], rowsWritten: 0 }
      }
      let statement = this.#statements.get(query)
      if (statement === undefined) {
        statement = this.#db.prepare(query)
        this.#statements.set(query, statement)
      }
      if (/^\s*(SELECT|WITH|PRAGMA)|RETURNING/i.test(query)) {
        const rows = statement.all(...(bindings as SQLInputValue[])) as Record<string, unknown>[]
        return { toArray: () => rows, rowsWritten: 0 }
      }
      const { changes } = statement.run(...(bindings as SQLInputValue[]))
      return { toArray: () => [], rowsWritten: Number(changes) }
    },
  }

  transactionSync<T>(work: () => T): T {
    const alarmBefore = this.alarmAt
    // One within another is part of it, as on the platform.
    const name = `sync_${this.#depth}`
    this.#db.exec(`SAVEPOINT ${name}`)
    this.#depth += 1
    try {
      const value = work()
      if (this.failNextCommit && this.#depth === 1) {
        this.failNextCommit = false
        throw new Error('disk I/O error (simulated)')
      }
      this.#db.exec(`RELEASE ${name}`)
      return value
    } catch (error) {
      this.#db.exec(`ROLLBACK TO ${name}`)
      this.#db.exec(`RELEASE ${name}`)
      this.alarmAt = alarmBefore
      throw error
    } finally {
      this.#depth -= 1
    }
  }

  getAlarm(): Promise<number | null> {
    return Promise.resolve(this.alarmAt)
  }

  setAlarm(at: number): Promise<void> {
    this.alarmAt = at
    return Promise.resolve()
  }

  deleteAll(): Promise<void> {
    this.#statements.clear()
    const tables = this.#db.prepare("SELECT name FROM sqlite_master WHERE type = 'table'").all()
    for (const { name } of tables) this.#db.exec(`DROP TABLE "${String(name)}"`)
    this.alarmAt = null
    return Promise.resolve()
  }
}
