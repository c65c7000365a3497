/**
 * A message is a CloudEvents 1.0.2 event; ours are the extension attributes of docs/protocol.md, "The message".
 * Immutable once accepted. What came in (`PublishInput`) and what was accepted (`Message`) have different names, and nothing
 * after `composeMessage` takes the raw one. Never here: the CloudEvents wire forms (shared/cloudevents.ts), identity (shared/ids.ts).
 */
import * as z from 'zod'
import { agentName, digest } from './ids.ts'
import { canonical } from './json.ts'
import { limits } from './limits.ts'
import { topicName } from './topic.ts'
import { viewAttributes } from './view.ts'

export const deliveryMode = z.enum(['at_most_once', 'at_least_once', 'exactly_once'])

// CloudEvents 1.0.2, "Type System": a String holds no control characters, half surrogate pairs or noncharacters. Two texts
// that differ only in those would also be one text, and one identity, once in UTF-8.
const attributeText = (max: number) =>
  z
    .string()
    .max(max)
    .refine((t) => /^[^\p{Cc}\p{Cs}\p{NChar}]*$/u.test(t), 'must hold no control characters')
/** An attribute's text that says something: at most `max` characters, none of them a control character. */
export const nonEmpty = (max: number) => attributeText(max).min(1)
const timestamp = z.iso.datetime({ offset: true, error: 'must be an RFC 3339 time such as 2026-01-31T12:00:00Z' })

/** CloudEvents 1.0.2, "Attributes": lower-case letters and digits; a name is at most 20 characters. */
export const attributeName = new RegExp(`^[a-z0-9]{1,${limits.attributeNameLength}}$`)

const scalar = 'CloudEvents has strings, booleans, integers of 32 bits: send other numbers as text, the rest in `data`'
const extensionValue = z.union([attributeText(limits.attributeLength), z.int32(scalar), z.boolean()], scalar)

const known = {
  specversion: z.literal('1.0').optional(),
  id: nonEmpty(limits.idLength).optional(),
  source: nonEmpty(limits.idLength).optional(),
  type: nonEmpty(limits.typeLength),
  time: timestamp.optional(),
  subject: nonEmpty(limits.attributeLength).optional(),
  datacontenttype: nonEmpty(255).optional(),
  dataschema: nonEmpty(limits.urlLength).optional(),
  /** Where the data is that is too large to travel (CloudEvents' dataref extension), such as the `url` of a document. */
  dataref: nonEmpty(limits.urlLength).optional(),
  data: z.unknown().optional(),
  data_base64: z.base64().optional(),
  to: nonEmpty(limits.topicLength).optional(),
  topic: nonEmpty(limits.topicLength).optional(),
  correlationid: nonEmpty(limits.idLength).optional(),
  causationid: nonEmpty(limits.idLength).optional(),
  replyto: nonEmpty(limits.topicLength).optional(),
  /** Who is told how each delivery of it ended: an agent, or `topic:<topic>`. */
  receiptto: nonEmpty(limits.topicLength).optional(),
  workflowid: nonEmpty(limits.idLength).optional(),
  deliverymode: deliveryMode.optional(),
  partitionkey: nonEmpty(limits.idLength).optional(),
  delivertime: timestamp.optional(),
  expirytime: timestamp.optional(),
  priority: z.int().min(0).max(9).optional(),
  /** At most what its agent's policy allows: a message may narrow it (shared/narrowing.ts). */
  maxattempts: z.int().min(1).max(limits.attemptsPerReceipt).optional(),
  timeoutseconds: z.int().min(1).max(limits.timeoutSeconds).optional(),
  /** The latest of its key counts: what still waits gives way to it (shared/collapse.ts). */
  collapsekey: nonEmpty(limits.idLength).optional(),
  debounceseconds: z.int().min(1).max(limits.debounceSeconds).optional(),
  debouncemaxseconds: z.int().min(1).max(limits.debounceSeconds).optional(),
  /** For a publish to many that reaches nobody: a dead letter (the default), nothing, or a refusal of the publish. */
  onunroutable: z.enum(['dead', 'drop', 'reject']).optional(),
  chain: z.array(nonEmpty(limits.agentNameLength)).min(1).max(limits.hops).optional(),
  /** What becomes of it at an agent of its chain whose breaker is open: on to the next, or it waits (the default). */
  chainopen: z.enum(['skip', 'park']).optional(),
  /** While its agent's breaker is open it is refused, whatever the policy (shared/on-open.ts). */
  onopen: z.literal('reject').optional(),
  /** What of its data is handed over (shared/view.ts). */
  ...viewAttributes,
  traceparent: z.string().max(limits.attributeLength).optional(),
  tracestate: z.string().max(limits.attributeLength).optional(),
}
const knownNames: ReadonlySet<string> = new Set(Object.keys(known))

