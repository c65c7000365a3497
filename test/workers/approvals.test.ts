/** Approvals over HTTP, in real workerd: asking, deciding by key and by link, waiting, time-outs, and hostile links (TC11). */
import { runDurableObjectAlarm } from 'cloudflare:test'
import { env, exports } from 'cloudflare:workers'
import { describe, expect, it, vi } from 'vitest'
import type { ApprovalsPort } from '../../shared/approval-port.ts'
import { adminKey, type Body, call, freshName, leaseOne, pullAgent, type Registered } from './gateway.ts'

const post = (json: object, key = adminKey, headers = {}) => call('POST', '/v1/approvals', { key, json, headers })
const get = (id: string, key = adminKey, query = '') => call('GET', `/v1/approvals/${id}${query}`, { key })
const decide = (id: string, option: string, key = adminKey, note?: string) =>
  call('POST', `/v1/approvals/${id}/decision`, { key, json: { option, ...(note === undefined ? {} : { note }) } })
const alarm = () => runDurableObjectAlarm(env.APPROVALS.getByName('all') as unknown as DurableObjectStub<undefined>)
const question = { question: 'May the report go out?' }

/** An asker, and a person behind a pull agent. */
async function people(): Promise<{ asker: Registered; judge: Registered }> {
  return { asker: await pullAgent(), judge: await pullAgent() }
}

/** A question, and the message with which the person was asked. */
async function asked(more: object = {}): Promise<{ id: string; asker: Registered; judge: Registered; data: Body }> {
  const { asker, judge } = await people()
  const { body, status } = await post({ ...question, notify: [judge.name], ...more }, asker.key)
  expect([status, body.code]).toEqual([201, undefined])
  const { message } = await leaseOne(judge)
  return { id: body.id, asker, judge, data: message.data }
}

async function open(method: string, link: string, body?: string, headers: Record<string, string> = {}) {
  const init = { method, headers, ...(body === undefined ? {} : { body }) }
  const response = await exports.default.fetch(new Request(link, init))
  return { status: response.status, text: await response.text(), headers: response.headers }
}
const form = (fields: Record<string, string>) => String(new URLSearchParams(fields))

