/**
 * A request: a message with an answer that is waited for. What an asker sends, and how its gather is told to it. Never here: the
 * gather itself (shared/gather.ts), waiting (workers/routes/requests.ts).
 */
import * as z from 'zod'
import { callbackOf } from './callback.ts'
import { type Fault, problemOf } from './fault.ts'
import { type Gather, gatherId, onTimeoutSchema, wasRefused } from './gather.ts'
import type { GatherReport } from './gather-port.ts'
import { utf8Length } from './json.ts'
import type { LegFailure } from './leg-failure.ts'
import { limits } from './limits.ts'
import { destinationOf, type Message, messageSchema, nonEmpty } from './message.ts'

const callback = z.strictObject({
  url: z.string().min(1).max(limits.urlLength).describe('Public and https, as any webhook.'),
  secret: z
    .string()
    .regex(/^whsec_[A-Za-z0-9+/]{32,88}={0,2}$/, 'a secret is `whsec_` and 24 to 64 bytes in base64')
    .optional()
    .describe('What it is signed with. Without one a secret is made for this URL, and told when it is made.'),
})

/** What a request says beyond the message that asks. */
const own = {
  timeoutSeconds: z
    .number()
    .min(0.05)
    .max(limits.requestSeconds)
    .default(30)
    .describe('How long a reply may take. Fractions are welcome.'),
  onTimeout: onTimeoutSchema
    .default({ kind: 'error' })
    .describe(
      'What the broker does at the deadline: ask again so often, each time as long; reply with the data; or fail.',
    ),
  whenOpen: z
    .enum(['refuse', 'wait'])
    .optional()
    .describe(
      'When the agent’s breaker is open: `refuse` answers 503 (the default for a caller who waits), `wait` has the request wait.',
    ),
  context: z
    .unknown()
    .refine(
      (c) => c === undefined || utf8Length(JSON.stringify(c)) <= limits.contextBytes,
      `at most ${limits.contextBytes} bytes`,
    )
    .optional()
    .describe('Any JSON: kept for the asker, told with the reply, never sent on.'),
  callback: callback.optional().describe('Where the reply is posted, signed.'),
  failureCallback: callback.optional().describe('Where it is posted, signed, that there will be no reply.'),
}
export const requestOptions = z.strictObject(own)
export type RequestOptions = z.infer<typeof requestOptions>

/** The body of POST /v1/requests: those, and the attributes of the message that asks. */
export const requestInput = z
  .looseObject({
    to: z.string().min(1).max(limits.topicLength).describe('An agent’s name, or `capability:<skill>`.'),
    type: z.string().min(1).max(limits.typeLength),
    id: nonEmpty(limits.idLength).optional().describe('The asker’s own: repeated, it is the same request.'),
    data: z.unknown().optional(),
    ...own,
  })
  .describe(
    'Beside these, the attributes of a message; less `topic` and `replyto`, because the reply comes to the request.',
  )

export type RequestInput = z.infer<typeof requestInput>

/**
 * For how many seconds `Prefer` says to wait (RFC 7240), at most what a call may. With `respond-async` beside it that is how long to
 * wait before the answer is one to come back for (4.3); alone, that is at once. Undefined: it says nothing.
 */
export function preferredWait(prefer: string | undefined): number | undefined {
  const text = prefer ?? ''
  const [, seconds] = /(?:^|[,;\s])wait\s*=\s*"?(\d{1,9})"?(?:$|[,;\s])/i.exec(text) ?? []
  if (seconds !== undefined) return Math.min(Number(seconds), limits.waitSeconds)
  return /(?:^|[,;\s])respond-async(?:$|[,;\s])/i.test(text) ? 0 : undefined
}

/** How long a request's caller waits: as `Prefer` says; without it 30 s, or the time-out. */
export function waitOf(prefer: string | undefined, timeoutSeconds: number): number {
  return preferredWait(prefer) ?? Math.min(defaultWaitSeconds, timeoutSeconds + graceSeconds, limits.waitSeconds)
}

const defaultWaitSeconds = 30
// Whoever waits as long as the request lasts is told how it ended.
const graceSeconds = 1

/** A request's own words, and the message's. */
export function splitRequest(input: RequestInput): {
  readonly options: RequestOptions
  readonly message: Readonly<Record<string, unknown>>
} {
  const names = new Set(Object.keys(own))
  const entries = Object.entries(input)
  return {
    // Each was parsed by the very schema that it has here; splitting only forgets that.
    options: Object.fromEntries(entries.filter(([name]) => names.has(name))) as RequestOptions,
    message: Object.fromEntries(entries.filter(([name]) => !names.has(name))),
  }
}

