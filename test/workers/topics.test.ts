/**
 * Publishing to topics over HTTP: who is reached and who is not, that nobody is reached twice, what reaching nobody comes to,
 * and that a leg's trouble is its own.
 */
import { runDurableObjectAlarm, runInDurableObject } from 'cloudflare:test'
import { env } from 'cloudflare:workers'
import { describe, expect, it, vi } from 'vitest'
import {
  type Body,
  call,
  freshName,
  leaseOne,
  pullAgent,
  type Registered,
  receipt,
  type Sent,
  send,
  sendId,
} from './gateway.ts'

/** Topics of a test's own: storage is kept between the tests of a file. */
const freshTopic = () => freshName('t')
/** Ids too: the admin’s key names one message. */
const freshId = () => freshName('m')

async function subscribe(
  { name }: { readonly name: string },
  topic: string,
  filter?: unknown,
  more: object = {},
): Promise<string> {
  const id = freshName('sub')
  const json = { agent: name, topic, ...(filter === undefined ? {} : { filter }), ...more }
  const { status, body } = await call('PUT', `/v1/subscriptions/${id}`, { json })
  if (status !== 201) throw new Error(`subscribe answered ${status}: ${JSON.stringify(body)}`)
  return id
}

async function subscriber(topic: string, filter?: unknown, policy = {}): Promise<Registered> {
  const agent = await pullAgent(policy)
  await subscribe(agent, topic, filter)
  return agent
}

const publish = (topic: string, more: Readonly<Record<string, unknown>> = {}, sent: Sent = {}) =>
  call('POST', '/v1/messages', { ...sent, json: { topic, type: 'test.note', ...more } })

const agentsOf = (body: Body): string[] => body.deliveries.map((d: { agent: string }) => d.agent)
const names = (...agents: readonly Registered[]) => agents.map((a) => a.name).sort()

async function depthOf({ name }: Registered): Promise<number> {
  return (await call('GET', `/v1/agents/${name}/mailbox`)).body.depth
}

const publication = async (id: string, query = '', sent: Sent = {}) =>
  call('GET', `/v1/publications/${id}${query}`, sent)

/** Runs the alarm of a publication, and waits until it knows what `done` asks for. */
async function retried(id: string, done: (body: Body) => boolean): Promise<Body> {
  await runDurableObjectAlarm(env.PUBLICATIONS.getByName(id))
  return vi.waitUntil(async () => {
    const { body } = await publication(id)
    return done(body) ? body : undefined
  })
}

