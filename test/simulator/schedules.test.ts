/**
 * Schedules in virtual time: through lost queues, crashes between any two lines and mailboxes that are full, each time is
 * published once or told why not (B2, M1, M2, M6).
 */
import { describe, expect, it } from 'vitest'
import { ownSource, type Principal, resolvePermissions } from '../../shared/permissions.ts'
import type { Schedule } from '../../shared/schedule.ts'
import { scheduleInput } from '../../shared/schedule-input.ts'
import type { SchemaInput } from '../../shared/schema.ts'
import { fire } from '../../workers/fire.ts'
import { sweep } from '../../workers/sweep.ts'
import { Invocation, noFaults } from './platform.ts'
import { Scene } from './scene.ts'
import { Dying, mixture } from './trouble.ts'

const second = 1_000
const minute = 60 * second
const hour = 60 * minute
const start = Date.UTC(2026, 0, 1)

async function schedule(scene: Scene, input: object, creator: Principal = { kind: 'admin' }, incarnation?: string) {
  const owner = ownSource(creator)
  const parsed = scheduleInput.parse({ message: { to: 'ada', type: 'test.note', data: { n: 1 } }, ...input })
  const founding = { id: 'tick', owner, creator, ...(incarnation === undefined ? {} : { incarnation }) }
  const answer = await scene.done(scene.platform().schedules().put(founding, parsed, { max: 10, maxOfOwner: 10 }))
  expect(answer.status).toBe('put')
}

async function found(scene: Scene): Promise<Schedule> {
  const one = await scene.done(scene.platform().schedules().find('tick'))
  if (one === undefined) throw new Error('no schedule')
  return one
}

const states = ({ firings }: Schedule) => firings.map((f) => f.state.status)
const arrived = (scene: Scene, agent = 'ada') => scene.arrived(agent, 'id')
const idsEvery = (ms: number, count: number) =>
  Array.from({ length: count }, (_, i) => `tick-${new Date(start + (i + 1) * ms).toISOString().replace('.000Z', 'Z')}`)

describe('a schedule', () => {
  it('publishes at each of its times, under its creator’s source, and says where each went', async () => {
    const scene = new Scene()
    await scene.webhook('ada')
    await scene.pass(start + second - scene.world.now)
    await schedule(scene, { cron: '*/10 * * * *', timezone: 'Europe/Berlin' })
    await scene.pass(61 * minute)
    expect(arrived(scene)).toEqual(idsEvery(10 * minute, 6))
    const known = await found(scene)
    expect(states(known)).toEqual(Array(6).fill('published'))
    expect(JSON.parse(scene.calls[0]?.body ?? '')).toMatchObject({ source: 'admin', data: { n: 1 } })
    const [first] = known.firings
    const delivery = first?.state.status === 'published' ? (first.state.delivery ?? '') : ''
    expect((await scene.receipt(delivery)).status).toBe('completed')
  })

  it('of a topic names the publication, and one that nobody hears is a dead letter as any publish is', async () => {
    const scene = new Scene()
    await schedule(scene, { cron: '*/10 * * * *', message: { topic: 'news', type: 'x' } })
    await scene.pass(11 * minute)
    expect((await found(scene)).firings[0]?.state).toMatchObject({ status: 'published' })
    expect(await scene.letters()).toHaveLength(1)
  })

  it('to an agent that does not exist is refused by name, each time', async () => {
    const scene = new Scene()
    await schedule(scene, { cron: '*/10 * * * *', message: { to: 'nobody', type: 'x' } })
    await scene.pass(21 * minute)
    const { firings } = await found(scene)
    expect(firings.map((f) => f.state)).toMatchObject([
      { status: 'refused', code: 'agent_not_found' },
      { status: 'refused', code: 'agent_not_found' },
    ])
  })

  it('speaks with the permissions that its creator has now; one that was deleted speaks no more, even under the same name (S1)', async () => {
    const scene = new Scene()
    await scene.webhook('ada')
    const { incarnation } = await scene.pull('bob')
    await schedule(
      scene,
      { cron: '*/10 * * * *' },
      { kind: 'agent', name: 'bob', permissions: resolvePermissions('bob') },
      incarnation,
    )
    await scene.pass(11 * minute)
    expect(JSON.parse(scene.calls[0]?.body ?? '').source).toBe('bob')
    const fresh = { name: 'bob', incarnation, secret: 'whsec_eA==', trusted: true }
    await scene.done(
      scene
        .platform()
        .agent('bob')
        .enrol({ kind: 'pull', permissions: { send: ['carl'] } }, fresh),
    )
    await scene.pass(10 * minute)
    await scene.done(scene.platform().agent('bob').retire('dead'))
    await scene.pass(10 * minute)
    await scene.pull('bob')
    await scene.pass(10 * minute)
    expect(
      (await found(scene)).firings.map((f) => (f.state.status === 'refused' ? f.state.code : f.state.status)),
    ).toEqual(['published', 'forbidden', 'creator_gone', 'creator_gone'])
  })

  it('that does not fit a schema is refused with the pointer (A42)', async () => {
    const scene = new Scene()
    const input: SchemaInput = {
      match: { type: 'test.*' },
      schema: { properties: { n: { type: 'string' } } },
      enforce: 'reject',
    }
    await scene.webhook('ada')
    await scene.done(scene.platform().directory().putSchema('notes', input, { max: 10, maxBytes: 10_000 }))
    await schedule(scene, { cron: '*/10 * * * *' })
    await scene.pass(11 * minute)
    expect((await found(scene)).firings[0]?.state).toMatchObject({ status: 'refused', code: 'schema_mismatch' })
    expect(scene.calls).toEqual([])
  })
})

