/** E2: which message trips one, whatever the agents, the order of their calls and the words. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { deliveryId, digest } from '../../shared/ids.ts'
import { limits } from '../../shared/limits.ts'
import { defaultGuards, type Guards, judge, type Lineage, pathAfter, printOf } from '../../shared/lineage.ts'

const visit = (agent: string, n: number, print = String(n)) => ({ id: deliveryId(agent, digest(String(n))), print })
const lineage = (agents: readonly string[], more: Partial<Lineage> = {}): Lineage => ({
  path: agents.map((agent, n) => visit(agent, n)),
  print: 'new',
  ...more,
})
const guards = (more: Partial<Guards>): Guards => ({ ...defaultGuards, ...more })

describe('revisits', () => {
  it('four returns are allowed, the fifth trips, and the path is the evidence (TC4)', () => {
    const four = lineage(['ada', 'bob', 'ada', 'bob', 'ada', 'bob', 'ada', 'bob'])
    expect(judge(four, 'ada', 8)).toBeUndefined()
    const five = lineage(['ada', 'bob', 'ada', 'bob', 'ada', 'bob', 'ada', 'bob', 'ada', 'bob'])
    expect(judge(five, 'ada', 10)).toEqual({
      ...{ reason: 'loop_detected', guard: 'revisits', limit: 4 },
      detail: 'ada is on the way that led here 5 times already',
      path: five.path.map(({ id }) => id),
    })
    expect(judge(five, 'cyd', 10)).toBeUndefined()
  })

  it('whatever a few agents do among themselves, no path is longer than each of them may be on it', () => {
    const agents = ['a', 'b', 'c'] as const
    fc.assert(
      fc.property(
        fc.array(fc.constantFrom(...agents), { minLength: 40, maxLength: 60 }),
        fc.nat(4),
        (turns, revisits) => {
          const walked: string[] = []
          for (const [n, agent] of turns.entries()) {
            const trip = judge(lineage(walked, { guards: guards({ revisits }) }), agent, walked.length)
            const before = walked.filter((one) => one === agent).length
            expect(trip === undefined, `turn ${n}`).toBe(before <= revisits && walked.length <= limits.hops)
            if (trip !== undefined) break
            walked.push(agent)
          }
          expect(walked.length).toBeLessThanOrEqual(agents.length * (revisits + 1))
        },
      ),
    )
  })

  it('none at all may be what a workflow wants', () => {
    expect(judge(lineage(['ada'], { guards: guards({ revisits: 0 }) }), 'ada', 1)?.guard).toBe('revisits')
    expect(judge(lineage(['bob'], { guards: guards({ revisits: 0 }) }), 'ada', 1)).toBeUndefined()
  })
})

describe('repeats', () => {
  const path = [visit('bob', 0, 'same'), visit('ada', 1), visit('bob', 2, 'same'), visit('ada', 3)]

  it('the third time that an agent is told the same trips; another agent may be told it (TC4)', () => {
    expect(judge({ path, print: 'same' }, 'bob', 4)).toMatchObject({ guard: 'repeats', reason: 'loop_detected' })
    expect(judge({ path, print: 'other' }, 'bob', 4)).toBeUndefined()
    expect(judge({ path, print: 'same' }, 'cyd', 4)).toBeUndefined()
    expect(judge({ path: path.slice(1), print: 'same' }, 'bob', 4)).toBeUndefined()
  })

  it('what a root said is compared with nothing', () => {
    const rooted = [visit('bob', 0, ''), visit('bob', 1, '')]
    expect(judge({ path: rooted, print: printOf({ type: 'x' }) }, 'bob', 2)).toBeUndefined()
  })
})

describe('hops and messages', () => {
  it('a chain that is longer than allowed trips as `hop_limit`', () => {
    expect(judge(lineage([]), 'ada', limits.hops)).toBeUndefined()
    expect(judge(lineage([]), 'ada', limits.hops + 1)).toMatchObject({ reason: 'hop_limit', guard: 'hops' })
    expect(judge(lineage([], { guards: guards({ hops: 2 }) }), 'ada', 3)).toMatchObject({ guard: 'hops', limit: 2 })
  })

  it('what a root may not set off any more trips wherever it goes', () => {
    const tripped = { guard: 'messages', limit: 1_000 } as const
    expect(judge(lineage(['ada', 'bob'], { tripped }), 'cyd', 2)).toMatchObject({
      ...{ reason: 'loop_detected', guard: 'messages', limit: 1_000 },
      detail: expect.stringMatching(/^ada_.* has set off 1000 messages already$/),
    })
  })
})

describe('what is said', () => {
  const print = (data: unknown, type = 'x') => printOf({ type, data })

  it('is the same whatever the order of keys, letter case and white space', () => {
    expect(print({ a: 'Go  on\n', b: 1 })).toBe(print({ b: 1, a: 'go on ' }))
    expect(print('e\u0301')).toBe(print('\u00e9'))
    expect(print(undefined)).toBe(print(null))
  })

  it('is another thing with another number, word, key or type', () => {
    const all = [
      print({ page: 1 }),
      print({ page: 2 }),
      print({ step: 1 }),
      print({ page: '1' }),
      print({ page: 1 }, 'y'),
    ]
    expect(new Set(all).size).toBe(all.length)
  })

  it('of any JSON is the same after a round trip', () => {
    fc.assert(fc.property(fc.jsonValue(), (data) => print(JSON.parse(JSON.stringify(data))) === print(data)))
  })
})

describe('a path', () => {
  it('goes on with the delivery that emits, and what it was told', () => {
    const lineage: Lineage = { path: [visit('ada', 0, '')], print: 'p' }
    expect(pathAfter({ id: 'bob_1', lineage }, false)).toEqual([visit('ada', 0, ''), { id: 'bob_1', print: 'p' }])
    expect(pathAfter({ id: 'bob_1' }, false)).toEqual([{ id: 'bob_1', print: '' }])
    expect(pathAfter({ id: 'bob_1' }, true)).toEqual([{ id: 'bob_1', print: '', told: true }])
  })
})
