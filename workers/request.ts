/**
 * Request: a message with an answer that is waited for.
 *
 *   parse → authorise → open the gather (that write is the 202) with its leg → wait, at growing intervals
 *
 * What the caller is told is always the gather's word, never an outcome in hand. Never here: HTTP (workers/routes/requests.ts),
 * what follows from the outcome (workers/gather.ts).
 */

import type { Incoming } from '../shared/admission.ts'
import type { TakeAnswer } from '../shared/agent-port.ts'
import { type Fault, issuesOf } from '../shared/fault.ts'
import {
  callbackSchema,
  type Gather,
  type GatherOpening,
  gatherAddress,
  progressGather,
  wasRefused,
} from '../shared/gather.ts'
import type { GatherReport } from '../shared/gather-port.ts'
import { unsent } from '../shared/gather-work.ts'
import { digest } from '../shared/ids.ts'
import { canonical } from '../shared/json.ts'
import { headOf } from '../shared/message.ts'
import { isOfPredecessor, ownSource, type Principal } from '../shared/permissions.ts'
import type { Platform } from '../shared/ports.ts'
import type { References } from '../shared/release.ts'
import { type RequestInput, type RequestOptions, requestId, requestInput, splitRequest } from '../shared/request.ts'
import { err, ok, type Result } from '../shared/result.ts'
import { prepareCallback } from './callback.ts'
import { choose } from './choose.ts'
import { conform } from './conform.ts'
import { enqueue } from './enqueue.ts'
import { type Descent, followOne } from './follow.ts'
import { gather, list } from './gather.ts'
import type { Offered } from './offer.ts'
import { noteRefused, openRequest } from './open-request.ts'
import { type Listening, poll, type Waiting } from './poll.ts'
import { type PublishOptions, prepare } from './route.ts'

/** `taken`: what the mailbox has leased already, with the acceptance. */
export type Lane = (agent: string, delivery: string, references: References, taken: TakeAnswer | undefined) => void

export interface AskOptions extends PublishOptions {
  /** Somebody waits for the answer of this very call. */
  readonly waits: boolean
  /** Takes what the mailbox let go at once, in place of the queue (workers/express.ts). */
  readonly express?: Lane
  /** Deliveries whose handlers wait for this request, the nearest first. */
  readonly path?: readonly string[]
  /** Who is going to be asked, before anything is stored. It may throw. */
  readonly meets?: (agent: string) => Promise<void>
  /** What the request hands down; of one that comes by HTTP it is found here. */
  readonly descent?: Descent
}

export interface Asked {
  readonly gather: Gather
  /** This call opened it. */
  readonly opened: boolean
  /** This call delivers its message. */
  readonly runs: boolean
  readonly secrets: { readonly callback?: string; readonly failureCallback?: string }
}

/** Opens a request, or finds the one that its key names, and has it sent. An `ok` means that it is stored. */
export async function ask(
  platform: Platform,
  principal: Principal,
  raw: unknown,
  options: AskOptions,
): Promise<Result<Asked, Fault>> {
  const parsed = requestInput.safeParse(raw)
  if (!parsed.success) return err({ code: 'invalid_request', issues: issuesOf(parsed.error) })
  return askParsed(platform, principal, parsed.data, options)
}

