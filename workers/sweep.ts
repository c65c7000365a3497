/**
 * The hourly sweep: visits every agent, every open workflow, the schedules and the approvals, so that an alarm that was lost by
 * whatever bug strands nobody (M6), old receipts go, and a mailbox that does not add up is found. Never here: what a visit does
 * (durable-objects/agent.ts), the sum (shared/audit.ts).
 */
import { type AuditTotal, type MailboxAudit, nothingAudited, withMailbox } from '../shared/audit.ts'
import { indexEntry } from '../shared/directory.ts'
import type { Platform } from '../shared/ports.ts'
import { announceOverdue, announcePause } from './alert.ts'
import { announce } from './announce.ts'
import { tellMismatch } from './audit.ts'
import { enqueue } from './enqueue.ts'

const visitsAtOnce = 10
const pageSize = 100
// The sweep comes every hour, and may be late.
const recentMs = 2 * 3_600_000

interface Swept {
  readonly visited: number
  readonly failed: number
  readonly audit: AuditTotal
}

/** Visits all agents and open workflows, a few at a time. One that fails is noted, and the others are visited. */
export async function sweep(platform: Platform): Promise<Swept> {
  const noted = (step: string, work: Promise<unknown>) =>
    work.catch((error: unknown) => platform.log(step, { error: String(error) }))
  await noted('sweep.handlers', platform.enrolHandlers())
  await noted('sweep.schedules', platform.schedules().sweep())
  await noted('sweep.approvals', platform.approvals().sweep())
  const swept = await sweepAgents(platform)
  const { visited, failed, audit } = swept
  platform.log('sweep', { visited, failed, audit })
  await noted('sweep.audit', platform.directory().noteAudit({ v: 1, at: platform.now(), total: audit }))
  for (const status of ['running', 'paused']) await noted('sweep.workflows', sweepWorkflows(platform, status))
  return swept
}

async function sweepAgents(platform: Platform): Promise<Swept> {
  let visited = 0
  let failed = 0
  let audit = nothingAudited
  let cursor: string | undefined
  do {
    const page = await platform.directory().agents(undefined, cursor, pageSize)
    await each(page.items, async ({ agent }) => {
      try {
        const found = await visit(platform, agent)
        if (found !== undefined) audit = withMailbox(audit, agent, found)
        visited += 1
      } catch (error) {
        failed += 1
        audit = withMailbox(audit, agent, undefined)
        platform.log('sweep.failed', { agent, error: String(error) })
      }
    })
    cursor = page.cursor
  } while (cursor !== undefined)
  return { visited, failed, audit }
}

// The object is the truth, the directory its index: what the two tell differently is mended here.
async function visit(platform: Platform, name: string): Promise<MailboxAudit | undefined> {
  const { agent, references, alerts, audit } = await platform.agent(name).sweep()
  enqueue(platform, name, references)
  if (agent === undefined) {
    await platform.directory().removeAgent(name)
    return undefined
  }
  if (audit !== undefined) await tellMismatch(platform, name, audit)
  await platform.directory().putAgent(indexEntry(agent))
  // What a queue lost of its breaker's moves, its pause and what is overdue; what was told before is a duplicate.
  const since = platform.now() - recentMs
  const { paused } = agent
  if (paused !== undefined && paused.since > since) await announcePause(platform, name, paused.since)
  const late = alerts.filter(({ at }) => at > since)
  await announceOverdue(platform, name, late)
  await announce(platform, name, await platform.agent(name).breaker(), ({ at }) => at > since)
  // Its object still runs yesterday's code, for some minutes after a deploy.
  return audit ?? { verdict: 'not_counted', why: 'not_begun' }
}

/** Those that the index calls open: a workflow tells it when it ends, and goes on asking until it has. */
async function sweepWorkflows(platform: Platform, status: string): Promise<void> {
  let cursor: string | undefined
  do {
    const page = await platform.workflowIndex().list({ status }, cursor, pageSize)
    await each(page.items, async ({ id }) => {
      try {
        if (await platform.workflow(id).sweep()) platform.log('sweep.woken', { level: 'error', workflow: id })
      } catch (error) {
        platform.log('sweep.failed', { workflow: id, error: String(error) })
      }
    })
    cursor = page.cursor
  } while (cursor !== undefined)
}

async function each<T>(items: readonly T[], visit: (item: T) => Promise<void>): Promise<void> {
  for (let i = 0; i < items.length; i += visitsAtOnce) await Promise.all(items.slice(i, i + visitsAtOnce).map(visit))
}
