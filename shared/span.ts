/**
 * Spans of a message's way, as OpenTelemetry's messaging conventions name them, and their form on the wire (OTLP/HTTP, JSON).
 *
 *   send (producer)  its context is the message's own `traceparent`, so that everybody's spans hang on it
 *   process (consumer)  one attempt; of a batch one for all, linked to each message
 *   settle (client)  what the attempt came to, as it was told to the mailbox
 *
 * Sources: opentelemetry.io/docs/specs/semconv/messaging/messaging-spans, opentelemetry-proto trace/v1. Never here: sending them
 * (workers/trace.ts), the context that goes from hop to hop (shared/trace.ts).
 */
import type { Message } from './message.ts'
import { type SpanContext, spanContextOf } from './trace.ts'

/** As `Span.SpanKind` numbers them. */
const kinds = { client: 3, producer: 4, consumer: 5 } as const

export type SpanAttribute = string | number

export interface Span {
  readonly kind: keyof typeof kinds
  readonly name: string
  readonly context: SpanContext
  /** The span it is part of. */
  readonly parentSpanId?: string
  readonly links: readonly SpanContext[]
  readonly startedAt: number
  readonly endedAt: number
  readonly attributes: Readonly<Record<string, SpanAttribute>>
  /** It failed, and how. */
  readonly error?: { readonly code: string; readonly message: string }
}

type Times = Pick<Span, 'startedAt' | 'endedAt'>

const operation = (name: 'send' | 'process' | 'settle', destination: string) => ({
  name: `${name} ${destination}`,
  attributes: {
    'messaging.system': 'switchboard',
    'messaging.operation.name': name,
    'messaging.operation.type': name,
    'messaging.destination.name': destination,
  },
})

/** Of a message that was accepted. Undefined when its trace is not sampled. */
export function sendSpan(
  message: Pick<Message, 'id' | 'to' | 'topic' | 'type' | 'correlationid' | 'traceparent'>,
  parent: string | undefined,
  links: readonly SpanContext[],
  times: Times,
): Span | undefined {
  const context = spanContextOf(message.traceparent)
  if (context?.sampled !== true) return undefined
  const { name, attributes } = operation('send', message.to ?? message.topic ?? '')
  const outer = spanContextOf(parent)
  return {
    ...{ kind: 'producer', name, context, links, ...times },
    ...(outer?.traceId === context.traceId ? { parentSpanId: outer.spanId } : {}),
    attributes: { ...attributes, ...namesOf(message), 'cloudevents.event_type': message.type },
  }
}

const namesOf = ({ id, correlationid }: Pick<Message, 'id' | 'correlationid'>): Record<string, SpanAttribute> => ({
  'messaging.message.id': id,
  'messaging.message.conversation_id': correlationid,
})

export interface Attempted {
  readonly id: string
  readonly attempt: number
  readonly head: Pick<Message, 'id' | 'correlationid' | 'traceparent'>
}

/** The context of an attempt: its message's trace, or for a batch one of its own. Undefined when nothing of it is sampled. */
export function processContext(
  attempts: readonly Attempted[],
  hex: (bytes: number) => string,
):
  | { readonly context: SpanContext; readonly parentSpanId?: string; readonly links: readonly SpanContext[] }
  | undefined {
  const sent = attempts.flatMap(({ head }) => spanContextOf(head.traceparent) ?? []).filter(({ sampled }) => sampled)
  const [first] = sent
  if (first === undefined) return undefined
  if (attempts.length > 1) return { context: { ...first, traceId: hex(16), spanId: hex(8) }, links: sent }
  return { context: { ...first, spanId: hex(8) }, parentSpanId: first.spanId, links: [] }
}

/** Of an attempt that ended. */
export function processSpan(
  agent: string,
  attempts: readonly Attempted[],
  own: NonNullable<ReturnType<typeof processContext>>,
  times: Times,
  error: Span['error'],
): Span {
  const { name, attributes } = operation('process', agent)
  const [one] = attempts
  const which =
    one === undefined || attempts.length > 1
      ? { 'messaging.batch.message_count': attempts.length }
      : { ...namesOf(one.head), 'switchboard.delivery': one.id, 'switchboard.attempt': one.attempt }
  return {
    ...{ kind: 'consumer', name, ...own, ...times, attributes: { ...attributes, ...which } },
    ...(error === undefined ? {} : { error }),
  }
}

/** Of what an attempt came to, told to its mailbox. `parent`: the attempt's. */
export function settleSpan(
  agent: string,
  delivery: string,
  outcome: string,
  parent: SpanContext,
  spanId: string,
  times: Times,
): Span {
  const { name, attributes } = operation('settle', agent)
  return {
    ...{ kind: 'client', name, context: { ...parent, spanId }, parentSpanId: parent.spanId, links: [], ...times },
    attributes: { ...attributes, 'switchboard.delivery': delivery, 'switchboard.outcome': outcome },
  }
}

// --- on the wire ------------------------------------------------------------------------------------------------------

const statusError = 2

/** An `ExportTraceServiceRequest` in proto3's JSON, with ids in hex as OTLP asks. */
export function exportRequest(spans: readonly Span[]) {
  const scope = { name: 'switchboard' }
  const resource = { attributes: attributesOf({ 'service.name': 'switchboard' }) }
  return { resourceSpans: [{ resource, scopeSpans: [{ scope, spans: spans.map(wireOf) }] }] }
}

function wireOf(span: Span) {
  const { context, parentSpanId, links, error, kind, name, startedAt, endedAt } = span
  const attributes = error === undefined ? span.attributes : { ...span.attributes, 'error.type': error.code }
  return {
    ...{ traceId: context.traceId, spanId: context.spanId },
    ...(parentSpanId === undefined ? {} : { parentSpanId }),
    ...{ name, kind: kinds[kind], startTimeUnixNano: nanosOf(startedAt), endTimeUnixNano: nanosOf(endedAt) },
    attributes: attributesOf(attributes),
    ...(links.length === 0 ? {} : { links: links.map(({ traceId, spanId }) => ({ traceId, spanId })) }),
    ...(error === undefined ? {} : { status: { code: statusError, message: error.message } }),
  }
}

// 64-bit numbers are strings in proto3's JSON.
const nanosOf = (ms: number) => `${Math.floor(ms)}000000`

const attributesOf = (attributes: Readonly<Record<string, SpanAttribute>>) =>
  Object.entries(attributes).map(([key, value]) => ({
    key,
    value: typeof value === 'number' ? { intValue: String(value) } : { stringValue: value },
  }))

/** Headers as OpenTelemetry's own variables have them: `name=value,name=value`, values percent-encoded. What is not so is left out. */
export function collectorHeaders(text: string): Record<string, string> {
  const pairs = text.split(',').flatMap((pair): [string, string][] => {
    const [, name, value] = /^\s*([!#$%&'*+.^_`|~0-9A-Za-z-]+)\s*=\s*(.*?)\s*$/.exec(pair) ?? []
    return name === undefined || value === undefined ? [] : [[name.toLowerCase(), decoded(value)]]
  })
  return Object.fromEntries(pairs)
}

function decoded(value: string): string {
  try {
    return decodeURIComponent(value)
  } catch {
    return value
  }
}