/** The same of one that its schema has seen. */
export async function askParsed(
  platform: Platform,
  principal: Principal,
  input: RequestInput,
  options: AskOptions,
): Promise<Result<Asked, Fault>> {
  const { options: own, message: asked } = splitRequest(input)
  const source = typeof asked.source === 'string' ? asked.source : ownSource(principal)
  const key = options.idempotencyKey ?? (typeof asked.id === 'string' ? asked.id : undefined)
  const id = requestId(source, key, platform.token(), input.to, platform.now())
  const routed = await route(platform, principal, id, asked, options)
  if (!routed.ok) return routed
  const { agent, incoming } = routed.value
  await options.meets?.(agent)
  const called = await callbacks(platform, source, own)
  if (!called.ok) return called
  const { secrets, ...targets } = called.value
  const descent = options.descent ?? (await followOne(platform, principal, incoming.message))
  const opening = openingOf(id, source, agent, incoming, asked, own, { ...options, descent }, targets)
  const lane = own.timeoutSeconds * 1_000 <= expressMs ? options.express : undefined
  const refuses = own.whenOpen === undefined ? options.waits : own.whenOpen === 'refuse'
  const brought = refuses ? { ...incoming, whenOpen: 'refuse' as const } : incoming
  const { opened, offered } = await openRequest(platform, opening, brought, lane !== undefined)
  const { owner, openedAt } = opened.gather
  const isTaken = opened.status === 'duplicate' && isOfPredecessor(principal, { source: owner, at: openedAt })
  if (opened.status === 'conflict' || isTaken) return err({ code: 'key_reused', key: key ?? id, delivery: id })
  platform.log('request', { gather: id, agent, status: opened.status })
  const isNew = opened.status === 'opened'
  if (offered === undefined) return ok({ gather: opened.gather, opened: isNew, runs: false, secrets })
  const begun = await begin(platform, opened.gather, agent, offered, lane, options)
  return ok({ ...begun, opened: isNew, secrets })
}

/** Waits until it is over, or as long as was asked. Undefined: the caller is gone, or the gather is. */
export async function awaitReply(
  platform: Platform,
  { gather: asked, runs }: Pick<Asked, 'gather' | 'runs'>,
  waiting: Waiting,
): Promise<GatherReport | undefined> {
  // In a mailbox it is not kept (AgentObject.ask).
  if (wasRefused(asked)) return { gather: asked, replies: [] }
  const isOver = (report: GatherReport | undefined) => report === undefined || report.gather.outcome !== undefined
  // One that is answered within a second is on no list, and its mailbox's word is not written down: the reply says it all.
  const stop = platform.after(confirmMs, () => confirm(platform, asked))
  // Nothing can have come before this very call has delivered it, and then it says so.
  const listening: Listening<GatherReport | undefined> = {
    listen: (then) => platform.bell.listen(asked.id, then),
    first: runs,
  }
  const report = await poll(platform, waiting, () => platform.gather(asked.id).report(), isOver, listening)
  stop()
  if (report !== undefined && !isOver(report)) confirm(platform, asked)
  return report
}

const confirmMs = 1_000

// Longer waits go by the queue: an invocation is cut half a minute after its answer.
const expressMs = 30_000

// --- inside -----------------------------------------------------------------------------------------------------------

interface RoutedRequest {
  readonly agent: string
  readonly incoming: Incoming
}

async function route(
  platform: Platform,
  principal: Principal,
  id: string,
  asked: Readonly<Record<string, unknown>>,
  options: AskOptions,
): Promise<Result<RoutedRequest, Fault>> {
  for (const name of ['topic', 'replyto'])
    if (name in asked)
      return invalid(name, 'is not for a request: it asks one agent, and the reply comes to the request')
  if ('onopen' in asked) return invalid('onopen', 'is for a message: a request says `whenOpen`')
  if (asked.deliverymode === 'at_most_once') return err({ code: 'not_durable', attribute: 'replyto' })
  const message = { ...asked, id: `${id}-1`, replyto: gatherAddress(id), correlationid: asked.correlationid ?? id }
  const { idempotencyKey: _key, ...trace } = options
  const prepared = prepare(platform, principal, message, trace)
  if (!prepared.ok) return prepared
  const [judged = prepared] = await conform(platform, [prepared])
  if (!judged.ok) return judged
  const { to, incoming } = judged.value
  if (to.kind === 'agent') return ok({ agent: to.agent, incoming })
  if (to.kind !== 'capability') return invalid('to', 'a request asks one agent: its name, or capability:<skill>')
  const { chosen } = await choose(platform, to, incoming.message)
  const [agent] = chosen.agents
  return agent === undefined
    ? err({ code: 'unroutable', destination: incoming.message.to ?? '' })
    : ok({ agent, incoming: chosen.why === undefined ? incoming : { ...incoming, why: chosen.why } })
}

