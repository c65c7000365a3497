/**
 * What a scatter came to, leg by leg: who replied and what, who failed and why, who is missing. Nothing that came is dropped; what
 * is too large to be told in one piece is marked, with where to read it. Never here: when a scatter is over (shared/gather.ts).
 */
import { type Gather, type GatherLeg, tallyOf } from './gather.ts'
import { utf8Length } from './json.ts'
import type { LegFailure } from './leg-failure.ts'
import { type Message, messageSchema } from './message.ts'
import { isReducible } from './scatter-plan.ts'

export type ScatterStatus = 'running' | 'reducing' | 'completed' | 'failed' | 'timed_out' | 'cancelled'

export function scatterStatusOf(gather: Gather): ScatterStatus {
  const { outcome, scatter } = gather
  if (outcome === undefined) return 'running'
  if (isReducible(scatter, outcome.status, tallyOf(gather).replied)) {
    const ended = scatter?.reduction?.status
    return ended === undefined ? 'reducing' : ended === 'replied' ? 'completed' : ended
  }
  return outcome.status === 'replied' ? 'completed' : outcome.status
}

export const isScatterOver = (gather: Gather): boolean => !['running', 'reducing'].includes(scatterStatusOf(gather))

interface Place {
  /** From 0, as the chunks are. */
  readonly index: number
  readonly agent: string
  readonly delivery: string
}

export interface ScatterResults {
  readonly ok: readonly (Place & { readonly data?: unknown; readonly omitted?: true })[]
  readonly failed: readonly (Place & { readonly error: ScatterError })[]
  readonly missing: readonly Place[]
}

/** Why a leg has no reply. */
export interface ScatterError {
  readonly why: LegFailure['why']
  readonly status?: string
  readonly reason?: string
  readonly message?: string
}

/** `bodies`: the replies that are at hand, by arrival. What is not, and what is beyond `maxBytes`, is only named. */
export function resultsOf(
  gather: Gather,
  legs: readonly GatherLeg[],
  bodies: ReadonlyMap<number, string>,
  maxBytes: number,
): ScatterResults {
  const ok: ScatterResults['ok'][number][] = []
  const failed: ScatterResults['failed'][number][] = []
  const missing: Place[] = []
  let left = maxBytes
  for (const leg of legs) {
    const { state } = leg
    if (state.status === 'replied') {
      const reply = replyIn(bodies, state.arrival)
      const bytes = utf8Length(JSON.stringify(reply?.data) ?? '')
      const fits = reply !== undefined && bytes <= left
      if (fits) left -= bytes
      ok.push({ ...placeOf(gather, leg, state.arrival), ...(fits ? { data: reply.data } : { omitted: true }) })
    } else if (state.status === 'failed') failed.push({ ...placeOf(gather, leg), error: errorOf(state.failure) })
    else missing.push(placeOf(gather, leg))
  }
  return { ok, failed, missing }
}

/** Why a leg has no reply, in as few words as a reducer needs. */
export function errorOf({ why, status, reason, error }: LegFailure): ScatterError {
  return {
    why,
    ...(status === undefined ? {} : { status }),
    ...(reason === undefined ? {} : { reason }),
    ...(error === undefined ? {} : { message: error.message.slice(0, messageLength) }),
  }
}

// Of a thousand that failed, each still has its reason.
const messageLength = 200

/** A reply as it came, if it is at hand. */
export function replyIn(bodies: ReadonlyMap<number, string>, arrival: number): Message | undefined {
  const text = bodies.get(arrival)
  return text === undefined ? undefined : messageSchema.parse(JSON.parse(text))
}

function placeOf({ arrivals }: Gather, { n, agent, sends }: GatherLeg, arrival?: number): Place {
  // Carried by hand to another, the answer is of that delivery.
  const answered = arrivals.find((a) => a.n === arrival)?.delivery
  return { index: n - 1, agent, delivery: answered ?? sends.at(-1)?.delivery ?? '' }
}
