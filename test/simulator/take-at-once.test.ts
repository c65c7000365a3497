/**
 * One call that accepts a message and leases it for a caller who delivers it at once (workers/express.ts). Never here: what comes of the
 * attempt, or of a gateway that dies with it (requests.test.ts).
 */
import { describe, expect, it } from 'vitest'
import type { Registration } from '../../shared/agent.ts'
import type { Message } from '../../shared/message.ts'
import type { Platform } from '../../shared/ports.ts'
import { switchRememberedMs } from '../../shared/switch.ts'
import { accept } from '../../workers/accept.ts'
import { atOnce } from '../../workers/express.ts'
import { publish } from '../../workers/publish.ts'
import { turn } from '../../workers/switch.ts'
import { takeToken } from '../../workers/take.ts'
import { incoming, ok } from '../shared/mailbox-fixtures.ts'
import { LoneMailbox } from './lone-mailbox.ts'
import { Invocation } from './platform.ts'
import { admin, never, Scene } from './scene.ts'

const webhook = { kind: 'webhook', url: 'http://127.0.0.1/ada' } as const

class Home extends LoneMailbox {
  constructor(registration: Partial<Registration> = {}) {
    super()
    this.enrol({ ...webhook, ...registration })
  }

  accept(id: string, take?: string, longestMs?: number, more: Partial<Message> = {}) {
    const { message, ...rest } = incoming(id)
    const one = { ...rest, message: { ...message, ...more } }
    const { admissions, references, taken } = this.object.accept([one], `accept-${id}`, take, longestMs)
    const [admission] = admissions
    if (admission === undefined || !('id' in admission)) throw new Error(JSON.stringify(admission))
    return { id: admission.id, references, leases: taken?.leases ?? [] }
  }
}

describe('a message that is accepted for whoever delivers it at once', () => {
  it('comes back leased, with its body, and no reference to it goes to anybody', () => {
    const home = new Home()
    const { id, leases, references } = home.accept('a', 'mine')
    expect(leases).toMatchObject([{ id, body: incoming('a').body, attempt: 1 }])
    expect(references).toEqual([])
    expect(home.object.take([id], 'another').leases).toEqual([])
    expect(home.object.holds(id, leases[0]!.token)).toBe(true)
    const report = { id, token: leases[0]!.token, outcome: ok(), external: false }
    expect(home.object.settle([report]).settlements).toMatchObject([{ status: 'settled' }])
    expect(home.object.receipt(id)).toMatchObject({ status: 'completed', attempt: 1 })
  })

  it('has the same lease when the call is repeated, and none for another call; after a restart it may have begun, and goes alone (M4)', () => {
    const home = new Home()
    const first = home.accept('a', 'mine')
    expect(home.accept('a', 'mine').leases).toEqual(first.leases)
    expect(home.accept('a', 'another').leases).toEqual([])
    home.restart()
    expect(home.accept('a', 'mine')).toEqual({
      id: first.id,
      references: [{ deliveries: [first.id], alone: true }],
      leases: [],
    })
  })

  it('is repeated to nobody once it has ended', () => {
    const home = new Home()
    const { id, leases } = home.accept('a', 'mine')
    home.object.settle([{ id, token: leases[0]!.token, outcome: ok(), external: false }])
    expect(home.accept('a', 'mine')).toEqual({ id, references: [], leases: [] })
  })

  it('waits in line where there is no place, and others that go are told by reference (M5)', () => {
    const home = new Home({ policy: { concurrency: 2 } })
    home.object.pause('later', undefined)
    const waiting = home.accept('waits').id
    home.object.resume('token')
    expect(home.accept('a', 'mine').leases).toHaveLength(1)
    expect(home.accept('b', 'yours')).toMatchObject({ leases: [], references: [] })
    expect(home.object.take([waiting], 'queue').leases).toHaveLength(1)
  })

  it('is not leased behind a pause, to a puller, or with a batch to come', () => {
    const paused = new Home()
    paused.object.pause('later', undefined)
    expect(paused.accept('a', 'mine')).toMatchObject({ leases: [], references: [] })
    const puller = new Home({ kind: 'pull', url: undefined } as never)
    expect(puller.accept('a', 'mine')).toMatchObject({ leases: [], references: [] })
    const batches = new Home({ policy: { batch: { size: 2, waitSeconds: 60 } } })
    expect(batches.accept('a', 'mine')).toMatchObject({ leases: [], references: [] })
  })

  it('M6: has an alarm for the end of its lease', () => {
    const home = new Home()
    home.storage.alarmAt = null
    home.restart()
    home.accept('a', 'mine')
    expect(home.storage.alarmAt).toBeLessThanOrEqual(home.now + 5_000)
  })

  it('is leased to nobody while the deployment is stopped (TC5)', async () => {
    const scene = new Scene()
    await scene.webhook('ada')
    const put = (state: 'stopped' | 'running') => scene.done(turn(scene.platform(), { state, by: 'admin' }))
    await put('stopped')
    expect(await scene.done(takeToken(scene.platform()))).toBeUndefined()
    await put('running')
    await scene.pass(switchRememberedMs)
    const platform = scene.platform()
    const token = await scene.done(takeToken(platform))
    const answer = await scene.done(accept(platform, 'ada', [incoming('a')], 'token', token))
    expect(answer.taken?.leases).toHaveLength(1)
  })
})