type Targets = Pick<GatherOpening, 'callback' | 'failureCallback'>

async function callbacks(
  platform: Platform,
  owner: string,
  own: RequestOptions,
): Promise<Result<Targets & { readonly secrets: Asked['secrets'] }, Fault>> {
  const targets: { callback?: Gather['callback']; failureCallback?: Gather['callback'] } = {}
  const secrets: { callback?: string; failureCallback?: string } = {}
  const rounds = own.onTimeout.kind === 'retry' ? own.onTimeout.times + 1 : 1
  const waitMs = own.timeoutSeconds * 1_000 * rounds
  for (const name of ['callback', 'failureCallback'] as const) {
    const asked = own[name]
    if (asked === undefined) continue
    const prepared = await prepareCallback(platform, owner, callbackSchema.parse(asked), waitMs)
    if (!prepared.ok) return prepared
    targets[name] = prepared.value.callback
    if (prepared.value.secret !== undefined) secrets[name] = prepared.value.secret
  }
  return ok({ ...(targets as Targets), secrets })
}

function openingOf(
  id: string,
  owner: string,
  agent: string,
  { message, hops }: Incoming,
  asked: Readonly<Record<string, unknown>>,
  own: RequestOptions,
  { path = [], descent }: Pick<AskOptions, 'path'> & { readonly descent: Descent | undefined },
  targets: Targets,
): GatherOpening {
  // What the asker sent, less what names the call and what differs from one try to the next.
  const { id: _id, time: _time, traceparent: _traceparent, tracestate: _tracestate, ...content } = asked
  const { timeoutSeconds, whenOpen: _whenOpen, ...kept } = own
  return {
    id,
    owner,
    contentHash: digest(canonical({ ...content, ...kept })),
    head: headOf(message),
    hops: descent?.hops ?? hops,
    ...(descent === undefined ? {} : { lineage: descent.lineageOf(message) }),
    join: { kind: 'all' },
    onTimeout: own.onTimeout,
    timeoutMs: timeoutSeconds * 1_000,
    ...(own.context === undefined ? {} : { context: own.context }),
    path: [...path],
    agents: [agent],
    ...targets,
  }
}

// The first try is this call's; the rest is the alarm's and the verb's (workers/gather.ts).
async function begin(
  platform: Platform,
  opened: Gather,
  agent: string,
  offered: Offered,
  lane: Lane | undefined,
  { waits }: AskOptions,
): Promise<Pick<Asked, 'gather' | 'runs'>> {
  const { news, references, taken } = offered
  const delivery = opened.legs[0]?.sends.at(-1)?.delivery
  if (lane === undefined || delivery === undefined || news.refused !== undefined) enqueue(platform, agent, references)
  else lane(agent, delivery, references, taken)
  if (news.refused !== undefined) return { gather: await noteRefused(platform, opened, offered), runs: false }
  const accepted = progressGather(opened, news, platform.now())
  if (!waits) confirm(platform, accepted)
  return { gather: accepted, runs: taken !== undefined && taken.leases.length > 0 }
}

// The list first: what is confirmed is not looked at again before its deadline. What an earlier call with the same key left
// undone is not confirmed but gone on with.
function confirm(platform: Platform, asked: Gather): void {
  const confirmed = async () => {
    if (unsent(asked).length > 0) return gather(platform, asked.id)
    await list(platform, asked)
    const accepted = asked.legs.flatMap((leg) => leg.sends.map((send) => send.id))
    await platform.gather(asked.id).progress({ accepted })
  }
  platform.waitUntil(
    confirmed().catch((error: unknown) => platform.log('request.confirm', { gather: asked.id, error: String(error) })),
  )
}

function invalid(path: string, message: string): Result<never, Fault> {
  return err({ code: 'invalid_request', issues: [{ path, message }] })
}
