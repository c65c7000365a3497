/**
 * The operations on handshakes, with what comes out. Never here: their rules (shared/handshake.ts).
 */
import * as z from 'zod'
import type { Operation } from './api-operation.ts'
import { handshakeInput } from './handshake.ts'
import { limits } from './limits.ts'

const time = z.iso.datetime()

export const handshakeAnswer = z.strictObject({
  sessionId: z.string().describe('Names the handshake, and says which agent keeps it.'),
  agent: z.string(),
  source: z.string().describe('Who asked.'),
  status: z
    .enum(['accepted', 'counter', 'rejected'])
    .describe('`counter`: the version fits, and `agreed` is what there is of the capabilities.'),
  version: z.string().optional().describe('The highest that both speak. Absent when it was rejected.'),
  agreed: z.array(z.string()).describe('The capabilities that were asked for and are there.'),
  missing: z.array(z.string()).optional().describe('Those that are not.'),
  reason: z
    .string()
    .optional()
    .describe('Why it was rejected: `version_mismatch`, `capability_mismatch`, or the agent’s own words.'),
  supported: z
    .strictObject({ protocolVersions: z.array(z.string()), capabilities: z.array(z.string()) })
    .optional()
    .describe('When it was rejected: what the agent could have been asked for.'),
  answeredBy: z.enum(['agent', 'registration']),
  because: z.string().optional().describe('Why the registration answered for an agent that negotiates itself.'),
  asked: z.strictObject({ protocolVersions: z.array(z.string()), capabilities: z.array(z.string()) }),
  etag: z.string().describe('Of the agent’s card as it was then.'),
  standing: z
    .enum(['in_force', 'stale', 'expired'])
    .describe('`stale`: the agent’s card is another one now. Neither of the others holds: shake hands anew.'),
  at: time,
  expiresAt: time,
})

const location = { name: 'Location', description: 'The handshake, to be read again.', schema: z.string() }

export const handshakeOperations: readonly Operation[] = [
  {
    method: 'post',
    path: '/v1/agents/{agent}/handshake',
    id: 'shakeHands',
    tag: 'Agents',
    who: 'sender',
    summary: 'Agree with an agent on a version and on capabilities',
    description:
      'The broker answers from the agent’s registration; an agent registered with `handshake: "agent"` is asked itself, as a request of type `switchboard.handshake`, and its registration answers for it when it is parked, does not answer in time or answers something else. What came of it is kept until it expires, ten of each asker at most.',
    headers: [
      {
        name: 'Idempotency-Key',
        description: 'With the same key and offer it is the same handshake, answered once.',
        schema: z.string().min(1).max(limits.idempotencyKeyLength),
      },
      {
        name: 'Prefer',
        description: `\`wait=N\`: for so many seconds an agent that negotiates itself is waited for; ${limits.handshakeWaitSeconds} if left out, ${limits.waitSeconds} at most.`,
        schema: z.string(),
      },
    ],
    body: { types: { 'application/json': handshakeInput }, limitBytes: limits.requestBytes },
    answers: [
      { status: 200, description: 'What came of it, a rejection too.', schema: handshakeAnswer, headers: [location] },
    ],
    faults: ['forbidden', 'agent_not_found'],
  },
  {
    method: 'get',
    path: '/v1/handshakes/{id}',
    id: 'getHandshake',
    tag: 'Agents',
    who: 'party',
    summary: 'Read a handshake, and whether it still holds',
    answers: [{ status: 200, description: 'The handshake.', schema: handshakeAnswer }],
    faults: ['forbidden', 'not_found'],
  },
]
