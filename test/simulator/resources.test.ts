/**
 * Agents that share a resource which is down for a while: none of them pays for what another has learned. Time is virtual, the
 * provider is written here, the rest is the real thing. Never here: the breaker's rules (test/shared/resource.test.ts).
 */
import { beforeAll, describe, expect, it } from 'vitest'
import * as z from 'zod'
import type { Transition } from '../../shared/breaker.ts'
import { newResource, publicResource, type Resource } from '../../shared/resource.ts'
import { defineAgent, ResourceError } from '../../workers/define.ts'
import { express } from '../../workers/express.ts'
import { type Faults, noFaults } from './platform.ts'
import { type Reply, Scene } from './scene.ts'

const second = 1_000
const minute = 60 * second
const gpt = 'openai/gpt-5'
const header = (said: string) => ({ 'switchboard-resource-error': said })
const down = (): Reply => ({ status: 500, headers: header(`${gpt} 503`) })
const up = async (scene: Scene): Promise<Reply> => {
  await scene.sleep(200)
  return { status: 200 }
}

const resourceOf = async (scene: Scene, name = gpt): Promise<Resource> =>
  (await scene.done(scene.platform().resource(name).report())) ?? newResource(name)
const breakerOf = async (scene: Scene, agent: string) => (await scene.sim.inspect(agent)).object.breaker()

/** Between its half-openings and what followed, nobody else was let through: how many calls fell into each window. */
function callsPerWindow(scene: Scene, history: readonly Transition[]): number[] {
  return history.flatMap((move, i) => {
    if (move.to !== 'half_open') return []
    const end = history[i + 1]?.at ?? Number.POSITIVE_INFINITY
    return [scene.calls.filter((c) => c.at > move.at && c.at <= end).length]
  })
}

const names = ['ann', 'bea', 'cyd', 'dot']
const each = 15

/** Four agents, one provider, which is down for 20 minutes. */
async function outage(faults: Partial<Faults>, seed: number) {
  const scene = new Scene({ seed })
  for (const name of names) await scene.webhook(name, down, {}, [gpt])
  await scene.webhook('eve', () => ({ status: 200 }))
  let mostProbes = 0
  scene.sim.afterResource = (object) => {
    const resource = object.report()
    if (resource?.breaker.state.at === 'half_open') mostProbes = Math.max(mostProbes, resource.permits.length)
  }
  const ids: string[] = []
  for (const name of names) for (let i = 0; i < each; i++) ids.push(await scene.send(name))
  const other = await scene.send('eve')
  // What the test itself asks is not its subject.
  const weather = async (ms: number) => {
    scene.sim.faults = { ...noFaults, ...faults }
    await scene.pass(ms)
    scene.sim.faults = noFaults
  }
  await weather(20 * minute)
  const during = await Promise.all(ids.map((id) => scene.receipt(id)))
  const history = (await resourceOf(scene)).breaker.history
  const calls = [...scene.calls]
  for (const name of names) scene.receiver(name, () => up(scene))
  await weather(40 * minute)
  const after = await Promise.all(ids.map((id) => scene.receipt(id)))
  return { scene, ids, other, during, after, history, calls, mostProbes: () => mostProbes }
}

const rough: Partial<Faults> = {
  callFailsBefore: 0.02,
  callFailsAfter: 0.02,
  objectCrash: 0.05,
  invocationCrash: 0.005,
  queueLoses: 0.05,
  queueDoubles: 0.1,
  alarmTwice: 0.1,
  alarmEarly: 0.1,
}

describe.each([
  ['in calm weather', {}, 1],
  ['while calls, objects and queues fail (seed 2)', rough, 2],
  ['while calls, objects and queues fail (seed 3)', rough, 3],
  ['while calls, objects and queues fail (seed 4)', rough, 4],
] as const)('(A39) four agents whose provider is down for 20 minutes, %s', (_, faults, seed) => {
  let o: Awaited<ReturnType<typeof outage>>
  beforeAll(async () => {
    o = await outage(faults, seed)
  })

  it('lose nothing, and all is delivered when it is up again', async () => {
    expect(await o.scene.letters()).toEqual([])
    expect(o.after.filter((r) => r.status !== 'completed').map((r) => [r.id, r.status, r.because])).toEqual([])
    expect((await o.scene.receipt(o.other)).status).toBe('completed')
  })

  it('B2: send it one probe a window, all four together', () => {
    expect(o.history.filter((h) => h.to === 'half_open').length).toBeGreaterThan(3)
    expect(o.mostProbes()).toBe(1)
    const windows = callsPerWindow(o.scene, o.history)
    expect(windows.filter((n) => n > 1)).toEqual([])
    expect(windows).toContain(1)
  })

  it('B1, M4: are parked meanwhile, for its sake, and pay only for what ran', () => {
    expect(o.during.filter((r) => r.status === 'completed')).toEqual([])
    const parked = o.during.filter((r) => r.status === 'parked')
    expect(parked.length).toBeGreaterThan(o.ids.length * 0.7)
    for (const r of parked) expect(r.because).toMatch(/^held: the .*resource openai\/gpt-5 .+ until 2026-/)
    for (const r of o.during) {
      const called = o.calls.filter((c) => c.headers['webhook-id'] === r.id).length
      expect(r.attempts.filter((a) => a.counted).length).toBeLessThanOrEqual(called)
    }
  })

  it('are not blamed: no breaker of theirs has moved', async () => {
    for (const name of names)
      expect(await breakerOf(o.scene, name)).toMatchObject({ state: { at: 'closed' }, history: [] })
  })
})

