/**
 * What a workflow owes, when two do it at once, or late, or while there is no room. Never here: what it does in each step
 * (test/shared/workflow.test.ts), or a whole story of it (test/simulator/workflows.test.ts).
 */
import { describe, expect, it } from 'vitest'
import { limits } from '../../shared/limits.ts'
import { resolvePermissions } from '../../shared/permissions.ts'
import type { Platform } from '../../shared/ports.ts'
import { listingOf } from '../../shared/workflow-index.ts'
import { perform } from '../../workers/perform.ts'
import { Scene } from './scene.ts'

const minute = 60_000
const admin = { source: 'admin', permitted: true }
const opening = {
  ...{ id: 'w', by: 'admin', permissions: resolvePermissions('admin'), creation: 'c', state: {} },
  ...{ definition: { name: 'chart', version: 1 }, keptMs: 24 * 60 * minute },
}
const chart = {
  initial: 'a',
  states: { a: { on: { effect_refused: 'told', done: 'b' } }, told: { type: 'final' }, b: { type: 'final' } },
}

const port = (scene: Scene) => scene.platform().workflow('w')
const performed = (scene: Scene) => scene.done(perform(scene.platform(), 'w'))
const listed = async (scene: Scene) =>
  (await scene.done(scene.platform().workflowIndex().list({}, undefined, 10))).items

async function read(scene: Scene) {
  const found = await scene.done(port(scene).read(admin))
  if (found.status !== 'found') throw new Error(found.status)
  return found.workflow.record
}

async function create(scene: Scene, more: object = {}): Promise<void> {
  expect((await scene.done(port(scene).create({ ...opening, ...more }, chart))).status).toBe('created')
  await performed(scene)
}

async function purge(scene: Scene): Promise<void> {
  await scene.done(port(scene).cancel(admin, 'over'))
  await performed(scene)
  await scene.done(port(scene).purge(admin))
}

describe('two that forget a purged workflow', () => {
  it('leave the next of its id in the index, which is made before the slower one gets there', async () => {
    const scene = new Scene()
    await create(scene)
    await purge(scene)
    const platform = scene.platform()
    const index = platform.workflowIndex()
    const slow: Platform = {
      ...platform,
      workflowIndex: () => ({
        ...index,
        remove: async (id: string, createdAt: number) => {
          await perform(scene.platform(), 'w')
          await port(scene).create({ ...opening, creation: 'd' }, chart)
          await perform(scene.platform(), 'w')
          return index.remove(id, createdAt)
        },
      }),
    }
    await scene.done(perform(slow, 'w'))
    await scene.pass(60 * minute)
    expect((await read(scene)).status).toBe('running')
    expect(await listed(scene)).toMatchObject([{ id: 'w', status: 'running' }])
  })
})

describe('an effect that was refused while its workflow has no room for another event', () => {
  it('is told to it once there is (E1)', async () => {
    const scene = new Scene()
    const answer = { result: 1, messages: [{ to: 'nobody', type: 'x' }], reply: { data: 1 } }
    await scene.webhook('writer', () => ({ status: 200, body: JSON.stringify(answer) }))
    await create(scene)
    await scene.done(port(scene).pause(admin, 'later'))
    for (let n = 0; n < limits.deferredEvents; n++) {
      const arrival = { happening: { type: 'noise', by: 'admin' }, operation: { id: `n${n}`, content: 'x' } }
      expect((await scene.done(port(scene).receive(admin, arrival))).status).toBe('deferred')
    }
    await scene.send('writer', { workflowid: 'w' })
    await scene.pass(minute)
    await scene.done(port(scene).resume(admin))
    await performed(scene)
    await scene.pass(60 * minute)
    expect((await read(scene)).value).toBe('told')
  })
})

describe('the index', () => {
  it('lists the next workflow of an id in place of the one before, however much happened to that, and never goes back', async () => {
    const scene = new Scene()
    const index = scene.platform().workflowIndex()
    await create(scene)
    await scene.done(port(scene).pause(admin, 'a while'))
    const before = listingOf(await read(scene))
    const after = { ...before, n: 1, status: 'running' as const, createdAt: before.createdAt + 1, definition: {} }
    await scene.done(index.put(before))
    await scene.done(index.put(after))
    await scene.done(index.put({ ...before, n: before.n + 1 }))
    expect(await listed(scene)).toEqual([after])
    const ofChart = await scene.done(index.list({ definition: 'chart' }, undefined, 10))
    expect(ofChart.items).toEqual([])
    await scene.done(index.remove('w', before.createdAt))
    expect(await listed(scene)).toEqual([after])
    await scene.done(index.remove('w', after.createdAt))
    expect(await listed(scene)).toEqual([])
  })
})
