/**
 * Batches on the simulated platform: what an agent gets, what its answer does, by virtual time. Never here: forming a batch
 * (test/shared/batch.test.ts).
 */
import { describe, expect, it } from 'vitest'
import * as z from 'zod'
import { indexEntry } from '../../shared/directory.ts'
import { verify } from '../../shared/signature.ts'
import { type AnyAgent, type BatchMessage, defineBatchAgent } from '../../workers/define.ts'
import { type Call, Scene, secret } from './scene.ts'

const second = 1_000
const batch = { size: 3, waitSeconds: 2 } as const
const backoff = { initialSeconds: 1, factor: 1, capSeconds: 1, jitter: 'none' } as const

interface Event {
  readonly id: string
  readonly deliveryid: string
  readonly data: unknown
}
const eventsOf = (call: Call) => JSON.parse(call.body) as Event[]
const sizes = (scene: Scene, agent: string) => scene.callsOf(agent).map((call) => eventsOf(call).length)
const sendAll = (scene: Scene, to: string, data: readonly unknown[]) =>
  scene
    .publish(data.map((one) => ({ to, type: 'test.note', data: one })))
    .then((answers) => answers.map((a) => (a.ok ? a.value.deliveries[0]!.id : '')))
const statuses = async (scene: Scene, ids: readonly string[]) => {
  const all: string[] = []
  for (const id of ids) all.push((await scene.receipt(id)).status)
  return all
}

