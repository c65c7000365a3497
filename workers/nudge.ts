/**
 * Consumes `dead-letters`: references on which the platform gave up. The mailbox still holds the truth, so a copy here is only
 * a nudge to look again; the mailbox decides. Never here: the dead letters that people see (workers/exhume.ts).
 */
import type { Platform } from '../shared/ports.ts'
import { fleetingReference, takeReference } from '../shared/reference.ts'
import type { QueuedMessage } from './consume.ts'
import { enqueue } from './enqueue.ts'

const retryDelaySeconds = 60

/** Never throws: each message is acked or retried by itself. */
export async function nudge(platform: Platform, messages: readonly QueuedMessage[]): Promise<void> {
  await Promise.all(
    messages.map(async (message) => {
      try {
        await nudgeOne(platform, message.body)
        message.ack()
      } catch (error) {
        platform.log('nudge.failed', { error: String(error) })
        message.retry({ delaySeconds: retryDelaySeconds })
      }
    }),
  )
}

async function nudgeOne(platform: Platform, body: unknown): Promise<void> {
  const take = takeReference.safeParse(body)
  if (take.success) {
    const { agent, deliveries } = take.data
    platform.log('nudge', { agent, deliveries })
    enqueue(platform, agent, (await platform.agent(agent).nudge(deliveries)).references)
    return
  }
  const once = fleetingReference.safeParse(body)
  if (once.success) {
    const { agent, fleeting } = once.data
    const incoming = { ...fleeting, body: JSON.stringify(fleeting.message), brokerMade: false }
    const answer = await platform
      .agent(agent)
      .recordFleeting(incoming, fleeting.id, platform.now(), { kind: 'dropped', reason: 'the platform gave up on it' })
    enqueue(platform, agent, answer.references)
    return
  }
  // A chore's reference needs nothing here: its mailbox asks again by its alarm. Anything else is not ours.
  platform.log('nudge.ignored', {})
}
