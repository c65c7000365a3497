/** Three delivery modes that really differ (T17): what each promises, what it stores and when, and what it refuses. */
import { describe, expect, it } from 'vitest'
import type { Platform } from '../../shared/ports.ts'
import { consume } from '../../workers/consume.ts'
import { settle } from '../../workers/settle.ts'
import { held, never, type Receiver, Scene } from './scene.ts'

const second = 1_000
const failing: Receiver = () => ({ status: 500 })
const once = { deliverymode: 'at_most_once' }
const exactly = { deliverymode: 'exactly_once' }

/** What was sent to `deliveries`, kept: a test hands it over itself, as often as it likes. */
function keeping(): { sent: unknown[]; ports: (platform: Platform) => Partial<Platform> } {
  const sent: unknown[] = []
  const deliveries = {
    send: (body: unknown) => {
      sent.push(structuredClone(body))
      return Promise.resolve()
    },
  }
  return { sent, ports: () => ({ deliveries }) }
}

const rowsOf = async (scene: Scene, agent: string) =>
  (await scene.done(scene.platform().agent(agent).list(undefined, undefined, 100))).items.length

const handOver = (scene: Scene, ...messages: ReturnType<typeof held>[]) =>
  scene.done(consume(scene.platform(), scene.handlers, messages))

const refusal = async (scene: Scene, input: Record<string, unknown>) => {
  const [answer] = await scene.publish([{ to: 'ada', type: 'test.note', ...input }])
  return answer?.ok === false ? answer.error.code : answer
}

