/**
 * Publishing to topics in virtual time: a worker that dies at each point of the way, subscribers that fail by themselves (T14),
 * and one that is away for hours (A116).
 */
import { describe, expect, it } from 'vitest'
import { indexEntry } from '../../shared/directory.ts'
import type { Filter } from '../../shared/filter.ts'
import type { Platform } from '../../shared/ports.ts'
import { publicationId } from '../../shared/publication.ts'
import { publish } from '../../workers/publish.ts'
import { Invocation } from './platform.ts'
import { admin, Scene } from './scene.ts'

const second = 1_000
const minute = 60 * second
const hour = 60 * minute

async function subscribe(
  scene: Scene,
  agent: string,
  topic: string,
  filter?: Filter,
  more: object = {},
): Promise<void> {
  const directory = scene.platform().directory()
  await scene.done(directory.putAgent(indexEntry(await scene.agent(agent))))
  const input = { agent, topic, ...(filter === undefined ? {} : { filter }), ...more }
  await scene.done(directory.putSubscription(`${agent}-${topic}`, input, { max: 100 }))
}

async function publishTo(scene: Scene, topic: string, more: object = {}) {
  const [answer] = await scene.publish([{ topic, type: 'test.note', ...more }])
  if (answer?.ok !== true) throw new Error(`refused: ${JSON.stringify(answer)}`)
  return answer.value
}

const report = (scene: Scene, id: string) => scene.done(scene.platform().publication(id).report())

/** Dies before its `at`-th call of an object or a queue, or when that call has taken effect and its answer is on the way. */
function doomed(scene: Scene, at: number, took: 'before' | 'after'): { platform: Platform; calls: () => number } {
  const invocation = new Invocation()
  const platform = scene.platform(invocation)
  let calls = 0
  const reached = () => {
    calls += 1
    return calls === at
  }
  const dying = <P extends object>(port: P): P =>
    new Proxy(port, {
      get:
        (target, method) =>
        async (...args: unknown[]) => {
          const last = reached()
          if (last && took === 'before') invocation.alive = false
          if (!invocation.alive) return new Promise(() => undefined)
          const answer = await (target as Record<PropertyKey, (...a: unknown[]) => unknown>)[method]?.(...args)
          if (last) invocation.alive = false
          return invocation.alive ? answer : new Promise(() => undefined)
        },
    })
  return {
    platform: {
      ...platform,
      agent: (name) => dying(platform.agent(name)),
      directory: () => dying(platform.directory()),
      deadLetters: () => dying(platform.deadLetters()),
      publication: (id) => dying(platform.publication(id)),
      deliveries: dying(platform.deliveries),
      work: dying(platform.work),
    },
    calls: () => calls,
  }
}

/** Publishes with a worker that dies at each call in turn, until one lives through it. Afterwards the client asks once more. */
async function everyDeath(
  prepare: (scene: Scene) => Promise<void>,
  json: Readonly<Record<string, unknown>>,
  check: (scene: Scene, id: string, where: string) => Promise<void>,
): Promise<number> {
  for (const took of ['before', 'after'] as const) {
    for (let at = 1; ; at++) {
      const scene = new Scene({ seed: at })
      await prepare(scene)
      const { platform, calls } = doomed(scene, at, took)
      publish(platform, admin, [{ id: 'm', type: 'test.note', ...json }]).catch(() => undefined)
      await scene.pass(10 * second)
      const survived = calls() < at
      const where = `dying ${took} call ${at}`
      await scene.pass(10 * minute)
      const [again] = await scene.publish([{ id: 'm', type: 'test.note', ...json }])
      expect(again?.ok, where).toBe(true)
      await scene.pass(10 * minute)
      await check(scene, publicationId('admin', 'm'), where)
      if (!survived) continue
      if (took === 'after') return at
      break
    }
  }
  return 0
}

