/**
 * What moves a workflow besides events and writes: its beginning, people, time, and what became of its effects.
 * Never here: what the statechart makes of an event (shared/workflow-events.ts), saving (durable-objects/workflow.ts).
 */
import { type SlowEvent, slowEventOf } from './chart-machine.ts'
import { limits } from './limits.ts'
import { type Performed, refusalOf } from './outgoing.ts'
import { startChart } from './statechart.ts'
import { sound } from './versioned.ts'
import { commit, type Deferred, type Draft, type Happening, move, note, shownOf } from './workflow.ts'
import { keepTime, releaseMail, settleOwed, shortage } from './workflow-budget.ts'
import { failAs, settleInto } from './workflow-commit.ts'
import { chased, forgetAt, isOwing } from './workflow-due.ts'
import { type Knowledge, react, ring, wait } from './workflow-events.ts'
import type { Moved, PerformedNews, Purged } from './workflow-port.ts'
import { isOver } from './workflow-status.ts'

/** Version 1. A statechart takes its first step in it. */
export function begin(draft: Draft, { chart }: Knowledge, now: number): void {
  const { createdBy: by, input } = draft.record
  if (chart === undefined) {
    commit(draft, draft.state, 'created', by, now)
    return
  }
  const step = startChart(chart, { state: draft.state, input })
  const state = step.ok ? sound(step.value.state) : undefined
  if (step.ok && state?.ok === true) {
    settleInto(draft, step.value, 'created', by, now, {})
    return
  }
  commit(draft, draft.state, 'created', by, now)
  const fault = step.ok ? { code: 'step_too_large' } : step.error
  failAs(draft, { code: fault.code, detail: JSON.stringify(fault) }, now)
}

// --- people -----------------------------------------------------------------------------------------------------------

/** Until somebody resumes it, or `forMs` have passed. What comes meanwhile waits. */
export function pause(draft: Draft, by: string, reason: string, forMs: number | undefined, now: number): Moved {
  const { status } = draft.record
  if (isOver(status)) return { status: 'over', ended: status }
  if (status === 'running') move(draft, 'paused', by, now, reason)
  const { paused } = draft.record
  if (paused !== undefined && forMs !== undefined)
    draft.record = { ...draft.record, paused: { ...paused, untilAt: now + forMs } }
  return movedOf(draft)
}

/** What waited has its turn in the order in which it came. */
export function resume(draft: Draft, by: string, now: number): Moved {
  const { status, last, effectsUntil } = draft.record
  if (isOver(status)) return { status: 'over', ended: status }
  const reason = shortage(draft, now)
  if (status === 'paused' && reason !== undefined) return { status: 'spent', reason }
  if (status === 'paused') move(draft, 'running', by, now)
  // Whoever resumes it lets it send as many again.
  if (last.effect > effectsUntil) draft.record = { ...draft.record, effectsUntil: last.effect + limits.workflowEffects }
  releaseMail(draft)
  return movedOf(draft)
}

/** Its agents' work is not taken back; nothing moves it any more. Cancelling twice is cancelling once. */
export function cancel(draft: Draft, by: string, reason: string, now: number): Moved {
  const { status } = draft.record
  if (isOver(status) && status !== 'cancelled') return { status: 'over', ended: status }
  if (status !== 'cancelled') move(draft, 'cancelled', by, now, reason)
  return movedOf(draft)
}

export const movedOf = (draft: Draft): Moved => ({ status: 'moved', workflow: shownOf(draft) })

/** An ended one need not be kept any longer. */
export function purge(draft: Draft): Purged {
  if (!isOver(draft.record.status)) return { status: 'live', now: draft.record.status }
  draft.record = { ...draft.record, keptMs: 0, forgetting: true }
  return { status: 'purged' }
}

// --- time -------------------------------------------------------------------------------------------------------------

/** Timers that fire in one step: more of them have their turn at once afterwards. */
const timersAtOnce = 50

