/**
 * The operations on subscriptions and publications, with what goes in and comes out. Never here: who is reached
 * (shared/subscription.ts), what the gateway may answer to anything (shared/api-operation.ts).
 */
import * as z from 'zod'
import { receiptStatus } from './api-bodies.ts'
import { directoryVersion, type Operation, pageOf, pageQuery } from './api-operation.ts'
import { batchPolicy } from './batch-policy.ts'
import { filterSchema } from './filter.ts'
import { limits } from './limits.ts'
import { messageSchema } from './message.ts'
import { subscriptionInput } from './subscription.ts'
import { viewShape } from './view.ts'

// --- bodies -----------------------------------------------------------------------------------------------------------

export const subscriptionAnswer = z.strictObject({
  id: z.string(),
  agent: z.string(),
  topic: z.string().describe('A pattern: `*` stands for one token, `>` for the rest, at the end.'),
  filter: filterSchema.optional().describe('Absent: everything on the topic.'),
  ...viewShape,
  batch: batchPolicy
    .optional()
    .describe('How what comes by this subscription shares its calls, in place of its agent’s policy.'),
  catchAll: z
    .literal(true)
    .optional()
    .describe('Only for what reaches nobody else and would be a dead letter for that.'),
  version: z.int().describe('Grows with every change in the directory.'),
  silenced: z
    .literal(true)
    .optional()
    .describe('Its agent’s permissions no longer cover it: nothing is delivered for it until they do.'),
})

export const subscriptionsQuery = z.object({
  agent: z.string().max(limits.agentNameLength).optional().describe('Only this agent’s.'),
  ...pageQuery,
})
export const subscriptionsAnswer = pageOf(subscriptionAnswer)

export const publicationQuery = z.object({
  ackmode: z
    .string()
    .regex(/^(?:all|any|quorum:[1-9][0-9]{0,8})$/, '`all`, `any`, or `quorum:<n>`')
    .optional()
    .describe('`all`, `any` or `quorum:<n>`: is it completed by so many? The answer says so in `satisfied`.'),
})

const legAnswer = z.strictObject({
  agent: z.string(),
  status: z
    .enum(['pending', 'accepted', 'refused'])
    .describe('`pending`: its mailbox has not taken it yet. `refused`: it never will, and `reason` says why.'),
  delivery: z.string().optional(),
  deliveryStatus: z
    .enum([...receiptStatus.options, 'forgotten'])
    .optional()
    .describe('Of an accepted leg, as its receipt has it. Absent when its mailbox did not answer.'),
  reason: z.string().optional(),
})

export const publicationAnswer = z.strictObject({
  id: z.string(),
  message: messageSchema.describe('The message without its data.'),
  openedAt: z.iso.datetime(),
  why: z.string().optional().describe('Of `capability:`: why this agent. Of one that was caught: why that.'),
  caught: z.literal(true).optional().describe('It reached nobody but subscriptions with `catchAll`.'),
  fanout: z.int().describe('How many it is for; while a long one is still open, at most so many.'),
  accepted: z.int(),
  refused: z.int(),
  open: z.boolean().describe('Legs are still to be accepted.'),
  legs: z.array(legAnswer).describe('Of a publication for more than 100, only those that are not accepted.'),
  satisfied: z
    .enum(['yes', 'no', 'pending'])
    .optional()
    .describe(
      'With `ackmode`: completed by so many, or not any more, or not yet. Absent for a publication for more than 100.',
    ),
})

// --- operations -------------------------------------------------------------------------------------------------------

const subscriptions: readonly Operation[] = [
  {
    method: 'get',
    path: '/v1/subscriptions',
    id: 'listSubscriptions',
    tag: 'Topics',
    who: 'agent',
    summary: 'List subscriptions',
    description: 'An admin sees all; an agent sees its own.',
    query: subscriptionsQuery,
    answers: [{ status: 200, description: 'Subscriptions.', schema: subscriptionsAnswer }],
    faults: ['forbidden'],
  },
  {
    method: 'put',
    path: '/v1/subscriptions/{subscription}',
    id: 'putSubscription',
    tag: 'Topics',
    who: 'subscriber',
    summary: 'Subscribe an agent to a topic, or change that',
    description:
      'The agent gets what is published from then on to a topic that the pattern matches, if it passes the filter. Matching through several subscriptions is one delivery. With `catchAll` it gets only what reaches nobody else.',
    body: { types: { 'application/json': subscriptionInput }, limitBytes: limits.requestBytes },
    answers: [
      { status: 201, description: 'Created.', schema: subscriptionAnswer, headers: [directoryVersion] },
      { status: 200, description: 'Changed, or as it was.', schema: subscriptionAnswer, headers: [directoryVersion] },
    ],
    faults: ['forbidden', 'agent_not_found', 'too_many_subscriptions'],
  },
  {
    method: 'get',
    path: '/v1/subscriptions/{subscription}',
    id: 'getSubscription',
    tag: 'Topics',
    who: 'agent',
    summary: 'Read a subscription',
    answers: [{ status: 200, description: 'The subscription.', schema: subscriptionAnswer }],
    faults: ['forbidden', 'not_found'],
  },
  {
    method: 'delete',
    path: '/v1/subscriptions/{subscription}',
    id: 'deleteSubscription',
    tag: 'Topics',
    who: 'agent',
    summary: 'Unsubscribe',
    description: 'What is in the mailbox stays there. Deleting twice is deleting once.',
    answers: [{ status: 204, description: 'Gone.', headers: [directoryVersion] }],
    faults: ['forbidden', 'invalid_request'],
  },
]

const publications: readonly Operation[] = [
  {
    method: 'get',
    path: '/v1/publications/{id}',
    id: 'getPublication',
    tag: 'Topics',
    who: 'publisher',
    summary: 'Read what became of a publish to many',
    description: 'Each leg with the status of its delivery, kept for a day after the last was accepted or refused.',
    query: publicationQuery,
    answers: [{ status: 200, description: 'The publication.', schema: publicationAnswer }],
    faults: ['forbidden', 'not_found'],
  },
]

/** In the order of the reference page. */
export const topicOperations: readonly Operation[] = [...subscriptions, ...publications]
