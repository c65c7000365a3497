/** The operation on replays, with what goes in and comes out. Never here: what is replayed (shared/replay.ts). */
import * as z from 'zod'
import type { Operation } from './api-operation.ts'
import { effectSchema } from './effects.ts'
import { limits } from './limits.ts'
import { messageSchema } from './message.ts'
import { replayInput } from './replay.ts'

const replayAnswer = z.strictObject({
  replayof: z.string().describe('The delivery that is replayed.'),
  to: z.string().describe('The agent that is given it.'),
  message: messageSchema.describe('As it is given to it.'),
  recorded: z
    .strictObject({
      status: z.string(),
      result: z.unknown().optional(),
      effects: z.array(effectSchema),
    })
    .describe('What came of it before.'),
})

export const replayShown = replayAnswer.extend({ dryRun: z.literal(true) })
export const replaySent = replayAnswer.extend({ delivery: z.string() })

export const replayOperations: readonly Operation[] = [
  {
    method: 'post',
    path: '/v1/deliveries/{id}/replay',
    id: 'replayDelivery',
    tag: 'Deliveries',
    who: 'admin',
    summary: 'Give a delivered message to an agent once more, without consequences',
    description:
      'To see what another agent, or a changed one, would do: it alone is called. Everything that it asks the broker for is written on the receipt as `withheld` and not done; what its handler asks others is answered as they answered before. The replay is a delivery of its own in a conversation of its own, marked `replayof`. Data is kept until a delivery has ended, and with a dead letter; later it has to be given.',
    headers: [
      {
        name: 'Idempotency-Key',
        description: 'Names the replay: repeated, it is the same one.',
        schema: z.string().min(1).max(limits.idempotencyKeyLength),
      },
    ],
    body: { types: { 'application/json': replayInput }, optional: true, limitBytes: limits.messageBytes },
    answers: [
      {
        status: 200,
        description: 'A dry run: what would be sent.',
        schema: replayShown,
      },
      {
        status: 202,
        description: 'It is sent. The receipt tells what the agent did.',
        schema: replaySent,
        headers: [{ name: 'Location', description: 'The receipt.', schema: z.string() }],
      },
    ],
    faults: [
      ...(['forbidden', 'not_found', 'invalid_request', 'data_forgotten', 'agent_not_found', 'backpressure'] as const),
      ...(['key_reused', 'too_large', 'schema_mismatch', 'unavailable', 'unroutable'] as const),
    ],
  },
]
