/**
 * What one invocation may ask of the platform when a publish reaches many: its share of the legs and no more, the rest by the work
 * queue, each leg once, and nobody again and again because it is full (docs/decisions/0016).
 */
import { describe, expect, it } from 'vitest'
import { indexEntry } from '../../shared/directory.ts'
import { deliveryId, mid } from '../../shared/ids.ts'
import { limits } from '../../shared/limits.ts'
import type { Platform } from '../../shared/ports.ts'
import type { Publication } from '../../shared/publication.ts'
import { Scene } from './scene.ts'

const second = 1_000
const share = 16
/** Who calls, whom it is for, the publication opened and told, a page or two, and the reference to what is left. */
const besideLegs = 12

/** A scene whose invocations may ask `share` legs, and how often each accepts at a mailbox and calls whatever service. */
function counted() {
  const invocations: { accepts: string[]; calls: number }[] = []
  const scene = new Scene({
    ports: (platform: Platform) => {
      const bill = { accepts: [] as string[], calls: 0 }
      invocations.push(bill)
      const counting = <P extends object>(port: P, name = ''): P =>
        new Proxy(port, {
          get: (target, method, receiver) => {
            const real: unknown = Reflect.get(target, method, receiver)
            if (typeof real !== 'function') return real
            return (...args: unknown[]) => {
              bill.calls += 1
              if (method === 'accept') bill.accepts.push(name)
              return Reflect.apply(real, target, args)
            }
          },
        })
      return {
        allowance: { legs: share },
        agent: (name) => counting(platform.agent(name), name),
        directory: () => counting(platform.directory()),
        publication: (id) => counting(platform.publication(id)),
        deliveries: counting(platform.deliveries),
        work: counting(platform.work),
      }
    },
  })
  return { scene, invocations }
}

/** So many agents that are subscribed; the first ones have no room. */
async function subscribed(scene: Scene, size: number, full: number): Promise<string[]> {
  const names = Array.from({ length: size }, (_, i) => `crowd-${i + 100}`)
  const platform = scene.platform()
  const join = async (name: string, i: number) => {
    const fresh = { name, incarnation: `${name}-1`, secret: 'whsec_eA==', trusted: true }
    const { agent } = await platform.agent(name).enrol({ kind: 'pull', policy: i < full ? { depth: 1 } : {} }, fresh)
    await platform.directory().putAgent(indexEntry(agent))
    await platform.directory().putSubscription(name, { agent: name, topic: 'news' }, { max: 1 })
  }
  await scene.done(Promise.all(names.map(join)))
  for (const name of names.slice(0, full)) await scene.send(name)
  return names
}

const reported = async (scene: Scene): Promise<readonly Publication[]> => scene.sim.publications()

describe.each([
  ['by name', 60],
  ['by pages', 130],
])('a publish that reaches more than one invocation may ask, %s', (_, size) => {
  it('asks its share in each, and is done before any alarm', async () => {
    const { scene, invocations } = counted()
    await subscribed(scene, size, 0)
    invocations.length = 0
    const [answer] = await scene.publish([{ topic: 'news', type: 'test.note' }])
    expect(answer).toMatchObject({ ok: true, value: { fanout: size } })
    await scene.pass(3 * second)
    expect(await reported(scene)).toMatchObject([{ accepted: size, refused: 0, closedAt: expect.any(Number) }])
    const asked = invocations.flatMap((i) => i.accepts)
    expect([asked.length, new Set(asked).size]).toEqual([size, size])
    for (const { accepts, calls } of invocations) {
      expect(accepts.length).toBeLessThanOrEqual(share)
      expect(calls).toBeLessThanOrEqual(2 * share + besideLegs)
    }
  })

  it('asks a full mailbox once, and goes on behind it; it is asked again by the alarm', async () => {
    const { scene, invocations } = counted()
    const full = 20
    const names = await subscribed(scene, size, full)
    invocations.length = 0
    await scene.publish([{ topic: 'news', type: 'test.note' }])
    await scene.pass(3 * second)
    expect(await reported(scene)).toMatchObject([{ accepted: size - full, refused: 0 }])
    const asked = () => invocations.flatMap((i) => i.accepts).filter((name) => name === names[0]).length
    expect(asked()).toBe(1)
    await scene.pass(4 * second)
    expect(asked()).toBe(2)
  })
})

describe('a publish whose filters let nobody through, by pages', () => {
  const size = 130
  /** Many who let nothing through, and so many who catch. */
  async function deaf(scene: Scene, catchers: number): Promise<void> {
    const names = await subscribed(scene, size + catchers, 0)
    const directory = scene.platform().directory()
    const put = (name: string, more: object) =>
      directory.putSubscription(name, { agent: name, topic: 'news', ...more }, { max: 1 })
    const last = names.slice(size)
    await scene.done(Promise.all(names.slice(0, size).map((name) => put(name, { filter: { exists: 'data.never' } }))))
    await scene.done(Promise.all(last.map((name) => put(name, { catchAll: true, select: ['n'] }))))
  }

  it('is for who catches, once the last page has told so, and says so; no dead letter is made (A11)', async () => {
    const { scene, invocations } = counted()
    await deaf(scene, 2)
    invocations.length = 0
    const [answer] = await scene.publish([{ topic: 'news', type: 'test.note', data: { n: 1, m: 2 } }])
    expect(answer).toMatchObject({ ok: true, value: { fanout: size } })
    await scene.pass(3 * second)
    const [publication] = await reported(scene)
    expect(publication).toMatchObject({ accepted: 2, refused: 0, caught: true, closedAt: expect.any(Number) })
    expect(invocations.flatMap((i) => i.accepts)).toEqual(['crowd-230', 'crowd-231'])
    expect(await scene.letters()).toEqual([])
    const mailed = mid('admin', publication?.key ?? '', 0)
    expect(await scene.receipt(deliveryId('crowd-231', mailed))).toMatchObject({
      steps: [{ detail: 'caught: `news` reached nobody else' }],
      view: { select: ['n'] },
    })
  })

  it('is a dead letter where nobody catches either (A11, A86)', async () => {
    const { scene } = counted()
    await deaf(scene, 0)
    await scene.publish([{ topic: 'news', type: 'test.note' }])
    await scene.pass(3 * second)
    expect(await scene.letters()).toMatchObject([{ kind: 'publication', reason: 'unroutable' }])
  })
})

it('several publishes of one invocation share what it may ask, and none is forgotten', async () => {
  const { scene, invocations } = counted()
  await subscribed(scene, 10, 0)
  invocations.length = 0
  const inputs = Array.from({ length: 5 }, (_, n) => ({ topic: 'news', type: 'test.note', data: n }))
  const answers = await scene.publish(inputs)
  expect(answers.every((a) => a.ok)).toBe(true)
  expect(invocations[0]?.accepts.length).toBe(share)
  await scene.pass(3 * second)
  expect((await reported(scene)).map((p) => p.accepted)).toEqual([10, 10, 10, 10, 10])
  for (const { accepts } of invocations) expect(accepts.length).toBeLessThanOrEqual(share)
})

it('what one invocation may ask fits the free plan’s thousand calls, two for each leg', () => {
  expect(2 * limits.legsPerInvocation + 100).toBeLessThanOrEqual(1_000)
  expect(limits.legsPerInvocation).toBeGreaterThanOrEqual(limits.legsNamed)
})
