/** The pages for people: who gets in and where to, what a page tells, and that nothing hostile in a message becomes markup. */
import { exports } from 'cloudflare:workers'
import { describe, expect, it } from 'vitest'
import { adminKey, call, freshName, leaseOne, pullAgent, sendId } from './gateway.ts'
import { ownSwitchboard, stoppedClock } from './switchboard.ts'

const origin = 'http://switchboard.test'

interface Visit {
  readonly cookie?: string
  readonly form?: Readonly<Record<string, string>>
  readonly headers?: Readonly<Record<string, string>>
  readonly at?: string
}

/** A browser's request: no redirect is followed, and a form says where it comes from. */
async function visit(path: string, { cookie, form, headers = {}, at = origin }: Visit = {}) {
  const sent = new Headers(headers)
  if (cookie !== undefined) sent.set('Cookie', cookie)
  if (form !== undefined && !sent.has('Origin')) sent.set('Origin', at)
  const body = form === undefined ? null : new URLSearchParams(form)
  const method = form === undefined ? 'GET' : 'POST'
  const response = await exports.default.fetch(
    new Request(`${at}${path}`, { method, headers: sent, body, redirect: 'manual' }),
  )
  return { status: response.status, headers: response.headers, page: await response.text() }
}

async function logIn(at = origin): Promise<string> {
  const { headers } = await visit('/login', { form: { key: adminKey }, at })
  return headers.get('Set-Cookie')?.split(';')[0] ?? ''
}

/** The page as a logged-in person gets it. */
async function read(path: string): Promise<string> {
  const { status, page } = await visit(path, { cookie: await logIn() })
  if (status !== 200) throw new Error(`${path} answered ${status}`)
  return page
}

describe('logging in', () => {
  it('is asked for before any page, and leads back to it (S2)', async () => {
    const { id } = { id: await sendId((await pullAgent()).name) }
    const asked = await visit(`/m/${id}`)
    expect([asked.status, asked.headers.get('Location')]).toEqual([303, `/login?next=%2Fm%2F${id}`])
    const form = await visit(asked.headers.get('Location') ?? '')
    expect(form.page).toContain(`name="next" value="/m/${id}"`)
    const done = await visit('/login', { form: { key: adminKey, next: `/m/${id}` } })
    expect([done.status, done.headers.get('Location')]).toEqual([303, `/m/${id}`])
  })

  it('gives a session that no script reads, no other site sends and no plain connection carries, without the key', async () => {
    const { headers } = await visit('/login', { form: { key: adminKey } })
    const cookie = headers.get('Set-Cookie') ?? ''
    expect(cookie).toMatch(/^__Host-switchboard_session=s1\./)
    for (const part of ['Path=/', 'HttpOnly', 'Secure', 'SameSite=Strict', 'Max-Age=43200'])
      expect(cookie).toContain(part)
    expect(cookie).not.toContain(adminKey)
  })

  it('works over http on loopback in development, and only there', async () => {
    const at = 'http://127.0.0.1:8787'
    const { headers } = await visit('/login', { form: { key: adminKey }, at })
    expect(headers.get('Set-Cookie')).toMatch(/^switchboard_session=(?!.*Secure)/)
    expect((await visit('/m', { cookie: await logIn(at), at })).status).toBe(200)
    const own = ownSwitchboard({ ports: ({ settings }) => ({ settings: { ...settings, development: false } }) })
    const body = new URLSearchParams({ key: adminKey })
    const deployed = await own('POST', '/login', { key: null, body })
    expect(deployed.headers.get('Set-Cookie')).toContain('Secure')
  })

  it('with a wrong key is refused, shows the form again and gives nothing', async () => {
    for (const key of ['', 'wrong', `${adminKey} `]) {
      const { status, headers, page } = await visit('/login', { form: { key, next: '/m/x' } })
      expect([status, headers.get('Set-Cookie')]).toEqual([403, null])
      expect(page).toContain('This is not the admin key.')
      expect(page).toContain('value="/m/x"')
    }
  })

  it('leads nowhere but to a page of ours', async () => {
    for (const next of ['https://evil.example/', '//evil.example', '/v1/agents', '"><script>']) {
      const { headers } = await visit('/login', { form: { key: adminKey, next } })
      expect(headers.get('Location')).toBe('/m')
      expect((await visit(`/login?next=${encodeURIComponent(next)}`)).page).toContain('name="next" value="/m"')
    }
  })

  it('from a form of another site is refused, whatever it sends', async () => {
    for (const headers of [{ Origin: 'https://evil.example' }, { Origin: 'null' }])
      for (const path of ['/login', '/logout']) {
        const { status, headers: answered } = await visit(path, { form: { key: adminKey }, headers })
        expect([status, answered.get('Set-Cookie')]).toEqual([403, null])
      }
  })

  it('with a body that no form has is refused unread', async () => {
    expect((await visit('/login', { form: { key: 'x'.repeat(9_000) } })).status).toBe(413)
  })

  it('ends with its time, by logging out, and with the admin key', async () => {
    const cookie = await logIn()
    expect((await visit('/m', { cookie })).status).toBe(200)
    const out = await visit('/logout', { form: {}, cookie })
    expect([out.status, out.headers.get('Location')]).toEqual([303, '/login'])
    expect(out.headers.get('Set-Cookie')).toMatch(/^__Host-switchboard_session=;.*Max-Age=0/)
    const clock = stoppedClock(Date.now() + 43_201_000)
    const later = ownSwitchboard({ ports: () => ({ now: clock.now }) })
    const rekeyed = ownSwitchboard({ ports: ({ settings }) => ({ settings: { ...settings, adminKey: 'another' } }) })
    for (const own of [later, rekeyed])
      expect((await own('GET', '/m', { key: null, headers: { Cookie: cookie } })).status).toBe(303)
  })

  it('takes no key for a session, and no session for a key', async () => {
    expect((await visit('/m', { headers: { Authorization: `Bearer ${adminKey}` } })).status).toBe(303)
    expect((await visit('/v1/agents', { cookie: await logIn() })).status).toBe(401)
  })

  it('says what is missing on a Worker without an admin key', async () => {
    const own = ownSwitchboard({ ports: ({ settings }) => ({ settings: { ...settings, adminKey: undefined } }) })
    const { status, body } = await own('GET', '/login', { key: null })
    expect([status, body]).toEqual([503, expect.stringContaining('SWITCHBOARD_ADMIN_KEY')])
    expect((await own('GET', '/m', { key: null })).status).toBe(303)
  })
})

