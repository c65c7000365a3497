/**
 * Run: what a take leased is delivered and settled: permits → deliver → settle. Used by whoever took: the consumer, and the
 * gateway for somebody who waits. Never here: what may be taken (shared/release.ts), or what an outcome does.
 */
import type { AgentRecord } from '../shared/agent.ts'
import type { LeasedDelivery, TakeAnswer } from '../shared/agent-port.ts'
import { agentIn } from '../shared/agent-text.ts'
import type { Platform } from '../shared/ports.ts'
import type { Report } from '../shared/settlement.ts'
import { withReply } from './answer.ts'
import { askBudgets } from './budget.ts'
import type { AnyAgent } from './define.ts'
import { deliver } from './deliver.ts'
import { batchingOf, callsOf, deliverBatch, heldBehind } from './deliver-batch.ts'
import { askPermits, tellResources } from './permit.ts'
import { Settler } from './settle.ts'
import type { Slots } from './slots.ts'
import { take } from './take.ts'

/**
 * Runs what one take gave. What would have made its answer too large is taken when the first are done: bodies of a megabyte would
 * fill the isolate. `judge` may see a report otherwise than the attempt did.
 */
export async function runTaken(
  platform: Platform,
  handlers: ReadonlyMap<string, AnyAgent>,
  slots: Slots,
  agent: string,
  first: TakeAnswer,
  alone: boolean,
  judge: (report: Report) => Report = asItIs,
): Promise<void> {
  let taken = first
  for (;;) {
    const record = agentIn(taken.agent)
    if (record !== undefined) await runLeases(platform, handlers, slots, record, taken.leases, judge)
    if (taken.rest.length === 0) return
    taken = await take(platform, agent, taken.rest, alone)
  }
}

/** deliver → settle, for leases of one agent. Outcomes go back as they arrive. What a budget or a resource holds up goes back unbegun. */
async function runLeases(
  platform: Platform,
  handlers: ReadonlyMap<string, AnyAgent>,
  slots: Slots,
  agent: AgentRecord,
  leases: readonly LeasedDelivery[],
  judge: (report: Report) => Report,
): Promise<void> {
  const budgeted = await askBudgets(platform, agent.name, leases)
  const { begin: permitted, held: parked, permits } = await askPermits(platform, agent, budgeted.begin)
  const held = [...budgeted.held, ...parked]
  const behind = heldBehind(leases, permitted, held)
  if (behind.length > 0) platform.waitUntil(tellResources(platform, agent, behind, permits))
  const begin = permitted.filter((lease) => behind.every((report) => report.token !== lease.token))
  const settler = new Settler(platform, agent.name, leases.length, permits)
  await Promise.all([
    ...[...held, ...behind].map((report) => settler.report(report)),
    ...callsOf(begin).map(async (call) => {
      const reports = await deliverAll(platform, handlers, slots, agent, call)
      await settler.report(
        ...(await Promise.all(reports.map((report) => answered(platform, agent, call, judge(report))))),
      )
    }),
  ])
}

// One call: of a batch, or of the one delivery that it is for.
async function deliverAll(
  platform: Platform,
  handlers: ReadonlyMap<string, AnyAgent>,
  slots: Slots,
  agent: AgentRecord,
  call: readonly LeasedDelivery[],
): Promise<Report[]> {
  const [first] = call
  if (first !== undefined && batchingOf(agent, first) !== undefined)
    return deliverBatch(platform, handlers, slots, agent, call)
  const each = call.map(async (lease): Promise<Report> => {
    const outcome = await deliver(platform, handlers, slots, agent, lease)
    return { id: lease.id, token: lease.token, outcome, external: false }
  })
  return Promise.all(each)
}

function answered(platform: Platform, agent: AgentRecord, call: readonly LeasedDelivery[], report: Report) {
  const lease = call.find(({ id }) => id === report.id)
  return lease === undefined ? report : withReply(platform, agent, lease, report)
}

const asItIs = (report: Report): Report => report
