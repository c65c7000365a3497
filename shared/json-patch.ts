/**
 * The two standard patches: JSON Patch (RFC 6902, every operation, `test` too) and JSON Merge Patch (RFC 7396). All of a patch
 * applies, or nothing does. Never here: versions (shared/versioned.ts), commutative operations (shared/state-operations.ts).
 */
import * as z from 'zod'
import { canonical, utf8Length } from './json.ts'
import { isJsonObject, parsePointer, valueAt, withAdded, withRemoved, withReplaced } from './json-pointer.ts'
import { limits } from './limits.ts'
import { err, ok, type Result, unreachable } from './result.ts'

/** A JSON Pointer (RFC 6901), as its text. */
export const pointer = z
  .string()
  .max(limits.attributeLength)
  .refine((text) => parsePointer(text) !== undefined, 'not a JSON Pointer: it is empty or starts with `/`')

// `undefined` is not JSON: a value that was left out is missing, and null is a value.
const value = z.unknown().refine((given) => given !== undefined, 'a value is needed; null is one')

// Loose, as RFC 6902, 4 asks: members that an operation does not define are ignored.
const patchOperation = z.discriminatedUnion('op', [
  z.object({ op: z.literal('add'), path: pointer, value }),
  z.object({ op: z.literal('remove'), path: pointer }),
  z.object({ op: z.literal('replace'), path: pointer, value }),
  z.object({ op: z.literal('move'), from: pointer, path: pointer }),
  z.object({ op: z.literal('copy'), from: pointer, path: pointer }),
  z.object({ op: z.literal('test'), path: pointer, value }),
])
export type PatchOperation = z.infer<typeof patchOperation>

export const jsonPatch = z.array(patchOperation).max(limits.patchOperations)
export const mergePatch = z.record(z.string(), z.unknown())

/** Which operation could not be applied, and why. */
export interface PatchFailure {
  readonly index: number
  readonly op: string
  readonly path: string
  readonly reason: string
}

/** RFC 6902, 5: the operations in order; the first that fails fails the whole. */
export function applyJsonPatch(
  document: unknown,
  operations: readonly PatchOperation[],
): Result<unknown, PatchFailure> {
  let current = document
  let copiedBytes = 0
  for (const [index, operation] of operations.entries()) {
    if (operation.op === 'copy') {
      // A copy of the whole into itself doubles it: thirty of them would fill any memory.
      copiedBytes += utf8Length(JSON.stringify(valueAt(current, tokensOf(operation.from))) ?? '')
      if (copiedBytes > limits.stateBytes)
        return failure(index, operation, `the copies have more than ${limits.stateBytes} bytes`)
    }
    const applied = applyOne(current, operation)
    if (!applied.ok) return failure(index, operation, applied.error)
    current = applied.value
  }
  return ok(current)
}

const failure = (index: number, { op, path }: PatchOperation, reason: string) => err({ index, op, path, reason })

function applyOne(document: unknown, operation: PatchOperation): Result<unknown, string> {
  const path = tokensOf(operation.path)
  switch (operation.op) {
    case 'add':
      return withAdded(document, path, operation.value)
    case 'remove':
      return withRemoved(document, path)
    case 'replace':
      return withReplaced(document, path, operation.value)
    case 'move':
      return move(document, tokensOf(operation.from), path)
    case 'copy': {
      const copied = valueAt(document, tokensOf(operation.from))
      return copied === undefined ? err(`nothing is at ${operation.from}`) : withAdded(document, path, copied)
    }
    case 'test': {
      const found = valueAt(document, path)
      if (found === undefined) return err('nothing is there')
      return canonical(found) === canonical(operation.value) ? ok(document) : err('another value is there')
    }
    default:
      return unreachable(operation)
  }
}

// RFC 6902, 4.4: a place cannot be moved into itself.
function move(document: unknown, from: readonly string[], path: readonly string[]): Result<unknown, string> {
  const moved = valueAt(document, from)
  if (moved === undefined) return err('nothing is at the place it is moved from')
  if (from.length === path.length && from.every((token, i) => token === path[i])) return ok(document)
  if (from.length < path.length && from.every((token, i) => token === path[i]))
    return err('it cannot be moved into itself')
  const without = withRemoved(document, from)
  return without.ok ? withAdded(without.value, path, moved) : without
}

// The schema has held it to be a pointer.
const tokensOf = (text: string): readonly string[] => parsePointer(text) ?? []

/** RFC 7396, 2: members of the patch replace, null removes, objects are merged. */
export function applyMergePatch(target: unknown, patch: unknown): unknown {
  if (!isJsonObject(patch)) return patch
  const merged = new Map(isJsonObject(target) ? Object.entries(target) : [])
  for (const [name, fresh] of Object.entries(patch)) {
    if (fresh === null) merged.delete(name)
    else merged.set(name, applyMergePatch(merged.get(name), fresh))
  }
  return Object.fromEntries(merged)
}