describe('a resource', () => {
  it('that asks for a pause is held for all of them, and no attempt is burned', async () => {
    const scene = new Scene()
    const asksForPause = () => ({ status: 429, headers: { ...header(`${gpt} 429 retry-after=120`) } })
    await scene.webhook('ann', asksForPause, { concurrency: 1 }, [gpt])
    await scene.webhook('bea', () => ({ status: 200 }), {}, [gpt])
    const first = await scene.send('ann')
    await scene.pass(2 * second)
    const second_ = await scene.send('bea')
    await scene.pass(minute)
    expect(scene.callsOf('bea')).toEqual([])
    for (const id of [first, second_]) {
      const receipt = await scene.receipt(id)
      expect(receipt).toMatchObject({ status: 'parked', attempt: 0 })
      expect(receipt.because).toMatch(/^held: the resource openai\/gpt-5 asked for quiet until 2026-/)
    }
    expect((await resourceOf(scene)).breaker).toMatchObject({ state: { at: 'closed', failures: 0 } })
    scene.receiver('ann', () => ({ status: 200 }))
    await scene.pass(2 * minute)
    for (const id of [first, second_]) expect((await scene.receipt(id)).status).toBe('completed')
  })

  it('that an agent got round is told, and the work is done all the same', async () => {
    const scene = new Scene()
    await scene.webhook('ann', () => ({ status: 200, headers: header(`${gpt} 503`) }), { concurrency: 1 }, [gpt])
    const ids = [await scene.send('ann'), await scene.send('ann')]
    await scene.pass(10 * second)
    for (const id of ids) expect((await scene.receipt(id)).status).toBe('completed')
    expect((await resourceOf(scene)).breaker.state).toMatchObject({ at: 'closed', failures: 2 })
  })

  it('that an agent does not declare hears nothing from it, and parks none of its mail', async () => {
    const scene = new Scene()
    await scene.webhook('mallory', down, { concurrency: 1, backoff: 'quick' })
    await scene.webhook('ann', () => ({ status: 200 }), {}, [gpt])
    for (let i = 0; i < 5; i++) await scene.send('mallory')
    await scene.pass(minute)
    expect(publicResource(await resourceOf(scene), scene.world.now)).toMatchObject({ state: 'closed', failures: 0 })
    expect((await breakerOf(scene, 'mallory'))?.state.at).toBe('open')
    const id = await scene.send('ann')
    await scene.pass(second)
    expect((await scene.receipt(id)).status).toBe('completed')
  })

  it('among several that are needed: what one permits and another does not is given back', async () => {
    const scene = new Scene()
    await scene.webhook('ann', () => ({ status: 200 }), {}, ['calm', 'stormy'])
    for (const [name, to] of [
      ['calm', 'auto'],
      ['stormy', 'open'],
    ] as const)
      await scene.done(
        scene
          .platform()
          .resource(name)
          .force({ to, policy: { openSeconds: 1 }, by: 'admin' }),
      )
    // Half open it lets one through: kept by mail that then waits for another, nobody else could have it.
    const calm = scene.platform().resource('calm')
    await scene.done(calm.force({ to: 'open', by: 'admin' }))
    await scene.done(calm.force({ to: 'auto', by: 'admin' }))
    await scene.pass(2 * second)
    const id = await scene.send('ann')
    await scene.pass(second)
    expect((await scene.receipt(id)).because).toMatch(/^held: the resource stormy is down \(forced open by admin\)/)
    expect(await resourceOf(scene, 'calm')).toMatchObject({ breaker: { state: { at: 'half_open' } }, permits: [] })
  })

  it('that is forced closed again lets the mail go when its hold is over, or its agent resumed', async () => {
    const scene = new Scene()
    await scene.webhook('ann', () => ({ status: 200 }), {}, [gpt])
    const resource = scene.platform().resource(gpt)
    await scene.done(resource.force({ to: 'open', by: 'admin' }))
    const id = await scene.send('ann')
    await scene.pass(second)
    expect((await scene.receipt(id)).status).toBe('parked')
    await scene.done(resource.force({ to: 'auto', by: 'admin' }))
    await scene.done(resource.force({ to: 'closed', by: 'admin' }))
    await scene.resume('ann')
    await scene.pass(second)
    expect((await scene.receipt(id)).status).toBe('completed')
  })

  it('is asked also where somebody waits for the answer and no queue is between', async () => {
    const scene = new Scene()
    await scene.webhook('ann', () => ({ status: 200 }), {}, [gpt])
    await scene.done(scene.platform().resource(gpt).force({ to: 'open', by: 'admin' }))
    const message = { specversion: '1.0' as const, id: 'm', source: 'admin', type: 'x', time: '', correlationid: 'm' }
    const rest = { body: JSON.stringify(message), key: 'm', contentHash: 'h', hops: 0, brokerMade: false }
    const platform = scene.platform()
    const accepting = platform.agent('ann').accept([{ message, ...rest }], 'token')
    const { admissions, references } = await scene.done(accepting)
    const [id] = admissions.flatMap((a) => ('id' in a ? [a.id] : []))
    express(platform, scene.handlers, 'ann', id!, references, undefined)
    await scene.pass(5 * second)
    expect(await scene.receipt(id!)).toMatchObject({ status: 'parked', attempt: 0 })
    expect(scene.callsOf('ann')).toEqual([])
  })

  it('drops what is at_most_once while it lets nobody through, and says so', async () => {
    const scene = new Scene()
    await scene.webhook('ann', () => ({ status: 200 }), {}, [gpt])
    await scene.done(scene.platform().resource(gpt).force({ to: 'open', by: 'admin' }))
    const id = await scene.send('ann', { deliverymode: 'at_most_once' })
    await scene.pass(5 * second)
    const receipt = await scene.receipt(id)
    expect([receipt.status, receipt.steps.at(-2)?.detail]).toEqual([
      'failed',
      'the resource openai/gpt-5 is down (forced open by admin)',
    ])
    expect(scene.callsOf('ann')).toEqual([])
  })
})

