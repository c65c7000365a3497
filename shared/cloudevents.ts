/**
 * CloudEvents 1.0.2 on the wire: JSON format, JSON batch format and HTTP binding, in and out.
 *
 *   application/json, or none          plain JSON: the message itself, or an array of them
 *   application/cloudevents+json       structured: the event is the body
 *   application/cloudevents-batch+json batch: an array of events
 *   any other type, or ce- headers     binary: attributes in `ce-*` headers, data in the body
 *
 * What comes out is raw: plain-JSON messages, for `publishInput` to judge one by one. Never here: that judgement, HTTP itself.
 */
import { toBase64 } from './base64.ts'
import type { Fault, Issue } from './fault.ts'
import { boundDepth, decodeUtf8, parseJson } from './json.ts'
import type { Message } from './message.ts'
import { err, ok, type Result } from './result.ts'

export interface WireRequest {
  readonly contentType: string | null
  readonly header: (name: string) => string | null
  readonly headerNames: readonly string[]
  readonly body: Uint8Array
}

export interface WireMessages {
  readonly inputs: readonly unknown[]
  /** The body was an array: answered item by item. */
  readonly batch: boolean
}

const supported = [
  'application/json',
  'application/cloudevents+json',
  'application/cloudevents-batch+json',
  'any type beside ce-specversion: 1.0',
]
const headerPrefix = 'ce-'

/** Reads a publish in whichever form it came. What is wrong with one message of a batch is left to `publishInput`. */
export function readMessages(request: WireRequest): Result<WireMessages, Fault> {
  const type = mediaTypeOf(request.contentType)
  if (type === 'application/cloudevents+json') return readStructured(request.body)
  if (type === 'application/cloudevents-batch+json') return readBatch(request.body)
  // Another format of CloudEvents (or one without a format) is known not to be data.
  if (type.startsWith('application/cloudevents')) return unsupported(type)
  const attributes = request.headerNames
    .map((name) => name.toLowerCase())
    .filter((name) => name.startsWith(headerPrefix))
  const isPlainType = type === '' || type === 'application/json'
  // Beside JSON any ce- header shows what was meant; a forgotten ce-specversion is then told, not overlooked.
  if (attributes.includes('ce-specversion') || (isPlainType && attributes.length > 0))
    return readBinary(request, type, attributes)
  return isPlainType ? readPlain(request.body) : unsupported(type)
}

function mediaTypeOf(contentType: string | null): string {
  const [type = ''] = (contentType ?? '').split(';')
  return type.trim().toLowerCase()
}

function unsupported(got: string): Result<never, Fault> {
  return err({ code: 'unsupported_media_type', got, supported })
}

function invalid(...issues: readonly Issue[]): Result<never, Fault> {
  return err({ code: 'invalid_request', issues })
}

// --- the JSON forms ---------------------------------------------------------------------------------------------------

function readPlain(body: Uint8Array): Result<WireMessages, Fault> {
  const parsed = parseJson(body)
  if (!parsed.ok) return parsed
  return Array.isArray(parsed.value) ? batch(parsed.value) : single(parsed.value)
}

function readStructured(body: Uint8Array): Result<WireMessages, Fault> {
  const parsed = parseJson(body)
  if (!parsed.ok) return parsed
  if (!isObject(parsed.value))
    return invalid({ path: '', message: 'one event is an object; several are application/cloudevents-batch+json' })
  if (parsed.value['specversion'] !== '1.0') return invalid(wrongVersion)
  return single(fromEvent(parsed.value))
}

function readBatch(body: Uint8Array): Result<WireMessages, Fault> {
  const parsed = parseJson(body)
  if (!parsed.ok) return parsed
  if (!Array.isArray(parsed.value)) return invalid({ path: '', message: 'a batch is an array of events' })
  // Without a specversion it is no event. One such item must not spoil its batch, so it goes on with a version that
  // `publishInput` refuses by itself.
  const read = (item: unknown) => (isObject(item) ? { specversion: '', ...fromEvent(item) } : item)
  return batch(parsed.value.map(read))
}

const wrongVersion: Issue = { path: 'specversion', message: 'must be "1.0"' }

function single(input: unknown): Result<WireMessages, Fault> {
  const shallow = boundDepth(input)
  return shallow.ok ? ok({ inputs: [shallow.value], batch: false }) : shallow
}

// The items of a batch are judged one by one when they are published: one that is too deep must not spoil the others.
function batch(inputs: readonly unknown[]): Result<WireMessages, Fault> {
  return ok({ inputs, batch: true })
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

// JSON format 2.2: an attribute that is null is unset. Data that is null is null.
function fromEvent(event: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(event)
      .filter(([name, value]) => value !== null || name === 'data')
      .map(([name, value]) => [name, typeof value === 'string' ? typed(name, value) : value]),
  )
}

