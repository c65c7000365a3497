/** Schemas over HTTP, and what they do to a publish, in real workerd (A42). */
import { env } from 'cloudflare:workers'
import { beforeEach, describe, expect, it } from 'vitest'
import { limits } from '../../shared/limits.ts'
import { Unavailable } from '../../workers/platform.ts'
import { adminKey, call, freshName, leaseOne, pullAgent, receipt, send, sendId } from './gateway.ts'
import { ownSwitchboard, stoppedClock } from './switchboard.ts'

const put = (name: string, json: object, key = adminKey) => call('PUT', `/v1/schemas/${name}`, { key, json })
const get = (name: string, key = adminKey) => call('GET', `/v1/schemas/${name}`, { key })
const order = { type: 'object', required: ['title'], properties: { title: { type: 'string' } } }
const fresh = () => freshName('schema')
/** A type that only this test has. */
const freshType = () => `t${crypto.randomUUID().slice(0, 8)}`

// Each test registers what it needs; what the one before left is for types that nobody sends any more.
beforeEach(async () => {
  for (const { name } of (await call('GET', '/v1/schemas')).body.items) await call('DELETE', `/v1/schemas/${name}`)
})

describe('a schema', () => {
  it('is 201 when it is new, reads back as it was put, and is 200 and unchanged when it is put again (TB32)', async () => {
    const name = fresh()
    const json = { match: { type: 'orders.*', topic: 'shop.>' }, schema: order, enforce: 'warn' }
    const { status, body } = await put(name, json)
    expect([status, body]).toEqual([201, { name, ...json, version: body.version, updatedAt: body.updatedAt }])
    expect((await get(name)).body).toEqual(body)
    expect(await put(name, json)).toMatchObject({ status: 200, body })
    expect((await put(name, { ...json, enforce: 'reject' })).body.version).toBeGreaterThan(body.version)
  })

  it('is read by whoever has a key, and changed by an admin only', async () => {
    const [{ key }, name] = [await pullAgent(), fresh()]
    await put(name, { match: { type: 'x' }, schema: true })
    expect([(await get(name, key)).status, (await call('GET', '/v1/schemas', { key })).status]).toEqual([200, 200])
    for (const { status, body } of [
      await put(name, { match: { type: 'x' }, schema: true }, key),
      await call('DELETE', `/v1/schemas/${name}`, { key }),
    ])
      expect([status, body.code]).toEqual([403, 'forbidden'])
  })

  it('that could not be used is refused, with a pointer to what is wrong', async () => {
    const { status, body } = await put(fresh(), {
      match: { type: 'x' },
      schema: { properties: { a: { $ref: 'https://example.com' } } },
    })
    expect([status, body.code, body.issues[0].path]).toEqual([400, 'invalid_request', 'schema./properties/a/$ref'])
    expect((await put('a.b', { match: { type: 'x' }, schema: true })).status).toBe(400)
    expect((await get(fresh())).status).toBe(404)
  })

  it('of too many, or too large all together, is refused', async () => {
    const directory = env.DIRECTORY.getByName('all')
    const input = { match: { type: 'x' }, schema: order, enforce: 'reject' } as const
    await put(fresh(), input)
    expect(await directory.putSchema(fresh(), input, { max: 1, maxBytes: limits.schemasBytes })).toEqual({
      status: 'too_many',
    })
    expect(await directory.putSchema(fresh(), input, { max: 9, maxBytes: 200 })).toEqual({ status: 'too_many' })
  })
})

