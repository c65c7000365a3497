/**
 * What a state says of an agent's failure, through the real objects: undoing, failing, going to another agent after a real death.
 * Which remedy a failure gets is in test/shared/chart-remedy.test.ts. Never here: events and definitions (workflows.test.ts).
 */
import { describe, expect, it, vi } from 'vitest'
import { type Body, call, freshName, leaseOne, pullAgent, type Registered } from './gateway.ts'

const send = (to: string, type: string, more: object = {}) => ({ type: 'send', params: { to, type, ...more } })

async function start(states: object, state: object = {}): Promise<string> {
  const json = { id: freshName('w'), definition: { initial: 'work', states }, state }
  const { status, body } = await call('POST', '/v1/workflows', { json })
  expect(status).toBe(201)
  return body.id
}

const read = async (id: string): Promise<Body> => (await call('GET', `/v1/workflows/${id}`)).body

async function ended(id: string, status: string): Promise<Body> {
  await vi.waitUntil(async () => (await read(id)).status === status, { timeout: 8_000, interval: 20 })
  return read(id)
}

const giveUp = async (agent: Registered, reason: string): Promise<Body> => {
  const delivery = await leaseOne(agent, { waitSeconds: 5 })
  const json = { token: delivery.token, terminal: true, reason }
  await call('POST', `/v1/deliveries/${delivery.id}/nack`, { key: agent.key, json })
  return delivery
}

describe('an agent that gives up (A24)', () => {
  it('has its state undone first, and then the workflow fails where the state says so', async () => {
    const [worker, stock] = [await pullAgent(), await pullAgent()]
    const policy = {
      onExhausted: 'failed',
      compensate: [
        { type: 'update', params: { patch: { reserved: false } } },
        send(stock.name, 'release', { data: { of: { $from: 'state.order' } } }),
      ],
    }
    const id = await start(
      { work: { meta: { switchboard: policy }, entry: send(worker.name, 'x') } },
      { order: 7, reserved: true },
    )
    const { id: dead } = await giveUp(worker, 'no such page')
    const told = await ended(id, 'failed')
    expect(told.state).toEqual({ order: 7, reserved: false })
    expect((await leaseOne(stock, { waitSeconds: 5 })).message).toMatchObject({ type: 'release', data: { of: 7 } })
    const { body } = await call('GET', `/v1/workflows/${id}/history`)
    expect(JSON.stringify(body.items)).toContain(dead)
  })

  it('is stood in for by the fallback agent, whose answer is the one that counts', async () => {
    const [worker, other] = [await pullAgent(), await pullAgent()]
    const done = { target: 'done', actions: { type: 'update', params: { patch: { by: { $from: 'event.data' } } } } }
    const id = await start({
      work: {
        meta: { switchboard: { fallback: other.name } },
        entry: send(worker.name, 'x', { data: { n: 1 } }),
        on: { 'x.reply': done },
      },
      done: { type: 'final' },
    })
    await giveUp(worker, 'too hard')
    const { id: delivery, token, message } = await leaseOne(other, { waitSeconds: 5 })
    expect(message).toMatchObject({ type: 'x', data: { n: 1 }, workflowid: id })
    await call('POST', `/v1/deliveries/${delivery}/ack`, { key: other.key, json: { token, result: 'the other' } })
    expect((await ended(id, 'completed')).state).toEqual({ by: 'the other' })
  })
})

describe('a state with a deadline (A26)', () => {
  it('is left when it is over, and what its agent says too late moves nothing', async () => {
    const worker = await pullAgent()
    const id = await start({
      work: { entry: send(worker.name, 'x'), on: { 'x.reply': 'done' }, after: { 200: 'late' } },
      late: {},
      done: { type: 'final' },
    })
    const { id: delivery, token } = await leaseOne(worker, { waitSeconds: 5 })
    await vi.waitUntil(async () => (await read(id)).value === 'late', { timeout: 8_000, interval: 20 })
    await call('POST', `/v1/deliveries/${delivery}/ack`, { key: worker.key, json: { token, result: 1 } })
    const told = await vi.waitUntil(
      async () => {
        const { body } = await call('GET', `/v1/workflows/${id}/history`)
        return body.items.find((entry: Body) => entry.kind === 'ignored')
      },
      { timeout: 8_000, interval: 20 },
    )
    expect(told).toMatchObject({ event: { type: 'x.reply' }, by: worker.name })
    expect((await read(id)).value).toBe('late')
  })
})
