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

/**
 * Among how many numbers, from its own on, a row may lie where another one has its own. By chance there are never nine of one number. Whoever
 * makes ids up can have as many as they publish messages: then all rows of that mailbox are looked for further, which costs only those
 * that lie there anything.
 */
export interface Reach {
  of: number
}
export const leastReach = 8

/** Which row: `WHERE ${isRow}`, with what `rowAt` binds. */
export const isRow = 'key BETWEEN ? AND ? AND id = ?'
export function rowAt(id: string, reach: Reach = { of: leastReach }): [from: number, upTo: number, id: string] {
  const key = rowKey(id)
  return [key, key + reach.of - 1, id]
}

/** Those after this one in the order of ids: `WHERE ${isAfter} ORDER BY key`, with what `after` binds. */
export const isAfter = 'key >= ? AND id > ?'
export const after = (id: string): [from: number, id: string] => [rowKey(id), id]

/** The one of these tables that has the row of this id. */
export function homeOf(sql: Sql, tables: readonly string[], reach: Reach, id: string): string | undefined {
  const [row] = found(sql, tables, reach, (table) => `'${table}' AS home`, id)
  return row === undefined ? undefined : String(row['home'])
}

/** A column of the row of this id, in whichever of these tables has it. */
export function columnOf(
  sql: Sql,
  tables: readonly string[],
  reach: Reach,
  column: 'record' | 'body',
  id: string,
): unknown {
  return found(sql, tables, reach, () => column, id)[0]?.[column]
}

// The platform refuses a compound SELECT of more.
const tablesPerStatement = 5

// A message that is new is in none of them, and a statement costs more than a table.
function found(sql: Sql, tables: readonly string[], reach: Reach, what: (table: string) => string, id: string) {
  for (let i = 0; i < tables.length; i += tablesPerStatement) {
    const some = tables.slice(i, i + tablesPerStatement)
    const each = some.map((table) => `SELECT ${what(table)} FROM ${table} WHERE key BETWEEN ?1 AND ?2 AND id = ?3`)
    const rows = sql.exec(`${each.join(' UNION ALL ')} LIMIT 1`, ...rowAt(id, reach)).toArray()
    if (rows.length > 0) return rows
  }
  return []
}

/** Is a table that was created so keyed by id, as all were before? */
export const isKeyedById = (created: string): boolean => !created.includes('key INTEGER PRIMARY KEY')

/** Writes a new row. Where no number within reach is free, the reach is more from now on: it is to be stored with what was written. */
export function place(sql: Sql, table: string, reach: Reach, row: DeliveryRow): void {
  const key = rowKey(row[0])
  const insert = `INSERT INTO ${table} (key, ${named}) VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (key) DO NOTHING`
  for (let n = 0; sql.exec(insert, key + n, ...row).rowsWritten === 0; ) {
    n = n + 1 < leastReach ? n + 1 : behindAll(sql, table, key, Math.max(reach.of, n + 1))
    while (n >= reach.of) reach.of *= 2
  }
}

// Of a crowd that was made up there may be thousands.
function behindAll(sql: Sql, table: string, key: number, upTo: number): number {
  const query = `SELECT max(key) AS last FROM ${table} WHERE key BETWEEN ? AND ?`
  return Number(sql.exec(query, key, key + upTo - 1).toArray()[0]?.['last']) - key + 1
}

/** Writes rows of one table into another one, where they stay as they are. */
export function copy(sql: Sql, from: string, to: string, reach: Reach, which: string, ...bindings: SqlValue[]): void {
  const isTaken = `EXISTS (SELECT 1 FROM ${to} WHERE ${to}.key = ${from}.key)`
  const displaced = sql.exec(`SELECT ${named} FROM ${from} WHERE (${which}) AND ${isTaken}`, ...bindings).toArray()
  sql.exec(`INSERT INTO ${to} SELECT * FROM ${from} WHERE (${which}) AND NOT ${isTaken}`, ...bindings)
  for (const row of displaced) place(sql, to, reach, readRow(row))
}

/** Lays a table out anew that is keyed by id, as all were before. */
export function layOut(sql: Sql, table: string, reach: Reach): void {
  const old = `${table}_by_id`
  sql.exec(`ALTER TABLE ${table} RENAME TO ${old}`)
  sql.exec(`CREATE TABLE ${table} (${deliveryColumns})`)
  for (const row of sql.exec(`SELECT ${named} FROM ${old}`).toArray()) place(sql, table, reach, readRow(row))
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
