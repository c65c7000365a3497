/**
 * What time and the verb do to a schedule: due occurrences become firings, late ones are caught up with or skipped, and what
 * became of each is written down. Every step gives the same schedule back when nothing changes, so that nothing is stored for
 * it. Never here: what a schedule is (shared/schedule.ts), publishing (workers/fire.ts).
 */
import { lastUpTo } from './occurrence.ts'
import {
  askAgainMs,
  type Firing,
  type FiringNews,
  firingId,
  following,
  isFull,
  isPending,
  kept,
  pendingOf,
  type Schedule,
  timingOf,
} from './schedule.ts'
import { catchUpOf } from './schedule-input.ts'

/** An alarm that is later than this was missed: the platform's own delays are shorter. */
export const onTimeMs = 60_000
/** Being asked in vain doubles the pause, up to this. */
const askAgainMaxMs = 300_000
/** A firing whose mailbox stays full is given up and told after a day. */
export const firingGiveUpMs = 86_400_000

/**
 * What time brings: due occurrences become firings, and whoever publishes is asked again when it is time. The same schedule
 * comes back when nothing is due.
 */
export function tick(schedule: Schedule, now: number, random: () => number): Schedule {
  const released = schedule.paused === undefined ? release(schedule, now, random) : schedule
  const pending = pendingOf(released).length
  const isNew = pending > pendingOf(schedule).length
  if (pending === 0 || !(isNew || (released.askAt ?? now) <= now)) return released
  const tries = isNew ? 0 : released.tries + 1
  return { ...released, tries, askAt: now + Math.min(askAgainMs * 2 ** Math.min(tries, 10), askAgainMaxMs) }
}

// Bounded by the room for firings: each round adds one, or jumps over all that was missed.
function release(schedule: Schedule, now: number, random: () => number): Schedule {
  let current = schedule
  while (current.next !== undefined && current.next.fireAt <= now && !isFull(current)) {
    const { at, fireAt } = current.next
    current = now - fireAt <= onTimeMs ? fire(current, at, now, random) : catchUp(current, at, now, random)
  }
  return current
}

function fire(schedule: Schedule, at: number, now: number, random: () => number): Schedule {
  const due: Firing = { id: firingId(schedule.id, at), at, state: { status: 'due', since: now } }
  return advance({ ...schedule, firings: kept([...schedule.firings, due]) }, at, now, random)
}

// `at` was missed, and perhaps others after it.
function catchUp(schedule: Schedule, at: number, now: number, random: () => number): Schedule {
  const policy = catchUpOf(schedule.input)
  const oldest = now - schedule.input.catchUpSeconds * 1_000
  if (policy === 'all')
    return at >= oldest ? fire(schedule, at, now, random) : overleap(schedule, at, oldest - 1, now, random)
  const last = Math.max(at, lastUpTo(timingOf(schedule), now) ?? at)
  const wanted = now - last <= onTimeMs || (policy === 'latest' && last >= oldest)
  if (!wanted) return overleap(schedule, at, last, now, random)
  return fire(last > at ? overleap(schedule, at, last - 1, now, random) : schedule, last, now, random)
}

// Everything from `at` up to `until` is skipped, and told as one entry.
function overleap(schedule: Schedule, at: number, until: number, now: number, random: () => number): Schedule {
  const last = Math.max(at, lastUpTo(timingOf(schedule), until) ?? at)
  const state: Firing['state'] = { status: 'skipped', endedAt: now, reason: 'missed', until: last }
  const skipped = { id: firingId(schedule.id, at), at, state }
  return advance({ ...schedule, firings: kept([...schedule.firings, skipped]) }, last, now, random)
}

function advance(schedule: Schedule, after: number, now: number, random: () => number): Schedule {
  const { next: _next, ...rest } = schedule
  const next = following(schedule, after, random)
  return { ...rest, updatedAt: now, ...(next === undefined ? {} : { next }) }
}

/** Writes down what became of firings. What has ended stays so; news that is no news gives the same schedule back. */
export function report(schedule: Schedule, news: readonly FiringNews[], now: number): Schedule {
  const told = news.reduce((current, one) => reportOne(current, one, now), schedule)
  if (told === schedule) return schedule
  const { askAt: _askAt, ...rest } = told
  const moved = pendingOf(told).length < pendingOf(schedule).length
  const ask = pendingOf(told).length === 0 ? {} : { askAt: moved ? now + askAgainMs : (told.askAt ?? now + askAgainMs) }
  return { ...rest, updatedAt: now, tries: moved ? 0 : told.tries, ...ask }
}

function reportOne(schedule: Schedule, { firing: id, outcome }: FiringNews, now: number): Schedule {
  const before = schedule.firings.find((f) => f.id === id)
  if (before === undefined || !isPending(before)) return schedule
  const state = stateAfter(schedule, before, outcome, now)
  if (state === undefined) return schedule
  const after: Firing = { ...before, state }
  const firings = kept(schedule.firings.map((f) => (f === before ? after : f)))
  return { ...schedule, firings, ...(state.status === 'published' ? { last: after } : {}) }
}

// `undefined`: nothing has changed.
function stateAfter(
  schedule: Schedule,
  { id, at, state }: Firing,
  outcome: FiringNews['outcome'],
  now: number,
): Firing['state'] | undefined {
  switch (outcome.kind) {
    case 'published': {
      const { delivery, publication } = outcome
      const where = {
        ...(delivery === undefined ? {} : { delivery }),
        ...(publication === undefined ? {} : { publication }),
      }
      return { status: 'published', endedAt: now, ...where }
    }
    case 'refused':
      return { status: 'refused', endedAt: now, code: outcome.code, detail: outcome.detail }
    case 'later':
      return 'since' in state && now - state.since >= firingGiveUpMs
        ? { status: 'refused', endedAt: now, code: outcome.code, detail: outcome.detail }
        : undefined
    case 'overlapping': {
      const taken = schedule.firings.some((f) => f.id !== id && f.state.status === 'waiting')
      if (schedule.input.overlap !== 'buffer_one' || taken)
        return { status: 'skipped', endedAt: now, reason: 'overlap', until: at }
      return state.status === 'waiting' ? undefined : { status: 'waiting', since: now }
    }
  }
}
