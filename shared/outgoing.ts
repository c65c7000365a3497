/**
 * What a workflow has to send: committed with the step that made it (W3), carried out afterwards, and ended as carried or
 * refused (E1). Ids are deterministic, so a repeat is a duplicate downstream. Never here: carrying out (workers/perform.ts).
 */
import * as z from 'zod'
import { type EffectStatus, effectStatus } from './effects.ts'
import { isJsonObject, type JsonObject } from './json-pointer.ts'
import { limits } from './limits.ts'
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

export const outgoingId = (workflow: string, n: number): string => `${workflow}-${n}`

/** The number of the effect that has this message id, if it is one of this workflow's. */
export function outgoingNumber(workflow: string, messageId: string | undefined): number | undefined {
  if (messageId === undefined || !messageId.startsWith(`${workflow}-`)) return undefined
  const digits = messageId.slice(workflow.length + 1)
  return /^[1-9][0-9]{0,8}$/.test(digits) ? Number(digits) : undefined
}

/** The publish that an effect is. Answers come back to the workflow, unless it said where else. */
export function publishOf(workflow: string, { n, message, causationid }: Outgoing): JsonObject {
  return {
    replyto: workflowAddress(workflow),
    correlationid: workflow,
    ...message,
    id: outgoingId(workflow, n),
    workflowid: workflow,
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
export function publicOutgoing(workflow: string, { n, kind, message, entry, openedAt, instead, state }: Outgoing) {
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
