/**
 * Scatters in virtual time: hundreds of legs, deaths on every way, and stories in which calls fail, objects crash and queues
 * forget. Each part is worked on, its reply counts once, the reducer is asked once, and whoever waits for the end hears it once.
 */
import { describe, expect, it } from 'vitest'
import { limits } from '../../shared/limits.ts'
import type { Platform } from '../../shared/ports.ts'
import { isScatterOver, type resultsOf } from '../../shared/scatter-results.ts'
import { scatterView } from '../../shared/scatter-view.ts'
import { askLegs } from '../../workers/gather.ts'
import { scatter } from '../../workers/scatter.ts'
import { Invocation, noFaults } from './platform.ts'
import { admin, type Reply, Scene } from './scene.ts'
import { trouble } from './trouble.ts'

const second = 1_000
const minute = 60 * second
const hour = 60 * minute

/** As the route does. */
async function send(platform: Platform, json: object): Promise<string | undefined> {
  const answer = await scatter(platform, admin, { type: 'work', ...json }, {})
  if (!answer.ok) throw new Error(JSON.stringify(answer.error))
  const { gather, bodies } = answer.value
  if (bodies !== undefined) await askLegs(platform, gather, bodies).catch(() => undefined)
  return gather.id
}

const open = async (scene: Scene, json: object) => (await scene.done(send(scene.platform(), json))) ?? ''

async function view(scene: Scene, id: string) {
  const report = await scene.done(scene.platform().gather(id).results(1))
  if (report === undefined) throw new Error(`no scatter ${id}`)
  return scatterView(report, 1)
}

const result = (value: unknown): Reply => ({ status: 200, body: JSON.stringify({ reply: { data: value } }) })
const dataOf = (call: { readonly body: string }) => JSON.parse(call.body).data

describe('a scatter in virtual time', () => {
  it('(A53) of hundreds of legs is asked by as many invocations as it takes, and each leg once', async () => {
    const scene = new Scene()
    const workers = Array.from({ length: 10 }, (_, i) => `worker-${i}`)
    for (const name of workers)
      await scene.webhook(name, (call) => result(dataOf(call).items[0]), { concurrency: 50, depth: 1_000 })
    const items = Array.from({ length: limits.legsPerInvocation + 100 }, (_, i) => i)
    const id = await open(scene, { to: workers, items, itemsPerChunk: 1, assign: 'rotate', deadlineSeconds: 3_600 })
    // Before any alarm: what one invocation may not ask, the next does at once.
    await scene.pass(4 * second)
    expect(scene.calls.length).toBeGreaterThan(limits.legsPerInvocation)
    await scene.pass(10 * minute)
    const told = await view(scene, id)
    expect(told).toMatchObject({ status: 'completed', progress: { legs: items.length, ok: items.length } })
    expect(told.ok.map((one) => one.data)).toEqual(items)
    expect(scene.calls).toHaveLength(items.length)
  })

  it('(A53) a mailbox that is full is asked again until there is room', async () => {
    const scene = new Scene()
    await scene.webhook('small', (call) => result(dataOf(call).items[0]), { depth: 10, concurrency: 2 })
    const items = Array.from({ length: 60 }, (_, i) => i)
    const id = await open(scene, { to: 'small', items, itemsPerChunk: 1, deadlineSeconds: 3_600 })
    expect((await view(scene, id)).status).toBe('running')
    await scene.pass(hour)
    expect(await view(scene, id)).toMatchObject({ status: 'completed', progress: { ok: 60 } })
  })

  it('(A53) (A58) whoever began it is gone: the alarm asks its legs, ends it at its deadline, and tells the end', async () => {
    const scene = new Scene()
    await scene.webhook('good', () => result(1))
    await scene.pull('mute')
    await scene.webhook('told')
    const json = { to: ['good', 'mute'], type: 'work', join: 'settled', deadlineSeconds: 60, replyto: 'told' }
    const opened = await scene.done(scatter(scene.platform(), admin, json, {}))
    if (!opened.ok) throw new Error('refused')
    await scene.pass(5 * minute)
    expect(await view(scene, opened.value.gather.id)).toMatchObject({
      status: 'completed',
      ok: [{ agent: 'good' }],
      missing: [{ agent: 'mute' }],
    })
    expect(scene.callsOf('told').map((call) => JSON.parse(call.body).type)).toEqual(['work.gathered'])
    expect((await scene.letters()).length).toBe(0)
  })

  it('(A57) what is too large for the reducer’s message is marked, and can be read', async () => {
    const scene = new Scene()
    const large = 'x'.repeat(200_000)
    for (const name of ['a', 'b', 'c', 'd']) await scene.webhook(name, () => result(large))
    await scene.webhook('reducer', () => result('done'))
    const id = await open(scene, { to: ['a', 'b', 'c', 'd'], reduce: { to: 'reducer', type: 'join' } })
    await scene.pass(minute)
    const [call] = scene.callsOf('reducer')
    const { ok } = dataOf(call!) as ReturnType<typeof resultsOf>
    expect(ok.map((one) => one.omitted ?? false)).toEqual([false, false, true, true])
    expect((await view(scene, id)).ok.map((one) => one.data)).toEqual([large, large, large, large])
    expect(await view(scene, id)).toMatchObject({ status: 'completed', result: 'done' })
  })

  it('(A57) (A58) its reducer may take longer than a day; it is forgotten a day after its end', async () => {
    const scene = new Scene()
    await scene.webhook('a', () => result(1))
    await scene.pull('slow')
    const reduce = { to: 'slow', type: 'join', timeoutSeconds: 5 * 86_400 }
    const id = await open(scene, { to: 'a', reduce })
    await scene.pass(60 * hour)
    expect((await view(scene, id)).status).toBe('reducing')
    const { leases } = await scene.done(scene.platform().agent('slow').lease(1, minute, 'work'))
    const outcome = { kind: 'ok', result: 'at last' } as const
    const report = { id: leases[0]!.id, token: leases[0]!.token, outcome, external: true }
    await scene.done(scene.platform().agent('slow').settle([report]))
    await scene.pass(hour)
    expect(await view(scene, id)).toMatchObject({ status: 'completed', result: 'at last' })
    await scene.pass(25 * hour)
    expect(await scene.done(scene.platform().gather(id).report())).toBeUndefined()
  })
})

