/** How much a key may publish: the bound, its pace, and what alone is more than the bound. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { defaultPublishRate, publishRate, spend } from '../../shared/publish-rate.ts'

const rate = { limit: 10, perSeconds: 5 }
const start = 1_000_000

/** So many at each time; how many went through. */
function sent(calls: readonly (readonly [at: number, messages: number])[]): readonly boolean[] {
  let paidUntil = 0
  return calls.map(([at, messages]) => {
    const after = spend(paidUntil, rate, messages, at)
    if (after.status === 'spent') paidUntil = after.paidUntil
    return after.status === 'spent'
  })
}

describe('a publish rate', () => {
  it('lets its limit through at once, and one more refused is told when there is room', () => {
    expect(sent(Array.from({ length: 11 }, () => [start, 1]))).toEqual([...Array(10).fill(true), false])
    const full = spend(0, rate, 10, start)
    if (full.status !== 'spent') throw new Error('refused')
    const next = spend(full.paidUntil, rate, 1, start)
    expect(next).toMatchObject({ status: 'over', retryAfterSeconds: expect.closeTo(0.5, 3) })
    expect(spend(full.paidUntil, rate, 1, start + 500).status).toBe('spent')
    expect(spend(full.paidUntil, rate, 1, start + 499).status).toBe('over')
  })

  it('is spent by refused calls not at all, so that who tries in a loop is let through as soon as who waits', () => {
    const loop = Array.from({ length: 500 }, (_, i) => [start + i, 1] as const)
    expect(sent([[start, 10], ...loop, [start + 500, 1]]).at(-1)).toBe(true)
  })

  it('takes a batch that alone is more than the limit when nothing is owed, and makes it wait the longer after', () => {
    expect(sent([[start, 30]])).toEqual([true])
    expect(
      sent([
        [start, 1],
        [start, 30],
      ]),
    ).toEqual([true, false])
    expect(
      sent([
        [start, 30],
        [start + 10_499, 1],
        [start + 10_500, 1],
      ]),
    ).toEqual([true, false, true])
  })

  it('lets through, in any time, no more than its limit and what comes in for that time', () => {
    const calls = fc.array(fc.tuple(fc.nat(2_000), fc.integer({ min: 1, max: 4 })), { maxLength: 40 })
    fc.assert(
      fc.property(calls, (gaps) => {
        let at = start
        const timed = gaps.map(([gap, messages]) => {
          at += gap
          return [at, messages] as const
        })
        const through = sent(timed)
        const went = timed.filter((_, i) => through[i])
        for (const [i, [from]] of went.entries())
          for (const [to] of went.slice(i)) {
            const within = went.slice(i).filter(([when]) => when <= to)
            const messages = within.reduce((sum, [, n]) => sum + n, 0)
            const bound = rate.limit + ((to - from) * rate.limit) / (rate.perSeconds * 1_000)
            expect(messages).toBeLessThanOrEqual(bound + 0.001)
          }
      }),
    )
  })

  it('is generous when none is asked for', () => {
    expect(publishRate.parse(defaultPublishRate)).toEqual(defaultPublishRate)
    expect(spend(0, defaultPublishRate, 10_000, start).status).toBe('spent')
  })
})
