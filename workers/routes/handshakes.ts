/**
 * Handshakes over HTTP: agree with an agent on a version and on capabilities, and read what was agreed. Never here: what an
 * answer comes to (shared/handshake.ts).
 */
import { Hono } from 'hono'
import { agentOfHandshake, handshakeInput, publicHandshake } from '../../shared/handshake.ts'
import { limits } from '../../shared/limits.ts'
import { isOfPredecessor, mayRead } from '../../shared/permissions.ts'
import { waitOf } from '../../shared/request.ts'
import type { App } from '../context.ts'
import { express } from '../express.ts'
import { idempotencyKeyOf } from '../idempotency-key.ts'
import { meter } from '../meter.ts'
import { readJson, refuse, unwrap } from '../problem.ts'
import type { Lane } from '../request.ts'
import { shake } from '../shake.ts'

export const handshakes = new Hono<App>()

handshakes.post('/agents/:agent/handshake', async (c) => {
  const platform = c.get('platform')
  const input = await readJson(c, handshakeInput)
  meter(c, 1)
  const prefer = c.req.header('prefer') ?? `wait=${limits.handshakeWaitSeconds}`
  const options = {
    key: idempotencyKeyOf(c) ?? platform.token(),
    waiting: { seconds: waitOf(prefer, 0), signal: c.req.raw.signal },
    express: (...released: Parameters<Lane>) => express(platform, c.get('handlers'), ...released),
  }
  const kept = unwrap(await shake(platform, c.get('principal'), c.req.param('agent'), input, options))
  c.header('Location', `/v1/handshakes/${kept.handshake.id}`)
  return c.json(publicHandshake(kept.handshake, kept.standing), 200)
})

handshakes.get('/handshakes/:id', async (c) => {
  const id = c.req.param('id')
  const agent = agentOfHandshake(id)
  const kept = agent === undefined ? undefined : await c.get('platform').agent(agent).handshake(id)
  if (kept === undefined) return refuse({ code: 'not_found', what: 'handshake', id })
  const { handshake, standing } = kept
  const principal = c.get('principal')
  if (!mayRead(principal, handshake) || isOfPredecessor(principal, handshake))
    refuse({ code: 'forbidden', action: 'read', subject: id })
  return c.json(publicHandshake(handshake, standing), 200)
})
