/**
 * What an attempt wants to happen next, journaled with its ack and carried out afterwards. Every effect ends as carried or
 * refused, and a refusal is told (E1). Never here: carrying out (workers/effects.ts).
 */
import * as z from 'zod'
import { deadLetterId, effectId } from './ids.ts'
import { mergePatch } from './json-patch.ts'
import { isJsonObject, type JsonObject } from './json-pointer.ts'
import { limits } from './limits.ts'
import { type Head, type PublishInput, publishInput, replyDestination, topicReply } from './message.ts'
import { err, ok, type Result } from './result.ts'
import { stateOperations } from './state-operations.ts'
import type { Tried } from './tried.ts'
import { isUsage, type Usage, usageSchema } from './usage.ts'

/** Without `ifVersion` the patch applies to whatever is there; operations never conflict. */
export const stateEffect = z.union([
  z.strictObject({ patch: mergePatch, ifVersion: z.int().min(1).optional() }),
  z.strictObject({ operations: stateOperations }),
])

/** What a handler or a receiver's JSON answer may ask for. */
export const effectsInput = z.strictObject({
  reply: z.strictObject({ type: z.string().min(1).max(limits.typeLength).optional(), data: z.unknown() }).optional(),
  messages: z.array(z.unknown()).max(limits.effectsPerAttempt).optional(),
  /** For the workflow that the message belongs to: an event of its statechart, and a change of its state. */
  event: z.strictObject({ type: z.string().min(1).max(limits.typeLength), data: z.unknown().optional() }).optional(),
  state: stateEffect.optional(),
  /** What the attempt used, for its workflow's budget. */
  usage: usageSchema.optional(),
  /** It does not take the message: the next of the chain is asked. Nothing else follows from it then. */
  pass: z.literal(true).optional(),
})
export type EffectsInput = z.infer<typeof effectsInput>

/** Whoever passes a message on has not answered it, and nothing else follows from it. */
export function passesAndMore({ pass, ...more }: EffectsInput): boolean {
  return pass === true && Object.values(more).some((asked) => asked !== undefined)
}

/** An answer with one of these is read as effects; anything else is the attempt's result. `state` and `event` are common words. */
export function asksForEffects(answer: JsonObject): boolean {
  const { event, state } = answer
  return (
    'reply' in answer ||
    'messages' in answer ||
    answer['pass'] === true ||
    (isJsonObject(event) && typeof event['type'] === 'string') ||
    isUsage(answer['usage']) ||
    (isJsonObject(state) && ('patch' in state || 'operations' in state))
  )
}

export const effectStatus = z.discriminatedUnion('status', [
  z.strictObject({ status: z.literal('pending') }),
  z.strictObject({
    status: z.literal('carried'),
    deliveries: z.array(z.string()),
    /** A reply to a gather: whether it counted. */
    standing: z.enum(['counted', 'duplicate', 'late']).exactOptional(),
    /** A scatter: its id. */
    scatter: z.string().exactOptional(),
  }),
  z.strictObject({
    status: z.literal('refused'),
    reason: z.string(),
    detail: z.string(),
    /** A guard stopped it: the delivery as which it is a dead letter. */
    delivery: z.string().exactOptional(),
  }),
])
export type EffectStatus = z.infer<typeof effectStatus>

/** Of a replay: what it asked for, and will not be done. */
const withheldStatus = z.strictObject({ status: z.literal('withheld'), detail: z.string() })

/** One journaled effect: the message to publish, under a deterministic id, and what became of it. */
export const effectSchema = z.strictObject({
  n: z.int(),
  /** `notice`: the broker tells whoever waits for an answer that there will be none. `pass`: the message itself goes to the next of its chain. */
  kind: z.enum(['reply', 'message', 'notice', 'event', 'state', 'pass', 'usage']),
  /** What will be published; an event or a change of a workflow's state as it was asked for; for an effect refused before it could become a message, what was asked for. */
  publish: z.record(z.string(), z.unknown()),
  state: z.discriminatedUnion('status', [...effectStatus.options, withheldStatus]),
})
export type Effect = z.infer<typeof effectSchema>

const pending: EffectStatus = { status: 'pending' }
const refused = (reason: string, detail: string): EffectStatus => ({ status: 'refused', reason, detail })

/**
 * Turns what was asked for into numbered effects. An effect that can never be carried is refused here, with its reason, and
 * spoils neither the ack nor its neighbours: the work was done and paid for.
 */
