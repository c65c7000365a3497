/**
 * Stays: how long a workflow's states last. A workflow adds up its own; when it has ended, the index adds them to those of its
 * definition. Never here: what is slow (shared/chart-machine.ts).
 */
import * as z from 'zod'

const ms = z.number().min(0)

const stay = z.strictObject({ visits: z.int(), totalMs: ms, longestMs: ms })
export type Stay = z.infer<typeof stay>

/** By the state's id. `since`: it is active now, from then on. */
export const staysSchema = z.record(z.string(), stay.extend({ since: z.number().exactOptional() }))
export type Stays = z.infer<typeof staysSchema>

/** What was left has lasted until now, and what was entered begins. */
export function stayed(known: Stays, active: readonly string[], now: number): Stays {
  const stays: Stays = { ...known }
  for (const [state, { since, ...sum }] of Object.entries(known))
    if (since !== undefined && !active.includes(state)) stays[state] = plus(sum, Math.max(0, now - since))
  for (const state of active) {
    const { visits = 0, totalMs = 0, longestMs = 0, since } = stays[state] ?? {}
    if (since === undefined) stays[state] = { visits: visits + 1, totalMs, longestMs, since: now }
  }
  return stays
}

const plus = ({ visits, totalMs, longestMs }: Stay, lastedMs: number): Stay => ({
  visits,
  totalMs: totalMs + lastedMs,
  longestMs: Math.max(longestMs, lastedMs),
})

/** The states of a definition, over all of its workflows that ended. */
export interface StateDuration extends Stay {
  readonly definition: string
  readonly state: string
}

export const durationAnswer = z.strictObject({
  definition: z.string(),
  state: z.string(),
  visits: z.int().min(0),
  totalSeconds: z.number().min(0),
  longestSeconds: z.number().min(0),
})

export function publicDuration({ definition, state, visits, totalMs, longestMs }: StateDuration) {
  return { definition, state, visits, totalSeconds: totalMs / 1_000, longestSeconds: longestMs / 1_000 }
}