describe('a publish', () => {
  it('whose data does not fit is 422 with where and what, and nothing is stored (A42)', async () => {
    const [agent, name, type] = [await pullAgent(), fresh(), freshType()]
    await put(name, { match: { type }, schema: order })
    const { status, body } = await send(agent.name, { type, data: { title: 5 } })
    expect([status, body.code, body.schema]).toEqual([422, 'schema_mismatch', name])
    expect(body.mismatches).toMatchObject([{ pointer: '/data/title', schemaPointer: '/properties/title/type' }])
    expect((await call('GET', `/v1/agents/${agent.name}/deliveries`)).body.items).toEqual([])
    expect((await send(agent.name, { type, data: { title: 'a' } })).status).toBe(202)
  })

  it('to a topic of it, with no data, or with bytes, is held to it too; what it is not for is not', async () => {
    const [{ name: agent }, topic, type] = [await pullAgent(), freshType(), freshType()]
    await put(fresh(), { match: { topic: `${topic}.>`, type }, schema: order })
    const publish = (json: object) => call('POST', '/v1/messages', { json: { onunroutable: 'drop', ...json } })
    for (const json of [{ data: 1 }, {}, { data_base64: 'AAAA' }])
      expect((await publish({ topic: `${topic}.a`, type, ...json })).body.code).toBe('schema_mismatch')
    expect((await publish({ topic: `${topic}.a`, type: 'other', data: 1 })).status).toBe(202)
    expect((await send(agent, { type, data: 1 })).status).toBe(202)
  })

  it('whose data have a name with half a character in it is told so, and so is a schema that has one', async () => {
    const type = freshType()
    await put(fresh(), { match: { type }, schema: { additionalProperties: { type: 'number' } } })
    const { name } = await pullAgent()
    const { status, body } = await send(name, { type, data: { '\ud800': 1 } })
    expect([status, body.code]).toEqual([422, 'schema_mismatch'])
    expect(JSON.stringify(body)).toContain('half a character')
    const refused = await put(fresh(), { match: { type }, schema: { '\ud800': 1 } })
    expect([refused.status, refused.body.issues[0].message]).toEqual([400, expect.stringContaining('half a character')])
  })

  it('in a batch spoils none of its neighbours', async () => {
    const [agent, type] = [await pullAgent(), freshType()]
    await put(fresh(), { match: { type }, schema: order })
    const one = (data: unknown) => ({ to: agent.name, type, data })
    const { body } = await call('POST', '/v1/messages/batch', {
      json: [one({ title: 'a' }), one(5), one({ title: 'b' })],
    })
    expect(body.results.map((r: { status: number }) => r.status)).toEqual([202, 422, 202])
    expect(body.results[1].problem.code).toBe('schema_mismatch')
  })

  it('that a schema only warns of is accepted, and told', async () => {
    const [agent, name, type] = [await pullAgent(), fresh(), freshType()]
    await put(name, { match: { type }, schema: order, enforce: 'warn' })
    const { status, body } = await send(agent.name, { type, data: {} })
    expect([status, body.warnings]).toMatchObject([202, [{ schema: name, mismatches: [{ pointer: '/data' }] }]])
    expect((await send(agent.name, { type, data: { title: 'a' } })).body.warnings).toBeUndefined()
  })

  it('that was accepted before the schema came is a duplicate when it is repeated, not a refusal', async () => {
    const [agent, type] = [await pullAgent(), freshType()]
    const first = await send(agent.name, { type, id: 'm', data: 1 })
    await put(fresh(), { match: { type }, schema: order })
    const again = await send(agent.name, { type, id: 'm', data: 1 })
    expect([again.status, again.body.duplicate, again.body.deliveries[0].id]).toEqual([
      202,
      true,
      first.body.deliveries[0].id,
    ])
    expect((await send(agent.name, { type, id: 'n', data: 1 })).status).toBe(422)
  })

  it('is free again when the schema is deleted', async () => {
    const [agent, name, type] = [await pullAgent(), fresh(), freshType()]
    await put(name, { match: { type }, schema: false })
    expect((await send(agent.name, { type, data: 1 })).status).toBe(422)
    for (let i = 0; i < 2; i++) expect((await call('DELETE', `/v1/schemas/${name}`)).status).toBe(204)
    expect((await send(agent.name, { type, data: 1 })).status).toBe(202)
  })
})

describe('a request', () => {
  it('whose data does not fit is refused at once (A42)', async () => {
    const [agent, type] = [await pullAgent(), freshType()]
    await put(fresh(), { match: { type }, schema: order })
    const { status, body } = await call('POST', '/v1/requests', { json: { to: agent.name, type, data: {} } })
    expect([status, body.code]).toEqual([422, 'schema_mismatch'])
  })
})

