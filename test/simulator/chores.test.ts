/**
 * What frees others and has to be finished whatever dies on the way: effects, burials, nudges, the hourly sweep.
 */
import { describe, expect, it } from 'vitest'
import { limits } from '../../shared/limits.ts'
import type { Platform } from '../../shared/ports.ts'
import { carryOut } from '../../workers/effects.ts'
import { nudge } from '../../workers/nudge.ts'
import { sweep } from '../../workers/sweep.ts'
import { work } from '../../workers/work.ts'
import { held, type Reply, Scene } from './scene.ts'

const second = 1_000
const day = 86_400 * second
const json = (body: unknown): Reply => ({ status: 200, body: JSON.stringify(body) })
const asking =
  (...messages: unknown[]) =>
  () =>
    json({ messages })

/** Ports on which calls of one method fail until `heal` is called. */
function failing(agentName: string, method: string) {
  const trouble = { on: true, tried: 0 }
  const ports = (platform: Platform): Partial<Platform> => ({
    agent: (name) =>
      new Proxy(platform.agent(name), {
        get: (port, key) => {
          if (name !== agentName || key !== method || !trouble.on) return Reflect.get(port, key) as unknown
          return () => {
            trouble.tried += 1
            return Promise.reject(new Error('no answer'))
          }
        },
      }),
  })
  return { trouble, ports }
}