describe('a message that is published by itself', () => {
  const longestMs = 30_000
  const seconds = (timeoutSeconds: number) => ({ policy: { timeoutSeconds } })

  it.each([
    ['a webhook whose attempts last half a minute at most', seconds(30), {}, 1],
    ['one that may take longer', seconds(31), {}, 0],
    ['one that may take longer, but not for this message', seconds(31), { timeoutseconds: 30 }, 1],
    ['a handler, whose crash would take the gateway with it', { kind: 'handler', ...seconds(10) }, {}, 0],
  ] as const)('goes at once to %s: or not', (_, registration, more, leased) => {
    const home = new Home(registration as Partial<Registration>)
    const { id, leases, references } = home.accept('a', 'mine', longestMs, more)
    expect(leases).toHaveLength(leased)
    expect(references).toEqual(leased === 1 ? [] : [{ deliveries: [id] }])
  })

  /** Publishes as the route does, and counts what goes by the queue. */
  async function published(scene: Scene, json: object, invocation?: Invocation) {
    const platform = scene.platform(invocation)
    const queued: unknown[] = []
    const deliveries: Platform['deliveries'] = {
      send: (body) => {
        queued.push(body)
        return platform.deliveries.send(body)
      },
    }
    const counting = { ...platform, deliveries }
    const options = { atOnce: atOnce(counting, scene.handlers) }
    const [answer] = await scene.done(publish(counting, admin, [{ type: 'test.note', ...json }], options))
    if (answer?.ok !== true) throw new Error(JSON.stringify(answer))
    const { id, status } = answer.value.deliveries[0]!
    return { id, status, queued }
  }
  const second = 1_000

  it('is delivered by the call that publishes it, after its answer and with nothing in the queue', async () => {
    const scene = new Scene()
    await scene.webhook('ada')
    const { id, status, queued } = await published(scene, { to: 'ada' })
    expect(status).toBe('dispatched')
    await scene.pass(second)
    expect(await scene.receipt(id)).toMatchObject({ status: 'completed', attempt: 1 })
    expect([scene.calls.length, queued]).toEqual([1, []])
  })

  it('leaves before the answer to its publish does, which waits for nothing where nothing leaves', async () => {
    const scene = new Scene()
    await scene.webhook('ada')
    await scene.webhook('slow', () => ({ status: 200 }), { timeoutSeconds: 60 })
    const fetchedWhenAnswered = async (to: string) => {
      const platform = scene.platform()
      const happened: string[] = []
      const watched: Platform = {
        ...platform,
        fetch: (url, init) => {
          happened.push('fetched')
          return platform.fetch(url, init)
        },
        after: (ms, then) => {
          if (ms === 0) happened.push('waited')
          return platform.after(ms, then)
        },
      }
      const lane = atOnce(watched, scene.handlers)
      const published = publish(watched, admin, [{ type: 'test.note', to }], { atOnce: lane })
      await scene.done(published.then(() => lane.left()).then(() => happened.push('answered')))
      return happened
    }
    expect(await fetchedWhenAnswered('ada')).toEqual(['fetched', 'waited', 'answered'])
    expect(await fetchedWhenAnswered('slow')).toEqual(['answered'])
  })

  it('goes by the queue while the agent has no place, and behind what waits (M5)', async () => {
    const scene = new Scene()
    await scene.webhook(
      'ada',
      async () => {
        await scene.world.sleep(5 * second)
        return { status: 200 }
      },
      { concurrency: 1 },
    )
    const first = await published(scene, { to: 'ada' })
    const another = await published(scene, { to: 'ada' })
    expect([first.status, another.status]).toEqual(['dispatched', 'held'])
    await scene.pass(20 * second)
    expect(await Promise.all([first.id, another.id].map(async (id) => (await scene.receipt(id)).status))).toEqual([
      'completed',
      'completed',
    ])
    expect(scene.calls).toHaveLength(2)
  })

  it('whose gateway dies with it is delivered anew, by the queue, and no attempt is counted (M1)', async () => {
    const scene = new Scene()
    const invocation = new Invocation()
    await scene.webhook('ada', (call) => {
      if (scene.calls.length > 1) return { status: 200 }
      invocation.alive = false
      return never(call)
    })
    const { id } = await published(scene, { to: 'ada' }, invocation)
    await scene.pass(2 * 60 * second)
    expect(await scene.receipt(id)).toMatchObject({ status: 'completed', attempt: 1 })
    expect(scene.calls).toHaveLength(2)
  })

  it('is cut after 29 s, because its gateway is cut soon after: that is an attempt, and nothing against the agent (B1)', async () => {
    const scene = new Scene()
    await scene.webhook('ada', (call) => (scene.calls.length > 1 ? { status: 200 } : never(call)), {
      breaker: { failureThreshold: 1 },
    })
    const before = scene.world.now
    const { id } = await published(scene, { to: 'ada' })
    await scene.pass(28 * second)
    expect((await scene.receipt(id)).status).toBe('dispatched')
    const told = Date.parse(scene.calls[0]!.headers['switchboard-deadline']!)
    expect(told - before).toBeGreaterThan(28.9 * second)
    expect(told - before).toBeLessThan(29.1 * second)
    await scene.pass(10 * second)
    expect(await scene.receipt(id)).toMatchObject({
      status: 'completed',
      attempt: 2,
      attempts: [{ error: { code: 'broker' } }, {}],
    })
    expect(scene.calls).toHaveLength(2)
  })

  it.each([
    [10, 'open'],
    [29, 'open'],
    [30, 'closed'],
  ])('that hangs for the %i s that its policy gives it leaves its breaker %s', async (timeoutSeconds, at) => {
    const scene = new Scene()
    await scene.webhook('ada', never, { timeoutSeconds, maxAttempts: 1, breaker: { failureThreshold: 1 } })
    await published(scene, { to: 'ada' })
    await scene.pass(31 * second)
    expect((await scene.done(scene.platform().agent('ada').breaker()))?.state.at).toBe(at)
  })
})