export function expandEffects(delivery: string, head: Head, input: EffectsInput): Effect[] {
  const effects: Effect[] = []
  let n = 0
  if (input.reply !== undefined) {
    n += 1
    const publish = inherit(head, effectId(delivery, n), {
      type: input.reply.type ?? `${head.type.slice(0, limits.typeLength - '.reply'.length)}.reply`,
      data: input.reply.data,
      ...(typeof head.replyto === 'string' ? replyDestination(head.replyto) : {}),
    })
    const state =
      head.replyto === undefined
        ? refused('no_replyto', 'the message names no `replyto`, so nobody waits for a reply')
        : pending
    effects.push({ n, kind: 'reply', publish, state })
  }
  for (const raw of input.messages ?? []) {
    n += 1
    const parsed = parseEmitted(raw)
    if (parsed.ok)
      effects.push({ n, kind: 'message', publish: inherit(head, effectId(delivery, n), parsed.value), state: pending })
    else effects.push({ n, kind: 'message', publish: { asked: raw }, state: refused('invalid', parsed.error) })
  }
  for (const kind of ['state', 'event'] as const) {
    const asked = input[kind]
    if (asked === undefined) continue
    n += 1
    const state =
      head.workflowid === undefined
        ? refused('no_workflow', 'the message names no `workflowid`, so there is no workflow to change')
        : pending
    effects.push({ n, kind, publish: { ...asked }, state })
  }
  return effects
}

/** What its workflow is told that an attempt used. `ticket`: its lease, for which that was set aside. */
export function usageEffect(n: number, usage: Usage, ticket: string): Effect {
  return { n, kind: 'usage', publish: { ...usage, ticket }, state: pending }
}

/** How a delivery ended that was to be answered and will not be. */
export interface Ending {
  readonly status: string
  readonly reason?: string
  readonly error?: unknown
  readonly tried?: readonly Tried[]
}

/** The news of it, for whoever waits. Under an id of this life of the delivery. */
export function noticeOf(delivery: string, head: Head, redrives: number, ending: Ending): Effect {
  const agent = delivery.slice(0, delivery.lastIndexOf('_'))
  const publish = inherit(head, `${deadLetterId(delivery, redrives)}-ended`, {
    type: endedType,
    data: { delivery, agent, ...ending },
    to: head.replyto,
  })
  return { n: 1, kind: 'notice', publish, state: pending }
}

/** The type of the news that a delivery ended. The broker's own. */
export const endedType = 'switchboard.delivery.ended'

/**
 * The same for whom its sender named in `receiptto`, whatever the end. Ids and reason only: a topic has many readers, and who may
 * read the receipt finds the rest there.
 */
export function receiptNoticeOf(
  delivery: string,
  head: Head,
  redrives: number,
  receiptto: string,
  { status, reason }: Pick<Ending, 'status' | 'reason'>,
): Effect {
  const agent = delivery.slice(0, delivery.lastIndexOf('_'))
  const publish = inherit(head, `${deadLetterId(delivery, redrives)}-receipt`, {
    type: endedType,
    data: { delivery, agent, status, ...(reason === undefined ? {} : { reason }) },
    ...replyDestination(receiptto),
    // As an announcement: a topic that nobody hears is nobody's trouble.
    ...(receiptto.startsWith(topicReply) ? { onunroutable: 'drop' } : {}),
  })
  return { n: 1, kind: 'notice', publish, state: pending }
}

// Emitted messages get the broker's deterministic id and their agent's source; neither is the handler's to choose.
function parseEmitted(raw: unknown): Result<PublishInput, string> {
  const parsed = publishInput.safeParse(raw)
  if (!parsed.success)
    return err(parsed.error.issues.map((i) => `${i.path.join('.') || '(message)'}: ${i.message}`).join('; '))
  if (parsed.data.deliverymode === 'at_most_once')
    return err('deliverymode: an effect is durable, so it cannot be at_most_once')
  return ok(parsed.data)
}

function inherit(head: Head, id: string, input: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const { source: _source, ...own } = input
  return {
    ...own,
    id,
    correlationid: input.correlationid ?? head.correlationid,
    causationid: head.id,
    ...(input.workflowid === undefined && typeof head.workflowid === 'string' ? { workflowid: head.workflowid } : {}),
  }
}
