/**
 * How a user writes an agent that runs inside the Worker. Only types and one identity function, so that a handler can be
 * tested as plain code. Never here: running it (workers/handler.ts).
 */
import type * as z from 'zod'
import type { PermissionsInput } from '../shared/permissions.ts'
import type { PolicyInput } from '../shared/policy.ts'

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
  /** Fewer attempts, or less time for each, than the receiving agent's policy allows. */
  readonly maxattempts?: number
  readonly timeoutseconds?: number
}

/**
 * The handler's hands. `reply` and `send` are buffered: nothing leaves until the handler has returned and its result is
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
  send(message: Outgoing): void
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

export interface AgentDefinition<Schema extends z.ZodType = z.ZodType> {
  readonly name: string
  readonly capabilities?: readonly string[]
  /** The shape of `data`. A message that does not match is a dead letter (`terminal`) without the handler being called. */
  readonly accepts: Schema
  readonly policy?: PolicyInput
  readonly permissions?: PermissionsInput
  /** The returned value is the delivery's result. */
  handle(message: HandlerMessage<z.infer<Schema>>, ctx: HandlerContext): Promise<unknown>
}

/** An agent of any schema, as a list of them is typed. */
export interface AnyAgent {
  readonly name: string
  readonly capabilities?: readonly string[]
  readonly accepts: z.ZodType
  readonly policy?: PolicyInput
  readonly permissions?: PermissionsInput
  handle(message: HandlerMessage<never>, ctx: HandlerContext): Promise<unknown>
}

/** Types a definition; changes nothing. */
export function defineAgent<Schema extends z.ZodType>(definition: AgentDefinition<Schema>): AgentDefinition<Schema> {
  return definition
}
