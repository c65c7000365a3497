/**
 * A workflow's history over HTTP, read page by page or watched as it grows, and what it sent. Never here: the stream (workers/watch.ts).
 */
import { Hono } from 'hono'
import { historyQuery, messagesQuery, watchQuery } from '../../shared/api-workflow-bodies.ts'
import { publicOutgoing } from '../../shared/outgoing.ts'
import { publicEntry } from '../../shared/workflow-history.ts'
import type { App } from '../context.ts'
import { validate } from '../problem.ts'
import { lastEventNumber, watch, watchedAtOnce } from '../watch.ts'
import { permitted, requestOf } from '../workflow-access.ts'

export const workflowHistory = new Hono<App>()

workflowHistory.get('/workflows/:workflow/history', async (c) => {
  const { after, limit } = validate(historyQuery, c.req.query())
  const request = requestOf(c, 'readState')
  const { entries } = permitted(request, await request.port.history(request.asker, after, limit))
  return c.json({ items: entries.map(publicEntry) }, 200)
})

workflowHistory.get('/workflows/:workflow/messages', async (c) => {
  const { after, limit } = validate(messagesQuery, c.req.query())
  const request = requestOf(c, 'readState')
  const { messages, incarnation } = permitted(request, await request.port.messages(request.asker, after, limit))
  const sender = { id: request.id, incarnation }
  return c.json({ items: messages.map((message) => publicOutgoing(sender, message)) }, 200)
})

workflowHistory.get('/workflows/:workflow/watch', async (c) => {
  const { after: asked, seconds } = validate(watchQuery, c.req.query())
  const request = requestOf(c, 'readState')
  const { asker, port } = request
  const after = asked ?? lastEventNumber(c.req.header('last-event-id'))
  // The first page before the stream: a refusal is still an answer of its own then.
  const first = permitted(request, await port.history(asker, after, watchedAtOnce))
  const ask = async (last: number) => {
    const page = await port.history(asker, last, watchedAtOnce)
    return page.status === 'found' ? page : undefined
  }
  const stream = watch(c.get('platform'), first, { after, seconds, signal: c.req.raw.signal }, ask)
  return c.body(stream, 200, { 'Content-Type': 'text/event-stream', 'Cache-Control': 'no-store' })
})