describe('A88 at_most_once', () => {
  it('says that nothing is durable, and stores nothing before the attempt', async () => {
    const { sent, ports } = keeping()
    const scene = new Scene({ ports })
    await scene.webhook('ada')
    const [answer] = await scene.publish([{ to: 'ada', type: 'test.note', data: 1, ...once }])
    expect(answer).toMatchObject({
      ok: true,
      value: { durable: false, duplicate: false, deliveries: [{ status: 'queued' }] },
    })
    expect(await rowsOf(scene, 'ada')).toBe(0)
    expect(sent).toMatchObject([{ agent: 'ada', fleeting: { message: { data: 1 } } }])
    await handOver(scene, held(sent[0]))
    await scene.pass(second)
    expect(await rowsOf(scene, 'ada')).toBe(1)
  })

  it('is one try: what fails is failed for good, told on its receipt, and no dead letter', async () => {
    const scene = new Scene()
    await scene.webhook('ada', failing, { maxAttempts: 5 })
    const id = await scene.send('ada', once)
    await scene.pass(600 * second)
    expect(scene.callsOf('ada')).toHaveLength(1)
    expect(await scene.receipt(id)).toMatchObject({
      status: 'failed',
      attempt: 1,
      attempts: [{ outcome: 'retry', httpStatus: 500 }],
    })
    expect(await scene.letters()).toEqual([])
  })

  it.each([
    [429, { 'retry-after': '1' }],
    [410, {}],
    [422, {}],
    [302, { location: 'http://127.0.0.1/else' }],
  ])('is not tried again after a %i either', async (status, headers) => {
    const scene = new Scene()
    await scene.webhook('ada', () => ({ status, headers }))
    const id = await scene.send('ada', once)
    await scene.pass(600 * second)
    expect(scene.callsOf('ada')).toHaveLength(1)
    expect((await scene.receipt(id)).status).toBe('failed')
  })

  it('that nobody answers has failed at its deadline', async () => {
    const scene = new Scene()
    await scene.webhook('ada', never, { timeoutSeconds: 2 })
    const id = await scene.send('ada', once)
    await scene.pass(60 * second)
    expect(await scene.receipt(id)).toMatchObject({ status: 'failed', attempts: [{ error: { code: 'timeout' } }] })
  })

  it('that works has its result on the receipt', async () => {
    const scene = new Scene()
    await scene.webhook('ada', () => ({ status: 200, body: '{"pages":3}' }))
    const id = await scene.send('ada', once)
    await scene.pass(second)
    expect(await scene.receipt(id)).toMatchObject({ status: 'completed', result: { pages: 3 } })
  })

  it('lets nothing follow from it, and its receipt says of each effect that it was refused, and why', async () => {
    const scene = new Scene()
    const asked = { result: 3, messages: [{ to: 'bob', type: 'test.next' }], reply: { data: 1 } }
    await scene.webhook('ada', () => ({ status: 200, body: JSON.stringify(asked) }))
    await scene.webhook('bob')
    const id = await scene.send('ada', once)
    await scene.pass(600 * second)
    const { status, result, effects } = await scene.receipt(id)
    expect([status, result, effects?.map((e) => [e.kind, e.state.status])]).toEqual([
      'completed',
      3,
      [
        ['reply', 'refused'],
        ['message', 'refused'],
      ],
    ])
    expect(effects?.[1]?.state).toMatchObject({
      reason: 'not_durable',
      detail: expect.stringContaining('at_least_once'),
    })
    expect([scene.callsOf('bob'), await scene.letters()]).toEqual([[], []])
  })

  it('to a paused agent is dropped, and its receipt says so', async () => {
    const scene = new Scene()
    await scene.webhook('ada')
    await scene.done(scene.platform().agent('ada').pause('holiday', undefined))
    const [answer] = await scene.publish([{ to: 'ada', type: 'test.note', ...once }])
    if (answer?.ok !== true) throw new Error('refused')
    expect(answer.value).toMatchObject({ durable: false, deliveries: [{ status: 'failed' }] })
    const receipt = await scene.receipt(answer.value.deliveries[0]!.id)
    expect([receipt.status, receipt.steps.at(0)?.detail]).toEqual(['failed', 'paused: holiday'])
    await scene.resume('ada')
    await scene.pass(60 * second)
    expect(scene.callsOf('ada')).toEqual([])
  })

  it('to an agent that was paused after the 202 is dropped too', async () => {
    const { sent, ports } = keeping()
    const scene = new Scene({ ports })
    await scene.webhook('ada')
    const id = await scene.send('ada', once)
    await scene.done(scene.platform().agent('ada').pause('holiday', undefined))
    await handOver(scene, held(sent[0]))
    expect((await scene.receipt(id)).steps.map((s) => [s.step, s.detail])).toContainEqual([
      'dropped',
      'paused: holiday',
    ])
    expect(scene.callsOf('ada')).toEqual([])
  })

  it('has its queue copy acked before it is delivered (because whoever dies meanwhile must not be asked again)', async () => {
    const { sent, ports } = keeping()
    const scene = new Scene({ ports })
    const copy = held(undefined)
    let verdictWhenCalled: unknown
    await scene.webhook('ada', () => {
      verdictWhenCalled = copy.verdict
      return { status: 200 }
    })
    await scene.send('ada', once)
    await handOver(scene, Object.assign(copy, { body: sent[0] }))
    await scene.pass(second)
    expect(verdictWhenCalled).toBe('acked')
  })

  it('does not deliver a second copy that the queue made, neither meanwhile nor afterwards', async () => {
    const { sent, ports } = keeping()
    const scene = new Scene({ ports })
    await scene.webhook('ada', async () => {
      await scene.sleep(500)
      return { status: 200 }
    })
    await scene.send('ada', once)
    await handOver(scene, held(sent[0]), held(sent[0]))
    await scene.pass(100)
    await handOver(scene, held(sent[0]))
    await scene.pass(60 * second)
    await handOver(scene, held(sent[0]))
    await scene.pass(60 * second)
    expect(scene.callsOf('ada')).toHaveLength(1)
  })

  it('with no place in flight comes to the queue again a second later, and is dropped at the third time', async () => {
    const { sent, ports } = keeping()
    const scene = new Scene({ ports })
    await scene.webhook('ada', never, { concurrency: 1 })
    await scene.send('ada', { ...once, data: 'first' })
    const waiting = await scene.send('ada', { ...once, data: 'second' })
    await handOver(scene, held(sent[0]))
    for (const place of [1, 2, 3]) {
      const copy = held(sent[place])
      await handOver(scene, copy)
      expect(copy.verdict).toBe('acked')
      await scene.pass(2 * second)
    }
    expect(sent).toHaveLength(4)
    expect((await scene.receipt(waiting)).steps.at(0)).toMatchObject({
      step: 'dropped',
      detail: 'no free place among those in flight',
    })
  })

  it('that the queue hands out again is not begun again (because whoever had it may have died in the middle)', async () => {
    const { sent, ports } = keeping()
    const scene = new Scene({ ports })
    await scene.webhook('ada', never)
    const id = await scene.send('ada', once)
    await handOver(scene, held(sent[0]))
    await scene.pass(5 * second)
    expect(scene.callsOf('ada')).toHaveLength(1)
    scene.sim.crashEverything(false)
    await handOver(scene, held(sent[0], 2))
    await scene.pass(60 * second)
    expect(scene.callsOf('ada')).toHaveLength(1)
    expect((await scene.receipt(id)).steps.at(0)?.detail).toContain('may have been begun')
  })

  it('whose time was over before its turn came expires, and is not delivered', async () => {
    const { sent, ports } = keeping()
    const scene = new Scene({ ports })
    await scene.webhook('ada')
    const expirytime = new Date(scene.world.now + 5 * second).toISOString()
    const [late, inTime] = [
      await scene.send('ada', { ...once, expirytime }),
      await scene.send('ada', { ...once, expirytime }),
    ]
    await handOver(scene, held(sent[1]))
    await scene.pass(5 * second)
    await handOver(scene, held(sent[0]))
    await scene.pass(second)
    expect([(await scene.receipt(inTime)).status, scene.callsOf('ada').length]).toEqual(['completed', 1])
    expect(await scene.receipt(late)).toMatchObject({ status: 'expired', attempt: 0, attempts: [] })
    expect(await scene.letters()).toEqual([])
  })

  it('that is under way when its time is over ends as it ends, whatever copy of it comes then', async () => {
    const { sent, ports } = keeping()
    const scene = new Scene({ ports })
    await scene.webhook('ada', async () => {
      await scene.sleep(10 * second)
      return { status: 200 }
    })
    const id = await scene.send('ada', { ...once, expirytime: new Date(scene.world.now + 5 * second).toISOString() })
    await handOver(scene, held(sent[0]))
    await scene.pass(6 * second)
    await handOver(scene, held(sent[0]))
    await scene.pass(10 * second)
    expect((await scene.receipt(id)).status).toBe('completed')
  })

  it('refuses what would need storing, and what is too large for a queue', async () => {
    const scene = new Scene()
    await scene.webhook('ada')
    const tomorrow = new Date(scene.world.now + 86_400_000).toISOString()
    expect(await refusal(scene, { ...once, partitionkey: 'k' })).toBe('not_durable')
    expect(await refusal(scene, { ...once, delivertime: tomorrow })).toBe('not_durable')
    expect(await refusal(scene, { ...once, replyto: 'ada' })).toBe('not_durable')
    expect(await refusal(scene, { ...once, workflowid: 'w-1' })).toBe('not_durable')
    expect(await refusal(scene, { ...once, data: 'x'.repeat(64_000) })).toBe('too_large')
    expect(await refusal(scene, { ...once, to: 'nobody' })).toBe('agent_not_found')
  })

  it('is refused to a pull agent, for which nothing would keep it; one that became such meanwhile drops it', async () => {
    const { sent, ports } = keeping()
    const scene = new Scene({ ports })
    await scene.webhook('ada')
    const id = await scene.send('ada', once)
    await scene.pull('ada')
    const [answer] = await scene.publish([{ to: 'ada', type: 'test.note', ...once }])
    expect(answer).toEqual({ ok: false, error: { code: 'not_durable', attribute: 'to', agent: 'ada' } })
    await handOver(scene, held(sent[0]))
    expect((await scene.receipt(id)).steps.at(0)).toMatchObject({
      step: 'dropped',
      detail: expect.stringMatching('pull'),
    })
    expect(await rowsOf(scene, 'ada')).toBe(1)
  })
})