describe('a publish to a topic', () => {
  it('is 202 with a delivery for each subscriber, and its publication (A10)', async () => {
    const topic = freshTopic()
    const [a, b] = [await subscriber(topic), await subscriber(topic)]
    const { status, body, headers } = await publish(topic, { id: 'm1', data: { n: 1 } })
    expect([status, body.id, body.fanout, body.duplicate]).toEqual([202, 'm1', 2, false])
    expect(agentsOf(body)).toEqual(names(a, b))
    expect(headers.get('Location')).toBeNull()
    expect(body.publication).toMatch(/^p-[a-z2-7]{26}$/)
    for (const { id, agent } of body.deliveries)
      expect(await receipt(id)).toMatchObject({ agent, status: 'held', message: { id: 'm1', topic, source: 'admin' } })
  })

  it('names the receipt of the only one in Location', async () => {
    const topic = freshTopic()
    await subscriber(topic)
    const { body, headers } = await publish(topic)
    expect(headers.get('Location')).toBe(`/v1/deliveries/${body.deliveries[0].id}`)
  })

  it('delivers the whole event to each, with its data and every attribute (T10)', async () => {
    const topic = freshTopic()
    const both = [await subscriber(topic), await subscriber(topic)]
    const event = {
      id: 'e',
      subject: 's',
      data: { deep: [{ a: 1 }] },
      correlationid: 'c',
      causationid: 'p',
      myattr: 'x',
    }
    await publish(topic, event)
    for (const agent of both)
      expect((await leaseOne(agent)).message).toMatchObject({ ...event, topic, type: 'test.note', source: 'admin' })
  })

  it('reaches nobody who did not ask for it (T1, S2)', async () => {
    const topic = freshTopic()
    const [member, stranger] = [await subscriber(topic), await subscriber(`${topic}.other`)]
    const bystander = await pullAgent()
    expect(agentsOf((await publish(topic)).body)).toEqual([member.name])
    for (const agent of [stranger, bystander]) expect(await depthOf(agent)).toBe(0)
  })

  it('reaches its sender too, if that subscribes: only `*` leaves the sender out', async () => {
    const topic = freshTopic()
    const own = await subscriber(topic)
    expect(agentsOf((await publish(topic, {}, { key: own.key })).body)).toEqual([own.name])
  })

  it('is 403 outside the key’s permissions, and nothing is stored', async () => {
    const topic = freshTopic()
    const member = await subscriber(topic)
    const narrow = await pullAgent({}, { permissions: { publish: [`${topic}.mine.*`] } })
    for (const json of [{ topic }, { to: member.name, replyto: `topic:${topic}` }]) {
      const { status, body } = await call('POST', '/v1/messages', { key: narrow.key, json: { ...json, type: 'x' } })
      expect([status, body.code, body.subject]).toEqual([403, 'forbidden', topic])
    }
    expect((await publish(`${topic}.mine.a`, {}, { key: narrow.key })).status).toBe(202)
    expect(await depthOf(member)).toBe(0)
  })

  it('of the broker’s own is refused to everybody, the admin as well', async () => {
    for (const topic of ['switchboard', 'switchboard.agent.ada']) {
      expect((await publish(topic)).body.code).toBe('forbidden')
      expect((await send('a', { replyto: `topic:${topic}` })).body.code).toBe('forbidden')
    }
  })

  it('is never in the broker’s own name: not as a claimed source, and no agent is called so (S1)', async () => {
    const claimed = await publish(freshTopic(), { source: 'switchboard' })
    expect([claimed.status, claimed.body.code]).toEqual([403, 'foreign_source'])
    const named = await call('PUT', '/v1/agents/switchboard', { json: { kind: 'pull' } })
    expect([named.status, named.body.code]).toEqual([400, 'invalid_request'])
  })

  it('with a wildcard is refused: wildcards are for those who listen', async () => {
    for (const topic of ['a.*', '>', 'a..b', 'a b']) {
      const { status, body } = await publish(topic)
      expect([status, body.code, body.issues[0].path]).toEqual([400, 'invalid_request', 'topic'])
    }
  })

  it('in a batch goes beside direct messages, each answered on its own', async () => {
    const topic = freshTopic()
    const [member, direct] = [await subscriber(topic), await pullAgent()]
    const json = [
      { to: direct.name, type: 'x' },
      { topic, type: 'x' },
      { topic: 'not..one', type: 'x' },
      { topic: freshTopic(), type: 'x', onunroutable: 'reject' },
    ]
    const { body } = await call('POST', '/v1/messages/batch', { json })
    expect(body.results.map((r: Body) => r.problem?.code ?? r.deliveries[0].agent)).toEqual([
      direct.name,
      member.name,
      'invalid_request',
      'unroutable',
    ])
  })
})

