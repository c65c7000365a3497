/**
 * Scatters over HTTP: open one, read how far it got, wait no more. Never here: what a scatter sets going (workers/scatter.ts).
 */
import { type Context, Hono } from 'hono'
import { wireBytes } from '../../shared/api-messages.ts'
import { scatterQuery } from '../../shared/api-scatters.ts'
import type { Gather } from '../../shared/gather.ts'
import type { ResultsReport } from '../../shared/gather-port.ts'
import { maySpeakFor } from '../../shared/permissions.ts'
import { preferredWait } from '../../shared/request.ts'
import { isScatterId, reductionId, scatterInput } from '../../shared/scatter.ts'
import { isScatterOver, scatterStatusOf } from '../../shared/scatter-results.ts'
import { scatterView } from '../../shared/scatter-view.ts'
import type { App } from '../context.ts'
import { askLegs, gather } from '../gather.ts'
import { poll } from '../poll.ts'
import { readJson, refuse, unwrap, validate } from '../problem.ts'
import { publishOptions } from '../publish-options.ts'
import { scatter } from '../scatter.ts'

export const scatters = new Hono<App>()

scatters.post('/scatters', async (c) => {
  const platform = c.get('platform')
  const input = await readJson(c, scatterInput, wireBytes)
  const { gather: opened, bodies } = unwrap(await scatter(platform, c.get('principal'), input, publishOptions(c)))
  // It is stored: whatever fails from here on is its alarm's.
  if (bodies !== undefined) await askLegs(platform, opened, bodies).catch(() => undefined)
  const seconds = preferredWait(c.req.header('prefer')) ?? 0
  const report = await awaited(c, opened.id, seconds)
  // Without one the client is gone.
  if (report === undefined) return c.body(null)
  c.header('Location', `/v1/scatters/${opened.id}`)
  return c.json(scatterView(await page(c, report, 1), 1), isScatterOver(report) ? 200 : 202)
})

scatters.get('/scatters/:id', async (c) => {
  const { waitSeconds = 0, cursor } = validate(scatterQuery, c.req.query())
  const { id } = await readable(c, 'read')
  const report = await awaited(c, id, waitSeconds)
  return report === undefined ? c.body(null) : c.json(scatterView(await page(c, report, cursor + 1), cursor + 1), 200)
})

scatters.delete('/scatters/:id', async (c) => {
  const platform = c.get('platform')
  const known = await readable(c, 'cancel')
  await platform.gather(known.id).cancel()
  // Its reducer may be at it already.
  if (known.scatter?.reduce !== undefined) await platform.gather(reductionId(known.id, known.openedAt)).cancel()
  await gather(platform, known.id)
  const over = await readable(c, 'cancel')
  const ended = scatterStatusOf(over)
  if (ended !== 'cancelled') refuse({ code: 'scatter_over', scatter: known.id, ended })
  return c.json(scatterView(await page(c, over, 1), 1), 200)
})

/** The scatter when it is over, or as it stands when the time has passed. */
async function awaited(c: Context<App>, id: string, seconds: number): Promise<Gather | undefined> {
  const platform = c.get('platform')
  const ask = async () => (await platform.gather(id).report())?.gather
  const isOver = (known: Gather | undefined) => known === undefined || isScatterOver(known)
  return seconds === 0 ? ask() : poll(platform, { seconds, signal: c.req.raw.signal }, ask, isOver)
}

async function page(c: Context<App>, { id }: Gather, fromLeg: number): Promise<ResultsReport> {
  return (await c.get('platform').gather(id).results(fromLeg)) ?? notFound(id)
}

/** The scatter asked for, if the caller may speak as whoever asked. */
async function readable(c: Context<App>, action: string): Promise<Gather> {
  const id = c.req.param('id') ?? ''
  const report = isScatterId(id) ? await c.get('platform').gather(id).report() : undefined
  if (report === undefined) return notFound(id)
  const { owner, openedAt } = report.gather
  if (!maySpeakFor(c.get('principal'), { source: owner, at: openedAt }))
    refuse({ code: 'forbidden', action, subject: id })
  return report.gather
}

const notFound = (id: string): never => refuse({ code: 'not_found', what: 'scatter', id })
