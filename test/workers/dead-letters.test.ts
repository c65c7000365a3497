/** Dead letters over HTTP: listed, read, redriven and purged, by those who may; and every step of a redrive repeated. */
import { env } from 'cloudflare:workers'
import { describe, expect, it } from 'vitest'
import type { AgentPort } from '../../shared/agent-port.ts'
import type { DeadLettersPort } from '../../shared/dead-letter.ts'
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

// The objects themselves, for the steps between which a redrive may die.
const index = () => env.DEAD_LETTERS.getByName('all') as unknown as DeadLettersPort
const mailbox = (name: string) => env.AGENTS.getByName(name) as unknown as AgentPort

const get = (id: string, key?: string) => call('GET', `/v1/dead-letters/${id}`, key === undefined ? {} : { key })
const list = (query = '', key?: string) => call('GET', `/v1/dead-letters${query}`, key === undefined ? {} : { key })
const redrive = (id: string, key?: string) =>
  call('POST', `/v1/dead-letters/${id}/redrive`, key === undefined ? {} : { key })
const redriveMany = (json: object, key?: string) =>
  call('POST', '/v1/dead-letters/redrive', { json, ...(key === undefined ? {} : { key }) })
const purge = (id: string, key?: string) => call('DELETE', `/v1/dead-letters/${id}`, key === undefined ? {} : { key })

const listed = ({ body }: Answered): string[] => body.items.map((item: Body) => item.id)

/** Fails what the agent holds for good, and waits until the index has it. */
async function die(agent: Registered, letterId: string): Promise<void> {
  const { id, token } = await leaseOne(agent)
  const json = { token, terminal: true, reason: 'no use' }
  await call('POST', `/v1/deliveries/${id}/nack`, { key: agent.key, json })
  await expect.poll(async () => (await get(letterId)).status).toBe(200)
}

async function dead(agent: Registered, more: Readonly<Record<string, unknown>> = {}): Promise<string> {
  const id = await sendId(agent.name, more)
  await die(agent, id)
  return id
}

/** A dead letter of an effect: its agent may not send where it wanted to. */
async function deadEffect(): Promise<{ agent: Registered; id: string }> {
  const agent = await pullAgent({}, { permissions: { send: ['nowhere'] } })
  const delivery = await sendId(agent.name)
  const { token } = await leaseOne(agent)
  const effects = { messages: [{ to: agent.name, type: 'next', data: 'x' }] }
  await call('POST', `/v1/deliveries/${delivery}/ack`, { key: agent.key, json: { token, effects } })
  const id = `${delivery}-e1`
  await expect.poll(async () => (await get(id)).status).toBe(200)
  return { agent, id }
}

describe('a dead letter', () => {
  it('tells what died, of what, after which attempts, and never the data (A74)', async () => {
    const agent = await pullAgent()
    const id = await dead(agent, { data: 'private', subject: 's' })
    const { body } = await get(id)
    expect(body).toMatchObject({
      id,
      delivery: id,
      agent: agent.name,
      kind: 'delivery',
      reason: 'terminal',
      error: { code: 'nack', message: 'no use' },
      attempts: [{ number: 1, outcome: 'fail' }],
      redrives: 0,
      message: { subject: 's' },
    })
    expect(body.message.data).toBeUndefined()
    expect((await receipt(id)).deadLetter).toEqual({ id, reason: 'terminal' })
  })

  it('of a refused effect tells what was asked for', async () => {
    const { agent, id } = await deadEffect()
    const { body } = await get(id)
    expect(body).toMatchObject({ kind: 'effect', reason: 'effect_refused', error: { code: 'forbidden' } })
    expect(body.effect).toMatchObject({ to: agent.name, type: 'next' })
  })

  it('is its mailbox’s: another agent learns nothing, not even whether there is one', async () => {
    const [agent, other] = [await pullAgent(), await pullAgent()]
    const [there, absent] = [await dead(agent), `${agent.name}_${'a'.repeat(26)}`]
    for (const id of [there, absent]) {
      for (const verb of [get, redrive, purge]) {
        const { status, body } = await verb(id, other.key)
        expect([status, body.code]).toEqual([403, 'forbidden'])
      }
      expect((await get(id, agent.key)).status).toBe(id === there ? 200 : 404)
    }
  })

  it('that never was, or cannot be, is 404', async () => {
    const agent = await pullAgent()
    const delivery = `${agent.name}_${'a'.repeat(26)}`
    for (const id of [
      delivery,
      `${delivery}-r1`,
      `${delivery}-e1`,
      `${freshName()}_${'a'.repeat(26)}`,
      'x',
      `${delivery}-z1`,
    ]) {
      for (const verb of [get, redrive, purge]) {
        const { status, body } = await verb(id)
        expect([id, status, body.code]).toEqual([id, 404, 'not_found'])
      }
    }
  })
})

