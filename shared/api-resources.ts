/**
 * The operations on resources that agents share, with what goes in and comes out. Never here: the machine (shared/resource.ts),
 * what the gateway may answer to anything (shared/api-operation.ts).
 */
import * as z from 'zod'
import { breakerAnswer, breakerRequest } from './api-breaker.ts'
import { type Operation, pageOf, pageQuery } from './api-operation.ts'
import { breakerPolicy } from './breaker.ts'
import { limits } from './limits.ts'
import { policyInput } from './policy.ts'

const heldUntil = z.iso.datetime().optional().describe('It asked for a pause until then: a 429 with Retry-After.')

const { agent: _agent, ...shown } = breakerAnswer.shape
export const resourceBreakerAnswer = z.strictObject({
  resource: z.string(),
  ...shown,
  heldUntil,
  policy: breakerPolicy.describe('The policy in force. It is the resource’s, whatever the policies of its agents.'),
})

export const resourcesQuery = z.object({ ...pageQuery })

export const resourcesAnswer = pageOf(
  z.strictObject({
    resource: z.string(),
    agents: z.int().describe('How many declare it.'),
    state: breakerAnswer.shape.state,
    forced: breakerAnswer.shape.forced,
    openUntil: breakerAnswer.shape.openUntil,
    heldUntil,
  }),
)

export const resourceBreakerRequest = breakerRequest
  .partial()
  .extend({ policy: policyInput.shape.breaker })
  .refine(({ force, policy }) => force !== undefined || policy !== undefined, 'needs `force` or `policy`')

export const resourceOperations: readonly Operation[] = [
  {
    method: 'get',
    path: '/v1/resources',
    id: 'listResources',
    tag: 'Resources',
    who: 'admin',
    summary: 'List the resources that agents declare',
    query: resourcesQuery,
    answers: [{ status: 200, description: 'By name, each as it stands.', schema: resourcesAnswer }],
    faults: ['forbidden'],
  },
  {
    method: 'get',
    path: '/v1/resources/{resource}/breaker',
    id: 'getResourceBreaker',
    tag: 'Resources',
    who: 'user',
    summary: 'Read a resource’s breaker and its history',
    answers: [{ status: 200, description: 'How it stands, and why.', schema: resourceBreakerAnswer }],
    faults: ['forbidden', 'not_found'],
  },
  {
    method: 'put',
    path: '/v1/resources/{resource}/breaker',
    id: 'putResourceBreaker',
    tag: 'Resources',
    who: 'admin',
    summary: 'Force it open or closed, leave it to itself, or change its policy',
    description:
      'A policy replaces the one before it, defaults filled in. Mail that is parked already comes when its hold is over, or when its agent is resumed.',
    body: { types: { 'application/json': resourceBreakerRequest }, limitBytes: limits.requestBytes },
    answers: [{ status: 200, description: 'How it stands now.', schema: resourceBreakerAnswer }],
    faults: ['forbidden', 'not_found'],
  },
]
