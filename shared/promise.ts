/**
 * A promise: a result that somebody will bring, by its id, before its time is up. It may come before anybody waits for it.
 *
 *   pending ──► resolved | rejected | timed_out ──► told ──► forgotten after a week
 *
 * G1 it ends exactly once: the same end said again is the same answer, another one changes nothing. M6 while it is pending or
 * owes news, `promiseWakeAt` says when. Never here: sending anything (workers/tell-promise.ts), HTTP (workers/routes/promises.ts).
 */
import * as z from 'zod'
import { type EffectStatus, effectStatus } from './effects.ts'
import { digest } from './ids.ts'
import { canonical } from './json.ts'
import { isMaker, matches, ownSource, type Principal, principalSchema } from './permissions.ts'

const outcome = z.discriminatedUnion('status', [
  z.strictObject({ status: z.literal('resolved'), at: z.number(), by: z.string(), value: z.unknown() }),
  z.strictObject({ status: z.literal('rejected'), at: z.number(), by: z.string(), error: z.unknown() }),
  z.strictObject({ status: z.literal('timed_out'), at: z.number() }),
])
export type PromiseOutcome = z.infer<typeof outcome>

export const promiseRecord = z.strictObject({
  v: z.literal(1),
  id: z.string(),
  name: z.string().exactOptional(),
  owner: z.string(),
  /** Under whose permissions its end is told; an agent's are asked for anew. */
  creator: principalSchema,
  incarnation: z.string().exactOptional(),
  contentHash: z.string(),
  /** Sources that may end it beside its owner; `*` at the end of one stands for the rest of it. */
  resolvers: z.array(z.string()),
  /** Who is told of its end: an address as in a `replyto`. */
  notify: z.string().exactOptional(),
  correlationid: z.string().exactOptional(),
  openedAt: z.number(),
  deadlineAt: z.number(),
  outcome: outcome.exactOptional(),
  /** What became of the news of its end. */
  news: effectStatus.exactOptional(),
  /** While news is pending: when it is asked for again, and how often it was asked in vain. */
  askAt: z.number().exactOptional(),
  tries: z.int(),
})
export type PromiseRecord = z.infer<typeof promiseRecord>

/** A stored record, parsed as the network is. */
export const readPromise = (stored: unknown): PromiseRecord => promiseRecord.parse(JSON.parse(String(stored)))

/** With a name, or else a key, always the same for one owner, so that a repeat finds the first one. */
export function promiseId(
  source: string,
  { name, key }: { readonly name?: string | undefined; readonly key?: string | undefined },
  chance: string,
): string {
  if (name !== undefined) return `pr-${digest('promise', 'name', source, name)}`
  return `pr-${key === undefined ? digest('promise', 'chance', chance) : digest('promise', 'key', source, key)}`
}

export const isPromiseId = (id: string): boolean => /^pr-[a-z2-7]{26}$/.test(id)

export const promiseKeptMs = 7 * 86_400_000
/** Whoever is asked to tell has so long before being asked again. */
export const promiseAskAgainMs = 5_000
const askAgainMaxMs = 300_000

// --- steps ------------------------------------------------------------------------------------------------------------

export interface PromiseOpening
  extends Pick<PromiseRecord, 'id' | 'name' | 'owner' | 'creator' | 'contentHash' | 'resolvers' | 'notify'> {
  readonly incarnation?: string
  readonly correlationid?: string
  /** Objects keep their own time. */
  readonly waitsMs: number
}

export type PromiseOpened = { readonly status: 'opened' | 'duplicate' | 'conflict'; readonly promise: PromiseRecord }

export function openPromise(
  before: PromiseRecord | undefined,
  { waitsMs, ...opening }: PromiseOpening,
  now: number,
): PromiseOpened {
  if (before !== undefined) {
    const promise = elapsePromise(before, now)
    return { status: promise.contentHash === opening.contentHash ? 'duplicate' : 'conflict', promise }
  }
  return { status: 'opened', promise: { v: 1, ...opening, openedAt: now, deadlineAt: now + waitsMs, tries: 0 } }
}

