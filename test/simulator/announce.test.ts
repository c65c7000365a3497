/** What the broker says on `switchboard.agent.<name>`: how a breaker moved, what is overdue, who is paused; once, to whoever may hear it. */
import { describe, expect, it } from 'vitest'
import type { LeasedDelivery } from '../../shared/agent-port.ts'
import { indexEntry } from '../../shared/directory.ts'
import { sweep } from '../../workers/sweep.ts'
import { noFaults } from './platform.ts'
import { Scene } from './scene.ts'

const second = 1_000
const minute = 60 * second
const hour = 60 * minute

async function subscribe(scene: Scene, agent: string, topic: string): Promise<void> {
  const directory = scene.platform().directory()
  await scene.done(directory.putAgent(indexEntry(await scene.agent(agent))))
  await scene.done(directory.putSubscription(`${agent}-on`, { agent, topic }, { max: 100 }))
}

async function heard(scene: Scene, agent: string): Promise<LeasedDelivery[]> {
  return [...(await scene.done(scene.platform().agent(agent).lease(100, hour, scene.world.unique('t')))).leases]
}

/** What the breaker did, in its own order: announcements travel each by itself. */
const typesOf = (leases: readonly LeasedDelivery[]) =>
  [...leases]
    .sort((a, b) => Number(a.head.epoch) - Number(b.head.epoch))
    .map((l) => l.head.type.replace('switchboard.breaker.', ''))

/** An agent that fails until it is told to be well, and one that watches. */
async function failing(topic = 'switchboard.agent.*') {
  const scene = new Scene()
  const health = { well: false }
  await scene.webhook('flaky', () => ({ status: health.well ? 200 : 500 }), {
    maxAttempts: 100,
    breaker: { failureThreshold: 2, openSeconds: 10, maxOpenSeconds: 10 },
    backoff: { initialSeconds: 0.1, factor: 1, capSeconds: 1, jitter: 'none' },
  })
  await scene.done(
    scene
      .platform()
      .directory()
      .putAgent(indexEntry(await scene.agent('flaky'))),
  )
  await scene.pull('watcher', { depth: 10_000, concurrency: 1_000 })
  await subscribe(scene, 'watcher', topic)
  await scene.send('flaky', { data: { secret: 'x' } })
  return { scene, health }
}

describe('a breaker that moves', () => {
  it('is announced move by move, once each, in order (A111)', async () => {
    const { scene, health } = await failing()
    await scene.pass(5 * second)
    health.well = true
    await scene.pass(minute)
    const leases = await heard(scene, 'watcher')
    expect(typesOf(leases)).toEqual(['open', 'half_open', 'closed'])
    await scene.done(sweep(scene.platform()))
    await scene.pass(10 * minute)
    expect(await heard(scene, 'watcher')).toEqual([])
  })

  it('is announced by the broker itself, with ids and no data (A111)', async () => {
    const { scene } = await failing()
    await scene.pass(5 * second)
    const [lease] = await heard(scene, 'watcher')
    expect(JSON.parse(lease?.body ?? '')).toMatchObject({
      type: 'switchboard.breaker.open',
      source: 'switchboard',
      subject: 'flaky',
      topic: 'switchboard.agent.flaky',
      epoch: 1,
    })
    expect(lease?.body).not.toContain('secret')
    expect(JSON.parse(lease?.body ?? '')).not.toHaveProperty('data')
  })

  it('says nothing to who subscribes to everything without naming the prefix', async () => {
    const { scene } = await failing('>')
    await scene.pass(minute)
    expect(await heard(scene, 'watcher')).toEqual([])
  })

  it('that a person forced is announced too', async () => {
    const { scene, health } = await failing()
    health.well = true
    await scene.pass(minute)
    await scene.done(scene.platform().agent('flaky').forceBreaker('open', 'an operator'))
    await scene.pass(second)
    expect(typesOf(await heard(scene, 'watcher')).at(-1)).toBe('open')
  })

  it('stores nothing when nobody listens', async () => {
    const { scene } = await failing('elsewhere')
    await scene.pass(hour)
    expect(await scene.sim.publications()).toEqual([])
  })

  it('of a new incarnation is told anew, although its epochs begin again', async () => {
    const { scene } = await failing()
    await scene.pass(5 * second)
    await scene.done(scene.platform().agent('flaky').retire('dead'))
    await scene.webhook('flaky', () => ({ status: 500 }), { maxAttempts: 9, breaker: { failureThreshold: 2 } })
    await scene.send('flaky')
    await scene.pass(minute)
    expect(typesOf(await heard(scene, 'watcher')).filter((t) => t === 'open')).toHaveLength(2)
  })
})

