/**
 * The platform, as narrow as it is used: what the two sentences (publish, consume) and the objects need of queues, storage,
 * stubs, clocks, dice and fetch. Cloudflare's own types satisfy these shapes, and so does the simulator's
 * (test/simulator/). Never here: an implementation.
 */
import type { AgentPort } from './agent-port.ts'
import type { ApprovalsPort } from './approval-port.ts'
import type { Bell } from './bell.ts'
import type { DeadLettersPort } from './dead-letter.ts'
import type { DirectoryPort } from './directory.ts'
import type { DocumentPort } from './document.ts'
import type { GatherPort, RequestsPort } from './gather-port.ts'
import type { Message } from './message.ts'
import type { PromisePort } from './promise.ts'
import type { PublicationPort } from './publication.ts'
import type { Reference, WorkReference } from './reference.ts'
import type { ResourcePort } from './resource.ts'
import type { SchedulesPort } from './schedule.ts'
import type { KnownSchemas } from './schema.ts'
import type { Attempted } from './span.ts'
import type { WorkflowIndexPort } from './workflow-index.ts'
import type { WorkflowPort } from './workflow-port.ts'

// --- what the objects need --------------------------------------------------------------------------------------------

export type SqlValue = string | number | null | Uint8Array

export interface SqlPort {
  /** `rowsWritten`: by what was executed so far, which is all of a statement that gives nothing back. */
  exec(query: string, ...bindings: SqlValue[]): { toArray(): Record<string, unknown>[]; readonly rowsWritten: number }
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

/** Everything the verbs need. One is made per invocation (workers/platform.ts). */
export interface Platform extends ChancePort {
  agent(name: string): AgentPort
  directory(): DirectoryPort
  deadLetters(): DeadLettersPort
  publication(id: string): PublicationPort
  workflow(id: string): WorkflowPort
  workflowIndex(): WorkflowIndexPort
  resource(name: string): ResourcePort
  schedules(): SchedulesPort
  approvals(): ApprovalsPort
  promise(id: string): PromisePort
  document(id: string): DocumentPort
  gather(id: string): GatherPort
  /** By the asker's source. */
  requests(owner: string): RequestsPort
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
  /** Notes a step for the invocation's line in the log. `level: 'error'` for what somebody has to see: that is written at once. */
  log(step: string, ids: Readonly<Record<string, unknown>>): void
  /** The handler has returned. Its line is written once what it left under waitUntil is over. */
  ended(): void
  /** Tells a collector what this invocation did; absent when the deployer named none. */
  readonly tracing?: Tracing
  /** What this isolate remembers from one invocation to the next: a cache, gone with it. */
  readonly isolate: Isolate
  /** Shared by all that this invocation does. */
  readonly allowance: Allowance
  /** Rings with the id of a gather at which something arrived. */
  readonly bell: Bell
  readonly settings: Settings
  /** The Worker's bindings and variables, for handlers. */
  readonly bindings: Readonly<Record<string, unknown>>
}

/** What is told of messages on their way. None of it throws, waits or has an effect on them. */
export interface Tracing {
  /** A message was made that continues `parent`, and comes of what is `linked` too. It is not sent yet. */
  begun(traceparent: string, parent: string | undefined, linked?: readonly (string | undefined)[]): void
  /** It was accepted. Said again, or of one that another invocation made, it is nothing. */
  sent(message: Pick<Message, 'id' | 'to' | 'topic' | 'type' | 'correlationid' | 'traceparent'>): void
  /** An attempt begins; of a batch one for all. To be called when it ends, if it did begin. */
  attempt(
    agent: string,
    attempts: readonly Attempted[],
  ): (error: { readonly code: string; readonly message: string } | undefined) => void
  /** The `traceparent` of what happens within this delivery's attempt; undefined when it was not made here. */
  within(delivery: string): string | undefined
  settled(agent: string, delivery: string, outcome: string, startedAt: number): void
}

/** What one invocation may still do, counted down. */
export interface Allowance {
  legs: number
}

export interface Isolate {
  readonly schemas: KnownSchemas
}

export interface FetchedAnswer {
  readonly status: number
  readonly headers: { get(name: string): string | null }
  readonly body: ReadableStream<Uint8Array> | null
  text(): Promise<string>
}

export interface Settings {
  readonly adminKey: string | undefined
  /** Loopback http webhooks are allowed and the challenge is skipped. */
  readonly development: boolean
  /** How long queue() waits for its deliveries before the rest goes on under waitUntil. */
  readonly patienceMs: number
}
