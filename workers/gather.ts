/**
 * Gather: have its legs accepted by their mailboxes, and see to what follows from its outcome: those that nobody need ask any
 * more are called back, a time-out is told, and so is the asker. Comes from the gateway, and from the `work` queue with the
 * gather's alarm as the net. Never here: waiting for it (workers/request.ts), or whether a reply counts (shared/arrival.ts).
 */
import type { Incoming } from '../shared/admission.ts'
import { type Gather, type GatherNews, needless, type Send, sendKey, unsent } from '../shared/gather.ts'
import type { LegFailure } from '../shared/leg-failure.ts'
import { composeMessage, contentHash, messageSchema, type PublishInput } from '../shared/message.ts'
import { brokerSource } from '../shared/permissions.ts'
import type { Platform } from '../shared/ports.ts'
import type { References } from '../shared/release.ts'
import { requestTimeoutTopic } from '../shared/topic.ts'
import { continueTrace } from '../shared/trace.ts'
import { effectGiveUpMs } from '../shared/upkeep.ts'
import { accept } from './accept.ts'
import { callBack } from './callback.ts'
import { enqueue } from './enqueue.ts'
import { publishMany } from './publish-many.ts'

/** Goes on with a gather where whoever began was cut short. */
export async function gather(platform: Platform, id: string): Promise<void> {
  const left = await platform.gather(id).unfinished()
  if (left === undefined) return
  if (left.gather.outcome !== undefined) return conclude(platform, left.gather)
  const news = await Promise.all(
    unsent(left.gather).map(async (send) => {
      const offered = await offer(platform, left.gather, send, left.bodies[send.n - 1] ?? '')
      enqueue(platform, send.agent, offered.references)
      return offered.news
    }),
  )
  await list(platform, left.gather)
  await platform.gather(id).progress({
    accepted: news.flatMap((n) => n.accepted ?? []),
    refused: news.flatMap((n) => n.refused ?? []),
  })
  await recall(platform, left.gather)
}

/** What a mailbox said to one send. */
export interface Offered {
  readonly news: GatherNews
  readonly references: References
  /** Where the delivery stands. */
  readonly status?: string
}

/** Has one leg's message accepted. Repeated, it is the same message: its token and key are the gather's own. */
export async function offer(
  platform: Platform,
  gather: Gather,
  send: Send & { agent: string },
  body: string,
): Promise<Offered> {
  const { agent, id } = send
  const key = sendKey(gather, id)
  const message = { ...messageSchema.parse(JSON.parse(body)), id }
  const text = JSON.stringify(message)
  const { contentHash, hops } = gather
  const incoming: Incoming = { message, body: text, key, contentHash, hops, brokerMade: true }
  const answer = await accept(platform, agent, [incoming], `gather.${key}`)
  const [admission] = answer.admissions
  const failed = (failure: LegFailure): Offered => ({
    news: { refused: [{ id, failure }] },
    references: answer.references,
  })
  switch (admission?.status) {
    case 'accepted':
    case 'duplicate': {
      const status = answer.known[0]?.status
      return { news: { accepted: [id] }, references: answer.references, ...(status === undefined ? {} : { status }) }
    }
    case 'full': {
      const { depth, max, retryAfterSeconds } = admission
      return failed({ why: 'backpressure', agent, depth, max, retryAfterSeconds })
    }
    case 'conflict':
      return failed({ why: 'key_reused', agent, delivery: admission.id })
    default:
      return failed({ why: 'agent_not_found', agent })
  }
}

/** Puts it on its asker's list. Not for one that is answered at once: it costs a row. */
export function list(platform: Platform, { id, owner, openedAt, deadlineAt }: Gather): Promise<void> {
  return platform.requests(owner).put({ id, openedAt, deadlineAt })
}

// Each part may be repeated, so a crash in between repeats it all. `told` comes last.
async function conclude(platform: Platform, gather: Gather): Promise<void> {
  const { id, owner, outcome } = gather
  await recall(platform, gather)
  if (outcome?.status === 'timed_out' || outcome?.fallback === true) await tellTimeout(platform, gather, outcome.at)
  const report = await platform.gather(id).report()
  const isOld = outcome !== undefined && platform.now() - outcome.at > effectGiveUpMs
  if (report !== undefined && !(await callBack(platform, report)) && !isOld) return
  await platform.requests(owner).remove(id)
  await platform.gather(id).progress({ told: true })
}

async function recall(platform: Platform, gather: Gather): Promise<void> {
  await Promise.all(
    needless(gather).map(async ({ agent, delivery }) => {
      const { status, references } = await platform.agent(agent).recall(delivery)
      platform.log('recall', { gather: gather.id, delivery, status })
      enqueue(platform, agent, references)
    }),
  )
}

// Ids only, no data: what was asked is nobody else's (S2). Told twice, it is a duplicate to whoever has it.
async function tellTimeout(platform: Platform, gather: Gather, at: number): Promise<void> {
  const agents = gather.legs.filter((l) => l.state.status === 'waiting').map((l) => l.agent)
  platform.log('request.timeout', { gather: gather.id, agents, correlationid: gather.head.correlationid })
  const audience = { kind: 'topic', topic: requestTimeoutTopic } as const
  const { total } = await platform.directory().candidates(audience, undefined, 1)
  if (total > 0) await publishMany(platform, audience, announcementOf(platform, gather, at))
}

function announcementOf(platform: Platform, gather: Gather, at: number): Incoming {
  const key = `${gather.id}-timeout-${at}`
  const input: PublishInput = {
    topic: requestTimeoutTopic,
    type: requestTimeoutTopic,
    id: key,
    subject: gather.id,
    time: new Date(at).toISOString(),
    onunroutable: 'drop',
    correlationid: gather.head.correlationid,
    agent: gather.legs.find((l) => l.state.status === 'waiting')?.agent ?? '',
  }
  const { traceparent } = continueTrace({ traceparent: undefined, tracestate: undefined }, (n) => platform.hex(n))
  const message = composeMessage(input, { source: brokerSource, freshId: key, now: at, traceparent })
  return { message, body: JSON.stringify(message), key, contentHash: contentHash(input), hops: 0, brokerMade: true }
}
