/**
 * Webhooks over real HTTP: a real Worker in workerd calls a real server, and the official libraries of both standards judge what
 * arrives. Every answer in every combination, in virtual time: test/simulator/deliver.test.ts. The challenge without the
 * development switch needs https on a public host: test/simulator/challenge.test.ts.
 */
import { createHash, randomUUID } from 'node:crypto'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { HTTP } from 'cloudevents'
import { Webhook } from 'standardwebhooks'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { limits } from '../../shared/limits.ts'
import { spansIn } from '../otlp.ts'
import { bundle, Host, hostAdminKey } from './host.ts'
import { type Answering, Client, closedPort, type Raw, type RawAnswer, Wire } from './wire.ts'

let host: Host
let wire: Wire
let client: Client
beforeAll(async () => {
  host = new Host(await bundle(join(import.meta.dirname, '../../workers/index.ts')))
  wire = await Wire.start()
  // A collector beside them: nothing that is tested here may come to be otherwise by it.
  await host.start({ SWITCHBOARD_OTLP_URL: wire.at('/v1/traces'), SWITCHBOARD_OTLP_HEADERS: 'x-team=a%20b' })
  client = new Client(host.url ?? '', hostAdminKey)
})
afterAll(async () => {
  await host.stop()
  await wire.stop()
})

const soon = { backoff: { initialSeconds: 0.05, factor: 1, capSeconds: 0.05, jitter: 'none' } }

/** An agent of this test's own at `/<name>`. */
async function agent(answering?: Answering, policy: object = soon) {
  const name = `w-${randomUUID().slice(0, 8)}`
  const { secret } = await client.webhook(name, wire.at(`/${name}`, answering), policy)
  return { name, secret, received: () => wire.of(`/${name}`) }
}

const header = (raw: Raw | undefined, name: string) => String(raw?.headers[name] ?? '')
const json = (body: unknown): RawAnswer => ({ status: 200, body: JSON.stringify(body) })

/** What the library throws is the test's failure. */
function verified(secret: string, { headers, body }: Raw): unknown {
  return new Webhook(secret).verify(body, headers as Record<string, string>)
}

function isVerifiedBy(secret: string, raw: Raw): boolean {
  try {
    verified(secret, raw)
    return true
  } catch {
    return false
  }
}

