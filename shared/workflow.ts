/**
 * A workflow: shared state with one version, and if it has a definition the statechart that moves it. Every step is computed
 * on a draft and saved whole.
 *
 *   created at version 1 ──► each commit of state or statechart is the next version ──► ended ──► forgotten
 *
 * W1 versions are gap-free, each with one writer. W2 a stale write changes nothing. W3 snapshot, version, history and outgoing
 * effects are one draft, so they are saved together. Never here: running the statechart (shared/workflow-events.ts).
 */
import * as z from 'zod'
import { type Budget, newBudget, publicBudget } from './budget.ts'
import { type BudgetLimits, budgetUnit } from './budget-limits.ts'
import { chartValue } from './chart-snapshot.ts'
import type { ChartMove } from './chart-step.ts'
import type { JsonObject } from './json-pointer.ts'
import { limits } from './limits.ts'
import { type Guards, guardsSchema } from './lineage.ts'
import type { Outgoing } from './outgoing.ts'
import { type Permissions, permissionsSchema } from './permissions.ts'
import { stayed, staysSchema } from './stays.ts'
import { type Difference, difference, stateSchema } from './versioned.ts'
import { type EntryKind, fieldsNamed, type HistoryEntry } from './workflow-history.ts'
import { isOver, type WorkflowStatus, workflowStatus } from './workflow-status.ts'

/** 1 to 64 characters, so that it can be part of an address, a source and a topic. */
export const workflowId = z
  .string()
  .regex(/^[A-Za-z0-9_-]{1,64}$/, 'a workflow id is 1 to 64 of A-Z, a-z, 0-9, _ and -')

const timer = z.strictObject({ id: z.string(), event: z.looseObject({ type: z.string() }), dueAt: z.number() })
export type Timer = z.infer<typeof timer>

/** A visit of a state that lasts too long. `n`: of its entry. */
const slowState = z.strictObject({ n: z.int(), state: z.string(), since: z.number(), at: z.number() })
export type SlowState = z.infer<typeof slowState>

const definitionName = z.strictObject({ name: z.string().exactOptional(), version: z.int().exactOptional() })

export const workflowRecord = z.strictObject({
  v: z.literal(1),
  id: z.string(),
  /** Tells it from others that had its id before, or have it after. Absent: made when nothing did. */
  incarnation: z.string().exactOptional(),
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
  /** Where they are not the default. */
  guards: guardsSchema.exactOptional(),
  input: z.unknown().optional(),
  snapshot: z.unknown().optional(),
  value: chartValue.exactOptional(),
  stays: staysSchema.exactOptional(),
  output: z.unknown().optional(),
  error: z.strictObject({ code: z.string(), detail: z.string() }).exactOptional(),
  paused: z
    .strictObject({
      at: z.number(),
      reason: z.string(),
      untilAt: z.number().exactOptional(),
      /** For want of budget: it goes on when that is raised. */
      budget: z.literal(true).exactOptional(),
    })
    .exactOptional(),
  endedAt: z.number().exactOptional(),
  keptMs: z.number(),
  timers: z.array(timer),
  /** The last numbers given to entries, effects and deferred events, and how many of those wait. */
  last: z.strictObject({ entry: z.int(), effect: z.int(), deferred: z.int() }),
  waiting: z.int(),
  /** Effects that are neither carried nor refused yet. */
  open: z.int(),
  /** Mailboxes that may let its mail go, and warnings and slow states that are to be said. */
  owes: z
    .strictObject({
      letGo: z.array(z.string()),
      warnings: z.array(z.strictObject({ n: z.int(), unit: budgetUnit, at: z.number() })),
      slow: z.array(slowState).exactOptional(),
    })
    .exactOptional(),
  /** Its time is over, and the index is to let go of it first. */
  forgetting: z.literal(true).exactOptional(),
  /** When somebody must be asked to carry out what is open, if nobody did by then. */
  chaseAt: z.number().exactOptional(),
  /** Its messages beyond this number pause it, until a person lets it go on. */
  effectsUntil: z.int(),
  /** The status that the index of workflows has been told. */
  listed: workflowStatus.exactOptional(),
})
export type WorkflowRecord = z.infer<typeof workflowRecord>

export const readWorkflow = (record: unknown): WorkflowRecord => workflowRecord.parse(JSON.parse(String(record)))
export const readState = (state: unknown): JsonObject => stateSchema.parse(JSON.parse(String(state)))

const happening = {
  type: z.string(),
  data: z.unknown().optional(),
  /** The source that says it. */
  by: z.string(),
  /** The message that it came as. */
  id: z.string().exactOptional(),
  traceparent: z.string().exactOptional(),
  /** The number of the workflow's own effect that it is about: the message that it answers, or that failed. */
  about: z.int().exactOptional(),
}
const happeningSchema = z.strictObject(happening)
/** An event, as it comes to a workflow. */
export type Happening = z.infer<typeof happeningSchema>

