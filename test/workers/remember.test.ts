/**
 * What an isolate remembers of whom publishes to many are for: the bound on how stale it may be, and how to be sure. Two
 * Switchboards over one storage are two isolates.
 */
import { afterEach, describe, expect, it, vi } from 'vitest'
import type { DirectoryPort } from '../../shared/directory.ts'
import { limits } from '../../shared/limits.ts'
import type { Candidates } from '../../shared/subscription.ts'
import { Audiences, remembering } from '../../workers/remember.ts'
import { freshName } from './gateway.ts'
import { ownSwitchboard } from './switchboard.ts'

afterEach(() => void vi.useRealTimers())

const versionHeader = 'switchboard-directory-version'

function isolates() {
  const [here, there] = [ownSwitchboard(), ownSwitchboard()]
  const topic = freshName('t')
  const reached = async (own = there, headers: Record<string, string> = {}): Promise<string[]> => {
    const json = { topic, type: 'test.note' }
    const { status, body } = await own('POST', '/v1/messages', { json, headers })
    expect(status).toBe(202)
    return body.deliveries.map((d: { agent: string }) => d.agent)
  }
  const agent = async (more: object = {}) => {
    const name = freshName()
    const { headers, body } = await here('PUT', `/v1/agents/${name}`, { json: { kind: 'pull', ...more } })
    return { name, key: body.key as string, version: headers.get(versionHeader) ?? '' }
  }
  const subscribe = async (name: string) => {
    const { headers, body } = await here('PUT', `/v1/subscriptions/${name}`, { json: { agent: name, topic } })
    expect(headers.get(versionHeader)).toBe(String(body.version))
    return String(body.version)
  }
  return { here, there, topic, reached, agent, subscribe }
}

describe('a subscription', () => {
  it('is heard at once by the isolate that wrote it, and by every other within five seconds', async () => {
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() })
    const { here, reached, agent, subscribe } = isolates()
    const { name } = await agent()
    expect([await reached(), await reached(here)]).toEqual([[], []])
    await subscribe(name)
    expect([await reached(), await reached(here)]).toEqual([[], [name]])
    vi.advanceTimersByTime(4_999)
    expect(await reached()).toEqual([])
    vi.advanceTimersByTime(1)
    expect(await reached()).toEqual([name])
  })

  it('is heard at once everywhere by a publish that brings the version of its answer', async () => {
    const { here, reached, agent, subscribe } = isolates()
    const [first, second] = [await agent(), await agent()]
    await subscribe(first.name)
    expect(await reached()).toEqual([first.name])
    const version = await subscribe(second.name)
    expect(await reached()).toEqual([first.name])
    const both = [first.name, second.name].sort()
    expect(await reached(undefined, { [versionHeader]: version })).toEqual(both)
    // What was asked for then is remembered.
    expect(await reached()).toEqual(both)
    const { status, headers } = await here('DELETE', `/v1/subscriptions/${first.name}`)
    expect(status).toBe(204)
    expect(await reached(undefined, { [versionHeader]: headers.get(versionHeader) ?? '' })).toEqual([second.name])
  })

  it('ends with its agent, and the answer to that tells a version too', async () => {
    const { here, reached, agent, subscribe } = isolates()
    const { name } = await agent()
    await subscribe(name)
    expect(await reached()).toEqual([name])
    const { headers } = await here('DELETE', `/v1/agents/${name}?mail=dead`)
    expect(await reached(undefined, { [versionHeader]: headers.get(versionHeader) ?? '' })).toEqual([])
  })

  it('is silenced when its agent may no longer have it, and heard again when it may; nobody takes it away', async () => {
    const { here, reached, agent, subscribe, topic } = isolates()
    const { name } = await agent()
    await subscribe(name)
    expect(await reached()).toEqual([name])
    const narrow = async (subscribe: string[]) => {
      const json = { kind: 'pull', permissions: { subscribe } }
      return (await here('PUT', `/v1/agents/${name}`, { json })).headers.get(versionHeader) ?? ''
    }
    expect(await reached(undefined, { [versionHeader]: await narrow(['other']) })).toEqual([])
    expect((await here('GET', `/v1/subscriptions/${name}`)).body).toMatchObject({ topic, silenced: true })
    expect((await here('GET', `/v1/subscriptions?agent=${name}`)).body.items).toMatchObject([{ silenced: true }])
    expect(await reached(undefined, { [versionHeader]: await narrow([topic]) })).toEqual([name])
    expect((await here('GET', `/v1/subscriptions/${name}`)).body.silenced).toBeUndefined()
  })
})

