/** Publishing over HTTP: one message and batches, duplicates, room, time, sizes, and every way to get it wrong. */
import { describe, expect, it } from 'vitest'
import { limits } from '../../shared/limits.ts'
import { Unavailable } from '../../workers/platform.ts'
import { call, freshName, leaseOne, pullAgent, type Registered, receipt, send, sendId } from './gateway.ts'
import { ownSwitchboard } from './switchboard.ts'

const nobody = () => freshName('nobody')
const json = { 'Content-Type': 'application/json' }
const tooDeep: unknown = JSON.parse(`${'['.repeat(limits.jsonDepth + 1)}${']'.repeat(limits.jsonDepth + 1)}`)

async function depthOf({ name }: Registered): Promise<number> {
  return (await call('GET', `/v1/agents/${name}/mailbox`)).body.depth
}

const hourFrom = (hours: number) => new Date(Date.now() + hours * 3_600_000).toISOString()

describe('a publish', () => {
  it('answers 202 only after the message can be read back (A9)', async () => {
    const agent = await pullAgent()
    const { status, body, headers } = await send(agent.name, { data: { n: 1 }, subject: 'x' })
    expect(status).toBe(202)
    const [delivery] = body.deliveries
    expect(headers.get('Location')).toBe(`/v1/deliveries/${delivery.id}`)
    expect(await receipt(delivery.id)).toMatchObject({
      agent: agent.name,
      status: 'held',
      message: { id: body.id, source: 'admin', type: 'test.note', subject: 'x' },
    })
    expect(body).toMatchObject({ duplicate: false, deliveries: [{ agent: agent.name, status: 'held' }] })
  })

  it('stamps the source from the key that signed the call, so that nobody speaks for another (S1, A2)', async () => {
    const [agent, other] = [await pullAgent(), await pullAgent()]
    const own = await sendId(agent.name, {}, { key: other.key })
    expect((await receipt(own)).message.source).toBe(other.name)
    const { status, body } = await send(agent.name, { source: agent.name }, { key: other.key })
    expect([status, body.code]).toEqual([403, 'foreign_source'])
  })

  it('is refused for a destination outside the key’s permissions, and nothing is stored', async () => {
    const target = await pullAgent()
    const sender = await pullAgent({}, { permissions: { send: ['only-this'] } })
    expect((await send(target.name, {}, { key: sender.key })).body.code).toBe('forbidden')
    expect((await send('only-this', { replyto: target.name }, { key: sender.key })).body.code).toBe('forbidden')
    expect(await depthOf(target)).toBe(0)
  })

  it('to an unknown agent is 404 and reaches nobody (T1, A82)', async () => {
    const bystander = await pullAgent()
    const name = nobody()
    const { status, body } = await send(name)
    expect([status, body.code, body.agent]).toEqual([404, 'agent_not_found', name])
    expect(await depthOf(bystander)).toBe(0)
  })

  it('with neither `to` nor `topic`, or with both, is refused: absent never means everybody (T1, A3)', async () => {
    const agent = await pullAgent()
    for (const json of [{ type: 'x' }, { type: 'x', to: agent.name, topic: 'news' }]) {
      const { status, body } = await call('POST', '/v1/messages', { json })
      expect([status, body.code, body.issues[0].path]).toEqual([400, 'invalid_request', 'to'])
    }
    expect(await depthOf(agent)).toBe(0)
  })

  it('that asks for more attempts than its agent’s policy allows does not get them, and its receipt says so (A96)', async () => {
    const agent = await pullAgent({ maxAttempts: 3 })
    const [less, more] = [await sendId(agent.name, { maxattempts: 1 }), await sendId(agent.name, { maxattempts: 9 })]
    expect(await receipt(less)).toMatchObject({ maxAttempts: 1, message: { maxattempts: 1 } })
    expect(await receipt(more)).toMatchObject({
      maxAttempts: 3,
      unheeded: [{ attribute: 'maxattempts', asked: 9, inForce: 3 }],
    })
    const lease = await leaseOne(agent)
    await call('POST', `/v1/deliveries/${lease.id}/nack`, { key: agent.key, json: { token: lease.token } })
    expect([lease.id, lease.maxAttempts, (await receipt(less)).status]).toEqual([less, 1, 'dead_lettered'])
  })

  it('under at_most_once says that nothing is durable, and is refused to a pull agent, for which nothing would keep it', async () => {
    const [called, asking] = [freshName(), await pullAgent()]
    await call('PUT', `/v1/agents/${called}`, { json: { kind: 'webhook', url: 'http://127.0.0.1:9/hook' } })
    expect((await send(called, { deliverymode: 'at_most_once' })).body.durable).toBe(false)
    const { status, body } = await send(asking.name, { deliverymode: 'at_most_once' })
    expect([status, body.code, body.attribute, body.agent]).toEqual([422, 'not_durable', 'to', asking.name])
    expect(body.detail).toContain('is a pull agent')
  })
})

