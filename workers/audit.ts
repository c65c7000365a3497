/**
 * Audit: ask the mailboxes of one page of agents whether what they accepted adds up, and be loud about one that does not. Never
 * here: the sum (shared/audit.ts), all of them every hour (workers/sweep.ts).
 */
import { type AuditAnswer, type MailboxAudit, nothingAudited, publicSwept, withMailbox } from '../shared/audit.ts'
import type { PublishInput } from '../shared/message.ts'
import type { Platform } from '../shared/ports.ts'
import { auditMismatchTopic } from '../shared/topic.ts'
import { incomingOf } from './announce.ts'
import { publishMany } from './publish-many.ts'

// Mailboxes asked at once: each reads all its rows.
const askedAtOnce = 10

/** One mailbox that does not answer is named, and spoils nobody else's sum. */
export async function audit(platform: Platform, cursor: string | undefined, limit: number): Promise<AuditAnswer> {
  await platform.enrolHandlers()
  const page = await platform.directory().agents(undefined, cursor, limit)
  const swept = await platform.directory().lastAudit()
  const names = page.items.map((item) => item.agent)
  const items: AuditAnswer['items'] = []
  const unavailable: string[] = []
  let total = nothingAudited
  for (let i = 0; i < names.length; i += askedAtOnce) {
    const some = names.slice(i, i + askedAtOnce)
    const found = await Promise.all(some.map((name) => ask(platform, name)))
    for (const [n, agent] of some.entries()) {
      const one = found[n]
      // Deleted since the directory was read.
      if (one === 'gone') continue
      total = withMailbox(total, agent, one)
      if (one === undefined) unavailable.push(agent)
      else items.push({ agent, ...one })
    }
  }
  return {
    at: new Date(platform.now()).toISOString(),
    total,
    items,
    unavailable,
    ...(swept === undefined ? {} : { lastSweep: publicSwept(swept) }),
    ...(page.cursor === undefined ? {} : { cursor: page.cursor }),
  }
}

async function ask(platform: Platform, agent: string): Promise<MailboxAudit | 'gone' | undefined> {
  try {
    return (await platform.agent(agent).audit()) ?? 'gone'
  } catch (error) {
    platform.log('audit.failed', { agent, error: String(error) })
    return undefined
  }
}

/** A mailbox does not add up: in the log, and to whoever subscribes, once a day for each finding. Ids and numbers only (S2). */
export async function tellMismatch(platform: Platform, agent: string, found: MailboxAudit): Promise<void> {
  if (found.verdict !== 'mismatch') return
  const { missing, stranded, untracked } = found
  platform.log('audit.mismatch', { level: 'error', agent, ...found })
  const audience = { kind: 'topic', topic: auditMismatchTopic } as const
  if ((await platform.directory().candidates(audience, undefined, 1)).total === 0) return
  const now = platform.now()
  const key = `audit-${agent}-${missing}-${stranded}-${untracked}-${new Date(now).toISOString().slice(0, 10)}`
  const input: PublishInput = {
    ...{ topic: auditMismatchTopic, type: auditMismatchTopic, id: key, subject: agent, onunroutable: 'drop' },
    ...{ missing, stranded, untracked },
    time: new Date(now).toISOString(),
  }
  await publishMany(platform, audience, incomingOf(platform, input, key, now))
}
