/**
 * The handshakes of one agent, as rows beside its mailbox: bounded by asker and in all, forgotten when their time is over.
 * Never here: what was agreed on, or how it stands (shared/handshake.ts).
 */
import { type Handshake, readHandshake, type Shaken } from '../shared/handshake.ts'
import { limits } from '../shared/limits.ts'
import type { SqlValue, StoragePort } from '../shared/ports.ts'

const table = `CREATE TABLE IF NOT EXISTS handshakes (
  id TEXT PRIMARY KEY, source TEXT NOT NULL, at INTEGER NOT NULL, expires_at INTEGER NOT NULL, record TEXT NOT NULL
) WITHOUT ROWID`

export class HandshakeStore {
  readonly #storage: StoragePort

  constructor(storage: StoragePort) {
    this.#storage = storage
  }

  /** Keeps it, unless one of its id is kept: the first one stays, so that a repeat gets the same answer. */
  keep(shaken: Shaken, inForceMs: number, now: number): Handshake {
    const known = this.find(shaken.id)
    if (known?.incarnation === shaken.incarnation) return known
    const handshake: Handshake = { ...shaken, at: now, expiresAt: now + inForceMs }
    this.#storage.transactionSync(() => {
      this.#rows(table)
      this.tidy(now)
      this.#makeRoom('source = ?', limits.handshakesPerPair, handshake.source)
      this.#makeRoom('source IS NOT NULL', limits.handshakesPerAgent)
      this.#rows(
        'INSERT OR REPLACE INTO handshakes (id, source, at, expires_at, record) VALUES (?, ?, ?, ?, ?)',
        handshake.id,
        handshake.source,
        handshake.at,
        handshake.expiresAt,
        JSON.stringify(handshake),
      )
    })
    return handshake
  }

  find(id: string): Handshake | undefined {
    if (!this.#hasTable()) return undefined
    const [row] = this.#rows('SELECT record FROM handshakes WHERE id = ?', id)
    return row === undefined ? undefined : readHandshake(row.record)
  }

  /** Forgets those that expired a day ago: for so long it can still be read that they did. */
  tidy(now: number): void {
    if (this.#hasTable()) this.#rows('DELETE FROM handshakes WHERE expires_at <= ?', now - expiredKeptMs)
  }

  clear(): void {
    if (this.#hasTable()) this.#rows('DELETE FROM handshakes')
  }

  // One place for the one that comes: the oldest give way.
  #makeRoom(whose: string, max: number, ...bindings: SqlValue[]): void {
    this.#rows(
      `DELETE FROM handshakes WHERE id IN (SELECT id FROM handshakes WHERE ${whose} ORDER BY at DESC, id LIMIT -1 OFFSET ?)`,
      ...bindings,
      max - 1,
    )
  }

  #hasTable(): boolean {
    return this.#rows("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'handshakes'").length > 0
  }

  #rows(query: string, ...bindings: SqlValue[]): Record<string, unknown>[] {
    return this.#storage.sql.exec(query, ...bindings).toArray()
  }
}

const expiredKeptMs = 86_400_000