describe('the list', () => {
  it('is filtered by agent and reason, and read page by page (A95)', async () => {
    const agent = await pullAgent()
    const ids = [await dead(agent), await dead(agent), await dead(agent)]
    expect(listed(await list(`?agent=${agent.name}`)).sort()).toEqual([...ids].sort())
    expect(listed(await list(`?agent=${agent.name}&reason=expired`))).toEqual([])
    const seen: string[] = []
    for (let cursor: string | undefined = ''; cursor !== undefined && seen.length < 9; ) {
      const page = await list(
        `?agent=${agent.name}&limit=1${cursor === '' ? '' : `&cursor=${encodeURIComponent(cursor)}`}`,
      )
      seen.push(...listed(page))
      cursor = page.body.cursor
    }
    expect(seen.sort()).toEqual([...ids].sort())
    expect((await list('?reason=boredom')).body.code).toBe('invalid_request')
  })

  it('is grouped by what was died of, filtered by it, and redriven by it (TC13)', async () => {
    const [agent, other] = [await pullAgent(), await pullAgent()]
    const ids = [await dead(agent), await dead(agent)]
    await dead(other)
    const { status, body } = await list(`/groups?agent=${agent.name}`)
    expect([status, body.items.length]).toEqual([200, 1])
    const [group] = body.items
    expect(group).toMatchObject({ reason: 'terminal', count: 2, agents: [agent.name], example: { id: ids[1] } })
    expect(group.example.error).toEqual({ code: 'nack', message: 'no use' })
    expect(group.newestAt >= group.oldestAt).toBe(true)
    expect((await get(ids[0] ?? '')).body.fingerprint).toBe(group.fingerprint)
    // Whoever died alike is in the admin's group too; the agent sees its own.
    expect((await list('/groups', agent.key)).body.items).toEqual(body.items)
    expect((await list(`/groups?agent=${other.name}`, agent.key)).body.code).toBe('forbidden')
    expect(listed(await list(`?fingerprint=${group.fingerprint}`, agent.key)).sort()).toEqual([...ids].sort())
    expect(listed(await list(`?fingerprint=${'a'.repeat(26)}`, agent.key))).toEqual([])
    expect((await list('?fingerprint=nonsense')).body.code).toBe('invalid_request')
    const none = await redriveMany({ agent: agent.name, fingerprint: 'a'.repeat(26) })
    expect(none.body.redriven).toEqual([])
    const all = await redriveMany({ agent: agent.name, fingerprint: group.fingerprint })
    expect(all.body.redriven).toHaveLength(2)
    expect((await list('/groups', agent.key)).body.items).toEqual([])
  })

  it('shows an agent its own only, whatever it asks for, and an app none', async () => {
    const [agent, other] = [await pullAgent(), await pullAgent()]
    const [own] = [await dead(agent), await dead(other)]
    expect(listed(await list('', agent.key))).toEqual([own])
    expect((await list(`?agent=${other.name}`, agent.key)).body.code).toBe('forbidden')
    const app = await call('POST', '/v1/keys', { json: { name: freshName('app') } })
    expect((await list('', app.body.key)).body.code).toBe('forbidden')
  })
})