describe('effects', () => {
  it('that could not be placed are asked for again through `work`, and then leave once (E1)', async () => {
    const { trouble, ports } = failing('bob', 'accept')
    const scene = new Scene({ ports })
    await scene.webhook('ada', asking({ to: 'bob', type: 'next' }))
    await scene.webhook('bob')
    const id = await scene.send('ada')
    await scene.pass(30 * second)
    expect(trouble.tried).toBeGreaterThan(1)
    expect((await scene.receipt(id)).effects).toMatchObject([{ state: { status: 'pending' } }])
    trouble.on = false
    await scene.pass(600 * second)
    expect((await scene.receipt(id)).effects).toMatchObject([{ state: { status: 'carried' } }])
    expect(scene.callsOf('bob')).toHaveLength(1)
  })

  it('that can never be placed hide nothing of the others, and are refused and told after a day (E1)', async () => {
    const { trouble, ports } = failing('bob', 'accept')
    const scene = new Scene({ ports })
    await scene.webhook(
      'ada',
      asking({ to: 'bob', type: 'next' }, { to: 'carl', type: 'next' }, { to: 'bob', type: 'x' }),
    )
    await scene.webhook('bob')
    await scene.webhook('carl')
    const id = await scene.send('ada')
    const statuses = async () => (await scene.receipt(id)).effects?.map((e) => e.state.status)
    await scene.pass(30 * second)
    expect(await statuses()).toEqual(['pending', 'carried', 'pending'])
    expect(scene.callsOf('carl')).toHaveLength(1)
    await scene.pass(day)
    expect(trouble.tried).toBeGreaterThan(100)
    expect(await statuses()).toEqual(['refused', 'carried', 'refused'])
    const given = { status: 'refused', reason: 'unavailable', detail: expect.stringContaining('no answer') }
    expect((await scene.receipt(id)).effects?.[0]?.state).toEqual(given)
    expect((await scene.letters()).map((l) => l.id).sort()).toEqual([`${id}-e1`, `${id}-e3`])
    await scene.pass(day)
    expect(scene.callsOf('carl')).toHaveLength(1)
  })

  it('that were carried are noted though the refusal of another cannot be told yet (E1)', async () => {
    const trouble = { on: true }
    const bury = () => Promise.reject(new Error('no answer'))
    const ports = (platform: Platform): Partial<Platform> => ({
      deadLetters: () => (trouble.on ? { ...platform.deadLetters(), bury } : platform.deadLetters()),
    })
    const scene = new Scene({ ports })
    await scene.webhook('ada', asking({ to: 'nobody', type: 'next' }, { to: 'carl', type: 'next' }))
    await scene.webhook('carl')
    const id = await scene.send('ada')
    const statuses = async () => (await scene.receipt(id)).effects?.map((e) => e.state.status)
    await scene.pass(30 * second)
    expect(await statuses()).toEqual(['pending', 'carried'])
    trouble.on = false
    await scene.pass(600 * second)
    expect(await statuses()).toEqual(['refused', 'carried'])
    expect((await scene.letters()).map((l) => l.id)).toEqual([`${id}-e1`])
  })

  it('whose carrying was not noted are carried again and arrive once (M2)', async () => {
    const { trouble, ports } = failing('ada', 'carried')
    const scene = new Scene({ ports })
    await scene.webhook('ada', asking({ to: 'bob', type: 'next' }))
    await scene.webhook('bob')
    const id = await scene.send('ada')
    await scene.pass(60 * second)
    expect(trouble.tried).toBeGreaterThan(1)
    trouble.on = false
    await scene.pass(600 * second)
    expect((await scene.receipt(id)).effects).toMatchObject([{ state: { status: 'carried' } }])
    expect(scene.callsOf('bob')).toHaveLength(1)
  })

  it('for a full mailbox wait for a day, and then are refused and told', async () => {
    const scene = new Scene()
    await scene.webhook('ada', asking({ to: 'full', type: 'next' }))
    await scene.pull('full', { depth: 1 })
    await scene.send('full')
    const id = await scene.send('ada')
    await scene.pass(day / 2)
    expect((await scene.receipt(id)).effects).toMatchObject([{ state: { status: 'pending' } }])
    await scene.pass(day)
    expect((await scene.receipt(id)).effects).toMatchObject([{ state: { status: 'refused', reason: 'backpressure' } }])
    expect((await scene.letters()).map((l) => l.id)).toEqual([`${id}-e1`])
  })

  it('may use the reserved tenth of a mailbox that is full for publishers', async () => {
    const scene = new Scene()
    await scene.webhook('ada', asking({ to: 'busy', type: 'next' }))
    await scene.pull('busy', { depth: 10 })
    for (let i = 0; i < 9; i++) await scene.send('busy')
    const [refused] = await scene.publish([{ to: 'busy', type: 'x' }])
    expect(refused).toMatchObject({ ok: false, error: { code: 'backpressure' } })
    const id = await scene.send('ada')
    await scene.pass(second)
    expect((await scene.receipt(id)).effects).toMatchObject([{ state: { status: 'carried' } }])
  })

  it('end at the 33rd hop, so that no chain goes on for ever', async () => {
    const scene = new Scene()
    for (let i = 0; i <= limits.hops + 1; i++) await scene.webhook(`a${i}`, asking({ to: `a${i + 1}`, type: 'x' }))
    await scene.send('a0')
    await scene.pass(600 * second)
    // And whoever sent the last one is told.
    expect(scene.calls.map((c) => c.agent).at(-1)).toBe(`a${limits.hops}`)
    expect(scene.calls).toHaveLength(limits.hops + 2)
    const letter = (await scene.letters()).findLast((l) => l.reason === 'hop_limit')
    expect(letter).toMatchObject({ agent: `a${limits.hops + 1}`, error: { code: 'hop_limit' } })
    expect(letter?.path).toHaveLength(limits.hops + 1)
  })

  it('need their own agent’s permission, but a reply may go where it was asked to go', async () => {
    const scene = new Scene()
    await scene.webhook('ada', () => json({ reply: { data: 1 }, messages: [{ to: 'bob', type: 'x' }] }))
    await scene.webhook('bob')
    const registration = { kind: 'webhook' as const, url: 'http://127.0.0.1/ada', permissions: { send: [] } }
    const fresh = { name: 'ada', incarnation: 'i', secret: 's', trusted: true }
    await scene.done(scene.platform().agent('ada').enrol(registration, fresh))
    const id = await scene.send('ada', { replyto: 'bob' })
    await scene.pass(5 * second)
    expect((await scene.receipt(id)).effects).toMatchObject([
      { kind: 'reply', state: { status: 'carried' } },
      { kind: 'message', state: { status: 'refused', reason: 'forbidden' } },
    ])
  })

  it('of an agent that was deleted meanwhile are refused, not forgotten', async () => {
    const { trouble, ports } = failing('bob', 'accept')
    const scene = new Scene({ ports })
    await scene.webhook('ada', asking({ to: 'bob', type: 'next' }))
    await scene.webhook('bob')
    const id = await scene.send('ada')
    await scene.pass(second)
    await scene.done(scene.platform().agent('ada').retire('dead'))
    trouble.on = false
    await scene.pass(600 * second)
    expect((await scene.letters()).map((l) => [l.id, l.error?.code])).toEqual([[`${id}-e1`, 'agent_deleted']])
    expect(scene.callsOf('bob')).toEqual([])
  })
})

