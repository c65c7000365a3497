/**
 * The operations on messages, deliveries and leases. Never here: their bodies (shared/api-bodies.ts), what the
 * gateway may answer to anything (shared/api-operation.ts).
 */
import * as z from 'zod'
import {
  ackRequest,
  batchAnswer,
  batchRequest,
  cancelAnswer,
  eventsRequest,
  extendAnswer,
  extendRequest,
  leaseAnswer,
  leaseRequest,
  nackRequest,
  publishAnswer,
  receiptAnswer,
  receiptQuery,
  receiptsAnswer,
  receiptsQuery,
  settledAnswer,
} from './api-bodies.ts'
import { directoryVersion, type Operation, type Parameter, streamed } from './api-operation.ts'
import type { FaultCode } from './fault.ts'
import { limits } from './limits.ts'
import { publishInput } from './message.ts'

/** Room on the wire for a message of the largest size: its JSON may be spaced out, and CloudEvents headers come on top. */
export const wireBytes = limits.messageBytes + 65_536

/** An ack carries a result and effects, each with a limit of its own; the rest is the JSON around them. */
export const ackBytes = limits.resultBytes + limits.effectsBytes + 65_536

const idempotencyKey: Parameter = {
  name: 'Idempotency-Key',
  description: 'Two sends with one key are one message. Without it the message’s own `id` is the key.',
  schema: z.string().min(1).max(limits.idempotencyKeyLength),
}

const location: Parameter = {
  name: 'Location',
  description: 'The receipt, when there is exactly one delivery.',
  schema: z.string(),
}

/** Binary mode: any media type beside `ce-specversion: 1.0`. */
export const binaryData = z
  .unknown()
  .describe('Binary mode: the body is the data, and the attributes are `ce-` headers.')

const publishFaults: readonly FaultCode[] = [
  'forbidden',
  'foreign_source',
  'agent_not_found',
  'key_reused',
  'loop_detected',
  'hop_limit',
  'key_required',
  'already_expired',
  'not_durable',
  'unroutable',
  'breaker_open',
  'schema_mismatch',
  'backpressure',
  'workflow_full',
  // A reply to a gather that is no longer kept.
  'not_found',
]

const settleFaults: readonly FaultCode[] = ['forbidden', 'not_found', 'stale_lease', 'already_settled']

const publishing: readonly Operation[] = [
  {
    method: 'post',
    path: '/v1/messages',
    id: 'publish',
    tag: 'Messages',
    who: 'sender',
    signed: true,
    summary: 'Publish a message',
    description:
      'Answered when the message and its dedupe key are stored together; nothing earlier is a 202. Takes plain JSON with CloudEvents’ attribute names, and CloudEvents 1.0 in structured and binary mode, where `specversion` is required, and `chain` and `select` are comma-separated strings. An array is answered as by `POST /v1/messages/batch`.',
    headers: [idempotencyKey, directoryVersion],
    body: {
      types: {
        'application/json': publishInput,
        'application/cloudevents+json': publishInput,
        'application/cloudevents-batch+json': eventsRequest,
        '*/*': binaryData,
      },
      limitBytes: wireBytes,
    },
    answers: [
      { status: 202, description: 'Accepted: never lost from here on.', schema: publishAnswer, headers: [location] },
      { status: 200, description: 'A batch: each message’s own answer, in order.', schema: batchAnswer },
    ],
    faults: publishFaults,
  },
  {
    method: 'post',
    path: '/v1/messages/batch',
    id: 'publishBatch',
    tag: 'Messages',
    who: 'sender',
    signed: true,
    summary: 'Publish up to 100 messages',
    description:
      'Each message is accepted or refused on its own: a refused one spoils none of the others, and the answer has one result for each, in order. With an `Idempotency-Key`, each message’s key is that and its place in the array.',
    headers: [idempotencyKey, directoryVersion],
    body: {
      types: { 'application/json': batchRequest, 'application/cloudevents-batch+json': eventsRequest },
      limitBytes: limits.batchBytes,
    },
    answers: [{ status: 200, description: 'Each message’s own answer, in order.', schema: batchAnswer }],
    faults: [],
  },
]

