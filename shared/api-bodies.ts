/**
 * What goes in and comes out over HTTP for messages, deliveries and leases: the schemas that the routes parse
 * with and that the OpenAPI document shows. Bodies that are a noun of their own stay with it (shared/message.ts).
 * Never here: which operation uses which (shared/api-messages.ts).
 */
import * as z from 'zod'
import { pageOf, pageQuery } from './api-operation.ts'
import { deadReason } from './dead-reason.ts'
import { editsAnswer } from './edit.ts'
import { effectSchema, effectsInput } from './effects.ts'
import { faultCodes } from './fault-examples.ts'
import { rung } from './ladder.ts'
import { progressInput } from './lease.ts'
import { limits } from './limits.ts'
import { messageSchema, publishInput } from './message.ts'
import { unheededSchema } from './narrowing.ts'
import { attemptError } from './outcome.ts'
import { resourceInput } from './resource-report.ts'
import { schemaWarning } from './schema.ts'
import { triedSchema } from './tried.ts'
import { usageSchema } from './usage.ts'
import { viewRecord } from './view.ts'

const time = z.iso.datetime()

const awayAnswer = z
  .strictObject({ since: time.optional(), why: z.string() })
  .describe('The agent takes no mail now: since when, as far as that is known, and why.')

// --- problems ---------------------------------------------------------------------------------------------------------

/** RFC 9457, with a code to switch on. Each code adds its own evidence. */
export const problemBody = z.looseObject({
  type: z.string().describe('Where the problem is explained: `/problems#<code>`.'),
  title: z.string(),
  status: z.int().min(400).max(599),
  code: z.enum(faultCodes).describe('Stable: switch on this.'),
  detail: z.string().describe('For a person: what happened, and what to do next.'),
  retryable: z.boolean().describe('Whether sending the same again later may work.'),
  instance: z.string().optional().describe('The request’s path, or the item within a batch.'),
})

// --- publishing -------------------------------------------------------------------------------------------------------

export const publishAnswer = z.strictObject({
  id: z.string().describe('The message’s id: the publisher’s own, or a UUIDv7 that was made for it.'),
  deliveries: z
    .array(
      z.strictObject({
        id: z.string(),
        agent: z.string(),
        status: z.string(),
        away: awayAnswer.optional(),
        diverted: z.string().optional().describe('It goes on to this agent: the breaker of `agent` is open.'),
      }),
    )
    .describe('One for each agent that the message is on its way to.'),
  duplicate: z.boolean().describe('It had been accepted before: these are the first one’s deliveries.'),
  durable: z.literal(false).optional().describe('Only under `at_most_once`: nothing was stored.'),
  publication: z.string().optional().describe('Only for a publish to many: the publication that its legs belong to.'),
  fanout: z
    .int()
    .optional()
    .describe('Only for a publish to many: how many it is for. Over 100, `deliveries` stays empty.'),
  why: z
    .string()
    .optional()
    .describe('Only for `capability:`: why this agent, and how much it has to do; and for one that was caught: why.'),
  caught: z.literal(true).optional().describe('Only for a topic: it reached nobody but subscriptions with `catchAll`.'),
  warnings: z.array(schemaWarning).readonly().optional().describe('What does not fit a schema that only warns.'),
  standing: z
    .enum(['counted', 'duplicate', 'late'])
    .optional()
    .describe('Only for a reply to a request: it counted, another came before it, or the request was over.'),
  reception: z
    .enum(['taken', 'ignored', 'deferred'])
    .optional()
    .describe(
      'Only for a message to a workflow: its statechart took it or not, or it waits while the workflow is paused.',
    ),
})

/** One item's answer: what the same message would have been answered alone. */
export const batchResult = z.union([
  publishAnswer.extend({ status: z.literal(202) }),
  z.strictObject({ status: z.int().min(400).max(599), problem: problemBody }),
])

export const batchAnswer = z.strictObject({
  results: z.array(batchResult).describe('In the order of the messages.'),
})

export const batchRequest = z.array(publishInput).min(1).max(limits.batchMessages)
/** CloudEvents has empty batches too. */
export const eventsRequest = z.array(publishInput).max(limits.batchMessages)

// --- receipts ---------------------------------------------------------------------------------------------------------

/** docs/protocol.md, "Statuses". The first six are alive. */
export const receiptStatus = z.enum([
  'held',
  'parked',
  'queued',
  'dispatched',
  'delivered',
  'claimed',
  'completed',
  'failed',
  'dead_lettered',
  'expired',
  'cancelled',
])

export const attemptAnswer = z.strictObject({
  number: z.int(),
  startedAt: time,
  endedAt: time,
  outcome: z.string().describe('`ok`, `retry`, `fail`, or what was not counted: `hold`, `gone`, `unsent`, `silence`.'),
  counted: z.boolean().describe('Whether it used one of the policy’s attempts.'),
  httpStatus: z.int().optional(),
  error: attemptError.optional(),
  crash: z
    .string()
    .optional()
    .describe('When the handler crashed at once: how, on this content. Twice in a row the same is a poison.'),
})

