/**
 * Settle: report what attempts came to, and see to what follows: references to what became free, effects, burials, and word
 * to the resources and to the workflows' budgets.
 * Never here: counting attempts or choosing what is next (shared/settlement.ts).
 */
import type { AgentRecord } from '../shared/agent.ts'
import { agentIn } from '../shared/agent-text.ts'
import { messageSchema } from '../shared/message.ts'
import type { Platform } from '../shared/ports.ts'
import type { Report, Settlement } from '../shared/settlement.ts'
import { tellBudgets } from './budget.ts'
import { carryOut } from './effects.ts'
import { enqueue } from './enqueue.ts'
import { type Permits, tellResources } from './permit.ts'

/** Settles several reports of one agent in one call. What follows goes on under waitUntil, with the mailbox's alarm as the net. */
export async function settle(
  platform: Platform,
  agent: string,
  reports: readonly Report[],
  permits: Permits = new Map(),
): Promise<readonly Settlement[]> {
  const startedAt = platform.now()
  const answer = await platform.agent(agent).settle(reports)
  for (const { id, outcome } of reports)
    if (outcome.kind !== 'unsent') platform.tracing?.settled(agent, id, outcome.kind, startedAt)
  platform.log('settle', { agent, settlements: answer.settlements.map((s) => `${s.status} ${s.id}`) })
  for (const { id, gather, standing, report } of answer.arrived) {
    platform.bell.ring(gather, report)
    const said = platform.tracing === undefined ? undefined : reports.find((one) => one.id === id)?.reply?.body
    if (said !== undefined) platform.tracing?.sent(messageSchema.parse(JSON.parse(said)))
    platform.log('arrive', { gather, by: agent, delivery: id, standing })
  }
  enqueue(platform, agent, answer.references)
  const record = agentIn(answer.agent)
  if (answer.unfinished.length > 0) platform.waitUntil(carryOut(platform, agent, record, answer.unfinished))
  if (answer.settlements.some((one) => one.status === 'settled' && one.workflow !== undefined))
    platform.waitUntil(tellBudgets(platform, reports.map(withWindow(record)), answer.settlements))
  if (record?.resources !== undefined)
    platform.waitUntil(tellResources(platform, record, heard(reports, answer.settlements), permits))
  return answer.settlements
}

// How long a 202 lasts is its agent's policy.
function withWindow(agent: AgentRecord | undefined) {
  return (report: Report): Report => {
    const { outcome } = report
    if (outcome.kind !== 'later' || agent === undefined) return report
    return { ...report, outcome: { ...outcome, goesOnMs: agent.policy.ackSeconds * 1_000 } }
  }
}

// A stranger's report that its mailbox refused is no word of what happened; the consumer's own late one still is. What never
// began was given back where it was asked for.
function heard(reports: readonly Report[], settlements: readonly Settlement[]): Report[] {
  return reports.filter(
    ({ outcome, external }, i) => outcome.kind !== 'parked' && (!external || settlements[i]?.status === 'settled'),
  )
}

// Outcomes of one agent that arrive close together share a call: the commit is the price, not the row.
const coalesceMs = 50

/**
 * Collects one agent's outcomes as they arrive. `expected` is how many will come in all: when nobody else is awaited there
 * is nothing to wait for.
 */
export class Settler {
  readonly #platform: Platform
  readonly #agent: string
  readonly #permits: Permits
  #expected: number
  #reports: Report[] = []
  #stop: (() => void) | undefined

  constructor(platform: Platform, agent: string, expected: number, permits: Permits = new Map()) {
    this.#platform = platform
    this.#agent = agent
    this.#expected = expected
    this.#permits = permits
  }

  /** Takes reports; those of one batch come together. Resolves when the call that carries them has been made, if they triggered it. */
  async report(...reports: readonly Report[]): Promise<void> {
    this.#reports.push(...reports)
    this.#expected -= reports.length
    if (this.#expected <= 0) return this.#flush()
    this.#stop ??= this.#platform.after(coalesceMs, () => this.#platform.waitUntil(this.#flush()))
  }

  async #flush(): Promise<void> {
    this.#stop?.()
    this.#stop = undefined
    const reports = this.#reports
    this.#reports = []
    if (reports.length === 0) return
    try {
      await settle(this.#platform, this.#agent, reports, this.#permits)
    } catch (error) {
      // The leases will end in silence, and the mailbox goes on from there.
      this.#platform.log('settle.failed', {
        agent: this.#agent,
        deliveries: reports.map((r) => r.id),
        error: String(error),
      })
    }
  }
}