/** Without the announcements of the breaker. */
const saidOf = (leases: readonly LeasedDelivery[]) =>
  leases.map((l) => l.head).filter(({ type }) => !type.startsWith('switchboard.breaker.'))

/** A puller that leaves its mail lying, and one that watches. */
async function idle(topic = 'switchboard.agent.idle') {
  const scene = new Scene()
  await scene.pull('idle', { alert: { rung: 'claimed', afterSeconds: 60 } })
  await scene.done(
    scene
      .platform()
      .directory()
      .putAgent(indexEntry(await scene.agent('idle'))),
  )
  await scene.pull('watcher', { depth: 10_000, concurrency: 1_000, alert: { rung: 'claimed', afterSeconds: 1 } })
  await subscribe(scene, 'watcher', topic)
  return scene
}

describe('mail that is overdue', () => {
  it('is announced once, with ids and the rung and no data (A111, TC2)', async () => {
    const scene = await idle()
    const id = await scene.send('idle', { data: { secret: 'x' } })
    await scene.pass(2 * minute)
    const leases = await heard(scene, 'watcher')
    expect(saidOf(leases)).toMatchObject([
      { type: 'switchboard.delivery.overdue', source: 'switchboard', subject: 'idle', delivery: id, rung: 'claimed' },
    ])
    expect(leases[0]?.body).not.toContain('secret')
    await scene.done(sweep(scene.platform()))
    await scene.pass(hour)
    expect(await heard(scene, 'watcher')).toEqual([])
  })

  it('is made up for by the hourly sweep when a queue lost it (A111)', async () => {
    const scene = await idle()
    const id = await scene.send('idle')
    scene.sim.faults = { ...noFaults, queueLoses: 1 }
    await scene.pass(2 * minute)
    scene.sim.faults = noFaults
    expect(await heard(scene, 'watcher')).toEqual([])
    await scene.done(sweep(scene.platform()))
    expect(saidOf(await heard(scene, 'watcher')).map((head) => head.delivery)).toEqual([id])
  })

  it('is not announced when it is an announcement: they do not feed on themselves', async () => {
    const scene = await idle('switchboard.>')
    await scene.pull('second')
    await subscribe(scene, 'second', 'switchboard.agent.watcher')
    await scene.send('idle')
    await scene.pass(hour)
    const receipts = (await scene.done(scene.platform().agent('watcher').list(undefined, undefined, 100))).items
    expect(receipts.map((r) => r.steps.filter((s) => s.step === 'overdue').length)).toEqual([1])
    await scene.done(sweep(scene.platform()))
    expect(await heard(scene, 'second')).toEqual([])
  })

  it('stores nothing when nobody listens', async () => {
    const scene = await idle('elsewhere')
    await scene.send('idle')
    await scene.pass(hour)
    expect(await scene.sim.publications()).toEqual([])
  })
})

