/** Registering, discovering and operating agents over HTTP. */
import { runInDurableObject } from 'cloudflare:test'
import { env } from 'cloudflare:workers'
import { describe, expect, it } from 'vitest'
import type { AgentPort } from '../../shared/agent-port.ts'
import type { DirectoryPort } from '../../shared/directory.ts'
import type { Platform } from '../../shared/ports.ts'
import { Unavailable } from '../../workers/platform.ts'
import { call, freshName, leaseOne, pullAgent, receipt, send, sendId } from './gateway.ts'
import { ownSwitchboard } from './switchboard.ts'

const put = (name: string, json: unknown, key?: string) =>
  call('PUT', `/v1/agents/${name}`, { json, ...(key === undefined ? {} : { key }) })

const forbidden = { status: 403, body: { code: 'forbidden' } }
const notFound = { status: 404, body: { code: 'agent_not_found' } }

describe('registering an agent', () => {
  it('answers 201 with the policy in force and the key, once; then 200 without it (A8)', async () => {
    const name = freshName()
    const created = await put(name, { kind: 'pull', policy: { depth: 7 } })
    expect(created).toMatchObject({ status: 201, body: { agent: name, kind: 'pull', verified: true } })
    expect(created.body.policy).toMatchObject({ depth: 7, maxAttempts: 4, backoff: { initialSeconds: 1 } })
    expect(created.body.key).toMatch(new RegExp(`^sk_${name}_[A-Za-z0-9_-]{43}$`))
    expect(created.body.secret).toBeUndefined()

    const again = await put(name, { kind: 'pull', policy: { depth: 8 } })
    expect(again).toMatchObject({ status: 200, body: { policy: { depth: 8 } } })
    expect(again.body.key).toBeUndefined()
    expect((await call('GET', `/v1/agents/${name}`, { key: created.body.key })).status).toBe(200)
  })

  it('shows a webhook its secret once, and nobody ever again', async () => {
    const name = freshName()
    const json = { kind: 'webhook', url: 'http://127.0.0.1:9/hook' }
    const { status, body } = await put(name, json)
    expect([status, body.url, body.verified]).toEqual([201, 'http://127.0.0.1:9/hook', true])
    expect(body.secret).toMatch(/^whsec_[A-Za-z0-9+/]{43}=$/)
    const texts = [await put(name, json), await call('GET', `/v1/agents/${name}`)].map((a) => JSON.stringify(a.body))
    for (const text of texts) expect(text).not.toContain('whsec_')
  })

  it('is completed by a repeat when the index could not be reached: the repeat has the key', async () => {
    const name = freshName()
    let outages = 1
    const flaky = (directory: Platform['directory']) => () => {
      const port = directory()
      const putAgent: DirectoryPort['putAgent'] = async (agent) => {
        if (outages-- > 0) throw new Unavailable('directory', 'cut')
        return port.putAgent(agent)
      }
      return new Proxy(port, { get: (_, method) => (method === 'putAgent' ? putAgent : Reflect.get(port, method)) })
    }
    const own = ownSwitchboard({ ports: ({ directory }) => ({ directory: flaky(directory) }) })
    const json = { kind: 'webhook', url: 'http://127.0.0.1:9/hook' }
    const first = await own('PUT', `/v1/agents/${name}`, { json })
    expect(first).toMatchObject({ status: 503, body: { code: 'unavailable', retryable: true } })
    expect(first.headers.get('Retry-After')).toBe('1')
    const again = await own('PUT', `/v1/agents/${name}`, { json })
    expect(again).toMatchObject({ status: 200, body: { agent: name } })
    expect((await call('GET', `/v1/agents/${name}`, { key: again.body.key })).status).toBe(200)
  })

  it('changed, has no more permissions than it was given: what a call leaves out of them stays (S1)', async () => {
    const name = freshName()
    const [send, publish] = [['a'], ['news.*']]
    const { body: made } = await put(name, {
      kind: 'pull',
      capabilities: ['x'],
      policy: { depth: 7 },
      permissions: { send },
    })
    expect(made.permissions).toMatchObject({ send, publish: ['*'], sources: [name] })
    const changed = await put(name, { kind: 'pull', policy: { concurrency: 3 }, permissions: { publish } })
    expect(changed.body.permissions).toEqual({ ...made.permissions, send, publish })
    const again = await put(name, { kind: 'pull' })
    expect(again.body.permissions).toEqual(changed.body.permissions)
    // The rest is as the last call says.
    expect(again.body).toMatchObject({ capabilities: [], policy: { depth: 1_000, concurrency: 10 } })
    const to = { to: 'b', type: 't' }
    expect(await call('POST', '/v1/messages', { key: made.key, json: to })).toMatchObject(forbidden)
    const widened = await put(name, { kind: 'pull', permissions: { send: ['*'] } })
    expect(widened.body.permissions).toMatchObject({ send: ['*'], publish })
  })

  it.each([
    [{ kind: 'pull', colour: 'red' }, 'colour'],
    [{ kind: 'pull', policy: { depht: 1 } }, 'depht'],
    [{ kind: 'pull', policy: { backoff: { initialSeconds: -1 } } }, 'policy.backoff'],
    [{ kind: 'carrier pigeon' }, 'kind'],
    [{ kind: 'webhook' }, 'url'],
    [{ kind: 'pull', url: 'https://example.com' }, 'url'],
    [{}, 'kind'],
    [[], '(body)'],
  ])('refuses %j and says where it is wrong', async (json, path) => {
    const { status, body } = await put(freshName(), json)
    expect([status, body.code]).toEqual([400, 'invalid_request'])
    expect(body.detail).toContain(path)
  })

  it.each(['Upper', 'a.b', 'a_b', 'x'.repeat(65), '%E2%82%AC', '%ff'])('refuses the name `%s`', async (name) => {
    expect(await put(name, { kind: 'pull' })).toMatchObject({ status: 400, body: { issues: [{ path: 'agent' }] } })
    expect(await call('GET', `/v1/agents/${name}`)).toMatchObject(notFound)
  })

  it.each(['https://10.0.0.1/', 'http://example.com/', 'https://localhost/', 'nonsense'])(
    'refuses the url %s',
    async (url) => {
      const name = freshName()
      expect(await put(name, { kind: 'webhook', url })).toMatchObject({ status: 422, body: { code: 'invalid_url' } })
      expect(await call('GET', `/v1/agents/${name}`)).toMatchObject(notFound)
    },
  )

  it('is for an admin: an agent may not even widen its own permissions', async () => {
    const ann = await pullAgent()
    expect(await put(ann.name, { kind: 'pull', permissions: { sources: ['*'] } }, ann.key)).toMatchObject(forbidden)
    expect(await put(freshName(), { kind: 'pull' }, ann.key)).toMatchObject(forbidden)
  })
})

