/**
 * A gather: a durable wait for the replies of its legs, with a deadline. A request is a gather of one. Opened before its legs are
 * accepted, or in one write with its one leg, so that no reply comes before its gather; its id is where the legs reply to.
 *
 *   open ──► replied | failed | timed_out | cancelled ──► what follows is told ──► forgotten after a day
 *     └─ time is up, and `onTimeout` says retry ──► open, and those that have not answered are asked again
 *
 * G1 it resolves exactly once; what comes later is recorded here and on the replier's receipt, never a dead letter. A leg
 * whose delivery died has failed at once. Never here: asking mailboxes (workers/gather.ts), HTTP (shared/request.ts).
 */
import * as z from 'zod'
import { placedId } from './gather-place.ts'
import { deliveryId, digest, mid } from './ids.ts'
import { joinSchema, type Tally, verdictOf } from './join.ts'
import { isRefusal, type LegFailure, legFailure } from './leg-failure.ts'
import { limits } from './limits.ts'
import { lineageSchema } from './lineage.ts'
import type { Head } from './message.ts'
import { type PlanNews, planTold, scatterPlan } from './scatter-plan.ts'

/** One message that asks. A retry is another, to the same agent. */
const send = z.strictObject({
  id: z.string(),
  /** Where it is, known before it is accepted: the key it goes under is this gather's own. */
  delivery: z.string(),
  accepted: z.boolean(),
})
export type Send = z.infer<typeof send>

export const legSchema = z.strictObject({
  n: z.int(),
  agent: z.string(),
  /** The latest last. Any of them may still be answered; only the latest one's death is the leg's. */
  sends: z.array(send),
  state: z.discriminatedUnion('status', [
    z.strictObject({ status: z.literal('waiting') }),
    z.strictObject({ status: z.literal('replied'), at: z.number(), arrival: z.int() }),
    z.strictObject({ status: z.literal('failed'), at: z.number(), failure: legFailure }),
  ]),
})
export type GatherLeg = z.infer<typeof legSchema>

export const onTimeoutSchema = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('error') }),
  z.strictObject({ kind: z.literal('retry'), times: z.int().min(1).max(limits.requestRetries) }),
  z.strictObject({ kind: z.literal('default'), data: z.unknown() }),
])

export const arrivalSchema = z.strictObject({
  n: z.int(),
  leg: z.int(),
  by: z.string(),
  delivery: z.string().exactOptional(),
  key: z.string(),
  at: z.number(),
  standing: z.enum(['counted', 'duplicate', 'late']),
})
export type ArrivalRecord = z.infer<typeof arrivalSchema>
export type Standing = ArrivalRecord['standing']

const outcome = z.strictObject({
  status: z.enum(['replied', 'failed', 'timed_out', 'cancelled']),
  at: z.number(),
  /** Nobody replied in time: the reply is the asker's own default. */
  fallback: z.literal(true).exactOptional(),
  failure: legFailure.exactOptional(),
})

export const callbackSchema = z.strictObject({ url: z.string(), secret: z.string().exactOptional() })

export const gatherRecord = z.strictObject({
  v: z.literal(1),
  id: z.string(),
  /** The asker's source: who may read it, and as whom its legs are sent. */
  owner: z.string(),
  contentHash: z.string(),
  head: z.custom<Head>((h) => typeof h === 'object' && h !== null),
  hops: z.int(),
  lineage: lineageSchema.exactOptional(),
  join: joinSchema,
  onTimeout: onTimeoutSchema,
  timeoutMs: z.number(),
  openedAt: z.number(),
  deadlineAt: z.number(),
  rounds: z.int(),
  sent: z.int(),
  legs: z.array(legSchema),
  arrivals: z.array(arrivalSchema),
  /** Came after those that are kept. */
  unkept: z.int(),
  /** The asker's own, returned with the reply and never sent on. */
  context: z.unknown().optional(),
  callback: callbackSchema.exactOptional(),
  failureCallback: callbackSchema.exactOptional(),
  /** Deliveries whose handlers wait for this one, the nearest first. */
  path: z.array(z.string()),
  /** A scatter: what becomes of its replies. */
  scatter: scatterPlan.exactOptional(),
  /** The question to the reducer of this scatter. */
  reduces: z.string().exactOptional(),
  outcome: outcome.exactOptional(),
  /** What follows from the outcome is done, or there is nothing. */
  told: z.boolean(),
  /** When that was, of a scatter: its reducer may take its time. */
  toldAt: z.number().exactOptional(),
})
export type Gather = z.infer<typeof gatherRecord>
export type Outcome = NonNullable<Gather['outcome']>

