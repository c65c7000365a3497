/** Batches and collapse as a caller of the HTTP interface sees them. What a webhook gets: test/system/webhooks.test.ts. */
import { describe, expect, it } from 'vitest'
import { call, freshName, leaseOne, pullAgent } from './gateway.ts'

const put = (json: unknown, name = freshName()) => call('PUT', `/v1/agents/${name}`, { json })
const webhook = (policy: object) => ({ kind: 'webhook', url: 'https://ada.example/inbox', policy })

describe('`policy.batch`', () => {
  it('is answered with its defaults filled in (A77)', async () => {
    const { body } = await put(webhook({ batch: { key: 'correlationid' } }))
    expect(body.policy.batch).toEqual({
      size: 10,
      waitSeconds: 1,
      bytes: 1_048_576,
      key: 'correlationid',
      format: 'json',
    })
    expect((await put(webhook({}))).body.policy).not.toHaveProperty('batch')
  })

  it.each([
    ['a pull agent', { kind: 'pull', policy: { batch: {} } }, 'policy.batch'],
    ['one attempt', webhook({ batch: {}, maxAttempts: 1 }), 'policy.maxAttempts'],
    [
      'a numbered text to be acked later',
      webhook({ batch: { format: 'numbered-text' }, ack: 'later' }),
      'policy.batch.format',
    ],
    ['nothing to wait for', webhook({ batch: { size: 0 } }), 'policy.batch.size'],
    ['a key that is none', webhook({ batch: { key: 'subject' } }), 'policy.batch.key'],
  ])('is refused with %s, by its place', async (_, registration, path) => {
    const { status, body } = await put(registration)
    expect([status, body.issues?.map((i: { path: string }) => i.path)]).toEqual([400, [path]])
  })
})

describe('the `batch` of a subscription', () => {
  const subscribe = (agent: string, batch: unknown, id = freshName('sub')) =>
    call('PUT', `/v1/subscriptions/${id}`, { json: { agent, topic: 'news', batch } })

  it('is answered with its defaults filled in, and changing it is another version (A77)', async () => {
    const [agent, id] = [freshName(), freshName('sub')]
    await put(webhook({}), agent)
    const { status, body } = await subscribe(agent, { size: 2 }, id)
    const shown = { size: 2, waitSeconds: 1, bytes: 1_048_576, format: 'json' }
    expect([status, body.batch]).toEqual([201, shown])
    expect((await subscribe(agent, { size: 2 }, id)).body.version).toBe(body.version)
    expect((await subscribe(agent, { size: 3 }, id)).body.version).toBeGreaterThan(body.version)
  })

  it('is refused for a pull agent, and with nothing to wait for', async () => {
    const { name } = await pullAgent()
    const refused = await subscribe(name, {})
    expect([refused.status, refused.body.issues?.map((i: { path: string }) => i.path)]).toEqual([400, ['batch']])
    await put(webhook({}), freshName())
    expect((await subscribe(name, { size: 0 })).status).toBe(400)
  })
})

describe('`collapsekey`', () => {
  const publish = (to: string, more: object) =>
    call('POST', '/v1/messages', { json: { to, type: 'state.changed', ...more } })
  const idOf = ({ body }: Awaited<ReturnType<typeof publish>>): string => body.deliveries[0].id
  const receipt = async (id: string) => (await call('GET', `/v1/deliveries/${id}`)).body

  it('leaves the newest, and the receipt of the older says which took its place (TB13)', async () => {
    const agent = await pullAgent()
    const { name } = agent
    const older = idOf(await publish(name, { collapsekey: 'k', data: 1, id: 'one' }))
    const newer = idOf(await publish(name, { collapsekey: 'k', data: 2 }))
    expect(await receipt(older)).toMatchObject({ status: 'cancelled', because: 'collapsed', collapsedInto: newer })
    expect(await publish(name, { collapsekey: 'k', data: 1, id: 'one' })).toMatchObject({
      status: 202,
      body: { duplicate: true, deliveries: [{ id: older, status: 'cancelled' }] },
    })
    expect((await leaseOne(agent)).message.data).toBe(2)
  })

  it('holds a debounced one until its key is quiet (TB13)', async () => {
    const { name } = await pullAgent()
    const id = idOf(await publish(name, { collapsekey: 'k', debounceseconds: 60 }))
    const { status, nextAttemptAt, steps } = await receipt(id)
    expect(status).toBe('held')
    expect(Date.parse(nextAttemptAt) - Date.parse(steps[0].at)).toBe(60_000)
  })

  it('is refused where nothing may give way, or nothing is kept', async () => {
    const { name } = await pullAgent()
    const once = await publish(name, { collapsekey: 'k', deliverymode: 'exactly_once', id: 'x' })
    expect([once.status, once.body.code]).toEqual([400, 'invalid_request'])
    const fleeting = await publish(name, { collapsekey: 'k', deliverymode: 'at_most_once' })
    expect([fleeting.status, fleeting.body.code]).toEqual([422, 'not_durable'])
  })

  it('collapses each leg of a publish to many in its own mailbox (TB13)', async () => {
    const [ann, bob] = [await pullAgent(), await pullAgent()]
    const topic = freshName('topic')
    for (const { name } of [ann, bob]) await call('PUT', `/v1/subscriptions/${name}`, { json: { agent: name, topic } })
    const send = async (data: number) => {
      const json = { topic, type: 'state.changed', collapsekey: 'k', data }
      const { body } = await call('POST', '/v1/messages', { json })
      return body.deliveries.map((d: { id: string }) => d.id) as string[]
    }
    const first = await send(1)
    await leaseOne(ann)
    await send(2)
    expect(first).toHaveLength(2)
    const statuses = await Promise.all(first.map(async (id) => [id.split('_')[0], (await receipt(id)).status]))
    expect(Object.fromEntries(statuses)).toEqual({ [ann.name]: 'claimed', [bob.name]: 'cancelled' })
  })
})