describe('discovering agents', () => {
  it('finds them by capability, page by page', async () => {
    const skill = freshName('skill')
    const names = [freshName('a'), freshName('b'), freshName('c')]
    for (const name of names) await put(name, { kind: 'pull', capabilities: [skill, 'other'] })
    const first = await call('GET', `/v1/agents?capability=${skill}&limit=2`)
    const second = await call('GET', `/v1/agents?capability=${skill}&limit=2&cursor=${first.body.cursor}`)
    const found = [...first.body.items, ...second.body.items]
    expect(found.map((one: { agent: string }) => one.agent)).toEqual(names)
    expect(second.body.cursor).toBeUndefined()
    expect(found[0]).toMatchObject({ kind: 'pull', capabilities: [skill, 'other'], verified: true })
  })

  it.each(['limit=0', 'limit=101', 'limit=x', 'capability='])('refuses ?%s', async (query) => {
    expect(await call('GET', `/v1/agents?${query}`)).toMatchObject({ status: 400, body: { code: 'invalid_request' } })
  })

  it('an agent may read every other one`s public face, which has no secrets', async () => {
    const [ann, bob] = [await pullAgent(), await pullAgent()]
    await call('POST', `/v1/agents/${bob.name}/secret`)
    const { status, body } = await call('GET', `/v1/agents/${bob.name}`, { key: ann.key })
    expect(status).toBe(200)
    expect(Object.keys(body).filter((field) => /secret|key|incarnation/.test(field))).toEqual([])
    expect((await call('GET', '/v1/agents', { key: ann.key })).status).toBe(200)
  })

  it('a webhook’s url is told to itself and to an admin, and to nobody else (S2)', async () => {
    const [name, ann] = [freshName(), await pullAgent()]
    const url = 'http://127.0.0.1:9/hooks/T0/B0/pass-word?token=t0p'
    const { body: made } = await put(name, { kind: 'webhook', url })
    const { body: app } = await call('POST', '/v1/keys', { json: { name: freshName('app'), permissions: {} } })
    const read = async (key?: string) =>
      (await call('GET', `/v1/agents/${name}`, { ...(key === undefined ? {} : { key }) })).body
    expect([(await read()).url, (await read(made.key)).url]).toEqual([url, url])
    for (const key of [ann.key, app.key]) {
      const seen = await read(key)
      expect(seen).toMatchObject({ agent: name, kind: 'webhook', verified: true })
      expect(JSON.stringify(seen)).not.toMatch(/127\.0\.0\.1|hooks|t0p/)
    }
  })

  it('the mailboxes of callbacks are in an admin’s list, and in nobody else’s (S2)', async () => {
    const ann = await pullAgent()
    const callback = { url: `http://127.0.0.1:9/${freshName('hook')}` }
    const asked = { to: ann.name, type: 't', timeoutSeconds: 600, callback }
    const sent = { key: ann.key, json: asked, headers: { Prefer: 'respond-async' } }
    expect((await call('POST', '/v1/requests', sent)).status).toBe(202)
    const names = async (key?: string) => {
      const found: string[] = []
      let cursor = ''
      do {
        const { body } = await call('GET', `/v1/agents?limit=2${cursor}`, { ...(key === undefined ? {} : { key }) })
        found.push(...body.items.map((one: { agent: string }) => one.agent))
        cursor = body.cursor === undefined ? '' : `&cursor=${body.cursor}`
      } while (cursor !== '')
      return found
    }
    const all = await names()
    expect(all.filter((name) => name.startsWith('callback-'))).not.toEqual([])
    expect(await names(ann.key)).toEqual(all.filter((name) => !name.startsWith('callback-')))
  })

  it('an unknown agent is 404 everywhere, and asking leaves nothing in storage (A82)', async () => {
    const name = freshName('nobody')
    const asks = [
      ['GET', ''],
      ['DELETE', ''],
      ['GET', '/mailbox'],
      ['POST', '/pause'],
      ['POST', '/resume'],
      ['POST', '/verify'],
      ['POST', '/secret'],
      ['GET', '/keys'],
      ['POST', '/keys'],
      ['GET', '/deliveries'],
    ] as const
    for (const [method, rest] of asks)
      expect(await call(method, `/v1/agents/${name}${rest}`), `${method} ${rest}`).toMatchObject(notFound)
    await runInDurableObject(env.AGENTS.getByName(name), async (_object, state) => {
      expect(
        state.storage.sql.exec("SELECT name FROM sqlite_master WHERE name NOT LIKE '\\_cf%' ESCAPE '\\'").toArray(),
      ).toEqual([])
      expect(await state.storage.getAlarm()).toBeNull()
    })
  })
})

