/**
 * The hourly sweep in virtual time: what it wakes whose alarm was lost, and that it is loud about a mailbox that does not add up.
 * Never here: the sum itself (audit.test.ts), agents' alarms (chores.test.ts), schedules and approvals (their own files).
 */
import { describe, expect, it } from 'vitest'
import { indexEntry } from '../../shared/directory.ts'
import { gatherPlace } from '../../shared/gather-place.ts'
import { resolvePermissions } from '../../shared/permissions.ts'
import type { Platform } from '../../shared/ports.ts'
import { perform } from '../../workers/perform.ts'
import { ask } from '../../workers/request.ts'
import { sweep } from '../../workers/sweep.ts'
import { admin, Scene } from './scene.ts'

const minute = 60_000
const hour = 60 * minute

const clock = {
  initial: 'waiting',
  states: { waiting: { after: { '600000': 'late' } }, late: { type: 'final' } },
}

async function withWorkflow(scene: Scene, id: string): Promise<() => Promise<string>> {
  const opening = {
    ...{
      id,
      by: 'admin',
      permissions: resolvePermissions('admin'),
      creation: 'c',
      definition: { name: 'clock', version: 1 },
    },
    ...{ state: {}, keptMs: 30 * 24 * hour },
  }
  await scene.done(scene.platform().workflow(id).create(opening, clock))
  await scene.done(perform(scene.platform(), id))
  return async () => {
    const read = await scene.done(
      scene
        .platform()
        .workflow(id)
        .read({ source: 'admin', admin: true } as never),
    )
    return read.status === 'found' ? read.workflow.record.status : read.status
  }
}

describe('the hourly sweep', () => {
  it('M6: wakes an open workflow that is overdue because its alarm was lost, and leaves those alone that are not', async () => {
    const scene = new Scene()
    const lost = await withWorkflow(scene, 'lost')
    scene.sim.loseAlarm('lost', 'workflow')
    await scene.pass(hour)
    const early = await withWorkflow(scene, 'early')
    expect([await lost(), await early()]).toEqual(['running', 'running'])
    await scene.done(sweep(scene.platform()))
    await scene.pass(minute)
    expect([await lost(), await early()]).toEqual(['completed', 'running'])
    const woken = scene.logged.filter((l) => l.step === 'sweep.woken').map((l) => l.ids)
    expect(woken).toEqual([{ level: 'error', workflow: 'lost' }])
  })

  it('M1: is loud, once a day, about a mailbox that does not add up, and keeps what it found for whoever asks', async () => {
    const scene = new Scene()
    const directory = scene.platform().directory()
    await scene.done(directory.putAgent(indexEntry(await scene.pull('ada'))))
    await scene.done(directory.putAgent(indexEntry(await scene.pull('bob'))))
    await scene.done(directory.putAgent(indexEntry(await scene.pull('watcher'))))
    const topic = 'switchboard.audit.mismatch'
    await scene.done(directory.putSubscription('w', { agent: 'watcher', topic }, { max: 1 }))
    for (const name of ['ada', 'ada', 'bob']) await scene.send(name)
    const sound = await scene.done(sweep(scene.platform()))
    expect(sound.audit).toMatchObject({ mailboxes: 3, accepted: 3, ended: 0, live: 3, mismatched: [] })
    const { storage } = await scene.sim.inspect('ada')
    storage.sql.exec('DELETE FROM deliveries_1 WHERE sequence = 1')
    for (let hours = 0; hours < 3; hours++) {
      await scene.done(sweep(scene.platform()))
      await scene.pass(hour)
    }
    expect(await scene.done(directory.lastAudit())).toMatchObject({ v: 1, total: { mismatched: ['ada'] } })
    const logged = scene.logged.filter((l) => l.step === 'audit.mismatch').map((l) => l.ids)
    expect(logged).toHaveLength(3)
    expect(logged[0]).toMatchObject({ level: 'error', agent: 'ada', missing: 1 })
    const { leases } = await scene.done(scene.platform().agent('watcher').lease(10, minute, 'watching'))
    expect(leases.map((l) => JSON.parse(l.body))).toMatchObject([{ type: topic, topic, subject: 'ada', missing: 1 }])
    expect(JSON.parse(leases[0]!.body).data).toBeUndefined()
    await scene.pass(24 * hour)
    await scene.done(sweep(scene.platform()))
    const next = await scene.done(scene.platform().agent('watcher').lease(10, minute, 'the next day'))
    // The first is still unacked.
    expect(next.leases.map((l) => l.head)).toMatchObject([{ subject: 'ada' }, { topic, subject: 'ada' }])
  })
})

