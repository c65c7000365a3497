/**
 * The rows of deliveries, in whichever table. A row is found by a number made of its id (docs/decisions/0046): SQLite keeps whole rows in a
 * tree that is keyed by text, which is deep and slow to write, and an index beside it would cost every message a row.
 * Never here: which table (durable-objects/buckets.ts), or what a row says (durable-objects/mailbox-rows.ts).
 */
import { rowKey } from '../shared/ids.ts'
import type { SqlValue, StoragePort } from '../shared/ports.ts'

type Sql = StoragePort['sql']

/** The columns but for `key`. `record` is JSON (shared/delivery.ts); `body` the message as it will be sent. */
export type DeliveryRow = readonly [
  id: string,
  live: number,
  sequence: number,
  keepUntil: number | null,
  record: string,
  body: string | null,
]

const named = 'id, live, sequence, keep_until, record, body'

/** For CREATE TABLE. */
export const deliveryColumns =
  'key INTEGER PRIMARY KEY, id TEXT NOT NULL, live INTEGER NOT NULL, sequence INTEGER NOT NULL, keep_until INTEGER, record TEXT NOT NULL, body TEXT'

// Ids of one number lie side by side. Of a million deliveries two have the same one in one mailbox of two thousand, and nine never.
const neighbours = 8

/** Which row: `WHERE ${isRow}`, with what `rowOf` binds. */
export const isRow = 'key BETWEEN ? AND ? AND id = ?'
export function rowAt(id: string): [from: number, upTo: number, id: string] {
  const key = rowKey(id)
  return [key, key + neighbours - 1, id]
}

/** Those after this one in the order of ids: `WHERE ${isAfter} ORDER BY key`, with what `after` binds. */
export const isAfter = 'key >= ? AND id > ?'
export const after = (id: string): [from: number, id: string] => [rowKey(id), id]

/** The first of these tables that has a row of this id. */
export function homeOf(sql: Sql, tables: readonly string[], id: string): string | undefined {
  return tables.find((table) => sql.exec(`SELECT 1 FROM ${table} WHERE ${isRow}`, ...rowAt(id)).toArray().length > 0)
}

/** A column of the row of this id, in the first of these tables that has one. */
export function columnOf(sql: Sql, tables: readonly string[], column: 'record' | 'body', id: string): unknown {
  for (const table of tables) {
    const [row] = sql.exec(`SELECT ${column} FROM ${table} WHERE ${isRow}`, ...rowAt(id)).toArray()
    if (row !== undefined) return row[column]
  }
  return undefined
}

/** Is a table that was created so keyed by id, as all were before? */
export const isKeyedById = (created: string): boolean => !created.includes('key INTEGER PRIMARY KEY')

/** Writes a new row. */
export function place(sql: Sql, table: string, row: DeliveryRow): void {
  const key = rowKey(row[0])
  for (let n = 0; n < neighbours; n++) {
    const placed = sql.exec(
      `INSERT INTO ${table} (key, ${named}) VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (key) DO NOTHING`,
      key + n,
      ...row,
    )
    if (placed.rowsWritten > 0) return
  }
  throw new Error(`no place for ${row[0]} in ${table}`)
}

/** Writes rows of one table into another one, where they stay as they are. */
export function copy(sql: Sql, from: string, to: string, which: string, ...bindings: SqlValue[]): void {
  const isTaken = `EXISTS (SELECT 1 FROM ${to} WHERE ${to}.key = ${from}.key)`
  const displaced = sql.exec(`SELECT ${named} FROM ${from} WHERE (${which}) AND ${isTaken}`, ...bindings).toArray()
  sql.exec(`INSERT INTO ${to} SELECT * FROM ${from} WHERE (${which}) AND NOT ${isTaken}`, ...bindings)
  for (const row of displaced) place(sql, to, readRow(row))
}

/** Lays a table out anew that is keyed by id, as all were before. */
export function layOut(sql: Sql, table: string): void {
  const old = `${table}_by_id`
  sql.exec(`ALTER TABLE ${table} RENAME TO ${old}`)
  sql.exec(`CREATE TABLE ${table} (${deliveryColumns})`)
  for (const row of sql.exec(`SELECT ${named} FROM ${old}`).toArray()) place(sql, table, readRow(row))
  sql.exec(`DROP TABLE ${old}`)
}

function readRow(row: Readonly<Record<string, unknown>>): DeliveryRow {
  const { keep_until: until, body } = row
  return [
    String(row['id']),
    Number(row['live']),
    Number(row['sequence']),
    until === null ? null : Number(until),
    String(row['record']),
    body === null ? null : String(body),
  ]
}
