/**
 * Gathers in the rows of one object: a record each, with when it wants to be looked at, and the texts of what it asked and heard.
 * Every row has the id of its gather, and is read and removed by it alone; that of the record is found by a number made of the id
 * (docs/decisions/0054). Never here: what happens to a gather (shared/gather.ts), memory and alarms (durable-objects/gather.ts).
 */
import { type Gather, readGather } from '../shared/gather.ts'
import { digestIn } from '../shared/gather-place.ts'
import { changedLegs, isTrunkChanged, readLeg, trunkOf, withLegs } from '../shared/gather-rows.ts'
import type { SqlValue, StoragePort } from '../shared/ports.ts'
import { isKeyedById, isRow, rowAt } from './delivery-rows.ts'

const tables = [
  // `ask` and `reply` are texts as below, in the row that is written anyway: the first that is sent, and a first reply that was the end.
  // Never both: each may be a megabyte.
  `CREATE TABLE IF NOT EXISTS gathers (
     key INTEGER PRIMARY KEY, id TEXT NOT NULL, due_at INTEGER NOT NULL, record TEXT NOT NULL, ask TEXT, reply TEXT
   )`,
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

const columns = 'key, id, due_at, record, ask, reply'

// An object of before has one gather, whose own row is written first, and rows that do not say whose they are.
const adoption = [
  `INSERT INTO gather_texts (gather, kind, n, body)
   SELECT g.id, t.kind, t.n, t.body FROM gather g, texts t WHERE t.kind <> 'ask' OR t.n > 1`,
  'INSERT INTO gather_legs (gather, n, record) SELECT g.id, l.n, l.record FROM gather g, legs l',
  'DROP TABLE gather',
  'DROP TABLE texts',
  'DROP TABLE legs',
]

// Rows of before, but for the number: of such an object, and of a table that is keyed by id.
const adopted = `id, 0, record, (SELECT body FROM texts WHERE kind = 'ask' AND n = 1), NULL FROM gather`
const renamed = 'gathers_by_id'
const laidOut = `id, due_at, record, ask, reply FROM ${renamed}`

/** Which row: `WHERE ${isRow}`, with this. The agent that an id may name has no part in its number. */
function rowOf(id: string): [from: number, upTo: number, id: string] {
  const [from, upTo] = rowAt(digestIn(id))
  return [from, upTo, id]
}

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
    const found = this.#rows(
      "SELECT name, sql FROM sqlite_master WHERE type = 'table' AND name IN ('gather', 'gathers')",
    )
    if (found.some(({ name }) => name === 'gather')) this.#adopt()
    else if (found.some(({ sql }) => isKeyedById(String(sql)))) this.#layOut()
    this.#isMade = found.length > 0
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
    const [row] = this.#rows(`SELECT record FROM gathers WHERE ${isRow}`, ...rowOf(id))
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
    // Whatever else there is of one is written and removed with its row.
    if (this.#rows(`SELECT 1 FROM gathers WHERE ${isRow}`, ...rowOf(id)).length > 0) this.forget(id)
    const record = JSON.stringify(trunkOf(gather))
    this.#place(id, 'VALUES (?, ?, ?, ?, ?, NULL)', id, dueAt, record, ask ?? null)
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
      const row = [record(), dueAt ?? 0, isInRow ? reply.body : null]
      this.#set(id, 'record = ?, due_at = ?, ask = NULL, reply = ?', ...row)
      if (gather.scatter !== undefined) this.#rows("DELETE FROM gather_texts WHERE gather = ? AND kind = 'ask'", id)
    } else if (dueAt !== undefined) this.#set(id, 'record = ?, due_at = ?', record(), dueAt)
    else if (isTrunkChanged(before, gather)) this.#set(id, 'record = ?', record())
    if (reply !== undefined && !isInRow) this.keep(id, 'reply', reply.n, reply.body)
    this.#saveLegs(before, gather)
  }

  keep(id: string, kind: 'ask' | 'reply' | 'result', n: number, body: string): void {
    this.#rows('INSERT OR REPLACE INTO gather_texts (gather, kind, n, body) VALUES (?, ?, ?, ?)', id, kind, n, body)
  }

  texts(id: string, kind: 'ask' | 'reply'): Text[] {
    return this.#rows(
      `SELECT 1 AS n, ${kind} AS body FROM gathers WHERE ${isRow} AND ${kind} IS NOT NULL
       UNION ALL SELECT n, body FROM gather_texts WHERE gather = ? AND kind = ? ORDER BY n`,
      ...rowOf(id),
      id,
      kind,
    ).map((row) => ({ n: Number(row.n), body: String(row.body) }))
  }

  reply(id: string, n: number): string | undefined {
    const inRow = `SELECT reply AS body FROM gathers WHERE ${isRow} AND reply IS NOT NULL`
    const [row] = n === 1 ? this.#rows(inRow, ...rowOf(id)) : []
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
    this.#set(id, 'due_at = ?', dueAt)
  }

  forget(id: string): void {
    for (const table of ['gather_texts', 'gather_legs']) this.#rows(`DELETE FROM ${table} WHERE gather = ?`, id)
    this.#rows(`DELETE FROM gathers WHERE ${isRow}`, ...rowOf(id))
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

  #set(id: string, what: string, ...bindings: SqlValue[]): void {
    this.#rows(`UPDATE gathers SET ${what} WHERE ${isRow}`, ...bindings, ...rowOf(id))
  }

  /** Writes a new row, that `values` gives once it has a number. */
  #place(id: string, values: string, ...bindings: SqlValue[]): void {
    const [from, upTo] = rowOf(id)
    for (let key = from; key <= upTo; key++) {
      const placed = this.#storage.sql.exec(
        `INSERT INTO gathers (${columns}) ${values} ON CONFLICT (key) DO NOTHING`,
        key,
        ...bindings,
      )
      if (placed.rowsWritten > 0) return
    }
    throw new Error(`no place for ${id} in gathers`)
  }

  #adopt(): void {
    this.#storage.transactionSync(() => {
      for (const table of tables) this.#storage.sql.exec(table)
      this.#storage.sql.exec('CREATE TABLE IF NOT EXISTS legs (n INTEGER PRIMARY KEY, record TEXT NOT NULL)')
      this.#placeAll('gather', adopted)
      for (const statement of adoption) this.#storage.sql.exec(statement)
    })
  }

  /** A table of before is keyed by id. The step that looks first may be writing something already, and this is part of it then. */
  #layOut(): void {
    this.#storage.transactionSync(() => {
      this.#storage.sql.exec('DROP INDEX IF EXISTS gathers_by_due')
      this.#storage.sql.exec(`ALTER TABLE gathers RENAME TO ${renamed}`)
      for (const table of tables) this.#storage.sql.exec(table)
      this.#placeAll(renamed, laidOut)
      this.#storage.sql.exec(`DROP TABLE ${renamed}`)
    })
  }

  // One after the other within SQLite: a day of requests is more than fits into memory.
  #placeAll(from: string, row: string): void {
    for (const { id } of this.#rows(`SELECT id FROM ${from}`))
      this.#place(String(id), `SELECT ?, ${row} WHERE id = ?`, String(id))
  }

  #rows(query: string, ...bindings: SqlValue[]): Record<string, unknown>[] {
    return this.#storage.sql.exec(query, ...bindings).toArray()
  }
}
