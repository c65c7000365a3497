/** States that last too long, in virtual time: whoever listens is told once for each visit, and nothing else changes (A26). */
import { describe, expect, it } from 'vitest'
import { indexEntry } from '../../shared/directory.ts'
import { resolvePermissions } from '../../shared/permissions.ts'
import { metricsText, statsAnswer } from '../../shared/stats.ts'
import { measure } from '../../workers/measure.ts'
import { performSoon } from '../../workers/perform.ts'
import { Scene } from './scene.ts'

const second = 1_000
const minute = 60 * second
const admin = { source: 'admin', permitted: true }
const slow = (slowAfterSeconds: number) => ({ meta: { switchboard: { slowAfterSeconds } } })

/** A workflow with this chart, and somebody who hears what it announces. */
async function started(definition: object, named: object = {}): Promise<Scene> {
  const scene = new Scene()
  await scene.webhook('pager')
  const directory = scene.platform().directory()
  await scene.done(directory.putAgent(indexEntry(await scene.agent('pager'))))
  const topic = 'switchboard.workflow.w'
  await scene.done(directory.putSubscription('pager-on', { agent: 'pager', topic }, { max: 10 }))
  const opening = { id: 'w', by: 'admin', creation: 'c', state: {}, keptMs: 24 * 60 * minute, definition: named }
  const platform = scene.platform()
  const permissions = resolvePermissions('admin')
  await scene.done(platform.workflow('w').create({ ...opening, permissions }, definition))
  performSoon(platform, 'w')
  return scene
}

async function tell(scene: Scene, type: string): Promise<void> {
  const operation = { id: scene.world.unique('e'), content: type }
  const platform = scene.platform()
  await scene.done(platform.workflow('w').receive(admin, { operation, happening: { type, by: 'admin' } } as never))
  performSoon(platform, 'w')
}

/** What was announced as slow: which state, and for how many whole seconds it had lasted. */
const heard = (scene: Scene) =>
  [...new Map(scene.callsOf('pager').map((c) => [c.headers['webhook-id'], JSON.parse(c.body)])).values()]
    .filter(({ type }) => type === 'switchboard.workflow.slow_state')
    .map(({ state, elapsedms, subject }) => [subject, state, Math.floor(elapsedms / second)])

const record = async (scene: Scene) => {
  const found = await scene.done(scene.platform().workflow('w').read(admin))
  if (found.status !== 'found') throw new Error(found.status)
  return found.workflow.record
}

describe('a state that is slow', () => {
  const chart = {
    id: 'c',
    initial: 'idle',
    states: {
      idle: { on: { go: 'busy' } },
      busy: { ...slow(30), after: { 120000: 'late' }, on: { back: 'idle', again: { target: 'busy', reenter: true } } },
      late: {},
    },
  }

  it('is announced once for each visit, before its deadline; a quick visit is not, and a new visit begins anew (A26)', async () => {
    const scene = await started(chart)
    await tell(scene, 'go')
    await scene.pass(20 * second)
    await tell(scene, 'back')
    await scene.pass(minute)
    expect(heard(scene)).toEqual([])
    await tell(scene, 'go')
    await scene.pass(25 * second)
    await tell(scene, 'again')
    await scene.pass(25 * second)
    expect(heard(scene)).toEqual([])
    await scene.pass(10 * second)
    expect(heard(scene)).toEqual([['w', 'c.busy', 30]])
    await scene.pass(minute)
    expect([(await record(scene)).value, heard(scene)]).toEqual(['busy', [['w', 'c.busy', 30]]])
    await scene.pass(minute)
    expect((await record(scene)).value).toBe('late')
    const history = await scene.done(scene.platform().workflow('w').history(admin, 0, 100))
    const kinds = history.status === 'found' ? history.entries.map(({ kind }) => kind) : []
    expect(kinds.filter((kind) => kind === 'slow_state')).toHaveLength(1)
    expect((await record(scene)).owes).toBeUndefined()
  })

  it('is announced though everything crashed meanwhile, and its version stays: nothing moved (A26, M6)', async () => {
    const scene = await started({ initial: 'busy', states: { busy: slow(30) } })
    const { version } = await record(scene)
    await scene.pass(10 * second)
    scene.sim.crashEverything(true)
    await scene.pass(30 * second)
    scene.sim.crashEverything(true)
    await scene.pass(minute)
    expect(heard(scene)).toEqual([['w', '(machine).busy', 30]])
    expect((await record(scene)).version).toBe(version)
  })

  it('beside another and within a third is announced by itself, and the chart hears nothing of it (A26)', async () => {
    const scene = await started({
      id: 'c',
      type: 'parallel',
      ...slow(50),
      on: { '*': '.x.heard' },
      states: {
        x: { initial: 'a', states: { a: slow(10), heard: {} } },
        y: { initial: 'b', states: { b: slow(20), done: { type: 'final', ...slow(1) } } },
      },
    })
    await scene.pass(2 * minute)
    expect(heard(scene)).toEqual([
      ['w', 'c.x.a', 10],
      ['w', 'c.y.b', 20],
      ['w', 'c', 50],
    ])
    expect((await record(scene)).value).toEqual({ x: 'a', y: 'b' })
  })
})