/** A stored record, parsed as the network is. */
export const readGather = (stored: unknown): Gather => gatherRecord.parse(JSON.parse(String(stored)))

const prefix = 'gather:'

/** Where its legs reply to. */
export const gatherAddress = (id: string): string => `${prefix}${id}`

/** By a key the same for one asker, so that a repeat finds it; else of `now` and `chance`, 128 bits or more. `agent`: in whose mailbox. */
export function gatherId(source: string, key: string | undefined, chance: string, agent?: string, now?: number) {
  if (key !== undefined) return placedId(digest('gather', 'key', source, key), agent)
  return placedId(digest('gather', 'chance', chance), agent, now)
}

/** A request's, or a scatter's. `g-`: the question to a reducer, and a request from before they shared objects. */
export function isGatherId(id: string): boolean {
  return /^(?:[grs]-[a-z2-7]{26}|r-[a-z2-7]{26}_[a-z0-9-]{1,64})$/.test(id)
}

/** How long it is remembered once it is over. */
export const gatherKeptMs = 86_400_000

// --- opening ----------------------------------------------------------------------------------------------------------

export interface GatherOpening
  extends Pick<
    Gather,
    | 'id'
    | 'owner'
    | 'contentHash'
    | 'head'
    | 'hops'
    | 'lineage'
    | 'join'
    | 'onTimeout'
    | 'timeoutMs'
    | 'context'
    | 'path'
  > {
  readonly agents: readonly string[]
  readonly callback?: z.infer<typeof callbackSchema>
  readonly failureCallback?: z.infer<typeof callbackSchema>
  readonly scatter?: z.infer<typeof scatterPlan>
  readonly reduces?: string
}

export type GatherOpened = { readonly status: 'opened' | 'duplicate' | 'conflict'; readonly gather: Gather }

/** Opens it, or finds it. One that nobody got, because all were refused, gives its key back when all is told. Its sends go on being counted. */
export function openGather(current: Gather | undefined, opening: GatherOpening, now: number): GatherOpened {
  if (current !== undefined && !(current.told && wasRefused(current)))
    return { status: current.contentHash === opening.contentHash ? 'duplicate' : 'conflict', gather: current }
  const { agents, ...rest } = opening
  const gather: Gather = {
    v: 1,
    ...rest,
    openedAt: now,
    deadlineAt: now + opening.timeoutMs,
    rounds: 0,
    sent: current?.sent ?? 0,
    legs: agents.map((agent, i) => ({ n: i + 1, agent, sends: [], state: { status: 'waiting' } })),
    arrivals: [],
    unkept: 0,
    told: false,
  }
  return { status: 'opened', gather: sendAgain(gather) }
}

/** The key under which a mailbox takes a send: another opening of the same gather is another message. */
export function sendKey(gather: Gather, id: string): string {
  return `${id}.${gather.openedAt}`
}

// A scatter asks once: its children are named by their place.
function sendId({ id, scatter, reduces }: Gather, n: number, sent: number): string {
  if (scatter !== undefined) return `${id}.map.${n - 1}`
  return reduces === undefined ? `${id}-${sent}` : `${reduces}.reduce`
}

// Each leg that waits gets one more message, under an id of its own.
function sendAgain(gather: Gather): Gather {
  let { sent } = gather
  const legs = gather.legs.map((one) => {
    if (one.state.status !== 'waiting') return one
    sent += 1
    const id = sendId(gather, one.n, sent)
    const delivery = deliveryId(one.agent, mid(gather.owner, sendKey(gather, id), 0))
    return { ...one, sends: [...one.sends, { id, delivery, accepted: false }] }
  })
  return { ...gather, legs, sent }
}

/** Was it over before anybody got the message? Of one that was asked more than once somebody may have it. */
export function wasRefused({ outcome, legs }: Gather): boolean {
  if (legs.some((l) => l.sends.length > 1)) return false
  const failures = legs.flatMap((l) => (l.state.status === 'failed' ? [l.state.failure.why] : []))
  return outcome?.status === 'failed' && failures.length === legs.length && failures.every(isRefusal)
}

// --- what happens to it -----------------------------------------------------------------------------------------------

