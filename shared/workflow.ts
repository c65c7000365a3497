/**
 * A workflow: shared state with one version, and if it has a definition the statechart that moves it. Every step is computed
 * on a draft and saved whole.
 *
 *   created at version 1 ──► each commit of state or statechart is the next version ──► ended ──► forgotten
 *
 * W1 versions are gap-free, each with one writer. W2 a stale write changes nothing. W3 snapshot, version, history and outgoing
 * effects are one draft, so they are saved together. Never here: running the statechart (shared/workflow-step.ts).
 */
import * as z from 'zod'
import type { JsonObject } from './json-pointer.ts'
import { limits } from './limits.ts'
import type { Outgoing } from './outgoing.ts'
import { type Permissions, permissionsSchema } from './permissions.ts'
import {
  applyChange,
  type ChangeFault,
  type Difference,
  difference,
  type Expectation,
  judge,
  type StateChange,
  stateSchema,
  touchedFields,
} from './versioned.ts'
import { type EntryKind, fieldsNamed, type HistoryEntry } from './workflow-history.ts'
import { isOver, type WorkflowStatus, workflowStatus } from './workflow-status.ts'

/** 1 to 64 characters, so that it can be part of an address, a source and a topic. */
export const workflowId = z
  .string()
  .regex(/^[A-Za-z0-9_-]{1,64}$/, 'a workflow id is 1 to 64 of A-Z, a-z, 0-9, _ and -')

const timer = z.strictObject({ id: z.string(), event: z.unknown(), dueAt: z.number() })
export type Timer = z.infer<typeof timer>

const definitionName = z.strictObject({ name: z.string().exactOptional(), version: z.int().exactOptional() })

export const workflowRecord = z.strictObject({
  v: z.literal(1),
  id: z.string(),
  /** Who made it, with what they might do then: it acts with these permissions. */
  createdBy: z.string(),
  permissions: permissionsSchema,
  /** A hash of what it was made with, so that a repeat of its creation is told from another one of the same name. */
  creation: z.string(),
  createdAt: z.number(),
  status: workflowStatus,
  version: z.int(),
  updatedAt: z.number(),
  updatedBy: z.string(),
  definition: definitionName.exactOptional(),
  input: z.unknown().optional(),
  snapshot: z.unknown().optional(),
  value: z.unknown().optional(),
  output: z.unknown().optional(),
  error: z.strictObject({ code: z.string(), detail: z.string() }).exactOptional(),
  paused: z.strictObject({ at: z.number(), reason: z.string(), untilAt: z.number().exactOptional() }).exactOptional(),
  endedAt: z.number().exactOptional(),
  keptMs: z.number(),
  timers: z.array(timer),
  /** The last numbers given to entries, effects and deferred events, and how many of those wait. */
  last: z.strictObject({ entry: z.int(), effect: z.int(), deferred: z.int() }),
  waiting: z.int(),
  /** Effects that are neither carried nor refused yet. */
  open: z.int(),
  /** Its time is over, and the index is to let go of it first. */
  forgetting: z.literal(true).exactOptional(),
  /** When somebody must be asked to carry out what is open, if nobody did by then. */
  chaseAt: z.number().exactOptional(),
  /** Attempts after agents' errors, by what they are attempts at. */
  tries: z.record(z.string(), z.int()),
  /** The status that the index of workflows has been told. */
  listed: workflowStatus.exactOptional(),
})
export type WorkflowRecord = z.infer<typeof workflowRecord>

export const readWorkflow = (record: unknown): WorkflowRecord => workflowRecord.parse(JSON.parse(String(record)))
export const readState = (state: unknown): JsonObject => stateSchema.parse(JSON.parse(String(state)))

/** An event that waits for its turn. */
export const deferredRecord = z.strictObject({
  v: z.literal(1),
  n: z.int(),
  type: z.string(),
  data: z.unknown().optional(),
  by: z.string(),
  /** The message that it came as. */
  id: z.string().exactOptional(),
  traceparent: z.string().exactOptional(),
})
export type Deferred = z.infer<typeof deferredRecord>

