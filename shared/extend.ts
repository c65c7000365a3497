/**
 * Extend: whoever works on a delivery says that it needs longer. Never here: how long a lease is at first (shared/release.ts).
 */
import { gateTold } from './gate.ts'
import type { ProgressInput } from './lease.ts'
import { limits } from './limits.ts'
import { agentOf, type Draft, deliveryOf, leaseOf } from './mailbox.ts'

export type Extended =
  | { readonly status: 'extended'; readonly deadlineAt: number; readonly workflow?: string }
  | { readonly status: 'stale' }

/**
 * Moves a lease's deadline to `extendMs` from now; all together at most `limits.claimSeconds` from its start. Makes it claimed,
 * and keeps the latest word of how far the work is.
 */
export function extend(
  draft: Draft,
  id: string,
  token: string,
  extendMs: number,
  now: number,
  progress?: ProgressInput,
): Extended {
  const lease = leaseOf(draft, id)
  if (lease === undefined || lease.token !== token) return { status: 'stale' }
  const agent = agentOf(draft)
  // Whoever extends is alive: a probe that is extended for a day must not keep everything else waiting (B2).
  if (agent !== undefined) draft.gate = gateTold(draft.gate, agent, lease.epoch, { kind: 'success' }, now)
  const deadlineAt = Math.min(now + extendMs, lease.at + limits.claimSeconds * 1_000)
  draft.leases.set(id, {
    ...lease,
    ...(lease.phase === 'claimed' ? {} : { claimedAt: now }),
    ...(progress === undefined ? {} : { progress: { ...progress, at: now } }),
    phase: 'claimed',
    deadlineAt,
    saved: true,
  })
  draft.slots.add(lease.slot)
  const workflow = deliveryOf(draft, id)?.head.workflowid
  return { status: 'extended', deadlineAt, ...(workflow === undefined ? {} : { workflow }) }
}
