/** Who calls: by key, or by a signed webhook. Signatures are made by the official library. */
import { Webhook } from 'standardwebhooks'
import { describe, expect, it } from 'vitest'
import { limits } from '../../shared/limits.ts'
import { adminKey, call, freshName, pullAgent, type Sent, sendId } from './gateway.ts'
import { ownSwitchboard, stoppedClock } from './switchboard.ts'

const refused = { status: 401, body: { code: 'unauthenticated', retryable: false } }

describe('a caller without a good key', () => {
  it('gets 401 without a key, and is told how to send one', async () => {
    const answered = await call('GET', '/v1/agents', { key: null })
    expect(answered).toMatchObject(refused)
    expect(answered.headers.get('WWW-Authenticate')).toContain('Bearer')
    expect(answered.headers.get('Content-Type')).toBe('application/problem+json')
    expect(answered.body.detail).toContain('Authorization: Bearer')
  })

  it.each([
    ['an unknown key', 'sk_app_nobody'],
    ['the admin key and more', `${adminKey}x`],
    ['the beginning of the admin key', adminKey.slice(0, -1)],
    ['a key longer than any', 'x'.repeat(10_000)],
  ])('gets 401 with %s', async (_, key) => {
    expect(await call('GET', '/v1/agents', { key })).toMatchObject(refused)
  })

  it.each(['Basic dGVzdA==', 'Bearer', 'Bearer two words', adminKey])(
    'gets 401 with Authorization `%s`',
    async (value) => {
      expect(await call('GET', '/v1/agents', { key: null, headers: { Authorization: value } })).toMatchObject(refused)
    },
  )

  it('gets 401 with a good key in the query string, because URLs end up in logs', async () => {
    expect(await call('GET', `/v1/agents?key=${adminKey}&access_token=${adminKey}`, { key: null })).toMatchObject(
      refused,
    )
  })
})

describe('a key', () => {
  it('is taken whatever the case of `bearer`', async () => {
    const sent = { key: null, headers: { Authorization: `bearer ${adminKey}` } }
    expect((await call('GET', '/v1/agents', sent)).status).toBe(200)
  })

  it('of an agent speaks for that agent only', async () => {
    const [ann, bob] = [await pullAgent(), await pullAgent()]
    expect((await call('POST', `/v1/agents/${ann.name}/pause`, { key: ann.key })).status).toBe(200)
    expect(await call('POST', `/v1/agents/${bob.name}/pause`, { key: ann.key })).toMatchObject({
      status: 403,
      body: { code: 'forbidden', action: 'pause', subject: bob.name },
    })
  })

  it('that was revoked works for at most 5 seconds more, where it was just used', async () => {
    const { name, key } = await pullAgent()
    const clock = stoppedClock()
    const own = ownSwitchboard({ ports: () => ({ now: clock.now }) })
    const read = () => own('GET', `/v1/agents/${name}`, { key })
    expect((await read()).status).toBe(200)
    const [{ id }] = (await own('GET', `/v1/agents/${name}/keys`)).body.items
    expect((await own('DELETE', `/v1/agents/${name}/keys/${id}`)).status).toBe(204)
    clock.at += 4_999
    expect((await read()).status).toBe(200)
    clock.at += 1
    expect((await read()).status).toBe(401)
    // Where it was not used lately, it works no more at once.
    expect((await ownSwitchboard()('GET', `/v1/agents/${name}`, { key })).status).toBe(401)
  })

  it('narrows with its agent: what the agent may no longer do, the key it already has may not', async () => {
    const ann = await pullAgent()
    const bob = await pullAgent()
    await call('PUT', `/v1/agents/${ann.name}`, { json: { kind: 'pull', permissions: { send: [ann.name] } } })
    const json = { to: bob.name, type: 't' }
    expect(await ownSwitchboard()('POST', '/v1/messages', { key: ann.key, json })).toMatchObject({
      status: 403,
      body: { code: 'forbidden', action: 'send to', subject: bob.name },
    })
  })

  it('that is unknown is asked for once a second, however often it is tried', async () => {
    const clock = stoppedClock()
    const asked: string[] = []
    const own = ownSwitchboard({
      ports: ({ directory }) => ({
        now: clock.now,
        directory: () =>
          ({ ...directory(), findKey: async (hash: string) => void asked.push(hash) }) as ReturnType<typeof directory>,
      }),
    })
    for (let i = 0; i < 5; i++) expect((await own('GET', '/v1/agents', { key: 'sk_app_guess' })).status).toBe(401)
    expect(asked).toHaveLength(1)
    clock.at += 1_000
    await own('GET', '/v1/agents', { key: 'sk_app_guess' })
    expect(asked).toHaveLength(2)
  })
})