/** What time brings. The same promise comes back when nothing is due. */
export function elapsePromise(promise: PromiseRecord, now: number): PromiseRecord {
  if (promise.outcome !== undefined || promise.deadlineAt > now) return promise
  return end(promise, { status: 'timed_out', at: now }, now)
}

/** How somebody ends it. */
export type PromiseEnding =
  | { readonly status: 'resolved'; readonly by: string; readonly value: unknown }
  | { readonly status: 'rejected'; readonly by: string; readonly error: unknown }

export interface PromiseEnded {
  readonly status: 'ended' | 'repeated' | 'over'
  readonly promise: PromiseRecord
}

/** The first end in time is the end (G1). The same one again is `repeated`, whoever says it. */
export function endPromise(before: PromiseRecord, ending: PromiseEnding, now: number): PromiseEnded {
  const promise = elapsePromise(before, now)
  const { outcome: known } = promise
  if (known === undefined)
    return { status: 'ended', promise: end(promise, { ...ending, at: now }, now + promiseAskAgainMs) }
  return { status: said(known) === said(ending) ? 'repeated' : 'over', promise }
}

function said(ended: PromiseOutcome | PromiseEnding): string | undefined {
  if (ended.status === 'timed_out') return undefined
  return canonical(ended.status === 'resolved' ? { resolved: ended.value } : { rejected: ended.error })
}

// It ends once: whoever calls this has looked that it has not. A caller's own gateway tells at once, what time brought nobody does.
function end(promise: PromiseRecord, ended: PromiseOutcome, askAt: number): PromiseRecord {
  const news = promise.notify === undefined ? {} : { news: { status: 'pending' } as const, askAt, tries: 0 }
  return { ...promise, outcome: ended, ...news }
}

/** What became of its news. What has ended stays so. */
export function promiseTold(promise: PromiseRecord, news: EffectStatus): PromiseRecord {
  if (promise.news?.status !== 'pending' || news.status === 'pending') return promise
  const { askAt: _askAt, ...rest } = promise
  return { ...rest, news }
}

/** It is asked for again, later each time. Undefined: it is not time, or nothing is owed. */
export function askForTelling(promise: PromiseRecord, now: number): PromiseRecord | undefined {
  const { askAt, tries } = promise
  if (askAt === undefined || askAt > now) return undefined
  const pauseMs = Math.min(promiseAskAgainMs * 2 ** Math.min(tries, 10), askAgainMaxMs)
  return { ...promise, tries: tries + 1, askAt: now + pauseMs }
}

// --- questions --------------------------------------------------------------------------------------------------------

export type PromiseStatus = 'pending' | PromiseOutcome['status']

export const promiseStatusOf = ({ outcome: ended }: PromiseRecord): PromiseStatus => ended?.status ?? 'pending'

/** When its object must wake (M6). */
export function promiseWakeAt({ outcome: ended, deadlineAt, askAt }: PromiseRecord): number {
  return ended === undefined ? deadlineAt : (askAt ?? ended.at + promiseKeptMs)
}

export function isPromiseForgotten({ outcome: ended, askAt }: PromiseRecord, now: number): boolean {
  return ended !== undefined && askAt === undefined && ended.at + promiseKeptMs <= now
}

/** Its owner, whom its owner named, and an admin: who may end it may read it too (S2). */
export function mayEndPromise(principal: Principal, { owner, openedAt, resolvers }: PromiseRecord): boolean {
  const source = ownSource(principal)
  const isOwner = isMaker(principal, { source: owner, at: openedAt })
  return principal.kind === 'admin' || isOwner || resolvers.some((pattern) => matches(pattern, source))
}

/** What the verbs may ask of one promise's object. */
export interface PromisePort {
  open(opening: PromiseOpening): Promise<PromiseOpened>
  /** As it is now: what time has brought is written down on the way. */
  find(): Promise<PromiseRecord | undefined>
  end(ending: PromiseEnding): Promise<PromiseEnded | undefined>
  told(news: EffectStatus): Promise<PromiseRecord | undefined>
}
