/**
 * A workflow's budget: what its work may use in all. Asked for a permit before each lease begins, told what was used when it ends.
 *
 *   ask ──► permitted: what it may use is set aside ──► settled: what it did use is spent
 *    ├───► held until its turn: its agent works on this workflow already, and nobody knows what that will use
 *    └───► held until it is raised: the workflow is paused, and its mail parks, at no attempt (M4)
 *
 * W4 no workflow spends past its budget by more than one lease of each agent. Never here: pausing the workflow
 * (shared/workflow-budget.ts), parking the mail (shared/waiting.ts).
 */
import * as z from 'zod'
import { type BudgetLimits, type BudgetUnit, budgetLimits, budgetUnit } from './budget-limits.ts'
import { limits } from './limits.ts'
import type { Head } from './message.ts'
import { brokerSource } from './permissions.ts'
import { tokensOf, type Usage } from './usage.ts'

const metered = ['tokens', 'costUsd'] as const
type Metered = (typeof metered)[number]

const lease = z.strictObject({
  /** The lease's token. */
  ticket: z.string(),
  delivery: z.string(),
  agent: z.string(),
  until: z.number(),
  /** It was counted as a message when it began. */
  counted: z.boolean(),
  /** Set aside. */
  tokens: z.number(),
  costUsd: z.number(),
})

export const budgetRecord = z.strictObject({
  v: z.literal(1),
  limits: budgetLimits,
  since: z.number(),
  spent: z.strictObject({ messages: z.int(), tokens: z.number(), costUsd: z.number() }),
  leases: z.array(lease),
  /** Agents whose mailboxes hold mail of it. */
  holding: z.array(z.string()),
  /** Of these 80 % were spent, and that was said. */
  warned: z.array(budgetUnit),
  /** Something was held because this is spent. */
  stopped: budgetUnit.exactOptional(),
  /** The latest reports of usage: told again, they change nothing. */
  told: z.array(z.string()),
  /** Counted deliveries of which nobody heard, the latest: begun again they are no other messages. */
  silent: z.array(z.string()).exactOptional(),
})
export type Budget = z.infer<typeof budgetRecord>

/** A stored record, parsed as the network is. */
export const readBudget = (stored: unknown): Budget => budgetRecord.parse(JSON.parse(String(stored)))

export function newBudget(asked: BudgetLimits, since: number): Budget {
  const spent = { messages: 0, tokens: 0, costUsd: 0 }
  return { v: 1, limits: asked, since, spent, leases: [], holding: [], warned: [], told: [] }
}

/** The workflow whose budget a message's deliveries need and use. What the broker itself says is nobody's work. */
export function payerOf({ source, workflowid }: Head): string | undefined {
  return source === brokerSource || typeof workflowid !== 'string' ? undefined : workflowid
}

const warnAt = 0.8
const rememberedMax = 256
const graceMs = 5_000
/** Who waits is told when it may go on; when that word is lost it asks again after this. */
const turnMs = 10_000
const raisedMs = 900_000

// --- asked ------------------------------------------------------------------------------------------------------------

/** One lease that wants to begin. */
export interface BudgetAsk {
  readonly ticket: string
  readonly delivery: string
  readonly agent: string
  /** 1 is the first: it counts as a message. */
  readonly attempt: number
  readonly forMs: number
}

export type BudgetPermit =
  | { readonly ticket: string; readonly status: 'permitted' }
  | { readonly ticket: string; readonly status: 'held'; readonly because: string; readonly holdMs: number }
  /** The workflow has ended with its budget spent: it will never begin. */
  | { readonly ticket: string; readonly status: 'over'; readonly because: string }

/** Permits what may begin, in the order it is asked for. The same ticket again is given the same permit. `over`: the workflow has ended. */
export function permit(
  before: Budget,
  asks: readonly BudgetAsk[],
  over: boolean,
  now: number,
): [Budget, BudgetPermit[]] {
  let budget = elapsed(before, now)
  const answers = asks.map((ask): BudgetPermit => {
    const { ticket } = ask
    if (budget.leases.some((l) => l.ticket === ticket)) return { ticket, status: 'permitted' }
    const [next, wanting] = begin(budget, ask, now)
    budget = next
    if (wanting === undefined) return { ticket, status: 'permitted' }
    if (wanting === 'turn') {
      const because = `${ask.agent} works on this workflow already, and what that uses is not known yet`
      return { ticket, status: 'held', because, holdMs: turnMs }
    }
    const because = `the budget of its workflow is spent: ${shortageText(budget, wanting, now)}`
    return over ? { ticket, status: 'over', because } : { ticket, status: 'held', because, holdMs: raisedMs }
  })
  return [budget, answers]
}

