/** A schedule through time: what becomes due, what is missed, what overlaps, and what people do to it (M1, M6). */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { firingGiveUpMs, onTimeMs, report, tick } from '../../shared/firing.ts'
import { limits } from '../../shared/limits.ts'
import {
  type FiringNews,
  finishedKeptMs,
  isForgotten,
  pause,
  pendingOf,
  put,
  resume,
  type Schedule,
  scheduleRecord,
  statusOf,
  trigger,
  wakeAt,
} from '../../shared/schedule.ts'
import { scheduleInput } from '../../shared/schedule-input.ts'

const second = 1_000
const minute = 60 * second
const hour = 60 * minute
const day = 24 * hour
const start = Date.UTC(2026, 0, 1)
const half = () => 0.5
const message = { to: 'ada', type: 'test.note' }
const founding = { id: 'daily', owner: 'admin', creator: { kind: 'admin' } } as const

function made(input: object, now = start): Schedule {
  const answer = put(undefined, founding, scheduleInput.parse({ message, ...input }), now, half)
  if (answer.status !== 'put') throw new Error(answer.status)
  return answer.schedule
}

const published = (firing: string): FiringNews => ({
  firing,
  outcome: { kind: 'published', delivery: `ada_${firing}` },
})
const done = (schedule: Schedule, now: number) =>
  report(
    schedule,
    pendingOf(schedule).map((f) => published(f.id)),
    now,
  )
const states = ({ firings }: Schedule) => firings.map((f) => [(f.at - start) / minute, f.state.status])

/** Wakes it as its alarm does until `until`, `lateMs` late each time; what is due is published at once. */
function live(schedule: Schedule, until: number, lateMs = 0): Schedule {
  let current = schedule
  for (let at = wakeAt(current); at !== undefined && at + lateMs <= until; at = wakeAt(current)) {
    if (statusOf(current) === 'finished') break
    current = done(tick(current, at + lateMs, half), at + lateMs)
  }
  return current
}

describe('time', () => {
  it('brings each occurrence once, under an id made of the schedule and its time (TB2)', () => {
    const schedule = live(made({ everySeconds: 3600 }), start + 3 * hour)
    expect(schedule.firings.map((f) => f.id)).toEqual([
      'daily-2026-01-01T01:00:00Z',
      'daily-2026-01-01T02:00:00Z',
      'daily-2026-01-01T03:00:00Z',
    ])
    expect(wakeAt(schedule)).toBe(start + 4 * hour)
  })

  it('brings nothing early: the alarm that comes too soon changes nothing', () => {
    const schedule = made({ everySeconds: 3600 })
    expect(tick(schedule, start + hour - 1, half)).toBe(schedule)
  })

  it('brings what is at one time once; then it is finished, can be read for a week, and is forgotten', () => {
    const once = live(made({ at: '2026-01-01T06:00:00Z' }), start + day)
    expect([states(once), statusOf(once)]).toEqual([[[360, 'published']], 'finished'])
    expect(wakeAt(once)).toBe(start + 6 * hour + finishedKeptMs)
    expect([isForgotten(once, start + day), isForgotten(once, start + 8 * day)]).toEqual([false, true])
  })

  it('comes later by its jitter, under the time it was scheduled for', () => {
    const schedule = made({ everySeconds: 3600, jitterSeconds: 600 })
    expect(wakeAt(schedule)).toBe(start + hour + 300 * second)
    expect(states(live(schedule, start + 2 * hour))).toEqual([[60, 'published']])
  })

  it('is asked about what is due again and again, later each time, until that was published (M6)', () => {
    let schedule = tick(made({ everySeconds: 3600 }), start + hour, half)
    const asked: number[] = []
    for (let at = schedule.askAt ?? 0; asked.length < 5; at = schedule.askAt ?? 0) {
      asked.push((at - start - hour) / second)
      schedule = tick(schedule, at, half)
    }
    expect(asked).toEqual([5, 15, 35, 75, 155])
    const over = done(schedule, start + 2 * hour - 1)
    expect([over.askAt, wakeAt(over)]).toEqual([undefined, start + 2 * hour])
  })
})

