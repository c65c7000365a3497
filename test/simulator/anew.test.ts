/**
 * Names that come round again: a workflow made anew under its old id, a key of a publisher that is used again once it was
 * forgotten. What the broker makes of the second has names of its own, so nobody who remembers the first swallows it; and a
 * repeat of the same is one (E1, M2).
 */
import { describe, expect, it } from 'vitest'
import { indexEntry } from '../../shared/directory.ts'
import { outgoingId } from '../../shared/outgoing.ts'
import { readWorkflow } from '../../shared/workflow.ts'
import { performSoon } from '../../workers/perform.ts'
import { type Call, type Reply, Scene } from './scene.ts'
import type { SimStorage } from './storage.ts'

const second = 1_000
const asker = { source: 'admin', permitted: true }
const permissions = { send: ['*'], publish: ['*'], subscribe: [], readState: ['*'], writeState: ['*'], sources: [] }

async function create(scene: Scene, id: string, definition: object, input: unknown = null): Promise<void> {
  const platform = scene.platform()
  const opening = { ...{ id, by: 'admin', permissions, creation: 'c', definition: {}, input }, state: {}, keptMs: 1e9 }
  const created = await scene.done(platform.workflow(id).create(opening, definition))
  expect(created.status).toBe('created')
  performSoon(platform, id)
  await scene.pass(5 * second)
}

async function subscribe(scene: Scene, agent: string, topic: string): Promise<void> {
  const directory = scene.platform().directory()
  await scene.done(directory.putAgent(indexEntry(await scene.agent(agent))))
  await scene.done(directory.putSubscription(`${agent}-on`, { agent, topic }, { max: 100 }))
}

/** Cancelled, if it has not ended, and forgotten. */
async function purge(scene: Scene, id: string): Promise<void> {
  const platform = scene.platform()
  await scene.done(platform.workflow(id).cancel(asker, 'over'))
  expect(await scene.done(platform.workflow(id).purge(asker))).toEqual({ status: 'purged' })
  performSoon(platform, id)
  await scene.pass(10 * second)
  expect((await scene.done(platform.workflow(id).read(asker))).status).toBe('unknown')
}

async function read(scene: Scene, id: string) {
  const found = await scene.done(scene.platform().workflow(id).read(asker))
  if (found.status !== 'found') throw new Error(`${id} is ${found.status}`)
  const { record, state } = found.workflow
  const sent = await scene.done(scene.platform().workflow(id).messages(asker, 0, 10))
  return { ...record, state, messages: sent.status === 'found' ? sent.messages : [] }
}

const take = { type: 'update', params: { patch: { got: { $from: 'event.data' } } } }
/** Asks once, and ends with the answer. */
const asking = (kind: string, params: object, answer: string) => ({
  initial: 'asks',
  states: {
    asks: { entry: { type: kind, params }, on: { [answer]: { target: 'done', actions: take } } },
    done: { type: 'final' },
  },
})
const once = asking('send', { to: 'worker', type: 'do', data: { $from: 'input' } }, 'do.reply')

/** Answers with what it was asked. */
const echo = ({ body }: Call): Reply => ({
  status: 200,
  body: JSON.stringify({ reply: { data: JSON.parse(body).data } }),
})