function collapseIssues(input: {
  readonly collapsekey?: string | undefined
  readonly debounceseconds?: number | undefined
  readonly debouncemaxseconds?: number | undefined
  readonly deliverymode?: string | undefined
}): (readonly [string, string])[] {
  const { collapsekey, debounceseconds, debouncemaxseconds, deliverymode } = input
  return [
    ...(collapsekey !== undefined && deliverymode === 'exactly_once'
      ? [['collapsekey', 'what is to be done exactly once cannot give way to another'] as const]
      : []),
    ...(debounceseconds !== undefined && collapsekey === undefined
      ? [['debounceseconds', 'needs a `collapsekey`: what it waits for is the next of that key'] as const]
      : []),
    ...(debouncemaxseconds !== undefined && (debounceseconds ?? Number.POSITIVE_INFINITY) > debouncemaxseconds
      ? [['debouncemaxseconds', 'needs `debounceseconds`, and is no less'] as const]
      : []),
  ]
}

// A message without `to` has been told so already.
function chainIssues({ to, topic, chain, chainopen }: ChainInput): (readonly [string, string])[] {
  if (chain === undefined) return chainopen === undefined ? [] : [['chainopen', 'is for a `chain`']]
  const all = [...(to === undefined ? [] : [to]), ...chain]
  return [
    ...(topic === undefined ? [] : [['chain', 'goes from agent to agent: it needs `to`, not `topic`'] as const]),
    ...(to !== undefined && !agentName.safeParse(to).success
      ? [['to', 'beside `chain` is the first agent to be asked, by name'] as const]
      : []),
    ...(chain.every((name) => agentName.safeParse(name).success) ? [] : [['chain', 'names agents'] as const]),
    ...(new Set(all).size === all.length ? [] : [['chain', 'names an agent twice: nobody is asked again'] as const]),
  ]
}

function onOpenIssues({ to, onopen, chain, deliverymode }: ChainInput): (readonly [string, string])[] {
  if (onopen === undefined) return []
  const fits = agentName.safeParse(to).success && chain === undefined && deliverymode !== 'at_most_once'
  return fits ? [] : [['onopen', 'is for a message that is stored, to an agent by name, without a `chain`']]
}

function receiptIssues({ to, receiptto }: ReceiptInput): (readonly [string, string])[] {
  if (receiptto === undefined) return []
  const isTopic = topicName.safeParse(receiptto.slice(topicReply.length)).success && receiptto.startsWith(topicReply)
  return [
    ...(isTopic || agentName.safeParse(receiptto).success
      ? []
      : [['receiptto', 'is an agent by name, or a topic as `topic:<topic>`'] as const]),
    ...(to?.startsWith(gatherPrefix) || to?.startsWith(workflowPrefix)
      ? [['receiptto', 'is told how deliveries ended: what goes to a gather or a workflow is no delivery'] as const]
      : []),
  ]
}

function viewIssues({ to, select, maxbytes }: ViewInput): (readonly [string, string])[] {
  if (!to?.startsWith(gatherPrefix) && !to?.startsWith(workflowPrefix)) return []
  const why = 'says what an agent is handed: a gather or a workflow gets the whole message'
  return [
    ...(select === undefined ? [] : [['select', why] as const]),
    ...(maxbytes === undefined ? [] : [['maxbytes', why] as const]),
  ]
}

interface ViewInput {
  readonly to?: string | undefined
  readonly select?: readonly string[] | undefined
  readonly maxbytes?: number | undefined
}

interface ReceiptInput {
  readonly to?: string | undefined
  readonly receiptto?: string | undefined
}

interface ChainInput {
  readonly to?: string | undefined
  readonly topic?: string | undefined
  readonly chain?: readonly string[] | undefined
  readonly chainopen?: string | undefined
  readonly onopen?: string | undefined
  readonly deliverymode?: string | undefined
}

