/** The gateway's frame: routes and methods, bodies and their limits, and what a caller is told when something breaks. */
import { exports } from 'cloudflare:workers'
import { describe, expect, it, vi } from 'vitest'
import { limits } from '../../shared/limits.ts'
import { allowedMethods, servedBy } from '../../workers/app.ts'
import { adminKey, call, freshName, pullAgent } from './gateway.ts'
import { ownSwitchboard } from './switchboard.ts'

const problem = 'application/problem+json'

describe('a route', () => {
  it.each(['/', '/v1', '/v1/', '/v1/nothing', '/v2/messages', '/v1/agents/a/b/c', '/v1/agents//keys', '/%', '/v1/%zz'])(
    'that is not served is 404, with and without a key: %s',
    async (path) => {
      for (const key of [adminKey, null]) {
        const answered = await call('GET', path, { key })
        expect(answered).toMatchObject({ status: 404, body: { code: 'route_not_found' } })
        expect(answered.headers.get('Content-Type')).toBe(problem)
      }
    },
  )

  it.each([
    ['PATCH', '/v1/agents/ann', ['DELETE', 'GET', 'HEAD', 'PUT']],
    ['GET', '/v1/messages', ['POST']],
    ['PUT', '/v1/messages/batch', ['POST']],
    ['POST', '/v1/agents', ['GET', 'HEAD']],
    ['GET', '/v1/agents/ann/pause', ['POST']],
    ['PUT', '/v1/agents/ann/keys', ['GET', 'HEAD', 'POST']],
    ['POST', '/healthz', ['GET', 'HEAD']],
    ['DELETE', '/openapi.json', ['GET', 'HEAD']],
  ])('asked by a wrong method is 405 and says which are right: %s %s', async (method, path, allow) => {
    const answered = await call(method, path)
    expect(answered).toMatchObject({ status: 405, body: { code: 'method_not_allowed', method } })
    expect(answered.headers.get('Allow')?.split(', ').sort()).toEqual(allow)
  })

  it('tells its methods to OPTIONS without a key', async () => {
    const { status, headers } = await call('OPTIONS', '/v1/agents/ann', { key: null })
    expect([status, headers.get('Allow')?.split(', ').sort()]).toEqual([204, ['DELETE', 'GET', 'HEAD', 'PUT']])
  })

  it('answers HEAD as GET, without the body', async () => {
    const ann = await pullAgent()
    const head = (key: string) => {
      const init = { method: 'HEAD', headers: { Authorization: `Bearer ${key}` } }
      return exports.default.fetch(new Request(`http://switchboard.test/v1/agents/${ann.name}`, init))
    }
    const response = await head(ann.key)
    expect([response.status, response.headers.get('Content-Type'), await response.text()]).toEqual([
      200,
      'application/json',
      '',
    ])
    expect((await head('wrong')).status).toBe(401)
  })

  it('with a parameter does not stand for an empty one, or for two', () => {
    const routes = servedBy([
      { method: 'ALL', path: '/*' },
      { method: 'GET', path: '/agents/:agent' },
      { method: 'PUT', path: '/agents/:agent' },
    ])
    expect(allowedMethods(routes, '/agents/ann')).toEqual(['GET', 'PUT', 'HEAD'])
    for (const path of ['/agents/', '/agents', '/agents/ann/', '/agents/ann/x'])
      expect(allowedMethods(routes, path)).toEqual([])
  })
})

describe('a Worker that is not configured', () => {
  const own = ownSwitchboard({
    ports: ({ settings }) => ({ settings: { ...settings, adminKey: undefined } }),
    env: { SWITCHBOARD_ADMIN_KEY: '' },
  })

  it('serves nobody and says how to set the key, whatever key is sent', async () => {
    for (const key of [adminKey, '', null]) {
      const answered = await own('GET', '/v1/agents', { key })
      expect(answered).toMatchObject({ status: 503, body: { code: 'not_configured', retryable: false } })
      expect(answered.body.detail).toContain('SWITCHBOARD_ADMIN_KEY')
    }
  })

  it('says so on /healthz, and what is missing (TB40)', async () => {
    expect(await own('GET', '/healthz', { key: null })).toMatchObject({
      status: 503,
      body: { status: 'not_configured', missing: ['SWITCHBOARD_ADMIN_KEY'] },
    })
    const bare = ownSwitchboard({ env: { DELIVERIES: undefined } })
    expect((await bare('GET', '/healthz', { key: null })).body.missing).toEqual(['DELIVERIES'])
  })

  it('still serves its documents', async () => {
    expect((await own('GET', '/openapi.json', { key: null })).status).toBe(200)
  })
})

it('a configured Worker is healthy, and needs no key to say so', async () => {
  expect(await call('GET', '/healthz', { key: null })).toMatchObject({ status: 200, body: { status: 'ok' } })
})

