/**
 * Names and identities. A delivery's id says where its truth lives: `<agent>_<mid>`. Never here: dice (they are arguments).
 */
import { sha256 } from '@noble/hashes/sha2.js'
import * as z from 'zod'
import { limits } from './limits.ts'

export const agentName = z
  .string()
  .max(limits.agentNameLength)
  .regex(/^[a-z0-9-]{1,64}$/, 'an agent name is 1 to 64 of a-z, 0-9 and -')
  // An agent's source is its name: one of this name would publish as the admin, and read what the admin published (S1, S2).
  .refine((name) => name !== 'admin', 'admin is reserved: it is the source of the admin key')
  .refine((name) => name !== 'switchboard', 'switchboard is reserved: it is the source of what the broker itself says')

const midPattern = /^[a-z2-7]{26}$/
const base32Alphabet = 'abcdefghijklmnopqrstuvwxyz234567'

/** RFC 4648 base32 in lower case, without padding. */
export function base32(bytes: Uint8Array): string {
  let text = ''
  let buffer = 0
  let bits = 0
  for (const byte of bytes) {
    buffer = (buffer << 8) | byte
    bits += 8
    while (bits >= 5) {
      bits -= 5
      text += base32Alphabet[(buffer >> bits) & 31]
    }
    buffer &= (1 << bits) - 1
  }
  return bits > 0 ? text + base32Alphabet[(buffer << (5 - bits)) & 31] : text
}

const utf8 = new TextEncoder()

const digestLength = 26
// As many as that many characters are made of: 5 bits each.
const digestBytes = Math.ceil((digestLength * 5) / 8)

/** 26 characters (130 bits) of base32(SHA-256). The parts are length-prefixed, so that no two lists of parts collide. */
export function digest(...parts: readonly string[]): string {
  const hash = sha256(utf8.encode(parts.map((p) => `${p.length}:${p}`).join('')))
  return base32(hash.subarray(0, digestBytes)).slice(0, digestLength)
}

const placeLength = 5
const placeUnitMs = 4

/**
 * The broker's name for a message: the same source and key always give the same one, which is how a re-send is recognised.
 * `generation` grows when an earlier holder of the key died and the key was released. A key that says when it was made comes first with
 * that, so that what came together lies together (docs/decisions/0053); the 105 bits behind it are digest.
 */
export function mid(source: string, key: string, generation: number): string {
  const name = unplacedMid(source, key, generation)
  const madeAt = timeOfKey(key)
  return madeAt === undefined ? name : placeOf(madeAt) + name.slice(placeLength)
}

/** The same name without its place: what it was before there were places. */
export function unplacedMid(source: string, key: string, generation: number): string {
  return digest(source, key, String(generation))
}

const uuidLength = 36
const uuidv7 = /^([0-9a-f]{8})-([0-9a-f]{4})-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/
const dated = /\.(\d{13})$/

// A UUIDv7 (RFC 9562, 5.7), which a message has as its id unless its publisher names it, or what the broker dates by itself (`datedKey`).
function timeOfKey(key: string): number | undefined {
  const [, high, low] = uuidv7.exec(key.slice(0, uuidLength)) ?? []
  if (high !== undefined && low !== undefined) return Number.parseInt(high + low, 16)
  const [, at] = dated.exec(key) ?? []
  return at === undefined ? undefined : Number(at)
}

/** 25 bits of time in 5 characters, in the order of `rowKey`. They come round again after 37 hours. */
export function placeOf(atMs: number): string {
  let left = Math.floor(atMs / placeUnitMs)
  let text = ''
  for (let i = 0; i < placeLength; i++) {
    text = keyAlphabet.charAt(left % keyAlphabet.length) + text
    left = Math.floor(left / keyAlphabet.length)
  }
  return text
}

/** Also the row's key, the dedupe key and the `webhook-id` (Standard Webhooks ids hold no dots). */
export function deliveryId(agent: string, messageMid: string): string {
  return `${agent}_${messageMid}`
}

export function parseDeliveryId(id: string): { readonly agent: string; readonly mid: string } | undefined {
  const cut = id.lastIndexOf('_')
  const agent = id.slice(0, cut)
  const tail = id.slice(cut + 1)
  return cut > 0 && agentName.safeParse(agent).success && midPattern.test(tail) ? { agent, mid: tail } : undefined
}

const keyedCharacters = 10
const keyAlphabet = '234567abcdefghijklmnopqrstuvwxyz'

/**
 * A number for a delivery's row: the first 50 bits of its mid, so two ids may have the same one. Of two ids of one agent the greater never
 * has the smaller number.
 */
export function rowKey(id: string): number {
  const from = id.lastIndexOf('_') + 1
  let key = 0
  for (let i = from; i < from + keyedCharacters; i++)
    key = key * 32 + Math.max(0, keyAlphabet.indexOf(id.charAt(i) || '2'))
  return key
}

/** The nth message that a delivery emits. Deterministic, so that a repeat is a duplicate downstream (M2). */
export function effectId(delivery: string, n: number): string {
  return `${delivery}-${n}`
}

/**
 * The key of what has an id like that, for whoever may remember it longer than the delivery's mailbox does: then the delivery's id may
 * come round again, begun at another time.
 */
export function datedKey(id: string, since: number | undefined): string {
  return since === undefined ? id : `${id}.${since}`
}

/** A dead letter's id names the delivery and which of its lives ended. */
export function deadLetterId(delivery: string, redrives: number): string {
  return redrives === 0 ? delivery : `${delivery}-r${redrives}`
}

export function effectDeadLetterId(delivery: string, n: number): string {
  return `${delivery}-e${n}`
}

/** What a dead letter's id says: which delivery, which of its lives, or which of its effects. */
export interface LetterName {
  readonly agent: string
  readonly delivery: string
  readonly redrives: number
  /** The number of the refused effect. */
  readonly effect?: number
}

export function parseDeadLetterId(id: string): LetterName | undefined {
  const [, delivery = '', kind, n] = /^(.+?_[a-z2-7]{26})(?:-([re])([1-9][0-9]{0,8}))?$/.exec(id) ?? []
  const parsed = parseDeliveryId(delivery)
  if (parsed === undefined) return undefined
  const name = { agent: parsed.agent, delivery }
  return kind === 'e'
    ? { ...name, redrives: 0, effect: Number(n) }
    : { ...name, redrives: n === undefined ? 0 : Number(n) }
}
