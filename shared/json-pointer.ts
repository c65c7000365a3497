/**
 * JSON Pointer (RFC 6901): naming one place in a JSON value, and the value made anew with that place changed. Nothing is ever
 * changed in place, and a member called `__proto__` is a member like any other. Never here: what a patch is (shared/json-patch.ts).
 */
import { err, ok, type Result } from './result.ts'

export type JsonObject = Readonly<Record<string, unknown>>

export function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** The tokens of a pointer, or undefined when it is none. The empty pointer names the whole value. */
export function parsePointer(pointer: string): readonly string[] | undefined {
  if (pointer === '') return []
  if (!pointer.startsWith('/') || /~(?![01])/.test(pointer)) return undefined
  return pointer
    .slice(1)
    .split('/')
    .map((token) => token.replaceAll('~1', '/').replaceAll('~0', '~'))
}

export function pointerOf(tokens: readonly string[]): string {
  return tokens.map((token) => `/${token.replaceAll('~', '~0').replaceAll('/', '~1')}`).join('')
}

/** What lies there; undefined when nothing does, because JSON has no undefined of its own. */
export function valueAt(value: unknown, tokens: readonly string[]): unknown {
  let here = value
  for (const token of tokens) {
    if (Array.isArray(here)) here = here[indexOf(token) ?? -1]
    else if (isJsonObject(here)) here = Object.hasOwn(here, token) ? here[token] : undefined
    else return undefined
  }
  return here
}

/** RFC 6902 `add`: into an object by name, into an array before that element, or at its end with `-`. */
export function withAdded(value: unknown, tokens: readonly string[], added: unknown): Result<unknown, string> {
  return changed(value, tokens, added, (holder, token) => {
    if (!Array.isArray(holder)) return ok(withMember(holder, token, added))
    const index = token === '-' ? holder.length : indexOf(token)
    if (index === undefined || index > holder.length)
      return err(`there is no place ${token} in an array of ${holder.length}`)
    return ok([...holder.slice(0, index), added, ...holder.slice(index)])
  })
}

/** In place of what is there, which must be something. */
export function withReplaced(value: unknown, tokens: readonly string[], fresh: unknown): Result<unknown, string> {
  return changed(value, tokens, fresh, (holder, token) => {
    if (valueAt(holder, [token]) === undefined) return err(missing)
    if (!Array.isArray(holder)) return ok(withMember(holder, token, fresh))
    const index = indexOf(token)
    return ok(holder.map((item, i) => (i === index ? fresh : item)))
  })
}

/** Without what is there, which must be something. The whole value cannot be removed. */
export function withRemoved(value: unknown, tokens: readonly string[]): Result<unknown, string> {
  if (tokens.length === 0) return err('the whole cannot be removed')
  return changed(value, tokens, undefined, (holder, token) => {
    if (valueAt(holder, [token]) === undefined) return err(missing)
    if (Array.isArray(holder)) return ok(holder.filter((_, i) => i !== indexOf(token)))
    return ok(withoutMember(holder, token))
  })
}

/** By definition and not by assignment, which would take `__proto__` for something else. */
export function withMember(object: JsonObject, name: string, value: unknown): JsonObject {
  return Object.fromEntries([...Object.entries(object).filter(([known]) => known !== name), [name, value]])
}

export function withoutMember(object: JsonObject, name: string): JsonObject {
  return Object.fromEntries(Object.entries(object).filter(([known]) => known !== name))
}

const missing = 'nothing is there'

type Holder = JsonObject | unknown[]

function changed(
  value: unknown,
  tokens: readonly string[],
  whole: unknown,
  change: (holder: Holder, token: string) => Result<unknown, string>,
): Result<unknown, string> {
  const [token, ...rest] = tokens
  if (token === undefined) return ok(whole)
  if (!Array.isArray(value) && !isJsonObject(value)) return err('what should hold it is neither an object nor an array')
  if (rest.length === 0) return change(value, token)
  const below = valueAt(value, [token])
  if (below === undefined) return err('what should hold it is not there')
  const inner = changed(below, rest, whole, change)
  if (!inner.ok) return inner
  if (!Array.isArray(value)) return ok(withMember(value, token, inner.value))
  return ok(value.map((item, i) => (i === indexOf(token) ? inner.value : item)))
}

// RFC 6901, 4: digits without a leading zero.
function indexOf(token: string): number | undefined {
  return /^(?:0|[1-9][0-9]{0,8})$/.test(token) ? Number(token) : undefined
}