describe('patterns', () => {
  it('`*` hears one token and `>` the rest; an agent that matches by several patterns gets one delivery (A85)', async () => {
    const topic = freshTopic()
    const [one, rest, all] = [
      await subscriber(`${topic}.*`),
      await subscriber(`${topic}.>`),
      await subscriber(`${topic}.a.b`),
    ]
    await subscribe(all, `${topic}.*.b`)
    await subscribe(all, `${topic}.>`)
    expect(agentsOf((await publish(`${topic}.a`)).body)).toEqual(names(one, rest, all))
    const { body } = await publish(`${topic}.a.b`)
    expect([agentsOf(body), body.fanout]).toEqual([names(rest, all), 2])
    expect(await depthOf(all)).toBe(2)
  })

  it('the aggregator gets every span, the visualizer only completed traces (A115)', async () => {
    const spans = freshTopic()
    const aggregator = await subscriber(`${spans}.>`)
    const visualizer = await subscriber(`${spans}.>`, { eq: ['type', 'trace.completed'] })
    for (const [n, type] of ['span.started', 'span.ended', 'trace.completed', 'span.started'].entries())
      await publish(`${spans}.checkout.${n}`, { type, data: { n } })
    const typesOf = async ({ name }: Registered) =>
      (await call('POST', `/v1/agents/${name}/lease`, { json: { max: 10 } })).body.deliveries.map(
        (d: Body) => d.message.type,
      )
    expect(await typesOf(aggregator)).toEqual(['span.started', 'span.ended', 'trace.completed', 'span.started'])
    expect(await typesOf(visualizer)).toEqual(['trace.completed'])
  })

  it('who is offline finds its mail when it comes back, in order and once (A116)', async () => {
    const topic = freshTopic()
    const visualizer = await subscriber(topic)
    await call('POST', `/v1/agents/${visualizer.name}/pause`)
    for (let n = 0; n < 12; n++) await publish(topic, { data: n })
    expect(await leaseOne(visualizer)).toBeUndefined()
    expect((await call('GET', `/v1/agents/${visualizer.name}/mailbox`)).body).toMatchObject({ depth: 12 })
    await call('POST', `/v1/agents/${visualizer.name}/resume`)
    const seen: number[] = []
    for (let d = await leaseOne(visualizer); d !== undefined; d = await leaseOne(visualizer)) {
      seen.push(d.message.data)
      await call('POST', `/v1/deliveries/${d.id}/ack`, { json: { token: d.token } })
    }
    expect(seen).toEqual(Array.from({ length: 12 }, (_, n) => n))
  })

  it('who joins hears what comes after, and who leaves hears no more (A101)', async () => {
    const topic = freshTopic()
    const stays = await subscriber(topic)
    const [goes, comes] = [await pullAgent(), await pullAgent()]
    const id = await subscribe(goes, topic)
    expect(agentsOf((await publish(topic)).body)).toEqual(names(stays, goes))
    await call('DELETE', `/v1/subscriptions/${id}`)
    await subscribe(comes, topic)
    expect(agentsOf((await publish(topic)).body)).toEqual(names(stays, comes))
    expect([await depthOf(goes), await depthOf(comes)]).toEqual([1, 1])
  })

  it('a filter sees attributes and data, and one that was changed holds from then on (A87)', async () => {
    const topic = freshTopic()
    const agent = await pullAgent()
    const id = freshName('sub')
    const put = (filter: unknown) =>
      call('PUT', `/v1/subscriptions/${id}`, { json: { agent: agent.name, topic, filter } })
    await put({ and: [{ prefix: ['subject', 'eu/'] }, { range: ['data.total', { gte: 10 }] }] })
    const reached = async (total: number) => (await publish(topic, { subject: 'eu/1', data: { total } })).body.fanout
    expect([await reached(9), await reached(10)]).toEqual([0, 1])
    await put({ range: ['data.total', { lt: 10 }] })
    expect([await reached(9), await reached(10)]).toEqual([1, 0])
  })
})

