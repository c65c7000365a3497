/**
 * Budgets, through the whole of the broker: what is over them parks and costs nothing, what is raised goes on, and what was used is
 * counted once through every crash. Never here: the counting itself (test/shared/budget.test.ts).
 */
import { describe, expect, it } from 'vitest'
import * as z from 'zod'
import { readBudget } from '../../shared/budget.ts'
import type { BudgetLimits } from '../../shared/budget-limits.ts'
import { indexEntry } from '../../shared/directory.ts'
import { resolvePermissions } from '../../shared/permissions.ts'
import type { Amendment } from '../../shared/workflow-budget.ts'
import { performSoon } from '../../workers/perform.ts'
import { must } from './invariants.ts'
import { type Faults, noFaults } from './platform.ts'
import { type Receiver, Scene } from './scene.ts'

const second = 1_000
const minute = 60 * second
const admin = { source: 'admin', permitted: true }
const opening = {
  ...{ by: 'admin', permissions: resolvePermissions('admin'), creation: 'c', state: {}, keptMs: 24 * 60 * minute },
}

const json = (body: unknown) => ({ status: 200, body: JSON.stringify(body) })
const using =
  (tokens: number): Receiver =>
  () =>
    json({ result: 'done', usage: { inputTokens: tokens } })

async function workflow(scene: Scene, id: string, budget: BudgetLimits, more: object = {}): Promise<void> {
  const platform = scene.platform()
  await scene.done(platform.workflow(id).create({ ...opening, id, budget, ...more }))
  performSoon(platform, id)
}

async function amend(scene: Scene, id: string, asked: Amendment) {
  const platform = scene.platform()
  const moved = await scene.done(platform.workflow(id).amend(admin, asked))
  performSoon(platform, id)
  return moved
}

const seen = async (scene: Scene, id: string) => {
  const found = await scene.done(scene.platform().workflow(id).read(admin))
  if (found.status !== 'found') throw new Error(found.status)
  return found.workflow
}

const history = async (scene: Scene, id: string) => {
  const found = await scene.done(scene.platform().workflow(id).history(admin, 0, 100))
  return found.status === 'found' ? found.entries.map((e) => e.kind) : []
}

async function sendSome(scene: Scene, n: number, to: string, more: object = {}): Promise<string[]> {
  const ids: string[] = []
  for (let i = 0; i < n; i++) ids.push(await scene.send(to, { workflowid: 'w', ...more }))
  return ids
}

const statuses = (scene: Scene, ids: readonly string[]) =>
  Promise.all(ids.map(async (id) => (await scene.receipt(id)).status))

