/**
 * SENTENCE TWO on the simulated platform, with a fetch that enforces the platform's six connections: one dead agent slows
 * nobody, one bad message spoils nothing, and a suspect runs by itself.
 */
import { describe, expect, it } from 'vitest'
import * as z from 'zod'
import { limits } from '../../shared/limits.ts'
import type { Platform } from '../../shared/ports.ts'
import { consume } from '../../workers/consume.ts'
import { defineAgent } from '../../workers/define.ts'
import { slotsInAll, slotsPerAgent } from '../../workers/slots.ts'
import { Connections } from './connections.ts'
import { Invocation } from './platform.ts'
import { type Held, held, never, Scene } from './scene.ts'

const second = 1_000
const healthy = Array.from({ length: 20 }, (_, i) => `healthy-${i}`)
const take = (agent: string, ...deliveries: string[]) => held({ v: 1, agent, deliveries })
const alone = (agent: string, delivery: string) => held({ v: 1, agent, deliveries: [delivery], alone: true })

/** Every invocation's connections, limited as the platform limits them. */
function limited(): { all: Connections[]; ports: (platform: Platform) => Partial<Platform> } {
  const all: Connections[] = []
  const ports = (platform: Platform) => {
    const connections = new Connections()
    all.push(connections)
    return { fetch: connections.limited(platform.fetch) }
  }
  return { all, ports }
}

/** The queue keeps what is sent to it: a test hands over what it wants to, itself. */
function keptQueue(scene: Scene): void {
  scene.sim.faults = { ...scene.sim.faults, queueLoses: 1 }
}

const hand = (scene: Scene, messages: readonly Held[], platform = scene.platform()) =>
  consume(platform, scene.handlers, messages)

describe('one dead agent and twenty healthy ones in one batch, six connections an invocation (A37)', () => {
  const answerMs = 100
  // Twenty answers of 100 ms through the two slots that the dead agent leaves, and the calls around them.
  const delayMaxMs = 2 * second

  async function story() {
    const { all, ports } = limited()
    const scene = new Scene({ ports })
    keptQueue(scene)
    await scene.webhook('dead', never, { timeoutSeconds: 30 })
    for (const name of healthy) {
      await scene.webhook(name, async () => {
        await scene.sleep(answerMs)
        return { status: 200 }
      })
    }
    const dead = await Promise.all(Array.from({ length: 10 }, (_, n) => scene.send('dead', { data: n })))
    const well: string[] = []
    for (const name of healthy) well.push(await scene.send(name))
    const at = scene.world.now
    const batch = [take('dead', ...dead), ...well.map((id, i) => take(healthy[i]!, id))]
    const work = hand(scene, batch)
    return { scene, all, dead, well, at, batch, work }
  }

  it('the healthy are done within two seconds, at their first attempt (because the dead one holds two slots at most)', async () => {
    const { scene, well, at, work } = await story()
    void work
    await scene.pass(delayMaxMs)
    for (const id of well) {
      const receipt = await scene.receipt(id)
      expect(receipt).toMatchObject({ status: 'completed', attempt: 1 })
      expect(receipt.attempts).toHaveLength(1)
    }
    for (const call of scene.calls.filter((c) => c.agent !== 'dead')) expect(call.at - at).toBeLessThan(delayMaxMs)
  })

  it('never do more than four wait at once, two for one agent, so that the platform never queues one unseen', async () => {
    const { scene, all, work } = await story()
    void work
    await scene.pass(60 * second)
    expect(Math.max(...all.map((c) => c.peak))).toBe(slotsInAll)
    expect([slotsInAll, slotsPerAgent]).toEqual([4, 2])
    expect(Math.max(...all.flatMap((c) => [...c.peakByUrl.values()]))).toBe(slotsPerAgent)
  })

  it('what the dead one did not get a slot for is given back unsent, at no attempt; what it got times out', async () => {
    const { scene, dead, work } = await story()
    void work
    await scene.pass(20 * second)
    const waiting = await Promise.all(dead.slice(2).map((id) => scene.receipt(id)))
    expect(waiting.map((r) => [r.attempt, r.attempts.length])).toEqual(dead.slice(2).map(() => [0, 0]))
    expect(waiting.every((r) => r.steps.some((s) => s.detail === 'no connection slot in time'))).toBe(true)
    await scene.pass(20 * second)
    const tried = await Promise.all(dead.slice(0, 2).map((id) => scene.receipt(id)))
    expect(tried.map((r) => [r.attempt, r.attempts[0]?.error?.code])).toEqual([
      [1, 'timeout'],
      [1, 'timeout'],
    ])
  })

  it('with the real queue in between, nobody is lost and the dead one ends as dead letters', async () => {
    const { all, ports } = limited()
    const scene = new Scene({ ports })
    const policy = { timeoutSeconds: 2, maxAttempts: 2, backoff: 'quick' as const }
    await scene.webhook('dead', never, policy)
    for (const name of healthy) await scene.webhook(name)
    const dead = await Promise.all(Array.from({ length: 10 }, (_, n) => scene.send('dead', { data: n })))
    const well: string[] = []
    for (const name of healthy) well.push(await scene.send(name))
    // Its breaker lets only one at a time through, and waits longer each time.
    await scene.pass(24 * 3_600 * second)
    for (const id of well) expect(await scene.receipt(id)).toMatchObject({ status: 'completed', attempt: 1 })
    for (const id of dead) expect((await scene.receipt(id)).deadLetter?.reason, id).toBe('attempts_exhausted')
    expect(Math.max(...all.map((c) => c.peak))).toBeLessThanOrEqual(slotsInAll)
  })
})