describe('operating an agent', () => {
  it('a paused agent`s mail waits at no attempt and goes on when it is resumed (TB28)', async () => {
    const ann = await pullAgent()
    const paused = await call('POST', `/v1/agents/${ann.name}/pause`, { key: ann.key, json: { reason: 'lunch' } })
    expect(paused).toMatchObject({ status: 200, body: { paused: { reason: 'lunch' } } })
    const id = await sendId(ann.name)
    expect(await receipt(id)).toMatchObject({ status: 'parked', because: 'paused: lunch', attempt: 0 })
    expect(await leaseOne(ann)).toBeUndefined()
    const resumed = await call('POST', `/v1/agents/${ann.name}/resume`, { key: ann.key })
    expect(resumed.body.paused).toBeUndefined()
    expect((await leaseOne(ann)).id).toBe(id)
  })

  it('a secret that is asked for under one Idempotency-Key is made once, and told again until a newer one is there', async () => {
    const [ann, bob] = [await pullAgent(), await pullAgent()]
    const rotate = (agent: string, key: string, as?: string) =>
      call('POST', `/v1/agents/${agent}/secret`, {
        headers: { 'Idempotency-Key': key },
        ...(as === undefined ? {} : { key: as }),
      })
    const [first, again] = [await rotate(ann.name, 'k'), await rotate(ann.name, 'k')]
    expect([first.status, again.status, again.body]).toEqual([200, 200, first.body])
    expect((await rotate(bob.name, 'k')).body.secret).not.toBe(first.body.secret)
    // Another caller's key is another key.
    const newer = await rotate(ann.name, 'k', ann.key)
    expect([newer.status, newer.body.secret === first.body.secret]).toEqual([200, false])
    const late = await rotate(ann.name, 'k')
    expect([late.status, late.body.code, late.body.what]).toEqual([409, 'already_made', 'secret'])
    expect((await rotate(ann.name, 'k', ann.key)).body).toEqual(newer.body)
    expect((await call('POST', `/v1/agents/${ann.name}/secret`)).body.secret).not.toBe(newer.body.secret)
  })

  it('another key of it is made once for one Idempotency-Key, which a repeat is told', async () => {
    const ann = await pullAgent()
    const make = () => call('POST', `/v1/agents/${ann.name}/keys`, { headers: { 'Idempotency-Key': 'k' } })
    const [first, again] = [await make(), await make()]
    expect([first.status, again.status, again.body.code, again.body.id]).toEqual([
      201,
      409,
      'already_made',
      first.body.id,
    ])
    expect((await call('GET', `/v1/agents/${ann.name}/keys`)).body.items).toHaveLength(2)
  })

  it('a pause with an end says when', async () => {
    const ann = await pullAgent()
    const { body } = await call('POST', `/v1/agents/${ann.name}/pause`, { json: { seconds: 60 } })
    expect(Date.parse(body.paused.until) - Date.parse(body.paused.since)).toBe(60_000)
    expect(body.paused.reason).toBe('paused by an operator')
  })

  it('the figures of a mailbox tell how much is in it (A94)', async () => {
    const ann = await pullAgent()
    await sendId(ann.name)
    await sendId(ann.name)
    await leaseOne(ann)
    const { body } = await call('GET', `/v1/agents/${ann.name}/mailbox`, { key: ann.key })
    expect(body).toMatchObject({ agent: ann.name, depth: 2, inFlight: 1, states: { held: 1, claimed: 1, parked: 0 } })
    expect(Date.now() - Date.parse(body.oldestAt)).toBeLessThan(10_000)
    expect(body.redelivered).toBe(0)
  })

  it.each([
    ['GET', 'mailbox'],
    ['POST', 'pause'],
    ['POST', 'resume'],
    ['POST', 'verify'],
    ['POST', 'secret'],
    ['GET', 'keys'],
    ['POST', 'keys'],
    ['DELETE', 'keys/key_1'],
  ])('%s …/%s of another agent is refused, also when there is no such agent', async (method, rest) => {
    const [ann, bob] = [await pullAgent(), await pullAgent()]
    for (const name of [bob.name, freshName('nobody')])
      expect(await call(method, `/v1/agents/${name}/${rest}`, { key: ann.key })).toMatchObject(forbidden)
  })

  it('only a webhook is asked a challenge', async () => {
    const ann = await pullAgent()
    expect(await call('POST', `/v1/agents/${ann.name}/verify`)).toMatchObject({
      status: 409,
      body: { code: 'wrong_kind' },
    })
  })
})

