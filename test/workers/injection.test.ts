/**
 * Line breaks and control characters in whatever reaches a header or a line of the log, and addresses that the broker must not
 * be talked into calling. Never here: which URLs there are (test/shared/webhook-url.test.ts).
 */
import { afterEach, describe, expect, it, vi } from 'vitest'
import { call, freshName, leaseOne, pullAgent, sendId } from './gateway.ts'
import { answer, ownSwitchboard } from './switchboard.ts'

const forged = 'x\r\nSet-Cookie: admin=1\r\n\r\n{"step":"forged"}\u2028\u0085\0'

afterEach(() => {
  vi.restoreAllMocks()
})

/** What the Worker logs, line by line, as a log's reader sees it. */
function logged(): () => readonly string[] {
  const lines: string[] = []
  for (const method of ['log', 'warn', 'error'] as const)
    vi.spyOn(console, method).mockImplementation((...said: unknown[]) => void lines.push(said.map(String).join(' ')))
  return () => lines.flatMap((line) => line.split(/[\r\n]+/))
}

describe('a line break in what is sent', () => {
  it('reaches no header and no line of its own in the log, whichever attribute it stands in', async () => {
    const lines = logged()
    const agent = await pullAgent()
    for (const attribute of [
      'id',
      'type',
      'subject',
      'correlationid',
      'partitionkey',
      'traceparent',
      'tracestate',
      'collapsekey',
    ]) {
      const json = { to: agent.name, type: 't', [attribute]: forged }
      const { status, headers } = await call('POST', '/v1/messages', { json })
      expect([attribute, [202, 400].includes(status)]).toEqual([attribute, true])
      expect(JSON.stringify([...headers])).not.toContain('Set-Cookie')
    }
    for (const [path, json] of [
      ['/v1/workflows', { id: forged }],
      ['/v1/keys', { name: forged }],
      ['/v1/requests', { to: forged, type: 't' }],
      [`/v1/agents/${agent.name}/pause`, { reason: forged }],
      [`/v1/agents/${encodeURIComponent(forged)}/pause`, {}],
      [`/v1/dead-letters/${encodeURIComponent(forged)}/redrive`, {}],
    ] as const) {
      const { headers } = await call('POST', path, { json })
      expect([path, JSON.stringify([...headers]).includes('Set-Cookie')]).toEqual([path, false])
    }
    for (const line of lines()) {
      if (line === '') continue
      // Each line is one record of ours, or the runtime's own word.
      if (line.startsWith('{')) expect(JSON.parse(line).step).not.toBe('forged')
      expect(line).not.toMatch(/^Set-Cookie/i)
    }
  })

  it('in a path that met a surprise is one line of the log all the same', async () => {
    const lines = logged()
    const own = ownSwitchboard({
      ports: () => ({
        agent: () => {
          throw new Error(forged)
        },
      }),
    })
    const { status, body } = await own('GET', `/v1/agents/${freshName()}?x=${encodeURIComponent(forged)}`)
    expect([status, body.code]).toEqual([500, 'internal'])
    expect(JSON.stringify(body)).not.toContain('forged')
    const records = lines().filter((line) => line !== '')
    expect(records.map((line) => JSON.parse(line).step)).toEqual(['gateway.failed'])
  })

  it('in what an agent says of its failure is kept as it was said, and breaks nothing that is answered', async () => {
    const agent = await pullAgent()
    const id = await sendId(agent.name)
    const { token } = await leaseOne(agent)
    const json = { token, terminal: true, reason: forged }
    expect((await call('POST', `/v1/deliveries/${id}/nack`, { key: agent.key, json })).status).toBe(200)
    // The index has it a moment later.
    const told = async () => JSON.stringify((await call('GET', `/v1/dead-letters/${id}`)).body)
    await expect.poll(told).toContain(JSON.stringify(forged).slice(1, -1))
  })

  it('in a path is told back inside the problem only', async () => {
    const { status, headers, body } = await call('GET', '/v1/none%0d%0aSet-Cookie:%20a=1')
    expect([status, body.code]).toEqual([404, 'route_not_found'])
    expect(headers.has('Set-Cookie')).toBe(false)
  })
})

describe('an address that the broker must not call (TB17)', () => {
  const inside = [
    'https://127.0.0.1/',
    'https://10.1.2.3/',
    'https://169.254.169.254/latest/meta-data/',
    'https://[::1]/',
    'https://[fe80::1]/',
    'https://[::ffff:169.254.169.254]/',
    'https://[fd00:ec2::254]/',
    'https://2852039166/',
    'https://0xa9fea9fe/',
    'https://metadata.google.internal/',
    'https://localhost./',
    'http://192.168.0.1/',
    'file:///etc/passwd',
    'gopher://127.0.0.1:25/',
  ]

  it.each(inside)(
    '%s is refused as a webhook, as a callback and to be asked a question at; nobody is called',
    async (url) => {
      const called: string[] = []
      const fetch = (to: string) => {
        called.push(to)
        return Promise.resolve(answer(200))
      }
      const own = ownSwitchboard({ ports: () => ({ fetch }) })
      const agent = await pullAgent()
      for (const [method, path, json] of [
        ['PUT', `/v1/agents/${freshName()}`, { kind: 'webhook', url }],
        ['POST', '/v1/requests', { to: agent.name, type: 't', callback: { url } }],
        ['POST', '/v1/requests', { to: agent.name, type: 't', failureCallback: { url } }],
        ['POST', '/v1/approvals', { question: 'q', notify: [{ url }] }],
        ['POST', '/v1/approvals', { question: 'q', callback: { url } }],
      ] as const) {
        const { status, body } = await own(method, path, { json, headers: { Prefer: 'respond-async' } })
        expect([path, JSON.stringify(json), status, body.code]).toEqual([
          path,
          JSON.stringify(json),
          422,
          'invalid_url',
        ])
      }
      expect(called).toEqual([])
      expect((await call('GET', `/v1/agents/${agent.name}/mailbox`)).body.depth).toBe(0)
    },
  )

  it('is not reached by a redirect either: it is not followed, and the webhook stays unverified', async () => {
    const called: string[] = []
    const fetch = (to: string) => {
      called.push(to)
      return Promise.resolve(answer(307, '', { Location: 'http://169.254.169.254/' }))
    }
    const own = ownSwitchboard({
      ports: (platform) => ({ fetch, settings: { ...platform.settings, development: false } }),
    })
    const url = 'https://agent.example.com/hook'
    const { status, body } = await own('PUT', `/v1/agents/${freshName()}`, { json: { kind: 'webhook', url } })
    expect([status, body.verified, called]).toEqual([201, false, [url]])
  })
})
