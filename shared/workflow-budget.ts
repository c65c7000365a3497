/**
 * A workflow and its budget: over it the workflow is paused and its mail parks; a person raises it, and both go on. What a person
 * is to be told, and which mailboxes may let mail go, the workflow owes until it is done (M6). Never here: counting (shared/budget.ts).
 */
import {
  type Budget,
  type BudgetAsk,
  type BudgetNews,
  type BudgetPermit,
  isOutOfTime,
  newBudget,
  permit,
  settleBudget,
  shortageOf,
  turnsOf,
  underLimits,
  warningsOf,
} from './budget.ts'
import { amended, type BudgetPatch, type BudgetUnit } from './budget-limits.ts'
import { type Guards, type GuardsPatch, guardsWith } from './lineage.ts'
import { type Draft, move, note } from './workflow.ts'
import { isOver } from './workflow-status.ts'

/** What a workflow lays down for the messages that belong to it. */
export interface Terms {
  readonly guards?: Guards
  /** Work that belongs to it needs its permit. */
  readonly budgeted: boolean
}

/** What is laid down for the messages that belong to a workflow. */
export function termsOf({ record, budget }: Draft): Terms {
  const hops = budget?.limits.hops
  const guards = hops === undefined ? record.guards : guardsWith(record.guards, { hops })
  return { ...(guards === undefined ? {} : { guards }), budgeted: budget !== undefined }
}

/** Asks for leases that want to begin. Whoever is held because it is spent pauses the workflow. */
export function ask(draft: Draft, asks: readonly BudgetAsk[], now: number): readonly BudgetPermit[] {
  if (draft.budget === undefined) return asks.map(({ ticket }) => ({ ticket, status: 'permitted' }))
  const [budget, permits] = permit(draft.budget, asks, isOver(draft.record.status), now)
  keep(draft, budget, now)
  return permits
}

/** Tells what became of permits. Gives the agents that may go on. */
export function account(draft: Draft, news: readonly BudgetNews[], now: number): readonly string[] {
  if (draft.budget === undefined) return []
  const tickets = new Set(news.map(({ ticket }) => ticket))
  const ended = draft.budget.leases.filter((l) => tickets.has(l.ticket)).map((l) => l.agent)
  const [budget, turns] = turnsOf(settleBudget(draft.budget, news, now), ended)
  keep(draft, budget, now)
  return turns
}

/** What time alone does to it. */
export function keepTime(draft: Draft, now: number): void {
  if (draft.budget === undefined || isOver(draft.record.status)) return
  const budget: Budget = isOutOfTime(draft.budget, now) ? { ...draft.budget, stopped: 'seconds' } : draft.budget
  keep(draft, budget, now)
}

// Warns once of each unit, and pauses when something is held because it is spent.
function keep(draft: Draft, changed: Budget, now: number): void {
  const wasStopped = draft.budget?.stopped !== undefined
  const [budget, warnings] = warningsOf(changed, now)
  draft.budget = budget
  for (const { unit, text } of isOver(draft.record.status) ? [] : warnings) warn(draft, unit, text, now)
  const shortage = budget.stopped === undefined ? undefined : shortageOf(budget, now)
  if (shortage === undefined || wasStopped || draft.record.status !== 'running') return
  move(draft, 'paused', 'policy', now, `its budget is spent: ${shortage}; raise it to go on`)
  draft.record = { ...draft.record, ...(draft.record.paused && { paused: { ...draft.record.paused, budget: true } }) }
}

function warn(draft: Draft, unit: BudgetUnit, text: string, now: number): void {
  const { n } = note(draft, 'budget_warning', 'policy', now, { detail: `four fifths of its budget are spent: ${text}` })
  const warnings = [...(draft.record.owes?.warnings ?? []), { n, unit, at: now }]
  draft.record = { ...draft.record, owes: { letGo: [], ...draft.record.owes, warnings } }
}

/** A budget that is spent keeps it paused, whoever resumes it. What it is short of, if it is. */
export function shortage({ budget }: Draft, now: number): string | undefined {
  return budget === undefined ? undefined : shortageOf(budget, now)
}

/** Its mail may go on, or has to be decided because it has ended. */
export function releaseMail(draft: Draft): void {
  const { budget } = draft
  if (budget === undefined || budget.holding.length === 0) return
  const { stopped: _stopped, ...rest } = budget
  const isEnded = isOver(draft.record.status)
  // Of one that has ended what is spent stays so: its mail asks once more, and dies.
  draft.budget = { ...(isEnded ? budget : rest), holding: [] }
  const letGo = [...new Set([...(draft.record.owes?.letGo ?? []), ...budget.holding])]
  draft.record = { ...draft.record, owes: { warnings: [], ...draft.record.owes, letGo } }
}

/** What a person lays down anew. */
export interface Amendment {
  readonly budget?: BudgetPatch | null | undefined
  readonly guards?: GuardsPatch | null | undefined
}

/** Lays it down. True when it was paused for what is no longer spent: it is to go on by itself. */
export function amend(draft: Draft, { budget: patch, guards }: Amendment, by: string, now: number): boolean {
  const { record } = draft
  const laid = laidDown(draft)
  if (guards !== undefined) {
    const { guards: _guards, ...rest } = record
    draft.record = guards === null ? rest : { ...rest, guards: guardsWith(record.guards, guards) }
  }
  if (patch === null) {
    releaseMail(draft)
    draft.budget = undefined
  } else if (patch !== undefined) {
    const limits = amended(draft.budget?.limits ?? {}, patch)
    const before = draft.budget ?? newBudget(limits, record.createdAt)
    draft.budget = underLimits(before, limits, now)
    if (before.stopped !== undefined && draft.budget.stopped === undefined) releaseMail(draft)
  }
  // A repeat of the call changes nothing, and is no news.
  if (JSON.stringify(laid) !== JSON.stringify(laidDown(draft)))
    note(draft, 'amended', by, now, { detail: JSON.stringify({ budget: patch, guards }) })
  return record.paused?.budget === true && shortage(draft, now) === undefined
}

const laidDown = ({ record, budget }: Draft) => [record.guards, budget?.limits]

/** What of what it owed is done. */
export interface OwedDone {
  readonly letGo: readonly string[]
  readonly warnings: readonly number[]
  readonly slow?: readonly number[]
}

export function settleOwed(draft: Draft, { letGo, warnings, slow = [] }: OwedDone): void {
  const { owes, ...record } = draft.record
  if (owes === undefined) return
  const left = {
    letGo: owes.letGo.filter((agent) => !letGo.includes(agent)),
    warnings: owes.warnings.filter(({ n }) => !warnings.includes(n)),
  }
  const leftSlow = (owes.slow ?? []).filter(({ n }) => !slow.includes(n))
  const isDone = left.letGo.length + left.warnings.length + leftSlow.length === 0
  draft.record = isDone
    ? record
    : { ...record, owes: { ...left, ...(leftSlow.length === 0 ? {} : { slow: leftSlow }) } }
}