describe('an agent`s keys', () => {
  it('an admin makes another, lists their ids and revokes one', async () => {
    const ann = await pullAgent()
    const made = await call('POST', `/v1/agents/${ann.name}/keys`, { json: { expiresInSeconds: 3_600 } })
    expect(made.status).toBe(201)
    expect(Date.parse(made.body.expiresAt) - Date.now()).toBeGreaterThan(3_500_000)
    expect((await call('GET', `/v1/agents/${ann.name}/mailbox`, { key: made.body.key })).status).toBe(200)
    const { body } = await call('GET', `/v1/agents/${ann.name}/keys`)
    expect(body.items).toHaveLength(2)
    expect(body.items.map((key: { id: string }) => key.id)).toContain(made.body.id)
    expect(JSON.stringify(body)).not.toMatch(/sk_|hash/)
    const path = `/v1/agents/${ann.name}/keys/${made.body.id}`
    expect((await call('DELETE', path)).status).toBe(204)
    expect(await call('DELETE', path)).toMatchObject({ status: 404, body: { code: 'not_found', what: 'key' } })
  })

  it('are at most 20', async () => {
    const ann = await pullAgent()
    for (let n = 1; n < 20; n++) expect((await call('POST', `/v1/agents/${ann.name}/keys`)).status).toBe(201)
    expect(await call('POST', `/v1/agents/${ann.name}/keys`)).toMatchObject({
      status: 409,
      body: { code: 'too_many_keys', agent: ann.name, max: 20 },
    })
  })

  it('are not revoked through another agent`s path', async () => {
    const [ann, bob] = [await pullAgent(), await pullAgent()]
    const { body } = await call('GET', `/v1/agents/${ann.name}/keys`)
    expect((await call('DELETE', `/v1/agents/${bob.name}/keys/${body.items[0].id}`)).status).toBe(404)
  })
})

