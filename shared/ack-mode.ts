/**
 * What the sender of a publish to many may wait for: that all of its legs are completed, any one, or so many. Never here: how far
 * the publication itself got (shared/publication.ts), reading the receipts (workers/report.ts).
 */
import type { Leg, Publication } from './publication.ts'
import type { ReceiptStatus } from './receipt.ts'

/** Until how many of its legs are completed. */
export type AckMode =
  | { readonly kind: 'all' }
  | { readonly kind: 'any' }
  | { readonly kind: 'quorum'; readonly count: number }

/** `all`, `any`, or `quorum:<n>`. */
export function parseAckMode(text: string): AckMode | undefined {
  if (text === 'all' || text === 'any') return { kind: text }
  const count = Number(/^quorum:([1-9][0-9]{0,8})$/.exec(text)?.[1])
  return Number.isNaN(count) ? undefined : { kind: 'quorum', count }
}

/** How a leg stands. `forgotten`: its mailbox no longer has a receipt. Without one it is pending, refused, or not known now. */
export interface LegFate {
  readonly leg: Leg
  readonly receipt?: ReceiptStatus | 'forgotten'
}

export type Satisfied = 'yes' | 'no' | 'pending'

/**
 * Has it been acked as asked? `no` once that can no longer come true; a redrive may make a `yes` of it still. Reaching nobody
 * satisfies nothing. Not for a plan, whose legs are counted and not named.
 */
export function satisfied(mode: AckMode, publication: Publication, fates: readonly LegFate[]): Satisfied | undefined {
  if (publication.plan !== undefined) return undefined
  const done = fates.filter((f) => f.receipt === 'completed').length
  const failed = fates.filter(isFailed).length
  const needed = mode.kind === 'all' ? Math.max(1, fates.length) : mode.kind === 'any' ? 1 : mode.count
  if (done >= needed) return 'yes'
  return fates.length - failed < needed ? 'no' : 'pending'
}

function isFailed({ leg, receipt }: LegFate): boolean {
  return leg.state.status === 'refused' || (receipt !== undefined && lost.has(receipt))
}

const lost: ReadonlySet<string> = new Set(['failed', 'dead_lettered', 'expired', 'cancelled', 'forgotten'])
