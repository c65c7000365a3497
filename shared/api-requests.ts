/**
 * The operations on requests, with what goes in and comes out. Never here: waiting (workers/routes/requests.ts), what the
 * gateway may answer to anything (shared/api-operation.ts).
 */
import * as z from 'zod'
import { problemBody } from './api-bodies.ts'
import { wireBytes } from './api-messages.ts'
import { type Operation, type Parameter, pageOf, pageQuery, streamed } from './api-operation.ts'
import type { FaultCode } from './fault.ts'
import { limits } from './limits.ts'
import { messageSchema } from './message.ts'
import { requestInput } from './request.ts'

// --- bodies -----------------------------------------------------------------------------------------------------------

const requestStatus = z.enum(['pending', 'replied', 'failed', 'timed_out', 'cancelled'])

export const requestAnswer = z.strictObject({
  id: z.string(),
  status: requestStatus,
  reply: messageSchema.optional().describe('The first reply that came in time; the message whole.'),
  fallback: z.literal(true).optional().describe('Nobody replied in time: `reply` is the asker’s own default.'),
  context: z.unknown().optional().describe('What the asker kept with it.'),
  problem: problemBody.optional().describe('Why there is no reply: what a caller who waited was answered.'),
  to: z.string(),
  type: z.string(),
  correlationid: z.string(),
  deliveries: z
    .array(z.strictObject({ id: z.string(), agent: z.string() }))
    .describe('The message that asks, once for each time it was asked.'),
  rounds: z.int().describe('How often it was asked.'),
  openedAt: z.iso.datetime(),
  deadline: z.iso.datetime(),
  endedAt: z.iso.datetime().optional(),
  beside: z
    .array(
      z.strictObject({
        standing: z.enum(['duplicate', 'late']),
        at: z.iso.datetime(),
        reply: messageSchema.optional(),
      }),
    )
    .optional()
    .describe('Replies that did not count: another came before them, or the request was over.'),
  unkept: z.int().optional().describe('How many more came than are kept.'),
  callbackDelivery: z.string().optional().describe('What came of the callback: a delivery in a mailbox of its own.'),
  callbackSecret: z
    .string()
    .optional()
    .describe('Told once, when it is made: what callbacks to this URL are signed with.'),
  failureCallbackSecret: z.string().optional(),
})

export const requestsQuery = z.object({
  status: z.literal('pending').describe('Only what is still waited for is listed.'),
  ...pageQuery,
})
export const requestsAnswer = pageOf(requestAnswer)

export const requestQuery = z.object({
  waitSeconds: z.coerce
    .number()
    .min(0)
    .max(limits.waitSeconds)
    .optional()
    .describe('Answer when it is over, or when so much time has passed.'),
})

// --- operations -------------------------------------------------------------------------------------------------------

const prefer: Parameter = {
  name: 'Prefer',
  description: `\`wait=N\`: for how many seconds the caller waits, at most ${limits.waitSeconds}; without it 30, or \`timeoutSeconds\` if that is less. \`respond-async\`: not at all, or beside a \`wait=N\` for so long (RFC 7240).`,
  schema: z.string().max(limits.attributeLength),
}

const idempotencyKey: Parameter = {
  name: 'Idempotency-Key',
  description:
    'Two requests with one key are one request: a repeat finds the first one. The body’s `id` does the same.',
  schema: z.string().min(1).max(limits.idempotencyKeyLength),
}

const location: Parameter = { name: 'Location', description: 'The request.', schema: z.string() }

const askFaults: readonly FaultCode[] = [
  'forbidden',
  'foreign_source',
  'agent_not_found',
  'unroutable',
  'invalid_url',
  'key_reused',
  'already_expired',
  'not_durable',
  'schema_mismatch',
  'backpressure',
  'breaker_open',
  'request_timeout',
  'request_failed',
  'request_over',
]

/** In the order of the reference page. */
export const requestOperations: readonly Operation[] = [
  {
    method: 'post',
    path: '/v1/requests',
    id: 'request',
    tag: 'Requests',
    who: 'sender',
    summary: 'Ask an agent, and wait for its reply',
    description:
      'The message goes out with `replyto` naming the request. Stored before anybody is asked, so it survives whatever happens to the call.',
    headers: [prefer, idempotencyKey],
    body: { types: { 'application/json': requestInput }, limitBytes: wireBytes },
    answers: [
      { status: 200, description: 'The reply.', schema: requestAnswer, other: streamed, headers: [location] },
      {
        status: 202,
        description: 'No reply yet; ask again at `Location`.',
        schema: requestAnswer,
        headers: [location],
      },
    ],
    faults: askFaults,
  },
  {
    method: 'get',
    path: '/v1/requests',
    id: 'listRequests',
    tag: 'Requests',
    who: 'key',
    summary: 'List what the caller waits for',
    query: requestsQuery,
    answers: [{ status: 200, description: 'The oldest first.', schema: requestsAnswer }],
    faults: [],
  },
  {
    method: 'get',
    path: '/v1/requests/{id}',
    id: 'getRequest',
    tag: 'Requests',
    who: 'publisher',
    summary: 'Read what became of a request',
    description: 'Kept for a day after it is over.',
    query: requestQuery,
    answers: [{ status: 200, description: 'The request.', schema: requestAnswer, other: streamed }],
    faults: ['forbidden', 'not_found'],
  },
  {
    method: 'delete',
    path: '/v1/requests/{id}',
    id: 'cancelRequest',
    tag: 'Requests',
    who: 'publisher',
    summary: 'Wait no more',
    description: 'An agent that has not begun is not asked any more; a reply that comes all the same is late.',
    answers: [{ status: 200, description: 'Cancelled.', schema: requestAnswer }],
    faults: ['forbidden', 'not_found', 'request_over'],
  },
]