describe('deleting an agent', () => {
  it('is refused while it has mail, unless that is to end as dead letters (A101)', async () => {
    const ann = await pullAgent()
    const id = await sendId(ann.name)
    expect(await call('DELETE', `/v1/agents/${ann.name}`)).toMatchObject({
      status: 409,
      body: { code: 'agent_has_mail', agent: ann.name, depth: 1 },
    })
    expect(await call('DELETE', `/v1/agents/${ann.name}?mail=burn`)).toMatchObject({ status: 400 })
    expect((await call('DELETE', `/v1/agents/${ann.name}?mail=dead`)).status).toBe(204)
    expect(await receipt(id)).toMatchObject({ status: 'dead_lettered', deadLetter: { reason: 'agent_deleted' } })
    expect(await call('DELETE', `/v1/agents/${ann.name}`)).toMatchObject(notFound)
    expect(await send(ann.name)).toMatchObject(notFound)
  })

  it('hands its mail to another agent if asked to, and what was in flight is fenced (A101)', async () => {
    const [ann, bob] = [await pullAgent(), await pullAgent()]
    const id = await sendId(ann.name, { data: 1 })
    const { token } = await leaseOne(ann)
    const remove = (mail: string) => call('DELETE', `/v1/agents/${ann.name}?mail=${mail}`)
    expect(await remove(`reassign:${freshName()}`)).toMatchObject(notFound)
    expect(await remove(`reassign:${ann.name}`)).toMatchObject({ status: 400, body: { issues: [{ path: 'mail' }] } })
    expect(await remove('reassign:No Such')).toMatchObject({ status: 400, body: { issues: [{ path: 'mail' }] } })
    expect((await receipt(id)).status).toBe('claimed')
    expect((await remove(`reassign:${bob.name}`)).status).toBe(204)
    const told = await receipt(id)
    const moved = await leaseOne(bob)
    expect([told.status, told.steps.at(-2)]).toMatchObject(['cancelled', { step: 'reassigned', detail: moved.id }])
    expect(moved.message).toMatchObject({ to: bob.name, data: 1 })
    const late = await call('POST', `/v1/deliveries/${id}/ack`, { json: { token } })
    expect([late.status, late.body.code]).toEqual([404, 'not_found'])
    expect(await call('DELETE', `/v1/agents/${ann.name}`)).toMatchObject(notFound)
  })

  it('may name a fallback for mail that takes too long, but not itself', async () => {
    const name = freshName()
    const alert = { rung: 'claimed', afterSeconds: 300, fallback: 'bob' }
    expect((await put(name, { kind: 'pull', policy: { alert } })).body.policy.alert).toEqual(alert)
    for (const [wrong, path] of [
      [{ ...alert, fallback: name }, 'policy.alert.fallback'],
      [{ ...alert, fallback: 'No Name' }, 'policy.alert.fallback'],
      [{ ...alert, rung: 'queued' }, 'policy.alert.rung'],
      [{ rung: 'claimed' }, 'policy.alert.afterSeconds'],
    ] as const) {
      const { status, body } = await put(name, { kind: 'pull', policy: { alert: wrong } })
      expect([status, body.issues?.[0]?.path]).toEqual([400, path])
    }
  })

  it('whose mail does not fit the other mailbox is refused, and nothing is lost', async () => {
    const [ann, bob] = [await pullAgent(), await pullAgent({ depth: 1 })]
    await sendId(bob.name)
    const id = await sendId(ann.name)
    const refused = await call('DELETE', `/v1/agents/${ann.name}?mail=reassign:${bob.name}`)
    expect([refused.status, refused.body.code, refused.body.agent]).toEqual([429, 'backpressure', bob.name])
    expect((await leaseOne(ann)).id).toBe(id)
  })

  it('takes its keys along, and a new agent of the name inherits none', async () => {
    const ann = await pullAgent()
    await call('DELETE', `/v1/agents/${ann.name}`)
    const created = await put(ann.name, { kind: 'pull' })
    expect(created.status).toBe(201)
    expect(created.body.key).not.toBe(ann.key)
    const read = (key: string) => ownSwitchboard()('GET', `/v1/agents/${ann.name}`, { key })
    expect([(await read(ann.key)).status, (await read(created.body.key)).status]).toEqual([401, 200])
  })

  it('is completed by a repeat when it died between the object and the index', async () => {
    const ann = await pullAgent()
    // What a DELETE does first, and then its Worker died.
    await (env.AGENTS.getByName(ann.name) as unknown as AgentPort).retire(undefined)
    expect((await call('DELETE', `/v1/agents/${ann.name}`)).status).toBe(204)
    const directory = env.DIRECTORY.getByName('all') as unknown as DirectoryPort
    expect(await directory.findAgent(ann.name)).toBeUndefined()
    expect((await call('DELETE', `/v1/agents/${ann.name}`)).status).toBe(404)
  })

  it('is for an admin, not for the agent itself', async () => {
    const ann = await pullAgent()
    expect(await call('DELETE', `/v1/agents/${ann.name}`, { key: ann.key })).toMatchObject(forbidden)
  })
})

