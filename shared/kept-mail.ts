/**
 * Kept mail: an agent leaves, and its mail is kept for a time. Whoever is registered under its name within it finds that mail;
 * after it, the mail ends as dead letters, `agent_left`.
 *
 *   here ──leaves──► left ──registered anew──► here, another incarnation, with the mail
 *                      └──its time is over───► gone; what had not ended is a dead letter
 *
 * While it has left nobody finds it: nothing is accepted, released or taken. What is in flight may finish. Whoever comes inherits the
 * mail and nothing else: no keys, no secrets, no pause, no subscriptions. Never here: an agent that is paused (shared/upkeep.ts).
 */
import { type AgentRecord, isHere } from './agent.ts'
import { force } from './breaker.ts'
import { beginCatchUp } from './catch-up.ts'
import { hasEnded, step } from './delivery.ts'
import { agentOf, type Draft, liveOf, put } from './mailbox.ts'
import { abandon } from './upkeep.ts'

/** It leaves. Said again, the time counts from then. */
export function keepMail(draft: Draft, forMs: number, now: number): void {
  const agent = agentOf(draft)
  if (agent === undefined) return
  const { verifyAt: _verifyAt, paused: _paused, ...rest } = agent
  draft.agent = { ...rest, left: { since: agent.left?.since ?? now, until: now + forMs } }
  for (const id of [...draft.base.releases.keys(), ...draft.releases.keys()]) draft.releases.set(id, null)
}

/** Ends the keeping when its time is over. True: it did. */
export function endKeeping(draft: Draft, now: number): boolean {
  const agent = agentOf(draft)
  if (agent?.left === undefined || agent.left.until > now) return false
  abandon(draft, now, 'agent_left')
  draft.agent = null
  return true
}

/** Whom a registration finds: nobody, where the agent has left. */
export function foundBy(draft: Draft, now: number): AgentRecord | undefined {
  endKeeping(draft, now)
  const agent = agentOf(draft)
  return isHere(agent) ? agent : undefined
}

/** Whoever was registered now has the mail that was kept, and what its policy wants of that. */
export function inherit(draft: Draft, heir: AgentRecord, now: number): void {
  const left = draft.base.agent?.left
  // After its time only what was leaving is still there, and it is finished as that.
  if (left === undefined || left.until <= now) return
  for (const delivery of [...liveOf(draft)]) {
    if (hasEnded(delivery)) continue
    const inherited = { ...delivery, incarnation: heir.incarnation }
    put(draft, step(inherited, { step: 'inherited', at: now, detail: 'its agent left and is back' }))
  }
  const { breaker } = draft.gate
  const closed = force(breaker, heir.policy.breaker, 'closed', 'a new registration', now)
  if (breaker.state.at !== 'closed' || breaker.forced !== 'auto')
    draft.gate = { ...draft.gate, breaker: force(closed, heir.policy.breaker, 'auto', 'a new registration', now) }
  beginCatchUp(draft, heir.policy.catchUp, now)
}
