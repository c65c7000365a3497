/** Receipts, cancelling, and settling by token over HTTP. */
import { exports } from 'cloudflare:workers'
import { describe, expect, it } from 'vitest'
import { limits } from '../../shared/limits.ts'
import {
  type Answered,
  adminKey,
  type Body,
  call,
  freshName,
  leaseOne,
  pullAgent,
  type Registered,
  receipt,
  sendId,
} from './gateway.ts'

type Verb = 'ack' | 'nack' | 'extend'

const settle = (verb: Verb, id: string, key: string, json: object): Promise<Answered> =>
  call('POST', `/v1/deliveries/${id}/${verb}`, { key, json })

/** A delivery under lease. */
async function leased(policy: object = {}): Promise<{ agent: Registered; id: string; token: string }> {
  const agent = await pullAgent({ backoff: { initialSeconds: 0, jitter: 'none' }, ...policy })
  await sendId(agent.name)
  const { id, token } = await leaseOne(agent)
  return { agent, id, token }
}

const steps = async (id: string): Promise<string[]> => (await receipt(id)).steps.map((s: Body) => s.step)
const missing = (agent: string) => `${agent}_${'a'.repeat(26)}`

describe('a receipt', () => {
  it('is readable by sender, addressee and admin, and by nobody else (S2)', async () => {
    const [sender, addressee, stranger] = [await pullAgent(), await pullAgent(), await pullAgent()]
    const id = await sendId(addressee.name, { data: 'private' }, { key: sender.key })
    for (const key of [sender.key, addressee.key, undefined]) {
      const { status, body } = await call('GET', `/v1/deliveries/${id}`, key === undefined ? {} : { key })
      expect([status, body.message.data]).toEqual([200, undefined])
    }
    for (const method of ['GET', 'DELETE']) {
      const { status, body } = await call(method, `/v1/deliveries/${id}`, { key: stranger.key })
      expect([status, body.code]).toEqual([403, 'forbidden'])
    }
    expect((await receipt(id)).status).toBe('held')
  })

  it('of a delivery that never was is 404, and so is one whose id cannot be', async () => {
    const agent = await pullAgent()
    for (const id of [missing(agent.name), missing(freshName()), 'nonsense', 'a_b', `${agent.name}_`, 'a%00b']) {
      for (const method of ['GET', 'DELETE']) {
        const { status, body } = await call(method, `/v1/deliveries/${id}`)
        expect([id, status, body.code]).toEqual([id, 404, 'not_found'])
      }
      for (const verb of ['ack', 'nack'] as const) {
        const { status } = await settle(verb, id, 'test-admin-key', { token: 'x' })
        expect([id, verb, status]).toEqual([id, verb, 404])
      }
      expect((await settle('extend', id, 'test-admin-key', { token: 'x', seconds: 1 })).status).toBe(404)
    }
  })

  it('tells the way of a delivery, step by step, with its attempts (A17)', async () => {
    const { agent, id, token } = await leased()
    await settle('nack', id, agent.key, { token, reason: 'model overloaded' })
    const again = await leaseOne(agent)
    expect(again).toMatchObject({ id, attempt: 2, previousError: 'model overloaded' })
    await settle('ack', id, agent.key, { token: again.token, result: { pages: 3 } })
    expect(await receipt(id)).toMatchObject({
      status: 'completed',
      attempt: 2,
      maxAttempts: 4,
      result: { pages: 3 },
      attempts: [
        { number: 1, outcome: 'retry', counted: true, error: { code: 'nack', message: 'model overloaded' } },
        { number: 2, outcome: 'ok', counted: true },
      ],
    })
    expect(await steps(id)).toEqual(['accepted', 'claimed', 'held', 'claimed', 'completed'])
  })
})

