/**
 * `at_most_once`: nothing is stored before the attempt; one row after it is the receipt. The mailbox only says whether it may
 * go now. Exempt from M1 and from duplicates, and the 202 says so. Never here: the queue that carries it (workers/consume.ts).
 */
import type { Incoming } from './admission.ts'
import { type AgentRecord, parkedBecause } from './agent.ts'
import type { FleetingAnswer } from './agent-port.ts'
import { type Delivery, type Ended, end, step, withAttempt } from './delivery.ts'
import type { Effect } from './effects.ts'
import { began, type Gate, gateElapsed, gateTold, isGateShut, shutBecause, verdictOf } from './gate.ts'
import { asksToPass, journalOf } from './journal.ts'
import { utf8Length } from './json.ts'
import { agentOf, type Draft, endFleeting, fleetingOf, freePlaces, insert } from './mailbox.ts'
import { headOf } from './message.ts'
import type { AttemptError, Outcome } from './outcome.ts'
import { leaseMs } from './policy.ts'
import { askedForQuiet } from './quiet.ts'

export type FleetingOutcome =
  | Outcome
  | { readonly kind: 'dropped'; readonly reason: string }
  /** Its `expirytime` came before its turn. */
  | { readonly kind: 'expired' }

/** Why it is dropped, if it is: nothing keeps it until whatever is in its way is over. */
export function droppedBecause(agent: AgentRecord, gate: Gate, now: number): string | undefined {
  if (agent.kind === 'pull') return 'it is a pull agent by now, and nothing keeps the message until it asks'
  const elapsed = gateElapsed(gate, now)
  return parkedBecause(agent, now) ?? (isGateShut(elapsed, agent) ? shutBecause(elapsed, agent) : undefined)
}

/** May it start now? `seen`: a copy of it went already. `busy`: no place in flight; ask again, or give up. */
export function beginFleeting(
  draft: Draft,
  id: string,
  seen: boolean,
  now: number,
  expiresAt?: number,
): FleetingAnswer {
  const agent = agentOf(draft)
  if (agent === undefined) return { status: 'unknown' }
  if (seen || draft.base.fleeting.has(id)) return { status: 'seen' }
  if (expiresAt !== undefined && expiresAt <= now) return { status: 'expired' }
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

/** The one row: what became of it. Whatever is neither `ok` nor expired has failed for good. */
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
  if (outcome.kind === 'expired') return end(base, 'expired', now)
  if (outcome.kind === 'dropped')
    return end(step(base, { step: 'dropped', at: now, detail: outcome.reason }), 'failed', now)
  const error = errorOf(outcome)
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
  if (error !== undefined) return end(tried, 'failed', now, { error })
  return end(
    tried,
    outcome.kind === 'parked' ? 'failed' : 'completed',
    now,
    outcome.kind === 'ok' ? kept(base, outcome, now) : {},
  )
}

function errorOf(outcome: Outcome): AttemptError | undefined {
  if ('error' in outcome) return outcome.error
  if (outcome.kind === 'unsent') return { code: 'unsent', message: 'no connection slot in time' }
  if (outcome.kind === 'ok' && asksToPass(outcome))
    return { code: 'no_handler', message: 'the agent passed it on, and what goes at_most_once has no chain' }
  return undefined
}

/** What it answered, as of any delivery; but nothing follows from it, and the receipt tells that. */
function kept(
  delivery: Delivery,
  outcome: Extract<Outcome, { kind: 'ok' }>,
  now: number,
): Omit<Ended, 'at' | 'status' | 'endedAt'> {
  const { result, usage, effects } = journalOf(delivery, outcome, '')
  const refused = effects.map(
    (effect): Effect => (effect.state.status === 'pending' ? { ...effect, state: notCarried } : effect),
  )
  return {
    ...(result === undefined ? {} : { result }),
    ...(usage === undefined ? {} : { usage }),
    ...(refused.length === 0 ? {} : { journal: { effects: refused, openedAt: now, closedAt: now } }),
  }
}

const notCarried = {
  status: 'refused',
  reason: 'not_durable',
  detail: 'its message came at_most_once, and nothing follows from such a one: send it at_least_once',
} as const

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
  if (agent === undefined || begun === undefined || outcome.kind === 'dropped' || outcome.kind === 'expired') return
  draft.gate = gateTold(draft.gate, agent, begun.epoch, verdictOf(outcome), now)
  draft.agent = askedForQuiet(agent, outcome, now) ?? draft.agent
}
