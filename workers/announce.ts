/**
 * Announce: a breaker moved, a delivery died, a workflow stands otherwise, and whoever subscribes to `switchboard.agent.<name>`,
 * `switchboard.resource.<name>` or `switchboard.workflow.<id>` hears of it, once. Ids only, no data: what was in anybody's message is
 * nobody else's (S2). Never here: deciding that it moved (shared/breaker.ts).
 */
import type { Incoming } from '../shared/admission.ts'
import { type Breaker, movesOf } from '../shared/breaker.ts'
import type { DeadLetter } from '../shared/dead-letter.ts'
import { composeMessage, contentHash, type PublishInput } from '../shared/message.ts'
import { ownName } from '../shared/outgoing.ts'
import { brokerSource } from '../shared/permissions.ts'
import type { Platform } from '../shared/ports.ts'
import { agentTopic, isReserved, resourceTopic, workflowTopic } from '../shared/topic.ts'
import { continueTrace } from '../shared/trace.ts'
import type { WorkflowRecord } from '../shared/workflow.ts'
import { publishMany } from './publish-many.ts'

type Move = ReturnType<typeof movesOf>[number]

/** What a move is about: where it is said, and to whom not. */
interface About {
  readonly topic: string
  readonly subject: string
  /** With the move's epoch and time, the announcement's id. */
  readonly key: string
  readonly except?: string
}

/** Says what an agent's breaker did that `isMeant` picks. Told twice, it is a duplicate to whoever has it. */
export async function announce(
  platform: Platform,
  agent: string,
  breaker: Breaker | undefined,
  isMeant: (move: Move) => boolean,
): Promise<void> {
  // An agent that is down is not told so: that mail would only wait behind its breaker, and move it again.
  const about = { topic: agentTopic(agent), subject: agent, key: `${agent}-breaker`, except: agent }
  await say(platform, about, breaker, isMeant)
}

/** The same of a resource that agents share. */
export async function announceResource(
  platform: Platform,
  resource: string,
  breaker: Breaker | undefined,
  isMeant: (move: Move) => boolean,
): Promise<void> {
  const about = { topic: resourceTopic(resource), subject: resource, key: `resource-${resource}-breaker` }
  await say(platform, about, breaker, isMeant)
}

/**
 * A delivery of an agent became a dead letter. What was announced is not announced again when it dies (announcements do not feed
 * on themselves). One that cannot be said now is said when its burial is repeated.
 */
export async function announceDeath(platform: Platform, agent: string, letter: DeadLetter): Promise<void> {
  if (letter.message.topic !== undefined && isReserved(letter.message.topic)) return
  const audience = { kind: 'topic', topic: agentTopic(agent), except: agent } as const
  const { total } = await platform.directory().candidates(audience, undefined, 1)
  if (total === 0) return
  const { id, delivery, reason, at } = letter
  // Another incarnation of its agent may lose a delivery of the same name, at another time.
  const key = `${id}-dead-${at}`
  const about = { type: `${brokerSource}.delivery.dead_lettered`, subject: agent, delivery, reason }
  const input: PublishInput = {
    topic: audience.topic,
    ...about,
    id: key,
    time: new Date(at).toISOString(),
    onunroutable: 'drop',
  }
  await publishMany(platform, audience, incomingOf(platform, input, key, at))
}

/**
 * A workflow stands otherwise than its index was told: it began, was paused, went on, or ended. Asked for again by the workflow's
 * alarm until the index has it. Each transition is in its history, which can be watched.
 */
export async function announceWorkflow(platform: Platform, record: WorkflowRecord): Promise<void> {
  const { id, status, last, version, updatedAt, createdBy } = record
  const audience = { kind: 'topic', topic: workflowTopic(id) } as const
  const { total } = await platform.directory().candidates(audience, undefined, 1)
  if (total === 0) return
  const key = `workflow-${ownName(record)}-${status}-${last.entry}`
  const about = {
    type: `${brokerSource}.workflow.${status}`,
    // Not its `workflowid`: what belongs to a workflow that is paused may have to wait for it.
    subject: id,
    version,
    createdby: createdBy,
  }
  const time = new Date(updatedAt).toISOString()
  const input: PublishInput = { topic: audience.topic, ...about, id: key, time, onunroutable: 'drop' }
  await publishMany(platform, audience, incomingOf(platform, input, key, updatedAt))
}

/** Each visit of a state that lasts too long, as its chart says. Gives the entries that are told: told twice, it is a duplicate. */
export async function announceSlow(platform: Platform, record: WorkflowRecord): Promise<number[]> {
  const { id, owes } = record
  const slow = owes?.slow ?? []
  if (slow.length === 0) return []
  const audience = { kind: 'topic', topic: workflowTopic(id) } as const
  const { total } = await platform.directory().candidates(audience, undefined, 1)
  for (const { n, state, since, at } of total === 0 ? [] : slow) {
    const key = `workflow-${ownName(record)}-slow-${n}`
    const about = { type: `${brokerSource}.workflow.slow_state`, subject: id, state, elapsedms: at - since }
    const times = { since: new Date(since).toISOString(), time: new Date(at).toISOString() }
    const input: PublishInput = { topic: audience.topic, ...about, ...times, id: key, onunroutable: 'drop' }
    await publishMany(platform, audience, incomingOf(platform, input, key, at))
  }
  return slow.map(({ n }) => n)
}

async function say(
  platform: Platform,
  about: About,
  breaker: Breaker | undefined,
  isMeant: (move: Move) => boolean,
): Promise<void> {
  const moves = breaker === undefined ? [] : movesOf(breaker).filter(isMeant)
  if (moves.length === 0) return
  const { topic, except } = about
  const audience = { kind: 'topic', topic, ...(except === undefined ? {} : { except }) } as const
  const { total } = await platform.directory().candidates(audience, undefined, 1)
  if (total === 0) return
  for (const move of moves) await publishMany(platform, audience, announcementOf(platform, about, move))
}

function announcementOf(platform: Platform, about: About, { epoch, at, to }: Move): Incoming {
  // Another incarnation counts its epochs anew, at another time.
  const key = `${about.key}-${epoch}-${at}`
  const input: PublishInput = {
    topic: about.topic,
    type: `${brokerSource}.breaker.${to}`,
    id: key,
    subject: about.subject,
    time: new Date(at).toISOString(),
    onunroutable: 'drop',
    // They travel each by itself: this says which came first.
    epoch,
  }
  return incomingOf(platform, input, key, at)
}

/** An announcement, dated by what it tells: made again, it is the same message. */
export function incomingOf(platform: Platform, input: PublishInput, key: string, at: number): Incoming {
  const { traceparent } = continueTrace({ traceparent: undefined, tracestate: undefined }, (n) => platform.hex(n))
  const message = composeMessage(input, { source: brokerSource, freshId: key, now: at, traceparent })
  const body = JSON.stringify(message)
  return { message, body, key, contentHash: contentHash(input), hops: 0, brokerMade: true }
}
