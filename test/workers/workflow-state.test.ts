/** A workflow's shared state over HTTP: versions, who is late, what never conflicts, and who may. */
import { describe, expect, it } from 'vitest'
import { limits } from '../../shared/limits.ts'
import { call, freshName, pullAgent, type Sent } from './gateway.ts'

const create = (json: object = {}, sent: Sent = {}) =>
  call('POST', '/v1/workflows', { ...sent, json: { id: freshName('w'), ...json } })
const read = (id: string, query = '', sent: Sent = {}) => call('GET', `/v1/workflows/${id}/state${query}`, sent)
const merge = (id: string, version: number | '*', json: unknown, sent: Sent = {}, query = '') =>
  call('PATCH', `/v1/workflows/${id}/state${query}`, {
    ...sent,
    json,
    headers: { 'If-Match': version === '*' ? '*' : `"${version}"`, ...sent.headers },
  })
const operate = (id: string, operations: readonly unknown[], sent: Sent = {}) =>
  call('POST', `/v1/workflows/${id}/state`, { ...sent, json: { operations } })

async function made(state: object = {}, sent: Sent = {}): Promise<string> {
  const { status, body } = await create({ state }, sent)
  if (status !== 201) throw new Error(`${status} ${JSON.stringify(body)}`)
  return body.id
}

describe('a new workflow', () => {
  it('is 201 at version 1 with its ETag, and reads back as it was made', async () => {
    const { status, body, headers } = await create({ state: { topic: 'queues' } })
    expect([status, body.version, body.status, headers.get('ETag')]).toEqual([201, 1, 'running', '"1"'])
    expect((await call('GET', `/v1/workflows/${body.id}`)).body).toEqual(body)
    expect(headers.get('Location')).toBe(`/v1/workflows/${body.id}`)
  })

  it('made again with the same id and content is the same one; with other content 409', async () => {
    const id = freshName('w')
    expect((await create({ id, state: { a: 1 } })).status).toBe(201)
    expect((await create({ id, state: { a: 1 } })).status).toBe(200)
    expect((await create({ id, state: { a: 2 } })).body.code).toBe('workflow_exists')
  })

  it('without an id gets one, and with a key the same one again', async () => {
    const headers = { 'Idempotency-Key': freshName('key') }
    const [first, again, other] = [
      await call('POST', '/v1/workflows', { json: {}, headers }),
      await call('POST', '/v1/workflows', { json: {}, headers }),
      await call('POST', '/v1/workflows', { json: {} }),
    ]
    expect([first.status, again.status]).toEqual([201, 200])
    expect(again.body.id).toBe(first.body.id)
    expect(other.body.id).not.toBe(first.body.id)
  })

  it.each([
    ['an id with a dot', { id: 'a.b' }],
    ['a state that is no object', { state: [] }],
    ['a field that nobody knows', { states: {} }],
  ])('%s is 400', async (_, json) => {
    expect((await create(json)).body.code).toBe('invalid_request')
  })

  it('with a state too large is 413', async () => {
    expect((await create({ state: { a: 'x'.repeat(limits.stateBytes) } })).body).toMatchObject({
      code: 'too_large',
      what: 'state',
    })
  })
})

