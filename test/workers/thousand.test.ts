/**
 * A publish that reaches a thousand: in pages, over several runs, each of them once; and what joins or leaves while it is under
 * way. On real objects.
 */
import { env } from 'cloudflare:workers'
import { beforeAll, describe, expect, it, vi } from 'vitest'
import type { AgentPort } from '../../shared/agent-port.ts'
import { indexEntry } from '../../shared/directory.ts'
import { limits } from '../../shared/limits.ts'
import type { Platform } from '../../shared/ports.ts'
import { publicationId } from '../../shared/publication.ts'
import { call, freshName } from './gateway.ts'
import { ownSwitchboard } from './switchboard.ts'

/** More than one run turns pages for (workers/expand.ts). */
const many = 1_010
/** A thousand objects are a thousand files: a busy disk takes its time. */
const patienceMs = 240_000
const topic = 'census'
const nameOf = (i: number) => `member-${String(i).padStart(4, '0')}`
const directory = () => env.DIRECTORY.getByName('all')

async function join(name: string): Promise<void> {
  const fresh = { name, incarnation: freshName('inc'), secret: 'whsec_eA==', trusted: true }
  const { agent } = await env.AGENTS.getByName(name).enrol({ kind: 'pull' }, fresh)
  await directory().putAgent(indexEntry(agent))
  await directory().putSubscription(
    `s-${name}`,
    { agent: name, topic: `${topic}.>` },
    { max: limits.subscriptionsPerAgent },
  )
}

// The platform's own type of the call gives up on a record that holds somebody's JSON.
const mailbox = (name: string) => env.AGENTS.getByName(name) as unknown as AgentPort
const depthOf = async (name: string) => (await mailbox(name).describe())?.figures.depth

async function depths(): Promise<Map<number | undefined, number>> {
  const counts = new Map<number | undefined, number>()
  for (let i = 0; i < many; i += 50) {
    const some = Array.from({ length: Math.min(50, many - i) }, (_, k) => nameOf(i + k))
    for (const depth of await Promise.all(some.map(depthOf))) counts.set(depth, (counts.get(depth) ?? 0) + 1)
  }
  return counts
}

const closed = (id: string) =>
  vi.waitUntil(
    async () => {
      const { body } = await call('GET', `/v1/publications/${id}`)
      return body.open === false ? body : undefined
    },
    { timeout: patienceMs, interval: 100 },
  )

beforeAll(async () => {
  for (let i = 0; i < many; i += 50)
    await Promise.all(Array.from({ length: Math.min(50, many - i) }, (_, k) => join(nameOf(i + k))))
}, patienceMs)

/** A Switchboard whose mailboxes take nothing before `release` is called, and whose publisher is answered at once. */
function held() {
  let release: () => void = () => undefined
  const gate = new Promise<void>((resolve) => {
    release = resolve
  })
  const ports = (platform: Platform): Partial<Platform> => ({
    after: (ms, then) => platform.after(Math.min(ms, 20), then),
    agent: (name) => {
      const port = platform.agent(name)
      const accept: AgentPort['accept'] = async (...args) => {
        await gate
        return port.accept(...args)
      }
      return new Proxy(port, { get: (target, method) => (method === 'accept' ? accept : Reflect.get(target, method)) })
    },
  })
  return { own: ownSwitchboard({ ports }), release: () => release() }
}

const opened = (id: string) =>
  vi.waitUntil(async () => (await env.PUBLICATIONS.getByName(id).report()) !== undefined, { timeout: patienceMs })

describe('a publish to a thousand', () => {
  it(
    'is 202 with how many it is for, and reaches each exactly once',
    async () => {
      const json = { topic: `${topic}.a`, type: 'x', id: freshName('m'), data: { n: 1 } }
      const own = ownSwitchboard()
      const { status, body } = await own('POST', '/v1/messages', { json })
      expect([status, body.deliveries, body.fanout]).toEqual([202, [], many])
      const report = await closed(body.publication)
      expect(report).toMatchObject({ fanout: many, accepted: many, refused: 0, legs: [] })
      expect(report.satisfied).toBeUndefined()
      const again = await own('POST', '/v1/messages', { json })
      expect(again.body).toMatchObject({ duplicate: true, publication: body.publication, fanout: many })
      expect(await depths()).toEqual(new Map([[1, many]]))
    },
    patienceMs,
  )

  it(
    'means who subscribed when it was published: who comes later is not met, who leaves is left out',
    async () => {
      const { own, release } = held()
      const id = freshName('m')
      const publication = publicationId('admin', id)
      const publishing = own('POST', '/v1/messages', { json: { topic: `${topic}.b`, type: 'x', id } })
      await opened(publication)
      // The first page is under way, the others were not asked for yet.
      const [late, leaver, unsubscribed] = ['member-9999', nameOf(many - 1), nameOf(many - 2)]
      await join(late)
      await call('DELETE', `/v1/agents/${leaver}?mail=dead`)
      await call('DELETE', `/v1/subscriptions/s-${unsubscribed}`)
      // A filter that is changed meanwhile makes nobody a late comer.
      const changed = nameOf(many - 3)
      await call('PUT', `/v1/subscriptions/s-${changed}`, {
        json: { agent: changed, topic: `${topic}.>`, filter: { exists: 'type' } },
      })
      release()
      expect((await publishing).body).toMatchObject({ deliveries: [], fanout: many })
      expect(await closed(publication)).toMatchObject({ fanout: many - 2, accepted: many - 2, refused: 0 })
      expect(await depthOf(late)).toBe(0)
      expect(await depthOf(unsubscribed)).toBe(1)
      expect(await depthOf(changed)).toBe(2)
      expect(await depths()).toEqual(
        new Map<number | undefined, number>([
          [2, many - 2],
          [1, 1],
          [undefined, 1],
        ]),
      )
    },
    patienceMs,
  )

  it(
    'to everybody likewise: who registers while it is under way is not met',
    async () => {
      const { own, release } = held()
      const id = freshName('m')
      const publication = publicationId('admin', id)
      const publishing = own('POST', '/v1/messages', { json: { to: '*', type: 'x', id } })
      await opened(publication)
      await join('member-9998')
      release()
      // All that are left of the members, and the one that joined in the test before.
      expect((await publishing).body.fanout).toBe(many)
      expect(await closed(publication)).toMatchObject({ accepted: many, refused: 0 })
      expect([await depthOf('member-9998'), await depthOf('member-9999')]).toEqual([0, 1])
    },
    patienceMs,
  )
})
