/** Guards: every test on every kind of value, and that none can run away or throw. Never here: a filter's own tests (test/shared/filter.test.ts). */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type ChartScope, pathFlaw } from '../../shared/chart-values.ts'
import {
  costOfGuard,
  type GuardExpression,
  type GuardTest,
  guardIssues,
  guardText,
  holds,
} from '../../shared/guard-expression.ts'
import { limits } from '../../shared/limits.ts'

const scope: ChartScope = {
  state: { n: 3, name: 'b', list: [1], flag: true },
  input: { most: 3, name: 'c' },
  event: { type: 'e', data: { n: 4 } },
}

describe('what is compared', () => {
  it.each<[GuardTest, boolean]>([
    [{ compare: ['state.n', 'lt', 'event.data.n'] }, true],
    [{ compare: ['state.n', 'lt', 'input.most'] }, false],
    [{ compare: ['state.n', 'lte', 'input.most'] }, true],
    [{ compare: ['event.data.n', 'gt', 'state.n'] }, true],
    [{ compare: ['state.n', 'gt', 'input.most'] }, false],
    [{ compare: ['state.n', 'gte', 'input.most'] }, true],
    [{ compare: ['state.n', 'eq', 'input.most'] }, true],
    [{ compare: ['state.n', 'eq', '/event/data/n'] }, false],
    [{ compare: ['state.name', 'lt', 'input.name'] }, true],
    // What is of two kinds does not compare, and what is absent is equal to nothing.
    [{ compare: ['state.name', 'lt', 'state.n'] }, false],
    [{ compare: ['state.none', 'eq', 'input.none'] }, false],
    [{ compare: ['state.list', 'eq', 'state.list.0'] }, false],
    [{ eq: ['event.type', 'e'] }, true],
    [{ range: ['event.data.n', { gt: 4 }] }, false],
    [{ exists: 'state.toString' }, false],
  ])('%j is %s', (test, expected) => {
    expect(holds(test, scope)).toBe(expected)
  })
})

describe('a guard', () => {
  it('may cost so much and no more', () => {
    const cost = (parts: number): GuardExpression => ({
      and: [{ or: Array(31).fill({ exists: 'state.a' }) }, { or: Array(parts - 34).fill({ exists: 'state.a' }) }],
    })
    expect(costOfGuard(cost(limits.filterCost))).toBe(limits.filterCost)
    expect(guardIssues(cost(limits.filterCost), [])).toEqual([])
    expect(guardIssues(cost(limits.filterCost + 1), ['g'])).toEqual([
      { path: ['g'], message: `a guard may have at most ${limits.filterCost} parts` },
    ])
  })

  it.each([
    [{ and: [] }],
    [{ or: 'x' }],
    [{ not: 1 }],
    [{ stateIn: 1 }],
    [{ compare: ['state.a', 'lt'] }],
    [{ compare: ['state.a', 'is', 'state.b'] }],
    [{ compare: ['state.a', 'lt', 'b'] }],
    [{ eq: ['data.x', 1] }],
    [{ exists: 'state..a' }],
    [{ exists: 'state', eq: ['state', 1] }],
    [{}],
    [null],
  ])('%j is none', (raw) => {
    expect(guardIssues(raw, []).length).toBeGreaterThan(0)
  })

  it('is read, weighed and asked without a throw, whatever it is', () => {
    fc.assert(
      fc.property(
        fc.jsonValue({ maxDepth: 4 }),
        fc.constantFrom('eq', 'in', 'compare', 'and', 'not', 'range', 'stateIn'),
        (value, name) => {
          for (const raw of [value, { [name]: value }, { [name]: [value] }])
            expect(Array.isArray(guardIssues(raw, []))).toBe(true)
        },
      ),
    )
  })

  it('can be said in a few words', () => {
    const guard: GuardExpression = {
      and: [
        { or: [{ eq: ['state.a', 1] }, { in: ['state.a', ['x', null]] }] },
        { not: { stateIn: '#q' } },
        { compare: ['state.n', 'lt', 'input.most'] },
        { range: ['state.n', { gte: 1, lt: 9 }] },
        { prefix: ['event.type', 'job.'] },
        { exists: 'state.x' },
      ],
    }
    expect(guardText(guard)).toBe(
      '(state.a is 1 or state.a in "x", null) and not in #q and state.n lt input.most and state.n gte 1 and lt 9 and event.type begins "job." and state.x exists',
    )
  })
})

describe('a path', () => {
  it.each([
    ['state', undefined],
    ['event.data.x', undefined],
    ['/input/a~1b', undefined],
    ['context.x', 'a path begins with state, event or input, not with "context"'],
    ['/data', 'a path begins with state, event or input, not with "data"'],
    ['/state/~2', 'not a JSON Pointer'],
    ['state..x', 'a dotted path has no empty part'],
    ['', 'a path begins with state, event or input, not with ""'],
    [7, 'a path is a text'],
  ])('%j: %s', (path, flaw) => {
    expect(pathFlaw(path)).toBe(flaw)
  })
})
