/** Observers over HTTP, in real workerd: attaching, hearing, detaching, and who may (A63 to A67, T10). */
import { describe, expect, it } from 'vitest'
import { type Body, call, freshName, leaseOne, pullAgent, type Registered, receipt, send } from './gateway.ts'

const at = (agent: string, observer = '') => `/v1/agents/${agent}/observers${observer === '' ? '' : `/${observer}`}`
const attach = (agent: string, observer: Registered, json: object = {}, key = observer.key) =>
  call('PUT', at(agent, observer.name), { key, json })
const detach = (agent: string, observer: Registered, key = observer.key) =>
  call('DELETE', at(agent, observer.name), { key })
const tell = (agent: Registered, data: unknown, more: object = {}) =>
  call('POST', '/v1/messages', {
    key: agent.key,
    json: { topic: `agents.${agent.name}`, type: 'task.done', data, ...more },
  })
const mail = async ({ name }: Registered): Promise<Body[]> =>
  (await call('GET', `/v1/agents/${name}/deliveries`)).body.items

describe('an observer', () => {
  it('is attached once, however often: 201, then 200, and one delivery for each event (A63)', async () => {
    const [agent, observer] = [await pullAgent(), await pullAgent()]
    const first = await attach(agent.name, observer)
    expect([first.status, first.body]).toEqual([
      201,
      { agent: agent.name, observer: observer.name, topic: `agents.${agent.name}`, announcements: false },
    ])
    expect((await attach(agent.name, observer)).status).toBe(200)
    await tell(agent, { n: 1 })
    expect(await mail(observer)).toHaveLength(1)
    expect((await call('GET', at(agent.name), { key: agent.key })).body.items).toEqual([first.body])
  })

  it('gets the whole event, its data too, and with a filter and a view what it asked for (A63, A65, T10)', async () => {
    const [agent, all, some] = [await pullAgent(), await pullAgent(), await pullAgent()]
    await attach(agent.name, all)
    await attach(agent.name, some, { filter: { eq: ['data.level', 'high'] }, select: ['title'] })
    await tell(agent, { level: 'high', title: 'Tea', raw: 'x' }, { subject: 's' })
    await tell(agent, { level: 'low', title: 'Milk' })
    const { message } = await leaseOne(all)
    expect(message).toMatchObject({
      source: agent.name,
      type: 'task.done',
      subject: 's',
      data: { title: 'Tea', raw: 'x' },
    })
    expect((await leaseOne(some)).message.data).toEqual({ title: 'Tea' })
    expect(await mail(some)).toHaveLength(1)
  })

  it('is told by itself: one whose mailbox is full takes nothing from the others (A65, A66)', async () => {
    const [agent, full, well] = [await pullAgent(), await pullAgent({ depth: 1 }), await pullAgent()]
    for (const observer of [full, well]) await attach(agent.name, observer)
    await tell(agent, { n: 1 })
    const { status, body } = await tell(agent, { n: 2 })
    expect([status, body.fanout]).toEqual([202, 2])
    expect([(await mail(full)).length, (await mail(well)).length]).toEqual([1, 2])
  })

  it('has the same delivery of an event that is told twice: the id is made of the event and the observer (A67)', async () => {
    const [agent, ada, bob] = [await pullAgent(), await pullAgent(), await pullAgent()]
    for (const observer of [ada, bob]) await attach(agent.name, observer)
    const id = freshName('event')
    const [first, again] = [await tell(agent, { n: 1 }, { id }), await tell(agent, { n: 1 }, { id })]
    expect(again.body).toMatchObject({
      duplicate: true,
      deliveries: first.body.deliveries.map(({ id }: Body) => ({ id })),
    })
    const ids = first.body.deliveries.map((d: Body) => d.id.split('_'))
    expect(ids.map(([name]: string[]) => name).sort()).toEqual([ada.name, bob.name].sort())
    expect(new Set(ids.map(([, mid]: string[]) => mid)).size).toBe(1)
  })

  it('hears the agent itself: nobody else may publish to its topic, or below it (S1)', async () => {
    const [agent, forger] = [await pullAgent(), await pullAgent()]
    for (const topic of [`agents.${agent.name}`, `agents.${agent.name}.status`]) {
      const forged = await call('POST', '/v1/messages', { key: forger.key, json: { topic, type: 'x' } })
      expect([forged.status, forged.body.code]).toEqual([403, 'forbidden'])
    }
    const reply = { to: agent.name, type: 'x', replyto: `topic:agents.${agent.name}` }
    expect((await call('POST', '/v1/messages', { key: forger.key, json: reply })).status).toBe(403)
  })
})