async function story(seed: number) {
  const scene = new Scene({ seed })
  const { world } = scene
  let calm = false
  const answer = async (of: () => unknown): Promise<Reply> => {
    const luck = calm ? 1 : world.random()
    if (luck < 0.2) return { status: 500 }
    if (luck < 0.25) return { status: 422 }
    if (luck < 0.3) return new Promise(() => undefined)
    await world.sleep(world.random() * 2 * second)
    return result(of())
  }
  const policy = { timeoutSeconds: 5, backoff: 'quick', depth: world.pick([3, 100]) } as const
  const workers = ['ada', 'bob', 'cyd']
  for (const name of workers)
    await scene.webhook(name, (call) => answer(() => dataOf(call).items.length), { ...policy, maxAttempts: 3 })
  for (const name of ['reducer', 'told'])
    await scene.webhook(name, () => answer(() => 'made'), { ...policy, maxAttempts: 20 })
  const items = Array.from({ length: 1 + Math.floor(world.random() * 40) }, (_, i) => i)
  const json = {
    ...{
      id: 'once',
      to: workers,
      items,
      itemsPerChunk: world.pick([1, 3, 100]),
      deadlineSeconds: world.pick([20, 600]),
    },
    ...{ join: world.pick(['all', 'any', 'settled', 'quorum:1']), replyto: 'told' },
    reduce: { to: 'reducer', type: 'join', onEmpty: world.pick(['skip', 'call']), timeoutSeconds: 3_600 },
  }
  scene.sim.faults = trouble
  for (const part of [0.3, 0.7]) world.in(part * minute, () => scene.sim.crashEverything(true))
  // As a client does: it asks until somebody answers.
  const asking = (async () => {
    for (;;) {
      const asked = send(scene.platform(new Invocation()), json).catch(() => undefined)
      const id = await Promise.race([asked, world.sleep(5 * second).then(() => undefined)])
      if (id !== undefined) return id
    }
  })()
  await scene.pass(2 * minute)
  scene.sim.faults = noFaults
  calm = true
  const id = await scene.done(asking)
  await scene.pass(3 * hour)
  return { scene, id }
}

describe('through any trouble', () => {
  it.each(Array.from({ length: 40 }, (_, i) => i + 1))(
    '(A58) (TC14) it resolves once, its reducer is asked once, and its end is told once (G1, M1, M2, seed %d)',
    async (seed) => {
      const { scene, id } = await story(seed)
      const report = await scene.done(scene.platform().gather(id).results(1))
      const { gather } = report!
      expect(isScatterOver(gather)).toBe(true)
      expect(gather.told).toBe(true)
      const { ok, failed, missing, progress, status } = scatterView(report!, 1)
      expect(ok.length + failed.length + missing.length).toBe(progress.legs)
      for (const one of ok) {
        expect((await scene.receipt(one.delivery)).status).toBe('completed')
        expect(one.data).toBeGreaterThan(0)
      }
      const counted = gather.arrivals.filter((a) => a.standing === 'counted').map((a) => a.leg)
      expect(new Set(counted).size).toBe(counted.length)
      const mail = async (agent: string) =>
        (await scene.done(scene.platform().agent(agent).list(undefined, undefined, 100))).items.map((r) => r.message.id)
      const reducers = await mail('reducer')
      expect(reducers).toEqual(gather.outcome?.status === 'replied' || reducers.length > 0 ? [`${id}.reduce`] : [])
      expect(await mail('told')).toEqual([`${id}.ended`])
      const heard = new Set(scene.callsOf('told').map((call) => dataOf(call).status))
      expect([...heard]).toEqual([status])
    },
  )
})