describe('an agent that leaves for a time', () => {
  const leave = (name: string, query: string) => call('DELETE', `/v1/agents/${name}?${query}`)

  it('finds its mail when it is registered anew, with a key of its own (A101)', async () => {
    const ann = await pullAgent()
    const id = await sendId(ann.name, { data: 1 })
    expect((await leave(ann.name, 'mail=keep&keepSeconds=600')).status).toBe(204)
    for (const [method, path] of [
      ['GET', ''],
      ['GET', '/mailbox'],
      ['POST', '/resume'],
      ['GET', '/breaker'],
    ])
      expect(await call(method ?? '', `/v1/agents/${ann.name}${path}`)).toMatchObject(notFound)
    expect(await send(ann.name)).toMatchObject(notFound)
    expect(await receipt(id)).toMatchObject({ status: 'parked', away: { why: expect.stringContaining('left: kept') } })
    expect((await leave(ann.name, 'mail=keep')).status).toBe(204)

    const back = await put(ann.name, { kind: 'pull' })
    expect([back.status, typeof back.body.key]).toEqual([201, 'string'])
    expect(await leaseOne({ name: ann.name, key: back.body.key })).toMatchObject({ id, message: { data: 1 } })
    expect(await ownSwitchboard()('GET', `/v1/agents/${ann.name}`, { key: ann.key })).toMatchObject({ status: 401 })
  })

  it('and does not come back: its mail is dead letters with a reason of their own, by the alarm alone (A101)', async () => {
    const ann = await pullAgent()
    const id = await sendId(ann.name)
    expect((await leave(ann.name, 'mail=keep&keepSeconds=0.2')).status).toBe(204)
    const ended = { status: 'dead_lettered', deadLetter: { reason: 'agent_left' } }
    await expect.poll(() => receipt(id), { timeout: 10_000 }).toMatchObject(ended)
    const letters = async () => (await call('GET', `/v1/dead-letters?agent=${ann.name}`)).body.items
    await expect.poll(letters, { timeout: 10_000 }).toMatchObject([{ delivery: id, reason: 'agent_left' }])
    expect(await leave(ann.name, 'mail=dead')).toMatchObject(notFound)
  })

  it('may have its mail moved after all, to the least loaded that has a capability (A101)', async () => {
    const skill = freshName('skill')
    const [ann, busy, idle] = [await pullAgent(), await pullAgent(), await pullAgent()]
    for (const { name } of [ann, busy, idle]) await put(name, { kind: 'pull', capabilities: [skill] })
    await sendId(busy.name)
    const id = await sendId(ann.name)
    expect((await leave(ann.name, 'mail=keep')).status).toBe(204)
    expect((await leave(ann.name, `mail=reassign:capability:${skill}`)).status).toBe(204)
    const moved = await leaseOne(idle)
    expect((await receipt(id)).reassignedTo).toBe(moved.id)
    const nobody = `reassign:capability:${freshName('skill')}`
    await sendId(busy.name)
    expect(await leave(busy.name, `mail=${nobody}`)).toMatchObject({ status: 404, body: { code: 'unroutable' } })
  })

  it.each([
    ['mail=keep&keepSeconds=0', 'keepSeconds'],
    ['mail=keep&keepSeconds=99999999', 'keepSeconds'],
    ['mail=dead&keepSeconds=60', 'keepSeconds'],
    ['mail=reassign:capability:', 'mail'],
  ])('%s is no way to leave', async (query, path) => {
    const ann = await pullAgent()
    await sendId(ann.name)
    expect(await leave(ann.name, query)).toMatchObject({ status: 400, body: { issues: [{ path }] } })
  })
})