describe('an effect of an agent', () => {
  it('that does not fit is refused with the same reason; its delivery is done all the same, and the others go (A42, E1)', async () => {
    const [worker, target, type] = [await pullAgent(), await pullAgent(), freshType()]
    await put(fresh(), { match: { type }, schema: order })
    const id = await sendId(worker.name)
    const { token } = await leaseOne(worker)
    const message = (data: unknown) => ({ to: target.name, type, data })
    const effects = { messages: [message({ title: 5 }), message({ title: 'a' })] }
    expect((await call('POST', `/v1/deliveries/${id}/ack`, { key: worker.key, json: { token, effects } })).status).toBe(
      200,
    )
    let states: { status: string; reason?: string; detail?: string }[] = []
    await expect
      .poll(async () => {
        states = (await receipt(id)).effects.map((e: { state: object }) => e.state)
        return states.map((s) => s.status)
      })
      .toEqual(['refused', 'carried'])
    expect(states[0]).toMatchObject({ reason: 'schema_mismatch', detail: expect.stringContaining('/data/title') })
    const letters = (await call('GET', `/v1/dead-letters?agent=${worker.name}`)).body.items
    expect(letters).toMatchObject([
      { reason: 'effect_refused', error: { message: expect.stringContaining('/data/title') } },
    ])
  })
})

describe('what an isolate remembers of schemas', () => {
  /** An isolate of its own, with the calls that it made to the directory. */
  const isolate = (broken = { directory: false }) => {
    const [clock, asked] = [stoppedClock(), [] as string[]]
    const own = ownSwitchboard({
      ports: ({ directory }) => ({
        now: clock.now,
        directory: () =>
          new Proxy(directory(), {
            get: (port, method) => {
              asked.push(String(method))
              if (broken.directory) return () => Promise.reject(new Unavailable('directory', 'it is away'))
              return Reflect.get(port, method)
            },
          }),
      }),
    })
    const publish = async (to: string, type: string, key = adminKey) =>
      (await own('POST', '/v1/messages', { key, json: { to, type, data: 1 } })).status
    return { own, clock, asked, publish }
  }

  it('holds for five seconds: then a schema is in force there too, and one call asks for all', async () => {
    const [{ name: to }, type, { clock, asked, publish }] = [await pullAgent(), freshType(), isolate()]
    expect(await publish(to, type)).toBe(202)
    await put(fresh(), { match: { type }, schema: false })
    clock.at += 4_999
    expect(await publish(to, type)).toBe(202)
    clock.at += 1
    expect(await publish(to, type)).toBe(422)
    expect(asked.filter((method) => method === 'schemasSince')).toHaveLength(2)
  })

  it('comes with a key that is looked up, so that its holder pays no other call', async () => {
    const [agent, type, { clock, asked, publish }] = [await pullAgent(), freshType(), isolate()]
    await publish(agent.name, type, agent.key)
    asked.length = 0
    for (let i = 0; i < 3; i++) {
      clock.at += 5_000
      expect(await publish(agent.name, type, agent.key)).toBe(202)
    }
    expect(asked).toEqual(['findKey', 'findKey', 'findKey'])
    await put(fresh(), { match: { type }, schema: false })
    clock.at += 5_000
    expect(await publish(agent.name, type, agent.key)).toBe(422)
    expect(asked.slice(3)).toEqual(['findKey', 'schemasSince'])
  })

  it('is enough while the directory is away; an isolate that knows nothing yet accepts nothing unjudged', async () => {
    const [{ name: to }, type, broken] = [await pullAgent(), freshType(), { directory: false }]
    const known = isolate(broken)
    expect(await known.publish(to, type)).toBe(202)
    broken.directory = true
    known.clock.at += 60_000
    expect(await known.publish(to, type)).toBe(202)
    expect(await isolate(broken).publish(to, type)).toBe(503)
  })

  it('of one that changed them itself is read anew at once', async () => {
    const [{ name: to }, type, name, { own, publish }] = [await pullAgent(), freshType(), fresh(), isolate()]
    expect(await publish(to, type)).toBe(202)
    await own('PUT', `/v1/schemas/${name}`, { json: { match: { type }, schema: false } })
    expect(await publish(to, type)).toBe(422)
    await own('DELETE', `/v1/schemas/${name}`)
    expect(await publish(to, type)).toBe(202)
  })
})
