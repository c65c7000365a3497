/**
 * What every attempt has: a deadline, and an end even where nobody foresaw it. Never here: the attempt itself
 * (workers/deliver.ts, workers/deliver-batch.ts).
 */
import type { AgentRecord } from '../shared/agent.ts'
import type { LeasedDelivery } from '../shared/agent-port.ts'
import { limits } from '../shared/limits.ts'
import { narrowed } from '../shared/narrowing.ts'
import type { Outcome } from '../shared/outcome.ts'
import { leaseMarginMs } from '../shared/policy.ts'
import type { Platform } from '../shared/ports.ts'

/** A full time-out from now, but never past what leaves time to report before the lease ends. */
export function deadlineOf(platform: Platform, agent: AgentRecord, lease: LeasedDelivery): number {
  const policy = narrowed(agent.policy, lease.head)
  return Math.min(platform.now() + policy.timeoutSeconds * 1_000, lease.deadlineAt - leaseMarginMs(policy) / 4)
}

/** How long its policy lets an attempt last. */
export function timeoutMsOf(agent: AgentRecord, { head }: LeasedDelivery): number {
  return narrowed(agent.policy, head).timeoutSeconds * 1_000
}

/** The same lease for whoever has no more than `ms` for the attempt. */
export function cutAfter(platform: Platform, agent: AgentRecord, lease: LeasedDelivery, ms: number): LeasedDelivery {
  const margin = leaseMarginMs(narrowed(agent.policy, lease.head)) / 4
  return { ...lease, deadlineAt: Math.min(lease.deadlineAt, platform.now() + ms + margin) }
}

/** A failed attempt with a reason: thrown on, it would end in silence, and nobody would learn why. */
export function unforeseen(error: unknown): Outcome {
  return { kind: 'retry', error: { code: 'broker', message: String(error).slice(0, limits.errorMessageLength) } }
}

/** This deployment does not have the agent's code. */
export function noHandler(name: string): Outcome {
  return { kind: 'fail', error: { code: 'no_handler', message: `this deployment has no handler named ${name}` } }
}