describe('one bad message never spoils its batch', () => {
  const picky = defineAgent({
    name: 'thrower',
    accepts: z.unknown(),
    handle: async () => {
      throw new Error('a bug of the handler')
    },
  })

  it('a body that cannot be read is retried by itself, and its neighbour is delivered', async () => {
    const scene = new Scene()
    keptQueue(scene)
    await scene.webhook('well')
    const id = await scene.send('well')
    const bad = [
      undefined,
      null,
      7,
      'text',
      {},
      { v: 2, agent: 'well', deliveries: [id] },
      { v: 1, agent: 'well', deliveries: [] },
    ]
    const batch = [...bad.map((body) => held(body)), take('well', id)]
    await scene.done(hand(scene, batch))
    await scene.pass(second)
    expect(batch.map((m) => m.verdict)).toEqual([...bad.map(() => ({ retriedAfterSeconds: 5 })), 'acked'])
    expect((await scene.receipt(id)).status).toBe('completed')
  })

  it('an unknown agent and an unknown delivery take nothing and are acked, because no retry could make them known', async () => {
    const scene = new Scene()
    keptQueue(scene)
    await scene.webhook('well')
    const id = await scene.send('well')
    const batch = [take('nobody', `nobody_${'a'.repeat(26)}`), take('well', `well_${'b'.repeat(26)}`, id)]
    await scene.done(hand(scene, batch))
    await scene.pass(second)
    expect(batch.map((m) => m.verdict)).toEqual(['acked', 'acked'])
    expect(scene.callsOf('well')).toHaveLength(1)
    expect((await scene.receipt(id)).status).toBe('completed')
  })

  it('an agent that was deleted meanwhile is not called, and its neighbour is', async () => {
    const scene = new Scene()
    keptQueue(scene)
    await scene.webhook('left')
    await scene.webhook('well')
    const [gone, id] = [await scene.send('left'), await scene.send('well')]
    expect(await scene.done(scene.platform().agent('left').retire('dead'))).toEqual({ status: 'retired' })
    await scene.done(hand(scene, [take('left', gone), take('well', id)]))
    await scene.pass(second)
    expect(scene.callsOf('left')).toEqual([])
    expect((await scene.receipt(id)).status).toBe('completed')
    expect((await scene.letters()).map((l) => [l.delivery, l.reason])).toEqual([[gone, 'agent_deleted']])
  })

  it('an object that fails for one agent costs that agent’s messages a retry, and nobody else anything', async () => {
    const broken = (platform: Platform) => ({
      agent: (name: string) =>
        name === 'broken'
          ? { ...platform.agent(name), take: () => Promise.reject(new Error('the object is overloaded')) }
          : platform.agent(name),
    })
    const scene = new Scene()
    keptQueue(scene)
    await scene.webhook('broken')
    await scene.webhook('well')
    const [ill, id] = [await scene.send('broken'), await scene.send('well')]
    const batch = [held({ v: 1, agent: 'broken', deliveries: [ill] }, 3), take('well', id)]
    const platform = scene.platform()
    await scene.done(hand(scene, batch, { ...platform, ...broken(platform) }))
    await scene.pass(second)
    expect(batch.map((m) => m.verdict)).toEqual([{ retriedAfterSeconds: 15 }, 'acked'])
    expect((await scene.receipt(id)).status).toBe('completed')
    expect((await scene.receipt(ill)).attempt).toBe(0)
  })

  it('a handler that throws is a failed attempt of its own message only', async () => {
    const scene = new Scene({ handlers: [picky] })
    keptQueue(scene)
    await scene.handler('thrower', { maxAttempts: 1 })
    await scene.webhook('well')
    const [bad, id] = [await scene.send('thrower'), await scene.send('well')]
    const batch = [take('thrower', bad), take('well', id)]
    await scene.done(hand(scene, batch))
    await scene.pass(second)
    expect(batch.map((m) => m.verdict)).toEqual(['acked', 'acked'])
    expect((await scene.receipt(id)).status).toBe('completed')
    expect(await scene.receipt(bad)).toMatchObject({
      status: 'dead_lettered',
      attempts: [{ outcome: 'retry', error: { code: 'handler', message: 'a bug of the handler' } }],
    })
  })

  it('a reference that comes twice delivers once (because the second finds the lease, or the end)', async () => {
    const scene = new Scene()
    keptQueue(scene)
    await scene.webhook('well', async () => {
      await scene.sleep(50)
      return { status: 200 }
    })
    const id = await scene.send('well')
    const both = [hand(scene, [take('well', id), take('well', id)]), hand(scene, [take('well', id)])]
    await scene.done(Promise.all(both))
    await scene.pass(second)
    await scene.done(hand(scene, [take('well', id)]))
    await scene.pass(second)
    expect(scene.callsOf('well')).toHaveLength(1)
  })
})