/** A message as a publisher sends it. Exactly one of `to` and `topic`; absent never means broadcast (T1). */
export const publishInput = z
  .object(known)
  .catchall(extensionValue)
  .superRefine((input, ctx) => {
    const extensions = Object.keys(input).filter((name) => !knownNames.has(name))
    for (const name of extensions) {
      if (!attributeName.test(name))
        ctx.addIssue({
          code: 'custom',
          path: [name],
          message: 'not an attribute name: 1 to 20 lower-case letters and digits. Put your own fields into `data`',
        })
    }
    if (extensions.length > limits.extensionAttributes)
      ctx.addIssue({
        code: 'custom',
        path: [],
        message: `at most ${limits.extensionAttributes} attributes of your own`,
      })
    if ((input.to === undefined) === (input.topic === undefined))
      ctx.addIssue({
        code: 'custom',
        path: ['to'],
        message: 'exactly one of `to` and `topic` is needed; leaving both out does not mean everybody',
      })
    if (input.data !== undefined && input.data_base64 !== undefined)
      ctx.addIssue({ code: 'custom', path: ['data_base64'], message: 'only one of `data` and `data_base64`' })
    for (const [path, message] of [
      ...collapseIssues(input),
      ...chainIssues(input),
      ...onOpenIssues(input),
      ...receiptIssues(input),
      ...viewIssues(input),
    ])
      ctx.addIssue({ code: 'custom', path: [path], message })
  })
export type PublishInput = z.infer<typeof publishInput>

/** A message once accepted: what storage holds, receivers get and nobody changes. */
export const messageSchema = z.looseObject({
  ...known,
  specversion: z.literal('1.0'),
  id: z.string(),
  source: z.string(),
  time: z.string(),
  correlationid: z.string(),
})
export type Message = z.infer<typeof messageSchema>

/** A message without its data: the part that outlives the body, for receipts and lists. */
export type Head = Message

export function headOf(message: Message): Head {
  const { data: _data, data_base64: _base64, ...head } = message
  return head
}

export interface Stamp {
  /** The authenticated source (S1). */
  readonly source: string
  /** Used when the publisher gave none: UUIDv7. */
  readonly freshId: string
  readonly now: number
  readonly traceparent: string
  readonly tracestate?: string | undefined
}

/** Fills in what the publisher left out. Total: whatever passed `publishInput` becomes a message. */
export function composeMessage(input: PublishInput, stamp: Stamp): Message {
  const id = input.id ?? stamp.freshId
  const { traceparent: _traceparent, tracestate: _tracestate, ...own } = input
  return {
    ...own,
    specversion: '1.0',
    id,
    source: stamp.source,
    time: input.time ?? new Date(stamp.now).toISOString(),
    correlationid: input.correlationid ?? id,
    ...(input.data !== undefined && input.datacontenttype === undefined ? { datacontenttype: 'application/json' } : {}),
    traceparent: stamp.traceparent,
    ...(stamp.tracestate === undefined ? {} : { tracestate: stamp.tracestate }),
  }
}

/**
 * Two sends with one key are the same message when this agrees: what the publisher sent, less time, trace context and
 * what the broker fills in (the id and source are the key's own scope).
 */
export function contentHash(input: PublishInput): string {
  const {
    specversion: _v,
    id: _id,
    source: _source,
    time: _time,
    traceparent: _tp,
    tracestate: _ts,
    ...content
  } = input
  return digest(canonical(content))
}

export type Destination =
  | { readonly kind: 'agent'; readonly agent: string }
  | { readonly kind: 'topic'; readonly topic: string }
  | { readonly kind: 'all' }
  | { readonly kind: 'capability'; readonly skill: string }
  | { readonly kind: 'gather'; readonly gather: string }
  | { readonly kind: 'workflow'; readonly workflow: string }

const capabilityPrefix = 'capability:'
const gatherPrefix = 'gather:'
const workflowPrefix = 'workflow:'

/** Whom a message is for, by what it says. */
export function destinationOf(input: {
  readonly to?: string | undefined
  readonly topic?: string | undefined
}): Destination {
  if (input.to === undefined) return { kind: 'topic', topic: input.topic ?? '' }
  if (input.to === '*') return { kind: 'all' }
  if (input.to.startsWith(capabilityPrefix))
    return { kind: 'capability', skill: input.to.slice(capabilityPrefix.length) }
  if (input.to.startsWith(gatherPrefix)) return { kind: 'gather', gather: input.to.slice(gatherPrefix.length) }
  if (input.to.startsWith(workflowPrefix)) return { kind: 'workflow', workflow: input.to.slice(workflowPrefix.length) }
  return { kind: 'agent', agent: input.to }
}

/** Somebody waits at this `replyto`, for the answer or for the news that there will be none. */
export function awaitsAnswer(replyto: string | undefined): replyto is string {
  return replyto !== undefined && (replyto.startsWith(gatherPrefix) || replyto.startsWith(workflowPrefix))
}

/** A `replyto` that is a topic: an agent's name and a topic's may look alike. */
export const topicReply = 'topic:'

/** Where a reply goes, as the publish of it says. */
export function replyDestination(replyto: string): { readonly to: string } | { readonly topic: string } {
  return replyto.startsWith(topicReply) ? { topic: replyto.slice(topicReply.length) } : { to: replyto }
}
