/** How long states last, added up: no time is lost, none counts twice. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { publicDuration, type Stays, stayed, staysSchema } from '../../shared/stays.ts'

const names = ['a', 'b', 'c']

describe('stays', () => {
  it('add up to the time in which each state was active, however it came and went (A26)', () => {
    const steps = fc.array(fc.tuple(fc.subarray(names), fc.integer({ min: 0, max: 1_000 })))
    fc.assert(
      fc.property(steps, (walk) => {
        const lasted: Record<string, number[]> = {}
        let [stays, now, before]: [Stays, number, readonly string[]] = [{}, 0, []]
        for (const [active, ms] of walk) {
          stays = staysSchema.parse(stayed(stays, active, now))
          for (const name of active) {
            lasted[name] ??= []
            if (!before.includes(name)) lasted[name].push(0)
            lasted[name].push((lasted[name].pop() ?? 0) + ms)
          }
          before = active
          now += ms
        }
        for (const [name, { visits, totalMs, longestMs, since }] of Object.entries(stayed(stays, [], now))) {
          expect([name, visits, totalMs]).toEqual([
            name,
            lasted[name]?.length,
            lasted[name]?.reduce((a, b) => a + b, 0),
          ])
          expect([longestMs, since]).toEqual([Math.max(...(lasted[name] ?? [])), undefined])
        }
      }),
    )
  })

  it('are told in seconds', () => {
    const one = { definition: 'd', state: 's', visits: 2, totalMs: 1_500, longestMs: 1_000 }
    expect(publicDuration(one)).toEqual({
      ...{ definition: 'd', state: 's', visits: 2 },
      ...{ totalSeconds: 1.5, longestSeconds: 1 },
    })
  })
})