describe('a write under If-Match', () => {
  it('merges, and answers with the next version and who wrote it (A27)', async () => {
    const [id, agent] = [await made({ a: 1, b: { c: 2 } }), await pullAgent()]
    const { status, body, headers } = await merge(id, 1, { b: { d: 3 }, a: null }, { key: agent.key })
    expect([status, body, headers.get('ETag')]).toEqual([200, { version: 2, state: { b: { c: 2, d: 3 } } }, '"2"'])
    expect((await call('GET', `/v1/workflows/${id}`)).body).toMatchObject({ version: 2, updatedBy: agent.name })
  })

  it('that is late is 412 with all that is needed to merge, and changes nothing (A29, W2)', async () => {
    const id = await made({ a: 1, b: 1 })
    await merge(id, 1, { a: 2 })
    const { status, body, headers } = await merge(id, 1, { b: 2 })
    expect([status, body.code, headers.get('ETag')]).toEqual([412, 'version_mismatch', '"2"'])
    expect(body).toMatchObject({
      expected: 1,
      actual: 2,
      state: { a: 2, b: 1 },
      lastWriter: { by: 'admin' },
      changedFields: ['a'],
    })
    expect(body.retryAfterMs).toBeGreaterThan(0)
    expect((await read(id)).body).toEqual({ version: 2, state: { a: 2, b: 1 } })
  })

  it('without one is 428, and one that is no version 400 (A27)', async () => {
    const id = await made()
    const bare = await call('PATCH', `/v1/workflows/${id}/state`, { json: { a: 1 } })
    expect([bare.status, bare.body.code]).toEqual([428, 'version_required'])
    const odd = await call('PATCH', `/v1/workflows/${id}/state`, { json: { a: 1 }, headers: { 'If-Match': '1' } })
    expect([odd.status, odd.body.code]).toEqual([400, 'invalid_request'])
  })

  it('may name a tag that was weakened on its way, or several of which any will do (A27)', async () => {
    const id = await made({ a: 1 })
    const write = (tags: string) => merge(id, '*', { a: tags }, { headers: { 'If-Match': tags } })
    expect([(await write('W/"1"')).status, (await write('"1", W/"2"')).status]).toEqual([200, 200])
    expect((await write('"1", "2"')).body).toMatchObject({ code: 'version_mismatch', expected: 2, actual: 3 })
  })

  it('of any version is If-Match: *', async () => {
    const id = await made({ a: 1 })
    await merge(id, 1, { a: 2 })
    expect((await merge(id, '*', { b: 1 })).body).toEqual({ version: 3, state: { a: 2, b: 1 } })
  })

  it('as a JSON Patch applies whole or not at all (A30)', async () => {
    const id = await made({ list: [1], a: 1 })
    const patch = (version: number, json: unknown) =>
      merge(id, version, json, { headers: { 'Content-Type': 'application/json-patch+json' } })
    const done = await patch(1, [
      { op: 'test', path: '/a', value: 1 },
      { op: 'add', path: '/list/-', value: 2 },
    ])
    expect(done.body).toEqual({ version: 2, state: { list: [1, 2], a: 1 } })
    const failed = await patch(2, [
      { op: 'remove', path: '/list' },
      { op: 'test', path: '/a', value: 9 },
    ])
    expect([failed.status, failed.body.code, failed.body.index]).toEqual([422, 'patch_failed', 1])
    expect((await read(id)).body.version).toBe(2)
    expect((await patch(2, [{ op: 'replace', path: '', value: 3 }])).body.code).toBe('invalid_request')
  })

  it('by field merges with what others changed since, unless it is the same field (A30)', async () => {
    const id = await made({ a: 1, b: 1 })
    await merge(id, 1, { a: 2 })
    expect((await merge(id, 1, { b: 2 }, {}, '?mergePolicy=field')).body).toEqual({ version: 3, state: { a: 2, b: 2 } })
    const late = await merge(id, 1, { a: 3 }, {}, '?mergePolicy=field')
    expect([late.status, late.body.changedFields]).toEqual([412, ['b', 'a']])
  })

  it('sent again with its key happens once and is answered as the first time, however late', async () => {
    const [id, headers] = [await made({ n: 0 }), { 'Idempotency-Key': 'k-1' }]
    const first = await merge(id, 1, { n: 1 }, { headers })
    await merge(id, 2, { n: 2 })
    const again = await merge(id, 1, { n: 1 }, { headers })
    expect([again.status, again.body]).toEqual([200, first.body])
    const other = await merge(id, 3, { n: 9 }, { headers })
    expect([other.status, other.body.code]).toEqual([422, 'operation_reused'])
    expect((await read(id)).body).toEqual({ version: 3, state: { n: 2 } })
  })

  it('by sixteen writers at once loses no update (A27, A28, A31)', async () => {
    const id = await made({ n: 0, by: [] })
    const writer = async (name: number) => {
      for (let tries = 0; tries < 500; tries++) {
        const { body } = await read(id)
        const written = await merge(id, body.version, { n: body.state.n + 1, by: [...body.state.by, name] })
        if (written.status === 200) return tries
        expect(written.status).toBe(412)
      }
      throw new Error('never got through')
    }
    const tries = await Promise.all(Array.from({ length: 16 }, (_, i) => writer(i)))
    const { body } = await read(id)
    expect([body.version, body.state.n]).toEqual([17, 16])
    expect([...body.state.by].sort((a, b) => a - b)).toEqual(Array.from({ length: 16 }, (_, i) => i))
    expect(Math.max(...tries)).toBeGreaterThan(0)
  })
})

