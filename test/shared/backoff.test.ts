/** The pause between attempts: a curve, its cap, its jitter, and who may lengthen it. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { backoffMs } from '../../shared/backoff.ts'
import { type BackoffCurve, backoffPresets, resolvePolicy } from '../../shared/policy.ts'

const steady: BackoffCurve = { initialSeconds: 1, factor: 2, capSeconds: 60, jitter: 'none' }
const jittered: BackoffCurve = { ...steady, jitter: 'full' }

const anyCurve: fc.Arbitrary<BackoffCurve> = fc.record({
  initialSeconds: fc.double({ min: 0, max: 86_400, noNaN: true }),
  factor: fc.double({ min: 1, max: 100, noNaN: true }),
  capSeconds: fc.double({ min: 0, max: 2_592_000, noNaN: true }),
  jitter: fc.constantFrom('full', 'none'),
})
const dice = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true })

describe('without jitter', () => {
  it('doubles from the first pause up to the cap', () => {
    expect([1, 2, 3, 4, 5, 6, 7, 8].map((attempt) => backoffMs(steady, attempt, 0.5))).toEqual([
      1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000,
    ])
  })

  it('stays at the cap for any number of attempts (a large factor does NOT become Infinity or NaN)', () => {
    for (const attempt of [100, 1_000, Number.MAX_SAFE_INTEGER])
      expect(backoffMs({ ...steady, factor: 100 }, attempt, 0)).toBe(60_000)
    expect(backoffMs({ ...steady, initialSeconds: 0, factor: 100 }, 1_000, 0)).toBe(0)
  })

  it('takes an attempt below the first for the first', () => {
    expect(backoffMs(steady, 0, 0)).toBe(1_000)
    expect(backoffMs(steady, -3, 0)).toBe(1_000)
  })

  it('takes fractions of a second', () => {
    expect(backoffMs({ ...steady, initialSeconds: 0.05 }, 2, 0)).toBe(100)
  })
})

describe('with full jitter', () => {
  it('is the dice’s share of the curve (A75)', () => {
    expect(backoffMs(jittered, 3, 0)).toBe(0)
    expect(backoffMs(jittered, 3, 0.25)).toBe(1_000)
    expect(backoffMs(jittered, 3, 0.999)).toBe(3_996)
  })

  it('never exceeds the curve without jitter', () => {
    fc.assert(
      fc.property(anyCurve, fc.integer({ min: 1, max: 60 }), dice, (curve, attempt, thrown) => {
        const ceiling = backoffMs({ ...curve, jitter: 'none' }, attempt, thrown)
        expect(backoffMs({ ...curve, jitter: 'full' }, attempt, thrown)).toBeLessThanOrEqual(ceiling)
      }),
    )
  })
})

describe('Retry-After', () => {
  it('wins when it is longer, and does not shorten the curve (A75)', () => {
    expect(backoffMs(steady, 1, 0, 30_000)).toBe(30_000)
    expect(backoffMs(steady, 4, 0, 500)).toBe(8_000)
  })

  it('may exceed the cap (because the receiver knows more than our curve)', () => {
    expect(backoffMs(steady, 1, 0, 3_600_000)).toBe(3_600_000)
  })
})

describe('any curve', () => {
  it('gives whole milliseconds between zero and its cap, never less for a later attempt', () => {
    fc.assert(
      fc.property(anyCurve, fc.integer({ min: 1, max: 200 }), dice, (curve, attempt, thrown) => {
        const pause = backoffMs(curve, attempt, thrown)
        expect(Number.isInteger(pause)).toBe(true)
        expect(pause).toBeGreaterThanOrEqual(0)
        expect(pause).toBeLessThanOrEqual(Math.round(curve.capSeconds * 1_000))
        expect(backoffMs(curve, attempt + 1, thrown)).toBeGreaterThanOrEqual(pause)
      }),
    )
  })

  it.each([
    ['the default', resolvePolicy('webhook').backoff, [1, 2, 4]],
    ['quick', backoffPresets.quick, [0.2, 0.4, 0.8, 1.6, 3.2, 5]],
    ['llm', backoffPresets.llm, [2, 10, 50, 250, 1_250, 1_800]],
    ['webhook', backoffPresets.webhook, [5, 100, 2_000, 36_000]],
  ])('%s rises as its comment says (A75)', (_name, curve, seconds) => {
    expect(seconds.map((_, i) => backoffMs({ ...curve, jitter: 'none' }, i + 1, 0) / 1_000)).toEqual(seconds)
    expect(curve.jitter).toBe('full')
  })
})