describe('a time that was missed', () => {
  const hourly = { everySeconds: 3600 }
  // Nobody woke it at one o’clock, nor until half past four.
  const late = start + 4.5 * hour

  it('is skipped, and that is told once for all of them', () => {
    const schedule = tick(made(hourly), late, half)
    expect(states(schedule)).toEqual([[60, 'skipped']])
    expect(schedule.firings[0]?.state).toMatchObject({ reason: 'missed', until: start + 4 * hour })
    expect(wakeAt(schedule)).toBe(start + 5 * hour)
  })

  it('under `latest` only the newest of them is made up for', () => {
    const schedule = tick(made({ ...hourly, catchUp: 'latest' }), late, half)
    expect(states(schedule)).toEqual([
      [60, 'skipped'],
      [240, 'due'],
    ])
    expect(schedule.firings[0]?.state).toMatchObject({ until: start + 3 * hour })
  })

  it('under `all` each is, in order, but those older than the window', () => {
    const schedule = tick(made({ ...hourly, catchUp: 'all', catchUpSeconds: 2.6 * 3600 }), late, half)
    expect(states(schedule)).toEqual([
      [60, 'skipped'],
      [120, 'due'],
      [180, 'due'],
      [240, 'due'],
    ])
  })

  it('under `all` too many at once wait for room, and none of them is lost', () => {
    let schedule = tick(made({ everySeconds: 60, catchUp: 'all' }), start + 2 * hour, half)
    expect(pendingOf(schedule)).toHaveLength(limits.firingsPending)
    expect(wakeAt(schedule)).toBe(schedule.askAt)
    const seen = new Set<string>()
    for (let i = 0; i < 5; i++) {
      for (const f of pendingOf(schedule)) seen.add(f.id)
      schedule = tick(done(schedule, start + 2 * hour), start + 2 * hour, half)
    }
    expect(seen.size).toBe(120)
  })

  it('that is one time only is made up for within a day, unless it says `skip`', () => {
    const at = '2026-01-01T01:00:00Z'
    expect(states(tick(made({ at }), late, half))).toEqual([[60, 'due']])
    expect(states(tick(made({ at, catchUp: 'skip' }), late, half))).toEqual([[60, 'skipped']])
    expect(states(tick(made({ at }), start + 3 * day, half))).toEqual([[60, 'skipped']])
  })

  it('by less than a minute is not missed', () => {
    expect(states(tick(made(hourly), start + hour + onTimeMs, half))).toEqual([[60, 'due']])
    expect(states(tick(made(hourly), start + hour + onTimeMs + 1, half))).toEqual([[60, 'skipped']])
  })

  it('for a month costs no more than one that was missed for an hour', () => {
    const schedule = tick(made({ everySeconds: 1 }), start + 30 * day, half)
    expect(schedule.firings.length).toBeLessThanOrEqual(2)
    expect(pendingOf(schedule)).toHaveLength(1)
  })
})

describe('overlap', () => {
  const overlapping = (firing: string): FiringNews => ({ firing, outcome: { kind: 'overlapping' } })
  const twice = (overlap: string) => {
    const one = done(tick(made({ everySeconds: 3600, overlap }), start + hour, half), start + hour)
    const two = tick(one, start + 2 * hour, half)
    return report(two, [overlapping(pendingOf(two)[0]!.id)], start + 2 * hour)
  }

  it('skip: the one after is skipped, with its reason', () => {
    expect(twice('skip').firings[1]?.state).toMatchObject({ status: 'skipped', reason: 'overlap' })
  })

  it('buffer_one: one waits until the one before has ended, and is asked about; those after it are skipped', () => {
    let schedule = twice('buffer_one')
    expect(states(schedule)[1]).toEqual([120, 'waiting'])
    schedule = tick(schedule, start + 3 * hour, half)
    schedule = report(
      schedule,
      pendingOf(schedule).map((f) => overlapping(f.id)),
      start + 3 * hour,
    )
    expect(states(schedule)).toEqual([
      [60, 'published'],
      [120, 'waiting'],
      [180, 'skipped'],
    ])
    expect(wakeAt(schedule)).toBeLessThan(start + 3 * hour + 6 * minute)
    expect(states(done(schedule, start + 4 * hour))[1]).toEqual([120, 'published'])
  })

  it('still waiting is no news: nothing is written for it', () => {
    const schedule = twice('buffer_one')
    expect(report(schedule, [overlapping(pendingOf(schedule)[0]!.id)], start + 3 * hour)).toBe(schedule)
  })
})

