/**
 * The faults of who calls and what they may. Never here: the other faults (shared/fault.ts).
 */
import { unreachable } from './result.ts'

export type AccessFault =
  | { readonly code: 'unauthenticated'; readonly reason: string }
  | { readonly code: 'invalid_signature'; readonly reason: string }
  | { readonly code: 'stale_timestamp'; readonly toleranceSeconds: number; readonly skewSeconds: number }
  | { readonly code: 'forbidden'; readonly action: string; readonly subject: string }
  | { readonly code: 'foreign_source'; readonly claimed: string; readonly allowed: readonly string[] }

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
    default:
      return unreachable(f)
  }
}
