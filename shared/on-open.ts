/**
 * What becomes of a message that a publisher sends to an agent by name while its breaker is open: it waits, it is refused, or it
 * goes to another agent. Policy `onOpen`, or the message's own `onopen`. Only before it is stored: what was accepted waits, and
 * so does what the broker itself brings (an effect, a leg, a chain's), whose sender nobody could ask again; a request does, unless its
 * asker waits to be told.
 * Never here: the breaker (shared/breaker.ts), the move to the other agent (shared/reassign.ts).
 */
import type { AgentRecord } from './agent.ts'
import { type Gate, gateElapsed, isGateShut, shutBecause } from './gate.ts'
import type { Message } from './message.ts'
import { matches } from './permissions.ts'

/** What of a message at the door decides it. */
export interface Caller {
  readonly message: Pick<Message, 'onopen' | 'chain'>
  readonly brokerMade: boolean
  /** Whoever asks is told at once, also of what the broker brings. */
  readonly whenOpen?: 'refuse'
  /** Whom its publisher may send to, as patterns. Absent: anybody. */
  readonly sends?: readonly string[]
}

/** The evidence of a refusal. */
export interface Shut {
  readonly retryAfterSeconds: number
  readonly openedAt?: number
  readonly cause?: string
}

export type Turn =
  | ({ readonly kind: 'refused' } & Shut)
  | { readonly kind: 'diverted'; readonly to: string; readonly because: string }
  /** It was to be diverted and cannot be. */
  | { readonly kind: 'stays'; readonly because: string }

/** Undefined: it is accepted as ever, because the breaker lets something through, or because waiting is what is wanted. */
export function turnOf(agent: AgentRecord, before: Gate, caller: Caller, now: number): Turn | undefined {
  const { onOpen = 'park' } = agent.policy
  const { message, brokerMade, sends, whenOpen } = caller
  if ((brokerMade && whenOpen === undefined) || message.chain !== undefined) return undefined
  const asked = whenOpen === undefined ? (message.onopen ?? onOpen) : 'reject'
  const gate = gateElapsed(before, now)
  if (asked === 'park' || !isGateShut(gate, agent)) return undefined
  if (asked === 'reject') return { kind: 'refused', ...shutOf(gate, now) }
  const { divert } = asked
  if (divert === agent.name) return undefined
  if (sends !== undefined && !sends.some((pattern) => matches(pattern, divert)))
    return { kind: 'stays', because: `not diverted: its sender may not send to \`${divert}\`` }
  return { kind: 'diverted', to: divert, because: `${shutBecause(gate, agent) ?? 'breaker'}: on to \`${divert}\`` }
}

function shutOf({ breaker: { state, forced, history } }: Gate, now: number): Shut {
  const last = history.at(-1)
  const openedAt = state.at === 'open' ? state.openedAt : last?.at
  const waitMs = forced !== 'open' && state.at === 'open' ? state.until - now : forcedMs
  return {
    retryAfterSeconds: Math.max(1, Math.ceil(waitMs / 1_000)),
    ...(openedAt === undefined ? {} : { openedAt }),
    ...(last === undefined ? {} : { cause: last.cause }),
  }
}

// What a person opened, a person closes: nobody knows when.
const forcedMs = 60_000