describe('what became of a firing', () => {
  const due = tick(made({ everySeconds: 3600 }), start + hour, half)
  const [{ id } = { id: '' }] = pendingOf(due)

  it('stays: the second report of it changes nothing (M2)', () => {
    const once = report(due, [published(id)], start + hour)
    const refused: FiringNews = { firing: id, outcome: { kind: 'refused', code: 'forbidden', detail: '' } }
    expect(report(once, [refused, published(id)], start + 2 * hour)).toBe(once)
  })

  it('is a refusal with its code, when it was refused', () => {
    const refused = report(
      due,
      [{ firing: id, outcome: { kind: 'refused', code: 'forbidden', detail: 'no' } }],
      start + hour,
    )
    expect(refused.firings[0]?.state).toMatchObject({ status: 'refused', code: 'forbidden', detail: 'no' })
    expect(refused.last).toBeUndefined()
  })

  it('is not known while the mailbox is full; after a day it is given up, and told (M1)', () => {
    const later: FiringNews = { firing: id, outcome: { kind: 'later', code: 'backpressure', detail: 'full' } }
    expect(report(due, [later], start + hour + firingGiveUpMs - 1)).toBe(due)
    const gone = report(due, [later], start + hour + firingGiveUpMs)
    expect(gone.firings[0]?.state).toMatchObject({ status: 'refused', code: 'backpressure' })
  })
})

describe('people', () => {
  it('pause it, with a reason: nothing becomes due, it sleeps, and resumed it goes on from then, having missed nothing', () => {
    const paused = pause(made({ everySeconds: 3600, catchUp: 'all' }), 'holidays', 'admin', start)
    expect([statusOf(paused), wakeAt(paused), tick(paused, start + day, half)]).toEqual(['paused', undefined, paused])
    const resumed = resume(paused, start + day + 1, half)
    expect([resumed.firings, wakeAt(resumed)]).toEqual([[], start + day + hour])
  })

  it('pause it while something is due: that is still published', () => {
    const paused = pause(tick(made({ everySeconds: 3600 }), start + hour, half), '', 'admin', start + hour)
    expect(wakeAt(paused)).toBe(start + hour + 5 * second)
  })

  it('fire it at once, once for each wish, even while it is paused', () => {
    const paused = pause(made({ everySeconds: 3600 }), '', 'admin', start)
    const fired = trigger(paused, 'wish', start + minute) as Schedule
    expect(pendingOf(fired)).toMatchObject([{ id: 'daily-manual-wish', manual: true }])
    expect(trigger(fired, 'wish', start + hour)).toBe(fired)
  })

  it('change it: the same again is no change; another message keeps its times; other times begin from now', () => {
    const schedule = live(made({ everySeconds: 3600 }), start + hour)
    const now = start + 1.5 * hour
    const again = (input: object) => put(schedule, founding, scheduleInput.parse({ message, ...input }), now, half)
    expect(again({ everySeconds: 3600 })).toEqual({ status: 'put', schedule, created: false })
    expect(again({ everySeconds: 3600, message: { to: 'bob', type: 'x' } })).toMatchObject({
      schedule: { revision: 2, next: { at: start + 2 * hour } },
    })
    expect(again({ everySeconds: 7200 })).toMatchObject({ schedule: { revision: 2, next: { at: now + 2 * hour } } })
    expect(again({ at: '2026-01-01T01:00:00Z' })).toEqual({ status: 'never' })
  })
})

