/**
 * Watches the calls of one agent's object for what its gate promises: B1, B2, B3, and the rate. Reads answers and views only, so
 * that it cannot agree with the mailbox by sharing its mistakes. Never here: calls of its own.
 */

import type { AcceptAnswer, AskAnswer, TakeAnswer } from '../../shared/agent-port.ts'
import { type Breaker, elapse } from '../../shared/breaker.ts'
import type { Policy } from '../../shared/policy.ts'
import type { ReceiptStatus } from '../../shared/receipt.ts'
import type { Report } from '../../shared/settlement.ts'
import { must } from './invariants.ts'
import type { ObjectCall } from './platform.ts'

/** What the mailbox shows after a call. */
export interface Shown {
  readonly breaker: Breaker
  readonly released: number
  readonly policy: Policy
  readonly now: number
  /** A delivery's status. */
  statusOf(id: string): ReceiptStatus | undefined
}

interface Granted {
  readonly id: string
  readonly epoch: number
}

const flying: ReadonlySet<ReceiptStatus | undefined> = new Set(['dispatched', 'delivered', 'claimed'])

// What was leased by the call that had it accepted.
function takenWith({ method, answer }: ObjectCall): TakeAnswer | undefined {
  if (method === 'accept') return (answer as AcceptAnswer).taken
  return method === 'ask' ? (answer as AskAnswer).accepted?.taken : undefined
}

export class BreakerWatch {
  readonly #agent: string
  /** Every lease that was granted, by token. A repeated take is granted the same ones again. */
  readonly #granted = new Map<string, Granted>()
  /** When each call began: a batch is one. */
  readonly #begun = new Map<string, number>()
  /** What was there to be watched: openings, leases in half-open, reports of an older epoch. */
  readonly tally = { openings: 0, probes: 0, late: 0 }

  constructor(agent: string) {
    this.#agent = agent
  }

  /** After a call, or an alarm. */
  check(shown: Shown, call: ObjectCall | undefined): void {
    if (call?.method === 'take' || call?.method === 'lease') this.#granting(shown, call, call.answer as TakeAnswer)
    const taken = call === undefined ? undefined : takenWith(call)
    if (call !== undefined && taken !== undefined) this.#granting(shown, call, taken)
    if (call?.method === 'settle') this.#settling(shown, call)
    const { breaker, released } = shown
    const before = call?.breaker?.state.at ?? breaker.state.at
    if (breaker.state.at === 'open' && before !== 'open') this.tally.openings += 1
    if (breaker.state.at === 'open')
      must(released === 0, 'B1', () => `${this.#agent} has ${released} released behind an open breaker`)
    if (breaker.state.at === 'half_open') this.#probing(shown)
  }

  // B1, and the rate: what is leased for the first time begins now.
  #granting({ breaker, policy, now }: Shown, call: ObjectCall, { leases }: TakeAnswer): void {
    const args = JSON.stringify(call.args)
    for (const lease of leases) {
      if (this.#granted.has(lease.token)) continue
      this.#granted.set(lease.token, { id: lease.id, epoch: breaker.epoch })
      must(breaker.state.at !== 'open', 'B1', () => `${lease.id} was leased while ${JSON.stringify(breaker.state)}`)
      this.#begun.set(lease.batch === undefined ? lease.token : `${args} ${lease.batch}`, now)
      if (breaker.state.at === 'half_open') this.tally.probes += 1
    }
    if (policy.rate === undefined) return
    const { limit, perSeconds } = policy.rate
    const recent = [...this.#begun.values()].filter((at) => at > now - perSeconds * 1_000)
    must(recent.length <= limit, 'rate', () => `${this.#agent}: ${recent.length} of ${limit} in ${perSeconds} s`)
  }

  // B2: never more out than the policy's probes.
  #probing({ breaker, policy, statusOf }: Shown): void {
    const probes = [...this.#granted.values()].filter((g) => g.epoch === breaker.epoch).map((g) => g.id)
    const out = [...new Set(probes)].filter((id) => flying.has(statusOf(id)))
    must(
      out.length <= policy.breaker.probes,
      'B2',
      () => `${this.#agent} has ${out.length} probes out of ${policy.breaker.probes}: ${out.join(', ')}`,
    )
  }

  // B3: without a report of the present epoch, time alone may have moved it.
  #settling({ breaker, now }: Shown, { args, breaker: before }: ObjectCall): void {
    const epochs = (args[0] as readonly Report[]).map((r) => this.#granted.get(r.token)?.epoch)
    if (before === undefined || epochs.includes(before.epoch)) return
    if (epochs.some((epoch) => epoch !== undefined)) this.tally.late += 1
    const said = ({ epoch, forced, state }: Breaker) => JSON.stringify({ epoch, forced, state })
    const allowed = [before, elapse(before, now)].map(said)
    must(
      allowed.includes(said(breaker)),
      'B3',
      () => `${this.#agent}: reports of older epochs led from ${allowed[0]} to ${said(breaker)}`,
    )
  }
}