describe('overlap: the delivery of the firing before has not ended', () => {
  const withSlow = async (overlap: string) => {
    const scene = new Scene()
    // Twenty-five minutes for each.
    await scene.webhook('ada', () => scene.sleep(25 * minute).then(() => ({ status: 200 })), { timeoutSeconds: 3_000 })
    await schedule(scene, { cron: '*/10 * * * *', overlap })
    await scene.pass(65 * minute)
    return { scene, known: await found(scene) }
  }

  it('skip: those meanwhile are skipped, with the reason', async () => {
    const { scene, known } = await withSlow('skip')
    expect(arrived(scene)).toEqual([idsEvery(10 * minute, 4)[0], idsEvery(10 * minute, 4)[3]])
    expect(known.firings[1]?.state).toMatchObject({ status: 'skipped', reason: 'overlap' })
  })

  it('buffer_one: one is kept, and published soon after the one before has ended', async () => {
    const { scene, known } = await withSlow('buffer_one')
    const [first, second, , fourth] = idsEvery(10 * minute, 4)
    expect(arrived(scene)).toEqual([first, second, fourth])
    const kept = known.firings.find((f) => f.id === second)
    const endedAt = kept?.state.status === 'published' ? kept.state.endedAt : 0
    expect(endedAt).toBeGreaterThanOrEqual(start + 35 * minute)
    expect(endedAt).toBeLessThan(start + 41 * minute)
  })

  it('allow: each is published at its time', async () => {
    const { scene } = await withSlow('allow')
    expect(arrived(scene)).toEqual(idsEvery(10 * minute, 6))
  })
})

describe('trouble', () => {
  it('a queue that loses everything for an hour delays what is due, and loses none of it (M1, M6)', async () => {
    const scene = new Scene()
    await scene.webhook('ada')
    await schedule(scene, { cron: '*/10 * * * *', overlap: 'allow' })
    scene.sim.faults = { ...noFaults, queueLoses: 1 }
    await scene.pass(61 * minute)
    expect(scene.calls).toEqual([])
    scene.sim.faults = noFaults
    await scene.pass(20 * minute)
    expect(arrived(scene).slice(0, 6).sort()).toEqual(idsEvery(10 * minute, 6))
  })

  it('a mailbox that is full has it when there is room', async () => {
    const scene = new Scene()
    await scene.pull('ada', { depth: 1 })
    const blocking = await scene.send('ada')
    await schedule(scene, { at: '2026-01-01T01:00:00Z' })
    await scene.pass(3 * hour)
    expect(states(await found(scene))).toEqual(['due'])
    await scene.done(scene.platform().agent('ada').cancel(blocking))
    await scene.pass(10 * minute)
    expect(states(await found(scene))).toEqual(['published'])
  })

  it('whoever dies at any call of a firing: it is published, once (M1, M2)', async () => {
    let deaths = 0
    for (const took of ['before', 'after'] as const) {
      for (let at = 1; at < 12; at++) {
        const scene = new Scene({ seed: at })
        // It dies of what it gets, which gives a publisher's key back, but not the broker's own id.
        await scene.webhook('ada', () => ({ status: 422 }))
        await schedule(scene, { at: '2026-01-01T01:00:00Z' })
        const invocation = new Invocation()
        const platform = scene.platform(invocation)
        const dying = new Dying(invocation, at, took)
        // The alarm fires while nobody listens; then comes the one that dies.
        scene.sim.faults = { ...noFaults, queueLoses: 1 }
        await scene.pass(hour + 2 * second)
        scene.sim.faults = noFaults
        fire(
          {
            ...platform,
            agent: (name) => dying.port(platform.agent(name)),
            directory: () => dying.port(platform.directory()),
            schedules: () => dying.port(platform.schedules()),
          },
          'tick',
        ).catch(() => undefined)
        await scene.pass(20 * minute)
        if (dying.calls >= at) deaths += 1
        const where = `dying ${took} call ${at}`
        expect(states(await found(scene)), where).toEqual(['published'])
        expect(arrived(scene), where).toEqual(['tick-2026-01-01T01:00:00Z'])
        expect(await scene.letters(), where).toHaveLength(1)
      }
    }
    // Find, the schemas, accept, report: each before and after.
    expect(deaths).toBeGreaterThanOrEqual(8)
  })

  it('any mixture of it, for hours: each time is published once, and nothing is owed in the end (M1, M2, M6, TB2)', async () => {
    for (let seed = 1; seed <= 24; seed++) {
      const scene = new Scene({ seed })
      const { world } = scene
      await scene.webhook('ada')
      await schedule(scene, { cron: '*/5 * * * *', overlap: 'allow', catchUp: 'all', endAt: '2026-01-01T02:00:00Z' })
      scene.sim.faults = mixture(world)
      for (let i = 0; i < 6; i++)
        world.in(world.random() * 2 * hour, () => scene.sim.crashEverything(world.chance(0.5)))
      await scene.pass(2 * hour)
      scene.sim.faults = noFaults
      await scene.pass(2 * hour)
      const known = await found(scene)
      expect(arrived(scene).sort(), `seed ${seed}`).toEqual(idsEvery(5 * minute, 24))
      expect(states(known), `seed ${seed}`).toEqual(Array(24).fill('published'))
    }
  }, 60_000)

  it('an alarm that whatever bug had lost is armed again by the hourly sweep (M6)', async () => {
    const scene = new Scene()
    await scene.webhook('ada')
    await schedule(scene, { cron: '*/10 * * * *' })
    scene.sim.loseAlarm('all', 'schedules')
    await scene.pass(30 * minute)
    expect(scene.calls).toEqual([])
    await scene.done(sweep(scene.platform()))
    await scene.pass(21 * minute)
    expect(arrived(scene).length).toBeGreaterThanOrEqual(2)
  })
})