describe('an agent that was away', () => {
  it('whoever sends to it is told since when, with the 202 and on the receipt (A116)', async () => {
    const ann = await pullAgent()
    await call('POST', `/v1/agents/${ann.name}/pause`, { json: { reason: 'holiday' } })
    const { since } = (await call('GET', `/v1/agents/${ann.name}`)).body.paused
    const { body } = await send(ann.name)
    const away = { since, why: 'paused: holiday' }
    expect(body.deliveries[0]).toMatchObject({ status: 'parked', away })
    expect((await receipt(body.deliveries[0].id)).away).toEqual(away)
    await call('POST', `/v1/agents/${ann.name}/resume`)
    expect((await send(ann.name)).body.deliveries[0].away).toBeUndefined()
    expect((await receipt(body.deliveries[0].id)).away).toBeUndefined()
  })

  it('catches up as it says when it is resumed, or as its policy says (A116)', async () => {
    const ann = await pullAgent({ catchUp: 'latest-per-key' })
    const pause = () => call('POST', `/v1/agents/${ann.name}/pause`)
    const resume = (json?: object) => call('POST', `/v1/agents/${ann.name}/resume`, json === undefined ? {} : { json })
    await pause()
    const old = await sendId(ann.name, { partitionkey: 'k', receiptto: `topic:${freshName()}` })
    const young = await sendId(ann.name, { partitionkey: 'k' })
    expect((await resume()).body.catchingUp).toBeUndefined()
    expect(await receipt(old)).toMatchObject({ status: 'cancelled', because: 'skipped_on_catch_up' })
    expect((await receipt(young)).status).toBe('held')
    await pause()
    expect((await resume({ catchUp: 'all' })).status).toBe(200)
    expect((await receipt(young)).status).toBe('held')
    expect((await resume({ catchUp: { sinceSeconds: 3_600 } })).status).toBe(200)
    expect((await receipt(young)).status).toBe('held')
    expect((await resume({ catchUp: 'skip' })).status).toBe(200)
    expect((await receipt(young)).because).toBe('skipped_on_catch_up')
    expect(await leaseOne(ann)).toBeUndefined()
    expect((await resume({ catchUp: 'some' })).body.issues).toMatchObject([{ path: 'catchUp' }])
  })
})