export const receiptAnswer = z.strictObject({
  id: z.string(),
  agent: z.string(),
  message: messageSchema.describe('The message without its data.'),
  sequence: z.int().describe('The mailbox’s number for it.'),
  hops: z.int().describe('How many messages led to this one.'),
  status: receiptStatus,
  because: z
    .string()
    .optional()
    .describe('Why it waits, when it does; and why it was cancelled, where the broker did it.'),
  away: awayAnswer.optional(),
  attempt: z.int().describe('Attempts that counted, in this life.'),
  maxAttempts: z.int(),
  unheeded: z.array(unheededSchema).optional().describe('What the message asked for beyond its agent’s policy.'),
  nextAttemptAt: time.optional(),
  progress: z
    .strictObject({ percent: z.number().optional(), note: z.string().optional(), at: time })
    .optional()
    .describe('What the agent that works on it said last, by extending its lease.'),
  steps: z.array(
    z.strictObject({ step: z.string(), at: time, attempt: z.int().optional(), detail: z.string().optional() }),
  ),
  attempts: z.array(attemptAnswer),
  result: z.unknown().optional(),
  usage: usageSchema.optional().describe('What the attempt that ended it says it used.'),
  tried: z.array(triedSchema).optional().describe('Of a chain: who was asked before.'),
  path: z.array(z.string()).optional().describe('The deliveries that led to it, the root first; a root has none.'),
  effects: z.array(effectSchema).optional().describe('What the result set off, and what became of each.'),
  view: viewRecord
    .optional()
    .describe('What of its data its agent is handed: `handedBytes` of `dataBytes`. The rest is at `GET …/data`.'),
  deadLetter: z.strictObject({ id: z.string(), reason: deadReason }).optional(),
  reassignedTo: z
    .string()
    .optional()
    .describe('It was cancelled here because it goes on as this delivery of another agent.'),
  collapsedInto: z
    .string()
    .optional()
    .describe('It was cancelled because a newer message with its `collapsekey` took its place: the delivery of that.'),
  edits: editsAnswer.optional().describe('What people changed of its message before a redrive.'),
  redrives: z.int().describe('Lives before this one.'),
  truncated: z.literal(true).optional().describe('Older steps or attempts gave way to newer ones.'),
  reached: z.boolean().optional().describe('Only when asked for `until` a rung: whether it was reached.'),
})

export const receiptQuery = z
  .object({
    until: rung
      .optional()
      .describe(
        'Answer once the delivery has come this far; once it has ended, however it ended; or when `waitSeconds` are over. `reached` tells which.',
      ),
    waitSeconds: z.coerce
      .number()
      .min(0)
      .max(limits.waitSeconds)
      .optional()
      .describe('How long to wait for it. 0, the default, answers at once.'),
  })
  .refine(({ until, waitSeconds }) => until !== undefined || waitSeconds === undefined, {
    path: ['until'],
    error: 'is needed beside `waitSeconds`: it says what to wait for',
  })

export const receiptsQuery = z.object({ status: receiptStatus.optional(), ...pageQuery })
export const receiptsAnswer = pageOf(receiptAnswer)

export const cancelAnswer = z.strictObject({ id: z.string(), status: z.literal('cancelled') })

// --- leases and settling ----------------------------------------------------------------------------------------------

export const leaseRequest = z
  .strictObject({
    max: z.int().min(1).max(limits.leaseMax).default(10).describe('How many deliveries at most.'),
    waitSeconds: z
      .number()
      .min(0)
      .max(limits.waitSeconds)
      .default(0)
      .describe('How long to wait for the first one. 0 answers at once.'),
    leaseSeconds: z
      .number()
      .min(0.05)
      .max(limits.leaseSeconds)
      .default(60)
      .describe('How long each is yours. Longer work extends.'),
  })
  .prefault({})

export const leaseAnswer = z.strictObject({
  deliveries: z.array(
    z.strictObject({
      id: z.string(),
      token: z.string().describe('Acks, nacks and extends this lease, and no other.'),
      attempt: z.int().describe('1 is the first.'),
      maxAttempts: z.int(),
      deadline: time,
      sequence: z.int(),
      hops: z.int(),
      previousError: z.string().optional().describe('Why the attempt before this one failed.'),
      message: messageSchema,
    }),
  ),
})

const token = z.string().min(1).max(limits.attributeLength).describe('The lease’s token.')

// A caller who is still there is told what is wrong with a message it emits; from a webhook's answer it would be a refused effect.
const emitted = publishInput.refine((m) => m.deliverymode !== 'at_most_once', {
  path: ['deliverymode'],
  error: 'an effect is durable, so it cannot be at_most_once',
})

export const ackRequest = z.strictObject({
  token,
  result: z.unknown().optional().describe(`Kept on the receipt. At most ${limits.resultBytes} bytes as JSON.`),
  effects: effectsInput
    .extend({ messages: z.array(emitted).max(limits.effectsPerAttempt).optional() })
    .optional()
    .describe(`What is to happen next, once. At most ${limits.effectsBytes} bytes as JSON.`),
})

export const nackRequest = z.strictObject({
  token,
  delaySeconds: z
    .number()
    .min(0)
    .max(limits.delaySeconds)
    .optional()
    .describe('The exact pause before the next attempt, in place of the policy’s curve.'),
  reason: z.string().min(1).max(limits.errorMessageLength).optional().describe('Told on the receipt.'),
  terminal: z.boolean().optional().describe('It can never work: a dead letter at once.'),
  usage: usageSchema.optional().describe('What it used all the same.'),
  resource: resourceInput.optional(),
})

export const settledAnswer = z.strictObject({ id: z.string(), status: z.literal('settled') })

export const extendRequest = z.strictObject({
  token,
  seconds: z
    .number()
    .min(0.05)
    .max(limits.leaseSeconds)
    .describe(`From now. All extensions of one lease together reach at most ${limits.claimSeconds} seconds.`),
  progress: progressInput
    .optional()
    .describe(
      'How far the work is. The receipt shows the latest, until this lease ends; the next one begins from nothing.',
    ),
})

export const extendAnswer = z.strictObject({ id: z.string(), deadline: time })
