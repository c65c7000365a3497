/**
 * Everything else that moves a delivery: time, people, and the news that effects were carried. Never here: accept, release,
 * take, settle, which have rooms of their own.
 */

import type { Stored } from './admission.ts'
import { type AgentRecord, hasResumed, paused, verifyRetryMs, withResumed } from './agent.ts'
import { type Breaker, force } from './breaker.ts'
import { beginCatchUp } from './catch-up.ts'
import type { CatchUp } from './catch-up-policy.ts'
import {
  type Delivery,
  end,
  endDead,
  hasEnded,
  hasOpenJournal,
  isChore,
  isDeadLetter,
  isLeaving,
  isUnburied,
  step,
} from './delivery.ts'
import { withoutData } from './edit.ts'
import type { EffectStatus } from './effects.ts'
import { newGate } from './gate.ts'
import { endRestOfKeys } from './head-of-line.ts'
import type { Alert } from './ladder.ts'
import { isOnHold } from './line.ts'
import {
  agentOf,
  type Chore,
  type Draft,
  deliveryOf,
  endFleeting,
  fleetingOf,
  leaseOf,
  leasesOf,
  liveOf,
  put,
} from './mailbox.ts'
import { expire } from './release.ts'
import { silent } from './settlement.ts'

// --- time -------------------------------------------------------------------------------------------------------------

export interface Tick {
  /** Deliveries whose effects, burial or move somebody has to finish: a reference for the `work` queue. */
  readonly chores: readonly string[]
  /** The webhook's challenge is due. */
  readonly verify: boolean
  /** Deliveries that were found overdue (shared/overdue.ts). */
  readonly overdue?: readonly string[]
  /** Those of them that are announced. */
  readonly alerts?: readonly Alert[]
}

/** What time alone changes: leases end, mail expires, chores are asked for again, a hold is over. Bounded by what is live. */
export function tick(draft: Draft, now: number, dice: () => number): Tick {
  const agent = agentOf(draft)
  // A deleted agent's burials still have to be finished; it has nothing else.
  if (agent === undefined) return { chores: dueChores(draft, now), verify: false }
  for (const lease of [...leasesOf(draft)]) {
    const delivery = deliveryOf(draft, lease.id)
    if (lease.deadlineAt <= now && delivery !== undefined) silent(draft, agent, delivery, lease, now, dice())
    else if (!lease.saved) {
      draft.leases.set(lease.id, { ...lease, saved: true })
      draft.slots.add(lease.slot)
    }
  }
  endRestOfKeys(draft, now)
  endFleeting(draft, now)
  expire(draft, now)
  return { chores: dueChores(draft, now), verify: challengeDue(draft, agent, now) }
}

/** A chore that nobody finished is asked for again after 5 s, doubling to 5 min. */
export function choreRetryMs(tries: number): number {
  return Math.min(300_000, 5_000 * 2 ** Math.min(tries, 10))
}

function dueChores(draft: Draft, now: number): string[] {
  const due: string[] = []
  for (const delivery of liveOf(draft)) {
    if (!isChore(delivery)) continue
    const chore: Chore | null | undefined = draft.chores.get(delivery.id) ?? draft.base.chores.get(delivery.id)
    if (chore === undefined || chore === null || chore.retryAt <= now) {
      hand(draft, delivery.id, (chore?.tries ?? -1) + 1, now)
      due.push(delivery.id)
    }
  }
  return due
}

/** Notes that somebody is at it, so that nobody else is asked for a while. */
export function hand(draft: Draft, id: string, tries: number, now: number): void {
  draft.chores.set(id, { tries, retryAt: now + choreRetryMs(tries) })
}

function challengeDue(draft: Draft, agent: AgentRecord, now: number): boolean {
  if (agent.verified || agent.verifyAt === undefined || agent.verifyAt > now) return false
  draft.agent = { ...agent, verifyAt: now + verifyRetryMs }
  return true
}

// --- effects and burials ----------------------------------------------------------------------------------------------

export interface CarriedEffect {
  readonly n: number
  readonly state: EffectStatus
}

/** Effects that cannot be placed for this long are given up and told. */
export const effectGiveUpMs = 86_400_000

/** Writes down what became of effects. What is already carried or refused stays so (E1). */
export function carried(draft: Draft, id: string, news: readonly CarriedEffect[], now: number): void {
  const delivery = deliveryOf(draft, id)
  if (
    delivery === undefined ||
    delivery.state.at !== 'ended' ||
    !hasOpenJournal(delivery) ||
    delivery.state.journal === undefined
  )
    return
  const journal = delivery.state.journal
  const effects = journal.effects.map((e) => {
    const told = news.find((one) => one.n === e.n)
    return e.state.status === 'pending' && told !== undefined ? { ...e, state: told.state } : e
  })
  const open = effects.some((e) => e.state.status === 'pending')
  const next: Delivery = {
    ...delivery,
    state: { ...delivery.state, journal: { ...journal, effects, ...(open ? {} : { closedAt: now }) } },
  }
  const refused = effects.filter((e) => e.state.status === 'refused').length
  const withheld = effects.filter((e) => e.state.status === 'withheld').length
  put(
    draft,
    open
      ? next
      : step(next, {
          step: 'effects',
          at: now,
          detail: `${effects.length - refused - withheld} carried, ${refused} refused${withheld === 0 ? '' : `, ${withheld} withheld`}`,
        }),
  )
  if (!open && !isUnburied(next)) draft.chores.set(id, null)
}