describe('a question to a person', () => {
  it('is stored, and whoever is asked gets it with the context and signed links (TC11)', async () => {
    const { id, asker, judge, data } = await asked({ context: { pages: 3 }, expiresInSeconds: 60 })
    expect(data).toMatchObject({
      approval: id,
      options: ['approve', 'deny'],
      context: { pages: 3 },
      askedBy: asker.name,
    })
    expect(data.question).toBe(question.question)
    expect(Object.keys(data.links.options)).toEqual(['approve', 'deny'])
    const { body } = await get(id, asker.key)
    expect(body).toMatchObject({ id, status: 'pending', askedBy: asker.name, onTimeout: 'expire' })
    expect(body.told).toMatchObject([{ who: judge.name, what: 'ask', status: 'carried' }])
    expect(Date.parse(body.expiresAt) - Date.parse(body.askedAt)).toBe(60_000)
  })

  it('shows its links to nobody but whoever is asked: not to who asks, not to an admin', async () => {
    const { id, asker, data } = await asked()
    const { signature } = Object.fromEntries(new URL(data.links.page).searchParams)
    for (const key of [asker.key, adminKey])
      expect(JSON.stringify((await get(id, key)).body)).not.toContain('signature')
    expect(signature).toMatch(/^[0-9a-f]{64}$/)
  })

  it('shows the URLs in it, which may hold a secret, to who asks and an admin; to others no more than their origin (S2)', async () => {
    const url = 'https://boss.example.com/hook?token=TOP-SECRET'
    const escalate = [{ notify: [{ url }], expiresInSeconds: 60 }]
    const { id, asker, judge } = await asked({ expiresInSeconds: 60, onTimeout: { escalate } })
    const urlOf = ({ body }: Body) => body.onTimeout.escalate[0].notify[0].url
    expect(urlOf(await get(id, asker.key))).toBe(url)
    expect(urlOf(await get(id, adminKey))).toBe(url)
    expect(urlOf(await get(id, judge.key))).toBe('https://boss.example.com')
    const listed = await call('GET', '/v1/approvals', { key: judge.key })
    const [decided, late] = [await decide(id, 'approve', judge.key), await decide(id, 'deny', judge.key)]
    expect([listed.body.items.length, decided.status, late.body.code]).toEqual([1, 200, 'approval_over'])
    expect(JSON.stringify([listed.body, decided.body, late.body])).not.toContain('SECRET')
  })

  it('asked twice under one key is asked once; with other content the key is taken (TC11)', async () => {
    const { asker, judge } = await people()
    const key = { 'Idempotency-Key': freshName('key') }
    const body = { ...question, notify: [judge.name] }
    const [first, again] = [await post(body, asker.key, key), await post(body, asker.key, key)]
    expect([first.status, again.status, again.body.id]).toEqual([201, 200, first.body.id])
    expect((await post({ ...body, question: 'Another?' }, asker.key, key)).body.code).toBe('key_reused')
    expect((await call('GET', `/v1/agents/${judge.name}/deliveries`)).body.items).toHaveLength(1)
  })

  it('is listed while it waits, for who asked, who is asked, and an admin; for nobody else', async () => {
    const { id, asker, judge } = await asked()
    const stranger = await pullAgent()
    const ids = async (key: string, status = 'pending') =>
      (await call('GET', `/v1/approvals?status=${status}`, { key })).body.items.map((i: Body) => i.id)
    for (const key of [asker.key, judge.key, adminKey]) expect(await ids(key)).toContain(id)
    expect(await ids(stranger.key)).toEqual([])
    expect((await get(id, stranger.key)).status).toBe(403)
    await decide(id, 'approve', judge.key)
    expect([await ids(asker.key), await ids(asker.key, 'ended')]).toEqual([[], [id]])
  })

  it('is read page by page, oldest first', async () => {
    const asker = await pullAgent()
    const made = []
    for (let i = 0; i < 3; i++) made.push((await post(question, asker.key)).body.id)
    const first = (await call('GET', '/v1/approvals?limit=2', { key: asker.key })).body
    const rest = (await call('GET', `/v1/approvals?limit=2&cursor=${first.cursor}`, { key: asker.key })).body
    expect([...first.items, ...rest.items].map((i: Body) => i.id).sort()).toEqual(made.sort())
    expect(rest.cursor).toBeUndefined()
  })

  it('is refused when it could reach nobody, or nobody in time, or asks who asks', async () => {
    const { asker, judge } = await people()
    const cases: readonly (readonly [object, string])[] = [
      [{ notify: ['nobody-here'] }, 'agent_not_found'],
      [{ notify: [asker.name] }, 'invalid_request'],
      [{ onTimeout: { escalate: [{ notify: [asker.name], expiresInSeconds: 1 }] } }, 'invalid_request'],
      [{ expiresAt: '2020-01-01T00:00:00Z' }, 'invalid_request'],
      [{ expiresAt: '2099-01-01T00:00:00Z' }, 'invalid_request'],
      [{ expiresAt: '2026-01-01T00:00:00Z', expiresInSeconds: 1 }, 'invalid_request'],
      [{ options: ['yes', 'no'], onTimeout: 'deny' }, 'invalid_request'],
      [{ options: ['wait', 'no'] }, 'invalid_request'],
      [{ options: ['yes', 'yes'] }, 'invalid_request'],
      [{ context: 'x'.repeat(20_000) }, 'invalid_request'],
      [{ replyto: 'gather:g-m4t2kz7qfa6x3hnc5w2yv7dbre' }, 'invalid_request'],
      [{ notify: [{ url: 'http://10.0.0.1/hook' }] }, 'invalid_url'],
    ]
    for (const [more, code] of cases)
      expect([more, (await post({ ...question, notify: [judge.name], ...more }, asker.key)).body.code]).toEqual([
        more,
        code,
      ])
    const quiet = await pullAgent({}, { permissions: { send: [] } })
    expect((await post({ ...question, notify: [judge.name] }, quiet.key)).body.code).toBe('forbidden')
    expect((await post({ ...question, replyto: judge.name }, quiet.key)).body.code).toBe('forbidden')
    expect((await post({ ...question, workflowid: 'w-1' }, quiet.key)).body.code).toBe('forbidden')
  })
})