describe('waiting for a rung (TC2)', () => {
  const until = (id: string, query: string, key?: string): Promise<Answered> =>
    call('GET', `/v1/deliveries/${id}?until=${query}`, key === undefined ? {} : { key })

  it('is answered as soon as the delivery stands on it, well before the time is over', async () => {
    const agent = await pullAgent()
    const id = await sendId(agent.name)
    const startedAt = performance.now()
    const [claimed, completed] = [until(id, 'claimed&waitSeconds=20'), until(id, 'completed&waitSeconds=20')]
    const { token } = await leaseOne(agent)
    expect((await claimed).body).toMatchObject({ id, reached: true })
    await settle('ack', id, agent.key, { token, result: 7 })
    expect((await completed).body).toMatchObject({ status: 'completed', result: 7, reached: true })
    expect(performance.now() - startedAt).toBeLessThan(10_000)
  })

  it('answers the receipt as it is when the time is over', async () => {
    const { id } = await leased()
    const startedAt = performance.now()
    const { status, body } = await until(id, 'completed&waitSeconds=0.3')
    expect([status, body.status, body.reached]).toEqual([200, 'claimed', false])
    expect(performance.now() - startedAt).toBeGreaterThanOrEqual(300)
    expect((await until(id, 'completed')).body.reached).toBe(false)
  })

  it('ends with the delivery, however it ended: nobody waits for what cannot come', async () => {
    const { id } = await leased()
    const startedAt = performance.now()
    const waiting = until(id, 'completed&waitSeconds=20')
    await call('DELETE', `/v1/deliveries/${id}`)
    expect((await waiting).body).toMatchObject({ status: 'cancelled', reached: false })
    expect(performance.now() - startedAt).toBeLessThan(10_000)
  })

  it('is for those who may read the receipt (S2)', async () => {
    const [{ id }, stranger] = [await leased(), await pullAgent()]
    const { status, body } = await until(id, 'completed&waitSeconds=20', stranger.key)
    expect([status, body.code]).toEqual([403, 'forbidden'])
  })

  it('is told of each rung as it is reached, to whom may read, until the end or the one that was asked for (A17)', async () => {
    const agent = await pullAgent()
    const id = await sendId(agent.name)
    const headers = { Accept: 'text/event-stream' }
    const asked = new Request(`http://switchboard.test/v1/deliveries/${id}`, {
      headers: { ...headers, Authorization: `Bearer ${adminKey}` },
    })
    const stream = await exports.default.fetch(asked)
    expect(stream.headers.get('Content-Type')).toBe('text/event-stream')
    const reader = stream.body!.pipeThrough(new TextDecoderStream()).getReader()
    let text = ''
    const told = async (status: string) => {
      while (!text.includes(`event: ${status}\n`)) {
        const { value, done } = await reader.read()
        if (done) throw new Error(`the stream ended without ${status}: ${text}`)
        text += value
      }
    }
    await told('held')
    const toClaimed = call('GET', `/v1/deliveries/${id}?until=claimed`, { headers })
    const { token } = await leaseOne(agent)
    await told('claimed')
    expect(String((await toClaimed).body)).toMatch(/event: claimed\ndata: .*\n\n$/)
    await settle('ack', id, agent.key, { token })
    await told('completed')
    expect((await reader.read()).done).toBe(true)
    const again = await call('GET', `/v1/deliveries/${id}`, { headers })
    expect(String(again.body)).toMatch(/^event: completed\ndata: .*\n\n$/)
    expect((await call('GET', `/v1/deliveries/${id}`, { headers, key: (await pullAgent()).key })).status).toBe(403)
  })

  it('asks for a rung that there is, no longer than a proxy allows', async () => {
    const { id } = await leased()
    for (const [query, path] of [
      ['until=held', 'until'],
      ['until=completed&waitSeconds=51', 'waitSeconds'],
      ['until=completed&waitSeconds=x', 'waitSeconds'],
      ['waitSeconds=1', 'until'],
    ]) {
      const { status, body } = await call('GET', `/v1/deliveries/${id}?${query}`)
      expect([query, status, body.issues?.[0]?.path]).toEqual([query, 400, path])
    }
    expect((await receipt(id)).reached).toBeUndefined()
  })
})

