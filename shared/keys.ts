/**
 * Keys and signing secrets: what they look like, what is kept of keys, how they are compared. A key is shown once; only its hash is kept, and its
 * id is the beginning of the hash. Never here: chance (it is an argument), who a key speaks for (shared/directory.ts).
 */
import { sha256 } from '@noble/hashes/sha2.js'
import { bytesToHex, hexToBytes } from '@noble/hashes/utils.js'
import { toBase64 } from './base64.ts'
import { newSecret } from './signature.ts'

/** Of a key, and of a secret. 256 bits: nobody guesses one, so a plain hash of it needs no salt and no stretching. */
export const keyBytes = 32

/** `sk_<subject>_<43 characters>`: a reader of a leaked key sees whose it is, and scanners see that it is one. */
export function keyText(subject: string, randomHex: string): string {
  const base64url = toBase64(hexToBytes(randomHex)).replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '')
  return `sk_${subject}_${base64url}`
}

/** A signing secret from random bytes in hex, as the platform's dice give them. */
export function secretText(randomHex: string): string {
  return newSecret(hexToBytes(randomHex))
}

const utf8 = new TextEncoder()

export function keyHash(key: string): string {
  return bytesToHex(sha256(utf8.encode(key)))
}

/** 64 of the hash's 256 bits: enough to name a key, nothing to guess it by. */
export function keyId(hash: string): string {
  return `key_${hash.slice(0, 16)}`
}

/** Of a key that its call named by an Idempotency-Key: a repeat would make one of the same id, and so is found out. */
export function namedKeyId(owner: string, idempotencyKey: string): string {
  return keyId(keyHash(`${owner}\n${idempotencyKey}`))
}

/** Compares two hashes to their end, so that the time taken does not tell where they differ. */
export function sameHash(a: string, b: string): boolean {
  let difference = a.length ^ b.length
  for (let i = 0; i < a.length; i++) difference |= a.charCodeAt(i) ^ b.charCodeAt(i)
  return difference === 0
}