describe('a webhook', () => {
  it('gets one signed POST of an array of events, when there are enough or the first has waited (A77, A78, A79)', async () => {
    const scene = new Scene()
    await scene.webhook('ada', undefined, { batch })
    const ids = await sendAll(scene, 'ada', [1, 2, 3, 4])
    await scene.pass(second)
    expect(sizes(scene, 'ada')).toEqual([3])
    await scene.pass(2 * second)
    expect(sizes(scene, 'ada')).toEqual([3, 1])
    const [call] = scene.callsOf('ada')
    expect(call!.headers).toMatchObject({
      'content-type': 'application/cloudevents-batch+json; charset=utf-8',
      'switchboard-batch': '3',
      'switchboard-attempt': '1,1,1',
    })
    const { 'webhook-id': id, 'webhook-timestamp': at, 'webhook-signature': signature } = call!.headers
    const headers = { id: id!, timestamp: at!, signature: signature! }
    expect(verify([secret], headers, call!.body, call!.at)).toMatchObject({ ok: true })
    expect(eventsOf(call!).map((e) => [e.deliveryid, e.data])).toEqual(ids.slice(0, 3).map((one, i) => [one, i + 1]))
    expect(await statuses(scene, ids)).toEqual(ids.map(() => 'completed'))
    await scene.pass(60 * second)
    expect(scene.callsOf('ada')).toHaveLength(2)
  })

  it('is asked again for what it said to retry or forgot, and for nothing else; each has its own result (A80, T11)', async () => {
    const scene = new Scene()
    let calls = 0
    const answer = (call: Call) => {
      calls += 1
      const results = eventsOf(call).map(({ deliveryid: id, data }) => ({ id, status: 'ok', result: { echo: data } }))
      if (calls > 1) return { status: 200, body: JSON.stringify({ results }) }
      const [first, second] = results
      return {
        status: 200,
        body: JSON.stringify({ results: [first, { ...second, status: 'retry', error: 'not now' }] }),
      }
    }
    await scene.webhook('ada', answer, { batch, backoff })
    const ids = await sendAll(scene, 'ada', ['a', 'b', 'c'])
    await scene.pass(5 * second)
    expect(scene.callsOf('ada').map((call) => eventsOf(call).map((e) => e.data))).toEqual([
      ['a', 'b', 'c'],
      ['b', 'c'],
    ])
    const receipts = await Promise.all(ids.map((id) => scene.receipt(id)))
    expect(receipts.map((r) => [r.status, r.attempt, r.result])).toEqual([
      ['completed', 1, { echo: 'a' }],
      ['completed', 2, { echo: 'b' }],
      ['completed', 2, { echo: 'c' }],
    ])
    expect(receipts[2]!.attempts[0]).toMatchObject({ error: { code: 'no_result' } })
  })

  it('that fails because of one loses only that one: its mates go alone, and are done (A80)', async () => {
    const scene = new Scene()
    const fails = (call: Call) => ({ status: eventsOf(call).some((e) => e.data === 'poison') ? 500 : 200 })
    await scene.webhook('ada', fails, { batch, backoff, maxAttempts: 3, breaker: { failureThreshold: 99 } })
    const ids = await sendAll(scene, 'ada', ['a', 'poison', 'c'])
    await scene.pass(60 * second)
    expect(await statuses(scene, ids)).toEqual(['completed', 'dead_lettered', 'completed'])
    expect(sizes(scene, 'ada')).toEqual([3, 1, 1, 1, 1])
    expect((await scene.letters()).map((l) => l.delivery)).toEqual([ids[1]])
  })

  it('that asks for quiet gets the same batch again, byte for byte and under the same id (T11, T15)', async () => {
    const scene = new Scene()
    let calls = 0
    await scene.webhook(
      'ada',
      () => {
        calls += 1
        return calls === 1 ? { status: 429, headers: { 'retry-after': '3' } } : { status: 200 }
      },
      { batch },
    )
    await sendAll(scene, 'ada', [1, 2, 3])
    await scene.pass(10 * second)
    expect(sizes(scene, 'ada')).toEqual([3, 3])
    expect(new Set(scene.callsOf('ada').map((c) => c.headers['webhook-id'])).size).toBe(1)
    expect(new Set(scene.callsOf('ada').map((c) => c.body)).size).toBe(1)
    expect(scene.callsOf('ada')[0]!.headers['webhook-id']).toMatch(/^ada_batch-[a-z2-7]{26}$/)
  })

  it('that hangs is one failure of the breaker, and one attempt of each', async () => {
    const scene = new Scene()
    await scene.webhook('ada', () => new Promise(() => undefined), { batch, timeoutSeconds: 1, maxAttempts: 4 })
    const ids = await sendAll(scene, 'ada', [1, 2, 3])
    await scene.pass(1.5 * second)
    const { object } = await scene.sim.inspect('ada')
    expect(object.breaker()?.state).toMatchObject({ at: 'closed', failures: 1 })
    for (const id of ids) expect((await scene.receipt(id)).attempts).toMatchObject([{ error: { code: 'timeout' } }])
  })

  it('acks each by its token under `ack: "later"`', async () => {
    const scene = new Scene()
    await scene.webhook('ada', () => ({ status: 202 }), { batch, ack: 'later' })
    const ids = await sendAll(scene, 'ada', [1, 2, 3])
    await scene.pass(second)
    const [call] = scene.callsOf('ada')
    const { deliveryid: id } = eventsOf(call!)[1]!
    const token = call!.headers['switchboard-token']!.split(',')[1]!
    const report = { id, token, outcome: { kind: 'ok', result: 'mine' } as const, external: true }
    await scene.done(scene.platform().agent('ada').settle([report]))
    expect(await statuses(scene, ids)).toEqual(['delivered', 'completed', 'delivered'])
  })

  it('gets a numbered text on request, and answers by number (A79)', async () => {
    const scene = new Scene()
    const answer = { results: [1, 2].map((id) => ({ id, status: 'ok', result: `answer ${id}` })) }
    await scene.webhook('ada', () => ({ status: 200, body: JSON.stringify(answer) }), {
      batch: { size: 2, format: 'numbered-text' },
    })
    const ids = await sendAll(scene, 'ada', ['what is 1', { content: 'what is 2' }])
    await scene.pass(second)
    const [call] = scene.callsOf('ada')
    expect(JSON.parse(call!.body).data).toBe('Process these requests:\n[1] what is 1\n[2] what is 2')
    expect(call!.headers['content-type']).toContain('application/cloudevents+json')
    expect((await scene.receipt(ids[1]!)).result).toBe('answer 2')
  })

  it('gets a message of at_most_once as a batch of one', async () => {
    const scene = new Scene()
    await scene.webhook('ada', undefined, { batch })
    await scene.publish([{ to: 'ada', type: 'test.note', deliverymode: 'at_most_once', data: 1 }])
    await scene.pass(second)
    expect(sizes(scene, 'ada')).toEqual([1])
  })
})

