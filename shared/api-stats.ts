/**
 * The operations on the deployment's figures and on its audit. Never here: the figures (shared/stats.ts), the sum (shared/audit.ts),
 * asking for them (workers/measure.ts, workers/audit.ts).
 */
import * as z from 'zod'
import { type Operation, pageQuery } from './api-operation.ts'
import { auditAnswer } from './audit.ts'
import { limits } from './limits.ts'
import { prometheusType, statsAnswer } from './stats.ts'

export const statsQuery = z.object({
  cursor: pageQuery.cursor,
  limit: z.coerce
    .number()
    .int()
    .min(1)
    .max(limits.statsAgents)
    .default(limits.statsAgents)
    .describe('How many agents at most.'),
})

export const auditQuery = z.object({
  cursor: pageQuery.cursor,
  limit: z.coerce
    .number()
    .int()
    .min(1)
    .max(limits.auditAgents)
    .default(limits.auditAgents)
    .describe('How many mailboxes at most.'),
})

export const metricsAnswer = z.string().describe('Prometheus’ text format.')

const cost = `It costs a call for each agent, which wakes its object, four for the lists, the last audit and how long states last, and a row read for each dead letter that is kept, up to ${limits.lettersCounted}.`

export const statsOperations: readonly Operation[] = [
  {
    method: 'get',
    path: '/v1/stats',
    id: 'getStats',
    tag: 'Figures',
    who: 'admin',
    summary: 'Read every agent’s figures',
    description: `By name of the agent, page by page. ${cost}`,
    query: statsQuery,
    answers: [{ status: 200, description: 'The figures.', schema: statsAnswer }],
    faults: ['forbidden'],
  },
  {
    method: 'get',
    path: '/v1/audit',
    id: 'getAudit',
    tag: 'Figures',
    who: 'admin',
    summary: 'Prove that what was accepted has ended or is live',
    description: `Each mailbox counts its rows and compares them with the numbers that it has given. It costs a call and a row read for every receipt that is kept, of each agent. The hourly sweep does the same with all of them; \`lastSweep\` is what it found. A mailbox of more than ${limits.auditRows} rows is not counted.`,
    query: auditQuery,
    answers: [{ status: 200, description: 'The sums.', schema: auditAnswer }],
    faults: ['forbidden'],
  },
  {
    method: 'get',
    path: '/metrics',
    id: 'getMetrics',
    tag: 'Figures',
    who: 'admin',
    summary: 'Read the same figures for Prometheus',
    description: `A scrape is one page: with more agents than that, \`switchboard_scrape_complete\` is 0, and further jobs go on with \`cursor\`, the last agent of the page before. ${cost} Once a minute is often enough.`,
    query: statsQuery,
    answers: [{ status: 200, description: 'The figures.', type: prometheusType, schema: metricsAnswer }],
    faults: ['forbidden'],
  },
]