describe('what a webhook gets', () => {
  it('is a signed CloudEvent that both standards’ own libraries accept, from the raw bytes (A93, A103, A118, A119)', async () => {
    const { name, secret, received } = await agent()
    const data = { text: 'Grüße, 世界 🌍   \u2028', n: 1.5e300, nested: [{ a: null }] }
    const id = await client.send(name, { data, subject: 'greeting', mine: 'x', priority: 7, id: 'evt-1' })
    await client.until(id, 'completed')
    const [raw] = received()
    expect(raw?.method).toBe('POST')
    expect(verified(secret, raw!)).toMatchObject({ id: 'evt-1', data })
    const event = HTTP.toEvent({
      headers: { ...raw!.headers } as Record<string, string>,
      body: raw!.body.toString('utf8'),
    })
    expect(event).toMatchObject({
      id: 'evt-1',
      type: 'test.note',
      source: 'admin',
      subject: 'greeting',
      mine: 'x',
      priority: 7,
      data,
    })
    expect(header(raw, 'content-type')).toMatch(/^application\/cloudevents\+json/)
  })

  it('is one signed array of events where its agent wants batches, and each is answered for (A77, A79, A80)', async () => {
    const each: Answering = ({ body }) => {
      const events = JSON.parse(body.toString('utf8')) as { deliveryid: string; data: number }[]
      return json({ results: events.map(({ deliveryid: id, data }) => ({ id, status: 'ok', result: data * 2 })) })
    }
    const { name, secret, received } = await agent(each, { batch: { size: 3, waitSeconds: 30 } })
    const ids = await Promise.all([1, 2, 3].map((data) => client.send(name, { data })))
    const results = await Promise.all(ids.map(async (id) => (await client.until(id, 'completed')).result))
    expect(results).toEqual([2, 4, 6])
    const [raw, ...others] = received()
    expect(others).toEqual([])
    expect(verified(secret, raw!)).toHaveLength(3)
    const headers = { ...raw!.headers } as Record<string, string>
    const events = HTTP.toEvent({ headers, body: raw!.body.toString('utf8') })
    expect(events).toMatchObject([{ source: 'admin' }, { source: 'admin' }, { source: 'admin' }])
  })

  it('says which attempt it is, until when it may take, and the token to settle with (A19, A122)', async () => {
    const { name, received } = await agent(undefined, { timeoutSeconds: 20 })
    const before = Date.now()
    const id = await client.send(name)
    await client.until(id, 'completed')
    const [raw] = received()
    expect(header(raw, 'webhook-id')).toBe(id)
    expect(header(raw, 'switchboard-attempt')).toBe('1')
    expect(header(raw, 'switchboard-max-attempts')).toBe('4')
    expect(raw!.headers['switchboard-previous-error']).toBeUndefined()
    const deadlineAt = Date.parse(header(raw, 'switchboard-deadline'))
    expect(deadlineAt).toBeGreaterThan(before + 19_000)
    expect(deadlineAt).toBeLessThan(Date.now() + 21_000)
    expect(header(raw, 'switchboard-token')).not.toBe('')
    expect(JSON.stringify(JSON.parse(raw!.body.toString()))).not.toContain('switchboard-')
  })

  it('has the headers that its agent was registered with beside ours, and nobody can read their values (TB33)', async () => {
    const name = `w-${randomUUID().slice(0, 8)}`
    const registered = {
      kind: 'webhook',
      url: wire.at(`/${name}`),
      headers: { Authorization: 'Bearer hush', 'x-team': 'a' },
    }
    const { body: told } = await client.call('PUT', `/v1/agents/${name}`, registered)
    await client.until(await client.send(name), 'completed')
    const [raw] = wire.of(`/${name}`)
    expect([header(raw, 'authorization'), header(raw, 'x-team')]).toEqual(['Bearer hush', 'a'])
    verified(told.secret, raw!)
    const { body: seen } = await client.call('GET', `/v1/agents/${name}`)
    expect(seen.headers).toEqual(['authorization', 'x-team'])
    expect(JSON.stringify([told, seen])).not.toContain('hush')
  })

  it('keeps its webhook-id and its body across attempts, and has each attempt’s own time and signature (T15)', async () => {
    const { name, secret, received } = await agent((_, earlier) => ({ status: earlier < 2 ? 500 : 200 }), {
      backoff: { initialSeconds: 1, factor: 1, capSeconds: 1, jitter: 'none' },
    })
    const id = await client.send(name, { data: { n: 1 } })
    await client.until(id, 'completed')
    const raws = received()
    expect(raws.map((r) => header(r, 'webhook-id'))).toEqual([id, id, id])
    expect(raws.map((r) => header(r, 'switchboard-attempt'))).toEqual(['1', '2', '3'])
    expect(raws.slice(1).map((r) => decodeURIComponent(header(r, 'switchboard-previous-error')))).toEqual([
      'answered 500',
      'answered 500',
    ])
    expect(new Set(raws.map((r) => r.body.toString())).size).toBe(1)
    expect(new Set(raws.map((r) => header(r, 'webhook-timestamp'))).size).toBe(3)
    expect(new Set(raws.map((r) => header(r, 'switchboard-token'))).size).toBe(3)
    for (const raw of raws) {
      expect(Math.abs(Number(header(raw, 'webhook-timestamp')) * 1_000 - raw.at)).toBeLessThan(2_000)
      verified(secret, raw)
    }
  })

  it('continues the trace under a span of its own at every hop and attempt (A112)', async () => {
    const next = await agent()
    const first = await agent((_, earlier) =>
      earlier === 0 ? { status: 500 } : json({ messages: [{ to: next.name, type: 'next' }] }),
    )
    const trace = '0af7651916cd43dd8448eb211c80319c'
    const caller = `00-${trace}-b7ad6b7169203331-01`
    const id = await client.send(first.name, {}, { traceparent: caller, tracestate: 'vendor=1,other=2' })
    await client.until(id, (r) => r.effects?.[0]?.state.status === 'carried')
    await expect.poll(() => next.received().length, { timeout: 10_000 }).toBe(1)
    const hops = [...first.received(), ...next.received()]
    const spans = hops.map((raw) => header(raw, 'traceparent').split('-'))
    expect(spans.map(([version, id, , flags]) => [version, id, flags])).toEqual(spans.map(() => ['00', trace, '01']))
    expect(new Set([...spans.map(([, , span]) => span), 'b7ad6b7169203331']).size).toBe(hops.length + 1)
    expect(hops.map((raw) => header(raw, 'tracestate'))).toEqual(hops.map(() => 'vendor=1,other=2'))
  })

  it('is told to a collector as spans of one trace: publish, delivery, reply (A112)', async () => {
    const asker = await agent()
    const worker = await agent(() => json({ reply: { data: 1 } }))
    const trace = randomUUID().replaceAll('-', '')
    const caller = `00-${trace}-b7ad6b7169203331-01`
    await client.send(worker.name, { replyto: asker.name }, { traceparent: caller })
    const spans = () =>
      spansIn(wire.of('/v1/traces').map(({ body }) => body.toString())).filter(({ traceId }) => traceId === trace)
    const way = [worker, asker].flatMap(({ name }) => [`send ${name}`, `process ${name}`, `settle ${name}`])
    const names = () => spans().map(({ name }) => name)
    await expect.poll(() => names().sort(), { timeout: 15_000 }).toEqual([...way].sort())
    const ids = new Map(spans().map(({ name, spanId }) => [name, spanId]))
    const parents = new Map(spans().map(({ name, parentSpanId }) => [name, parentSpanId]))
    const [sent, processed, settled, replied, heard, ended] = way as [string, string, string, string, string, string]
    expect(parents.get(sent)).toBe('b7ad6b7169203331')
    for (const [span, parent] of [
      [processed, sent],
      [settled, processed],
      [replied, processed],
      [heard, replied],
      [ended, heard],
    ] as const)
      expect([span, parents.get(span)]).toEqual([span, ids.get(parent)])
    expect(header(worker.received()[0], 'traceparent')).toBe(`00-${trace}-${ids.get(processed)}-01`)
    const [told] = wire.of('/v1/traces')
    expect([told!.method, header(told, 'content-type'), header(told, 'x-team')]).toEqual([
      'POST',
      'application/json',
      'a b',
    ])
  })

  it('of a mebibyte arrives whole', async () => {
    const { name, secret, received } = await agent()
    const data = randomUUID().repeat(Math.floor((limits.messageBytes - 1_000) / 36))
    const id = await client.send(name, { data })
    await client.until(id, 'completed')
    const [raw] = received()
    expect(raw!.body.length).toBeGreaterThan(limits.messageBytes - 2_000)
    const sum = (text: string) => createHash('sha256').update(text).digest('hex')
    expect(sum((verified(secret, raw!) as { data: string }).data)).toBe(sum(data))
  })
})

