/**
 * SENTENCE TWO. A reference arrives from the queue:
 *
 *   take → deliver → settle → carry out effects
 *
 * Each agent's way is independent of every other's. The queue's copy is acked once the mailbox has admitted it: from then on
 * the lease is the net, not the queue. Never here: what may be taken, or what an outcome does.
 */
import type { AgentRecord } from '../shared/agent.ts'
import type { LeasedDelivery, Platform } from '../shared/ports.ts'
import { type FleetingReference, reference, type TakeReference } from '../shared/reference.ts'
import type { AnyAgent } from './define.ts'
import { deliver } from './deliver.ts'
import { carryOut } from './effects.ts'
import { startFleeting } from './fleeting.ts'
import { Settler } from './settle.ts'
import { Slots } from './slots.ts'
import { take } from './take.ts'

/** The shape that is used of a queue message; the platform's own satisfies it. */
export interface QueuedMessage {
  readonly body: unknown
  readonly attempts: number
  ack(): void
  retry(options?: { delaySeconds?: number }): void
}

const fleetingTries = 3
const retryDelaySeconds = 5

interface Mail {
  readonly message: QueuedMessage
  readonly reference: TakeReference
}

/** Consumes one batch of `deliveries`. Never throws: a thrown batch would be redelivered whole. */
export async function consume(
  platform: Platform,
  handlers: ReadonlyMap<string, AnyAgent>,
  messages: readonly QueuedMessage[],
): Promise<void> {
  const slots = new Slots((ms, then) => platform.after(ms, then))
  const byAgent = new Map<string, Mail[]>()
  const suspects: Mail[] = []
  const running: Promise<void>[] = []

  for (const message of messages) {
    const parsed = reference.safeParse(message.body)
    if (!parsed.success) {
      // Not ours, or of a version from the future. Retried, then the dead-letter queue shows it; the mailbox repeats what is its own.
      platform.log('consume.unreadable', { attempts: message.attempts })
      message.retry({ delaySeconds: retryDelaySeconds })
    } else if ('fleeting' in parsed.data)
      running.push(guarded(platform, [message], runFleeting(platform, handlers, slots, message, parsed.data)))
    else if (parsed.data.alone === true) suspects.push({ message, reference: parsed.data })
    else
      byAgent.set(parsed.data.agent, [...(byAgent.get(parsed.data.agent) ?? []), { message, reference: parsed.data }])
  }
  for (const [agent, mail] of byAgent)
    running.push(guarded(platform, messagesOf(mail), runMail(platform, handlers, slots, agent, mail)))

  // A suspect may bring its isolate down. It goes when its batch-mates have reported, one at a time, and is not even taken before.
  const all = Promise.all(running).then(async () => {
    for (const one of suspects)
      await guarded(platform, [one.message], runMail(platform, handlers, slots, one.reference.agent, [one]))
  })
  await withPatience(
    platform,
    all.then(() => undefined),
  )
}

async function runMail(
  platform: Platform,
  handlers: ReadonlyMap<string, AnyAgent>,
  slots: Slots,
  agent: string,
  mail: readonly Mail[],
): Promise<void> {
  const taken = await take(
    platform,
    agent,
    mail.flatMap((m) => m.reference.deliveries),
  )
  for (const { message } of mail) message.ack()
  if (taken.unfinished.length > 0) platform.waitUntil(carryOut(platform, agent, taken.agent, taken.unfinished))
  if (taken.agent !== undefined) await runLeases(platform, handlers, slots, taken.agent, taken.leases)
}

/** deliver → settle, for leases of one agent. Outcomes go back as they arrive. */
async function runLeases(
  platform: Platform,
  handlers: ReadonlyMap<string, AnyAgent>,
  slots: Slots,
  agent: AgentRecord,
  leases: readonly LeasedDelivery[],
): Promise<void> {
  const settler = new Settler(platform, agent.name, leases.length)
  await Promise.all(
    leases.map(async (lease) => {
      const outcome = await deliver(platform, handlers, slots, agent, lease)
      await settler.report({ id: lease.id, token: lease.token, outcome, external: false })
    }),
  )
}

async function runFleeting(
  platform: Platform,
  handlers: ReadonlyMap<string, AnyAgent>,
  slots: Slots,
  message: QueuedMessage,
  fleeting: FleetingReference,
): Promise<void> {
  const start = await startFleeting(platform, handlers, slots, fleeting, message.attempts >= fleetingTries)
  if (start.status === 'busy') {
    message.retry({ delaySeconds: 1 })
    return
  }
  // At most once: the queue's copy is gone before the attempt, so nobody can try again.
  message.ack()
  if (start.status === 'begun') await start.run()
}

// One agent's trouble is its own: its messages come again, the others' go on.
async function guarded(platform: Platform, messages: readonly QueuedMessage[], work: Promise<void>): Promise<void> {
  try {
    await work
  } catch (error) {
    platform.log('consume.failed', { error: String(error) })
    // First call wins: what was acked stays acked.
    for (const message of messages) message.retry({ delaySeconds: retryDelaySeconds * Math.min(12, message.attempts) })
  }
}

function messagesOf(mail: readonly Mail[]): QueuedMessage[] {
  return mail.map((m) => m.message)
}

/**
 * Waits for the work up to the platform's patience and leaves the rest to waitUntil. In production that is as long as the
 * longest lease, because work after the return is cut; locally next to nothing, because one batch runs at a time.
 */
async function withPatience(platform: Platform, work: Promise<void>): Promise<void> {
  platform.waitUntil(work)
  const patienceMs = platform.settings.patienceMs
  if (patienceMs <= 0) return
  let stop: () => void = () => undefined
  const patience = new Promise<void>((resolve) => {
    stop = platform.after(patienceMs, resolve)
  })
  await Promise.race([work, patience])
  stop()
}