describe('a redrive', () => {
  it('gives the same message a new life: attempts afresh, and it is no dead letter any more (A95, TB5)', async () => {
    const agent = await pullAgent()
    const id = await dead(agent, { data: { n: 1 } })
    const { status, body } = await redrive(id, agent.key)
    expect([status, body]).toEqual([200, { id, delivery: id, status: 'redriven' }])
    expect((await get(id)).status).toBe(404)
    expect(await receipt(id)).toMatchObject({ status: 'held', attempt: 0, redrives: 1 })
    expect(await leaseOne(agent)).toMatchObject({ id, attempt: 1, message: { data: { n: 1 } } })
  })

  it('repeated is one redrive, and answers the same', async () => {
    const agent = await pullAgent()
    const id = await dead(agent)
    const [first, second] = [await redrive(id), await redrive(id)]
    expect(second).toMatchObject({ status: 200, body: first.body })
    expect((await receipt(id)).redrives).toBe(1)
  })

  it('asked for twice at once is one redrive: the death it undoes is its name', async () => {
    const agent = await pullAgent()
    const id = await dead(agent)
    const answers = await Promise.all([redrive(id), redrive(id), redrive(id)])
    expect(answers.map((a) => a.status)).toEqual([200, 200, 200])
    expect((await receipt(id)).redrives).toBe(1)
  })

  it('that died between the mailbox and the index is completed by its repeat', async () => {
    const agent = await pullAgent()
    const id = await dead(agent)
    await mailbox(agent.name).redrive(id, id)
    expect((await get(id)).status).toBe(200)
    expect((await redrive(id)).status).toBe(200)
    expect((await get(id)).status).toBe(404)
    expect((await receipt(id)).redrives).toBe(1)
  })

  it('of an earlier death does not revive a later one: each death has a letter of its own', async () => {
    const agent = await pullAgent()
    const id = await dead(agent)
    await redrive(id)
    await die(agent, `${id}-r1`)
    expect((await redrive(id)).status).toBe(200)
    expect(await receipt(id)).toMatchObject({ status: 'dead_lettered', redrives: 1, deadLetter: { id: `${id}-r1` } })
    expect((await redrive(`${id}-r1`)).status).toBe(200)
    expect(await receipt(id)).toMatchObject({ status: 'held', redrives: 2 })
    await die(agent, `${id}-r2`)
    for (const earlier of [id, `${id}-r1`]) expect((await redrive(earlier)).status).toBe(200)
    expect(await receipt(id)).toMatchObject({ status: 'dead_lettered', redrives: 2 })
  })

  it('works before the index knows of the death: the receipt already names the letter', async () => {
    const agent = await pullAgent()
    const id = await sendId(agent.name)
    const { token } = await leaseOne(agent)
    await mailbox(agent.name).settle([
      { id, token, external: true, outcome: { kind: 'fail', error: { code: 'nack', message: 'x' } } },
    ])
    expect((await get(id)).status).toBe(404)
    expect((await redrive(id)).status).toBe(200)
    expect((await receipt(id)).status).toBe('held')
  })

  it('of what is not dead is refused', async () => {
    const agent = await pullAgent()
    const id = await sendId(agent.name)
    const { status, body } = await redrive(id)
    expect([status, body.code, body.ended]).toEqual([409, 'not_redrivable', 'still alive'])
  })

  it('of a refused effect is refused, and says what to do instead', async () => {
    const { id } = await deadEffect()
    const { status, body } = await redrive(id)
    expect([status, body.code]).toEqual([409, 'not_redrivable'])
    expect(body.detail).toContain('Publish what it asked for yourself')
  })

  it('into a full mailbox waits for room', async () => {
    const agent = await pullAgent({ depth: 1 })
    const id = await dead(agent)
    const blocking = await sendId(agent.name)
    const { status, body } = await redrive(id)
    expect([status, body.code]).toEqual([429, 'backpressure'])
    await call('DELETE', `/v1/deliveries/${blocking}`)
    expect((await redrive(id)).status).toBe(200)
  })

  it('of a deleted agent’s letter is refused, and the letter can be purged', async () => {
    const agent = await pullAgent()
    const id = await sendId(agent.name)
    await call('DELETE', `/v1/agents/${agent.name}?mail=dead`)
    await expect.poll(async () => (await get(id)).status).toBe(200)
    expect((await redrive(id)).body.code).toBe('not_redrivable')
    expect((await purge(id)).status).toBe(204)
  })
})

describe('redriving many', () => {
  it('redrives what matches, in the order in which they died, and tells of each that could not be (A95)', async () => {
    const agent = await pullAgent({ depth: 3 })
    const ids = [await dead(agent), await dead(agent), await dead(agent)]
    await send(agent.name)
    const { body } = await redriveMany({ agent: agent.name, reason: 'terminal' })
    expect(body.redriven.map((r: Body) => r.id)).toEqual(ids.slice(0, 2))
    expect(body.refused).toMatchObject([
      { id: ids[2], problem: { code: 'backpressure', instance: `/v1/dead-letters/${ids[2]}` } },
    ])
    expect(listed(await list(`?agent=${agent.name}`))).toEqual([ids[2]])
  })

  it('looks at no more than max, and goes on from where it ended', async () => {
    const agent = await pullAgent()
    for (let i = 0; i < 3; i++) await dead(agent)
    const first = await redriveMany({ agent: agent.name, max: 2 })
    expect([first.body.redriven.length, typeof first.body.cursor]).toEqual([2, 'string'])
    const second = await redriveMany({ agent: agent.name, max: 2, cursor: first.body.cursor })
    expect([second.body.redriven.length, second.body.cursor]).toEqual([1, undefined])
  })

  it('by an agent reaches its own only', async () => {
    const [agent, other] = [await pullAgent(), await pullAgent()]
    const [own, foreign] = [await dead(agent), await dead(other)]
    expect((await redriveMany({ agent: other.name }, agent.key)).body.code).toBe('forbidden')
    const { body } = await redriveMany({}, agent.key)
    expect(body).toMatchObject({ redriven: [{ id: own }], refused: [] })
    expect((await get(foreign)).status).toBe(200)
  })
})

describe('a purge', () => {
  it('forgets the letter and its body for good (A95)', async () => {
    const agent = await pullAgent()
    const id = await dead(agent)
    expect((await purge(id, agent.key)).status).toBe(204)
    expect((await get(id)).status).toBe(404)
    const { body } = await redrive(id)
    expect([body.code, body.detail]).toEqual(['not_redrivable', expect.stringContaining('purged')])
  })

  it('of a refused effect removes it from the index, once', async () => {
    const { id } = await deadEffect()
    expect((await purge(id)).status).toBe(204)
    expect((await purge(id)).status).toBe(404)
  })

  it('of a letter that is not there yet keeps nothing out: a later death is still told', async () => {
    const agent = await pullAgent()
    const id = await sendId(agent.name)
    expect((await purge(id)).status).toBe(404)
    await die(agent, id)
    expect(await index().get(id)).toMatchObject({ id })
  })
})
