/**
 * The two-armed answer. Expected failure is a value with evidence; only surprises are thrown.
 * Never here: what a failure means (shared/fault.ts).
 */

export type Result<T, E> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly error: E }

export const ok = <T>(value: T): Result<T, never> => ({ ok: true, value })

export const err = <E>(error: E): Result<never, E> => ({ ok: false, error })

/** Makes a switch exhaustive: a new arm fails to compile until someone decides what it means. */
export function unreachable(value: never): never {
  throw new Error(`unreachable: ${JSON.stringify(value)}`)
}
