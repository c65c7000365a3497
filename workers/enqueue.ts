/**
 * Enqueue: put references to released deliveries on the queue. It goes on after the answer was given, and it may fail: the
 * mailbox repeats a release that nobody took. Never here: bodies.
 */
import type { Platform, QueuePort } from '../shared/ports.ts'
import { takeReferenceTo } from '../shared/reference.ts'
import type { References } from '../shared/release.ts'

// A reference is about 60 bytes a delivery; a queue message holds 128 kB.
const deliveriesPerReference = 100
// A send has been seen to hang for a minute (cloudflare/workerd issue 6053). The alarm is the net, so nobody waits for it.
const sendPatienceMs = 5_000

/** Under waitUntil: the caller does not wait, and a lost reference loses nothing. */
export function enqueue(platform: Platform, agent: string, references: References): void {
  for (const reference of references) {
    for (let i = 0; i < reference.deliveries.length; i += deliveriesPerReference) {
      const part = { ...reference, deliveries: reference.deliveries.slice(i, i + deliveriesPerReference) }
      platform.waitUntil(sendBounded(platform, platform.deliveries, takeReferenceTo(agent, part), agent))
    }
  }
}

/** Sends, for at most five seconds. True when the queue has it. */
export async function sendBounded<T>(
  platform: Platform,
  queue: QueuePort<T>,
  body: T,
  agent: string,
): Promise<boolean> {
  return new Promise((resolve) => {
    const stop = platform.after(sendPatienceMs, () => {
      platform.log('enqueue.late', { agent })
      resolve(false)
    })
    queue.send(body).then(
      () => {
        stop()
        resolve(true)
      },
      (error: unknown) => {
        stop()
        platform.log('enqueue.failed', { agent, error: String(error) })
        resolve(false)
      },
    )
  })
}
