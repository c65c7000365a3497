/**
 * parse → authorise → route: everything that can be said about a message without asking its mailbox. Whom it is for, and
 * whether this principal may send it there. Never here: storing anything (workers/accept.ts).
 */
import type { Incoming } from '../shared/admission.ts'
import type { TakeAnswer } from '../shared/agent-port.ts'
import type { Away } from '../shared/away.ts'
import { isCallbackAgent } from '../shared/callback.ts'
import { type Fault, issuesOf } from '../shared/fault.ts'
import { isGatherId, type Standing } from '../shared/gather.ts'
import { agentName } from '../shared/ids.ts'
import { boundDepth, utf8Length } from '../shared/json.ts'
import { limits } from '../shared/limits.ts'
import {
  composeMessage,
  contentHash,
  type Destination,
  destinationOf,
  type Message,
  type PublishInput,
  publishInput,
  topicReply,
} from '../shared/message.ts'
import { ownerOf } from '../shared/observer.ts'
import { allows, brokerSource, mayJoin, maySpeakAs, mayTell, ownSource, type Principal } from '../shared/permissions.ts'
import type { Platform } from '../shared/ports.ts'
import type { References } from '../shared/release.ts'
import { err, ok, type Result, unreachable } from '../shared/result.ts'
import type { SchemaWarning } from '../shared/schema.ts'
import { isReserved, topicName } from '../shared/topic.ts'
import { continueTrace } from '../shared/trace.ts'
import { workflowId } from '../shared/workflow.ts'
import { everybodyBut, type Many } from './choose.ts'

export interface PublishOptions {
  /** Names the message instead of its id. In a batch, each item's is this and its place. */
  readonly idempotencyKey?: string
  /** The caller's trace, for messages that bring none. */
  readonly traceparent?: string
  readonly tracestate?: string
  /** The version of the directory that the caller has seen: its subscriptions are heard, whatever is remembered here. */
  readonly directoryVersion?: number
  /** Its id was made by the broker, and is never released. */
  readonly brokerMade?: true
  /** The workflow of the delivery that led to it: what follows from that belongs there too. */
  readonly within?: string
  /** Delivers what the acceptance of a message that is published by itself has leased, in place of the queue (workers/express.ts). */
  readonly atOnce?: AtOnce
}

export interface AtOnce {
  /** What may take longer goes by the queue. */
  readonly longestMs: number
  readonly run: (agent: string, references: References, taken: TakeAnswer) => void
  /** Resolves when what was run is on its way; at once where nothing was. */
  left(): Promise<void>
}

export interface PublishReceipt {
  readonly id: string
  readonly deliveries: readonly {
    readonly id: string
    readonly agent: string
    readonly status: string
    readonly away?: Away
    /** The agent that it goes on to, because the breaker of this one is open. */
    readonly diverted?: string
  }[]
  readonly duplicate: boolean
  /** Present under at_most_once: nothing was stored. */
  readonly durable?: false
  /** Present for a publish to many: where its legs are told, and how many it was for. */
  readonly publication?: string
  readonly fanout?: number
  /** Present for a publish to a capability: why this agent. */
  readonly why?: string
  /** Present for a publish to a topic that reached nobody but who catches such messages. */
  readonly caught?: true
  /** Present for a reply to a gather: whether it counted. */
  readonly standing?: Standing
  /** Present for a message to a workflow: what its statechart made of it, or that it waits while the workflow is paused. */
  readonly reception?: 'taken' | 'ignored' | 'deferred'
  /** What does not fit a schema that says `warn`. */
  readonly warnings?: readonly SchemaWarning[]
}

/** A reply. Its gather decides whether it was asked for. */
export type AtGather = Extract<Destination, { kind: 'gather' }>

/** An event of a workflow's statechart. */
export type AtWorkflow = Extract<Destination, { kind: 'workflow' }>

