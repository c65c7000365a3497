/**
 * A workflow's shared state over HTTP: read with an ETag, changed under If-Match, or by operations that never conflict.
 * Never here: what a change does (shared/versioned.ts).
 */
import { type Context, Hono } from 'hono'
import type * as z from 'zod'
import {
  mergeRequest,
  operationsQuery,
  operationsRequest,
  patchQuery,
  patchRequest,
  stateQuery,
} from '../../shared/api-workflow-bodies.ts'
import { limits } from '../../shared/limits.ts'
import { project } from '../../shared/projection.ts'
import { type Expectation, etagOf, matchesNone, parseIfMatch, type StateChange } from '../../shared/versioned.ts'
import type { App } from '../context.ts'
import { readJson, refuse, validate } from '../problem.ts'
import { operationOf, permitted, requestOf, written } from '../workflow-access.ts'

export const workflowState = new Hono<App>()

workflowState.get('/workflows/:workflow/state', async (c) => {
  const { fields, version } = validate(stateQuery, c.req.query())
  const request = requestOf(c, 'readState')
  const found = permitted(request, await request.port.state(request.asker, version))
  if (found.status === 'forgotten') return refuse({ code: 'not_found', what: 'version', id: String(version) })
  c.header('ETag', etagOf(found.version))
  if (matchesNone(c.req.header('if-none-match') ?? '', found.version)) return c.body(null, 304)
  return c.json({ version: found.version, state: project(found.state, fields).value }, 200)
})

workflowState.patch('/workflows/:workflow/state', async (c) => {
  const { fields, mergePolicy } = validate(patchQuery, c.req.query())
  const change = await readChange(c)
  const expectation = expectationOf(c, mergePolicy === 'field')
  return commit(c, change, expectation, fields)
})

workflowState.post('/workflows/:workflow/state', async (c) => {
  const { fields } = validate(operationsQuery, c.req.query())
  const { operations } = await readJson(c, operationsRequest, limits.stateBytes)
  return commit(c, { kind: 'operations', operations }, { version: 'any' }, fields)
})

async function commit(
  c: Context<App>,
  change: StateChange,
  expectation: Expectation,
  fields: readonly string[] | undefined,
) {
  const request = requestOf(c, 'writeState')
  const { asker, port } = request
  const asked = { operation: operationOf(c, change), by: asker.source, expectation }
  const { version, state } = shownTo(fields, written(request, await port.write(asker, change, asked)))
  c.header('ETag', etagOf(version))
  return c.json({ version, ...(state === undefined ? {} : { state }) }, 200)
}

const shownTo = (fields: readonly string[] | undefined, { version, state }: { version: number; state?: unknown }) =>
  state === undefined ? { version } : { version, state: project(state, fields).value }

async function readChange(c: Context<App>): Promise<StateChange> {
  const [type = ''] = (c.req.header('content-type') ?? '').split(';')
  const isPatch = type.trim().toLowerCase() === 'application/json-patch+json'
  const read = <S extends z.ZodType>(schema: S) => readJson(c, schema, limits.stateBytes)
  if (isPatch) return { kind: 'patch', operations: await read(patchRequest) }
  return { kind: 'merge', patch: await read(mergeRequest) }
}

function expectationOf(c: Context<App>, byField: boolean): Expectation {
  const header = c.req.header('if-match')
  if (header === undefined) return refuse({ code: 'version_required', workflow: c.req.param('workflow') ?? '' })
  const expected = parseIfMatch(header)
  if (expected === undefined) {
    const message = 'must be the ETag of the state, such as "3", a list of such, or *'
    return refuse({ code: 'invalid_request', issues: [{ path: 'If-Match', message }] })
  }
  return byField ? { ...expected, fields: true } : expected
}