describe('who catches what reaches nobody else', () => {
  const caught = async (scene: Scene, more: object = {}) => {
    await scene.webhook('dan')
    await subscribe(scene, 'dan', 'news.>', undefined, { catchAll: true })
    return scene.publish([{ topic: 'news.a', type: 'test.note', ...more }])
  }

  it('is asked for where nobody is reached, and costs nothing where somebody listens (A11)', async () => {
    let asked = 0
    const ports = (platform: Platform) => ({
      directory: () => {
        asked += 1
        return platform.directory()
      },
    })
    const scene = new Scene({ ports })
    asked = 0
    await caught(scene)
    await scene.pass(second)
    const unheard = asked
    expect(scene.callsOf('dan').length).toBe(1)
    await scene.webhook('ada')
    await subscribe(scene, 'ada', 'news.a')
    asked = 0
    await publishTo(scene, 'news.a')
    await scene.pass(second)
    expect([scene.callsOf('ada').length, scene.callsOf('dan').length]).toEqual([1, 1])
    expect(asked).toBe(1)
    expect(unheard).toBeGreaterThan(1)
  })

  it('is not given what its publisher said to drop, or to reject (A11)', async () => {
    const [dropped] = await caught(new Scene(), { onunroutable: 'drop' })
    expect(dropped).toMatchObject({ ok: true, value: { fanout: 0 } })
    const [rejected] = await caught(new Scene(), { onunroutable: 'reject' })
    expect(rejected).toMatchObject({ ok: false, error: { code: 'unroutable' } })
  })
})

describe('a worker that dies while it publishes to many', () => {
  const three = ['ada', 'bob', 'cyd']
  const prepare = async (scene: Scene) => {
    for (const name of three) {
      await scene.webhook(name)
      await subscribe(scene, name, 'news.>')
    }
  }

  it('between any two of its calls: each leg once, and the publication closes (M1, M2)', async () => {
    const points = await everyDeath(prepare, { topic: 'news.a' }, async (scene, id, where) => {
      for (const name of three) expect(scene.callsOf(name).length, `${where}: ${name}`).toBe(1)
      const publication = await report(scene, id)
      expect(publication, where).toMatchObject({ accepted: 3, refused: 0, fanout: 3 })
      expect(publication?.closedAt, where).toBeDefined()
    })
    // Choose, open, three legs with a reference each, progress.
    expect(points).toBeGreaterThanOrEqual(9)
  })

  it('when nobody is reached: that is told once', async () => {
    const points = await everyDeath(prepare, { topic: 'other' }, async (scene, id, where) => {
      const letters = await scene.letters()
      expect(
        letters.map((l) => l.id),
        where,
      ).toEqual([id])
      expect((await report(scene, id))?.closedAt, where).toBeDefined()
    })
    expect(points).toBeGreaterThanOrEqual(5)
  })

  it('when nobody is reached but who catches: it has it once, and no dead letter is made (A11)', async () => {
    const catching = async (scene: Scene) => {
      await prepare(scene)
      await scene.webhook('dan')
      await subscribe(scene, 'dan', 'other', undefined, { catchAll: true })
    }
    const points = await everyDeath(catching, { topic: 'other' }, async (scene, id, where) => {
      expect(scene.callsOf('dan').length, where).toBe(1)
      expect(await scene.letters(), where).toEqual([])
      const publication = await report(scene, id)
      expect(publication, where).toMatchObject({ accepted: 1, caught: true })
      expect(publication?.closedAt, where).toBeDefined()
    })
    expect(points).toBeGreaterThanOrEqual(6)
  })

  it('with more legs than are kept by name: page by page, each leg once', async () => {
    const names = Array.from({ length: 120 }, (_, i) => `crowd-${i + 100}`)
    // Of its some hundred and fifty points those about the pages, and a few in the middle of one.
    const points = [1, 2, 3, 4, 23, 60, 102, 103, 104, 105, 106, 120, 124, 125, 126, 127]
    for (const took of ['before', 'after'] as const) {
      for (const at of points) {
        const scene = new Scene({ seed: at })
        await Promise.all(
          names
            .map(async (name) => {
              const platform = scene.platform()
              const fresh = { name, incarnation: `${name}-1`, secret: 'whsec_eA==', trusted: true }
              const { agent } = await platform.agent(name).enrol({ kind: 'pull' }, fresh)
              await platform.directory().putAgent(indexEntry(agent))
              await platform.directory().putSubscription(name, { agent: name, topic: 'news.>' }, { max: 1 })
            })
            .concat(scene.pass(second)),
        )
        const { platform } = doomed(scene, at, took)
        const input = { id: 'm', type: 'test.note', topic: 'news.a' }
        publish(platform, admin, [input]).catch(() => undefined)
        await scene.pass(10 * minute)
        await scene.publish([input])
        await scene.pass(10 * minute)
        const publication = await report(scene, publicationId('admin', 'm'))
        const where = `dying ${took} call ${at}`
        expect(publication, where).toMatchObject({ accepted: 120, refused: 0, fanout: 120, legs: [] })
        const depths = await Promise.all(
          names.map(async (n) => (await scene.sim.inspect(n)).object.describe()?.figures.depth),
        )
        expect(new Set(depths), where).toEqual(new Set([1]))
      }
    }
  }, 60_000)

  it('while two others publish the same: they agree on one publication', async () => {
    const scene = new Scene()
    await prepare(scene)
    const input = { id: 'm', type: 'test.note', topic: 'news.a' }
    const answers = await scene.done(
      Promise.all([1, 2, 3].map(async () => (await publish(scene.platform(), admin, [input]))[0])),
    )
    expect(answers.map((a) => a?.ok === true && a.value.duplicate).sort()).toEqual([false, true, true])
    await scene.pass(minute)
    for (const name of three) expect(scene.callsOf(name)).toHaveLength(1)
  })
})

