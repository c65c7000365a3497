/** Resources over HTTP, and what a pull agent has of them, in the real runtime. Never here: the machine (test/shared/resource.test.ts). */
import { runDurableObjectAlarm, runInDurableObject } from 'cloudflare:test'
import { env } from 'cloudflare:workers'
import { describe, expect, it } from 'vitest'
import { call, freshName, leaseOne, pullAgent, type Registered, receipt, sendId } from './gateway.ts'

const freshResource = () => `openai/${freshName('gpt')}`
const path = (resource: string) => `/v1/resources/${encodeURIComponent(resource)}/breaker`
const read = (resource: string, key?: string) => call('GET', path(resource), key === undefined ? {} : { key })
const put = (resource: string, json: unknown, key?: string) =>
  call('PUT', path(resource), { json, ...(key === undefined ? {} : { key }) })

const user = (resources: readonly string[], policy: object = {}) => pullAgent({ ...policy }, { resources })

async function nack(agent: Registered, resource: object) {
  await sendId(agent.name)
  const { id, token } = await leaseOne(agent)
  const answer = await call('POST', `/v1/deliveries/${id}/nack`, { key: agent.key, json: { token, resource } })
  return { id, token, answer }
}

const quick = { policy: { failureThreshold: 1, openSeconds: 600 } }

describe('a registration', () => {
  it('names resources, shows them, and keeps them out when there are none', async () => {
    const name = freshResource()
    const ann = await user([name, 'vectors'])
    expect((await call('GET', `/v1/agents/${ann.name}`)).body.resources).toEqual([name, 'vectors'])
    expect((await call('GET', `/v1/agents/${(await pullAgent()).name}`)).body.resources).toEqual([])
  })

  it.each([[['a b']], [['a', 'a']], [Array.from({ length: 9 }, (_, i) => `r${i}`)], ['openai/gpt-5']])(
    'refuses %j',
    async (resources) => {
      const json = { kind: 'pull', resources }
      expect(await call('PUT', `/v1/agents/${freshName()}`, { json })).toMatchObject({
        status: 400,
        body: { code: 'invalid_request' },
      })
    },
  )
})

