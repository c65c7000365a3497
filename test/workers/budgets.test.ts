/** Budgets, guards and the switch over HTTP, with agents that pull, in the real runtime. Never here: the counting (test/shared/budget.test.ts). */
import { describe, expect, it } from 'vitest'
import { call, freshName, leaseOne, pullAgent, type Registered, receipt, sendId } from './gateway.ts'

async function workflow(more: object = {}): Promise<string> {
  const id = freshName('w')
  const { status } = await call('POST', '/v1/workflows', { json: { id, ...more } })
  expect(status).toBe(201)
  return id
}

const read = async (id: string) => (await call('GET', `/v1/workflows/${id}`)).body
const amend = (id: string, json: object, key?: string) =>
  call('PATCH', `/v1/workflows/${id}`, { json, ...(key === undefined ? {} : { key }) })

async function ack(agent: Registered, json: object = {}) {
  const { id, token } = await leaseOne(agent)
  const answer = await call('POST', `/v1/deliveries/${id}/ack`, { key: agent.key, json: { token, ...json } })
  expect(answer.status).toBe(200)
  return id
}

describe('(TC5) a workflow with a budget', () => {
  it('shows it, counts what acks and nacks say was used, and is paused when it is spent', async () => {
    const ann = await pullAgent()
    const id = await workflow({ budget: { tokens: 100, costUsd: 5 } })
    for (let i = 0; i < 3; i++) await sendId(ann.name, { workflowid: id })
    expect(await read(id)).toMatchObject({
      budget: { tokens: 100, costUsd: 5, spent: { messages: 0, tokens: 0, costUsd: 0 } },
    })

    const usage = { inputTokens: 60, outputTokens: 20, costUsd: 0.5 }
    const done = await ack(ann, { effects: { usage } })
    expect((await receipt(done)).usage).toEqual(usage)
    await expect.poll(async () => (await read(id)).budget.spent.tokens).toBe(80)

    const { id: failed, token } = await leaseOne(ann)
    const json = { token, terminal: true, usage: { outputTokens: 30 } }
    await call('POST', `/v1/deliveries/${failed}/nack`, { key: ann.key, json })
    await expect.poll(async () => (await read(id)).budget.spent.tokens).toBe(110)

    expect(await leaseOne(ann)).toBeUndefined()
    await expect.poll(async () => (await read(id)).status).toBe('paused')
    expect(await read(id)).toMatchObject({
      paused: { reason: expect.stringContaining('110 of 100 tokens') },
      budget: { stopped: 'tokens', holding: [ann.name], spent: { messages: 2, costUsd: 0.5 } },
    })
    const kinds = (await call('GET', `/v1/workflows/${id}/history`)).body.items.map((e: { kind: string }) => e.kind)
    expect(kinds).toEqual(['created', 'budget_warning', 'paused'])
  })

  it('pays for nobody who may not change it, and hears nothing of what they are refused', async () => {
    const own = { permissions: { writeState: [] } }
    const [mallory, accomplice] = [await pullAgent({}, own), await pullAgent({}, own)]
    const id = await workflow({ budget: { messages: 1 } })
    const json = { to: accomplice.name, type: 'test.note', workflowid: id }
    for (const [path, body] of [
      ['/v1/messages', json],
      ['/v1/requests', json],
      ['/v1/scatters', { ...json, to: [accomplice.name] }],
    ] as const)
      expect(await call('POST', path, { key: mallory.key, json: body })).toMatchObject({
        status: 403,
        body: { code: 'forbidden', action: 'change', subject: id },
      })
    expect(await leaseOne(accomplice)).toBeUndefined()
  })

  it('pays for what its own mail leads to, whoever is allowed to write to it', async () => {
    const [ann, bob] = [await pullAgent({}, { permissions: { writeState: [] } }), await pullAgent()]
    const id = await workflow({ budget: { messages: 5 } })
    await sendId(ann.name, { workflowid: id })
    await ack(ann, { effects: { messages: [{ to: bob.name, type: 'test.next' }] } })
    await expect.poll(async () => (await leaseOne(bob))?.message.workflowid).toBe(id)
  })

  it('is not resumed as it is, and goes on when it is raised', async () => {
    const ann = await pullAgent()
    const id = await workflow({ budget: { messages: 1 } })
    await sendId(ann.name, { workflowid: id })
    await ack(ann)
    const waiting = await sendId(ann.name, { workflowid: id })
    expect(await leaseOne(ann)).toBeUndefined()
    expect(await receipt(waiting)).toMatchObject({ status: 'parked', attempt: 0 })
    expect(await call('POST', `/v1/workflows/${id}/resume`)).toMatchObject({
      status: 409,
      body: { code: 'budget_spent', reason: '1 of 1 messages' },
    })
    expect(await amend(id, { budget: { messages: 5 } })).toMatchObject({ status: 200, body: { status: 'running' } })
    await expect.poll(async () => (await receipt(waiting)).status).toBe('held')
    expect(await ack(ann)).toBe(waiting)
  })

  it('is amended by whoever may write its state, in part or as a whole; nonsense is refused', async () => {
    const ann = await pullAgent({}, { permissions: { writeState: [] } })
    const id = await workflow({ budget: { tokens: 5, seconds: 60 }, guards: { revisits: 1 } })
    expect((await amend(id, { budget: null }, ann.key)).status).toBe(403)
    const { body } = await amend(id, { budget: { seconds: null, costUsd: 1 }, guards: { hops: 5 } })
    expect(body.budget).toMatchObject({ tokens: 5, costUsd: 1 })
    expect(body.budget).not.toHaveProperty('seconds')
    expect(body.guards).toEqual({ hops: 5, revisits: 1, repeats: 3, messages: 1_000 })
    await amend(id, { budget: { costUsd: 1 }, guards: { hops: 5 } })
    const kinds = (await call('GET', `/v1/workflows/${id}/history`)).body.items.map((e: { kind: string }) => e.kind)
    expect(kinds).toEqual(['created', 'amended'])
    expect((await amend(id, { budget: null, guards: null })).body).not.toHaveProperty('budget')
    for (const budget of [{ tokens: 0 }, { dollars: 1 }, { hops: 33 }, 5])
      expect((await amend(id, { budget })).body.code).toBe('invalid_request')
    expect((await amend('no-such-workflow', {})).body.code).toBe('not_found')
  })

  it('that has ended cannot be amended', async () => {
    const id = await workflow({ budget: { tokens: 5 } })
    await call('DELETE', `/v1/workflows/${id}`)
    expect((await amend(id, { budget: { tokens: 6 } })).body.code).toBe('workflow_over')
  })
})