describe('a workflow over its budget', () => {
  it('is paused and its mail parks at no attempt; raised, both go on, and nothing is lost (TC5, M4)', async () => {
    const scene = new Scene()
    await scene.webhook('ada', using(1))
    await workflow(scene, 'w', { messages: 3 })
    const ids = await sendSome(scene, 5, 'ada')
    await scene.pass(5 * minute)
    expect(scene.calls).toHaveLength(3)
    const { record, budget } = await seen(scene, 'w')
    expect(record).toMatchObject({ status: 'paused', paused: { reason: expect.stringContaining('3 of 3 messages') } })
    expect(budget).toMatchObject({ stopped: 'messages', holding: ['ada'], spent: { messages: 3, tokens: 3 } })
    const parked = await scene.receipt(ids[4]!)
    expect(parked).toMatchObject({ status: 'parked', attempt: 0, attempts: [] })
    expect(parked.because).toContain('the budget of its workflow is spent')

    await amend(scene, 'w', { budget: { messages: 10 } })
    await scene.pass(10 * second)
    expect(await statuses(scene, ids)).toEqual(Array(5).fill('completed'))
    expect((await seen(scene, 'w')).record.status).toBe('running')
    expect(await history(scene, 'w')).toEqual(['created', 'budget_warning', 'paused', 'amended', 'resumed'])
  })

  it('was told by an event when four fifths of it were spent: its statechart acts while something is left (TC5)', async () => {
    const scene = new Scene()
    await scene.webhook('ada', using(85))
    await scene.webhook('cheap', using(1))
    const ending = { entry: { type: 'send', params: { to: 'cheap', type: 'wind-up' } } }
    const chart = { initial: 'busy', states: { busy: { on: { budget_warning: 'ending' } }, ending } }
    const platform = scene.platform()
    const charted = { ...opening, id: 'w', budget: { tokens: 100 }, definition: { name: 'chart', version: 1 } }
    await scene.done(platform.workflow('w').create(charted, chart))
    performSoon(platform, 'w')
    await sendSome(scene, 1, 'ada')
    await scene.pass(10 * second)
    expect((await seen(scene, 'w')).record).toMatchObject({ status: 'running' })
    expect(await history(scene, 'w')).toContain('transition')
    expect(scene.callsOf('cheap').map((call) => JSON.parse(call.body).type)).toEqual(['wind-up'])
  })

  it('is not resumed as it is, and other mail of its agents goes on meanwhile', async () => {
    const scene = new Scene()
    await scene.webhook('ada', using(100))
    await workflow(scene, 'w', { tokens: 100 })
    await sendSome(scene, 2, 'ada')
    await scene.pass(minute)
    expect(await scene.done(scene.platform().workflow('w').resume(admin))).toEqual({
      ...{ status: 'spent', reason: '100 of 100 tokens' },
    })
    const other = await scene.send('ada')
    await scene.pass(second)
    expect((await scene.receipt(other)).status).toBe('completed')
    expect((await scene.agent('ada')).heldUntil).toBeUndefined()
  })

  it('cancelled with its budget spent: its mail is dead letters, told, and never begun', async () => {
    const scene = new Scene()
    await scene.webhook('ada', using(100))
    await workflow(scene, 'w', { tokens: 100 })
    const ids = await sendSome(scene, 3, 'ada')
    await scene.pass(minute)
    const platform = scene.platform()
    await scene.done(platform.workflow('w').cancel(admin, 'enough'))
    performSoon(platform, 'w')
    await scene.pass(minute)
    expect(scene.calls).toHaveLength(1)
    expect(await statuses(scene, ids)).toEqual(['completed', 'dead_lettered', 'dead_lettered'])
    expect((await scene.letters()).map((l) => l.reason)).toEqual(['budget_spent', 'budget_spent'])
  })

  it('of which the clock has run out is paused by itself, and its mail is held', async () => {
    const scene = new Scene()
    await scene.webhook('ada', using(1))
    await workflow(scene, 'w', { seconds: 60 })
    await scene.pass(61 * second)
    expect((await seen(scene, 'w')).record).toMatchObject({ status: 'paused' })
    const [id] = await sendSome(scene, 1, 'ada')
    await scene.pass(second)
    expect((await scene.receipt(id!)).status).toBe('parked')
    await amend(scene, 'w', { budget: { seconds: null } })
    await scene.pass(second)
    expect((await scene.receipt(id!)).status).toBe('completed')
  })

  it('of which the clock runs out while it is paused for something else is not woken for ever (M6)', async () => {
    const scene = new Scene()
    await scene.webhook('ada', using(200))
    await workflow(scene, 'w', { tokens: 100, seconds: 600 })
    await sendSome(scene, 1, 'ada')
    await scene.pass(10 * second)
    await sendSome(scene, 1, 'ada')
    await scene.pass(10 * minute)
    expect((await seen(scene, 'w')).budget).toMatchObject({ stopped: 'tokens', warned: ['tokens', 'seconds'] })
    const { alarms } = scene.sim.counts
    await scene.pass(minute)
    expect(scene.sim.counts.alarms - alarms).toBeLessThan(10)
    await amend(scene, 'w', { budget: { tokens: 1_000 } })
    await scene.pass(second)
    expect((await seen(scene, 'w')).budget).toMatchObject({ stopped: 'seconds' })
  })

  it('that was paused by a person for a while stays paused when that is over', async () => {
    const scene = new Scene()
    await scene.webhook('ada', using(100))
    await workflow(scene, 'w', { tokens: 100 })
    await scene.done(
      scene
        .platform()
        .workflow('w')
        .pause(admin, 'a while', 30 * second),
    )
    await sendSome(scene, 2, 'ada')
    await scene.pass(10 * minute)
    const { record } = await seen(scene, 'w')
    expect(record).toMatchObject({ status: 'paused' })
    expect(record.paused?.untilAt).toBeUndefined()
  })

  it('whose word to its mailboxes is lost: the mail asks again by itself (M1)', async () => {
    const lost = { on: true }
    const ports = (platform: ReturnType<Scene['platform']>) => ({
      agent: (name: string) =>
        new Proxy(platform.agent(name), {
          get: (port, method) =>
            method === 'letGo' && lost.on ? () => Promise.reject(new Error('lost')) : Reflect.get(port, method),
        }),
    })
    const scene = new Scene({ ports })
    await scene.webhook('ada', using(1))
    await workflow(scene, 'w', { messages: 1 })
    const ids = await sendSome(scene, 2, 'ada')
    await scene.pass(minute)
    const platform = scene.platform()
    await scene.done(platform.workflow('w').amend(admin, { budget: { messages: 5 } }))
    await scene.pass(16 * minute)
    expect(await statuses(scene, ids)).toEqual(['completed', 'completed'])
  })
})

