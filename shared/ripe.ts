/**
 * Ripe: how long a delivery waits for its batch to fill, which waits for none, and how long one may wait at all. Never here: forming
 * a batch (shared/batch.ts), ending what waited too long (shared/release.ts).
 */
import type { AgentRecord } from './agent.ts'
import type { BatchPolicy } from './batch-policy.ts'
import type { Delivery } from './delivery.ts'
import { narrowed } from './narrowing.ts'
import type { Policy } from './policy.ts'

/**
 * How it shares its call: as the subscription says that brought it, or else as its agent's policy does. A numbered text names nothing
 * that could be acked later.
 */
export function batchOf({ batch, ack }: Policy, delivery: Pick<Delivery, 'batch'>): BatchPolicy | undefined {
  const asked = delivery.batch ?? batch
  return asked?.format === 'numbered-text' && ack === 'later' ? { ...asked, format: 'json' } : asked
}

/**
 * Shares its call with nobody: it once ran in silence, a call that carried it with others failed, or it is its last attempt. So
 * one message that makes every call fail takes none of its mates to the dead letters.
 */
export function goesAlone(policy: Policy, delivery: Delivery): boolean {
  if (delivery.suspect || delivery.single === true || batchOf(policy, delivery) === undefined) return true
  return delivery.attempt + 1 >= narrowed(policy, delivery.head).maxAttempts
}

/** When its batch goes with however few there are. A retry waits no longer than it would have the first time. */
export function ripeAtOf(policy: Policy, delivery: Delivery): number {
  const batch = batchOf(policy, delivery)
  if (batch === undefined || goesAlone(policy, delivery)) return delivery.dueAt
  return Math.max(delivery.dueAt, delivery.lineAt + batch.waitSeconds * 1_000)
}

/**
 * Until when it may wait, whatever for. What is only scheduled is not parked: it counts from when its message, or its last attempt, had
 * it due. Of an agent that left, its mail has a time of its own.
 */
export function parkedUntil(
  agent: AgentRecord | undefined,
  { lineAt, dueSince }: Pick<Delivery, 'lineAt' | 'dueSince'>,
): number | undefined {
  if (agent === undefined || agent.left !== undefined) return undefined
  return Math.max(lineAt, dueSince ?? lineAt) + agent.policy.parkedSeconds * 1_000
}
