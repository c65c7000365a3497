/**
 * parse → authorise → route: everything that can be said about a message without asking its mailbox. Whom it is for, and
 * whether this principal may send it there. Never here: storing anything (workers/accept.ts).
 */
import type { Incoming } from '../shared/admission.ts'
import { type Fault, issuesOf } from '../shared/fault.ts'
import { agentName } from '../shared/ids.ts'
import { boundDepth, utf8Length } from '../shared/json.ts'
import { limits } from '../shared/limits.ts'
import {
  composeMessage,
  contentHash,
  destinationOf,
  type Message,
  type PublishInput,
  publishInput,
} from '../shared/message.ts'
import { allows, maySpeakAs, ownSource, type Principal } from '../shared/permissions.ts'
import type { Platform } from '../shared/ports.ts'
import { err, ok, type Result } from '../shared/result.ts'
import { continueTrace } from '../shared/trace.ts'

export interface PublishOptions {
  /** Names the message instead of its id. In a batch, each item's is this and its place. */
  readonly idempotencyKey?: string
  /** The caller's trace, for messages that bring none. */
  readonly traceparent?: string
  readonly tracestate?: string
}

export interface PublishReceipt {
  readonly id: string
  readonly deliveries: readonly { readonly id: string; readonly agent: string; readonly status: string }[]
  readonly duplicate: boolean
  /** Present under at_most_once: nothing was stored. */
  readonly durable?: false
}

/** A message that may be accepted, and by whom. */
export interface Routed {
  readonly agent: string
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

  const allowed = authorisePublish(principal, input)
  if (!allowed.ok) return allowed
  const routed = routeOf(input)
  if (!routed.ok) return routed
  const headerKey =
    options.idempotencyKey === undefined
      ? undefined
      : index === undefined
        ? options.idempotencyKey
        : `${options.idempotencyKey}/${index}`
  const sane = checkMode(platform, input, headerKey)
  if (!sane.ok) return sane

  const message = stamp(platform, principal, input, options)
  const body = JSON.stringify(message)
  const bytes = utf8Length(body)
  const limitBytes = message.deliverymode === 'at_most_once' ? limits.queueMessageBytes : limits.messageBytes
  if (bytes > limitBytes) return err({ code: 'too_large', what: 'message', limitBytes, gotBytes: bytes })
  return ok({
    agent: routed.value,
    incoming: {
      message,
      body,
      key: headerKey ?? message.id,
      contentHash: contentHash(input),
      hops: 0,
      brokerMade: false,
    },
  })
}

function authorisePublish(principal: Principal, input: PublishInput): Result<void, Fault> {
  if (input.source !== undefined && !maySpeakAs(principal, input.source)) {
    const allowed = principal.kind === 'admin' ? ['*'] : [ownSource(principal), ...principal.permissions.sources]
    return err({ code: 'foreign_source', claimed: input.source, allowed: [...new Set(allowed)] })
  }
  // A reply goes where the publisher might have sent it: nobody may borrow another's permissions through `replyto`.
  for (const subject of [input.to, input.replyto]) {
    if (subject !== undefined && !allows(principal, 'send', subject))
      return err({ code: 'forbidden', action: 'send to', subject })
  }
  return ok(undefined)
}

/** Whom the message is for. A direct message to somebody unknown is refused by name, never broadcast (T1). */
export function routeOf(input: {
  readonly to?: string | undefined
  readonly topic?: string | undefined
}): Result<string, Fault> {
  const destination = destinationOf(input)
  if (destination.kind === 'many') return err({ code: 'destination_not_supported', destination: destination.name })
  if (agentName.safeParse(destination.agent).success) return ok(destination.agent)
  return err({
    code: 'invalid_request',
    issues: [{ path: 'to', message: 'an agent name is 1 to 64 of a-z, 0-9 and -' }],
  })
}

function checkMode(platform: Platform, input: PublishInput, headerKey: string | undefined): Result<void, Fault> {
  if (input.deliverymode === 'exactly_once' && input.id === undefined && headerKey === undefined)
    return err({ code: 'key_required' })
  if (input.deliverymode === 'at_most_once') {
    if (input.partitionkey !== undefined) return err({ code: 'not_durable', attribute: 'partitionkey' })
    if (input.delivertime !== undefined) return err({ code: 'not_durable', attribute: 'delivertime' })
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
  const trace = continueTrace(
    {
      traceparent: brought ? input.traceparent : options.traceparent,
      tracestate: brought ? input.tracestate : options.tracestate,
    },
    (bytes) => platform.hex(bytes),
  )
  return composeMessage(input, {
    source: input.source ?? ownSource(principal),
    freshId: platform.uuidv7(),
    now: platform.now(),
    traceparent: trace.traceparent,
    tracestate: trace.tracestate,
  })
}