describe('what is told', () => {
  it('four fifths and the pause, to whoever listens to the workflow (TC5)', async () => {
    const scene = new Scene()
    await scene.webhook('ada', using(85))
    await scene.webhook('person')
    const directory = scene.platform().directory()
    await scene.done(directory.putAgent(indexEntry(await scene.agent('person'))))
    const subscription = { agent: 'person', topic: 'switchboard.workflow.w' }
    await scene.done(directory.putSubscription('s', subscription, { max: 10 }))
    await workflow(scene, 'w', { tokens: 100 })
    await sendSome(scene, 3, 'ada')
    await scene.pass(5 * minute)
    const heard = scene.callsOf('person').map(({ body }) => JSON.parse(body) as Record<string, unknown>)
    const types = heard.map(({ type }) => String(type).replace('switchboard.workflow.', ''))
    expect(types).toContain('budget_warning')
    expect(types).toContain('paused')
    expect(heard.find(({ type }) => String(type).endsWith('warning'))).toMatchObject({ subject: 'w', budget: 'tokens' })
    // What the broker says of a workflow is not the workflow's work: it is not held by its budget, nor counted.
    expect((await seen(scene, 'w')).budget?.spent.messages).toBe(2)
  })

  it('costs the workflow nothing, whatever whoever hears it uses (W4)', async () => {
    const scene = new Scene()
    for (const name of ['ada', 'person']) await scene.webhook(name, using(85))
    const directory = scene.platform().directory()
    await scene.done(directory.putAgent(indexEntry(await scene.agent('person'))))
    const subscription = { agent: 'person', topic: 'switchboard.workflow.w' }
    await scene.done(directory.putSubscription('s', subscription, { max: 10 }))
    await workflow(scene, 'w', { tokens: 100 })
    await sendSome(scene, 1, 'ada')
    await scene.pass(5 * minute)
    const heard = scene.callsOf('person').map(({ body }) => String(JSON.parse(body).type))
    expect(heard).toContain('switchboard.workflow.budget_warning')
    expect((await seen(scene, 'w')).budget?.spent).toMatchObject({ messages: 1, tokens: 85 })
  })
})

