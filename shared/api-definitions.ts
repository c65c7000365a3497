/**
 * The operations on definitions of workflows, and on events that their statecharts take, with what goes in and comes out.
 * Never here: what a definition may say (shared/chart-definition.ts).
 */
import * as z from 'zod'
import { type Operation, pageOf, pageQuery } from './api-operation.ts'
import { chartValue, key } from './api-workflow-bodies.ts'
import { limits } from './limits.ts'
import { workflowStatus } from './workflow-status.ts'

// --- bodies -----------------------------------------------------------------------------------------------------------

/** Held to its own schema afterwards, so that what is wrong is told with its path in the definition. */
export const definitionRequest = z.looseObject({}).describe('A statechart in the JSON format of XState 5.')

export const definitionQuery = z.object({
  version: z.coerce.number().int().min(1).optional().describe('The latest when left out.'),
})
export const definitionsQuery = z.object({ ...pageQuery })

const definitionShown = z.strictObject({
  name: z.string(),
  version: z.int().describe('Grows by one whenever other content is put.'),
  by: z.string().describe('Who put it; `code` when it is in this Worker’s own code.'),
  at: z.iso.datetime(),
})
export const definitionAnswer = definitionShown.extend({ definition: z.unknown() })
export const definitionsAnswer = pageOf(definitionShown)

const eventId = z
  .string()
  .min(1)
  .max(limits.idLength)
  .optional()
  .describe('Your own id of it: sent again, it happens once.')
const data = z.unknown().optional().describe('What guards and actions see as `event.data`.')
const eventName = z.string().min(1).max(limits.typeLength)

export const eventRequest = z.union([
  z.strictObject({ type: eventName, data, id: eventId }),
  z.strictObject({
    transition: eventName.describe('An event that must be taken: else 409, and nothing is recorded.'),
    data,
    id: eventId,
  }),
])

export const eventAnswer = z.strictObject({
  reception: z
    .enum(['taken', 'ignored', 'deferred'])
    .describe('`deferred`: the workflow is paused, and the event waits.'),
  version: z.int().optional(),
  value: chartValue,
  status: workflowStatus.optional().describe('Of the workflow, after it.'),
})

// --- operations -------------------------------------------------------------------------------------------------------

export const definitionOperations: readonly Operation[] = [
  {
    method: 'post',
    path: '/v1/workflows/{workflow}/events',
    id: 'sendWorkflowEvent',
    tag: 'Workflows',
    who: 'writer',
    summary: 'Send an event to a workflow’s statechart',
    description:
      'Recorded as ignored when the chart does not take it, unless it is asked for as a `transition`. A message to `workflow:<id>` is an event too: its type is the event’s.',
    headers: [key],
    body: { types: { 'application/json': eventRequest }, limitBytes: limits.requestBytes },
    answers: [{ status: 200, description: 'What became of it.', schema: eventAnswer }],
    faults: [
      'forbidden',
      'not_found',
      'illegal_transition',
      'no_statechart',
      'workflow_over',
      'workflow_full',
      'operation_reused',
    ],
  },
  {
    method: 'get',
    path: '/v1/workflows/{workflow}/diagram',
    id: 'getWorkflowDiagram',
    tag: 'Workflows',
    who: 'reader',
    summary: 'Draw a workflow’s statechart',
    description: 'As a Mermaid state diagram, with the states that it is in and those that it came through.',
    answers: [{ status: 200, description: 'Mermaid.', type: 'text/plain', schema: z.string() }],
    faults: ['forbidden', 'not_found', 'no_statechart'],
  },
  {
    method: 'get',
    path: '/v1/workflow-definitions',
    id: 'listWorkflowDefinitions',
    tag: 'Workflows',
    who: 'key',
    summary: 'List definitions',
    query: definitionsQuery,
    answers: [{ status: 200, description: 'The latest of each name.', schema: definitionsAnswer }],
    faults: [],
  },
  {
    method: 'put',
    path: '/v1/workflow-definitions/{definition}',
    id: 'putWorkflowDefinition',
    tag: 'Workflows',
    who: 'admin',
    summary: 'Store a definition',
    description:
      'Other content is the next version; workflows that run keep theirs. Whatever is wrong with it is told with its path.',
    body: { types: { 'application/json': definitionRequest }, limitBytes: limits.requestBytes * 4 },
    answers: [
      { status: 201, description: 'A new version.', schema: definitionShown },
      { status: 200, description: 'The latest says the same.', schema: definitionShown },
    ],
    faults: ['forbidden', 'invalid_definition', 'definition_shipped', 'too_many_definitions'],
  },
  {
    method: 'get',
    path: '/v1/workflow-definitions/{definition}',
    id: 'getWorkflowDefinition',
    tag: 'Workflows',
    who: 'key',
    summary: 'Read a definition',
    query: definitionQuery,
    answers: [{ status: 200, description: 'The definition.', schema: definitionAnswer }],
    faults: ['not_found'],
  },
]
