/**
 * Grant: a lease comes into being, with its fence and the row that will keep it. Never here: who gets one (shared/release.ts).
 */
import type { AgentRecord } from './agent.ts'
import type { Delivery } from './delivery.ts'
import { began } from './gate.ts'
import type { Batch, Lease, LeasePhase } from './lease.ts'
import { type Draft, leasesOf } from './mailbox.ts'

export interface Grant {
  readonly delivery: Delivery
  readonly lease: Lease
}

/** What a lease is to be. */
export interface Terms {
  readonly token: string
  readonly durationMs: number
  readonly phase: LeasePhase
  /** When its reference was enqueued, where there was one. */
  readonly queuedAt?: number | undefined
}

/** Leases a delivery. Whether it may be leased is decided before. */
export function grant(draft: Draft, agent: AgentRecord, delivery: Delivery, terms: Terms, now: number): Lease {
  const saved = !mayBeWrittenBehind(draft, agent, delivery)
  const made = leaseFor(draft, delivery, terms, saved, now)
  draft.gate = began(draft.gate, agent.policy, now)
  return made
}

/** Leases several for one call: one start, and one row if any of them needs it. */
export function grantTogether(
  draft: Draft,
  agent: AgentRecord,
  wanted: readonly { readonly delivery: Delivery; readonly terms: Terms }[],
  n: number,
  now: number,
): Grant[] {
  const saved = wanted.some(({ delivery }) => !mayBeWrittenBehind(draft, agent, delivery))
  const batch = { n, size: wanted.length }
  const grants = wanted.map(({ delivery, terms }) => ({
    delivery,
    lease: leaseFor(draft, delivery, terms, saved, now, batch),
  }))
  draft.gate = began(draft.gate, agent.policy, now)
  return grants
}

function leaseFor(
  draft: Draft,
  delivery: Delivery,
  { token, durationMs, phase, queuedAt }: Terms,
  saved: boolean,
  now: number,
  batch?: Batch,
): Lease {
  const number = delivery.leases + 1
  const made: Lease = {
    id: delivery.id,
    // Unguessable because `token` is, and different for every lease.
    token: `${token}.${number}.${delivery.sequence}`,
    takeToken: token,
    number,
    slot: slotFor(draft, token),
    ...(queuedAt === undefined ? {} : { queuedAt }),
    at: now,
    deadlineAt: now + durationMs,
    phase,
    epoch: draft.gate.breaker.epoch,
    alone: delivery.suspect,
    ...(batch === undefined ? {} : { batch }),
    saved,
  }
  draft.leases.set(delivery.id, made)
  if (saved) draft.slots.add(made.slot)
  return made
}

/**
 * A lease that is likely to end within milliseconds is not written at once: the row written at accept already says that the
 * delivery was released, so a rebuilt mailbox knows that it may have been started once (M4, docs/decisions/0003). Leases that
 * outsiders hold, second ones, and probes, which a rebuilt mailbox must count (B2), are always written.
 */
function mayBeWrittenBehind(draft: Draft, agent: AgentRecord, delivery: Delivery): boolean {
  return (
    draft.gate.breaker.state.at === 'closed' &&
    delivery.releasedAtAccept &&
    delivery.leases === 0 &&
    !delivery.suspect &&
    agent.kind !== 'pull' &&
    agent.policy.ack === 'response'
  )
}

// The leases of one take share a row; a row is free again when no lease in force uses it.
function slotFor(draft: Draft, token: string): number {
  const used = new Set<number>()
  for (const l of leasesOf(draft)) {
    if (l.takeToken === token) return l.slot
    used.add(l.slot)
  }
  let slot = 0
  while (used.has(slot)) slot += 1
  return slot
}
