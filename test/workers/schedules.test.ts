/** Schedules over HTTP, in real workerd: making, reading, pausing, firing and deleting them, and who may (B2). */
import { runDurableObjectAlarm } from 'cloudflare:test'
import { env } from 'cloudflare:workers'
import { describe, expect, it, vi } from 'vitest'
import { limits } from '../../shared/limits.ts'
import { adminKey, call, freshName, leaseOne, pullAgent } from './gateway.ts'

const put = (id: string, json: object, key = adminKey) => call('PUT', `/v1/schedules/${id}`, { key, json })
const get = (id: string, key = adminKey) => call('GET', `/v1/schedules/${id}`, { key })
const post = (id: string, what: string, json?: unknown, key = adminKey) =>
  call('POST', `/v1/schedules/${id}/${what}`, { key, ...(json === undefined ? {} : { json }) })
const fresh = () => freshName('schedule')
const note = (to: string) => ({ to, type: 'test.note', data: { n: 1 } })
const morning = { cron: '0 9 * * 1-5', timezone: 'Europe/Berlin' }
const alarm = () => runDurableObjectAlarm(env.SCHEDULES.getByName('all') as unknown as DurableObjectStub<undefined>)

describe('a schedule', () => {
  it('is 201 when it is new, and reads back with its defaults and its next time', async () => {
    const [{ name }, id] = [await pullAgent(), fresh()]
    const { status, body } = await put(id, { ...morning, message: note(name) })
    expect(status).toBe(201)
    expect(body).toMatchObject({
      ...{ id, createdBy: 'admin', status: 'active', revision: 1, firings: [], ...morning, message: note(name) },
      ...{ overlap: 'skip', catchUp: 'skip', catchUpSeconds: 86_400, jitterSeconds: 0 },
    })
    expect(Date.parse(body.nextAt)).toBeGreaterThan(Date.now())
    expect((await get(id)).body).toEqual(body)
  })

  it('put again is 200 and as it was; changed it has a later revision (TB2)', async () => {
    const [{ name }, id] = [await pullAgent(), fresh()]
    const first = await put(id, { ...morning, message: note(name) })
    expect(await put(id, { message: note(name), ...morning })).toMatchObject({ status: 200, body: first.body })
    expect((await put(id, { ...morning, overlap: 'allow', message: note(name) })).body.revision).toBe(2)
  })

  it('fires by its alarm: the message is in the mailbox, and the schedule says which delivery it became', async () => {
    const [agent, id] = [await pullAgent(), fresh()]
    const at = new Date(Date.now() + 300).toISOString()
    await put(id, { at, message: note(agent.name) })
    const known = await vi.waitUntil(
      async () => {
        const { body } = await get(id)
        return body.status === 'finished' ? body : undefined
      },
      { timeout: 5_000, interval: 50 },
    )
    expect(known.firings).toMatchObject([{ id: `${id}-${at.replace('.000Z', 'Z')}`, at, status: 'published' }])
    const leased = await leaseOne(agent)
    expect(leased).toMatchObject({ id: known.firings[0].delivery, message: { source: 'admin', data: { n: 1 } } })
  })

  it('whose alarm fires twice publishes once', async () => {
    const [agent, id] = [await pullAgent(), fresh()]
    await put(id, { at: new Date(Date.now() + 60).toISOString(), message: note(agent.name) })
    await vi.waitUntil(async () => (await get(id)).body.status === 'finished', { timeout: 5_000, interval: 20 })
    await alarm()
    await alarm()
    const { body } = await call('GET', `/v1/agents/${agent.name}/deliveries`)
    expect(body.items).toHaveLength(1)
  })

  it('is fired at once by trigger: once for each wish, paused or not', async () => {
    const [agent, id] = [await pullAgent(), fresh()]
    await put(id, { ...morning, message: note(agent.name) })
    await post(id, 'pause', { reason: 'holidays' })
    const key = { headers: { 'Idempotency-Key': 'wish' } }
    const { status, body } = await call('POST', `/v1/schedules/${id}/trigger`, key)
    expect([status, body.firings.length, body.firings[0].status, body.firings[0].manual]).toEqual([
      202,
      1,
      'published',
      true,
    ])
    expect((await call('POST', `/v1/schedules/${id}/trigger`, key)).body.firings).toHaveLength(1)
    expect((await post(id, 'trigger')).body.firings).toHaveLength(2)
    expect(
      (await call('POST', `/v1/schedules/${id}/trigger`, { headers: { 'Idempotency-Key': 'x'.repeat(300) } })).status,
    ).toBe(400)
  })

  it('pauses with a reason, and resumes', async () => {
    const [{ name }, id] = [await pullAgent(), fresh()]
    await put(id, { everySeconds: 3_600, message: note(name) })
    const paused = (await post(id, 'pause', { reason: 'holidays' })).body
    expect(paused).toMatchObject({ status: 'paused', paused: { reason: 'holidays', by: 'admin' } })
    expect(paused.nextAt).toBeUndefined()
    expect((await post(id, 'pause')).body.paused.reason).toBe('')
    const resumed = (await post(id, 'resume')).body
    expect([resumed.status, resumed.paused, typeof resumed.nextAt]).toEqual(['active', undefined, 'string'])
  })

  it('is gone after DELETE, which may be repeated', async () => {
    const [{ name }, id] = [await pullAgent(), fresh()]
    await put(id, { ...morning, message: note(name) })
    for (let i = 0; i < 2; i++) expect((await call('DELETE', `/v1/schedules/${id}`)).status).toBe(204)
    for (const answered of [
      await get(id),
      await post(id, 'pause'),
      await post(id, 'resume'),
      await post(id, 'trigger'),
    ])
      expect([answered.status, answered.body.code]).toEqual([404, 'not_found'])
  })

  it('that stands in no list of too many: one owner has so many', async () => {
    const { name, key } = await pullAgent()
    const schedules = env.SCHEDULES.getByName('all')
    const { body } = await put(fresh(), { ...morning, message: note(name) }, key)
    const stored = await schedules.find(body.id)
    if (stored === undefined) throw new Error('not stored')
    const { owner, creator, input } = stored
    const options = { max: limits.schedules, maxOfOwner: 1 }
    expect(await schedules.put({ id: fresh(), owner, creator }, input, options)).toEqual({ status: 'too_many' })
  })
})

