/**
 * Gathers in the rows of one object: a record each, with when it wants to be looked at, and the texts of what it asked and heard.
 * Every row has the id of its gather, and is read and removed by it alone. Never here: what happens to a gather (shared/gather.ts),
 * memory and alarms (durable-objects/gather.ts).
 */
import { type Gather, readGather } from '../shared/gather.ts'
import { changedLegs, isTrunkChanged, readLeg, trunkOf, withLegs } from '../shared/gather-rows.ts'
import type { SqlValue, StoragePort } from '../shared/ports.ts'

const tables = [
  // `ask` and `reply` are texts as below, in the row that is written anyway: the first that is sent, and a first reply that was the end.
  // Never both: each may be a megabyte.
  `CREATE TABLE IF NOT EXISTS gathers (
     id TEXT PRIMARY KEY, due_at INTEGER NOT NULL, record TEXT NOT NULL, ask TEXT, reply TEXT
   ) WITHOUT ROWID`,
  'CREATE INDEX IF NOT EXISTS gathers_by_due ON gathers (due_at)',
  // What its legs are sent (`ask`, in their order), what they said (`reply`, by arrival), and what was made of it (`result`).
  `CREATE TABLE IF NOT EXISTS gather_texts (
     gather TEXT NOT NULL, kind TEXT NOT NULL, n INTEGER NOT NULL, body TEXT NOT NULL, PRIMARY KEY (gather, kind, n)
   ) WITHOUT ROWID`,
  // A scatter's only.
  `CREATE TABLE IF NOT EXISTS gather_legs (
     gather TEXT NOT NULL, n INTEGER NOT NULL, record TEXT NOT NULL, PRIMARY KEY (gather, n)
   ) WITHOUT ROWID`,
]

// An object of before has one gather, and rows that do not say whose they are.
const adoption = [
  `INSERT INTO gathers (id, due_at, record, ask)
   SELECT id, 0, record, (SELECT body FROM texts WHERE kind = 'ask' AND n = 1) FROM gather`,
  `INSERT INTO gather_texts (gather, kind, n, body)
   SELECT g.id, t.kind, t.n, t.body FROM gather g, texts t WHERE t.kind <> 'ask' OR t.n > 1`,
  'INSERT INTO gather_legs (gather, n, record) SELECT g.id, l.n, l.record FROM gather g, legs l',
  'DROP TABLE gather',
  'DROP TABLE texts',
  'DROP TABLE legs',
]

export interface Text {
  readonly n: number
  readonly body: string
}

export class GatherStore {
  readonly #storage: StoragePort
  /** Undefined: not looked. */
  #isMade: boolean | undefined

  constructor(storage: StoragePort) {
    this.#storage = storage
  }

  /** Are there tables? Nothing is stored for who only asks. */
  isMade(): boolean {
    if (this.#isMade !== undefined) return this.#isMade
    const names = new Set(
      this.#rows("SELECT name FROM sqlite_master WHERE type = 'table' AND name IN ('gather', 'gathers')").map(
        (row) => row.name,
      ),
    )
    if (names.has('gather')) this.#adopt()
    this.#isMade = names.size > 0
    return this.#isMade
  }

  /** Inside a transaction, and before anything else is written in it: makes the tables where there are none. */
  make(): void {
    if (!this.isMade()) for (const table of tables) this.#storage.sql.exec(table)
    this.#isMade = true
  }

  /** After a transaction that failed: whether there are tables is looked for anew. */
  remake(): void {
    this.#isMade = undefined
  }

  load(id: string): Gather | undefined {
    if (!this.isMade()) return undefined
    const [row] = this.#rows('SELECT record FROM gathers WHERE id = ?', id)
    if (row === undefined) return undefined
    const trunk = readGather(row.record)
    if (trunk.scatter === undefined) return trunk
    return withLegs(
      trunk,
      this.#rows('SELECT record FROM gather_legs WHERE gather = ? ORDER BY n', id).map((leg) => readLeg(leg.record)),
    )
  }

  /** A new gather, in the place of an earlier one of its id that was refused by all. */
  insert(gather: Gather, dueAt: number, [ask, ...more]: readonly string[]): void {
    const { id } = gather
    for (const table of ['gather_texts', 'gather_legs']) this.#rows(`DELETE FROM ${table} WHERE gather = ?`, id)
    const record = JSON.stringify(trunkOf(gather))
    const row = [id, dueAt, record, ask ?? null]
    this.#rows('INSERT OR REPLACE INTO gathers (id, due_at, record, ask) VALUES (?, ?, ?, ?)', ...row)
    more.forEach((body, i) => void this.keep(id, 'ask', i + 2, body))
    this.#saveLegs(undefined, gather)
  }

