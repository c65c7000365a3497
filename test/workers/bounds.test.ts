/**
 * Limits that a route decides, each reached over HTTP: at the limit a call is taken, one over is refused with its code and its
 * evidence, and nothing of it is done. Never here: what schemas refuse (test/shared/bounds.test.ts), what objects keep
 * (test/simulator/bounds.test.ts).
 */
import { runInDurableObject } from 'cloudflare:test'
import { env } from 'cloudflare:workers'
import { describe, expect, it } from 'vitest'
import { limits } from '../../shared/limits.ts'
import { adminKey, call, pullAgent } from './gateway.ts'
import { ownSwitchboard, stoppedClock } from './switchboard.ts'

const numbered = (n: number) => Array.from({ length: n }, (_, i) => i)
const depthOf = async (agent: string): Promise<number> => (await call('GET', `/v1/agents/${agent}/mailbox`)).body.depth

const columnsOf = { schedules: 'owner, wake_at, record', approvals: 'owner, opened_at, ended, wake_at, record' }

/** Fills a table up with copies of one of its rows, so that it has so many of them. */
function filled(table: string, columns: string, n: number) {
  return (_object: unknown, state: DurableObjectState) => {
    const have = Number(state.storage.sql.exec(`SELECT count(*) AS n FROM ${table}`).one()['n'])
    state.storage.sql.exec(
      `WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < ${n - have})
       INSERT INTO ${table} (id, ${columns}) SELECT 'copy-' || (n + ${have}), ${columns} FROM numbers, (SELECT ${columns} FROM ${table} LIMIT 1)`,
    )
  }
}

describe('a batch', () => {
  it('of exactly the largest number of messages is taken; one more is refused, and none of them is stored', async () => {
    const { name } = await pullAgent()
    const batch = (n: number) =>
      call('POST', '/v1/messages/batch', { json: numbered(n).map(() => ({ to: name, type: 't' })) })
    const over = await batch(limits.batchMessages + 1)
    expect([over.status, over.body.code]).toEqual([400, 'invalid_request'])
    expect(over.body.detail).toContain(String(limits.batchMessages))
    expect(await depthOf(name)).toBe(0)
    expect((await batch(limits.batchMessages)).status).toBe(200)
    expect(await depthOf(name)).toBe(limits.batchMessages)
  })

  it('of exactly the largest number of bytes is read; one more is refused, and nothing is stored', async () => {
    const { name } = await pullAgent()
    const message = JSON.stringify([{ to: name, type: 't' }])
    const batch = (bytes: number) =>
      call('POST', '/v1/messages/batch', {
        body: message.padEnd(bytes, ' '),
        headers: { 'Content-Type': 'application/json' },
      })
    const over = await batch(limits.batchBytes + 1)
    expect(over).toMatchObject({ status: 413, body: { code: 'too_large', limitBytes: limits.batchBytes } })
    expect(await depthOf(name)).toBe(0)
    expect((await batch(limits.batchBytes)).status).toBe(200)
    expect(await depthOf(name)).toBe(1)
  })
})

describe('an Idempotency-Key', () => {
  it.each([
    ['POST', '/v1/messages', (name: string) => ({ to: name, type: 't' })],
    ['POST', '/v1/requests', (name: string) => ({ to: name, type: 't', timeoutSeconds: 60 })],
    ['POST', '/v1/workflows', () => ({})],
  ])('of %s %s is of at most so many characters, and one longer is refused', async (method, path, json) => {
    const { name } = await pullAgent()
    const keyed = (n: number) =>
      call(method, path, {
        json: json(name),
        headers: { 'Idempotency-Key': 'k'.repeat(n), Prefer: 'respond-async' },
      })
    const over = await keyed(limits.idempotencyKeyLength + 1)
    expect([over.status, over.body.code]).toEqual([400, 'invalid_request'])
    expect(over.body.detail).toContain(String(limits.idempotencyKeyLength))
    expect(await depthOf(name)).toBe(0)
    expect((await keyed(limits.idempotencyKeyLength)).status).toBeLessThan(300)
  })
})

