/**
 * Keys of apps over HTTP: whoever publishes and reads without a mailbox. Only an admin makes, lists and revokes keys; lists
 * tell ids, never a key or its hash. Never here: agents' keys (workers/routes/agents.ts).
 */
import { type Context, Hono } from 'hono'
import { appKeyRequest, keysQuery } from '../../shared/api-agent-bodies.ts'
import { publicKey } from '../../shared/directory.ts'
import { limits } from '../../shared/limits.ts'
import { resolvePermissions } from '../../shared/permissions.ts'
import type { App } from '../context.ts'
import { idempotencyKeyOf } from '../idempotency-key.ts'
import { mint } from '../mint.ts'
import { readJson, refuse, validate } from '../problem.ts'

export const keys = new Hono<App>()

keys.get('/keys', async (c) => {
  requireAdmin(c, 'list')
  const { cursor, limit } = validate(keysQuery, c.req.query())
  const page = await c.get('platform').directory().keys(undefined, cursor, limit)
  const last = page.length === limit ? page.at(-1) : undefined
  return c.json({ items: page.map(publicKey), ...(last && { cursor: last.id }) }, 200)
})

keys.post('/keys', async (c) => {
  requireAdmin(c, 'make')
  const { name, permissions, expiresInSeconds, rate } = await readJson(c, appKeyRequest)
  const resolved = resolvePermissions(`app/${name}`, permissions)
  const more = { permissions: resolved, expiresInSeconds, rate, named: idempotencyKeyOf(c) }
  const { key, record } = mint(c.get('platform'), `app/${name}`, more)
  const stored = await c.get('platform').directory().putKey(record, { max: limits.keysPerAgent })
  if (stored === 'known') refuse({ code: 'already_made', what: 'key', id: record.id })
  if (stored !== 'stored') refuse({ code: 'too_many_keys', agent: `app/${name}`, max: limits.keysPerAgent })
  const { id, expiresAt } = publicKey(record)
  return c.json({ id, key, ...(expiresAt && { expiresAt }) }, 201)
})

keys.delete('/keys/:key', async (c) => {
  requireAdmin(c, 'revoke')
  const id = c.req.param('key')
  const removed = await c.get('platform').directory().removeKey(id)
  return removed ? c.body(null, 204) : refuse({ code: 'not_found', what: 'key', id })
})

function requireAdmin(c: Context<App>, action: string): void {
  if (c.get('principal').kind !== 'admin') refuse({ code: 'forbidden', action, subject: 'keys' })
}
