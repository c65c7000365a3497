/**
 * Scatters over HTTP in real workerd: who is asked what, when it is over, and what is told of it (A53 to A58, T8, TC14).
 */
import { describe, expect, it } from 'vitest'
import { type Body, call, freshName, leaseOne, pullAgent, type Registered, receipt } from './gateway.ts'

async function open(json: object, key?: string): Promise<Body> {
  const headers = key === undefined ? {} : { 'Idempotency-Key': key }
  const {
    status,
    body,
    headers: told,
  } = await call('POST', '/v1/scatters', { json: { type: 'work', ...json }, headers })
  expect(status).toBe(202)
  expect(told.get('Location')).toBe(`/v1/scatters/${body.id}`)
  return body
}

const read = async (id: string, query = '') => (await call('GET', `/v1/scatters/${id}${query}`)).body
const over = (id: string) => read(id, '?waitSeconds=10')

async function ack(agent: Registered, delivery: Body, result: unknown) {
  return call('POST', `/v1/deliveries/${delivery.id}/ack`, { key: agent.key, json: { token: delivery.token, result } })
}

async function reject(agent: Registered, { id, token }: Body, reason = 'no') {
  return call('POST', `/v1/deliveries/${id}/nack`, { key: agent.key, json: { token, terminal: true, reason } })
}

const pullAgents = (count: number) => Promise.all(Array.from({ length: count }, () => pullAgent()))
const names = (agents: readonly Registered[]) => agents.map((a) => a.name)

