/** Subscriptions over HTTP: putting, reading, listing and deleting them, and who may. */
import { env } from 'cloudflare:workers'
import { describe, expect, it } from 'vitest'
import { limits } from '../../shared/limits.ts'
import { adminKey, call, freshName, pullAgent, type Sent } from './gateway.ts'
import { ownSwitchboard } from './switchboard.ts'

const put = (id: string, json: unknown, key = adminKey) => call('PUT', `/v1/subscriptions/${id}`, { key, json })
const get = (id: string, key = adminKey) => call('GET', `/v1/subscriptions/${id}`, { key })
const remove = (id: string, key = adminKey) => call('DELETE', `/v1/subscriptions/${id}`, { key })
const fresh = () => freshName('sub')

async function appKey(): Promise<string> {
  return (await call('POST', '/v1/keys', { json: { name: freshName('app') } })).body.key
}

describe('a subscription', () => {
  it('is 201 when it is new, and reads back as it was put', async () => {
    const [{ name }, id] = [await pullAgent(), fresh()]
    const json = { agent: name, topic: 'spans.>', filter: { not: { in: ['data.level', ['debug', 3, null]] } } }
    const { status, body } = await put(id, json)
    expect([status, body]).toEqual([201, { id, ...json, version: body.version }])
    expect((await get(id)).body).toEqual(body)
  })

  it('put again is 200, as it was and with its version; changed it has a later one', async () => {
    const [{ name }, id] = [await pullAgent(), fresh()]
    const first = await put(id, { agent: name, topic: 'a', filter: { exists: 'data' } })
    const again = await put(id, { topic: 'a', filter: { exists: 'data' }, agent: name })
    expect([again.status, again.body]).toEqual([200, first.body])
    const changed = await put(id, { agent: name, topic: 'a' })
    expect([changed.status, changed.body.filter]).toEqual([200, undefined])
    expect(changed.body.version).toBeGreaterThan(first.body.version)
  })

  it('is gone after DELETE, which may be repeated', async () => {
    const [{ name }, id] = [await pullAgent(), fresh()]
    await put(id, { agent: name, topic: 'a' })
    expect([(await remove(id)).status, (await remove(id)).status]).toEqual([204, 204])
    const { status, body } = await get(id)
    expect([status, body.code, body.what]).toEqual([404, 'not_found', 'subscription'])
  })

  it('of an agent that nobody knows is 404, and nothing is stored', async () => {
    const [agent, id] = [freshName('nobody'), fresh()]
    const { status, body } = await put(id, { agent, topic: 'a' })
    expect([status, body.code, body.agent]).toEqual([404, 'agent_not_found', agent])
    expect((await get(id)).status).toBe(404)
  })

  it('of an agent of this Worker’s own code needs no registration before it', async () => {
    const name = freshName('handler')
    const own = ownSwitchboard({ agents: [{ name, accepts: {} as never, handle: () => Promise.resolve() }] })
    expect((await own('PUT', `/v1/subscriptions/${fresh()}`, { json: { agent: name, topic: 'a' } })).status).toBe(201)
  })

  it('of an agent whose registration died before the index knew it completes that', async () => {
    const [{ name }, id] = [await pullAgent(), fresh()]
    await env.DIRECTORY.getByName('all').removeAgent(name)
    expect((await put(id, { agent: name, topic: 'a' })).status).toBe(201)
    expect((await call('GET', `/v1/agents?limit=100`)).body.items.map((a: { agent: string }) => a.agent)).toContain(
      name,
    )
  })

  it('goes with its agent: one of the same name made anew inherits nothing', async () => {
    const [{ name }, id] = [await pullAgent(), fresh()]
    await put(id, { agent: name, topic: 'a' })
    await call('DELETE', `/v1/agents/${name}`)
    expect((await get(id)).status).toBe(404)
    await call('PUT', `/v1/agents/${name}`, { json: { kind: 'pull' } })
    expect((await call('GET', `/v1/subscriptions?agent=${name}`)).body.items).toEqual([])
  })
})

