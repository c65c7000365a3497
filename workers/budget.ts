/**
 * Budgets: before deliveries begin, ask the workflows that they belong to; after they ended, tell them what was used. Costs mail that
 * belongs to no workflow nothing. Never here: what a budget makes of it (shared/budget.ts).
 */
import type { LeasedDelivery, Unfinished } from '../shared/agent-port.ts'
import { type BudgetNews, type BudgetPermit, payerOf } from '../shared/budget.ts'
import type { Effect, EffectStatus } from '../shared/effects.ts'
import { datedKey, effectId } from '../shared/ids.ts'
import type { PublishInput } from '../shared/message.ts'
import { type Outcome, parseEffects } from '../shared/outcome.ts'
import { type Incarnate, ownName } from '../shared/outgoing.ts'
import { brokerSource } from '../shared/permissions.ts'
import type { Platform } from '../shared/ports.ts'
import type { Report, Settlement } from '../shared/settlement.ts'
import { workflowTopic } from '../shared/topic.ts'
import { usageSchema } from '../shared/usage.ts'
import type { WorkflowRecord } from '../shared/workflow.ts'
import type { OwedDone } from '../shared/workflow-budget.ts'
import { contentOf, operationId } from '../shared/workflow-history.ts'
import { incomingOf } from './announce.ts'
import { enqueue } from './enqueue.ts'
import { publishMany } from './publish-many.ts'
import { termsOf } from './terms.ts'

export interface Budgeted {
  readonly begin: readonly LeasedDelivery[]
  /** What is to be given back unbegun. */
  readonly held: readonly Report[]
}

/** A workflow that does not answer lets nobody begin: what it cannot count it must not spend. */
const silentWaitMs = 5_000

/** Asks each workflow that has a budget once for all of these leases. */
export async function askBudgets(
  platform: Platform,
  agent: string,
  leases: readonly LeasedDelivery[],
): Promise<Budgeted> {
  const byWorkflow = Map.groupBy(leases, ({ head }) => payerOf(head) ?? '')
  byWorkflow.delete('')
  if (byWorkflow.size === 0) return { begin: leases, held: [] }
  const held = await Promise.all(
    [...byWorkflow].map(async ([workflow, mine]) => {
      const permits = await ask(platform, agent, workflow, mine)
      return mine.flatMap((lease) => heldBack(workflow, lease, permits))
    }),
  )
  const reports = held.flat()
  const out = new Set(reports.map((report) => report.token))
  if (out.size > 0) platform.log('budget', { agent, held: reports.map((report) => report.id) })
  return { begin: leases.filter((lease) => !out.has(lease.token)), held: reports }
}

async function ask(
  platform: Platform,
  agent: string,
  workflow: string,
  leases: readonly LeasedDelivery[],
): Promise<readonly BudgetPermit[]> {
  try {
    if (!(await termsOf(platform, workflow)).budgeted) return []
    const asks = leases.map(({ id, token, attempt, deadlineAt }) => ({
      ...{ ticket: token, delivery: id, agent, attempt },
      forMs: Math.max(0, deadlineAt - platform.now()),
    }))
    return await platform.workflow(workflow).permit(asks)
  } catch (error) {
    platform.log('budget.failed', { agent, workflow, error: String(error) })
    const because = `the workflow ${workflow} did not answer whether its budget allows it`
    return leases.map(({ token }) => ({ ticket: token, status: 'held', holdMs: silentWaitMs, because }))
  }
}

function heldBack(workflow: string, { id, token }: LeasedDelivery, permits: readonly BudgetPermit[]): Report[] {
  const permit = permits.find(({ ticket }) => ticket === token)
  if (permit === undefined || permit.status === 'permitted') return []
  const { because } = permit
  const outcome: Outcome = {
    ...{ kind: 'parked', because, workflow },
    ...(permit.status === 'held' ? { holdMs: permit.holdMs } : { holdMs: 0, over: true }),
  }
  return [{ id, token, outcome, external: false }]
}

/**
 * Tells what came of leases that were settled, where that is not journaled. Never throws: a lease of which a workflow hears nothing ends
 * by time.
 */
export async function tellBudgets(
  platform: Platform,
  reports: readonly Report[],
  settlements: readonly Settlement[],
): Promise<void> {
  const news = reports.flatMap((report, place) => {
    const settlement = settlements[place]
    const workflow = settlement?.status === 'settled' ? settlement.workflow : undefined
    return workflow === undefined ? [] : newsOf(report).map((one) => ({ workflow, one }))
  })
  await account(platform, news)
}