describe('a body', () => {
  const put = (sent: Parameters<typeof call>[2]) => call('PUT', `/v1/agents/${freshName()}`, sent)
  const json = { 'Content-Type': 'application/json' }

  it('that is announced too large is refused unread', async () => {
    let pulls = 0
    const body = new ReadableStream({
      pull(controller) {
        pulls += 1
        controller.enqueue(new Uint8Array(1_000))
      },
    })
    const headers = { ...json, 'Content-Length': String(limits.requestBytes + 1) }
    expect(await put({ body, headers })).toMatchObject({
      status: 413,
      body: { code: 'too_large', limitBytes: limits.requestBytes, gotBytes: limits.requestBytes + 1 },
    })
    // What the stream itself fetches ahead; reading up to the limit would take 263.
    expect(pulls).toBeLessThan(5)
  })

  it('that turns out too large is cut off while it is read', async () => {
    let sentBytes = 0
    const chunk = new Uint8Array(65_536).fill(0x20)
    const body = new ReadableStream({
      pull(controller) {
        sentBytes += chunk.byteLength
        controller.enqueue(chunk)
      },
    })
    expect(await put({ body, headers: json })).toMatchObject({ status: 413, body: { code: 'too_large' } })
    expect(sentBytes).toBeLessThan(limits.requestBytes + 10 * chunk.byteLength)
  })

  it('of exactly the limit is read', async () => {
    const text = '{"kind":"pull"}'.padEnd(limits.requestBytes, ' ')
    expect((await put({ body: text, headers: json })).status).toBe(201)
    expect((await put({ body: `${text} `, headers: json })).status).toBe(413)
  })

  it.each([
    ['is not JSON', '{"kind":', 'invalid_json'],
    ['is not UTF-8', new Uint8Array([0x22, 0xff, 0x22]), 'invalid_json'],
    ['is nested too deeply', '['.repeat(100) + ']'.repeat(100), 'too_deep'],
    ['is nested a million deep', '['.repeat(100_000) + ']'.repeat(100_000), 'too_deep'],
    ['is empty', '', 'invalid_request'],
    ['is null', 'null', 'invalid_request'],
  ])('that %s is refused', async (_, body, code) => {
    const answered = await put({ body, headers: json })
    expect(answered).toMatchObject({ status: 400, body: { code } })
    expect(answered.headers.get('Content-Type')).toBe(problem)
  })

  it.each(['text/plain', 'application/xml', 'application/jsonx', 'multipart/form-data'])(
    'of type %s is refused',
    async (type) => {
      const answered = await put({ body: '{"kind":"pull"}', headers: { 'Content-Type': type } })
      expect(answered).toMatchObject({ status: 415, body: { code: 'unsupported_media_type', got: type } })
    },
  )

  it.each(['application/json; charset=utf-8', 'Application/JSON', 'application/vnd.agent+json'])(
    'of type %s is taken',
    async (type) => {
      expect((await put({ body: '{"kind":"pull"}', headers: { 'Content-Type': type } })).status).toBe(201)
    },
  )

  it('that is not there has no type, whatever is said of it', async () => {
    const ann = await pullAgent()
    const headers = { 'Content-Type': 'application/x-www-form-urlencoded' }
    for (const body of [undefined, ''])
      expect(
        (await call('POST', `/v1/agents/${ann.name}/pause`, { headers, ...(body === '' ? { body } : {}) })).status,
      ).toBe(200)
  })

  it('without a type is taken when it parses', async () => {
    expect((await put({ body: new TextEncoder().encode('{"kind":"pull"}') })).status).toBe(201)
  })
})

describe('when something breaks', () => {
  it('the caller gets an incident and nothing of the cause, and the log has both', async () => {
    const logged = vi.spyOn(console, 'error').mockImplementation(() => undefined)
    const own = ownSwitchboard({
      ports: () => ({
        directory: () => {
          throw new Error('the secret cause')
        },
      }),
    })
    const { status, body } = await own('GET', '/v1/agents')
    expect([status, body.code, body.instance]).toEqual([500, 'internal', '/v1/agents'])
    expect(JSON.stringify(body)).not.toContain('secret cause')
    const entry = String(logged.mock.calls[0]?.[0])
    expect(entry).toContain('the secret cause')
    expect(entry).toContain(body.incident)
    logged.mockRestore()
  })

  it('also before there is a platform', async () => {
    const logged = vi.spyOn(console, 'error').mockImplementation(() => undefined)
    const own = ownSwitchboard({
      ports: () => {
        throw new Error('no binding')
      },
    })
    expect(await own('GET', '/v1/agents')).toMatchObject({ status: 500, body: { code: 'internal' } })
    expect(logged).toHaveBeenCalledOnce()
    logged.mockRestore()
  })
})
