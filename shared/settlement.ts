/**
 * Settle: what an attempt came to, and what follows. The result is journaled with the ack in one transaction, before any
 * effect leaves; a journaled result is never replaced (M2). Attempts are counted here and nowhere else.
 * Never here: carrying out effects (workers/effects.ts), reading HTTP answers (shared/outcome.ts).
 */

import type { Stored } from './admission.ts'
import type { AgentRecord } from './agent.ts'
import type { ReplyHere } from './arrival.ts'
import { backoffMs } from './backoff.ts'
import { type Meant, meant, predecessorOf, type Verdicts, verdictsOf } from './batch-report.ts'
import { passOn } from './chain.ts'
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
import { type Gate, gateTold } from './gate.ts'
import { endAtHead, endRestOfKeys, givenUp } from './head-of-line.ts'
import { asksToPass, charged, journalOf, unjournaled } from './journal.ts'
import type { Lease } from './lease.ts'
import { isExpired } from './line.ts'
import { agentOf, type Draft, deliveryOf, leaseOf, put } from './mailbox.ts'
import { narrowed } from './narrowing.ts'
import type { AttemptError, Outcome } from './outcome.ts'
import type { Policy } from './policy.ts'
import { isPoison, noteCrash, quarantine } from './quarantine.ts'
import { askedForQuiet, quietReason } from './quiet.ts'
import { unreachable } from './result.ts'
import { again, parkedAgain } from './waiting.ts'

/** One report: of this delivery, under this lease, this came of it. */
export interface Report {
  readonly id: string
  readonly token: string
  readonly outcome: Outcome
  /** Comes from outside, by HTTP: must hold the lease in force. The consumer's own late report may still count. */
  readonly external: boolean
  /** Said of the call that carried it with others, not of this delivery by itself. */
  readonly whole?: true
  /** Its reply, to a request that lies in this very mailbox: it arrives with the report. */
  readonly reply?: ReplyHere
}

export type Settlement =
  /** `workflow`: it belongs to that, and what it used is not journaled for it. */
  | { readonly id: string; readonly status: 'settled'; readonly workflow?: string }
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
  const verdicts = verdictsOf(draft, reports)
  const settlements = reports.map((report) => settleOne(draft, report, verdicts, stored, now, dice))
  endRestOfKeys(draft, now)
  return settlements
}

function settleOne(
  draft: Draft,
  report: Report,
  verdicts: Verdicts,
  stored: Stored,
  now: number,
  dice: () => number,
): Settlement {
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
  const early = lease === undefined || lease.batch !== undefined ? predecessorOf(draft, delivery, now) : undefined
  if (closed || !holds || isLeaving(delivery) || (lease === undefined && early !== undefined))
    return { id, status: 'stale' }
  const said = meant(report, lease, early, verdicts)
  conclude(draft, agent, delivery, lease ?? lostLease(delivery, report, now), said, now, dice())
  return { id, status: 'settled', ...unjournaled(deliveryOf(draft, id) ?? delivery) }
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

/** Closes a lease with its outcome. */
function conclude(
  draft: Draft,
  agent: AgentRecord,
  before: Delivery,
  lease: Lease,
  { outcome, reported, verdict, shared }: Meant,
  now: number,
  dice: number,
): void {
  draft.gate = gateTold(draft.gate, agent, lease.epoch, verdict, now)
  draft.agent = askedForQuiet(agent, outcome, now) ?? draft.agent
  if (outcome.kind === 'later') {
    keepForLater(draft, agent.policy, before, lease, now)
    return
  }
  const delivery = { ...closeLease(draft, before, lease), closedToken: lease.token, closedBy: reported }
  switch (outcome.kind) {
    case 'ok':
      put(draft, complete(delivery, lease, outcome, now))
      return
    case 'retry': {
      const failed = attempted(delivery, lease, 'retry', true, now, outcome.error)
      // Of a call with several nobody knows whose crash it was. It goes alone from now on, and that will show.
      const tried = shared ? { ...failed, single: true as const } : noteCrash(failed, outcome)
      if (isPoison(draft, agent, tried)) quarantine(draft, tried, now)
      else put(draft, retryOrDie(draft.gate, tried, agent.policy, outcome, now, dice))
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
          quietReason(outcome),
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
    case 'parked':
      put(draft, parkedAgain(delivery, outcome, now))
      return
    default:
      unreachable(outcome)
  }
}

const unsentPauseMs = 500

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
  const { withheld: _withheld, ...rest } = withStart(delivery, lease)
  return { ...rest, leases: lease.number }
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

function retryOrDie(
  gate: Gate,
  tried: Delivery,
  policy: Policy,
  outcome: { error: AttemptError; retryAfterMs?: number | undefined; delayMs?: number | undefined },
  now: number,
  dice: number,
): Delivery {
  const { maxAttempts } = narrowed(policy, tried.head)
  if (tried.attempt >= maxAttempts) return endDead(tried, 'dead_lettered', 'attempts_exhausted', now, outcome.error)
  const dueAt = now + (outcome.delayMs ?? backoffMs(policy.backoff, tried.attempt, dice, outcome.retryAfterMs))
  if (isExpired(tried, now)) return endDead(tried, 'expired', 'expired', now, outcome.error)
  const given = givenUp(policy, gate, tried, dueAt)
  if (given !== undefined) return endAtHead(tried, given, now, outcome.error)
  const why = `attempt ${tried.attempt} of ${maxAttempts} failed: ${outcome.error.message}`
  return again({ ...tried, dueSince: dueAt }, now, dueAt, why)
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
  if (counted) put(draft, retryOrDie(draft.gate, tried, agent.policy, { error }, now, dice))
  else put(draft, again(tried, now, now, 'no report; goes alone next time'))
}

function complete(delivery: Delivery, lease: Lease, outcome: Extract<Outcome, { kind: 'ok' }>, now: number): Delivery {
  const tried = attempted(delivery, lease, 'ok', true, now, undefined, outcome.httpStatus)
  const delivered =
    lease.phase === 'dispatched' ? step(tried, { step: 'delivered', at: now, attempt: tried.attempt }) : tried
  if (asksToPass(outcome)) return charged(passOn(delivered, 'passed', now), outcome, lease.token)
  const { result, usage, effects } = journalOf(delivery, outcome, lease.token)
  const journal: Journal | undefined = effects.length === 0 ? undefined : { effects, openedAt: now }
  return end(delivered, 'completed', now, {
    ...(result === undefined ? {} : { result }),
    ...(usage === undefined ? {} : { usage }),
    ...(journal === undefined ? {} : { journal }),
  })
}
