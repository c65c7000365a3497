/**
 * Approvals in virtual time: through lost queues, crashes between any two lines and mailboxes that are full, whoever is to be
 * told is told once, or it is said why not (M1, M2, M6, TC11).
 */
import { describe, expect, it } from 'vitest'
import { type Approval, pendingNews } from '../../shared/approval.ts'
import { approvalInput } from '../../shared/approval-input.ts'
import { type Principal, resolvePermissions } from '../../shared/permissions.ts'
import { askApproval } from '../../workers/ask-approval.ts'
import { sweep } from '../../workers/sweep.ts'
import { tellApproval } from '../../workers/tell-approval.ts'
import { Invocation, noFaults } from './platform.ts'
import { Scene } from './scene.ts'
import { Dying, mixture } from './trouble.ts'

const second = 1_000
const minute = 60 * second
const hour = 60 * minute

async function ask(scene: Scene, more: object = {}, by: Principal = { kind: 'admin' }, key = 'k'): Promise<string> {
  const input = approvalInput.parse({ question: 'Go?', notify: ['pager'], replyto: 'ada', ...more })
  const asked = await scene.done(askApproval(scene.platform(), by, input, { origin: 'https://s.test', key }))
  if (!asked.ok) throw new Error(asked.error.code)
  return asked.value.approval.id
}

async function found(scene: Scene, id: string): Promise<Approval> {
  const one = await scene.done(scene.platform().approvals().find(id))
  if (one === undefined) throw new Error('no approval')
  return one
}

const decide = (scene: Scene, id: string, option = 'approve') =>
  scene.done(scene.platform().approvals().decide(id, { option, by: 'pager', how: 'api' }))

const arrived = (scene: Scene, agent: string) => scene.arrived(agent, 'type')

describe('a question', () => {
  it('is asked and its outcome told, by the alarm where the gateway died before it could (M1, M6, TC11)', async () => {
    const scene = new Scene()
    await scene.webhook('pager')
    await scene.webhook('ada')
    const id = await ask(scene, { expiresInSeconds: 3_600 })
    await scene.pass(minute)
    expect(arrived(scene, 'pager')).toEqual(['switchboard.approval.asked'])
    await decide(scene, id)
    await scene.pass(minute)
    expect(arrived(scene, 'ada')).toEqual(['switchboard.approval.decided'])
    expect(pendingNews(await found(scene, id))).toEqual([])
  })

  it('that nobody answers times out by itself, escalates, and says so; a crash of everything changes nothing (M6, TC11)', async () => {
    const scene = new Scene()
    for (const name of ['pager', 'boss', 'ada']) await scene.webhook(name)
    const id = await ask(scene, {
      expiresInSeconds: 600,
      onTimeout: { escalate: [{ notify: ['boss'], expiresInSeconds: 600 }], finally: 'deny' },
    })
    await scene.pass(5 * minute)
    scene.sim.crashEverything(true)
    await scene.pass(6 * minute)
    expect(arrived(scene, 'boss')).toEqual(['switchboard.approval.asked'])
    scene.sim.crashEverything(true)
    await scene.pass(11 * minute)
    expect((await found(scene, id)).outcome).toMatchObject({ status: 'timed_out', option: 'deny' })
    expect(arrived(scene, 'ada')).toEqual(['switchboard.approval.timed_out'])
  })

  it('reaches people and its asker at URLs of theirs, signed, under secrets that are told once (TC11)', async () => {
    const scene = new Scene()
    const asked = approvalInput.parse({
      ...{ question: 'Go?', notify: [{ url: 'https://people.example.com/people' }] },
      callback: { url: 'https://asker.example.com/asker' },
    })
    const options = { origin: 'https://s.test', key: 'k' }
    const ask = () => scene.done(askApproval(scene.platform(), { kind: 'admin' }, asked, options))
    const [first, again] = [await ask(), await ask()]
    if (!first.ok || !again.ok) throw new Error('refused')
    const { id } = first.value.approval
    expect(Object.keys(first.value.secrets)).toEqual([
      'https://people.example.com/people',
      'https://asker.example.com/asker',
    ])
    expect([again.value.opened, again.value.approval.id, again.value.secrets]).toEqual([false, id, {}])
    await scene.pass(minute)
    await decide(scene, id)
    await scene.pass(minute)
    expect(arrived(scene, 'people')).toEqual(['switchboard.approval.asked'])
    expect(arrived(scene, 'asker')).toEqual(['switchboard.approval.decided'])
    const [call] = scene.callsOf('asker')
    expect(JSON.parse(call?.body ?? '')).toMatchObject({ source: 'admin', data: { option: 'approve' } })
    expect(call?.headers['webhook-signature']).toMatch(/^v1,/)
    const { secrets } = first.value
    expect(JSON.stringify(await found(scene, id))).not.toContain(secrets['https://asker.example.com/asker'])
  })

  it('is told with the permissions that its asker has now; one that was deleted says nothing any more (S1)', async () => {
    const scene = new Scene()
    for (const name of ['pager', 'ada']) await scene.webhook(name)
    await scene.pull('bob')
    const bob: Principal = { kind: 'agent', name: 'bob', permissions: resolvePermissions('bob') }
    const id = await ask(scene, { expiresInSeconds: 600 }, bob)
    await scene.pass(minute)
    expect(JSON.parse(scene.callsOf('pager')[0]?.body ?? '').source).toBe('bob')
    await scene.done(scene.platform().agent('bob').retire('dead'))
    await scene.pass(hour)
    const { news, outcome } = await found(scene, id)
    expect(outcome?.status).toBe('timed_out')
    expect(news.at(-1)?.state).toMatchObject({ status: 'refused', reason: 'creator_gone' })
    expect(arrived(scene, 'ada')).toEqual([])
  })
})

