/**
 * Every operation with every wrong key: who has no key or a bad one is 401, and who may not is 403 or is told that there is no
 * such thing, learns nothing of it and changes nothing. Made of the table of operations, so that no route is left out.
 * Never here: what the right keys may do (each route's own test).
 */
import { describe, expect, it } from 'vitest'
import { operations } from '../../shared/api.ts'
import type { Operation } from '../../shared/api-operation.ts'
import { type Answered, call, freshName, type Registered, type Sent } from './gateway.ts'
import { figuresOf, type Ground, prepared } from './ground.ts'
import { ownSwitchboard } from './switchboard.ts'

const keyed = operations.filter(({ who }) => who !== 'anyone')
const guarded = keyed.filter(({ who }) => who !== 'key')

const ground = await prepared()
const nothing = { send: [], publish: [], subscribe: [], readState: [], writeState: [], sources: [] }

async function powerless(): Promise<readonly (readonly [string, Registered])[]> {
  const [agent, app] = [freshName('stranger'), freshName('app')]
  const { body: asAgent } = await call('PUT', `/v1/agents/${agent}`, { json: { kind: 'pull', permissions: nothing } })
  const { body: asApp } = await call('POST', '/v1/keys', { json: { name: app, permissions: nothing } })
  return [
    ['another agent', { name: agent, key: asAgent.key }],
    ['an app', { name: app, key: asApp.key }],
  ]
}

/** A good call: an admin's would be taken. What is refused is refused for the key. */
function goodCall({ method, path, query, body }: Operation, { named, owner }: Ground): { path: string; sent: Sent } {
  const filled = path.replaceAll(/\{(\w+)\}/g, (_, name: string) => {
    const [collection] = /^\/v1\/[^/]+\/\{id\}/.exec(path) ?? []
    return (name === 'id' ? named[collection ?? ''] : named[name]) ?? 'x'
  })
  const status = query?.shape['status']?.safeParse(undefined).success === false ? '?status=pending' : ''
  const json = body === undefined ? undefined : bodies(method, owner.name, named)[path]
  const type = path.endsWith('/state') ? { 'If-Match': '*' } : {}
  const headers = { Prefer: 'respond-async', ...type }
  return { path: `${filled}${status}`, sent: { headers, ...(json === undefined ? {} : { json }) } }
}

function bodies(method: string, to: string, { token, workflow }: Ground['named']): Readonly<Record<string, unknown>> {
  const message = { to, type: 't' }
  return {
    '/v1/messages': message,
    '/v1/messages/batch': [message, { topic: 'x.y', type: 't' }],
    '/v1/requests': message,
    '/v1/scatters': message,
    '/v1/chains': { handlers: [to], type: 't' },
    '/v1/approvals': { question: 'q', notify: [to], workflowid: workflow },
    '/v1/approvals/{approval}/decision': { option: 'approve' },
    '/v1/promises': { notify: to },
    '/v1/documents': { large: to },
    '/v1/documents/{document}': { expiresSeconds: 3_600 },
    '/v1/promises/{promise}/resolve': { value: 1 },
    '/v1/promises/{promise}/reject': { error: 'e' },
    '/v1/deliveries/{id}/ack': { token },
    '/v1/deliveries/{id}/replay': { dryRun: true, data: 1 },
    '/v1/deliveries/{id}/nack': { token, terminal: true },
    '/v1/deliveries/{id}/extend': { token, seconds: 60 },
    '/v1/subscriptions/{subscription}': { agent: to, topic: 'x.>' },
    '/v1/agents/{agent}': { kind: 'pull' },
    '/v1/agents/{agent}/lease': { max: 10 },
    '/v1/agents/{agent}/breaker': { force: 'open' },
    '/v1/agents/{agent}/handshake': { protocolVersions: ['1.0'] },
    '/v1/keys': { name: 'x' },
    '/v1/switch': { state: 'running' },
    '/v1/schedules/{schedule}': { cron: '0 0 1 1 *', message },
    '/v1/schemas/{schema}': { match: { type: 'x' }, schema: true },
    '/v1/resources/{resource}/breaker': { force: 'open' },
    '/v1/workflows': { id: freshName('w'), state: {} },
    '/v1/workflows/{workflow}': { guards: { hops: 30 } },
    '/v1/workflows/{workflow}/state': method === 'patch' ? { a: 2 } : { operations: [{ op: 'increment', path: '/a' }] },
    '/v1/workflows/{workflow}/events': { type: 't' },
    '/v1/workflow-definitions/{definition}': { initial: 'a', states: { a: {} } },
  }
}

const label = ({ method, path }: Operation) => `${method.toUpperCase()} ${path}`

describe('without a good key', () => {
  it.each<[string, () => Promise<string | null> | string | null]>([
    ['none', () => null],
    ['garbage', () => 'sk_app_x garbage'],
    ['one that never was', () => `sk_agent_${ground.owner.name}_0123456789abcdef0123456789abcdef`],
    [
      'one that was revoked',
      async () => {
        const { body } = await call('POST', '/v1/keys', { json: { name: freshName('gone') } })
        await call('DELETE', `/v1/keys/${body.id}`)
        return body.key
      },
    ],
    [
      'one of an agent that is gone',
      async () => {
        const name = freshName('gone')
        const { body } = await call('PUT', `/v1/agents/${name}`, { json: { kind: 'pull' } })
        await call('DELETE', `/v1/agents/${name}`)
        return body.key
      },
    ],
  ])('(%s) every operation is 401, and nothing changes', { timeout: 30_000 }, async (_, keyOf) => {
    const [before, key] = [await figuresOf(ground), await keyOf()]
    for (const operation of keyed) {
      const { path, sent } = goodCall(operation, ground)
      const { status, body, headers } = await call(operation.method.toUpperCase(), path, { ...sent, key })
      expect([label(operation), status, body.code]).toEqual([label(operation), 401, 'unauthenticated'])
      expect(headers.get('WWW-Authenticate')).toContain('Bearer')
    }
    expect(await figuresOf(ground)).toBe(before)
  })
})

