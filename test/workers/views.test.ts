/** Views over HTTP, in real workerd: an agent is handed what it asked for, and reads the rest on demand (A40, TC8). */
import { describe, expect, it } from 'vitest'
import { type Body, call, freshName, leaseOne, pullAgent, type Registered, receipt, sendId } from './gateway.ts'

const report = {
  title: 'Tea',
  findings: [
    { quote: 'hot', page: 1 },
    { quote: 'wet', page: 2 },
  ],
  raw: 'x'.repeat(5_000),
}

async function subscribed(view: object): Promise<Registered & { topic: string; subscription: string }> {
  const agent = await pullAgent()
  const [topic, subscription] = [freshName('topic'), freshName('sub')]
  const json = { agent: agent.name, topic, ...view }
  const { status, body } = await call('PUT', `/v1/subscriptions/${subscription}`, { key: agent.key, json })
  expect([status, body]).toMatchObject([201, view])
  return { ...agent, topic, subscription }
}

async function published(topic: string, data: unknown): Promise<string> {
  const { body } = await call('POST', '/v1/messages', { json: { topic, type: 'report.done', data } })
  return body.deliveries[0].id
}

describe('a subscription with a view', () => {
  it('hands over the parts that it selects, and the receipt tells what that spared (A40, TC8)', async () => {
    const agent = await subscribed({ select: ['title', 'findings.*.quote'] })
    const id = await published(agent.topic, report)
    const { message } = await leaseOne(agent)
    expect(message.data).toEqual({ title: 'Tea', findings: [{ quote: 'hot' }, { quote: 'wet' }] })
    const { view } = await receipt(id)
    const bytes = (value: unknown) => JSON.stringify(value).length
    expect(view).toEqual({
      select: ['title', 'findings.*.quote'],
      dataBytes: bytes(report),
      handedBytes: bytes(message.data),
      truncated: false,
    })
  })

  it('marks what exceeds its cap, with its size; nothing is cut without a word (A40, TC8)', async () => {
    const agent = await subscribed({ select: ['title', 'raw'], maxBytes: 100 })
    const id = await published(agent.topic, report)
    expect((await leaseOne(agent)).message.data).toEqual({ title: 'Tea', raw: { $truncated: { bytes: 5_002 } } })
    expect((await receipt(id)).view).toMatchObject({ truncated: true, maxBytes: 100 })
  })

  it('leaves the message as it is for everybody else, and in its attributes', async () => {
    const agent = await subscribed({ select: ['title'] })
    const other = await pullAgent()
    await call('PUT', `/v1/subscriptions/${freshName('sub')}`, { json: { agent: other.name, topic: agent.topic } })
    await published(agent.topic, report)
    const [narrow, whole] = [await leaseOne(agent), await leaseOne(other)]
    expect(whole.message.data).toEqual(report)
    const attributes = ({ data: _data, ...rest }: Body) => rest
    expect(attributes(narrow.message)).toEqual(attributes(whole.message))
    expect((await receipt(whole.id)).view).toBeUndefined()
  })

  it('of which nothing is there hands over an empty object; bytes go as they are', async () => {
    const agent = await subscribed({ select: ['elsewhere'] })
    await published(agent.topic, report)
    expect((await leaseOne(agent)).message.data).toEqual({})
    await call('POST', '/v1/messages', { json: { topic: agent.topic, type: 'x', data_base64: 'aGVsbG8=' } })
    expect((await leaseOne(agent)).message).toMatchObject({ data_base64: 'aGVsbG8=' })
  })

  it('that is changed is another version; put again as it is, it stays', async () => {
    const agent = await subscribed({ select: ['title'] })
    const put = (json: object) =>
      call('PUT', `/v1/subscriptions/${agent.subscription}`, {
        json: { agent: agent.name, topic: agent.topic, ...json },
      })
    const same = await put({ select: ['title'] })
    const other = await put({ select: ['raw'] })
    expect(other.body.version).toBeGreaterThan(same.body.version)
    expect((await put({})).body.select).toBeUndefined()
    await published(agent.topic, report)
    expect((await leaseOne(agent)).message.data).toEqual(report)
  })

  it('that selects nothing, or too much, is refused', async () => {
    const { name, key } = await pullAgent()
    for (const view of [
      { select: [] },
      { select: ['a..b'] },
      { select: Array(33).fill('a') },
      { select: Array(20).fill('a'.repeat(200)) },
      { maxBytes: 0 },
    ]) {
      const json = { agent: name, topic: 'x', ...view }
      expect((await call('PUT', `/v1/subscriptions/${freshName('s')}`, { key, json })).status).toBe(400)
    }
  })
})

