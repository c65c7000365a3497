/**
 * A schedule: a message that is published again and again, or once, later. Time only moves what is due into `firings`; the
 * verb publishes those and reports.
 *
 *   next ──due──► due ──► published            (its id is made of the schedule and the time: a doubled firing is a duplicate)
 *                  │ ├──► refused              (with its code; it is never tried in vain for ever)
 *                  │ ├──► skipped: overlap     (the one before is still under way)
 *                  │ └──► waiting ──► due …    (buffer_one: until the one before has ended)
 *        ──late──► skipped: missed             (as `catchUp` wants it)
 *
 * M1 what became due ends as published, refused or skipped, with its reason. M6 while anything is to come, `wakeAt` says when.
 * Never here: what time does to it (shared/firing.ts), publishing (workers/fire.ts), reading a clock expression (shared/occurrence.ts).
 */
import * as z from 'zod'
import { canonical } from './json.ts'
import { limits } from './limits.ts'
import { nextAfter, type Timing } from './occurrence.ts'
import { principalSchema } from './permissions.ts'
import { type ScheduleInput, scheduleShape } from './schedule-input.ts'

// --- what is stored ---------------------------------------------------------------------------------------------------

const firing = z.strictObject({
  /** The id of the message that it publishes. */
  id: z.string(),
  /** What it was scheduled for. */
  at: z.number(),
  /** Somebody asked for it: the schedule's own rules do not hold it up. */
  manual: z.literal(true).exactOptional(),
  state: z.discriminatedUnion('status', [
    z.strictObject({ status: z.literal('due'), since: z.number() }),
    z.strictObject({ status: z.literal('waiting'), since: z.number() }),
    z.strictObject({
      status: z.literal('published'),
      endedAt: z.number(),
      /** Of a publish to one agent its delivery, of a publish to many its publication. */
      delivery: z.string().exactOptional(),
      publication: z.string().exactOptional(),
    }),
    z.strictObject({ status: z.literal('refused'), endedAt: z.number(), code: z.string(), detail: z.string() }),
    z.strictObject({
      status: z.literal('skipped'),
      endedAt: z.number(),
      reason: z.enum(['overlap', 'missed']),
      /** It stands for all from `at` up to here. */
      until: z.number(),
    }),
  ]),
})
export type Firing = z.infer<typeof firing>

export const scheduleRecord = z.strictObject({
  v: z.literal(1),
  id: z.string(),
  /** Whose it is: its creator's own source. */
  owner: z.string(),
  /** Under whose permissions it publishes. An agent's are asked for anew at each firing. */
  creator: principalSchema,
  /** Of an agent: another one of its name is somebody else. */
  incarnation: z.string().exactOptional(),
  input: scheduleShape,
  /** Grows with every change of `input`. */
  revision: z.int(),
  /** What `everySeconds` counts from. */
  anchor: z.number(),
  createdAt: z.number(),
  updatedAt: z.number(),
  paused: z.strictObject({ reason: z.string(), by: z.string(), at: z.number() }).exactOptional(),
  /** `fireAt` is later than `at` by the jitter. Absent: there is none any more. */
  next: z.strictObject({ at: z.number(), fireAt: z.number() }).exactOptional(),
  /** In the order in which they became due. */
  firings: z.array(firing),
  /** The newest that was published: what `overlap` looks at. */
  last: firing.exactOptional(),
  /** While a firing is due or waits: when the verb is asked again, and how often it was asked in vain. */
  askAt: z.number().exactOptional(),
  tries: z.int(),
})
export type Schedule = z.infer<typeof scheduleRecord>

/** A stored record, parsed as the network is. */
export const readSchedule = (stored: unknown): Schedule => scheduleRecord.parse(JSON.parse(String(stored)))

/** How long one that has nothing more to come can be read. */
export const finishedKeptMs = 7 * 86_400_000
/** Whoever is asked to publish has so long before being asked again. */
export const askAgainMs = 5_000

// --- questions --------------------------------------------------------------------------------------------------------

