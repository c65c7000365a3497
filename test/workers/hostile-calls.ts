/**
 * Calls to draw from, made of the OpenAPI document as a stranger reads it, and whether an answer is one that the document
 * tells. Never here: sending them (test/workers/fuzz.test.ts), the project's own schemas.
 */
import { Validator } from '@cfworker/json-schema'
import fc from 'fast-check'
import { type Drawing, fitting, type Hints, nearlyFitting, oddText, oddValue, type Schema } from './schema-values.ts'

declare module 'vitest' {
  export interface ProvidedContext {
    /** How many calls of each operation, and which (vitest.config.ts). */
    fuzz: { readonly runs: number; readonly seed: number }
  }
}

/** As loose as JSON: it is what was served at /openapi.json. */
export type Document = ReturnType<typeof JSON.parse>

export interface HostileCall {
  readonly method: string
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
  readonly body?: string | Uint8Array<ArrayBuffer>
}

export interface Told {
  readonly method: string
  readonly template: string
  readonly operation: Document
}

export function operationsOf(document: Document): readonly Told[] {
  return Object.entries<Document>(document.paths).flatMap(([template, methods]) =>
    Object.entries<Document>(methods).map(([method, operation]) => ({ method, template, operation })),
  )
}

// How long a call may wait is bounded here, so that whatever takes longer is a hang.
const waits: Hints = {
  waitSeconds: [0, 0.05],
  timeoutSeconds: [0.05, 0.1],
  deadlineSeconds: [0.05, 1],
}

/** Calls of one operation: some that fit, some that nearly do, and some that are nothing like it. */
export function callsOf(document: Document, { method, template, operation }: Told, hints: Hints) {
  const watching: Hints = method === 'get' ? { seconds: [0.05, 1] } : {}
  const drawing: Drawing = {
    resolve: (ref) => document.components.schemas[ref.slice('#/components/schemas/'.length)],
    hints,
    only: { ...waits, ...watching },
  }
  const parameters: readonly Document[] = operation.parameters ?? []
  const path = fc.tuple(pathOf(drawing, template, parameters), queryOf(drawing, parameters))
  return fc.tuple(path, headersOf(drawing, parameters), bodyOf(drawing, operation)).map(
    ([[where, query], headers, { type, body }]): HostileCall => ({
      method: method.toUpperCase(),
      path: `${where}${query}`,
      headers: { ...headers, ...(type === undefined ? {} : { 'Content-Type': type }) },
      ...(body === undefined ? {} : { body }),
    }),
  )
}

// --- where ------------------------------------------------------------------------------------------------------------

const rawSegments = [
  '%2F',
  '..',
  '%2e%2e%2f',
  '.',
  '%00',
  '%ZZ',
  '%',
  '%FF',
  '%C0%AF',
  '%0d%0aX: y',
  'a%2Fb',
  ';',
  '~',
  '%F0%9F%98%80',
  'x'.repeat(3_000),
]

function pathOf(drawing: Drawing, template: string, parameters: readonly Document[]): fc.Arbitrary<string> {
  const parts = template.split('/').map((part) => {
    const name = /^\{(\w+)\}$/.exec(part)?.[1]
    if (name === undefined) return fc.constant(part)
    const schema = parameters.find((p) => p.in === 'path' && p.name === name)?.schema ?? {}
    const hint = Object.hasOwn(drawing.hints, `/${name}`) ? `/${name}` : name
    const value = fitting(drawing, schema, hint).map((v) => encode(String(v)))
    return fc.oneof({ weight: 6, arbitrary: value }, fc.constantFrom(...rawSegments))
  })
  return fc.tuple(...parts).map((found) => found.join('/'))
}

const encode = (text: string) => encodeURIComponent(text.toWellFormed())