describe('reaching nobody', () => {
  const letter = async (id: string) => call('GET', `/v1/dead-letters/${id}`)

  it('is a dead letter unless said otherwise, and the publication says so (A86)', async () => {
    const { status, body } = await publish(freshTopic(), { id: 'lonely' })
    expect([status, body.deliveries, body.fanout]).toEqual([202, [], 0])
    expect((await letter(body.publication)).body).toMatchObject({
      kind: 'publication',
      reason: 'unroutable',
      agent: '',
      message: { id: 'lonely' },
    })
    expect((await publication(body.publication)).body).toMatchObject({ open: false, accepted: 0, refused: 0, legs: [] })
  })

  it('is nothing under `drop`, and 404 under `reject`, which stores nothing (A86)', async () => {
    const dropped = await publish(freshTopic(), { onunroutable: 'drop' })
    expect([dropped.status, dropped.body.fanout]).toEqual([202, 0])
    expect((await letter(dropped.body.publication)).status).toBe(404)
    const [topic, id] = [freshTopic(), 'again']
    const { status, body } = await publish(topic, { id, onunroutable: 'reject' })
    expect([status, body.code, body.destination]).toEqual([404, 'unroutable', topic])
    await subscriber(topic)
    expect((await publish(topic, { id, onunroutable: 'reject' })).body.fanout).toBe(1)
  })

  it('by a filter that lets nobody through is the same', async () => {
    const topic = freshTopic()
    await subscriber(topic, { exists: 'data.never' })
    expect((await publish(topic, { onunroutable: 'reject' })).body.code).toBe('unroutable')
  })

  it('gives the key back: the same sent again, when somebody listens, is delivered', async () => {
    const topic = freshTopic()
    await publish(topic, { id: 'once-more' })
    const member = await subscriber(topic)
    const again = await publish(topic, { id: 'once-more' })
    expect([agentsOf(again.body), again.body.duplicate]).toEqual([[member.name], false])
    expect((await publish(topic, { id: 'once-more' })).body.duplicate).toBe(true)
    expect(await depthOf(member)).toBe(1)
  })

  it('does NOT give the key back under exactly_once: the first answer stands', async () => {
    const topic = freshTopic()
    const sent = { id: 'only', deliverymode: 'exactly_once' }
    await publish(topic, sent)
    await subscriber(topic)
    expect((await publish(topic, sent)).body).toMatchObject({ duplicate: true, fanout: 0 })
  })

  it('is redriven to whoever listens by then, once; before that it is refused (A86)', async () => {
    const topic = freshTopic()
    const { body } = await publish(topic, { data: { kept: true } })
    const redrive = () => call('POST', `/v1/dead-letters/${body.publication}/redrive`)
    const early = await redrive()
    expect([early.status, early.body.code]).toEqual([409, 'not_redrivable'])
    const member = await subscriber(topic)
    for (let i = 0; i < 2; i++) expect((await redrive()).body).toMatchObject({ status: 'redriven' })
    const delivery = await vi.waitUntil(() => leaseOne(member))
    expect(delivery.message.data).toEqual({ kept: true })
    expect(await depthOf(member)).toBe(1)
    expect((await letter(body.publication)).status).toBe(404)
  })

  it('is caught by whoever asked for that, and the answer, the publication and the receipt say so (A11)', async () => {
    const topic = freshTopic()
    const [heard, unheard] = [`${topic}.heard`, `${topic}.unheard`]
    const catcher = await pullAgent()
    const id = freshName('sub')
    const json = { agent: catcher.name, topic: `${topic}.>`, catchAll: true }
    expect(await call('PUT', `/v1/subscriptions/${id}`, { json })).toMatchObject({ status: 201, body: json })
    expect(await call('PUT', `/v1/subscriptions/${id}`, { json })).toMatchObject({ status: 200, body: json })
    const member = await subscriber(heard)
    expect(agentsOf((await publish(heard)).body)).toEqual([member.name])

    const { status, body } = await publish(unheard, { data: 1 })
    const why = `caught: \`${unheard}\` reached nobody else`
    expect([status, body]).toMatchObject([202, { fanout: 1, caught: true, why, deliveries: [{ agent: catcher.name }] }])
    expect((await publication(body.publication)).body).toMatchObject({ open: false, accepted: 1, caught: true, why })
    expect((await letter(body.publication)).status).toBe(404)
    expect((await receipt(body.deliveries[0].id)).steps[0]).toMatchObject({ step: 'accepted', detail: why })
    expect((await leaseOne(catcher)).message).toMatchObject({ topic: unheard, data: 1 })
    expect(await depthOf(catcher)).toBe(1)

    const plain = { ...json, catchAll: false }
    const changed = await call('PUT', `/v1/subscriptions/${id}`, { json: plain })
    expect([changed.status, changed.body.catchAll]).toEqual([200, undefined])
    expect(agentsOf((await publish(heard)).body)).toEqual(names(catcher, member))
  })

  it('is not caught where the publisher said `drop` or `reject`, nor by the one that sent it (A11)', async () => {
    const topic = freshTopic()
    const catcher = await pullAgent()
    await subscribe(catcher, topic, undefined, { catchAll: true })
    expect((await publish(topic, { onunroutable: 'reject' })).body.code).toBe('unroutable')
    expect((await publish(topic, { onunroutable: 'drop' })).body).toMatchObject({ fanout: 0, deliveries: [] })
    const own = await publish(topic, {}, { key: catcher.key })
    expect([own.status, own.body.fanout, own.body.caught]).toEqual([202, 0, undefined])
    expect((await letter(own.body.publication)).body.reason).toBe('unroutable')
    expect((await publish(topic, { onunroutable: 'dead' })).body.caught).toBe(true)
    const json = { agent: catcher.name, topic: 'switchboard.>', catchAll: true }
    const refused = await call('PUT', `/v1/subscriptions/${freshName('sub')}`, { json })
    expect([refused.status, refused.body.code]).toEqual([400, 'invalid_request'])
  })

  it('is redriven to whoever catches it by then, and is caught (A11)', async () => {
    const topic = freshTopic()
    const { body } = await publish(topic)
    const catcher = await pullAgent()
    await subscribe(catcher, topic, undefined, { catchAll: true })
    const redriven = await call('POST', `/v1/dead-letters/${body.publication}/redrive`)
    expect(redriven.body).toMatchObject({ status: 'redriven' })
    expect(await vi.waitUntil(() => leaseOne(catcher))).toBeDefined()
    expect((await publication(body.publication)).body.caught).toBe(true)
  })

  it('purged, its body is gone and it cannot be redriven', async () => {
    const topic = freshTopic()
    const { body } = await publish(topic)
    const path = `/v1/dead-letters/${body.publication}`
    expect((await call('DELETE', path)).status).toBe(204)
    await subscriber(topic)
    expect((await call('POST', `${path}/redrive`)).body.code).toBe('not_redrivable')
  })

  it('is an admin’s to see: such a letter is no agent’s', async () => {
    const agent = await pullAgent()
    const { body } = await publish(freshTopic(), {}, { key: agent.key })
    expect((await call('GET', `/v1/dead-letters/${body.publication}`, { key: agent.key })).status).toBe(403)
    expect((await publication(body.publication, '', { key: agent.key })).status).toBe(200)
  })
})

