/**
 * E2: agents that answer each other for ever: in pairs, in circles, through topics, by requests, by publishing themselves. Each way is
 * stopped, and both ends are told. Never here: which message it is that trips (test/shared/lineage.test.ts).
 */
import { describe, expect, it } from 'vitest'
import * as z from 'zod'
import { indexEntry } from '../../shared/directory.ts'
import { defaultGuards } from '../../shared/lineage.ts'
import { stopType } from '../../shared/stop.ts'
import type { AnyAgent } from '../../workers/define.ts'
import { type Call, type Receiver, Scene } from './scene.ts'

const second = 1_000
/** As often as one agent may be on a path. */
const visits = defaultGuards.revisits + 1

const json = (body: unknown) => ({ status: 200, body: JSON.stringify(body) })
const typeOf = ({ body }: Call): string => (JSON.parse(body) as { type: string }).type
const dataOf = ({ body }: Call) => (JSON.parse(body) as { data: { [name: string]: unknown } }).data

let said = 0
/** Says something new to each of these whenever it is called, whatever it is told. */
const saying =
  (...to: readonly object[]): Receiver =>
  () =>
    json({ messages: to.map((one) => ({ type: 'x', data: ++said, ...one })) })

/** What agents were called with, less what told them of a stop. */
const rounds = (scene: Scene) => scene.calls.filter((call) => typeOf(call) !== stopType)
const told = (scene: Scene) => scene.calls.filter((call) => typeOf(call) === stopType)
const firstStop = async (scene: Scene) => (await scene.letters()).findLast((l) => l.reason === 'loop_detected')

describe('two agents that always answer each other (TC4)', () => {
  it('by messages: stop when one would come again for the fifth time, and both are told once', async () => {
    const scene = new Scene()
    await scene.webhook('ada', saying({ to: 'bob' }))
    await scene.webhook('bob', saying({ to: 'ada' }))
    await scene.send('ada')
    await scene.pass(3_600 * second)
    expect(rounds(scene)).toHaveLength(2 * visits)
    const letter = await firstStop(scene)
    expect(letter).toMatchObject({ reason: 'loop_detected', error: { code: 'loop_detected' } })
    expect(letter?.path?.map((id) => id.split('_')[0])).toEqual(Array(visits).fill(['ada', 'bob']).flat())
    expect(
      told(scene)
        .map((call) => call.agent)
        .sort(),
    ).toEqual(['ada', 'bob'])
    expect(dataOf(told(scene)[0]!)).toMatchObject({
      ...{ code: 'loop_detected', guard: 'revisits', limit: 4, delivery: letter?.delivery, from: 'bob', to: 'ada' },
      path: letter?.path,
    })
    // The receipt of whoever sent it says so too, and where to look.
    const sender = await scene.receipt(letter!.path!.at(-1)!)
    expect(sender.effects).toMatchObject([
      { state: { status: 'refused', reason: 'loop_detected', delivery: letter?.delivery } },
    ])
  })

  it('what they answer to being told goes no further, and tells nobody again', async () => {
    const scene = new Scene()
    await scene.webhook('ada', saying({ to: 'bob' }))
    await scene.webhook('bob', saying({ to: 'ada' }))
    await scene.send('ada')
    await scene.pass(3_600 * second)
    const stopped = (await scene.letters()).filter((l) => l.reason === 'loop_detected')
    // The one that tripped, and what each of them said to being told of it.
    expect(stopped).toHaveLength(3)
    expect(told(scene)).toHaveLength(2)
  })

  it('by replies: whoever the answer was for hears of it as well', async () => {
    const scene = new Scene()
    const asking =
      (to: string, me: string): Receiver =>
      () =>
        json({ reply: { data: ++said }, messages: [{ to, type: 'x', data: ++said, replyto: me }] })
    await scene.webhook('ada', asking('bob', 'ada'))
    await scene.webhook('bob', () => json({ reply: { data: ++said } }))
    await scene.send('ada', { replyto: 'ada' })
    await scene.pass(3_600 * second)
    expect(rounds(scene).length).toBeLessThan(100)
    expect(new Set(told(scene).map((call) => call.agent))).toEqual(new Set(['ada', 'bob']))
  })

  it('who say the same each time stop at the third', async () => {
    const scene = new Scene()
    const same =
      (to: string, data: unknown): Receiver =>
      () =>
        json({ messages: [{ to, type: 'x', data }] })
    await scene.webhook('ada', same('bob', { please: 'go on', n: 1 }))
    await scene.webhook('bob', (call) =>
      call.at % 2 === 0 ? same('ada', { a: 'Well,  then' })(call) : same('ada', { a: 'well, then' })(call),
    )
    await scene.send('ada')
    await scene.pass(3_600 * second)
    // The third `go on` for bob would be his third call.
    expect(rounds(scene).map((call) => call.agent)).toEqual(['ada', 'bob', 'ada', 'bob', 'ada'])
    const letter = await firstStop(scene)
    expect(letter?.error?.message).toBe('bob was told the same twice on the way that led here')
  })

  it('through topics: each leg is judged in its own mailbox, and others still hear', async () => {
    const scene = new Scene()
    await scene.webhook('ada', saying({ topic: 'b' }))
    await scene.webhook('bob', saying({ topic: 'a' }))
    await scene.webhook('eve')
    const subscribe = async (id: string, agent: string, topic: string) => {
      const directory = scene.platform().directory()
      await scene.done(directory.putAgent(indexEntry(await scene.agent(agent))))
      await scene.done(directory.putSubscription(id, { agent, topic }, { max: 10 }))
    }
    await subscribe('s1', 'ada', 'a')
    await subscribe('s2', 'bob', 'b')
    await subscribe('s3', 'eve', '*')
    await scene.send('ada')
    await scene.pass(3_600 * second)
    expect(rounds(scene).filter((call) => call.agent !== 'eve')).toHaveLength(2 * visits)
    expect(
      told(scene)
        .map((call) => call.agent)
        .sort(),
    ).toEqual(['ada', 'bob'])
    expect(scene.callsOf('eve')).toHaveLength(2 * visits + 2)
  })
})