/** The id of a request: one of an agent's is in that agent's mailbox, one of a skill with others. */
export function requestId(source: string, key: string | undefined, chance: string, to: string, now?: number): string {
  const destination = destinationOf({ to })
  return gatherId(source, key, chance, destination.kind === 'agent' ? destination.agent : undefined, now)
}

// --- as it is told ----------------------------------------------------------------------------------------------------

export type RequestStatus = 'pending' | NonNullable<Gather['outcome']>['status']

export const requestStatusOf = (gather: Gather): RequestStatus => gather.outcome?.status ?? 'pending'

/** What POST /v1/requests answers when there is a reply, and every reader of the request sees. */
export function requestView({ gather, replies }: GatherReport) {
  const { id, head, outcome, context, openedAt, deadlineAt, legs, arrivals, unkept, rounds } = gather
  const fault = faultOfRequest(gather)
  const reply = replyOf({ gather, replies })
  const callback = callbackOf(gather)
  const beside = arrivals.filter((a) => a.standing !== 'counted')
  return {
    id,
    status: requestStatusOf(gather),
    ...(reply === undefined ? {} : { reply }),
    ...(outcome?.fallback === true ? { fallback: true as const } : {}),
    ...(context === undefined ? {} : { context }),
    ...(fault === undefined ? {} : { problem: problemOf(fault).body }),
    to: head.to ?? '',
    type: head.type,
    correlationid: head.correlationid,
    deliveries: legs.flatMap((l) => l.sends.map((s) => ({ id: s.delivery, agent: l.agent }))),
    rounds: rounds + 1,
    openedAt: iso(openedAt),
    deadline: iso(deadlineAt),
    ...(outcome === undefined ? {} : { endedAt: iso(outcome.at) }),
    ...(beside.length === 0
      ? {}
      : { beside: beside.map((a) => ({ standing: a.standing, at: iso(a.at), reply: textOf(replies, a.n) })) }),
    ...(unkept === 0 ? {} : { unkept }),
    ...(callback === undefined ? {} : { callbackDelivery: callback.delivery }),
  }
}

/** The reply that counted, or the asker's own default in its place. */
export function replyOf({ gather, replies }: GatherReport): Message | undefined {
  const { outcome, arrivals, onTimeout, head, id } = gather
  if (outcome?.status !== 'replied') return undefined
  if (outcome.fallback === true && onTimeout.kind === 'default') {
    const at = iso(outcome.at)
    return messageSchema.parse({
      specversion: '1.0',
      id: `${id}-default`,
      source: 'switchboard',
      type: `${head.type}.reply`,
      time: at,
      correlationid: head.correlationid,
      datacontenttype: 'application/json',
      data: onTimeout.data,
    })
  }
  const counted = arrivals.find((a) => a.standing === 'counted')
  return counted === undefined ? undefined : textOf(replies, counted.n)
}

function textOf(replies: GatherReport['replies'], n: number): Message | undefined {
  const found = replies.find((r) => r.n === n)
  return found === undefined ? undefined : messageSchema.parse(JSON.parse(found.body))
}

/** Why there is no reply, as its asker is told; undefined when there is one, or may still be. */
export function faultOfRequest(gather: Gather): Fault | undefined {
  const { id: request, outcome, timeoutMs, rounds } = gather
  switch (outcome?.status) {
    case undefined:
    case 'replied':
      return undefined
    case 'timed_out':
      return { code: 'request_timeout', request, timeoutSeconds: timeoutMs / 1_000, asked: rounds + 1 }
    case 'cancelled':
      return { code: 'request_over', request, ended: 'cancelled' }
    case 'failed':
      return outcome.failure === undefined
        ? { code: 'request_over', request, ended: 'failed' }
        : faultOfLeg(gather, outcome.failure)
  }
}

// Refused before anybody was asked, it is what the same publish would have been refused with.
function faultOfLeg(gather: Gather, failure: LegFailure): Fault {
  const { agent, depth = 0, max = 0, retryAfterSeconds = 1, openedAt, error } = failure
  if (!wasRefused(gather)) return { code: 'request_failed', request: gather.id, ...failure }
  switch (failure.why) {
    case 'agent_not_found':
      return { code: 'agent_not_found', agent }
    case 'backpressure':
      return { code: 'backpressure', agent, depth, max, retryAfterSeconds }
    case 'breaker_open':
      return {
        code: 'breaker_open',
        agent,
        request: gather.id,
        retryAfterSeconds,
        ...(openedAt === undefined ? {} : { openedAt: iso(openedAt) }),
        ...(error === undefined ? {} : { lastError: error.message }),
      }
    default:
      return { code: 'request_failed', request: gather.id, ...failure }
  }
}

const iso = (at: number) => new Date(at).toISOString()