describe('a decision', () => {
  it('by key says who, when and how, and the asker has it as a message (TC11)', async () => {
    const { id, asker, judge } = await asked({ replyto: undefined })
    const other = await pullAgent()
    const { body: second } = await post({ ...question, notify: [judge.name], replyto: other.name }, asker.key)
    const { body, status } = await decide(second.id, 'deny', judge.key, 'not yet')
    expect(status).toBe(200)
    const decision = { option: 'deny', by: judge.name, how: 'api', note: 'not yet', at: body.endedAt }
    expect(body).toMatchObject({ status: 'decided', option: 'deny', decision })
    const { message } = await leaseOne(other)
    expect(message).toMatchObject({
      type: 'switchboard.approval.decided',
      source: asker.name,
      correlationid: second.id,
    })
    expect(message.data).toMatchObject({ approval: second.id, option: 'deny', decision })
    expect((await get(id)).body.status).toBe('pending')
  })

  it('holds: repeated it is the same, another one is 409 with what holds (TC11)', async () => {
    const { id, judge } = await asked()
    const first = await decide(id, 'approve', judge.key)
    expect((await decide(id, 'approve', judge.key)).body).toEqual(first.body)
    for (const refused of [await decide(id, 'deny', judge.key), await decide(id, 'approve')])
      expect(refused.body).toMatchObject({ code: 'approval_over', ended: 'decided', decision: { by: judge.name } })
    expect((await call('DELETE', `/v1/approvals/${id}`)).body.code).toBe('approval_over')
  })

  it('is for whoever is asked and an admin: not for who asks, not for a stranger, and not for what is no option', async () => {
    const { id, asker } = await asked()
    const stranger = await pullAgent()
    for (const key of [asker.key, stranger.key]) expect((await decide(id, 'approve', key)).body.code).toBe('forbidden')
    expect((await decide(id, 'perhaps')).body.code).toBe('invalid_request')
    expect((await decide(id, 'approve')).body.decision.by).toBe('admin')
    expect((await decide('ap-aaaaaaaaaaaaaaaaaaaaaaaaaa', 'approve')).status).toBe(404)
  })

  it('is waited for (TC11)', async () => {
    const { id, asker, judge } = await asked()
    const waiting = get(id, asker.key, '?waitSeconds=10')
    await decide(id, 'approve', judge.key)
    expect((await waiting).body).toMatchObject({ status: 'decided', option: 'approve' })
  })

  it('moves the workflow that it is for, as an event (TC11)', async () => {
    const { judge } = await people()
    const definition = freshName('signed')
    const put = await call('PUT', `/v1/workflow-definitions/${definition}`, {
      json: {
        id: definition,
        initial: 'asked',
        states: { asked: { on: { approval_decided: 'sent' } }, sent: { type: 'final' } },
      },
    })
    expect(put.status).toBeLessThan(300)
    const { body: workflow } = await call('POST', '/v1/workflows', { json: { definition } })
    const { body } = await post({ ...question, notify: [judge.name], workflowid: workflow.id })
    await decide(body.id, 'approve', judge.key)
    const known = await vi.waitUntil(async () => {
      const { body: now } = await call('GET', `/v1/workflows/${workflow.id}`)
      return now.status === 'completed' ? now : undefined
    })
    expect(known.value).toBe('sent')
    const { body: history } = await call('GET', `/v1/workflows/${workflow.id}/history`)
    expect(JSON.stringify(history)).toContain('approval_decided')
  })
})

