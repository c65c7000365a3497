/**
 * Is this Worker able to serve? Only what its configuration tells: it asks no object, because a probe that wakes objects is
 * load, and needs no key. Never here: how busy it is.
 */
import { Hono } from 'hono'
import type { App } from '../context.ts'

export const health = new Hono<App>()

const next =
  'Set the key with `npx wrangler secret put SWITCHBOARD_ADMIN_KEY` (locally: .dev.vars, or just `npm start`); the bindings are in wrangler.toml.'

const bindings = [
  'AGENTS',
  'DIRECTORY',
  'DEAD_LETTERS',
  'PUBLICATIONS',
  'GATHERS',
  'REQUESTS',
  'SCHEDULES',
  'APPROVALS',
  'PROMISES',
  'DOCUMENTS',
  'RESOURCES',
  'WORKFLOWS',
  'WORKFLOW_INDEX',
  'DELIVERIES',
  'WORK',
] as const

health.get('/healthz', (c) => {
  const missing = [...bindings, 'SWITCHBOARD_ADMIN_KEY' as const].filter((name) => isMissing(c.env[name]))
  c.header('Cache-Control', 'no-store')
  return missing.length === 0 ? c.json({ status: 'ok' }, 200) : c.json({ status: 'not_configured', missing, next }, 503)
})

const isMissing = (value: unknown): boolean => value === undefined || value === ''
