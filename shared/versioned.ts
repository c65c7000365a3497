/**
 * Versioned state: who writes says which version they saw, and a stale write changes nothing (W2). Each change knows what it
 * replaced, so that earlier versions can be made again and disjoint changes be told from conflicts.
 * Never here: where it is kept (durable-objects/workflow-store.ts), the standard patches (shared/json-patch.ts).
 */
import * as z from 'zod'
import { canonical, deeperThan, utf8Length } from './json.ts'
import { applyJsonPatch, applyMergePatch, jsonPatch, mergePatch, type PatchFailure } from './json-patch.ts'
import { isJsonObject, type JsonObject, parsePointer } from './json-pointer.ts'
import { limits } from './limits.ts'
import { err, ok, type Result, unreachable } from './result.ts'
import { applyOperations, stateOperations } from './state-operations.ts'

/** The shared state is always a JSON object: its members are its fields. */
export const stateSchema = z.record(z.string(), z.unknown())

export const stateChange = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('merge'), patch: mergePatch }),
  z.strictObject({ kind: z.literal('patch'), operations: jsonPatch }),
  z.strictObject({ kind: z.literal('operations'), operations: stateOperations }),
])
export type StateChange = z.infer<typeof stateChange>

/**
 * What a writer expects: a version, or any of it and those beside it; `any` (it does not matter); or with `fields` a version
 * since which nobody else changed the fields that this change touches.
 */
export interface Expectation {
  readonly version: number | 'any'
  readonly beside?: readonly number[]
  readonly fields?: true
}

export type ChangeFault =
  | { readonly code: 'patch_failed'; readonly failure: PatchFailure }
  | { readonly code: 'state_not_object' }
  | { readonly code: 'state_too_large'; readonly gotBytes: number }
  | { readonly code: 'state_too_deep' }

/** The state after a change, or why it cannot be made. The change is all or nothing. */
export function applyChange(state: JsonObject, change: StateChange): Result<JsonObject, ChangeFault> {
  const changed = changedBy(state, change)
  if (!changed.ok) return err({ code: 'patch_failed', failure: changed.error })
  return sound(changed.value)
}

function changedBy(state: JsonObject, change: StateChange): Result<unknown, PatchFailure> {
  switch (change.kind) {
    case 'merge':
      return ok(applyMergePatch(state, change.patch))
    case 'patch':
      return applyJsonPatch(state, change.operations)
    case 'operations':
      return applyOperations(state, change.operations)
    default:
      return unreachable(change)
  }
}

/** Holds a state to what may be stored. */
export function sound(state: unknown): Result<JsonObject, ChangeFault> {
  if (!isJsonObject(state)) return err({ code: 'state_not_object' })
  if (deeperThan(state, limits.jsonDepth)) return err({ code: 'state_too_deep' })
  const gotBytes = utf8Length(JSON.stringify(state))
  return gotBytes > limits.stateBytes ? err({ code: 'state_too_large', gotBytes }) : ok(state)
}

/** The fields that a change reads or writes; undefined when it is about the whole. */
export function touchedFields(change: StateChange): ReadonlySet<string> | undefined {
  if (change.kind === 'merge') return new Set(Object.keys(change.patch))
  const fields = new Set<string>()
  for (const operation of change.operations) {
    for (const path of 'from' in operation ? [operation.path, operation.from] : [operation.path]) {
      const [field] = parsePointer(path) ?? []
      if (field === undefined) return undefined
      fields.add(field)
    }
  }
  return fields
}

// --- what a change replaced -------------------------------------------------------------------------------------------

/** The fields that differ, and what they were before; one that is not in `before` was not there. */
export interface Difference {
  readonly fields: readonly string[]
  readonly before: JsonObject
}

export function difference(before: JsonObject, after: JsonObject): Difference {
  const names = new Set([...Object.keys(before), ...Object.keys(after)])
  const fields = [...names].filter((name) => !isSame(own(before, name), own(after, name)))
  return {
    fields,
    before: Object.fromEntries(fields.filter((f) => Object.hasOwn(before, f)).map((f) => [f, before[f]])),
  }
}

const own = (object: JsonObject, name: string) => (Object.hasOwn(object, name) ? object[name] : undefined)

const isSame = (a: unknown, b: unknown) =>
  a === b || (a !== undefined && b !== undefined && canonical(a) === canonical(b))

/** The state before a change, from the state after it. */
export function undone(after: JsonObject, { fields, before }: Difference): JsonObject {
  const members = new Map(Object.entries(after))
  for (const field of fields) {
    if (Object.hasOwn(before, field)) members.set(field, before[field])
    else members.delete(field)
  }
  return Object.fromEntries(members)
}

// --- who was late -----------------------------------------------------------------------------------------------------

export type Verdict = 'current' | 'merges' | 'stale'

/**
 * May this change be made on `version` (W2)? `changed`: the fields that were changed since the version that was expected,
 * undefined when that is no longer known.
 */
export function judge(
  expectation: Expectation,
  version: number,
  changed: ReadonlySet<string> | undefined,
  touched: ReadonlySet<string> | undefined,
): Verdict {
  const { version: expected, beside, fields } = expectation
  if (expected === 'any' || expected === version) return 'current'
  if (beside?.includes(version)) return 'current'
  if (fields === undefined || expected > version || changed === undefined || touched === undefined) return 'stale'
  return [...touched].some((field) => changed.has(field)) ? 'stale' : 'merges'
}

/**
 * How long a writer that was late should wait before it tries again: twenty milliseconds for each that was late within the
 * last second, so that they spread out by themselves. The writer adds its own dice.
 */
export function retryAfterMs(lateWithinSecond: number): number {
  return Math.min(2_000, 20 * Math.max(1, lateWithinSecond))
}

/**
 * What `If-Match` names: `"3"`, any of a list, or `*`. Undefined when it is none of those, or no version is among them. A weak
 * tag is as good as a strong one, although RFC 9110, 13.1.1 would have it match nothing: whoever compresses an answer on its way
 * weakens its tag, and a version is exact whatever the answer is packed in. The latest counts where fields are compared.
 */
export function parseIfMatch(header: string): Pick<Expectation, 'version' | 'beside'> | undefined {
  if (header.trim() === '*') return { version: 'any' }
  const tags = header.split(',').map((tag) => tag.trim())
  if (!tags.every((tag) => tag === '' || entityTag.test(tag))) return undefined
  const versions = tags.flatMap((tag) => /^(?:W\/)?"([1-9][0-9]{0,14})"$/.exec(tag)?.[1] ?? []).map(Number)
  const [version, ...beside] = [...new Set(versions)].sort((a, b) => b - a)
  if (version === undefined) return undefined
  return beside.length === 0 ? { version } : { version, beside }
}

const entityTag = /^(?:W\/)?"[^"]*"$/

export const etagOf = (version: number): string => `"${version}"`

/** Does `If-None-Match` name this version? Weak comparison, as RFC 9110, 13.1.2 has it. */
export function matchesNone(header: string, version: number): boolean {
  return header.split(',').some((tag) => tag.trim() === '*' || tag.trim().replace(/^W\//, '') === etagOf(version))
}