describe('a queue that loses everything', () => {
  it('loses no leg: the publication’s alarm asks until each is accepted, and each mailbox’s own does the rest', async () => {
    const scene = new Scene()
    for (const name of ['ada', 'bob']) {
      await scene.webhook(name)
      await subscribe(scene, name, 'news')
    }
    // Asked for the schemas, chosen, opened.
    const { platform } = doomed(scene, 4, 'before')
    scene.sim.faults = { ...scene.sim.faults, queueLoses: 1 }
    publish(platform, admin, [{ id: 'm', type: 'x', topic: 'news' }]).catch(() => undefined)
    await scene.pass(20 * minute)
    expect(scene.calls).toEqual([])
    scene.sim.faults = { ...scene.sim.faults, queueLoses: 0 }
    await scene.pass(20 * minute)
    for (const name of ['ada', 'bob']) expect(scene.callsOf(name)).toHaveLength(1)
  })
})

describe('T14: one subscriber that fails', () => {
  it('is tried again by itself: those that had it do NOT get it a second time (A10, A97)', async () => {
    const scene = new Scene()
    let tries = 0
    await scene.webhook('ada')
    await scene.webhook('bob', () => ({ status: ++tries < 3 ? 500 : 200 }))
    await scene.webhook('cyd')
    await scene.webhook('dan', () => ({ status: 500 }), { maxAttempts: 2 })
    for (const name of ['ada', 'bob', 'cyd', 'dan']) await subscribe(scene, name, 'news')
    const { publication, deliveries } = await publishTo(scene, 'news', { data: { n: 1 } })
    await scene.pass(hour)
    expect(['ada', 'bob', 'cyd', 'dan'].map((name) => scene.callsOf(name).length)).toEqual([1, 3, 1, 2])
    // Each try is the same message, under its own leg’s id.
    for (const call of scene.callsOf('bob')) {
      expect(call.headers['webhook-id']).toBe(deliveries.find((d) => d.agent === 'bob')?.id)
      expect(JSON.parse(call.body).data).toEqual({ n: 1 })
    }
    expect((await scene.letters()).map((l) => [l.agent, l.kind])).toEqual([['dan', 'delivery']])
    expect(await report(scene, publication ?? '')).toMatchObject({ accepted: 4, refused: 0 })
  })

  it('a mailbox that is full for hours holds up no other, and has it when there is room', async () => {
    const scene = new Scene()
    await scene.webhook('ada')
    await scene.pull('full', { depth: 1 })
    for (const name of ['ada', 'full']) await subscribe(scene, name, 'news')
    const blocking = await scene.send('full')
    const { publication = '' } = await publishTo(scene, 'news')
    await scene.pass(3 * hour)
    expect(scene.callsOf('ada')).toHaveLength(1)
    expect(await report(scene, publication)).toMatchObject({ accepted: 1, refused: 0 })
    await scene.done(scene.platform().agent('full').cancel(blocking))
    // Asked again every five minutes by now.
    await scene.pass(6 * minute)
    expect(await report(scene, publication)).toMatchObject({ accepted: 2, refused: 0, closedAt: expect.any(Number) })
  })

  it('a mailbox that is full for a day is refused by name, and the publication is over', async () => {
    const scene = new Scene()
    await scene.pull('full', { depth: 1 })
    await subscribe(scene, 'full', 'news')
    await scene.send('full')
    const { publication = '' } = await publishTo(scene, 'news')
    await scene.pass(25 * hour)
    expect(await report(scene, publication)).toMatchObject({
      refused: 1,
      legs: [{ agent: 'full', state: { status: 'refused', reason: 'backpressure' } }],
    })
  })
})

