/** E2: a root's count: never above what is allowed, once for each journal, and after a crash too high rather than too low. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { newRoot, type Root, rootBlock, spend, writtenAhead } from '../../shared/root.ts'

describe('what a root has set off', () => {
  it('is granted up to the limit and no further, all of a result or none (TC4)', () => {
    const [first, granted] = spend(newRoot('r'), 'j1', 6, 10, 0)
    expect([first.spent, granted]).toEqual([6, true])
    expect(spend(first, 'j2', 5, 10, 1)).toEqual([first, false])
    expect(spend(first, 'j3', 4, 10, 1)[0].spent).toBe(10)
  })

  it('is counted once, however often one journal is carried', () => {
    const [once] = spend(newRoot('r'), 'j', 6, 10, 0)
    expect(spend(once, 'j', 6, 10, 1)).toEqual([once, true])
  })

  it('through crashes is never told too low, and no more than a block too high for each of them', () => {
    const step = fc.record({ n: fc.integer({ min: 1, max: 5 }), afterMs: fc.nat(10_000), crash: fc.boolean() })
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        let [root, row, now, real, crashes] = [newRoot('r'), newRoot('r') as Root, 0, 0, 0]
        for (const [i, { n, afterMs, crash }] of steps.entries()) {
          now += afterMs
          if (crash) {
            root = row
            crashes += 1
          }
          const [next, granted] = spend(root, `j${i}`, n, 1_000_000, now)
          expect(granted).toBe(true)
          real += n
          root = next
          if (root.spent > row.spent) row = writtenAhead(root, row.at)
          expect(row.spent).toBeGreaterThanOrEqual(root.spent)
          expect(root.spent).toBeGreaterThanOrEqual(real)
          expect(root.spent - real).toBeLessThanOrEqual(crashes * (rootBlock - 1))
        }
      }),
    )
  })

  it('of one that goes slowly is exact: its object may be forgotten between any two', () => {
    const [slow] = spend({ ...newRoot('r'), spent: 7, at: 0 }, 'j', 1, 10, 5_000)
    expect(writtenAhead(slow, 0).spent).toBe(8)
    const [quick] = spend({ ...newRoot('r'), spent: 7, at: 0 }, 'j', 1, 10, 4_999)
    expect(writtenAhead(quick, 0).spent).toBe(8 + rootBlock - 1)
  })
})