export function timingOf({ input, anchor }: Pick<Schedule, 'input' | 'anchor'>): Timing {
  const from = input.startAt === undefined ? undefined : Date.parse(input.startAt)
  const to = input.endAt === undefined ? {} : { to: Date.parse(input.endAt) }
  if (input.at !== undefined) return { kind: 'once', at: Date.parse(input.at) }
  if (input.cron !== undefined)
    return {
      kind: 'cron',
      cron: input.cron,
      timezone: input.timezone ?? 'UTC',
      ...(from === undefined ? {} : { from }),
      ...to,
    }
  const everyMs = (input.everySeconds ?? 0) * 1_000
  return { kind: 'every', everyMs, anchor: from ?? anchor + everyMs, ...to }
}

/** What is to be published, oldest first. */
export function pendingOf({ firings }: Schedule): Firing[] {
  return firings.filter(isPending)
}

export const isPending = ({ state }: Firing) => state.status === 'due' || state.status === 'waiting'

export type ScheduleStatus = 'active' | 'paused' | 'finished'

export function statusOf(schedule: Schedule): ScheduleStatus {
  if (schedule.paused !== undefined) return 'paused'
  return schedule.next === undefined && pendingOf(schedule).length === 0 ? 'finished' : 'active'
}

/** So much is pending that time must wait for it; what is missed meanwhile `catchUp` decides. */
export function isFull(schedule: Schedule): boolean {
  return pendingOf(schedule).length >= limits.firingsPending
}

/** May it be forgotten? It has nothing more to come, and was kept long enough to be read. */
export function isForgotten(schedule: Schedule, now: number): boolean {
  return statusOf(schedule) === 'finished' && schedule.updatedAt + finishedKeptMs <= now
}

/** When its object must wake (M6). A paused one that owes nothing sleeps until somebody resumes it. */
export function wakeAt(schedule: Schedule): number | undefined {
  const status = statusOf(schedule)
  if (status === 'finished') return schedule.updatedAt + finishedKeptMs
  const next = status === 'paused' || isFull(schedule) ? undefined : schedule.next?.fireAt
  const due = [next, schedule.askAt].filter((at) => at !== undefined)
  return due.length === 0 ? undefined : Math.min(...due)
}

/** The id of the message of one firing: the same for whoever comes to publish it. */
export function firingId(schedule: string, at: number): string {
  return `${schedule}-${new Date(at).toISOString().replace('.000Z', 'Z')}`
}

// --- steps that people take -------------------------------------------------------------------------------------------

/** What brings one into being: by whom, and for whom. */
export interface Founding {
  readonly id: string
  readonly owner: string
  readonly creator: Schedule['creator']
  readonly incarnation?: string
}

export type Put =
  | { readonly status: 'put'; readonly schedule: Schedule; readonly created: boolean }
  /** Nothing would ever become due. */
  | { readonly status: 'never' }

/** Makes or changes it. Unchanged it stays as it is; with other times it begins anew from now. Its creator stays its creator. */
export function put(
  current: Schedule | undefined,
  founding: Founding,
  input: ScheduleInput,
  now: number,
  random: () => number,
): Put {
  if (current !== undefined && canonical(current.input) === canonical(input))
    return { status: 'put', schedule: current, created: false }
  if (current !== undefined && canonical(timesOf(current.input)) === canonical(timesOf(input)))
    return { status: 'put', schedule: revised(current, input, now), created: false }
  const next = following({ input, anchor: now }, now, random)
  if (next === undefined) return { status: 'never' }
  const born = { v: 1, ...founding, input, revision: 0, anchor: now, createdAt: now, updatedAt: now } as const
  const before: Schedule = current ?? { ...born, firings: [], tries: 0 }
  return {
    status: 'put',
    schedule: { ...revised(before, input, now), anchor: now, next },
    created: current === undefined,
  }
}

const revised = (schedule: Schedule, input: ScheduleInput, now: number): Schedule => ({
  ...schedule,
  input,
  revision: schedule.revision + 1,
  updatedAt: now,
})