describe('of what stands in one list for the whole deployment', () => {
  it('schedules are so many, and so many of one owner', async () => {
    const { name, key } = await pullAgent()
    const put = (id: string, as: string) =>
      call('PUT', `/v1/schedules/${id}`, {
        json: { everySeconds: 3_600, message: { to: name, type: 't' } },
        key: as,
      })
    const full = { status: 409, body: { code: 'too_many_schedules' } }
    const list = env.SCHEDULES.getByName('all')
    expect((await put('mine', key)).status).toBe(201)
    await runInDurableObject(list, filled('schedules', columnsOf.schedules, limits.schedulesPerOwner))
    expect(await put('over', key)).toMatchObject({ ...full, body: { ...full.body, max: limits.schedulesPerOwner } })
    expect((await put('mine', key)).status).toBe(200)
    expect((await put('of-another', adminKey)).status).toBe(201)
    await runInDurableObject(list, filled('schedules', columnsOf.schedules, limits.schedules))
    expect(await put('over', adminKey)).toMatchObject(full)
    expect((await put('of-another', adminKey)).status).toBe(200)
  })

  it('approvals are so many, and so many of one owner, pending or not: one alone leaves the others their places', async () => {
    const [{ key }, { name }] = [await pullAgent(), await pullAgent()]
    const ask = (as: string) => call('POST', '/v1/approvals', { json: { question: 'May I?', notify: [name] }, key: as })
    const full = { status: 409, body: { code: 'too_many_approvals' } }
    const list = env.APPROVALS.getByName('all')
    expect((await ask(key)).status).toBe(201)
    await runInDurableObject(list, filled('approvals', columnsOf.approvals, limits.approvalsPerOwner))
    expect(await ask(key)).toMatchObject({ ...full, body: { ...full.body, max: limits.approvalsPerOwner } })
    const withdraw = (_object: unknown, { storage }: DurableObjectState) =>
      void storage.sql.exec('UPDATE approvals SET ended = 1')
    await runInDurableObject(list, withdraw)
    expect((await ask(key)).status).toBe(201)
    await runInDurableObject(list, filled('approvals', columnsOf.approvals, limits.approvalsKeptPerOwner))
    await runInDurableObject(list, withdraw)
    expect(await ask(key)).toMatchObject({ ...full, body: { ...full.body, max: limits.approvalsKeptPerOwner } })
    expect((await ask(adminKey)).status).toBe(201)
    await runInDurableObject(list, filled('approvals', columnsOf.approvals, limits.approvals))
    expect(await ask(adminKey)).toMatchObject(full)
  })

  it('schemas are so many, and so many bytes all together; one that is there may be put again', async () => {
    const put = (name: string, title: string) =>
      call('PUT', `/v1/schemas/${name}`, { json: { match: { type: 'no.such' }, schema: { title } } })
    const { schemas: max, schemasBytes: maxBytes } = limits
    const full = { status: 409, body: { code: 'too_many_schemas', max, maxBytes } }
    const list = env.DIRECTORY.getByName('all')
    const inside = (...statements: string[]) =>
      runInDurableObject(list, (_object, state) => statements.map((sql) => state.storage.sql.exec(sql).toArray()))
    expect((await put('one', 'a')).status).toBe(201)
    const sizes = await inside('SELECT bytes FROM schemas')
    // One more of its size has just no room.
    const rest = maxBytes - Number(sizes[0]?.[0]?.['bytes']) + 1
    await inside(`INSERT INTO schemas SELECT 'rest', ${rest}, record FROM schemas`)
    expect(await put('over', 'a')).toMatchObject(full)
    await inside(`UPDATE schemas SET bytes = ${rest - 1 - Number(sizes[0]?.[0]?.['bytes'])} WHERE name = 'rest'`)
    expect((await put('over', 'a')).status).toBe(201)
    await inside(
      'UPDATE schemas SET bytes = 0',
      `WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < ${max - 3})
       INSERT INTO schemas SELECT 'copy-' || n, 0, record FROM numbers, (SELECT record FROM schemas LIMIT 1)`,
    )
    expect(await put('more', 'a')).toMatchObject(full)
    expect((await put('one', 'b')).status).toBe(200)
  })

  it('definitions have so many names; a new version of one that is there is taken', async () => {
    const put = (name: string, description: string) =>
      call('PUT', `/v1/workflow-definitions/${name}`, { json: { initial: 'a', states: { a: {} }, description } })
    expect((await put('known', 'first')).status).toBe(201)
    await runInDurableObject(env.WORKFLOW_INDEX.getByName('all'), (_object, state) => {
      const { sql } = state.storage
      const have = Number(sql.exec('SELECT count(DISTINCT name) AS n FROM definitions').one()['n'])
      sql.exec(
        `WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < ${limits.workflowDefinitions - have})
         INSERT INTO definitions SELECT 'copy-' || n, version, record, definition FROM numbers, (SELECT * FROM definitions LIMIT 1)`,
      )
    })
    expect(await put('over', 'first')).toMatchObject({
      status: 409,
      body: { code: 'too_many_definitions', max: limits.workflowDefinitions },
    })
    expect((await put('known', 'second')).status).toBe(201)
  })
})

