/** Handshakes as a caller sees them, answered from the registration; how they are kept, and when they no longer hold. */
import { runInDurableObject } from 'cloudflare:test'
import { env } from 'cloudflare:workers'
import { describe, expect, it } from 'vitest'
import * as z from 'zod'
import { AgentObject } from '../../durable-objects/agent.ts'
import { handshakeId, type Shaken } from '../../shared/handshake.ts'
import { limits } from '../../shared/limits.ts'
import { type AnyAgent, defineAgent, type HandlerMessage } from '../../workers/define.ts'
import {
  type Answered,
  type Body,
  call,
  freshName,
  leaseOne,
  pullAgent,
  type Registered,
  type Sent,
  sendId,
} from './gateway.ts'
import { ownSwitchboard } from './switchboard.ts'

const card = { protocolVersions: ['1.0', '1.10'], capabilities: ['read', 'write'] }

const shake = (name: string, json: object, sent: Sent = {}): Promise<Answered> =>
  call('POST', `/v1/agents/${name}/handshake`, { ...sent, json: { protocolVersions: ['1.0'], ...json } })
const read = (id: string, sent: Sent = {}) => call('GET', `/v1/handshakes/${id}`, sent)
const reregister = ({ name }: Registered, more: object) =>
  call('PUT', `/v1/agents/${name}`, { json: { kind: 'pull', ...more } })

describe('a handshake', () => {
  it('arrives with its versions and capabilities, is answered from the registration and can be read again (A45, T6)', async () => {
    const [ann, bob] = [await pullAgent(), await pullAgent({}, card)]
    const json = { protocolVersions: ['1.2', '1.10', '1.0'], capabilities: ['write', 'read'] }
    const { status, body, headers } = await shake(bob.name, json, { key: ann.key })
    expect([status, body]).toMatchObject([
      200,
      {
        agent: bob.name,
        source: ann.name,
        status: 'accepted',
        version: '1.10',
        agreed: ['write', 'read'],
        asked: json,
        answeredBy: 'registration',
        standing: 'in_force',
      },
    ])
    expect(Date.parse(body.expiresAt) - Date.parse(body.at)).toBe(86_400_000)
    expect(headers.get('Location')).toBe(`/v1/handshakes/${body.sessionId}`)
    for (const key of [ann.key, bob.key]) expect((await read(body.sessionId, { key })).body).toEqual(body)
  })

  it('is countered with what there is, a skill by its id among it (A45, A47)', async () => {
    const bob = await pullAgent({}, { ...card, skills: [{ id: 'sum', name: 'Sum' }] })
    expect((await shake(bob.name, { capabilities: ['sum', 'fly'] })).body).toMatchObject({
      status: 'counter',
      version: '1.0',
      agreed: ['sum'],
      missing: ['fly'],
    })
  })

  it('without a common version is rejected, told what is supported, and kept all the same (A46)', async () => {
    const bob = await pullAgent({}, card)
    const { status, body } = await shake(bob.name, { protocolVersions: ['2.0'], capabilities: ['read'] })
    expect([status, body]).toMatchObject([
      200,
      { status: 'rejected', reason: 'version_mismatch', agreed: [], supported: card },
    ])
    expect(body.version).toBeUndefined()
    expect((await read(body.sessionId)).body).toEqual(body)
  })

  it('gets an id of its own each time; with one key it is one handshake (T6)', async () => {
    const bob = await pullAgent({}, card)
    const ids = await Promise.all([1, 2, 3].map(async () => (await shake(bob.name, {})).body.sessionId))
    expect(new Set(ids).size).toBe(3)
    const headers = { 'Idempotency-Key': 'once' }
    const first = await shake(bob.name, {}, { headers })
    await reregister(bob, { ...card, protocolVersions: ['2.0'] })
    const again = await shake(bob.name, {}, { headers })
    expect(again.body).toEqual({ ...first.body, standing: 'stale' })
  })

  it('leaves no mail behind', async () => {
    const bob = await pullAgent({}, card)
    await shake(bob.name, {})
    expect((await call('GET', `/v1/agents/${bob.name}/mailbox`)).body.depth).toBe(0)
  })

  it.each<[string, object, Record<string, string>?]>([
    ['protocolVersions', { protocolVersions: ['one'] }],
    ['capabilities', { capabilities: 'read' }],
    ['expiresInSeconds', { expiresInSeconds: limits.handshakeSeconds + 1 }],
    ['Idempotency-Key', {}, { 'Idempotency-Key': 'x'.repeat(256) }],
  ])('is refused where it is wrong: %s', async (path, json, headers = {}) => {
    const { name } = await pullAgent()
    const { status, body } = await shake(name, json, { headers })
    expect([status, body.code]).toEqual([400, 'invalid_request'])
    expect(body.detail).toContain(path)
  })

  it('with an agent that there is not is 404', async () => {
    for (const name of [freshName('nobody'), 'Nobody'])
      expect(await shake(name, {})).toMatchObject({ status: 404, body: { code: 'agent_not_found' } })
  })

  it('is for whoever may send there, and read by its two sides only (S2)', async () => {
    const [ann, bob] = [await pullAgent({}, { permissions: { send: [] } }), await pullAgent({}, card)]
    expect(await shake(bob.name, {}, { key: ann.key })).toMatchObject({ status: 403, body: { code: 'forbidden' } })
    const { body } = await shake(bob.name, {})
    expect(await read(body.sessionId, { key: ann.key })).toMatchObject({ status: 403, body: { code: 'forbidden' } })
    const nothing = `${bob.name}_hs_${'a'.repeat(26)}`
    for (const id of [nothing, 'x', await sendId(bob.name)])
      expect(await read(id)).toMatchObject({ status: 404, body: { code: 'not_found', what: 'handshake' } })
  })
})