describe('a sweep of more than one invocation may ask', () => {
  const crowd = Array.from({ length: 11 }, (_, i) => `agent-${i + 10}`)

  /** A scene whose invocations may visit three agents each, and whom each of them visited. */
  async function crowded() {
    const invocations: string[][] = []
    const scene = new Scene({
      ports: (platform: Platform) => {
        const visited: string[] = []
        invocations.push(visited)
        const noting = <P extends object>(port: P, name: string): P =>
          new Proxy(port, {
            get: (target, method, receiver) => {
              if (method === 'sweep') visited.push(name)
              return Reflect.get(target, method, receiver)
            },
          })
        return {
          allowance: { legs: 6 },
          agent: (name) => noting(platform.agent(name), name),
          workflow: (id) => noting(platform.workflow(id), id),
        }
      },
    })
    const directory = scene.platform().directory()
    for (const name of crowd) await scene.done(directory.putAgent(indexEntry(await scene.pull(name))))
    const flows = ['flow-1', 'flow-2', 'flow-3', 'flow-4']
    for (const id of flows) await withWorkflow(scene, id)
    await scene.send('agent-20')
    await scene.pass(minute)
    invocations.length = 0
    const total = async () => (await scene.done(directory.lastAudit()))?.total
    return { scene, flows, invocations: () => invocations.filter((i) => i.length > 0), total }
  }

  it('M6: goes on where it stopped, by the queue: each is visited once, and the sum is of all', async () => {
    const { scene, flows, invocations, total } = await crowded()
    expect(await scene.done(sweep(scene.platform()))).toMatchObject({ of: 'agents', visited: 3, cursor: 'agent-12' })
    await scene.pass(minute)
    expect(invocations().flat().toSorted()).toEqual([...crowd, ...flows])
    expect(Math.max(...invocations().map((i) => i.length))).toBe(3)
    expect(await total()).toMatchObject({ mailboxes: crowd.length, accepted: 1, live: 1, mismatched: [] })
  })

  it('M6: is begun again by the next hour when the queue lost the rest of it', async () => {
    const { scene, flows, invocations, total } = await crowded()
    scene.sim.faults = { ...scene.sim.faults, queueLoses: 1 }
    await scene.done(sweep(scene.platform()))
    await scene.pass(minute)
    expect([invocations().flat(), await total()]).toEqual([crowd.slice(0, 3), undefined])
    scene.sim.faults = { ...scene.sim.faults, queueLoses: 0 }
    await scene.done(sweep(scene.platform()))
    await scene.pass(minute)
    expect(new Set(invocations().flat())).toEqual(new Set([...crowd, ...flows]))
  })

  it('is told twice by the queue: nobody is worse for it, and the sum is the same', async () => {
    const { scene, flows, invocations, total } = await crowded()
    scene.sim.faults = { ...scene.sim.faults, queueDoubles: 0.3 }
    await scene.done(sweep(scene.platform()))
    await scene.pass(10 * minute)
    expect(new Set(invocations().flat())).toEqual(new Set([...crowd, ...flows]))
    expect(await total()).toMatchObject({ mailboxes: crowd.length, accepted: 1, live: 1, mismatched: [] })
  })

  it('whose directory does not answer is begun again in a while', async () => {
    const { scene, invocations, total } = await crowded()
    const platform = scene.platform()
    const none = new Proxy(platform.directory(), { get: () => () => Promise.reject(new Error('no answer')) })
    await scene.done(sweep({ ...platform, directory: () => none }))
    expect(invocations()).toEqual([])
    await scene.pass(minute)
    expect(await total()).toMatchObject({ mailboxes: crowd.length })
  })
})

describe('the list of what one asker waits for', () => {
  it('M6: has somebody look at what is on it long after its deadline, because its alarm was lost', async () => {
    const scene = new Scene()
    await scene.pull('slow')
    const asked = await scene.done(
      ask(scene.platform(), admin, { type: 'ask', to: 'slow', timeoutSeconds: 40 }, { waits: false }),
    )
    if (!asked.ok) throw new Error(JSON.stringify(asked.error))
    expect(gatherPlace(asked.value.gather.id)).toEqual({ kind: 'mailbox', agent: 'slow' })
    scene.sim.loseAlarm('slow')
    const told = () => scene.logged.filter((l) => l.step === 'request.timeout').map((l) => l.ids.gather)
    await scene.pass(30 * minute)
    expect(told()).toEqual([])
    await scene.pass(hour)
    expect(told()).toEqual([asked.value.gather.id])
  })
})
