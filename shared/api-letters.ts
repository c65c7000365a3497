/**
 * What goes in and comes out over HTTP for dead letters: the schemas that the routes parse with and that the OpenAPI document
 * shows. Never here: which operation uses which (shared/api-dead-letters.ts).
 */
import * as z from 'zod'
import { attemptAnswer, problemBody } from './api-bodies.ts'
import { pageOf, pageQuery } from './api-operation.ts'
import { agentsPerGroup } from './dead-letter.ts'
import { deadReason } from './dead-reason.ts'
import { editInput, editsAnswer } from './edit.ts'
import { limits } from './limits.ts'
import { messageSchema } from './message.ts'
import { attemptError } from './outcome.ts'

const time = z.iso.datetime()

export const letterAnswer = z.strictObject({
  id: z.string(),
  delivery: z.string().describe('The delivery that died, or whose effect was refused.'),
  agent: z.string(),
  kind: z.enum(['delivery', 'effect', 'publication']),
  reason: deadReason,
  error: attemptError.optional(),
  fingerprint: z.string().optional().describe('What failures of the same kind have in common: see the groups.'),
  attempts: z.array(attemptAnswer),
  at: time,
  redrives: z.int().describe('Lives before this one.'),
  message: messageSchema.describe('The message without its data.'),
  effect: z.record(z.string(), z.unknown()).optional().describe('For a refused effect: what was asked for.'),
  sequence: z.int().optional().describe('The mailbox’s number for it.'),
  breaker: z.string().optional().describe('How its agent’s breaker stood when it died.'),
  policy: z
    .record(z.string(), z.unknown())
    .optional()
    .describe('Its agent’s policy when it died, which may be another by now.'),
  edits: editsAnswer.optional().describe('What people changed of its message in earlier lives.'),
  path: z
    .array(z.string())
    .optional()
    .describe('For `loop_detected` and `hop_limit`: the deliveries that led to it, the root first.'),
})

export const ndjson = 'application/x-ndjson'

const letterFilter = {
  agent: z.string().max(limits.agentNameLength).optional(),
  reason: deadReason.optional(),
  fingerprint: z
    .string()
    .regex(/^[a-z2-7]{26}$/)
    .optional(),
}

export const lettersQuery = z.object({ ...letterFilter, ...pageQuery })
export const lettersAnswer = pageOf(letterAnswer)

export const groupsQuery = z.object({ agent: letterFilter.agent, ...pageQuery })
export const groupsAnswer = pageOf(
  z.strictObject({
    fingerprint: z.string(),
    reason: deadReason,
    count: z.int(),
    agents: z.array(z.string()).describe(`Whose they are; at most ${agentsPerGroup} are named.`),
    newestAt: time,
    oldestAt: time,
    example: z.strictObject({ id: z.string(), error: attemptError.optional() }).describe('The newest one.'),
  }),
)

export const redriveAnswer = z.strictObject({
  id: z.string(),
  delivery: z.string(),
  status: z.literal('redriven'),
})

export const redriveRequest = editInput.prefault({})

export const redriveManyRequest = z
  .strictObject({
    ...letterFilter,
    edit: editInput.optional().describe('What is changed of each of them.'),
    max: z.int().min(1).max(limits.redriveMany).default(limits.redriveMany).describe('How many to look at.'),
    cursor: z.string().max(limits.attributeLength).optional().describe('Where the call before this one ended.'),
  })
  .prefault({})

export const redriveManyAnswer = z.strictObject({
  redriven: z.array(redriveAnswer),
  refused: z.array(z.strictObject({ id: z.string(), problem: problemBody })),
  cursor: z.string().optional().describe('There is more: call again with this cursor.'),
})