describe('cancelling', () => {
  it('ends a delivery that waits: it is never leased, and cancelling again is the same cancel (TB3)', async () => {
    const [sender, agent] = [await pullAgent(), await pullAgent()]
    const id = await sendId(agent.name, {}, { key: sender.key })
    for (const key of [sender.key, agent.key]) {
      const { status, body } = await call('DELETE', `/v1/deliveries/${id}`, { key })
      expect([status, body]).toEqual([200, { id, status: 'cancelled' }])
    }
    expect(await leaseOne(agent)).toBeUndefined()
    expect((await receipt(id)).status).toBe('cancelled')
  })

  it('fences off a delivery in flight: the late ack is told so (TB3)', async () => {
    const { agent, id, token } = await leased()
    await call('DELETE', `/v1/deliveries/${id}`)
    const { status, body } = await settle('ack', id, agent.key, { token })
    expect([status, body.code, body.ended]).toEqual([409, 'already_settled', 'cancelled'])
  })

  it('comes too late for what has ended', async () => {
    const { agent, id, token } = await leased()
    await settle('ack', id, agent.key, { token })
    const { status, body } = await call('DELETE', `/v1/deliveries/${id}`)
    expect([status, body.code, body.ended]).toEqual([409, 'already_settled', 'completed'])
  })

  it('releases the publisher’s key, so that a re-send works', async () => {
    const agent = await pullAgent()
    const id = await sendId(agent.name, { id: 'a' })
    await call('DELETE', `/v1/deliveries/${id}`)
    expect(await sendId(agent.name, { id: 'a' })).not.toBe(id)
  })
})

