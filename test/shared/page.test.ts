/** A page of a list: how many, and how much. */
import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { pageWithin } from '../../shared/page.ts'

const mebibyte = 1_048_576
const pageOf = (sizes: readonly number[], limit: number) => pageWithin(sizes, limit, (size) => size)

describe('a page', () => {
  it('ends at its limit, and says that there is more only when there is', () => {
    expect(pageOf([1, 1, 1], 2)).toEqual({ rows: [1, 1], more: true })
    expect(pageOf([1, 1], 2)).toEqual({ rows: [1, 1], more: false })
    expect(pageOf([], 2)).toEqual({ rows: [], more: false })
  })

  it('ends early rather than outgrow what one call may carry', () => {
    const sizes = [3 * mebibyte, mebibyte, 1, 1]
    expect(pageOf(sizes, 100)).toEqual({ rows: sizes.slice(0, 2), more: true })
  })

  it('has at least one row, however large, so that a list always goes on', () => {
    expect(pageOf([9 * mebibyte, 9 * mebibyte], 100)).toEqual({ rows: [9 * mebibyte], more: true })
  })

  it('read after page, gives every row once and in order (TB38)', () => {
    void fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 0, max: 6 * mebibyte })),
        fc.integer({ min: 1, max: 9 }),
        (sizes, limit) => {
          const seen: number[] = []
          for (let more = true; more; ) {
            const page = pageOf(sizes.slice(seen.length, seen.length + limit + 1), limit)
            seen.push(...page.rows)
            more = page.more
          }
          expect(seen).toEqual(sizes)
        },
      ),
    )
  })
})
