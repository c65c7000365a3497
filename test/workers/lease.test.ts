/** Pulling over HTTP: leases, long polls, and the list of a mailbox's receipts. */
import { env } from 'cloudflare:workers'
import { describe, expect, it } from 'vitest'
import type { AgentPort } from '../../shared/agent-port.ts'
import { limits } from '../../shared/limits.ts'
import type { Platform } from '../../shared/ports.ts'
import {
  type Answered,
  type Body,
  call,
  freshName,
  leaseOne,
  pullAgent,
  type Registered,
  receipt,
  send,
  sendId,
} from './gateway.ts'
import { ownSwitchboard } from './switchboard.ts'

const lease = ({ name, key }: Registered, json?: object): Promise<Answered> =>
  call('POST', `/v1/agents/${name}/lease`, { key, ...(json === undefined ? {} : { json }) })

const ids = ({ body }: Answered): string[] => body.deliveries.map((d: Body) => d.id)

describe('a lease', () => {
  it('gives the message as it was accepted, with a token, the attempt and the deadline (A93, A103)', async () => {
    const agent = await pullAgent()
    const data = { text: 'naïve ☕ "quoted"\u2028', list: [1, 2.5, null], big: 12345678901234567000 }
    const id = await sendId(agent.name, { data, subject: 's' })
    const before = Date.now()
    const leased = await leaseOne(agent, { leaseSeconds: 30 })
    expect(leased).toMatchObject({ id, attempt: 1, maxAttempts: 4, sequence: 1, hops: 0 })
    expect(leased.message).toMatchObject({ specversion: '1.0', type: 'test.note', source: 'admin', subject: 's', data })
    expect(leased.token.length).toBeGreaterThanOrEqual(22)
    const leftMs = Date.parse(leased.deadline) - before
    expect(leftMs).toBeGreaterThanOrEqual(30_000)
    expect(leftMs).toBeLessThan(35_000)
    expect((await receipt(id)).status).toBe('claimed')
  })

  it('takes 10 for 60 seconds when nothing is said, with or without a body', async () => {
    const agent = await pullAgent({ concurrency: 100 })
    for (let i = 0; i < 21; i++) await send(agent.name)
    expect(ids(await lease(agent))).toHaveLength(10)
    expect(ids(await lease(agent, {}))).toHaveLength(10)
    const [last] = (await lease(agent)).body.deliveries
    expect(Date.parse(last.deadline) - Date.now()).toBeGreaterThan(50_000)
  })

  it('is exclusive: many asking at once get each delivery once', async () => {
    const agent = await pullAgent({ concurrency: 100 })
    const sent = await Promise.all(Array.from({ length: 20 }, () => sendId(agent.name)))
    const answers = await Promise.all(Array.from({ length: 10 }, () => lease(agent, { max: 5 })))
    expect(answers.flatMap(ids).sort()).toEqual([...sent].sort())
  })

  it('never exceeds the policy’s concurrency, and an ack frees a place (M5, A81)', async () => {
    const agent = await pullAgent({ concurrency: 2 })
    for (let i = 0; i < 5; i++) await send(agent.name)
    const { body } = await lease(agent, { max: 5 })
    expect(body.deliveries).toHaveLength(2)
    expect(ids(await lease(agent))).toEqual([])
    const [{ id, token }] = body.deliveries
    await call('POST', `/v1/deliveries/${id}/ack`, { key: agent.key, json: { token } })
    expect(ids(await lease(agent, { max: 5 }))).toHaveLength(1)
  })

  it('carries at most so many bytes: the rest waits for the next call instead of breaking this one', async () => {
    const agent = await pullAgent({ concurrency: 100, depth: 100 })
    const data = 'a'.repeat(1_000_000)
    for (let i = 0; i < 10; i++) await send(agent.name, { data })
    const first = ids(await lease(agent, { max: 100 }))
    const second = ids(await lease(agent, { max: 100 }))
    expect([first.length, second.length]).toEqual([8, 2])
  })

  it('gives higher priority first, and keeps the order of a partition key: one at a time (M3, A84)', async () => {
    const agent = await pullAgent()
    const low = await sendId(agent.name, { priority: 1 })
    const first = await sendId(agent.name, { partitionkey: 'k', priority: 5 })
    await sendId(agent.name, { partitionkey: 'k', priority: 9 })
    expect(ids(await lease(agent))).toEqual([first, low])
  })

  it('is refused to an agent that does not pull, and nothing is taken from it', async () => {
    const name = freshName('hook')
    const url = 'http://127.0.0.1:9/hook'
    const { body: hook } = await call('PUT', `/v1/agents/${name}`, {
      json: { kind: 'webhook', url, policy: { concurrency: 1 } },
    })
    // Into the mailbox itself, whose references nobody sends: one is released and untaken, so a place in flight seems free.
    const message = { specversion: '1.0' as const, id: 'm', source: 'admin', type: 'x', time: '', correlationid: 'm' }
    const incoming = ['a', 'b'].map((key) => {
      return { message, body: JSON.stringify(message), key, contentHash: key, hops: 0, brokerMade: false }
    })
    await (env.AGENTS.getByName(name) as unknown as AgentPort).accept(incoming, 'token')
    const { status, body } = await lease({ name, key: hook.key })
    expect([status, body.code, body.kind, body.needed]).toEqual([409, 'wrong_kind', 'webhook', 'pull'])
    expect((await call('GET', `/v1/agents/${name}/mailbox`)).body).toMatchObject({ depth: 2, inFlight: 0 })
  })

  it('is the agent’s own: another agent gets 403, an unknown one 404', async () => {
    const [agent, other] = [await pullAgent(), await pullAgent()]
    await send(agent.name)
    expect((await lease({ name: agent.name, key: other.key })).body.code).toBe('forbidden')
    expect((await lease({ name: freshName(), key: 'test-admin-key' })).body.code).toBe('agent_not_found')
    expect(ids(await lease({ name: agent.name, key: 'test-admin-key' }))).toHaveLength(1)
  })

  it('of a paused agent is empty, at no attempt (M4)', async () => {
    const agent = await pullAgent()
    const id = await sendId(agent.name)
    await call('POST', `/v1/agents/${agent.name}/pause`)
    expect(ids(await lease(agent))).toEqual([])
    expect(await receipt(id)).toMatchObject({ status: 'parked', attempt: 0 })
    await call('POST', `/v1/agents/${agent.name}/resume`)
    expect(ids(await lease(agent))).toEqual([id])
  })

  const wrong: readonly [object, string][] = [
    [{ max: 0 }, 'max'],
    [{ max: limits.leaseMax + 1 }, 'max'],
    [{ waitSeconds: limits.waitSeconds + 1 }, 'waitSeconds'],
    [{ leaseSeconds: 0 }, 'leaseSeconds'],
    [{ leaseSeconds: limits.leaseSeconds + 1 }, 'leaseSeconds'],
    [{ count: 3 }, ''],
  ]
  for (const [json, path] of wrong)
    it(`with ${JSON.stringify(json)} is invalid at ${path || '(body)'}`, async () => {
      const { status, body } = await lease({ name: freshName(), key: 'test-admin-key' }, json)
      expect([status, body.code, body.issues[0].path]).toEqual([400, 'invalid_request', path])
    })
})

