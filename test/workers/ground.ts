/**
 * Something of each kind, all of one agent's, so that hostile calls meet something; and figures by which is seen whether it
 * changed. Never here: calls (test/workers/fuzz.test.ts, test/workers/access.test.ts).
 */
import { call, freshName, leaseOne, pullAgent, type Registered, sendId } from './gateway.ts'
import type { Hints } from './schema-values.ts'

/** What there is, so that calls meet something. */
export interface Ground {
  /** Whose all of it is. */
  readonly owner: Registered
  /** By the parameter's name in a path; of an `id`, by the operation's. */
  readonly named: Readonly<Record<string, string>>
  readonly hints: Hints
  /** What a refused call must leave as it is. */
  readonly figures: readonly string[]
}

export async function prepared(): Promise<Ground> {
  // A hostile call may be a good one too, and stop the deployment: then nobody would be given a lease here.
  await call('PUT', '/v1/switch', { json: { state: 'running' } })
  const [owner, other] = [await pullAgent(), await pullAgent()]
  const { name: agent, key } = owner
  const [workflow, name] = [freshName('w'), freshName('n')]
  const message = { to: agent, type: 't' }
  const make = async (method: string, path: string, json: object, headers = {}) => {
    const { status, body } = await call(method, path, { key, json, headers })
    if (status >= 400) throw new Error(`${method} ${path} answered ${status}: ${JSON.stringify(body)}`)
    return body
  }
  const leased = await sendId(agent, {}, { key })
  const { token } = await leaseOne(owner, { leaseSeconds: 600 })
  const dead = await sendId(agent, {}, { key })
  const lease = await leaseOne(owner)
  await make('POST', `/v1/deliveries/${dead}/nack`, { token: lease.token, terminal: true })
  const held = await sendId(agent, { data: { secret: name } }, { key })
  await make('POST', '/v1/workflows', { id: workflow, state: { a: 1, list: [1], secret: name } })
  await make('PUT', `/v1/schedules/${name}`, { cron: '0 0 1 1 *', message })
  await make('PUT', `/v1/subscriptions/${name}`, { agent, topic: `${name}.>` })
  const asked = await make('POST', '/v1/requests', { ...message, timeoutSeconds: 600 }, { Prefer: 'respond-async' })
  const scattered = await make('POST', '/v1/scatters', { ...message, deadlineSeconds: 600 })
  const shaken = await make('POST', `/v1/agents/${agent}/handshake`, { protocolVersions: ['1.0'] })
  const published = await make('POST', '/v1/messages', { topic: `${name}.x`, type: 't' })
  const approval = await make('POST', '/v1/approvals', { question: name })
  const promise = await make('POST', '/v1/promises', { name })
  const document = await make('POST', '/v1/documents', { name })
  await call('PUT', `/v1/schemas/${name}`, { json: { match: { type: `${name}.*` }, schema: { type: 'object' } } })
  const { body: made } = await call('POST', '/v1/keys', { json: { name } })
  const publication = String(published.publication ?? 'p-none')
  return {
    owner,
    named: {
      agent,
      workflow,
      schedule: name,
      subscription: name,
      schema: name,
      definition: name,
      correlation: name,
      resource: name,
      key: made.id,
      approval: approval.id,
      promise: promise.id,
      document: document.id,
      '/v1/deliveries/{id}': held,
      '/v1/dead-letters/{id}': dead,
      '/v1/requests/{id}': asked.id,
      '/v1/scatters/{id}': scattered.id,
      '/v1/publications/{id}': publication,
      '/v1/handshakes/{id}': shaken.sessionId,
      token,
    },
    hints: {
      '/id': [held, leased, dead, asked.id, scattered.id, shaken.sessionId, publication],
      '/definition': [name],
      '/schedule': [name],
      '/subscription': [name],
      '/schema': [name],
      '/approval': [approval.id],
      '/promise': [promise.id],
      '/document': [document.id],
      '/key': [made.id],
      '/resource': ['openai/gpt-5'],
      '/correlation': [name],
      agent: [agent, other.name, 'nobody'],
      to: [agent, '*', 'capability:x', `workflow:${workflow}`, 'nobody'],
      handlers: [[agent], [agent, other.name]],
      topic: [`${name}.x`, `${name}.*`, 'switchboard.x'],
      replyto: [agent, `topic:${name}.x`, `workflow:${workflow}`],
      token: [token],
      workflow: [workflow],
      workflowid: [workflow],
      message: [message],
      cron: ['0 0 1 1 *', '@daily'],
      match: [{ type: `${name}.*` }, { topic: `${name}.>` }],
      // Nobody listens there; an address of somebody's must not be called by a test.
      url: ['http://127.0.0.1:9/hook', 'https://169.254.169.254/', 'https://10.0.0.1/', 'file:///etc/passwd'],
      'If-Match': ['"1"', '*', '"2"'],
      path: ['/a', '/list/-', '/list/0', '', '/x/y'],
    },
    figures: [
      `/v1/agents/${agent}/mailbox`,
      `/v1/agents/${agent}/deliveries`,
      `/v1/workflows/${workflow}`,
      `/v1/schedules/${name}`,
      `/v1/subscriptions/${name}`,
      `/v1/schemas/${name}`,
      `/v1/documents/${document.id}`,
    ],
  }
}

export async function figuresOf(ground: Ground): Promise<string> {
  const read = await Promise.all(ground.figures.map((path) => call('GET', path)))
  return JSON.stringify(read.map(({ status, body: { nextDueAt: _, ...body } }) => [status, body]))
}
