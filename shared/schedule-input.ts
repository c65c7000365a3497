/**
 * What a schedule is made of, as whoever makes it sends it: when, what, and what to do when the one before is still under way
 * or a time was missed. Never here: what time makes of it (shared/schedule.ts).
 */
import * as z from 'zod'
import { limits } from './limits.ts'
import { publishInput } from './message.ts'
import { checkCron } from './occurrence.ts'

export const scheduleId = z.string().regex(/^[A-Za-z0-9_-]{1,64}$/, 'an id is 1 to 64 of A-Z, a-z, 0-9, _ and -')

const timestamp = z.iso.datetime({ offset: true, error: 'must be an RFC 3339 time such as 2026-01-31T12:00:00Z' })

/** Without the checks across its fields: what is stored was checked when it came. */
export const scheduleShape = z.strictObject({
  cron: z
    .string()
    .max(255)
    .exactOptional()
    .describe('Five fields, such as `0 9 * * 1-5`, or `@daily`. One of `cron`, `at`, `everySeconds`.'),
  timezone: z
    .string()
    .max(64)
    .exactOptional()
    .describe('IANA name of the zone that `cron` is read in; `UTC` if left out.'),
  at: timestamp.exactOptional().describe('Once, at this time.'),
  everySeconds: z
    .int()
    .min(1)
    .max(limits.delaySeconds)
    .exactOptional()
    .describe('Again and again, first at `startAt`, or so long after it was made.'),
  message: z
    .record(z.string(), z.unknown())
    .describe('The message, as it would be published, without `id` and times: each firing has its own.'),
  overlap: z
    .enum(['skip', 'buffer_one', 'allow'])
    .default('skip')
    .describe(
      'When the delivery of the firing before has not ended: skip this one, keep one until it has, or publish all the same.',
    ),
  catchUp: z
    .enum(['skip', 'latest', 'all'])
    .exactOptional()
    .describe(
      'Times missed by more than a minute: none, only the latest, or all within `catchUpSeconds`. `skip` if left out; for `at`, `latest`.',
    ),
  catchUpSeconds: z
    .int()
    .min(60)
    .max(limits.catchUpSeconds)
    .default(86_400)
    .describe('Missed longer ago than this is missed for good.'),
  startAt: timestamp.exactOptional().describe('Not before.'),
  endAt: timestamp.exactOptional().describe('Not after.'),
  jitterSeconds: z
    .number()
    .min(0)
    .max(limits.jitterSeconds)
    .default(0)
    .describe('Each firing is later by up to so much, by chance.'),
})

export const scheduleInput = scheduleShape.superRefine((input, ctx) => {
  const issue = (path: (string | number)[], message: string) => ctx.addIssue({ code: 'custom', path, message })
  const { cron, at, everySeconds, timezone, startAt, endAt, message } = input
  if ([cron, at, everySeconds].filter((one) => one !== undefined).length !== 1)
    issue(['cron'], 'exactly one of `cron`, `at` and `everySeconds` is needed')
  if (cron === undefined && timezone !== undefined) issue(['timezone'], 'is for `cron`; times name their own offset')
  if (cron !== undefined) {
    const checked = checkCron(cron, timezone ?? 'UTC')
    if (!checked.ok) issue([checked.error.field], checked.error.reason)
  }
  if (at !== undefined && (startAt ?? endAt) !== undefined)
    issue(['at'], 'is one time: `startAt` and `endAt` mean nothing')
  if (startAt !== undefined && endAt !== undefined && Date.parse(endAt) < Date.parse(startAt))
    issue(['endAt'], 'comes before `startAt`')
  for (const name of perFiring)
    if (message[name] !== undefined)
      issue(['message', name], 'is not the schedule’s to say: each firing is a message of its own')
  if (message.deliverymode === 'at_most_once')
    issue(['message', 'deliverymode'], 'a firing is durable, so it cannot be at_most_once')
  const parsed = publishInput.safeParse(message)
  for (const one of parsed.success ? [] : parsed.error.issues)
    issue(['message', ...one.path.map((part) => (typeof part === 'number' ? part : String(part)))], one.message)
})
export type ScheduleInput = z.infer<typeof scheduleShape>

// A firing's id is made of the schedule and its time, and a time that is the same for all of them is right for one at most.
const perFiring = ['id', 'time', 'delivertime', 'expirytime', 'causationid', 'traceparent', 'tracestate'] as const

/** The policy in force for times that were missed. */
export function catchUpOf({ catchUp, at }: ScheduleInput): 'skip' | 'latest' | 'all' {
  return catchUp ?? (at === undefined ? 'skip' : 'latest')
}
