/**
 * What an outcome asks of the whole agent: to be left alone for a while, or until somebody resumes it. Never here: what becomes
 * of the delivery (shared/settlement.ts).
 */
import { type AgentRecord, paused } from './agent.ts'
import { isResourceTrouble } from './blame.ts'
import type { Outcome } from './outcome.ts'

/** The agent held or paused, if that is what the outcome asks for; undefined otherwise. */
export function askedForQuiet(agent: AgentRecord, outcome: Outcome, now: number): AgentRecord | undefined {
  if (outcome.kind === 'gone') return paused(agent, 'the webhook answered 410 Gone', undefined, now)
  if (outcome.kind !== 'hold' && outcome.kind !== 'parked') return undefined
  // Its workflow holds one delivery, and says nothing of its agent.
  if (outcome.kind === 'parked' && outcome.workflow !== undefined) return undefined
  const heldUntil = now + outcome.holdMs
  // The longer one stands, with its reason.
  if ((agent.heldUntil ?? 0) >= heldUntil) return undefined
  const { heldBecause: _before, ...rest } = agent
  const because =
    outcome.kind === 'parked' ? outcome.because : isResourceTrouble(outcome) ? quietReason(outcome) : undefined
  return { ...rest, heldUntil, ...(because === undefined ? {} : { heldBecause: because }) }
}

/** Who asked for quiet, as the receipt says it. */
export function quietReason(outcome: Extract<Outcome, { kind: 'hold' }>): string {
  const names = isResourceTrouble(outcome) ? (outcome.resources ?? []).map((r) => r.name) : []
  return names.length === 0 ? 'the agent asked for quiet' : `the resource ${names.join(', ')} asked for quiet`
}
