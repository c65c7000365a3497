/** Whom a sender named in `receiptto` hears of every end, once, whatever breaks on the way. */
import { describe, expect, it } from 'vitest'
import { indexEntry } from '../../shared/directory.ts'
import { hour, minute } from '../shared/mailbox-fixtures.ts'
import { noFaults } from './platform.ts'
import { Scene, type SceneOptions } from './scene.ts'

const day = 24 * hour

/** `sue` is told; `work` answers with the status that the data name. */
async function scene(options: SceneOptions = {}): Promise<Scene> {
  const scene = new Scene(options)
  await scene.webhook('work', ({ body }) => ({ status: JSON.parse(body).data?.status ?? 200 }), {
    maxAttempts: 2,
    backoff: { initialSeconds: 1, factor: 1, capSeconds: 1, jitter: 'none' },
  })
  await scene.pull('sue', { concurrency: 100 })
  return scene
}

async function told(scene: Scene, agent = 'sue') {
  const { leases } = await scene.done(scene.platform().agent(agent).lease(100, hour, scene.world.unique('t')))
  return leases.map((l) => JSON.parse(l.body))
}

describe('an end that is told', () => {
  it('comes to the agent as mail of the broker, caused by the message, with ids and no result (TC2)', async () => {
    const s = await scene()
    const id = await s.send('work', { id: 'm', receiptto: 'sue', correlationid: 'talk' })
    await s.pass(minute)
    const [mail, ...more] = await told(s)
    expect(more).toEqual([])
    expect(mail).toMatchObject({
      ...{ type: 'switchboard.delivery.ended', source: 'switchboard', causationid: 'm', correlationid: 'talk' },
      data: { delivery: id, agent: 'work', status: 'completed' },
    })
    expect(Object.keys(mail.data)).toEqual(['delivery', 'agent', 'status'])
    expect(mail).not.toHaveProperty('receiptto')
  })

  it('of each leg is told, under publish to many (TC2)', async () => {
    const s = await scene()
    for (const name of ['ann', 'bob']) {
      await s.webhook(name)
      await s.done(
        s
          .platform()
          .directory()
          .putAgent(indexEntry(await s.agent(name))),
      )
      await s.done(s.platform().directory().putSubscription(`${name}-on`, { agent: name, topic: 'news' }, { max: 9 }))
    }
    await s.publish([{ topic: 'news', type: 'test.note', receiptto: 'sue' }])
    await s.pass(minute)
    expect((await told(s)).map((m) => [m.data.agent, m.data.status]).sort()).toEqual([
      ['ann', 'completed'],
      ['bob', 'completed'],
    ])
  })

  it('of a chain is told by the agent at which it ended, and not by those that passed', async () => {
    const s = await scene()
    s.receiver('work', () => ({ status: 200, body: '{"pass":true}' }))
    await s.webhook('last')
    await s.send('work', { chain: ['last'], receiptto: 'sue' })
    await s.send('work', { chain: ['nobody'], receiptto: 'sue' })
    await s.pass(minute)
    expect((await told(s)).map(({ data }) => [data.agent, data.status, data.reason]).sort()).toEqual([
      ['last', 'completed', undefined],
      ['work', 'completed', 'no_handler'],
    ])
  })

  it('to a topic reaches its subscribers, and nobody’s absence is a dead letter', async () => {
    const s = await scene()
    await s.send('work', { receiptto: 'topic:ends' })
    await s.pass(minute)
    await s.done(
      s
        .platform()
        .directory()
        .putAgent(indexEntry(await s.agent('sue'))),
    )
    await s.done(s.platform().directory().putSubscription('on', { agent: 'sue', topic: 'ends' }, { max: 9 }))
    const id = await s.send('work', { receiptto: 'topic:ends', data: { status: 422 } })
    await s.pass(minute)
    expect((await told(s)).map((m) => [m.topic, m.data])).toEqual([
      ['ends', { delivery: id, agent: 'work', status: 'dead_lettered', reason: 'terminal' }],
    ])
    expect((await s.letters()).map((l) => l.delivery)).toEqual([id])
  })

  it('to nobody is refused, and that is told as a dead letter; the work stays done (E1)', async () => {
    const s = await scene()
    const id = await s.send('work', { receiptto: 'nobody' })
    await s.pass(minute)
    const { status, effects } = await s.receipt(id)
    expect([status, effects?.map((e) => e.state)]).toMatchObject([
      'completed',
      [{ status: 'refused', reason: 'agent_not_found' }],
    ])
    expect((await s.letters()).map((l) => [l.id, l.reason])).toEqual([[`${id}-e1`, 'effect_refused']])
  })

  it('waits for room in a full mailbox, and is given up and told after a day (E1)', async () => {
    const s = await scene()
    await s.pull('full', { depth: 1 })
    await s.send('work', { receiptto: 'full' })
    await s.pass(minute)
    const late = await s.send('work', { receiptto: 'full' })
    await s.pass(hour)
    expect((await s.receipt(late)).effects?.map((e) => e.state.status)).toEqual(['pending'])
    await s.pass(day + hour)
    expect((await s.receipt(late)).effects?.map((e) => e.state)).toMatchObject([{ reason: 'backpressure' }])
  })

  for (const seed of [1, 2, 3, 4, 5])
    it(`is told once for every end, whatever is lost, doubled or killed (M1, M2, E1), seed ${seed}`, async () => {
      const s = await scene({ seed })
      const ids: string[] = []
      for (let i = 0; i < 20; i++)
        ids.push(await s.send('work', { receiptto: 'sue', data: { status: s.world.pick([200, 200, 422, 500]) } }))
      s.sim.faults = {
        ...noFaults,
        ...{ callFailsBefore: 0.1, callFailsAfter: 0.1, objectCrash: 0.05, invocationCrash: 0.1, commitFails: 0.05 },
        ...{ queueLoses: 0.3, queueDoubles: 0.3, alarmTwice: 0.2 },
      }
      await s.pass(hour)
      s.sim.faults = noFaults
      await s.pass(day)
      const heard = (await told(s)).map(({ data }) => `${data.delivery} ${data.status}`)
      const ends = await Promise.all(ids.map(async (id) => `${id} ${(await s.receipt(id)).status}`))
      expect(heard.sort()).toEqual(ends.sort())
    })
})
