/**
 * A subscription: an agent, a topic pattern, and a filter. Whom a publish to many reaches is decided here, from candidates
 * that the directory found. Never here: the directory's tables (durable-objects/directory.ts).
 */
import * as z from 'zod'
import { type BatchPolicy, batchInput, resolveBatch } from './batch-policy.ts'
import { type Filter, filterSchema, passes } from './filter.ts'
import { agentName } from './ids.ts'
import { covers } from './permissions.ts'
import { isReserved, moreSpecific, topicMatches, topicPattern } from './topic.ts'
import { type View, viewOf, viewShape } from './view.ts'

/** Chosen by whoever subscribes, so that putting it again is no second one. */
export const subscriptionId = z
  .string()
  .regex(/^[A-Za-z0-9_-]{1,64}$/, 'a subscription’s id is 1 to 64 of A-Z, a-z, 0-9, _ and -')

/** The body of PUT /v1/subscriptions/{subscription}. */
export const subscriptionInput = z
  .strictObject({
    agent: agentName,
    topic: topicPattern,
    filter: filterSchema.optional(),
    ...viewShape,
    /** In place of its agent's policy, for what comes by this subscription. */
    batch: batchInput.exactOptional(),
    catchAll: z
      .boolean()
      .exactOptional()
      .describe('It is given what reaches nobody else and would be a dead letter for that, and nothing besides.'),
  })
  .refine(({ catchAll, topic }) => catchAll !== true || !isReserved(topic), {
    path: ['catchAll'],
    error: 'what the broker says of itself is never caught',
  })
export type SubscriptionInput = z.infer<typeof subscriptionInput>

export const subscriptionRecord = z.strictObject({
  v: z.literal(1),
  id: z.string(),
  agent: z.string(),
  topic: z.string(),
  filter: z.custom<Filter>((f) => typeof f === 'object' && f !== null).exactOptional(),
  ...viewShape,
  batch: batchInput.exactOptional(),
  catchAll: z.literal(true).exactOptional(),
  /** The directory's version when it was last put. */
  version: z.int(),
  /** The version since which this agent has this topic: a publication under way does not meet later ones. */
  since: z.int(),
  updatedAt: z.number(),
  /** An admin gave it beyond what the agent's permissions covered then, so they do not end it. */
  granted: z.literal(true).exactOptional(),
})
export type Subscription = z.infer<typeof subscriptionRecord>

/** A stored record, parsed as the network is. */
export const readSubscription = (stored: unknown): Subscription => subscriptionRecord.parse(JSON.parse(String(stored)))

/** As it is shown: `silenced` while its agent may no longer have it. */
export type KnownSubscription = Subscription & { readonly silenced?: true }

/** Is it silenced, its agent being allowed to subscribe to these patterns now? Narrowing an agent narrows what it already hears. */
export function isSilenced({ topic, granted }: Subscription, allowed: readonly string[]): boolean {
  return granted !== true && !covers(allowed, topic)
}

/** Whom a publish to many is for. */
export const audience = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.literal('topic'),
    topic: z.string(),
    except: z.string().exactOptional(),
    /** Not whoever listens: whoever catches what nobody listens to. */
    catching: z.literal(true).exactOptional(),
  }),
  /** Every agent, less the message's source, and less the agent that sent it where it spoke under another name. */
  z.strictObject({ kind: z.literal('all'), except: z.string(), sender: z.string().exactOptional() }),
])
export type Audience = z.infer<typeof audience>

/** Is it those who catch? */
export function isCatching(audience: Audience): boolean {
  return audience.kind === 'topic' && audience.catching === true
}

/** Who catches what these do not hear. Undefined where nobody may: only a topic is caught, and none of the broker's own. */
export function catchingOf(audience: Audience): Audience | undefined {
  if (audience.kind !== 'topic' || audience.catching === true || isReserved(audience.topic)) return undefined
  return { ...audience, catching: true }
}

interface Batching {
  readonly batch?: z.infer<typeof batchInput>
}

/** An agent that may be meant, with what it is subscribed to. */
export interface Candidate {
  readonly agent: string
  /** Empty where no pattern is in question (`*`). */
  readonly subscriptions: readonly ({ readonly topic: string; readonly filter?: Filter } & View & Batching)[]
}

/** A page of them. */
export interface Candidates {
  readonly version: number
  /** How many there are in all. */
  readonly total: number
  readonly items: readonly Candidate[]
  readonly cursor?: string
}

/** Does the message reach this candidate? One delivery at most, by the most specific pattern whose filter it passes. */
export function reaches(candidate: Candidate, message: Readonly<Record<string, unknown>>): boolean {
  if (candidate.subscriptions.length === 0) return true
  return meant(candidate, message) !== undefined
}

/** Those of a page whom the message reaches, by name. Nobody catches its own, or a lost answer would come back to its sender for ever. */
export function reached(
  { items }: Candidates,
  audience: Audience,
  message: Readonly<Record<string, unknown>>,
): string[] {
  const others = isCatching(audience) ? items.filter((c) => c.agent !== message['source']) : items
  return others.filter((c) => reaches(c, message)).map((c) => c.agent)
}

/** What of the message's data this candidate asked for: as the subscription says by which it is reached. Undefined: all. */
export function viewFor(candidate: Candidate, message: Readonly<Record<string, unknown>>): View | undefined {
  const by = meant(candidate, message)
  return by === undefined ? undefined : viewOf(by)
}

/** How the message shares its call with others of this candidate: as the same subscription says. Undefined: as its policy does. */
export function batchFor(candidate: Candidate, message: Readonly<Record<string, unknown>>): BatchPolicy | undefined {
  const batch = meant(candidate, message)?.batch
  return batch === undefined ? undefined : resolveBatch(batch)
}

function meant(candidate: Candidate, message: Readonly<Record<string, unknown>>) {
  return bySpecificity(candidate).find((s) => s.filter === undefined || passes(s.filter, message))
}

function bySpecificity(candidate: Candidate) {
  return [...candidate.subscriptions].sort((a, b) => moreSpecific(a.topic, b.topic))
}

/** Groups the subscriptions that match a topic by agent, in the order of names: those that listen, or those that catch. */
export function candidatesOf(subscriptions: readonly Subscription[], topic: string, catching = false): Candidate[] {
  const byAgent = new Map<string, Subscription[]>()
  for (const s of subscriptions) {
    if ((s.catchAll === true) !== catching) continue
    if (topicMatches(s.topic, topic)) byAgent.set(s.agent, [...(byAgent.get(s.agent) ?? []), s])
  }
  return [...byAgent].sort(([a], [b]) => (a < b ? -1 : 1)).map(([agent, own]) => ({ agent, subscriptions: own }))
}

/** What is shown of one. */
export function publicSubscription({ id, agent, topic, filter, version, silenced, ...rest }: KnownSubscription) {
  const shown = { id, agent, topic, ...(filter === undefined ? {} : { filter }), ...viewOf(rest) }
  const { batch, catchAll } = rest
  const asked = batch === undefined ? {} : { batch: resolveBatch(batch) }
  return { ...shown, ...asked, ...(catchAll && { catchAll }), version, ...(silenced && { silenced }) }
}