describe('what is no subscription is refused with its code', () => {
  const cases: readonly (readonly [string, string, number, string, Sent])[] = [
    ['an id with a dot', 'a.b', 400, 'invalid_request', { json: { agent: 'a', topic: 'a' } }],
    ['an id too long', 'x'.repeat(65), 400, 'invalid_request', { json: { agent: 'a', topic: 'a' } }],
    ['a topic that cannot be', 'x', 400, 'invalid_request', { json: { agent: 'a', topic: 'a.>.b' } }],
    ['no agent', 'x', 400, 'invalid_request', { json: { topic: 'a' } }],
    [
      'a filter that is none',
      'x',
      400,
      'invalid_request',
      { json: { agent: 'a', topic: 'a', filter: { eq: ['type'] } } },
    ],
    [
      'a filter that costs too much',
      'x',
      400,
      'invalid_request',
      {
        json: {
          agent: 'a',
          topic: 'a',
          filter: { in: ['type', Array.from({ length: limits.filterCost + 1 }, String)] },
        },
      },
    ],
    ['no JSON', 'x', 400, 'invalid_json', { body: '{', headers: { 'Content-Type': 'application/json' } }],
    ['no key', 'x', 401, 'unauthenticated', { key: null, json: { agent: 'a', topic: 'a' } }],
  ]
  for (const [what, id, status, code, sent] of cases)
    it(`${what}: ${status} ${code}`, async () => {
      const answered = await call('PUT', `/v1/subscriptions/${id}`, sent)
      expect([answered.status, answered.body.code]).toEqual([status, code])
    })

  it('a bad id is told to DELETE too', async () => {
    expect((await remove('a.b')).body.code).toBe('invalid_request')
  })
})

describe('who may', () => {
  it('an agent has, reads, changes and deletes its own', async () => {
    const [{ name, key }, id] = [await pullAgent(), fresh()]
    expect((await put(id, { agent: name, topic: 'a.*' }, key)).status).toBe(201)
    expect((await put(id, { agent: name, topic: 'a.>' }, key)).status).toBe(200)
    expect((await get(id, key)).body.topic).toBe('a.>')
    expect((await remove(id, key)).status).toBe(204)
  })

  it('an agent may not subscribe another, nor touch another’s, nor take its id', async () => {
    const [ada, bob, id] = [await pullAgent(), await pullAgent(), fresh()]
    await put(id, { agent: ada.name, topic: 'a' })
    const tries = [
      await put(fresh(), { agent: ada.name, topic: 'a' }, bob.key),
      await put(id, { agent: bob.name, topic: 'a' }, bob.key),
      await get(id, bob.key),
      await remove(id, bob.key),
    ]
    for (const { status, body } of tries) expect([status, body.code]).toEqual([403, 'forbidden'])
    expect((await get(id)).body.agent).toBe(ada.name)
  })

  it('of two agents that take one id at once, one has it and the other is told', async () => {
    const [ada, bob, id] = [await pullAgent(), await pullAgent(), fresh()]
    const answers = await Promise.all([ada, bob].map((a) => put(id, { agent: a.name, topic: 'a' }, a.key)))
    expect(answers.map((a) => a.status).sort()).toEqual([201, 403])
  })

  it('an agent subscribes within its permissions only', async () => {
    const { name, key } = await pullAgent({}, { permissions: { subscribe: ['spans.*'] } })
    expect((await put(fresh(), { agent: name, topic: 'spans.>' }, key)).status).toBe(201)
    for (const topic of ['>', '*.eu', 'logs']) {
      const { status, body } = await put(fresh(), { agent: name, topic }, key)
      expect([status, body.code, body.subject]).toEqual([403, 'forbidden', topic])
    }
    // An admin may give it more.
    expect((await put(fresh(), { agent: name, topic: 'logs' })).status).toBe(201)
  })

  it('hearing the broker’s own topics is a permission that must name them; the default does not', async () => {
    const plain = await pullAgent()
    expect((await put(fresh(), { agent: plain.name, topic: '>' }, plain.key)).status).toBe(201)
    const { status, body } = await put(fresh(), { agent: plain.name, topic: 'switchboard.>' }, plain.key)
    expect([status, body.code]).toEqual([403, 'forbidden'])
    const trusted = await pullAgent({}, { permissions: { subscribe: ['switchboard.agent.*'] } })
    expect((await put(fresh(), { agent: trusted.name, topic: 'switchboard.agent.*' }, trusted.key)).status).toBe(201)
    expect((await put(fresh(), { agent: trusted.name, topic: 'switchboard.>' }, trusted.key)).status).toBe(403)
    expect((await put(fresh(), { agent: plain.name, topic: 'switchboard.>' })).status).toBe(201)
  })

  it('an app has no mailbox and no subscriptions', async () => {
    const [key, { name }, id] = [await appKey(), await pullAgent(), fresh()]
    await put(id, { agent: name, topic: 'a' })
    for (const { status } of [
      await put(fresh(), { agent: name, topic: 'a' }, key),
      await get(id, key),
      await remove(id, key),
      await call('GET', '/v1/subscriptions', { key }),
    ])
      expect(status).toBe(403)
  })
})