describe('trouble', () => {
  it('a mailbox that is full is told when there is room; after a day it is given up, and that is said', async () => {
    for (const [room, status] of [
      [true, 'carried'],
      [false, 'refused'],
    ] as const) {
      const scene = new Scene()
      await scene.webhook('pager')
      await scene.pull('ada', { depth: 1 })
      const blocking = await scene.send('ada')
      const id = await ask(scene)
      await decide(scene, id)
      await scene.pass(23 * hour)
      expect(pendingNews(await found(scene, id))).toHaveLength(1)
      if (room) await scene.done(scene.platform().agent('ada').cancel(blocking))
      await scene.pass(2 * hour)
      expect((await found(scene, id)).news.at(-1)?.state.status).toBe(status)
    }
  })

  it('whoever dies at any call of the telling: each is told, once (M1, M2, TC11)', async () => {
    let deaths = 0
    for (const took of ['before', 'after'] as const) {
      for (let at = 1; at < 10; at++) {
        const scene = new Scene({ seed: at })
        await scene.webhook('pager')
        await scene.webhook('ada')
        const id = await ask(scene)
        const invocation = new Invocation()
        const platform = scene.platform(invocation)
        const dying = new Dying(invocation, at, took)
        tellApproval(
          {
            ...platform,
            agent: (name) => dying.port(platform.agent(name)),
            directory: () => dying.port(platform.directory()),
            approvals: () => dying.port(platform.approvals()),
          },
          id,
        ).catch(() => undefined)
        await scene.pass(10 * minute)
        if (dying.calls >= at) deaths += 1
        const where = `dying ${took} call ${at}`
        expect(arrived(scene, 'pager'), where).toEqual(['switchboard.approval.asked'])
        expect((await found(scene, id)).news[0]?.state.status, where).toBe('carried')
      }
    }
    expect(deaths).toBeGreaterThanOrEqual(6)
  })

  it('any mixture of it: each question ends once, everybody is told once, and nothing is owed in the end (M1, M2, M6, TC11)', async () => {
    for (let seed = 1; seed <= 24; seed++) {
      const scene = new Scene({ seed })
      const { world } = scene
      for (const name of ['pager', 'boss', 'ada']) await scene.webhook(name)
      const ids: string[] = []
      for (let i = 0; i < 6; i++) {
        const onTimeout = world.pick<unknown>([
          'expire',
          'deny',
          { escalate: [{ notify: ['boss'], expiresInSeconds: 600 }] },
        ])
        ids.push(await ask(scene, { expiresInSeconds: 600, onTimeout }, { kind: 'admin' }, `k${i}`))
      }
      scene.sim.faults = mixture(world)
      for (let i = 0; i < 4; i++) world.in(world.random() * hour, () => scene.sim.crashEverything(world.chance(0.5)))
      const decided = ids.filter(() => world.chance(0.5))
      for (const id of decided)
        world.in(world.random() * 20 * minute, () => {
          const decision = { option: 'approve', by: 'pager', how: 'api' } as const
          scene
            .platform()
            .approvals()
            .decide(id, decision)
            .catch(() => undefined)
        })
      await scene.pass(hour)
      scene.sim.faults = noFaults
      await scene.pass(hour)
      for (const id of ids) {
        const { outcome, news } = await found(scene, id)
        expect(outcome, `seed ${seed}`).toBeDefined()
        expect(
          news.map((n) => n.state.status),
          `seed ${seed}`,
        ).not.toContain('pending')
      }
      expect(arrived(scene, 'ada'), `seed ${seed}`).toHaveLength(ids.length)
    }
  }, 60_000)

  it('an alarm that whatever bug had lost is armed again by the hourly sweep (M6)', async () => {
    const scene = new Scene()
    await scene.webhook('pager')
    await scene.webhook('ada')
    const id = await ask(scene, { expiresInSeconds: 60 })
    scene.sim.loseAlarm('all', 'approvals')
    await scene.pass(10 * minute)
    expect(arrived(scene, 'pager')).toEqual([])
    await scene.done(sweep(scene.platform()))
    await scene.pass(minute)
    expect(arrived(scene, 'ada')).toEqual(['switchboard.approval.timed_out'])
    expect((await found(scene, id)).outcome?.status).toBe('timed_out')
  })
})
