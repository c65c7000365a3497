/** The deployment's figures: what each mailbox holds and why, page by page, as JSON and for Prometheus. */
import { describe, expect, it } from 'vitest'
import { type Body, call, freshName, leaseOne, pullAgent, sendId } from './gateway.ts'
import { ownSwitchboard } from './switchboard.ts'

async function statsOf(name: string): Promise<Body> {
  for (let cursor = '', more = true; more; ) {
    const { body } = await call('GET', `/v1/stats?limit=3${cursor === '' ? '' : `&cursor=${cursor}`}`)
    const found = body.items.find((one: Body) => one.agent === name)
    if (found !== undefined) return found
    cursor = body.cursor ?? ''
    more = body.cursor !== undefined
  }
  throw new Error(`no figures of ${name}`)
}

describe('the figures', () => {
  it('tell of each agent how many stand where, how old the oldest is, and what died of which reason', async () => {
    const agent = await pullAgent()
    for (let i = 0; i < 3; i++) await sendId(agent.name)
    const lease = await leaseOne(agent)
    await call('POST', `/v1/deliveries/${lease.id}/nack`, {
      key: agent.key,
      json: { token: lease.token, terminal: true },
    })
    await leaseOne(agent)
    const figures = await statsOf(agent.name)
    expect(figures).toMatchObject({
      kind: 'pull',
      depth: 2,
      states: { held: 1, claimed: 1 },
      inFlight: 1,
      breaker: 'closed',
      deadLetters: { terminal: 1 },
    })
    expect(figures.oldestSeconds).toBeGreaterThanOrEqual(0)
    await call('POST', `/v1/agents/${agent.name}/pause`, { json: { reason: 'resting' } })
    expect(await statsOf(agent.name)).toMatchObject({
      parked: expect.stringContaining('resting'),
      states: { parked: 1 },
    })
  })

  it('are the same for Prometheus, with labels that no name can break out of (TB27)', async () => {
    const agent = { name: freshName() }
    await call('PUT', `/v1/agents/${agent.name}`, { json: { kind: 'webhook', url: 'http://127.0.0.1:9/' } })
    await call('PUT', `/v1/agents/${agent.name}/breaker`, { json: { force: 'open' } })
    await sendId(agent.name)
    const { body, headers } = await call('GET', '/metrics')
    expect(headers.get('Content-Type')).toBe('text/plain; version=0.0.4; charset=utf-8')
    const lines = body.split('\n')
    expect(lines).toContain(`switchboard_mailbox_depth{agent="${agent.name}"} 1`)
    expect(lines).toContain(`switchboard_mailbox_deliveries{agent="${agent.name}",status="parked"} 1`)
    expect(lines).toContain(`switchboard_breaker_state{agent="${agent.name}",state="open"} 1`)
    expect(lines).toContain(`switchboard_breaker_state{agent="${agent.name}",state="closed"} 0`)
    expect(lines).toContain('switchboard_scrape_complete 1')
    for (const line of lines.filter((l: string) => l !== '' && !l.startsWith('#')))
      expect(line).toMatch(/^[a-z_]+(\{([a-z]+="[^"\n]*",?)+\})? [0-9.]+$/)
    expect((await call('GET', '/metrics?limit=1')).body).toContain('switchboard_scrape_complete 0\n')
  })

  it('are for an admin only', async () => {
    const agent = await pullAgent()
    const app = (await call('POST', '/v1/keys', { json: { name: freshName('app') } })).body
    for (const path of ['/v1/stats', '/metrics']) {
      for (const key of [agent.key, app.key]) expect((await call('GET', path, { key })).status).toBe(403)
      expect((await call('GET', path, { key: null })).status).toBe(401)
    }
  })

  it('name the mailbox that does not answer, and tell the others', async () => {
    const [well, ill] = [await pullAgent(), await pullAgent()]
    const own = ownSwitchboard({
      ports: ({ agent }) => ({
        agent: (name) =>
          name === ill.name ? { ...agent(name), stats: () => Promise.reject(new Error('gone')) } : agent(name),
      }),
    })
    const { body } = await own('GET', '/v1/stats')
    expect(body.unavailable).toEqual([ill.name])
    expect(body.items.map((one: Body) => one.agent)).toContain(well.name)
  })
})
