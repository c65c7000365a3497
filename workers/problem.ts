/**
 * The gateway's way of saying no, and its way of reading what strangers send. A route throws a `Refusal`, the one onError in
 * workers/app.ts renders it. Never here: the wording (shared/fault.ts), and no body is held beyond its limit.
 */
import type { Context } from 'hono'
import type * as z from 'zod'
import { type Fault, issuesOf, problemOf } from '../shared/fault.ts'
import { boundDepth, parseJson as readValue } from '../shared/json.ts'
import { limits } from '../shared/limits.ts'
import type { Result } from '../shared/result.ts'
import type { App } from './context.ts'

/** An expected failure on its way to onError. Thrown by routes only; the verbs answer with a `Result`. */
export class Refusal extends Error {
  override readonly name = 'Refusal'
  readonly fault: Fault

  constructor(fault: Fault) {
    super(fault.code)
    this.fault = fault
  }
}

export function refuse(fault: Fault): never {
  throw new Refusal(fault)
}

/** The value, or its fault as a refusal. */
export function unwrap<T>(result: Result<T, Fault>): T {
  return result.ok ? result.value : refuse(result.error)
}

/** Renders a fault as an RFC 9457 response. `instance` is the path that was asked. */
export function problemResponse(fault: Fault, instance?: string): Response {
  const problem = problemOf(fault, instance)
  return new Response(JSON.stringify(problem.body), {
    status: problem.status,
    headers: { ...problem.headers, 'Content-Type': 'application/problem+json' },
  })
}

const jsonType = /^application\/(?:json|[\w.+-]+\+json)\s*(?:;|$)/i

/**
 * Reads, parses and validates a JSON body. An empty body is `undefined` to the schema, so a schema with a default takes it.
 * An absent Content-Type is accepted when the body parses.
 */
export async function readJson<Schema extends z.ZodType>(
  c: Context<App>,
  schema: Schema,
  limitBytes: number = limits.requestBytes,
): Promise<z.infer<Schema>> {
  const bytes = await readBytes(c, limitBytes)
  // Clients name a type for a body that they do not send.
  if (bytes.byteLength > 0) requireJsonType(c)
  return validate(schema, parseJson(bytes))
}

/** The value as its schema has it, or `invalid_request` with the path of each issue. */
export function validate<Schema extends z.ZodType>(schema: Schema, value: unknown): z.infer<Schema> {
  const parsed = schema.safeParse(value)
  return parsed.success ? parsed.data : refuse({ code: 'invalid_request', issues: issuesOf(parsed.error) })
}

/** Bytes as JSON of bounded depth; no bytes are `undefined`. */
export function parseJson(bytes: Uint8Array): unknown {
  return bytes.byteLength === 0 ? undefined : unwrap(boundDepth(unwrap(readValue(bytes))))
}

function requireJsonType(c: Context<App>): void {
  const got = c.req.header('content-type')
  if (got === undefined || jsonType.test(got)) return
  refuse({ code: 'unsupported_media_type', got, supported: ['application/json'] })
}

/** Reads a body of at most `limitBytes`. The limit holds while reading: a longer body is never in memory whole. */
export async function readBytes(c: Context<App>, limitBytes: number): Promise<Uint8Array> {
  const read = c.get('rawBody') ?? (await readBounded(c.req.raw, limitBytes))
  return read.byteLength > limitBytes ? tooLarge(limitBytes, read.byteLength) : read
}

/** The same for a request that is not in a route yet. */
export async function readBounded(request: Request, limitBytes: number): Promise<Uint8Array> {
  const length = request.headers.get('content-length')
  const announced = Number(length ?? 0)
  if (announced > limitBytes) return tooLarge(limitBytes, announced)
  if (request.body === null) return new Uint8Array()
  // HTTP lets no body be longer than it was announced to be, and to read it whole costs a fraction of reading it in chunks.
  if (length !== null && announced >= 0) return new Uint8Array(await request.arrayBuffer())
  const reader: ReadableStreamDefaultReader<Uint8Array> = request.body.getReader()
  const chunks: Uint8Array[] = []
  let gotBytes = 0
  for (;;) {
    const { done, value } = await reader.read()
    if (done) return joined(chunks, gotBytes)
    gotBytes += value.byteLength
    if (gotBytes > limitBytes) {
      await reader.cancel().catch(() => undefined)
      return tooLarge(limitBytes, gotBytes)
    }
    chunks.push(value)
  }
}

function tooLarge(limitBytes: number, gotBytes: number): never {
  return refuse({ code: 'too_large', what: 'request body', limitBytes, gotBytes })
}

function joined(chunks: readonly Uint8Array[], length: number): Uint8Array {
  const [only] = chunks
  if (chunks.length === 1 && only !== undefined) return only
  const whole = new Uint8Array(length)
  let offset = 0
  for (const chunk of chunks) {
    whole.set(chunk, offset)
    offset += chunk.byteLength
  }
  return whole
}
