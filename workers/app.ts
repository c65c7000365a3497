/**
 * The gateway: is there such a route, is this Worker configured, who calls; then the route. One onError renders every
 * refusal as problem+json. Never here: what a route does (workers/routes/).
 */
import { type Context, Hono, type MiddlewareHandler } from 'hono'
import type { Fault } from '../shared/fault.ts'
import type { Principal } from '../shared/permissions.ts'
import type { Platform } from '../shared/ports.ts'
import { type Acquaintances, authorise, newAcquaintances } from './authorise.ts'
import type { App, Handlers } from './context.ts'
import { type Shipped, shippedOf } from './definitions.ts'
import { documents as ownDocuments } from './openapi.ts'
import { type Invocation, Unavailable } from './platform.ts'
import { problemResponse, Refusal, readBounded, refuse, unwrap } from './problem.ts'
import { agents } from './routes/agents.ts'
import { approvalLinks } from './routes/approval-page.ts'
import { approvals } from './routes/approvals.ts'
import { breaker } from './routes/breaker.ts'
import { chains } from './routes/chains.ts'
import { deadLetters } from './routes/dead-letters.ts'
import { deliveries } from './routes/deliveries.ts'
import { deliveryData } from './routes/delivery-data.ts'
import { documentLinks, documents } from './routes/documents.ts'
import { graphs } from './routes/graphs.ts'
import { handshakes } from './routes/handshakes.ts'
import { health } from './routes/health.ts'
import { keys } from './routes/keys.ts'
import { lease } from './routes/lease.ts'
import { messages } from './routes/messages.ts'
import { observers } from './routes/observers.ts'
import { pages } from './routes/pages.ts'
import { promises } from './routes/promises.ts'
import { publications } from './routes/publications.ts'
import { replays } from './routes/replays.ts'
import { requests } from './routes/requests.ts'
import { resources } from './routes/resources.ts'
import { scatters } from './routes/scatters.ts'
import { schedules } from './routes/schedules.ts'
import { schemas } from './routes/schemas.ts'
import { session } from './routes/session.ts'
import { stats } from './routes/stats.ts'
import { subscriptions } from './routes/subscriptions.ts'
import { deploymentSwitch } from './routes/switch.ts'
import { workflowDefinitions } from './routes/workflow-definitions.ts'
import { workflowEvents } from './routes/workflow-events.ts'
import { workflowHistory } from './routes/workflow-history.ts'
import { workflowState } from './routes/workflow-state.ts'
import { workflows } from './routes/workflows.ts'
import { withSuggestions } from './suggest.ts'

/** The Hono app. `known` is what authorise remembers: one per isolate, so it lives as long as the app. */
export function buildApp(
  handlers: Handlers,
  makePlatform: (env: Env, invocation: Invocation) => Platform,
  known: Acquaintances = newAcquaintances(),
  shipped: Shipped = shippedOf({}),
): Hono<App> {
  const app = new Hono<App>()
  app.onError(answerError)
  app.route('/', health)
  app.route('/', ownDocuments)
  app.use(async (c, next) => {
    c.set('platform', makePlatform(c.env, c.executionCtx))
    c.set('handlers', handlers)
    c.set('shipped', shipped)
    await next()
    c.get('platform').ended()
  })
  app.use(requireRoute(app))
  app.route('/', session)
  app.route('/', pages)
  app.route('/', approvalLinks)
  app.route('/', documentLinks)
  for (const path of ['/v1/*', '/metrics']) app.use(path, requireConfigured, requireCaller(known))
  for (const routes of [
    messages,
    deliveries,
    deliveryData,
    replays,
    lease,
    deadLetters,
    subscriptions,
    observers,
    publications,
    requests,
    scatters,
    chains,
    agents,
    breaker,
    keys,
    approvals,
    promises,
    schedules,
    schemas,
    documents,
  ])
    app.route('/v1', routes)
  app.route('/', stats)
  app.route('/v1', graphs)
  app.route('/v1', resources)
  app.route('/v1', handshakes)
  app.route('/v1', deploymentSwitch)
  for (const routes of [workflows, workflowState, workflowEvents, workflowHistory, workflowDefinitions])
    app.route('/v1', routes)
  return app
}

// --- the way in -------------------------------------------------------------------------------------------------------