describe('(A39) a resource that an agent reports on', () => {
  it('counts failures of all who declare it, opens, and parks the mail of the others for its sake', async () => {
    const name = freshResource()
    const [ann, bea] = [await user([name]), await user([name])]
    await put(name, { policy: { failureThreshold: 2, openSeconds: 600 } })
    for (const agent of [ann, bea]) {
      const { answer } = await nack(agent, { name, status: 503 })
      expect(answer.status).toBe(200)
    }
    const cyd = await user([name])
    const id = await sendId(cyd.name)
    await expect.poll(async () => (await read(name)).body.state).toBe('open')
    expect(await leaseOne(cyd)).toBeUndefined()
    const { body } = await read(name)
    expect(body).toMatchObject({ resource: name, state: 'open', epoch: 1, openUntil: expect.any(String) })
    expect(body.history[0].cause).toBe(`2 failures in a row; the last: ${bea.name} was answered 503`)
    const parked = await receipt(id)
    expect(parked).toMatchObject({ status: 'parked', attempt: 0, attempts: [] })
    expect(parked.because).toContain(`held: the resource ${name} is down (2 failures in a row`)
  })

  it('counts the attempt that ran, and says on its receipt who was to blame', async () => {
    const name = freshResource()
    const { id } = await nack(await user([name]), { name, status: 503 })
    expect(await receipt(id)).toMatchObject({
      attempt: 1,
      attempts: [{ outcome: 'retry', counted: true, error: { code: 'resource' } }],
    })
  })

  it('is held for everybody when it asked for a pause, at no attempt', async () => {
    const name = freshResource()
    const [ann, bea] = [await user([name]), await user([name])]
    const { id } = await nack(ann, { name, status: 429, retryAfterSeconds: 300 })
    expect(await receipt(id)).toMatchObject({ status: 'parked', attempt: 0, attempts: [{ counted: false }] })
    await expect.poll(async () => (await read(name)).body.heldUntil).toBeDefined()
    await sendId(bea.name)
    expect(await leaseOne(bea)).toBeUndefined()
    expect((await read(name)).body).toMatchObject({ state: 'closed', failures: 0 })
  })

  it('lets one probe through when its wait is over, and all when that is acked', async () => {
    const name = freshResource()
    const agents = [await user([name]), await user([name]), await user([name])]
    await put(name, { policy: { failureThreshold: 1, openSeconds: 0.05 } })
    await nack(agents[0]!, { name, status: 503 })
    for (const agent of agents) await sendId(agent.name)
    await expect.poll(async () => (await read(name)).body.state).toBe('half_open')
    for (const agent of agents) await call('POST', `/v1/agents/${agent.name}/resume`, { key: agent.key })
    const leases = await Promise.all(agents.map(async (agent) => ({ agent, leased: await leaseOne(agent) })))
    const probes = leases.filter((l) => l.leased !== undefined)
    expect(probes).toHaveLength(1)
    const [{ agent, leased }] = probes as [{ agent: Registered; leased: { id: string; token: string } }]
    const acked = await call('POST', `/v1/deliveries/${leased.id}/ack`, {
      key: agent.key,
      json: { token: leased.token },
    })
    expect(acked.status).toBe(200)
    await expect.poll(async () => (await read(name)).body).toMatchObject({ state: 'closed', ramp: 1 })
  })

  it('hears of a nack once, however often it is said', async () => {
    const name = freshResource()
    const ann = await user([name])
    const { id, token } = await nack(ann, { name, status: 503 })
    for (let i = 0; i < 4; i++)
      await call('POST', `/v1/deliveries/${id}/nack`, {
        key: ann.key,
        json: { token, resource: { name, status: 503 } },
      })
    await expect.poll(async () => (await read(name)).body.failures).toBe(1)
  })

  it('is refused when the agent does not declare it, and nothing is settled', async () => {
    const name = freshResource()
    const mallory = await pullAgent()
    const { id, token, answer } = await nack(mallory, { name, status: 503 })
    expect(answer).toMatchObject({
      status: 400,
      body: { code: 'invalid_request', issues: [{ path: 'resource.name' }] },
    })
    const acked = await call('POST', `/v1/deliveries/${id}/ack`, { key: mallory.key, json: { token } })
    expect(acked.status).toBe(200)
    expect(await read(name)).toMatchObject({ status: 404 })
  })
})

describe('a resource’s breaker over HTTP', () => {
  it('is closed at first, with the policy in force', async () => {
    const name = freshResource()
    await user([name])
    expect(await read(name)).toMatchObject({
      status: 200,
      body: {
        resource: name,
        state: 'closed',
        forced: 'auto',
        epoch: 0,
        failures: 0,
        history: [],
        policy: { probes: 1 },
      },
    })
  })

  it('is forced by an admin, who is remembered, and left to itself again', async () => {
    const name = freshResource()
    const ann = await user([name])
    expect(await put(name, { force: 'open' })).toMatchObject({ status: 200, body: { state: 'open', forced: 'open' } })
    await sendId(ann.name)
    expect(await leaseOne(ann)).toBeUndefined()
    const { body } = await put(name, { force: 'closed' })
    expect(body.history.map((h: { cause: string }) => h.cause)).toEqual([
      'forced open by admin',
      'forced closed by admin',
    ])
    await call('POST', `/v1/agents/${ann.name}/resume`, { key: ann.key })
    expect(await leaseOne(ann)).toBeDefined()
  })

  it('takes a policy, defaults filled in', async () => {
    const name = freshResource()
    await user([name])
    expect((await put(name, quick)).body.policy).toMatchObject({ failureThreshold: 1, openSeconds: 600, probes: 1 })
  })

  it('is read by who declares it, and told by an admin only', async () => {
    const name = freshResource()
    const [ann, bea] = [await user([name]), await pullAgent()]
    const forbidden = { status: 403, body: { code: 'forbidden' } }
    expect((await read(name, ann.key)).status).toBe(200)
    expect(await read(name, bea.key)).toMatchObject(forbidden)
    expect(await put(name, { force: 'open' }, ann.key)).toMatchObject(forbidden)
    expect(await call('GET', '/v1/resources', { key: ann.key })).toMatchObject(forbidden)
  })

  it.each(['never/declared', 'a b', 'x'.repeat(300)])('of %s is 404, and asking leaves no trace', async (name) => {
    for (const answer of [await read(name), await put(name, { force: 'open' })])
      expect(answer).toMatchObject({ status: 404, body: { code: 'not_found' } })
    const tables = await runInDurableObject(env.RESOURCES.getByName(name), (_, { storage }) =>
      storage.sql.exec("SELECT name FROM sqlite_master WHERE name = 'resource'").toArray(),
    )
    expect(tables).toEqual([])
  })

  it.each([[{}], [{ force: 'ajar' }], [{ policy: { probes: 0 } }], ['open']])('refuses %j', async (json) => {
    const name = freshResource()
    await user([name])
    expect(await put(name, json)).toMatchObject({ status: 400, body: { code: 'invalid_request' } })
  })
})