function newsOf({ token, outcome }: Report): BudgetNews[] {
  const key = `${token} ${outcome.kind}`
  switch (outcome.kind) {
    case 'later':
      return [{ ticket: token, key, goesOnMs: outcome.goesOnMs ?? 0 }]
    case 'unsent':
      return [{ ticket: token, key, unbegun: true }]
    case 'parked':
      // Held by the budget itself it has no permit.
      return outcome.workflow === undefined ? [{ ticket: token, key, unbegun: true }] : []
    case 'retry':
    case 'fail':
      return [{ ticket: token, key, ...(outcome.usage === undefined ? {} : { usage: outcome.usage }) }]
    case 'ok': {
      // Of one that is journaled this is not asked.
      const parsed = parseEffects(outcome.effects)
      const usage = parsed.ok ? parsed.value.usage : undefined
      return [{ ticket: token, key, ...(usage === undefined ? {} : { usage }) }]
    }
    default:
      return [{ ticket: token, key }]
  }
}

/** A lease goes on: what it set aside stays so. */
export function prolong(platform: Platform, workflow: string, token: string, forMs: number): Promise<void> {
  return account(platform, [{ workflow, one: { ticket: token, key: '', goesOnMs: forMs } }])
}

/** Carries what an attempt used, out of its journal, to its workflow. */
export async function chargeUsage(platform: Platform, one: Unfinished, effect: Effect): Promise<EffectStatus> {
  const { ticket, ...used } = effect.publish
  const workflow = String(one.head.workflowid)
  const usage = usageSchema.parse(used)
  const news: BudgetNews = { ticket: String(ticket), key: datedKey(effectId(one.id, effect.n), one.since), usage }
  if ((await termsOf(platform, workflow)).budgeted) await charge(platform, workflow, [news])
  return { status: 'carried', deliveries: [] }
}

/** What a workflow owes because of its budget: its mail is let go, and who listens is warned. */
export async function payOwed(platform: Platform, record: WorkflowRecord): Promise<OwedDone> {
  const { id, owes, definition } = record
  const { letGo, warnings } = owes ?? { letGo: [], warnings: [] }
  await Promise.all(letGo.map((agent) => release(platform, id, agent, Number.MAX_SAFE_INTEGER)))
  const told: number[] = []
  for (const warning of warnings)
    if (await warn(platform, record, definition !== undefined, warning)) told.push(warning.n)
  return { letGo, warnings: told }
}

// Told twice, it is a duplicate to whoever has it. False: too many events wait for the workflow, and it is told later.
async function warn(platform: Platform, workflow: Incarnate, hasChart: boolean, warning: Warning): Promise<boolean> {
  await announceWarning(platform, workflow, warning)
  return !hasChart || tellChart(platform, workflow, warning)
}

const warningKey = (workflow: Incarnate, n: number) => `workflow-${ownName(workflow)}-budget-${n}`

// A statechart may act while there is something left: wind up, take a cheaper agent, ask a person. One that has no such transition
// ignores it, as any event.
async function tellChart(platform: Platform, workflow: Incarnate, { n, unit }: Warning): Promise<boolean> {
  const key = warningKey(workflow, n)
  const happening = { type: 'budget_warning', data: { budget: unit }, by: brokerSource, id: key }
  const operation = { id: operationId(brokerSource, key), content: contentOf(happening.data) }
  const asker = { source: brokerSource, permitted: true }
  const received = await platform.workflow(workflow.id).receive(asker, { happening, operation })
  return received.status !== 'full'
}

async function announceWarning(platform: Platform, workflow: Incarnate, { n, unit, at }: Warning): Promise<void> {
  const { id } = workflow
  const audience = { kind: 'topic', topic: workflowTopic(id) } as const
  const { total } = await platform.directory().candidates(audience, undefined, 1)
  if (total === 0) return
  const key = warningKey(workflow, n)
  const input: PublishInput = {
    ...{ topic: audience.topic, type: `${brokerSource}.workflow.budget_warning`, id: key, subject: id, workflowid: id },
    ...{ budget: unit, time: new Date(at).toISOString(), onunroutable: 'drop' },
  }
  await publishMany(platform, audience, incomingOf(platform, input, key, at))
}

type Warning = NonNullable<WorkflowRecord['owes']>['warnings'][number]

async function account(
  platform: Platform,
  news: readonly { readonly workflow: string; readonly one: BudgetNews }[],
): Promise<void> {
  await Promise.all(
    [...Map.groupBy(news, ({ workflow }) => workflow)].map(async ([workflow, mine]) => {
      try {
        if (!(await termsOf(platform, workflow)).budgeted) return
        await charge(
          platform,
          workflow,
          mine.map(({ one }) => one),
        )
      } catch (error) {
        platform.log('budget.untold', { workflow, error: String(error) })
      }
    }),
  )
}

// Who waited for it goes on. That word may be lost: who waits asks again.
async function charge(platform: Platform, workflow: string, news: readonly BudgetNews[]): Promise<void> {
  const { turns, each } = await platform.workflow(workflow).account(news)
  await Promise.all(turns.map((agent) => release(platform, workflow, agent, each)))
}

async function release(platform: Platform, workflow: string, agent: string, max: number): Promise<void> {
  const { references } = await platform.agent(agent).letGo(workflow, max)
  enqueue(platform, agent, references)
}
