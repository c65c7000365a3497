/**
 * What goes in and comes out over HTTP for workflows: the schemas that the routes parse with and that the OpenAPI document
 * shows. Never here: the operations (shared/api-workflows.ts).
 */
import * as z from 'zod'
import { type Parameter, pageOf, pageQuery } from './api-operation.ts'
import { budgetLimits, budgetUnit } from './budget-limits.ts'
import { effectStatus } from './effects.ts'
import { jsonPatch, mergePatch } from './json-patch.ts'
import { limits } from './limits.ts'
import { guardsSchema } from './lineage.ts'
import { outgoingRecord } from './outgoing.ts'
import { selection } from './projection.ts'
import { stateOperations } from './state-operations.ts'
import { stateSchema } from './versioned.ts'
import { workflowId } from './workflow.ts'
import { entryKind } from './workflow-history.ts'
import { definitionNamePattern } from './workflow-index.ts'
import { workflowStatus } from './workflow-status.ts'

const definitionName = z.string().regex(definitionNamePattern, 'a name is 1 to 64 of A-Z, a-z, 0-9, _ and -')
const anyJson = z.unknown()
const guardsInput = guardsSchema.partial()
const { shape } = budgetLimits
const budgetPatch = {
  messages: shape.messages.nullable(),
  hops: shape.hops.nullable(),
  tokens: shape.tokens.nullable(),
  costUsd: shape.costUsd.nullable(),
  seconds: shape.seconds.nullable(),
  reserve: shape.reserve.nullable(),
}

// --- in ---------------------------------------------------------------------------------------------------------------

export const createRequest = z.strictObject({
  id: workflowId.optional().describe('Of your own choice; made when left out.'),
  definition: z
    .union([
      definitionName,
      z.strictObject({ name: definitionName, version: z.int().min(1).optional() }),
      z.looseObject({ states: z.looseObject({}) }),
    ])
    .optional()
    .describe(
      'A stored definition by name (its latest version, unless one is named), or a statechart. Without one the workflow is shared state alone.',
    ),
  input: anyJson.optional().describe('What guards and actions see as `input`.'),
  state: stateSchema.optional().describe('The shared state at version 1. An object; {} when left out.'),
  retainSeconds: z
    .number()
    .min(0)
    .max(limits.workflowKeptSeconds)
    .default(limits.workflowKeptSeconds)
    .describe('How long it is kept once it has ended.'),
  guards: guardsInput.optional().describe('When messages that belong to it are stopped; the rest is the default.'),
  budget: budgetLimits.optional().describe('What all that belongs to it may use. Without one it is not counted.'),
})

export const amendRequest = z.strictObject({
  guards: guardsInput.nullable().optional().describe('These, and the others as they are; `null`: the default.'),
  budget: z
    .strictObject(budgetPatch)
    .nullable()
    .optional()
    .describe('Other limits, the rest as they are; `null` takes one away, or all of it.'),
})

export const workflowsQuery = z.object({
  status: workflowStatus.optional(),
  definition: z.string().max(limits.topicLength).optional().describe('Only those by this definition.'),
  ...pageQuery,
})

const fields = z
  .string()
  .max(limits.urlLength)
  .transform((text) => text.split(','))
  .pipe(selection)
  .optional()
  .describe('Only these parts of the state: dotted paths or JSON Pointers, with commas between.')

export const stateQuery = z.object({
  fields,
  version: z.coerce.number().int().min(1).optional().describe('As it was at this version.'),
})

export const patchQuery = z.object({
  fields,
  mergePolicy: z
    .enum(['version', 'field'])
    .default('version')
    .describe('`field`: a late change still applies if nobody changed the fields that it touches since.'),
})

export const mergeRequest = mergePatch
export const patchRequest = jsonPatch

export const operationsRequest = z.strictObject({ operations: stateOperations })
export const operationsQuery = z.object({ fields })

export const historyQuery = z.object({
  after: z.coerce.number().int().min(0).default(0).describe('The number of the last entry that you have.'),
  limit: pageQuery.limit,
})

export const messagesQuery = z.object({
  after: z.coerce.number().int().min(0).default(0).describe('The number of the last message that you have.'),
  limit: pageQuery.limit,
})

export const watchQuery = z.object({
  after: z.coerce
    .number()
    .int()
    .min(0)
    .optional()
    .describe('As `Last-Event-ID` says it, for clients that cannot set headers.'),
  seconds: z.coerce
    .number()
    .min(0)
    .max(limits.watchSeconds)
    .default(limits.watchSeconds)
    .describe('How long to watch.'),
})