export const readDeferred = (stored: unknown): Deferred => deferredRecord.parse(JSON.parse(String(stored)))

/** An entry that a step adds, and what its change replaced; only commits have that. */
export interface NewEntry {
  readonly entry: HistoryEntry
  readonly difference?: Difference
}

/** What a step computes on, and what is saved of it in one transaction (W3). */
export interface Draft {
  record: WorkflowRecord
  state: JsonObject
  readonly entries: NewEntry[]
  /** What the step sends, and what became of what earlier ones sent. */
  readonly effects: Outgoing[]
  /** Events that came while it was paused, and wait. */
  readonly deferred: Deferred[]
  /** Those up to this number have had their turn. */
  drainedTo?: number
}

export function draftOf(record: WorkflowRecord, state: JsonObject): Draft {
  return { record, state, entries: [], effects: [], deferred: [] }
}

/** Everything one is made with. */
export interface Opening {
  readonly id: string
  readonly by: string
  readonly permissions: Permissions
  readonly creation: string
  readonly definition?: { readonly name?: string; readonly version?: number }
  readonly input?: unknown
  readonly state: JsonObject
  readonly keptMs: number
}

/** A workflow at version 1, of which nobody has heard yet. */
export function opened(opening: Opening, now: number): Draft {
  const { by, state, ...rest } = opening
  const record: WorkflowRecord = {
    v: 1,
    ...rest,
    createdBy: by,
    createdAt: now,
    status: 'running',
    version: 0,
    updatedAt: now,
    updatedBy: by,
    timers: [],
    last: { entry: 0, effect: 0, deferred: 0 },
    waiting: 0,
    open: 0,
    tries: {},
  }
  return draftOf(record, state)
}

/** Whoever asks: its source, and whether its permissions name this workflow. */
export interface Asker {
  readonly source: string
  readonly permitted: boolean
}

/** Its creator may always. */
export function mayAsk(record: WorkflowRecord, asker: Asker): boolean {
  return asker.permitted || asker.source === record.createdBy
}

// --- entries and commits ----------------------------------------------------------------------------------------------

type Told = Partial<Omit<HistoryEntry, 'v' | 'n' | 'at' | 'version' | 'status'>>

/** Adds an entry about a draft as it stands now. */
export function note(
  draft: Draft,
  kind: EntryKind,
  by: string,
  now: number,
  told: Told = {},
  change?: Difference,
): HistoryEntry {
  const n = draft.record.last.entry + 1
  draft.record = { ...draft.record, last: { ...draft.record.last, entry: n } }
  const { version, status } = draft.record
  const fields =
    change === undefined || change.fields.length === 0 ? {} : { fields: change.fields.slice(0, fieldsNamed) }
  const entry: HistoryEntry = { v: 1, n, at: now, by, kind, version, status, ...fields, ...told }
  draft.entries.push({ entry, ...(change === undefined ? {} : { difference: change }) })
  return entry
}

/** Makes `state` the next version (W1). `kind` and `told` are for its entry. */
export function commit(
  draft: Draft,
  state: JsonObject,
  kind: 'created' | 'state' | 'transition',
  by: string,
  now: number,
  told: Told = {},
): HistoryEntry {
  const change = difference(draft.state, state)
  draft.state = state
  draft.record = { ...draft.record, version: draft.record.version + 1, updatedAt: now, updatedBy: by }
  return note(draft, kind, by, now, told, change)
}

/** A status and what belongs to it, with the entry that tells it. */
export function move(draft: Draft, status: WorkflowStatus, by: string, now: number, detail?: string): void {
  const { paused: _paused, ...rest } = draft.record
  draft.record = {
    ...rest,
    status,
    ...(status === 'paused' ? { paused: { at: now, reason: detail ?? 'paused' } } : {}),
    ...(isOver(status) ? { endedAt: now, timers: [], waiting: 0 } : {}),
  }
  if (status === 'completed') return
  note(draft, status === 'running' ? 'resumed' : status, by, now, detail === undefined ? {} : { detail })
}

