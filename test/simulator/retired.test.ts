/**
 * What is left of an agent that was deleted: nobody visits it any more, so its own alarm tidies it until nothing is left. And the
 * index, which is told of agents that come and go while the sweep visits them. Never here: what becomes of its mail (chores.test.ts).
 */
import { describe, expect, it } from 'vitest'
import { indexEntry } from '../../shared/directory.ts'
import type { Platform } from '../../shared/ports.ts'
import { prepareCallback } from '../../workers/callback.ts'
import { register } from '../../workers/register.ts'
import { ask } from '../../workers/request.ts'
import { sweep } from '../../workers/sweep.ts'
import { admin, Scene } from './scene.ts'

const minute = 60_000
const day = 86_400_000

const registered = async (scene: Scene, name: string) => {
  const made = await scene.done(register(scene.platform(), name, { kind: 'pull' }))
  if (!made.ok) throw new Error(JSON.stringify(made.error))
  return made.value
}

const listed = (scene: Scene) => scene.done(scene.platform().directory().findAgent('bob'))

/** As `DELETE` does it: the object first. */
async function deleted(scene: Scene, platform = scene.platform()): Promise<void> {
  const entry = await scene.done(platform.directory().findAgent('bob'))
  expect((await scene.done(platform.agent('bob').retire('dead'))).status).toBe('retired')
  await scene.done(platform.directory().removeAgent('bob', entry!.incarnation))
}

async function stored(scene: Scene) {
  const { storage } = await scene.sim.inspect('bob')
  const names = storage.sql.exec("SELECT name FROM sqlite_master WHERE type = 'table'").toArray()
  const tables = names.map(({ name }) => String(name))
  const rows = tables
    .filter((name) => name === 'kept' || name.startsWith('deliveries_'))
    .flatMap((name) => storage.sql.exec(`SELECT body FROM "${name}"`).toArray())
  return { tables: tables.length, rows: rows.length, alarmAt: storage.alarmAt }
}

async function takeOne(scene: Scene): Promise<void> {
  const mailbox = scene.platform().agent('bob')
  const { leases } = await scene.done(mailbox.lease(1, minute, 'take'))
  const [{ id, token }] = [leases[0]!]
  await scene.done(mailbox.settle([{ id, token, outcome: { kind: 'ok' }, external: true }]))
}

describe('an agent that was deleted', () => {
  it('leaves receipts for as long as any, dead letters for their thirty days, and then nothing: no row, no table, no alarm', async () => {
    const scene = new Scene()
    await registered(scene, 'bob')
    for (let n = 0; n < 5; n++) await scene.send('bob', { data: { n } })
    await takeOne(scene)
    await deleted(scene)
    expect(await stored(scene)).toMatchObject({ rows: 5 })
    await scene.pass(4 * day)
    expect(await stored(scene)).toMatchObject({ rows: 4 })
    await scene.pass(25 * day)
    expect(await stored(scene)).toMatchObject({ rows: 4 })
    await scene.pass(4 * day)
    expect(await stored(scene)).toEqual({ tables: 0, rows: 0, alarmAt: null })
  })

  it('that has had no mail leaves nothing at once; made anew, it is sent and asked as any', async () => {
    const scene = new Scene()
    await registered(scene, 'bob')
    await scene.done(ask(scene.platform(), admin, { type: 'ask', to: 'bob', timeoutSeconds: 30 }, { waits: false }))
    await scene.pass(10 * minute)
    await deleted(scene)
    expect((await stored(scene)).tables).toBeGreaterThan(0)
    await scene.pass(3 * day)
    expect(await stored(scene)).toEqual({ tables: 0, rows: 0, alarmAt: null })
    for (let round = 0; round < 2; round++) {
      await registered(scene, 'bob')
      await deleted(scene)
      expect(await stored(scene)).toEqual({ tables: 0, rows: 0, alarmAt: null })
    }
    await registered(scene, 'bob')
    await scene.send('bob')
    const asked = await scene.done(ask(scene.platform(), admin, { type: 'ask', to: 'bob' }, { waits: false }))
    expect(asked.ok).toBe(true)
    expect((await scene.done(scene.platform().agent('bob').lease(5, minute, 'l'))).leases).toHaveLength(2)
  })

  it('and registered anew keeps what is its own: the days that pass take nothing from it', async () => {
    const scene = new Scene()
    await registered(scene, 'bob')
    await scene.send('bob')
    await deleted(scene)
    await registered(scene, 'bob')
    await scene.send('bob')
    await scene.pass(5 * day)
    expect((await scene.done(scene.platform().agent('bob').lease(5, minute, 'l'))).leases).toHaveLength(1)
  })

  it('whose alarm was lost is tidied once anybody asks for it again (M6)', async () => {
    const scene = new Scene()
    await registered(scene, 'bob')
    await scene.send('bob')
    await takeOne(scene)
    await deleted(scene)
    scene.sim.loseAlarm('bob')
    scene.sim.crashEverything(true)
    await scene.pass(5 * day)
    expect((await stored(scene)).rows).toBe(1)
    await scene.done(scene.platform().agent('bob').receipt('bob_x'))
    await scene.pass(3 * day)
    expect(await stored(scene)).toEqual({ tables: 0, rows: 0, alarmAt: null })
  })
})

