/**
 * Projection: the named parts of a JSON value, so that whoever gets it gets what it needs and no more. What would exceed the
 * cap is left out and marked, never cut silently. Never here: who names the parts.
 */
import * as z from 'zod'
import { utf8Length } from './json.ts'
import { isJsonObject, parsePointer, valueAt } from './json-pointer.ts'
import { limits } from './limits.ts'

/**
 * Parts by path: JSON Pointers (`/report/title`), or dotted (`report.title`), where `*` stands for every member or element
 * (`findings.*.quote`).
 */
export const selection = z
  .array(
    z
      .string()
      .min(1)
      .max(limits.topicLength)
      .refine((path) => !path.startsWith('/') || parsePointer(path) !== undefined, 'not a JSON Pointer')
      .refine((path) => path.startsWith('/') || !path.split('.').includes(''), 'a dotted path has no empty part'),
  )
  .min(1)
  .max(limits.selectedPaths)

/** What stands in place of a part that did not fit. */
export interface Truncated {
  readonly $truncated: { readonly bytes: number }
}

export interface Projected {
  readonly value: unknown
  /** Something did not fit, and is marked. */
  readonly truncated: boolean
}

/** Every member or element. */
const every = Symbol('every')

/** What is wanted below a place: all of it, or the parts by name. */
type Wanted = 'all' | Map<string | typeof every, Wanted>

/**
 * The selected parts, in their places; without a selection, all of it. Parts are taken in the order of the value until
 * `maxBytes` are reached; each that does not fit any more is a `$truncated` mark with its size. Elements of arrays that are
 * not selected are left out, so the others move up.
 */
export function project(
  value: unknown,
  select: readonly string[] | undefined,
  maxBytes = Number.POSITIVE_INFINITY,
): Projected {
  const cap = { leftBytes: maxBytes, truncated: false }
  const projected = pick(value, select === undefined ? 'all' : wantedBy(select), cap)
  return { value: projected ?? {}, truncated: cap.truncated }
}

function wantedBy(select: readonly string[]): Wanted {
  const root = new Map<string | typeof every, Wanted>()
  for (const path of select) {
    let here = root
    const tokens = tokensOf(path)
    for (const [i, token] of tokens.entries()) {
      const below = here.get(token)
      if (below === 'all') break
      if (i === tokens.length - 1) here.set(token, 'all')
      else {
        const deeper = below ?? new Map<string | typeof every, Wanted>()
        here.set(token, deeper)
        here = deeper
      }
    }
  }
  return root
}

function tokensOf(path: string): readonly (string | typeof every)[] {
  if (path.startsWith('/')) return parsePointer(path) ?? []
  return path.split('.').map((token) => (token === '*' ? every : token))
}

function pick(value: unknown, wanted: Wanted, cap: { leftBytes: number; truncated: boolean }): unknown {
  if (value === undefined) return undefined
  if (wanted === 'all') return withinCap(value, cap)
  if (!Array.isArray(value) && !isJsonObject(value)) return undefined
  const picked = Object.keys(value).flatMap((name) => {
    const below = wanted.get(name) ?? wanted.get(every)
    const part = below === undefined ? undefined : pick(valueAt(value, [name]), below, cap)
    return part === undefined ? [] : [[name, part] as const]
  })
  if (picked.length === 0) return undefined
  return Array.isArray(value) ? picked.map(([, part]) => part) : Object.fromEntries(picked)
}

function withinCap(value: unknown, cap: { leftBytes: number; truncated: boolean }): unknown {
  if (cap.leftBytes === Number.POSITIVE_INFINITY) return value
  const bytes = utf8Length(JSON.stringify(value))
  if (bytes <= cap.leftBytes) {
    cap.leftBytes -= bytes
    return value
  }
  cap.truncated = true
  return { $truncated: { bytes } } satisfies Truncated
}