describe('the same publish again', () => {
  it('is a duplicate with the same publication and deliveries, where they stand now', async () => {
    const [topic, id] = [freshTopic(), freshId()]
    const [done, waits] = [await subscriber(topic), await subscriber(topic)]
    const first = await publish(topic, { id })
    const leased = await leaseOne(done)
    await call('POST', `/v1/deliveries/${leased.id}/ack`, { json: { token: leased.token } })
    // Who subscribed meanwhile is not meant: the legs are chosen once.
    const late = await subscriber(topic)
    const { status, body } = await publish(topic, { id })
    expect([status, body.duplicate, body.publication, body.fanout]).toEqual([202, true, first.body.publication, 2])
    const standing = new Map(body.deliveries.map((d: Body) => [d.agent, d.status]))
    expect([standing.get(done.name), standing.get(waits.name), standing.get(late.name)]).toEqual([
      'completed',
      'held',
      undefined,
    ])
    expect(body.deliveries.map((d: Body) => d.id)).toEqual(first.body.deliveries.map((d: Body) => d.id))
    expect([await depthOf(waits), await depthOf(late)]).toEqual([1, 0])
  })

  it('is one even if by now nobody listens, under `reject` too', async () => {
    const topic = freshTopic()
    const member = await pullAgent()
    const id = await subscribe(member, topic)
    const sent = { id: freshId(), onunroutable: 'reject' }
    const first = await publish(topic, sent)
    await call('DELETE', `/v1/subscriptions/${id}`)
    expect((await publish(topic, sent)).body).toMatchObject({ duplicate: true, deliveries: first.body.deliveries })
  })

  it('with other content is 422, and nobody gets it', async () => {
    const topic = freshTopic()
    const member = await subscriber(topic)
    const headers = { 'Idempotency-Key': freshName('key') }
    await publish(topic, { data: 1 }, { headers })
    const { status, body } = await publish(topic, { data: 2 }, { headers })
    expect([status, body.code]).toEqual([422, 'key_reused'])
    expect(await depthOf(member)).toBe(1)
  })

  it('at the same moment, many times, is one delivery each', async () => {
    const topic = freshTopic()
    const both = [await subscriber(topic), await subscriber(topic)]
    const id = freshId()
    const answers = await Promise.all(Array.from({ length: 8 }, () => publish(topic, { id })))
    expect(answers.filter((a) => a.body.duplicate === false)).toHaveLength(1)
    expect(new Set(answers.map((a) => a.body.publication)).size).toBe(1)
    for (const agent of both) expect(await depthOf(agent)).toBe(1)
  })
})