describe('how long states last', () => {
  const chart = {
    id: 'c',
    initial: 'draft',
    states: {
      draft: { on: { sent: 'review' } },
      review: { on: { no: 'draft', yes: 'done' } },
      done: { type: 'final' },
    },
  }
  const durations = (scene: Scene) => scene.done(scene.platform().workflowIndex().durations())

  it('is added up over the workflows of a definition once they have ended, however often that is told (A26)', async () => {
    const scene = await started(chart, { name: 'paper', version: 1 })
    for (const [type, seconds] of [
      ['sent', 10],
      ['no', 5],
      ['sent', 30],
    ] as const) {
      await scene.pass(seconds * second)
      await tell(scene, type)
    }
    expect(await durations(scene)).toEqual([])
    await scene.pass(20 * second)
    await tell(scene, 'yes')
    await scene.pass(minute)
    const [draft, review, ...others] = (await durations(scene)).filter(({ state }) => state !== 'c')
    expect(
      [draft, review].map((d) => [
        d?.state,
        d?.visits,
        ...[d?.totalMs, d?.longestMs].map((ms) => Math.floor(Number(ms) / second)),
      ]),
    ).toEqual([
      ['c.draft', 2, 40, 30],
      ['c.review', 2, 25, 20],
    ])
    expect(others.map(({ state, totalMs }) => [state, totalMs])).toEqual([])
    const { items } = await scene.done(scene.platform().workflowIndex().list({}, undefined, 10))
    const before = await durations(scene)
    const again = (await record(scene)).stays ?? {}
    await scene.done(scene.platform().workflowIndex().put(items[0]!, again))
    expect(await durations(scene)).toEqual(before)
    const stats = await scene.done(measure(scene.platform(), undefined, 10))
    expect(metricsText(stats)).toContain(
      'switchboard_state_duration_seconds_count{definition="paper",state="c.draft"} 2\n',
    )
    expect(statsAnswer.parse(stats).stateDurations).toHaveLength(before.length)
    expect(await scene.done(measure(scene.platform(), 'a', 10))).not.toHaveProperty('stateDurations')
  })

  it('of one that was cancelled counts too, and of a definition without a name nothing does (A26)', async () => {
    for (const [named, states] of [
      [{ name: 'paper' }, ['c', 'c.draft']],
      [{}, []],
    ] as const) {
      const scene = await started(chart, named)
      await scene.pass(10 * second)
      const platform = scene.platform()
      await scene.done(platform.workflow('w').cancel(admin, 'enough'))
      performSoon(platform, 'w')
      await scene.pass(minute)
      expect((await durations(scene)).map(({ state }) => state)).toEqual(states)
    }
  })
})