// --- signed webhooks --------------------------------------------------------------------------------------------------

interface Signer {
  readonly name: string
  readonly secret: string
}

/** Any agent may sign, whatever its kind, once it has a secret. */
async function signer(): Promise<Signer> {
  const { name, key } = await pullAgent()
  const { body } = await call('POST', `/v1/agents/${name}/secret`, { key })
  return { name, secret: body.secret }
}

interface Signing {
  readonly id?: string
  readonly at?: Date
  readonly secret?: string
  readonly body?: string
  readonly sentBody?: string
}

function signed({ name, secret }: Signer, to: string, more: Signing = {}): Sent & { id: string } {
  const id = more.id ?? `note-${crypto.randomUUID()}`
  const at = more.at ?? new Date()
  const body = more.body ?? JSON.stringify({ to, type: 'test.note', data: { n: 1 } })
  const headers = {
    'Content-Type': 'application/json',
    'switchboard-agent': name,
    'webhook-id': id,
    'webhook-timestamp': String(Math.floor(at.getTime() / 1_000)),
    'webhook-signature': new Webhook(more.secret ?? secret).sign(id, at, body),
  }
  return { id, key: null, body: more.sentBody ?? body, headers }
}

const publish = (sent: Sent) => call('POST', '/v1/messages', sent)