/** Time passes: at the deadline it asks again, takes the asker's default, or ends without those that have not replied. */
export function elapse(gather: Gather, now: number): Gather {
  const { onTimeout, rounds, timeoutMs } = gather
  if (gather.outcome !== undefined || now < gather.deadlineAt) return gather
  if (onTimeout.kind === 'retry' && rounds < onTimeout.times)
    return sendAgain({ ...gather, rounds: rounds + 1, deadlineAt: now + timeoutMs })
  if (onTimeout.kind === 'default') return over(gather, { status: 'replied', at: now, fallback: true })
  const { legs, replied } = tallyOf(gather)
  const suffices = verdictOf(gather.join, { legs, replied, failed: legs - replied }) === 'replied'
  return over(gather, { status: suffices ? 'replied' : 'timed_out', at: now })
}

export interface GatherNews extends PlanNews {
  /** Sends that their mailbox has accepted, by id. */
  readonly accepted?: readonly string[]
  /** Sends that were refused, and why. */
  readonly refused?: readonly { readonly id: string; readonly failure: LegFailure }[]
  readonly told?: true
}

/** Writes down how far it got. News that is no news gives the same gather back. */
export function progressGather(gather: Gather, news: GatherNews, now: number): Gather {
  const accepted = new Set(news.accepted)
  // Nothing is told of what is not over: such news is of an earlier opening.
  const isTold = news.told === true && !gather.told && gather.outcome !== undefined
  let changed = isTold
  const legs = gather.legs.map((one) => {
    const sends = one.sends.map((s) => (accepted.has(s.id) && !s.accepted ? { ...s, accepted: true } : s))
    if (sends.every((s, i) => s === one.sends[i])) return one
    changed = true
    return { ...one, sends }
  })
  const late = gather.scatter === undefined ? {} : { toldAt: now }
  const told = isTold ? { told: true, ...late } : {}
  const scatter = gather.scatter === undefined ? undefined : planTold(gather.scatter, news)
  const plan = scatter === undefined ? {} : { scatter }
  const next: Gather = changed || scatter !== gather.scatter ? { ...gather, legs, ...told, ...plan } : gather
  return (news.refused ?? []).reduce((g, { id, failure }) => failSend(g, id, failure, now), next)
}

export function isOver(gather: Gather, target: GatherLeg): boolean {
  return gather.outcome !== undefined || target.state.status !== 'waiting'
}

/** Ends it before its time. */
export const cancelGather = (gather: Gather, now: number): Gather =>
  gather.outcome === undefined ? over(gather, { status: 'cancelled', at: now }) : gather

// --- inside -----------------------------------------------------------------------------------------------------------

/** The latest send of a leg came to nothing: the leg has failed. Of an older one that says nothing. */
export function failSend(gather: Gather, id: string, failure: LegFailure, now: number): Gather {
  const target = gather.legs.find((l) => l.sends.at(-1)?.id === id)
  if (target === undefined || isOver(gather, target)) return gather
  return decide(withLeg(gather, target, { status: 'failed', at: now, failure }), now)
}

export function withLeg(gather: Gather, target: GatherLeg, state: GatherLeg['state']): Gather {
  return { ...gather, legs: gather.legs.map((l) => (l.n === target.n ? { ...l, state } : l)) }
}

/** How its legs stand. */
export function tallyOf({ legs }: Gather): Tally {
  const count = (status: GatherLeg['state']['status']) => legs.filter((l) => l.state.status === status).length
  return { legs: legs.length, replied: count('replied'), failed: count('failed') }
}

/** Looks whether it is over. */
export function decide(gather: Gather, now: number): Gather {
  const status = verdictOf(gather.join, tallyOf(gather))
  if (status === 'open') return gather
  const failure = gather.legs.flatMap((l) => (l.state.status === 'failed' ? [l.state.failure] : []))[0]
  return over(gather, { status, at: now, ...(status === 'failed' && failure !== undefined ? { failure } : {}) })
}

// G1: whoever calls this has looked that there is none.
function over(gather: Gather, outcome: Outcome): Gather {
  const next = { ...gather, outcome }
  return { ...next, told: !hasMoreToTell(next) }
}

// Somebody is to be called back, told of the time-out, or need not be asked any more.
function hasMoreToTell({ outcome, legs, callback, failureCallback, scatter, reduces }: Gather): boolean {
  if (outcome === undefined || legs.some((l) => l.state.status === 'waiting')) return true
  if (reduces !== undefined || scatter?.reduce !== undefined || scatter?.replyto !== undefined) return true
  if (outcome.fallback === true) return true
  return (outcome.status === 'replied' ? callback : failureCallback) !== undefined
}
