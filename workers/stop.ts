/**
 * Stop: both ends of a message that a guard did not let through are told, as mail. The word of the broker itself: no guard stops it.
 * Never here: what is stopped, and who is told (shared/stop.ts).
 */
import type { Incoming } from '../shared/admission.ts'
import type { Unfinished } from '../shared/agent-port.ts'
import type { Effect, EffectStatus } from '../shared/effects.ts'
import { composeMessage, contentHash, publishInput } from '../shared/message.ts'
import { brokerSource } from '../shared/permissions.ts'
import type { Platform } from '../shared/ports.ts'
import { pathFrom } from '../shared/stop.ts'
import { continueTrace } from '../shared/trace.ts'
import { effectGiveUpMs } from '../shared/upkeep.ts'
import { accept } from './accept.ts'
import { enqueue } from './enqueue.ts'

/** Undefined: its mailbox is full, and it is told later. Who is gone need not be told. */
export async function tellStop(
  platform: Platform,
  to: string,
  one: Unfinished,
  { publish }: Effect,
): Promise<EffectStatus | undefined> {
  const incoming = wordOf(platform, one, publish)
  const answer = await accept(platform, to, [incoming], `stop.${incoming.key}`)
  enqueue(platform, to, answer.references)
  const [admission] = answer.admissions
  const waits = admission === undefined || admission.status === 'full'
  if (waits && platform.now() - one.openedAt < effectGiveUpMs) return undefined
  return { status: 'carried', deliveries: admission !== undefined && 'id' in admission ? [admission.id] : [] }
}

/** What the broker itself says of an ended delivery, as mail. */
export function wordOf(platform: Platform, one: Unfinished, publish: Effect['publish']): Incoming {
  const input = publishInput.parse(publish)
  const { traceparent, tracestate } = one.head
  const trace = continueTrace({ traceparent, tracestate }, (n) => platform.hex(n))
  const key = input.id ?? ''
  // Dated by the end, not by the telling: told twice, it is the same message.
  const stamp = { source: brokerSource, freshId: key, now: one.openedAt, ...trace }
  const message = composeMessage(input, stamp)
  return {
    ...{ message, body: JSON.stringify(message), key, contentHash: contentHash(input), hops: one.hops },
    ...{ brokerMade: true, since: one.since, reserved: true, lineage: { path: pathFrom(one), print: '' } },
  }
}