describe('the list of resources', () => {
  it('has each that is declared once, with how many declare it and how it stands, page by page', async () => {
    const stem = freshName('list')
    const names = ['a', 'b', 'c'].map((n) => `${stem}/${n}`)
    await user(names)
    await user(names.slice(0, 1))
    await put(names[1]!, { force: 'open' })
    const first = await call('GET', `/v1/resources?limit=2&cursor=${encodeURIComponent(stem)}`)
    expect(first.body.items).toEqual([
      { resource: names[0], agents: 2, state: 'closed', forced: 'auto' },
      { resource: names[1], agents: 1, state: 'open', forced: 'open' },
    ])
    const next = await call('GET', `/v1/resources?limit=1&cursor=${encodeURIComponent(first.body.cursor)}`)
    expect(next.body.items[0].resource).toBe(names[2])
  })

  it('forgets what nobody declares any more', async () => {
    const stem = freshName('list')
    const ann = await user([`${stem}/a`])
    await call('PUT', `/v1/agents/${ann.name}`, { json: { kind: 'pull' } })
    const { body } = await call('GET', `/v1/resources?cursor=${encodeURIComponent(stem)}&limit=1`)
    expect(body.items.map((i: { resource: string }) => i.resource)).not.toContain(`${stem}/a`)
  })
})

describe('what a resource did', () => {
  it('(A39) is announced on its topic, once, also when the queue lost the first word of it', async () => {
    const name = freshResource()
    const [ann, listener] = [await user([name]), await pullAgent()]
    const topic = `switchboard.resource.${name.replaceAll('/', '.')}`
    await call('PUT', `/v1/subscriptions/${freshName('s')}`, { json: { agent: listener.name, topic } })
    await put(name, quick)
    await nack(ann, { name, status: 503 })
    const told = await leaseOne(listener, { waitSeconds: 10 })
    expect(told.message).toMatchObject({
      type: 'switchboard.breaker.open',
      source: 'switchboard',
      subject: name,
      epoch: 1,
    })
    expect(told.message.data).toBeUndefined()
    const said = () =>
      runInDurableObject(env.RESOURCES.getByName(name), (object: { report(): unknown }) => object.report())
    await expect.poll(said).toMatchObject({ announced: 1 })
    // As if nobody had confirmed it: the alarm has it said again, and it is a duplicate.
    const stub = env.RESOURCES.getByName(name)
    expect(await runDurableObjectAlarm(stub as unknown as DurableObjectStub<undefined>)).toBe(true)
    expect(await leaseOne(listener, { waitSeconds: 1 })).toBeUndefined()
  })
})