describe('a burial', () => {
  it('that the index did not hear is repeated until it did, once (because a letter nobody sees is lost mail)', async () => {
    const trouble = { on: true }
    const ports = (platform: Platform): Partial<Platform> => ({
      deadLetters: () => {
        const port = platform.deadLetters()
        return new Proxy(port, {
          get: (_, key) =>
            key === 'bury' && trouble.on
              ? () => Promise.reject(new Error('no answer'))
              : (Reflect.get(port, key) as unknown),
        })
      },
    })
    const scene = new Scene({ ports })
    await scene.webhook('ada', () => ({ status: 422 }))
    const id = await scene.send('ada')
    await scene.pass(60 * second)
    expect(await scene.letters()).toEqual([])
    trouble.on = false
    await scene.pass(600 * second)
    expect((await scene.letters()).map((l) => l.id)).toEqual([id])
  })

  it('that fails for one delivery does not keep the others’ effects from leaving', async () => {
    const scene = new Scene()
    await scene.webhook('bob')
    const unfinished = (id: string, to: string) => ({
      id,
      hops: 0,
      head: { id: 'm', source: 'admin', type: 'x', specversion: '1.0', time: '', correlationid: 'm' } as const,
      openedAt: scene.world.now,
      effects: [
        { n: 1, kind: 'message', publish: { to, type: 'x', id: `${id}-1` }, state: { status: 'pending' } },
      ] as const,
    })
    const platform = scene.platform()
    const agent = (name: string) =>
      name === 'broken'
        ? new Proxy(platform.agent(name), { get: () => () => Promise.reject(new Error('no answer')) })
        : platform.agent(name)
    const record = await scene.agent('bob')
    await scene.done(
      carryOut({ ...platform, agent }, 'bob', record, [unfinished('bob_a', 'broken'), unfinished('bob_b', 'bob')]),
    )
    await scene.pass(second)
    expect(scene.callsOf('bob')).toHaveLength(1)
  })
})

describe('a message on `work`', () => {
  it('that cannot be read, or fails, is retried by itself, and its neighbour is done', async () => {
    const { trouble, ports } = failing('bob', 'accept')
    const scene = new Scene({ ports })
    await scene.webhook('ada', asking({ to: 'bob', type: 'next' }))
    await scene.webhook('bob')
    const id = await scene.send('ada')
    await scene.pass(second)
    trouble.on = false
    const platform = scene.platform()
    const agent = (name: string) =>
      name === 'broken'
        ? new Proxy(platform.agent(name), { get: () => () => Promise.reject(new Error('no answer')) })
        : platform.agent(name)
    const batch = [
      held('nonsense'),
      held({ v: 1, agent: 'broken', deliveries: ['x'] }, 3),
      held({ v: 1, agent: 'broken', verify: true }, 100),
      held({ v: 1, agent: 'ada', deliveries: [id] }),
    ]
    await scene.done(work({ ...platform, agent }, batch))
    expect(batch.map((m) => m.verdict)).toEqual([
      { retriedAfterSeconds: 5 },
      { retriedAfterSeconds: 15 },
      { retriedAfterSeconds: 60 },
      'acked',
    ])
    expect((await scene.receipt(id)).effects).toMatchObject([{ state: { status: 'carried' } }])
  })
})