describe('what is no schedule is refused before it is stored', () => {
  const cases: readonly (readonly [string, object, number, string])[] = [
    ['no time', { message: note('ada') }, 400, 'invalid_request'],
    ['a time that has passed', { at: '2020-01-01T00:00:00Z', message: note('ada') }, 400, 'invalid_request'],
    ['a day that never comes', { cron: '0 0 31 2 *', message: note('ada') }, 400, 'invalid_request'],
    ['a zone that is none', { cron: '@daily', timezone: 'Mars/Olympus', message: note('ada') }, 400, 'invalid_request'],
    ['a message to nowhere', { ...morning, message: { type: 'x' } }, 400, 'invalid_request'],
    ['a message with an id', { ...morning, message: { ...note('ada'), id: 'mine' } }, 400, 'invalid_request'],
    ['a reserved topic', { ...morning, message: { topic: 'switchboard.x', type: 'x' } }, 403, 'forbidden'],
  ]
  for (const [what, json, status, code] of cases)
    it(`${what}: ${status} ${code}`, async () => {
      const id = fresh()
      const answered = await put(id, json)
      expect([answered.status, answered.body.code]).toEqual([status, code])
      expect((await get(id)).status).toBe(404)
    })

  it('data that does not fit its schema: 422 schema_mismatch (A42)', async () => {
    const type = freshName('type')
    await call('PUT', `/v1/schemas/${type}`, { json: { match: { type }, schema: { type: 'string' } } })
    const answered = await put(fresh(), { ...morning, message: { ...note('ada'), type } })
    expect([answered.status, answered.body.code]).toEqual([422, 'schema_mismatch'])
  })

  it('an id with a dot: 400', async () => {
    expect((await put('a.b', { ...morning, message: note('ada') })).body.code).toBe('invalid_request')
  })
})

