/**
 * Settle: what an attempt came to, and what follows. The result is journaled with the ack in one transaction, before any
 * effect leaves; a journaled result is never replaced (M2). Attempts are counted here and nowhere else.
 * Never here: carrying out effects (workers/effects.ts), reading HTTP answers (shared/outcome.ts).
 */

import type { Stored } from './admission.ts'
import type { AgentRecord } from './agent.ts'
import { backoffMs } from './backoff.ts'
import {
  type Delivery,
  end,
  endDead,
  hasEnded,
  isLeaving,
  type Journal,
  step,
  withAttempt,
  withStart,
} from './delivery.ts'
import { type Effect, expandEffects } from './effects.ts'
import { gateTold, verdictOf } from './gate.ts'
import { utf8Length } from './json.ts'
import type { Lease } from './lease.ts'
import { limits } from './limits.ts'
import { agentOf, type Draft, deliveryOf, leaseOf, put } from './mailbox.ts'
import { narrowed } from './narrowing.ts'
import { type AttemptError, type Outcome, parseEffects } from './outcome.ts'
import type { Policy } from './policy.ts'
import { isPoison, noteCrash, quarantine } from './quarantine.ts'
import { isExpired } from './release.ts'
import { unreachable } from './result.ts'

/** One report: of this delivery, under this lease, this came of it. */
export interface Report {
  readonly id: string
  readonly token: string
  readonly outcome: Outcome
  /** Comes from outside, by HTTP: must hold the lease in force. The consumer's own late report may still count. */
  readonly external: boolean
}

export type Settlement =
  | { readonly id: string; readonly status: 'settled' }
  | { readonly id: string; readonly status: 'already_settled'; readonly ended: string; readonly result?: unknown }
  | { readonly id: string; readonly status: 'stale' }
  | { readonly id: string; readonly status: 'unknown' }

/** Applies each report; one refused report never spoils the others. `dice` gives one throw per report. */
export function settle(
  draft: Draft,
  reports: readonly Report[],
  stored: Stored,
  now: number,
  dice: () => number,
): Settlement[] {
  return reports.map((report) => settleOne(draft, report, stored, now, dice))
}

function settleOne(draft: Draft, report: Report, stored: Stored, now: number, dice: () => number): Settlement {
  const { id } = report
  const agent = agentOf(draft)
  const delivery = deliveryOf(draft, id) ?? stored(id)
  if (agent === undefined || delivery === undefined) return { id, status: 'unknown' }
  // The caller's own repeat, or the platform's: the same answer as the first time. Another kind of report is no repeat: an
  // ack after a nack must not be told that it counted.
  const closed = delivery.closedToken === report.token
  if (closed && delivery.closedBy === report.outcome.kind) return { id, status: 'settled' }
  if (hasEnded(delivery)) {
    const { status, result } = delivery.state
    return { id, status: 'already_settled', ended: status, ...(result === undefined ? {} : { result }) }
  }
  const lease = leaseOf(draft, id)
  const holds = lease === undefined ? countsWithoutLease(report) : lease.token === report.token
  if (closed || !holds || isLeaving(delivery)) return { id, status: 'stale' }
  conclude(draft, agent, delivery, lease ?? lostLease(delivery, report, now), report.outcome, now, dice())
  return { id, status: 'settled' }
}

// The consumer's work is done, its lease expired or forgotten in a crash, and nobody has begun anew: to run it again would
// double the work. A failure reported so late changes nothing.
function countsWithoutLease(report: Report): boolean {
  return !report.external && report.outcome.kind === 'ok'
}

function lostLease(delivery: Delivery, report: Report, now: number): Lease {
  const number = delivery.leases + 1
  return {
    id: delivery.id,
    token: report.token,
    takeToken: report.token,
    number,
    slot: -1,
    at: now,
    deadlineAt: now,
    phase: 'dispatched',
    // Of no epoch: what comes so late says nothing of the agent as it is now (B3).
    epoch: -1,
    alone: false,
    saved: false,
  }
}

