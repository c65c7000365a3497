/**
 * Definitions over HTTP: stored by name and version, read, listed. Only an admin may put one. Never here: what is wrong with
 * one (shared/statechart.ts).
 */
import { type Context, Hono } from 'hono'
import { definitionQuery, definitionRequest, definitionsQuery } from '../../shared/api-definitions.ts'
import { limits } from '../../shared/limits.ts'
import { ownSource } from '../../shared/permissions.ts'
import { parseDefinition } from '../../shared/statechart.ts'
import { definitionNamePattern, publicDefinition } from '../../shared/workflow-index.ts'
import type { App } from '../context.ts'
import { definitionNamed, putDefinition } from '../definitions.ts'
import { readJson, refuse, validate } from '../problem.ts'

export const workflowDefinitions = new Hono<App>()

workflowDefinitions.get('/workflow-definitions', async (c) => {
  const { cursor, limit } = validate(definitionsQuery, c.req.query())
  const [platform, shipped] = [c.get('platform'), c.get('shipped')]
  await Promise.all([...shipped.definitions.keys()].map((name) => definitionNamed(platform, shipped, name)))
  const page = await platform.workflowIndex().definitions(cursor, limit)
  return c.json({ ...page, items: page.items.map(publicDefinition) }, 200)
})

workflowDefinitions.put('/workflow-definitions/:definition', async (c) => {
  const name = nameOf(c)
  const principal = c.get('principal')
  if (principal.kind !== 'admin') refuse({ code: 'forbidden', action: 'define the workflow', subject: name })
  if (c.get('shipped').definitions.has(name)) refuse({ code: 'definition_shipped', definition: name })
  const definition = await readJson(c, definitionRequest, limits.requestBytes * 4)
  const parsed = parseDefinition(definition)
  if (!parsed.ok) return refuse({ code: 'invalid_definition', issues: parsed.error })
  const put = await putDefinition(c.get('platform'), name, definition, ownSource(principal))
  if (put.status === 'too_many') return refuse({ code: 'too_many_definitions', max: limits.workflowDefinitions })
  return c.json(publicDefinition(put.record), put.created ? 201 : 200)
})

workflowDefinitions.get('/workflow-definitions/:definition', async (c) => {
  const { version } = validate(definitionQuery, c.req.query())
  const name = c.req.param('definition')
  const found = await definitionNamed(c.get('platform'), c.get('shipped'), name, version)
  if (found === undefined) return refuse({ code: 'not_found', what: 'definition', id: name })
  return c.json({ ...publicDefinition(found.record), definition: found.definition }, 200)
})

function nameOf(c: Context<App>): string {
  const name = c.req.param('definition') ?? ''
  if (definitionNamePattern.test(name)) return name
  const message = 'a name is 1 to 64 of A-Z, a-z, 0-9, _ and -'
  return refuse({ code: 'invalid_request', issues: [{ path: 'definition', message }] })
}
