/**
 * Ripe: how long a delivery waits for its batch to fill, and which waits for none. Never here: forming a batch (shared/batch.ts).
 */
import type { Delivery } from './delivery.ts'
import { narrowed } from './narrowing.ts'
import type { Policy } from './policy.ts'

/**
 * Shares its call with nobody: it once ran in silence, a call that carried it with others failed, or it is its last attempt. So
 * one message that makes every call fail takes none of its mates to the dead letters.
 */
export function goesAlone(policy: Policy, delivery: Delivery): boolean {
  if (delivery.suspect || delivery.single === true) return true
  return delivery.attempt + 1 >= narrowed(policy, delivery.head).maxAttempts
}

/** When its batch goes with however few there are. A retry waits no longer than it would have the first time. */
export function ripeAtOf(policy: Policy, delivery: Delivery): number {
  if (policy.batch === undefined || goesAlone(policy, delivery)) return delivery.dueAt
  return Math.max(delivery.dueAt, delivery.lineAt + policy.batch.waitSeconds * 1_000)
}