describe('a time-out', () => {
  it('is timed_out, and no denial: nobody is said to have decided (TC11)', async () => {
    const { id, asker, judge } = await asked({ expiresInSeconds: 0.2 })
    const body = (await get(id, asker.key, '?waitSeconds=5')).body
    expect(body).toMatchObject({ id, status: 'timed_out' })
    expect([body.option, body.decision]).toEqual([undefined, undefined])
    expect((await decide(id, 'approve', judge.key)).body).toMatchObject({ code: 'approval_over', ended: 'timed_out' })
  })

  it('with `deny` agreed beforehand is timed_out still, with the option that holds (TC11)', async () => {
    const listener = await pullAgent()
    const { id, asker } = await asked({ expiresInSeconds: 0.1, onTimeout: 'deny', replyto: listener.name })
    const body = (await get(id, asker.key, '?waitSeconds=5')).body
    expect(body).toMatchObject({ status: 'timed_out', option: 'deny' })
    expect(body.decision).toBeUndefined()
    const { message } = await vi.waitUntil(() => leaseOne(listener), { timeout: 15_000, interval: 100 })
    expect(message).toMatchObject({
      type: 'switchboard.approval.timed_out',
      data: { status: 'timed_out', option: 'deny' },
    })
    expect(message.data.decision).toBeUndefined()
  })

  it('with `wait` is overdue, and the answer that comes later counts (TC11)', async () => {
    const { id, asker, judge } = await asked({ expiresInSeconds: 0.1, onTimeout: 'wait' })
    const overdue = await vi.waitUntil(async () => {
      const { body } = await get(id, asker.key)
      return body.overdueAt === undefined ? undefined : body
    })
    expect(overdue.status).toBe('pending')
    expect((await decide(id, 'approve', judge.key)).body).toMatchObject({ status: 'decided', option: 'approve' })
  })

  it('with `escalate` asks the next, who may decide then and not before (TC11)', async () => {
    const boss = await pullAgent()
    const stages = { escalate: [{ notify: [boss.name], expiresInSeconds: 60 }], finally: 'deny' }
    const { id, judge } = await asked({ expiresInSeconds: 0.5, onTimeout: stages })
    expect((await decide(id, 'approve', boss.key)).body.code).toBe('forbidden')
    await vi.waitUntil(async () => ((await get(id)).body.escalatedAt ?? []).length === 1, { timeout: 5_000 })
    await alarm()
    const { message } = await vi.waitUntil(() => leaseOne(boss), { timeout: 15_000, interval: 100 })
    expect(message.data.approval).toBe(id)
    expect((await decide(id, 'approve', boss.key)).body.decision.by).toBe(boss.name)
    expect((await decide(id, 'deny', judge.key)).body.code).toBe('approval_over')
  })

  it('of a withdrawn question does not come: it is cancelled, by whom', async () => {
    const { id, asker, judge } = await asked({ expiresInSeconds: 0.3, onTimeout: 'deny' })
    expect((await call('DELETE', `/v1/approvals/${id}`, { key: judge.key })).status).toBe(403)
    const { body } = await call('DELETE', `/v1/approvals/${id}`, { key: asker.key })
    expect(body).toMatchObject({ status: 'cancelled', cancelledBy: asker.name })
    await new Promise((resolve) => setTimeout(resolve, 400))
    await alarm()
    expect((await get(id)).body).toMatchObject({ status: 'cancelled' })
    expect((await call('DELETE', `/v1/approvals/${id}`, { key: asker.key })).status).toBe(200)
  })
})

