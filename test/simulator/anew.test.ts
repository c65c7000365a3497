/**
 * Names that come round again: a workflow made anew under its old id, a key of a publisher that is used again once it was
 * forgotten. What the broker makes of the second has names of its own, so nobody who remembers the first swallows it; and a
 * repeat of the same is one (E1, M2).
 */
import { describe, expect, it } from 'vitest'
import * as z from 'zod'
import { agentIn } from '../../shared/agent-text.ts'
import { indexEntry } from '../../shared/directory.ts'
import { outgoingId } from '../../shared/outgoing.ts'
import { readWorkflow } from '../../shared/workflow.ts'
import { defineAgent } from '../../workers/define.ts'
import { carryOut } from '../../workers/effects.ts'
import { performSoon } from '../../workers/perform.ts'
import { reassignMail } from '../../workers/reassign.ts'
import { sweep } from '../../workers/sweep.ts'
import { type Call, type Reply, Scene } from './scene.ts'
import type { SimStorage } from './storage.ts'

const second = 1_000
const hour = 3_600 * second
const day = 24 * hour
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

const count = { type: 'update', params: { operations: [{ op: 'increment', path: '/n' }] } }
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

/** What lies there, taken and done. */
async function drain(scene: Scene, agent: string): Promise<unknown[]> {
  const port = scene.platform().agent(agent)
  const { leases } = await scene.done(port.lease(100, 60 * second, scene.world.unique('lease')))
  const reports = leases.map(({ id, token }) => ({ id, token, outcome: { kind: 'ok' as const }, external: true }))
  await scene.done(port.settle(reports))
  return leases.map(({ body }) => JSON.parse(body).data)
}

describe('a key that is used again when it was forgotten', () => {
  it.each([
    ['a topic', { topic: 'news' }],
    ['everybody', { to: '*' }],
  ])('has what is published to %s under it delivered, however long a mailbox remembers', async (_, to) => {
    const scene = new Scene()
    await scene.pull('sink', { receiptSeconds: 604_800 })
    await subscribe(scene, 'sink', 'news')
    const deliveries = new Set<string>()
    for (const n of [1, 1, 2]) {
      if (n === 2) await scene.pass(day + 120 * second)
      const isRepeat = deliveries.size === n
      const [answer] = await scene.publish([{ ...to, type: 't', id: 'daily', data: { n } }])
      expect(answer).toMatchObject({ ok: true, value: { duplicate: isRepeat, deliveries: [{ agent: 'sink' }] } })
      expect(await drain(scene, 'sink')).toEqual(isRepeat ? [] : [{ n }])
      if (answer?.ok === true) deliveries.add(answer.value.deliveries[0]!.id)
    }
    expect(deliveries.size).toBe(2)
  })
})

