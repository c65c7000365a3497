/**
 * The platform, as narrow as it is used: what the two sentences (publish, consume) and the objects need of queues, storage,
 * stubs, clocks, dice and fetch. Cloudflare's own types satisfy these shapes, and so does the simulator's
 * (test/simulator/). Never here: an implementation.
 */
import type { Admission, Incoming } from './admission.ts'
import type { AgentRecord, Registration } from './agent.ts'
import type { Breaker } from './breaker.ts'
import type { DeadLetter, DeadLetterFilter, LetterGroup } from './dead-letter.ts'
import type { KeyRecord, RegisteredAgent } from './directory.ts'
import type { Effect } from './effects.ts'
import type { ProgressInput } from './lease.ts'
import type { Figures } from './mailbox.ts'
import type { Head } from './message.ts'
import type { Outcome } from './outcome.ts'
import type { Opened, Opening, Progress, Publication } from './publication.ts'
import type { Departed, Departure } from './reassign.ts'
import type { Receipt, ReceiptStatus } from './receipt.ts'
import type { Reference, WorkReference } from './reference.ts'
import type { References } from './release.ts'
import type { Report, Settlement } from './settlement.ts'
import type { Audience, Candidates, Subscription, SubscriptionInput } from './subscription.ts'
import type { Cancelled, CarriedEffect, Extended, Redriven } from './upkeep.ts'

// --- what the objects need --------------------------------------------------------------------------------------------

export type SqlValue = string | number | null

export interface SqlPort {
  exec(query: string, ...bindings: SqlValue[]): { toArray(): Record<string, unknown>[] }
}

export interface StoragePort {
  readonly sql: SqlPort
  transactionSync<T>(work: () => T): T
  getAlarm(): Promise<number | null>
  setAlarm(at: number): Promise<void>
  deleteAll(): Promise<void>
}

export interface QueuePort<T> {
  send(body: T): Promise<unknown>
}

export interface ChancePort {
  now(): number
  /** Uniform in [0, 1). */
  random(): number
  /** Unguessable, 128 bits or more, URL-safe. */
  token(): string
  uuidv7(): string
  /** Random bytes as lower-case hex. */
  hex(bytes: number): string
}

/** A port's methods as an object has them: within one object nothing waits, so nothing interleaves. */
export type Synchronous<T> = {
  [K in keyof T]: T[K] extends (...args: infer A) => Promise<infer R> ? (...args: A) => R : never
}

// --- what the verbs need of an agent's object -------------------------------------------------------------------------

/** A lease as the consumer gets it: the delivery with its body, and what the agent's record says about how to deliver. */
export interface LeasedDelivery {
  readonly id: string
  readonly token: string
  readonly attempt: number
  readonly maxAttempts: number
  readonly sequence: number
  readonly hops: number
  readonly firstAcceptedAt: number
  /** The message as JSON text, exactly as it will be sent. */
  readonly body: string
  readonly head: Head
  readonly deadlineAt: number
  /** To be run after its batch-mates have reported, by itself. */
  readonly alone: boolean
  readonly previousError?: string
}

/** Effects to carry and burials to finish, read from the journal. */
export interface Unfinished {
  readonly id: string
  readonly hops: number
  readonly head: Head
  readonly openedAt: number
  readonly effects: readonly Effect[]
  readonly burial?: DeadLetter
}

export interface TakeAnswer {
  readonly agent: AgentRecord | undefined
  readonly leases: readonly LeasedDelivery[]
  readonly unfinished: readonly Unfinished[]
  /** To be taken when these are done: the answer would have been too large. */
  readonly rest: readonly string[]
  readonly references: References
}

export interface SettleAnswer {
  readonly settlements: readonly Settlement[]
  readonly agent: AgentRecord | undefined
  readonly unfinished: readonly Unfinished[]
  readonly references: References
}

export interface AcceptAnswer {
  readonly admissions: readonly Admission[]
  /** Beside each admission that has a delivery: where it stands now, and the id of the message it was accepted with. */
  readonly known: readonly ({ readonly status: ReceiptStatus; readonly message: string } | undefined)[]
  readonly references: References
}