describe('a link', () => {
  it('that is read shows the question and decides nothing, by GET and HEAD, however often (TC11)', async () => {
    const { id, data } = await asked({
      question: '<script>alert(1)</script> & so on?',
      context: { note: '<b>bold</b>' },
    })
    for (const link of [data.links.page, data.links.options.approve, data.links.options.deny]) {
      for (let i = 0; i < 3; i++) expect((await open('GET', link)).status).toBe(200)
      expect((await open('HEAD', link)).status).toBe(200)
    }
    const { text, headers } = await open('GET', data.links.page)
    expect(text).toContain('&lt;script&gt;alert(1)&lt;/script&gt; &amp; so on?')
    expect(text).not.toMatch(/<script|<b>bold/)
    expect(headers.get('cache-control')).toBe('no-store')
    expect(headers.get('x-robots-tag')).toContain('noindex')
    expect(headers.get('content-security-policy')).toContain("form-action 'self'")
    expect((await get(id)).body.status).toBe('pending')
  })

  it('decides by its form, once, and says for whom it was made (TC11)', async () => {
    const { id, judge, data } = await asked()
    const done = await open('POST', data.links.page, form({ option: 'deny', note: 'no <budget>' }))
    expect([done.status, done.text.includes('deny')]).toEqual([200, true])
    const { body } = await get(id)
    expect(body).toMatchObject({ status: 'decided', decision: { option: 'deny', by: judge.name, how: 'link' } })
    expect(body.decision.note).toBe('no <budget>')
    for (const [link, option] of [
      [data.links.page, 'deny'],
      [data.links.page, 'approve'],
      [data.links.options.approve, 'approve'],
    ])
      expect((await open('POST', link, form({ option }))).status).toBe(409)
    expect((await get(id)).body.decision).toEqual(body.decision)
    const later = await open('GET', data.links.options.approve)
    expect([later.status, later.text.includes('<form')]).toEqual([200, false])
  })

  it('that is bound to an option decides that one and no other (TC11)', async () => {
    const { id, data } = await asked()
    const { text } = await open('GET', data.links.options.approve)
    expect(text).toContain('value="approve"')
    expect(text).not.toContain('value="deny"')
    expect((await open('POST', data.links.options.approve, form({ option: 'deny' }))).status).toBe(403)
    expect((await open('POST', data.links.page, form({ option: 'perhaps' }))).status).toBe(400)
    expect((await get(id)).body.status).toBe('pending')
    expect((await open('POST', data.links.options.approve, '')).status).toBe(200)
    expect((await get(id)).body.option).toBe('approve')
  })

  it('that was tampered with, in any part, is 403 and decides nothing (TC11)', async () => {
    const { id, data } = await asked()
    const other = await asked()
    const changed = (change: (url: URL) => void, link = data.links.options.deny) => {
      const url = new URL(link)
      change(url)
      return String(url)
    }
    const signature = new URL(data.links.options.deny).searchParams.get('signature') ?? ''
    const links = [
      changed((u) => u.searchParams.set('option', 'approve')),
      changed((u) => u.searchParams.delete('option')),
      changed((u) => u.searchParams.set('n', '2')),
      changed((u) => u.searchParams.set('expires', '99999999999')),
      changed((u) =>
        u.searchParams.set(
          'signature',
          signature.replace(/^./, (x) => (x === '0' ? '1' : '0')),
        ),
      ),
      changed((u) => u.searchParams.set('signature', '')),
      changed((u) => u.searchParams.delete('signature')),
      changed((u) => u.searchParams.set('signature', signature.toUpperCase())),
      changed((u) => u.searchParams.set('option', 'approve'), data.links.page),
      changed((u) => {
        u.pathname = `/a/${other.id}`
      }),
      changed((u) => {
        u.pathname = '/a/ap-aaaaaaaaaaaaaaaaaaaaaaaaaa'
      }),
      changed((u) => {
        u.pathname = '/a/..%2Fv1'
      }),
    ]
    for (const link of links)
      for (const method of ['GET', 'POST']) {
        const { status, text } = await open(method, link, method === 'POST' ? form({ option: 'approve' }) : undefined)
        expect([link, status]).toEqual([link, 403])
        expect(text).not.toContain(question.question)
      }
    for (const one of [id, other.id]) expect((await get(one)).body.status).toBe('pending')
  })

  it('sent by a form of another site decides nothing', async () => {
    const { id, data } = await asked()
    const hostile = { origin: 'https://evil.example' }
    expect((await open('POST', data.links.page, form({ option: 'approve' }), hostile)).status).toBe(403)
    expect((await get(id)).body.status).toBe('pending')
  })

  it('that comes too late says that nobody decided (TC11)', async () => {
    const { id, data } = await asked({ expiresInSeconds: 0.2, onTimeout: 'deny' })
    await get(id, adminKey, '?waitSeconds=5')
    const { status, text } = await open('POST', data.links.options.approve, form({ option: 'approve' }))
    expect([status, text.includes('Nobody decided in time')]).toEqual([409, true])
    expect((await get(id)).body).toMatchObject({ status: 'timed_out', option: 'deny' })
  })

  it('with too large a form is refused', async () => {
    const { data } = await asked()
    expect((await open('POST', data.links.page, form({ option: 'approve', note: 'x'.repeat(10_000) }))).status).toBe(
      413,
    )
  })
})

it('more than an owner may have wait are refused, and the alarm that fires twice tells nobody twice', async () => {
  const { id, asker, judge } = await asked()
  const room = { max: 1_000, maxOfOwner: 1, keptOfOwner: 10 }
  // The port's own type; the stub's is too deep for the compiler.
  const approvals = env.APPROVALS.getByName('all') as unknown as ApprovalsPort
  const stored = await approvals.find(id)
  if (stored === undefined) throw new Error('not stored')
  const opening = { ...stored, id: 'ap-bbbbbbbbbbbbbbbbbbbbbbbbbb', waitsMs: 1_000 }
  expect(await approvals.open(opening, room)).toEqual({ status: 'too_many', max: 1 })
  await alarm()
  await alarm()
  expect((await call('GET', `/v1/agents/${judge.name}/deliveries`)).body.items).toHaveLength(1)
  expect((await call('GET', `/v1/agents/${asker.name}/deliveries`)).body.items).toHaveLength(0)
})
