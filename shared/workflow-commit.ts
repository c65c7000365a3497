/**
 * What a step of the statechart comes to: snapshot, state, timers, outgoing effects, status and history as one commit (W3).
 * Never here: which step it is (shared/workflow-events.ts), saving.
 */
import type { ChartEffect, ChartFault, ChartStep } from './chart-step.ts'
import type { JsonObject } from './json-pointer.ts'
import { limits } from './limits.ts'
import { messageOf, type Outgoing } from './outgoing.ts'
import { stayed } from './stays.ts'
import { commit, type Draft, type Happening, move, note } from './workflow.ts'

/** Why a step is taken, and what its entry says of that. */
export interface Cause {
  readonly happening: Happening
  readonly told: {
    readonly event: { readonly type: string; readonly id?: string }
    readonly operation?: { readonly id: string; readonly content: string }
  }
  readonly now: number
}

/** Takes a step of the statechart, or records that there was none. */
export function take(draft: Draft, step: ChartStep, cause: Cause): void {
  const { happening, told, now } = cause
  if (!step.taken && step.path.length === 0 && step.effects.length === 0 && step.state === draft.state) {
    note(draft, 'ignored', happening.by, now, told)
    return
  }
  settleInto(
    draft,
    step,
    'transition',
    happening.by,
    now,
    { ...told, ...(step.taken ? {} : { detail: 'not taken by itself' }) },
    happening,
  )
}

/** Snapshot, state, timers, effects and status of a step, as one commit with its entry (W3). */
export function settleInto(
  draft: Draft,
  step: ChartStep,
  kind: 'created' | 'transition',
  by: string,
  now: number,
  told: Parameters<typeof note>[4],
  happening?: Happening,
): void {
  const { snapshot, value, status, output } = step
  const cancelled = new Set([...step.timers.cancel, ...step.timers.start.map((t) => t.id)])
  const timers = [
    ...draft.record.timers.filter((t) => !cancelled.has(t.id)),
    ...step.timers.start.map(({ id, afterMs, event }) => ({ id, event, dueAt: now + afterMs })),
  ]
  const done = status === 'done'
  draft.record = {
    ...draft.record,
    ...{ snapshot, value, timers: done ? [] : timers },
    stays: stayed(draft.record.stays ?? {}, done ? [] : snapshot.active, now),
    ...(done ? { status: 'completed', endedAt: now, waiting: 0 } : {}),
    ...(output === undefined ? {} : { output }),
  }
  if (done) draft.drainedTo = draft.record.last.deferred
  const effects = step.effects.map((effect) => open(draft, outgoingOf(effect, step.state, now, happening)))
  const path = step.path.map(({ from, to, event }) => ({ from, to, event }))
  commit(draft, step.state, kind, by, now, { ...told, value, path, ...(effects.length === 0 ? {} : { effects }) })
  const { last, effectsUntil } = draft.record
  if (last.effect > effectsUntil && draft.record.status === 'running')
    move(
      draft,
      'paused',
      'policy',
      now,
      `it has sent ${last.effect} messages; resume it to let it send ${limits.workflowEffects} more`,
    )
}

function outgoingOf(
  { kind, origin, params }: ChartEffect,
  state: JsonObject,
  now: number,
  happening: Happening | undefined,
) {
  const made = messageOf(params, state)
  return {
    ...{ kind, origin, openedAt: now, retried: 0, fellBack: false },
    ...(made.ok ? { message: made.value } : { message: params, flaw: made.error }),
    ...causeOf(happening),
  }
}

export const causeOf = (happening: Happening | undefined) => ({
  ...(happening?.id === undefined ? {} : { causationid: happening.id }),
  ...(happening?.traceparent === undefined ? {} : { traceparent: happening.traceparent }),
})

/** Numbers an effect and leaves it to be carried out. */
export function open(draft: Draft, effect: Omit<Outgoing, 'v' | 'n' | 'entry' | 'state'>): number {
  const { last, open: pending } = draft.record
  const n = last.effect + 1
  draft.record = { ...draft.record, last: { ...last, effect: n }, open: pending + 1 }
  // The entry of this step is the next one.
  draft.effects.push({ v: 1, n, entry: last.entry + 1, ...effect, state: { status: 'pending' } })
  return n
}

export function fail(draft: Draft, fault: ChartFault, { told, now }: Cause): void {
  const { code, ...evidence } = fault
  failAs(draft, { code, detail: JSON.stringify(evidence).slice(0, limits.errorMessageLength) }, now, told)
}

/** The statechart cannot go on, or its policy says that it shall not. */
export function failAs(
  draft: Draft,
  error: { readonly code: string; readonly detail: string },
  now: number,
  told: object = {},
): void {
  draft.record = { ...draft.record, error }
  move(draft, 'failed', 'policy', now, `${error.code}: ${error.detail}`, told)
}