describe('a resume with an Idempotency-Key', () => {
  it('puts aside once: its repeat leaves alone what came in between, another key or wish does not (A116)', async () => {
    const ann = await pullAgent()
    const resume = (key: string, catchUp: string) =>
      call('POST', `/v1/agents/${ann.name}/resume`, { json: { catchUp }, headers: { 'idempotency-key': key } })
    const old = await sendId(ann.name)
    expect((await resume('one', 'skip')).status).toBe(200)
    expect((await receipt(old)).because).toBe('skipped_on_catch_up')
    const young = await sendId(ann.name)
    await call('POST', `/v1/agents/${ann.name}/pause`)
    const repeated = await resume('one', 'skip')
    expect([repeated.status, repeated.body.paused]).toMatchObject([200, { reason: expect.any(String) }])
    expect((await receipt(young)).status).toBe('parked')
    expect((await resume('one', 'all')).body.paused).toBeUndefined()
    expect((await receipt(young)).status).toBe('held')
    await resume('two', 'skip')
    expect((await receipt(young)).because).toBe('skipped_on_catch_up')
    expect((await resume('k'.repeat(256), 'skip')).body.issues).toMatchObject([{ path: 'Idempotency-Key' }])
  })
})

describe('an agent that nobody is', () => {
  it('is 404 with names nearly like it, and only of agents that the caller may send to (A82)', async () => {
    const base = freshName()
    const names = [`${base}-writer`, `${base}-waiter`, `${base}-critic`]
    for (const name of names) await put(name, { kind: 'pull' })
    const meant = `${base}-wrter`
    const refused = await send(meant)
    expect(refused).toMatchObject({
      status: 404,
      body: { agent: meant, suggestions: [`${base}-writer`, `${base}-waiter`] },
    })
    expect(refused.body.detail).toContain(`Did you mean \`${base}-writer\` or \`${base}-waiter\`?`)
    expect((await call('GET', `/v1/agents/${meant}`)).body.suggestions).toContain(`${base}-writer`)

    const narrow = await call('POST', '/v1/keys', {
      json: { name: freshName(), permissions: { send: [meant, `${base}-waiter`] } },
    })
    const { key } = narrow.body
    const told = await send(meant, {}, { key })
    expect([told.status, told.body.suggestions]).toEqual([404, [`${base}-waiter`]])
    const batch = await call('POST', '/v1/messages/batch', {
      key,
      json: [
        { to: `${base}-waiter`, type: 't' },
        { to: meant, type: 't' },
        { to: freshName('zzzzzzzz'), type: 't' },
      ],
    })
    expect(batch.body.results.map((r: { status: number }) => r.status)).toEqual([202, 404, 403])
    expect(batch.body.results[1].problem.suggestions).toEqual([`${base}-waiter`])
    expect((await send(freshName('nothing-like-it'))).body).not.toHaveProperty('suggestions')
  })
})
