/** An agent's breaker over HTTP: how it stands, why, and a person's word. Never here: when it opens (test/shared/breaker.test.ts). */
import { env } from 'cloudflare:workers'
import { describe, expect, it } from 'vitest'
import type { AgentPort } from '../../shared/agent-port.ts'
import { call, freshName, leaseOne, pullAgent, type Registered, receipt, sendId } from './gateway.ts'

const port = (name: string) => env.AGENTS.getByName(name) as unknown as AgentPort

// A retry that is due at once would be attempted beside the test's own reports, and fail in its own words.
const nextHour = { initialSeconds: 3_600, factor: 1, capSeconds: 3_600, jitter: 'none' }

/** Nobody listens at its url: only what is released goes there. */
async function webhook(policy: object = {}): Promise<Registered> {
  const name = freshName('hook')
  const { body } = await call('PUT', `/v1/agents/${name}`, {
    json: { kind: 'webhook', url: 'http://127.0.0.1:9/hook', policy: { backoff: nextHour, ...policy } },
  })
  return { name, key: body.key }
}

const read = (agent: Registered, key = agent.key) => call('GET', `/v1/agents/${agent.name}/breaker`, { key })
const force = (agent: Registered, to: string, key?: string) =>
  call('PUT', `/v1/agents/${agent.name}/breaker`, { json: { force: to }, ...(key === undefined ? {} : { key }) })

/** Failed attempts, reported as the consumer reports them; their messages are never on the queue. */
async function fail(agent: Registered, times: number): Promise<void> {
  const message = { specversion: '1.0' as const, id: 'm', source: 'admin', type: 'x', time: '', correlationid: 'm' }
  const incoming = Array.from({ length: times }, (_, n) => ({
    message,
    body: JSON.stringify(message),
    key: `${n}`,
    contentHash: `${n}`,
    hops: 0,
    brokerMade: false,
  }))
  const { admissions } = await port(agent.name).accept(incoming, crypto.randomUUID())
  const ids = admissions.flatMap((a) => ('id' in a ? [a.id] : []))
  const { leases } = await port(agent.name).take(ids, crypto.randomUUID())
  const outcome = { kind: 'retry', error: { code: 'http', message: 'answered 500', httpStatus: 500 } } as const
  await port(agent.name).settle(leases.map(({ id, token }) => ({ id, token, outcome, external: false })))
}

