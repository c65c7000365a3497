/**
 * A publication, step by step: each leg ends once, repeats and late comers change nothing, and it closes when there is nothing
 * left. What asks the mailboxes is played here by chance.
 */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type LegFate, parseAckMode, satisfied } from '../../shared/ack-mode.ts'
import { limits } from '../../shared/limits.ts'
import type { Head } from '../../shared/message.ts'
import {
  deadLetterOfPublication,
  isCaught,
  isDead,
  isPublicationId,
  isUnheard,
  type Leg,
  type LegState,
  type Opening,
  open,
  type Progress,
  type Publication,
  pendingLegs,
  progress,
  publicationDueAt,
  publicationId,
  publicationKeptMs,
  readPublication,
  whyOf,
} from '../../shared/publication.ts'

const head = {
  specversion: '1.0',
  id: 'm',
  source: 'eve',
  type: 'x',
  time: 't',
  correlationid: 'm',
  topic: 'a',
} as Head
const id = publicationId('eve', 'm')
const now = 1_000

function opening(more: Partial<Opening> = {}): Opening {
  const agents = more.agents ?? ['ada', 'bob', 'cyd']
  const base = { id, head, key: 'm', contentHash: 'h', hops: 0, told: false, renewable: true }
  return { ...base, fanout: agents.length, ...more, agents }
}

const plan = { audience: { kind: 'topic' as const, topic: 'a' }, version: 3 }
const planned = (fanout = 250) => opening({ agents: [], plan, fanout })

const opened = (of: Opening) => open(undefined, of, now).publication
const accepted = (agent: string): Leg => ({ agent, state: { status: 'accepted', delivery: `${agent}_1` } })
const refused = (agent: string, reason = 'agent_not_found'): Leg => ({ agent, state: { status: 'refused', reason } })
const pending = (agent: string): Leg => ({ agent, state: { status: 'pending' } })
const hearing = (publication: Publication, ...news: Progress[]) =>
  news.reduce((known, one) => progress(known, one, now), publication)
const legs = (...all: Leg[]): Progress => ({ legs: all })

describe('opening', () => {
  it('stores every leg as pending, and closes nothing', () => {
    const { status, publication } = open(undefined, opening(), now)
    expect([status, publication.closedAt, pendingLegs(publication)]).toEqual([
      'opened',
      undefined,
      ['ada', 'bob', 'cyd'],
    ])
    expect(readPublication(JSON.stringify(publication))).toEqual(publication)
  })

  it('again with the same content is a duplicate that changes nothing; with other content a conflict', () => {
    const first = hearing(opened(opening()), legs(accepted('ada')))
    expect(open(first, opening({ agents: ['dan'] }), now + 1)).toEqual({ status: 'duplicate', publication: first })
    expect(open(first, opening({ contentHash: 'other' }), now)).toEqual({ status: 'conflict', publication: first })
  })

  it('by what came round again under the same name is another one, once its legs are told', () => {
    const first = opened(opening({ since: 1 }))
    const again = opening({ since: 2, contentHash: 'other' })
    expect(open(first, again, now + 1).status).toBe('conflict')
    const closed = hearing(first, legs(accepted('ada'), accepted('bob'), accepted('cyd')))
    expect(open(closed, opening({ since: 1 }), now + 1)).toEqual({ status: 'duplicate', publication: closed })
    expect(open(closed, opening(), now + 1)).toEqual({ status: 'duplicate', publication: closed })
    expect(open(closed, again, now + 1)).toMatchObject({
      status: 'opened',
      publication: { since: 2, accepted: 0 },
    })
  })

  it('one that reached nobody and need not be told is closed at once', () => {
    const { publication } = open(undefined, opening({ agents: [], told: true }), now)
    expect([publication.closedAt, isUnheard(publication)]).toEqual([now, false])
  })

  it('ids are told from those of deliveries, and say source and key', () => {
    expect(isPublicationId(id)).toBe(true)
    expect(['p-', 'ada_k3v7zq2mfa6x4hnc5w2yt7dbre', `${id}x`, `x${id}`, ''].some(isPublicationId)).toBe(false)
    expect(new Set([publicationId('a', 'bc'), publicationId('ab', 'c'), publicationId('a', 'b')]).size).toBe(3)
  })
})