describe('an agent that negotiates itself', () => {
  const own = { ...card, handshake: 'agent' }
  const offer = { protocolVersions: ['1.0', '2.0'], capabilities: ['read', 'write'] }

  /** A handler that answers handshakes with what the test says. */
  function negotiator(answer: (message: HandlerMessage<unknown>) => unknown) {
    const name = freshName('negotiator')
    const handle = async (message: HandlerMessage<unknown>) => answer(message)
    const agent: AnyAgent = defineAgent({ name, ...card, handshake: 'agent', accepts: z.unknown(), handle })
    const board = ownSwitchboard({ agents: [agent] })
    return (json: object = offer, headers = {}) => board('POST', `/v1/agents/${name}/handshake`, { json, headers })
  }

  it('is asked with the versions and capabilities, and its answer is the one that counts (A45, T6)', async () => {
    const heard: HandlerMessage<unknown>[] = []
    const ask = negotiator((message) => {
      heard.push(message)
      return { status: 'accepted', version: '2.0', agreed: ['write', 'read'] }
    })
    const { status, body } = await ask()
    expect([status, body]).toMatchObject([
      200,
      { status: 'accepted', version: '2.0', agreed: ['read', 'write'], answeredBy: 'agent', standing: 'in_force' },
    ])
    expect(heard).toMatchObject([
      { type: 'switchboard.handshake', source: 'admin', data: { sessionId: body.sessionId, ...offer } },
    ])
    expect((await read(body.sessionId)).body).toEqual(body)
  })

  it('is asked once for one key', async () => {
    let asked = 0
    const ask = negotiator(() => {
      asked += 1
      return { status: 'rejected', reason: 'not today' }
    })
    const headers = { 'Idempotency-Key': 'once' }
    const first = await ask(offer, headers)
    expect(first.body).toMatchObject({ status: 'rejected', reason: 'not today', answeredBy: 'agent' })
    expect((await ask(offer, headers)).body).toEqual(first.body)
    expect(asked).toBe(1)
  })

  it('may be a puller that answers by its ack', async () => {
    const bob = await pullAgent({}, own)
    const asking = shake(bob.name, offer, { headers: { Prefer: 'wait=20' } })
    const lease: Body = await leaseOne(bob, { waitSeconds: 15 })
    const reply = { data: { status: 'counter', version: '1.0', agreed: ['read'] } }
    await call('POST', `/v1/deliveries/${lease.id}/ack`, { json: { token: lease.token, effects: { reply } } })
    expect((await asking).body).toMatchObject({ status: 'counter', missing: ['write'], answeredBy: 'agent' })
  })

  it('that answers something else is answered for by its registration, which says so', async () => {
    const ask = negotiator(() => ({ status: 'accepted', version: '9.0' }))
    expect((await ask({ protocolVersions: ['1.0'], capabilities: ['read'] })).body).toMatchObject({
      status: 'accepted',
      version: '1.0',
      answeredBy: 'registration',
      because: 'its reply names no version that was asked for',
    })
  })

  it('that is parked is not asked at all', async () => {
    const bob = await pullAgent({}, own)
    await call('POST', `/v1/agents/${bob.name}/pause`, { json: { reason: 'holidays' } })
    expect((await shake(bob.name, {})).body).toMatchObject({
      status: 'accepted',
      answeredBy: 'registration',
      because: 'paused: holidays',
    })
    expect((await call('GET', `/v1/agents/${bob.name}/mailbox`)).body.depth).toBe(0)
  })

  it('that does not answer in time is answered for, and so is one that nobody waits for', async () => {
    const bob = await pullAgent({}, own)
    const late = await shake(bob.name, {}, { headers: { Prefer: 'wait=1' } })
    expect(late.body).toMatchObject({ status: 'accepted', answeredBy: 'registration' })
    expect(late.body.because).toContain('1 s')
    const unwaited = await shake(bob.name, {}, { headers: { Prefer: 'respond-async' } })
    expect(unwaited.body.because).toBe('the caller did not wait for the agent')
  })
})

