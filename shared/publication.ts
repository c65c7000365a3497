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
import { type DeadLetter, deadLetterKeptMs, fingerprintFor } from './dead-letter.ts'
import { digest } from './ids.ts'
import { limits } from './limits.ts'
import { type Lineage, lineageSchema } from './lineage.ts'
import type { Head } from './message.ts'
import { audience, catchingOf, isCatching } from './subscription.ts'

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
  lineage: lineageSchema.exactOptional(),
  /** As of an incoming message (shared/admission.ts), where something led to it. */
  since: z.number().exactOptional(),
  /** The agent that sent it to everybody, where it spoke under another name: it is not meant. */
  sender: z.string().exactOptional(),
  /** Why its one leg is for this agent, where it was chosen among several. */
  why: z.string().exactOptional(),
  /** Its legs are for who catches what reaches nobody else. */
  caught: z.literal(true).exactOptional(),
  openedAt: z.number(),
  /** Up to a hundred by name; with a plan, only those that are not simply accepted. */
  legs: z.array(leg),
  plan: plan.exactOptional(),
  /** How many it is for. With a plan at most so many, until its last page has told how many really. */
  fanout: z.int(),
  accepted: z.int(),
  refused: z.int(),
  /** Nobody was reached, and that was told, or need not be. */
  told: z.boolean(),
  closedAt: z.number().exactOptional(),
})
export type Publication = z.infer<typeof publicationRecord>

/** A stored record, parsed as the network is. */
export const readPublication = (stored: unknown): Publication => publicationRecord.parse(JSON.parse(String(stored)))

/** The name of the object that holds it. A delivery's id has a `_`, so the two are never confused. */
export function publicationId(source: string, key: string): string {
  return `p-${digest('publication', source, key)}`
}

export function isPublicationId(id: string): boolean {
  return /^p-[a-z2-7]{26}$/.test(id)
}

/** What opens one: everything but its progress. */
export interface Opening {
  readonly id: string
  readonly head: Head
  readonly key: string
  readonly contentHash: string
  readonly hops: number
  readonly lineage?: Lineage
  readonly since?: number
  readonly sender?: string
  readonly why?: string
  readonly caught?: true
  readonly agents: readonly string[]
  readonly plan?: Omit<Plan, 'done'>
  /** Reaching nobody is a dead letter, unless the publisher said that it does not matter. */
  readonly told: boolean
  readonly fanout: number
  /** A re-send after it reached nobody is a new one. Not so for an id that the broker made, and under exactly_once. */
  readonly renewable: boolean
}

export type Opened = { readonly status: 'opened' | 'duplicate' | 'conflict'; readonly publication: Publication }

/**
 * Opens it, or finds that it is open: a repeat of the same content changes nothing, other content is a conflict. One that
 * reached nobody has given its key back, as a message that died does.
 */
export function open(current: Publication | undefined, opening: Opening, now: number): Opened {
  const { agents, plan: planned, renewable, ...rest } = opening
  if (current !== undefined && !isOfAnother(current, opening) && !(renewable && reachedNobody(current)))
    return { status: current.contentHash === opening.contentHash ? 'duplicate' : 'conflict', publication: current }
  const publication: Publication = {
    v: 1,
    ...rest,
    openedAt: now,
    legs: agents.map((agent) => ({ agent, state: { status: 'pending' } })),
    ...(planned === undefined ? {} : { plan: { ...planned, done: false } }),
    accepted: 0,
    refused: 0,
  }
  return { status: 'opened', publication: close(publication, now) }
}

// Of something that came round again under the name of what was forgotten; by then its legs are told.
function isOfAnother({ since, closedAt }: Publication, opening: Opening): boolean {
  return closedAt !== undefined && opening.since !== undefined && since !== opening.since
}

function reachedNobody(publication: Publication): boolean {
  return publication.closedAt !== undefined && publication.accepted + publication.refused === 0
}

/** Nobody was reached but whoever catches such messages. */
export function isCaught(publication: Publication): boolean {
  return publication.caught === true && !reachedNobody(publication)
}

/** Why it is for those that it is for, where that is not plain. */
export function whyOf(publication: Publication): string | undefined {
  const { why, head } = publication
  return why ?? (isCaught(publication) ? `caught: \`${head.topic ?? ''}\` reached nobody else` : undefined)
}

/** It reached nobody and its publisher did not say that this does not matter: its body is kept, so that it can be redriven. */
export function isDead(publication: Publication): boolean {
  return reachedNobody(publication) && publication.head.onunroutable !== 'drop'
}

/** A leg whose mailbox stays full is given up and told after a day. */
export const legGiveUpMs = 86_400_000

/** How long a closed one is remembered, so that a late duplicate is recognised. */
export const publicationKeptMs = 86_400_000

export interface Progress {
  readonly legs: readonly Leg[]
  /** With a plan: the page that these legs are of. `from` is where it began, `cursor` where it ended. */
  readonly page?: { readonly from?: string; readonly cursor?: string; readonly done: boolean; readonly catching?: true }
  /** With a plan: none of its pages reached anybody, and so many may catch it. */
  readonly catching?: { readonly total: number }
  /** That nobody was reached has become a dead letter. */
  readonly told?: true
}