describe('a publication that reached nobody', () => {
  const unheard = opened(opening({ agents: [] }))
  const dead = hearing(unheard, { legs: [], told: true })

  it('is unheard until that was told, then closed (M1)', () => {
    expect([isUnheard(unheard), unheard.closedAt]).toEqual([true, undefined])
    expect([isUnheard(dead), dead.closedAt, isDead(dead)]).toEqual([false, now, true])
  })

  it('is a dead letter under its own name, of no agent', () => {
    expect(deadLetterOfPublication(unheard)).toMatchObject({
      id,
      kind: 'publication',
      agent: '',
      reason: 'unroutable',
      message: head,
    })
  })

  it('gives its key back: the same sent again is a new one, even with other content', () => {
    expect(open(dead, opening({ contentHash: 'other' }), now + 5)).toMatchObject({
      status: 'opened',
      publication: { openedAt: now + 5, legs: [{ agent: 'ada' }, { agent: 'bob' }, { agent: 'cyd' }] },
    })
  })

  it('does NOT give it back where a key is never released: an effect’s, or under exactly_once', () => {
    expect(open(dead, opening({ renewable: false }), now).status).toBe('duplicate')
  })

  it('does not give it back before it was told, or when somebody was reached', () => {
    expect(open(unheard, opening(), now).status).toBe('duplicate')
    const heard = hearing(opened(opening({ agents: ['ada'] })), legs(accepted('ada')))
    expect([heard.closedAt, open(heard, opening(), now).status]).toEqual([now, 'duplicate'])
  })

  it('is not dead when its publisher said that it does not matter, or when it was refused by name', () => {
    const drop = opening({ agents: [], told: true, head: { ...head, onunroutable: 'drop' } })
    expect(isDead(opened(drop))).toBe(false)
    expect(isDead(hearing(opened(opening({ agents: ['ada'] })), legs(refused('ada'))))).toBe(false)
  })

  it('by a plan whose filters let nobody through, too', () => {
    const turned = hearing(
      opened(planned()),
      { legs: [], page: { cursor: 'm', done: false } },
      { legs: [], page: { from: 'm', done: true } },
    )
    expect([isUnheard(turned), turned.closedAt]).toEqual([true, undefined])
  })
})

describe('legs by name', () => {
  it('end one by one, and the last one closes it', () => {
    const two = hearing(opened(opening()), legs(accepted('ada'), pending('bob'), refused('cyd')))
    expect([two.accepted, two.refused, two.closedAt, pendingLegs(two)]).toEqual([1, 1, undefined, ['bob']])
    const three = hearing(two, legs(accepted('bob')))
    expect([three.accepted, three.refused, three.closedAt]).toEqual([2, 1, now])
  })

  it('stay as they ended: a leg told again, or otherwise, changes nothing', () => {
    const once = hearing(opened(opening()), legs(accepted('ada')))
    expect(hearing(once, legs(accepted('ada')))).toBe(once)
    expect(hearing(once, legs(refused('ada')))).toBe(once)
    expect(hearing(once, legs(pending('ada'), pending('bob')))).toBe(once)
  })

  it('that nobody chose are not let in', () => {
    const once = opened(opening())
    expect(hearing(once, legs(accepted('eve')))).toBe(once)
    expect(hearing(once, { legs: [accepted('eve')], page: { done: true } })).toBe(once)
  })

  it('a closed one hears nothing any more', () => {
    const closed = hearing(opened(opening({ agents: ['ada'] })), legs(accepted('ada')))
    expect(hearing(closed, legs(refused('ada')), { legs: [], told: true })).toBe(closed)
  })
})

