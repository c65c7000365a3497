/**
 * Chains of responsibility over HTTP in real workerd: who is asked, who is passed over unasked, who answers, and what is said when
 * nobody takes it (A59 to A62, T9).
 */
import { describe, expect, it } from 'vitest'
import { type Body, call, leaseOne, pullAgent, type Registered, receipt, send } from './gateway.ts'

async function chain(handlers: readonly Registered[], json: object = {}, headers: Record<string, string> = {}) {
  return call('POST', '/v1/chains', {
    json: { handlers: handlers.map((h) => h.name), type: 'ticket.opened', data: { n: 1 }, ...json },
    headers,
  })
}

async function ack(agent: Registered, { id, token }: Body, more: object) {
  expect((await call('POST', `/v1/deliveries/${id}/ack`, { key: agent.key, json: { token, ...more } })).status).toBe(
    200,
  )
}

const pass = (agent: Registered, delivery: Body) => ack(agent, delivery, { effects: { pass: true } })
const next = (agent: Registered) => leaseOne(agent, { waitSeconds: 10 })
const mail = async ({ name }: Registered) => (await call('GET', `/v1/agents/${name}/deliveries`)).body.items

describe('a chain', () => {
  it('(A59) (T9) goes on whole, type and data and conversation, to the next of who passes, and ends with who takes it', async () => {
    const [a, b, c] = await Promise.all([pullAgent(), pullAgent(), pullAgent()])
    const { status, body, headers } = await chain([a!, b!, c!], { subject: 'printer', correlationid: 'conversation' })
    expect(status).toBe(202)
    expect(headers.get('Location')).toBe(`/v1/deliveries/${body.deliveries[0].id}`)
    const first = await next(a!)
    await pass(a!, first)
    const second = await next(b!)
    const { to: _to, chain: rest, traceparent: _trace, ...same } = second.message
    const { to: _first, chain: _rest, traceparent: _other, ...sent } = first.message
    expect(same).toEqual(sent)
    expect(rest).toEqual([c!.name])
    await ack(b!, second, { result: 'mine' })
    expect((await receipt(second.id)).status).toBe('completed')
    expect(await mail(c!)).toEqual([])
    const told = await receipt(first.id)
    expect(told).toMatchObject({ status: 'completed', effects: [{ kind: 'pass', state: { deliveries: [second.id] } }] })
    expect((await receipt(second.id)).tried).toEqual([{ agent: a!.name, why: 'passed' }])
  })

  it('(A60) passes over, without a call, whoever declares other types; who declares none is asked', async () => {
    const [other, kin, open] = await Promise.all([
      pullAgent({}, { accepts: ['invoice.sent'] }),
      pullAgent({}, { accepts: ['ticket.*'] }),
      pullAgent(),
    ])
    const { body } = await chain([other!, kin!, open!])
    const asked = await next(kin!)
    expect((await receipt(asked.id)).tried).toEqual([{ agent: other!.name, why: 'type' }])
    expect(await receipt(body.deliveries[0].id)).toMatchObject({ status: 'completed', attempt: 0, attempts: [] })
    await pass(kin!, asked)
    expect((await next(open!)).message.data).toEqual({ n: 1 })
  })

  it('(A61) (T9) that names somebody twice is refused, the first included', async () => {
    const [a, b] = await Promise.all([pullAgent(), pullAgent()])
    for (const handlers of [
      [a!, b!, a!],
      [a!, b!, b!],
    ])
      expect((await chain(handlers)).body.issues.map((i: Body) => i.path)).toContain('chain')
    expect(await mail(a!)).toEqual([])
  })

  it('(A61) an agent whose breaker is open has the message wait for it, or is passed over if the message says so', async () => {
    const webhook = { kind: 'webhook', url: 'https://down.example/inbox' }
    const down = { name: (await pullAgent()).name.replace('agent', 'down'), key: '' }
    await call('PUT', `/v1/agents/${down.name}`, { json: webhook })
    await call('PUT', `/v1/agents/${down.name}/breaker`, { json: { force: 'open' } })
    const up = await pullAgent()
    const parked = await chain([down, up], { id: down.name })
    expect(parked.body.deliveries[0].status).toBe('parked')
    const skipped = await chain([down, up], { chainopen: 'skip' })
    expect(skipped.body.deliveries[0].status).toBe('completed')
    expect((await receipt((await next(up)).id)).tried).toEqual([{ agent: down.name, why: 'breaker' }])
  })

  it('(A62) that nobody takes is a dead letter `no_handler`, with who was asked', async () => {
    const [a, b] = await Promise.all([pullAgent(), pullAgent()])
    await chain([a!, b!])
    await pass(a!, await next(a!))
    const last = await next(b!)
    await pass(b!, last)
    const { status, deadLetter } = await receipt(last.id)
    expect([status, deadLetter.reason]).toEqual(['dead_lettered', 'no_handler'])
    await expect
      .poll(async () => (await call('GET', `/v1/dead-letters?agent=${b!.name}`)).body.items)
      .toMatchObject([
        { reason: 'no_handler', error: { message: `nobody took it: ${a!.name} passed, ${b!.name} passed` } },
      ])
  })

  it('(A62) that nobody takes is replied `no_handler` to an agent that wants a reply', async () => {
    const [a, asker] = await Promise.all([pullAgent(), pullAgent()])
    await chain([a!], { replyto: asker!.name })
    await pass(a!, await next(a!))
    const told = await next(asker!)
    expect(told.message).toMatchObject({
      type: 'ticket.opened.reply',
      data: { error: 'no_handler', tried: [{ agent: a!.name, why: 'passed' }] },
    })
    expect((await call('GET', `/v1/dead-letters?agent=${a!.name}`)).body.items).toEqual([])
  })

  it('(A59) (A62) with a caller who waits is a request: 200 with the reply of who took it, 502 at once when nobody did', async () => {
    const [a, b] = await Promise.all([pullAgent(), pullAgent()])
    const taken = chain([a!, b!], {}, { Prefer: 'wait=20' })
    await pass(a!, await next(a!))
    await ack(b!, await next(b!), { result: { by: 'b' } })
    expect((await taken).body).toMatchObject({ status: 'replied', reply: { source: b!.name, data: { by: 'b' } } })
    expect((await taken).status).toBe(200)
    const nobody = chain([a!, b!], {}, { Prefer: 'wait=20' })
    await pass(a!, await next(a!))
    await pass(b!, await next(b!))
    const { status, body } = await nobody
    expect([status, body.code, body.reason]).toEqual([502, 'request_failed', 'no_handler'])
    expect(body.tried.map((one: Body) => one.agent)).toEqual([a!.name, b!.name])
  })

  it('whom it names, its sender may send to; what was registered and is not any more is passed over', async () => {
    const [a, b, gone] = await Promise.all([pullAgent(), pullAgent(), pullAgent()])
    const { key } = await pullAgent({}, { permissions: { send: [a!.name] } })
    const json = { to: a!.name, chain: [b!.name], type: 'x' }
    expect((await call('POST', '/v1/messages', { key, json })).body.code).toBe('forbidden')
    await call('DELETE', `/v1/agents/${gone!.name}`)
    await send(a!.name, { chain: [gone!.name, b!.name] })
    await pass(a!, await next(a!))
    expect((await receipt((await next(b!)).id)).tried).toMatchObject([
      { why: 'passed' },
      { agent: gone!.name, why: 'unknown' },
    ])
    const nobody = await send(a!.name, { chain: [gone!.name] })
    const asked = await next(a!)
    await pass(a!, asked)
    await expect
      .poll(async () => (await receipt(nobody.body.deliveries[0].id)).effects[0].state)
      .toMatchObject({ status: 'refused', reason: 'no_handler' })
    const fleeting = await send(a!.name, { chain: [b!.name], deliverymode: 'at_most_once' })
    expect([fleeting.status, fleeting.body.attribute]).toEqual([422, 'chain'])
  })

  it('(A59) in CloudEvents on the wire is a string of names, joined by commas', async () => {
    const [a, b, c] = await Promise.all([pullAgent(), pullAgent(), pullAgent()])
    const headers = {
      ...{ 'Content-Type': 'application/json', 'ce-specversion': '1.0', 'ce-id': 'e', 'ce-type': 'x' },
      ...{ 'ce-source': 'admin', 'ce-to': a!.name, 'ce-chain': `${b!.name},${c!.name}` },
    }
    expect((await call('POST', '/v1/messages', { body: '1', headers })).status).toBe(202)
    await pass(a!, await next(a!))
    expect((await next(b!)).message.chain).toEqual([c!.name])
  })
})