describe('a delivery whose id came round again when it was forgotten', () => {
  /** Publishes under one key, has it done with these effects, and carries them twice, as after a crash before that was noted. */
  async function round(scene: Scene, message: object, effects: object): Promise<string> {
    const [answer] = await scene.publish([{ to: 'worker', type: 't', id: 'weekly', ...message }])
    const platform = scene.platform()
    const port = platform.agent('worker')
    const { leases } = await scene.done(port.lease(1, 60 * second, scene.world.unique('lease')))
    const { id, token } = leases[0]!
    expect(answer).toMatchObject({ ok: true, value: { duplicate: false, deliveries: [{ id }] } })
    const outcome = { kind: 'ok' as const, effects }
    const { agent, unfinished } = await scene.done(port.settle([{ id, token, outcome, external: true }]))
    for (let i = 0; i < 2; i++) await scene.done(carryOut(platform, 'worker', agentIn(agent), unfinished))
    const states = (await scene.receipt(id)).effects?.map(({ state }) => state.status)
    expect(new Set(states), id).toEqual(new Set(['carried']))
    return id
  }

  /** Until the worker's rows are gone. */
  async function forgotten(scene: Scene): Promise<void> {
    for (let passed = 0; passed < 4 * day; passed += 3 * hour) {
      await scene.pass(3 * hour)
      await scene.done(sweep(scene.platform()))
    }
  }

  async function scene(): Promise<Scene> {
    const scene = new Scene()
    await scene.pull('worker')
    await scene.pull('sink', { receiptSeconds: 604_800 })
    await subscribe(scene, 'sink', 'news')
    await subscribe(scene, 'worker', 'nothing')
    return scene
  }

  it.each([
    ['its reply', { replyto: 'sink' }, { reply: { data: 1 } }],
    ['its messages', {}, { messages: [{ to: 'sink', type: 'next', data: 1 }] }],
    ['what it publishes to a topic', {}, { messages: [{ topic: 'news', type: 'next', data: 1 }] }],
    ['the message that it passes on', { chain: ['sink'], data: 1 }, { pass: true }],
  ])('has %s arrive, once each time, however long its target remembers (E1, M2)', async (_, message, effects) => {
    const at = await scene()
    const ids = new Set<string>()
    for (const _round of [1, 2, 3]) {
      ids.add(await round(at, message, effects))
      expect(await drain(at, 'sink')).toEqual([1])
      await forgotten(at)
    }
    // Or this tells nothing.
    expect(ids.size).toBe(1)
  })

  it('has who is named in `receiptto` told of each end, once (E1)', async () => {
    const at = await scene()
    const ids = new Set<string>()
    for (const _round of [1, 2]) {
      const id = await round(at, { receiptto: 'sink' }, {})
      ids.add(id)
      expect(await drain(at, 'sink')).toMatchObject([{ delivery: id, status: 'completed' }])
      await forgotten(at)
    }
    expect(ids.size).toBe(1)
  })

  it('has what it does to a workflow done, once each time (E1, M2)', async () => {
    const at = await scene()
    const counts = { on: { 't.reply': { actions: count }, told: { actions: count } } }
    await create(at, 'lasting', { initial: 'a', states: { a: counts } })
    const effects = {
      ...{ reply: { data: 1 }, event: { type: 'told' } },
      state: { operations: [{ op: 'increment', path: '/n', by: 100 }] },
    }
    const ids = new Set<string>()
    for (const rounds of [1, 2]) {
      ids.add(await round(at, { replyto: 'workflow:lasting', workflowid: 'lasting' }, effects))
      expect((await read(at, 'lasting')).state).toEqual({ n: rounds * 102 })
      await forgotten(at)
    }
    expect(ids.size).toBe(1)
  })

  it('has what its handler writes while it runs written each time (M2)', async () => {
    const counter = defineAgent({
      name: 'counter',
      accepts: z.unknown(),
      handle: (_message, ctx) => ctx.state.apply([{ op: 'increment', path: '/n' }]),
    })
    const at = new Scene({ handlers: [counter] })
    await at.handler('counter')
    await subscribe(at, 'counter', 'nothing')
    await create(at, 'lasting', { initial: 'a', states: { a: {} } })
    const ids = new Set<string>()
    for (const rounds of [1, 2]) {
      ids.add(await at.send('counter', { id: 'weekly', workflowid: 'lasting' }))
      await at.pass(10 * second)
      expect((await read(at, 'lasting')).state).toEqual({ n: rounds })
      await forgotten(at)
    }
    expect(ids.size).toBe(1)
  })

  it('moves to another mailbox as often (M1)', async () => {
    const at = await scene()
    const ids = new Set<string>()
    for (const n of [1, 2]) {
      const [answer] = await at.publish([{ to: 'worker', type: 't', id: 'weekly', data: n }])
      expect(answer).toMatchObject({ ok: true, value: { duplicate: false } })
      if (answer?.ok === true) ids.add(answer.value.deliveries[0]!.id)
      expect((await at.done(reassignMail(at.platform(), 'worker', 'sink'))).ok).toBe(true)
      expect(await drain(at, 'sink')).toEqual([n])
      await forgotten(at)
    }
    expect(ids.size).toBe(1)
  })
})