// Before the caller is asked who they are: which routes there are is no secret, and a wrong path deserves to be told so.
function requireRoute(app: Hono<App>): MiddlewareHandler<App> {
  // All are registered by the first call. To split them at each one would cost more than whatever else the gateway does to it.
  let split: readonly Served[] | undefined
  // What a path without parameters allows is always the same, and nearly all calls are of such a path.
  const fixed = new Map<string, readonly string[]>()
  const allowedAt = (path: string): readonly string[] => {
    if (split === undefined) {
      split = servedBy(app.routes)
      for (const { pattern } of split)
        if (!pattern.some((part) => part.startsWith(':')))
          fixed.set(pattern.join('/'), allowedMethods(split, pattern.join('/')))
    }
    return fixed.get(path) ?? allowedMethods(split, path)
  }
  return async (c, next) => {
    const allow = allowedAt(c.req.path)
    if (allow.length === 0) refuse({ code: 'route_not_found', path: c.req.path })
    if (c.req.method === 'OPTIONS') return c.body(null, 204, { Allow: allow.join(', ') })
    if (!allow.includes(c.req.method)) refuse({ code: 'method_not_allowed', method: c.req.method, allow })
    return next()
  }
}

/** A registered route, ready to be compared with a path. */
export interface Served {
  readonly method: string
  readonly pattern: readonly string[]
}

/** Those that are served; middleware is not. */
export function servedBy(routes: readonly { readonly method: string; readonly path: string }[]): Served[] {
  return routes.flatMap(({ method, path }) => (method === 'ALL' ? [] : [{ method, pattern: path.split('/') }]))
}

/** What is served at this path; nothing when there is no such path. */
export function allowedMethods(routes: readonly Served[], path: string): readonly string[] {
  const parts = path.split('/')
  const served = routes.filter(({ pattern }) => fits(pattern, parts))
  const methods = new Set(served.map(({ method }) => method))
  if (methods.has('GET')) methods.add('HEAD')
  return [...methods]
}

function fits(pattern: readonly string[], parts: readonly string[]): boolean {
  return (
    pattern.length === parts.length &&
    pattern.every((part, i) => (part.startsWith(':') ? parts[i] !== '' : part === parts[i]))
  )
}

const requireConfigured: MiddlewareHandler<App> = async (c, next) => {
  if (c.get('platform').settings.adminKey === undefined) refuse({ code: 'not_configured' })
  await next()
}

function requireCaller(known: Acquaintances): MiddlewareHandler<App> {
  return async (c, next) => {
    const { principal, meter, signed } = unwrap(await authorise(c.get('platform'), callOf(c), known))
    c.set('principal', principal)
    if (meter !== undefined) c.set('meter', meter)
    if (signed !== undefined) {
      c.set('idempotencyKey', signed.id)
      c.set('rawBody', signed.body)
    }
    await next()
  }
}

function callOf(c: Context<App>) {
  return {
    method: c.req.method,
    path: c.req.path,
    header: (name: string) => c.req.header(name),
    body: (limitBytes: number) => readBounded(c.req.raw, limitBytes),
  }
}

// --- the way out ------------------------------------------------------------------------------------------------------

async function answerError(error: Error, c: Context<App>): Promise<Response> {
  const fault = faultOf(error, c)
  // Absent before the caller is known: then nothing is suggested.
  const principal: Principal | undefined = c.get('principal')
  if (principal === undefined) return problemResponse(fault, c.req.path)
  const known = { principal, own: c.get('handlers').keys() }
  const [told = fault] = await withSuggestions(c.get('platform'), known, [fault])
  return problemResponse(told, c.req.path)
}

// A refusal tells the caller what we know; of a surprise only the log learns what it was.
function faultOf(error: Error, c: Context<App>): Fault {
  if (error instanceof Refusal) return error.fault
  // Absent when making it was what failed.
  const platform: Platform | undefined = c.get('platform')
  const incident = platform?.uuidv7() ?? 'at-start'
  const told = { step: 'gateway.failed', incident, method: c.req.method, path: c.req.path }
  console.error(JSON.stringify({ ...told, error: String(error), stack: error.stack }))
  return error instanceof Unavailable
    ? { code: 'unavailable', what: error.what, retryAfterSeconds: 1 }
    : { code: 'internal', incident }
}