describe('an agent that is paused', () => {
  it('by a person is announced once, however often it is said (A111)', async () => {
    const scene = await idle()
    for (const reason of ['a look', 'a longer look']) {
      await scene.done(scene.platform().agent('idle').pause(reason, undefined))
      await scene.pass(minute)
    }
    await scene.done(sweep(scene.platform()))
    const leases = await heard(scene, 'watcher')
    expect(saidOf(leases)).toMatchObject([{ type: 'switchboard.agent.paused', subject: 'idle', source: 'switchboard' }])
    expect(leases[0]?.body).not.toContain('look')
    await scene.resume('idle')
    await scene.done(scene.platform().agent('idle').pause('again', undefined))
    await scene.pass(minute)
    expect(saidOf(await heard(scene, 'watcher'))).toHaveLength(1)
  })

  it('by its own 410 is announced (A111)', async () => {
    const scene = await idle('switchboard.agent.*')
    await scene.webhook('moved', () => ({ status: 410 }))
    await scene.done(
      scene
        .platform()
        .directory()
        .putAgent(indexEntry(await scene.agent('moved'))),
    )
    await scene.send('moved')
    await scene.pass(minute)
    expect(saidOf(await heard(scene, 'watcher')).map((h) => [h.type, h.subject])).toEqual([
      ['switchboard.agent.paused', 'moved'],
    ])
  })

  it('is made up for by the hourly sweep when a queue lost it', async () => {
    const scene = await idle()
    scene.sim.faults = { ...noFaults, queueLoses: 1 }
    await scene.done(scene.platform().agent('idle').pause('a look', undefined))
    await scene.pass(minute)
    scene.sim.faults = noFaults
    expect(await heard(scene, 'watcher')).toEqual([])
    await scene.done(sweep(scene.platform()))
    expect(saidOf(await heard(scene, 'watcher'))).toHaveLength(1)
  })
})

describe('a queue that loses what the breaker says', () => {
  it('is made up for by the hourly sweep, and what did arrive is not told twice', async () => {
    const { scene, health } = await failing()
    await scene.pass(5 * second)
    scene.sim.faults = { ...noFaults, queueLoses: 1 }
    await scene.pass(20 * second)
    scene.sim.faults = noFaults
    health.well = true
    await scene.pass(10 * minute)
    const before = typesOf(await heard(scene, 'watcher'))
    await scene.done(sweep(scene.platform()))
    const after = typesOf(await heard(scene, 'watcher'))
    const breaker = await scene.done(scene.platform().agent('flaky').breaker())
    expect(before.length).toBeLessThan(breaker?.history.length ?? 0)
    expect([...before, ...after].sort()).toEqual(breaker?.history.map((m) => m.to).sort())
  })
})

describe('announcements do not feed on themselves', () => {
  it('an agent is not told of its own breaker: that mail would only wait behind it', async () => {
    const { scene } = await failing()
    await subscribe(scene, 'flaky', 'switchboard.>')
    await scene.pass(10 * minute)
    expect((await heard(scene, 'watcher')).length).toBeGreaterThan(20)
    expect((await scene.done(scene.platform().agent('flaky').describe()))?.figures.depth).toBe(1)
  })

  it('two that are down and listen to each other hear two moves a window, and no more', async () => {
    const scene = new Scene()
    for (const name of ['one', 'two']) {
      await scene.webhook(name, () => ({ status: 500 }), { maxAttempts: 100, depth: 10_000 })
      await subscribe(scene, name, 'switchboard.>')
    }
    for (const name of ['one', 'two']) for (let i = 0; i < 5; i++) await scene.send(name)
    await scene.pass(24 * hour)
    for (const name of ['one', 'two']) {
      const moves = (await scene.done(scene.platform().agent(name).breaker()))?.epoch ?? 0
      const other = name === 'one' ? 'two' : 'one'
      const depth = (await scene.done(scene.platform().agent(other).describe()))?.figures.depth ?? 0
      // One window of 15 minutes after the other.
      expect(moves).toBeLessThan(2 * 24 * 4 + 20)
      expect(depth).toBeLessThanOrEqual(moves + 5)
    }
  })
})