describe('operations that never conflict (A32, TC16)', () => {
  it('need no version: sixteen writers at once, each at the first try', async () => {
    const id = await made()
    const answers = await Promise.all(
      Array.from({ length: 16 }, (_, i) =>
        operate(id, [
          { op: 'increment', path: '/n' },
          { op: 'append', path: '/by', value: i },
          { op: 'max', path: '/most', value: i },
        ]),
      ),
    )
    expect(answers.map((a) => a.status)).toEqual(Array.from({ length: 16 }, () => 200))
    expect(answers.map((a) => a.body.version).sort((a, b) => a - b)).toEqual(
      Array.from({ length: 16 }, (_, i) => i + 2),
    )
    expect((await read(id)).body.state).toMatchObject({ n: 16, most: 15 })
  })

  it('do nothing when one of them cannot be done', async () => {
    const id = await made({ a: 'text' })
    const { status, body } = await operate(id, [
      { op: 'increment', path: '/n' },
      { op: 'increment', path: '/a' },
    ])
    expect([status, body.code, body.index]).toEqual([422, 'patch_failed', 1])
    expect((await read(id)).body).toEqual({ version: 1, state: { a: 'text' } })
  })

  it('count once for one key', async () => {
    const [id, headers] = [await made(), { 'Idempotency-Key': 'k' }]
    const [first, again] = [
      await operate(id, [{ op: 'increment', path: '/n' }], { headers }),
      await operate(id, [{ op: 'increment', path: '/n' }], { headers }),
    ]
    expect(again.body).toEqual(first.body)
    expect((await read(id)).body.state).toEqual({ n: 1 })
  })
})

describe('reading (A33)', () => {
  it('with the ETag that one has is 304, until it changes', async () => {
    const id = await made({ a: 1 })
    const headers = { 'If-None-Match': '"1"' }
    const same = await read(id, '', { headers })
    expect([same.status, same.body, same.headers.get('ETag')]).toEqual([304, '', '"1"'])
    await merge(id, 1, { a: 2 })
    expect((await read(id, '', { headers })).status).toBe(200)
  })

  it('gives the named parts alone (A40)', async () => {
    const id = await made({ a: { b: 1, c: 2 }, d: 3 })
    expect((await read(id, '?fields=a.b,/d')).body.state).toEqual({ a: { b: 1 }, d: 3 })
    expect((await merge(id, 1, { d: 4 }, {}, '?fields=d')).body).toEqual({ version: 2, state: { d: 4 } })
  })

  it('an earlier version gives it as it was; one that is not, 404', async () => {
    const id = await made({ a: 1 })
    await merge(id, 1, { b: 1 })
    await merge(id, 2, { a: null, b: 2 })
    const versions = await Promise.all([1, 2, 3].map((v) => read(id, `?version=${v}`)))
    expect(versions.map((v) => v.body.state)).toEqual([{ a: 1 }, { a: 1, b: 1 }, { b: 2 }])
    expect(versions[0]?.headers.get('ETag')).toBe('"1"')
    expect((await read(id, '?version=4')).body).toMatchObject({ code: 'not_found', what: 'version' })
  })

  it('what nobody made is 404', async () => {
    for (const path of ['', '/state', '/history', '/watch'])
      expect((await call('GET', `/v1/workflows/${freshName('none')}${path}`)).body.code).toBe('not_found')
    expect((await call('GET', '/v1/workflows/a.b')).body.code).toBe('not_found')
  })
})

describe('who may', () => {
  it('is who is permitted by pattern, who made it, and an admin; nobody else', async () => {
    const [maker, reader, writer, stranger] = [
      await pullAgent({}, { permissions: { readState: [], writeState: ['team-*'] } }),
      await pullAgent({}, { permissions: { readState: ['team-*'], writeState: [] } }),
      await pullAgent({}, { permissions: { readState: [], writeState: ['team-*'] } }),
      await pullAgent({}, { permissions: { readState: ['other-*'], writeState: ['other-*'] } }),
    ]
    const id = freshName('team')
    expect((await create({ id }, { key: stranger.key })).body.code).toBe('forbidden')
    expect((await create({ id }, { key: maker.key })).status).toBe(201)
    const reads = await Promise.all([maker, reader, writer, stranger].map(({ key }) => read(id, '', { key })))
    expect(reads.map((r) => r.status)).toEqual([200, 200, 403, 403])
    const writes = []
    for (const { key } of [reader, stranger, writer, maker])
      writes.push((await merge(id, '*', { a: 1 }, { key })).status)
    expect(writes).toEqual([403, 403, 200, 200])
    expect((await read(id)).body.version).toBe(3)
  })
})
