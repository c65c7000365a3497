/**
 * Measure: ask the mailboxes of one page of agents how they stand, and the index of dead letters what it holds. Never here:
 * how it is told (shared/stats.ts).
 */
import { publicSwept } from '../shared/audit.ts'
import { limits } from '../shared/limits.ts'
import type { Platform } from '../shared/ports.ts'
import { type AgentStats, agentStatsOf, type Stats } from '../shared/stats.ts'
import { publicDuration } from '../shared/stays.ts'
import { stoppedBecause } from './switch.ts'

// Mailboxes asked at once.
const askedAtOnce = 20

/** One mailbox that does not answer is named, and spoils nobody else's figures. */
export async function measure(platform: Platform, cursor: string | undefined, limit: number): Promise<Stats> {
  await platform.enrolHandlers()
  const page = await platform.directory().agents(undefined, cursor, limit)
  const { counts, counted } = await platform.deadLetters().count(limits.lettersCounted)
  const names = page.items.map((item) => item.agent)
  const now = platform.now()
  const swept = await platform.directory().lastAudit()
  const stopped = await stoppedBecause(platform)
  const durations = cursor === undefined ? await platform.workflowIndex().durations() : []
  const items: AgentStats[] = []
  const unavailable: string[] = []
  const ask = async (name: string) => {
    try {
      const stats = await platform.agent(name).stats()
      return stats === undefined ? undefined : agentStatsOf(name, stats, counts, now)
    } catch (error) {
      platform.log('measure.failed', { agent: name, error: String(error) })
      unavailable.push(name)
      return undefined
    }
  }
  for (let i = 0; i < names.length; i += askedAtOnce)
    for (const one of await Promise.all(names.slice(i, i + askedAtOnce).map(ask)))
      if (one !== undefined) items.push(one)
  const unrouted = counts.filter((l) => l.agent === '').reduce((sum, l) => sum + l.count, 0)
  return {
    at: new Date(now).toISOString(),
    ...(stopped === undefined ? {} : { stopped }),
    items,
    unroutable: unrouted,
    lettersComplete: counted < limits.lettersCounted,
    unavailable,
    ...(swept === undefined ? {} : { audit: publicSwept(swept) }),
    ...(durations.length === 0 ? {} : { stateDurations: durations.map(publicDuration) }),
    ...(page.cursor === undefined ? {} : { cursor: page.cursor }),
  }
}