/** A message that may be accepted, and by whom. */
export interface Routed {
  readonly to: { readonly kind: 'agent'; readonly agent: string } | AtGather | AtWorkflow | Many
  readonly incoming: Incoming
}

/** parse → authorise → route: everything that can be said about a message without its mailbox. */
export function prepare(
  platform: Platform,
  principal: Principal,
  raw: unknown,
  options: PublishOptions,
  index?: number,
): Result<Routed, Fault> {
  const shallow = boundDepth(raw)
  if (!shallow.ok) return shallow
  const parsed = publishInput.safeParse(raw)
  if (!parsed.success) return err({ code: 'invalid_request', issues: issuesOf(parsed.error) })
  const input = parsed.data

  const allowed = authorisePublish(principal, input, options.within)
  if (!allowed.ok) return allowed
  const routed = routeOf(input, principal)
  if (!routed.ok) return routed
  const headerKey =
    options.idempotencyKey === undefined
      ? undefined
      : index === undefined
        ? options.idempotencyKey
        : `${options.idempotencyKey}/${index}`
  const sane = checkMode(platform, input, headerKey, options)
  if (!sane.ok) return sane

  const message = stamp(platform, principal, input, options)
  const body = JSON.stringify(message)
  const bytes = utf8Length(body)
  const limitBytes = message.deliverymode === 'at_most_once' ? limits.queueMessageBytes : limits.messageBytes
  if (bytes > limitBytes) return err({ code: 'too_large', what: 'message', limitBytes, gotBytes: bytes })
  return ok({
    to: routed.value,
    incoming: {
      message,
      body,
      key: headerKey ?? message.id,
      contentHash: contentHash(input),
      hops: 0,
      brokerMade: options.brokerMade ?? false,
      ...sendsOf(principal),
    },
  })
}

// Whoever may send to anybody is not asked about: that is nearly everybody.
function sendsOf(principal: Principal): { readonly sends?: readonly string[] } {
  if (principal.kind === 'admin' || principal.permissions.send.includes('*')) return {}
  return { sends: principal.permissions.send }
}

function authorisePublish(principal: Principal, input: PublishInput, within: string | undefined): Result<void, Fault> {
  const { workflowid } = input
  if (workflowid !== undefined && workflowid !== within && !mayJoin(principal, workflowid))
    return err({ code: 'forbidden', action: 'change', subject: workflowid })
  if (input.source !== undefined && (input.source === brokerSource || !maySpeakAs(principal, input.source))) {
    const allowed = principal.kind === 'admin' ? ['*'] : [ownSource(principal), ...principal.permissions.sources]
    return err({ code: 'foreign_source', claimed: input.source, allowed: [...new Set(allowed)] })
  }
  // A reply, and the news of an end, go where the publisher might have sent them: nobody may borrow another's permissions through
  // `replyto` or `receiptto`.
  for (const subject of [input.to, input.replyto, input.receiptto, ...(input.chain ?? [])]) {
    if (subject === undefined || subject.startsWith(topicReply)) continue
    if (principal.kind !== 'admin' && isCallbackAgent(subject))
      return err({ code: 'forbidden', action: 'send to', subject })
    // Whom a gather expects is the gather's to say: nobody else is heard there.
    const to = destinationOf({ to: subject })
    if (to.kind === 'gather' || (to.kind === 'workflow' && mayTell(principal, to.workflow))) continue
    if (to.kind === 'workflow' || !allows(principal, 'send', subject))
      return err({ code: 'forbidden', action: 'send to', subject })
  }
  for (const topic of [input.topic, topicIn(input.replyto), topicIn(input.receiptto)]) {
    if (topic === undefined) continue
    if (isReserved(topic) || !allows(principal, 'publish', topic))
      return err({ code: 'forbidden', action: 'publish to', subject: topic })
    // Observers of an agent hear the agent itself, and nobody in its name (S1).
    const owner = ownerOf(topic)
    if (owner !== undefined && principal.kind !== 'admin' && !maySpeakAs(principal, owner))
      return err({ code: 'forbidden', action: 'publish to', subject: topic })
  }
  return ok(undefined)
}

