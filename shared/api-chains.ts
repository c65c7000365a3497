/**
 * The operation on chains of responsibility: a thin form of publish and request. Never here: who is asked next (shared/chain.ts).
 */
import * as z from 'zod'
import { publishAnswer } from './api-bodies.ts'
import { wireBytes } from './api-messages.ts'
import { type Operation, type Parameter, streamed } from './api-operation.ts'
import { requestAnswer, requestOperations } from './api-requests.ts'
import { limits } from './limits.ts'

/** The body of POST /v1/chains. */
export const chainInput = z
  .looseObject({
    handlers: z
      .array(z.string().min(1).max(limits.agentNameLength))
      .min(1)
      .max(limits.hops)
      .describe('Agents by name, in the order in which they are asked. Nobody twice.'),
    type: z.string().min(1).max(limits.typeLength),
    data: z.unknown().optional(),
  })
  .describe(
    'Beside these, the attributes of a message; of a request too, if the caller waits. `chainopen: "skip"` passes over whose breaker is open.',
  )

/** A publish, or the request that the caller waits for. */
export const chainAnswer = z.union([publishAnswer, requestAnswer])

const prefer: Parameter = {
  name: 'Prefer',
  description: `\`wait=N\`: the caller waits so many seconds, at most ${limits.waitSeconds}, for the reply of whoever takes it, as for a request (RFC 7240).`,
  schema: z.string().max(limits.attributeLength),
}

const idempotencyKey: Parameter = {
  name: 'Idempotency-Key',
  description: 'Two sends with one key are one. Without it the message’s own `id` is the key.',
  schema: z.string().min(1).max(limits.idempotencyKeyLength),
}

const location: Parameter = {
  name: 'Location',
  description: 'The receipt at the first of the chain, or the request.',
  schema: z.string(),
}

export const chainOperations: readonly Operation[] = [
  {
    method: 'post',
    path: '/v1/chains',
    id: 'chain',
    tag: 'Chains',
    who: 'sender',
    summary: 'Ask agents in turn until one takes the message',
    description:
      'The same as `POST /v1/messages`, or with `Prefer: wait=N` as `POST /v1/requests`, with `to` as the first handler and `chain` as the rest.',
    headers: [prefer, idempotencyKey],
    body: { types: { 'application/json': chainInput }, limitBytes: wireBytes },
    answers: [
      {
        status: 202,
        description: 'It is stored; or nobody has replied so far.',
        schema: chainAnswer,
        headers: [location],
      },
      { status: 200, description: 'The reply.', schema: requestAnswer, other: streamed, headers: [location] },
    ],
    faults: [...(requestOperations[0]?.faults ?? []), 'key_required'],
  },
]