const receipts: readonly Operation[] = [
  {
    method: 'get',
    path: '/v1/deliveries/{id}',
    id: 'getDelivery',
    tag: 'Deliveries',
    who: 'party',
    summary: 'Read a receipt: what became of a delivery',
    description:
      'With `until` it waits for a rung of the ladder queued, dispatched, delivered, claimed, completed. A rung stays reached when a later attempt begins again from below; `delivered`, an answer of the agent, is never taken for `claimed`, which is held by token. When the time is over the receipt is answered as it is. As a stream it is told again at each step, until that rung or the end.',
    query: receiptQuery,
    answers: [{ status: 200, description: 'The receipt.', schema: receiptAnswer, other: streamed }],
    faults: ['forbidden', 'not_found'],
  },
  {
    method: 'delete',
    path: '/v1/deliveries/{id}',
    id: 'cancelDelivery',
    tag: 'Deliveries',
    who: 'party',
    summary: 'Cancel a delivery that has not ended',
    description: 'In flight too: a later ack is refused, and its effects never leave. Cancelling twice is one cancel.',
    answers: [{ status: 200, description: 'It is cancelled.', schema: cancelAnswer }],
    faults: ['forbidden', 'not_found', 'already_settled'],
  },
  {
    method: 'get',
    path: '/v1/agents/{agent}/deliveries',
    id: 'listDeliveries',
    tag: 'Deliveries',
    who: 'agent',
    summary: 'List the receipts of a mailbox',
    description:
      'Newest first, by `sequence`. With a `status` those that stand so; a page is full as long as there are more of them. What comes meanwhile is in no later page.',
    query: receiptsQuery,
    answers: [{ status: 200, description: 'Receipts.', schema: receiptsAnswer }],
    faults: ['forbidden', 'agent_not_found'],
  },
]

const settling: readonly Operation[] = [
  {
    method: 'post',
    path: '/v1/agents/{agent}/lease',
    id: 'lease',
    tag: 'Leases',
    who: 'agent',
    summary: 'Pull: lease deliveries',
    description:
      'The oldest of the highest priority first. A lease that ends without an ack, a nack or an extension counts as a failed attempt.',
    body: { types: { 'application/json': leaseRequest }, optional: true, limitBytes: limits.requestBytes },
    answers: [{ status: 200, description: 'What was leased; empty when nothing came in time.', schema: leaseAnswer }],
    faults: ['forbidden', 'agent_not_found', 'wrong_kind'],
  },
  {
    method: 'post',
    path: '/v1/deliveries/{id}/ack',
    id: 'ack',
    tag: 'Leases',
    who: 'agent',
    summary: 'Settle a lease: done',
    description:
      'The result and the effects are stored with the ack, then each effect leaves once. The same ack again gets the same answer; another one is told the first one’s result.',
    body: { types: { 'application/json': ackRequest }, limitBytes: ackBytes },
    answers: [{ status: 200, description: 'Settled.', schema: settledAnswer }],
    faults: settleFaults,
  },
  {
    method: 'post',
    path: '/v1/deliveries/{id}/nack',
    id: 'nack',
    tag: 'Leases',
    who: 'agent',
    summary: 'Settle a lease: not done',
    description: 'Tried again after the policy’s pause or `delaySeconds`, as long as attempts are left.',
    body: { types: { 'application/json': nackRequest }, limitBytes: limits.requestBytes },
    answers: [{ status: 200, description: 'Settled.', schema: settledAnswer }],
    faults: settleFaults,
  },
  {
    method: 'post',
    path: '/v1/deliveries/{id}/extend',
    id: 'extend',
    tag: 'Leases',
    who: 'agent',
    summary: 'Keep a lease for longer, and say how far the work is',
    description:
      'For work that takes minutes or hours: a pull agent extends its lease, and so does a webhook that answered 202 under `ack: "later"`, with the token of its `switchboard-token` header. Who stops extending lets the delivery go to another attempt, and its token is refused from then on.',
    body: { types: { 'application/json': extendRequest }, limitBytes: limits.requestBytes },
    answers: [{ status: 200, description: 'The new deadline.', schema: extendAnswer }],
    faults: settleFaults,
  },
]

/** In the order of the reference page. */
export const messageOperations: readonly Operation[] = [...publishing, ...receipts, ...settling]