describe('an ack', () => {
  it('settles, and the same ack again gets the same answer', async () => {
    const { agent, id, token } = await leased()
    for (let i = 0; i < 2; i++) {
      const { status, body } = await settle('ack', id, agent.key, { token, result: i })
      expect([status, body]).toEqual([200, { id, status: 'settled' }])
    }
    expect((await receipt(id)).result).toBe(0)
  })

  it('with another token is 409 and is told the first one’s result: a result is never replaced (M2, A18, A90)', async () => {
    const { agent, id, token } = await leased()
    await settle('ack', id, agent.key, { token, result: { by: 'first' } })
    const { status, body } = await settle('ack', id, agent.key, { token: 'other', result: { by: 'second' } })
    expect([status, body.code, body.ended, body.result]).toEqual([409, 'already_settled', 'completed', { by: 'first' }])
  })

  it('with the token of a lease that was given back is stale: the nack stands, and the next lease is not its business', async () => {
    const { agent, id, token } = await leased()
    await settle('nack', id, agent.key, { token })
    expect((await settle('ack', id, agent.key, { token })).body.code).toBe('stale_lease')
    const again = await leaseOne(agent)
    expect((await settle('ack', id, agent.key, { token })).body.code).toBe('stale_lease')
    expect((await receipt(id)).status).toBe('claimed')
    expect((await settle('ack', id, agent.key, { token: again.token })).status).toBe(200)
  })

  it('with the token of an expired lease is stale: nobody is told that late work counted (A18)', async () => {
    const agent = await pullAgent({ backoff: { initialSeconds: 60, jitter: 'none' } })
    const id = await sendId(agent.name)
    const { token } = await leaseOne(agent, { leaseSeconds: 0.05 })
    await expect.poll(async () => (await receipt(id)).status, { timeout: 3_000 }).toBe('held')
    const { status, body } = await settle('ack', id, agent.key, { token, result: 'late' })
    expect([status, body.code, body.retryable]).toEqual([409, 'stale_lease', false])
    const told = await receipt(id)
    expect([told.status, told.result, told.attempts[0].outcome]).toEqual(['held', undefined, 'silence'])
  })

  it('with a foreign token, of another delivery, is 409 and changes nothing', async () => {
    const [one, two] = [await leased(), await leased()]
    const { status, body } = await settle('ack', one.id, one.agent.key, { token: two.token })
    expect([status, body.code]).toEqual([409, 'stale_lease'])
    expect((await receipt(one.id)).status).toBe('claimed')
  })

  it('is the agent’s own: a valid token in other hands opens nothing', async () => {
    const { id, token } = await leased()
    const thief = await pullAgent()
    for (const [verb, more] of [
      ['ack', {}],
      ['nack', {}],
      ['extend', { seconds: 1 }],
    ] as const) {
      const { status, body } = await settle(verb, id, thief.key, { token, ...more })
      expect([verb, status, body.code]).toEqual([verb, 403, 'forbidden'])
    }
    expect((await receipt(id)).status).toBe('claimed')
  })

  it('carries its effects out, once, however often it is repeated (M2)', async () => {
    const { agent, id, token } = await leased()
    const target = await pullAgent()
    const effects = { messages: [{ to: target.name, type: 'next', data: { n: 1 } }] }
    for (let i = 0; i < 3; i++) await settle('ack', id, agent.key, { token, effects })
    await expect.poll(async () => (await receipt(id)).effects[0].state.status).toBe('carried')
    const [delivery] = (await receipt(id)).effects[0].state.deliveries
    expect((await receipt(delivery)).message).toMatchObject({ id: `${id}-1`, source: agent.name, type: 'next' })
    const { body } = await call('GET', `/v1/agents/${target.name}/mailbox`)
    expect(body.depth).toBe(1)
  })

  it('replies to the replyto of its message', async () => {
    const [asker, worker] = [await pullAgent(), await pullAgent()]
    await sendId(worker.name, { type: 'ask', replyto: asker.name }, { key: asker.key })
    const { id, token, message } = await leaseOne(worker)
    await settle('ack', id, worker.key, { token, effects: { reply: { data: 42 } } })
    await expect
      .poll(() => leaseOne(asker))
      .toMatchObject({
        message: { type: 'ask.reply', data: 42, causationid: message.id, correlationid: message.correlationid },
      })
  })

  it('with effects that cannot be is refused while somebody is there to correct them, and the lease goes on', async () => {
    const { agent, id, token } = await leased()
    const wrong: [object, string][] = [
      [{ massages: [] }, 'effects'],
      [{ messages: [{ type: 'x' }] }, 'effects.messages.0.to'],
      [{ messages: [{ to: 'a', type: 'x', deliverymode: 'at_most_once' }] }, 'effects.messages.0.deliverymode'],
      [{ messages: Array.from({ length: 101 }, () => ({ to: 'a', type: 'x' })) }, 'effects.messages'],
    ]
    for (const [effects, path] of wrong) {
      const { status, body } = await settle('ack', id, agent.key, { token, effects })
      expect([status, body.code, body.issues?.[0]?.path]).toEqual([400, 'invalid_request', path])
    }
    expect((await receipt(id)).status).toBe('claimed')
  })

  it('takes a result of exactly its limit; one byte more is 413, and so are effects beyond theirs', async () => {
    const { agent, id, token } = await leased()
    const result = 'a'.repeat(limits.resultBytes - 2)
    const big = await settle('ack', id, agent.key, { token, result: `${result}a` })
    expect([big.status, big.body.code, big.body.what]).toEqual([413, 'too_large', 'result'])
    const messages = [{ to: agent.name, type: 'x', data: 'a'.repeat(limits.effectsBytes) }]
    const many = await settle('ack', id, agent.key, { token, effects: { messages } })
    expect([many.status, many.body.what]).toEqual([413, 'effects'])
    expect((await settle('ack', id, agent.key, { token, result })).status).toBe(200)
    expect((await receipt(id)).result).toBe(result)
  })
})