describe('the page of a message', () => {
  it('says where it is and why, and shows the ladder with its times', async () => {
    const ann = await pullAgent()
    await call('POST', `/v1/agents/${ann.name}/pause`, { json: { reason: 'lunch' } })
    const page = await read(`/m/${await sendId(ann.name, { subject: 'a subject' })}`)
    expect(page).toContain(`Parked: ${ann.name} takes no mail now.`)
    expect(page).toContain('paused: lunch')
    expect(page).toMatch(/<strong>accepted<\/strong>[\s\S]*?<time datetime="20\d\d-/)
    expect(page).toContain('a subject')
  })

  it('shows the attempts with their errors, and of a dead letter its reason and what to do next', async () => {
    const ann = await pullAgent({
      maxAttempts: 2,
      backoff: { initialSeconds: 0, factor: 1, capSeconds: 0, jitter: 'none' },
    })
    const id = await sendId(ann.name)
    const { token } = await leaseOne(ann)
    await call('POST', `/v1/deliveries/${id}/nack`, { json: { token, reason: 'no <b>ink</b>', terminal: true } })
    const page = await read(`/m/${id}`)
    expect(page).toContain('Dead letter: the agent said that it can never work.')
    expect(page).toContain('no &lt;b&gt;ink&lt;/b&gt;')
    expect(page).toContain(`POST /v1/dead-letters/${id}/redrive`)
  })

  it('leads on to what it set off, and from there back to its cause', async () => {
    const [ann, bob] = [await pullAgent(), await pullAgent()]
    const id = await sendId(ann.name)
    const { token } = await leaseOne(ann)
    const effects = {
      messages: [
        { to: bob.name, type: 'next', data: 'the data' },
        { to: 'nobody-here', type: 'lost' },
      ],
    }
    await call('POST', `/v1/deliveries/${id}/ack`, { json: { token, effects, result: { pages: 3 } } })
    await expect.poll(async () => read(`/m/${id}`), { timeout: 5_000 }).toContain('agent_not_found')
    const page = await read(`/m/${id}`)
    const [, next = ''] = new RegExp(`href="/m/(${bob.name}_[a-z2-7]{26})"`).exec(page) ?? []
    expect(page).toContain('1 of the 2 effects it asked for was refused')
    expect(page).toContain('&quot;pages&quot;: 3')
    expect(page).not.toContain('the data')
    expect(await read(`/m/${next}`)).toContain(`Caused by the delivery <a href="/m/${id}">`)
  })

  it('of a publish to many leads to each of its legs', async () => {
    const topic = freshName('topic')
    const [ann, bob] = [await pullAgent(), await pullAgent()]
    for (const { name } of [ann, bob])
      await call('PUT', `/v1/subscriptions/${freshName()}`, { json: { agent: name, topic } })
    const { body } = await call('POST', '/v1/messages', { json: { topic, type: 'news', data: 1 } })
    const publication = body.publication ?? ''
    const page = await read(`/m/${publication}`)
    expect(page).toContain('Accepted by the mailboxes of 2, refused by 0.')
    for (const { id } of body.deliveries) expect(page).toContain(`href="/m/${id}"`)
  })

  it('is found by its id from the start page, blanks around it or not', async () => {
    const cookie = await logIn()
    const id = await sendId((await pullAgent()).name)
    const { status, headers } = await visit(`/m?id=%20${id}%20`, { cookie })
    expect([status, headers.get('Location')]).toEqual([303, `/m/${id}`])
    expect((await visit('/m', { cookie })).page).toContain('Where is my message?')
  })

  it.each(['nothing', `nobody_${'a'.repeat(26)}`, `p-${'a'.repeat(26)}`, '%3Cscript%3Ealert(1)%3C%2Fscript%3E', '%00'])(
    'that there is not is 404 and asks again: %s',
    async (id) => {
      const { status, page } = await visit(`/m/${id}`, { cookie: await logIn() })
      expect(status).toBe(404)
      expect(page).toContain('No such message')
      expect(page).not.toContain('<script')
    },
  )

  it('changes nothing: it is only read', async () => {
    const cookie = await logIn()
    const id = await sendId((await pullAgent()).name)
    const before = (await call('GET', `/v1/deliveries/${id}`)).body
    await visit(`/m/${id}`, { cookie })
    expect((await call('GET', `/v1/deliveries/${id}`)).body).toEqual(before)
    expect((await visit(`/m/${id}`, { cookie, form: {} })).status).toBe(405)
  })
})

describe('hostile text', () => {
  const hostile = `"'><script>alert(1)</script><img src=x onerror=alert(1)>&lt;</style><!-- \`javascript:alert(1)\``

  it('in every field that somebody else writes stays text', async () => {
    const ann = await pullAgent()
    const attributes = Object.fromEntries(
      ['subject', 'correlationid', 'causationid', 'workflowid', 'partitionkey', 'dataschema', 'hostile', 'id'].map(
        (name) => [name, hostile],
      ),
    )
    const id = await sendId(ann.name, { ...attributes, type: hostile, data: hostile })
    const { token } = await leaseOne(ann)
    await call('POST', `/v1/deliveries/${id}/extend`, { json: { token, seconds: 60, progress: { note: hostile } } })
    const running = await read(`/m/${id}`)
    await call('POST', `/v1/deliveries/${id}/nack`, { json: { token, reason: hostile } })
    await expect
      .poll(
        async () =>
          (await call('POST', `/v1/agents/${ann.name}/lease`, { key: ann.key, json: {} })).body.deliveries.length,
        { timeout: 5_000 },
      )
      .toBe(0)
    const failed = await read(`/m/${id}`)
    for (const page of [running, failed]) {
      expect(page).toContain('&lt;script&gt;alert(1)&lt;/script&gt;')
      expect(page).not.toMatch(/<script|<img|<\/style>(?=[\s\S]*<\/style>)|<!--/)
      for (const [, to = ''] of page.matchAll(/(?:href|action|src)="([^"]*)"/g)) expect(to).toMatch(/^\/(?!\/)/)
    }
    expect(running).toContain('<strong>progress</strong>')
    expect(failed.match(/alert\(1\)/g)?.length).toBeGreaterThan(9)
  })

  it('in a result and in effects stays text', async () => {
    const ann = await pullAgent()
    const id = await sendId(ann.name)
    const { token } = await leaseOne(ann)
    const effects = {
      messages: [
        { to: hostile, type: hostile },
        { topic: hostile, type: hostile },
      ],
    }
    const acked = await call('POST', `/v1/deliveries/${id}/ack`, {
      json: { token, effects, result: { [hostile]: hostile } },
    })
    expect(acked.body.status).toBe('settled')
    const page = await read(`/m/${id}`)
    expect(page).toContain('&lt;script&gt;')
    expect(page).not.toMatch(/<script|<img|<!--/)
  })

  it('would be neither loaded nor run: the policy allows the page`s own style and its own forms, and no more', async () => {
    const cookie = await logIn()
    const id = await sendId((await pullAgent()).name)
    for (const path of ['/login', '/m', `/m/${id}`, '/m/nothing']) {
      const { page, headers } = await visit(path, { cookie })
      const [, style = ''] = /<style>([\s\S]*?)<\/style>/.exec(page) ?? []
      const hash = new Uint8Array(await crypto.subtle.digest('SHA-256', new TextEncoder().encode(style)))
      expect(headers.get('Content-Security-Policy')).toBe(
        `default-src 'none'; style-src 'sha256-${btoa(String.fromCharCode(...hash))}'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'`,
      )
      expect(headers.get('Cache-Control')).toBe('no-store')
      expect(headers.get('X-Content-Type-Options')).toBe('nosniff')
      // A page that sent its forms without an origin could not be told from another site's.
      expect(headers.get('Referrer-Policy')).toBe('same-origin')
      expect(page).not.toMatch(/<(script|link|img|iframe)\b|<[^>]+\s(on\w+|style)=/i)
    }
  })
})