describe('usage', () => {
  const said = async (receiver: Receiver, policy = {}) => {
    const scene = new Scene()
    await scene.webhook('ada', receiver, policy)
    await workflow(scene, 'w', { tokens: 1_000, costUsd: 10 })
    const [id] = await sendSome(scene, 1, 'ada')
    await scene.pass(minute)
    return { spent: (await seen(scene, 'w')).budget?.spent, receipt: await scene.receipt(id!) }
  }

  it('of a webhook’s answer is on the receipt, and spent', async () => {
    const usage = { inputTokens: 10, outputTokens: 5, costUsd: 0.25 }
    const { spent, receipt } = await said(() => json({ result: 1, usage }))
    expect(spent).toEqual({ messages: 1, tokens: 15, costUsd: 0.25 })
    expect(receipt).toMatchObject({ usage, result: 1, effects: [{ kind: 'usage', state: { status: 'carried' } }] })
  })

  it('in a model’s own words is no effect: the answer is the result', async () => {
    const answer = { id: 'x', usage: { prompt_tokens: 3 } }
    const { spent, receipt } = await said(() => json(answer))
    expect(spent?.tokens).toBe(0)
    expect(receipt.result).toEqual(answer)
  })

  it('of a handler adds up, and counts when it throws', async () => {
    const handler = (name: string, fails: boolean) => ({
      name,
      accepts: z.unknown(),
      handle: (_message: unknown, ctx: { usage(used: object): void; attempt: number }) => {
        ctx.usage({ inputTokens: 1 })
        ctx.usage({ outputTokens: 2 })
        return fails && ctx.attempt === 1 ? Promise.reject(new Error('no')) : Promise.resolve('done')
      },
    })
    const scene = new Scene({ handlers: [handler('good', false), handler('bad', true)] as never })
    for (const name of ['good', 'bad']) await scene.handler(name, { backoff: 'quick' })
    await workflow(scene, 'w', { tokens: 1_000 })
    await scene.send('good', { workflowid: 'w' })
    await scene.send('bad', { workflowid: 'w' })
    await scene.pass(minute)
    expect((await seen(scene, 'w')).budget?.spent).toMatchObject({ messages: 2, tokens: 9 })
  })

  it('of mail of no workflow, or of one without a budget, is on the receipt and asks nobody', async () => {
    const scene = new Scene()
    await scene.webhook('ada', using(3))
    const id = await scene.send('ada')
    const other = await scene.send('ada', { workflowid: 'nobody' })
    await scene.pass(second)
    expect(await scene.receipt(id)).toMatchObject({ status: 'completed', usage: { inputTokens: 3 } })
    expect(await scene.receipt(other)).toMatchObject({ status: 'completed', usage: { inputTokens: 3 } })
    expect((await scene.receipt(id)).effects).toBeUndefined()
  })
})

describe('several at once', () => {
  it('one of each agent, in turn, where nobody knows what a lease will use', async () => {
    const scene = new Scene()
    const busy = new Map<string, number>()
    let most = 0
    const slow: Receiver = async ({ agent }) => {
      busy.set(agent, (busy.get(agent) ?? 0) + 1)
      most = Math.max(most, busy.get(agent)!)
      await scene.sleep(100)
      busy.set(agent, busy.get(agent)! - 1)
      return json({ usage: { inputTokens: 1 } })
    }
    for (const name of ['ada', 'bob']) await scene.webhook(name, slow)
    await workflow(scene, 'w', { tokens: 1_000 })
    const ids = [...(await sendSome(scene, 10, 'ada')), ...(await sendSome(scene, 10, 'bob'))]
    await scene.pass(minute)
    expect(most).toBe(1)
    expect(await statuses(scene, ids)).toEqual(Array(20).fill('completed'))
  })

  it('as many as fit into what each sets aside', async () => {
    const scene = new Scene()
    await scene.webhook('ada', using(10))
    await workflow(scene, 'w', { tokens: 100, reserve: { tokens: 10 } })
    const ids = await sendSome(scene, 12, 'ada')
    await scene.pass(minute)
    expect((await statuses(scene, ids)).filter((s) => s === 'completed')).toHaveLength(10)
    expect((await seen(scene, 'w')).budget?.spent.tokens).toBe(100)
  })
})