export const pauseWorkflowRequest = z
  .strictObject({
    reason: z.string().min(1).max(limits.errorMessageLength).default('paused by an operator'),
    seconds: z.number().min(0).max(limits.delaySeconds).optional().describe('Resumed by itself after so long.'),
  })
  .default({ reason: 'paused by an operator' })

export const removeQuery = z.object({
  purge: z.enum(['true', 'false']).default('false').describe('Forgets one that has ended, now.'),
})

// --- out --------------------------------------------------------------------------------------------------------------

export const chartValue = anyJson.optional().describe('The statechart’s state value.')

export const key: Parameter = {
  name: 'Idempotency-Key',
  description: 'Names the change: sent again with the same key it happens once, and is answered as the first time.',
  schema: z.string().max(limits.idempotencyKeyLength),
}

export const workflowAnswer = z.strictObject({
  id: z.string(),
  status: workflowStatus,
  version: z.int().describe('Grows by one with every commit of state or statechart.'),
  state: stateSchema,
  value: chartValue,
  definition: z.strictObject({ name: z.string().optional(), version: z.int().optional() }).optional(),
  input: anyJson.optional(),
  output: anyJson.optional().describe('Of a completed one.'),
  error: z.strictObject({ code: z.string(), detail: z.string() }).optional().describe('Why it failed.'),
  paused: z
    .strictObject({ since: z.iso.datetime(), reason: z.string(), until: z.iso.datetime().optional() })
    .optional(),
  guards: guardsSchema.optional().describe('Where they are not the default.'),
  budget: budgetLimits
    .extend({
      spent: z.strictObject({
        messages: z.int(),
        tokens: z.number(),
        costUsd: z.number(),
        seconds: z.number().optional(),
      }),
      inFlight: z.int().optional().describe('Leases that work on it.'),
      holding: z.array(z.string()).optional().describe('Agents whose mailboxes hold mail of it.'),
      stopped: budgetUnit.optional().describe('What is spent, and keeps it paused.'),
    })
    .optional(),
  waitingEvents: z.int().optional().describe('Events that came while it was paused.'),
  timers: z
    .array(z.strictObject({ id: z.string(), dueAt: z.iso.datetime() }))
    .optional()
    .describe('Delayed transitions that will come.'),
  createdBy: z.string(),
  createdAt: z.iso.datetime(),
  updatedBy: z.string(),
  updatedAt: z.iso.datetime(),
  endedAt: z.iso.datetime().optional(),
})

export const workflowsAnswer = pageOf(
  z.strictObject({
    id: z.string(),
    status: workflowStatus,
    definition: workflowAnswer.shape.definition,
    createdBy: z.string(),
    createdAt: z.iso.datetime(),
    endedAt: workflowAnswer.shape.endedAt,
  }),
)

export const stateAnswer = z.strictObject({
  version: z.int(),
  state: z.unknown().describe('An object; with `fields`, only those parts.'),
})

export const writtenAnswer = z.strictObject({
  version: z.int(),
  state: z.unknown().optional().describe('Absent in the repeat of a change whose version is no longer kept.'),
})

export const entryAnswer = z.strictObject({
  n: z.int(),
  at: z.iso.datetime(),
  by: z.string().describe('The source that did it; `timer` and `policy` are the workflow’s own.'),
  kind: entryKind,
  version: z.int(),
  status: workflowStatus,
  value: chartValue,
  event: z.strictObject({ type: z.string(), id: z.string().optional() }).optional(),
  path: z
    .array(z.strictObject({ from: anyJson, to: anyJson, event: z.string() }))
    .optional()
    .describe('Every step that the statechart took, through transient states too.'),
  fields: z.array(z.string()).optional().describe('The fields of the state that changed.'),
  effects: z.array(z.int()).optional().describe('The numbers of the messages that it sent.'),
  detail: z.string().optional(),
})

export const messagesAnswer = z.strictObject({
  items: z.array(
    z.strictObject({
      n: z.int(),
      id: z
        .string()
        .describe('`<workflow>-<incarnation>-<n>`: no other message has it, also none of a later workflow of this id.'),
      kind: outgoingRecord.shape.kind,
      to: anyJson.optional(),
      topic: anyJson.optional(),
      type: anyJson.optional(),
      at: z.iso.datetime(),
      entry: z.int().describe('The number of the history’s entry that sent it.'),
      instead: z.int().optional().describe('The message that it stands for, after an agent’s error.'),
      state: effectStatus.describe('`pending`, `carried` with its deliveries, or `refused` and why.'),
    }),
  ),
})

export const historyAnswer = z.strictObject({ items: z.array(entryAnswer) })
