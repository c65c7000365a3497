/**
 * Requests over HTTP in real workerd: who asks, who replies, and what the asker is told (A49 to A52, A98, A104 to A108, A113).
 */

import { describe, expect, it } from 'vitest'
import * as z from 'zod'
import { defineAgent } from '../../workers/define.ts'
import { type Body, call, freshName, leaseOne, pullAgent, type Registered, receipt, send } from './gateway.ts'
import { ownSwitchboard } from './switchboard.ts'

const echo = defineAgent({
  name: 'echo',
  accepts: z.unknown(),
  handle: async (message, ctx) => {
    ctx.reply({ heard: message.data })
  },
})

const own = ownSwitchboard({ agents: [echo] })

/** Asks and does not wait. */
async function open(to: string, more: object = {}, key?: string): Promise<Body> {
  const headers = { Prefer: 'respond-async', ...(key === undefined ? {} : { 'Idempotency-Key': key }) }
  const { status, body } = await call('POST', '/v1/requests', { json: { to, type: 'ask', ...more }, headers })
  expect(status).toBe(202)
  return body
}

const read = async (id: string, query = '') => (await call('GET', `/v1/requests/${id}${query}`)).body
const over = (id: string) => read(id, '?waitSeconds=10')

async function ack(agent: Registered, delivery: Body, more: object = {}) {
  const json = { token: delivery.token, ...more }
  return call('POST', `/v1/deliveries/${delivery.id}/ack`, { key: agent.key, json })
}

