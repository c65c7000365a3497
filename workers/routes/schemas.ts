/**
 * Schemas over HTTP: an admin says what the data of messages must be; whoever has a key may read it. Never here: judging a
 * message (workers/conform.ts).
 */
import { type Context, Hono } from 'hono'
import { schemasQuery } from '../../shared/api-schemas.ts'
import { limits } from '../../shared/limits.ts'
import { publicSchema, schemaInput, schemaName } from '../../shared/schema.ts'
import { forgetSchemas } from '../conform.ts'
import type { App } from '../context.ts'
import { readJson, refuse, validate } from '../problem.ts'

export const schemas = new Hono<App>()

schemas.get('/schemas', async (c) => {
  const { cursor, limit } = validate(schemasQuery, c.req.query())
  const page = await c.get('platform').directory().schemas(cursor, limit)
  return c.json({ ...page, items: page.items.map(publicSchema) }, 200)
})

schemas.put('/schemas/:schema', async (c) => {
  requireAdmin(c)
  const name = nameOf(c)
  const input = await readJson(c, schemaInput)
  const platform = c.get('platform')
  const answer = await platform
    .directory()
    .putSchema(name, input, { max: limits.schemas, maxBytes: limits.schemasBytes })
  forgetSchemas(platform)
  if (answer.status === 'too_many')
    return refuse({ code: 'too_many_schemas', max: limits.schemas, maxBytes: limits.schemasBytes })
  return c.json(publicSchema(answer.schema), answer.created ? 201 : 200)
})

schemas.get('/schemas/:schema', async (c) => {
  const name = c.req.param('schema')
  const found = await c.get('platform').directory().findSchema(name)
  return found === undefined
    ? refuse({ code: 'not_found', what: 'schema', id: name })
    : c.json(publicSchema(found), 200)
})

schemas.delete('/schemas/:schema', async (c) => {
  requireAdmin(c)
  const platform = c.get('platform')
  await platform.directory().removeSchema(c.req.param('schema'))
  forgetSchemas(platform)
  return c.body(null, 204)
})

// What one's neighbours may send is not for an agent to say, and a schema costs whoever publishes.
function requireAdmin(c: Context<App>): void {
  if (c.get('principal').kind !== 'admin') refuse({ code: 'forbidden', action: 'change', subject: 'schemas' })
}

function nameOf(c: Context<App>): string {
  const parsed = schemaName.safeParse(c.req.param('schema'))
  if (parsed.success) return parsed.data
  const message = parsed.error.issues[0]?.message ?? 'not a name'
  return refuse({ code: 'invalid_request', issues: [{ path: 'schema', message }] })
}
