/**
 * Meter: may this key publish so much more now? Counted in this isolate's memory, before anything is asked of an object. The
 * admin's key is not counted. Never here: the sum (shared/publish-rate.ts), a full mailbox (shared/admission.ts).
 */
import type { Context } from 'hono'
import { spend } from '../shared/publish-rate.ts'
import type { App } from './context.ts'
import { refuse } from './problem.ts'

/** Notes so many messages, or refuses them all as `rate_limited`. */
export function meter(c: Context<App>, messages: number): void {
  const found = c.get('meter')
  if (found === undefined) return
  const { key, rate, spent } = found
  const now = c.get('platform').now()
  const after = spend(spent.get(key, now) ?? now, rate, messages, now)
  if (after.status === 'over') refuse({ code: 'rate_limited', ...rate, retryAfterSeconds: after.retryAfterSeconds })
  else spent.set(key, after.paidUntil, after.paidUntil)
}
