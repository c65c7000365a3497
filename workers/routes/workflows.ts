/**
 * Workflows over HTTP: create, list, read, amend, pause, resume, cancel. Never here: their state (workers/routes/workflow-state.ts),
 * what moves them (shared/workflow-step.ts).
 */
import { type Context, Hono } from 'hono'
import type * as z from 'zod'
import {
  amendRequest,
  createRequest,
  pauseWorkflowRequest,
  removeQuery,
  workflowsQuery,
} from '../../shared/api-workflow-bodies.ts'
import { digest } from '../../shared/ids.ts'
import { limits } from '../../shared/limits.ts'
import { guardsWith } from '../../shared/lineage.ts'
import { allows, isMaker, isOfPredecessor, ownSource, permissionsOf } from '../../shared/permissions.ts'
import { parseDefinition } from '../../shared/statechart.ts'
import { etagOf, sound } from '../../shared/versioned.ts'
import { publicWorkflow } from '../../shared/workflow.ts'
import { contentOf } from '../../shared/workflow-history.ts'
import { publicListing } from '../../shared/workflow-index.ts'
import type { App } from '../context.ts'
import { definitionNamed } from '../definitions.ts'
import { performSoon } from '../perform.ts'
import { readJson, refuse, validate } from '../problem.ts'
import { forgetTerms } from '../terms.ts'
import { faultOf, moved, operationOf, permitted, requestOf } from '../workflow-access.ts'

export const workflows = new Hono<App>()

workflows.post('/workflows', async (c) => {
  const input = await readJson(c, createRequest, limits.stateBytes * 2)
  const platform = c.get('platform')
  const principal = c.get('principal')
  const { id: asked, retainSeconds, definition: wanted, state: given = {}, input: chartInput, guards, budget } = input
  // A repeat with the same key finds the same one, without having been told its id.
  const id = asked ?? `w-${digest('workflow', operationOf(c, {}).id)}`
  if (!allows(principal, 'writeState', id)) refuse({ code: 'forbidden', action: 'create the workflow', subject: id })
  const state = sound(given)
  if (!state.ok) return refuse(faultOf(id, state.error))
  const chart = wanted === undefined ? undefined : await chartOf(c, wanted)
  const opening = {
    ...{ id, by: ownSource(principal), permissions: permissionsOf(principal), creation: contentOf(input) },
    ...(chartInput === undefined ? {} : { input: chartInput }),
    ...(chart === undefined ? {} : { definition: chart.named }),
    ...(guards === undefined ? {} : { guards: guardsWith(undefined, guards) }),
    ...(budget === undefined ? {} : { budget }),
    ...{ state: state.value, keptMs: retainSeconds * 1_000 },
  }
  const { status, workflow } = await platform.workflow(id).create(opening, chart?.definition)
  const { createdBy, createdAt } = workflow.record
  const isTaken = isOfPredecessor(principal, { source: createdBy, at: createdAt })
  if (status === 'conflict' || isTaken) return refuse({ code: 'workflow_exists', workflow: id })
  performSoon(platform, id)
  c.header('ETag', etagOf(workflow.record.version))
  c.header('Location', `/v1/workflows/${id}`)
  return c.json(publicWorkflow(workflow, platform.now()), status === 'created' ? 201 : 200)
})

type Wanted = NonNullable<z.infer<typeof createRequest>['definition']>

/** The definition that is asked for, by name or as it stands. */
async function chartOf(c: Context<App>, wanted: Wanted): Promise<Chosen> {
  if (typeof wanted === 'object' && 'states' in wanted) {
    const parsed = parseDefinition(wanted)
    return parsed.ok ? { definition: wanted, named: {} } : refuse({ code: 'invalid_definition', issues: parsed.error })
  }
  // What has no `states` is the other object of the union; its index signature hides that from the compiler.
  const { name, version } = typeof wanted === 'string' ? { name: wanted } : (wanted as Named)
  const found = await definitionNamed(c.get('platform'), c.get('shipped'), name, version)
  if (found === undefined) return refuse({ code: 'not_found', what: 'definition', id: name })
  return { definition: found.definition, named: { name: found.record.name, version: found.record.version } }
}

interface Named {
  readonly name: string
  readonly version?: number
}

interface Chosen {
  readonly definition: unknown
  readonly named: Partial<Named>
}

workflows.get('/workflows', async (c) => {
  const { status, definition, cursor, limit } = validate(workflowsQuery, c.req.query())
  const filter = { ...(status === undefined ? {} : { status }), ...(definition === undefined ? {} : { definition }) }
  const page = await c.get('platform').workflowIndex().list(filter, cursor, limit)
  const principal = c.get('principal')
  const readable = page.items.filter(
    ({ id, createdBy, createdAt }) =>
      allows(principal, 'readState', id) || isMaker(principal, { source: createdBy, at: createdAt }),
  )
  return c.json({ ...page, items: readable.map(publicListing) }, 200)
})

workflows.get('/workflows/:workflow', async (c) => {
  const request = requestOf(c, 'readState')
  const { workflow } = permitted(request, await request.port.read(request.asker))
  c.header('ETag', etagOf(workflow.record.version))
  return c.json(publicWorkflow(workflow, c.get('platform').now()), 200)
})

workflows.patch('/workflows/:workflow', async (c) => {
  const asked = await readJson(c, amendRequest)
  const request = requestOf(c, 'writeState')
  const platform = c.get('platform')
  const workflow = moved(request, await request.port.amend(request.asker, asked))
  forgetTerms(platform, request.id)
  performSoon(platform, request.id)
  return c.json(publicWorkflow(workflow, platform.now()), 200)
})

workflows.delete('/workflows/:workflow', async (c) => {
  const { purge } = validate(removeQuery, c.req.query())
  const request = requestOf(c, 'writeState')
  const { id, asker, port } = request
  if (purge === 'true') return remove(c)
  const workflow = moved(request, await port.cancel(asker, `cancelled by ${asker.source}`))
  performSoon(c.get('platform'), id)
  return c.json(publicWorkflow(workflow, c.get('platform').now()), 200)
})

async function remove(c: Context<App>): Promise<Response> {
  const request = requestOf(c, 'writeState')
  const purged = permitted(request, await request.port.purge(request.asker))
  if (purged.status === 'live') return refuse({ code: 'workflow_live', workflow: request.id, now: purged.now })
  performSoon(c.get('platform'), request.id)
  return c.body(null, 204)
}

workflows.post('/workflows/:workflow/pause', async (c) => {
  const { reason, seconds } = await readJson(c, pauseWorkflowRequest)
  const request = requestOf(c, 'writeState')
  const forMs = seconds === undefined ? undefined : seconds * 1_000
  const workflow = moved(request, await request.port.pause(request.asker, reason, forMs))
  performSoon(c.get('platform'), request.id)
  return c.json(publicWorkflow(workflow, c.get('platform').now()), 200)
})

workflows.post('/workflows/:workflow/resume', async (c) => {
  const request = requestOf(c, 'writeState')
  const workflow = moved(request, await request.port.resume(request.asker))
  performSoon(c.get('platform'), request.id)
  return c.json(publicWorkflow(workflow, c.get('platform').now()), 200)
})