describe('(TC4) agents that publish to each other by HTTP', () => {
  it('are stopped in the answer to a publish, with the path, and the other sees it in its mailbox', async () => {
    const [ann, bea] = [await pullAgent(), await pullAgent()]
    await sendId(ann.name)
    let [me, other] = [ann, bea]
    const turn = async (n: number) => {
      const { id, token, message } = await leaseOne(me)
      const json = { to: other.name, type: 'x', data: n, causationid: message.id }
      const answer = await call('POST', '/v1/messages', { key: me.key, json })
      await call('POST', `/v1/deliveries/${id}/ack`, { key: me.key, json: { token } })
      ;[me, other] = [other, me]
      return answer
    }
    for (let n = 0; n < 9; n++) expect((await turn(n)).status).toBe(202)
    const { status, body } = await turn(9)
    expect({ status, code: body.code, path: body.path.length }).toEqual({
      status: 409,
      code: 'loop_detected',
      path: 10,
    })
    const stopped = await receipt(body.delivery)
    expect(stopped).toMatchObject({ agent: ann.name, status: 'dead_lettered', hops: 10, path: body.path })
    const letters = await call('GET', `/v1/dead-letters?agent=${ann.name}&reason=loop_detected`)
    await expect
      .poll(async () => (await call('GET', `/v1/dead-letters?agent=${ann.name}&reason=loop_detected`)).body.items)
      .toHaveLength(1)
    expect(letters.status).toBe(200)
  })
})
