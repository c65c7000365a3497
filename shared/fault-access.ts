/**
 * The faults of who calls, what they may, and how much an agent may have of keys and subscriptions. Never here: the other faults (shared/fault.ts).
 */
import { unreachable } from './result.ts'

export type AccessFault =
  | { readonly code: 'unauthenticated'; readonly reason: string }
  | { readonly code: 'invalid_signature'; readonly reason: string }
  | { readonly code: 'stale_timestamp'; readonly toleranceSeconds: number; readonly skewSeconds: number }
  | { readonly code: 'forbidden'; readonly action: string; readonly subject: string }
  | { readonly code: 'foreign_source'; readonly claimed: string; readonly allowed: readonly string[] }
  | {
      readonly code: 'rate_limited'
      readonly limit: number
      readonly perSeconds: number
      readonly retryAfterSeconds: number
    }
  | { readonly code: 'too_many_keys'; readonly agent: string; readonly max: number }
  /** `id`: of the key; of a secret, its agent. */
  | { readonly code: 'already_made'; readonly what: 'key' | 'secret'; readonly id: string }
  | { readonly code: 'too_many_subscriptions'; readonly agent: string; readonly max: number }

/** The status, and a sentence that tells the caller what to do next. */
export function wireOfAccess(f: AccessFault) {
  switch (f.code) {
    case 'unauthenticated':
      return {
        status: 401,
        title: 'Unauthenticated',
        detail: `${f.reason} Send \`Authorization: Bearer <key>\`; an agent's key was shown when the agent was created.`,
        headers: { 'WWW-Authenticate': 'Bearer realm="switchboard"' },
      }
    case 'invalid_signature':
      return {
        status: 401,
        title: 'Invalid signature',
        detail: `${f.reason} Sign \`id.timestamp.body\` over the raw bytes with the agent's secret (Standard Webhooks).`,
        headers: { 'WWW-Authenticate': 'Bearer realm="switchboard"' },
      }
    case 'stale_timestamp':
      return {
        status: 401,
        title: 'Timestamp outside the window',
        detail: `webhook-timestamp is ${f.skewSeconds} s from now; ${f.toleranceSeconds} s are allowed. Sign afresh for each attempt, and check the clock.`,
        headers: { 'WWW-Authenticate': 'Bearer realm="switchboard"' },
      }
    case 'forbidden':
      return {
        status: 403,
        title: 'Not allowed',
        detail: `This key may not ${f.action} \`${f.subject}\`. Ask an admin to widen its permissions.`,
      }
    case 'foreign_source':
      return {
        status: 403,
        title: 'Foreign source',
        detail: `This key may not publish as \`${f.claimed}\`. Leave \`source\` out (it is filled in), or use one of: ${f.allowed.join(', ')}.`,
      }
    case 'too_many_keys':
      return {
        status: 409,
        title: 'Too many keys',
        detail: `\`${f.agent}\` has ${f.max} keys already. Revoke one first.`,
      }
    case 'already_made':
      return {
        status: 409,
        title: 'Made already',
        detail:
          f.what === 'key'
            ? `This Idempotency-Key made the key \`${f.id}\`. It was shown in the first answer and is kept nowhere, so it cannot be shown again. If that answer was lost, revoke it with DELETE /v1/keys/${f.id} and ask under another Idempotency-Key.`
            : `This Idempotency-Key made a secret for \`${f.id}\` that a newer one has replaced since. Nothing was changed: ask under another Idempotency-Key for a new one.`,
      }
    case 'too_many_subscriptions':
      return {
        status: 409,
        title: 'Too many subscriptions',
        detail: `\`${f.agent}\` has ${f.max} subscriptions already. Delete one first, or use a pattern that covers several.`,
      }
    case 'rate_limited':
      return {
        status: 429,
        title: 'Too many messages',
        detail: `This key may publish ${f.limit} messages in ${f.perSeconds} s. Nothing was stored: send again later, or ask an admin for a key with a higher \`rate\`.`,
        retryable: true,
        headers: { 'Retry-After': String(Math.max(1, Math.ceil(f.retryAfterSeconds))) },
      }
    default:
      return unreachable(f)
  }
}