/** Closes a lease with its outcome. Also how silence is settled (shared/upkeep.ts). */
export function conclude(
  draft: Draft,
  agent: AgentRecord,
  before: Delivery,
  lease: Lease,
  outcome: Outcome,
  now: number,
  dice: number,
): void {
  draft.gate = gateTold(draft.gate, agent, lease.epoch, verdictOf(outcome), now)
  draft.agent = askedForQuiet(agent, outcome, now) ?? draft.agent
  if (outcome.kind === 'later') {
    keepForLater(draft, agent.policy, before, lease, now)
    return
  }
  const delivery = { ...closeLease(draft, before, lease), closedToken: lease.token, closedBy: outcome.kind }
  switch (outcome.kind) {
    case 'ok':
      put(draft, complete(delivery, lease, outcome, now))
      return
    case 'retry': {
      const tried = noteCrash(attempted(delivery, lease, 'retry', true, now, outcome.error), outcome)
      if (isPoison(draft, agent, tried)) quarantine(draft, tried, now)
      else put(draft, retryOrDie(tried, agent.policy, outcome, now, dice))
      return
    }
    case 'fail': {
      const tried = attempted(delivery, lease, 'fail', true, now, outcome.error)
      put(
        draft,
        endDead(
          tried,
          'dead_lettered',
          outcome.error.code === 'no_handler' ? 'no_handler' : 'terminal',
          now,
          outcome.error,
        ),
      )
      return
    }
    case 'hold':
      put(
        draft,
        again(
          attempted(delivery, lease, 'hold', false, now, outcome.error),
          now,
          now + outcome.holdMs,
          'the agent asked for quiet',
        ),
      )
      return
    case 'gone':
      put(draft, again(attempted(delivery, lease, 'gone', false, now, outcome.error), now, now, 'the agent is gone'))
      return
    case 'unsent':
      // A short pause, so that an agent that fills every slot is not asked again in a tight loop.
      put(draft, again(delivery, now, now + unsentPauseMs, 'no connection slot in time'))
      return
    default:
      unreachable(outcome)
  }
}

const unsentPauseMs = 500

/** The agent held or paused, if that is what the outcome asks for; undefined otherwise. */
export function askedForQuiet(agent: AgentRecord, outcome: Outcome, now: number): AgentRecord | undefined {
  if (outcome.kind === 'hold') return { ...agent, heldUntil: Math.max(agent.heldUntil ?? 0, now + outcome.holdMs) }
  if (outcome.kind === 'gone') return { ...agent, paused: { since: now, reason: 'the webhook answered 410 Gone' } }
  return undefined
}

/** A 202 under `ack: "later"`: the lease goes on until the ack, which may come by its token. */
function keepForLater(draft: Draft, policy: Policy, delivery: Delivery, lease: Lease, now: number): void {
  // A repeat of this report; or its holder extended before the 202 was reported, and a late report must not take that back.
  if (lease.phase !== 'dispatched') return
  draft.leases.set(delivery.id, {
    ...lease,
    phase: 'delivered',
    deadlineAt: now + policy.ackSeconds * 1_000,
    saved: true,
  })
  draft.slots.add(lease.slot)
  put(
    draft,
    step(withStart(delivery, lease), {
      step: 'delivered',
      at: now,
      attempt: delivery.attempt + 1,
      detail: '202: the agent will ack later',
    }),
  )
}

function closeLease(draft: Draft, delivery: Delivery, lease: Lease): Delivery {
  draft.leases.set(delivery.id, null)
  draft.releases.set(delivery.id, null)
  return { ...withStart(delivery, lease), leases: lease.number }
}

function attempted(
  delivery: Delivery,
  lease: Lease,
  outcome: string,
  counted: boolean,
  now: number,
  error?: AttemptError,
  httpStatus?: number,
): Delivery {
  const status = httpStatus ?? error?.httpStatus
  return withAttempt(delivery, {
    number: delivery.attempt + 1,
    startedAt: lease.at,
    endedAt: now,
    outcome,
    counted,
    ...(error === undefined ? {} : { error }),
    ...(status === undefined ? {} : { httpStatus: status }),
  })
}

