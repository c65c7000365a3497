/** Promises over HTTP, in real workerd: made, kept, broken, waited for, told, and never ended twice (A107). */
import { runDurableObjectAlarm } from 'cloudflare:test'
import { env } from 'cloudflare:workers'
import { describe, expect, it, vi } from 'vitest'
import type { PromisePort } from '../../shared/promise.ts'
import { adminKey, call, freshName, leaseOne, pullAgent } from './gateway.ts'

const make = (json: object = {}, key = adminKey) => call('POST', '/v1/promises', { key, json })
const read = (id: string, key = adminKey, query = '') => call('GET', `/v1/promises/${id}${query}`, { key })
const end = (id: string, how: 'resolve' | 'reject', json: object, key = adminKey) =>
  call('POST', `/v1/promises/${id}/${how}`, { key, json })
const objectOf = (id: string) => env.PROMISES.getByName(id)
// The object's class is not known to the generated types of the test.
const alarm = (id: string) => runDurableObjectAlarm(objectOf(id) as unknown as DurableObjectStub<undefined>)

describe('a promise', () => {
  it('kept before anybody waits has its value for whoever comes later (A107)', async () => {
    const [ada, bob] = [await pullAgent(), await pullAgent()]
    const made = await make({ resolvers: [bob.name], timeoutSeconds: 60 }, ada.key)
    const { id } = made.body
    expect([made.status, made.headers.get('Location')]).toEqual([201, `/v1/promises/${id}`])
    expect(made.body).toMatchObject({ status: 'pending', madeBy: ada.name, resolvers: [bob.name] })
    const kept = await end(id, 'resolve', { value: { paid: true } }, bob.key)
    expect(kept.body).toMatchObject({ status: 'resolved', value: { paid: true }, endedBy: bob.name })
    for (const query of ['', '?waitSeconds=20'])
      expect((await read(id, ada.key, query)).body).toMatchObject({ status: 'resolved', value: { paid: true } })
  })

  it('answers who waits when it is broken, and not before (A107)', async () => {
    const { id } = (await make()).body
    const waiting = read(id, adminKey, '?waitSeconds=20')
    await end(id, 'reject', { error: 'no stock' })
    expect((await waiting).body).toMatchObject({ status: 'rejected', error: 'no stock' })
    const open = (await make()).body.id
    expect((await read(open, adminKey, '?waitSeconds=0.05')).body).toMatchObject({ id: open, status: 'pending' })
  })

  it('ends once: the same again is answered alike, anything else is told what ended it (A107, G1)', async () => {
    const { id } = (await make()).body
    const first = (await end(id, 'resolve', {})).body
    expect(first).toMatchObject({ status: 'resolved', value: null })
    expect((await end(id, 'resolve', { value: null })).body).toEqual(first)
    for (const [how, json] of [
      ['resolve', { value: 2 }],
      ['reject', {}],
    ] as const) {
      const { status, body } = await end(id, how, json)
      expect([status, body]).toMatchObject([409, { code: 'promise_over', promise: id, ended: 'resolved', value: null }])
    }
    const races = (await make()).body.id
    const answers = await Promise.all([1, 2, 3, 4].map((value) => end(races, 'resolve', { value })))
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 409, 409, 409])
  })

  it('of one name is one promise of its maker; with other content the name is taken (A107)', async () => {
    const [ada, bob] = [await pullAgent(), await pullAgent()]
    const name = freshName('paid')
    const [first, again, other] = [
      await make({ name }, ada.key),
      await make({ name }, ada.key),
      await make({ name }, bob.key),
    ]
    expect([first.status, again.status, again.body]).toEqual([201, 200, first.body])
    expect(other.body.id).not.toBe(first.body.id)
    expect((await make({ name, timeoutSeconds: 5 }, ada.key)).body.code).toBe('key_reused')
  })

  it('of one Idempotency-Key is one promise of its maker, too; with other content the key is taken (A107)', async () => {
    const [ada, bob] = [await pullAgent(), await pullAgent()]
    const keyed = (key: string, json: object = {}) =>
      call('POST', '/v1/promises', { key, json, headers: { 'Idempotency-Key': 'order-7' } })
    const [first, again, other] = [await keyed(ada.key), await keyed(ada.key), await keyed(bob.key)]
    expect([first.status, again.status, again.body]).toEqual([201, 200, first.body])
    expect(other.body.id).not.toBe(first.body.id)
    const reused = await keyed(ada.key, { timeoutSeconds: 5 })
    expect([reused.status, reused.body.code, reused.body.delivery]).toEqual([422, 'key_reused', first.body.id])
  })

  it('is nobody’s but its maker’s, whom it names, and an admin’s; no id that was not given away exists (A107, S2)', async () => {
    const [ada, eve] = [await pullAgent(), await pullAgent()]
    const { id } = (await make({}, ada.key)).body
    for (const { status, body } of [await read(id, eve.key), await end(id, 'resolve', { value: 1 }, eve.key)])
      expect([status, body.code]).toEqual([403, 'forbidden'])
    expect((await read(id, ada.key)).body.status).toBe('pending')
    for (const wrong of ['pr-m4t2kz7qfa6x3hnc5w2yv7dbre', 'x'])
      expect([(await read(wrong)).status, (await end(wrong, 'reject', {})).status]).toEqual([404, 404])
    const quiet = await pullAgent({}, { permissions: { send: [] } })
    expect((await make({ notify: ada.name }, quiet.key)).body.code).toBe('forbidden')
    expect((await make({ notify: 'gather:g-m4t2kz7qfa6x3hnc5w2yv7dbre' })).body.code).toBe('invalid_request')
  })

  it('tells an agent of its end, once, under its maker’s source (A107, M2)', async () => {
    const [ada, bob] = [await pullAgent(), await pullAgent()]
    const { id } = (await make({ notify: bob.name, name: freshName('n') }, ada.key)).body
    const { told } = (await end(id, 'resolve', { value: 7 })).body
    expect(told).toMatchObject({ status: 'carried' })
    const { message } = await leaseOne(bob)
    expect(message).toMatchObject({ type: 'switchboard.promise.resolved', source: ada.name, subject: id })
    expect(message.data).toMatchObject({ promise: id, status: 'resolved', value: 7, endedBy: 'admin' })
    await end(id, 'resolve', { value: 7 })
    expect((await call('GET', `/v1/agents/${bob.name}/deliveries`)).body.items).toHaveLength(1)
  })

  it('moves a workflow that waits for it (A107)', async () => {
    const workflow = freshName('order')
    const definition = { initial: 'waiting', states: { waiting: { on: { promise_resolved: 'paid' } }, paid: {} } }
    await call('POST', '/v1/workflows', { json: { id: workflow, definition } })
    const { id } = (await make({ notify: `workflow:${workflow}` })).body
    expect((await end(id, 'resolve', { value: 1 })).body.told.status).toBe('carried')
    expect((await call('GET', `/v1/workflows/${workflow}`)).body.value).toBe('paid')
  })

  it('that nobody keeps times out by its alarm, and the news goes to the queue (A107, M6)', async () => {
    const bob = await pullAgent()
    const { id } = (await make({ notify: bob.name, timeoutSeconds: 0.05 })).body
    await vi.waitFor(async () => {
      await alarm(id)
      expect((await read(id)).body.told?.status).toBe('carried')
    }, 20_000)
    expect((await read(id)).body).toMatchObject({ status: 'timed_out' })
    expect((await end(id, 'resolve', { value: 1 })).body).toMatchObject({ code: 'promise_over', ended: 'timed_out' })
    expect((await leaseOne(bob)).message.type).toBe('switchboard.promise.timed_out')
  })

  it('gives a repeat of each call the answer of the first (A107)', async () => {
    const { id } = (await make()).body
    const port = objectOf(id) as unknown as PromisePort
    const ending = { status: 'resolved', by: 'admin', value: 1 } as const
    const [first, again] = [await port.end(ending), await port.end(ending)]
    expect([first?.status, again?.status, again?.promise]).toEqual(['ended', 'repeated', first?.promise])
  })

  it('is told as server-sent events to whoever wants a stream in place of waiting (A104, A107)', async () => {
    const { id } = (await make()).body
    const headers = { Accept: 'text/event-stream' }
    const reading = call('GET', `/v1/promises/${id}`, { headers })
    await end(id, 'resolve', { value: 1 })
    const { body, headers: got } = await reading
    expect(got.get('Content-Type')).toBe('text/event-stream')
    const named = [...String(body).matchAll(/^event: (.*)\ndata: (.*)$/gm)].map(([, event, data]) => [
      event,
      JSON.parse(data!),
    ])
    expect(named.at(-1)).toMatchObject(['resolved', { id, value: 1 }])
    const open = (await make()).body.id
    const cut = await call('GET', `/v1/promises/${open}?waitSeconds=0.05`, { headers })
    expect(String(cut.body)).toMatch(/^event: pending\ndata: .*\n\n: still here\n\n$/)
    const eve = await pullAgent()
    expect((await call('GET', `/v1/promises/${open}`, { headers, key: eve.key })).body.code).toBe('forbidden')
  })

  it('is how a request may be waited for too: now as it stands, and its reply when it comes (A104)', async () => {
    const bob = await pullAgent()
    const asked = await call('POST', '/v1/requests', {
      json: { to: bob.name, type: 't', timeoutSeconds: 60 },
      headers: { Prefer: 'respond-async' },
    })
    const reading = call('GET', `/v1/requests/${asked.body.id}`, { headers: { Accept: 'text/event-stream' } })
    const { id, token } = await leaseOne(bob)
    const json = { token, effects: { reply: { data: 'yes' } } }
    await call('POST', `/v1/deliveries/${id}/ack`, { key: bob.key, json })
    const events = [...String((await reading).body).matchAll(/^event: (.*)\ndata: (.*)$/gm)]
    expect(events.at(-1)?.[1]).toBe('replied')
    expect(JSON.parse(events.at(-1)?.[2] ?? '')).toMatchObject({ id: asked.body.id, reply: { data: 'yes' } })
  })
})
