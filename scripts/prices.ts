/**
 * List prices of the platform, what the free plan gives, and what a bill comes to. Never here: what is billed (test/workers/bills),
 * other services' prices (scripts/cost-page.ts).
 */

/**
 * US dollars for a million of each, from Cloudflare's pricing pages for Workers, Durable Objects and Queues as of November 2026.
 * What a paid plan includes is not taken off.
 */
export const price = {
  workerRequest: 0.3,
  cpuMs: 0.02,
  objectRequest: 0.15,
  row: 1,
  queueOperation: 0.4,
  // A millisecond of an object's 128 MB at 12.50 dollars a million GB-s.
  objectMs: 0.0016,
}

/** Allowances for what a test cannot measure: processor time of a publish and of a batch, and how long a call keeps an object awake. */
export const allowed = { cpuMs: 2, objectMs: 5 }

/** What the free plan gives in a day. */
export const freePerDay = { workerRequests: 100_000, objectRequests: 100_000, rows: 100_000, queueOperations: 10_000 }

/** What so many messages are billed. An alarm that runs is a request to its object. */
export interface Billed {
  readonly messages: number
  readonly workerRequests: number
  readonly objectRequests: number
  readonly rows: number
  readonly queueOperations: number
}

/** Dollars for a million times what is on the bill. */
export function dollarsFor({
  workerRequests,
  objectRequests,
  rows,
  queueOperations,
}: Omit<Billed, 'messages'>): number {
  return (
    workerRequests * (price.workerRequest + allowed.cpuMs * price.cpuMs) +
    objectRequests * (price.objectRequest + allowed.objectMs * price.objectMs) +
    rows * price.row +
    queueOperations * price.queueOperation
  )
}

/** How many a day the free plan lets through, and what runs out first. */
export function freeCeiling(billed: Billed): { readonly messages: number; readonly by: keyof typeof freePerDay } {
  const kinds = Object.keys(freePerDay) as (keyof typeof freePerDay)[]
  const each = kinds.map((by) => ({
    by,
    messages: billed[by] === 0 ? Number.POSITIVE_INFINITY : Math.floor((freePerDay[by] / billed[by]) * billed.messages),
  }))
  return each.reduce((least, one) => (one.messages < least.messages ? one : least))
}
