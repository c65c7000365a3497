/**
 * A join: how many of a gather's legs must reply before it is over. Never here: the legs (shared/gather.ts).
 */
import * as z from 'zod'
import { unreachable } from './result.ts'

export const joinSchema = z.discriminatedUnion('kind', [
  /** Every leg must reply: the first that fails ends it. */
  /** `tolerated`: so many may fail, and it is over only when each has replied or failed. */
  z.strictObject({ kind: z.literal('all'), tolerated: z.int().min(0).exactOptional() }),
  z.strictObject({ kind: z.literal('any') }),
  z.strictObject({ kind: z.literal('quorum'), count: z.int().min(1) }),
  /** Until each leg has replied or failed; failures are part of what was asked for. */
  z.strictObject({ kind: z.literal('settled') }),
])
export type Join = z.infer<typeof joinSchema>

export interface Tally {
  readonly legs: number
  readonly replied: number
  readonly failed: number
}

/** Is it over? `failed` once what was asked for can no longer come true. */
export function verdictOf(join: Join, tally: Tally): 'replied' | 'failed' | 'open' {
  if (join.kind === 'settled') {
    if (tally.replied + tally.failed < tally.legs) return 'open'
    return tally.replied > 0 ? 'replied' : 'failed'
  }
  const { tolerated = 0 } = join.kind === 'all' ? join : {}
  if (tolerated > 0 && tally.failed <= tolerated) {
    if (tally.replied + tally.failed < tally.legs) return 'open'
    return tally.replied > 0 ? 'replied' : 'failed'
  }
  const needed = neededBy(join, tally.legs)
  if (tally.replied >= needed) return 'replied'
  return tally.legs - tally.failed < needed ? 'failed' : 'open'
}

function neededBy(join: Exclude<Join, { kind: 'settled' }>, legs: number): number {
  switch (join.kind) {
    case 'all':
      return legs
    case 'any':
      return 1
    case 'quorum':
      return join.count
    default:
      return unreachable(join)
  }
}
