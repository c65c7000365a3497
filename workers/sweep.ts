/**
 * The hourly sweep: visits every agent, the schedules and the approvals, so that an alarm that was lost by whatever bug strands nobody (M6),
 * and old receipts go. Never here: what a visit does (durable-objects/agent.ts).
 */
import { indexEntry } from '../shared/directory.ts'
import type { Platform } from '../shared/ports.ts'
import { announceOverdue, announcePause } from './alert.ts'
import { announce } from './announce.ts'
import { enqueue } from './enqueue.ts'

const visitsAtOnce = 10
const pageSize = 100
// The sweep comes every hour, and may be late.
const recentMs = 2 * 3_600_000

/** Visits all agents, a few at a time. One that fails is noted, and the others are visited. */
export async function sweep(platform: Platform): Promise<{ readonly visited: number; readonly failed: number }> {
  await platform.enrolHandlers().catch((error: unknown) => platform.log('sweep.handlers', { error: String(error) }))
  await platform
    .schedules()
    .sweep()
    .catch((error: unknown) => platform.log('sweep.schedules', { error: String(error) }))
  await platform
    .approvals()
    .sweep()
    .catch((error: unknown) => platform.log('sweep.approvals', { error: String(error) }))
  let visited = 0
  let failed = 0
  let cursor: string | undefined
  do {
    const page = await platform.directory().agents(undefined, cursor, pageSize)
    for (let i = 0; i < page.items.length; i += visitsAtOnce) {
      await Promise.all(
        page.items.slice(i, i + visitsAtOnce).map(async ({ agent }) => {
          try {
            await visit(platform, agent)
            visited += 1
          } catch (error) {
            failed += 1
            platform.log('sweep.failed', { agent, error: String(error) })
          }
        }),
      )
    }
    cursor = page.cursor
  } while (cursor !== undefined)
  platform.log('sweep', { visited, failed })
  return { visited, failed }
}

// The object is the truth, the directory its index: what the two tell differently is mended here.
async function visit(platform: Platform, name: string): Promise<void> {
  const { agent, references, alerts } = await platform.agent(name).sweep()
  enqueue(platform, name, references)
  if (agent === undefined) await platform.directory().removeAgent(name)
  else {
    await platform.directory().putAgent(indexEntry(agent))
    // What a queue lost of its breaker's moves, its pause and what is overdue; what was told before is a duplicate.
    const since = platform.now() - recentMs
    const { paused } = agent
    if (paused !== undefined && paused.since > since) await announcePause(platform, name, paused.since)
    const late = alerts.filter(({ at }) => at > since)
    await announceOverdue(platform, name, late)
    await announce(platform, name, await platform.agent(name).breaker(), ({ at }) => at > since)
  }
}
