/**
 * The operations on an agent's breaker, with what goes in and comes out. Never here: the machine (shared/breaker.ts), what the
 * gateway may answer to anything (shared/api-operation.ts).
 */
import * as z from 'zod'
import type { Operation } from './api-operation.ts'
import { limits } from './limits.ts'

const time = z.iso.datetime()
const state = z.enum(['closed', 'open', 'half_open'])
const force = z
  .enum(['auto', 'open', 'closed'])
  .describe('`open` parks all mail, `closed` lets everything through, `auto` leaves it to itself.')

export const breakerAnswer = z.strictObject({
  agent: z.string(),
  state: state.describe('`closed`: mail goes. `open`: it is parked. `half_open`: a probe at a time goes.'),
  forced: force,
  epoch: z.int().describe('Counts its moves. What was leased in an older epoch tells it nothing.'),
  openUntil: time.optional().describe('Then the next delivery is a probe. Absent when it is forced open.'),
  failures: z.int().optional().describe('Closed: failed attempts in a row, so far.'),
  ramp: z.int().optional().describe('Closed, after a recovery: how many may be in flight; doubles with each success.'),
  history: z
    .array(z.strictObject({ at: time, from: state, to: state, cause: z.string() }))
    .describe('The last 100 moves and people’s words, newest last.'),
})

export const breakerRequest = z.strictObject({ force })

export const breakerOperations: readonly Operation[] = [
  {
    method: 'get',
    path: '/v1/agents/{agent}/breaker',
    id: 'getBreaker',
    tag: 'Agents',
    who: 'agent',
    summary: 'Read a breaker and its history',
    description: 'A pull agent’s is always closed: nobody calls it.',
    answers: [{ status: 200, description: 'How it stands, and why.', schema: breakerAnswer }],
    faults: ['forbidden', 'agent_not_found'],
  },
  {
    method: 'put',
    path: '/v1/agents/{agent}/breaker',
    id: 'putBreaker',
    tag: 'Agents',
    who: 'agent',
    summary: 'Force a breaker open or closed, or leave it to itself',
    body: { types: { 'application/json': breakerRequest }, limitBytes: limits.requestBytes },
    answers: [{ status: 200, description: 'How it stands now.', schema: breakerAnswer }],
    faults: ['forbidden', 'agent_not_found', 'wrong_kind'],
  },
]