it('a redrive of what reached nobody asks anew, so that whoever has just subscribed is met', async () => {
  const { here, there, topic, agent, subscribe } = isolates()
  const { name } = await agent()
  const { body } = await there('POST', '/v1/messages', { json: { topic, type: 'test.note' } })
  await subscribe(name)
  const redriven = await there('POST', `/v1/dead-letters/${body.publication}/redrive`)
  expect(redriven.status).toBe(200)
  expect((await here('GET', `/v1/publications/${body.publication}`)).body.legs).toMatchObject([{ agent: name }])
})

it.each(['', 'latest', '-1', '1.5'])('a version that is %j is refused, and nothing is published', async (version) => {
  const { there, topic } = isolates()
  const json = { topic, type: 'test.note', onunroutable: 'drop' }
  const { status, body } = await there('POST', '/v1/messages', { json, headers: { [versionHeader]: version } })
  expect([status, body.issues?.[0]?.path]).toEqual([400, versionHeader])
})

describe('the memory', () => {
  const page = (version: number, agents: readonly string[] = []): Candidates => ({
    version,
    total: agents.length,
    items: agents.map((agent) => ({ agent, subscriptions: [] })),
  })
  function directory(first: Candidates) {
    const asked: unknown[][] = []
    const state = { answer: first, pending: undefined as Promise<Candidates> | undefined }
    const port = {
      candidates: (...args: unknown[]) => {
        asked.push(args)
        return state.pending ?? Promise.resolve(state.answer)
      },
      putSubscription: () => Promise.resolve({ status: 'unknown' }),
    } as unknown as DirectoryPort
    const audiences = new Audiences()
    return { asked, state, remembered: remembering(port, audiences, () => 0) }
  }
  const news = { kind: 'topic', topic: 'news' } as const

  it('is by audience and size of page; later pages and those of a version are asked for each time', async () => {
    const { asked, remembered } = directory(page(1))
    for (let i = 0; i < 2; i++) {
      await remembered.candidates(news, undefined, 100)
      await remembered.candidates(news, undefined, 1)
      await remembered.candidates({ kind: 'all', except: 'ann' }, undefined, 100)
      await remembered.candidates(news, 'ann', 100)
      await remembered.candidates(news, undefined, 100, 1)
    }
    expect(asked).toHaveLength(3 + 2 * 2)
  })

  it('does NOT keep what was asked for before a write of this isolate and answered after it', async () => {
    const { asked, state, remembered } = directory(page(1))
    let answer: (found: Candidates) => void = () => undefined
    state.pending = new Promise((resolve) => {
      answer = resolve
    })
    const before = remembered.candidates(news, undefined, 100)
    await remembered.putSubscription('s', { agent: 'ann', topic: 'news' }, { max: 1 })
    answer(page(1))
    expect((await before).version).toBe(1)
    state.pending = undefined
    state.answer = page(2, ['ann'])
    expect((await remembered.candidates(news, undefined, 100)).version).toBe(2)
    expect(asked).toHaveLength(2)
  })

  it('is bounded: a page that is too large is not kept, nor more audiences than the limit', async () => {
    const large = directory(
      page(
        1,
        Array.from({ length: 2_000 }, (_, i) => `agent-with-a-long-name-${i}`),
      ),
    )
    for (let i = 0; i < 2; i++) await large.remembered.candidates(news, undefined, 100)
    expect(large.asked).toHaveLength(2)
    const { asked, remembered } = directory(page(1))
    for (let i = 0; i <= limits.audiencesRemembered; i++)
      await remembered.candidates({ kind: 'topic', topic: `t${i}` }, undefined, 100)
    await remembered.candidates({ kind: 'topic', topic: 't0' }, undefined, 100)
    expect(asked).toHaveLength(limits.audiencesRemembered + 2)
  })
})
