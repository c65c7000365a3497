/** The operations on the deployment's switch, with what goes in and comes out. Never here: what it stops (shared/switch.ts). */
import * as z from 'zod'
import type { Operation } from './api-operation.ts'
import { limits } from './limits.ts'
import { switchRememberedMs, switchState } from './switch.ts'

export const switchRequest = z.strictObject({
  state: switchState.describe('`stopped`: nothing new is taken. What is in flight goes on to its end.'),
  reason: z.string().min(1).max(limits.errorMessageLength).optional().describe('Shown to whoever asks.'),
})

export const switchAnswer = z.strictObject({
  state: switchState,
  reason: z.string().optional(),
  by: z.string().optional().describe('Who turned it. Absent while nobody has.'),
  since: z.iso.datetime().optional(),
})

const path = '/v1/switch'

export const switchOperations: readonly Operation[] = [
  {
    method: 'get',
    path,
    id: 'getSwitch',
    tag: 'Figures',
    who: 'reader',
    summary: 'Is the deployment stopped?',
    answers: [{ status: 200, description: 'How it stands.', schema: switchAnswer }],
    faults: [],
  },
  {
    method: 'put',
    path,
    id: 'putSwitch',
    tag: 'Figures',
    who: 'admin',
    summary: 'Stop the whole deployment, or let it run again',
    description: `Within ${switchRememberedMs / 1_000} s nothing new is taken, by queue, by lease or at once. Publishes are accepted and wait. It outlives restarts.`,
    body: { types: { 'application/json': switchRequest }, limitBytes: limits.requestBytes },
    answers: [{ status: 200, description: 'How it stands now.', schema: switchAnswer }],
    faults: ['forbidden'],
  },
]
