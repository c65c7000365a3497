/**
 * SENTENCE TWO. A reference arrives from the queue:
 *
 *   take → deliver → settle → carry out effects
 *
 * Each agent's way is independent of every other's. The queue's copy is acked once the mailbox has admitted it: from then on
 * the lease is the net, not the queue. Never here: what may be taken, or what an outcome does.
 */
import { agentIn } from '../shared/agent-text.ts'
import type { Platform } from '../shared/ports.ts'
import { type FleetingReference, reference, type TakeReference } from '../shared/reference.ts'
import type { AnyAgent } from './define.ts'
import { carryOut } from './effects.ts'
import { startFleeting } from './fleeting.ts'
import { runTaken } from './run.ts'
import { Slots } from './slots.ts'
import { take } from './take.ts'

/** The shape that is used of a queue message; the platform's own satisfies it. */
export interface QueuedMessage {
  readonly body: unknown
  readonly attempts: number
  ack(): void
  retry(options?: { delaySeconds?: number }): void
}

const retryDelaySeconds = 5

interface Mail {
  readonly message: QueuedMessage
  readonly reference: TakeReference
}

/** What is left to do once the mailbox has decided, and the queue's copy with it. */
type Rest = () => Promise<void>
const nothing: Rest = () => Promise.resolve()

/** Consumes one batch of `deliveries`. Never throws: a thrown batch would be redelivered whole. */
export async function consume(
  platform: Platform,
  handlers: ReadonlyMap<string, AnyAgent>,
  messages: readonly QueuedMessage[],
): Promise<void> {
  const read = messages.map((message) => ({ message, parsed: reference.safeParse(message.body) }))
  const agents = new Set(read.map(({ parsed }) => parsed.data?.agent))
  const slots = new Slots((ms, then) => platform.after(ms, then), agents.size === 1)
  const byAgent = new Map<string, Mail[]>()
  const suspects: Mail[] = []
  const admitted: Promise<Rest>[] = []

  for (const { message, parsed } of read) {
    if (!parsed.success) {
      // Not ours, or of a version from the future. Retried, then the dead-letter queue shows it; the mailbox repeats what is its own.
      platform.log('consume.unreadable', { attempts: message.attempts })
      message.retry({ delaySeconds: retryDelaySeconds })
    } else if ('fleeting' in parsed.data)
      admitted.push(guarded(platform, [message], admitFleeting(platform, handlers, slots, message, parsed.data)))
    else if (parsed.data.alone === true) suspects.push({ message, reference: parsed.data })
    else
      byAgent.set(parsed.data.agent, [...(byAgent.get(parsed.data.agent) ?? []), { message, reference: parsed.data }])
  }
  for (const [agent, mail] of byAgent)
    admitted.push(guarded(platform, messagesOf(mail), admitMail(platform, handlers, slots, agent, mail)))

  const mates = Promise.all(admitted.map(async (rest) => finish(platform, await rest)))
  // A suspect may bring its isolate down. It goes when its batch-mates have reported, one at a time, and is not even taken before.
  const all = mates.then(async () => {
    for (const one of suspects) {
      const rest = guarded(platform, [one.message], admitMail(platform, handlers, slots, one.reference.agent, [one]))
      await finish(platform, await rest)
    }
  })
  platform.waitUntil(all)
  // An ack or a retry that is said after the return counts for nothing.
  await within(platform, admissionMs, Promise.all(admitted))
  await within(platform, platform.settings.patienceMs, all)
}

async function admitMail(
  platform: Platform,
  handlers: ReadonlyMap<string, AnyAgent>,
  slots: Slots,
  agent: string,
  mail: readonly Mail[],
): Promise<Rest> {
  const alone = mail.every((m) => m.reference.alone === true)
  const asked = mail.flatMap((m) => m.reference.deliveries)
  const taken = await take(platform, agent, asked, alone)
  for (const { message } of mail) message.ack()
  if (taken.unfinished.length > 0) platform.waitUntil(carryOut(platform, agent, agentIn(taken.agent), taken.unfinished))
  return () => runTaken(platform, handlers, slots, agent, taken, alone)
}

async function admitFleeting(
  platform: Platform,
  handlers: ReadonlyMap<string, AnyAgent>,
  slots: Slots,
  message: QueuedMessage,
  fleeting: FleetingReference,
): Promise<Rest> {
  const start = await startFleeting(platform, handlers, slots, fleeting, message.attempts > 1)
  // At most once: the queue's copy is gone before the attempt, so nobody can try again.
  message.ack()
  return start.status === 'begun' ? start.run : nothing
}

// One agent's trouble is its own: its messages come again, the others' go on.
async function guarded(
  platform: Platform,
  messages: readonly QueuedMessage[],
  admission: Promise<Rest>,
): Promise<Rest> {
  try {
    return await admission
  } catch (error) {
    platform.log('consume.failed', { error: String(error) })
    for (const message of messages) message.retry({ delaySeconds: retryDelaySeconds * Math.min(12, message.attempts) })
    return nothing
  }
}

async function finish(platform: Platform, rest: Rest): Promise<void> {
  try {
    await rest()
  } catch (error) {
    platform.log('consume.failed', { error: String(error) })
  }
}

function messagesOf(mail: readonly Mail[]): QueuedMessage[] {
  return mail.map((m) => m.message)
}

// A mailbox answers within milliseconds; one that hangs must not hold up the next batch.
const admissionMs = 5_000

/**
 * Waits for the work, but no longer than this; the rest goes on under waitUntil. In production the patience is as long as the
 * longest lease, because work after the return is cut; locally it is nothing, because one batch runs at a time.
 */
async function within(platform: Platform, ms: number, work: Promise<unknown>): Promise<void> {
  if (ms <= 0) return
  let stop: () => void = () => undefined
  const patience = new Promise<void>((resolve) => {
    stop = platform.after(ms, resolve)
  })
  await Promise.race([work, patience])
  stop()
}