const integers: ReadonlySet<string> = new Set([
  'priority',
  'maxattempts',
  'timeoutseconds',
  'debounceseconds',
  'debouncemaxseconds',
  'maxbytes',
])
const lists: ReadonlySet<string> = new Set(['chain', 'select'])

/** Attributes of ours that plain JSON spells otherwise than CloudEvents, whose values are scalars and, in headers, strings. */
function typed(name: string, value: string): unknown {
  if (lists.has(name)) return value.split(',').map((part) => part.trim())
  if (integers.has(name) && /^-?\d+$/.test(value)) return Number(value)
  return value
}

// --- the binary form --------------------------------------------------------------------------------------------------

/** JSON names for what a header cannot be: the data is the body. */
const bodyNames: ReadonlySet<string> = new Set(['data', 'data_base64'])

function readBinary(request: WireRequest, type: string, headers: readonly string[]): Result<WireMessages, Fault> {
  const attributes: [string, unknown][] = []
  const issues: Issue[] = []
  for (const header of headers) {
    const name = header.slice(headerPrefix.length)
    // The binding (3.1.1) says it in Content-Type.
    if (name === 'datacontenttype') continue
    const value = decodeHeader(request.header(header) ?? '')
    if (bodyNames.has(name)) issues.push({ path: header, message: 'the data of a binary event is the body' })
    else if (value === undefined) issues.push({ path: header, message: 'is not percent-encoded UTF-8' })
    else attributes.push([name, typed(name, value)])
  }
  if (!attributes.some(([name, value]) => name === 'specversion' && value === '1.0')) issues.push(wrongVersion)
  if (issues.length > 0) return invalid(...issues)
  const data = readData(type, request.contentType ?? '', request.body)
  if (!data.ok) return data
  const datacontenttype = type === '' ? {} : { datacontenttype: request.contentType }
  return single({ ...Object.fromEntries(attributes), ...datacontenttype, ...data.value })
}

// An empty body is no data: HTTP cannot tell the two apart.
function readData(type: string, contentType: string, body: Uint8Array): Result<Record<string, unknown>, Fault> {
  if (body.length === 0) return ok({})
  if (/^[^/]+\/(?:json|.+\+json)$/.test(type)) {
    const parsed = parseJson(body)
    return parsed.ok ? ok({ data: parsed.value }) : parsed
  }
  const text = type.startsWith('text/') && isUtf8(contentType) ? decodeUtf8(body, { keepBom: true }) : undefined
  // Text in another encoding keeps its bytes, and its Content-Type says how to read them.
  return ok(text === undefined ? { data_base64: toBase64(body) } : { data: text })
}

function isUtf8(contentType: string): boolean {
  const [, charset = 'utf-8'] = /;\s*charset\s*=\s*"?([^\s";]+)/i.exec(contentType) ?? []
  return /^(?:utf-?8|us-ascii)$/i.test(charset)
}

/** HTTP binding 3.1.3.2: unquote, then one round of percent-decoding. A `%` that encodes nothing stands for itself. */
function decodeHeader(value: string): string | undefined {
  const quoted = /^"((?:[^"\\]|\\.)*)"$/.exec(value.trim())?.[1]
  const unquoted = quoted === undefined ? value : quoted.replace(/\\(.)/g, '$1')
  try {
    // decodeURIComponent refuses what is not UTF-8, overlong forms included, by throwing.
    return unquoted.replace(/(?:%[0-9a-f]{2})+/gi, decodeURIComponent)
  } catch {
    return undefined
  }
}

// --- out --------------------------------------------------------------------------------------------------------------

/** HTTP binding 3.1.3.2: an attribute's value as a header may carry it. A lone surrogate, which UTF-8 cannot, is replaced. */
export function encodeHeader(value: string): string {
  return value.toWellFormed().replace(/[^\x21\x23\x24\x26-\x7e]/gu, encodeURIComponent)
}

/** The event that a webhook gets. CloudEvents attributes are scalars, so `chain` and `select` become comma-separated strings. */
export function eventOf(message: Message): Readonly<Record<string, unknown>> {
  const { chain, select } = message
  return {
    ...message,
    ...(chain === undefined ? {} : { chain: chain.join(',') }),
    ...(select === undefined ? {} : { select: select.join(',') }),
  }
}

/** As JSON text. */
export function structured(message: Message): string {
  return JSON.stringify(eventOf(message))
}
