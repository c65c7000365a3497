/**
 * Collapse: of messages with one `collapsekey`, from one source to one agent, the latest is the one that counts. What still waits
 * ends as cancelled, with a link to the one that took its place; what is in flight is left alone. With `debounceseconds` the latest
 * waits until the series has been quiet for so long, or has lasted for too long. Never here: any other way to be cancelled.
 */
import { type Delivery, end, hasEnded, isLeaving, step } from './delivery.ts'
import { type Draft, leaseOf, liveOf, put } from './mailbox.ts'
import type { Message } from './message.ts'

/** Those that this message takes the place of. */
export function collapsedBy(draft: Draft, { source, collapsekey }: Message): Delivery[] {
  if (collapsekey === undefined) return []
  return [...liveOf(draft)].filter(
    (d) =>
      d.head.collapsekey === collapsekey &&
      d.head.source === source &&
      !hasEnded(d) &&
      !isLeaving(d) &&
      leaseOf(draft, d.id) === undefined,
  )
}

/** Ends it in favour of a newer one. */
export function collapse(draft: Draft, older: Delivery, newer: string, now: number): void {
  draft.releases.set(older.id, null)
  const told = step(older, { step: 'collapsed', at: now, detail: newer })
  put(draft, end(told, 'cancelled', now, { collapsedInto: newer }))
}

/** When the first of the series came, and when the latest may go; undefined without `debounceseconds`. */
export function debounced(
  { debounceseconds, debouncemaxseconds }: Message,
  series: readonly Delivery[],
  now: number,
): { readonly since: number; readonly until: number } | undefined {
  if (debounceseconds === undefined) return undefined
  const since = Math.min(now, ...series.map((d) => d.debouncedSince ?? d.acceptedAt))
  const maxSeconds = debouncemaxseconds ?? debounceseconds * debounceTimesMax
  return { since, until: Math.max(now, Math.min(now + debounceseconds * 1_000, since + maxSeconds * 1_000)) }
}

/** Without `debouncemaxseconds` a series lasts at most this many times its quiet. */
const debounceTimesMax = 10
