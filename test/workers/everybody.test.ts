/**
 * `*` and `capability:<skill>` over HTTP, on a directory of this file’s own: everybody but the sender; one healthy agent that
 * has the skill, always the same for one partition key.
 */
import { env } from 'cloudflare:workers'
import { describe, expect, it, vi } from 'vitest'
import { type Body, freshName, type Registered } from './gateway.ts'
import { ownSwitchboard } from './switchboard.ts'

const own = ownSwitchboard()

async function register(more: object = {}): Promise<Registered> {
  const name = freshName()
  const { body } = await own('PUT', `/v1/agents/${name}`, { json: { kind: 'pull', ...more } })
  return { name, key: body.key }
}

const publish = (json: Readonly<Record<string, unknown>>, key?: string) =>
  own('POST', '/v1/messages', { ...(key === undefined ? {} : { key }), json: { type: 'test.note', ...json } })

const agentsOf = (body: Body): string[] => body.deliveries.map((d: { agent: string }) => d.agent)

async function everybody(): Promise<string[]> {
  return (await own('GET', '/v1/agents')).body.items.map((a: { agent: string }) => a.agent)
}

async function remove(name: string): Promise<void> {
  await own('DELETE', `/v1/agents/${name}?mail=dead`)
}

describe('a publish to everybody', () => {
  it('reaches every agent but its sender, whatever they subscribe to (T2)', async () => {
    const [sender, a, b] = [await register(), await register(), await register()]
    const { status, body } = await publish({ to: '*' }, sender.key)
    const others = (await everybody()).filter((name) => name !== sender.name)
    expect(others).toEqual(expect.arrayContaining([a.name, b.name]))
    expect([status, agentsOf(body), body.fanout]).toEqual([202, others, others.length])
  })

  it('does NOT come back to an agent that speaks under another of its sources, nor when it is redriven (T2)', async () => {
    for (const name of await everybody()) await remove(name)
    const sender = await register({ permissions: { sources: ['orders/*'] } })
    const { body } = await publish({ to: '*', source: 'orders/eu' }, sender.key)
    expect([agentsOf(body), body.fanout]).toEqual([[], 0])
    expect((await own('POST', `/v1/dead-letters/${body.publication}/redrive`)).body.code).toBe('not_redrivable')
    const other = await register()
    expect(agentsOf((await publish({ to: '*', source: 'orders/eu' }, sender.key)).body)).toEqual([other.name])
  })

  it('by somebody who is no agent reaches all of them', async () => {
    await register()
    expect(agentsOf((await publish({ to: '*' })).body)).toEqual(await everybody())
  })

  it('delivers the whole event (T10)', async () => {
    const member = await register()
    await publish({ to: '*', data: { n: 1 }, subject: 's' })
    const { body } = await own('POST', `/v1/agents/${member.name}/lease`, { key: member.key })
    expect(body.deliveries[0].message).toMatchObject({ to: '*', data: { n: 1 }, subject: 's', source: 'admin' })
  })

  it('needs the permission to send to everybody: one to some agents is none', async () => {
    const narrow = await register({ permissions: { send: ['agent-*', 'capability:*'] } })
    const { status, body } = await publish({ to: '*' }, narrow.key)
    expect([status, body.code]).toEqual([403, 'forbidden'])
  })

  it('may be an effect, and does not come back to whoever it is an effect of (T2)', async () => {
    const [worker, member] = [await register(), await register()]
    await publish({ to: worker.name, data: 'start' })
    const lease = (of: Registered) => own('POST', `/v1/agents/${of.name}/lease`, { key: of.key, json: { max: 10 } })
    const [{ id, token }] = (await lease(worker)).body.deliveries
    const effects = { messages: [{ to: '*', type: 'test.told', data: 'all' }] }
    await own('POST', `/v1/deliveries/${id}/ack`, { key: worker.key, json: { token, effects } })
    const typesOf = (body: Body) => body.deliveries.map((d: Body) => d.message.type)
    expect(typesOf((await lease(member)).body)).toEqual(['test.told'])
    expect(typesOf((await lease(worker)).body)).toEqual([])
  })
})

