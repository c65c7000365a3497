/**
 * A publish to many: its legs, chosen once, and how far they got. Stored before any leg is accepted, so that a crash in the
 * middle is finished by whoever comes next; each leg is an ordinary delivery of its own.
 *
 *   open ──► legs pending ──► each accepted by its mailbox, or refused ──► closed ──► forgotten after a day
 *
 * M1 every leg ends as accepted or refused. Never here: choosing the legs (shared/subscription.ts), asking mailboxes
 * (workers/expand.ts).
 */
import * as z from 'zod'
import { digest } from './ids.ts'
import { limits } from './limits.ts'
import type { Head } from './message.ts'
import { audience } from './subscription.ts'

const leg = z.strictObject({
  agent: z.string(),
  state: z.discriminatedUnion('status', [
    z.strictObject({ status: z.literal('pending') }),
    z.strictObject({ status: z.literal('accepted'), delivery: z.string() }),
    z.strictObject({ status: z.literal('refused'), reason: z.string() }),
  ]),
})
export type Leg = z.infer<typeof leg>
export type LegState = Leg['state']

/** More legs than are kept by name: whom they are for, and how far the expansion got. */
const plan = z.strictObject({ audience, version: z.int(), cursor: z.string().exactOptional(), done: z.boolean() })
export type Plan = z.infer<typeof plan>

export const publicationRecord = z.strictObject({
  v: z.literal(1),
  id: z.string(),
  head: z.custom<Head>((h) => typeof h === 'object' && h !== null),
  key: z.string(),
  contentHash: z.string(),
  hops: z.int(),
  openedAt: z.number(),
  /** Up to a hundred by name; with a plan, only those that are not simply accepted. */
  legs: z.array(leg),
  plan: plan.exactOptional(),
  /** How many it was for when it was opened. */
  fanout: z.int(),
  accepted: z.int(),
  refused: z.int(),
  /** Nobody was reached, and that was told, or need not be. */
  told: z.boolean(),
  tries: z.int(),
  retryAt: z.number(),
  closedAt: z.number().exactOptional(),
})
export type Publication = z.infer<typeof publicationRecord>

/** A stored record, parsed as the network is. */
export const readPublication = (stored: unknown): Publication => publicationRecord.parse(JSON.parse(String(stored)))

/** The name of the object that holds it. A delivery's id has a `_`, so the two are never confused. */
export function publicationId(source: string, key: string): string {
  return `p-${digest('publication', source, key)}`
}

/** What opens one: everything but its progress. */
export interface Opening {
  readonly id: string
  readonly head: Head
  readonly key: string
  readonly contentHash: string
  readonly hops: number
  readonly agents: readonly string[]
  readonly plan?: Omit<Plan, 'done'>
  /** Reaching nobody is a dead letter, unless the publisher said that it does not matter. */
  readonly told: boolean
  readonly fanout: number
}

export type Opened = { readonly status: 'opened' | 'duplicate' | 'conflict'; readonly publication: Publication }

/** Opens it, or finds that it is open: a repeat of the same content changes nothing, other content is a conflict. */
export function open(current: Publication | undefined, opening: Opening, now: number): Opened {
  if (current !== undefined)
    return { status: current.contentHash === opening.contentHash ? 'duplicate' : 'conflict', publication: current }
  const { agents, plan: planned, ...rest } = opening
  const publication: Publication = {
    v: 1,
    ...rest,
    openedAt: now,
    legs: agents.map((agent) => ({ agent, state: { status: 'pending' } })),
    ...(planned === undefined ? {} : { plan: { ...planned, done: false } }),
    accepted: 0,
    refused: 0,
    tries: 0,
    retryAt: now + firstRetryMs,
  }
  return { status: 'opened', publication: close(publication, now) }
}

const firstRetryMs = 5_000

/** Each unfinished try is repeated by the alarm: 5 s, doubling to 5 min. */
export function publicationRetryMs(tries: number): number {
  return Math.min(300_000, firstRetryMs * 2 ** Math.min(tries, 10))
}

/** A leg whose mailbox stays full is given up and told after a day. */
export const legGiveUpMs = 86_400_000

/** How long a closed one is remembered, so that a late duplicate is recognised. */
export const publicationKeptMs = 86_400_000

export interface Progress {
  readonly legs: readonly Leg[]
  /** With a plan: where the expansion stands after these legs. */
  readonly page?: { readonly cursor?: string; readonly done: boolean }
  /** That nobody was reached has become a dead letter. */
  readonly told?: true
}

/** Writes down what became of legs. What was accepted or refused stays so; repeating it changes nothing. */
export function progress(publication: Publication, news: Progress, now: number): Publication {
  if (publication.closedAt !== undefined || isOldPage(publication.plan, news.page)) return publication
  const known = new Map(publication.legs.map((l) => [l.agent, l.state]))
  let { accepted, refused } = publication
  for (const { agent, state } of news.legs) {
    const before = known.get(agent)
    if (before !== undefined && before.status !== 'pending') continue
    if (state.status === 'accepted') accepted += 1
    if (state.status === 'refused') refused += 1
    // With a plan the accepted ones are only counted: a thousand names would be rewritten with every page.
    if (publication.plan !== undefined && state.status === 'accepted') known.delete(agent)
    else known.set(agent, state)
  }
  const tries = publication.tries + 1
  return close(
    {
      ...publication,
      legs: bounded([...known].map(([agent, state]) => ({ agent, state }))),
      ...(publication.plan === undefined || news.page === undefined
        ? {}
        : { plan: { ...publication.plan, ...news.page } }),
      accepted,
      refused,
      told: publication.told || news.told === true,
      tries,
      retryAt: now + publicationRetryMs(tries),
    },
    now,
  )
}

// Pages are told in order; the repeat of one must not count its legs again.
function isOldPage(plan: Plan | undefined, page: Progress['page']): boolean {
  if (plan === undefined || page === undefined) return false
  if (plan.done) return true
  return plan.cursor !== undefined && page.cursor !== undefined && page.cursor <= plan.cursor
}

// Refused ones beyond the bound are counted, no longer named; pending ones always stay.
function bounded(legs: readonly Leg[]): Leg[] {
  const pending = legs.filter((l) => l.state.status === 'pending')
  const others = legs.filter((l) => l.state.status !== 'pending')
  return [...others.slice(0, limits.legsNamed), ...pending]
}

/** It reached nobody, and somebody has to be told so. */
export function isUnheard(publication: Publication): boolean {
  return isExpanded(publication) && publication.accepted + publication.refused === 0 && !publication.told
}

function isExpanded(publication: Publication): boolean {
  return pendingLegs(publication).length === 0 && publication.plan?.done !== false
}

function close(publication: Publication, now: number): Publication {
  return isExpanded(publication) && !isUnheard(publication) ? { ...publication, closedAt: now } : publication
}

export function pendingLegs(publication: Publication): string[] {
  return publication.legs.filter((l) => l.state.status === 'pending').map((l) => l.agent)
}

/** When it wants to be looked at again: to go on, or to be forgotten. */
export function publicationDueAt(publication: Publication): number {
  return publication.closedAt === undefined ? publication.retryAt : publication.closedAt + publicationKeptMs
}
