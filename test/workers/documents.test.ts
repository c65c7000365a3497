/** Documents over HTTP, in real workerd: what is too large for a message is told of by reference (A109, A4). */
import { exports } from 'cloudflare:workers'
import { describe, expect, it } from 'vitest'
import { limits } from '../../shared/limits.ts'
import { adminKey, call, freshName, leaseOne, pullAgent, receipt, sendId } from './gateway.ts'

const mebibyte = 1_048_576
/** No two mebibytes of it are alike, so that chunks in another order are other bytes. */
function large(bytes: number): Uint8Array {
  const all = new Uint8Array(bytes)
  for (let at = 0; at < bytes; at += mebibyte) all.fill(1 + at / mebibyte, at, at + mebibyte)
  return all
}
const hex = (bytes: ArrayBuffer) => [...new Uint8Array(bytes)].map((b) => b.toString(16).padStart(2, '0')).join('')

const store = (bytes: Uint8Array, { key = adminKey, query = '', headers = {} } = {}) =>
  call('POST', `/v1/documents${query}`, {
    key,
    body: bytes,
    headers: { 'Content-Type': 'application/pdf', ...headers },
  })
const fetched = (url: string, init: RequestInit = {}) => exports.default.fetch(new Request(url, init))

describe('a document', () => {
  it('larger than any message is stored, and whoever has its link reads the same bytes without a key (A109, A4, TB30)', async () => {
    const bytes = large(3 * mebibyte + 17)
    const { status, body, headers } = await store(bytes)
    const sha256 = hex(await crypto.subtle.digest('SHA-256', bytes))
    expect([status, body]).toMatchObject([
      201,
      { madeBy: 'admin', contentType: 'application/pdf', bytes: bytes.length, sha256 },
    ])
    expect(headers.get('Location')).toBe(`/v1/documents/${body.id}`)
    expect(Date.parse(body.expiresAt) - Date.parse(body.createdAt)).toBe(limits.documentSecondsDefault * 1_000)
    const got = await fetched(body.url)
    expect([got.status, got.headers.get('Content-Type')]).toEqual([200, 'application/pdf'])
    expect(hex(await crypto.subtle.digest('SHA-256', await got.arrayBuffer()))).toBe(sha256)
    expect((await call('GET', `/v1/documents/${body.id}`)).body).toEqual(body)
  })

  it('is what a message refers to in `dataref`, and what an agent answers with when its result is too large (A109, TC8)', async () => {
    const agent = await pullAgent()
    const { url } = (await store(large(2 * mebibyte), { key: agent.key })).body
    const id = await sendId(agent.name, { dataref: url, datacontenttype: 'application/pdf', datasha256: 'x' })
    const { token, message } = await leaseOne(agent)
    expect(message.dataref).toBe(url)
    const result = { dataref: url, bytes: 2 * mebibyte }
    await call('POST', `/v1/deliveries/${id}/ack`, { key: agent.key, json: { token, result } })
    expect((await receipt(id)).result).toEqual(result)
    expect((await (await fetched(message.dataref)).arrayBuffer()).byteLength).toBe(2 * mebibyte)
  })

  it('is no page of ours to a browser, whatever it says it is (A109)', async () => {
    const { body } = await store(new TextEncoder().encode('<script>'), { headers: { 'Content-Type': 'text/html' } })
    const { headers } = await fetched(body.url)
    expect(headers.get('Content-Disposition')).toBe('attachment')
    expect(headers.get('Content-Security-Policy')).toContain('sandbox')
    expect(headers.get('X-Content-Type-Options')).toBe('nosniff')
  })

  it('stored again under its key is the same one; other bytes under it are refused, and another caller has its own (A109)', async () => {
    const headers = { 'Idempotency-Key': freshName('key') }
    const { key } = await pullAgent()
    const first = await store(large(10), { headers })
    const again = await store(large(10), { headers })
    expect([first.status, again.status, again.body]).toEqual([201, 200, first.body])
    const other = await store(large(11), { headers })
    expect([other.status, other.body.code]).toEqual([422, 'key_reused'])
    const [mine, kept] = [await store(large(11), { headers, key }), await fetched(first.body.url)]
    expect([mine.status, mine.body.id === first.body.id]).toEqual([201, false])
    expect((await kept.arrayBuffer()).byteLength).toBe(10)
  })

  it('that is too large is refused, announced or not, and nothing of it is kept', async () => {
    const announced = await store(new Uint8Array(), { headers: { 'Content-Length': String(limits.documentBytes + 1) } })
    expect([announced.status, announced.body]).toMatchObject([413, { code: 'too_large', what: 'document' }])
    const headers = { 'Idempotency-Key': freshName('key') }
    let left = 26
    const body = new ReadableStream<Uint8Array>({
      pull: (controller) => (left-- > 0 ? controller.enqueue(new Uint8Array(mebibyte)) : controller.close()),
    })
    const streamed = await call('POST', '/v1/documents', { body, headers })
    expect([streamed.status, streamed.body.code]).toEqual([413, 'too_large'])
    expect((await store(large(1), { headers })).status).toBe(201)
  })

  it('is kept no longer, and no less long, than may be', async () => {
    for (const query of ['?expiresSeconds=1', `?expiresSeconds=${limits.documentSeconds + 1}`, '?expiresSeconds=x'])
      expect((await store(large(1), { query })).status).toBe(400)
  })
})

describe('a link', () => {
  it('that is not signed for this document and this end opens nothing (A109, S2)', async () => {
    const [{ body: one }, { body: other }] = [await store(large(5)), await store(large(6))]
    const forged = new URL(one.url)
    forged.searchParams.set('expires', '999999999999')
    const swapped = one.url.replace(one.id, other.id)
    const bare = `${new URL(one.url).origin}/d/${one.id}`
    for (const url of [forged.href, swapped, bare, `${bare}?expires=x&signature=x`, bare.replace(one.id, 'x')]) {
      const answer = await fetched(url)
      expect([url, answer.status]).toEqual([url, 404])
      expect(await answer.json()).toMatchObject({ code: 'not_found' })
    }
  })

  it('leads nowhere once its document is deleted; kept longer, it has another (A109)', async () => {
    const { body } = await store(large(5))
    const longer = await call('PATCH', `/v1/documents/${body.id}`, { json: { expiresSeconds: limits.documentSeconds } })
    expect(Date.parse(longer.body.expiresAt)).toBeGreaterThan(Date.parse(body.expiresAt))
    expect((await fetched(longer.body.url)).status).toBe(200)
    expect((await call('DELETE', `/v1/documents/${body.id}`)).status).toBe(204)
    expect([(await fetched(body.url)).status, (await fetched(longer.body.url)).status]).toEqual([404, 404])
    expect((await call('GET', `/v1/documents/${body.id}`)).status).toBe(404)
  })

  it('is told to whoever stored it and to an admin; nobody else reads, keeps or deletes it (S2)', async () => {
    const [maker, stranger] = [await pullAgent(), await pullAgent()]
    const { body } = await store(large(5), { key: maker.key })
    const path = `/v1/documents/${body.id}`
    expect((await call('GET', path, { key: maker.key })).body.url).toBe(body.url)
    for (const [method, json] of [['GET'], ['PATCH', { expiresSeconds: 60 }], ['DELETE']] as const) {
      const { status } = await call(method, path, { key: stranger.key, ...(json === undefined ? {} : { json }) })
      expect([method, status]).toEqual([method, 403])
    }
    const mute = await pullAgent({}, { permissions: { send: [], publish: [] } })
    expect((await store(large(5), { key: mute.key })).status).toBe(403)
  })
})