describe('a nudge from the platform’s dead-letter queue', () => {
  it('makes the mailbox look again, and changes nothing by itself', async () => {
    const scene = new Scene()
    await scene.webhook('ada')
    scene.sim.faults = { ...scene.sim.faults, queueLoses: 1 }
    const id = await scene.send('ada')
    scene.sim.faults = { ...scene.sim.faults, queueLoses: 0 }
    const message = held({ v: 1, agent: 'ada', deliveries: [id] })
    await scene.done(nudge(scene.platform(), [message]))
    await scene.pass(second)
    expect(message.verdict).toBe('acked')
    expect(await scene.receipt(id)).toMatchObject({ status: 'completed', attempt: 1 })
    await scene.done(nudge(scene.platform(), [held({ v: 1, agent: 'ada', deliveries: [id] })]))
    await scene.pass(second)
    expect(scene.callsOf('ada')).toHaveLength(1)
  })

  it('of an at_most_once message is its end, told on its receipt', async () => {
    const scene = new Scene()
    await scene.webhook('ada')
    scene.sim.faults = { ...scene.sim.faults, queueLoses: 1 }
    const platform = scene.platform()
    const [answer] = await scene.publish([{ to: 'ada', type: 'x', id: 'm', deliverymode: 'at_most_once' }])
    if (answer?.ok !== true) throw new Error('refused')
    const id = answer.value.deliveries[0]!.id
    const sent = {
      v: 1,
      agent: 'ada',
      fleeting: {
        id,
        message: {
          specversion: '1.0',
          id: 'm',
          source: 'admin',
          type: 'x',
          time: '2026-01-01T00:00:00Z',
          correlationid: 'm',
        },
        key: 'm',
        contentHash: 'h',
        hops: 0,
      },
    }
    await scene.done(nudge(platform, [held(sent)]))
    expect((await scene.receipt(id)).steps.at(0)?.detail).toBe('the platform gave up on it')
    expect(scene.calls).toEqual([])
  })

  it('that nobody understands is acked, and one that fails is retried in a minute', async () => {
    const scene = new Scene()
    const platform = scene.platform()
    const agent = () => new Proxy({}, { get: () => () => Promise.reject(new Error('no answer')) }) as never
    const batch = [
      held('nonsense'),
      held({ v: 1, agent: 'ada', verify: true }),
      held({ v: 1, agent: 'ada', deliveries: ['x'] }),
    ]
    await scene.done(nudge({ ...platform, agent }, batch))
    expect(batch.map((m) => m.verdict)).toEqual(['acked', 'acked', { retriedAfterSeconds: 60 }])
  })
})

describe('the hourly sweep', () => {
  async function listed(scene: Scene, ...names: string[]): Promise<void> {
    const directory = scene.platform().directory()
    for (const name of names) {
      const { kind, capabilities, incarnation, verified, permissions, updatedAt } = await scene.agent(name)
      await scene.done(
        directory.putAgent({ v: 1, agent: name, kind, capabilities, incarnation, verified, permissions, updatedAt }),
      )
    }
  }

  it.each([[false], [true]])(
    'wakes mail whose reference and alarm were lost by whatever bug (M6); its object was rebuilt meanwhile: %s',
    async (rebuilt) => {
      const scene = new Scene()
      await scene.webhook('ada')
      await listed(scene, 'ada')
      scene.sim.faults = { ...scene.sim.faults, queueLoses: 1 }
      const id = await scene.send('ada')
      scene.sim.faults = { ...scene.sim.faults, queueLoses: 0 }
      scene.sim.loseAlarm('ada')
      await scene.pass(3_600 * second)
      expect(scene.calls).toEqual([])
      if (rebuilt) scene.sim.crashEverything(true)
      await scene.done(sweep(scene.platform()))
      await scene.pass(second)
      expect((await scene.receipt(id)).status).toBe('completed')
    },
  )

  it('visits every agent, more than a page of them, and one that fails keeps nobody else waiting', async () => {
    const scene = new Scene()
    const names = Array.from({ length: limits.pageSize + 5 }, (_, i) => `agent-${i}`)
    for (const name of names) await scene.pull(name)
    await listed(scene, ...names)
    const platform = scene.platform()
    const agent = (name: string) =>
      name === 'agent-7'
        ? new Proxy(platform.agent(name), { get: () => () => Promise.reject(new Error('no answer')) })
        : platform.agent(name)
    expect(await scene.done(sweep({ ...platform, agent }))).toMatchObject({ visited: names.length - 1, failed: 1 })
  })
})
