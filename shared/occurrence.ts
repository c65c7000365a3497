/**
 * When a schedule is due: a cron expression in a time zone, one time, or every so many seconds. Pure arithmetic over times
 * that are given. Where clocks change, a fixed time that is skipped comes at the first moment after the gap, and one that
 * comes twice counts once; what repeats all through the hour follows the real time that passes (docs/decisions/0022).
 * Never here: what is done then (shared/schedule.ts).
 */
import { Cron } from 'croner'
import { err, ok, type Result } from './result.ts'

/** All times in milliseconds since 1970. */
export type Timing =
  | {
      readonly kind: 'cron'
      readonly cron: string
      readonly timezone: string
      readonly from?: number
      readonly to?: number
    }
  | { readonly kind: 'once'; readonly at: number }
  /** The first one is at `anchor`. */
  | { readonly kind: 'every'; readonly everyMs: number; readonly anchor: number; readonly to?: number }

/** The first occurrence after that time, if there is one. */
export function nextAfter(timing: Timing, after: number): number | undefined {
  const next = unboundedNext(timing, after)
  return next !== undefined && next <= endOf(timing) ? next : undefined
}

/** The last occurrence at or before that time, if there was one. */
export function lastUpTo(timing: Timing, until: number): number | undefined {
  const bound = Math.min(until, endOf(timing))
  switch (timing.kind) {
    case 'once':
      return timing.at <= bound ? timing.at : undefined
    case 'every':
      return bound < timing.anchor
        ? undefined
        : timing.anchor + Math.floor((bound - timing.anchor) / timing.everyMs) * timing.everyMs
    case 'cron': {
      // The library looks strictly before, and in whole seconds.
      const [last] = cronOf(timing).previousRuns(1, new Date(Math.floor(bound / 1_000) * 1_000 + 1_000))
      return last !== undefined && last.getTime() >= (timing.from ?? 0) ? last.getTime() : undefined
    }
  }
}

function unboundedNext(timing: Timing, after: number): number | undefined {
  switch (timing.kind) {
    case 'once':
      return timing.at > after ? timing.at : undefined
    case 'every':
      return after < timing.anchor
        ? timing.anchor
        : timing.anchor + (Math.floor((after - timing.anchor) / timing.everyMs) + 1) * timing.everyMs
    case 'cron': {
      const since = Math.max(after, (timing.from ?? 0) - 1)
      return cronOf(timing).nextRun(new Date(since))?.getTime()
    }
  }
}

function endOf(timing: Timing): number {
  return (timing.kind === 'once' ? undefined : timing.to) ?? Number.POSITIVE_INFINITY
}

// Five fields or a nickname such as @daily. The library would take a date too.
const cronForm = /^\s*(?:@[A-Za-z]+|\S+(?:\s+\S+){4})\s*$/

/** Is this a cron expression of five fields, and is there such a time zone? Says what is wrong, by field. */
export function checkCron(
  cron: string,
  timezone: string,
): Result<void, { readonly field: 'cron' | 'timezone'; readonly reason: string }> {
  const form = 'five fields (minute, hour, day of month, month, day of week), or @hourly, @daily, @weekly, @monthly'
  if (!cronForm.test(cron)) return err({ field: 'cron', reason: form })
  try {
    cronOf({ cron, timezone: 'UTC' })
  } catch (error) {
    return err({ field: 'cron', reason: `${reasonOf(error)}; ${form}` })
  }
  try {
    Intl.DateTimeFormat('en', { timeZone: timezone })
  } catch {
    return err({ field: 'timezone', reason: 'no time zone of this name; they are called Europe/Berlin, UTC, …' })
  }
  return ok(undefined)
}

// Without a function to call the library starts no timer: it only calculates.
function cronOf({ cron, timezone }: { readonly cron: string; readonly timezone: string }): Cron {
  return new Cron(cron.trim(), { timezone, mode: '5-part', paused: true })
}

function reasonOf(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).replace(/^CronPattern: /, '').replace(/\.$/, '')
}
