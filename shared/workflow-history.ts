/**
 * A workflow's history: what happened to it, who did it and why, entry by entry. An entry also remembers the operation or event
 * that made it, so that a repeat is recognised, and what its change replaced. Never here: making entries (shared/workflow.ts).
 */
import * as z from 'zod'
import { chartValue } from './chart-snapshot.ts'
import { digest } from './ids.ts'
import { canonical } from './json.ts'
import type { Difference } from './versioned.ts'
import { workflowStatus } from './workflow-status.ts'

export const entryKind = z.enum([
  'created',
  /** The shared state was changed by a writer. */
  'state',
  /** The statechart took an event. */
  'transition',
  /** An agent failed, and its message was sent again, or to the fallback agent. */
  'remedy',
  /** The statechart did not take an event, or the workflow had ended. */
  'ignored',
  /** An event came while the workflow was paused, and waits. */
  'deferred',
  'paused',
  'resumed',
  /** Four fifths of a part of its budget are spent. */
  'budget_warning',
  /** A state has lasted longer than its chart says is usual. */
  'slow_state',
  /** A person laid down another budget, or other guards. */
  'amended',
  'failed',
  'cancelled',
])
export type EntryKind = z.infer<typeof entryKind>

/** One microstep of the statechart, transient states too. */
export const chartMove = z.strictObject({ from: chartValue.nullable(), to: chartValue, event: z.string() })

export const historyEntry = z.strictObject({
  v: z.literal(1),
  n: z.int(),
  at: z.number(),
  /** The source that did it; `timer` and `policy` are the workflow's own. */
  by: z.string(),
  kind: entryKind,
  /** After it. */
  version: z.int(),
  status: workflowStatus,
  value: chartValue.exactOptional(),
  event: z.strictObject({ type: z.string(), id: z.string().exactOptional() }).exactOptional(),
  path: z.array(chartMove).exactOptional(),
  /** The fields of the state that it changed, at most so many by name. */
  fields: z.array(z.string()).exactOptional(),
  /** The numbers of the messages that it sent. */
  effects: z.array(z.int()).exactOptional(),
  detail: z.string().exactOptional(),
  /** Names the call that made it, and a hash of what that call asked for. */
  operation: z.strictObject({ id: z.string(), content: z.string() }).exactOptional(),
})
export type HistoryEntry = z.infer<typeof historyEntry>

export const readEntry = (stored: unknown): HistoryEntry => historyEntry.parse(JSON.parse(String(stored)))

const differenceRecord = z.strictObject({ fields: z.array(z.string()), before: z.record(z.string(), z.unknown()) })

/** What a commit replaced, as it was stored. */
export const readDifference = (stored: unknown): Difference => differenceRecord.parse(JSON.parse(String(stored)))

/** How many changed fields an entry names. */
export const fieldsNamed = 100

/** Names a changing call: the caller's own key, held apart from everybody else's. */
export function operationId(source: string, key: string): string {
  return digest('operation', source, key)
}

export const contentOf = (asked: unknown): string => digest(canonical(asked))

/** An entry as it is shown. */
export function publicEntry({ v: _v, at, operation: _operation, ...entry }: HistoryEntry) {
  return { ...entry, at: new Date(at).toISOString() }
}