describe('a long poll', () => {
  it('is answered as soon as something comes, well before its time is over (A103)', async () => {
    const agent = await pullAgent()
    const startedAt = performance.now()
    const polling = lease(agent, { waitSeconds: 20 })
    const id = await sendId(agent.name)
    expect(ids(await polling)).toEqual([id])
    expect(performance.now() - startedAt).toBeLessThan(5_000)
  })

  it('ends empty when nothing came in time', async () => {
    const agent = await pullAgent()
    const startedAt = performance.now()
    expect(ids(await lease(agent, { waitSeconds: 0.3 }))).toEqual([])
    expect(performance.now() - startedAt).toBeGreaterThanOrEqual(300)
  })
})

describe('a client that hangs up', () => {
  const agentOf = (platform: Platform, name: string, more: Partial<AgentPort>): AgentPort =>
    new Proxy(platform.agent(name), { get: (port, method) => Reflect.get(more, method) ?? Reflect.get(port, method) })

  it('ends its long poll: nothing is taken for somebody who is gone', async () => {
    const agent = await pullAgent()
    const client = new AbortController()
    const asks: number[] = []
    const own = ownSwitchboard({
      ports: (platform) => ({
        agent: (name) =>
          agentOf(platform, name, {
            lease: (...args) => {
              // Gone before the second ask, in the pause after the first.
              if (asks.push(1) === 1) platform.after(10, () => client.abort())
              return platform.agent(name).lease(...args)
            },
          }),
      }),
    })
    const json = { waitSeconds: 20 }
    await own('POST', `/v1/agents/${agent.name}/lease`, { json, signal: client.signal }).catch(() => undefined)
    expect(asks).toHaveLength(1)
  })

  it('while the mailbox answers has its leases given back at once, at no attempt (M4)', async () => {
    const agent = await pullAgent()
    const id = await sendId(agent.name)
    const client = new AbortController()
    const own = ownSwitchboard({
      ports: (platform) => ({
        agent: (name) =>
          agentOf(platform, name, {
            lease: async (...args) => {
              const answer = await platform.agent(name).lease(...args)
              client.abort()
              return answer
            },
          }),
      }),
    })
    await own('POST', `/v1/agents/${agent.name}/lease`, { signal: client.signal }).catch(() => undefined)
    await expect.poll(async () => (await receipt(id)).status).toBe('held')
    expect(await receipt(id)).toMatchObject({ attempt: 0, attempts: [] })
  })
})