describe('detaching', () => {
  it('is 204 both times; what waits is cancelled, what is worked on is finished, and nothing more comes (A64)', async () => {
    const [agent, observer] = [await pullAgent(), await pullAgent()]
    await attach(agent.name, observer)
    for (const n of [1, 2, 3]) await tell(agent, { n })
    await send(observer.name)
    const held = await leaseOne(observer)
    for (let i = 0; i < 2; i++) expect((await detach(agent.name, observer)).status).toBe(204)
    const statuses = (await mail(observer)).map((d) => [d.message.topic === undefined, d.status])
    expect(statuses.filter(([direct]) => direct)).toEqual([[true, 'held']])
    expect(
      statuses
        .filter(([direct]) => !direct)
        .map(([, status]) => status)
        .sort(),
    ).toEqual(['cancelled', 'cancelled', 'claimed'])
    const { token, id } = held
    expect((await call('POST', `/v1/deliveries/${id}/ack`, { key: observer.key, json: { token } })).status).toBe(200)
    expect((await receipt(id)).status).toBe('completed')
    await tell(agent, { n: 4 })
    expect(await mail(observer)).toHaveLength(4)
  })

  it('leaves what the observer hears by a subscription of its own', async () => {
    const [agent, observer] = [await pullAgent(), await pullAgent()]
    const json = { agent: observer.name, topic: `agents.${agent.name}` }
    await call('PUT', `/v1/subscriptions/${freshName('own')}`, { key: observer.key, json })
    await attach(agent.name, observer)
    await tell(agent, { n: 1 })
    await detach(agent.name, observer)
    expect((await mail(observer)).map((d) => d.status)).toEqual(['held'])
    expect((await call('GET', at(agent.name))).body.items).toEqual([])
  })
})

describe('announcements', () => {
  it('tell an observer that asked for them of dead letters, by ids and without data (A65, A111)', async () => {
    const [agent, observer] = [await pullAgent(), await pullAgent()]
    expect((await attach(agent.name, observer, { announcements: true })).body.code).toBe('forbidden')
    const attached = await call('PUT', at(agent.name, observer.name), { json: { announcements: true } })
    expect([attached.status, attached.body.announcements]).toEqual([201, true])
    expect((await call('GET', at(agent.name))).body.items).toEqual([attached.body])
    const id = (await send(agent.name, { data: { secret: 1 } })).body.deliveries[0].id
    const { token } = await leaseOne(agent)
    await call('POST', `/v1/deliveries/${id}/nack`, { key: agent.key, json: { token, terminal: true } })
    const { message } = await leaseOne(observer, { waitSeconds: 4 })
    expect(message).toMatchObject({
      type: 'switchboard.delivery.dead_lettered',
      source: 'switchboard',
      subject: agent.name,
    })
    expect(message).toMatchObject({ delivery: id, reason: 'terminal' })
    expect(message.data).toBeUndefined()
    await attach(agent.name, observer)
    expect((await call('GET', at(agent.name))).body.items[0].announcements).toBe(false)
  })

  it('of a dead announcement there is none: they do not feed on themselves', async () => {
    const [agent, observer, second] = [await pullAgent(), await pullAgent(), await pullAgent()]
    await call('PUT', at(agent.name, observer.name), { json: { announcements: true } })
    await call('PUT', at(observer.name, second.name), { json: { announcements: true } })
    const kill = async (one: Registered, held: Body) => {
      const json = { token: held.token, terminal: true }
      await call('POST', `/v1/deliveries/${held.id}/nack`, { key: one.key, json })
    }
    await send(agent.name)
    await kill(agent, await leaseOne(agent))
    await kill(observer, await leaseOne(observer, { waitSeconds: 4 }))
    // That of its ordinary mail comes; had the announcement's death been told, it had come before.
    await send(observer.name)
    const mine = await leaseOne(observer)
    await kill(observer, mine)
    expect((await leaseOne(second, { waitSeconds: 4 })).message.delivery).toBe(mine.id)
  })
})

describe('a workflow', () => {
  it('tells whoever subscribes to it how it stands, by ids and without its state', async () => {
    const observer = await pullAgent()
    const id = freshName('w')
    const json = { agent: observer.name, topic: `switchboard.workflow.${id}` }
    await call('PUT', `/v1/subscriptions/${freshName('s')}`, { json })
    await call('POST', '/v1/workflows', { json: { id, state: { secret: 1 } } })
    const told = [(await leaseOne(observer, { waitSeconds: 4 })).message]
    await call('POST', `/v1/workflows/${id}/pause`, { json: { reason: 'lunch' } })
    told.push((await leaseOne(observer, { waitSeconds: 4 })).message)
    await call('DELETE', `/v1/workflows/${id}`)
    told.push((await leaseOne(observer, { waitSeconds: 4 })).message)
    const types = ['running', 'paused', 'cancelled'].map((status) => `switchboard.workflow.${status}`)
    expect(told.map((m) => m.type)).toEqual(types)
    for (const message of told)
      expect([message.source, message.subject, message.data]).toEqual(['switchboard', id, undefined])
  })
})

describe('who may', () => {
  it('an agent observes for itself and an admin for anybody; neither end may be missing', async () => {
    const [agent, observer, stranger] = [await pullAgent(), await pullAgent(), await pullAgent()]
    expect((await attach(agent.name, observer, {}, stranger.key)).status).toBe(403)
    expect((await attach(agent.name, observer, {}, agent.key)).status).toBe(403)
    expect((await attach(freshName(), observer)).body.code).toBe('agent_not_found')
    expect((await call('PUT', at(agent.name, freshName()), { json: {} })).body.code).toBe('agent_not_found')
    expect((await call('PUT', at(agent.name, 'Not_A_Name'), { json: {} })).body.code).toBe('agent_not_found')
    await attach(agent.name, observer)
    expect((await detach(agent.name, observer, stranger.key)).status).toBe(403)
    expect((await call('GET', at(agent.name), { key: stranger.key })).status).toBe(403)
    const quiet = await pullAgent({}, { permissions: { subscribe: [] } })
    expect((await attach(agent.name, quiet)).status).toBe(403)
  })
})
