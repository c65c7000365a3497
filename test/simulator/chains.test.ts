/**
 * Chains of responsibility in virtual time: handlers that pass, agents that are down, and stories in which calls fail, objects
 * crash and queues forget. Each message is asked of one agent after the other and of nobody twice, and ends once.
 */
import { describe, expect, it } from 'vitest'
import * as z from 'zod'
import type { Receipt } from '../../shared/receipt.ts'
import { type AnyAgent, defineAgent, defineBatchAgent } from '../../workers/define.ts'
import { noFaults } from './platform.ts'
import { type Reply, Scene } from './scene.ts'
import { trouble } from './trouble.ts'

const second = 1_000
const minute = 60 * second
const hour = 60 * minute

const passing = (name: string, takes: (n: number) => boolean): AnyAgent =>
  defineAgent({
    name,
    accepts: z.object({ n: z.number() }),
    handle: async (message, ctx) => {
      if (!takes(message.data.n)) ctx.pass()
      return takes(message.data.n) ? name : undefined
    },
  })

async function receipts(scene: Scene, agent: string): Promise<readonly Receipt[]> {
  return (await scene.done(scene.platform().agent(agent).list(undefined, undefined, 100))).items
}

const answered = (body: unknown): Reply => ({ status: 200, body: JSON.stringify(body) })

describe('a chain in virtual time', () => {
  it('(A59) handlers pass by `ctx.pass()`, webhooks by `{ pass: true }`, and who takes it has the result', async () => {
    const scene = new Scene({ handlers: [passing('small', (n) => n < 10)] })
    await scene.handler('small')
    await scene.webhook('middle', (call) => answered(JSON.parse(call.body).data.n < 100 ? 'middle' : { pass: true }))
    await scene.webhook('large', () => answered('large'))
    const first = (n: number) => scene.send('small', { chain: ['middle', 'large'], data: { n } })
    const [one, two, three] = [await first(1), await first(20), await first(300)]
    await scene.pass(minute)
    const results = (await Promise.all(['small', 'middle', 'large'].map((name) => receipts(scene, name)))).map((all) =>
      all.flatMap((r) => (r.result === undefined ? [] : [r.result])),
    )
    expect(results).toEqual([['small'], ['middle'], ['large']])
    expect((await scene.receipt(one)).effects).toBeUndefined()
    for (const id of [two, three]) expect((await scene.receipt(id)).effects).toMatchObject([{ kind: 'pass' }])
    expect(scene.callsOf('middle')).toHaveLength(2)
    expect(await scene.letters()).toEqual([])
  })

  it('(A59) each of a batch passes by itself', async () => {
    const batch = defineBatchAgent({
      name: 'batch',
      accepts: z.object({ n: z.number() }),
      policy: { batch: { size: 2, waitSeconds: 1 } },
      handleBatch: async (messages) => ({
        results: messages.map(({ delivery, data }) =>
          data.n === 1 ? { id: delivery, status: 'ok', result: 'mine' } : { id: delivery, status: 'ok', pass: true },
        ),
      }),
    })
    const scene = new Scene({ handlers: [batch] })
    await scene.handler('batch', batch.policy)
    await scene.webhook('next')
    for (const n of [1, 2]) await scene.send('batch', { chain: ['next'], data: { n } })
    await scene.pass(minute)
    expect(scene.callsOf('next').map((call) => JSON.parse(call.body).data.n)).toEqual([2])
  })

  it('(A61) what waits for an agent that is down goes on when it is up again; what says `skip` does not wait', async () => {
    const scene = new Scene()
    await scene.webhook('down', () => answered({ pass: true }))
    await scene.webhook('up')
    await scene.done(scene.platform().agent('down').forceBreaker('open', 'an operator'))
    await scene.send('down', { chain: ['up'], subject: 'waits' })
    await scene.send('down', { chain: ['up'], chainopen: 'skip', subject: 'skips' })
    await scene.pass(minute)
    const seen = () => scene.callsOf('up').map((call) => JSON.parse(call.body).subject)
    expect(seen()).toEqual(['skips'])
    const { references } = await scene.done(scene.platform().agent('down').forceBreaker('auto', 'an operator'))
    expect(references).toBeDefined()
    await scene.pass(hour)
    expect(seen()).toEqual(['skips', 'waits'])
    expect(scene.callsOf('down')).toHaveLength(1)
  })

  it('(A59) a full mailbox is waited for, and the message is kept until the next has it', async () => {
    const scene = new Scene()
    await scene.webhook('first', () => answered({ pass: true }))
    await scene.pull('full', { depth: 10 })
    for (let i = 0; i < 9; i++) await scene.send('full', { id: `filler-${i}` })
    for (let i = 0; i < 3; i++) await scene.send('first', { id: `one-${i}`, chain: ['full'], data: { i } })
    await scene.pass(minute)
    expect(await receipts(scene, 'full')).toHaveLength(10)
    for (const { id } of (await receipts(scene, 'full')).filter((r) => r.message.id.startsWith('filler')))
      await scene.done(scene.platform().agent('full').cancel(id))
    await scene.pass(hour)
    const { leases } = await scene.done(scene.platform().agent('full').lease(10, minute, 'all'))
    expect(leases.map((l) => JSON.parse(l.body).data.i).sort()).toEqual([0, 1, 2])
  })
})