describe('a signed webhook', () => {
  it('publishes as its agent, and its webhook-id is the idempotency key (A129)', async () => {
    const ann = await signer()
    const bob = await pullAgent()
    const sent = signed(ann, bob.name)
    const first = await publish(sent)
    expect(first).toMatchObject({ status: 202, body: { duplicate: false } })
    const again = await publish({
      ...sent,
      ...signed(ann, bob.name, { id: sent.id, at: new Date(Date.now() - 1_000) }),
    })
    expect(again).toMatchObject({ status: 202, body: { duplicate: true, deliveries: first.body.deliveries } })
    const { body } = await call('GET', `/v1/deliveries/${first.body.deliveries[0].id}`)
    expect(body.message.source).toBe(ann.name)
  })

  it('publishes a batch', async () => {
    const ann = await signer()
    const bob = await pullAgent()
    const items = [
      { to: bob.name, type: 't', data: 1 },
      { to: bob.name, type: 't', data: 2 },
    ]
    const sent = signed(ann, bob.name, { body: JSON.stringify(items) })
    const { status, body } = await call('POST', '/v1/messages/batch', sent)
    expect([status, body.results.map((r: { status: number }) => r.status)]).toEqual([200, [202, 202]])
  })

  it('is verified over the bytes as sent: a byte order mark is part of them', async () => {
    const ann = await signer()
    const bob = await pullAgent()
    const body = `\uFEFF${JSON.stringify({ to: bob.name, type: 't' })}`
    expect((await publish(signed(ann, bob.name, { body }))).status).toBe(202)
    expect((await publish(signed(ann, bob.name, { body, sentBody: body.slice(1) }))).status).toBe(401)
  })

  it.each([
    ['with another body', () => ({ sentBody: '{"to":"bob","type":"other"}' })],
    ['with another secret', () => ({ secret: `whsec_${btoa('x'.repeat(32))}` })],
  ] as const)('is refused %s', async (_, more) => {
    const ann = await signer()
    const bob = await pullAgent()
    expect(await publish(signed(ann, bob.name, more()))).toMatchObject({
      status: 401,
      body: { code: 'invalid_signature' },
    })
  })

  it('is refused with the secret of another agent', async () => {
    const [ann, eve] = [await signer(), await signer()]
    const bob = await pullAgent()
    const forged = signed({ name: ann.name, secret: eve.secret }, bob.name)
    expect(await publish(forged)).toMatchObject({ status: 401, body: { code: 'invalid_signature' } })
  })

  it('of nobody is refused in the words of a wrong signature, so that trying names tells nothing', async () => {
    const ann = await signer()
    const bob = await pullAgent()
    const wrong = await publish(signed(ann, bob.name, { secret: `whsec_${btoa('y'.repeat(32))}` }))
    for (const name of [freshName('nobody'), 'Not A Name'])
      expect((await publish(signed({ ...ann, name }, bob.name))).body).toEqual(wrong.body)
  })

  it.each([-1, 1])('is refused outside the window, old or from the future (%i)', async (sign) => {
    const ann = await signer()
    const bob = await pullAgent()
    const skewMs = (limits.signatureToleranceSeconds + 2) * 1_000 * sign
    const answered = await publish(signed(ann, bob.name, { at: new Date(Date.now() + skewMs) }))
    expect(answered).toMatchObject({ status: 401, body: { code: 'stale_timestamp', toleranceSeconds: 300 } })
  })

  it('that was recorded and is played again later is refused by its timestamp, and by its id until then', async () => {
    const ann = await signer()
    const bob = await pullAgent()
    const clock = stoppedClock()
    const own = ownSwitchboard({ ports: () => ({ now: clock.now }) })
    const sent = signed(ann, bob.name)
    expect((await own('POST', '/v1/messages', sent)).body.duplicate).toBe(false)
    expect((await own('POST', '/v1/messages', sent)).body.duplicate).toBe(true)
    clock.at += (limits.signatureToleranceSeconds + 2) * 1_000
    expect((await own('POST', '/v1/messages', sent)).body.code).toBe('stale_timestamp')
  })

  it('may publish and nothing else, because the path is not signed', async () => {
    const ann = await signer()
    const sent = signed(ann, ann.name, { body: '{}' })
    expect(await call('POST', `/v1/agents/${ann.name}/pause`, sent)).toMatchObject(refused)
  })

  it('is good for the calls that the OpenAPI document offers it for, and for no other', async () => {
    const ann = await signer()
    const { paths } = (await call('GET', '/openapi.json')).body
    const [offered, taken]: [string[], string[]] = [[], []]
    for (const [path, { post }] of Object.entries<{ post?: { security?: object[] } }>(paths)) {
      if (post === undefined || post.security?.length === 0) continue
      if (post.security?.some((one) => 'signature' in one)) offered.push(path)
      const answered = await call('POST', path.replace(/\{\w+\}/g, 'x'), signed(ann, ann.name))
      if (answered.status !== 401) taken.push(path)
    }
    expect(taken).toEqual(['/v1/messages', '/v1/messages/batch'])
    expect(offered).toEqual(taken)
  })

  it('names its agent', async () => {
    const ann = await signer()
    const { headers, ...sent } = signed(ann, ann.name)
    const { 'switchboard-agent': _name, ...rest } = headers as Record<string, string>
    const answered = await publish({ ...sent, headers: rest })
    expect(answered).toMatchObject(refused)
    expect(answered.body.detail).toContain('switchboard-agent')
  })

  it.each([
    ['Idempotency-Key', 'another'],
    ['ce-type', 'other.type'],
  ])('is refused with %s beside it, which is not signed', async (header, value) => {
    const ann = await signer()
    const bob = await pullAgent()
    const sent = signed(ann, bob.name)
    const answered = await publish({ ...sent, headers: { ...sent.headers, [header]: value } })
    expect(answered).toMatchObject({ status: 401, body: { code: 'invalid_signature' } })
  })

  it('that Switchboard made does NOT pass for the agent`s own when it is sent back', async () => {
    const ann = await signer()
    const bob = await pullAgent()
    const id = await sendId(ann.name, { data: 1 })
    expect(await publish(signed(ann, bob.name, { id }))).toMatchObject({
      status: 401,
      body: { code: 'invalid_signature' },
    })
  })

  it('is verified under the older secret too until the overlap ends', async () => {
    const ann = await signer()
    const bob = await pullAgent()
    const clock = stoppedClock()
    const own = ownSwitchboard({ ports: () => ({ now: clock.now }) })
    const json = { overlapSeconds: 60 }
    const { body } = await own('POST', `/v1/agents/${ann.name}/secret`, { json })
    const under = (secret: string) =>
      own('POST', '/v1/messages', signed({ ...ann, secret }, bob.name, { at: new Date(clock.at) }))
    expect((await under(ann.secret)).status).toBe(202)
    expect((await under(body.secret)).status).toBe(202)
    clock.at += 61_000
    expect((await under(ann.secret)).status).toBe(401)
    expect((await under(body.secret)).status).toBe(202)
  })

  it('is not read beyond the limit of a message', async () => {
    const ann = await signer()
    const sent = signed(ann, ann.name, {
      body: JSON.stringify({ to: ann.name, type: 't', data: 'x'.repeat(1_200_000) }),
    })
    expect(await publish(sent)).toMatchObject({ status: 413, body: { code: 'too_large' } })
  })
})