function begin(budget: Budget, ask: BudgetAsk, now: number): [Budget, BudgetUnit | 'turn' | undefined] {
  const { ticket, delivery, agent, attempt, forMs } = ask
  const before = budget.leases.find((l) => l.delivery === delivery)
  const isSilent = before === undefined && budget.silent?.includes(delivery) === true
  const counted = attempt === 1 && before === undefined && !isSilent
  const spent = budget.stopped ?? spentUnit(budget, counted ? 1 : 0, now)
  if (spent !== undefined) return [{ ...holds(budget, agent), stopped: spent }, spent]
  // Its lease ended in silence: what that set aside is free, and it is no other message.
  const others = budget.leases.filter((l) => l !== before)
  const aside = toSetAside(budget, others, agent)
  if (aside === undefined) return [holds(budget, agent), 'turn']
  const until = now + forMs + graceMs
  const begun = { ticket, delivery, agent, until, counted: counted || isSilent || before?.counted === true, ...aside }
  const messages = budget.spent.messages + (counted ? 1 : 0)
  const silent = isSilent ? { silent: budget.silent?.filter((one) => one !== delivery) ?? [] } : {}
  return [{ ...budget, ...silent, spent: { ...budget.spent, messages }, leases: [...others, begun] }, undefined]
}

// What one more lease of this agent sets aside; undefined when it has to wait for others.
function toSetAside(
  { limits: laidDown, spent }: Budget,
  others: Budget['leases'],
  agent: string,
): Record<Metered, number> | undefined {
  const bounded = metered.filter((unit) => laidDown[unit] !== undefined)
  const left = (unit: Metered) => (laidDown[unit] ?? 0) - spent[unit] - others.reduce((sum, l) => sum + l[unit], 0)
  const wanted = (unit: Metered) => laidDown.reserve?.[unit] ?? 0
  if (bounded.length === 0) return { tokens: 0, costUsd: 0 }
  const fits = bounded.every((unit) => wanted(unit) > 0 && wanted(unit) <= left(unit))
  const isAlone = others.every((l) => l.agent !== agent)
  if (!fits && !(isAlone && bounded.every((unit) => left(unit) > 0))) return undefined
  const aside = (unit: Metered) => (laidDown[unit] === undefined ? 0 : Math.min(wanted(unit), left(unit)))
  return { tokens: aside('tokens'), costUsd: aside('costUsd') }
}

function holds(budget: Budget, agent: string): Budget {
  if (budget.holding.includes(agent) || budget.holding.length >= limits.agentsHolding) return budget
  return { ...budget, holding: [...budget.holding, agent] }
}

/** Time passes: a lease of which nobody heard ends, and what it set aside is taken for spent. */
function elapsed(budget: Budget, now: number): Budget {
  const lost = budget.leases.filter((l) => l.until <= now)
  if (lost.length === 0) return budget
  const leases = budget.leases.filter((l) => l.until > now)
  const counted = lost.flatMap((l) => (l.counted ? [l.delivery] : []))
  const silent = counted.length === 0 ? {} : { silent: [...(budget.silent ?? []), ...counted].slice(-rememberedMax) }
  return lost.reduce((next, l) => plus(next, l.tokens, l.costUsd), { ...budget, ...silent, leases })
}

const plus = (budget: Budget, tokens: number, costUsd: number): Budget => ({
  ...budget,
  spent: { ...budget.spent, tokens: budget.spent.tokens + tokens, costUsd: budget.spent.costUsd + costUsd },
})

// --- told -------------------------------------------------------------------------------------------------------------

/** What came of a permit. */
export interface BudgetNews {
  readonly ticket: string
  /** Names the report. */
  readonly key: string
  /** It never began: it is not counted. */
  readonly unbegun?: true
  /** It goes on for so long. */
  readonly goesOnMs?: number
  readonly usage?: Usage
}

/** Writes down what was used. A report that is told again changes nothing. */
export function settleBudget(before: Budget, news: readonly BudgetNews[], now: number): Budget {
  return news.reduce((budget, one) => settleOne(budget, one, now), elapsed(before, now))
}

function settleOne(budget: Budget, { ticket, key, unbegun, goesOnMs, usage }: BudgetNews, now: number): Budget {
  const held = budget.leases.find((l) => l.ticket === ticket)
  if (goesOnMs !== undefined) {
    const leases = budget.leases.map((l) => (l === held ? { ...l, until: now + goesOnMs + graceMs } : l))
    return held === undefined ? budget : { ...budget, leases }
  }
  if (budget.told.includes(key)) return budget
  const uncounted = unbegun === true && held?.counted === true ? 1 : 0
  const next: Budget = {
    ...budget,
    leases: budget.leases.filter((l) => l !== held),
    spent: { ...budget.spent, messages: budget.spent.messages - uncounted },
  }
  // Without usage it changes nothing when it is told again: only its lease does, and that is gone.
  if (usage === undefined) return next
  const told = [...budget.told, key].slice(-rememberedMax)
  return plus({ ...next, told }, tokensOf(usage), usage.costUsd ?? 0)
}

