/** The deployment's figures over HTTP, for an admin and for Prometheus. Never here: asking for them (workers/measure.ts). */
import { type Context, Hono } from 'hono'
import { statsQuery } from '../../shared/api-stats.ts'
import { metricsText, prometheusType, type Stats } from '../../shared/stats.ts'
import type { App } from '../context.ts'
import { measure } from '../measure.ts'
import { refuse, validate } from '../problem.ts'

export const stats = new Hono<App>()

stats.get('/v1/stats', async (c) => c.json(await measured(c), 200))

stats.get('/metrics', async (c) => c.body(metricsText(await measured(c)), 200, { 'Content-Type': prometheusType }))

async function measured(c: Context<App>): Promise<Stats> {
  if (c.get('principal').kind !== 'admin') refuse({ code: 'forbidden', action: 'read', subject: 'the figures' })
  const { cursor, limit } = validate(statsQuery, c.req.query())
  return measure(c.get('platform'), cursor, limit)
}
