/**
 * How a user writes an agent that runs inside the Worker. Only types and one identity function, so that a handler can be
 * tested as plain code. Never here: running it (workers/handler.ts).
 */
import type * as z from 'zod'
import type { Skill } from '../shared/card.ts'
import type { PermissionsInput } from '../shared/permissions.ts'
import type { PolicyInput } from '../shared/policy.ts'
import type { Usage } from '../shared/usage.ts'

/** What the handler is given of a message: the CloudEvent with its data already parsed by `accepts`. */
export interface HandlerMessage<Data> {
  readonly id: string
  readonly type: string
  readonly source: string
  readonly time: string
  readonly subject?: string
  readonly correlationid: string
  readonly causationid?: string
  readonly replyto?: string
  /** The workflow that it belongs to. */
  readonly workflowid?: string
  readonly data: Data
}

/** A message to send: as in POST /v1/messages, less id and source, which the broker makes. */
export interface Outgoing {
  readonly to: string
  readonly type: string
  readonly data?: unknown
  readonly replyto?: string
  readonly subject?: string
  readonly partitionkey?: string
  readonly delivertime?: string
  readonly expirytime?: string
  readonly priority?: number
  /** The latest of its key counts; with `debounceseconds` once it has been quiet for so long. */
  readonly collapsekey?: string
  readonly debounceseconds?: number
  readonly debouncemaxseconds?: number
  /** Fewer attempts, or less time for each, than the receiving agent's policy allows. */
  readonly maxattempts?: number
  readonly timeoutseconds?: number
  /** The parts of `data` that are handed over, and how many bytes of them at most. */
  readonly select?: readonly string[]
  readonly maxbytes?: number
  /** Where the data is that is too large to travel. */
  readonly dataref?: string
}

/** How `publish` says it: what a message to an agent may say, and what is to become of it when nobody is subscribed. */
export interface Publishing extends Omit<Outgoing, 'to' | 'type' | 'data'> {
  readonly onunroutable?: 'dead' | 'drop' | 'reject'
}

/** How `request` asks: as POST /v1/requests. */
export interface Asking {
  /** 30 when left out; never longer than this run may take. */
  readonly timeoutSeconds?: number
  readonly onTimeout?:
    | { readonly kind: 'error' }
    | { readonly kind: 'retry'; readonly times: number }
    | { readonly kind: 'default'; readonly data: unknown }
  readonly whenOpen?: 'refuse' | 'wait'
  readonly subject?: string
  readonly partitionkey?: string
  readonly priority?: number
}

/** The reply to a request. */
export interface HandlerReply {
  readonly id: string
  readonly type: string
  readonly source: string
  readonly data: unknown
}

/** There is no reply. `code` says why: `request_timeout`, `request_failed`, `breaker_open`, `would_deadlock`, … */
export class RequestError extends Error {
  override readonly name = 'RequestError'
  readonly code: string
  /** What an HTTP caller would have been answered. */
  readonly problem: Readonly<Record<string, unknown>>

  constructor(code: string, message: string, problem: Readonly<Record<string, unknown>> = {}) {
    super(message)
    this.code = code
    this.problem = problem
  }
}

/** The shared state of a workflow as one call saw it or left it. */
export interface StateSeen {
  readonly version: number
  readonly state: Readonly<Record<string, unknown>>
}

/** `ctx.state`: the shared state of the workflow that the message belongs to. It acts at once. Rejects with a StateError. */
export interface SharedState {
  /** All of it, or the named parts: dotted paths or JSON Pointers. */
  read(select?: readonly string[]): Promise<StateSeen>
  /**
   * Reads, has the next state made of it, and writes; again, after a pause, when somebody else was faster. The function may be
   * called several times. In a re-run of the handler what the run before wrote in this place stands.
   */
  update(change: (state: Readonly<Record<string, unknown>>) => Readonly<Record<string, unknown>>): Promise<StateSeen>
  /** `increment`, `append`, `setIfAbsent` and `max`, which never conflict. Once, however often the handler is run. */
  apply(operations: readonly Readonly<Record<string, unknown>>[]): Promise<StateSeen>
}

/** The state could not be read or written. `code` says why: `no_workflow`, `version_mismatch`, `forbidden`, … */
export class StateError extends Error {
  override readonly name = 'StateError'
  readonly code: string
  /** What an HTTP caller would have been answered. */
  readonly problem: Readonly<Record<string, unknown>>

  constructor(code: string, message: string, problem: Readonly<Record<string, unknown>> = {}) {
    super(message)
    this.code = code
    this.problem = problem
  }
}

/**
 * The handler's hands. `reply`, `send` and `publish` are buffered: nothing leaves until the handler has returned and its result is
 * journaled, and then each leaves once. A handler that throws sends nothing and is tried again.
 */
export interface HandlerContext {
  readonly agent: string
  readonly delivery: string
  /** 1 is the first. */
  readonly attempt: number
  readonly maxAttempts: number
  readonly isLast: boolean
  readonly deadline: Date
  /** Aborts at the deadline. Pass it to fetch. */
  readonly signal: AbortSignal
  readonly previousError?: string
  /** The Worker's bindings and variables: `env.AI`, keys of model providers, … */
  readonly env: Readonly<Record<string, unknown>>
  reply(data: unknown, type?: string): void
  /** Does not take the message: it goes to the next of its chain, whole. Nothing else may be said then. */
  pass(): void
  /** What was used of a model, for the budget of the workflow that the message belongs to. Said again, it adds up. */
  usage(used: Usage): void
  send(message: Outgoing): void
  /** To whoever subscribes to the topic. */
  publish(topic: string, type: string, data?: unknown, more?: Publishing): void
  /**
   * Asks another agent and waits for its reply. It acts at once. A re-run of the handler finds the replies of the one before, by
   * the order of its calls. Rejects with a RequestError.
   */
  request(to: string, type: string, data?: unknown, options?: Asking): Promise<HandlerReply>
  /** The shared state of the workflow that the message belongs to. */
  readonly state: SharedState
  /**
   * Says how a resource that the agent declares has answered: an HTTP status, and the pause that it asked for. Beside whatever
   * becomes of the attempt; throw a ResourceError where it is what the attempt failed of.
   */
  resource(name: string, status: number, retryAfterSeconds?: number): void
  /** A line of the deployment's log, with the agent, the delivery and the `traceparent` of this attempt. */
  log(note: string, fields?: Readonly<Record<string, unknown>>): void
}

