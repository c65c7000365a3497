/**
 * A filter: which messages a subscription wants, as plain JSON that cannot run away. Never here: topics (shared/topic.ts).
 *
 *   { "eq": ["type", "order.created"] }      { "in": ["data.region", ["eu", "us"]] }     { "prefix": ["subject", "a/"] }
 *   { "exists": "data.total" }               { "range": ["data.total", { "gte": 10 }] }
 *   { "and": [ … ] }   { "or": [ … ] }   { "not": … }
 *
 * A path is dotted: attributes of the message, and what is under `data`. The cost is its number of nodes, bounded at subscribe.
 */
import * as z from 'zod'
import { limits } from './limits.ts'

const path = z.string().min(1).max(limits.attributeLength)
const scalar = z.union([z.string().max(limits.attributeLength), z.number(), z.boolean(), z.null()])
const bound = z
  .strictObject({
    gt: z.number().optional(),
    gte: z.number().optional(),
    lt: z.number().optional(),
    lte: z.number().optional(),
  })
  .refine((b) => Object.values(b).some((v) => v !== undefined), 'a range needs at least one of gt, gte, lt, lte')

export type Filter =
  | { eq: [string, string | number | boolean | null] }
  | { in: [string, (string | number | boolean | null)[]] }
  | { prefix: [string, string] }
  | { exists: string }
  | { range: [string, z.infer<typeof bound>] }
  | { and: Filter[] }
  | { or: Filter[] }
  | { not: Filter }

/** One filter, or a part of one. */
export const filterNode: z.ZodType<Filter> = z.lazy(() =>
  z.union(
    [
      z.strictObject({ eq: z.tuple([path, scalar]) }),
      z.strictObject({ in: z.tuple([path, z.array(scalar).min(1).max(100)]) }),
      z.strictObject({ prefix: z.tuple([path, z.string().max(limits.attributeLength)]) }),
      z.strictObject({ exists: path }),
      z.strictObject({ range: z.tuple([path, bound]) }),
      z.strictObject({ and: z.array(filterNode).min(1).max(32) }),
      z.strictObject({ or: z.array(filterNode).min(1).max(32) }),
      z.strictObject({ not: filterNode }),
    ],
    'a filter is an object with exactly one of eq, in, prefix, exists, range, and, or, not, of the shape that it takes',
  ),
)

/** Compile-checked at subscribe: a filter that costs too much is refused there, not met at publish. */
export const filterSchema = filterNode.refine(
  (f) => costOf(f) <= limits.filterCost,
  `a filter may have at most ${limits.filterCost} parts`,
)

export function costOf(filter: Filter): number {
  if ('and' in filter) return 1 + filter.and.reduce((sum, f) => sum + costOf(f), 0)
  if ('or' in filter) return 1 + filter.or.reduce((sum, f) => sum + costOf(f), 0)
  if ('not' in filter) return 1 + costOf(filter.not)
  return 'in' in filter ? filter.in[1].length : 1
}

/** Does the message pass? A path that leads nowhere is simply absent: nothing here throws. */
export function passes(filter: Filter, message: Readonly<Record<string, unknown>>): boolean {
  if ('and' in filter) return filter.and.every((f) => passes(f, message))
  if ('or' in filter) return filter.or.some((f) => passes(f, message))
  if ('not' in filter) return !passes(filter.not, message)
  if ('exists' in filter) return at(message, filter.exists) !== undefined
  if ('eq' in filter) return at(message, filter.eq[0]) === filter.eq[1]
  if ('in' in filter) return (filter.in[1] as readonly unknown[]).includes(at(message, filter.in[0]))
  if ('prefix' in filter) {
    const value = at(message, filter.prefix[0])
    return typeof value === 'string' && value.startsWith(filter.prefix[1])
  }
  const value = at(message, filter.range[0])
  const { gt, gte, lt, lte } = filter.range[1]
  if (typeof value !== 'number') return false
  return (
    (gt === undefined || value > gt) &&
    (gte === undefined || value >= gte) &&
    (lt === undefined || value < lt) &&
    (lte === undefined || value <= lte)
  )
}

function at(value: unknown, dotted: string): unknown {
  let found: unknown = value
  for (const part of dotted.split('.')) {
    if (typeof found !== 'object' || found === null || !Object.hasOwn(found, part)) return undefined
    found = (found as Record<string, unknown>)[part]
  }
  return found
}