export interface Enrolled {
  readonly agent: AgentRecord
  readonly created: boolean
  /** Set when this call, or the repeat of it, made the secret. */
  readonly secret?: string
  readonly references: References
}

export type FleetingAnswer =
  | { readonly status: 'admitted'; readonly agent: AgentRecord; readonly token: string; readonly deadlineAt: number }
  | { readonly status: 'dropped'; readonly reason: string }
  | { readonly status: 'busy' }
  | { readonly status: 'seen' }
  | { readonly status: 'unknown' }

/** What the verbs may ask of one agent's object. Every changing call carries a token: the same token gets the same answer. */
export interface AgentPort {
  accept(incoming: readonly Incoming[], token: string): Promise<AcceptAnswer>
  take(ids: readonly string[], token: string): Promise<TakeAnswer>
  lease(max: number, durationMs: number, token: string): Promise<TakeAnswer>
  settle(reports: readonly Report[]): Promise<SettleAnswer>
  extend(id: string, token: string, extendMs: number, progress?: ProgressInput): Promise<Extended>
  unfinished(
    ids: readonly string[],
  ): Promise<Omit<SettleAnswer, 'settlements'> & { readonly departures: readonly Departure[] }>
  /** Has the first `max` in line leave for another mailbox; what was on its way already comes first. */
  leave(to: string, max: number): Promise<readonly Departure[]>
  departed(news: readonly Departed[]): Promise<{ readonly references: References }>
  carried(id: string, news: readonly CarriedEffect[]): Promise<{ readonly references: References }>
  buried(ids: readonly string[]): Promise<{ readonly references: References }>
  /** The platform gave up on references: release what is still due. */
  nudge(ids: readonly string[]): Promise<{ readonly references: References }>
  cancel(id: string): Promise<Cancelled & { readonly references?: References }>
  redrive(id: string, token: string): Promise<Redriven & { readonly references?: References }>
  purge(id: string): Promise<boolean>
  receipt(id: string): Promise<Receipt | undefined>
  list(
    status: string | undefined,
    cursor: string | undefined,
    limit: number,
  ): Promise<{ readonly items: readonly Receipt[]; readonly cursor?: string }>
  describe(): Promise<{ readonly agent: AgentRecord; readonly figures: Figures } | undefined>
  enrol(
    registration: Registration,
    fresh: { readonly name: string; readonly incarnation: string; readonly secret: string; readonly trusted: boolean },
  ): Promise<Enrolled>
  retire(
    mail: 'dead' | undefined,
  ): Promise<{ readonly status: 'retired' | 'unknown' } | { readonly status: 'has_mail'; readonly depth: number }>
  pause(reason: string, untilMs: number | undefined): Promise<AgentRecord | undefined>
  resume(): Promise<{ readonly agent: AgentRecord | undefined; readonly references: References }>
  breaker(): Promise<Breaker | undefined>
  /** A person's word: open, closed, or auto. `by` is kept in the history. */
  forceBreaker(
    to: Breaker['forced'],
    by: string,
  ): Promise<{ readonly breaker: Breaker | undefined; readonly references: References }>
  rotateSecret(fresh: string, overlapMs: number): Promise<AgentRecord | undefined>
  verified(url: string): Promise<{ readonly references: References }>
  admitFleeting(): Promise<
    | { readonly status: 'admitted' }
    | { readonly status: 'dropped'; readonly reason: string }
    | { readonly status: 'unknown' }
  >
  beginFleeting(id: string): Promise<FleetingAnswer>
  recordFleeting(
    incoming: Incoming,
    id: string,
    startedAt: number,
    outcome: Outcome | { readonly kind: 'dropped'; readonly reason: string },
  ): Promise<{ readonly references: References }>
  /** Hourly: re-arms, rotates and cleans up (M6). */
  sweep(): Promise<{ readonly agent: AgentRecord | undefined; readonly references: References }>
}

