/** When to try again. A pure curve; the dice are an argument. Never here: whether to try again (shared/delivery.ts). */
import type { BackoffCurve } from './policy.ts'

/**
 * The pause after attempt number `attempt` (1 is the first). `dice` is uniform in [0, 1).
 * Full jitter: uniform between 0 and the curve (AWS Architecture Blog, "Exponential Backoff and Jitter", 2015), which spreads
 * a crowd of retries best. A longer `Retry-After` wins: the receiver knows more than our curve.
 */
export function backoffMs(curve: BackoffCurve, attempt: number, dice: number, retryAfterMs = 0): number {
  // The exponent is bounded so that a large factor cannot reach Infinity * 0 = NaN.
  const exponent = Math.min(Math.max(0, attempt - 1), 64)
  const ceilingMs =
    Math.min(curve.capSeconds, curve.initialSeconds * Math.min(curve.factor ** exponent, Number.MAX_SAFE_INTEGER)) *
    1_000
  const pauseMs = curve.jitter === 'full' ? ceilingMs * dice : ceilingMs
  return Math.max(Math.round(pauseMs), retryAfterMs)
}
