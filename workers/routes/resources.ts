/**
 * Resources over HTTP: which there are, how each stands and why, and a person's word to it. For an admin; an agent may read what it
 * declares. Never here: the machine (shared/resource.ts).
 */
import { type Context, Hono } from 'hono'
import { resourceBreakerRequest, resourcesQuery } from '../../shared/api-resources.ts'
import { ownSource } from '../../shared/permissions.ts'
import { newResource, publicResource } from '../../shared/resource.ts'
import { resourceName } from '../../shared/resource-report.ts'
import type { App } from '../context.ts'
import { ensureAllEnrolled } from '../handlers.ts'
import { readJson, refuse, validate } from '../problem.ts'

export const resources = new Hono<App>()

resources.get('/resources', async (c) => {
  administered(c, 'list', 'resources')
  const { cursor, limit } = validate(resourcesQuery, c.req.query())
  const platform = c.get('platform')
  await ensureAllEnrolled(platform, c.get('handlers'))
  const page = await platform.directory().resources(cursor, limit)
  const items = page.items.map(async ({ resource, agents }) => {
    const { state, forced, openUntil, heldUntil } = await shownAt(c, resource)
    return { resource, agents, state, forced, ...(openUntil && { openUntil }), ...(heldUntil && { heldUntil }) }
  })
  return c.json({ ...page, items: await Promise.all(items) }, 200)
})

resources.get('/resources/:resource/breaker', async (c) => {
  const name = c.req.param('resource')
  await requireUser(c, name)
  await requireKnown(c, name)
  return c.json(await shownAt(c, name), 200)
})

resources.put('/resources/:resource/breaker', async (c) => {
  const name = c.req.param('resource')
  administered(c, 'force the breaker of', name)
  const { force, policy } = await readJson(c, resourceBreakerRequest)
  await requireKnown(c, name)
  const platform = c.get('platform')
  const forced = await platform.resource(name).force({
    by: ownSource(c.get('principal')),
    ...(force === undefined ? {} : { to: force }),
    ...(policy === undefined ? {} : { policy }),
  })
  return c.json(publicResource(forced, platform.now()), 200)
})

async function shownAt(c: Context<App>, name: string) {
  const platform = c.get('platform')
  return publicResource((await platform.resource(name).report()) ?? newResource(name), platform.now())
}

function administered(c: Context<App>, action: string, subject: string): void {
  if (c.get('principal').kind !== 'admin') refuse({ code: 'forbidden', action, subject })
}

/** An agent may know how what it waits for stands; others' resources are none of its business. */
async function requireUser(c: Context<App>, name: string): Promise<void> {
  const principal = c.get('principal')
  if (principal.kind === 'admin') return
  const described = principal.kind === 'agent' ? await c.get('platform').agent(principal.name).describe() : undefined
  if (described?.agent.resources?.includes(name) !== true)
    refuse({ code: 'forbidden', action: 'read the breaker of', subject: name })
}

// Somebody declares it, or did and it has a history. Asking for any other leaves no trace.
async function requireKnown(c: Context<App>, name: string): Promise<void> {
  const platform = c.get('platform')
  if (resourceName.safeParse(name).success) {
    if ((await platform.resource(name).report()) !== undefined) return
    await ensureAllEnrolled(platform, c.get('handlers'))
    if ((await platform.directory().declaring(name)) > 0) return
  }
  refuse({ code: 'not_found', what: 'resource', id: name })
}
