/**
 * The operations on causal graphs, time lines and conversations. Never here: reading them (workers/explore.ts, workers/correlate.ts).
 */
import * as z from 'zod'
import type { Operation } from './api-operation.ts'
import { graphAnswer, timelineAnswer } from './causal-graph.ts'
import { limits } from './limits.ts'
import { mermaidType } from './mermaid-text.ts'

const format = z
  .enum(['json', 'mermaid'])
  .optional()
  .describe(`\`mermaid\` draws it; so does \`Accept: ${mermaidType}\`.`)

export const graphQuery = z.object({ format })

export const correlationQuery = z.object({
  format,
  agent: z.string().max(limits.agentNameLength).optional().describe('Look only into this agent’s mailbox.'),
  cursor: z.string().max(limits.attributeLength).optional().describe('Where the look before this one ended.'),
})

const searched = z.strictObject({
  mailboxes: z.array(z.string()).describe('The mailboxes that were read for it.'),
  cursor: z.string().optional().describe('There are more to read: ask again with this cursor.'),
})

export const correlationAnswer = timelineAnswer.extend({ searched })
export const correlationGraphAnswer = graphAnswer.extend({ searched })

export const mermaidAnswer = z.string().describe('A Mermaid diagram.')
const drawn = { [mermaidType]: mermaidAnswer }

const bounded = `At most ${limits.graphNodes} nodes and ${limits.graphCalls} calls; \`truncated\` says when there is more.`
const graph =
  'Deliveries, publications, requests, scatters and workflows, and which caused which. Read from what each remembers, so it is as old as receipts are. A node that is not for the caller is `hidden`, and so is what lies only behind it.'

export const graphOperations: readonly Operation[] = [
  {
    method: 'get',
    path: '/v1/deliveries/{id}/graph',
    id: 'getDeliveryGraph',
    tag: 'Deliveries',
    who: 'party',
    summary: 'Draw what caused a delivery, and what it caused',
    description: `${graph} ${bounded}`,
    query: graphQuery,
    answers: [{ status: 200, description: 'The graph around it.', schema: graphAnswer, other: drawn }],
    faults: ['forbidden', 'not_found'],
  },
  {
    method: 'get',
    path: '/v1/workflows/{workflow}/graph',
    id: 'getWorkflowGraph',
    tag: 'Workflows',
    who: 'reader',
    summary: 'Draw what a workflow caused',
    description: `${graph} Whoever made the workflow reads what it sent as if they had sent it. ${bounded}`,
    query: graphQuery,
    answers: [{ status: 200, description: 'The graph from it on.', schema: graphAnswer, other: drawn }],
    faults: ['forbidden', 'not_found'],
  },
  {
    method: 'get',
    path: '/v1/workflows/{workflow}/timeline',
    id: 'getWorkflowTimeline',
    tag: 'Workflows',
    who: 'reader',
    summary: 'Read a workflow’s time line',
    description: `Its history, and every step of every delivery that it caused, in one line of time. ${bounded} At most ${limits.timelineEntries} entries, the newest.`,
    query: graphQuery,
    answers: [
      { status: 200, description: 'What happened, in the order of time.', schema: timelineAnswer, other: drawn },
    ],
    faults: ['forbidden', 'not_found'],
  },
  ...(['', '/graph'] as const).map((tail): Operation => {
    const isGraph = tail === '/graph'
    return {
      method: 'get',
      path: `/v1/correlations/{correlation}${tail}`,
      id: isGraph ? 'getCorrelationGraph' : 'getCorrelation',
      tag: 'Conversations',
      who: 'key',
      summary: isGraph ? 'Draw a conversation' : 'Read a conversation’s time line',
      description: `No index of conversations is kept. An admin has the mailboxes read through for the id, an agent its own: at most ${limits.correlationCalls} calls at a time, then \`searched.cursor\` goes on. An app names the \`agent\` to which it sent the first message. An id that the broker or a workflow made says by itself where to look. What is found is followed as a graph is. ${bounded}`,
      query: correlationQuery,
      answers: [
        {
          status: 200,
          description: 'What was found.',
          schema: isGraph ? correlationGraphAnswer : correlationAnswer,
          other: drawn,
        },
      ],
      faults: ['not_found'],
    }
  }),
]
