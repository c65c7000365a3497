/**
 * Finds the deliveries of one conversation in an agent's tables by reading them: an index would cost every message a row, and
 * few are ever asked about (docs/decisions/0033). A bounded number of rows a call. Never here: which tables there are
 * (durable-objects/buckets.ts), what is made of them (workers/correlate.ts).
 */
import type { SqlValue, StoragePort } from '../shared/ports.ts'
import { after, isAfter, type Reach, rowAt } from './delivery-rows.ts'

/** Up to `rows` of each table, by id after `from`. `cursor`: there is more after it. */
export function correlatedIn(
  tables: readonly string[],
  reach: Reach,
  sql: StoragePort['sql'],
  correlationid: string,
  from: string,
  rows: number,
): { ids: string[]; cursor?: string } {
  const read = (query: string, ...bindings: SqlValue[]) => sql.exec(query, ...bindings).toArray()
  const ends = tables.flatMap((table) =>
    read(`SELECT id FROM ${table} WHERE ${isAfter} ORDER BY key LIMIT 1 OFFSET ?`, ...after(from), rows - 1),
  )
  // No further than the table that is read the least far: what lies beyond is the next call's, of every table.
  const [end] = ends.map((row) => String(row.id)).sort()
  const ids = tables.flatMap((table) =>
    read(
      `SELECT id FROM ${table} WHERE ${isAfter} AND ${end === undefined ? 'TRUE' : 'key <= ? AND id <= ?'}
         AND json_extract(record, '$.head.correlationid') = ?`,
      ...after(from),
      ...(end === undefined ? [] : rowAt(end, reach).slice(1)),
      correlationid,
    ).map((row) => String(row.id)),
  )
  return { ids: ids.sort(), ...(end === undefined ? {} : { cursor: end }) }
}