describe('the sweep', () => {
  /** A platform whose sweep of `bob` is answered while `meanwhile` happens. */
  const during = (scene: Scene, meanwhile: () => Promise<unknown>): Platform => {
    const platform = scene.platform()
    const agent: Platform['agent'] = (name) =>
      new Proxy(platform.agent(name), {
        get: (port, method, receiver) =>
          method !== 'sweep'
            ? Reflect.get(port, method, receiver)
            : async () => {
                const answer = await port.sweep()
                await meanwhile()
                return answer
              },
      })
    return { ...platform, agent }
  }

  it('does not take out of the index whoever is registered anew while it hears that the name is nobody’s', async () => {
    const scene = new Scene()
    await registered(scene, 'bob')
    const entry = await listed(scene)
    await scene.done(scene.platform().agent('bob').retire('dead'))
    const meanwhile = async () => {
      const { directory } = scene.platform()
      await directory().removeAgent('bob', entry!.incarnation)
      await register(scene.platform(), 'bob', { kind: 'pull' })
      await directory().putSubscription('s', { agent: 'bob', topic: 'news' }, { max: 5 })
    }
    await scene.done(sweep(during(scene, meanwhile)))
    const { incarnation } = await scene.agent('bob')
    expect(await listed(scene)).toMatchObject({ incarnation })
    expect(await scene.done(scene.platform().directory().findSubscription('s'))).toBeDefined()
  })

  it('does not bring back into the index whoever is deleted while it visits them', async () => {
    const scene = new Scene()
    await registered(scene, 'bob')
    await scene.done(sweep(during(scene, () => deletedMeanwhile(scene))))
    expect(await listed(scene)).toBeUndefined()
  })

  const deletedMeanwhile = async (scene: Scene) => {
    const platform = scene.platform()
    const entry = await platform.directory().findAgent('bob')
    await platform.agent('bob').retire('dead')
    await platform.directory().removeAgent('bob', entry!.incarnation)
  }

  it('mends an entry of before, and one whose registration died half way', async () => {
    const scene = new Scene()
    const { agent } = await registered(scene, 'bob')
    const { createdAt: _, ...before } = indexEntry(agent)
    await deleted(scene)
    await scene.pull('bob')
    await scene.done(scene.platform().directory().putAgent(before))
    await scene.done(sweep(scene.platform()))
    expect(await listed(scene)).toEqual(indexEntry(await scene.agent('bob')))
  })
})

describe('a callback whose first call died half way', () => {
  it.each([
    ['before its mailbox was in the index', 2],
    ['before it was known until when it is needed', 3],
  ])('%s: its repeat puts it there, and tells its secret', async (_, dies) => {
    const scene = new Scene()
    const asked = { url: 'http://127.0.0.1/told' }
    let changes = 0
    const failing = <P extends object>(port: P): P =>
      new Proxy(port, {
        get: (target, method, receiver) => {
          if (method === 'enrol' || method === 'putAgent') changes += 1
          return changes < dies ? Reflect.get(target, method, receiver) : () => Promise.reject(new Error('died'))
        },
      })
    const platform = scene.platform()
    const dying: Platform = {
      ...platform,
      directory: () => failing(platform.directory()),
      agent: (name) => failing(platform.agent(name)),
    }
    await expect(scene.done(prepareCallback(dying, 'admin', asked, minute))).rejects.toThrow('died')
    const again = async () => {
      const prepared = await scene.done(prepareCallback(scene.platform(), 'admin', asked, minute))
      return prepared.ok && prepared.value.secret
    }
    expect([await again(), await again()]).toEqual([expect.stringMatching(/^whsec_/), undefined])
    const agents = await scene.done(scene.platform().directory().agents(undefined, undefined, 10))
    expect(agents.items).toHaveLength(1)
  })
})
