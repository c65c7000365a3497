/**
 * How much one key may publish: so many messages at once, and as many again over a time. Counted by each isolate for itself,
 * so that no call waits for a count: several isolates together let through as many times more.
 * Never here: an agent's own rate (shared/policy.ts), who counts (workers/meter.ts).
 */
import * as z from 'zod'
import { limits } from './limits.ts'

export const publishRate = z.strictObject({
  limit: z.int().min(1).max(1_000_000),
  perSeconds: z.number().min(0.05).max(86_400),
})
export type PublishRate = z.infer<typeof publishRate>

/** What one caller may publish, and where it is remembered what it did. */
export interface Meter {
  readonly key: string
  readonly rate: PublishRate
  /** By key: until when it has paid. */
  readonly spent: {
    get(key: string, now: number): number | undefined
    set(key: string, paidUntil: number, until: number): void
  }
}

export const defaultPublishRate: PublishRate = { limit: limits.keyMessages, perSeconds: limits.keyMessagesPerSeconds }

export type Spent =
  | { readonly status: 'spent'; readonly paidUntil: number }
  | { readonly status: 'over'; readonly retryAfterSeconds: number }

/**
 * So many messages now? `paidUntil` is all that is remembered of a key: when what it sent will be paid off, at an even pace
 * (GCRA, as the cells of ATM were paced). What alone is more than the limit waits until nothing is owed, and owes the longer.
 */
export function spend(paidUntil: number, rate: PublishRate, messages: number, now: number): Spent {
  const windowMs = rate.perSeconds * 1_000
  const costMs = (messages * windowMs) / rate.limit
  const owedMs = Math.max(0, paidUntil - now)
  // A millionth of the time: so that sums of fractions do not keep the last message of a limit waiting.
  const overMs = owedMs + Math.min(costMs, windowMs) - windowMs * (1 + 1e-6)
  return overMs > 0
    ? { status: 'over', retryAfterSeconds: overMs / 1_000 }
    : { status: 'spent', paidUntil: now + owedMs + costMs }
}