describe('a duplicate', () => {
  it('is answered with the first one’s delivery, by Idempotency-Key (A91)', async () => {
    const agent = await pullAgent()
    const sent = { headers: { 'Idempotency-Key': 'order-17' } }
    const first = await send(agent.name, { data: 1 }, sent)
    const second = await send(agent.name, { data: 1 }, sent)
    expect(first.body.duplicate).toBe(false)
    expect(second.status).toBe(202)
    expect(second.body).toEqual({ ...first.body, duplicate: true })
    expect(await depthOf(agent)).toBe(1)
  })

  it('is recognised by the message’s own id too, and a later time is no other content', async () => {
    const agent = await pullAgent()
    const first = await send(agent.name, { id: 'a', time: hourFrom(-1) })
    const second = await send(agent.name, { id: 'a', time: hourFrom(0) })
    expect(second.body).toEqual({ ...first.body, duplicate: true })
  })

  it('with other content is 422: a key names one message (A91)', async () => {
    const agent = await pullAgent()
    const sent = { headers: { 'Idempotency-Key': 'order-17' } }
    const id = await sendId(agent.name, { data: 1 }, sent)
    const { status, body } = await send(agent.name, { data: 2 }, sent)
    expect([status, body.code, body.key, body.delivery]).toEqual([422, 'key_reused', 'order-17', id])
  })

  it('is none when another source uses the same key (A91)', async () => {
    const [agent, a, b] = [await pullAgent(), await pullAgent(), await pullAgent()]
    const headers = { 'Idempotency-Key': 'same' }
    const first = await sendId(agent.name, {}, { key: a.key, headers })
    expect(await sendId(agent.name, {}, { key: b.key, headers })).not.toBe(first)
  })

  it('tells where the first one stands now', async () => {
    const agent = await pullAgent()
    const id = await sendId(agent.name, { id: 'a' })
    const { token } = await leaseOne(agent)
    await call('POST', `/v1/deliveries/${id}/ack`, { key: agent.key, json: { token } })
    expect((await send(agent.name, { id: 'a' })).body).toMatchObject({
      duplicate: true,
      deliveries: [{ id, status: 'completed' }],
    })
  })
})

describe('room', () => {
  it('a mailbox of depth 10 admits 9 from publishers, and the tenth is told to wait (T3, A15, A16)', async () => {
    const agent = await pullAgent({ depth: 10 })
    for (let i = 0; i < 9; i++) expect((await send(agent.name)).status).toBe(202)
    const { status, body, headers } = await send(agent.name)
    expect([status, body.code, body.depth, body.max, body.retryable]).toEqual([429, 'backpressure', 9, 9, true])
    expect(Number(headers.get('Retry-After'))).toBeGreaterThan(0)
    expect(await depthOf(agent)).toBe(9)
  })

  it('publishes at once never exceed it: 30 together into room for 9 (T3, A15)', async () => {
    const agent = await pullAgent({ depth: 10 })
    const answers = await Promise.all(Array.from({ length: 30 }, () => send(agent.name)))
    expect(answers.filter((a) => a.status === 202)).toHaveLength(9)
    expect(answers.filter((a) => a.status === 429)).toHaveLength(21)
    expect(await depthOf(agent)).toBe(9)
  })

  it('the reserved tenth takes what the broker itself must place: an effect is carried where a publish is refused', async () => {
    const [full, worker] = [await pullAgent({ depth: 10 }), await pullAgent()]
    for (let i = 0; i < 9; i++) await send(full.name)
    const id = await sendId(worker.name)
    const { token } = await leaseOne(worker)
    const effects = { messages: [{ to: full.name, type: 'next' }] }
    await call('POST', `/v1/deliveries/${id}/ack`, { key: worker.key, json: { token, effects } })
    await expect.poll(() => depthOf(full)).toBe(10)
    expect((await send(full.name)).status).toBe(429)
  })

  it('is given back by what ends', async () => {
    const agent = await pullAgent({ depth: 1 })
    const id = await sendId(agent.name)
    expect((await send(agent.name)).status).toBe(429)
    await call('DELETE', `/v1/deliveries/${id}`)
    expect((await send(agent.name)).status).toBe(202)
  })
})

