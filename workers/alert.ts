/**
 * Alert: an agent was paused, or mail of it is overdue, and whoever subscribes to `switchboard.agent.<name>` hears of it, once. Ids
 * only, as in every announcement, and not to the agent itself (S2). Never here: what is overdue (shared/overdue.ts), the breaker
 * (workers/announce.ts).
 */
import type { Alert } from '../shared/ladder.ts'
import type { PublishInput } from '../shared/message.ts'
import { brokerSource } from '../shared/permissions.ts'
import type { Platform } from '../shared/ports.ts'
import { agentTopic } from '../shared/topic.ts'
import { incomingOf } from './announce.ts'
import { publishMany } from './publish-many.ts'

/** Said again, by a repeat of the queue or the hourly sweep, it is a duplicate. */
export async function announceOverdue(platform: Platform, agent: string, alerts: readonly Alert[]): Promise<void> {
  await say(
    platform,
    agent,
    alerts.map(({ delivery, at, rung }) => ({
      key: `${delivery}-overdue-${at}`,
      at,
      about: { type: `${brokerSource}.delivery.overdue`, delivery, rung },
    })),
  )
}

/** Why, and until when, `GET /v1/agents/{agent}` tells whoever may read it: a person's words are no id. */
export async function announcePause(platform: Platform, agent: string, since: number): Promise<void> {
  const about = { type: `${brokerSource}.agent.paused` }
  await say(platform, agent, [{ key: `${agent}-paused-${since}`, at: since, about }])
}

interface Said {
  readonly key: string
  readonly at: number
  readonly about: Pick<PublishInput, 'type'> & Readonly<Record<string, string>>
}

async function say(platform: Platform, agent: string, news: readonly Said[]): Promise<void> {
  const audience = { kind: 'topic', topic: agentTopic(agent), except: agent } as const
  if (news.length === 0 || (await platform.directory().candidates(audience, undefined, 1)).total === 0) return
  for (const { key, at, about } of news) {
    const time = new Date(at).toISOString()
    const input = { ...about, topic: audience.topic, subject: agent, id: key, time, onunroutable: 'drop' } as const
    await publishMany(platform, audience, incomingOf(platform, input, key, at))
  }
}
