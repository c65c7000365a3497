/**
 * The operations on schedules, with what goes in and comes out. Never here: when one is due (shared/occurrence.ts), what the
 * gateway may answer to anything (shared/api-operation.ts).
 */
import * as z from 'zod'
import { type Operation, type Parameter, pageOf, pageQuery } from './api-operation.ts'
import { limits } from './limits.ts'
import { type Firing, type Schedule, statusOf } from './schedule.ts'
import { catchUpOf, scheduleInput, scheduleShape } from './schedule-input.ts'

// --- bodies -----------------------------------------------------------------------------------------------------------

const firingAnswer = z.strictObject({
  id: z.string().describe('The id of the message that it publishes: the same for each attempt at it.'),
  at: z.iso.datetime().describe('What it was scheduled for.'),
  manual: z.literal(true).optional(),
  status: z
    .enum(['due', 'waiting', 'published', 'refused', 'skipped'])
    .describe(
      '`due`: about to be published. `waiting`: kept by `buffer_one`. `skipped` stands for all from `at` to `until`.',
    ),
  endedAt: z.iso.datetime().optional(),
  delivery: z.string().optional(),
  publication: z.string().optional(),
  reason: z.enum(['overlap', 'missed']).optional(),
  until: z.iso.datetime().optional(),
  code: z.string().optional().describe('Why it was refused: the code of a problem.'),
  detail: z.string().optional(),
})

export const scheduleAnswer = z.strictObject({
  id: z.string(),
  createdBy: z.string().describe('The source under which it publishes.'),
  status: z
    .enum(['active', 'paused', 'finished'])
    .describe('`finished`: nothing more will come. It is kept for a week.'),
  ...scheduleShape.shape,
  paused: z.strictObject({ reason: z.string(), by: z.string(), at: z.iso.datetime() }).optional(),
  nextAt: z.iso.datetime().optional().describe('The next time, without its jitter. Absent while it is paused.'),
  revision: z.int().describe('Grows with every change of the schedule.'),
  createdAt: z.iso.datetime(),
  updatedAt: z.iso.datetime(),
  firings: z.array(firingAnswer).describe('The last of them, newest first.'),
})

const iso = (at: number) => new Date(at).toISOString()

/** What may be seen of a schedule. */
export function publicSchedule(schedule: Schedule): z.infer<typeof scheduleAnswer> {
  const { id, owner, input, paused, next, revision, createdAt, updatedAt, firings } = schedule
  return {
    id,
    createdBy: owner,
    status: statusOf(schedule),
    ...input,
    catchUp: catchUpOf(input),
    ...(paused === undefined ? {} : { paused: { ...paused, at: iso(paused.at) } }),
    ...(next === undefined || paused !== undefined ? {} : { nextAt: iso(next.at) }),
    revision,
    createdAt: iso(createdAt),
    updatedAt: iso(updatedAt),
    firings: firings.toReversed().map(publicFiring),
  }
}

function publicFiring({ id, at, manual, state }: Firing): z.infer<typeof firingAnswer> {
  const head = { id, at: iso(at), ...(manual === undefined ? {} : { manual }) }
  if (state.status === 'due' || state.status === 'waiting') return { ...head, status: state.status }
  const { endedAt, ...rest } = state
  const ended = { ...head, endedAt: iso(endedAt) }
  return rest.status === 'skipped' ? { ...ended, ...rest, until: iso(rest.until) } : { ...ended, ...rest }
}

export const schedulesQuery = z.object(pageQuery)
export const schedulesAnswer = pageOf(scheduleAnswer)

export const pauseScheduleRequest = z
  .strictObject({ reason: z.string().max(limits.scheduleReasonLength).default('') })
  .default({ reason: '' })

const triggerKey: Parameter = {
  name: 'Idempotency-Key',
  description: 'Names the wish: repeated, it fires once.',
  schema: z.string().min(1).max(limits.idempotencyKeyLength),
}

// --- operations -------------------------------------------------------------------------------------------------------

const of = (method: Operation['method'], path: string, id: string, summary: string) =>
  ({ method, path: `/v1/schedules${path}`, id, tag: 'Schedules', who: 'maker', summary }) as const

const theSchedule = { status: 200, description: 'The schedule.', schema: scheduleAnswer }

/** In the order of the reference page. */
export const scheduleOperations: readonly Operation[] = [
  {
    ...of('get', '', 'listSchedules', 'List schedules'),
    description: 'An admin sees all; others see their own.',
    query: schedulesQuery,
    answers: [{ status: 200, description: 'Schedules.', schema: schedulesAnswer }],
    faults: [],
  },
  {
    ...of('put', '/{schedule}', 'putSchedule', 'Publish a message at given times, or change that'),
    description:
      'Each firing is a publish under its creator’s permissions, as they then are, and source. Its id is the schedule’s and the time’s, so that it is accepted once. With other times it begins anew from now.',
    body: { types: { 'application/json': scheduleInput }, limitBytes: limits.requestBytes },
    answers: [
      { status: 201, description: 'Created.', schema: scheduleAnswer },
      { status: 200, description: 'Changed, or as it was.', schema: scheduleAnswer },
    ],
    faults: ['forbidden', 'foreign_source', 'schema_mismatch', 'too_many_schedules', 'agent_not_found'],
  },
  {
    ...of('get', '/{schedule}', 'getSchedule', 'Read a schedule and its last firings'),
    answers: [theSchedule],
    faults: ['forbidden', 'not_found'],
  },
  {
    ...of('delete', '/{schedule}', 'deleteSchedule', 'Delete a schedule'),
    description: 'What it published goes its way. Deleting twice is deleting once.',
    answers: [{ status: 204, description: 'Gone.' }],
    faults: ['forbidden'],
  },
  {
    ...of('post', '/{schedule}/pause', 'pauseSchedule', 'Pause a schedule'),
    description: 'Nothing becomes due until it is resumed.',
    body: { types: { 'application/json': pauseScheduleRequest }, optional: true, limitBytes: limits.requestBytes },
    answers: [theSchedule],
    faults: ['forbidden', 'not_found'],
  },
  {
    ...of('post', '/{schedule}/resume', 'resumeSchedule', 'Resume a schedule'),
    description: 'It goes on from now: what would have been due meanwhile was not missed.',
    answers: [theSchedule],
    faults: ['forbidden', 'not_found'],
  },
  {
    ...of('post', '/{schedule}/trigger', 'triggerSchedule', 'Fire a schedule now'),
    description: 'Whatever its times, its pause and its overlap say. Its times stay as they are.',
    headers: [triggerKey],
    answers: [
      { status: 202, description: 'Published, refused or about to be: see `firings`.', schema: scheduleAnswer },
    ],
    faults: ['forbidden', 'not_found', 'invalid_request', 'schedule_busy'],
  },
]