function queryOf(drawing: Drawing, parameters: readonly Document[]): fc.Arbitrary<string> {
  const told = parameters.filter((p) => p.in === 'query')
  const known = told.map((p) =>
    fc.tuple(
      fc.constant(p.name as string),
      Object.hasOwn(drawing.only, p.name)
        ? fitting(drawing, {}, p.name)
        : fc.oneof(fitting(drawing, p.schema, p.name), oddText),
    ),
  )
  const unknown = fc.tuple(fc.constantFrom('key', 'x', '__proto__', 'limit[]'), oddText)
  // The same name twice, and names that nobody told, as often as what is meant.
  return fc
    .array(known.length === 0 ? unknown : fc.oneof(...known, ...known, unknown), { maxLength: 3 })
    .map((pairs) => {
      const text = pairs.map(([name, value]) => `${encode(name)}=${encode(String(value))}`).join('&')
      return text === '' ? '' : `?${text}`
    })
}

// --- with what --------------------------------------------------------------------------------------------------------

const oddHeader = fc.constantFrom(
  '',
  ' ',
  '*',
  '"1"',
  'W/"1"',
  '"1", "2"',
  '0',
  '-1',
  '1e9',
  'ÿþ',
  '00-0-0-00',
  'x'.repeat(4_000),
  '{}',
  ',',
  '=;',
)
const others = [
  'Idempotency-Key',
  'If-Match',
  'If-None-Match',
  'traceparent',
  'tracestate',
  'Last-Event-ID',
  'Accept',
  'Accept-Encoding',
  'Origin',
  'ce-id',
  'ce-type',
  'ce-specversion',
  'ce-to',
  'ce-x',
  'X-HTTP-Method-Override',
  'X-Forwarded-Host',
  'webhook-id',
  'switchboard-agent',
  'switchboard-directory-version',
  'Range',
  'Expect',
  'Cookie',
] as const

function headersOf(drawing: Drawing, parameters: readonly Document[]): fc.Arbitrary<Record<string, string>> {
  const told = parameters.filter((p) => p.in === 'header' && p.name.toLowerCase() !== 'prefer')
  const known = told.map((p) =>
    fc.tuple(fc.constant(p.name as string), fc.oneof(fitting(drawing, p.schema, p.name).map(String), oddHeader)),
  )
  const other = fc.tuple(fc.constantFrom(...others), oddHeader)
  const prefer = parameters.some((p) => p.name.toLowerCase() === 'prefer')
    ? fc.constantFrom('respond-async', 'wait=0', 'wait=0, respond-async', 'wait=0; x="', 'respond-async;foo')
    : fc.constantFrom('wait=0', 'return=minimal', '=')
  return fc
    .tuple(fc.array(known.length === 0 ? other : fc.oneof(...known, ...known, other), { maxLength: 3 }), prefer)
    .map(([pairs, preferred]) =>
      Object.fromEntries([...pairs, ['Prefer', preferred] as const].filter(([name, value]) => isHeader(name, value))),
    )
}

function isHeader(name: string, value: string): boolean {
  try {
    return new Headers([[name, value]]).has(name)
  } catch {
    return false
  }
}

interface Content {
  readonly type?: string
  readonly body?: string | Uint8Array<ArrayBuffer>
}

const oddTypes = [
  'text/plain',
  'application/xml',
  'multipart/form-data; boundary=x',
  'application/json; charset=utf-16',
  'application/',
  '',
  'application/cloudevents+json',
  'application/cloudevents-batch+json',
  'application/json-patch+json',
  'APPLICATION/JSON ; a="b"',
  'application/x-www-form-urlencoded',
]
const garbage: readonly (string | Uint8Array<ArrayBuffer>)[] = [
  '',
  '{',
  'null',
  '"',
  '[',
  '[]',
  '{"a":1,"a":2}',
  '{"__proto__":{"admin":true}}',
  '1e999',
  '\ufeff{}',
  'NaN',
  '['.repeat(100_000),
  `${'{"a":'.repeat(5_000)}1${'}'.repeat(5_000)}`,
  JSON.stringify('x'.repeat(300_000)),
  `[${'1,'.repeat(120_000)}1]`,
  new Uint8Array([0xff, 0xfe, 0x7b, 0x00]),
  new Uint8Array([0x22, 0xed, 0xa0, 0x80, 0x22]),
  new Uint8Array(2_000_000),
]