describe('a leg’s trouble is its own', () => {
  it('a full mailbox: the others have it, that leg waits, and is accepted when there is room', async () => {
    const topic = freshTopic()
    const [fine, full] = [await subscriber(topic), await subscriber(topic, undefined, { depth: 1 })]
    const blocking = await sendId(full.name)
    const { status, body } = await publish(topic)
    expect([status, agentsOf(body), body.fanout]).toEqual([202, [fine.name], 2])
    const { body: open } = await publication(body.publication, '?ackmode=all')
    expect(open).toMatchObject({ open: true, accepted: 1, refused: 0, satisfied: 'pending' })
    expect(open.legs.find((l: Body) => l.agent === full.name)).toEqual({ agent: full.name, status: 'pending' })
    // No room yet: it stays so.
    await runDurableObjectAlarm(env.PUBLICATIONS.getByName(body.publication))
    await call('DELETE', `/v1/deliveries/${blocking}`)
    const closed = await retried(body.publication, (b) => !b.open)
    expect(closed).toMatchObject({ accepted: 2, refused: 0 })
    expect(await depthOf(full)).toBe(1)
    expect(await depthOf(fine)).toBe(1)
  })

  it('an agent that is deleted before its leg was accepted is refused by name, and the publication closes', async () => {
    const topic = freshTopic()
    const full = await subscriber(topic, undefined, { depth: 1 })
    await sendId(full.name)
    const { body } = await publish(topic)
    await call('DELETE', `/v1/agents/${full.name}?mail=dead`)
    const closed = await retried(body.publication, (b) => !b.open)
    expect(closed.legs).toEqual([{ agent: full.name, status: 'refused', reason: 'agent_not_found' }])
  })

  it('one that the index has and no object knows is refused by name; the others have it', async () => {
    const topic = freshTopic()
    const [fine, gone] = [await subscriber(topic), await subscriber(topic)]
    await runInDurableObject(env.AGENTS.getByName(gone.name), (object: { retire(mail: 'dead'): unknown }) =>
      object.retire('dead'),
    )
    const { body } = await publish(topic)
    expect(agentsOf(body)).toEqual([fine.name])
    expect((await publication(body.publication)).body).toMatchObject({ open: false, accepted: 1, refused: 1 })
  })
})