describe('pages', () => {
  const first: Progress = { legs: [accepted('a'), pending('b')], page: { cursor: 'b', done: false } }
  const second: Progress = { legs: [accepted('c'), refused('d')], page: { from: 'b', cursor: 'd', done: false } }
  const last: Progress = { legs: [accepted('e')], page: { from: 'd', done: true } }

  it('count what was accepted and name what was not', () => {
    const two = hearing(opened(planned()), first, second)
    expect([two.accepted, two.refused, two.legs, two.plan?.cursor]).toEqual([2, 1, [pending('b'), refused('d')], 'd'])
    expect(hearing(two, legs(accepted('b'))).legs).toEqual([refused('d')])
  })

  it('close it when the last was told and no leg is left; then it says how many there really were', () => {
    const done = hearing(opened(planned(250)), first, second, last)
    expect([done.closedAt, done.fanout]).toEqual([undefined, 250])
    const closed = hearing(done, legs(accepted('b')))
    expect([closed.closedAt, closed.fanout, closed.accepted, closed.refused]).toEqual([now, 5, 4, 1])
  })

  it('told twice, or late, or from elsewhere, change nothing', () => {
    const two = hearing(opened(planned()), first, second)
    for (const old of [first, second, { legs: [accepted('x')], page: { from: 'a', cursor: 'z', done: false } }])
      expect(hearing(two, old)).toBe(two)
    const done = hearing(two, last)
    for (const old of [first, second, last, { legs: [accepted('x')], page: { from: 'd', done: true } }])
      expect(hearing(done, old)).toBe(done)
  })

  it('cut otherwise the second time, because somebody left in between, do not count a leg twice', () => {
    // Two work on the first page at once; one of them sees it reach further.
    const one = hearing(opened(planned()), first)
    expect(
      hearing(one, { legs: [accepted('a'), accepted('b'), accepted('c')], page: { cursor: 'c', done: false } }),
    ).toBe(one)
  })

  it('a leg that was left pending and is told as accepted by two is counted once', () => {
    const one = hearing(opened(planned()), first, legs(accepted('b')))
    expect(one.accepted).toBe(2)
    expect(hearing(one, legs(accepted('b')))).toBe(one)
    expect(hearing(one, legs(refused('b')))).toBe(one)
  })

  it('never name more refused ones than the bound, and count them all; pending ones all stay named', () => {
    const many = Array.from({ length: 300 }, (_, i) => i)
    const all = hearing(opened(planned(600)), {
      legs: [...many.map((i) => refused(`r${i}`)), ...many.map((i) => pending(`p${i}`))],
      page: { done: true },
    })
    expect([all.refused, pendingLegs(all).length, all.legs.length]).toEqual([300, 300, 300 + limits.legsNamed])
    // One that is no longer named is known to have ended all the same.
    expect(hearing(all, legs(accepted('r299')))).toBe(all)
  })
})

describe('a plan that reached nobody and is turned to who catches (A11)', () => {
  const nobody: Progress = { legs: [], page: { cursor: 'm', done: false } }
  const end: Progress = { legs: [], page: { from: 'm', done: true } }
  const turn: Progress = { legs: [], catching: { total: 2 } }
  const caught = hearing(opened(planned()), nobody, end, turn)

  it('goes on with their pages from the first, under the version that it was chosen by', () => {
    expect(caught.plan).toEqual({
      audience: { kind: 'topic', topic: 'a', catching: true },
      version: 3,
      done: false,
    })
    expect([caught.closedAt, isUnheard(caught), caught.fanout]).toEqual([undefined, false, 2])
    const done = hearing(caught, { legs: [accepted('z')], page: { done: true, catching: true } })
    expect([done.closedAt, done.fanout, isCaught(done)]).toEqual([now, 1, true])
    expect(whyOf(done)).toBe('caught: `a` reached nobody else')
    expect(readPublication(JSON.stringify(done))).toEqual(done)
  })

  it('is turned once, and not while a page is left, a leg is pending or anybody was reached', () => {
    expect(hearing(caught, turn)).toBe(caught)
    const open = hearing(opened(planned()), nobody)
    expect(hearing(open, turn)).toBe(open)
    for (const leg of [accepted('a'), refused('a'), pending('a')]) {
      const heard = hearing(opened(planned()), nobody, { legs: [leg], page: { from: 'm', done: true } })
      expect(hearing(heard, turn), leg.state.status).toBe(heard)
    }
  })

  it('hears no page any more of those who listen, told late by another run', () => {
    expect(hearing(caught, nobody)).toBe(caught)
    expect(hearing(caught, { legs: [accepted('b')], page: { cursor: 'b', done: false } })).toBe(caught)
  })

  it('that nobody catches either is a dead letter, and was not caught', () => {
    const unheard = hearing(caught, { legs: [], page: { done: true, catching: true } })
    expect([isUnheard(unheard), hearing(unheard, turn) === unheard]).toEqual([true, true])
    const dead = hearing(unheard, { legs: [], told: true })
    expect([isDead(dead), isCaught(dead), whyOf(dead)]).toEqual([true, false, undefined])
  })

  it('is none of the broker’s own, nor one for everybody', () => {
    for (const audience of [
      { kind: 'topic' as const, topic: 'switchboard.agent.ada' },
      { kind: 'all' as const, except: 'eve' },
    ]) {
      const unheard = hearing(opened({ ...planned(), plan: { audience, version: 3 } }), {
        legs: [],
        page: { done: true },
      })
      expect(isUnheard(unheard)).toBe(true)
      expect(hearing(unheard, turn)).toBe(unheard)
    }
  })
})