function bodyOf(drawing: Drawing, operation: Document): fc.Arbitrary<Content> {
  const types: [string, Document][] = Object.entries(operation.requestBody?.content ?? {})
  const raw = fc.record({
    type: fc.constantFrom('application/json', ...types.map(([type]) => type), ...oddTypes),
    body: fc.constantFrom(...garbage),
  })
  if (types.length === 0) return fc.oneof({ weight: 4, arbitrary: fc.constant({}) }, raw)
  const meant = types.map(([type, { schema }]) => {
    const value = fc.oneof(
      { weight: 5, arbitrary: fitting(drawing, schema as Schema) },
      { weight: 3, arbitrary: nearlyFitting(drawing, schema as Schema) },
      { weight: 1, arbitrary: oddValue },
    )
    const sent = fc.oneof({ weight: 8, arbitrary: fc.constant(type) }, fc.constantFrom(...oddTypes))
    return fc.record({ type: sent, body: value.map((v) => JSON.stringify(v) ?? '') })
  })
  return fc.oneof(
    { weight: 4, arbitrary: fc.oneof(...meant) },
    { weight: 1, arbitrary: raw },
    { weight: 1, arbitrary: fc.constant({}) },
  )
}

// --- what comes back --------------------------------------------------------------------------------------------------

export interface Answer {
  readonly status: number
  readonly headers: Headers
  /** Empty for a stream: it was not read to its end. */
  readonly text: string
}

/** Judges answers by the document alone. Undefined when all is as it tells; else what is not. */
export function judgeOf(document: Document): (method: string, pathname: string, answer: Answer) => string | undefined {
  const told = operationsOf(document)
  const validators = new Map<object, Validator>()
  const errorsOf = (schema: Schema, value: unknown): string | undefined => {
    // References lead into the document's components.
    const made = validators.get(schema) ?? new Validator({ ...schema, components: document.components }, '2020-12')
    validators.set(schema, made)
    const { valid, errors } = made.validate(value)
    return valid ? undefined : JSON.stringify(errors.slice(-2))
  }
  return (method, pathname, { status, headers, text }) => {
    const operation = operationAt(told, method, pathname)
    const type = (headers.get('Content-Type') ?? '').split(';')[0] ?? ''
    if (operation === undefined)
      return [404, 405].includes(status) && isProblem(type, text) ? undefined : 'no route, and no problem'
    const response = resolved(document, operation.responses[String(status)])
    if (response === undefined) return `its operation does not tell ${status}: ${text.slice(0, 300)}`
    for (const name of Object.keys(response.headers ?? {}))
      if (
        status >= 400 &&
        !headers.has(name) &&
        Object.keys(response.content['application/problem+json'].examples).length === 1
      )
        return `without ${name}`
    if (response.content === undefined) return text === '' ? undefined : 'a body that nobody told'
    const content = Object.entries<Document>(response.content).find(([told]) => told.split(';')[0] === type)?.[1]
    if (content === undefined) return `${type} is not told: ${text.slice(0, 300)}`
    if (!/json/.test(type)) return undefined
    // Half a character in a name is more than the validator can tell the place of.
    const whole = text.replace(/\\(?:u(d[89a-f][0-9a-f]{2})|.)/gi, (escaped, half) =>
      half === undefined ? escaped : '?',
    )
    return errorsOf(content.schema, JSON.parse(whole))
  }
}

function operationAt(told: readonly Told[], method: string, pathname: string): Document | undefined {
  const parts = pathname.split('/')
  const fitsTo = ({ template }: Told) => {
    const pattern = template.split('/')
    return (
      pattern.length === parts.length && pattern.every((p, i) => (p.startsWith('{') ? parts[i] !== '' : p === parts[i]))
    )
  }
  // As routers do: a spelled-out path before one with a parameter.
  const found = told.filter((one) => one.method === method.toLowerCase() && fitsTo(one))
  return found.sort((a, b) => a.template.split('{').length - b.template.split('{').length)[0]?.operation
}

function resolved(document: Document, response: Document | undefined): Document | undefined {
  const ref: string | undefined = response?.$ref
  return ref === undefined ? response : document.components.responses[ref.slice('#/components/responses/'.length)]
}

function isProblem(type: string, text: string): boolean {
  return type === 'application/problem+json' && typeof JSON.parse(text).code === 'string'
}