describe('A116: a subscriber that is offline for an extended time', () => {
  it('misses nothing: its mail is parked and drains when it is back, each message once (A34, A100)', async () => {
    const scene = new Scene()
    let down = true
    const seen: number[] = []
    await scene.webhook('aggregator')
    await scene.webhook('visualizer', ({ body }) => {
      if (down) return { status: 503 }
      seen.push(JSON.parse(body).data)
      return { status: 200 }
    })
    await subscribe(scene, 'aggregator', 'spans.>')
    await subscribe(scene, 'visualizer', 'spans.>', { eq: ['type', 'trace.completed'] })
    const whole = Array.from({ length: 40 }, (_, n) => n)
    for (const n of whole) {
      await publishTo(scene, 'spans.a', {
        type: n % 2 === 0 ? 'trace.completed' : 'span.ended',
        data: n,
      })
      // Busy first, then now and then for two hours.
      await scene.pass(n < 20 ? 0 : 6 * minute)
    }
    expect(scene.callsOf('aggregator')).toHaveLength(40)
    const tried = scene.callsOf('visualizer').length
    down = false
    await scene.pass(hour)
    expect(seen.sort((a, b) => a - b)).toEqual(whole.filter((n) => n % 2 === 0))
    // Two hours of failing cost a probe now and then, not an attempt of every message.
    expect(tried).toBeLessThan(25)
    expect(await scene.letters()).toEqual([])
  })
})

describe('what is forgotten', () => {
  it('a publication a day after it closed, with all that its object stored', async () => {
    const scene = new Scene()
    await scene.webhook('ada')
    await subscribe(scene, 'ada', 'news')
    const { publication = '' } = await publishTo(scene, 'news', { id: 'm' })
    await scene.pass(23 * hour)
    expect((await publishTo(scene, 'news', { id: 'm' })).duplicate).toBe(true)
    await scene.pass(2 * hour)
    expect(await report(scene, publication)).toBeUndefined()
    expect(await scene.sim.publications()).toEqual([])
  })

  it('one that reached nobody when its dead letter is: until then it can be redriven', async () => {
    const scene = new Scene()
    const { publication = '' } = await publishTo(scene, 'nobody')
    await scene.pass(29 * 24 * hour)
    expect(await scene.done(scene.platform().publication(publication).unheard())).toBeDefined()
    await scene.pass(2 * 24 * hour)
    expect(await report(scene, publication)).toBeUndefined()
  })
})