// --- writing ----------------------------------------------------------------------------------------------------------

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

// --- what is seen of it -----------------------------------------------------------------------------------------------

const shownTime = (at: number) => new Date(at).toISOString()

/** A workflow as it is shown. Neither what it may do nor the machine's own snapshot is anybody's business. */
export function publicWorkflow({ record, state }: { readonly record: WorkflowRecord; readonly state: JsonObject }) {
  const { id, status, version, definition, createdBy, createdAt, updatedBy, updatedAt, endedAt, paused } = record
  const { input, output, value, error, timers, waiting } = record
  return {
    ...{ id, status, version, state },
    ...(value === undefined ? {} : { value }),
    ...(definition === undefined ? {} : { definition }),
    ...(input === undefined ? {} : { input }),
    ...(output === undefined ? {} : { output }),
    ...(error === undefined ? {} : { error }),
    ...(paused === undefined ? {} : { paused: shownPause(paused) }),
    ...(waiting === 0 ? {} : { waitingEvents: waiting }),
    ...(timers.length === 0 ? {} : { timers: timers.map((t) => ({ id: t.id, dueAt: shownTime(t.dueAt) })) }),
    ...{ createdBy, createdAt: shownTime(createdAt), updatedBy, updatedAt: shownTime(updatedAt) },
    ...(endedAt === undefined ? {} : { endedAt: shownTime(endedAt) }),
  }
}

function shownPause({ at, reason, untilAt }: NonNullable<WorkflowRecord['paused']>) {
  return { since: shownTime(at), reason, ...(untilAt === undefined ? {} : { until: shownTime(untilAt) }) }
}

// --- what is due ------------------------------------------------------------------------------------------------------

const chaseMinMs = 5_000
const chaseMaxMs = 300_000

/** The index does not know yet how it stands. */
export const isUnlisted = (record: WorkflowRecord): boolean => record.listed !== record.status

/** When an ended one is forgotten. */
export function forgetAt({ endedAt, keptMs }: WorkflowRecord): number | undefined {
  return endedAt === undefined ? undefined : endedAt + keptMs
}

/** Has somebody outside something to do for it: carry effects, or tell the index? */
export const isOwing = (record: WorkflowRecord): boolean =>
  record.open > 0 || isUnlisted(record) || record.forgetting === true

/**
 * Sets when somebody is to be asked to do what it owes. Only the asking moves that on: steps that follow each other quickly
 * must not put it off for ever.
 */
export function withChase(record: WorkflowRecord, now: number): WorkflowRecord {
  if (isOwing(record)) return record.chaseAt === undefined ? { ...record, chaseAt: now + chaseMinMs } : record
  const { chaseAt: _chaseAt, ...rest } = record
  return rest
}

/** It was asked for now; the next time comes at intervals that grow with how long it has been owing. */
export function chased(record: WorkflowRecord, now: number): WorkflowRecord {
  const since = Math.max(record.updatedAt, record.endedAt ?? 0)
  return { ...record, chaseAt: now + Math.min(chaseMaxMs, Math.max(chaseMinMs, (now - since) / 2)) }
}

/** When its alarm must ring next; undefined while nothing is due by itself (M6). */
export function dueAt(record: WorkflowRecord): number | undefined {
  const { status, timers, paused, waiting, updatedAt, chaseAt, forgetting } = record
  const times = [
    ...(status === 'running' ? timers.map((t) => t.dueAt) : []),
    ...(status === 'running' && waiting > 0 ? [updatedAt] : []),
    ...[paused?.untilAt, chaseAt, forgetting === true ? undefined : forgetAt(record)],
  ].filter((time) => time !== undefined)
  return times.length === 0 ? undefined : Math.min(...times)
}