describe('rotating the secret', () => {
  it('fails no verification: during the overlap either secret fits, afterwards the new one alone (TB14)', async () => {
    const { name, secret: older, received } = await agent(undefined, { concurrency: 2 })
    const flow = async (count: number) => {
      const ids: string[] = []
      for (let i = 0; i < count; i++) ids.push(await client.send(name, { data: i }))
      return ids
    }
    const running = flow(30)
    await expect.poll(() => received().length, { timeout: 10_000 }).toBeGreaterThan(3)
    const { body } = await client.call('POST', `/v1/agents/${name}/secret`, { overlapSeconds: 3_600 })
    const newer: string = body.secret
    for (const id of [...(await running), ...(await flow(3))]) await client.until(id, 'completed')

    const raws = received()
    const signatures = raws.map((raw) => header(raw, 'webhook-signature').split(' ').length)
    expect(new Set(signatures)).toEqual(new Set([1, 2]))
    // A receiver that has not heard of the new secret yet, and one that has dropped the old: neither refuses a call.
    expect(raws.every((raw) => isVerifiedBy(older, raw))).toBe(true)
    expect(raws.filter((_, i) => signatures[i] === 2).every((raw) => isVerifiedBy(newer, raw))).toBe(true)

    const { body: last } = await client.call('POST', `/v1/agents/${name}/secret`, { overlapSeconds: 0 })
    const id = await client.send(name)
    await client.until(id, 'completed')
    const final = received().at(-1)!
    expect([older, newer, last.secret].map((secret) => isVerifiedBy(secret, final))).toEqual([false, false, true])
  })
})