describe('the list of receipts', () => {
  const list = ({ name, key }: Registered, query = '') => call('GET', `/v1/agents/${name}/deliveries${query}`, { key })
  const listed = ({ body }: Answered): string[] => body.items.map((item: Body) => item.id)

  it('is read page by page, the newest first, each receipt once (TB38)', async () => {
    const agent = await pullAgent()
    const sent = []
    for (let i = 0; i < 5; i++) sent.push(await sendId(agent.name))
    const seen: string[] = []
    let cursor = ''
    for (let pages = 0; pages < 5; pages++) {
      const page = await list(agent, `?limit=2${cursor}`)
      seen.push(...listed(page))
      if (page.body.cursor === undefined) break
      cursor = `&cursor=${encodeURIComponent(page.body.cursor)}`
    }
    expect(seen).toEqual(sent.reverse())
  })

  it('is filtered before it is cut into pages: the latest that is dead is one call away', async () => {
    const agent = await pullAgent({ concurrency: 10 })
    const sent: string[] = []
    for (let i = 0; i < 6; i++) sent.push(await sendId(agent.name))
    const { body } = await lease(agent, { max: 4 })
    for (const [i, { id, token }] of body.deliveries.entries()) {
      const [what, json] = i < 2 ? ['nack', { token, terminal: true }] : ['ack', { token }]
      await call('POST', `/v1/deliveries/${id}/${what}`, { key: agent.key, json })
    }
    expect(listed(await list(agent, '?status=dead_lettered&limit=1'))).toEqual([sent[1]])
    expect(listed(await list(agent, '?status=completed&limit=1'))).toEqual([sent[3]])
    const held = await list(agent, '?status=held&limit=1')
    expect(listed(held)).toEqual([sent[5]])
    const rest = await list(agent, `?status=held&limit=1&cursor=${encodeURIComponent(held.body.cursor)}`)
    expect([listed(rest), rest.body.cursor]).toEqual([[sent[4]], undefined])
  })

  it('is filtered by status', async () => {
    const agent = await pullAgent()
    const [done, waiting] = [await sendId(agent.name, { priority: 9 }), await sendId(agent.name)]
    const { token } = await leaseOne(agent)
    await call('POST', `/v1/deliveries/${done}/ack`, { key: agent.key, json: { token } })
    expect(listed(await list(agent, '?status=completed'))).toEqual([done])
    expect(listed(await list(agent, '?status=held'))).toEqual([waiting])
  })

  it('of receipts with large results ends its pages early instead of failing', async () => {
    const agent = await pullAgent({ concurrency: 100 })
    const result = 'a'.repeat(250_000)
    for (let i = 0; i < 20; i++) await send(agent.name)
    const { body } = await lease(agent, { max: 20 })
    for (const { id, token } of body.deliveries)
      await call('POST', `/v1/deliveries/${id}/ack`, { key: agent.key, json: { token, result } })
    const first = await list(agent)
    expect([first.body.items.length, typeof first.body.cursor]).toEqual([16, 'string'])
    expect(listed(await list(agent, `?cursor=${encodeURIComponent(first.body.cursor)}`))).toHaveLength(4)
  })

  it('is the agent’s own, of an agent that exists, with a query that can be', async () => {
    const [agent, other] = [await pullAgent(), await pullAgent()]
    expect((await list({ name: agent.name, key: other.key })).body.code).toBe('forbidden')
    expect((await list({ name: freshName(), key: 'test-admin-key' })).body.code).toBe('agent_not_found')
    expect(listed(await list(agent))).toEqual([])
    expect(listed(await list(agent, '?cursor='))).toEqual([])
    for (const query of [
      '?status=lost',
      '?limit=0',
      '?limit=101',
      '?limit=x',
      `?cursor=${agent.name}_${'a'.repeat(26)}`,
    ]) {
      expect([query, (await list(agent, query)).body.code]).toEqual([query, 'invalid_request'])
    }
  })
})