const chain = ['ada', 'bob', 'cyd', 'dan']

async function story(seed: number) {
  const scene = new Scene({ seed })
  const { world } = scene
  let calm = false
  const answer = async (): Promise<Reply> => {
    const luck = calm ? world.random() * 0.5 + 0.5 : world.random()
    if (luck < 0.15) return { status: 500 }
    if (luck < 0.2) return new Promise(() => undefined)
    await world.sleep(world.random() * second)
    return luck < 0.75 ? answered({ pass: true }) : answered('taken')
  }
  for (const name of chain)
    await scene.webhook(name, () => answer(), {
      timeoutSeconds: 5,
      backoff: 'quick',
      maxAttempts: 20,
      depth: world.pick([3, 100]),
    })
  scene.sim.faults = trouble
  for (const part of [0.3, 0.7]) world.in(part * minute, () => scene.sim.crashEverything(true))
  const ids = Array.from({ length: 8 }, (_, i) => `m-${i}`)
  for (const id of ids)
    world.in(world.random() * minute, () => {
      const [to, ...rest] = chain
      const tell = () =>
        scene.publish([
          { to, chain: rest, id, type: 'x', ...(world.chance(0.5) ? { chainopen: 'skip' } : {}), data: { id } },
        ])
      tell().catch(() => undefined)
    })
  await scene.pass(2 * minute)
  scene.sim.faults = noFaults
  calm = true
  await scene.pass(6 * hour)
  return { scene, ids }
}

describe('through any trouble', () => {
  it.each(Array.from({ length: 30 }, (_, i) => i + 1))(
    '(A59) (A61) (A62) (T9) a message goes down its chain once, and ends with who takes it or as one dead letter (M1, M2, E1, seed %d)',
    async (seed) => {
      const { scene, ids } = await story(seed)
      const mail = await Promise.all(chain.map((name) => receipts(scene, name)))
      const letters = await scene.letters()
      for (const id of ids) {
        const hops = mail.map((all) => all.filter((r) => r.message.id === id))
        if (hops[0]?.length === 0) continue
        for (const there of hops) expect(there.length).toBeLessThanOrEqual(1)
        const way = hops.flat()
        // Who passed, one after the other from the first; then who took it, or was the last.
        expect(way.map((r) => r.agent)).toEqual(chain.slice(0, way.length))
        for (const [i, r] of way.entries()) {
          expect(r.tried?.map((t) => t.agent) ?? []).toEqual(chain.slice(0, i))
          if (i < way.length - 1)
            expect(r.effects).toMatchObject([{ kind: 'pass', state: { deliveries: [way[i + 1]!.id] } }])
        }
        const last = way.at(-1)!
        const isDead = letters.filter((l) => l.delivery === last.id).length
        expect([last.status, isDead]).toEqual(last.result === 'taken' ? ['completed', 0] : ['dead_lettered', 1])
      }
    },
  )
})
