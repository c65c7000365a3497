/**
 * Fire: publish what is due of a schedule, under its creator's permissions and source. The id of each is made of the schedule
 * and its time, so that a doubled firing is a duplicate downstream (M2); whatever dies on the way is asked for again by the
 * schedules' alarm. Never here: what is due (shared/firing.ts).
 */
import { type Fault, problemOf } from '../shared/fault.ts'
import { parseDeliveryId } from '../shared/ids.ts'
import { isAtEnd } from '../shared/ladder.ts'
import type { Principal } from '../shared/permissions.ts'
import type { Platform } from '../shared/ports.ts'
import type { Receipt } from '../shared/receipt.ts'
import { type Firing, type FiringNews, pendingOf, type Schedule } from '../shared/schedule.ts'
import { publish } from './publish.ts'
import { fatesOf } from './report.ts'
import type { PublishReceipt } from './route.ts'
import { speakerOf } from './speaker.ts'

type Outcome = FiringNews['outcome']

/** Each by itself: what one cannot publish now, its alarm asks for again. */
export async function fireAll(platform: Platform, schedules: readonly string[]): Promise<void> {
  await Promise.all(
    schedules.map((id) =>
      fire(platform, id).catch((error: unknown) => platform.log('fire.failed', { schedule: id, error: String(error) })),
    ),
  )
}

/** Publishes what is due, in order, and gives the schedule as it then stands; undefined when there is none. */
export async function fire(platform: Platform, id: string): Promise<Schedule | undefined> {
  let schedule = await platform.schedules().find(id)
  if (schedule === undefined || pendingOf(schedule).length === 0) return schedule
  const speaker = await speakerOf(platform, schedule, 'schedule')
  for (const firing of pendingOf(schedule)) {
    const outcome: Outcome = speaker.ok
      ? await outcomeOf(platform, speaker.value, schedule, firing)
      : { kind: 'refused', code: 'creator_gone', detail: speaker.error }
    // Told one by one: what the next one does depends on it.
    schedule = (await platform.schedules().report(id, [{ firing: firing.id, outcome }])) ?? schedule
    platform.log('fire', { schedule: id, firing: firing.id, outcome: outcome.kind })
  }
  return schedule
}

async function outcomeOf(platform: Platform, speaker: Principal, schedule: Schedule, firing: Firing): Promise<Outcome> {
  const { overlap, message } = schedule.input
  if (firing.manual !== true && overlap !== 'allow' && !(await isOver(platform, schedule.last)))
    return { kind: 'overlapping' }
  const [answer] = await publish(platform, speaker, [{ ...message, id: firing.id }], { brokerMade: true })
  if (answer === undefined) return { kind: 'later', code: 'unavailable', detail: 'the mailbox did not answer' }
  return answer.ok ? published(answer.value) : notPublished(answer.error)
}

function published({ deliveries: [only], publication }: PublishReceipt): Outcome {
  if (publication !== undefined) return { kind: 'published', publication }
  return { kind: 'published', ...(only === undefined ? {} : { delivery: only.id }) }
}

function notPublished(fault: Fault): Outcome {
  // The id is this firing's alone: it was published before the schedule's message was changed.
  if (fault.code === 'key_reused') return published({ id: fault.key, ...placeOf(fault.delivery), duplicate: true })
  const { body } = problemOf(fault)
  const why = { code: fault.code, detail: body.detail }
  return fault.code === 'backpressure' || fault.code === 'unavailable'
    ? { kind: 'later', ...why }
    : { kind: 'refused', ...why }
}

function placeOf(id: string): Pick<PublishReceipt, 'deliveries' | 'publication'> {
  const agent = parseDeliveryId(id)?.agent
  return agent === undefined ? { deliveries: [], publication: id } : { deliveries: [{ id, agent, status: 'held' }] }
}

// --- has the one before ended? ----------------------------------------------------------------------------------------

// A delivery that was moved goes on in another mailbox; more moves than this is somebody's loop.
const movesFollowed = 8

async function isOver(platform: Platform, last: Firing | undefined): Promise<boolean> {
  if (last?.state.status !== 'published') return true
  const { delivery, publication } = last.state
  if (delivery !== undefined) return isDeliveryOver(platform, delivery)
  return publication === undefined || isPublicationOver(platform, publication)
}

async function isDeliveryOver(platform: Platform, delivery: string): Promise<boolean> {
  let id: string | undefined = delivery
  for (let moves = 0; moves < movesFollowed && id !== undefined; moves++) {
    const agent: string | undefined = parseDeliveryId(id)?.agent
    const receipt: Receipt | undefined = agent === undefined ? undefined : await platform.agent(agent).receipt(id)
    if (receipt !== undefined && !isAtEnd(receipt)) return false
    id = receipt?.reassignedTo
  }
  return true
}

// Of one for more than are kept by name only this is known: that each leg was accepted or refused.
async function isPublicationOver(platform: Platform, id: string): Promise<boolean> {
  const publication = await platform.publication(id).report()
  if (publication === undefined) return true
  if (publication.closedAt === undefined) return false
  if (publication.plan !== undefined) return true
  const fates = await fatesOf(platform, publication.legs)
  return fates.every(
    ({ leg, receipt }) =>
      leg.state.status !== 'accepted' ||
      receipt === 'forgotten' ||
      (receipt !== undefined && isAtEnd({ status: receipt })),
  )
}