/**
 * Writes down what became of legs. What was accepted or refused stays so. News that is no news gives the same publication
 * back, so that nothing is written for it.
 */
export function progress(publication: Publication, news: Progress, now: number): Publication {
  if (publication.closedAt !== undefined || isOldPage(publication.plan, news.page)) return publication
  if (news.catching !== undefined) return turned(publication, news.catching.total)
  const known = new Map(publication.legs.map((l) => [l.agent, l.state]))
  let { accepted, refused } = publication
  for (const { agent, state } of news.legs) {
    const before = known.get(agent)
    // Only a page brings new legs. Any other that is not known any more was accepted and counted.
    if (before === undefined ? news.page === undefined : before.status !== 'pending') continue
    if (state.status === 'accepted') accepted += 1
    if (state.status === 'refused') refused += 1
    // With a plan the accepted ones are only counted: a thousand names would be rewritten with every page.
    if (publication.plan !== undefined && state.status === 'accepted') known.delete(agent)
    else known.set(agent, state)
  }
  const told = publication.told || news.told === true
  const counted = accepted + refused - publication.accepted - publication.refused
  if (news.page === undefined && counted === 0 && told === publication.told) return publication
  const legs = bounded([...known].map(([agent, state]) => ({ agent, state })))
  return close({ ...publication, legs, ...planAfter(publication.plan, news.page), accepted, refused, told }, now)
}

// Pages are told in order, each from where the one before it ended: whatever else is told comes late or twice.
function isOldPage(plan: Plan | undefined, page: Progress['page']): boolean {
  if (page === undefined) return false
  if (plan === undefined || plan.done || plan.cursor !== page.from) return true
  return isCatching(plan.audience) !== (page.catching === true)
}

// From who listens to who catches, once, and only when nobody who listens was reached.
function turned(publication: Publication, fanout: number): Publication {
  const { plan } = publication
  const audience = plan === undefined || !isUnheard(publication) ? undefined : catchingOf(plan.audience)
  if (plan === undefined || audience === undefined) return publication
  return { ...publication, plan: { audience, version: plan.version, done: false }, fanout, caught: true }
}

function planAfter(plan: Plan | undefined, page: Progress['page']): { plan?: Plan } {
  if (plan === undefined) return {}
  if (page === undefined) return { plan }
  const { cursor = plan.cursor, done } = page
  return { plan: { ...plan, ...(cursor === undefined ? {} : { cursor }), done } }
}

// Refused ones beyond the bound are counted, no longer named; pending ones always stay.
function bounded(legs: readonly Leg[]): Leg[] {
  const unnamed = new Set(legs.filter((l) => l.state.status === 'refused').slice(limits.legsNamed))
  return legs.filter((l) => !unnamed.has(l))
}

/** It reached nobody, and somebody has to be told so. */
export function isUnheard(publication: Publication): boolean {
  return isExpanded(publication) && publication.accepted + publication.refused === 0 && !publication.told
}

function isExpanded(publication: Publication): boolean {
  return pendingLegs(publication).length === 0 && publication.plan?.done !== false
}

function close(publication: Publication, now: number): Publication {
  if (!isExpanded(publication) || isUnheard(publication)) return publication
  return { ...publication, fanout: publication.accepted + publication.refused, closedAt: now }
}

export function pendingLegs(publication: Publication): string[] {
  return publication.legs.filter((l) => l.state.status === 'pending').map((l) => l.agent)
}

/**
 * When it wants to be looked at again: to go on, at intervals that grow with its age from 5 s to 5 min, or to be forgotten.
 * The age needs no count of the tries, so that a try that brought nothing writes nothing.
 */
export function publicationDueAt(publication: Publication, now: number): number {
  const { closedAt } = publication
  if (closedAt !== undefined) return closedAt + (isDead(publication) ? deadLetterKeptMs : publicationKeptMs)
  return now + Math.min(retryMaxMs, Math.max(retryMinMs, (now - publication.openedAt) / 2))
}

const retryMinMs = 5_000
const retryMaxMs = 300_000

/** The index entry of a publish to many that reached nobody. Its `agent` is empty: it was for none in particular. */
export function deadLetterOfPublication(publication: Publication): DeadLetter {
  return {
    v: 1,
    id: publication.id,
    delivery: publication.id,
    agent: '',
    kind: 'publication',
    reason: 'unroutable',
    fingerprint: fingerprintFor('unroutable', undefined),
    attempts: [],
    at: publication.openedAt,
    redrives: 0,
    message: publication.head,
  }
}

/** One publish to many. */
export interface PublicationPort {
  open(opening: Opening, body: string): Promise<Opened>
  /** What is left to do, with the message; undefined when it is closed or unknown. */
  unfinished(): Promise<{ readonly publication: Publication; readonly body: string } | undefined>
  progress(news: Progress): Promise<Publication | undefined>
  /** One that reached nobody and is kept as a dead letter, with the message; undefined when there is none, or no body any more. */
  unheard(): Promise<{ readonly publication: Publication; readonly body: string } | undefined>
  /** Forgets the body of one that reached nobody. False when there was none. */
  purge(): Promise<boolean>
  report(): Promise<Publication | undefined>
}
