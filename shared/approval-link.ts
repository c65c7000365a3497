/**
 * Links that decide: what a person who has no key gets. A link is signed, names whom it was sent to, may be bound to one
 * option, and ends with its question. Reading it decides nothing: mail scanners and previews open every link there is.
 * Never here: the page that it opens (workers/approval-page.ts), single use (shared/approval.ts).
 *
 *   <origin>/a/<approval>?n=<who>&option=<option>&expires=<seconds>&signature=<HMAC-SHA256 of all before it>
 */
import { hmac } from '@noble/hashes/hmac.js'
import { sha256 } from '@noble/hashes/sha2.js'
import { bytesToHex, hexToBytes, utf8ToBytes } from '@noble/hashes/utils.js'
import type { Approval } from './approval.ts'
import { sameHash } from './keys.ts'

/** What a link says: to which of the news it belongs, and the one option that it may decide. */
export interface Claim {
  readonly n: number
  readonly option?: string
  readonly expiresAtSeconds: number
}

type Signed = Pick<Approval, 'id' | 'origin' | 'secret' | 'endsAt'>

/** A link for whoever gets the nth news; with an option it decides that one only. */
export function approvalLink(approval: Signed, n: number, option?: string): string {
  // Rounded up: the question itself says when it is over.
  const claim = { n, ...(option === undefined ? {} : { option }), expiresAtSeconds: Math.ceil(approval.endsAt / 1_000) }
  const query = new URLSearchParams({
    n: String(n),
    ...(option === undefined ? {} : { option }),
    expires: String(claim.expiresAtSeconds),
    signature: signatureOf(approval, claim),
  })
  return `${approval.origin}/a/${approval.id}?${query}`
}

export type LinkVerdict =
  | { readonly status: 'valid'; readonly claim: Claim; readonly who: string }
  | { readonly status: 'invalid' }
  | { readonly status: 'expired' }

/** What a link of this question says, if it is one. No throw, whatever a stranger sends. */
export function readLink(
  approval: Signed & Pick<Approval, 'news'>,
  query: Readonly<Record<string, string | undefined>>,
  now: number,
): LinkVerdict {
  const { n = '', option, expires = '', signature = '' } = query
  if (!/^[1-9]\d{0,3}$/.test(n) || !/^\d{1,12}$/.test(expires)) return { status: 'invalid' }
  const claim = { n: Number(n), ...(option === undefined ? {} : { option }), expiresAtSeconds: Number(expires) }
  if (!sameHash(signature, signatureOf(approval, claim))) return { status: 'invalid' }
  const who = approval.news.find((one) => one.n === claim.n && one.kind === 'ask')?.target.who
  if (who === undefined) return { status: 'invalid' }
  return now >= claim.expiresAtSeconds * 1_000 ? { status: 'expired' } : { status: 'valid', claim, who }
}

// Length before text, so that no two claims are one text. The secret is this question's alone.
function signatureOf({ id, secret }: Signed, { n, option, expiresAtSeconds }: Claim): string {
  const choice = option === undefined ? 'any' : `${option.length}:${option}`
  return bytesToHex(hmac(sha256, hexToBytes(secret), utf8ToBytes(`approval ${id} ${n} ${expiresAtSeconds} ${choice}`)))
}