describe('a nack', () => {
  it('with delaySeconds holds the delivery for exactly so long (A103)', async () => {
    const { agent, id, token } = await leased()
    const before = Date.now()
    expect((await settle('nack', id, agent.key, { token, delaySeconds: 3_600 })).body).toEqual({
      id,
      status: 'settled',
    })
    const { status, nextAttemptAt } = await receipt(id)
    expect(status).toBe('held')
    const delayMs = Date.parse(nextAttemptAt) - before
    expect(delayMs).toBeGreaterThanOrEqual(3_600_000)
    expect(delayMs).toBeLessThan(3_605_000)
  })

  it('that is terminal makes a dead letter at once, with the reason it gave', async () => {
    const { agent, id, token } = await leased()
    await settle('nack', id, agent.key, { token, terminal: true, reason: 'cannot read Klingon' })
    expect(await receipt(id)).toMatchObject({
      status: 'dead_lettered',
      deadLetter: { id, reason: 'terminal' },
      attempts: [{ outcome: 'fail', error: { code: 'nack', message: 'cannot read Klingon' } }],
    })
  })

  it('of the last attempt makes a dead letter', async () => {
    const { agent, id, token } = await leased({ maxAttempts: 1 })
    await settle('nack', id, agent.key, { token })
    expect((await receipt(id)).deadLetter).toEqual({ id, reason: 'attempts_exhausted' })
  })
})

describe('an extension', () => {
  it('moves the deadline, counted from now (A103, TC7)', async () => {
    const { agent, id, token } = await leased()
    const before = Date.now()
    const { status, body } = await settle('extend', id, agent.key, { token, seconds: 3_600 })
    expect([status, body.id]).toEqual([200, id])
    const leftMs = Date.parse(body.deadline) - before
    expect(leftMs).toBeGreaterThanOrEqual(3_600_000)
    expect(leftMs).toBeLessThan(3_605_000)
  })

  it('tells the receipt how far the work is (TC7)', async () => {
    const { agent, id, token } = await leased()
    const progress = { percent: 62.5, note: '5 of 8 sources read' }
    expect((await settle('extend', id, agent.key, { token, seconds: 60, progress })).status).toBe(200)
    const told = await receipt(id)
    expect(told.progress).toEqual({ ...progress, at: expect.any(String) })
    expect(Math.abs(Date.parse(told.progress.at) - Date.now())).toBeLessThan(5_000)
  })

  it('with a token that does not hold it is stale, and after the end it is told the result', async () => {
    const { agent, id, token } = await leased()
    const stale = await settle('extend', id, agent.key, { token: 'other', seconds: 1 })
    expect([stale.status, stale.body.code]).toEqual([409, 'stale_lease'])
    await settle('ack', id, agent.key, { token, result: 7 })
    const late = await settle('extend', id, agent.key, { token, seconds: 1 })
    expect([late.status, late.body.code, late.body.result]).toEqual([409, 'already_settled', 7])
  })
})

describe('bad input is refused with its code', () => {
  const cases: readonly [Verb, object, string][] = [
    ['ack', {}, 'token'],
    ['ack', { token: '' }, 'token'],
    ['ack', { token: 'x', results: 1 }, ''],
    ['nack', { token: 'x', delaySeconds: -1 }, 'delaySeconds'],
    ['nack', { token: 'x', delaySeconds: limits.delaySeconds + 1 }, 'delaySeconds'],
    ['nack', { token: 'x', reason: 'r'.repeat(limits.errorMessageLength + 1) }, 'reason'],
    ['extend', { token: 'x' }, 'seconds'],
    ['extend', { token: 'x', seconds: 1, progress: {} }, 'progress'],
    ['extend', { token: 'x', seconds: 1, progress: { percent: 101 } }, 'progress.percent'],
    ['extend', { token: 'x', seconds: 1, progress: { note: 'n'.repeat(1_001) } }, 'progress.note'],
    ['extend', { token: 'x', seconds: limits.leaseSeconds + 1 }, 'seconds'],
  ]
  for (const [verb, json, path] of cases)
    it(`${verb} ${JSON.stringify(json).slice(0, 60)}: invalid_request at ${path || '(body)'}`, async () => {
      const { status, body } = await settle(verb, missing(freshName()), 'test-admin-key', json)
      expect([status, body.code, body.issues[0].path]).toEqual([400, 'invalid_request', path])
    })
})
