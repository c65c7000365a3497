/**
 * Detach: an observer hears no more, and what waits for it in its mailbox is cancelled. What it works on is finished. Each part
 * may be repeated. Never here: who may (workers/routes/observers.ts).
 */
import { observing } from '../shared/observer.ts'
import type { Platform } from '../shared/ports.ts'
import { enqueue } from './enqueue.ts'

/** Ends it; `by`, where an agent asks, must be the observer. */
export async function detach(
  platform: Platform,
  agent: string,
  observer: string,
  by: string | undefined,
): Promise<'detached' | 'foreign'> {
  const { events, announcements } = observing(agent, observer)
  for (const { id } of [events, announcements])
    if ((await platform.directory().removeSubscription(id, by)) === 'foreign') return 'foreign'
  for (const { topic } of [events, announcements])
    if (!(await isSubscribed(platform, topic, observer))) await withdraw(platform, topic, observer)
  return 'detached'
}

// By another subscription it may hear the same still.
async function isSubscribed(platform: Platform, topic: string, observer: string): Promise<boolean> {
  const version = await platform.directory().version()
  const audience = { kind: 'topic', topic } as const
  let cursor: string | undefined
  do {
    const page = await platform.directory().candidates(audience, cursor, pageSize, undefined, version)
    if (page.items.some((c) => c.agent === observer)) return true
    cursor = page.cursor
  } while (cursor !== undefined && cursor < observer)
  return false
}

const pageSize = 100
/** Deliveries that one step ends. */
const withdrawnAtOnce = 500

async function withdraw(platform: Platform, topic: string, observer: string): Promise<void> {
  for (;;) {
    const { more, references } = await platform.agent(observer).withdraw(topic, withdrawnAtOnce)
    platform.log('detach', { observer, topic, more })
    enqueue(platform, observer, references)
    if (!more) return
  }
}
