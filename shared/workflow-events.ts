/**
 * An event comes to a workflow: the statechart takes it, or it is recorded as ignored, or it waits while the workflow is paused.
 * What the chart's step comes to is one commit: snapshot, state, timers, outgoing effects and history together (W3).
 * Never here: the statechart's own rules (shared/statechart.ts), saving.
 */
import type { Definition } from './chart-definition.ts'
import { type AgentError, type Remedy, remedyFor } from './chart-remedy.ts'
import type { ChartSnapshot } from './chart-snapshot.ts'
import type { ChartFault, ChartStep } from './chart-step.ts'
import type { ChartEvent } from './chart-values.ts'
import { isJsonObject } from './json-pointer.ts'
import { limits } from './limits.ts'
import type { Outgoing } from './outgoing.ts'
import { type Result, unreachable } from './result.ts'
import { allowedEvents, stepChart } from './statechart.ts'
import { type Draft, type Happening, move, note } from './workflow.ts'
import { type Cause, causeOf, fail, failAs, open, take } from './workflow-commit.ts'
import type { HistoryEntry } from './workflow-history.ts'
import { isOver, type WorkflowStatus } from './workflow-status.ts'

/** How it was asked: as an event, which may be ignored, or as a transition by name, which must be taken. */
export interface Arrival {
  readonly happening: Happening
  readonly operation: { readonly id: string; readonly content: string }
  /** Refuse what changes nothing, and record nothing: a caller waits for the answer. */
  readonly strict?: true
  readonly mustTake?: true
}

export type Received =
  | {
      readonly status: 'taken' | 'ignored'
      readonly version: number
      readonly value?: unknown
      readonly workflow: WorkflowStatus
      /** It came before, and is answered as it was then. */
      readonly repeated?: true
    }
  | { readonly status: 'deferred'; readonly repeated?: true }
  | { readonly status: 'illegal'; readonly from: unknown; readonly allowed: readonly string[] }
  | { readonly status: 'over'; readonly ended: WorkflowStatus }
  | { readonly status: 'full' | 'conflict' | 'no_chart' | 'reserved' }

/** What the workflow knows beside its record: its definition, and the effects that it sent. */
export interface Knowledge {
  readonly chart: Definition | undefined
  readonly effectOf: (n: number) => Outgoing | undefined
}

/** One event. Who has asked the same before was answered already, by its operation. */
export function receive(draft: Draft, known: Knowledge, arrival: Arrival, now: number): Received {
  const { happening, operation, strict, mustTake } = arrival
  const { status, waiting } = draft.record
  if (isOver(status))
    return strict === true ? { status: 'over', ended: status } : ignored(draft, arrival, now, 'the workflow has ended')
  if (known.chart === undefined)
    return strict === true ? { status: 'no_chart' } : ignored(draft, arrival, now, 'the workflow has no statechart')
  if (isReservedType(happening.type)) return { status: 'reserved' }
  if (status === 'paused' || waiting > 0) return defer(draft, arrival, now)
  if (mustTake === true) {
    const tried = tryStep(draft, known.chart, happening)
    if (tried.ok && !tried.value.taken) return illegal(known.chart, draft)
  }
  const before = draft.record.version
  react(draft, known, happening, now, operation)
  const taken = draft.record.version > before || draft.record.status !== status || isRemedied(draft)
  return {
    status: taken ? 'taken' : 'ignored',
    version: draft.record.version,
    ...(draft.record.value === undefined ? {} : { value: draft.record.value }),
    workflow: draft.record.status,
  }
}

/** The repeat of an event, from the entry that the first one made. */
export function answeredBefore(entry: HistoryEntry, { operation }: Arrival): Received {
  if (entry.operation?.content !== operation.content) return { status: 'conflict' }
  const { kind, version, value, status } = entry
  if (kind === 'deferred') return { status: 'deferred', repeated: true }
  return {
    status: kind === 'ignored' ? 'ignored' : 'taken',
    version,
    ...(value === undefined ? {} : { value }),
    workflow: status,
    repeated: true,
  }
}

/** The library's own events: from outside they would be forged. */
const isReservedType = (type: string): boolean => type === '*' || type.startsWith('xstate.')

const isRemedied = ({ entries }: Draft) => entries.at(-1)?.entry.kind === 'remedy'

function illegal(chart: Definition, { record }: Draft): Received {
  // The snapshot was made by the statechart; a stored one that is none would have failed the step.
  const allowed = allowedEvents(chart, record.snapshot as ChartSnapshot)
  return { status: 'illegal', from: record.value, allowed }
}

function ignored(draft: Draft, { happening, operation }: Arrival, now: number, detail: string): Received {
  note(draft, 'ignored', happening.by, now, { event: named(happening), detail, operation })
  return { status: 'ignored', version: draft.record.version, workflow: draft.record.status }
}

function defer(draft: Draft, { happening, operation }: Arrival, now: number): Received {
  if (draft.record.waiting >= limits.deferredEvents) return { status: 'full' }
  note(draft, 'deferred', happening.by, now, { event: named(happening), operation })
  wait(draft, happening)
  return { status: 'deferred' }
}