it('forty messages of the largest size to one agent are taken eight at a time, and each is done at its first attempt', async () => {
  const sizes: number[] = []
  const measured = (platform: Platform): Partial<Platform> => ({
    agent: (name) =>
      new Proxy(platform.agent(name), {
        get: (port, key) => {
          if (key !== 'take') return Reflect.get(port, key) as unknown
          return async (...args: Parameters<typeof port.take>) => {
            const answer = await port.take(...args)
            sizes.push(answer.leases.reduce((sum, lease) => sum + lease.body.length, 0))
            return answer
          }
        },
      }),
  })
  const scene = new Scene({ ports: measured })
  await scene.webhook('reader', () => ({ status: 200 }), { concurrency: 40 })
  const data = 'x'.repeat(limits.messageBytes - 1_000)
  const inputs = Array.from({ length: 40 }, (_, n) => ({ to: 'reader', type: 'page', subject: String(n), data }))
  const ids = (await scene.publish(inputs)).map((answer) => (answer.ok ? answer.value.deliveries[0]!.id : ''))
  await scene.pass(60 * second)
  for (const id of ids) expect((await scene.receipt(id)).attempts, id).toMatchObject([{ outcome: 'ok' }])
  // A call between Worker and object carries 32 MiB.
  expect(Math.max(...sizes)).toBeLessThanOrEqual(limits.leaseBytes)
  expect(scene.calls).toHaveLength(40)
})

