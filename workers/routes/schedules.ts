/**
 * Schedules over HTTP: who makes one has it, and an admin has all. Never here: when one is due (shared/occurrence.ts),
 * publishing (workers/fire.ts).
 */
import { type Context, Hono } from 'hono'
import { pauseScheduleRequest, publicSchedule, schedulesQuery } from '../../shared/api-schedules.ts'
import { digest } from '../../shared/ids.ts'
import { limits } from '../../shared/limits.ts'
import { isMaker, ownSource } from '../../shared/permissions.ts'
import { ok } from '../../shared/result.ts'
import type { Founding, Schedule } from '../../shared/schedule.ts'
import { scheduleId, scheduleInput } from '../../shared/schedule-input.ts'
import { conform } from '../conform.ts'
import type { App } from '../context.ts'
import { fire } from '../fire.ts'
import { idempotencyKeyOf } from '../idempotency-key.ts'
import { readJson, refuse, unwrap, validate } from '../problem.ts'
import { prepare } from '../route.ts'
import { makerOf, speakerOf } from '../speaker.ts'

export const schedules = new Hono<App>()

schedules.get('/schedules', async (c) => {
  const { cursor, limit } = validate(schedulesQuery, c.req.query())
  const page = await c.get('platform').schedules().list(asker(c), cursor, limit)
  return c.json({ ...page, items: page.items.filter((one) => isOwn(c, one)).map(publicSchedule) }, 200)
})

schedules.put('/schedules/:schedule', async (c) => {
  const id = idOf(c)
  const input = await readJson(c, scheduleInput)
  const platform = c.get('platform')
  const before = await platform.schedules().find(id)
  if (before !== undefined) requireOwn(c, before)
  const founding = before ?? (await foundingOf(c, id))
  // Refused here and not at four in the morning: whatever can be said of its message without a mailbox.
  const speaker = await speakerOf(platform, founding, 'schedule')
  const prepared = unwrap(
    prepare(platform, speaker.ok ? speaker.value : founding.creator, { ...input.message, id }, {}),
  )
  // An app's keys may differ: what was made with a wide one is not the way round a narrow one.
  const principal = c.get('principal')
  if (principal.kind === 'app') unwrap(prepare(platform, principal, { ...input.message, id }, {}))
  for (const judged of await conform(platform, [ok(prepared)])) unwrap(judged)
  const by = asker(c)
  const options = { max: limits.schedules, maxOfOwner: limits.schedulesPerOwner, ...(by === undefined ? {} : { by }) }
  const { owner, creator, incarnation } = founding
  const answer = await platform
    .schedules()
    .put({ id, owner, creator, ...(incarnation === undefined ? {} : { incarnation }) }, input, options)
  switch (answer.status) {
    case 'put':
      return c.json(publicSchedule(answer.schedule), answer.created ? 201 : 200)
    case 'never':
      return refuse({ code: 'invalid_request', issues: [{ path: whenOf(input), message: 'never comes any more' }] })
    case 'foreign':
      return forbid('use the schedule', id)
    case 'too_many':
      return refuse({ code: 'too_many_schedules', owner, max: limits.schedulesPerOwner })
  }
})

schedules.get('/schedules/:schedule', async (c) => c.json(publicSchedule(await own(c)), 200))

schedules.delete('/schedules/:schedule', async (c) => {
  const id = c.req.param('schedule')
  const found = await c.get('platform').schedules().find(id)
  if (found !== undefined) {
    requireOwn(c, found)
    await c.get('platform').schedules().remove(id)
  }
  return c.body(null, 204)
})

schedules.post('/schedules/:schedule/pause', async (c) => {
  const { reason } = await readJson(c, pauseScheduleRequest)
  const { id } = await own(c)
  const paused = await c
    .get('platform')
    .schedules()
    .pause(id, reason, ownSource(c.get('principal')))
  return c.json(publicSchedule(paused ?? notFound(id)), 200)
})

schedules.post('/schedules/:schedule/resume', async (c) => {
  const { id } = await own(c)
  const resumed = await c.get('platform').schedules().resume(id)
  return c.json(publicSchedule(resumed ?? notFound(id)), 200)
})

schedules.post('/schedules/:schedule/trigger', async (c) => {
  const { id } = await own(c)
  const platform = c.get('platform')
  const key = idempotencyKeyOf(c) ?? platform.token()
  const triggered = await platform.schedules().trigger(id, digest(key))
  if (triggered === 'busy')
    return refuse({ code: 'schedule_busy', schedule: id, pending: limits.firingsPending, retryAfterSeconds: 5 })
  if (triggered === undefined) return notFound(id)
  // It is stored; if it cannot be published now, the alarm asks for it again.
  const fired = await fire(platform, id).catch(() => undefined)
  return c.json(publicSchedule(fired ?? triggered), 202)
})

async function foundingOf(c: Context<App>, id: string): Promise<Founding> {
  const maker = await makerOf(c.get('platform'), c.get('principal'))
  return maker === undefined ? refuse({ code: 'agent_not_found', agent: asker(c) ?? '' }) : { id, ...maker }
}

async function own(c: Context<App>): Promise<Schedule> {
  const id = c.req.param('schedule') ?? ''
  const found = (await c.get('platform').schedules().find(id)) ?? notFound(id)
  requireOwn(c, found)
  return found
}

function requireOwn(c: Context<App>, schedule: Schedule): void {
  if (!isOwn(c, schedule)) forbid('use the schedule', schedule.id)
}

function isOwn(c: Context<App>, { owner, createdAt }: Schedule): boolean {
  const principal = c.get('principal')
  return principal.kind === 'admin' || isMaker(principal, { source: owner, at: createdAt })
}

/** The source of whoever asks; an admin is none. */
function asker(c: Context<App>): string | undefined {
  const principal = c.get('principal')
  return principal.kind === 'admin' ? undefined : ownSource(principal)
}

function idOf(c: Context<App>): string {
  const parsed = scheduleId.safeParse(c.req.param('schedule'))
  if (parsed.success) return parsed.data
  const message = parsed.error.issues[0]?.message ?? 'not an id'
  return refuse({ code: 'invalid_request', issues: [{ path: 'schedule', message }] })
}

const whenOf = (input: object) => ['cron', 'at', 'everySeconds'].find((name) => name in input) ?? 'cron'
const notFound = (id: string): never => refuse({ code: 'not_found', what: 'schedule', id })
const forbid = (action: string, subject: string): never => refuse({ code: 'forbidden', action, subject })