describe('A89 at_least_once, the default', () => {
  it('is stored before the 202, tried until it works, and says nothing of durability', async () => {
    let calls = 0
    const { sent, ports } = keeping()
    const scene = new Scene({ ports })
    await scene.webhook('ada', () => ({ status: ++calls < 3 ? 500 : 200 }), { backoff: 'quick' })
    const [answer] = await scene.publish([{ to: 'ada', type: 'test.note' }])
    if (answer?.ok !== true) throw new Error('refused')
    expect(answer.value).not.toHaveProperty('durable')
    expect(await rowsOf(scene, 'ada')).toBe(1)
    expect(JSON.stringify(sent)).not.toContain('test.note')
    await scene.pass(60 * second)
    expect(await scene.receipt(answer.value.deliveries[0]!.id)).toMatchObject({ status: 'completed', attempt: 3 })
  })

  it('takes a message without a key, and then a second send is a second message', async () => {
    const scene = new Scene()
    await scene.webhook('ada')
    expect(await scene.send('ada')).not.toBe(await scene.send('ada'))
  })

  it('gives the key back when its message died, so that a re-send works', async () => {
    const scene = new Scene()
    await scene.webhook('ada', () => ({ status: 422 }))
    const first = await scene.send('ada', { id: 'order-1' })
    await scene.pass(second)
    expect((await scene.receipt(first)).status).toBe('dead_lettered')
    scene.receiver('ada', () => ({ status: 200 }))
    const again = await scene.send('ada', { id: 'order-1' })
    await scene.pass(second)
    expect(again).not.toBe(first)
    expect((await scene.receipt(again)).status).toBe('completed')
  })
})