describe('a suspect', () => {
  it('is not even taken before its batch-mates have reported, and two of them run one after the other', async () => {
    const scene = new Scene()
    keptQueue(scene)
    for (const name of ['first', 'second', 'mate'])
      await scene.webhook(name, async () => {
        await scene.sleep(300)
        return { status: 200 }
      })
    const ids = [await scene.send('first'), await scene.send('second'), await scene.send('mate')] as const
    const batch = [alone('first', ids[0]), alone('second', ids[1]), take('mate', ids[2])]
    const work = hand(scene, batch)
    await scene.pass(250)
    expect(batch.map((m) => m.verdict)).toEqual(['none', 'none', 'acked'])
    await scene.done(work)
    await scene.pass(2 * second)
    expect(scene.calls.map((c) => c.agent)).toEqual(['mate', 'first', 'second'])
    const [mate, first, second_] = scene.calls.map((c) => c.at) as [number, number, number]
    expect(first - mate).toBeGreaterThanOrEqual(300)
    expect(second_ - first).toBeGreaterThanOrEqual(300)
  })

  it('does NOT run beside others’ mail by a reference from before it was one, and takes nobody with it (M4)', async () => {
    const scene = new Scene()
    await scene.webhook('deadly', never, { timeoutSeconds: 1 })
    await scene.webhook('mate')
    keptQueue(scene)
    const id = await scene.send('deadly')
    const first = new Invocation()
    void hand(scene, [take('deadly', id)], scene.platform(first))
    await scene.pass(100)
    // It brings its isolate down, and nobody reports.
    first.alive = false
    await scene.pass(10 * second)
    expect(await scene.receipt(id)).toMatchObject({ attempt: 0, attempts: [{ outcome: 'silence' }] })
    expect(scene.callsOf('deadly')).toHaveLength(1)

    const mate = await scene.send('mate')
    await scene.done(hand(scene, [take('deadly', id), take('mate', mate)]))
    await scene.pass(second)
    expect(scene.callsOf('deadly')).toHaveLength(1)
    expect((await scene.receipt(mate)).status).toBe('completed')

    void hand(scene, [alone('deadly', id)])
    await scene.pass(second)
    expect(scene.callsOf('deadly')).toHaveLength(2)
  })

  it('whose take fails is retried, and the next suspect still runs', async () => {
    const scene = new Scene()
    keptQueue(scene)
    for (const name of ['broken', 'second']) await scene.webhook(name)
    const [ill, id] = [await scene.send('broken'), await scene.send('second')]
    const platform = scene.platform()
    const agent = (name: string) =>
      name === 'broken'
        ? { ...platform.agent(name), take: () => Promise.reject(new Error('no answer')) }
        : platform.agent(name)
    const batch = [alone('broken', ill), alone('second', id)]
    await scene.done(hand(scene, batch, { ...platform, agent }))
    await scene.pass(second)
    expect(batch.map((m) => m.verdict)).toEqual([{ retriedAfterSeconds: 5 }, 'acked'])
    expect((await scene.receipt(id)).status).toBe('completed')
  })
})

describe('queue() waits', () => {
  const patient = (patienceMs: number) => (platform: Platform) => ({ settings: { ...platform.settings, patienceMs } })
  const slow = (scene: Scene) => async () => {
    await scene.sleep(10 * second)
    return { status: 200 }
  }

  it('for the mailboxes in any case, so that each message’s ack or retry still counts', async () => {
    const scene = new Scene({ ports: patient(0) })
    keptQueue(scene)
    await scene.webhook('slow', slow(scene))
    await scene.webhook('broken')
    const [id, ill] = [await scene.send('slow'), await scene.send('broken')]
    const platform = scene.platform()
    const agent = (name: string) =>
      name === 'broken'
        ? { ...platform.agent(name), take: () => Promise.reject(new Error('no answer')) }
        : platform.agent(name)
    const batch = [take('slow', id), take('broken', ill)]
    await scene.done(hand(scene, batch, { ...platform, agent }))
    expect(batch.map((m) => m.verdict)).toEqual(['acked', { retriedAfterSeconds: 5 }])
  })

  it('no longer than five seconds for a mailbox that hangs', async () => {
    const scene = new Scene({ ports: patient(0) })
    keptQueue(scene)
    await scene.webhook('hung')
    const id = await scene.send('hung')
    const platform = scene.platform()
    const agent = (name: string) => ({ ...platform.agent(name), take: () => new Promise<never>(() => undefined) })
    const startedAt = scene.world.now
    await scene.done(hand(scene, [take('hung', id)], { ...platform, agent }))
    expect(scene.world.now - startedAt).toBeLessThan(20 * second)
  })

  it.each([
    ['until its deliveries are settled when its patience is long (because work after its return is cut)', 840, 10, 11],
    ['no longer than its patience when they are slower, and they go on', 3, 3, 4],
    ['not for deliveries without patience (because locally one batch runs at a time)', 0, 0, 1],
  ])('%s', async (_, patienceSeconds, least, most) => {
    const scene = new Scene({ ports: patient(patienceSeconds * second) })
    keptQueue(scene)
    await scene.webhook('slow', slow(scene))
    const id = await scene.send('slow')
    const startedAt = scene.world.now
    let returnedAt: number | undefined
    void hand(scene, [take('slow', id)]).then(() => {
      returnedAt = scene.world.now
    })
    await scene.pass(15 * second)
    expect((returnedAt ?? Number.NaN) - startedAt).toBeGreaterThanOrEqual(least * second)
    expect((returnedAt ?? Number.NaN) - startedAt).toBeLessThan(most * second)
    expect((await scene.receipt(id)).status).toBe('completed')
  })
})