describe('who may', () => {
  it('whoever made it, as its source, and an admin; others are refused', async () => {
    const [ada, bob, id] = [await pullAgent(), await pullAgent(), fresh()]
    const json = { ...morning, message: note(ada.name) }
    expect((await put(id, json, ada.key)).body).toMatchObject({ createdBy: ada.name })
    const tries = [
      await put(id, json, bob.key),
      await get(id, bob.key),
      await post(id, 'pause', undefined, bob.key),
      await post(id, 'trigger', undefined, bob.key),
      await call('DELETE', `/v1/schedules/${id}`, { key: bob.key }),
    ]
    for (const { status, body } of tries) expect([status, body.code]).toEqual([403, 'forbidden'])
    // An admin may change it; it stays its creator's, and speaks as its creator (S1).
    expect((await put(id, { ...json, overlap: 'allow' })).body).toMatchObject({ createdBy: ada.name, overlap: 'allow' })
    await post(id, 'trigger')
    expect((await leaseOne(ada)).message.source).toBe(ada.name)
  })

  it('it may not send where its creator may not', async () => {
    const { name, key } = await pullAgent({}, { permissions: { send: ['bob'] } })
    const refused = await put(fresh(), { ...morning, message: note(name) }, key)
    expect([refused.status, refused.body.code]).toEqual([403, 'forbidden'])
    const foreign = await put(fresh(), { ...morning, message: { ...note('bob'), source: 'admin' } }, key)
    expect([foreign.status, foreign.body.code]).toEqual([403, 'foreign_source'])
  })

  it('an app whose keys are all revoked publishes no more', async () => {
    const [{ name }, id] = [await pullAgent(), fresh()]
    const app = (await call('POST', '/v1/keys', { json: { name: freshName('app') } })).body
    await put(id, { ...morning, message: note(name) }, app.key)
    expect((await post(id, 'trigger', undefined, app.key)).body.firings[0].status).toBe('published')
    await call('DELETE', `/v1/keys/${app.id}`)
    expect((await post(id, 'trigger')).body.firings[0]).toMatchObject({ status: 'refused', code: 'creator_gone' })
  })

  it('an app’s sends no further than a key of it that lives, nor than the key that made it (S1)', async () => {
    const [wide, narrow] = [await pullAgent(), await pullAgent()]
    const [toWide, toNarrow, name] = [fresh(), fresh(), freshName('app')]
    const appKey = async (send: string[]) =>
      (await call('POST', '/v1/keys', { json: { name, permissions: { send } } })).body
    const firstOf = async (id: string) => (await post(id, 'trigger')).body.firings[0]
    const before = await appKey(['*'])
    await put(toWide, { ...morning, message: note(wide.name) }, before.key)
    await put(toNarrow, { ...morning, message: note(narrow.name) }, before.key)
    const after = await appKey([narrow.name])
    expect((await firstOf(toWide)).status).toBe('published')
    // What its holder may not send to itself, it cannot have sent by a schedule that was made with another key.
    const bent = await put(toNarrow, { ...morning, message: note(wide.name) }, after.key)
    expect([bent.status, bent.body.code]).toEqual([403, 'forbidden'])
    await call('DELETE', `/v1/keys/${before.id}`)
    expect(await firstOf(toWide)).toMatchObject({ status: 'refused', code: 'forbidden' })
    expect((await firstOf(toNarrow)).status).toBe('published')

    const made = fresh()
    await put(made, { ...morning, message: note(narrow.name) }, after.key)
    await appKey(['*'])
    const widened = await put(made, { ...morning, message: note(wide.name) })
    expect([widened.status, widened.body.code]).toEqual([403, 'forbidden'])
  })

  it('the list is one’s own, page by page', async () => {
    const { name, key } = await pullAgent()
    const ids = Array.from({ length: 3 }, () => fresh()).sort()
    for (const id of ids) await put(id, { ...morning, message: note(name) }, key)
    const listed: string[] = []
    let cursor: string | undefined
    do {
      const query = `limit=2${cursor === undefined ? '' : `&cursor=${cursor}`}`
      const { body } = await call('GET', `/v1/schedules?${query}`, { key })
      listed.push(...body.items.map((s: { id: string }) => s.id))
      cursor = body.cursor
    } while (cursor !== undefined)
    expect(listed).toEqual(ids)
    expect((await call('GET', '/v1/schedules')).body.items.length).toBeGreaterThan(3)
  })
})
