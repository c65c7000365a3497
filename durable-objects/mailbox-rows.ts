/**
 * What the rows of a mailbox are made of, and what is made of them when it is rebuilt. Never here: SQL
 * (durable-objects/mailbox-store.ts).
 */
import type { AgentRecord } from '../shared/agent.ts'
import { deadLetterKeptMs } from '../shared/dead-letter.ts'
import { type Delivery, isDeadLetter, isLive } from '../shared/delivery.ts'
import { isFleetingReceipt } from '../shared/fleeting.ts'
import type { Lease } from '../shared/lease.ts'
import { emptyMailbox, type Mailbox } from '../shared/mailbox.ts'

// Fresh maps: the mailbox that is rebuilt owns them.
export function emptyMailboxOf(): Mailbox {
  return {
    ...emptyMailbox,
    live: new Map(),
    leases: new Map(),
    releases: new Map(),
    chores: new Map(),
    fleeting: new Map(),
  }
}

/** The columns of a delivery's row, but for its body. */
export function rowOf(
  delivery: Delivery,
  retentionMs: number,
  now: number,
): [string, number, number, number | null, string] {
  const ended = delivery.state.at === 'ended' ? delivery.state : undefined
  const keptMs = isDeadLetter(delivery) && ended?.purged !== true ? deadLetterKeptMs : retentionMs
  return [
    delivery.id,
    isLive(delivery) ? 1 : 0,
    // It has no number of its own (shared/audit.ts).
    isFleetingReceipt(delivery) ? 0 : delivery.sequence,
    ended === undefined ? null : now + keptMs,
    JSON.stringify(delivery),
  ]
}

export const dayMs = 86_400_000

/** How long ended rows must be remembered: for receipts, for the publisher's keys, and a day at least for the broker's own (M2). */
export function retentionOf(agent: AgentRecord | undefined): number {
  return Math.max(dayMs, (agent?.policy.receiptSeconds ?? 0) * 1_000, (agent?.policy.dedupeSeconds ?? 0) * 1_000)
}

/**
 * A delivery that was released in the transaction that stored it may have been leased without a trace (docs/decisions/0003):
 * it counts as one lease that ended in silence, so it goes alone (M4). One whose lease says it goes alone is such a one.
 */
export function withLostLeases(live: Map<string, Delivery>, leases: ReadonlyMap<string, Lease>): Map<string, Delivery> {
  for (const [id, delivery] of live) {
    const lease = leases.get(id)
    const maybeLost =
      delivery.releasedAtAccept && delivery.leases === 0 && delivery.state.at === 'waiting' && lease === undefined
    if (maybeLost) live.set(id, { ...delivery, leases: 1, suspect: true })
    else if (lease?.alone === true) live.set(id, { ...delivery, suspect: true })
  }
  return live
}