describe('what has a time of its own', () => {
  it('a session ends so long after the login, and its cookie says so', async () => {
    const clock = stoppedClock()
    const own = ownSwitchboard({ ports: () => ({ now: clock.now }) })
    const headers = { Origin: 'http://switchboard.test' }
    const { headers: answered } = await own('POST', '/login', {
      key: null,
      body: new URLSearchParams({ key: adminKey }),
      headers,
    })
    const cookie = answered.get('Set-Cookie') ?? ''
    expect(cookie).toContain(`Max-Age=${limits.sessionSeconds}`)
    const read = async () =>
      (await own('GET', '/m', { key: null, headers: { Cookie: cookie.split(';')[0] ?? '' } })).status
    clock.at += limits.sessionSeconds * 1_000 - 1
    expect(await read()).toBe(200)
    clock.at += 1
    expect(await read()).toBe(303)
  })

  it('mail of an agent that left is kept for a day when nobody says how long', async () => {
    const { name } = await pullAgent()
    await call('POST', '/v1/messages', { json: { to: name, type: 't' } })
    const before = Date.now()
    await call('DELETE', `/v1/agents/${name}?mail=keep`)
    const alarmAt = await runInDurableObject(env.AGENTS.getByName(name), (_object, state) => state.storage.getAlarm())
    const keptMs = (alarmAt ?? 0) - before
    expect(keptMs).toBeGreaterThan(limits.keepMailDefaultSeconds * 1_000 - 1)
    expect(keptMs).toBeLessThan(limits.keepMailDefaultSeconds * 1_000 + 60_000)
  })

  it('an agent that negotiates itself is waited for so long when the caller does not say', async () => {
    const { name } = await pullAgent({}, { handshake: 'agent', protocolVersions: ['1.0'] })
    // Time passes as fast as it is waited for.
    const waited = async (headers: Readonly<Record<string, string>> = {}) => {
      const clock = stoppedClock()
      const beganAt = clock.at
      const after = (ms: number, then: () => void) => {
        clock.at += ms
        const timer = setTimeout(then, 0)
        return () => clearTimeout(timer)
      }
      const own = ownSwitchboard({ ports: () => ({ now: clock.now, after }) })
      const json = { protocolVersions: ['1.0'] }
      const { body } = await own('POST', `/v1/agents/${name}/handshake`, { json, headers })
      expect(body).toMatchObject({ answeredBy: 'registration', because: 'it did not answer in time' })
      return clock.at - beganAt
    }
    const unsaid = await waited()
    expect(await waited({ Prefer: `wait=${limits.handshakeWaitSeconds}` })).toBe(unsaid)
    expect(await waited({ Prefer: `wait=${limits.handshakeWaitSeconds + 1}` })).toBe(unsaid + 1_000)
  })
})