/** What time alone brings. True when somebody is to be asked to do what it owes. */
export function tick(draft: Draft, known: Knowledge, deferred: readonly Deferred[], now: number): boolean {
  const { untilAt = Number.POSITIVE_INFINITY } = draft.record.paused ?? {}
  if (draft.record.status === 'paused' && untilAt <= now && resume(draft, 'timer', now).status === 'spent')
    draft.record = withoutEnd(draft.record)
  keepTime(draft, now)
  drain(draft, known, deferred, now)
  fire(draft, known, now)
  if ((forgetAt(draft.record) ?? Number.POSITIVE_INFINITY) <= now && draft.record.forgetting === undefined)
    draft.record = { ...draft.record, forgetting: true }
  // What a timer has just made need not wait for the next time.
  const isFresh =
    draft.effects.some((e) => e.state.status === 'pending') ||
    draft.entries.some(({ entry }) => entry.kind === 'slow_state')
  const chasing = isOwing(draft.record) && (isFresh || (draft.record.chaseAt ?? now) <= now)
  if (chasing) draft.record = chased(draft.record, now)
  return chasing
}

/** Events that waited while it was paused have their turn, in order, until it is paused again or over. */
export function drain(draft: Draft, known: Knowledge, deferred: readonly Deferred[], now: number): void {
  for (const { v: _v, n, ...happening } of deferred) {
    if (draft.record.status !== 'running') return
    draft.record = { ...draft.record, waiting: draft.record.waiting - 1 }
    draft.drainedTo = n
    react(draft, known, happening, now)
  }
}

// The pause goes on until somebody raises the budget: its end must not ring again and again.
function withoutEnd(record: Draft['record']): Draft['record'] {
  const { paused, ...rest } = record
  if (paused === undefined) return record
  const { untilAt: _untilAt, ...pause } = paused
  return { ...rest, paused: pause }
}

// Late rather than early: the alarm may ring before its time. In the order in which they are due; one that is left may be
// cancelled or begun anew by the one before it.
function fire(draft: Draft, known: Knowledge, now: number): void {
  for (
    let fired = 0;
    fired < timersAtOnce && draft.record.status === 'running' && draft.record.waiting === 0;
    fired++
  ) {
    const due = draft.record.timers.filter((t) => t.dueAt <= now)
    const [first, ...others] = due
    if (first === undefined) return
    const next = others.reduce((a, b) => (b.dueAt < a.dueAt ? b : a), first)
    draft.record = { ...draft.record, timers: draft.record.timers.filter((t) => t !== next) }
    const slow = slowEventOf(next)
    if (slow === undefined) ring(draft, known, next.event, now)
    else noteSlow(draft, slow, next.dueAt - slow.afterMs, now)
  }
}

// Once for each visit, because its timer rings once. The chart goes on as if nothing had been said.
function noteSlow(draft: Draft, { state, afterMs }: SlowEvent, since: number, now: number): void {
  const detail = `${state} has lasted ${now - since} ms; more than ${afterMs} ms is slow`
  const { n } = note(draft, 'slow_state', 'timer', now, { detail })
  const slow = [...(draft.record.owes?.slow ?? []), { n, state, since, at: now }]
  draft.record = { ...draft.record, owes: { letGo: [], warnings: [], ...draft.record.owes, slow } }
}

// --- what became of its effects ---------------------------------------------------------------------------------------

/** Writes it down. What was carried or refused before stays so; a refusal comes back as the event `effect_refused` (E1). */
export function settle(draft: Draft, known: Knowledge, news: PerformedNews, now: number): void {
  // It comes too late, for one that had this id before.
  if (news.incarnation !== draft.record.incarnation) return
  if (news.owed !== undefined) settleOwed(draft, news.owed)
  if (news.listed !== undefined) draft.record = { ...draft.record, listed: news.listed }
  for (const one of news.effects) settleOne(draft, known, one, now)
}

function settleOne(draft: Draft, known: Knowledge, { n, state }: Performed, now: number): void {
  const effect = known.effectOf(n)
  if (effect?.state.status !== 'pending' || state.status === 'pending') return
  draft.effects.push({ ...effect, state })
  draft.record = { ...draft.record, open: draft.record.open - 1 }
  if (state.status !== 'refused' || isOver(draft.record.status)) return
  const happening: Happening = {
    ...{ type: 'effect_refused', data: refusalOf(effect, state.reason, state.detail), by: 'policy', about: n },
  }
  if (draft.record.status === 'running' && draft.record.waiting === 0) react(draft, known, happening, now)
  else wait(draft, happening)
}