describe('whatever asks, in whatever order, however often', () => {
  const state = (agent: string): fc.Arbitrary<LegState> =>
    fc.constantFrom<LegState>(
      { status: 'pending' },
      { status: 'accepted', delivery: `${agent}_1` },
      { status: 'refused', reason: 'agent_not_found' },
    )
  const names = ['a', 'b', 'c', 'd', 'e', 'f']
  const told = (of: readonly string[]) =>
    fc.tuple(...of.map((agent) => state(agent).map((s) => ({ agent, state: s })))).map((all) => all as Leg[])
  const some = fc.subarray(names).chain(told)

  it('legs by name end once each, the counts are theirs, and it is closed when none is pending', () => {
    fc.assert(
      fc.property(fc.array(some, { maxLength: 12 }), (rounds) => {
        let known = opened(opening({ agents: names }))
        const ended = new Map<string, LegState>()
        for (const round of rounds) {
          for (const { agent, state: s } of round) if (s.status !== 'pending' && !ended.has(agent)) ended.set(agent, s)
          known = hearing(known, legs(...round))
        }
        for (const leg of known.legs) expect(leg.state).toEqual(ended.get(leg.agent) ?? { status: 'pending' })
        expect(known.legs.map((l) => l.agent)).toEqual(names)
        expect(known.accepted).toBe([...ended.values()].filter((s) => s.status === 'accepted').length)
        expect(known.accepted + known.refused).toBe(ended.size)
        expect(known.closedAt !== undefined).toBe(ended.size === names.length)
      }),
    )
  })

  // Several work on it at once, each from what it read last; somebody may leave between two reads, so that pages are cut anew.
  const worker = fc.record({
    who: fc.nat(2),
    does: fc.constantFrom('read', 'page', 'repeat'),
    outcome: fc.array(fc.nat(2), { minLength: 6, maxLength: 6 }),
    size: fc.integer({ min: 1, max: 3 }),
  })
  it('pages count each leg once, and leave none out', () => {
    fc.assert(
      fc.property(fc.array(worker, { maxLength: 40 }), (moves) => {
        let known = opened(planned(names.length))
        const seen = [known, known, known]
        const tell = (news: Progress) => {
          known = progress(known, news, now)
        }
        const stateOf = (agent: string, n: number): LegState =>
          n === 0
            ? { status: 'pending' }
            : n === 1
              ? { status: 'accepted', delivery: `${agent}_1` }
              : { status: 'refused', reason: 'x' }
        const turn = (mine: Publication, outcome: readonly number[], size: number) => {
          if (mine.plan === undefined || mine.plan.done) return
          const from = mine.plan.cursor
          const rest = names.filter((n) => from === undefined || n > from)
          const page = rest.slice(0, size)
          const cursor = page.at(-1)
          tell({
            legs: page.map((agent, i) => ({ agent, state: stateOf(agent, outcome[i] ?? 0) })),
            page: {
              ...(from === undefined ? {} : { from }),
              ...(rest.length > size && cursor !== undefined ? { cursor, done: false } : { done: true }),
            },
          })
        }
        for (const { who, does, outcome, size } of moves) {
          const mine = seen[who] ?? known
          if (does === 'read') seen[who] = known
          else if (does === 'page') turn(mine, outcome, size)
          else tell(legs(...pendingLegs(mine).map((agent, i) => ({ agent, state: stateOf(agent, outcome[i] ?? 0) }))))
          expect(known.accepted + known.refused + pendingLegs(known).length).toBeLessThanOrEqual(names.length)
        }
        // Peace: one goes on alone, and everybody accepts.
        while (known.plan?.done === false) turn(known, [1, 1, 1], 3)
        tell(legs(...pendingLegs(known).map(accepted)))
        expect([known.accepted + known.refused, known.fanout, known.closedAt]).toEqual([
          names.length,
          names.length,
          now,
        ])
      }),
    )
  })
})

