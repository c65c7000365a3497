/**
 * Operations on shared state that need no version and never conflict: each says what it adds, whatever is there by then.
 * Two `increment`s, `append`s or `max`es give the same in either order. Never here: patches that replace (shared/json-patch.ts).
 */
import * as z from 'zod'
import { type PatchFailure, pointer } from './json-patch.ts'
import { isJsonObject, type JsonObject, parsePointer, valueAt, withMember, withReplaced } from './json-pointer.ts'
import { limits } from './limits.ts'
import { err, ok, type Result, unreachable } from './result.ts'

const place = pointer.refine((text) => text !== '', 'the whole state cannot be the target')
const value = z.unknown().refine((given) => given !== undefined, 'a value is needed; null is one')

const stateOperation = z.discriminatedUnion('op', [
  z.strictObject({ op: z.literal('increment'), path: place, by: z.number().optional() }),
  z.strictObject({ op: z.literal('append'), path: place, value }),
  z.strictObject({ op: z.literal('setIfAbsent'), path: place, value }),
  z.strictObject({ op: z.literal('max'), path: place, value: z.number() }),
])
export type StateOperation = z.infer<typeof stateOperation>

export const stateOperations = z.array(stateOperation).min(1).max(limits.patchOperations)

/** The operations in order; the first that fails fails the whole. Objects on the way that are not there are made. */
export function applyOperations(
  state: JsonObject,
  operations: readonly StateOperation[],
): Result<unknown, PatchFailure> {
  let current: unknown = state
  for (const [index, operation] of operations.entries()) {
    // The schema has held it to be a pointer.
    const tokens = parsePointer(operation.path) ?? []
    const fresh = resultOf(operation, valueAt(current, tokens))
    const applied = fresh.ok ? withPlaced(current, tokens, fresh.value) : fresh
    if (!applied.ok) return err({ index, op: operation.op, path: operation.path, reason: applied.error })
    current = applied.value
  }
  return ok(current)
}

function resultOf(operation: StateOperation, found: unknown): Result<unknown, string> {
  switch (operation.op) {
    case 'increment': {
      if (found !== undefined && typeof found !== 'number') return err('what is there is no number')
      const sum = (found ?? 0) + (operation.by ?? 1)
      return Number.isFinite(sum) ? ok(sum) : err('the sum is no finite number')
    }
    case 'append':
      if (found !== undefined && !Array.isArray(found)) return err('what is there is no array')
      return ok([...(found ?? []), operation.value])
    case 'setIfAbsent':
      return ok(found === undefined ? operation.value : found)
    case 'max':
      if (found !== undefined && typeof found !== 'number') return err('what is there is no number')
      return ok(found === undefined ? operation.value : Math.max(found, operation.value))
    default:
      return unreachable(operation)
  }
}

function withPlaced(holder: unknown, tokens: readonly string[], value: unknown): Result<unknown, string> {
  const [token, ...rest] = tokens
  if (token === undefined) return ok(value)
  if (Array.isArray(holder)) {
    const below = valueAt(holder, [token])
    if (below === undefined) return err('there is no such element, and an array is not filled up')
    const placed = withPlaced(below, rest, value)
    return placed.ok ? withReplaced(holder, [token], placed.value) : placed
  }
  if (!isJsonObject(holder)) return err('what should hold it is neither an object nor an array')
  const below = valueAt(holder, [token])
  const placed = withPlaced(below === undefined && rest.length > 0 ? {} : below, rest, value)
  return placed.ok ? ok(withMember(holder, token, placed.value)) : placed
}
