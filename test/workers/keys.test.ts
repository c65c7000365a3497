/** Keys of apps over HTTP. */
import { describe, expect, it } from 'vitest'
import { call, freshName, pullAgent, sendId } from './gateway.ts'
import { ownSwitchboard, stoppedClock } from './switchboard.ts'

const appKey = (more: object = {}) => call('POST', '/v1/keys', { json: { name: freshName('app'), ...more } })

describe('an app key', () => {
  it('is shown once and publishes as app/<name>', async () => {
    const bob = await pullAgent()
    const name = freshName('ci')
    const { status, body } = await call('POST', '/v1/keys', { json: { name } })
    expect(status).toBe(201)
    expect(body.key).toMatch(/^sk_app_[A-Za-z0-9_-]{43}$/)
    const id = await sendId(bob.name, {}, { key: body.key })
    expect((await call('GET', `/v1/deliveries/${id}`, { key: body.key })).body.message.source).toBe(`app/${name}`)
  })

  it('may do what its permissions say and no more (A131)', async () => {
    const [ann, bob] = [await pullAgent(), await pullAgent()]
    const { body } = await appKey({ permissions: { send: [ann.name] } })
    const to = (agent: string, more: object = {}) =>
      call('POST', '/v1/messages', { key: body.key, json: { to: agent, type: 't', ...more } })
    expect((await to(ann.name)).status).toBe(202)
    expect(await to(bob.name)).toMatchObject({ status: 403, body: { code: 'forbidden', subject: bob.name } })
    expect(await to(ann.name, { source: bob.name })).toMatchObject({ status: 403, body: { code: 'foreign_source' } })
    expect((await call('POST', `/v1/agents/${ann.name}/pause`, { key: body.key })).status).toBe(403)
  })

  it('expires when it was told to (A132)', async () => {
    const clock = stoppedClock()
    const own = ownSwitchboard({ ports: () => ({ now: clock.now }) })
    const json = { name: freshName('app'), expiresInSeconds: 60 }
    const { body } = await own('POST', '/v1/keys', { json })
    expect(Date.parse(body.expiresAt)).toBe(clock.at + 60_000)
    const list = () => own('GET', '/v1/agents', { key: body.key })
    clock.at += 59_999
    expect((await list()).status).toBe(200)
    clock.at += 1
    const expired = await list()
    expect(expired).toMatchObject({ status: 401, body: { code: 'unauthenticated' } })
    expect(expired.body.detail).toContain(body.expiresAt)
  })

  it('is listed by id with its permissions, never with the key or its hash, and goes when revoked (A132)', async () => {
    const name = freshName('app')
    const { body } = await call('POST', '/v1/keys', { json: { name, permissions: { send: ['a'] } } })
    const listed = async () => {
      const { body } = await call('GET', '/v1/keys')
      return body.items.find((key: { owner: string }) => key.owner === `app/${name}`)
    }
    const found = await listed()
    expect(found).toMatchObject({ id: body.id, permissions: { send: ['a'], sources: [`app/${name}`] } })
    expect(JSON.stringify(found)).not.toMatch(/sk_|hash/)
    expect((await call('DELETE', `/v1/keys/${body.id}`)).status).toBe(204)
    expect(await listed()).toBeUndefined()
    expect((await ownSwitchboard()('GET', '/v1/agents', { key: body.key })).status).toBe(401)
    expect(await call('DELETE', `/v1/keys/${body.id}`)).toMatchObject({ status: 404, body: { code: 'not_found' } })
  })

  it('is listed page by page, as many as were asked for', async () => {
    for (let n = 0; n < 3; n++) await appKey()
    const page = async (query: string) => (await call('GET', `/v1/keys?${query}`)).body
    const whole = await page('')
    const [first, second] = [await page('limit=2'), await page(`limit=2&cursor=${whole.items[1].id}`)]
    expect([first.items, first.cursor]).toEqual([whole.items.slice(0, 2), whole.items[1].id])
    expect(second.items).toEqual(whole.items.slice(2, 4))
    expect((await page('limit=101')).code).toBe('invalid_request')
  })

  it('is made once for one Idempotency-Key: a repeat is told which it was, and makes none', async () => {
    const [name, other] = [freshName('ci'), freshName('ci')]
    const make = (app: string, key = 'once') =>
      call('POST', '/v1/keys', { json: { name: app }, headers: { 'Idempotency-Key': key } })
    const [first, again] = [await make(name), await make(name)]
    expect([first.status, again.status, again.body.code, again.body.id]).toEqual([
      201,
      409,
      'already_made',
      first.body.id,
    ])
    expect(JSON.stringify(again.body)).not.toContain('sk_')
    expect([(await make(other)).status, (await make(name, 'another')).status]).toEqual([201, 201])
    expect((await call('DELETE', `/v1/keys/${first.body.id}`)).status).toBe(204)
    expect((await make(name)).status).toBe(201)
    expect((await make(name, '')).body.code).toBe('invalid_request')
  })

  it('is one of at most 20 of its app', async () => {
    const name = freshName('app')
    for (let n = 0; n < 20; n++) expect((await call('POST', '/v1/keys', { json: { name } })).status).toBe(201)
    expect(await call('POST', '/v1/keys', { json: { name } })).toMatchObject({
      status: 409,
      body: { code: 'too_many_keys' },
    })
  })

  it.each([
    [{}, 'name'],
    [{ name: 'Not a name' }, 'name'],
    [{ name: 'a', permissions: { fly: ['*'] } }, 'fly'],
    [{ name: 'a', expiresInSeconds: 0 }, 'expiresInSeconds'],
    [{ name: 'a', admin: true }, 'admin'],
  ])('is not made of %j', async (json, path) => {
    const { status, body } = await call('POST', '/v1/keys', { json })
    expect([status, body.code]).toEqual([400, 'invalid_request'])
    expect(body.detail).toContain(path)
  })

  it.each([
    ['GET', '/v1/keys'],
    ['POST', '/v1/keys'],
    ['DELETE', '/v1/keys/key_1'],
  ])('%s %s is for an admin', async (method, path) => {
    const ann = await pullAgent()
    const app = await appKey()
    for (const key of [ann.key, app.body.key])
      expect(await call(method, path, { key })).toMatchObject({ status: 403, body: { code: 'forbidden' } })
  })
})