const topicIn = (address: string | undefined) =>
  address?.startsWith(topicReply) ? address.slice(topicReply.length) : undefined

/** Whom the message is for. A direct message to somebody unknown is refused by name, never broadcast (T1). */
function routeOf(input: PublishInput, principal: Principal): Result<Routed['to'], Fault> {
  const to = destinationOf(input)
  switch (to.kind) {
    case 'agent':
      return agentName.safeParse(to.agent).success
        ? ok(to)
        : invalid('to', 'an agent name is 1 to 64 of a-z, 0-9 and -')
    case 'gather':
      return isGatherId(to.gather) ? ok(to) : invalid('to', 'gather: needs the id of a gather, as in a `replyto`')
    case 'workflow':
      return workflowId.safeParse(to.workflow).success ? ok(to) : invalid('to', 'workflow: needs the id of a workflow')
    case 'topic':
      return topicName.safeParse(to.topic).success
        ? ok(to)
        : invalid('topic', 'a topic is tokens of A-Z, a-z, 0-9, _ and -, joined by dots')
    case 'all':
      // A sender does not receive its own broadcast (T2).
      return ok(everybodyBut(input.source ?? ownSource(principal), senderOf(principal)))
    case 'capability':
      return to.skill.length > 0 ? ok(to) : invalid('to', 'capability: needs the name of a skill')
    default:
      return unreachable(to)
  }
}

function senderOf(principal: Principal): string | undefined {
  return principal.kind === 'agent' ? principal.name : undefined
}

function invalid(path: string, message: string): Result<never, Fault> {
  return err({ code: 'invalid_request', issues: [{ path, message }] })
}

/** What only means something of a message that is stored. */
const onlyStored = ['partitionkey', 'delivertime', 'collapsekey', 'chain', 'receiptto', 'select', 'maxbytes'] as const
/** What follows from a message, or pays for it. A workflow's own has both always, and is stored whatever it says of the mode. */
const consequences = ['replyto', 'workflowid'] as const

function checkMode(
  platform: Platform,
  input: PublishInput,
  headerKey: string | undefined,
  options: PublishOptions,
): Result<void, Fault> {
  if (input.deliverymode === 'exactly_once' && input.id === undefined && headerKey === undefined)
    return err({ code: 'key_required' })
  if (input.deliverymode === 'at_most_once') {
    if (destinationOf(input).kind !== 'agent')
      return err({ code: 'not_durable', attribute: input.topic === undefined ? 'to' : 'topic' })
    const refused = options.brokerMade === true ? onlyStored : [...onlyStored, ...consequences]
    const attribute = refused.find((name) => input[name] !== undefined)
    if (attribute !== undefined) return err({ code: 'not_durable', attribute })
  }
  if (input.expirytime !== undefined) {
    const expiresAt = Date.parse(input.expirytime)
    const startsAt =
      input.delivertime === undefined ? platform.now() : Math.max(platform.now(), Date.parse(input.delivertime))
    if (expiresAt <= startsAt) return err({ code: 'already_expired', expirytime: input.expirytime })
  }
  return ok(undefined)
}

function stamp(platform: Platform, principal: Principal, input: PublishInput, options: PublishOptions): Message {
  const brought = input.traceparent !== undefined
  const parent = brought ? input.traceparent : options.traceparent
  const trace = continueTrace(
    { traceparent: parent, tracestate: brought ? input.tracestate : options.tracestate },
    (bytes) => platform.hex(bytes),
  )
  platform.tracing?.begun(trace.traceparent, parent)
  return composeMessage(input, {
    source: input.source ?? ownSource(principal),
    freshId: platform.uuidv7(),
    now: platform.now(),
    traceparent: trace.traceparent,
    tracestate: trace.tracestate,
  })
}