describe('effects and replies', () => {
  it('an effect goes to a topic, and a repeat of its carrying adds nothing', async () => {
    const topic = freshTopic()
    const [member, worker] = [await subscriber(topic), await pullAgent()]
    const id = await sendId(worker.name)
    const { token } = await leaseOne(worker)
    const effects = { messages: [{ topic, type: 'test.done', data: { n: 1 } }] }
    await call('POST', `/v1/deliveries/${id}/ack`, { key: worker.key, json: { token, effects } })
    const delivery = await vi.waitUntil(() => leaseOne(member))
    expect(delivery).toMatchObject({
      hops: 1,
      message: { source: worker.name, topic, causationid: expect.any(String) },
    })
    const carried = await vi.waitUntil(async () => {
      const [effect] = (await receipt(id)).effects
      return effect.state.status === 'carried' ? effect : undefined
    })
    expect(carried.state.deliveries).toEqual([delivery.id])
    expect(await depthOf(member)).toBe(1)
  })

  it('an effect to a topic that its agent may not publish to is refused and told (E1)', async () => {
    const topic = freshTopic()
    const member = await subscriber(topic)
    const worker = await pullAgent({}, { permissions: { publish: [] } })
    const id = await sendId(worker.name)
    const { token } = await leaseOne(worker)
    await call('POST', `/v1/deliveries/${id}/ack`, { json: { token, effects: { messages: [{ topic, type: 'x' }] } } })
    await vi.waitUntil(async () => (await receipt(id)).effects[0].state.status === 'refused')
    expect((await receipt(id)).effects[0].state.reason).toBe('forbidden')
    expect(await depthOf(member)).toBe(0)
  })

  it('a reply goes to the topic that the asker named (A6)', async () => {
    const topic = freshTopic()
    const [member, worker] = [await subscriber(topic), await pullAgent({}, { permissions: { publish: [] } })]
    const id = await sendId(worker.name, { replyto: `topic:${topic}`, correlationid: 'talk' })
    const { token } = await leaseOne(worker)
    await call('POST', `/v1/deliveries/${id}/ack`, { json: { token, effects: { reply: { data: 42 } } } })
    const { message } = await vi.waitUntil(() => leaseOne(member))
    expect(message).toMatchObject({
      data: 42,
      topic,
      source: worker.name,
      correlationid: 'talk',
      type: 'test.note.reply',
    })
  })
})

describe('a publication', () => {
  it('tells each leg with its delivery’s status, and whether it is acked as asked (TC15)', async () => {
    const topic = freshTopic()
    const [a, b] = [await subscriber(topic), await subscriber(topic)]
    const { body } = await publish(topic, { subject: 's' })
    const told = async (mode: string) => (await publication(body.publication, `?ackmode=${mode}`)).body.satisfied
    expect(await told('any')).toBe('pending')
    const { id, token } = await leaseOne(a)
    await call('POST', `/v1/deliveries/${id}/ack`, { json: { token } })
    expect([await told('any'), await told('all'), await told('quorum:1'), await told('quorum:2')]).toEqual([
      'yes',
      'pending',
      'yes',
      'pending',
    ])
    const other = body.deliveries.find((d: Body) => d.agent === b.name)
    await call('DELETE', `/v1/deliveries/${other.id}`)
    expect([await told('any'), await told('all'), await told('quorum:2'), await told('quorum:3')]).toEqual([
      'yes',
      'no',
      'no',
      'no',
    ])
    const { body: report } = await publication(body.publication)
    expect(report).toMatchObject({
      id: body.publication,
      message: { subject: 's', topic },
      fanout: 2,
      accepted: 2,
      refused: 0,
      open: false,
    })
    expect(report.satisfied).toBeUndefined()
    expect(report.legs.map((l: Body) => [l.agent, l.status, l.delivery, l.deliveryStatus]).sort()).toEqual(
      [
        [a.name, 'accepted', id, 'completed'],
        [b.name, 'accepted', other.id, 'cancelled'],
      ].sort(),
    )
  })

  it('is its sender’s to read, and an admin’s; nobody else learns who was reached (S2)', async () => {
    const topic = freshTopic()
    const [sender, member] = [await pullAgent(), await subscriber(topic)]
    const { body } = await publish(topic, {}, { key: sender.key })
    expect((await publication(body.publication, '', { key: sender.key })).status).toBe(200)
    expect((await publication(body.publication)).status).toBe(200)
    const refused = await publication(body.publication, '', { key: member.key })
    expect([refused.status, refused.body.code]).toEqual([403, 'forbidden'])
  })

  it('that does not exist is 404, and a mode that is none 400', async () => {
    for (const id of ['x', `p-${'a'.repeat(26)}`]) {
      const { status, body } = await publication(id)
      expect([status, body.code, body.what]).toEqual([404, 'not_found', 'publication'])
    }
    expect((await publication(`p-${'a'.repeat(26)}`, '?ackmode=most')).body.code).toBe('invalid_request')
  })
})