/** Refused, told of nothing, or an answer in which there is nothing of the owner's. */
function expectNothing(operation: Operation, { status, body }: Answered, { owner, named }: Ground): void {
  const where = `${label(operation)}: ${status} ${JSON.stringify(body)}`
  if (status >= 400) {
    expect.soft([403, 404], where).toContain(status)
    return
  }
  const problems: readonly { status: number }[] = body.results ?? []
  if (operation.id === 'publishBatch')
    expect(
      problems.map((result) => result.status),
      where,
    ).toEqual([403, 403])
  else expect.soft(operation.method === 'get' || /\/redrive$/.test(operation.path), where).toBe(true)
  const told = JSON.stringify(body)
  for (const secret of [owner.name, ...Object.values(named)].filter((text) => text !== 'x' && text !== 'p-none'))
    if (operation.id !== 'publishBatch') expect(told, where).not.toContain(secret)
}

describe('with the key of somebody who may nothing', async () => {
  it.each(await powerless())(
    '(%s) every operation is 403 or 404, tells nothing and changes nothing (S2)',
    { timeout: 30_000 },
    async (_, caller) => {
      const before = await figuresOf(ground)
      for (const operation of guarded) {
        const { path, sent } = goodCall(operation, ground)
        const answered = await call(operation.method.toUpperCase(), path, { ...sent, key: caller.key })
        expectNothing(operation, answered, ground)
      }
      expect(await figuresOf(ground)).toBe(before)
    },
  )

  it('the same calls are taken from an admin: it is the key that was refused', { timeout: 30_000 }, async () => {
    // Reading, so that nothing that a later call needs is gone.
    for (const operation of guarded.filter(({ method, tag }) => method === 'get' && tag !== 'Resources')) {
      const { path, sent } = goodCall(operation, ground)
      if (/publications|workflow-definitions|watch|diagram/.test(path)) continue
      const { status } = await call('GET', path, sent)
      expect.soft([label(operation), status]).toEqual([label(operation), 200])
    }
    const fresh = await prepared()
    for (const operation of guarded.filter(({ body, method }) => body !== undefined && method !== 'get')) {
      const { path, sent } = goodCall(operation, fresh)
      const { status } = await call(operation.method.toUpperCase(), path, sent)
      expect.soft([label(operation), status]).not.toEqual([label(operation), 400])
    }
  })
})

describe('a key with a rate', () => {
  const rate = { limit: 3, perSeconds: 60 }

  it('publishes so much and then gets 429 with Retry-After, whatever it publishes by, until there is room again', async () => {
    const clock = { at: Date.now() }
    const own = ownSwitchboard({ ports: () => ({ now: () => clock.at }) })
    const { body } = await own('POST', '/v1/keys', { json: { name: freshName('app'), rate } })
    const to = ground.owner.name
    const publish = (path: string, json: unknown) =>
      own('POST', path, { key: body.key, json, headers: { Prefer: 'respond-async' } })
    const [held] = [await figuresOf(ground)]
    expect(
      (
        await publish('/v1/messages/batch', [
          { to: 'nobody', type: 't' },
          { to: 'nobody', type: 't' },
        ])
      ).status,
    ).toBe(200)
    expect((await publish('/v1/messages', { to: 'nobody', type: 't' })).status).toBe(404)
    for (const [path, json] of [
      ['/v1/messages', { to, type: 't' }],
      ['/v1/messages/batch', [{ to, type: 't' }]],
      ['/v1/requests', { to, type: 't' }],
      ['/v1/scatters', { to, type: 't' }],
      ['/v1/chains', { handlers: [to], type: 't' }],
      [`/v1/agents/${to}/handshake`, { protocolVersions: ['1.0'] }],
      ['/v1/approvals', { question: 'q' }],
    ] as const) {
      const { status, body: problem, headers } = await publish(path, json)
      expect([path, status, problem.code, headers.get('Retry-After')]).toEqual([path, 429, 'rate_limited', '20'])
      expect(problem).toMatchObject({ ...rate, retryable: true })
    }
    expect(await figuresOf(ground)).toBe(held)
    clock.at += 20_000
    expect((await publish('/v1/messages', { to: 'nobody', type: 't' })).status).toBe(404)
    expect((await publish('/v1/messages', { to: 'nobody', type: 't' })).status).toBe(429)
  })

  it('reads as it likes, is listed with its rate, and is counted apart from other keys of its owner', async () => {
    const { name } = ground.owner
    const { body: slow } = await call('POST', `/v1/agents/${name}/keys`, {
      json: { rate: { limit: 1, perSeconds: 3_600 } },
    })
    const publish = (key: string) => call('POST', '/v1/messages', { key, json: { to: 'nobody', type: 't' } })
    expect([(await publish(slow.key)).status, (await publish(slow.key)).status]).toEqual([404, 429])
    expect((await publish(ground.owner.key)).status).toBe(404)
    expect((await call('GET', `/v1/agents/${name}`, { key: slow.key })).status).toBe(200)
    const { body: list } = await call('GET', `/v1/agents/${name}/keys`)
    expect(list.items.find(({ id }: { id: string }) => id === slow.id).rate).toEqual({ limit: 1, perSeconds: 3_600 })
  })
})
