/**
 * Away: is an agent paused, unverified, held, or behind an open breaker, and since when? What a sender is told with the 202 and the
 * receipt, so that nobody waits for who cannot answer. Never here: what becomes of the mail (shared/release.ts holds it).
 */
import { type AgentRecord, parkedBecause } from './agent.ts'
import { type Gate, shutBecause } from './gate.ts'

export interface Away {
  /** ISO 8601. Absent where nobody knows. */
  readonly since?: string
  readonly why: string
}

export function awayOf(agent: AgentRecord, gate: Gate, now: number): Away | undefined {
  const parked = parkedBecause(agent, now)
  const why = parked ?? shutBecause(gate, agent)
  if (why === undefined) return undefined
  const since = parked === undefined ? shutSince(gate) : parkedSince(agent, now)
  return { ...(since === undefined ? {} : { since: new Date(since).toISOString() }), why }
}

function parkedSince(agent: AgentRecord, now: number): number | undefined {
  const { left, paused, catchingUp } = agent
  if (left !== undefined) return left.since
  if (paused !== undefined && (paused.until === undefined || paused.until > now)) return paused.since
  return catchingUp?.from
}

// From its first failure to its recovery it is away, however often it was tried in between.
function shutSince({ breaker: { state, history } }: Gate): number | undefined {
  const opened = history.findLast(({ from, to }) => from === 'closed' && to === 'open')?.at
  if (opened !== undefined) return opened
  return state.at === 'open' ? state.openedAt : undefined
}