/** An event that waits for its turn. */
export const deferredRecord = z.strictObject({ v: z.literal(1), n: z.int(), ...happening })
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
  budget: Budget | undefined
  readonly entries: NewEntry[]
  /** What the step sends, and what became of what earlier ones sent. */
  readonly effects: Outgoing[]
  /** Events that came while it was paused, and wait. */
  readonly deferred: Deferred[]
  /** Those up to this number have had their turn. */
  drainedTo?: number
}

export function draftOf(record: WorkflowRecord, state: JsonObject, budget: Budget | undefined): Draft {
  return { record, state, budget, entries: [], effects: [], deferred: [] }
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
  readonly guards?: Guards
  readonly budget?: BudgetLimits
  readonly keptMs: number
}

/** A workflow at version 1, of which nobody has heard yet. */
export function opened(opening: Opening, now: number): Draft {
  const { by, state, budget, ...rest } = opening
  const record: WorkflowRecord = {
    v: 1,
    ...rest,
    createdBy: by,
    createdAt: now,
    incarnation: Math.floor(now).toString(36),
    status: 'running',
    version: 0,
    updatedAt: now,
    updatedBy: by,
    timers: [],
    last: { entry: 0, effect: 0, deferred: 0 },
    waiting: 0,
    open: 0,
    effectsUntil: limits.workflowEffects,
  }
  return draftOf(record, state, budget === undefined ? undefined : newBudget(budget, now))
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
export function move(
  draft: Draft,
  status: Exclude<WorkflowStatus, 'completed'>,
  by: string,
  now: number,
  detail?: string,
  told: Told = {},
): void {
  const { paused: _paused, ...rest } = draft.record
  draft.record = {
    ...rest,
    status,
    ...(status === 'paused' ? { paused: { at: now, reason: detail ?? 'paused' } } : {}),
    ...(isOver(status) ? { endedAt: now, timers: [], waiting: 0 } : {}),
    ...(isOver(status) && rest.stays !== undefined ? { stays: stayed(rest.stays, [], now) } : {}),
  }
  if (isOver(status)) draft.drainedTo = draft.record.last.deferred
  const kind = status === 'running' ? 'resumed' : status
  note(draft, kind, by, now, { ...told, ...(detail === undefined ? {} : { detail }) })
}

// --- what is seen of it -----------------------------------------------------------------------------------------------

const shownTime = (at: number) => new Date(at).toISOString()

/** A workflow, as its object hands it out. */
export interface Shown {
  readonly record: WorkflowRecord
  readonly state: JsonObject
  readonly budget?: Budget | undefined
}

export const shownOf = ({ record, state, budget }: Draft): Shown => ({
  ...{ record, state },
  ...(budget === undefined ? {} : { budget }),
})

/** A workflow as it is shown. Neither what it may do nor the machine's own snapshot is anybody's business. */
export function publicWorkflow({ record, state, budget }: Shown, now: number) {
  const { id, status, version, definition, createdBy, createdAt, updatedBy, updatedAt, endedAt, paused } = record
  const { input, output, value, error, timers, waiting, guards } = record
  return {
    ...{ id, status, version, state },
    ...(value === undefined ? {} : { value }),
    ...(definition === undefined ? {} : { definition }),
    ...(input === undefined ? {} : { input }),
    ...(output === undefined ? {} : { output }),
    ...(error === undefined ? {} : { error }),
    ...(paused === undefined ? {} : { paused: shownPause(paused) }),
    ...(waiting === 0 ? {} : { waitingEvents: waiting }),
    ...(guards === undefined ? {} : { guards }),
    ...(budget === undefined ? {} : { budget: publicBudget(budget, now) }),
    ...(timers.length === 0 ? {} : { timers: timers.map((t) => ({ id: t.id, dueAt: shownTime(t.dueAt) })) }),
    ...{ createdBy, createdAt: shownTime(createdAt), updatedBy, updatedAt: shownTime(updatedAt) },
    ...(endedAt === undefined ? {} : { endedAt: shownTime(endedAt) }),
  }
}

function shownPause({ at, reason, untilAt }: NonNullable<WorkflowRecord['paused']>) {
  return { since: shownTime(at), reason, ...(untilAt === undefined ? {} : { until: shownTime(untilAt) }) }
}

/** Where a statechart is and the way that it took, as a diagram marks them. */
export function marksOf({ value }: WorkflowRecord, path: readonly ChartMove[]) {
  return { ...(value === undefined ? {} : { value }), path }
}