describe('what a webhook may answer', () => {
  it.each([
    ['nothing', { status: 204 }, undefined],
    ['no JSON', { status: 200, headers: { 'content-type': 'text/html' }, body: '<p>Thank you' }, undefined],
    ['broken JSON', { status: 200, body: '{"pages":' }, undefined],
    ['JSON', { status: 200, body: '{"pages":3}' }, { pages: 3 }],
    ['a 202, without ack: later', { status: 202, body: '"soon"' }, 'soon'],
  ])('%s: the ack, and its JSON is the result', async (_, answer, result) => {
    const { name } = await agent(() => answer)
    const receipt = await client.until(await client.send(name), 'completed')
    expect([receipt.attempt, receipt.result]).toEqual([1, result])
  })

  it.each([[400], [409], [413], [415], [422]])('%i: a dead letter at once', async (status) => {
    const { name, received } = await agent(() => ({ status, body: 'no' }))
    const receipt = await client.until(await client.send(name), 'dead_lettered')
    expect(receipt).toMatchObject({
      deadLetter: { reason: 'terminal' },
      attempts: [{ httpStatus: status, error: { body: 'no' } }],
    })
    expect(received()).toHaveLength(1)
  })

  it.each([[301], [302], [303], [307], [308]])(
    '%i: a failed attempt, and nobody goes where it points',
    async (status) => {
      const elsewhere = `/elsewhere-${status}`
      const location = wire.at(elsewhere)
      const { name } = await agent((_, earlier) =>
        earlier === 0 ? { status, headers: { location } } : { status: 200 },
      )
      const receipt = await client.until(await client.send(name), 'completed')
      expect(receipt.attempts[0]).toMatchObject({ outcome: 'retry', httpStatus: status })
      expect(receipt.attempts[0].error.message).toContain('redirects are not followed')
      expect(wire.of(elsewhere)).toEqual([])
    },
  )

  it.each([
    [429, '1', 1_000],
    [503, '1', 1_000],
    [503, undefined, 50],
  ])('%i with Retry-After %s: again after %i ms', async (status, after, leastMs) => {
    const headers = after === undefined ? {} : { 'retry-after': after }
    const { name, received } = await agent((_, earlier) => (earlier === 0 ? { status, headers } : { status: 200 }))
    const receipt = await client.until(await client.send(name), 'completed')
    const [first, again] = received().map((raw) => raw.at)
    expect(again! - first!).toBeGreaterThanOrEqual(leastMs)
    // Asked for, the pause costs no attempt; otherwise it is a failure like any other.
    expect([receipt.attempt, receipt.attempts[0].counted]).toEqual(after === undefined ? [2, true] : [1, false])
  })

  it('429: the agent’s other mail waits with it', async () => {
    const quietMs = 1_500
    const { name, received } = await agent((_, earlier) =>
      earlier === 0 ? { status: 429, headers: { 'retry-after': String(quietMs / 1_000) } } : { status: 200 },
    )
    const first = await client.send(name)
    await client.until(first, 'parked')
    const other = await client.send(name)
    for (const id of [first, other]) await client.until(id, 'completed')
    const [asked, ...later] = received().map((raw) => raw.at)
    for (const at of later) expect(at - asked!).toBeGreaterThanOrEqual(quietMs - 50)
  })

  it('410: the agent is paused, its mail parked, and resume delivers it', async () => {
    const { name, received } = await agent((_, earlier) => ({ status: earlier === 0 ? 410 : 200 }))
    const id = await client.send(name)
    expect((await client.until(id, 'parked')).because).toContain('410 Gone')
    expect((await client.call('GET', `/v1/agents/${name}`)).body.paused.reason).toContain('410')
    await client.call('POST', `/v1/agents/${name}/resume`)
    expect((await client.until(id, 'completed')).attempt).toBe(1)
    expect(received()).toHaveLength(2)
  })

  it('nothing in time, or a closed port: failed attempts that say so', async () => {
    const hung = await agent((_, earlier) => (earlier === 0 ? undefined : { status: 200 }), {
      ...soon,
      timeoutSeconds: 0.3,
    })
    const receipt = await client.until(await client.send(hung.name), 'completed')
    expect(receipt.attempts[0]).toMatchObject({ outcome: 'retry', error: { code: 'timeout' } })

    const name = `w-${randomUUID().slice(0, 8)}`
    await client.webhook(name, `http://127.0.0.1:${await closedPort()}/`, { ...soon, maxAttempts: 2 })
    const refused = await client.until(await client.send(name), 'dead_lettered')
    expect(refused.attempts.map((a: { error: { code: string } }) => a.error.code)).toEqual(['network', 'network'])
  })
})