/** Agents that may go on now that these have ended, and how many of their messages. They hold nothing any more. */
export function turnsOf(budget: Budget, ended: readonly string[]): [Budget, readonly string[]] {
  if (budget.stopped !== undefined) return [budget, []]
  const isShared = budget.limits.reserve !== undefined
  const turns = budget.holding.filter((agent) => isShared || ended.includes(agent))
  return turns.length === 0
    ? [budget, turns]
    : [{ ...budget, holding: budget.holding.filter((agent) => !turns.includes(agent)) }, turns]
}

// --- people -----------------------------------------------------------------------------------------------------------

/** Under other limits. What is no longer spent may go on, and is warned of anew. */
export function underLimits(budget: Budget, asked: BudgetLimits, now: number): Budget {
  const { stopped, ...rest } = { ...budget, limits: asked }
  const warned = rest.warned.filter((unit) => shareOf(rest, unit, now) >= warnAt)
  return { ...rest, warned, ...(stopped !== undefined && isSpent(rest, stopped, now) ? { stopped } : {}) }
}

/** What is spent of it, and keeps it stopped. */
export function shortageOf(budget: Budget, now: number): string | undefined {
  const { stopped } = budget
  return stopped === undefined || !isSpent(budget, stopped, now) ? undefined : shortageText(budget, stopped, now)
}

// --- questions --------------------------------------------------------------------------------------------------------

function usedOf({ spent, since }: Budget, unit: BudgetUnit, now: number): number {
  return unit === 'seconds' ? (now - since) / 1_000 : spent[unit]
}

function shareOf(budget: Budget, unit: BudgetUnit, now: number): number {
  const limit = budget.limits[unit]
  return limit === undefined ? 0 : usedOf(budget, unit, now) / limit
}

// Nothing more may begin. Of messages that is said when one more wants to.
const isSpent = (budget: Budget, unit: BudgetUnit, now: number): boolean => shareOf(budget, unit, now) >= 1

function spentUnit(budget: Budget, messages: number, now: number): BudgetUnit | undefined {
  const { messages: limit } = budget.limits
  if (limit !== undefined && budget.spent.messages + messages > limit) return 'messages'
  return (['tokens', 'costUsd', 'seconds'] as const).find((unit) => isSpent(budget, unit, now))
}

const unitText: Readonly<Record<BudgetUnit, string>> = {
  messages: 'messages',
  tokens: 'tokens',
  costUsd: 'US dollars',
  seconds: 'seconds',
}

function shortageText(budget: Budget, unit: BudgetUnit, now: number): string {
  const used = Math.round(usedOf(budget, unit, now) * 1e6) / 1e6
  return `${used} of ${budget.limits[unit] ?? 0} ${unitText[unit]}`
}

/** Those of which 80 % are spent and nobody was told, with what to say. */
export function warningsOf(budget: Budget, now: number): [Budget, readonly { unit: BudgetUnit; text: string }[]] {
  const units = budgetUnit.options.filter(
    (unit) => !budget.warned.includes(unit) && shareOf(budget, unit, now) >= warnAt,
  )
  if (units.length === 0) return [budget, []]
  const said = units.map((unit) => ({ unit, text: shortageText(budget, unit, now) }))
  return [{ ...budget, warned: [...budget.warned, ...units] }, said]
}

/** When time alone changes it: its clock runs to four fifths, and out. */
export function budgetDueAt({ limits: laidDown, since, warned, stopped }: Budget): number | undefined {
  const isWarned = warned.includes('seconds')
  // What is stopped cannot be stopped again: a time that stayed in the past would ring for ever.
  if (laidDown.seconds === undefined || stopped === 'seconds' || (stopped !== undefined && isWarned)) return undefined
  return since + laidDown.seconds * 1_000 * (isWarned ? 1 : warnAt)
}

/** Has its clock run out, and nobody has noticed? */
export const isOutOfTime = (budget: Budget, now: number): boolean =>
  budget.stopped === undefined && isSpent(budget, 'seconds', now)

/** A budget as it is shown. */
export function publicBudget(budget: Budget, now: number) {
  const { limits: laidDown, spent, leases, holding, stopped } = elapsed(budget, now)
  const seconds = Math.round(((now - budget.since) / 1_000) * 1e3) / 1e3
  return {
    ...laidDown,
    spent: { ...spent, ...(laidDown.seconds === undefined ? {} : { seconds }) },
    ...(leases.length === 0 ? {} : { inFlight: leases.length }),
    ...(holding.length === 0 ? {} : { holding }),
    ...(stopped === undefined ? {} : { stopped }),
  }
}