describe('the list', () => {
  it('is an agent’s own, page by page', async () => {
    const { name, key } = await pullAgent()
    const ids = Array.from({ length: 5 }, () => fresh()).sort()
    for (const id of ids) await put(id, { agent: name, topic: 'a' }, key)
    const listed: string[] = []
    let cursor: string | undefined
    do {
      const { body } = await call(
        'GET',
        `/v1/subscriptions?limit=2${cursor === undefined ? '' : `&cursor=${cursor}`}`,
        { key },
      )
      listed.push(...body.items.map((s: { id: string }) => s.id))
      cursor = body.cursor
    } while (cursor !== undefined)
    expect(listed).toEqual(ids)
    expect((await call('GET', `/v1/subscriptions?agent=${name}`)).body.items).toHaveLength(5)
  })

  it('of another agent is refused, and an admin sees all', async () => {
    const [ada, bob] = [await pullAgent(), await pullAgent()]
    const id = fresh()
    await put(id, { agent: ada.name, topic: 'a' })
    expect((await call('GET', `/v1/subscriptions?agent=${ada.name}`, { key: bob.key })).status).toBe(403)
    expect((await call('GET', '/v1/subscriptions', { key: bob.key })).body.items).toEqual([])
    const all: string[] = []
    let cursor = ''
    for (;;) {
      const { body } = await call('GET', `/v1/subscriptions?cursor=${cursor}`)
      all.push(...body.items.map((s: { id: string }) => s.id))
      if (body.cursor === undefined) break
      cursor = body.cursor
    }
    expect(all).toContain(id)
  })
})

describe('an agent has at most so many', () => {
  it('the one too many is 409; changing one that it has is not', async () => {
    const { name } = await pullAgent()
    const directory = env.DIRECTORY.getByName('all')
    for (let i = 0; i < limits.subscriptionsPerAgent; i++)
      await directory.putSubscription(
        `${name}-${i}`,
        { agent: name, topic: 'a' },
        { max: limits.subscriptionsPerAgent },
      )
    const { status, body } = await put(fresh(), { agent: name, topic: 'a' })
    expect([status, body.code, body.max]).toEqual([409, 'too_many_subscriptions', limits.subscriptionsPerAgent])
    expect((await put(`${name}-7`, { agent: name, topic: 'b' })).status).toBe(200)
    await remove(`${name}-8`)
    expect((await put(fresh(), { agent: name, topic: 'a' })).status).toBe(201)
  })
})