describe('time', () => {
  it('a message with a delivertime is held until then (TB1)', async () => {
    const agent = await pullAgent()
    const delivertime = hourFrom(1)
    const id = await sendId(agent.name, { delivertime })
    expect(await leaseOne(agent)).toBeUndefined()
    const { status, because, nextAttemptAt } = await receipt(id)
    expect([status, because, nextAttemptAt]).toEqual(['held', `due at ${delivertime}`, delivertime])
  })

  it('a message whose expirytime passes before it is taken ends as expired, and is a dead letter (TB4)', async () => {
    const agent = await pullAgent()
    const id = await sendId(agent.name, { expirytime: new Date(Date.now() + 60).toISOString() })
    await expect.poll(async () => (await receipt(id)).status, { timeout: 3_000 }).toBe('expired')
    expect((await receipt(id)).deadLetter).toEqual({ id, reason: 'expired' })
  })

  it('a message that could never be delivered is refused at once', async () => {
    const agent = await pullAgent()
    for (const times of [{ expirytime: hourFrom(-1) }, { delivertime: hourFrom(2), expirytime: hourFrom(1) }]) {
      const { status, body } = await send(agent.name, times)
      expect([status, body.code]).toEqual([422, 'already_expired'])
    }
  })
})

describe('sizes', () => {
  // What the broker adds has the same length each time, so the room for data is what is left of one that was stored.
  async function roomFor(name: string): Promise<number> {
    const agent = await pullAgent({ depth: 10_000 })
    expect(agent.name).toHaveLength(name.length)
    await send(agent.name, { data: '', id: 'x', time: hourFrom(0) })
    const { message } = await leaseOne(agent)
    return limits.messageBytes - JSON.stringify(message).length
  }

  it('a message of exactly 1 MiB as stored is accepted and comes out whole; one byte more is 413 (A4)', async () => {
    const agent = await pullAgent()
    const bytes = await roomFor(agent.name)
    const exact = { id: 'x', time: hourFrom(0), data: 'a'.repeat(bytes) }
    const over = await send(agent.name, { ...exact, data: `${exact.data}a` })
    expect([over.status, over.body.code, over.body.gotBytes]).toEqual([413, 'too_large', limits.messageBytes + 1])
    expect((await send(agent.name, exact)).status).toBe(202)
    expect((await leaseOne(agent)).message.data).toBe(exact.data)
  })

  it('counts bytes, not characters: half as many of two bytes each fill it', async () => {
    const agent = await pullAgent()
    const bytes = await roomFor(agent.name)
    const data = 'é'.repeat(Math.floor(bytes / 2))
    expect((await send(agent.name, { id: 'x', time: hourFrom(0), data: `${data}é` })).status).toBe(413)
    expect((await send(agent.name, { id: 'x', time: hourFrom(0), data })).status).toBe(202)
  })

  it('a body too long for the wire is refused while it is read, announced or not', async () => {
    const agent = await pullAgent()
    const long = JSON.stringify({ to: agent.name, type: 'x', data: 'a'.repeat(limits.messageBytes + 65_536) })
    const stream = new Response(long).body ?? ''
    for (const body of [long, stream]) {
      const { status, body: problem } = await call('POST', '/v1/messages', { body })
      expect([status, problem.code]).toEqual([413, 'too_large'])
    }
    expect(await depthOf(agent)).toBe(0)
  })
})