/** Throw this for a message that can never work: it becomes a dead letter at once, and the agent is not blamed. */
export class TerminalError extends Error {
  override readonly name = 'TerminalError'
}

/** Throw this when what you called asked for a pause: the next attempt comes no sooner, and the attempt counts. */
export class RetryLater extends Error {
  override readonly name = 'RetryLater'
  readonly retryAfterSeconds: number

  constructor(message: string, retryAfterSeconds: number) {
    super(message)
    this.retryAfterSeconds = retryAfterSeconds
  }
}

/**
 * Throw this when a resource that the agent declares did not answer as it should: the agent is not blamed. 429 with a pause holds
 * the mail of everybody who declares it, at no attempt; anything else counts towards the resource's breaker.
 */
export class ResourceError extends Error {
  override readonly name = 'ResourceError'
  readonly resource: { readonly name: string; readonly status: number; readonly retryAfterSeconds?: number }

  constructor(name: string, status: number, retryAfterSeconds?: number) {
    super(`${name} answered ${status}`)
    this.resource = { name, status, ...(retryAfterSeconds === undefined ? {} : { retryAfterSeconds }) }
  }
}

export interface AgentDefinition<Schema extends z.ZodType = z.ZodType> {
  readonly name: string
  readonly capabilities?: readonly string[]
  /** What it speaks; left out, `1.0`. With `skills`, what a handshake is answered from. */
  readonly protocolVersions?: readonly string[]
  readonly skills?: readonly Skill[]
  /** `agent`: handshakes come to `handle` as messages of type `switchboard.handshake`. */
  readonly handshake?: 'registration' | 'agent'
  /** What it shares with others and may be down, such as `openai/gpt-5`: its mail waits while one of them is. */
  readonly resources?: readonly string[]
  /** Which types it takes of a chain, by name or by pattern (`ticket.*`); left out, all. */
  readonly types?: readonly string[]
  /** The shape of `data`. A message that does not match is a dead letter (`terminal`) without the handler being called. */
  readonly accepts: Schema
  readonly policy?: PolicyInput
  readonly permissions?: PermissionsInput
  /** The returned value is the delivery's result. */
  handle(message: HandlerMessage<z.infer<Schema>>, ctx: HandlerContext): Promise<unknown>
}

/** One of a batch. `delivery` is the id that its result names. */
export interface BatchMessage<Data> extends HandlerMessage<Data> {
  readonly delivery: string
  /** 1 is the first. */
  readonly attempt: number
  readonly maxAttempts: number
}

/** What became of one of a batch. `drop`: it can never work, and becomes a dead letter. Whoever has no result is tried again. */
export interface BatchResult {
  readonly id: string
  readonly status: 'ok' | 'retry' | 'drop'
  readonly result?: unknown
  readonly reply?: { readonly type?: string; readonly data: unknown }
  /** With `ok`, and nothing beside it: the message goes to the next of its chain. */
  readonly pass?: true
  readonly messages?: readonly Outgoing[]
  readonly error?: string
}

/** A batch has no `reply` and `send` of its own: what leaves, leaves with the result of one of its messages. */
export type BatchContext = Pick<HandlerContext, 'agent' | 'deadline' | 'signal' | 'env' | 'resource' | 'log'>

/** An agent that gets its messages together (`policy.batch`); one alone is a batch of one. */
export interface BatchAgentDefinition<Schema extends z.ZodType = z.ZodType>
  extends Omit<AgentDefinition<Schema>, 'handle' | 'policy'> {
  readonly policy: PolicyInput & { readonly batch: NonNullable<PolicyInput['batch']> }
  /** `{ results: BatchResult[] }` says what became of each; anything else is the result of all. */
  handleBatch(messages: readonly BatchMessage<z.infer<Schema>>[], ctx: BatchContext): Promise<unknown>
}

/** An agent of any schema, as a list of them is typed. It has one of `handle` and `handleBatch`. */
export interface AnyAgent {
  readonly name: string
  readonly capabilities?: readonly string[]
  readonly protocolVersions?: readonly string[]
  readonly skills?: readonly Skill[]
  readonly handshake?: 'registration' | 'agent'
  /** What it shares with others and may be down, such as `openai/gpt-5`: its mail waits while one of them is. */
  readonly resources?: readonly string[]
  readonly types?: readonly string[]
  readonly accepts: z.ZodType
  readonly policy?: PolicyInput
  readonly permissions?: PermissionsInput
  handle?(message: HandlerMessage<never>, ctx: HandlerContext): Promise<unknown>
  handleBatch?(messages: readonly BatchMessage<never>[], ctx: BatchContext): Promise<unknown>
}

/** Types a definition; changes nothing. */
export function defineAgent<Schema extends z.ZodType>(definition: AgentDefinition<Schema>): AgentDefinition<Schema> {
  return definition
}

/** Types the definition of an agent that gets batches; changes nothing. */
export function defineBatchAgent<Schema extends z.ZodType>(
  definition: BatchAgentDefinition<Schema>,
): BatchAgentDefinition<Schema> {
  return definition
}
