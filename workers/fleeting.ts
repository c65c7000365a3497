/**
 * `at_most_once`: the queue itself carries the message, and nothing is stored before the attempt. Never here: durable mail.
 */
import type { Incoming } from '../shared/admission.ts'
import type { Fault } from '../shared/fault.ts'
import type { FleetingOutcome } from '../shared/fleeting.ts'
import { deliveryId, mid } from '../shared/ids.ts'
import { judge } from '../shared/lineage.ts'
import type { Platform } from '../shared/ports.ts'
import type { FleetingReference } from '../shared/reference.ts'
import { err, ok, type Result } from '../shared/result.ts'
import type { AnyAgent } from './define.ts'
import { deliver } from './deliver.ts'
import { enqueue, sendBounded } from './enqueue.ts'
import { askPermits, tellResources } from './permit.ts'
import type { PublishReceipt } from './route.ts'
import type { Slots } from './slots.ts'
import { stoppedBecause } from './switch.ts'

/** Hands the message to the queue. Parked or gone, it is dropped, and its receipt says why. */
export async function publishFleeting(
  platform: Platform,
  agent: string,
  incoming: Incoming,
): Promise<Result<PublishReceipt, Fault>> {
  const id = deliveryId(agent, mid(incoming.message.source, incoming.key, 0))
  const trip = incoming.lineage === undefined ? undefined : judge(incoming.lineage, agent, incoming.hops)
  if (trip !== undefined) return err({ code: trip.reason, reason: trip.detail, path: trip.path })
  const port = platform.agent(agent)
  let admission = await port.admitFleeting()
  if (admission.status === 'unknown' && (await platform.enrolHandler(agent))) admission = await port.admitFleeting()
  if (admission.status === 'unknown') return err({ code: 'agent_not_found', agent })
  if (admission.status === 'pull') return err({ code: 'not_durable', attribute: 'to', agent })
  const answer = (status: string): Result<PublishReceipt, Fault> =>
    ok({ id: incoming.message.id, deliveries: [{ id, agent, status }], duplicate: false, durable: false })
  if (admission.status === 'dropped') {
    await port.recordFleeting(incoming, id, platform.now(), { kind: 'dropped', reason: admission.reason })
    return answer('failed')
  }
  const { message, key, contentHash, hops, lineage } = incoming
  const led = lineage === undefined ? {} : { lineage }
  const sent = await sendBounded(
    platform,
    platform.deliveries,
    { v: 1, agent, fleeting: { id, message, key, contentHash, hops, ...led } },
    agent,
  )
  return sent ? answer('queued') : err({ code: 'unavailable', what: 'queue', retryAfterSeconds: 5 })
}

/** `run` does what is left, and only once its copy on the queue is gone. */
export type FleetingStart = { readonly status: 'over' } | { readonly status: 'begun'; run(): Promise<void> }

// No place in flight: it comes to the queue anew a little later, but not for ever.
const triesMax = 3
const busyPauseMs = 1_000

/**
 * Asks for a place. `redelivered`: the queue handed this copy out before. Whoever had it may have died in the middle of the
 * attempt, so it is not begun again: at most once.
 */
export async function startFleeting(
  platform: Platform,
  handlers: ReadonlyMap<string, AnyAgent>,
  slots: Slots,
  reference: FleetingReference,
  redelivered: boolean,
): Promise<FleetingStart> {
  const { agent, fleeting } = reference
  const port = platform.agent(agent)
  const incoming = { ...fleeting, body: JSON.stringify(fleeting.message), brokerMade: false }
  const startedAt = platform.now()
  const record = async (outcome: FleetingOutcome) => {
    const { references } = await port.recordFleeting(incoming, fleeting.id, startedAt, outcome)
    enqueue(platform, agent, references)
  }
  const over = async (outcome: FleetingOutcome): Promise<FleetingStart> => {
    await record(outcome)
    return { status: 'over' }
  }
  const drop = (reason: string) => over({ kind: 'dropped', reason })
  const stopped = await stoppedBecause(platform)
  if (stopped !== undefined) return drop(stopped)
  const { expirytime } = fleeting.message
  const answer = await port.beginFleeting(fleeting.id, expirytime === undefined ? undefined : Date.parse(expirytime))
  if (answer.status === 'seen' || answer.status === 'unknown') return { status: 'over' }
  if (answer.status === 'dropped') return drop(answer.reason)
  if (redelivered) return drop('the queue handed it out twice, so it may have been begun')
  if (answer.status === 'expired') return over({ kind: 'expired' })
  if (answer.status === 'busy') {
    const tries = (fleeting.tries ?? 1) + 1
    if (tries > triesMax) return drop('no free place among those in flight')
    const again = { ...reference, fleeting: { ...fleeting, tries } }
    return {
      status: 'begun',
      run: async () => {
        await new Promise<void>((resolve) => void platform.after(busyPauseMs, resolve))
        if (!(await sendBounded(platform, platform.deliveries, again, agent)))
          await drop('no free place among those in flight, and no queue to wait in')
      },
    }
  }
  return {
    status: 'begun',
    run: async () => {
      const lease = {
        id: fleeting.id,
        token: answer.token,
        attempt: 1,
        maxAttempts: 1,
        sequence: 0,
        hops: fleeting.hops,
        ...(fleeting.lineage === undefined ? {} : { lineage: fleeting.lineage }),
        firstAcceptedAt: startedAt,
        body: incoming.body,
        head: fleeting.message,
        deadlineAt: answer.deadlineAt,
        alone: false,
      }
      const { held, permits } = await askPermits(platform, answer.agent, [lease])
      const [refused] = held
      if (refused?.outcome.kind === 'parked') {
        await drop(refused.outcome.because)
        return
      }
      const outcome = await deliver(platform, handlers, slots, answer.agent, lease)
      await record(outcome)
      platform.waitUntil(tellResources(platform, answer.agent, [{ token: answer.token, outcome }], permits))
    },
  }
}
