/** Which names are nearly the one that was meant. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { didYouMean, distance, nearest, slips } from '../../shared/suggestion.ts'

describe('names nearly like it', () => {
  it.each([
    ['writr', ['writer', 'reader', 'critic'], ['writer']],
    ['wirter', ['writer', 'winter'], ['winter', 'writer']],
    ['reserch', ['research', 'researcher', 'search'], ['research']],
    ['reviewer', ['reviewer-2', 'reviever', 'review', 'interviewer'], ['reviever', 'review', 'reviewer-2']],
    ['x', ['y', 'xy', 'xyz'], ['xy', 'y']],
    ['nobody', ['writer', 'critic'], []],
    ['writer', ['writer'], []],
  ])('%s: the nearest first, and none far off (A82)', (meant, names, expected) => {
    expect(nearest(meant, names)).toEqual(expected)
  })

  it('are at most three, and each is told once', () => {
    expect(nearest('agent-1', ['agent-2', 'agent-3', 'agent-4', 'agent-5', 'agent-2'])).toEqual([
      'agent-2',
      'agent-3',
      'agent-4',
    ])
    expect(didYouMean(['a', 'b'])).toBe(' Did you mean `a` or `b`?')
    expect(didYouMean([])).toBe('')
  })

  it('law: within its bound the distance is the one without a band, and beyond it more than the bound', () => {
    const name = fc.string({ unit: fc.constantFrom('a', 'b', '-'), maxLength: 8 })
    fc.assert(
      fc.property(name, name, fc.integer({ min: 1, max: 3 }), (a, b, bound) => {
        const whole = distance(a, b, 20)
        expect(distance(a, b, bound)).toBe(Math.min(whole, bound + 1))
        expect(distance(b, a, 20)).toBe(whole)
        expect(whole === 0).toBe(a === b)
        expect(whole).toBeLessThanOrEqual(Math.max(a.length, b.length))
      }),
    )
  })

  it('allow one slip in three letters, three at most', () => {
    expect(['ab', 'abcdef', 'a'.repeat(64)].map(slips)).toEqual([1, 2, 3])
  })
})
