/**
 * What a workflow has to send: committed with the step that made it (W3), carried out afterwards, and ended as carried or
 * refused (E1). Ids are deterministic, so a repeat is a duplicate downstream. Never here: carrying out (workers/perform.ts).
 */
import * as z from 'zod'
import { type EffectStatus, effectStatus } from './effects.ts'
import { isJsonObject, type JsonObject } from './json-pointer.ts'
import { limits } from './limits.ts'
import type { Head } from './message.ts'
import { project, selection } from './projection.ts'
import { err, ok, type Result } from './result.ts'

export const outgoingRecord = z.strictObject({
  v: z.literal(1),
  n: z.int(),
  kind: z.enum(['send', 'publish', 'scatter']),
  /** As in a publish, with `to` or `topic`; of one that was refused before it could be sent, what was asked for. */
  message: z.record(z.string(), z.unknown()),
  /** The history entry of the step that made it. */
  entry: z.int(),
  openedAt: z.number(),
  /** The message that caused the step, and its trace. */
  causationid: z.string().exactOptional(),
  traceparent: z.string().exactOptional(),
  /** The state of the statechart that waits for it. */
  origin: z.string(),
  /** After an agent's error: which effect this one stands for, how often it was sent again, whether to the fallback agent. */
  instead: z.int().exactOptional(),
  retried: z.int(),
  fellBack: z.boolean(),
  /** Why it can never be sent, if that was known when it was made. */
  flaw: z.string().exactOptional(),
  state: effectStatus,
})
export type Outgoing = z.infer<typeof outgoingRecord>

export const readOutgoing = (stored: unknown): Outgoing => outgoingRecord.parse(JSON.parse(String(stored)))

/** What became of one. */
export interface Performed {
  readonly n: number
  readonly state: EffectStatus
}

/** Where answers to what a workflow sends go. */
export const workflowAddress = (id: string): string => `workflow:${id}`

/** The source under which it speaks. */
export const workflowSource = (id: string): string => `workflow/${id}`

/** A workflow, and which of those that had its id one after the other. One that was made before they were told apart says nothing. */
export interface Incarnate {
  readonly id: string
  readonly incarnation?: string | undefined
}

/** What no other workflow is called that had its id before it or has it after: what it says under that name is its own. */
export const ownName = ({ id, incarnation }: Incarnate): string =>
  incarnation === undefined ? id : `${id}-${incarnation}`

export const outgoingId = (workflow: Incarnate, n: number): string => `${ownName(workflow)}-${n}`

/** Which effect it is, and of which of the workflows of that id. */
export interface OutgoingName {
  readonly n: number
  readonly incarnation?: string
}

/** The effect that has this message id, if it is one of a workflow of this id. */
export function outgoingName(workflow: string, messageId: string | undefined): OutgoingName | undefined {
  if (messageId === undefined || !messageId.startsWith(`${workflow}-`)) return undefined
  const rest = messageId.slice(workflow.length + 1)
  const [, incarnation, digits] = /^(?:([0-9a-z]{1,12})-)?([1-9][0-9]{0,8})$/.exec(rest) ?? []
  if (digits === undefined) return undefined
  return { n: Number(digits), ...(incarnation === undefined ? {} : { incarnation }) }
}

/** Which of a workflow's own messages this is: by its source too, which nobody else has. */
export function ownMessage(workflow: string, { id, source }: Pick<Head, 'id' | 'source'>): OutgoingName | undefined {
  return source === workflowSource(workflow) ? outgoingName(workflow, id) : undefined
}

/** The publish that an effect is. Answers come back to the workflow, unless it said where else. */
export function publishOf(workflow: Incarnate, { n, message, causationid }: Outgoing): JsonObject {
  return {
    replyto: workflowAddress(workflow.id),
    correlationid: workflow.id,
    ...message,
    id: outgoingId(workflow, n),
    workflowid: workflow.id,
    ...(causationid === undefined ? {} : { causationid }),
  }
}

const projected = z.object({ select: selection.optional(), maxbytes: z.int().min(1).max(limits.stateBytes).optional() })

/**
 * The message of a `send`: its `select` names the parts of the shared state that the agent gets, as members of `data` beside
 * those that are given. Parts beyond `maxbytes` are marked.
 */
export function messageOf(params: JsonObject, state: JsonObject): Result<JsonObject, string> {
  const { select: _select, maxbytes: _maxbytes, ...message } = params
  const parsed = projected.safeParse(params)
  if (!parsed.success) return err(parsed.error.issues.map((i) => `${i.path.join('.')}: ${i.message}`).join('; '))
  const { select, maxbytes } = parsed.data
  if (select === undefined) return ok(message)
  const { data } = message
  if (data !== undefined && !isJsonObject(data)) return err('data: beside `select` it must be an object')
  const parts = project(state, select, maxbytes).value
  return ok({ ...message, data: { ...(isJsonObject(parts) ? parts : {}), ...data } })
}

/** What was sent, as it is shown: what became of it, and not what was in it. */
export function publicOutgoing(workflow: Incarnate, { n, kind, message, entry, openedAt, instead, state }: Outgoing) {
  const { to, topic, type } = message
  return {
    ...{ n, id: outgoingId(workflow, n), kind },
    ...(to === undefined ? {} : { to }),
    ...(topic === undefined ? {} : { topic }),
    ...(type === undefined ? {} : { type }),
    ...{ at: new Date(openedAt).toISOString(), entry },
    ...(instead === undefined ? {} : { instead }),
    state,
  }
}

/** A refused effect, as it comes back to its workflow. */
export interface Refused {
  readonly effect: number
  readonly kind: Outgoing['kind']
  readonly to?: unknown
  readonly topic?: unknown
  readonly type?: unknown
  readonly reason: string
  readonly detail: string
}

export function refusalOf({ n, kind, message }: Outgoing, reason: string, detail: string): Refused {
  const { to, topic, type } = message
  return {
    ...{ effect: n, kind },
    ...(to === undefined ? {} : { to }),
    ...(topic === undefined ? {} : { topic }),
    ...(type === undefined ? {} : { type }),
    ...{ reason, detail },
  }
}