describe('a webhook with a subscription that has a `batch`', () => {
  it('gets what comes by it together, and anything else by itself (A77, A79)', async () => {
    const scene = new Scene()
    const { name } = await scene.webhook('ada')
    const directory = scene.platform().directory()
    await scene.done(directory.putAgent(indexEntry(await scene.webhook(name))))
    await scene.done(directory.putSubscription('s', { agent: name, topic: 'news', batch: { size: 2 } }, { max: 9 }))
    const published = await scene.publish([1, 2].map((data) => ({ topic: 'news', type: 'test.note', data })))
    await sendAll(scene, name, ['direct'])
    await scene.pass(5 * second)
    const [calls] = [scene.callsOf(name).map((call) => [call.headers['switchboard-batch'], JSON.parse(call.body)])]
    expect(calls.find(([size]) => size === '2')?.[1]).toMatchObject([{ data: 1 }, { data: 2 }])
    expect(calls.find(([size]) => size === undefined)?.[1]).toMatchObject({ data: 'direct' })
    expect(calls).toHaveLength(2)
    expect(published.every((one) => one.ok)).toBe(true)
  })
})

describe('a handler', () => {
  const accepts = z.strictObject({ n: z.number() })
  type Seen = readonly BatchMessage<{ n: number }>[]
  const handlerOf = (handleBatch: (messages: Seen) => unknown) => {
    const seen: Seen[] = []
    const definition = defineBatchAgent({
      name: 'sum',
      accepts,
      policy: { batch },
      handleBatch: async (messages) => {
        seen.push(messages)
        return handleBatch(messages)
      },
    })
    return { seen, handler: definition as AnyAgent }
  }
  const scene = (handler: AnyAgent) => new Scene({ handlers: [handler] })

  it('is called once with all of them, and each gets its result and its reply (A77, A80)', async () => {
    const { seen, handler } = handlerOf((messages) => ({
      results: messages.map((m) => ({ id: m.delivery, status: 'ok', result: m.data.n * 2, reply: { data: m.data.n } })),
    }))
    const one = scene(handler)
    await one.handler('sum', { batch })
    await one.pull('asker')
    const answers = await one.publish([1, 2, 3].map((n) => ({ to: 'sum', type: 'add', data: { n }, replyto: 'asker' })))
    await one.pass(second)
    expect(seen.map((messages) => messages.map((m) => m.data.n))).toEqual([[1, 2, 3]])
    const ids = answers.map((a) => (a.ok ? a.value.deliveries[0]!.id : ''))
    for (const [i, id] of ids.entries()) expect((await one.receipt(id)).result).toBe((i + 1) * 2)
    const { leases } = await one.done(one.platform().agent('asker').lease(10, 1_000, 'pulled'))
    expect(leases.map((l) => JSON.parse(l.body).data).toSorted()).toEqual([1, 2, 3])
  })

  it('is not called for what its schema refuses, and not at all when that is all (A78, E1)', async () => {
    const { seen, handler } = handlerOf(() => undefined)
    const one = scene(handler)
    await one.handler('sum', { batch })
    const ids = await sendAll(one, 'sum', [{ n: 1 }, { n: 'x' }, { n: 3 }])
    await one.pass(second)
    expect(seen.map((messages) => messages.map((m) => m.data.n))).toEqual([[1, 3]])
    expect(await statuses(one, ids)).toEqual(['completed', 'dead_lettered', 'completed'])
    await sendAll(one, 'sum', ['a', 'b', 'c'])
    await one.pass(second)
    expect(seen).toHaveLength(1)
  })

  it('that throws fails all of them, and each goes alone next time; one that crashes alone is told apart (A80)', async () => {
    const { seen, handler } = handlerOf((messages) => {
      if (messages.some((m) => m.data.n === 13)) throw new Error('cannot add 13')
      return undefined
    })
    const one = scene(handler)
    await one.handler('sum', { batch, backoff, breaker: { failureThreshold: 99 } })
    const ids = await sendAll(one, 'sum', [{ n: 1 }, { n: 13 }, { n: 3 }])
    await one.pass(30 * second)
    expect(seen.map((messages) => messages.length)).toEqual([3, 1, 1, 1, 1])
    expect(await statuses(one, ids)).toEqual(['completed', 'dead_lettered', 'completed'])
    expect((await one.receipt(ids[1]!)).deadLetter?.reason).toBe('poison')
  })

  it('that takes too long is one time-out of each', async () => {
    const { handler } = handlerOf(() => new Promise(() => undefined))
    const one = scene(handler)
    await one.handler('sum', { batch, timeoutSeconds: 1 })
    const ids = await sendAll(one, 'sum', [{ n: 1 }, { n: 2 }, { n: 3 }])
    await one.pass(1.2 * second)
    for (const id of ids) expect((await one.receipt(id)).attempts).toMatchObject([{ error: { code: 'timeout' } }])
  })
})
