/**
 * SENTENCE ONE. A message is published:
 *
 *   parse → authorise → route → conform → accept → (that write is the 202) → enqueue, or deliver what goes at once
 *
 * One bad message never spoils its batch. Never here: HTTP (workers/routes/messages.ts), or what a mailbox decides.
 */
import type { Admission, Incoming } from '../shared/admission.ts'
import type { AcceptAnswer } from '../shared/agent-port.ts'
import type { Away } from '../shared/away.ts'
import type { Fault } from '../shared/fault.ts'
import type { Principal } from '../shared/permissions.ts'
import type { Platform } from '../shared/ports.ts'
import { err, ok, type Result, unreachable } from '../shared/result.ts'
import { accept } from './accept.ts'
import { arriveByHand } from './arrive.ts'
import { conform } from './conform.ts'
import { enqueue } from './enqueue.ts'
import { publishFleeting } from './fleeting.ts'
import { follow } from './follow.ts'
import { Unavailable } from './platform.ts'
import { publishMany } from './publish-many.ts'
import { depart } from './reassign.ts'
import { receiveByHand } from './receive.ts'
import { type PublishOptions, type PublishReceipt, prepare } from './route.ts'
import { takeToken } from './take.ts'

type Published = Result<PublishReceipt, Fault>

/** Publishes each input, in order per agent, and answers for each. An `ok` means it is stored and cannot be lost (M1). */
export async function publish(
  platform: Platform,
  principal: Principal,
  inputs: readonly unknown[],
  options: PublishOptions = {},
): Promise<readonly Published[]> {
  const prepared = inputs.map((input, index) =>
    prepare(platform, principal, input, options, inputs.length > 1 ? index : undefined),
  )
  const routed = await follow(platform, principal, await conform(platform, prepared))
  const answers = new Map<number, Published>()
  const durable = new Map<string, { index: number; incoming: Incoming }[]>()
  const others: Promise<void>[] = []

  routed.forEach((one, index) => {
    const answered = (answer: Published) => void answers.set(index, answer)
    if (!one.ok) {
      answered(one)
      return
    }
    const { to, incoming } = one.value
    if (to.kind === 'gather') others.push(arriveByHand(platform, to.gather, incoming).catch(outage).then(answered))
    else if (to.kind === 'workflow')
      others.push(receiveByHand(platform, to.workflow, incoming).catch(outage).then(answered))
    else if (to.kind !== 'agent')
      others.push(publishMany(platform, to, incoming, options.directoryVersion).catch(outage).then(answered))
    else if (incoming.message.deliverymode === 'at_most_once')
      others.push(publishFleeting(platform, to.agent, incoming).catch(outage).then(answered))
    else durable.set(to.agent, [...(durable.get(to.agent) ?? []), { index, incoming }])
  })
  const accepting = [...durable].map(async ([agent, items]) => {
    const incoming = items.map((i) => i.incoming)
    const asked = await acceptAll(platform, agent, incoming, options).then(ok<AcceptAnswer>, outage)
    if (asked.ok) {
      send(platform, agent, asked.value, options)
      divert(platform, agent, asked.value.admissions)
    }
    items.forEach((item, place) => {
      answers.set(item.index, asked.ok ? answerOf(agent, item.incoming, asked.value, place) : asked)
    })
  })
  await Promise.all([...accepting, ...others])
  return routed.map((one, index) => {
    const answer = answers.get(index) ?? err<Fault>({ code: 'unavailable', what: 'mailbox', retryAfterSeconds: 1 })
    const warnings = one.ok ? one.value.warnings : undefined
    if (one.ok && answer.ok && !answer.value.duplicate) platform.tracing?.sent(one.value.incoming.message)
    return answer.ok && warnings !== undefined ? ok({ ...answer.value, warnings }) : answer
  })
}

// What goes by itself may be delivered by this very call; of several, those of one agent go together.
async function acceptAll(
  platform: Platform,
  agent: string,
  incoming: readonly Incoming[],
  { atOnce }: PublishOptions,
): Promise<AcceptAnswer> {
  const takes = atOnce !== undefined && incoming.length === 1 ? await takeToken(platform) : undefined
  return accept(platform, agent, incoming, platform.token(), takes, atOnce?.longestMs)
}

function send(
  platform: Platform,
  agent: string,
  { references, taken }: AcceptAnswer,
  { atOnce }: PublishOptions,
): void {
  if (atOnce !== undefined && taken !== undefined && taken.leases.length > 0) atOnce.run(agent, references, taken)
  else enqueue(platform, agent, references)
}

// One mailbox that does not answer is its own messages' trouble: what the others stored must be told, or it would be sent twice.
function outage(error: unknown): Result<never, Fault> {
  if (error instanceof Unavailable) return err({ code: 'unavailable', what: error.what, retryAfterSeconds: 1 })
  throw error
}

function answerOf(agent: string, incoming: Incoming, answer: AcceptAnswer, place: number): Published {
  const admission = answer.admissions[place]
  if (admission === undefined) return err({ code: 'unavailable', what: 'mailbox', retryAfterSeconds: 1 })
  const refused = refusalOf(agent, incoming, admission)
  if (refused !== undefined) return err(refused)
  const known = answer.known[place]
  const id = 'id' in admission ? admission.id : ''
  return ok({
    id: known?.message ?? incoming.message.id,
    deliveries: [{ id, agent, status: known?.status ?? 'held', ...awayIn(known), ...divertedIn(admission) }],
    duplicate: admission.status === 'duplicate',
  })
}

// Stored where it was sent to. Its mailbox's alarm is the net for the move, as for any other.
function divert(platform: Platform, agent: string, admissions: readonly Admission[]): void {
  const ids = admissions.flatMap((a) => (a.status === 'accepted' && a.diverted !== undefined ? [a.id] : []))
  if (ids.length === 0) return
  const moved = async () => depart(platform, agent, (await platform.agent(agent).unfinished(ids)).departures)
  platform.waitUntil(
    moved().catch((error: unknown) => platform.log('divert.failed', { agent, deliveries: ids, error: String(error) })),
  )
}

// The sender need not wait for who cannot answer now.
const awayIn = (known: { readonly away?: Away } | undefined) => (known?.away === undefined ? {} : { away: known.away })

const divertedIn = (admission: Admission) =>
  admission.status === 'accepted' && admission.diverted !== undefined ? { diverted: admission.diverted } : {}

function refusalOf(agent: string, incoming: Incoming, admission: Admission): Fault | undefined {
  switch (admission.status) {
    case 'accepted':
    case 'duplicate':
      return undefined
    case 'unknown':
      return { code: 'agent_not_found', agent }
    case 'full':
      return {
        code: 'backpressure',
        agent,
        depth: admission.depth,
        max: admission.max,
        retryAfterSeconds: admission.retryAfterSeconds,
      }
    case 'stopped': {
      const { reason, detail, path } = admission.trip
      return { code: reason, delivery: admission.id, reason: detail, path }
    }
    case 'refused': {
      const { status: _status, openedAt, cause, ...evidence } = admission
      const since = openedAt === undefined ? {} : { openedAt: new Date(openedAt).toISOString() }
      return {
        code: 'breaker_open',
        agent,
        ...evidence,
        ...since,
        ...(cause === undefined ? {} : { lastError: cause }),
      }
    }
    case 'conflict':
      return { code: 'key_reused', key: incoming.key, delivery: admission.id }
    default:
      return unreachable(admission)
  }
}
