/** The audit over HTTP: every mailbox and all together add up, page by page; one that lost a row is named (M1). */
import {
  createExecutionContext,
  createScheduledController,
  runInDurableObject,
  waitOnExecutionContext,
} from 'cloudflare:test'
import { env } from 'cloudflare:workers'
import { describe, expect, it } from 'vitest'
import { createSwitchboard } from '../../workers/switchboard.ts'
import { type Body, call, freshName, leaseOne, pullAgent, sendId } from './gateway.ts'
import { ownSwitchboard } from './switchboard.ts'

async function pages(limit = 2): Promise<Body[]> {
  const all: Body[] = []
  for (let cursor: string | undefined = ''; cursor !== undefined; ) {
    const { status, body } = await call('GET', `/v1/audit?limit=${limit}${cursor === '' ? '' : `&cursor=${cursor}`}`)
    expect(status).toBe(200)
    all.push(body)
    cursor = body.cursor
  }
  return all
}

const auditOf = async (agent: string) =>
  (await pages()).flatMap((page) => page.items).find((item: Body) => item.agent === agent)

const nack = async (agent: { key: string }, lease: Body) =>
  call('POST', `/v1/deliveries/${lease.id}/nack`, { key: agent.key, json: { token: lease.token, terminal: true } })

describe('GET /v1/audit', () => {
  it('M1: accepted is ended and live, by mailbox and in all, whatever was done to the mail (TC17)', async () => {
    const [agent, other] = [await pullAgent(), await pullAgent()]
    for (let i = 0; i < 4; i++) await sendId(agent.name)
    const done = await leaseOne(agent)
    await call('POST', `/v1/deliveries/${done.id}/ack`, { key: agent.key, json: { token: done.token } })
    const dead = await leaseOne(agent)
    await nack(agent, dead)
    expect((await call('POST', `/v1/dead-letters/${dead.id}/redrive`)).status).toBe(200)
    await call('DELETE', `/v1/deliveries/${dead.id}`)
    const called = freshName()
    await call('PUT', `/v1/agents/${called}`, { json: { kind: 'webhook', url: 'http://127.0.0.1:9/hook' } })
    await call('POST', '/v1/messages', { json: { to: called, type: 't', deliverymode: 'at_most_once' } })
    expect(await auditOf(agent.name)).toEqual({
      ...{ agent: agent.name, verdict: 'sound', accepted: 4, ended: 2, live: 2 },
      ...{ forgotten: 0, redriven: 1, fleeting: 0, missing: 0, stranded: 0, untracked: 0 },
    })
    const all = await pages()
    expect(all.length).toBeGreaterThan(1)
    for (const { total, items, unavailable } of all) {
      expect(items.length).toBeLessThanOrEqual(2)
      expect([total.mismatched, unavailable]).toEqual([[], []])
      expect(total.accepted).toBe(total.ended + total.live)
      expect(total.accepted).toBe(items.reduce((sum: number, item: Body) => sum + (item.accepted ?? 0), 0))
    }
    // What moves is ended here and accepted there.
    await call('DELETE', `/v1/agents/${agent.name}?mail=reassign:${other.name}`)
    expect(await auditOf(other.name)).toMatchObject({ verdict: 'sound', accepted: 2, live: 2 })
  })

  it('M1: names the mailbox whose row was deleted behind its back', async () => {
    const agent = await pullAgent()
    const ids = [await sendId(agent.name), await sendId(agent.name)]
    await runInDurableObject(env.AGENTS.getByName(agent.name), (_, { storage }) => {
      storage.sql.exec('DELETE FROM deliveries_1 WHERE id = ?', ids[0])
    })
    const found = await pages(100)
    expect(found.flatMap((page) => page.total.mismatched)).toContain(agent.name)
    expect(await auditOf(agent.name)).toMatchObject({ verdict: 'mismatch', accepted: 2, live: 1, ended: 0, missing: 1 })
  })

  it('is kept by the hourly sweep for the figures, and names who did not answer', async () => {
    const [well, ill] = [await pullAgent(), await pullAgent()]
    await sendId(well.name)
    const ctx = createExecutionContext()
    await createSwitchboard({ agents: [] }).scheduled(createScheduledController(), env, ctx)
    await waitOnExecutionContext(ctx)
    const { audit } = (await call('GET', '/v1/stats')).body
    expect(audit.mailboxes).toBeGreaterThanOrEqual(2)
    expect(audit.accepted).toBeGreaterThanOrEqual(1)
    expect(audit.sound).toBe(audit.mismatched.length === 0)
    expect((await call('GET', '/metrics')).body).toContain(`switchboard_audit_mismatched ${audit.mismatched.length}\n`)
    const own = ownSwitchboard({
      ports: ({ agent }) => ({
        agent: (name) =>
          name === ill.name ? { ...agent(name), audit: () => Promise.reject(new Error('gone')) } : agent(name),
      }),
    })
    const { body } = await own('GET', '/v1/audit')
    expect(body).toMatchObject({ unavailable: [ill.name], lastSweep: { mailboxes: audit.mailboxes } })
    expect(body.total.unavailable).toBe(1)
  })

  it('is for an admin only', async () => {
    const agent = await pullAgent()
    const app = (await call('POST', '/v1/keys', { json: { name: freshName('app') } })).body
    for (const key of [agent.key, app.key]) expect((await call('GET', '/v1/audit', { key })).status).toBe(403)
    expect((await call('GET', '/v1/audit', { key: null })).status).toBe(401)
  })
})
