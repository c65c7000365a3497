/**
 * Arrive: a reply comes to its gather. Carried by the broker, it says which message it answers; sent by hand, the gather knows
 * whom it asked. Never here: whether it counts (shared/arrival.ts).
 */
import type { Incoming } from '../shared/admission.ts'
import type { Unfinished } from '../shared/agent-port.ts'
import type { Effect, EffectStatus } from '../shared/effects.ts'
import type { Fault } from '../shared/fault.ts'
import { gatherAddress } from '../shared/gather.ts'
import { failureOf } from '../shared/leg-failure.ts'
import { destinationOf } from '../shared/message.ts'
import type { Platform } from '../shared/ports.ts'
import { err, ok, type Result } from '../shared/result.ts'
import type { PublishReceipt } from './route.ts'

/** A message published to a gather by hand. */
export async function arriveByHand(
  platform: Platform,
  gather: string,
  { message, body, key }: Incoming,
): Promise<Result<PublishReceipt, Fault>> {
  const { id, source: by, causationid } = message
  const arrival = { by, key, ...(causationid === undefined ? {} : { causationid }) }
  const { standing } = await platform.gather(gather).arrive(arrival, body)
  platform.log('arrive', { gather, by, standing })
  switch (standing) {
    case 'unknown':
      return err({ code: 'not_found', what: 'gather', id: gather })
    case 'stranger':
      return err({ code: 'forbidden', action: 'reply to', subject: gatherAddress(gather) })
    default:
      return ok({ id, deliveries: [], duplicate: standing === 'duplicate', standing })
  }
}

/** A reply out of a journal. To a gather that is no longer kept it is late, as it is to one that is over: never a dead letter (G1). */
export async function arriveFromJournal(
  platform: Platform,
  agent: string,
  one: Unfinished,
  gather: string,
  { body, key }: Incoming,
): Promise<EffectStatus> {
  const arrival = { by: agent, key, delivery: one.id, of: { id: one.head.id, source: one.head.source } }
  const { standing, report } = await platform.gather(gather).arrive(arrival, body, platform.bell.isAwaited(gather))
  platform.bell.ring(gather, report)
  platform.log('arrive', { gather, by: agent, delivery: one.id, standing })
  if (standing === 'stranger') {
    const detail = `${gatherAddress(gather)} asked somebody else`
    return { status: 'refused', reason: 'not_expected', detail }
  }
  return { status: 'carried', deliveries: [], standing: standing === 'unknown' ? 'late' : standing }
}

/** The news that a delivery will not be answered. Whoever no longer waits for it need not be told. */
export async function arriveNotice(
  platform: Platform,
  agent: string,
  one: Unfinished,
  { publish }: Effect,
): Promise<EffectStatus> {
  const to = destinationOf({ to: String(publish.to) })
  if (to.kind !== 'gather') return { status: 'carried', deliveries: [] }
  const { id, source } = one.head
  const arrival = { by: agent, key: String(publish.id), delivery: one.id, of: { id, source } }
  const news = { ...arrival, failure: failureOf(agent, one.id, publish.data) }
  const isAwaited = platform.bell.isAwaited(to.gather)
  const { standing, report } = await platform.gather(to.gather).arrive(news, undefined, isAwaited)
  platform.bell.ring(to.gather, report)
  platform.log('arrive', { gather: to.gather, by: agent, delivery: one.id, notice: standing })
  return { status: 'carried', deliveries: [] }
}
