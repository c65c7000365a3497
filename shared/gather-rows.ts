/**
 * How a scatter lies in storage: its trunk in one row, each leg with its arrivals in another, so that a reply among a thousand
 * writes one small row. A request, of one leg, is one row. Never here: what happens to either (shared/gather.ts).
 */
import * as z from 'zod'
import { arrivalSchema, type Gather, legSchema } from './gather.ts'

export const legRecord = z.strictObject({ v: z.literal(1), leg: legSchema, arrivals: z.array(arrivalSchema) })

/** A stored record, parsed as the network is. */
export const readLeg = (stored: unknown) => legRecord.parse(JSON.parse(String(stored)))

/** Its row without its legs; a request's with them. */
export function trunkOf(gather: Gather): Gather {
  return gather.scatter === undefined ? gather : { ...gather, legs: [], arrivals: [] }
}

export function withLegs(trunk: Gather, rows: readonly z.infer<typeof legRecord>[]): Gather {
  const arrivals = rows.flatMap((row) => row.arrivals).sort((a, b) => a.n - b.n)
  return { ...trunk, legs: rows.map((row) => row.leg), arrivals }
}

/** Has its own row changed? A scatter's does when something happened to it as a whole. */
export function isTrunkChanged(before: Gather | undefined, gather: Gather): boolean {
  if (before === undefined || gather.scatter === undefined) return true
  const { outcome, told, scatter, rounds, sent, unkept, deadlineAt } = before
  return (
    outcome !== gather.outcome ||
    told !== gather.told ||
    scatter !== gather.scatter ||
    rounds !== gather.rounds ||
    sent !== gather.sent ||
    unkept !== gather.unkept ||
    deadlineAt !== gather.deadlineAt
  )
}

/** The rows of legs that changed. */
export function changedLegs(
  before: Gather | undefined,
  gather: Gather,
): { readonly n: number; readonly record: string }[] {
  if (gather.scatter === undefined) return []
  const heard = new Set(gather.arrivals.slice(before?.arrivals.length ?? 0).map((a) => a.leg))
  return gather.legs.flatMap((leg, i) => {
    if (leg === before?.legs[i] && !heard.has(leg.n)) return []
    const arrivals = gather.arrivals.filter((a) => a.leg === leg.n)
    return [{ n: leg.n, record: JSON.stringify({ v: 1, leg, arrivals }) }]
  })
}