/** The dead letter index has it. */
export function buried(draft: Draft, ids: readonly string[]): void {
  for (const id of ids) {
    const delivery = deliveryOf(draft, id)
    if (delivery?.state.at !== 'ended' || !isUnburied(delivery)) continue
    const next: Delivery = { ...delivery, state: { ...delivery.state, buried: true } }
    put(draft, next)
    if (!isChore(next)) draft.chores.set(id, null)
  }
}

// --- people -----------------------------------------------------------------------------------------------------------

export type Cancelled =
  | { readonly status: 'cancelled' }
  | { readonly status: 'already_settled'; readonly ended: string }
  | { readonly status: 'unknown' }

/** Ends a delivery for which nobody waits any more. In flight it may finish, and is not begun again. */
export function recall(draft: Draft, id: string, now: number): Cancelled | { readonly status: 'in_flight' } {
  const delivery = deliveryOf(draft, id)
  if (delivery === undefined || hasEnded(delivery)) return { status: 'unknown' }
  put(draft, { ...delivery, recalled: true })
  return leaseOf(draft, id) === undefined ? cancel(draft, id, () => undefined, now) : { status: 'in_flight' }
}

/** Ends at most `max` of this topic that wait. True: there may be more. */
export function withdraw(draft: Draft, topic: string, max: number, now: number): boolean {
  const waiting = [...liveOf(draft)].filter(
    (d) => d.head.topic === topic && !hasEnded(d) && !isLeaving(d) && leaseOf(draft, d.id) === undefined,
  )
  for (const { id } of waiting.slice(0, max)) recall(draft, id, now)
  return waiting.length > max
}

/** Ends a delivery that has not ended. In flight too: its lease is fenced off, so a later ack is refused and its effects never leave. */
export function cancel(draft: Draft, id: string, stored: Stored, now: number): Cancelled {
  const delivery = deliveryOf(draft, id) ?? stored(id)
  if (delivery === undefined) return { status: 'unknown' }
  if (hasEnded(delivery))
    return delivery.state.status === 'cancelled'
      ? { status: 'cancelled' }
      : { status: 'already_settled', ended: delivery.state.status }
  // The other mailbox may have it already: there it can be cancelled.
  if (isLeaving(delivery)) return { status: 'already_settled', ended: 'reassigned' }
  const lease = leaseOf(draft, id)
  draft.leases.set(id, null)
  draft.releases.set(id, null)
  put(draft, end(lease === undefined ? delivery : { ...delivery, leases: lease.number }, 'cancelled', now))
  return { status: 'cancelled' }
}

/** Forgets a dead letter's body; its key stays remembered. */
export function purge(draft: Draft, id: string, stored: Stored): boolean {
  const delivery = deliveryOf(draft, id) ?? stored(id)
  if (delivery === undefined || !isDeadLetter(delivery)) return false
  const edits = delivery.edits === undefined ? {} : { edits: withoutData(delivery.edits) }
  put(draft, { ...delivery, ...edits, state: { ...delivery.state, purged: true, buried: true } })
  draft.chores.set(id, null)
  return true
}

export function pause(draft: Draft, reason: string, untilMs: number | undefined, now: number): void {
  const agent = agentOf(draft)
  if (agent !== undefined) draft.agent = paused(agent, reason, untilMs, now)
}

/**
 * Lifts a pause and a hold, also that of the deliveries whose answers asked for it: an operator who says "resume" means now. `wanted`:
 * of the mail that came meanwhile; left out, what the policy says of one that was paused. `token` names the call: its repeat does nothing.
 */
export function resume(draft: Draft, now: number, token?: string, wanted?: CatchUp): void {
  const agent = agentOf(draft)
  if (agent === undefined || hasResumed(agent, token)) return
  const { paused, heldUntil: _held, heldBecause: _because, ...rest } = agent
  const how = wanted ?? (paused === undefined ? undefined : agent.policy.catchUp)
  draft.agent = withResumed(rest, token)
  beginCatchUp(draft, how, now)
  for (const delivery of [...liveOf(draft)]) if (isOnHold(delivery, now)) put(draft, { ...delivery, dueAt: now })
}

/** A person's word to the breaker (shared/breaker.ts). A pull agent has none that could hear it. */
export function forceBreaker(draft: Draft, to: Breaker['forced'], by: string, now: number): void {
  const agent = agentOf(draft)
  if (agent !== undefined && agent.kind !== 'pull')
    draft.gate = { ...draft.gate, breaker: force(draft.gate.breaker, agent.policy.breaker, to, by, now) }
}

/** What becomes of a deleted agent's mail: all that has not ended dies, but what is leaving: the other mailbox may have it (M2). */
export function abandon(draft: Draft, now: number, reason: 'agent_deleted' | 'agent_left' = 'agent_deleted'): void {
  draft.gate = newGate
  for (const [id] of fleetingOf(draft)) draft.fleeting.set(id, null)
  for (const delivery of [...liveOf(draft)]) {
    if (hasEnded(delivery) || isLeaving(delivery)) continue
    draft.leases.set(delivery.id, null)
    draft.releases.set(delivery.id, null)
    put(draft, endDead(delivery, 'dead_lettered', reason, now))
  }
}