describe('any life', () => {
  const step = fc.record({
    what: fc.constantFrom('tick', 'tick', 'tick', 'publish', 'refuse', 'overlap', 'pause', 'resume', 'trigger'),
    afterMs: fc.constantFrom(0, second, minute, hour, 5 * hour, 3 * day),
  })
  const input = fc.record({
    overlap: fc.constantFrom('skip', 'buffer_one', 'allow'),
    catchUp: fc.constantFrom('skip', 'latest', 'all'),
    jitterSeconds: fc.constantFrom(0, 30),
    when: fc.constantFrom({ everySeconds: 600 }, { cron: '*/20 * * * *' }, { at: '2026-01-01T03:00:00Z' }),
  })

  const outcomes: Readonly<Record<string, FiringNews['outcome']>> = {
    publish: { kind: 'published', publication: 'p-1' },
    refuse: { kind: 'refused', code: 'x', detail: '' },
    overlap: { kind: 'overlapping' },
  }

  it('keeps its bounds, is never asleep while it owes something, and brings no time twice (M1, M6)', () => {
    fc.assert(
      fc.property(input, fc.array(step, { maxLength: 40 }), ({ when, ...rest }, steps) => {
        let schedule = made({ ...when, ...rest })
        let now = start
        const ids = new Set<string>()
        for (const [i, { what, afterMs }] of steps.entries()) {
          now += afterMs
          const before = new Set(schedule.firings.map((f) => f.id))
          const first = pendingOf(schedule)[0]
          if (what === 'tick') schedule = tick(schedule, now, half)
          else if (what === 'pause') schedule = pause(schedule, 'because', 'admin', now)
          else if (what === 'resume') schedule = resume(schedule, now, half)
          else if (what === 'trigger') {
            const triggered = trigger(schedule, `t${i}`, now)
            schedule = triggered === 'busy' ? schedule : triggered
          } else if (first !== undefined)
            schedule = report(schedule, [{ firing: first.id, outcome: outcomes[what]! }], now)
          for (const f of schedule.firings) {
            if (before.has(f.id)) continue
            expect(ids.has(f.id), f.id).toBe(false)
            ids.add(f.id)
          }
          expect(pendingOf(schedule).length).toBeLessThanOrEqual(limits.firingsPending)
          expect(schedule.firings.length).toBeLessThanOrEqual(limits.firingsPending + limits.firingsKept)
          if (pendingOf(schedule).length > 0 || statusOf(schedule) === 'active') expect(wakeAt(schedule)).toBeDefined()
          if (what === 'tick' && !isForgotten(schedule, now)) expect(wakeAt(schedule) ?? now + 1).toBeGreaterThan(now)
          expect(scheduleRecord.parse(JSON.parse(JSON.stringify(schedule)))).toEqual(schedule)
        }
      }),
      { numRuns: 300 },
    )
  })
})

describe('what is no schedule', () => {
  const issuesOf = (input: object) =>
    scheduleInput.safeParse({ message, ...input }).error?.issues.map((i) => i.path.join('.')) ?? []

  it('is told by field', () => {
    expect(issuesOf({})).toEqual(['cron'])
    expect(issuesOf({ cron: '@daily', everySeconds: 5 })).toEqual(['cron'])
    expect(issuesOf({ cron: '99 * * * *' })).toEqual(['cron'])
    expect(issuesOf({ cron: '@daily', timezone: 'Nowhere' })).toEqual(['timezone'])
    expect(issuesOf({ everySeconds: 5, timezone: 'UTC' })).toEqual(['timezone'])
    expect(issuesOf({ everySeconds: 5, startAt: '2026-01-02T00:00:00Z', endAt: '2026-01-01T00:00:00Z' })).toEqual([
      'endAt',
    ])
    expect(issuesOf({ everySeconds: 5, message: { to: 'ada', type: 'x', id: 'mine' } })).toEqual(['message.id'])
    expect(issuesOf({ everySeconds: 5, message: { type: 'x' } })).toEqual(['message.to'])
    expect(issuesOf({ everySeconds: 5, message: { ...message, deliverymode: 'at_most_once' } })).toEqual([
      'message.deliverymode',
    ])
  })
})
