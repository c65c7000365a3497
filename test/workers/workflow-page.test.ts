/** The page of a workflow: how it stands and why, the way it took, what it waits for and what it sent; and only for who is logged in. */
import { describe, expect, it } from 'vitest'
import { adminKey, call, freshName, leaseOne, pullAgent } from './gateway.ts'
import { ownSwitchboard } from './switchboard.ts'

const visitor = ownSwitchboard()

async function page(path: string, expected = 200): Promise<string> {
  const { headers } = await visitor('POST', '/login', { key: null, body: new URLSearchParams({ key: adminKey }) })
  const cookie = headers.get('Set-Cookie')?.split(';')[0] ?? ''
  const { status, body } = await visitor('GET', path, { key: null, headers: { Cookie: cookie } })
  if (status !== expected) throw new Error(`${path} answered ${status}`)
  return body
}

const hostile = `"'><script>alert(1)</script><img src=x onerror=alert(1)>`

async function started(
  more: object = {},
): Promise<{ readonly id: string; readonly agent: Awaited<ReturnType<typeof pullAgent>> }> {
  const agent = await pullAgent()
  const id = freshName('wf')
  const definition = {
    initial: 'asking',
    states: {
      asking: {
        entry: { type: 'send', params: { to: agent.name, type: 'ask' } },
        after: { 3600000: 'late' },
        on: { 'ask.reply': 'thinking', stop: 'late' },
      },
      thinking: { always: 'answered' },
      answered: { type: 'final' },
      late: {},
    },
  }
  const { status, body } = await call('POST', '/v1/workflows', { json: { id, definition, state: { a: 1 }, ...more } })
  if (status !== 201) throw new Error(JSON.stringify(body))
  return { id, agent }
}

describe('the page of a workflow', () => {
  it('says where it is, shows its open timer, its statechart and what it sent, with a link to each delivery', async () => {
    const { id, agent } = await started()
    await expect.poll(() => page(`/w/${id}`), { timeout: 5_000 }).toContain(`href="/m/${agent.name}_`)
    const text = await page(`/w/${id}`)
    expect(text).toContain('Running in asking.')
    expect(text).toContain('<h2>Open timers</h2>')
    expect(text).toContain('stateDiagram-v2')
    expect(text).toMatch(
      new RegExp(`<code>${id}-[0-9a-z]+-1</code> send <code>ask</code> to <code>${agent.name}</code>`),
    )
    expect(text).toContain('&quot;a&quot;: 1')
  })

  it('shows the way it took, transient states too, and its end', async () => {
    const { id, agent } = await started()
    const asked = await leaseOne(agent, { waitSeconds: 5 })
    await call('POST', `/v1/deliveries/${asked.id}/ack`, { json: { token: asked.token, result: 'yes' } })
    await expect.poll(() => page(`/w/${id}`), { timeout: 5_000 }).toContain('Completed in answered.')
    const text = await page(`/w/${id}`)
    const way = [...text.matchAll(/<li><strong>(\w+)<\/strong> <time/g)].map(([, state]) => state)
    expect(way).toEqual(['asking', 'thinking', 'answered'])
    expect(text).toContain('by ask.reply')
    // From the delivery to its workflow: both ways in one click.
    expect(await page(`/m/${asked.id}`)).toContain(`Caused by the workflow <a href="/w/${id}">`)
  })

  it('of one that is paused or cancelled says why and what to do', async () => {
    const { id } = await started()
    await call('POST', `/v1/workflows/${id}/pause`, { json: { reason: hostile } })
    const text = await page(`/w/${id}`)
    expect(text).toContain('Paused in asking.')
    expect(text).toContain(`POST /v1/workflows/${id}/resume`)
    expect(text).toContain('Because: <span class="text">&quot;&#39;&gt;&lt;script&gt;')
    await call('DELETE', `/v1/workflows/${id}`)
    expect(await page(`/w/${id}`)).toContain('Cancelled in asking.')
  })

  it('of one without a statechart has its state and its history', async () => {
    const id = freshName('wf')
    await call('POST', '/v1/workflows', { json: { id, state: { [hostile]: hostile } } })
    const text = await page(`/w/${id}`)
    expect(text).toContain('Running.')
    expect(text).not.toContain('stateDiagram')
    expect(text).toMatch(/<strong>created<\/strong>[\s\S]*?version 1/)
    expect(text).toContain('&lt;script&gt;')
  })

  it('lets nothing hostile become markup, in names of states, events and messages', async () => {
    const { id } = await started({
      definition: {
        id: 'c',
        initial: 'a',
        states: {
          a: {
            description: hostile,
            entry: { type: 'send', params: { to: 'nobody-there', type: hostile, subject: hostile } },
            on: { go: { target: 'b' } },
          },
          b: { description: hostile },
        },
      },
      state: { [hostile]: hostile },
    })
    await call('POST', `/v1/workflows/${id}/events`, { json: { type: hostile, data: hostile } })
    await expect.poll(() => page(`/w/${id}`), { timeout: 5_000 }).toContain('agent_not_found')
    const text = await page(`/w/${id}`)
    expect(text).not.toMatch(/<script|<img/)
    for (const [, to = ''] of text.matchAll(/(?:href|action|src)="([^"]*)"/g)) expect(to).toMatch(/^\/(?!\/)/)
  })

  it('is for who is logged in, and 404 for what there is not', async () => {
    const { status, headers } = await visitor('GET', '/w/some', { key: null })
    expect([status, headers.get('Location')]).toEqual([303, '/login?next=%2Fw%2Fsome'])
    for (const id of ['nothing-there', '%3Cscript%3E', 'x'.repeat(65)])
      expect(await page(`/w/${id}`, 404)).toContain('No such workflow')
  })
})
