/** A webhook proves that it wants our mail. Switchboard runs as deployed (no development settings); the webhook is the test's. */
import { Webhook } from 'standardwebhooks'
import { describe, expect, it } from 'vitest'
import type { FetchedAnswer, Platform } from '../../shared/ports.ts'
import type { Reference } from '../../shared/reference.ts'
import { challengeTimeoutMs } from '../../workers/challenge.ts'
import { freshName, receipt } from './gateway.ts'
import { answer, type OwnCall, ownSwitchboard } from './switchboard.ts'

type Asked = Parameters<Platform['fetch']>
type Peer = (...asked: Asked) => FetchedAnswer | Promise<FetchedAnswer>

interface Deployed {
  readonly call: OwnCall
  readonly asked: Asked[]
  /** References that were put on the queue. */
  readonly queued: Reference[]
  peer: Peer
}

/** Mail that is released stays on a queue that delivers nothing, so that the webhook is asked its challenge only. */
function deployed(peer: Peer, ports: (platform: Platform) => Partial<Platform> = () => ({})): Deployed {
  const asked: Asked[] = []
  const queued: Reference[] = []
  const own: Deployed = {
    asked,
    queued,
    peer,
    call: ownSwitchboard({
      ports: (platform) => ({
        settings: { ...platform.settings, development: false },
        deliveries: { send: async (reference) => void queued.push(reference) },
        fetch: async (...call) => {
          asked.push(call)
          return own.peer(...call)
        },
        ...ports(platform),
      }),
    }),
  }
  return own
}

const repeats: Peer = (_url, { body }) => answer(200, { challenge: JSON.parse(body).data.challenge, and: 'more' })
const url = 'https://agent.example.com/hook'
const json = { kind: 'webhook', url }

describe('a new webhook', () => {
  it('that repeats the challenge is verified by the very call that registered it', async () => {
    const own = deployed(repeats)
    const name = freshName()
    const { status, body } = await own.call('PUT', `/v1/agents/${name}`, { json })
    expect([status, body.verified]).toEqual([201, true])
    expect(own.asked).toHaveLength(1)
    const listed = await own.call('GET', '/v1/agents')
    expect(listed.body.items.find((one: { agent: string }) => one.agent === name)).toMatchObject({ verified: true })
  })

  it('is asked by a signed CloudEvent, which the official library verifies', async () => {
    const own = deployed(repeats)
    const { body } = await own.call('PUT', `/v1/agents/${freshName()}`, { json })
    const [called, { headers, body: sent, redirect }] = own.asked[0]!
    expect([called, redirect]).toEqual([url, 'manual'])
    expect(new Webhook(body.secret).verify(sent, headers)).toMatchObject({
      specversion: '1.0',
      type: 'switchboard.challenge',
      source: 'switchboard',
      data: { challenge: expect.stringMatching(/^[\w-]{20,}$/) },
    })
  })

  it.each([
    [
      'repeats it with 500',
      (_: string, init: Asked[1]) => answer(500, { challenge: JSON.parse(init.body).data.challenge }),
    ],
    ['answers 204', () => answer(204)],
    ['answers another value', () => answer(200, { challenge: 'x' })],
    ['answers no JSON', () => answer(200, 'ok')],
    ['echoes the whole event', (_: string, init: Asked[1]) => answer(200, init.body)],
    ['redirects', () => answer(302, '', { Location: 'https://elsewhere.example.com' })],
    ['does not answer', () => Promise.reject(new Error('connection refused'))],
  ] as [string, Peer][])('that %s is registered and not verified, and its mail waits', async (_, peer) => {
    const own = deployed(peer)
    const name = freshName()
    const { status, body } = await own.call('PUT', `/v1/agents/${name}`, { json })
    expect([status, body.verified, own.asked.length]).toEqual([201, false, 1])
    const sent = await own.call('POST', '/v1/messages', { json: { to: name, type: 't' } })
    expect(await receipt(sent.body.deliveries[0].id)).toMatchObject({
      status: 'parked',
      because: expect.stringContaining('challenge'),
      attempt: 0,
    })
  })

  it('that never answers holds the caller up for 5 seconds at most', async () => {
    const deadlines: number[] = []
    const own = deployed(
      (_url, { signal }) =>
        new Promise((_, reject) => signal.addEventListener('abort', () => reject(new Error('aborted')))),
      () => ({
        // The deadline is met at once; how far off it was is what counts.
        after: (ms, then) => {
          deadlines.push(ms)
          const timer = setTimeout(then, 0)
          return () => clearTimeout(timer)
        },
      }),
    )
    const { body } = await own.call('PUT', `/v1/agents/${freshName()}`, { json })
    expect(body.verified).toBe(false)
    expect(deadlines).toEqual([challengeTimeoutMs])
    expect(challengeTimeoutMs).toBe(5_000)
  })
})

describe('a webhook that failed its challenge', () => {
  it('is asked again by POST …/verify, which tells why it failed, and its mail goes out once it answers', async () => {
    const own = deployed(() => answer(404))
    const name = freshName()
    await own.call('PUT', `/v1/agents/${name}`, { json })
    const sent = await own.call('POST', '/v1/messages', { json: { to: name, type: 't' } })
    const failed = await own.call('POST', `/v1/agents/${name}/verify`)
    expect(failed).toMatchObject({ status: 200, body: { verified: false, error: { code: 'challenge' } } })
    expect(failed.body.error.message).toContain('404')

    own.peer = repeats
    const verified = await own.call('POST', `/v1/agents/${name}/verify`)
    expect(verified.body).toMatchObject({ verified: true })
    expect(verified.body.error).toBeUndefined()
    const [{ id }] = sent.body.deliveries
    expect((await receipt(id)).status).toBe('queued')
    expect(own.queued).toMatchObject([{ agent: name, deliveries: [id] }])
    const asked = own.asked.length
    await own.call('POST', `/v1/agents/${name}/verify`)
    expect(own.asked.length).toBe(asked)
  })

  it('is not verified by an answer that came from the url it had before', async () => {
    const name = freshName()
    const own = deployed(() => answer(404))
    await own.call('PUT', `/v1/agents/${name}`, { json })
    own.peer = async (...call) => {
      own.peer = () => answer(404)
      await own.call('PUT', `/v1/agents/${name}`, { json: { kind: 'webhook', url: `${url}/moved` } })
      return repeats(...call)
    }
    const { body } = await own.call('POST', `/v1/agents/${name}/verify`)
    expect(body).toMatchObject({ url: `${url}/moved`, verified: false, error: { code: 'unknown' } })
  })
})

describe('a verified webhook', () => {
  it('stays so when it is registered again, and proves itself anew when its url changes', async () => {
    const own = deployed(repeats)
    const name = freshName()
    await own.call('PUT', `/v1/agents/${name}`, { json })
    own.peer = () => answer(500)
    const same = await own.call('PUT', `/v1/agents/${name}`, { json: { ...json, capabilities: ['x'] } })
    expect([same.body.verified, own.asked.length]).toEqual([true, 1])
    const moved = await own.call('PUT', `/v1/agents/${name}`, { json: { kind: 'webhook', url: `${url}/moved` } })
    expect([moved.body.verified, own.asked.length]).toEqual([false, 2])
  })
})
