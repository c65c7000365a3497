/**
 * The operations on scatters, with what goes in and comes out. Never here: opening one (workers/scatter.ts), what the gateway may
 * answer to anything (shared/api-operation.ts).
 */
import * as z from 'zod'
import { wireBytes } from './api-messages.ts'
import type { Operation, Parameter } from './api-operation.ts'
import type { FaultCode } from './fault.ts'
import { limits } from './limits.ts'
import { scatterInput } from './scatter.ts'

// --- bodies -----------------------------------------------------------------------------------------------------------

const error = z.strictObject({
  why: z
    .string()
    .describe('`ended`: its delivery ended badly. `no_reply`: its answer cannot be kept. Otherwise it was refused.'),
  status: z.string().optional(),
  reason: z.string().optional(),
  message: z.string().optional(),
})
const place = {
  index: z.int().describe('Which chunk, or which agent of `to`: from 0.'),
  agent: z.string(),
  delivery: z.string().describe('Whose receipt tells more.'),
}

export const scatterAnswer = z.strictObject({
  id: z.string(),
  status: z.enum(['running', 'reducing', 'completed', 'failed', 'timed_out', 'cancelled']),
  type: z.string(),
  correlationid: z.string(),
  progress: z
    .strictObject({ legs: z.int(), ok: z.int(), failed: z.int(), missing: z.int() })
    .describe('Of all legs, whatever this page tells.'),
  ok: z.array(
    z.strictObject({
      ...place,
      data: z.unknown().optional(),
      omitted: z.literal(true).optional().describe('Too large for this page.'),
    }),
  ),
  failed: z.array(z.strictObject({ ...place, error })),
  missing: z.array(z.strictObject(place)).describe('Neither replied nor failed, so far or in time.'),
  result: z.unknown().optional().describe('What the reducer made of it.'),
  reply: z.strictObject({ id: z.string(), source: z.string() }).optional().describe('The reducer’s message.'),
  error: error.optional().describe('Why it failed: the first leg that did, or the reducer.'),
  beside: z
    .array(
      z.strictObject({
        index: z.int(),
        standing: z.enum(['duplicate', 'late']),
        by: z.string(),
        at: z.iso.datetime(),
      }),
    )
    .optional()
    .describe('Replies that came and did not count: another came before them, or it was over.'),
  unkept: z.int().optional().describe('How many more came than are noted.'),
  openedAt: z.iso.datetime(),
  deadline: z.iso.datetime(),
  endedAt: z.iso.datetime().optional(),
  cursor: z.string().optional().describe('There are more legs: ask again with this cursor.'),
})

export const scatterQuery = z.object({
  waitSeconds: z.coerce
    .number()
    .min(0)
    .max(limits.waitSeconds)
    .optional()
    .describe('Answer when it is over, or when so much time has passed.'),
  cursor: z.coerce
    .number()
    .int()
    .min(0)
    .max(limits.scatterLegs)
    .default(0)
    .describe('Where the page before this one ended.'),
})

// --- operations -------------------------------------------------------------------------------------------------------

const prefer: Parameter = {
  name: 'Prefer',
  description: `\`wait=N\`: for how many seconds the caller waits for the end, at most ${limits.waitSeconds}; without it not at all (RFC 7240).`,
  schema: z.string().max(limits.attributeLength),
}

const idempotencyKey: Parameter = {
  name: 'Idempotency-Key',
  description:
    'Two scatters with one key are one scatter: a repeat finds the first one. The body’s `id` does the same.',
  schema: z.string().min(1).max(limits.idempotencyKeyLength),
}

const location: Parameter = { name: 'Location', description: 'The scatter.', schema: z.string() }

const scatterFaults: readonly FaultCode[] = [
  'forbidden',
  'foreign_source',
  'agent_not_found',
  'empty_scatter',
  'key_reused',
  'already_expired',
  'not_durable',
  'key_required',
  'schema_mismatch',
]

/** In the order of the reference page. */
export const scatterOperations: readonly Operation[] = [
  {
    method: 'post',
    path: '/v1/scatters',
    id: 'scatter',
    tag: 'Scatters',
    who: 'sender',
    summary: 'Ask many agents, or give each a part of one work',
    description:
      'Stored before anybody is asked. Each leg is a message of its own, `<scatter>.map.<index>`, whose `replyto` is the scatter; the reducer’s is `<scatter>.reduce`.',
    headers: [prefer, idempotencyKey],
    body: { types: { 'application/json': scatterInput }, limitBytes: wireBytes },
    answers: [
      {
        status: 202,
        description: 'It is stored; ask again at `Location`.',
        schema: scatterAnswer,
        headers: [location],
      },
      { status: 200, description: 'It is over already.', schema: scatterAnswer, headers: [location] },
    ],
    faults: scatterFaults,
  },
  {
    method: 'get',
    path: '/v1/scatters/{id}',
    id: 'getScatter',
    tag: 'Scatters',
    who: 'publisher',
    summary: 'Read how far a scatter got, and what came of it',
    description: 'Kept for a day after it is over.',
    query: scatterQuery,
    answers: [{ status: 200, description: 'The scatter.', schema: scatterAnswer }],
    faults: ['forbidden', 'not_found'],
  },
  {
    method: 'delete',
    path: '/v1/scatters/{id}',
    id: 'cancelScatter',
    tag: 'Scatters',
    who: 'publisher',
    summary: 'Wait no more',
    description: 'Agents that have not begun are not asked any more; a reply that comes all the same is late.',
    answers: [{ status: 200, description: 'Cancelled.', schema: scatterAnswer }],
    faults: ['forbidden', 'not_found', 'scatter_over'],
  },
]