describe('a circle of three, which no pair of them shows (TC4)', () => {
  it('stops, and the path shows it', async () => {
    const scene = new Scene()
    await scene.webhook('ada', saying({ to: 'bob' }))
    await scene.webhook('bob', saying({ to: 'cyd' }))
    await scene.webhook('cyd', saying({ to: 'ada' }))
    await scene.send('ada')
    await scene.pass(3_600 * second)
    expect(rounds(scene)).toHaveLength(3 * visits)
    const letter = await firstStop(scene)
    expect(letter?.path?.map((id) => id.split('_')[0])).toEqual(Array(visits).fill(['ada', 'bob', 'cyd']).flat())
    expect(
      told(scene)
        .map((call) => call.agent)
        .sort(),
    ).toEqual(['ada', 'cyd'])
  })
})

describe('a handler that asks in the middle of its work', () => {
  it('is told in its place: the request fails at once, and nobody waits (TC4)', async () => {
    const asked: string[] = []
    const asking = (name: string, other: string): AnyAgent => ({
      name,
      accepts: z.unknown(),
      handle: async (_message, ctx) => {
        try {
          await ctx.request(other, 'x', ++said, { timeoutSeconds: 300 })
        } catch (error) {
          asked.push(`${name}: ${String((error as { code?: string }).code)}`)
        }
      },
    })
    // Each is another agent, or the first would be at work when it is asked again; so the circle is of said things.
    const names = Array.from({ length: 36 }, (_, i) => `h${i}`)
    const handlers = names.map((name, i) => asking(name, names[i + 1] ?? 'h0'))
    const scene = new Scene({ handlers })
    for (const name of names) await scene.handler(name)
    const begun = scene.world.now
    await scene.send('h0')
    await scene.pass(200 * second)
    expect(asked[0]).toBe('h32: hop_limit')
    expect(scene.world.now - begun).toBeLessThan(300 * second)
  })
})

describe('a root that sets off too many messages (TC4)', () => {
  it('is stopped when the next would be more than 1,000, each counted once', async () => {
    const scene = new Scene()
    const names = Array.from({ length: 40 }, (_, i) => `n${i}`)
    let sent = 0
    // Ten new ones each, to agents that were not on the way: no circle, and no long chain.
    for (const [i, name] of names.entries())
      await scene.webhook(
        name,
        () => {
          const level = Math.floor(i / 10)
          const to = names.slice((level + 1) * 10, (level + 2) * 10)
          sent += to.length
          return json({ messages: to.map((one) => ({ to: one, type: 'x', data: ++said })) })
        },
        { depth: 1_000, concurrency: 100 },
      )
    await scene.send('n0')
    await scene.pass(7_200 * second)
    // The first generation is not counted: ten. From the second on a thousand.
    const begun = rounds(scene).length
    expect(begun).toBeLessThanOrEqual(1 + 10 + defaultGuards.messages)
    expect(begun).toBeGreaterThan(defaultGuards.messages - 20)
    expect(sent).toBeGreaterThan(begun)
    const many = (await scene.letters()).filter((l) => l.reason === 'loop_detected')
    expect(many[0]?.error?.message).toMatch(/^n0_[a-z2-7]{26} has set off 1000 messages already$/)
  }, 60_000)
})

describe('an agent that publishes by itself', () => {
  /** Answers what it is told by publishing, and names the message as its cause while it is at work on it. */
  const publishing =
    (scene: Scene, me: string, to: string, more: object = {}): Receiver =>
    async (call) => {
      const { id } = JSON.parse(call.body) as { id: string }
      const [answer] = await scene.publish([{ to, type: 'x', data: ++said, causationid: id, ...more }], {}, me)
      answers.push(answer?.ok === true ? 'ok' : String(answer?.ok === false && answer.error.code))
      return { status: 200 }
    }
  const answers: string[] = []

  it('is followed by the cause that it names, and told in the answer to its publish (TC4)', async () => {
    answers.length = 0
    const scene = new Scene()
    await scene.webhook('ada', publishing(scene, 'ada', 'bob'))
    await scene.webhook('bob', publishing(scene, 'bob', 'cyd'))
    await scene.webhook('cyd', publishing(scene, 'cyd', 'ada'))
    await scene.send('ada')
    await scene.pass(3_600 * second)
    expect(rounds(scene)).toHaveLength(3 * visits)
    expect(answers).toEqual([...Array(3 * visits - 1).fill('ok'), 'loop_detected'])
    expect(told(scene)).toEqual([])
    const [letter] = await scene.letters()
    expect(letter).toMatchObject({ agent: 'ada', reason: 'loop_detected' })
  })

  it('which names a cause that never came to it is a new root: nobody can be followed by a lie', async () => {
    answers.length = 0
    const scene = new Scene()
    await scene.webhook('ada')
    const id = await scene.send('ada')
    const [answer] = await scene.publish([{ to: 'ada', type: 'x', causationid: id }], {}, 'bob')
    expect(answer).toMatchObject({ ok: true })
    const receipt = await scene.receipt(answer?.ok === true ? answer.value.deliveries[0]!.id : '')
    expect(receipt).toMatchObject({ hops: 0 })
    expect(receipt.path).toBeUndefined()
  })
})