describe('A90 exactly_once', () => {
  it('refuses a message without a key (because a re-send could not be told from a new message)', async () => {
    const scene = new Scene()
    await scene.webhook('ada')
    expect(await refusal(scene, exactly)).toBe('key_required')
    const [byHeader] = await scene.publish([{ to: 'ada', type: 'test.note', ...exactly }], { idempotencyKey: 'k-1' })
    expect(byHeader?.ok).toBe(true)
    expect(await refusal(scene, { ...exactly, id: 'k-2' })).toMatchObject({ ok: true })
  })

  it('keeps the key after its message died: a re-send is a duplicate of the dead one, until somebody redrives it', async () => {
    const scene = new Scene()
    await scene.webhook('ada', () => ({ status: 422 }))
    const id = await scene.send('ada', { id: 'order-1', ...exactly })
    await scene.pass(second)
    expect((await scene.receipt(id)).status).toBe('dead_lettered')
    scene.receiver('ada', () => ({ status: 200 }))
    const [again] = await scene.publish([{ to: 'ada', type: 'test.note', id: 'order-1', ...exactly }])
    expect(again).toMatchObject({ ok: true, value: { duplicate: true, deliveries: [{ id, status: 'dead_lettered' }] } })
    await scene.pass(60 * second)
    expect(scene.callsOf('ada')).toHaveLength(1)

    const platform = scene.platform()
    expect(await scene.done(platform.agent('ada').redrive(id, 'redrive-1'))).toMatchObject({ status: 'redriven' })
    await scene.pass(60 * second)
    expect(await scene.receipt(id)).toMatchObject({ status: 'completed', redrives: 1 })
    const [after] = await scene.publish([{ to: 'ada', type: 'test.note', id: 'order-1', ...exactly }])
    expect(after).toMatchObject({ ok: true, value: { duplicate: true, deliveries: [{ id, status: 'completed' }] } })
  })

  it.each([['exactly_once'], ['at_least_once']])(
    'completion is fenced (under %s too): a second one is told the first one’s result and changes nothing',
    async (deliverymode) => {
      const scene = new Scene()
      await scene.pull('ada')
      const id = await scene.send('ada', { id: 'order-1', deliverymode })
      const platform = scene.platform()
      const taken = await scene.done(platform.agent('ada').lease(1, 60 * second, 'worker-1'))
      const { token } = taken.leases[0]!
      const report = (token: string, result: unknown) =>
        scene.done(settle(platform, 'ada', [{ id, token, outcome: { kind: 'ok', result }, external: true }]))
      expect(await report(token, 'first')).toMatchObject([{ status: 'settled' }])
      expect(await report('another-token', 'second')).toMatchObject([
        { status: 'already_settled', ended: 'completed', result: 'first' },
      ])
      // The same token again is the caller's own repeat: the same answer, and still the first result.
      expect(await report(token, 'third')).toMatchObject([{ status: 'settled' }])
      expect((await scene.receipt(id)).result).toBe('first')
    },
  )

  it('gives the agent the key for its own side effects: the same webhook-id and event id at every attempt', async () => {
    let calls = 0
    const scene = new Scene()
    await scene.webhook('ada', () => ({ status: ++calls < 3 ? 503 : 200 }), { backoff: 'quick' })
    const id = await scene.send('ada', { id: 'order-1', ...exactly })
    await scene.pass(60 * second)
    const calls_ = scene.callsOf('ada')
    expect(calls_.map((c) => c.headers['webhook-id'])).toEqual([id, id, id])
    expect(calls_.map((c) => JSON.parse(c.body).id)).toEqual(['order-1', 'order-1', 'order-1'])
    expect(calls_.map((c) => c.headers['switchboard-attempt'])).toEqual(['1', '2', '3'])
  })
})