/** It has its turn when the workflow runs again. */
export function wait(draft: Draft, happening: Happening): void {
  const n = draft.record.last.deferred + 1
  draft.record = { ...draft.record, last: { ...draft.record.last, deferred: n }, waiting: draft.record.waiting + 1 }
  draft.deferred.push({ v: 1, n, ...happening })
}

const named = ({ type, id }: Happening) => (id === undefined ? { type } : { type, id })

// --- reacting ---------------------------------------------------------------------------------------------------------

type Operation = { readonly id: string; readonly content: string }

/** The running workflow's answer to an event. A fault of the statechart fails the workflow, never the object. */
export function react(draft: Draft, known: Knowledge, happening: Happening, now: number, operation?: Operation): void {
  const { chart } = known
  if (chart === undefined) return
  const told = { event: named(happening), ...(operation === undefined ? {} : { operation }) }
  const cause = { happening, told, now }
  if (happening.type === 'agent_error' || happening.type === 'effect_refused') {
    const about = happening.about === undefined ? undefined : known.effectOf(happening.about)
    remedy(draft, chart, about, cause)
    return
  }
  const step = tryStep(draft, chart, happening)
  if (!step.ok) fail(draft, step.error, cause)
  else take(draft, step.value, cause)
}

/** A delayed event of the statechart's own, given back as it was given. Its state may have been left in the same moment. */
export function ring(draft: Draft, { chart }: Knowledge, event: ChartEvent, now: number): void {
  if (chart === undefined) return
  const cause: Cause = { happening: { type: event.type, by: 'timer' }, told: { event: { type: event.type } }, now }
  const step = stepChart(chart, draft.record.snapshot, event, givenOf(draft))
  if (!step.ok) fail(draft, step.error, cause)
  else if (step.value.taken || step.value.path.length > 0) take(draft, step.value, cause)
}

const eventOf = ({ type, data, by, id }: Happening): ChartEvent => ({
  type,
  source: by,
  ...(id === undefined ? {} : { id }),
  ...(data === undefined ? {} : { data }),
})

const givenOf = ({ record, state }: Draft) => ({ state, input: record.input })

function tryStep(draft: Draft, chart: Definition, happening: Happening): Result<ChartStep, ChartFault> {
  return stepChart(chart, draft.record.snapshot, eventOf(happening), givenOf(draft))
}

/** What an agent's failure, or the refusal of a message, comes to: sent again, sent elsewhere, or told to the chart (A24). */
function remedy(draft: Draft, chart: Definition, about: Outgoing | undefined, cause: Cause): void {
  const { happening } = cause
  // What was refused once is refused again: only another agent may help.
  const retried = happening.type === 'effect_refused' ? Number.POSITIVE_INFINITY : (about?.retried ?? 0)
  const error: AgentError = {
    ...(about === undefined ? {} : { origin: about.origin }),
    ...{ retried, fellBack: about?.fellBack ?? false, event: eventOf(happening) },
  }
  const found = remedyFor(chart, draft.record.snapshot as ChartSnapshot, error, givenOf(draft))
  if (!found.ok) fail(draft, found.error, cause)
  else apply(draft, found.value, about, cause)
}

function apply(draft: Draft, found: Remedy, about: Outgoing | undefined, cause: Cause): void {
  switch (found.do) {
    case 'retry':
    case 'fallback':
      // Only an effect that is known has a policy.
      if (about !== undefined) sendAgain(draft, about, found, cause)
      return
    case 'go_on':
      take(draft, found.step, cause)
      return
    case 'pause':
      take(draft, found.step, cause)
      if (draft.record.status === 'running') move(draft, 'paused', 'policy', cause.now, reasonOf(cause))
      return
    case 'failed':
      take(draft, found.step, cause)
      if (draft.record.status === 'running')
        failAs(draft, { code: cause.happening.type, detail: reasonOf(cause) }, cause.now)
      return
    default:
      unreachable(found)
  }
}

/** An error that the statechart has no transition for, in a sentence. */
function reasonOf({ happening: { type, data } }: Cause): string {
  const { agent, delivery, reason, detail, to } = isJsonObject(data) ? data : {}
  const who = agent ?? to
  const why = [reason, detail].filter((part) => typeof part === 'string').join(': ')
  const where = typeof delivery === 'string' ? ` (${delivery})` : ''
  return `${type}${typeof who === 'string' ? ` of ${who}` : ''}${why === '' ? '' : `: ${why}`}${where}`.slice(
    0,
    limits.errorMessageLength,
  )
}

function sendAgain(
  draft: Draft,
  about: Outgoing,
  found: Extract<Remedy, { do: 'retry' | 'fallback' }>,
  cause: Cause,
): void {
  const { happening, told, now } = cause
  const again = found.do === 'retry'
  const message = again
    ? { ...about.message, ...(found.afterMs > 0 ? { delivertime: new Date(now + found.afterMs).toISOString() } : {}) }
    : { ...about.message, to: found.agent }
  const n = open(draft, {
    ...{ kind: about.kind, message, origin: about.origin, instead: about.n, openedAt: now },
    ...{ retried: about.retried + (again ? 1 : 0), fellBack: !again },
    ...causeOf(happening),
  })
  const detail = again ? `sent again, ${about.retried + 1}` : `sent to the fallback agent ${found.agent}`
  note(draft, 'remedy', 'policy', now, { ...told, effects: [n], detail: `${reasonOf(cause)}; ${detail}` })
}
