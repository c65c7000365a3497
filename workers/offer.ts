/**
 * Offer: have the messages of a gather's legs accepted by their mailboxes. Repeated, they are the same messages: their keys are the
 * gather's own. Never here: what a refusal does to the gather (shared/gather.ts).
 */
import type { Incoming } from '../shared/admission.ts'
import type { AcceptAnswer, TakeAnswer } from '../shared/agent-port.ts'
import { type Gather, type GatherNews, sendKey } from '../shared/gather.ts'
import { type Addressed, askingOf, newsOf } from '../shared/gather-leg.ts'
import { limits } from '../shared/limits.ts'
import { type Message, messageSchema } from '../shared/message.ts'
import type { Platform } from '../shared/ports.ts'
import type { References } from '../shared/release.ts'
import { partOf } from '../shared/scatter.ts'
import { accept } from './accept.ts'
import { enqueue } from './enqueue.ts'
import { takeToken } from './take.ts'

/** What a mailbox said to one send. */
export interface Offered {
  readonly news: GatherNews
  readonly references: References
  /** Leased in the same step, for a caller that delivers it. */
  readonly taken?: TakeAnswer
}

/** Has one leg's message accepted, and leased if it may go at once and the caller `takes`. What was released is left to the caller to enqueue. */
export async function offer(
  platform: Platform,
  gather: Gather,
  send: Addressed,
  { message, whenOpen }: Pick<Incoming, 'message' | 'whenOpen'>,
  takes: boolean,
): Promise<Offered> {
  const answer = await accept(
    platform,
    send.agent,
    [incomingOf(gather, send, message, whenOpen)],
    `gather.${sendKey(gather, send.id)}`,
    takes ? await takeToken(platform) : undefined,
  )
  const { taken } = answer
  return {
    news: newsOf(gather, send, answer.admissions[0]),
    references: answer.references,
    ...(taken === undefined ? {} : { taken }),
  }
}

// Mailboxes asked at once: each is a subrequest.
const askedAtOnce = 20

/**
 * Has the messages of many legs accepted, those to one agent together, as many as the invocation may still ask. `done` says
 * whether that was all; a mailbox that does not answer, or has no room for a scatter's, is asked again by the gather's alarm.
 */
export async function offerAll(
  platform: Platform,
  gather: Gather,
  sends: readonly Addressed[],
  bodies: readonly string[],
): Promise<{ readonly news: GatherNews; readonly done: boolean }> {
  const allowed = sends.slice(0, platform.allowance.legs)
  platform.allowance.legs -= allowed.length
  const calls = callsOf(allowed, bodies)
  const news: GatherNews[] = []
  for (let i = 0; i < calls.length; i += askedAtOnce)
    news.push(
      ...(await Promise.all(calls.slice(i, i + askedAtOnce).map((call) => offerTo(platform, gather, call, bodies)))),
    )
  return {
    news: { accepted: news.flatMap((n) => n.accepted ?? []), refused: news.flatMap((n) => n.refused ?? []) },
    done: allowed.length === sends.length,
  }
}

// By agent, and no more at once than a call may carry.
function callsOf(sends: readonly Addressed[], bodies: readonly string[]): (readonly Addressed[])[] {
  const open = new Map<string, { sends: Addressed[]; bytes: number }>()
  const calls: (readonly Addressed[])[] = []
  const common = bodies[0]?.length ?? 0
  for (const send of sends) {
    const bytes = common + (bodies[send.n]?.length ?? 0)
    const call = open.get(send.agent)
    if (call !== undefined && call.sends.length < limits.batchMessages && call.bytes + bytes <= limits.batchBytes) {
      call.sends.push(send)
      call.bytes += bytes
      continue
    }
    const fresh = { sends: [send], bytes }
    open.set(send.agent, fresh)
    calls.push(fresh.sends)
  }
  return calls
}

async function offerTo(
  platform: Platform,
  gather: Gather,
  sends: readonly Addressed[],
  bodies: readonly string[],
): Promise<GatherNews> {
  const [first] = sends
  if (first === undefined) return {}
  const { agent } = first
  try {
    const incoming = sends.map((send) => incomingOf(gather, send, messageOf(gather, send, bodies)))
    const answer: AcceptAnswer = await accept(platform, agent, incoming, `gather.${sendKey(gather, first.id)}`)
    enqueue(platform, agent, answer.references)
    const said = sends.map((send, place) => newsOf(gather, send, answer.admissions[place]))
    return { accepted: said.flatMap((n) => n.accepted ?? []), refused: said.flatMap((n) => n.refused ?? []) }
  } catch (error) {
    platform.log('offer.failed', { gather: gather.id, agent, error: String(error) })
    return {}
  }
}

// A request's leg has a message of its own; a scatter's legs have one in common, and each its chunk.
function messageOf(gather: Gather, { n }: Addressed, bodies: readonly string[]): Message {
  const common = messageSchema.parse(JSON.parse(bodies[gather.scatter === undefined ? n - 1 : 0] ?? ''))
  const chunk = gather.scatter === undefined ? undefined : bodies[n]
  return chunk === undefined ? common : partOf(common, JSON.parse(chunk))
}

function incomingOf(gather: Gather, send: Addressed, asked: Message, whenOpen?: Incoming['whenOpen']): Incoming {
  return { ...askingOf(gather, send, asked, whenOpen), key: sendKey(gather, send.id) }
}
