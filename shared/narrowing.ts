/**
 * A message may narrow what its agent's policy allows, never widen it: fewer attempts, a shorter time for each. Read anew from
 * the message whenever the policy is asked, because the policy may change while it waits. Never here: the policy itself
 * (shared/policy.ts), or what is done with it (shared/settlement.ts, shared/release.ts, workers/deliver.ts).
 */
import * as z from 'zod'
import type { Head } from './message.ts'
import type { AgentKind, Policy } from './policy.ts'

type Asked = Pick<Head, 'maxattempts' | 'timeoutseconds'>

/** The policy for this one message: the agent's, or less where the message asks for less. */
export function narrowed(policy: Policy, { maxattempts, timeoutseconds }: Asked): Policy {
  if (maxattempts === undefined && timeoutseconds === undefined) return policy
  return {
    ...policy,
    maxAttempts: Math.min(policy.maxAttempts, maxattempts ?? policy.maxAttempts),
    timeoutSeconds: Math.min(policy.timeoutSeconds, timeoutseconds ?? policy.timeoutSeconds),
  }
}

export const unheededSchema = z.strictObject({
  attribute: z.enum(['maxattempts', 'timeoutseconds']),
  asked: z.int(),
  /** What holds instead; absent where nothing of the kind does. */
  inForce: z.number().optional(),
})
/** What a message asked for and does not get. */
export type Unheeded = z.infer<typeof unheededSchema>

/** What of it would widen the policy, or means nothing to an agent of this kind. */
export function unheeded(kind: AgentKind, policy: Policy, { maxattempts, timeoutseconds }: Asked): Unheeded[] {
  const told: Unheeded[] = []
  if (maxattempts !== undefined && maxattempts > policy.maxAttempts)
    told.push({ attribute: 'maxattempts', asked: maxattempts, inForce: policy.maxAttempts })
  // Whoever pulls says how long its lease is to be.
  if (timeoutseconds !== undefined && kind === 'pull') told.push({ attribute: 'timeoutseconds', asked: timeoutseconds })
  else if (timeoutseconds !== undefined && timeoutseconds > policy.timeoutSeconds)
    told.push({ attribute: 'timeoutseconds', asked: timeoutseconds, inForce: policy.timeoutSeconds })
  return told
}
