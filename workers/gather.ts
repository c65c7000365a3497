/**
 * Gather: have its legs accepted by their mailboxes, and see to what follows from its outcome: those that nobody need ask any
 * more are called back, a time-out is told, and so is the asker. Comes from the gateway, and from the `work` queue with the
 * gather's alarm as the net. Never here: waiting for it (workers/request.ts), or whether a reply counts (shared/arrival.ts).
 */
import type { Incoming } from '../shared/admission.ts'
import type { Gather } from '../shared/gather.ts'
import { needless, unsent } from '../shared/gather-work.ts'
import { composeMessage, contentHash, type PublishInput } from '../shared/message.ts'
import { brokerSource } from '../shared/permissions.ts'
import type { Platform } from '../shared/ports.ts'
import { requestTimeoutTopic } from '../shared/topic.ts'
import { continueTrace } from '../shared/trace.ts'
import { effectGiveUpMs } from '../shared/upkeep.ts'
import { callBack } from './callback.ts'
import { enqueue, sendBounded } from './enqueue.ts'
import { offerAll } from './offer.ts'
import { publishMany } from './publish-many.ts'
import { finishScatter, openReduction } from './reduce.ts'

/** Goes on with a gather where whoever began was cut short. */
export async function gather(platform: Platform, id: string): Promise<void> {
  const left = await platform.gather(id).unfinished()
  if (left === undefined) return
  if (left.gather.outcome !== undefined) return conclude(platform, left.gather)
  await askLegs(platform, left.gather, left.bodies)
  await recall(platform, left.gather)
}

/** Has the legs accepted that were not; those that are too many for one invocation are left to the next. */
export async function askLegs(
  platform: Platform,
  gather: Gather,
  bodies: readonly string[],
): Promise<Gather | undefined> {
  const { id } = gather
  const { news, done } = await offerAll(platform, gather, unsent(gather), bodies)
  if (isRequest(gather)) await list(platform, gather)
  const known = await platform.gather(id).progress(news)
  if (!done) platform.waitUntil(sendBounded(platform, platform.work, { v: 1, gather: id }, id))
  return known
}

// A scatter, and the question to its reducer, are nobody's pending request.
const isRequest = ({ scatter, reduces }: Gather) => scatter === undefined && reduces === undefined

/** Puts it on its asker's list. Not for one that is answered at once: it costs a row. */
export function list(platform: Platform, { id, owner, openedAt, deadlineAt }: Gather): Promise<void> {
  return platform.requests(owner).put({ id, openedAt, deadlineAt })
}

// Each part may be repeated, so a crash in between repeats it all. `told` comes last.
async function conclude(platform: Platform, gather: Gather): Promise<void> {
  const { id, owner, outcome } = gather
  if (gather.scatter !== undefined) return concludeScatter(platform, gather)
  await recall(platform, gather)
  if (gather.reduces !== undefined) return concludeReduction(platform, gather, gather.reduces)
  if (outcome?.status === 'timed_out' || outcome?.fallback === true) await tellTimeout(platform, gather, outcome.at)
  const report = await platform.gather(id).report()
  const isOld = outcome !== undefined && platform.now() - outcome.at > effectGiveUpMs
  if (report !== undefined && !(await callBack(platform, report)) && !isOld) return
  await platform.requests(owner).remove(id)
  await platform.gather(id).progress({ told: true })
}

// First those that need not be asked any more, once; then the reducer, and when it is over whoever is to be told.
async function concludeScatter(platform: Platform, scatter: Gather): Promise<void> {
  const { id } = scatter
  if (scatter.scatter?.recalled !== true) {
    await recall(platform, scatter)
    await platform.gather(id).progress({ recalled: true })
  }
  const asked = await openReduction(platform, scatter)
  if (asked !== undefined) await gather(platform, asked)
  if (await finishScatter(platform, scatter, asked)) await platform.gather(id).progress({ told: true })
}

// Told first: its scatter looks at it again, and finds nothing left to do. The scatter's alarm is the net.
async function concludeReduction(platform: Platform, { id }: Gather, scatter: string): Promise<void> {
  await platform.gather(id).progress({ told: true })
  await gather(platform, scatter)
}

async function recall(platform: Platform, gather: Gather): Promise<void> {
  const byAgent = new Map<string, string[]>()
  for (const { agent, delivery } of needless(gather)) byAgent.set(agent, [...(byAgent.get(agent) ?? []), delivery])
  await Promise.all(
    [...byAgent].map(async ([agent, deliveries]) => {
      const { statuses, references } = await platform.agent(agent).recall(deliveries)
      platform.log('recall', { gather: gather.id, deliveries, statuses })
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
