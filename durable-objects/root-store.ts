/**
 * The roots among one agent's deliveries, as rows beside its mailbox: how many messages each has set off. Counted in memory, and
 * written ahead. Never here: what is counted (shared/root.ts).
 */
import type { SqlValue, StoragePort } from '../shared/ports.ts'
import { newRoot, type Root, readRoot, rootKeptMs, spend, writtenAhead } from '../shared/root.ts'

const table =
  'CREATE TABLE IF NOT EXISTS roots (root TEXT PRIMARY KEY, at INTEGER NOT NULL, record TEXT NOT NULL) WITHOUT ROWID'

/** Counts in memory. What gives way is read again from its row, which is ahead of it. */
const remembered = 1_000

interface Counted {
  readonly root: Root
  readonly written: Root
}

export class RootStore {
  readonly #storage: StoragePort
  readonly #counted = new Map<string, Counted>()

  constructor(storage: StoragePort) {
    this.#storage = storage
  }

  /** False: that would be more than `max`, and nothing is counted. */
  spend(name: string, journal: string, n: number, max: number, now: number): boolean {
    const { root: before, written } = this.#counted.get(name) ?? this.#read(name)
    const [root, granted] = spend(before, journal, n, max, now)
    if (root === before) return granted
    const isAhead = root.spent <= written.spent
    const next = isAhead ? written : writtenAhead(root, written.at)
    if (!isAhead) this.#write(next)
    this.#counted.delete(name)
    this.#counted.set(name, { root, written: next })
    const [oldest] = this.#counted.keys()
    if (this.#counted.size > remembered && oldest !== undefined) this.#counted.delete(oldest)
    return granted
  }

  /** Forgets those that have set off nothing for long. */
  tidy(now: number): void {
    if (this.#hasTable()) this.#rows('DELETE FROM roots WHERE at <= ?', now - rootKeptMs)
  }

  clear(): void {
    this.#counted.clear()
    if (this.#hasTable()) this.#rows('DELETE FROM roots')
  }

  #read(name: string): Counted {
    const [row] = this.#hasTable() ? this.#rows('SELECT record FROM roots WHERE root = ?', name) : []
    const root = row === undefined ? newRoot(name) : readRoot(row.record)
    return { root, written: root }
  }

  #write(root: Root): void {
    this.#storage.transactionSync(() => {
      this.#rows(table)
      this.#rows(
        'INSERT OR REPLACE INTO roots (root, at, record) VALUES (?, ?, ?)',
        root.root,
        root.at,
        JSON.stringify(root),
      )
    })
  }

  #hasTable(): boolean {
    return this.#rows("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'roots'").length > 0
  }

  #rows(query: string, ...bindings: SqlValue[]): Record<string, unknown>[] {
    return this.#storage.sql.exec(query, ...bindings).toArray()
  }
}