describe('effects in the answer', () => {
  it('leave once, under their agent’s name, with the cause they have; the result stays beside them (A25)', async () => {
    const boss = await agent()
    const worker = await agent(() =>
      json({ result: 7, reply: { data: 'yes' }, messages: [{ to: boss.name, type: 'next', data: 2 }] }),
    )
    const id = await client.send(worker.name, { replyto: boss.name, id: 'asked', correlationid: 'talk' })
    const receipt = await client.until(id, (r) =>
      r.effects?.every((e: { state: { status: string } }) => e.state.status === 'carried'),
    )
    expect(receipt).toMatchObject({ status: 'completed', result: 7 })
    await expect.poll(() => boss.received().length, { timeout: 10_000 }).toBe(2)
    const events = boss.received().map((raw) => JSON.parse(raw.body.toString()))
    const cause = { source: worker.name, correlationid: 'talk', causationid: 'asked' }
    expect(events).toEqual(
      expect.arrayContaining([
        expect.objectContaining({ ...cause, id: `${id}-1`, type: 'test.note.reply', data: 'yes' }),
        expect.objectContaining({ ...cause, id: `${id}-2`, type: 'next', data: 2 }),
      ]),
    )
  })

  it.each([
    ['malformed', json({ messages: 'all of them' }), 'messages: '],
    ['too large an answer', { status: 200, body: Buffer.alloc(limits.answerBytes + 100_000, ' ') }, 'more than'],
    ['too deep an answer', { status: 200, body: `${'['.repeat(50_000)}${']'.repeat(50_000)}` }, 'nested deeper'],
  ])('%s: the work stays done; the refusal is on the receipt and among the dead letters', async (_, answer, detail) => {
    const { name, received } = await agent(() => answer)
    const id = await client.send(name)
    const receipt = await client.until(id, 'completed')
    expect(receipt.effects[0].state).toMatchObject({ status: 'refused', detail: expect.stringContaining(detail) })
    const letters = async () => (await client.call('GET', `/v1/dead-letters?agent=${name}`)).body.items
    await expect.poll(letters, { timeout: 10_000 }).toMatchObject([{ id: `${id}-e1`, reason: 'effect_refused' }])
    expect(received()).toHaveLength(1)
  })
})

describe('ack: later', () => {
  const later = { ...soon, ack: 'later', ackSeconds: 30 }
  const settle = (raw: Raw, verb: string, more: object = {}) =>
    client.call('POST', `/v1/deliveries/${header(raw, 'webhook-id')}/${verb}`, {
      token: header(raw, 'switchboard-token'),
      ...more,
    })

  it('a 202 stays delivered until the ack with its token; a second ack is told the first one’s result', async () => {
    const { name, received } = await agent(() => ({ status: 202 }), later)
    const id = await client.send(name)
    await client.until(id, 'delivered')
    const [raw] = received()
    expect((await settle(raw!, 'ack', { result: 'done' })).status).toBe(200)
    expect(await client.receipt(id)).toMatchObject({ status: 'completed', attempt: 1, result: 'done' })
    const second = await client.call('POST', `/v1/deliveries/${id}/ack`, { token: 'another', result: 'else' })
    expect([second.status, second.body.code, second.body.result]).toEqual([409, 'already_settled', 'done'])
  })

  it('an ack before the 202 wins', async () => {
    const { name, received } = await agent(async (raw) => {
      await settle(raw, 'ack', { result: 'early' })
      return { status: 202 }
    }, later)
    const id = await client.send(name)
    await client.until(id, 'completed')
    await pause(200)
    expect(await client.receipt(id)).toMatchObject({ status: 'completed', result: 'early', attempt: 1 })
    expect(received()).toHaveLength(1)
  })

  it('no ack in time: tried again, and the old token is stale', async () => {
    const { name, received } = await agent(() => ({ status: 202 }), { ...later, ackSeconds: 0.5 })
    const id = await client.send(name)
    await expect.poll(() => received().length, { timeout: 10_000 }).toBe(2)
    const late = await settle(received()[0]!, 'ack')
    expect([late.status, late.body.code]).toEqual([409, 'stale_lease'])
    expect((await settle(received()[1]!, 'ack')).status).toBe(200)
    expect(await client.receipt(id)).toMatchObject({
      status: 'completed',
      attempt: 2,
      attempts: [{ outcome: 'silence' }, {}],
    })
  })

  it('extended, it is claimed and kept past its window (TC7)', async () => {
    const { name, received } = await agent(() => ({ status: 202 }), { ...later, ackSeconds: 1 })
    const id = await client.send(name)
    await client.until(id, 'delivered')
    const [raw] = received()
    const extended = await settle(raw!, 'extend', { seconds: 60 })
    expect(extended.status).toBe(200)
    expect(Date.parse(extended.body.deadline)).toBeGreaterThan(Date.now() + 50_000)
    await pause(1_500)
    expect((await client.receipt(id)).status).toBe('claimed')
    expect((await settle(raw!, 'nack', { reason: 'changed my mind', terminal: true })).status).toBe(200)
    expect(await client.receipt(id)).toMatchObject({ status: 'dead_lettered', attempts: [{ error: { code: 'nack' } }] })
    expect(received()).toHaveLength(1)
  })
})
