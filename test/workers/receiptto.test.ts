/** `receiptto` over HTTP, in real workerd: who is told of an end, and who may be named; and what is announced to operators. */
import { describe, expect, it } from 'vitest'
import { call, freshName, leaseOne, pullAgent, receipt, send, sendId } from './gateway.ts'

const waiting = { waitSeconds: 4 }

describe('receiptto', () => {
  it('tells the agent that it names how the delivery ended, without the result (TC2)', async () => {
    const [worker, sender] = [await pullAgent(), await pullAgent()]
    const id = await sendId(worker.name, { receiptto: sender.name }, { key: sender.key })
    const { token } = await leaseOne(worker)
    await call('POST', `/v1/deliveries/${id}/ack`, { key: worker.key, json: { token, result: { secret: 1 } } })
    const { message } = await leaseOne(sender, waiting)
    expect([message.type, message.source, message.data]).toEqual([
      'switchboard.delivery.ended',
      'switchboard',
      { delivery: id, agent: worker.name, status: 'completed' },
    ])
    expect((await receipt(id)).effects.map((e: { kind: string }) => e.kind)).toEqual(['notice'])
  })

  it('tells of what was cancelled, by each leg of a publish to many (TC2)', async () => {
    const [ann, bob, sender] = [await pullAgent(), await pullAgent(), await pullAgent()]
    const topic = freshName('news')
    for (const agent of [ann, bob])
      await call('PUT', `/v1/subscriptions/${freshName('on')}`, { json: { agent: agent.name, topic } })
    const json = { topic, type: 'x', receiptto: sender.name }
    const { body } = await call('POST', '/v1/messages', { json })
    for (const { id } of body.deliveries) await call('DELETE', `/v1/deliveries/${id}`)
    const ends = [await leaseOne(sender, waiting), await leaseOne(sender, waiting)].map((d) => d.message.data)
    expect(ends.map((end) => [end.agent, end.status]).sort()).toEqual(
      [ann.name, bob.name].sort().map((name) => [name, 'cancelled']),
    )
  })

  it('names only whom its sender may send or publish to, and no reserved topic (S1)', async () => {
    const [worker, other] = [await pullAgent(), await pullAgent()]
    const narrow = await pullAgent({}, { permissions: { send: [worker.name], publish: ['mine.*'] } })
    const asked = (receiptto: string) => send(worker.name, { receiptto }, { key: narrow.key })
    for (const refused of [other.name, 'topic:theirs', `topic:switchboard.agent.${worker.name}`]) {
      const { status, body } = await asked(refused)
      expect([status, body.code]).toEqual([403, 'forbidden'])
    }
    for (const allowed of [worker.name, 'topic:mine.ends']) expect((await asked(allowed)).status).toBe(202)
    expect((await asked('capability:reading')).body.code).toBe('invalid_request')
  })

  it('is refused under at_most_once, which keeps nothing that could end', async () => {
    const worker = await pullAgent()
    const { status, body } = await send(worker.name, { receiptto: worker.name, deliverymode: 'at_most_once' })
    expect([status, body.code, body.attribute]).toEqual([422, 'not_durable', 'receiptto'])
  })
})

describe('an operator that subscribes to an agent’s topic', () => {
  it('hears that it was paused, and of mail that is overdue (A111, TC2)', async () => {
    const [agent, operator] = [await pullAgent({ alert: { rung: 'claimed', afterSeconds: 1 } }), await pullAgent()]
    const json = { agent: operator.name, topic: `switchboard.agent.${agent.name}` }
    await call('PUT', `/v1/subscriptions/${freshName('on')}`, { json })
    const id = await sendId(agent.name, { data: { secret: 1 } })
    const { message: late } = await leaseOne(operator, waiting)
    expect(late).toMatchObject({
      type: 'switchboard.delivery.overdue',
      subject: agent.name,
      delivery: id,
      rung: 'claimed',
    })
    expect(late).not.toHaveProperty('data')
    await call('POST', `/v1/agents/${agent.name}/pause`, { json: { reason: 'a look' } })
    const { message: paused } = await leaseOne(operator, waiting)
    expect([paused.type, paused.subject, paused.source]).toEqual([
      'switchboard.agent.paused',
      agent.name,
      'switchboard',
    ])
  })
})
