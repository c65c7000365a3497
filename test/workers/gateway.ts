/**
 * The gateway as a caller sees it, in real workerd. Every answer is held against the table of operations on the way: a status,
 * a problem code or a field that the OpenAPI document does not tell fails the test that met it.
 * Never here: what an answer should be (the tests).
 */
import { exports } from 'cloudflare:workers'
import { operations } from '../../shared/api.ts'
import { problemBody } from '../../shared/api-bodies.ts'
import { faultsOf, type Operation } from '../../shared/api-operation.ts'
import type { FaultCode } from '../../shared/fault.ts'
import { exampleOf } from '../../shared/fault-examples.ts'

export const adminKey = 'test-admin-key'

export interface Sent {
  /** The admin's when left out; null sends none. */
  readonly key?: string | null
  /** Sent as JSON. */
  readonly json?: unknown
  readonly body?: BodyInit
  readonly headers?: Readonly<Record<string, string>>
  readonly signal?: AbortSignal
}

/** As loose as what JSON.parse gives: a test looks into it as it likes, because its shape was checked here. */
export type Body = ReturnType<typeof JSON.parse>

export interface Answered {
  readonly status: number
  readonly headers: Headers
  readonly body: Body
}

export async function call(method: string, path: string, sent: Sent = {}): Promise<Answered> {
  const headers = new Headers(sent.headers)
  if (sent.key !== null) headers.set('Authorization', `Bearer ${sent.key ?? adminKey}`)
  if (sent.json !== undefined && !headers.has('Content-Type')) headers.set('Content-Type', 'application/json')
  const body = sent.json === undefined ? sent.body : JSON.stringify(sent.json)
  const init = { method, headers, ...(body === undefined ? {} : { body }), ...(sent.signal && { signal: sent.signal }) }
  const response = await exports.default.fetch(new Request(`http://switchboard.test${path}`, init))
  const text = await response.text()
  const type = response.headers.get('Content-Type') ?? ''
  const answered = {
    status: response.status,
    headers: response.headers,
    body: /(?<!nd)json/.test(type) ? JSON.parse(text) : text,
  }
  requireTold(method, path, type, answered)
  return answered
}

/** Throws when the table of operations does not tell this answer. */
function requireTold(method: string, path: string, type: string, { status, headers, body }: Answered): void {
  const operation = operationAt(method, path)
  if (operation === undefined) return
  const where = `${method} ${path} answered ${status}`
  if (type.startsWith('application/problem+json')) {
    const { code } = problemBody.parse(body)
    if (!faultsOf(operation).includes(code)) throw new Error(`${where} ${code}, which its operation does not tell`)
    const example = exampleOf(code as FaultCode)
    if (example.status !== status || body.status !== status)
      throw new Error(`${where} ${code}, which is ${example.status}`)
    for (const name of Object.keys(example.headers)) if (!headers.has(name)) throw new Error(`${where} without ${name}`)
    return
  }
  const told = operation.answers.find((answer) => answer.status === status)
  if (told === undefined) throw new Error(`${where}, which its operation does not tell`)
  if (told.schema === undefined && body !== '') throw new Error(`${where} with a body`)
  const parsed = (told.other?.[type.split(';')[0] ?? ''] ?? told.schema)?.safeParse(body)
  if (parsed?.success === false) throw new Error(`${where}, not as its operation tells: ${parsed.error.message}`)
}

function operationAt(method: string, path: string): Operation | undefined {
  const [pathname = ''] = path.split('?')
  const fitting = operations.filter((o) => o.method === method.toLowerCase() && fits(o.path, pathname))
  // As routers do: a spelled-out path before one with a parameter.
  return fitting.sort((a, b) => a.path.split('{').length - b.path.split('{').length)[0]
}

function fits(template: string, pathname: string): boolean {
  return new RegExp(`^${template.replaceAll(/\{\w+\}/g, '[^/]+')}$`).test(pathname)
}

// --- what most tests begin with -----------------------------------------------------------------------------------------

/** Storage is kept between the tests of a file, so each uses names of its own. */
export const freshName = (stem = 'agent') => `${stem}-${crypto.randomUUID().slice(0, 8)}`

export interface Registered {
  readonly name: string
  readonly key: string
}

export async function pullAgent(
  policy: Readonly<Record<string, unknown>> = {},
  more: object = {},
): Promise<Registered> {
  const name = freshName()
  const { body } = await call('PUT', `/v1/agents/${name}`, { json: { kind: 'pull', policy, ...more } })
  return { name, key: body.key }
}

export async function send(
  to: string,
  more: Readonly<Record<string, unknown>> = {},
  sent: Sent = {},
): Promise<Answered> {
  return call('POST', '/v1/messages', { ...sent, json: { to, type: 'test.note', ...more } })
}

/** Publishes one and gives its delivery's id. */
export async function sendId(
  to: string,
  more: Readonly<Record<string, unknown>> = {},
  sent: Sent = {},
): Promise<string> {
  const { status, body } = await send(to, more, sent)
  if (status !== 202) throw new Error(`publish answered ${status}: ${JSON.stringify(body)}`)
  return body.deliveries[0].id
}

export async function leaseOne(agent: Registered, more: Readonly<Record<string, unknown>> = {}): Promise<Body> {
  const { body } = await call('POST', `/v1/agents/${agent.name}/lease`, { key: agent.key, json: { max: 1, ...more } })
  return body.deliveries[0]
}

export async function receipt(id: string): Promise<Body> {
  return (await call('GET', `/v1/deliveries/${id}`)).body
}
