/**
 * Away: is an agent paused, unverified, held, behind an open breaker, or a puller that asks for nothing, and since when? What a sender is
 * told with the 202 and the receipt, so that nobody waits for who cannot answer. Never here: what becomes of the mail
 * (shared/release.ts holds it).
 */
import { type AgentRecord, parkedBecause } from './agent.ts'
import { type Gate, shutBecause } from './gate.ts'

export interface Away {
  /** ISO 8601. Absent where nobody knows. */
  readonly since?: string
  readonly why: string
}

/** `works`: it has a lease in force. */
export function awayOf(agent: AgentRecord, gate: Gate, works: boolean, now: number): Away | undefined {
  const parked = parkedBecause(agent, now)
  const why = parked ?? shutBecause(gate, agent)
  if (why === undefined) return works ? undefined : quietOf(agent, gate, now)
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

// Longer than any long poll, and than what its presence may lose with its object's memory (shared/gate.ts).
export const quietMs = 600_000

/** A puller that has asked for no mail for so long. Nobody can be asked whether it is still there. */
export function quietOf({ kind, createdAt }: AgentRecord, { seen }: Gate, now: number): Away | undefined {
  // Another one of its name may have asked before.
  const at = seen === undefined || seen.at < createdAt ? undefined : seen.at
  if (kind !== 'pull' || (at ?? createdAt) + quietMs > now) return undefined
  if (at === undefined) return { why: 'quiet: it has never asked for its mail' }
  return { since: new Date(at).toISOString(), why: 'quiet: it asks for no mail any more' }
}
