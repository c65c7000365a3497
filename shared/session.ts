/**
 * A session: what the pages for people accept in place of the admin key. A signed text with an end, kept by the browser and
 * nowhere else: another admin key ends all sessions. Never here: cookies and forms (workers/routes/session.ts), the key itself.
 *
 *   s1.<end, in milliseconds>.<nonce>.<HMAC-SHA256 of all before it>
 */
import { hmac } from '@noble/hashes/hmac.js'
import { sha256 } from '@noble/hashes/sha2.js'
import { bytesToHex, utf8ToBytes } from '@noble/hashes/utils.js'
import { sameHash } from './keys.ts'

/** A session of this admin key until then. The nonce is the caller's dice: two sessions are never one text. */
export function openSession(adminKey: string, endsAt: number, nonce: string): string {
  const claim = `s1.${endsAt}.${nonce}`
  return `${claim}.${signatureOf(adminKey, claim)}`
}

/** Is this a session of this admin key, and not over? No throw, whatever a stranger sends. */
export function isSession(session: string, adminKey: string, now: number): boolean {
  const [, claim, endsAt, signature] = /^(s1\.(\d{1,15})\.[\w-]{1,64})\.([0-9a-f]{64})$/.exec(session) ?? []
  if (claim === undefined || endsAt === undefined || signature === undefined) return false
  return sameHash(signature, signatureOf(adminKey, claim)) && Number(endsAt) > now
}

// Of a key of its own, so that nothing signed here is of use where the admin key signs something else.
function signatureOf(adminKey: string, claim: string): string {
  const own = hmac(sha256, utf8ToBytes(adminKey), utf8ToBytes('switchboard session'))
  return bytesToHex(hmac(sha256, own, utf8ToBytes(claim)))
}

/** Where one may be sent after logging in: a page of ours. Anything else is the start, so that no link leads elsewhere. */
export function localPage(next: string | undefined): string {
  return next !== undefined && /^\/(?:[mw]|[mw]\/[\w-]{1,200}|m\/[\w-]{1,200}\/graph)$/.test(next) ? next : startPage
}

export const startPage = '/m'