  /** Writes what changed. Without `dueAt` it is due when it was. */
  update(before: Gather, gather: Gather, dueAt: number | undefined, reply: Text | undefined): void {
    const { id } = gather
    const ended = gather.outcome !== undefined && before.outcome === undefined
    const isInRow = ended && reply?.n === 1
    const record = () => JSON.stringify(trunkOf(gather))
    // At the end nobody is asked any more.
    if (ended) {
      const row = [record(), dueAt ?? 0, isInRow ? reply.body : null, id]
      this.#rows('UPDATE gathers SET record = ?, due_at = ?, ask = NULL, reply = ? WHERE id = ?', ...row)
      if (gather.scatter !== undefined) this.#rows("DELETE FROM gather_texts WHERE gather = ? AND kind = 'ask'", id)
    } else if (dueAt !== undefined)
      this.#rows('UPDATE gathers SET record = ?, due_at = ? WHERE id = ?', record(), dueAt, id)
    else if (isTrunkChanged(before, gather)) this.#rows('UPDATE gathers SET record = ? WHERE id = ?', record(), id)
    if (reply !== undefined && !isInRow) this.keep(id, 'reply', reply.n, reply.body)
    this.#saveLegs(before, gather)
  }

  keep(id: string, kind: 'ask' | 'reply' | 'result', n: number, body: string): void {
    this.#rows('INSERT OR REPLACE INTO gather_texts (gather, kind, n, body) VALUES (?, ?, ?, ?)', id, kind, n, body)
  }

  texts(id: string, kind: 'ask' | 'reply'): Text[] {
    return this.#rows(
      `SELECT 1 AS n, ${kind} AS body FROM gathers WHERE id = ? AND ${kind} IS NOT NULL
       UNION ALL SELECT n, body FROM gather_texts WHERE gather = ? AND kind = ? ORDER BY n`,
      id,
      id,
      kind,
    ).map((row) => ({ n: Number(row.n), body: String(row.body) }))
  }

  reply(id: string, n: number): string | undefined {
    const [row] = n === 1 ? this.#rows('SELECT reply AS body FROM gathers WHERE id = ? AND reply IS NOT NULL', id) : []
    return row === undefined ? this.#text(id, 'reply', n) : String(row.body)
  }

  result(id: string): string | undefined {
    return this.#text(id, 'result', 1)
  }

  // --- time -----------------------------------------------------------------------------------------------------------

  due(now: number, limit: number): string[] {
    if (!this.isMade()) return []
    return this.#rows('SELECT id FROM gathers WHERE due_at <= ? ORDER BY due_at LIMIT ?', now, limit).map((row) =>
      String(row.id),
    )
  }

  earliestDueAt(): number | undefined {
    const [row] = this.#rows('SELECT due_at FROM gathers ORDER BY due_at LIMIT 1')
    return row === undefined ? undefined : Number(row.due_at)
  }

  dueLater(id: string, dueAt: number): void {
    this.#rows('UPDATE gathers SET due_at = ? WHERE id = ?', dueAt, id)
  }

  forget(id: string): void {
    for (const table of ['gather_texts', 'gather_legs']) this.#rows(`DELETE FROM ${table} WHERE gather = ?`, id)
    this.#rows('DELETE FROM gathers WHERE id = ?', id)
  }

  /** Is nothing kept beside these? */
  holdsOnly(ids: readonly string[]): boolean {
    return this.#rows('SELECT id FROM gathers LIMIT ?', ids.length + 1).every((row) => ids.includes(String(row.id)))
  }

  /** All of it: an empty database would be stored, and paid, for ever. */
  deleteAll(): Promise<void> {
    this.#isMade = false
    return this.#storage.deleteAll()
  }

  // --- inside ---------------------------------------------------------------------------------------------------------

  #text(id: string, kind: 'reply' | 'result', n: number): string | undefined {
    const [row] = this.#rows('SELECT body FROM gather_texts WHERE gather = ? AND kind = ? AND n = ?', id, kind, n)
    return row === undefined ? undefined : String(row.body)
  }

  #saveLegs(before: Gather | undefined, gather: Gather): void {
    for (const leg of changedLegs(before, gather))
      this.#rows(
        'INSERT OR REPLACE INTO gather_legs (gather, n, record) VALUES (?, ?, ?)',
        gather.id,
        leg.n,
        leg.record,
      )
  }

  #adopt(): void {
    this.#storage.transactionSync(() => {
      for (const table of tables) this.#storage.sql.exec(table)
      this.#storage.sql.exec('CREATE TABLE IF NOT EXISTS legs (n INTEGER PRIMARY KEY, record TEXT NOT NULL)')
      for (const statement of adoption) this.#storage.sql.exec(statement)
    })
  }

  #rows(query: string, ...bindings: SqlValue[]): Record<string, unknown>[] {
    return this.#storage.sql.exec(query, ...bindings).toArray()
  }
}