describe('a scatter', () => {
  it('(A53) (A57) maps items over agents and has one reducer make the result, told to a caller who waits', async () => {
    const [adder, ...mappers] = await pullAgents(4)
    const json = {
      ...{ to: names(mappers), type: 'sum', items: [1, 2, 3, 4, 5, 6, 7] },
      reduce: { to: adder!.name, type: 'add', data: { unit: 'm' } },
    }
    const answer = call('POST', '/v1/scatters', { json, headers: { Prefer: 'wait=20' } })
    const sum = (numbers: readonly number[]) => numbers.reduce((total, n) => total + n, 0)
    await Promise.all(
      mappers.map(async (mapper) => {
        const asked = await leaseOne(mapper, { waitSeconds: 10 })
        await ack(mapper, asked, sum(asked.message.data.items))
      }),
    )
    const asked = await leaseOne(adder!, { waitSeconds: 10 })
    const { ok, unit } = asked.message.data
    await ack(adder!, asked, { total: sum(ok.map((one: Body) => one.data)), unit })
    const { status, body } = await answer
    expect(body).toMatchObject({
      status: 'completed',
      progress: { legs: 3, ok: 3, failed: 0, missing: 0 },
      result: { total: 28, unit: 'm' },
      reply: { source: adder!.name },
    })
    expect(status).toBe(200)
    expect(body.ok.map((one: Body) => one.data)).toEqual([6, 9, 13])
  })

  it('(A54) (A55) (T8) gives balanced chunks, none empty, to children named by their place', async () => {
    const agents = await pullAgents(3)
    const few = await open({ to: names(agents), items: ['a', 'b'], data: { ask: 'why' } })
    expect(few.progress).toEqual({ legs: 2, ok: 0, failed: 0, missing: 2 })
    const leased = (await Promise.all(agents.map((a) => leaseOne(a)))).filter((d) => d !== undefined)
    expect(leased.map((d) => [d.message.id, d.message.data, d.message.replyto])).toEqual([
      [`${few.id}.map.0`, { ask: 'why', items: ['a'] }, `gather:${few.id}`],
      [`${few.id}.map.1`, { ask: 'why', items: ['b'] }, `gather:${few.id}`],
    ])
    expect(leased.map((d) => d.message.correlationid)).toEqual([few.id, few.id])
  })

  it('(T8) without items, or without anybody to ask, is refused 422 and nothing is stored', async () => {
    const agent = await pullAgent()
    const refused = async (json: object) => {
      const { status, body } = await call('POST', '/v1/scatters', { json: { type: 'work', ...json } })
      return [status, body.code, body.what]
    }
    expect(await refused({ to: agent.name, items: [] })).toEqual([422, 'empty_scatter', 'items'])
    expect(await refused({ to: agent.name, chunks: [] })).toEqual([422, 'empty_scatter', 'items'])
    expect(await refused({ to: [], items: [1] })).toEqual([422, 'empty_scatter', 'agents'])
    expect(await refused({ to: 'capability:nobody-can', items: [1] })).toEqual([422, 'empty_scatter', 'agents'])
    expect(await refused({ to: agent.name, chunks: [[1], []] })).toEqual([400, 'invalid_request', undefined])
    expect(await refused({ to: freshName('nobody'), items: [1] })).toEqual([404, 'agent_not_found', undefined])
    expect((await call('GET', `/v1/agents/${agent.name}/deliveries`)).body.items).toEqual([])
  })

  it('(A53) gives chunks to whoever has least to do, or to each in turn', async () => {
    const [busy, idle] = await pullAgents(2)
    for (let i = 0; i < 3; i++) await call('POST', '/v1/messages', { json: { to: busy!.name, type: 'x' } })
    const to = names([busy!, idle!])
    const least = await open({ to, items: [1, 2, 3, 4], itemsPerChunk: 1 })
    expect(least.missing.map((m: Body) => m.agent)).toEqual([idle, idle, idle, busy].map((a) => a!.name))
    const turns = await open({ to, chunks: [[1], [2], [3]], assign: 'rotate' })
    expect(turns.missing.map((m: Body) => m.agent)).toEqual([busy, idle, busy].map((a) => a!.name))
  })

  it('(A56) (A58) `settled` keeps what came, why the others failed, and tells how far it is while it runs', async () => {
    const agents = await pullAgents(3)
    const { id } = await open({ to: names(agents), join: 'settled', data: 'same for all' })
    const [a, b, c] = agents
    const asked = await leaseOne(a!)
    expect(asked.message.data).toBe('same for all')
    await ack(a!, asked, 'A')
    await reject(b!, await leaseOne(b!), 'no such page')
    await expect
      .poll(() => read(id))
      .toMatchObject({
        status: 'running',
        progress: { legs: 3, ok: 1, failed: 1, missing: 1 },
        ok: [{ index: 0, agent: a!.name, data: 'A' }],
        failed: [{ index: 1, agent: b!.name, error: { why: 'ended', reason: 'terminal', message: 'no such page' } }],
        missing: [{ index: 2, agent: c!.name }],
      })
    await ack(c!, await leaseOne(c!), 'C')
    expect(await over(id)).toMatchObject({ status: 'completed', progress: { ok: 2, failed: 1, missing: 0 } })
  })

  it('(A58) `all` fails with its first leg, calls back who has not begun, and keeps what came', async () => {
    const agents = await pullAgents(3)
    const { id, missing } = await open({ to: names(agents) })
    await ack(agents[0]!, await leaseOne(agents[0]!), 1)
    await expect.poll(async () => (await read(id)).progress.ok).toBe(1)
    await reject(agents[1]!, await leaseOne(agents[1]!))
    expect(await over(id)).toMatchObject({
      status: 'failed',
      error: { reason: 'terminal' },
      ok: [{ data: 1 }],
      failed: [{ index: 1 }],
      missing: [{ index: 2 }],
    })
    await expect.poll(async () => (await receipt(missing[2].delivery)).status).toBe('cancelled')
  })

  it('(A56) (A58) `any`, `quorum:n` and a tolerance are over when they are satisfied, and not before', async () => {
    const agents = await pullAgents(4)
    const any = await open({ to: names(agents), join: 'any' })
    const quorum = await open({ to: names(agents), join: 'quorum:2' })
    const tolerant = await open({ to: names(agents), tolerance: { percent: 30 } })
    const strict = await open({ to: names(agents), tolerance: { count: 1 }, deadlineSeconds: 600 })
    const leased = await Promise.all(
      agents.map(
        async (agent) =>
          (await call('POST', `/v1/agents/${agent.name}/lease`, { key: agent.key, json: {} })).body.deliveries,
      ),
    )
    const of = (i: number, { id }: Body) => leased[i]!.find((d: Body) => d.message.replyto === `gather:${id}`)
    for (const one of [any, quorum, tolerant, strict]) await ack(agents[0]!, of(0, one), 0)
    expect(await over(any.id)).toMatchObject({ status: 'completed', progress: { ok: 1, missing: 3 } })
    await expect.poll(async () => (await read(quorum.id)).progress.ok).toBe(1)
    for (const one of [quorum, strict]) await reject(agents[1]!, of(1, one))
    for (const one of [quorum, tolerant]) await ack(agents[2]!, of(2, one), 2)
    expect(await over(quorum.id)).toMatchObject({ status: 'completed', progress: { ok: 2, failed: 1, missing: 1 } })
    await ack(agents[1]!, of(1, tolerant), 1)
    await expect.poll(async () => (await read(tolerant.id)).progress.ok).toBe(3)
    expect((await read(tolerant.id)).status).toBe('running')
    await reject(agents[3]!, of(3, tolerant))
    expect(await over(tolerant.id)).toMatchObject({ status: 'completed', progress: { ok: 3, failed: 1 } })
    await reject(agents[2]!, of(2, strict))
    expect(await over(strict.id)).toMatchObject({ status: 'failed', progress: { ok: 1, failed: 2, missing: 1 } })
  })

  it('(A56) (A58) at its deadline the missing count as failed, and a reply that still comes is noted as late', async () => {
    const agents = await pullAgents(2)
    const { id } = await open({ to: names(agents), join: 'settled', deadlineSeconds: 0.8 })
    const all = await open({ to: names(agents), deadlineSeconds: 0.8 })
    const [first] = (
      await call('POST', `/v1/agents/${agents[0]!.name}/lease`, { key: agents[0]!.key, json: { max: 2 } })
    ).body.deliveries.filter((d: Body) => d.message.replyto === `gather:${id}`)
    const second = await leaseOne(agents[1]!)
    await ack(agents[0]!, first, 'in time')
    expect(await over(id)).toMatchObject({ status: 'completed', ok: [{ index: 0 }], missing: [{ index: 1 }] })
    expect(await over(all.id)).toMatchObject({ status: 'timed_out', missing: [{ index: 0 }, { index: 1 }] })
    await ack(agents[1]!, second, 'late')
    await expect.poll(() => read(id)).toMatchObject({ beside: [{ index: 1, standing: 'late', by: agents[1]!.name }] })
    expect((await read(id)).progress).toMatchObject({ ok: 1, missing: 1 })
  })

  it('(A57) asks the reducer once, with what came, who failed and who is missing', async () => {
    const [a, b, c, reducer] = await pullAgents(4)
    const to = names([a!, b!, c!])
    const { id } = await open({
      to,
      join: 'settled',
      deadlineSeconds: 2,
      reduce: { to: reducer!.name, type: 'join' },
    })
    await ack(a!, await leaseOne(a!), 'A')
    await reject(b!, await leaseOne(b!))
    await expect.poll(async () => (await read(id)).status, { timeout: 20_000 }).toBe('reducing')
    const asked = await leaseOne(reducer!, { waitSeconds: 5 })
    expect(asked.message).toMatchObject({ id: `${id}.reduce`, type: 'join', causationid: id })
    expect(asked.message.data).toMatchObject({
      ok: [{ index: 0, agent: a!.name, data: 'A' }],
      failed: [{ index: 1, agent: b!.name, error: { why: 'ended' } }],
      missing: [{ index: 2, agent: c!.name }],
    })
    await ack(reducer!, asked, { done: 1 })
    expect(await over(id)).toMatchObject({ status: 'completed', result: { done: 1 }, reply: { source: reducer!.name } })
    expect((await call('GET', `/v1/agents/${reducer!.name}/deliveries`)).body.items).toHaveLength(1)
  })

  it('(A57) without any reply the reducer is asked only if `onEmpty` says so; one that fails is told, beside what came', async () => {
    const [a, reducer] = await pullAgents(2)
    const reduce = { to: reducer!.name, type: 'join' }
    const skipped = await open({ to: a!.name, join: 'settled', reduce })
    await reject(a!, await leaseOne(a!))
    expect(await over(skipped.id)).toMatchObject({ status: 'failed', failed: [{ index: 0 }] })
    const called = await open({ to: a!.name, join: 'settled', reduce: { ...reduce, onEmpty: 'call' } })
    await reject(a!, await leaseOne(a!))
    const asked = await leaseOne(reducer!, { waitSeconds: 5 })
    expect(asked.message.data).toMatchObject({ ok: [], failed: [{ index: 0 }] })
    await reject(reducer!, asked, 'cannot')
    expect(await over(called.id)).toMatchObject({
      status: 'failed',
      error: { message: 'cannot' },
      failed: [{ index: 0 }],
    })
  })

  it('(TC14) its end is told to `replyto`, once', async () => {
    const [a, listener] = await pullAgents(2)
    const { id } = await open({ to: a!.name, data: 1, replyto: listener!.name })
    await ack(a!, await leaseOne(a!), 'A')
    const told = await leaseOne(listener!, { waitSeconds: 5 })
    expect(told.message).toMatchObject({ type: 'work.gathered', source: 'switchboard', id: `${id}.ended` })
    expect(told.message.data).toMatchObject({ scatter: id, status: 'completed', ok: [{ data: 'A' }] })
  })

  it('(A55) a repeat under its key finds it, and the same key for other work is refused', async () => {
    const agent = await pullAgent()
    const key = freshName('key')
    const { id } = await open({ to: agent.name, items: [1, 2] }, key)
    expect((await open({ to: agent.name, items: [1, 2] }, key)).id).toBe(id)
    const other = { to: agent.name, type: 'work', items: [3] }
    const { status, body } = await call('POST', '/v1/scatters', { json: other, headers: { 'Idempotency-Key': key } })
    expect([status, body.code]).toEqual([422, 'key_reused'])
    expect((await call('GET', `/v1/agents/${agent.name}/deliveries`)).body.items).toHaveLength(1)
  })

  it('is cancelled by its asker and read by nobody else; whom it may ask is asked of its key', async () => {
    const [agent, other] = await pullAgents(2)
    const narrow = (
      await call('PUT', `/v1/agents/${freshName()}`, { json: { kind: 'pull', permissions: { send: [agent!.name] } } })
    ).body
    const json = { type: 'work', to: [agent!.name, other!.name] }
    const forbidden = await call('POST', '/v1/scatters', { key: narrow.key, json })
    expect([forbidden.status, forbidden.body.code]).toEqual([403, 'forbidden'])
    const { body } = await call('POST', '/v1/scatters', { key: narrow.key, json: { ...json, to: agent!.name } })
    expect((await call('GET', `/v1/scatters/${body.id}`, { key: other!.key })).status).toBe(403)
    expect((await call('GET', `/v1/requests/${body.id}`, { key: narrow.key })).status).toBe(404)
    expect((await call('DELETE', `/v1/scatters/${body.id}`, { key: narrow.key })).body.status).toBe('cancelled')
    expect((await receipt(body.missing[0].delivery)).status).toBe('cancelled')
    const done = await open({ to: agent!.name, data: 1 })
    await ack(agent!, await leaseOne(agent!), 1)
    await over(done.id)
    const late = await call('DELETE', `/v1/scatters/${done.id}`)
    expect([late.status, late.body.code]).toEqual([409, 'scatter_over'])
  })

  it('(A53) of more than a hundred legs has each asked once and told by pages', async () => {
    const agents = await pullAgents(2)
    const items = Array.from({ length: 150 }, (_, i) => i)
    const { id, progress } = await open({ to: names(agents), items, itemsPerChunk: 1, assign: 'rotate' })
    expect(progress.legs).toBe(150)
    await Promise.all(
      agents.map(async (agent) => {
        for (let seen = 0; seen < 75; ) {
          const { body } = await call('POST', `/v1/agents/${agent.name}/lease`, {
            key: agent.key,
            json: { max: 100, waitSeconds: 5 },
          })
          seen += body.deliveries.length
          await Promise.all(body.deliveries.map((d: Body) => ack(agent, d, d.message.data.items[0] * 2)))
        }
      }),
    )
    const told = await over(id)
    expect(told).toMatchObject({ status: 'completed', progress: { legs: 150, ok: 150 } })
    expect(told.ok.map((o: Body) => o.data)).toEqual(items.map((i) => i * 2))
    expect((await read(id, '?cursor=148')).ok.map((o: Body) => o.index)).toEqual([148, 149])
  })
})