describe('a request', () => {
  it('(A49) (A1) (T7) (T16) is answered 200 with the reply of a handler, to which it named itself as the place to reply (A6)', async () => {
    const { status, body, headers } = await own('POST', '/v1/requests', {
      json: { to: 'echo', type: 'ask', data: { n: 1 }, context: [7] },
    })
    expect(body).toMatchObject({
      status: 'replied',
      reply: { type: 'ask.reply', source: 'echo', data: { heard: { n: 1 } } },
      context: [7],
    })
    expect(status).toBe(200)
    expect(headers.get('Location')).toBe(`/v1/requests/${body.id}`)
    const asked = await receipt(body.deliveries[0].id)
    expect(asked.message).toMatchObject({ replyto: `gather:${body.id}`, correlationid: body.id })
    expect(asked.status).toBe('completed')
    expect(JSON.stringify(asked)).not.toContain('context')
  })

  it('(A104, A126) is waited for as long as Prefer says before the answer is one to come back for', async () => {
    const ask = (Prefer: string) =>
      own('POST', '/v1/requests', { json: { to: 'echo', type: 'ask', data: {} }, headers: { Prefer } })
    expect((await ask('respond-async, wait=10')).status).toBe(200)
    expect((await ask('respond-async')).status).toBe(202)
  })

  it('(A104) is told as server-sent events out of the call that asks, to whoever wants a stream', async () => {
    const bob = await pullAgent()
    const ask = (to: string, more: object = {}, headers: Record<string, string> = {}) =>
      own('POST', '/v1/requests', {
        json: { to, type: 'ask', data: { n: 1 }, ...more },
        headers: { Accept: 'text/event-stream', ...headers },
      })
    const eventsOf = ({ body }: { body: unknown }) =>
      [...String(body).matchAll(/^event: (.*)\ndata: (.*)$/gm)].map(([, event, data]) => [event, JSON.parse(data!)])
    const told = await ask('echo')
    expect([told.status, told.headers.get('Content-Type')]).toEqual([200, 'text/event-stream'])
    const [[stands, first], [ended, last]] = eventsOf(told) as [[string, Body], [string, Body]]
    expect([stands, ended, last.reply.data]).toEqual(['pending', 'replied', { heard: { n: 1 } }])
    expect(told.headers.get('Location')).toBe(`/v1/requests/${first.id}`)
    // Told once: what signs its callback.
    const callback = { url: 'http://127.0.0.1:9/hook' }
    const open = eventsOf(await ask(bob.name, { callback, timeoutSeconds: 60 }, { Prefer: 'wait=1' }))
    expect(open).toMatchObject([['pending', { callbackSecret: expect.stringMatching('whsec_') }]])
    const refused = await ask(freshName('nobody'))
    expect([refused.status, refused.body.code]).toEqual([404, 'agent_not_found'])
  })

  it('(A104) repeated by its key as a stream begins with what has come of it', async () => {
    const sent = { json: { to: 'echo', type: 'ask', data: {} }, headers: { 'Idempotency-Key': freshName('k') } }
    const first = await own('POST', '/v1/requests', sent)
    const again = await own('POST', '/v1/requests', {
      ...sent,
      headers: { ...sent.headers, Accept: 'text/event-stream' },
    })
    expect(String(again.body)).toMatch(new RegExp(`^event: replied\\ndata: .*"id":"${first.body.id}".*\\n\\n$`))
  })

  it('(A49) (A50) (A104) (A113) answers 202 and a place to ask again when the caller does not wait, and lists what is pending', async () => {
    const agent = await pullAgent()
    const { id, status } = await open(agent.name, { context: { page: 3 } })
    expect(status).toBe('pending')
    await expect
      .poll(async () => (await call('GET', '/v1/requests?status=pending')).body.items.map((r: Body) => r.id))
      .toContain(id)
    const asked = await leaseOne(agent)
    expect(JSON.stringify(asked)).not.toContain('page')
    await ack(agent, asked, { result: { ok: true } })
    expect(await over(id)).toMatchObject({
      status: 'replied',
      reply: { source: agent.name, data: { ok: true } },
      context: { page: 3 },
    })
    const { body } = await call('GET', '/v1/requests?status=pending')
    expect(body.items.map((r: Body) => r.id)).not.toContain(id)
  })

  it('(A49) a caller who waits shorter than the request lasts is answered 202', async () => {
    const agent = await pullAgent()
    const { status, body } = await call('POST', '/v1/requests', {
      json: { to: agent.name, type: 'ask', timeoutSeconds: 60 },
      headers: { Prefer: 'wait=1' },
    })
    expect([status, body.status]).toEqual([202, 'pending'])
  })

  it('(A51) (T16) a pull agent may also publish its reply to `replyto`; the first wins, another is recorded', async () => {
    const agent = await pullAgent()
    const { id } = await open(agent.name)
    const { message } = await leaseOne(agent)
    const reply = (data: unknown) =>
      send(message.replyto, { type: 'answer', data, causationid: message.id }, { key: agent.key })
    expect((await reply(1)).body).toMatchObject({ standing: 'counted', deliveries: [] })
    expect((await reply(2)).body).toMatchObject({ standing: 'duplicate' })
    expect(await read(id)).toMatchObject({
      status: 'replied',
      reply: { data: 1 },
      beside: [{ standing: 'duplicate', reply: { data: 2 } }],
    })
  })

  it('(A51) a reply from whoever was not asked is refused, to its face by hand and as a dead letter out of a journal', async () => {
    const [agent, stranger] = [await pullAgent(), await pullAgent()]
    const { id } = await open(agent.name)
    const byHand = await send(`gather:${id}`, {}, { key: stranger.key })
    expect([byHand.status, byHand.body.code]).toEqual([403, 'forbidden'])
    // The admin sends it on under a message of its own: the same id names another message when the gather did not send it.
    const asked = await leaseOne(agent)
    await send(stranger.name, { id: asked.message.id, replyto: `gather:${id}` }, { key: agent.key })
    const copy = await leaseOne(stranger)
    await ack(stranger, copy, { result: 'mine' })
    await expect.poll(async () => (await receipt(copy.id)).effects?.[0].state).toMatchObject({ reason: 'not_expected' })
    expect(await read(id)).toMatchObject({ status: 'pending' })
  })

  it('(T18) (A52) (A98) nobody in time is 504 request_timeout; a reply that still comes is late, on both sides, and no dead letter', async () => {
    const agent = await pullAgent()
    const { status, body } = await call('POST', '/v1/requests', {
      json: { to: agent.name, type: 'ask', timeoutSeconds: 0.5 },
      headers: { 'Idempotency-Key': agent.name },
    })
    expect([status, body.code, body.retryable]).toEqual([504, 'request_timeout', true])
    const recalled = await read(body.request)
    await expect.poll(async () => (await receipt(recalled.deliveries[0].id)).status).toBe('cancelled')

    const { id } = await open(agent.name, { timeoutSeconds: 0.5 })
    const taken = await leaseOne(agent)
    expect(await over(id)).toMatchObject({ status: 'timed_out', problem: { code: 'request_timeout' } })
    await ack(agent, taken, { result: 'too late' })
    await expect.poll(() => read(id)).toMatchObject({ beside: [{ standing: 'late', reply: { data: 'too late' } }] })
    const told = await receipt(taken.id)
    expect(told).toMatchObject({ status: 'completed', effects: [{ state: { status: 'carried', standing: 'late' } }] })
    const { body: letters } = await call('GET', `/v1/dead-letters?agent=${agent.name}`)
    expect(letters.items).toEqual([])
  })

  it('(T18) a leg that dies is told at once, with who failed and why, and not as a time-out', async () => {
    const agent = await pullAgent()
    const { id } = await open(agent.name, { timeoutSeconds: 3_600 })
    const { id: delivery, token } = await leaseOne(agent)
    const json = { token, terminal: true, reason: 'no such page' }
    await call('POST', `/v1/deliveries/${delivery}/nack`, { key: agent.key, json })
    expect(await over(id)).toMatchObject({
      status: 'failed',
      problem: {
        code: 'request_failed',
        agent: agent.name,
        delivery,
        reason: 'terminal',
        error: { message: 'no such page' },
      },
    })
  })

  it('(T18) one who waits is answered 502 when the handler gives up, and 404 or 429 when nobody could be asked', async () => {
    const failing = defineAgent({
      name: 'failing',
      accepts: z.unknown(),
      policy: { maxAttempts: 1 },
      handle: () => Promise.reject(new Error('out of paper')),
    })
    const failed = await ownSwitchboard({ agents: [failing] })('POST', '/v1/requests', {
      json: { to: 'failing', type: 'ask' },
    })
    expect([failed.status, failed.body.code, failed.body.error.message]).toEqual([
      502,
      'request_failed',
      'out of paper',
    ])
    const unknown = await call('POST', '/v1/requests', { json: { to: freshName(), type: 'ask' } })
    expect([unknown.status, unknown.body.code]).toEqual([404, 'agent_not_found'])
    const full = await pullAgent({ depth: 1 })
    await send(full.name)
    const refused = await call('POST', '/v1/requests', { json: { to: full.name, type: 'ask' } })
    expect([refused.status, refused.body.code]).toEqual([429, 'backpressure'])
  })

  it('a cancelled or dead delivery that nobody will answer ends its request; so does an answer that cannot be kept', async () => {
    const agent = await pullAgent()
    const { id } = await open(agent.name)
    const { deliveries } = await read(id)
    await call('DELETE', `/v1/deliveries/${deliveries[0].id}`)
    expect(await over(id)).toMatchObject({
      problem: { code: 'request_failed', status: 502, delivery: deliveries[0].id },
    })

    const wordy = defineAgent({ name: 'wordy', accepts: z.unknown(), handle: async () => 'x'.repeat(300_000) })
    const asked = ownSwitchboard({ agents: [wordy] })
    const told = await asked('POST', '/v1/requests', { json: { to: 'wordy', type: 'ask' } })
    expect(told.body).toMatchObject({ code: 'request_failed', why: 'no_reply', status: 502 })
    expect(told.body.error.message).toContain('300002 bytes')
  })

  it('two calls with one key are one request, and the repeat is answered as the first; other content is 422', async () => {
    const agent = await pullAgent()
    const first = await open(agent.name, { data: 1 }, `key-${agent.name}`)
    const again = await open(agent.name, { data: 1, timeoutSeconds: 60 }, `key-${agent.name}`)
    expect(again.id).toBe(first.id)
    const { body } = await call('GET', `/v1/agents/${agent.name}/mailbox`)
    expect(body.depth).toBe(1)
    const other = await call('POST', '/v1/requests', {
      json: { to: agent.name, type: 'ask', data: 2 },
      headers: { 'Idempotency-Key': `key-${agent.name}` },
    })
    expect([other.status, other.body.code]).toEqual([422, 'key_reused'])
  })

  it('(A105) the broker asks again, or replies with the asker’s default, marked as such', async () => {
    const agent = await pullAgent()
    const asking = { timeoutSeconds: 0.6, onTimeout: { kind: 'retry', times: 10 } }
    const { id } = await open(agent.name, asking)
    await expect.poll(async () => (await read(id)).rounds).toBeGreaterThan(1)
    const second = await leaseOne(agent, { waitSeconds: 5 })
    await ack(agent, second, { result: 'at last' })
    expect(await over(id)).toMatchObject({ status: 'replied', reply: { data: 'at last' } })

    const onTimeout = { kind: 'default', data: { stale: true } }
    const { status, body } = await call('POST', '/v1/requests', {
      json: { to: agent.name, type: 'ask', timeoutSeconds: 0.2, onTimeout },
    })
    expect(status).toBe(200)
    expect(body).toMatchObject({
      status: 'replied',
      fallback: true,
      reply: { data: { stale: true }, source: 'switchboard' },
    })
  })

  it('(A52) the asker may wait no more: who has not begun is not asked, and the request is over for everybody', async () => {
    const agent = await pullAgent()
    const { id } = await open(agent.name)
    const cancelled = await call('DELETE', `/v1/requests/${id}`)
    expect([cancelled.status, cancelled.body.status]).toEqual([200, 'cancelled'])
    expect(await leaseOne(agent)).toBeUndefined()
    const foreign = await call('GET', `/v1/requests/${id}`, { key: agent.key })
    expect([foreign.status, foreign.body.code]).toEqual([403, 'forbidden'])
    const other = await open(agent.name)
    await ack(agent, await leaseOne(agent))
    await over(other.id)
    const late = await call('DELETE', `/v1/requests/${other.id}`)
    expect([late.status, late.body.code]).toEqual([409, 'request_over'])
  })

  it('(A70) an open breaker is 503 with evidence to one who waits, and a wait to one who does not', async () => {
    const name = freshName('down')
    const registration = { kind: 'webhook', url: `http://127.0.0.1:9/${name}` }
    await call('PUT', `/v1/agents/${name}`, { json: registration })
    await call('PUT', `/v1/agents/${name}/breaker`, { json: { force: 'open' } })
    const waiting = await call('POST', '/v1/requests', { json: { to: name, type: 'ask' } })
    expect([waiting.status, waiting.body.code]).toEqual([503, 'breaker_open'])
    expect(waiting.body).toMatchObject({ agent: name, lastError: expect.any(String) })
    expect(Number(waiting.headers.get('Retry-After'))).toBeGreaterThan(0)
    const { id } = await open(name)
    expect(await read(id)).toMatchObject({ status: 'pending' })
  })

  it('(A108) any mailbox or topic may be where the reply goes: the asker then fetches it itself (A6)', async () => {
    const [agent, answers] = [await pullAgent(), await pullAgent()]
    await send(agent.name, { replyto: answers.name })
    await ack(agent, await leaseOne(agent), { effects: { reply: { data: 42 } } })
    const reply = await leaseOne(answers, { waitSeconds: 5 })
    expect(reply.message).toMatchObject({ type: 'test.note.reply', data: 42 })
  })

  it('goes to one agent only: no topic, nobody else’s `replyto`, nothing that is not stored', async () => {
    const cases = [
      [{ to: '*', type: 'ask' }, 400],
      [{ to: 'echo', type: 'ask', topic: 'news' }, 400],
      [{ to: 'echo', type: 'ask', replyto: 'somebody' }, 400],
      [{ to: 'echo', type: 'ask', deliverymode: 'at_most_once' }, 422],
      [{ to: 'capability:nobody-can', type: 'ask' }, 404],
    ] as const
    for (const [json, status] of cases)
      expect([json, (await call('POST', '/v1/requests', { json })).status]).toEqual([json, status])
    expect((await call('GET', '/v1/requests/g-nothing')).status).toBe(404)
    expect((await send('gather:g-nothing')).status).toBe(400)
    expect((await send(`gather:g-${'a'.repeat(26)}`)).status).toBe(404)
  })
})