describe('what was agreed', () => {
  it('is stale once the agent`s card is another one, and holds again should the card come back (A48)', async () => {
    const bob = await pullAgent({}, card)
    const { sessionId, etag } = (await shake(bob.name, {})).body
    const standing = async () => (await read(sessionId)).body.standing
    await reregister(bob, { ...card, policy: { concurrency: 3 } })
    expect(await standing()).toBe('in_force')
    const changed = await reregister(bob, { ...card, capabilities: ['read'] })
    expect(changed.body.etag).not.toBe(etag)
    expect(await standing()).toBe('stale')
    await reregister(bob, card)
    expect(await standing()).toBe('in_force')
  })

  it('is not a new agent`s of the same name', async () => {
    const bob = await pullAgent({}, card)
    const { sessionId } = (await shake(bob.name, {})).body
    await call('DELETE', `/v1/agents/${bob.name}`)
    expect((await read(sessionId)).status).toBe(404)
    await reregister(bob, card)
    expect((await read(sessionId)).status).toBe(404)
  })
})

describe('the handshakes that an agent`s object keeps', () => {
  const shaken = (source: string, key: string, incarnation = 'i'): Shaken => {
    const offer = { protocolVersions: ['1.0'], capabilities: [] }
    const verdict = { status: 'accepted' as const, version: '1.0', agreed: [] }
    const id = handshakeId('bob', source, key, offer)
    return { v: 1, id, agent: 'bob', incarnation, source, offer, verdict, answeredBy: 'registration', etag: 'e' }
  }

  async function withAgent(work: (agent: AgentObject, clock: { at: number }, rows: () => number) => void) {
    await runInDurableObject(env.AGENTS.getByName(freshName()), (_object, state) => {
      const clock = { at: 1_000 }
      const agent = new AgentObject(state, env, { now: () => clock.at, random: () => 0 })
      agent.enrol({ kind: 'pull' }, { name: 'bob', incarnation: 'i', secret: 's', trusted: true })
      work(agent, clock, () => Number(state.storage.sql.exec('SELECT count(*) AS n FROM handshakes').one()['n']))
    })
  }

  it('are the newest ten of each asker, and never more than its thousand', () =>
    withAgent((agent, clock, rows) => {
      const keep = (source: string, key: string) => {
        clock.at += 1
        return agent.shake(shaken(source, key), 86_400_000)
      }
      for (let n = 0; n < 12; n++) keep('ann', `${n}`)
      expect(rows()).toBe(limits.handshakesPerPair)
      expect(agent.handshake(shaken('ann', '1').id)).toBeUndefined()
      expect(agent.handshake(shaken('ann', '2').id)).toBeDefined()
      for (let n = 0; n < limits.handshakesPerAgent; n++) keep(`asker-${n}`, 'k')
      expect(rows()).toBe(limits.handshakesPerAgent)
      expect(agent.handshake(shaken('ann', '11').id)).toBeUndefined()
    }))

  it('expire on time, say so for a day, and are then forgotten by the sweep', () =>
    withAgent((agent, clock, rows) => {
      const { id } = shaken('ann', 'k')
      agent.shake(shaken('ann', 'k'), 60_000)
      clock.at += 60_000
      expect(agent.handshake(id)?.standing).toBe('expired')
      clock.at += 86_399_999
      agent.sweep()
      expect(rows()).toBe(1)
      clock.at += 1
      agent.sweep()
      expect(rows()).toBe(0)
    }))

  it('are none of an agent that was deleted while it was asked', () =>
    withAgent((agent) => {
      expect(agent.shake(shaken('ann', 'k', 'an earlier one'), 60_000)).toBeUndefined()
    }))
})
