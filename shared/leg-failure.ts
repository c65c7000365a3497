/**
 * Why a leg of a gather will not reply. Never here: what that does to the gather (shared/gather.ts).
 */
import * as z from 'zod'
import { attemptError } from './outcome.ts'
import { triedSchema } from './tried.ts'

/** Why a leg will not reply. */
export const legFailure = z.strictObject({
  /** `ended`: its delivery ended otherwise than completed. `no_reply`: it completed with an answer that cannot be kept. */
  why: z.enum(['agent_not_found', 'backpressure', 'key_reused', 'breaker_open', 'ended', 'no_reply']),
  agent: z.string(),
  delivery: z.string().exactOptional(),
  status: z.string().exactOptional(),
  reason: z.string().exactOptional(),
  error: attemptError.exactOptional(),
  depth: z.int().exactOptional(),
  max: z.int().exactOptional(),
  /** Of a chain that nobody took. */
  tried: z.array(triedSchema).exactOptional(),
  retryAfterSeconds: z.number().exactOptional(),
  openedAt: z.number().exactOptional(),
})
export type LegFailure = z.infer<typeof legFailure>

const refusals: ReadonlySet<LegFailure['why']> = new Set([
  'agent_not_found',
  'backpressure',
  'key_reused',
  'breaker_open',
])

/** Was it refused before anybody got the message? */
export const isRefusal = (why: LegFailure['why']): boolean => refusals.has(why)

const ending = z.object({
  status: z.string(),
  reason: z.string().exactOptional(),
  error: attemptError.exactOptional(),
  tried: z.array(triedSchema).exactOptional(),
})

/** What a notice says (shared/effects.ts). It was made here, and parsed as the network is all the same. */
export function failureOf(agent: string, delivery: string, told: unknown): LegFailure {
  const parsed = ending.safeParse(told)
  const known = parsed.success ? parsed.data : { status: 'unknown' }
  return { why: known.status === 'completed' ? 'no_reply' : 'ended', agent, delivery, ...known }
}