describe('a breaker', () => {
  it('is closed at first, and nothing has happened to it (A123)', async () => {
    const hook = await webhook()
    expect((await read(hook)).body).toEqual({
      agent: hook.name,
      state: 'closed',
      forced: 'auto',
      epoch: 0,
      failures: 0,
      history: [],
    })
  })

  it('counts failures, opens, and says why and until when; its mail is parked for that reason (A35)', async () => {
    const hook = await webhook({ breaker: { failureThreshold: 3, openSeconds: 600 } })
    await fail(hook, 2)
    expect((await read(hook)).body).toMatchObject({ state: 'closed', failures: 2 })
    await fail(hook, 3)
    const { body } = await read(hook)
    expect(body).toMatchObject({ state: 'open', forced: 'auto', epoch: 1 })
    expect(body.history).toMatchObject([
      { from: 'closed', to: 'open', cause: '3 failures in a row; the last: answered 500' },
    ])
    expect(Date.parse(body.openUntil) - Date.parse(body.history[0].at)).toBe(600_000)
    const because = `breaker: 3 failures in a row; the last: answered 500; open until ${body.openUntil}`
    expect(await receipt(await sendId(hook.name))).toMatchObject({ status: 'parked', because, attempt: 0 })
    const { body: figures } = await call('GET', `/v1/agents/${hook.name}/mailbox`, { key: hook.key })
    expect(figures).toMatchObject({ breaker: 'open', parked: because, released: 0, nextDueAt: expect.any(String) })
  })

  it('is half open when its time is over, though no mail has come that would have noticed', async () => {
    const hook = await webhook({ maxAttempts: 1, breaker: { failureThreshold: 1, openSeconds: 0.05 } })
    await fail(hook, 1)
    await new Promise((resolve) => setTimeout(resolve, 60))
    expect((await read(hook)).body).toMatchObject({ state: 'half_open', epoch: 2 })
  })

  it('is forced open and left to itself again by an admin or the agent, and remembers who said so (A35, A72)', async () => {
    const hook = await webhook()
    const opened = await force(hook, 'open')
    expect(opened).toMatchObject({ status: 200, body: { state: 'open', forced: 'open' } })
    expect(opened.body.openUntil).toBeUndefined()
    const id = await sendId(hook.name)
    const because = 'breaker: forced open by admin, until somebody closes it'
    expect(await receipt(id)).toMatchObject({ status: 'parked', because })
    const left = await force(hook, 'auto', hook.key)
    expect(left.body).toMatchObject({ state: 'open', forced: 'auto', openUntil: expect.any(String) })
    expect(left.body.history.map((h: { cause: string }) => h.cause)).toEqual([
      'forced open by admin',
      `left to itself by ${hook.name}`,
    ])
  })

  it('is forced closed: what was parked goes at once (A35)', async () => {
    const hook = await webhook({ breaker: { failureThreshold: 1, openSeconds: 600 } })
    await force(hook, 'open')
    const id = await sendId(hook.name)
    expect((await force(hook, 'closed')).body).toMatchObject({ state: 'closed', forced: 'closed', failures: 0 })
    expect((await receipt(id)).status).not.toBe('parked')
  })

  it('of a pull agent never opens, and cannot be told to', async () => {
    const ann = await pullAgent()
    expect((await read(ann)).body).toMatchObject({ state: 'closed' })
    expect(await force(ann, 'open')).toMatchObject({
      status: 409,
      body: { code: 'wrong_kind', kind: 'pull', needed: 'webhook or handler' },
    })
  })

  it('is the agent’s own and an admin’s: another agent gets 403, also when there is no such agent', async () => {
    const [ann, hook] = [await pullAgent(), await webhook()]
    const forbidden = { status: 403, body: { code: 'forbidden' } }
    for (const agent of [hook, { name: freshName('nobody'), key: '' }]) {
      expect(await read(agent, ann.key)).toMatchObject(forbidden)
      expect(await force(agent, 'open', ann.key)).toMatchObject(forbidden)
    }
    expect((await read(hook)).body.state).toBe('closed')
  })

  it('of nobody is 404, and asking leaves no trace', async () => {
    for (const name of [freshName('nobody'), 'No_Body'])
      for (const method of ['GET', 'PUT'])
        expect(
          await call(method, `/v1/agents/${name}/breaker`, method === 'PUT' ? { json: { force: 'open' } } : {}),
        ).toMatchObject({ status: 404, body: { code: 'agent_not_found' } })
  })

  it.each([[{ force: 'ajar' }], [{}], [{ force: 'open', why: 'x' }], ['open']])('refuses %j', async (json) => {
    const hook = await webhook()
    expect(await call('PUT', `/v1/agents/${hook.name}/breaker`, { json })).toMatchObject({
      status: 400,
      body: { code: 'invalid_request' },
    })
  })
})

describe('a policy', () => {
  it('shows the breaker in force, defaults filled in, and refuses one that could never open by its ratio (A123)', async () => {
    const hook = await webhook({ breaker: { openSeconds: 0.5, window: { ratio: 0.9 } } })
    const { body } = await call('GET', `/v1/agents/${hook.name}`)
    expect(body.policy.breaker).toEqual({
      failureThreshold: 5,
      openSeconds: 0.5,
      maxOpenSeconds: 900,
      probes: 1,
      window: { seconds: 60, minimum: 10, ratio: 0.9 },
    })
    const json = { kind: 'pull', policy: { breaker: { window: { minimum: 1_001 } } } }
    expect(await call('PUT', `/v1/agents/${freshName()}`, { json })).toMatchObject({ status: 400 })
  })
})

describe('a pause with an end', () => {
  it('is over by itself: whoever waits for mail gets it then', async () => {
    const ann = await pullAgent()
    await call('POST', `/v1/agents/${ann.name}/pause`, { key: ann.key, json: { seconds: 0.5 } })
    const id = await sendId(ann.name)
    expect(await leaseOne(ann)).toBeUndefined()
    expect((await leaseOne(ann, { waitSeconds: 5 })).id).toBe(id)
    expect((await call('GET', `/v1/agents/${ann.name}`)).body.paused).toBeUndefined()
  })
})