function again(delivery: Delivery, now: number, dueAt: number, why: string): Delivery {
  return step({ ...delivery, dueAt, state: { at: 'waiting' } }, { step: 'held', at: now, detail: why })
}

function retryOrDie(
  tried: Delivery,
  policy: Policy,
  outcome: { error: AttemptError; retryAfterMs?: number | undefined; delayMs?: number | undefined },
  now: number,
  dice: number,
): Delivery {
  const { maxAttempts } = narrowed(policy, tried.head)
  if (tried.attempt >= maxAttempts) return endDead(tried, 'dead_lettered', 'attempts_exhausted', now, outcome.error)
  const pauseMs = outcome.delayMs ?? backoffMs(policy.backoff, tried.attempt, dice, outcome.retryAfterMs)
  const dueAt = now + pauseMs
  if (isExpired(tried, now)) return endDead(tried, 'expired', 'expired', now, outcome.error)
  return again(tried, now, dueAt, `attempt ${tried.attempt} of ${maxAttempts} failed: ${outcome.error.message}`)
}

/** Silence, once the delivery ran alone, is an attempt like any other. */
export function silent(
  draft: Draft,
  agent: AgentRecord,
  before: Delivery,
  lease: Lease,
  now: number,
  dice: number,
): void {
  const error: AttemptError = {
    code: 'silence',
    message: `the lease ended at ${new Date(lease.deadlineAt).toISOString()} without a report`,
  }
  draft.gate = gateTold(draft.gate, agent, lease.epoch, { kind: 'silence' }, now)
  // Who holds a lease by token answers for it; the broker's own silence is the broker's failure first.
  const counted = lease.alone || lease.phase !== 'dispatched'
  // No report closed this lease, so its token is not remembered: a late one must be judged, not taken for a repeat.
  // Once silent it goes alone for good: forgiven twice, a poison would be started twice as often as the policy says (M4).
  const tried = { ...attempted(closeLease(draft, before, lease), lease, 'silence', counted, now, error), suspect: true }
  if (counted) put(draft, retryOrDie(tried, agent.policy, { error }, now, dice))
  else put(draft, again(tried, now, now, 'no report; goes alone next time'))
}

function complete(delivery: Delivery, lease: Lease, outcome: Extract<Outcome, { kind: 'ok' }>, now: number): Delivery {
  const tried = attempted(delivery, lease, 'ok', true, now, undefined, outcome.httpStatus)
  const delivered =
    lease.phase === 'dispatched' ? step(tried, { step: 'delivered', at: now, attempt: tried.attempt }) : tried
  const { result, effects } = journalOf(delivery, outcome)
  const journal: Journal | undefined = effects.length === 0 ? undefined : { effects, openedAt: now }
  return end(delivered, 'completed', now, {
    ...(result === undefined ? {} : { result }),
    ...(journal === undefined ? {} : { journal }),
  })
}

// What cannot be kept is refused and told; the work itself is done and stays done (E1).
function journalOf(
  delivery: Delivery,
  outcome: Extract<Outcome, { kind: 'ok' }>,
): { result?: unknown; effects: Effect[] } {
  const parsed = parseEffects(outcome.effects)
  const effects = parsed.ok ? expandEffects(delivery.id, delivery.head, parsed.value) : [refusedWhole(parsed.reason)]
  const bytes = outcome.result === undefined ? 0 : utf8Length(JSON.stringify(outcome.result))
  if (bytes <= limits.resultBytes) return { result: outcome.result, effects }
  const reason = `the result has ${bytes} bytes; at most ${limits.resultBytes} are kept`
  return { effects: [...effects, { ...refusedWhole(reason), n: effects.length + 1 }] }
}

function refusedWhole(reason: string): Effect {
  return { n: 1, kind: 'message', publish: {}, state: { status: 'refused', reason: 'invalid', detail: reason } }
}