describe('a message with a view', () => {
  it('hands over the parts that it names, within its cap, and the receipt tells what that spared (A40, TC8)', async () => {
    const agent = await pullAgent()
    const id = await sendId(agent.name, { data: report, select: ['title', 'raw'], maxbytes: 100 })
    expect((await leaseOne(agent)).message.data).toEqual({ title: 'Tea', raw: { $truncated: { bytes: 5_002 } } })
    const { view } = await receipt(id)
    expect(view).toMatchObject({ select: ['title', 'raw'], maxBytes: 100, truncated: true })
    expect(view.handedBytes).toBeLessThan(view.dataBytes - 4_900)
    const whole = await call('GET', `/v1/deliveries/${id}/data`, { key: agent.key })
    expect(whole.body.data).toEqual(report)
  })

  it('that an agent sets off hands over no more (A40)', async () => {
    const [maker, reader] = [await pullAgent(), await pullAgent()]
    const id = await sendId(maker.name)
    const { token } = await leaseOne(maker)
    const message = { to: reader.name, type: 'report.done', data: report, select: ['title'] }
    const json = { token, effects: { messages: [message] } }
    expect((await call('POST', `/v1/deliveries/${id}/ack`, { key: maker.key, json })).status).toBe(200)
    const handed = await leaseOne(reader)
    expect(handed.message.data).toEqual({ title: 'Tea' })
    expect((await receipt(handed.id)).view).toMatchObject({ select: ['title'] })
  })

  it('is the same message as a structured event, where lists are one text (A40)', async () => {
    const agent = await pullAgent()
    const event = { specversion: '1.0', id: 'e', source: 'admin', type: 'report.done', to: agent.name, data: report }
    const body = JSON.stringify({ ...event, select: 'title, findings.*.page', maxbytes: '100' })
    const sent = await call('POST', '/v1/messages', {
      body,
      headers: { 'content-type': 'application/cloudevents+json' },
    })
    expect(sent.status).toBe(202)
    expect((await leaseOne(agent)).message.data).toEqual({ title: 'Tea', findings: [{ page: 1 }, { page: 2 }] })
  })

  it('is refused where no agent is handed it, or nothing is kept of it', async () => {
    const { name } = await pullAgent()
    const send = (json: object) => call('POST', '/v1/messages', { json: { type: 'x', data: report, ...json } })
    const fleeting = await send({ to: name, deliverymode: 'at_most_once', select: ['title'] })
    expect([fleeting.status, fleeting.body]).toMatchObject([422, { code: 'not_durable', attribute: 'select' }])
    const told = await send({ to: 'workflow:w-1', maxbytes: 10 })
    expect([told.status, told.body.issues?.map((i: { path: string }) => i.path)]).toEqual([400, ['maxbytes']])
  })
})

describe('the rest', () => {
  it('is read on demand by the agent while its delivery is live, in parts or whole (TC8)', async () => {
    const agent = await subscribed({ select: ['title'] })
    const id = await published(agent.topic, report)
    const read = (query = '', key = agent.key) => call('GET', `/v1/deliveries/${id}/data${query}`, { key })
    expect((await read('?fields=findings.*.page,title')).body).toEqual({
      ...{ id, truncated: false },
      data: { title: 'Tea', findings: [{ page: 1 }, { page: 2 }] },
    })
    expect((await read()).body.data).toEqual(report)
    expect((await read('?maxBytes=50')).body).toMatchObject({
      truncated: true,
      data: { $truncated: { bytes: expect.any(Number) } },
    })
    const { token } = await leaseOne(agent)
    await call('POST', `/v1/deliveries/${id}/ack`, { key: agent.key, json: { token } })
    expect((await read()).status).toBe(404)
  })

  it('is for its agent and an admin: the sender has it, and nobody else may (S2)', async () => {
    const [sender, agent] = [await pullAgent(), await pullAgent()]
    const id = await sendId(agent.name, { data: report }, { key: sender.key })
    const read = (key: string) => call('GET', `/v1/deliveries/${id}/data`, { key })
    expect((await read(sender.key)).status).toBe(403)
    expect((await read(agent.key)).body.data).toEqual(report)
    expect((await call('GET', '/v1/deliveries/nobody_aaaaaaaaaaaaaaaaaaaaaaaaaa/data')).status).toBe(404)
    expect((await call('GET', '/v1/deliveries/x/data')).status).toBe(404)
  })
})
