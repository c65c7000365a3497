/** Scatters of a statechart: the action is a scatter, and its end comes back as an event (A53, TC14). */
import { describe, expect, it } from 'vitest'
import { type Body, call, freshName, leaseOne, pullAgent, type Registered } from './gateway.ts'

const read = async (id: string): Promise<Body> => (await call('GET', `/v1/workflows/${id}`)).body

async function ack(agent: Registered, { id, token }: Body, result: unknown) {
  await call('POST', `/v1/deliveries/${id}/ack`, { key: agent.key, json: { token, result } })
}

async function create(scatter: object, more: object = {}): Promise<string> {
  const definition = {
    initial: 'mapping',
    states: {
      mapping: {
        entry: { type: 'scatter', params: scatter },
        on: {
          'sum.gathered': {
            target: 'done',
            actions: { type: 'update', params: { patch: { total: { $from: 'event.data.result' } } } },
          },
          agent_error: 'failed',
          effect_refused: 'refused',
        },
        ...more,
      },
      done: { type: 'final', output: { $from: 'state.total' } },
      failed: { type: 'final' },
      refused: { type: 'final' },
    },
  }
  const json = { id: freshName('w'), definition, state: { numbers: [1, 2, 3] } }
  const { status, body } = await call('POST', '/v1/workflows', { json })
  expect(status).toBe(201)
  return body.id
}

describe('a statechart’s scatter', () => {
  it('(A53) (TC14) is carried as one, and its reduced result comes back as an event', async () => {
    const [a, b, adder] = await Promise.all([pullAgent(), pullAgent(), pullAgent()])
    const reduce = { to: adder!.name, type: 'add' }
    const items = { $from: 'state.numbers' }
    const id = await create({ to: [a!.name, b!.name], type: 'sum', items, reduce })
    for (const mapper of [a!, b!]) {
      const asked = await leaseOne(mapper, { waitSeconds: 10 })
      expect(asked.message).toMatchObject({ source: `workflow/${id}`, workflowid: id, correlationid: id })
      await ack(mapper, asked, asked.message.data.items.length)
    }
    const asked = await leaseOne(adder!, { waitSeconds: 10 })
    expect(asked.message).toMatchObject({ workflowid: id })
    await ack(adder!, asked, 3)
    await expect.poll(() => read(id), { timeout: 10_000 }).toMatchObject({ status: 'completed', state: { total: 3 } })
  })

  it('(A56) (TC14) that came to nothing comes back as `agent_error`, and its state’s policy may try again', async () => {
    const a = await pullAgent()
    const id = await create(
      { to: [a.name], type: 'sum', items: [1] },
      { meta: { switchboard: { retry: { times: 1 } } } },
    )
    const seen = new Set<string>()
    for (let tries = 0; tries < 2; tries++) {
      const { id: delivery, token, message } = await leaseOne(a, { waitSeconds: 10 })
      seen.add(message.id)
      const json = { token, terminal: true, reason: 'no' }
      await call('POST', `/v1/deliveries/${delivery}/nack`, { key: a.key, json })
    }
    expect(seen.size).toBe(2)
    await expect.poll(() => read(id), { timeout: 10_000 }).toMatchObject({ status: 'completed', value: 'failed' })
  })

  it('(T8) without items is refused, and the workflow hears it', async () => {
    const a = await pullAgent()
    const id = await create({ to: [a.name], type: 'sum', items: [] })
    await expect.poll(() => read(id), { timeout: 10_000 }).toMatchObject({ status: 'completed', value: 'refused' })
  })
})
