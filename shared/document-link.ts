/**
 * Links to documents: whoever has one reads the bytes, without a key, until it ends. So a webhook, a browser or another service can
 * fetch what a message refers to. Never here: storing or serving bytes (workers/routes/documents.ts).
 *
 *   <origin>/d/<document>?expires=<seconds>&signature=<HMAC-SHA256 of all before it>
 */
import { hmac } from '@noble/hashes/hmac.js'
import { sha256 } from '@noble/hashes/sha2.js'
import { bytesToHex, hexToBytes, utf8ToBytes } from '@noble/hashes/utils.js'
import type { KeptDocument } from './document.ts'
import { sameHash } from './keys.ts'

type Signed = Pick<KeptDocument, 'id' | 'secret' | 'expiresAt'>

/** A link that ends with its document. */
export function documentLink(origin: string, document: Signed): string {
  // Rounded up: the document itself says when it is over.
  const expires = Math.ceil(document.expiresAt / 1_000)
  const query = new URLSearchParams({ expires: String(expires), signature: signatureOf(document, expires) })
  return `${origin}/d/${document.id}?${query}`
}

/** Does this link open the document now? No throw, whatever a stranger sends. */
export function opensDocument(
  document: Signed,
  { expires = '', signature = '' }: Readonly<Record<string, string | undefined>>,
  now: number,
): boolean {
  if (!/^\d{1,12}$/.test(expires)) return false
  return sameHash(signature, signatureOf(document, Number(expires))) && now < Number(expires) * 1_000
}

// The secret is this document's alone.
function signatureOf({ id, secret }: Signed, expires: number): string {
  return bytesToHex(hmac(sha256, hexToBytes(secret), utf8ToBytes(`document ${id} ${expires}`)))
}
