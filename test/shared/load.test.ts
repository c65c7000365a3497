/** The choice among agents of one skill by how much each has to do. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { askingOrder, fullness, hasPlace, type Load, lightest, whyChosen, withOneMore } from '../../shared/load.ts'

const load = (agent: string, depth: number, concurrency = 10, well = true): Load => ({
  agent,
  depth,
  concurrency,
  well,
})

describe('whom to ask first', () => {
  it('is whoever is remembered as least loaded for its places, and never the unwell before the well (TC12)', () => {
    const remembered = new Map(
      [load('busy', 9), load('small', 1, 1), load('idle', 1), load('ill', 0, 10, false)].map((l) => [l.agent, l]),
    )
    const order = askingOrder(
      ['ill', 'busy', 'small', 'idle'],
      (name) => remembered.get(name),
      () => 0.5,
    )
    expect(order).toEqual(['idle', 'busy', 'small', 'ill'])
  })

  it('is as the dice fall among those of whom nothing is known, so that they take turns (TC12)', () => {
    const dice = [0.9, 0.1, 0.5].values()
    expect(
      askingOrder(
        ['a', 'b', 'c'],
        () => undefined,
        () => dice.next().value ?? 0,
      ),
    ).toEqual(['b', 'c', 'a'])
  })
})

describe('the least loaded', () => {
  it('is by places, not by number: two at ten places are less than one at one (TC12)', () => {
    expect(lightest([load('one', 1, 1), load('ten', 2, 10)])?.agent).toBe('ten')
    expect([hasPlace(load('a', 9)), hasPlace(load('a', 10)), hasPlace(load('a', 0, 10, false))]).toEqual([
      true,
      false,
      false,
    ])
  })

  it('law: is well, and nobody who is well has less to do', () => {
    const any = fc.record({
      agent: fc.string(),
      depth: fc.nat(50),
      concurrency: fc.integer({ min: 1, max: 20 }),
      well: fc.boolean(),
    })
    fc.assert(
      fc.property(fc.array(any), (loads) => {
        const best = lightest(loads)
        const well = loads.filter((l) => l.well)
        expect(best === undefined).toBe(well.length === 0)
        for (const other of well)
          expect(fullness(other)).toBeGreaterThanOrEqual(best === undefined ? 0 : fullness(best))
      }),
    )
  })

  it('counts what is on its way, and says why it was chosen', () => {
    expect(withOneMore(load('a', 1)).depth).toBe(2)
    expect(whyChosen('translate', 'load', load('a', 2), 1, 12)).toBe(
      'chosen for `translate` among 12, 1 of them asked: it is well, 2 to do at 10 places',
    )
    expect(whyChosen('translate', 'load', undefined, 2, 2)).toContain('none of those asked is well')
    expect(whyChosen('translate', 'key', load('a', 2), 1, 2)).toContain('its partition key goes to it')
  })
})