describe('bad input is refused with its code (A121)', () => {
  const cases: readonly [string, number, string, object][] = [
    ['no JSON', 400, 'invalid_json', { body: '{"to": ', headers: json }],
    ['no body', 400, 'invalid_json', {}],
    ['not UTF-8', 400, 'invalid_json', { body: new Uint8Array([0x22, 0xff, 0x22]) }],
    ['not an object', 400, 'invalid_request', { json: 'hello' }],
    ['no type', 400, 'invalid_request', { json: { to: 'a' } }],
    ['an attribute that cannot be', 400, 'invalid_request', { json: { to: 'a', type: 'x', 'my-field': 1 } }],
    ['an object as attribute', 400, 'invalid_request', { json: { to: 'a', type: 'x', extra: {} } }],
    ['a time that is none', 400, 'invalid_request', { json: { to: 'a', type: 'x', delivertime: 'tomorrow' } }],
    ['a priority of 10', 400, 'invalid_request', { json: { to: 'a', type: 'x', priority: 10 } }],
    ['a name that no agent can have', 400, 'invalid_request', { json: { to: 'A b', type: 'x' } }],
    ['nesting too deep', 400, 'too_deep', { json: { to: 'a', type: 'x', data: tooDeep } }],
    ['an unknown media type', 415, 'unsupported_media_type', { body: 'x', headers: { 'Content-Type': 'text/xml' } }],
    [
      'another CloudEvents format',
      415,
      'unsupported_media_type',
      { body: 'x', headers: { 'Content-Type': 'application/cloudevents+avro' } },
    ],
    ['an empty key', 400, 'invalid_request', { json: { to: 'a', type: 'x' }, headers: { 'Idempotency-Key': '' } }],
    [
      'a key too long',
      400,
      'invalid_request',
      { json: { to: 'a', type: 'x' }, headers: { 'Idempotency-Key': 'k'.repeat(256) } },
    ],
    ['exactly_once without a key', 422, 'key_required', { json: { to: 'a', type: 'x', deliverymode: 'exactly_once' } }],
    [
      'order that nothing keeps',
      422,
      'not_durable',
      { json: { to: 'a', type: 'x', deliverymode: 'at_most_once', partitionkey: 'k' } },
    ],
    ['nobody to reach', 404, 'unroutable', { json: { topic: 'not.one', type: 'x', onunroutable: 'reject' } }],
    [
      'many that nothing is kept for',
      422,
      'not_durable',
      { json: { to: '*', type: 'x', deliverymode: 'at_most_once' } },
    ],
    ['no key', 401, 'unauthenticated', { key: null, json: { to: 'a', type: 'x' } }],
    ['a key that is not known', 401, 'unauthenticated', { key: 'sk_x', json: { to: 'a', type: 'x' } }],
  ]
  for (const [what, status, code, sent] of cases)
    it(`${what}: ${status} ${code}`, async () => {
      const answered = await call('POST', '/v1/messages', sent)
      expect([answered.status, answered.body.code]).toEqual([status, code])
      expect(answered.headers.get('Content-Type')).toBe('application/problem+json')
      expect(answered.body.instance).toBe('/v1/messages')
    })
})

