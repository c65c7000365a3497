/** The checker of ledgers, held to ledgers that are known to be good or bad. Never here: a real run (test/system/ledger.test.ts). */
import { describe, expect, it } from 'vitest'
import { type Ended, type Faults, faultsOf, type Ledger } from './ledger.ts'

const completed = (delivery: string, more: Partial<Ended> = {}): Ended => ({
  ...{ delivery, status: 'completed', endings: 1, lives: 1, attempts: 1, maxAttempts: 3, nonce: `${delivery}-1` },
  ...more,
})

const call = (at: number, delivery: string) => ({ at, call: at, delivery })

const span = (from: number, until: number) => ({ from, until })

/** Two of one key, done one after the other, each with its effect; a probe in its window; what was promised, kept. */
const good: Ledger = {
  promised: [
    { delivery: 'a', agent: 'ada', key: 'k', n: 1, hasEffect: true },
    { delivery: 'b', agent: 'ada', key: 'k', n: 2, hasEffect: true },
  ],
  seen: [call(10, 'a'), call(20, 'b')],
  ended: [completed('a'), completed('b')],
  effects: [
    { of: 'a', nonce: 'a-1', delivery: 'sink_a' },
    { of: 'b', nonce: 'b-1', delivery: 'sink_b' },
  ],
  probing: [
    {
      agent: 'ada',
      probes: 1,
      windows: [{ from: 5, until: 15 }],
      attempts: [span(1, 9), span(2, 9), span(10, 12), span(15, 16)],
    },
  ],
  kept: [{ what: 'a reply', wanted: 1, got: 1 }],
}
const none: Faults = { lost: [], doubled: [], outOfOrder: [], overAttempts: [], overProbes: [] }

describe('a ledger in which nothing is wrong', () => {
  it.each<[string, Partial<Ledger>]>([
    ['passes', {}],
    ['may hold a retry', { seen: [call(1, 'a'), ...good.seen] }],
    [
      'may hold one start more than attempts',
      {
        seen: [1, 2, 3, 4].map((at) => call(at, 'a')),
        ended: [completed('a', { attempts: 3 }), completed('b')],
        promised: good.promised.slice(0, 1),
      },
    ],
    [
      'may hold any number of holds',
      { seen: [...Array.from({ length: 9 }, (_, at) => ({ ...call(at, 'a'), held: true as const })), ...good.seen] },
    ],
    [
      'may hold an effect that was carried twice to its receiver, as one delivery',
      { effects: [...good.effects, ...good.effects] },
    ],
    [
      'may hold a dead letter, of which nothing comes',
      {
        ended: [completed('a', { status: 'dead_lettered', attempts: 3 }), completed('b')],
        effects: good.effects.slice(1),
      },
    ],
    [
      'may hold a batch that was lost with its broker, and goes again one by one',
      { seen: [call(1, 'a'), { ...call(2, 'b'), call: 1 }, call(10, 'a'), call(20, 'b')] },
    ],
    [
      'may hold a probe that was answered with a hold, and the next',
      { probing: good.probing.map((one) => ({ ...one, attempts: [span(5, 6), span(6, 7)] })) },
    ],
    ['may hold a second life', { ended: [completed('a', { endings: 2, lives: 2 }), completed('b')] }],
    [
      'may hold other keys in any order',
      {
        promised: good.promised.map((one) => ({ ...one, key: one.delivery })),
        seen: good.seen.toReversed().map((one, at) => call(at, one.delivery)),
      },
    ],
  ])('%s', (_, more) => {
    expect(faultsOf({ ...good, ...more })).toEqual(none)
  })
})

describe('a ledger in which something is wrong', () => {
  it.each<[keyof Faults, string, Partial<Ledger>]>([
    ['lost', 'an accepted message that nobody knows', { ended: [completed('b')], effects: good.effects.slice(1) }],
    ['lost', 'one that never ended', { ended: [completed('a', { status: 'queued', endings: 0 }), completed('b')] }],
    ['lost', 'one that is said to be done, and nobody was called', { seen: good.seen.slice(1) }],
    ['lost', 'an effect that never came', { effects: good.effects.slice(1) }],
    ['lost', 'a reply that never came', { kept: [{ what: 'a reply', wanted: 1, got: 0 }] }],
    ['doubled', 'one that is there twice', { ended: [...good.ended, completed('a')] }],
    ['doubled', 'one that ended twice in one life', { ended: [completed('a', { endings: 2 }), completed('b')] }],
    [
      'doubled',
      'two effects of one piece of work',
      { effects: [...good.effects, { of: 'a', nonce: 'a-1', delivery: 'sink_z' }] },
    ],
    [
      'doubled',
      'an effect of work that did not count',
      { effects: [{ of: 'a', nonce: 'a-2', delivery: 'sink_a' }, ...good.effects.slice(1)] },
    ],
    [
      'doubled',
      'an effect that changed',
      { effects: [...good.effects, { of: 'a', nonce: 'a-2', delivery: 'sink_a' }] },
    ],
    ['doubled', 'an effect of nothing', { effects: [...good.effects, { of: 'x', nonce: 'x-1', delivery: 'sink_x' }] }],
    ['doubled', 'a firing that happened twice', { kept: [{ what: 'a firing', wanted: 1, got: 2 }] }],
    [
      'outOfOrder',
      'a successor that was begun first',
      {
        seen: [call(10, 'b'), call(20, 'a')],
      },
    ],
    ['outOfOrder', 'one that was begun again after its successor', { seen: [...good.seen, call(30, 'a')] }],
    ['overAttempts', 'more attempts than the policy has', { ended: [completed('a', { attempts: 4 }), completed('b')] }],
    [
      'overAttempts',
      'more starts than attempts and one',
      { seen: [1, 2, 3, 4, 5].map((at) => call(at, 'a')), promised: good.promised.slice(0, 1) },
    ],
    [
      'overProbes',
      'two probes in one window',
      { probing: good.probing.map((one) => ({ ...one, attempts: [span(5, 15), span(14, 15)] })) },
    ],
  ])('is told as %s: %s', (kind, _, more) => {
    const faults = faultsOf({ ...good, ...more })
    expect(faults[kind]).toHaveLength(1)
    expect({ ...faults, [kind]: [] }).toEqual(none)
  })
})