describe('a message to an agent whose breaker is open', () => {
  const publish = (to: string, more: object = {}, key?: string) =>
    call('POST', '/v1/messages', { json: { to, type: 't', ...more }, ...(key === undefined ? {} : { key }) })

  async function openHook(policy: object = {}): Promise<Registered> {
    const hook = await webhook(policy)
    await force(hook, 'open')
    return hook
  }

  it('is refused under `onOpen: "reject"` as 503 with when to come back, and nothing is stored (TC1)', async () => {
    const hook = await openHook({ onOpen: 'reject' })
    const { status, body, headers } = await publish(hook.name)
    expect([status, body.code, body.agent, body.retryable]).toEqual([503, 'breaker_open', hook.name, true])
    expect([body.lastError, Number(headers.get('Retry-After')) > 0]).toEqual(['forced open by admin', true])
    expect((await call('GET', `/v1/agents/${hook.name}/deliveries`)).body.items).toEqual([])
    await force(hook, 'closed')
    expect((await publish(hook.name)).status).toBe(202)
  })

  it('is refused when it asks for that itself, and spoils nothing of its batch (TC1)', async () => {
    const hook = await openHook()
    const json = [
      { to: hook.name, type: 't', onopen: 'reject' },
      { to: hook.name, type: 't' },
    ]
    const { body } = await call('POST', '/v1/messages/batch', { json })
    expect(body.results).toMatchObject([{ status: 503, problem: { code: 'breaker_open' } }, { status: 202 }])
    for (const wrong of [{ onopen: 'park' }, { onopen: 'reject', chain: ['x'] }, { onopen: 'reject', to: '*' }])
      expect((await publish(hook.name, wrong)).body.code).toBe('invalid_request')
    const asked = await call('POST', '/v1/requests', { json: { to: hook.name, type: 't', onopen: 'reject' } })
    expect(asked.body.code).toBe('invalid_request')
  })

  it('goes to the other agent under `divert`, once, and its receipt says where and why (TC1)', async () => {
    const other = await pullAgent()
    const hook = await openHook({ onOpen: { divert: other.name } })
    const { status, body } = await publish(hook.name, { id: 'one', data: 'x' })
    const [{ id }] = body.deliveries
    expect([status, body.deliveries.length]).toEqual([202, 1])
    expect(body.deliveries[0]).toMatchObject({ agent: hook.name, status: 'held', diverted: other.name })
    const lease = await leaseOne(other, { waitSeconds: 5 })
    expect(lease.message).toMatchObject({ id: 'one', data: 'x', to: other.name, source: 'admin' })
    await expect.poll(async () => (await receipt(id)).reassignedTo).toBe(lease.id)
    expect((await receipt(id)).steps.find((s: { step: string }) => s.step === 'diverted').detail).toContain(
      'forced open',
    )
    expect((await publish(hook.name, { id: 'one', data: 'x' })).body.duplicate).toBe(true)
    await force(hook, 'closed')
    expect((await publish(hook.name, { id: 'one', data: 'x' })).body.duplicate).toBe(true)
    expect(await leaseOne(other)).toBeUndefined()
  })

  it('waits where it was sent to when the other is not there, or its sender may not send there (TC1)', async () => {
    const other = await pullAgent()
    const lost = await openHook({ onOpen: { divert: freshName('nobody') } })
    const { body } = await publish(lost.name)
    await expect.poll(async () => (await receipt(body.deliveries[0].id)).status).toBe('parked')
    const hook = await openHook({ onOpen: { divert: other.name } })
    const made = { name: freshName('app'), permissions: { send: [hook.name] } }
    const app = await call('POST', '/v1/keys', { json: made })
    const narrow = await publish(hook.name, {}, app.body.key)
    expect(narrow.body.deliveries[0]).toMatchObject({ status: 'parked' })
    expect((await receipt(narrow.body.deliveries[0].id)).steps.at(-1).detail).toContain('may not send')
    expect(await leaseOne(other)).toBeUndefined()
  })
})