describe('a batch', () => {
  const batch = (json: unknown, headers = {}) => call('POST', '/v1/messages/batch', { json, headers })

  it('of 100 with bad items in the middle: each is answered on its own, in order, and the others are stored whole (TB10)', async () => {
    const [agent, full] = [await pullAgent(), await pullAgent({ depth: 1 })]
    await send(full.name)
    const items: unknown[] = Array.from({ length: 100 }, (_, i) => ({ to: agent.name, type: 'test.note', id: `m${i}` }))
    items[40] = { to: agent.name }
    items[41] = 'hello'
    items[42] = { to: nobody(), type: 'x' }
    items[43] = { to: full.name, type: 'x' }
    items[44] = { to: agent.name, type: 'x', id: 'm0' }
    items[45] = { to: agent.name, type: 'x', data: tooDeep }
    items[46] = { to: agent.name, type: 'x', data: 'a'.repeat(limits.messageBytes) }
    items[47] = { to: agent.name, type: 'test.note', id: 'm1' }
    const { status, body } = await batch(items)
    expect([status, body.results.length]).toEqual([200, 100])
    const told = body.results.map((r: { status: number; problem?: { code: string } }) => r.problem?.code ?? r.status)
    expect(told.slice(40, 48)).toEqual([
      'invalid_request',
      'invalid_request',
      'agent_not_found',
      'backpressure',
      'key_reused',
      'too_deep',
      'too_large',
      202,
    ])
    expect([...told.slice(0, 40), ...told.slice(48)].every((t: unknown) => t === 202)).toBe(true)
    expect(body.results[40].problem.instance).toBe('/v1/messages/batch#/40')
    expect(body.results[47]).toMatchObject({ duplicate: true, deliveries: body.results[1].deliveries })
    expect(await depthOf(agent)).toBe(92)
  })

  it('keeps its order within an agent', async () => {
    const agent = await pullAgent()
    await batch(Array.from({ length: 20 }, (_, i) => ({ to: agent.name, type: 'x', data: i })))
    const { body } = await call('POST', `/v1/agents/${agent.name}/lease`, { json: { max: 20 } })
    expect(body.deliveries.map((d: { message: { data: number } }) => d.message.data)).toEqual([
      0, 1, 2, 3, 4, 5, 6, 7, 8, 9,
    ])
  })

  it('of 0 or 101 is refused whole', async () => {
    const item = { to: nobody(), type: 'x' }
    for (const items of [[], Array.from({ length: 101 }, () => item)]) {
      const { status, body } = await batch(items)
      expect([status, body.code]).toEqual([400, 'invalid_request'])
    }
  })

  it('of CloudEvents may be empty (because their format has such)', async () => {
    const headers = { 'Content-Type': 'application/cloudevents-batch+json' }
    for (const path of ['/v1/messages', '/v1/messages/batch']) {
      const { status, body } = await call('POST', path, { body: '[]', headers })
      expect([status, body]).toEqual([200, { results: [] }])
    }
  })

  it('is told from one message: an object is refused here', async () => {
    expect((await batch({ to: nobody(), type: 'x' })).body.code).toBe('invalid_request')
  })

  it('takes a key of its own, which gives every message one: sent again, nothing is doubled', async () => {
    const agent = await pullAgent()
    const items = [1, 2].map((data) => ({ to: agent.name, type: 'x', data }))
    const first = await batch(items, { 'Idempotency-Key': 'b' })
    const second = await batch(items, { 'Idempotency-Key': 'b' })
    expect(second.body.results).toEqual(first.body.results.map((r: object) => ({ ...r, duplicate: true })))
    expect(await depthOf(agent)).toBe(2)
  })

  it('takes CloudEvents, here and at /v1/messages, where an array of plain JSON is one too', async () => {
    const agent = await pullAgent()
    const events = [{ specversion: '1.0', id: 'a', source: 'admin', type: 'x', to: agent.name }]
    const types = { 'Content-Type': 'application/cloudevents-batch+json' }
    expect((await batch(events, types)).body.results[0].status).toBe(202)
    for (const headers of [types, {}]) {
      const { status, body } = await call('POST', '/v1/messages', { json: events, headers })
      expect([status, body.results[0].duplicate]).toEqual([200, true])
    }
  })

  it('tells what was stored although one of the mailboxes does not answer: its trouble is its own', async () => {
    const [agent, lost] = [await pullAgent(), await pullAgent()]
    const own = ownSwitchboard({
      ports: (platform) => ({
        agent: (name) => {
          if (name === lost.name) throw new Unavailable('mailbox', 'cut')
          return platform.agent(name)
        },
      }),
    })
    const json = [agent, lost, agent].map(({ name: to }) => ({ to, type: 'x' }))
    const { status, body } = await own('POST', '/v1/messages/batch', { json })
    expect([status, body.results.map((r: { status: number }) => r.status)]).toEqual([200, [202, 503, 202]])
    expect(body.results[1].problem).toMatchObject({ code: 'unavailable', retryable: true })
    const alone = await own('POST', '/v1/messages', { json: json[1] })
    expect([alone.status, alone.headers.get('Retry-After')]).toEqual([503, '1'])
  })

  it('of another media type is 415', async () => {
    const { body } = await call('POST', '/v1/messages/batch', { body: '[]', headers: { 'Content-Type': 'text/plain' } })
    expect(body.code).toBe('unsupported_media_type')
  })
})

describe('CloudEvents', () => {
  it('in structured mode keep their id and their attributes', async () => {
    const agent = await pullAgent()
    const headers = { 'Content-Type': 'application/cloudevents+json; charset=utf-8' }
    const json = {
      specversion: '1.0',
      id: 'e-1',
      source: 'admin',
      type: 'x',
      to: agent.name,
      myattr: 'y',
      data: { a: 1 },
    }
    expect((await call('POST', '/v1/messages', { json, headers })).body.id).toBe('e-1')
    expect((await leaseOne(agent)).message).toMatchObject({ id: 'e-1', myattr: 'y', data: { a: 1 } })
  })

  it('in binary mode are the headers and the body', async () => {
    const agent = await pullAgent()
    const headers = {
      'Content-Type': 'application/json',
      'ce-specversion': '1.0',
      'ce-id': 'b-1',
      'ce-source': 'admin',
      'ce-type': 'x',
      'ce-to': agent.name,
      'ce-subject': 'caf%C3%A9',
    }
    expect((await call('POST', '/v1/messages', { json: { a: 1 }, headers })).status).toBe(202)
    expect((await leaseOne(agent)).message).toMatchObject({ id: 'b-1', subject: 'café', data: { a: 1 } })
  })
})
