/**
 * Requests over HTTP in real workerd: who asks, who replies, and what the asker is told (A49 to A52, A98, A104 to A108, A113).
 */

import { describe, expect, it } from 'vitest'
import * as z from 'zod'
import { defineAgent } from '../../workers/define.ts'
import { call, freshName, leaseOne, pullAgent, receipt, send } from './gateway.ts'
import { ownSwitchboard } from './switchboard.ts'

const echo = defineAgent({
  name: 'echo',
  accepts: z.unknown(),
  handle: async (message, ctx) => {
    ctx.reply({ heard: message.data })
  },
})

describe('a request', () => {
  it('(A49) (T7) is answered 200 with the reply of a handler, which names the request as where it replies', async () => {
    const own = ownSwitchboard({ agents: [echo] })
    const { status, body } = await own('POST', '/v1/requests', {
      json: { to: 'echo', type: 'ask', data: { n: 1 }, context: [7] },
    })
    expect(body).toMatchObject({
      status: 'replied',
      reply: { type: 'ask.reply', source: 'echo', data: { heard: { n: 1 } } },
      context: [7],
    })
    expect(status).toBe(200)
    const asked = await receipt(body.deliveries[0].id)
    expect(asked.message).toMatchObject({ replyto: `gather:${body.id}`, correlationid: body.id })
    expect(asked.status).toBe('completed')
  })
})
