/**
 * What stands between an agent's mail and the agent, besides the number in flight: its breaker, and its rate. Never here: the
 * mail (shared/mailbox.ts).
 */
import * as z from 'zod'
import { isResourceTrouble } from './blame.ts'
import { admits, breakerDueAt, breakerSchema, elapse, newBreaker, tell, type Verdict } from './breaker.ts'
import type { Outcome } from './outcome.ts'
import type { AgentKind, Policy } from './policy.ts'
import { unreachable } from './result.ts'

const gateSchema = z.strictObject({
  v: z.literal(1),
  breaker: breakerSchema,
  /** When the latest attempts began; at most `rate.limit` of them. Empty without a rate. */
  starts: z.array(z.number()),
  /** When a puller asked for its mail last, and when that was last written for its own sake. Absent: not known. */
  seen: z.strictObject({ at: z.number(), written: z.number().exactOptional() }).exactOptional(),
})
export type Gate = z.infer<typeof gateSchema>

export const newGate: Gate = { v: 1, breaker: newBreaker, starts: [] }

/** A stored record, parsed as the network is. */
export const readGate = (stored: unknown): Gate => gateSchema.parse(JSON.parse(String(stored)))

/** What the gate must know of an agent. Pull agents have presence (shared/away.ts), no breaker. */
export interface Gated {
  readonly kind: AgentKind
  readonly policy: Policy
}

/** Time passes: an open breaker whose wait is over lets probes through. */
export function gateElapsed(gate: Gate, now: number): Gate {
  const breaker = elapse(gate.breaker, now)
  return breaker === gate.breaker ? gate : { ...gate, breaker }
}

/** Does nothing at all get through (B1)? */
export function isGateShut(gate: Gate, agent: Gated): boolean {
  return agent.kind !== 'pull' && admits(gate.breaker, agent.policy.breaker) === 0
}

/** What already has a claim on a place. */
export interface Claims {
  /**
   * Begun in the breaker's present epoch. One that hangs from before must not keep the probe away (B2), nor what is let
   * through after it.
   */
  readonly current: number
  /** Not begun, but sent on its way. */
  readonly released: number
}

/** How many more may begin now. */
export function gateAdmits(gate: Gate, agent: Gated, { current, released }: Claims, now: number): number {
  const byRate = rateAllows(gate, agent.policy, now)
  const byBreaker = agent.kind === 'pull' ? byRate : admits(gate.breaker, agent.policy.breaker) - current
  return Math.min(byBreaker, byRate) - released
}

/** In any window of `perSeconds` at most `limit` begin: a sliding log, exact at its edges. */
function rateAllows(gate: Gate, policy: Policy, now: number): number {
  if (policy.rate === undefined) return Number.POSITIVE_INFINITY
  const since = now - policy.rate.perSeconds * 1_000
  return policy.rate.limit - gate.starts.filter((at) => at > since).length
}

/** Notes that an attempt began. */
export function began(gate: Gate, policy: Policy, now: number): Gate {
  if (policy.rate === undefined) return gate.starts.length === 0 ? gate : { ...gate, starts: [] }
  return { ...gate, starts: [...gate.starts, now].slice(-policy.rate.limit) }
}

/** When time alone will let more through; undefined when nothing is in the way, or only a person can. */
export function gateDueAt(gate: Gate, { kind, policy }: Gated, now: number): number | undefined {
  const breakerAt = kind === 'pull' ? undefined : breakerDueAt(gate.breaker)
  if (breakerAt !== undefined) return breakerAt
  if (policy.rate === undefined || rateAllows(gate, policy, now) > 0) return undefined
  const oldest = gate.starts.at(-policy.rate.limit)
  return oldest === undefined ? undefined : oldest + policy.rate.perSeconds * 1_000
}

// How much of its presence a puller may lose with its object's memory: that much less often it is written.
const seenEveryMs = 300_000

/** A puller asked for its mail. What it got is written with its leases; that it asked in vain, now and then. */
export function pulled(gate: Gate, { createdAt }: { readonly createdAt: number }, got: boolean, now: number): Gate {
  const written = gate.seen?.written
  const isToWrite = !got && now - Math.max(written ?? 0, createdAt) >= seenEveryMs
  return { ...gate, seen: { at: now, ...(isToWrite ? { written: now } : written === undefined ? {} : { written }) } }
}

/** It is known to have asked then. */
export function seenAt(gate: Gate, at: number): Gate {
  return at <= (gate.seen?.at ?? 0) ? gate : { ...gate, seen: { ...gate.seen, at } }
}

/**
 * What an outcome says of the agent's health. An answer of whatever kind that is about the message says that the agent is
 * well; asking for quiet, or never having been asked, says nothing, and neither does a failure of our own.
 */
export function verdictOf(outcome: Outcome): Verdict | undefined {
  switch (outcome.kind) {
    case 'ok':
    case 'later':
    case 'fail':
      return { kind: 'success' }
    case 'retry':
      if (outcome.error.code === 'broker') return undefined
      // Whoever can say whose fault it was is well.
      if (isResourceTrouble(outcome)) return { kind: 'success' }
      return {
        kind: 'failure',
        cause: outcome.error.message,
        ...(outcome.retryAfterMs === undefined ? {} : { retryAfterMs: outcome.retryAfterMs }),
      }
    case 'hold':
    case 'gone':
    case 'unsent':
    case 'parked':
      return undefined
    default:
      return unreachable(outcome)
  }
}

/** Tells the breaker what came of a delivery that was admitted in `epoch`. */
export function gateTold(gate: Gate, agent: Gated, epoch: number, verdict: Verdict | undefined, now: number): Gate {
  if (agent.kind === 'pull' || verdict === undefined) return gate
  return { ...gate, breaker: tell(gate.breaker, agent.policy.breaker, epoch, verdict, now) }
}

/** Why mail is parked by the gate, if it is. In half-open that is all mail but the probes. */
export function shutBecause(gate: Gate, { kind }: { readonly kind: AgentKind }): string | undefined {
  const { state, forced, history } = gate.breaker
  if (kind === 'pull' || state.at === 'closed') return undefined
  if (state.at === 'half_open') return 'breaker: half open; the rest waits for what becomes of a probe'
  const cause = history.at(-1)?.cause ?? 'failures'
  return forced === 'open'
    ? `breaker: ${cause}, until somebody closes it`
    : `breaker: ${cause}; open until ${new Date(state.until).toISOString()}`
}

/** Is anything changed that must outlive the object? The breaker's window is only a memory of the last minute. */
export function isGateChanged(before: Gate, after: Gate): boolean {
  if (before === after) return false
  const [was, is] = [before.breaker, after.breaker]
  if (before.seen?.written !== after.seen?.written) return true
  if (before.starts !== after.starts || was.epoch !== is.epoch || was.forced !== is.forced) return true
  return was.state !== is.state && JSON.stringify(was.state) !== JSON.stringify(is.state)
}
