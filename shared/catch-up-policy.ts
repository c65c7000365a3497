/**
 * What an agent that was away wants of the mail that came meanwhile. Never here: putting the rest aside (shared/catch-up.ts).
 */
import * as z from 'zod'
import { limits } from './limits.ts'

export const catchUpPolicy = z.union([
  z
    .enum(['all', 'latest-per-key', 'skip'])
    .describe('All of it; of each partition key the newest, and what has no key; or nothing that is due already.'),
  z
    .strictObject({ sinceSeconds: z.number().min(0).max(limits.catchUpBackSeconds) })
    .describe('What became due within so many seconds before it came back.'),
])
export type CatchUp = z.infer<typeof catchUpPolicy>

/** Why a delivery was cancelled that its agent did not want when it came back. */
export const skippedOnCatchUp = 'skipped_on_catch_up'
