/**
 * The hourly sweep: visits every agent, every open workflow, the schedules and the approvals, so that an alarm that was lost by
 * whatever bug strands nobody (M6), old receipts go, and a mailbox that does not add up is found. Never here: what a visit does
 * (durable-objects/agent.ts), the sum (shared/audit.ts).
 */
import { type MailboxAudit, nothingAudited, withMailbox } from '../shared/audit.ts'
import { indexEntry } from '../shared/directory.ts'
import type { Platform } from '../shared/ports.ts'
import type { Sweep } from '../shared/reference.ts'
import { announceOverdue, announcePause } from './alert.ts'
import { announce } from './announce.ts'
import { tellMismatch } from './audit.ts'
import { enqueue, sendBounded } from './enqueue.ts'

const visitsAtOnce = 10
const pageSize = 100
/** Of the invocation's allowance, which is counted in legs of two calls (docs/decisions/0016). To visit an agent takes three or four. */
const legsPerVisit = 2
// The sweep comes every hour, and may be late.
const recentMs = 2 * 3_600_000

/** Begins the hour's sweep. Gives what this invocation did of it. */
export async function sweep(platform: Platform): Promise<Sweep> {
  const noted = (step: string, work: Promise<unknown>) =>
    work.catch((error: unknown) => platform.log(step, { error: String(error) }))
  await noted('sweep.handlers', platform.enrolHandlers())
  await noted('sweep.schedules', platform.schedules().sweep())
  await noted('sweep.approvals', platform.approvals().sweep())
  const begun: Sweep = { of: 'agents', visited: 0, failed: 0, audit: nothingAudited }
  try {
    return await sweepOn(platform, begun)
  } catch (error) {
    platform.log('sweep.failed', { error: String(error) })
    return leave(platform, begun)
  }
}

/**
 * Goes on with a sweep until it is over or the invocation's allowance is used up; then the rest is asked for on the queue. What is
 * visited twice is as it was; what a queue loses is made up for by the next hour's.
 */
export async function sweepOn(platform: Platform, from: Sweep): Promise<Sweep> {
  let sweep = from
  for (;;) {
    const { allowance } = platform
    const size = Math.min(pageSize, Math.floor(allowance.legs / legsPerVisit))
    if (size === 0) return leave(platform, sweep)
    allowance.legs -= size * legsPerVisit
    const page = await pageOf(platform, sweep, size)
    // What was not needed is given back, but for the page itself.
    allowance.legs += Math.max(0, (size - page.items.length) * legsPerVisit - 1)
    const { cursor: _before, ...sum } = sweep.of === 'agents' ? await visitAgents(platform, sweep, page.items) : sweep
    if (sweep.of !== 'agents') await each(page.items, ({ name }) => visitWorkflow(platform, name))
    if (page.cursor !== undefined) sweep = { ...sum, cursor: page.cursor }
    else if (sum.of === 'paused') return sum
    else {
      if (sum.of === 'agents') await tellOfAgents(platform, sum)
      sweep = { ...sum, of: sum.of === 'agents' ? 'running' : 'paused' }
    }
  }
}

function leave(platform: Platform, sweep: Sweep): Sweep {
  platform.waitUntil(sendBounded(platform, platform.work, { v: 1, sweep }, 'sweep'))
  return sweep
}

interface Listed {
  readonly name: string
  /** Of an agent. */
  readonly incarnation?: string
}

/** Those that come next. */
async function pageOf(
  platform: Platform,
  { of, cursor }: Sweep,
  size: number,
): Promise<{ readonly items: readonly Listed[]; readonly cursor?: string }> {
  if (of === 'agents') {
    const page = await platform.directory().agents(undefined, cursor, size)
    return { ...page, items: page.items.map(({ agent, incarnation }) => ({ name: agent, incarnation })) }
  }
  // Those that the index calls open: a workflow tells it when it ends, and goes on asking until it has.
  const page = await platform.workflowIndex().list({ status: of }, cursor, size)
  return { ...page, items: page.items.map(({ id }) => ({ name: id })) }
}

async function visitAgents(platform: Platform, sweep: Sweep, listed: readonly Listed[]): Promise<Sweep> {
  let { visited, failed, audit } = sweep
  await each(listed, async (one) => {
    try {
      const found = await visit(platform, one)
      if (found !== undefined) audit = withMailbox(audit, one.name, found)
      visited += 1
    } catch (error) {
      failed += 1
      audit = withMailbox(audit, one.name, undefined)
      platform.log('sweep.failed', { agent: one.name, error: String(error) })
    }
  })
  return { ...sweep, visited, failed, audit }
}

async function tellOfAgents(platform: Platform, { visited, failed, audit }: Sweep): Promise<void> {
  platform.log('sweep', { visited, failed, audit })
  await platform
    .directory()
    .noteAudit({ v: 1, at: platform.now(), total: audit })
    .catch((error: unknown) => platform.log('sweep.audit', { error: String(error) }))
}

// The object is the truth, the directory its index: what the two tell differently is mended here.
async function visit(platform: Platform, { name, incarnation }: Listed): Promise<MailboxAudit | undefined> {
  const { agent, references, alerts, audit } = await platform.agent(name).sweep()
  enqueue(platform, name, references)
  if (agent === undefined) {
    // Registered anew meanwhile, it is another one.
    await platform.directory().removeAgent(name, incarnation)
    return undefined
  }
  if (audit !== undefined) await tellMismatch(platform, name, audit)
  // Deleted meanwhile, it stays out of the index.
  await platform.directory().putAgent(indexEntry(agent), 'listed')
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

async function visitWorkflow(platform: Platform, id: string): Promise<void> {
  try {
    if (await platform.workflow(id).sweep()) platform.log('sweep.woken', { level: 'error', workflow: id })
  } catch (error) {
    platform.log('sweep.failed', { workflow: id, error: String(error) })
  }
}

async function each<T>(items: readonly T[], visit: (item: T) => Promise<void>): Promise<void> {
  for (let i = 0; i < items.length; i += visitsAtOnce) await Promise.all(items.slice(i, i + visitsAtOnce).map(visit))
}
