/**
 * `at_most_once`: nothing is stored before the attempt; one row after it is the receipt. The mailbox only says whether it may
 * go now. Exempt from M1 and from duplicates, and the 202 says so. Never here: the queue that carries it (workers/consume.ts).
 */
import type { Incoming } from './admission.ts'
import { type AgentRecord, parkedBecause } from './agent.ts'
import type { FleetingAnswer } from './agent-port.ts'
import { type Delivery, end, step, withAttempt } from './delivery.ts'
import { began, type Gate, gateElapsed, gateTold, isGateShut, shutBecause, verdictOf } from './gate.ts'
import { utf8Length } from './json.ts'
import { agentOf, type Draft, endFleeting, fleetingOf, freePlaces, insert } from './mailbox.ts'
import { headOf } from './message.ts'
import type { AttemptError, Outcome } from './outcome.ts'
import { leaseMs } from './policy.ts'
import { askedForQuiet } from './quiet.ts'

export type FleetingOutcome = Outcome | { readonly kind: 'dropped'; readonly reason: string }

/** Why it is dropped, if it is: nothing keeps it until whatever is in its way is over. */
export function droppedBecause(agent: AgentRecord, gate: Gate, now: number): string | undefined {
  const elapsed = gateElapsed(gate, now)
  return parkedBecause(agent, now) ?? (isGateShut(elapsed, agent) ? shutBecause(elapsed, agent) : undefined)
}

/** May it start now? `seen`: a copy of it went already. `busy`: no place in flight; ask again, or give up. */
export function beginFleeting(draft: Draft, id: string, seen: boolean, now: number): FleetingAnswer {
  const agent = agentOf(draft)
  if (agent === undefined) return { status: 'unknown' }
  if (seen || draft.base.fleeting.has(id)) return { status: 'seen' }
  endFleeting(draft, now)
  draft.gate = gateElapsed(draft.gate, now)
  const reason = droppedBecause(agent, draft.gate, now)
  if (reason !== undefined) return { status: 'dropped', reason }
  if (freePlaces(draft, now) <= 0) return { status: 'busy' }
  const deadlineAt = now + leaseMs(agent.policy)
  draft.fleeting.set(id, { until: deadlineAt, epoch: draft.gate.breaker.epoch })
  draft.gate = began(draft.gate, agent.policy, now)
  return { status: 'admitted', agent, token: `fleeting.${id}`, deadlineAt }
}

/** The one row: what became of it. Whatever is not `ok` has failed for good. */
export function fleetingReceipt(
  draft: Draft,
  incoming: Incoming,
  id: string,
  startedAt: number,
  outcome: FleetingOutcome,
  now: number,
): Delivery {
  const base: Delivery = {
    v: 1,
    id,
    incarnation: agentOf(draft)?.incarnation ?? '',
    sequence: draft.sequence,
    hops: incoming.hops,
    ...(incoming.lineage === undefined ? {} : { lineage: incoming.lineage }),
    mode: 'at_most_once',
    key: incoming.key,
    contentHash: incoming.contentHash,
    acceptToken: '',
    brokerMade: false,
    acceptedAt: startedAt,
    lineAt: startedAt,
    dueAt: startedAt,
    priority: incoming.message.priority ?? 4,
    head: headOf(incoming.message),
    bodyBytes: utf8Length(incoming.body),
    leases: 0,
    attempt: 0,
    attempts: [],
    suspect: false,
    releasedAtAccept: false,
    redrives: 0,
    steps: [],
    truncated: false,
    state: { at: 'waiting' },
  }
  if (outcome.kind === 'dropped')
    return end(step(base, { step: 'dropped', at: now, detail: outcome.reason }), 'failed', now)
  const error: AttemptError | undefined =
    'error' in outcome
      ? outcome.error
      : outcome.kind === 'unsent'
        ? { code: 'unsent', message: 'no connection slot in time' }
        : undefined
  const httpStatus = 'httpStatus' in outcome ? outcome.httpStatus : error?.httpStatus
  const tried = withAttempt(step(base, { step: 'dispatched', at: startedAt, attempt: 1 }), {
    number: 1,
    startedAt,
    endedAt: now,
    outcome: outcome.kind,
    counted: true,
    ...(error === undefined ? {} : { error }),
    ...(httpStatus === undefined ? {} : { httpStatus }),
  })
  const done = outcome.kind === 'ok' || outcome.kind === 'later'
  return end(tried, done ? 'completed' : 'failed', now, {
    ...(outcome.kind === 'ok' && outcome.result !== undefined ? { result: outcome.result } : {}),
    ...(error === undefined ? {} : { error }),
  })
}

/** Is it such a row? One that came to a mailbox the usual way has the token of that call, whatever its mode. */
export const isFleetingReceipt = ({ mode, acceptToken }: Delivery): boolean =>
  mode === 'at_most_once' && acceptToken === ''

/**
 * It is over: its place is free, what came of it says of the agent what a durable delivery would say, and its receipt is
 * stored, unless an earlier call `recorded` it.
 */
export function recordFleeting(
  draft: Draft,
  incoming: Incoming,
  id: string,
  startedAt: number,
  outcome: FleetingOutcome,
  recorded: boolean,
  now: number,
): void {
  const begun = fleetingOf(draft).find(([one]) => one === id)?.[1]
  const agent = agentOf(draft)
  draft.fleeting.set(id, null)
  if (!recorded) insert(draft, fleetingReceipt(draft, incoming, id, startedAt, outcome, now), '')
  if (agent === undefined || begun === undefined || outcome.kind === 'dropped') return
  draft.gate = gateTold(draft.gate, agent, begun.epoch, verdictOf(outcome), now)
  draft.agent = askedForQuiet(agent, outcome, now) ?? draft.agent
}
