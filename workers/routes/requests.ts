/**
 * Requests over HTTP: ask and wait, or ask and come back. The gateway waits, by asking again; no object holds a call open.
 * Never here: what a request sets going (workers/request.ts).
 */
import { type Context, Hono } from 'hono'
import { wireBytes } from '../../shared/api-messages.ts'
import { requestQuery, requestsQuery } from '../../shared/api-requests.ts'
import { type Gather, isGatherId, wasRefused } from '../../shared/gather.ts'
import type { GatherReport } from '../../shared/gather-port.ts'
import { maySpeakFor, ownSource, type Principal } from '../../shared/permissions.ts'
import {
  faultOfRequest,
  preferredWait,
  type RequestInput,
  requestInput,
  requestStatusOf,
  requestView,
  waitOf,
} from '../../shared/request.ts'
import { isScatterId } from '../../shared/scatter.ts'
import type { App } from '../context.ts'
import { express } from '../express.ts'
import { gather } from '../gather.ts'
import { poll, type Waiting } from '../poll.ts'
import { readJson, refuse, unwrap, validate } from '../problem.ts'
import { publishOptions } from '../publish-options.ts'
import { type Asked, askParsed, awaitReply, type Lane } from '../request.ts'
import { streamEnd, streamHeaders, wantsStream } from '../stream-end.ts'

export const requests = new Hono<App>()

requests.post('/requests', async (c) => {
  const input = await readJson(c, requestInput, wireBytes)
  return answerRequest(c, input, waitOf(c.req.header('prefer'), input.timeoutSeconds))
})

/** Asks, waits so long, and says what came of it: at the end, or to who wants a stream as it comes. */
export async function answerRequest(c: Context<App>, input: RequestInput, seconds: number): Promise<Response> {
  if (wantsStream(c.req.header('accept'))) return streamRequest(c, input)
  const platform = c.get('platform')
  const waits = seconds > 0
  const take = (...released: Parameters<Lane>) => express(platform, c.get('handlers'), ...released)
  const options = { ...publishOptions(c), waits, ...(waits ? { express: take } : {}) }
  const asked = unwrap(await askParsed(platform, c.get('principal'), input, options))
  const { id } = asked.gather
  const report =
    (waits && asked.gather.outcome === undefined) || wasRefused(asked.gather)
      ? await awaitReply(platform, asked, { seconds, signal: c.req.raw.signal })
      : await platform.gather(id).report()
  // Without one the client is gone, or it took longer than a request is kept.
  if (report === undefined) return notFound(id)
  const fault = faultOfRequest(report.gather)
  if (fault !== undefined) refuse(fault)
  c.header('Location', `/v1/requests/${id}`)
  return c.json(toldOnce(asked, report), report.gather.outcome === undefined ? 202 : 200)
}

/** Asks, and tells how the request stands now and how it ended. What is refused or over at once is answered as to anybody. */
async function streamRequest(c: Context<App>, input: RequestInput): Promise<Response> {
  const platform = c.get('platform')
  const take = (...released: Parameters<Lane>) => express(platform, c.get('handlers'), ...released)
  // Whoever reads a stream waits for the answer, but looks for it by the request's id, as one who comes back does.
  const options = { ...publishOptions(c), waits: false, express: take }
  const waiting = { whenOpen: 'refuse' as const, ...input }
  const asked = unwrap(await askParsed(platform, c.get('principal'), waiting, options))
  const { id, outcome } = asked.gather
  const isWhole = outcome === undefined || wasRefused(asked.gather)
  const first = isWhole ? { gather: asked.gather, replies: [] } : await platform.gather(id).report()
  if (first === undefined) return notFound(id)
  const fault = faultOfRequest(first.gather)
  if (fault !== undefined) refuse(fault)
  const view = (report: GatherReport) => (report === first ? toldOnce(asked, report) : requestView(report))
  c.header('Location', `/v1/requests/${id}`)
  const seconds = preferredWait(c.req.header('prefer')) ?? 0
  return streamed(c, { seconds, signal: c.req.raw.signal }, first, view)
}

/** The request, with the secrets that are told when they are made and never again. */
function toldOnce({ secrets: { callback, failureCallback } }: Asked, report: GatherReport) {
  return {
    ...requestView(report),
    ...(callback === undefined ? {} : { callbackSecret: callback }),
    ...(failureCallback === undefined ? {} : { failureCallbackSecret: failureCallback }),
  }
}

function streamed(c: Context<App>, waiting: Waiting, first: GatherReport, view = requestView): Response {
  const platform = c.get('platform')
  const ask = () => platform.gather(first.gather.id).report()
  return c.body(streamEnd(platform, waiting, { first, ask, isOver, view }), 200, streamHeaders)
}

const isOver = ({ gather }: GatherReport) => gather.outcome !== undefined

requests.get('/requests', async (c) => {
  const { cursor, limit } = validate(requestsQuery, c.req.query())
  const [platform, principal] = [c.get('platform'), c.get('principal')]
  const page = await platform.requests(ownSource(principal)).list(cursor, limit)
  const reports = await Promise.all(page.items.map(({ id }) => platform.gather(id).report()))
  // The list is where to look; the gathers know.
  const open = reports.filter((r) => r !== undefined && r.gather.outcome === undefined && maySee(principal, r.gather))
  const items = open.flatMap((r) => (r === undefined ? [] : [requestView(r)]))
  return c.json({ items, ...(page.cursor === undefined ? {} : { cursor: page.cursor }) }, 200)
})

requests.get('/requests/:id', async (c) => {
  const { waitSeconds: seconds = 0 } = validate(requestQuery, c.req.query())
  const ask = () => readable(c, 'read')
  const waiting = { seconds, signal: c.req.raw.signal }
  if (wantsStream(c.req.header('accept'))) return streamed(c, waiting, await ask())
  const report = await poll(c.get('platform'), waiting, ask, isOver)
  // Without one the client is gone, and whatever is answered is read by nobody.
  return report === undefined ? c.body(null) : c.json(requestView(report), 200)
})

requests.delete('/requests/:id', async (c) => {
  const platform = c.get('platform')
  const { gather: known } = await readable(c, 'cancel')
  await platform.gather(known.id).cancel()
  await gather(platform, known.id)
  const report = await readable(c, 'cancel')
  const ended = requestStatusOf(report.gather)
  if (ended !== 'cancelled') refuse({ code: 'request_over', request: known.id, ended })
  return c.json(requestView(report), 200)
})

/** The request asked for, if the caller may speak as whoever asked. */
async function readable(c: Context<App>, action: string): Promise<GatherReport> {
  const id = c.req.param('id') ?? ''
  const report = isGatherId(id) && !isScatterId(id) ? await c.get('platform').gather(id).report() : undefined
  if (report === undefined) return notFound(id)
  if (!maySee(c.get('principal'), report.gather)) refuse({ code: 'forbidden', action, subject: id })
  return report
}

const maySee = (principal: Principal, { owner, openedAt }: Gather): boolean =>
  maySpeakFor(principal, { source: owner, at: openedAt })

const notFound = (id: string): never => refuse({ code: 'not_found', what: 'request', id })
