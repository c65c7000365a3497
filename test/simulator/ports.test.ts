/** The platform's ports as the verbs use them: calls that try again, references that fit a queue message, time-ordered ids. */
import { describe, expect, it } from 'vitest'
import type { Platform } from '../../shared/ports.ts'
import { enqueue, sendBounded } from '../../workers/enqueue.ts'
import { persistent, Unavailable, uuidv7 } from '../../workers/platform.ts'
import { Scene } from './scene.ts'

interface Port {
  read(n: number): Promise<number>
}

const noPause = () => Promise.resolve()

describe('a call to an object', () => {
  const failingTimes = (times: number, error: unknown) => {
    const stubs: number[] = []
    const stub = (): Port => ({
      read: (n) => {
        stubs.push(n)
        return stubs.length <= times ? Promise.reject(error) : Promise.resolve(n * 2)
      },
    })
    return { stubs, port: persistent<Port>('mailbox', stub, noPause) }
  }

  it('is tried three times, each on a fresh stub (because after an exception the old one may be broken)', async () => {
    const { stubs, port } = failingTimes(2, new Error('network lost'))
    expect(await port.read(21)).toBe(42)
    expect(stubs).toEqual([21, 21, 21])
  })

  it('that keeps failing is Unavailable, and says which object', async () => {
    const { stubs, port } = failingTimes(3, new Error('network lost'))
    await expect(port.read(1)).rejects.toThrow(Unavailable)
    await expect(failingTimes(3, new Error('x')).port.read(1)).rejects.toThrow('mailbox did not answer')
    expect(stubs).toHaveLength(3)
  })

  it('to an overloaded object is not repeated (because that is what overloads it)', async () => {
    const { stubs, port } = failingTimes(3, Object.assign(new Error('too busy'), { overloaded: true }))
    await expect(port.read(1)).rejects.toThrow(Unavailable)
    expect(stubs).toHaveLength(1)
  })
})

describe('references to released deliveries', () => {
  function sending(send: (body: unknown) => Promise<unknown>) {
    const scene = new Scene({ ports: (): Partial<Platform> => ({ deliveries: { send } }) })
    return { scene, platform: scene.platform() }
  }
  const ids = (count: number) => Array.from({ length: count }, (_, i) => `ada_${i}`)

  it('travel together up to a hundred in a queue message, and a suspect by itself', async () => {
    const sent: { deliveries: string[]; alone?: true }[] = []
    const { scene, platform } = sending((body) => Promise.resolve(sent.push(body as (typeof sent)[number])))
    enqueue(platform, 'ada', [{ deliveries: ids(250) }, { deliveries: ['ada_s'], alone: true }])
    await scene.pass(10)
    expect(sent.map((s) => [s.deliveries.length, s.alone])).toEqual([
      [100, undefined],
      [100, undefined],
      [50, undefined],
      [1, true],
    ])
    expect(sent.flatMap((s) => s.deliveries)).toEqual([...ids(250), 'ada_s'])
  })

  it('that the queue refuses are only noted (because the mailbox repeats them)', async () => {
    const { scene, platform } = sending(() => Promise.reject(new Error('overloaded')))
    expect(
      await scene.done(sendBounded(platform, platform.deliveries, { v: 1, agent: 'ada', deliveries: ['x'] }, 'ada')),
    ).toBe(false)
    expect(scene.logged.map((l) => l.step)).toContain('enqueue.failed')
  })

  it('that the queue neither takes nor refuses are waited for five seconds', async () => {
    const { scene, platform } = sending(() => new Promise(() => undefined))
    const startedAt = scene.world.now
    expect(
      await scene.done(sendBounded(platform, platform.deliveries, { v: 1, agent: 'ada', deliveries: ['x'] }, 'ada')),
    ).toBe(false)
    expect(scene.world.now - startedAt).toBeGreaterThanOrEqual(5_000)
    expect(scene.logged.map((l) => l.step)).toContain('enqueue.late')
  })
})

describe('uuidv7', () => {
  const random = Uint8Array.from({ length: 10 }, (_, i) => 17 * i)

  it('has the version and the variant of RFC 9562, and its time in front', () => {
    const id = uuidv7(0x0123_4567_89ab, random)
    expect(id).toMatch(/^01234567-89ab-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
  })

  it('sorts by time as text', () => {
    const ids = [1, 1_000, 1_700_000_000_000, 1_800_000_000_000].map((at) => uuidv7(at, random))
    expect([...ids].sort()).toEqual(ids)
  })
})
