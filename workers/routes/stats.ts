/**
 * The deployment's figures over HTTP, for an admin and for Prometheus, and its audit. Never here: asking for them (workers/measure.ts,
 * workers/audit.ts).
 */
import { type Context, Hono } from 'hono'
import { auditQuery, statsQuery } from '../../shared/api-stats.ts'
import { metricsText, prometheusType, type Stats } from '../../shared/stats.ts'
import { audit } from '../audit.ts'
import type { App } from '../context.ts'
import { measure } from '../measure.ts'
import { refuse, validate } from '../problem.ts'

export const stats = new Hono<App>()

stats.get('/v1/stats', async (c) => c.json(await measured(c), 200))

stats.get('/metrics', async (c) => c.body(metricsText(await measured(c)), 200, { 'Content-Type': prometheusType }))

stats.get('/v1/audit', async (c) => {
  requireAdmin(c)
  const { cursor, limit } = validate(auditQuery, c.req.query())
  return c.json(await audit(c.get('platform'), cursor, limit), 200)
})

function requireAdmin(c: Context<App>): void {
  if (c.get('principal').kind !== 'admin') refuse({ code: 'forbidden', action: 'read', subject: 'the figures' })
}

async function measured(c: Context<App>): Promise<Stats> {
  requireAdmin(c)
  const { cursor, limit } = validate(statsQuery, c.req.query())
  return measure(c.get('platform'), cursor, limit)
}
