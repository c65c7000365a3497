/** JSON as it comes from strangers: parsed without a throw, bounded in depth, and one canonical form to compare by. Never here: schemas. */
import type { Fault } from './fault.ts'
import { limits } from './limits.ts'
import { err, ok, type Result } from './result.ts'

const withBom = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
const withoutBom = new TextDecoder('utf-8', { fatal: true, ignoreBOM: false })

/** Bytes as text, or undefined when they are not UTF-8: a replacement character would change what was sent without a word. */
export function decodeUtf8(bytes: Uint8Array, options: { readonly keepBom: boolean }): string | undefined {
  try {
    return (options.keepBom ? withBom : withoutBom).decode(bytes)
  } catch {
    return undefined
  }
}

/** Bytes as JSON of any depth, or why they are none. */
export function parseJson(bytes: Uint8Array): Result<unknown, Fault> {
  if (bytes.length === 0) return err({ code: 'invalid_json', reason: 'the body is empty' })
  const text = decodeUtf8(bytes, { keepBom: false })
  if (text === undefined) return err({ code: 'invalid_json', reason: 'the body is not UTF-8' })
  try {
    const value: unknown = JSON.parse(text)
    if (mayOverflow.test(text) && holdsInfinity(value))
      return err({ code: 'invalid_json', reason: 'a number in it is larger than any double' })
    return ok(value)
  } catch (error) {
    return err({ code: 'invalid_json', reason: reasonOf(error) })
  }
}

// Such a number is read as infinite and written as null, without a word to anybody. Few texts are looked at twice for that.
const mayOverflow = /\de\+?\d{3}|\d{200}/i

function holdsInfinity(value: unknown): boolean {
  const left: unknown[] = [value]
  for (let item = left.pop(); item !== undefined; item = left.pop()) {
    if (item === Number.POSITIVE_INFINITY || item === Number.NEGATIVE_INFINITY) return true
    if (typeof item === 'object' && item !== null) for (const child of Object.values(item)) left.push(child)
  }
  return false
}

// The engine's words, with the position when it tells one; without the piece of the body that it sometimes quotes, because
// faults may be logged and bodies may not.
function reasonOf(error: unknown): string {
  const message = error instanceof Error ? error.message : ''
  return message.replace(/, (?:\.\.\.)?".*$/s, '').replace(/ in JSON(?= at)/, '') || 'it does not parse'
}

/** `too_deep`, when it is. */
export function boundDepth<T>(value: T): Result<T, Fault> {
  return deeperThan(value, limits.jsonDepth) ? err({ code: 'too_deep', limit: limits.jsonDepth }) : ok(value)
}

/** True when arrays and objects are nested deeper than `limit`. Walks without recursion, so depth itself cannot hurt it. */
export function deeperThan(value: unknown, limit: number): boolean {
  let level: unknown[] = [value]
  for (let depth = 0; level.length > 0; depth++) {
    const next: unknown[] = []
    for (const item of level) {
      if (typeof item !== 'object' || item === null) continue
      if (depth >= limit) return true
      for (const child of Object.values(item)) next.push(child)
    }
    level = next
  }
  return false
}

/** JSON with its keys in order, so that two equal values give equal text. The value must be within the depth limit. */
export function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map((v) => canonical(v ?? null)).join(',')}]`
  if (typeof value === 'object' && value !== null) {
    const entries = Object.entries(value).filter(([, v]) => v !== undefined)
    entries.sort(([a], [b]) => (a < b ? -1 : 1))
    return `{${entries.map(([k, v]) => `${JSON.stringify(k)}:${canonical(v)}`).join(',')}}`
  }
  return JSON.stringify(value) ?? 'null'
}

/** Bytes of a text in UTF-8, without building them. */
export function utf8Length(text: string): number {
  let bytes = 0
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i)
    if (unit < 0x80) bytes += 1
    else if (unit < 0x800) bytes += 2
    else if (isHighSurrogate(unit) && isLowSurrogate(text.charCodeAt(i + 1))) {
      bytes += 4
      i++
    } else bytes += 3
  }
  return bytes
}

const isHighSurrogate = (unit: number) => unit >= 0xd800 && unit < 0xdc00
// Past the end charCodeAt gives NaN, which is neither.
const isLowSurrogate = (unit: number) => unit >= 0xdc00 && unit < 0xe000
