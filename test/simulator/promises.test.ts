/**
 * Promises in virtual time: through lost queues, crashes between any two lines and mailboxes that are full, whoever is to be
 * told of an end is told once (A107, M1, M2, M6).
 */
import { describe, expect, it } from 'vitest'
import { promiseInput } from '../../shared/api-promises.ts'
import type { PromisePort, PromiseRecord } from '../../shared/promise.ts'
import { makePromise } from '../../workers/make-promise.ts'
import { tellPromise } from '../../workers/tell-promise.ts'
import { type Faults, Invocation, noFaults } from './platform.ts'
import { Scene } from './scene.ts'

const second = 1_000
const minute = 60 * second
const week = 7 * 24 * 60 * minute

async function make(scene: Scene, more: object = {}): Promise<string> {
  const input = promiseInput.parse({ notify: 'ada', name: 'n', ...more })
  const made = await scene.done(makePromise(scene.platform(), { kind: 'admin' }, input))
  if (!made.ok) throw new Error(made.error.code)
  return made.value.promise.id
}

const find = (scene: Scene, id: string): Promise<PromiseRecord | undefined> =>
  scene.done(scene.platform().promise(id).find())
const resolve = (scene: Scene, id: string, value: unknown = 1) =>
  scene.done(scene.platform().promise(id).end({ status: 'resolved', by: 'bob', value }))

/** What ada got, each delivery once. */
const heard = (scene: Scene) =>
  [...new Map(scene.callsOf('ada').map((c) => [c.headers['webhook-id'], JSON.parse(c.body)])).values()].map(
    ({ type, data }) => [type, data.value],
  )

const storm: Partial<Faults> = {
  queueLoses: 0.3,
  queueDoubles: 0.3,
  alarmEarly: 0.2,
  alarmTwice: 0.2,
  alarmMaxLateMs: 3_000,
}

describe('a promise', () => {
  it('is told by its alarm where the gateway died before it could, and after a crash of everything (A107, M1, M6)', async () => {
    const scene = new Scene()
    await scene.webhook('ada')
    const id = await make(scene)
    await resolve(scene, id)
    scene.sim.crashEverything(true)
    await scene.pass(minute)
    expect(heard(scene)).toEqual([['switchboard.promise.resolved', 1]])
    expect((await find(scene, id))?.news).toMatchObject({ status: 'carried' })
  })

  it('that nobody keeps ends by itself, and is forgotten a week after it was told (A107, M6)', async () => {
    const scene = new Scene()
    await scene.webhook('ada')
    const id = await make(scene, { timeoutSeconds: 600 })
    await scene.pass(5 * minute)
    scene.sim.crashEverything(true)
    await scene.pass(6 * minute)
    expect(heard(scene)).toEqual([['switchboard.promise.timed_out', undefined]])
    await scene.pass(week + minute)
    expect(await find(scene, id)).toBeUndefined()
  })

  it('told by several at once, and by one that dies, is told once (A107, M2)', async () => {
    const scene = new Scene()
    await scene.webhook('ada')
    const id = await make(scene)
    await resolve(scene, id)
    const invocation = new Invocation()
    const platform = scene.platform(invocation)
    // It has published, and dies before it can say so.
    const dying = (name: string): PromisePort => ({
      open: (opening) => platform.promise(name).open(opening),
      find: () => platform.promise(name).find(),
      end: (ending) => platform.promise(name).end(ending),
      told: () => {
        invocation.alive = false
        return new Promise(() => undefined)
      },
    })
    tellPromise({ ...platform, promise: dying }, id).catch(() => undefined)
    await scene.pass(second)
    await Promise.all([1, 2, 3].map(() => scene.done(tellPromise(scene.platform(), id))))
    await scene.pass(minute)
    expect(heard(scene)).toEqual([['switchboard.promise.resolved', 1]])
  })

  it('in a storm of lost and doubled references is told once, whatever is said to it meanwhile (A107, G1, M2)', async () => {
    for (let seed = 1; seed <= 20; seed++) {
      const scene = new Scene({ seed })
      await scene.webhook('ada')
      const id = await make(scene, { timeoutSeconds: 60 })
      scene.sim.faults = { ...noFaults, ...storm }
      await scene.pass(scene.world.random() * 90 * second)
      const answers = await Promise.all([1, 2, 3].map((value) => resolve(scene, id, value)))
      if (scene.world.chance(0.5)) scene.sim.crashEverything(true)
      await scene.pass(20 * minute)
      scene.sim.faults = noFaults
      await scene.pass(20 * minute)
      const ended = (await find(scene, id))?.outcome
      expect(answers.filter((a) => a?.status === 'ended')).toHaveLength(ended?.status === 'resolved' ? 1 : 0)
      const value = ended?.status === 'resolved' ? ended.value : undefined
      expect([seed, heard(scene)]).toEqual([seed, [[`switchboard.promise.${ended?.status}`, value]]])
    }
  })
})