describe('a handler', () => {
  const asking = (handle: (n: number, report: (status: number) => void) => void) => {
    let n = 0
    return defineAgent({
      name: 'asker',
      accepts: z.unknown(),
      resources: [gpt],
      policy: { concurrency: 1, backoff: 'quick' },
      async handle(_message, ctx) {
        n += 1
        handle(n, (status) => ctx.resource(gpt, status))
      },
    })
  }
  const played = async (agent: ReturnType<typeof asking>, messages = 1) => {
    const scene = new Scene({ handlers: [agent] })
    await scene.handler('asker', agent.policy)
    const ids: string[] = []
    for (let i = 0; i < messages; i++) ids.push(await scene.send('asker'))
    await scene.pass(30 * second)
    return { scene, receipt: await scene.receipt(ids[0]!), breaker: await breakerOf(scene, 'asker') }
  }

  it('blames a resource by throwing a ResourceError: tried again, and its own breaker hears that it is well', async () => {
    const { scene, receipt, breaker } = await played(
      asking((n) => {
        if (n <= 2) throw new ResourceError(gpt, 503)
      }),
    )
    expect(receipt).toMatchObject({ status: 'completed', attempt: 3 })
    expect(receipt.attempts.map((a) => a.error?.message)).toEqual([
      `${gpt} answered 503`,
      `${gpt} answered 503`,
      undefined,
    ])
    expect(breaker?.state).toMatchObject({ failures: 0 })
    expect((await resourceOf(scene)).breaker.state).toMatchObject({ at: 'closed', failures: 0 })
  })

  it('that crashes at once in the same way of a resource is no poison', async () => {
    const { receipt } = await played(
      asking(() => {
        throw new ResourceError(gpt, 401)
      }),
    )
    expect(receipt.deadLetter?.reason).not.toBe('poison')
    expect(receipt.attempt).toBeGreaterThan(2)
  })

  it('is held when it passes on a pause, at no attempt', async () => {
    const { receipt } = await played(
      asking((n) => {
        if (n === 1) throw new ResourceError(gpt, 429, 10)
      }),
    )
    expect(receipt).toMatchObject({ status: 'completed', attempt: 1 })
    expect(receipt.attempts.map((a) => [a.outcome, a.counted])).toEqual([
      ['hold', false],
      ['ok', true],
    ])
  })

  it('reports beside its work by ctx.resource', async () => {
    const { scene, receipt } = await played(asking((_n, report) => report(503)))
    expect(receipt.status).toBe('completed')
    expect((await resourceOf(scene)).breaker.state).toMatchObject({ failures: 1 })
  })

  it('hears of a report that is none, at once and as its own fault', async () => {
    const { receipt } = await played(asking((_n, report) => report(42)))
    expect(receipt.attempts[0]?.error).toMatchObject({
      code: 'handler',
      message: `not a resource and a status: ${gpt} 42`,
    })
  })
})