describe('a workflow made anew under an id that was purged', () => {
  it.each([
    ['a message', once],
    ['a publish to a topic', asking('publish', { topic: 'work', type: 'do', data: { $from: 'input' } }, 'do.reply')],
    ['a scatter', asking('scatter', { to: ['worker'], type: 'do', data: { $from: 'input' } }, 'do.gathered')],
  ])('asks anew, by %s, and ends with the answer to its own question (E1)', async (_, definition) => {
    const scene = new Scene()
    await scene.webhook('worker', echo)
    await subscribe(scene, 'worker', 'work')
    const ids: string[] = []
    for (const run of [1, 2]) {
      await create(scene, 'article', definition, { run })
      await scene.pass(60 * second)
      const { status, state } = await read(scene, 'article')
      expect([status, JSON.stringify(state)]).toEqual(['completed', expect.stringContaining(`{"run":${run}}`)])
      await purge(scene, 'article')
      expect(scene.callsOf('worker')).toHaveLength(run)
      ids.push(...scene.arrived('worker', 'id'))
    }
    expect(new Set(ids).size).toBe(2)
  })

  it('runs by the definition that it was made with, not by the one before it', async () => {
    const scene = new Scene()
    await scene.webhook('worker', echo)
    await create(scene, 'article', once)
    await purge(scene, 'article')
    await create(scene, 'article', asking('send', { to: 'worker', type: 'other' }, 'other.reply'))
    expect((await read(scene, 'article')).messages.map((m) => m.message['type'])).toEqual(['other'])
  })

  it('is not told the answers to what the one before it asked: they are refused, and the workflow waits for its own', async () => {
    const scene = new Scene()
    await scene.pull('worker')
    const lease = async () => {
      const { leases } = await scene.done(
        scene
          .platform()
          .agent('worker')
          .lease(1, 60 * second, scene.platform().token()),
      )
      return leases[0]!
    }
    await create(scene, 'article', once, { run: 1 })
    const late = await lease()
    await purge(scene, 'article')
    await create(scene, 'article', once, { run: 2 })
    const answer = async ({ id, token }: { id: string; token: string }, data: unknown, more: object = {}) => {
      const outcome = { kind: 'ok', effects: { reply: { data }, ...more } } as const
      await scene.done(
        scene
          .platform()
          .agent('worker')
          .settle([{ id, token, outcome, external: true }]),
      )
      await scene.pass(10 * second)
      return (await scene.receipt(id)).effects?.map(({ kind, state }) => [kind, state.status])
    }
    const more = { event: { type: 'do.reply' }, state: { patch: { stale: true } } }
    expect(await answer(late, 'of run 1', more)).toEqual([
      ['reply', 'refused'],
      ['state', 'refused'],
      ['event', 'refused'],
    ])
    expect(await read(scene, 'article')).toMatchObject({ status: 'running', state: {}, version: 1, last: { entry: 1 } })
    expect(await answer(await lease(), 'of run 2')).toEqual([['reply', 'carried']])
    expect(await read(scene, 'article')).toMatchObject({ status: 'completed', state: { got: 'of run 2' } })
  })

  it('does not take what was carried for the one before it as carried for itself', async () => {
    const scene = new Scene()
    await scene.webhook('worker', () => ({ status: 200 }))
    await create(scene, 'article', once)
    const { incarnation } = await read(scene, 'article')
    await purge(scene, 'article')
    const platform = scene.platform()
    const opening = {
      ...{ id: 'article', by: 'admin', permissions, creation: 'c', definition: {} },
      state: {},
      keptMs: 1,
    }
    await scene.done(platform.workflow('article').create(opening, once))
    const carried = { n: 1, state: { status: 'carried' as const, deliveries: [] } }
    await scene.done(platform.workflow('article').performed({ incarnation, effects: [carried] }))
    expect((await read(scene, 'article')).messages.map((m) => m.state.status)).toEqual(['pending'])
  })

  it('is announced as the one before it was', async () => {
    const scene = new Scene()
    await scene.pull('ear')
    await subscribe(scene, 'ear', 'switchboard.workflow.article')
    for (const run of [1, 2]) {
      await create(scene, 'article', once)
      await scene.pass(60 * second)
      const { leases } = await scene.done(
        scene
          .platform()
          .agent('ear')
          .lease(9, 60 * second, `run ${run}`),
      )
      expect(leases.map(({ head }) => head.type)).toContain('switchboard.workflow.running')
      await purge(scene, 'article')
    }
  })

  it('one that was stored before they were told apart gets the answers to what it asked', async () => {
    const scene = new Scene()
    await scene.pull('worker')
    const storages = new Map<string, SimStorage>()
    scene.sim.afterWorkflow = (name, storage) => void storages.set(name, storage)
    const platform = scene.platform()
    const opening = {
      ...{ id: 'old', by: 'admin', permissions, creation: 'c', definition: {} },
      state: {},
      keptMs: 1e9,
    }
    await scene.done(platform.workflow('old').create(opening, once))
    const sql = storages.get('old')!.sql
    const { incarnation: _none, ...before } = readWorkflow(
      sql.exec('SELECT record FROM workflow').toArray()[0]!['record'],
    )
    sql.exec('UPDATE workflow SET record = ?', JSON.stringify(before))
    performSoon(platform, 'old')
    await scene.pass(5 * second)
    const { leases } = await scene.done(platform.agent('worker').lease(1, 60 * second, 'l'))
    expect(leases[0]!.head.id).toBe(outgoingId({ id: 'old' }, 1))
    const { id, token } = leases[0]!
    const outcome = { kind: 'ok', effects: { reply: { data: 'well' } } } as const
    await scene.done(platform.agent('worker').settle([{ id, token, outcome, external: true }]))
    await scene.pass(10 * second)
    expect(await read(scene, 'old')).toMatchObject({ status: 'completed', state: { got: 'well' } })
  })
})