export interface DirectoryPort {
  /** An entry older than the one that is there changes nothing: calls may arrive late and twice. */
  putAgent(agent: RegisteredAgent): Promise<void>
  findAgent(name: string): Promise<RegisteredAgent | undefined>
  /** Removes the entry and its keys. With an incarnation, only if the entry is still of it. */
  removeAgent(name: string, incarnation?: string): Promise<void>
  agents(
    capability: string | undefined,
    cursor: string | undefined,
    limit: number,
  ): Promise<{ readonly items: readonly RegisteredAgent[]; readonly cursor?: string }>
  /** Stores a key unless its owner (in this incarnation) has `max` already. `first` only when the owner has none. */
  putKey(
    key: KeyRecord,
    options: { readonly first?: boolean; readonly max: number },
  ): Promise<'stored' | 'has_keys' | 'too_many'>
  /** An agent's key comes with the permissions its agent has now, and not at all once that incarnation is gone. */
  findKey(hash: string): Promise<KeyRecord | undefined>
  /** At most `limits.pageSize` by id; `cursor` is the last id of the page before. */
  keys(owner: string | undefined, cursor?: string): Promise<readonly KeyRecord[]>
  removeKey(id: string, owner?: string): Promise<boolean>
  removeKeysOf(owner: string): Promise<void>
  /** At most `max` an agent. `by` is the agent that asks, which may not change another's; left out, an admin asks. */
  putSubscription(
    id: string,
    input: SubscriptionInput,
    options: { readonly max: number; readonly by?: string },
  ): Promise<
    | { readonly status: 'put'; readonly subscription: Subscription; readonly created: boolean }
    | { readonly status: 'foreign' | 'unknown' | 'too_many' }
  >
  findSubscription(id: string): Promise<Subscription | undefined>
  removeSubscription(id: string, by?: string): Promise<'removed' | 'unknown' | 'foreign'>
  subscriptions(
    agent: string | undefined,
    cursor: string | undefined,
    limit: number,
  ): Promise<{ readonly items: readonly Subscription[]; readonly cursor?: string }>
  /** Whom a publish may be for, by agent name after `cursor`. With a version: without who subscribed or joined since. */
  candidates(audience: Audience, cursor: string | undefined, limit: number, version?: number): Promise<Candidates>
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

export interface DeadLettersPort {
  bury(letters: readonly DeadLetter[]): Promise<void>
  get(id: string): Promise<DeadLetter | undefined>
  list(
    filter: DeadLetterFilter,
    cursor: string | undefined,
    limit: number,
  ): Promise<{ readonly items: readonly DeadLetter[]; readonly cursor?: string }>
  /** By fingerprint and reason, the one with the newest letter first. */
  groups(
    agent: string | undefined,
    cursor: string | undefined,
    limit: number,
  ): Promise<{ readonly items: readonly LetterGroup[]; readonly cursor?: string }>
  remove(id: string): Promise<boolean>
}

/** Everything the verbs need. One is made per invocation (workers/platform.ts). */
export interface Platform extends ChancePort {
  agent(name: string): AgentPort
  directory(): DirectoryPort
  deadLetters(): DeadLettersPort
  publication(id: string): PublicationPort
  readonly deliveries: QueuePort<Reference>
  readonly work: QueuePort<WorkReference>
  fetch(
    url: string,
    init: { method: string; headers: Record<string, string>; body: string; redirect: 'manual'; signal: AbortSignal },
  ): Promise<FetchedAnswer>
  waitUntil(work: Promise<unknown>): void
  /** Registers the deployment's own handler agent of that name, if it has one. False if it has none. */
  enrolHandler(name: string): Promise<boolean>
  /** Registers all of them: who publishes to everybody means them too. */
  enrolHandlers(): Promise<void>
  /** After this many milliseconds, for deadlines; cancelled by the returned function. */
  after(ms: number, then: () => void): () => void
  log(step: string, ids: Readonly<Record<string, unknown>>): void
  readonly settings: Settings
  /** The Worker's bindings and variables, for handlers. */
  readonly bindings: Readonly<Record<string, unknown>>
}

export interface FetchedAnswer {
  readonly status: number
  readonly headers: { get(name: string): string | null }
  readonly body: ReadableStream<Uint8Array> | null
}

export interface Settings {
  readonly adminKey: string | undefined
  /** Loopback http webhooks are allowed and the challenge is skipped. */
  readonly development: boolean
  /** How long queue() waits for its deliveries before the rest goes on under waitUntil. */
  readonly patienceMs: number
}