describe('when it is looked at again (M6)', () => {
  it('after 5 s, at growing intervals, at the latest after 5 min; a closed one when it is forgotten', () => {
    const publication = opened(opening())
    const inMs = (age: number) => publicationDueAt(publication, now + age) - (now + age)
    expect([0, 5_000, 20_000, 60_000, 3_600_000, 86_400_000].map(inMs)).toEqual([
      5_000, 5_000, 10_000, 30_000, 300_000, 300_000,
    ])
    const closed = hearing(opened(opening({ agents: ['ada'] })), legs(accepted('ada')))
    expect(publicationDueAt(closed, now + 7)).toBe(now + publicationKeptMs)
  })

  it('one that is kept as a dead letter is forgotten no earlier than its letter', () => {
    const dead = hearing(opened(opening({ agents: [] })), { legs: [], told: true })
    expect(publicationDueAt(dead, now) - now).toBe(30 * 86_400_000)
  })
})

describe('is it acked as asked? (TC15)', () => {
  const publication = (agents: readonly string[]) => opened(opening({ agents }))
  const fate = (what: string, i: number): LegFate => {
    const agent = `a${i}`
    if (what === 'refused') return { leg: refused(agent) }
    if (what === 'pending') return { leg: pending(agent) }
    if (what === 'silent') return { leg: accepted(agent) }
    return { leg: accepted(agent), receipt: what as LegFate['receipt'] & string }
  }
  const judged = (mode: string, ...fates: string[]) =>
    satisfied(parseAckMode(mode)!, publication(fates.map((_, i) => `a${i}`)), fates.map(fate))

  it.each([
    ['all', ['completed', 'completed'], 'yes'],
    ['all', ['completed', 'queued'], 'pending'],
    ['all', ['completed', 'silent'], 'pending'],
    ['all', ['completed', 'pending'], 'pending'],
    ['all', ['completed', 'refused'], 'no'],
    ['all', ['queued', 'dead_lettered'], 'no'],
    ['any', ['completed', 'dead_lettered'], 'yes'],
    ['any', ['parked', 'dead_lettered'], 'pending'],
    ['any', ['expired', 'cancelled', 'failed', 'refused', 'forgotten'], 'no'],
    ['quorum:2', ['completed', 'completed', 'dead_lettered'], 'yes'],
    ['quorum:2', ['completed', 'claimed', 'dead_lettered'], 'pending'],
    ['quorum:2', ['completed', 'expired', 'dead_lettered'], 'no'],
    ['quorum:3', ['completed', 'completed'], 'no'],
    ['all', [], 'no'],
    ['any', [], 'no'],
  ] as const)('%s of %j: %s', (mode, fates, expected) => {
    expect(judged(mode, ...fates)).toBe(expected)
  })

  it('is not said of a publication whose legs are only counted', () => {
    expect(satisfied({ kind: 'any' }, opened(planned()), [])).toBeUndefined()
  })

  it('a mode is `all`, `any` or `quorum:<n>`', () => {
    expect([parseAckMode('all'), parseAckMode('any'), parseAckMode('quorum:17')]).toEqual([
      { kind: 'all' },
      { kind: 'any' },
      { kind: 'quorum', count: 17 },
    ])
    for (const no of ['', 'ALL', 'quorum', 'quorum:', 'quorum:0', 'quorum:-1', 'quorum:1.5', 'quorum:01', 'quorum:1e3'])
      expect(parseAckMode(no), no).toBeUndefined()
  })
})