function timesOf({ cron, timezone, at, everySeconds, startAt, endAt, jitterSeconds }: ScheduleInput) {
  return { cron, timezone, at, everySeconds, startAt, endAt, jitterSeconds }
}

/** Nothing new becomes due; what is due already is still published. Paused twice is paused once, with the last reason. */
export function pause(schedule: Schedule, reason: string, by: string, now: number): Schedule {
  if (schedule.paused?.reason === reason && schedule.paused.by === by) return schedule
  return { ...schedule, paused: { reason, by, at: now }, updatedAt: now }
}

/** What would have been due meanwhile was not missed: it goes on from now. */
export function resume(schedule: Schedule, now: number, random: () => number): Schedule {
  const { paused, next: _next, ...rest } = schedule
  if (paused === undefined) return schedule
  const next = following(schedule, now, random)
  return { ...rest, updatedAt: now, ...(next === undefined ? {} : { next }) }
}

/** Fires now, whatever the time, the pause and the overlap. `token` names the wish: the same one fires once. */
export function trigger(schedule: Schedule, token: string, now: number): Schedule | 'busy' {
  const id = `${schedule.id}-manual-${token}`
  if (schedule.firings.some((f) => f.id === id)) return schedule
  if (isFull(schedule)) return 'busy'
  const due: Firing = { id, at: now, manual: true, state: { status: 'due', since: now } }
  return { ...schedule, updatedAt: now, tries: 0, askAt: now + askAgainMs, firings: kept([...schedule.firings, due]) }
}

/** The occurrence after that time, moved by its jitter. */
export function following(schedule: Pick<Schedule, 'input' | 'anchor'>, after: number, random: () => number) {
  const at = nextAfter(timingOf(schedule), after)
  return at === undefined ? undefined : { at, fireAt: at + Math.floor(random() * schedule.input.jitterSeconds * 1_000) }
}

/** The history is bounded: what is pending stays, neighbours that were skipped for one reason are one entry, the oldest go. */
export function kept(firings: readonly Firing[]): Firing[] {
  const merged: Firing[] = []
  for (const one of firings) {
    const before = merged.at(-1)
    if (
      before?.state.status === 'skipped' &&
      one.state.status === 'skipped' &&
      before.state.reason === one.state.reason
    )
      merged[merged.length - 1] = { ...before, state: { ...one.state } }
    else merged.push(one)
  }
  let surplus = merged.filter((f) => !isPending(f)).length - limits.firingsKept
  return merged.filter((f) => isPending(f) || surplus-- <= 0)
}

/** What became of a firing, as whoever publishes tells it. */
export interface FiringNews {
  readonly firing: string
  readonly outcome:
    | { readonly kind: 'published'; readonly delivery?: string; readonly publication?: string }
    | { readonly kind: 'refused'; readonly code: string; readonly detail: string }
    /** Not now: the mailbox is full. */
    | { readonly kind: 'later'; readonly code: string; readonly detail: string }
    /** The one before is still under way. */
    | { readonly kind: 'overlapping' }
}

/** The schedules of a deployment. `by` is the source of whoever asks, who may not touch another's; left out, an admin asks. */
export interface SchedulesPort {
  put(
    founding: Founding,
    input: ScheduleInput,
    options: { readonly max: number; readonly maxOfOwner: number; readonly by?: string },
  ): Promise<Put | { readonly status: 'foreign' | 'too_many' }>
  find(id: string): Promise<Schedule | undefined>
  list(
    owner: string | undefined,
    cursor: string | undefined,
    limit: number,
  ): Promise<{ readonly items: readonly Schedule[]; readonly cursor?: string }>
  remove(id: string): Promise<boolean>
  pause(id: string, reason: string, by: string): Promise<Schedule | undefined>
  resume(id: string): Promise<Schedule | undefined>
  trigger(id: string, token: string): Promise<Schedule | 'busy' | undefined>
  report(id: string, news: readonly FiringNews[]): Promise<Schedule | undefined>
  /** Hourly: re-arms what is overdue (M6). */
  sweep(): Promise<void>
}
