/**
 * Expand: have the legs of a publication accepted by their mailboxes, and write down how far it got. Whoever comes next goes
 * on where the last one stopped; a leg asked twice is a duplicate to its mailbox. Never here: choosing the legs.
 */
import type { Admission, Incoming } from '../shared/admission.ts'
import { deadLetterOfPublication } from '../shared/dead-letter.ts'
import { limits } from '../shared/limits.ts'
import { messageSchema } from '../shared/message.ts'
import type { Platform } from '../shared/ports.ts'
import {
  isUnheard,
  type Leg,
  type LegState,
  legGiveUpMs,
  type Publication,
  pendingLegs,
} from '../shared/publication.ts'
import { unreachable } from '../shared/result.ts'
import { reaches } from '../shared/subscription.ts'
import { accept } from './accept.ts'
import { enqueue, sendBounded } from './enqueue.ts'

// Mailboxes asked at once: each is a subrequest, and a page of a hundred should not wait for its slowest one by one.
const askedAtOnce = 20
// Pages in one invocation: enough for a thousand legs, short enough for anybody's patience.
const pagesPerRun = 10

export interface Expanded {
  readonly publication: Publication
  /** Where the deliveries of this run stand, by agent. */
  readonly standing: ReadonlyMap<string, string>
}

/** Goes on with a publication until it is closed, or this run's share is done; then the rest is asked for on the queue. */
export async function expand(platform: Platform, id: string): Promise<Expanded | undefined> {
  const port = platform.publication(id)
  const left = await port.unfinished()
  const standing = new Map<string, string>()
  if (left === undefined) {
    const publication = await port.report()
    return publication === undefined ? undefined : { publication, standing }
  }
  let { publication } = left
  const incoming = incomingOf(publication, left.body)
  const ask = (agents: readonly string[]) => askAll(platform, publication, agents, incoming, standing)

  const named = pendingLegs(publication)
  if (named.length > 0) publication = (await port.progress({ legs: await ask(named) })) ?? publication
  for (let page = 0; page < pagesPerRun && publication.plan?.done === false; page++) {
    const { audience, cursor, version } = publication.plan
    const found = await platform.directory().candidates(audience, cursor, limits.legsPerPage, version)
    const agents = found.items.filter((c) => reaches(c, incoming.message)).map((c) => c.agent)
    const next = found.cursor === undefined ? { done: true } : { cursor: found.cursor, done: false }
    publication = (await port.progress({ legs: await ask(agents), page: next })) ?? publication
  }
  if (isUnheard(publication)) {
    await platform.deadLetters().bury([deadLetterOfPublication(publication)])
    publication = (await port.progress({ legs: [], told: true })) ?? publication
  }
  if (publication.plan?.done === false)
    platform.waitUntil(sendBounded(platform, platform.work, { v: 1, publication: id }, id))
  platform.log('expand', {
    publication: id,
    accepted: publication.accepted,
    refused: publication.refused,
    open: publication.closedAt === undefined,
  })
  return { publication, standing }
}

function incomingOf(publication: Publication, body: string): Incoming {
  const message = messageSchema.parse(JSON.parse(body))
  const { key, contentHash, hops } = publication
  // The broker's own id towards each mailbox: it must stay known while anybody may ask again, whatever became of the leg.
  return { message, body, key, contentHash, hops, brokerMade: true }
}

async function askAll(
  platform: Platform,
  publication: Publication,
  agents: readonly string[],
  incoming: Incoming,
  standing: Map<string, string>,
): Promise<Leg[]> {
  const legs: Leg[] = []
  for (let i = 0; i < agents.length; i += askedAtOnce) {
    legs.push(
      ...(await Promise.all(
        agents.slice(i, i + askedAtOnce).map((agent) => askOne(platform, publication, agent, incoming, standing)),
      )),
    )
  }
  return legs
}

// A leg's trouble is its own: it stays pending, and the others go on.
async function askOne(
  platform: Platform,
  publication: Publication,
  agent: string,
  incoming: Incoming,
  standing: Map<string, string>,
): Promise<Leg> {
  try {
    const answer = await accept(platform, agent, [incoming], `publication.${publication.id}`)
    enqueue(platform, agent, answer.references)
    const [admission] = answer.admissions
    const [known] = answer.known
    if (known !== undefined) standing.set(agent, known.status)
    if (admission !== undefined) return { agent, state: stateOf(admission, platform.now() - publication.openedAt) }
  } catch (error) {
    platform.log('expand.failed', { publication: publication.id, agent, error: String(error) })
  }
  return { agent, state: { status: 'pending' } }
}

function stateOf(admission: Admission, ageMs: number): LegState {
  switch (admission.status) {
    case 'accepted':
    case 'duplicate':
      return { status: 'accepted', delivery: admission.id }
    case 'full':
      return ageMs < legGiveUpMs ? { status: 'pending' } : { status: 'refused', reason: 'backpressure' }
    case 'unknown':
      return { status: 'refused', reason: 'agent_not_found' }
    case 'conflict':
      return { status: 'refused', reason: 'key_reused' }
    default:
      return unreachable(admission)
  }
}
