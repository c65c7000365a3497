/**
 * Catching up: an agent comes back, and of the mail that became due while it was away it gets what it wants. The rest is put aside:
 * each ends as cancelled, `because: "skipped_on_catch_up"`, and its key stays used, so that no late repeat brings it back.
 *
 *   away ──back──► catching up ──so many put aside in each step──► here
 *                      └─ nothing is released or taken, so that what is put aside is not begun either
 *
 * That it catches up, and from when, is stored with the step in which it comes back; whoever comes next goes on, at the latest the
 * alarm (M1, M6). What is in flight, not yet due, or came since, is left alone. Never here: whether it is away (shared/away.ts).
 */
import { type AgentRecord, isHere } from './agent.ts'
import type { CatchUp } from './catch-up-policy.ts'
import { type Delivery, end, hasEnded, isLeaving, step } from './delivery.ts'
import { limits } from './limits.ts'
import { inLine } from './line.ts'
import { agentOf, type Draft, leaseOf, liveOf, put } from './mailbox.ts'

/** Has the agent catch up with what is due by now. Without a wish, or where it wants all, nothing is put aside. */
export function beginCatchUp(draft: Draft, how: CatchUp | undefined, now: number): void {
  const agent = agentOf(draft)
  // Of one that has left, whoever comes instead says what it wants.
  if (!isHere(agent) || how === undefined || how === 'all') return
  draft.agent = { ...agent, catchingUp: { how, from: now } }
  catchUp(draft, now)
}

/** At the beginning of every step: a pause may be over by its time, and what was begun goes on. */
export function catchUp(draft: Draft, now: number): void {
  const agent = agentOf(draft)
  if (agent === undefined) return
  const { paused, ...rest } = agent
  if (paused?.until !== undefined && paused.until <= now && wantsLess(agent)) {
    draft.agent = rest
    beginCatchUp(draft, agent.policy.catchUp, now)
  } else if (agent.catchingUp !== undefined) putAside(draft, agent, agent.catchingUp, now)
}

/** At the end of every step: if it closed the breaker, the agent is back. */
export function catchUpIfClosed(draft: Draft, now: number): void {
  const [was, is] = [draft.base.gate.breaker.state.at, draft.gate.breaker.state.at]
  if (was !== 'closed' && is === 'closed') beginCatchUp(draft, agentOf(draft)?.policy.catchUp, now)
}

const wantsLess = ({ policy }: AgentRecord) => policy.catchUp !== undefined && policy.catchUp !== 'all'

function putAside(
  draft: Draft,
  agent: AgentRecord,
  { how, from }: NonNullable<AgentRecord['catchingUp']>,
  now: number,
): void {
  const line = [...liveOf(draft)].filter((d) => isMissed(draft, d, from)).sort(inLine)
  const unwanted = unwantedOf(line, how, from)
  for (const delivery of unwanted.slice(0, limits.catchUpPerStep)) {
    draft.releases.set(delivery.id, null)
    const told = step(delivery, { step: 'skipped', at: now, detail: wishOf(how) })
    put(draft, end(told, 'cancelled', now, { skipped: true }))
  }
  if (unwanted.length > limits.catchUpPerStep) return
  const { catchingUp: _done, ...rest } = agent
  draft.agent = rest
}

function isMissed(draft: Draft, delivery: Delivery, from: number): boolean {
  return (
    !hasEnded(delivery) && !isLeaving(delivery) && delivery.lineAt <= from && leaseOf(draft, delivery.id) === undefined
  )
}

function unwantedOf(line: readonly Delivery[], how: CatchUp, from: number): readonly Delivery[] {
  if (how === 'all') return []
  if (how === 'skip') return line
  if (how !== 'latest-per-key') return line.filter((d) => d.lineAt < from - how.sinceSeconds * 1_000)
  const newest = new Map(line.map((d) => [d.partitionKey, d.id]))
  return line.filter((d) => d.partitionKey !== undefined && newest.get(d.partitionKey) !== d.id)
}

function wishOf(how: CatchUp): string {
  if (typeof how === 'object') return `its agent came back and wants what became due in the last ${how.sinceSeconds} s`
  return how === 'latest-per-key'
    ? 'its agent came back and wants the latest of each partition key'
    : 'its agent came back and wants nothing of what came meanwhile'
}
