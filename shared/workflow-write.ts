/**
 * Writing a workflow's shared state: who is late changes nothing (W2), and is told all it takes to merge. Never here: the
 * statechart, which a write does not move.
 */
import type { JsonObject } from './json-pointer.ts'
import { limits } from './limits.ts'
import {
  applyChange,
  type ChangeFault,
  type Difference,
  type Expectation,
  judge,
  type StateChange,
  touchedFields,
} from './versioned.ts'
import { commit, type Draft } from './workflow.ts'
import { isOver, type WorkflowStatus } from './workflow-status.ts'

export interface Write {
  readonly operation: { readonly id: string; readonly content: string }
  readonly by: string
  readonly expectation: Expectation
}

/** Who was late, and what they need to merge without asking again. */
export interface Stale {
  readonly status: 'stale'
  readonly expected: number
  readonly actual: number
  readonly state: JsonObject
  readonly lastWriter: { readonly by: string; readonly at: number }
  /** Absent when so much has happened since that it is no longer known. */
  readonly changedFields?: readonly string[]
}

export type Written =
  /** `state` is absent in the repeat of a change whose version can no longer be made again. */
  | { readonly status: 'written'; readonly version: number; readonly state?: JsonObject }
  | Stale
  | { readonly status: 'refused'; readonly fault: ChangeFault }
  | { readonly status: 'over'; readonly ended: WorkflowStatus }
  | { readonly status: 'conflict' }

/** What every commit after a version replaced, newest first; undefined when that is no longer known. */
export type Since = (version: number) => readonly Difference[] | undefined

/** Changes the shared state, if the writer is not late (W2). The statechart does not move. */
export function write(draft: Draft, change: StateChange, asked: Write, since: Since, now: number): Written {
  const { record, state } = draft
  if (isOver(record.status)) return { status: 'over', ended: record.status }
  const { expectation, by, operation } = asked
  const changed = expectation.version === 'any' ? undefined : changedSince(expectation.version, record.version, since)
  if (judge(expectation, record.version, changed, touchedFields(change)) === 'stale')
    return staleOf(draft, expectation, changed)
  const applied = applyChange(state, change)
  if (!applied.ok) return { status: 'refused', fault: applied.error }
  commit(draft, applied.value, 'state', by, now, { operation })
  return { status: 'written', version: draft.record.version, state: draft.state }
}

function changedSince(expected: number, actual: number, since: Since): ReadonlySet<string> | undefined {
  if (expected >= actual) return new Set()
  const differences = since(expected)
  return differences === undefined ? undefined : new Set(differences.flatMap((d) => d.fields))
}

function staleOf({ record, state }: Draft, expectation: Expectation, changed: ReadonlySet<string> | undefined): Stale {
  const { version, updatedBy, updatedAt } = record
  return {
    status: 'stale',
    expected: expectation.version === 'any' ? version : expectation.version,
    actual: version,
    state,
    lastWriter: { by: updatedBy, at: updatedAt },
    ...(changed === undefined ? {} : { changedFields: [...changed].slice(0, limits.pageSize) }),
  }
}