describe('guards of its own', () => {
  it('allow more or less than the default, for its messages alone, and can be amended (TC4)', async () => {
    const scene = new Scene()
    let n = 0
    const saying =
      (to: string): Receiver =>
      () =>
        json({ messages: [{ to, type: 'x', data: ++n }] })
    await scene.webhook('ada', saying('bob'))
    await scene.webhook('bob', saying('ada'))
    const guards = { hops: 32, revisits: 1, repeats: 3, messages: 1_000 }
    await workflow(scene, 'w', { messages: 100_000 }, { guards })
    const rounds = () => scene.calls.filter((c) => !c.body.includes('switchboard.error')).length
    await scene.send('ada', { workflowid: 'w' })
    await scene.pass(minute)
    expect(rounds()).toBe(4)
    await scene.send('ada')
    await scene.pass(minute)
    expect(rounds()).toBe(4 + 10)
    await amend(scene, 'w', { guards: { revisits: 7 }, budget: { hops: 8 } })
    await scene.pass(6 * second)
    await scene.send('ada', { workflowid: 'w' })
    await scene.pass(minute)
    // The budget’s hops come first: eight after the root.
    expect(rounds()).toBe(4 + 10 + 9)
  })
})

describe('through every crash', () => {
  const trouble: Faults = {
    ...noFaults,
    ...{ callFailsBefore: 0.03, callFailsAfter: 0.03, objectCrash: 0.05, commitFails: 0.02 },
    ...{ queueLoses: 0.1, queueDoubles: 0.2, queueMaxDelayMs: 2_000, alarmEarly: 0.1, alarmTwice: 0.2 },
    alarmMaxLateMs: 3_000,
  }
  const most = 30
  const names = ['ada', 'bob', 'cyd']

  it.each([1, 2, 3, 4, 5, 6])(
    'no workflow spends past its budget by more than one lease of each agent (W4), seed %i',
    async (seed) => {
      const scene = new Scene({ seed })
      const { world } = scene
      const receiver: Receiver = async () => {
        await world.sleep(world.random() * 3 * second)
        if (world.chance(0.2)) return { status: 500 }
        return json({ usage: { outputTokens: Math.floor(world.random() * (most + 1)) } })
      }
      for (const name of names)
        await scene.webhook(name, receiver, { concurrency: 5, maxAttempts: 8, backoff: 'quick' })
      let [limit, failure] = [100, undefined as unknown]
      await workflow(scene, 'w', { tokens: limit })
      scene.sim.afterWorkflow = (_name, storage) => {
        try {
          const { spent } = readBudget(storage.sql.exec('SELECT record FROM budget').toArray()[0]?.['record'])
          const past = spent.tokens - limit
          must(past < names.length * most, 'W4', () => `${spent.tokens} of ${limit} tokens are spent`)
        } catch (error) {
          failure ??= error
        }
      }
      const ids: string[] = []
      for (const name of names) ids.push(...(await sendSome(scene, 12, name)))
      scene.sim.faults = trouble
      for (let i = 0; i < 4; i++) {
        world.in(minute * (i + 0.5), () => scene.sim.crashEverything(false))
        await scene.pass(minute)
      }
      scene.sim.faults = noFaults
      await scene.pass(20 * minute)
      expect((await seen(scene, 'w')).record.status).toBe('paused')
      limit = 100_000
      await amend(scene, 'w', { budget: { tokens: limit } })
      await scene.pass(60 * minute)
      if (failure !== undefined) throw failure
      expect(new Set(await statuses(scene, ids))).toEqual(new Set(['completed']))
      const used = await Promise.all(ids.map(async (id) => (await scene.receipt(id)).usage?.outputTokens ?? 0))
      expect((await seen(scene, 'w')).budget?.spent.tokens).toBe(used.reduce((a, b) => a + b, 0))
    },
    60_000,
  )
})
