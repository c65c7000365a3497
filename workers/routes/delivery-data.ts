/**
 * A delivery's data over HTTP, on demand: for the agent that it is for, while it is live. Never here: the view that it was handed
 * (shared/view.ts).
 */
import { Hono } from 'hono'
import { dataQuery } from '../../shared/api-data.ts'
import { parseDeliveryId } from '../../shared/ids.ts'
import { messageSchema } from '../../shared/message.ts'
import { mayOperate } from '../../shared/permissions.ts'
import { project } from '../../shared/projection.ts'
import type { App } from '../context.ts'
import { refuse, validate } from '../problem.ts'

export const deliveryData = new Hono<App>()

deliveryData.get('/deliveries/:id/data', async (c) => {
  const id = c.req.param('id')
  const { fields, maxBytes } = validate(dataQuery, c.req.query())
  const agent = parseDeliveryId(id)?.agent
  if (agent === undefined) return notFound(id)
  // Not the sender: it had the data, and what its receiver reads is not its business (S2).
  if (!mayOperate(c.get('principal'), agent))
    return refuse({ code: 'forbidden', action: 'read the data of', subject: id })
  const body = await c.get('platform').agent(agent).body(id, c.get('principal'))
  if (body === undefined) return notFound(id)
  const message = messageSchema.parse(JSON.parse(body))
  const { value, truncated } = project(message.data ?? null, fields, maxBytes)
  return c.json({ id, data: value, truncated }, 200)
})

const notFound = (id: string): never => refuse({ code: 'not_found', what: 'data of the delivery', id })
