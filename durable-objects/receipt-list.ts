/**
 * Lists the deliveries of an agent's tables, newest first. Each call looks at every row that is kept, at its columns or also into its
 * record: an index would cost every message a row, and lists are asked for by people (docs/decisions/0046). Never here: which tables
 * there are (durable-objects/buckets.ts), what is in memory (durable-objects/operated-mailbox.ts).
 */
import { type Delivery, type EndedStatus, readDelivery } from '../shared/delivery.ts'
import { newestFirst, type Place } from '../shared/newest-first.ts'
import { pageWithin } from '../shared/page.ts'
import type { SqlValue, StoragePort } from '../shared/ports.ts'

// Only the receipts of `at_most_once` have no number in their column (shared/audit.ts).
const number = "CASE sequence WHEN 0 THEN json_extract(record, '$.sequence') ELSE sequence END"
const time = "CASE sequence WHEN 0 THEN json_extract(record, '$.acceptedAt') ELSE 0 END"

/** Those that come after this place; with a status, those that ended so. */
export function newestIn(
  tables: readonly string[],
  sql: StoragePort['sql'],
  after: Place | undefined,
  limit: number,
  status?: EndedStatus,
): { readonly items: readonly Delivery[]; readonly more: boolean } {
  const bindings: SqlValue[] = [...(after === undefined ? [] : [after.sequence, after.at, after.id])]
  const isAfter = after === undefined ? 'TRUE' : `(${number}, ${time}, id) < (?, ?, ?)`
  const isSo = status === undefined ? 'TRUE' : "json_extract(record, '$.state.status') = ?"
  if (status !== undefined) bindings.push(status)
  const found = tables.flatMap((table) =>
    sql
      .exec(
        `SELECT ${number} AS n, ${time} AS at, id, record FROM ${table} WHERE ${isAfter} AND ${isSo}
         ORDER BY n DESC, at DESC, id DESC LIMIT ?`,
        ...bindings,
        limit + 1,
      )
      .toArray()
      .map((row) => ({
        ...{ sequence: Number(row['n']), at: Number(row['at']), id: String(row['id']) },
        record: String(row['record']),
      })),
  )
  const { rows, more } = pageWithin(found.sort(newestFirst), limit, (row) => row.record.length)
  return { items: rows.map((row) => readDelivery(row.record)), more }
}
