/**
 * Pulling: lease what is next, waiting for it if asked to; and the list of a mailbox's receipts. Never here: what is next
 * (shared/release.ts), how to wait (workers/poll.ts).
 */
import { type Context, Hono } from 'hono'
import type { LeasedDelivery, TakeAnswer } from '../../shared/agent-port.ts'
import { agentIn } from '../../shared/agent-text.ts'
import { leaseRequest, receiptsQuery } from '../../shared/api-bodies.ts'
import { readCursor } from '../../shared/newest-first.ts'
import { mayOperate } from '../../shared/permissions.ts'
import type { Platform } from '../../shared/ports.ts'
import type { Report } from '../../shared/settlement.ts'
import { askBudgets } from '../budget.ts'
import type { App } from '../context.ts'
import { carryOut } from '../effects.ts'
import { enqueue } from '../enqueue.ts'
import { askPermits } from '../permit.ts'
import { poll } from '../poll.ts'
import { readJson, refuse, validate } from '../problem.ts'
import { settle } from '../settle.ts'
import { stoppedBecause } from '../switch.ts'

export const lease = new Hono<App>()

lease.post('/agents/:agent/lease', async (c) => {
  const agent = operable(c)
  const { max, waitSeconds, leaseSeconds } = await readJson(c, leaseRequest)
  const platform = c.get('platform')
  const { signal } = c.req.raw
  const ask = async () => {
    if ((await stoppedBecause(platform)) !== undefined) return []
    // A fresh token for each ask is right: an answer without leases granted nothing that a repeat could lose.
    const answer = await platform.agent(agent).lease(max, leaseSeconds * 1_000, platform.token())
    requirePull(agent, answer)
    finish(platform, agent, answer)
    return permitted(platform, answer)
  }
  const leases = (await poll(platform, { seconds: waitSeconds, signal }, ask, (some) => some.length > 0)) ?? []
  return signal.aborted ? giveBack(platform, agent, leases) : leased(leases)
})

lease.get('/agents/:agent/deliveries', async (c) => {
  const agent = operable(c)
  const { status, cursor, limit } = validate(receiptsQuery, c.req.query())
  if (cursor !== undefined && cursor !== '' && readCursor(cursor) === undefined) {
    const message = 'not a cursor that this list gave: begin again without one'
    refuse({ code: 'invalid_request', issues: [{ path: 'cursor', message }] })
  }
  const mailbox = c.get('platform').agent(agent)
  const page = await mailbox.list(status, cursor, limit, c.get('principal'))
  // An empty list may be that of nobody.
  if (page.items.length === 0 && (await mailbox.describe()) === undefined) refuse({ code: 'agent_not_found', agent })
  return c.json(page, 200)
})

function operable(c: Context<App>): string {
  const agent = c.req.param('agent') ?? ''
  if (!mayOperate(c.get('principal'), agent)) refuse({ code: 'forbidden', action: 'operate', subject: agent })
  return agent
}

function requirePull(agent: string, answer: TakeAnswer): void {
  const record = agentIn(answer.agent)
  if (record === undefined) refuse({ code: 'agent_not_found', agent })
  else if (record.kind !== 'pull') refuse({ code: 'wrong_kind', agent, kind: record.kind, needed: 'pull' })
}

// What a budget or a resource of the agent holds up goes back before anybody has seen it.
async function permitted(platform: Platform, answer: TakeAnswer): Promise<readonly LeasedDelivery[]> {
  const { leases } = answer
  const agent = agentIn(answer.agent)
  if (agent === undefined) return leases
  const budgeted = await askBudgets(platform, agent.name, leases)
  const { begin, held: parked } = await askPermits(platform, agent, budgeted.begin)
  const held = [...budgeted.held, ...parked]
  if (held.length > 0) await settle(platform, agent.name, held)
  return begin
}

// What the mailbox found to do on the way goes on after the answer.
function finish(platform: Platform, agent: string, answer: TakeAnswer): void {
  enqueue(platform, agent, answer.references)
  if (answer.unfinished.length > 0) {
    platform.waitUntil(carryOut(platform, agent, agentIn(answer.agent), answer.unfinished))
  }
}

// The client hung up while the mailbox answered: what it will never see goes back at once, and at no attempt (M4).
function giveBack(platform: Platform, agent: string, leases: readonly LeasedDelivery[]): Response {
  const reports = leases.map(({ id, token }): Report => ({ id, token, outcome: { kind: 'unsent' }, external: false }))
  if (reports.length > 0) platform.waitUntil(settle(platform, agent, reports))
  return leased([])
}

// The message goes out as the text that is stored: parsing and printing up to 8 MiB again would change nothing but the time.
function leased(leases: readonly LeasedDelivery[]): Response {
  const items = leases.map((l) => {
    const fields = JSON.stringify({
      id: l.id,
      token: l.token,
      attempt: l.attempt,
      maxAttempts: l.maxAttempts,
      deadline: new Date(l.deadlineAt).toISOString(),
      sequence: l.sequence,
      hops: l.hops,
      previousError: l.previousError,
    })
    return `${fields.slice(0, -1)},"message":${l.body}}`
  })
  return new Response(`{"deliveries":[${items.join(',')}]}`, { headers: { 'Content-Type': 'application/json' } })
}