describe('a publish to a capability', () => {
  /** Agents of a skill that nobody else has. */
  async function team(size: number, kind: object = {}) {
    const skill = freshName('skill')
    const members: Registered[] = []
    for (let i = 0; i < size; i++) members.push(await register({ capabilities: [skill, 'other'], ...kind }))
    const choose = async (more: object = {}) => {
      const { status, body } = await publish({ to: `capability:${skill}`, ...more })
      expect([status, body.fanout]).toEqual([202, 1])
      return agentsOf(body)[0] ?? ''
    }
    return { skill, members, choose, names: members.map((m) => m.name) }
  }

  it('is one delivery to one agent that has it, and in the long run each has its turn (TC12)', async () => {
    const { names, choose } = await team(3)
    const chosen = new Set<string>()
    for (let i = 0; i < 60; i++) chosen.add(await choose())
    expect([...chosen].sort()).toEqual([...names].sort())
  })

  it('with a partition key is always the same agent, and keys are spread over them', async () => {
    const { names, choose } = await team(4)
    const keys = Array.from({ length: 40 }, (_, i) => `k${i}`)
    const first = new Map<string, string>()
    for (const partitionkey of keys) first.set(partitionkey, await choose({ partitionkey }))
    for (const partitionkey of keys) expect(await choose({ partitionkey })).toBe(first.get(partitionkey))
    expect(new Set(first.values()).size).toBe(names.length)
  })

  it('moves only the keys of an agent that leaves, and one that joins takes some and moves no others', async () => {
    const { names, skill, choose } = await team(4)
    const keys = Array.from({ length: 30 }, (_, i) => `k${i}`)
    const places = async () => {
      const map = new Map<string, string>()
      for (const partitionkey of keys) map.set(partitionkey, await choose({ partitionkey }))
      return map
    }
    const before = await places()
    const gone = names[0] as string
    await remove(gone)
    const without = await places()
    for (const key of keys) if (before.get(key) !== gone) expect(without.get(key)).toBe(before.get(key))
    const joined = await register({ capabilities: [skill] })
    const after = await places()
    for (const key of keys) if (after.get(key) !== joined.name) expect(after.get(key)).toBe(without.get(key))
  })

  it('passes over an agent that is paused, and comes back to it (TC12)', async () => {
    const { names, choose } = await team(2)
    const [a, b] = names as [string, string]
    const key = { partitionkey: 'k' }
    const [usual, other] = (await choose(key)) === a ? [a, b] : [b, a]
    await own('POST', `/v1/agents/${usual}/pause`)
    expect(await choose(key)).toBe(other)
    for (let i = 0; i < 10; i++) expect(await choose()).toBe(other)
    await own('POST', `/v1/agents/${usual}/resume`)
    expect(await choose(key)).toBe(usual)
  })

  it('passes over an agent whose breaker is open (TC12)', async () => {
    // The receiver is played: this file’s Worker is not the only one that delivers.
    vi.spyOn(globalThis, 'fetch').mockImplementation(async () => new Response(null, { status: 204 }))
    const { names, choose } = await team(2, { kind: 'webhook', url: 'http://127.0.0.1/hook' })
    const [open, fine] = names as [string, string]
    await env.AGENTS.getByName(open).forceBreaker('open', 'a test')
    for (let i = 0; i < 10; i++) expect(await choose()).toBe(fine)
  })

  it('goes to whoever has a free place before one that has a line, and says who and why (TC12)', async () => {
    const { skill, names, choose } = await team(3, { policy: { concurrency: 1 } })
    const [idle, ...busy] = names as [string, string, string]
    for (const name of busy) for (let i = 0; i < 2; i++) await publish({ to: name })
    expect(await choose()).toBe(idle)
    // Each has at least as much to do as it has places now: the least loaded of them.
    expect(await choose()).toBe(idle)
    const { body } = await publish({ to: `capability:${skill}` })
    expect(body.why).toContain(`chosen for \`${skill}\` among 3, 3 of them asked: it is well, 2 to do at 1 places`)
    const [{ id }] = body.deliveries
    const told = await own('GET', `/v1/deliveries/${id}`)
    expect(told.body.steps[0]).toMatchObject({ step: 'accepted', detail: body.why })
    expect((await own('GET', `/v1/publications/${body.publication}`)).body.why).toBe(body.why)
  })

  it('when nobody is well, takes one all the same: its mail waits for it', async () => {
    const { names, choose } = await team(2)
    for (const name of names) await own('POST', `/v1/agents/${name}/pause`)
    expect(names).toContain(await choose())
  })

  it('that nobody has reaches nobody, as `onunroutable` says', async () => {
    const to = `capability:${freshName('none')}`
    expect((await publish({ to, onunroutable: 'reject' })).body.code).toBe('unroutable')
    expect((await publish({ to })).body).toMatchObject({ fanout: 0, deliveries: [] })
    expect((await publish({ to: 'capability:' })).body.code).toBe('invalid_request')
  })

  it('sent again is the same delivery to the same agent, although it is chosen by chance', async () => {
    const { skill, choose } = await team(5)
    const id = freshName('m')
    const first = await choose({ id })
    for (let i = 0; i < 10; i++) {
      const { body } = await publish({ to: `capability:${skill}`, id })
      expect([agentsOf(body), body.duplicate]).toEqual([[first], true])
    }
  })

  it('is a permission like any other destination', async () => {
    const { skill } = await team(1)
    const [may, mayNot] = [
      await register({ permissions: { send: ['capability:*'] } }),
      await register({ permissions: { send: ['agent-*'] } }),
    ]
    expect((await publish({ to: `capability:${skill}` }, may.key)).status).toBe(202)
    expect((await publish({ to: `capability:${skill}` }, mayNot.key)).body.code).toBe('forbidden')
  })
})
