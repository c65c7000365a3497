/**
 * The key by which a call is known again when it is repeated. Never here: what a repeat is answered, which each call says itself.
 */
import type { Context } from 'hono'
import { limits } from '../shared/limits.ts'
import type { App } from './context.ts'
import { refuse } from './problem.ts'

/** The caller's `Idempotency-Key`; undefined: it named none. */
export function idempotencyKeyOf(c: Context<App>): string | undefined {
  const key = c.req.header('idempotency-key') ?? c.get('idempotencyKey')
  if (key === undefined || (key.length > 0 && key.length <= limits.idempotencyKeyLength)) return key
  const message = `must have 1 to ${limits.idempotencyKeyLength} characters`
  return refuse({ code: 'invalid_request', issues: [{ path: 'Idempotency-Key', message }] })
}
