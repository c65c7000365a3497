/** The page of what led to what, and the time line of a workflow's page: what they tell, and that names in them become no markup. */
import { describe, expect, it } from 'vitest'
import { adminKey, call, freshName, leaseOne, pullAgent, sendId } from './gateway.ts'
import { ownSwitchboard } from './switchboard.ts'

const visitor = ownSwitchboard()

async function visit(path: string) {
  const { headers } = await visitor('POST', '/login', { key: null, body: new URLSearchParams({ key: adminKey }) })
  const cookie = headers.get('Set-Cookie')?.split(';')[0] ?? ''
  return visitor('GET', path, { key: null, headers: { Cookie: cookie } })
}

const hostile = `"'><script>alert(1)</script>`

describe('the page of what led to what', () => {
  it('is linked from the page of a message, and tells each node with its kin below it (TC9)', async () => {
    const [first, second] = [await pullAgent(), await pullAgent()]
    const root = await sendId(first.name)
    const { id, token } = await leaseOne(first)
    const messages = [
      { to: second.name, type: hostile, data: {} },
      { to: 'nobody-at-all', type: 'x', data: {} },
    ]
    await call('POST', `/v1/deliveries/${id}/ack`, { key: first.key, json: { token, effects: { messages } } })
    await expect.poll(async () => (await visit(`/m/${root}/graph`)).body, { timeout: 5_000 }).toContain(second.name)
    expect((await visit(`/m/${root}`)).body).toContain(`href="/m/${root}/graph"`)
    const { body } = await visit(`/m/${root}/graph`)
    expect(body.indexOf(`>${first.name}<`)).toBeLessThan(body.lastIndexOf(`>${second.name}<`))
    expect(body).toMatch(new RegExp(`<ul><li><span class="soft">message</span> <a href="/m/${second.name}_`))
    expect(body).toContain('refused</span> nobody-at-all <code>agent_not_found</code>')
    expect(body).toContain('flowchart LR')
    expect(body).not.toContain('<script')
  })

  it('is 404 for what there is not, and only for who is logged in (S2)', async () => {
    for (const id of ['nonsense', `nobody_${'a'.repeat(26)}`]) expect((await visit(`/m/${id}/graph`)).status).toBe(404)
    const asked = await visitor('GET', `/m/nobody_${'a'.repeat(26)}/graph`, { key: null })
    expect(asked.status).not.toBe(404)
    expect(asked.body).not.toContain('No such message')
  })
})

describe('the time line on the page of a workflow', () => {
  it('tells its own history and its messages’ steps in one line (A41)', async () => {
    const agent = await pullAgent()
    const id = freshName('w')
    const entry = { type: 'send', params: { to: agent.name, type: 'test.ask' } }
    await call('POST', '/v1/workflows', { json: { id, definition: { initial: 'a', states: { a: { entry } } } } })
    await expect
      .poll(async () => (await visit(`/w/${id}`)).body.split('<h2>Time line</h2>')[1] ?? '', { timeout: 5_000 })
      .toMatch(new RegExp(`>workflow ${id}<.*<strong>created</strong>[^]*>${agent.name}<.*<strong>accepted</strong>`))
  })
})
