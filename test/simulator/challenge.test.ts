/**
 * The challenge: a webhook's mail waits until it proved that it wants it. Over the simulated platform, because without the
 * development switch a webhook must be https on a public host, which no test has.
 */

import { Webhook } from 'standardwebhooks'
import { describe, expect, it } from 'vitest'
import { verifyRetryMs } from '../../shared/agent.ts'
import type { Platform } from '../../shared/ports.ts'
import { challenge } from '../../workers/challenge.ts'
import { register } from '../../workers/register.ts'
import { type Call, type Receiver, type Reply, Scene } from './scene.ts'

const second = 1_000
const url = 'https://agents.example.com/ada'
const guarded = (platform: Platform) => ({ settings: { ...platform.settings, development: false } })
const dataOf = (call: Call) => (JSON.parse(call.body) as { data: { challenge: string } }).data
const answering: Receiver = (call) => ({ status: 200, body: JSON.stringify(dataOf(call)) })
const isChallenge = (call: Call) => JSON.parse(call.body).type === 'switchboard.challenge'

async function registered(receiver: Receiver) {
  const scene = new Scene({ ports: guarded })
  scene.receiver('ada', receiver)
  const answer = await scene.done(register(scene.platform(), 'ada', { kind: 'webhook', url }))
  if (!answer.ok) throw new Error(answer.error.code)
  return { scene, agent: answer.value.agent, secret: answer.value.secret ?? '' }
}

describe('registering a webhook', () => {
  it('asks its challenge at once: signed, in an event of type switchboard.challenge, at a random value', async () => {
    const [one, two] = [await registered(answering), await registered(answering)]
    expect(one.agent.verified).toBe(true)
    const [call] = one.scene.calls
    expect(JSON.parse(call!.body)).toMatchObject({
      specversion: '1.0',
      source: 'switchboard',
      type: 'switchboard.challenge',
    })
    expect(call!.headers['webhook-id']).toMatch(/^challenge_/)
    // The library reads the real clock, and here time is ours: what it would sign is compared with what came.
    const at = new Date(Number(call!.headers['webhook-timestamp']) * second)
    expect(call!.headers['webhook-signature']).toBe(
      new Webhook(one.secret).sign(call!.headers['webhook-id']!, at, call!.body),
    )
    expect(dataOf(call!).challenge.length).toBeGreaterThanOrEqual(6)
    expect(two.scene.calls).toHaveLength(1)
  })

  const wrong: readonly (readonly [string, Receiver])[] = [
    ['another value', () => ({ status: 200, body: '{"challenge":"something else"}' })],
    ['nothing', () => ({ status: 200 })],
    ['the value, but not in JSON', (call) => ({ status: 200, body: dataOf(call).challenge })],
    ['the whole event back', (call) => ({ status: 200, body: call.body })],
    ['the value with a 400', (call) => ({ status: 400, body: JSON.stringify(dataOf(call)) })],
    ['a redirect', (): Reply => ({ status: 302, headers: { location: 'https://elsewhere.example.com' } })],
    ['never', () => new Promise(() => undefined)],
  ]
  it.each(wrong)('leaves it unverified when it answers %s, and its mail waits at no attempt', async (_, receiver) => {
    const { scene, agent } = await registered(receiver)
    expect(agent.verified).toBe(false)
    const id = await scene.send('ada')
    await scene.pass(60 * second)
    expect(scene.calls.every(isChallenge)).toBe(true)
    expect(await scene.receipt(id)).toMatchObject({
      status: 'parked',
      attempt: 0,
      because: expect.stringContaining('unverified'),
    })
  })
})

describe('an unverified webhook', () => {
  it('is asked again every hour, and its mail goes out when it answers', async () => {
    const { scene } = await registered(() => ({ status: 503 }))
    const id = await scene.send('ada')
    await scene.pass(3 * verifyRetryMs + 60 * second)
    expect(scene.calls).toHaveLength(4)
    scene.receiver('ada', (call) => (isChallenge(call) ? answering(call) : { status: 200 }))
    await scene.pass(verifyRetryMs)
    expect(await scene.receipt(id)).toMatchObject({ status: 'completed', attempt: 1 })
    expect((await scene.agent('ada')).verified).toBe(true)
    await scene.pass(2 * verifyRetryMs)
    expect(scene.calls.filter(isChallenge)).toHaveLength(5)
  })

  it('is told why it is not verified when somebody asks now', async () => {
    const { scene } = await registered(() => ({ status: 404 }))
    expect(await scene.done(challenge(scene.platform(), 'ada'))).toMatchObject({
      verified: false,
      error: { code: 'challenge', message: expect.stringContaining('answered 404') },
    })
  })

  it('with a new url has to prove the new one, and an answer from the old one does not count', async () => {
    const { scene } = await registered(answering)
    let answerLate: (reply: Reply) => void = () => undefined
    scene.receiver(
      'old',
      () =>
        new Promise((resolve) => {
          answerLate = resolve
        }),
    )
    scene.receiver('new', () => ({ status: 500 }))
    const to = (name: string) =>
      register(scene.platform(), 'ada', { kind: 'webhook', url: `https://agents.example.com/${name}` })
    const asked = to('old')
    await scene.pass(second)
    const value = dataOf(scene.callsOf('old')[0]!)
    await scene.done(to('new'))
    answerLate({ status: 200, body: JSON.stringify(value) })
    await scene.done(asked)
    expect(await scene.agent('ada')).toMatchObject({ verified: false, url: 'https://agents.example.com/new' })
  })
})

it('with the development switch nothing is asked (because a developer’s own machine needs no proof)', async () => {
  const scene = new Scene()
  const answer = await scene.done(register(scene.platform(), 'ada', { kind: 'webhook', url: 'http://127.0.0.1:9/ada' }))
  expect(answer).toMatchObject({ ok: true, value: { agent: { verified: true } } })
  expect(scene.calls).toEqual([])
})
