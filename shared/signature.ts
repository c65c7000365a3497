/**
 * Signed webhooks, as Standard Webhooks 1.0.0 has them: HMAC-SHA256 over `id.timestamp.body` under a `whsec_` secret, one
 * `v1,<base64>` per secret. Pure and synchronous; the time is an argument. Never here: which secrets are live
 * (shared/agent.ts), and no throw, whatever a stranger sends.
 */
import { hmac } from '@noble/hashes/hmac.js'
import { sha256 } from '@noble/hashes/sha2.js'
import { fromBase64, toBase64 } from './base64.ts'
import type { Fault } from './fault.ts'
import { limits } from './limits.ts'
import { err, ok, type Result } from './result.ts'

const secretPrefix = 'whsec_'
const version = 'v1'
const digestBytes = 32

/** A secret as receivers are given it. The specification asks for 24 to 64 random bytes; chance is the caller's. */
export function newSecret(bytes: Uint8Array): string {
  return `${secretPrefix}${toBase64(bytes)}`
}

/**
 * The `webhook-signature` of this attempt: a signature per secret in the order given (newest first), so that a receiver
 * which knows only one of them verifies during a rotation. `body` is signed as the UTF-8 it will be sent as.
 */
export function sign(secrets: readonly string[], id: string, timestampSeconds: number, body: string): string {
  return digestsOf(secrets, id, String(timestampSeconds), body)
    .map((digest) => `${version},${toBase64(digest)}`)
    .join(' ')
}

/** The three headers as they arrived. */
export interface SignatureHeaders {
  readonly id: string
  readonly timestamp: string
  readonly signature: string
}

/**
 * Is this call signed under one of these secrets, and fresh? `body` must be the bytes as they came, decoded as UTF-8 with
 * nothing dropped (no BOM stripped, no JSON parsed and written again). Freshness alone does not stop a replay within the
 * window: remember the `id`.
 */
export function verify(
  secrets: readonly string[],
  headers: SignatureHeaders,
  body: string,
  nowMs: number,
): Result<{ readonly id: string; readonly at: number }, Fault> {
  const { id, timestamp } = headers
  // With a dot in the id, one signature would fit two ways of cutting the same text into id, timestamp and body.
  if (id === '' || id.length > limits.idLength || id.includes('.'))
    return invalid('webhook-id is missing, too long or has a dot.')
  if (!/^\d{1,12}$/.test(timestamp)) return invalid('webhook-timestamp is not a number of seconds since 1970.')

  const skewSeconds = Math.floor(nowMs / 1_000) - Number(timestamp)
  const toleranceSeconds = limits.signatureToleranceSeconds
  if (Math.abs(skewSeconds) > toleranceSeconds) return err({ code: 'stale_timestamp', toleranceSeconds, skewSeconds })

  const offered = signaturesIn(headers.signature)
  if (offered.length === 0) return invalid('webhook-signature holds no v1 signature.')
  // Every pair is compared to its end: neither which secret fitted nor where a guess went wrong shows in the time taken.
  let fits = false
  for (const expected of digestsOf(secrets, id, timestamp, body))
    for (const candidate of offered) fits = sameDigest(expected, candidate) || fits
  return fits
    ? ok({ id, at: Number(timestamp) * 1_000 })
    : invalid('No signature in webhook-signature fits this id, timestamp and body.')
}

function invalid(reason: string): Result<never, Fault> {
  return err({ code: 'invalid_signature', reason })
}

const utf8 = new TextEncoder()

function digestsOf(secrets: readonly string[], id: string, timestamp: string, body: string): Uint8Array[] {
  const signed = utf8.encode(`${id}.${timestamp}.${body}`)
  return secrets
    .map(keyOf)
    .filter((key) => key !== undefined)
    .map((key) => hmac(sha256, key, signed))
}

// A secret signs many messages. The oldest gives way.
const keysMax = 500
const keys = new Map<string, Uint8Array | undefined>()

function keyOf(secret: string): Uint8Array | undefined {
  if (keys.has(secret)) return keys.get(secret)
  const [oldest] = keys.keys()
  if (oldest !== undefined && keys.size >= keysMax) keys.delete(oldest)
  const key = keyIn(secret)
  keys.set(secret, key)
  return key
}

// An empty key would sign what anybody can sign, so such a secret signs and verifies nothing.
function keyIn(secret: string): Uint8Array | undefined {
  const key = secret.startsWith(secretPrefix) ? fromBase64(secret.slice(secretPrefix.length)) : undefined
  return key === undefined || key.length === 0 ? undefined : key
}

// Other versions (v1a is ed25519) may stand beside ours; a digest of another length is not one.
function signaturesIn(header: string): Uint8Array[] {
  return header
    .split(' ')
    .filter((entry) => entry.startsWith(`${version},`))
    .map((entry) => fromBase64(entry.slice(version.length + 1)))
    .filter((digest) => digest !== undefined)
    .filter((digest) => digest.length === digestBytes)
}

function sameDigest(a: Uint8Array, b: Uint8Array): boolean {
  let difference = 0
  for (let i = 0; i < digestBytes; i++) difference |= (a[i] ?? 0) ^ (b[i] ?? 0)
  return difference === 0
}
