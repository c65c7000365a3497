/**
 * What must hold of scatters, chains, questions to people, schedules and workflows, after each step of a workflow and when a
 * story has come to rest. Never here: the story (ventures.ts), single workflows' rows (workflow-checks.ts).
 */
import { type Approval, pendingNews } from '../../shared/approval.ts'
import { readBudget } from '../../shared/budget.ts'
import type { Gather } from '../../shared/gather.ts'
import type { Receipt } from '../../shared/receipt.ts'
import { isScatterOver } from '../../shared/scatter-results.ts'
import { isPending, type Schedule, statusOf } from '../../shared/schedule.ts'
import { must } from './invariants.ts'
import type { SimStorage } from './storage.ts'
import { initialState, mostTokens } from './ventures.ts'
import { checkWorkflow, type Stored } from './workflow-checks.ts'

/** After each step: W1, W3, M6 by its rows; W4 by its budget. So many `agents` worked for it, each using so much at most. */
export function checkStep(name: string, storage: SimStorage, agents: number): void {
  checkWorkflow(name, storage, initialState)
  const rows = (query: string) => storage.sql.exec(query).toArray()
  if (rows("SELECT 1 FROM sqlite_master WHERE name = 'budget'").length === 0) return
  const [row] = rows('SELECT record FROM budget')
  if (row === undefined) return
  const { spent, limits } = readBudget(row['record'])
  const past = spent.tokens - (limits.tokens ?? Number.POSITIVE_INFINITY)
  must(past < Math.max(1, agents * mostTokens), 'W4', () => `${name} spent ${spent.tokens} of ${limits.tokens} tokens`)
  const most = limits.messages ?? Number.POSITIVE_INFINITY
  must(spent.messages <= most, 'W4', () => `${name} began ${spent.messages} of ${most} messages`)
}

/** What a story leaves behind of them. */
export interface Ventured {
  readonly scatters: ReadonlySet<string>
  readonly gathers: ReadonlyMap<string, Gather>
  /** Each that somebody was told is there, with what is there. */
  readonly approvals: ReadonlyMap<string, Approval | undefined>
  readonly schedules: ReadonlyMap<string, Schedule | undefined>
  readonly workflows: ReadonlyMap<string, Stored | undefined>
  readonly receipts: ReadonlyMap<string, Receipt>
}

export function checkVentures(ventured: Ventured): void {
  const { scatters, gathers, approvals, schedules, workflows, receipts } = ventured
  for (const id of scatters) must(gathers.has(id), 'M1', () => `scatter ${id} was accepted and is unknown`)
  for (const gather of gathers.values()) if (gather.scatter !== undefined) checkScatter(gather, receipts)
  for (const [id, approval] of approvals) checkApproval(id, approval, receipts)
  for (const [id, schedule] of schedules) checkSchedule(id, schedule, receipts)
  for (const [id, workflow] of workflows) checkRest(id, workflow)
  for (const receipt of receipts.values()) checkPass(receipt, receipts)
}

/** G1 of many: each leg counts once, and the reducer and whoever waits for the end hear it once. */
function checkScatter(gather: Gather, receipts: ReadonlyMap<string, Receipt>): void {
  const { id, arrivals, legs } = gather
  must(isScatterOver(gather), 'G1', () => `${id} never ended: ${JSON.stringify(gather)}`)
  const counted = arrivals.filter((a) => a.standing === 'counted').map((a) => a.leg)
  must(new Set(counted).size === counted.length, 'G1', () => `a leg of ${id} counts twice: ${counted.join(' ')}`)
  const copies = (message: string) => [...receipts.values()].filter((r) => r.message.id === message).length
  for (const { n } of legs) must(copies(`${id}.map.${n - 1}`) <= 1, 'M2', () => `leg ${n} of ${id} was asked twice`)
  must(copies(`${id}.reduce`) <= 1, 'M2', () => `the reducer of ${id} was asked twice`)
  must(copies(`${id}.ended`) <= 1, 'M2', () => `the end of ${id} was told twice`)
}

/** TC11: it ends once, and everybody who is to be told is, once. */
function checkApproval(id: string, approval: Approval | undefined, receipts: ReadonlyMap<string, Receipt>): void {
  must(approval?.outcome !== undefined, 'M1', () => `question ${id} rests as ${JSON.stringify(approval)}`)
  if (approval === undefined) return
  must(pendingNews(approval).length === 0, 'M1', () => `of ${id} somebody was never told: ${JSON.stringify(approval)}`)
  for (const { n, state } of approval.news) {
    const told = [...receipts.values()].filter((r) => r.message.id === `${id}-${n}`).length
    // Decided by who heard of it, before whoever told them had written that down and died of it.
    const unknown = state.status === 'refused' && state.reason === 'over'
    const due = state.status === 'carried' ? 1 : 0
    must(
      told === due || (unknown && told <= 1),
      'M2',
      () => `news ${n} of ${id} is ${JSON.stringify(state)}, and was told ${told} times`,
    )
  }
}

/** TB2: each of its times is published once, or it is said why not. */
function checkSchedule(id: string, schedule: Schedule | undefined, receipts: ReadonlyMap<string, Receipt>): void {
  must(schedule !== undefined, 'M1', () => `schedule ${id} was made and is unknown`)
  if (schedule === undefined) return
  const { firings } = schedule
  must(!firings.some(isPending), 'M1', () => `a time of ${id} was never published: ${JSON.stringify(firings)}`)
  must(statusOf(schedule) === 'finished', 'M6', () => `${id} never finished: ${JSON.stringify(schedule)}`)
  for (const { id: message, state } of firings) {
    const there = [...receipts.values()].filter((r) => r.message.id === message).length
    if (state.status === 'published' && state.publication !== undefined) continue
    const due = state.status === 'published' ? 1 : 0
    must(there === due, 'M2', () => `${message} is ${state.status}, and exists ${there} times`)
  }
}

/** E1 and M1: nothing that it sent or that came to it still waits. */
function checkRest(id: string, workflow: Stored | undefined): void {
  must(workflow !== undefined, 'W3', () => `${id} was made and is not there`)
  if (workflow === undefined) return
  const { record, effects, deferred } = workflow
  const pending = effects.filter((e) => e.state.status === 'pending')
  must(pending.length === 0, 'E1', () => `${id} never sent ${JSON.stringify(pending)}`)
  must(deferred === 0, 'M1', () => `${id} left ${deferred} events waiting: ${JSON.stringify(record)}`)
  const wanted = record.definition === undefined ? 'running' : 'completed'
  must(record.status === wanted, 'M1', () => `${id} rests as ${JSON.stringify(record)}`)
}

/** A59: a message that is passed on comes to one other agent, once, who knows who was asked before. */
function checkPass(receipt: Receipt, receipts: ReadonlyMap<string, Receipt>): void {
  for (const { kind, state } of receipt.effects ?? []) {
    if (kind !== 'pass' || state.status !== 'carried') continue
    const [next, ...others] = state.deliveries.map((id) => receipts.get(id))
    const asked = [...(receipt.tried ?? []).map((t) => t.agent), receipt.agent]
    const known = next?.tried?.map((t) => t.agent).slice(0, asked.length)
    const same = next?.message.id === receipt.message.id && next.message.source === receipt.message.source
    must(
      same && others.length === 0 && known?.join() === asked.join() && !asked.includes(next.agent),
      'M2',
      () => `${receipt.id} was passed on as ${JSON.stringify(state)}, and there is ${JSON.stringify(next)}`,
    )
  }
}
