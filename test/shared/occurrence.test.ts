/** When a schedule is due: cron in time zones through clock changes, one time, every so often. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { checkCron, lastUpTo, nextAfter, type Timing } from '../../shared/occurrence.ts'

const at = (text: string) => Date.parse(text)
const berlin = (cron: string, more: object = {}): Timing => ({ kind: 'cron', cron, timezone: 'Europe/Berlin', ...more })

function following(timing: Timing, after: string, count: number): string[] {
  const found: string[] = []
  let time: number | undefined = at(after)
  for (let i = 0; i < count && time !== undefined; i++) {
    time = nextAfter(timing, time)
    if (time !== undefined) found.push(new Date(time).toISOString().replace(':00.000Z', 'Z'))
  }
  return found
}

describe('cron (TB2)', () => {
  it('is read in its time zone: nine o’clock in Berlin on working days, winter and summer', () => {
    expect(following(berlin('0 9 * * 1-5'), '2026-01-02T08:00:00Z', 2)).toEqual([
      '2026-01-05T08:00Z',
      '2026-01-06T08:00Z',
    ])
    expect(following(berlin('0 9 * * 1-5'), '2026-07-03T08:00:00Z', 1)).toEqual(['2026-07-06T07:00Z'])
  })

  it('at an hour that a clock change leaves out comes at the first moment after it, and the next day as ever', () => {
    // 02:30 does not exist on 29 March 2026.
    expect(following(berlin('30 2 * * *'), '2026-03-28T12:00:00Z', 2)).toEqual([
      '2026-03-29T01:00Z',
      '2026-03-30T00:30Z',
    ])
  })

  it('at an hour that comes twice comes once, the first time', () => {
    expect(following(berlin('30 2 * * *'), '2026-10-24T12:00:00Z', 2)).toEqual([
      '2026-10-25T00:30Z',
      '2026-10-26T01:30Z',
    ])
  })

  it('every half hour goes on every half hour of real time, through the hour that comes twice', () => {
    expect(following(berlin('*/30 * * * *'), '2026-10-25T00:00:00Z', 4)).toEqual([
      '2026-10-25T00:30Z',
      '2026-10-25T01:00Z',
      '2026-10-25T01:30Z',
      '2026-10-25T02:00Z',
    ])
  })

  it('keeps within its bounds, both of them included', () => {
    const bounded = berlin('0 * * * *', { from: at('2026-05-01T10:00:00Z'), to: at('2026-05-01T11:00:00Z') })
    expect(following(bounded, '2026-01-01T00:00:00Z', 9)).toEqual(['2026-05-01T10:00Z', '2026-05-01T11:00Z'])
    expect(lastUpTo(bounded, at('2026-05-01T09:59:59Z'))).toBeUndefined()
    expect(lastUpTo(bounded, at('2027-01-01T00:00:00Z'))).toBe(at('2026-05-01T11:00:00Z'))
  })

  it('on a day that no month has never comes', () => {
    expect(nextAfter(berlin('0 0 31 2 *'), 0)).toBeUndefined()
  })

  it('is five fields or a nickname; what else is said with the field that is wrong', () => {
    for (const cron of ['0 9 * * 1-5', '*/5 * * * *', '@daily', '0 0 L * *'])
      expect(checkCron(cron, 'UTC').ok).toBe(true)
    const wrong = ['', '* * * *', '* * * * * *', '61 * * * *', '2026-01-01T00:00:00', '@never']
    for (const cron of wrong)
      expect(checkCron(cron, 'UTC'), cron).toMatchObject({ ok: false, error: { field: 'cron' } })
    expect(checkCron('* * * * *', 'Mars/Olympus')).toMatchObject({ ok: false, error: { field: 'timezone' } })
  })
})

describe('every so many seconds', () => {
  const every: Timing = { kind: 'every', everyMs: 90_000, anchor: 1_000 }

  it('counts from its anchor, however late it is asked', () => {
    expect([nextAfter(every, 0), nextAfter(every, 1_000), nextAfter(every, 91_000 * 10)]).toEqual([
      1_000, 91_000, 991_000,
    ])
  })
})

describe('the two questions', () => {
  const timing = fc.oneof(
    fc.record({
      kind: fc.constant('every' as const),
      everyMs: fc.integer({ min: 1, max: 10 ** 7 }),
      anchor: fc.nat(10 ** 12),
    }),
    fc.record({ kind: fc.constant('once' as const), at: fc.nat(2 * 10 ** 12) }),
    fc.record({
      kind: fc.constant('cron' as const),
      cron: fc.constantFrom('*/7 * * * *', '30 2 * * *', '0 9 * * 1-5', '@monthly', '0 0 29 2 *'),
      timezone: fc.constantFrom('UTC', 'Europe/Berlin', 'America/New_York', 'Asia/Kathmandu', 'Pacific/Apia'),
    }),
  )

  it('agree: the next one is later, and until it comes it is not the last', () => {
    fc.assert(
      fc.property(timing, fc.integer({ min: 10 ** 12, max: 2 * 10 ** 12 }), (one, now) => {
        const next = nextAfter(one, now)
        if (next === undefined) return
        expect(next).toBeGreaterThan(now)
        expect(lastUpTo(one, next)).toBe(next)
        expect(lastUpTo(one, next - 1) ?? 0).toBeLessThanOrEqual(now)
      }),
      { numRuns: 300 },
    )
  })
})
