/** A gather: what opens it, what resolves it, and that it does so exactly once (G1), for one leg and for many. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type Arrival, arrive } from '../../shared/arrival.ts'
import {
  cancelGather,
  elapse,
  type Gather,
  type GatherOpening,
  gatherId,
  gatherKeptMs,
  isGatherId,
  openGather,
  progressGather,
  readGather,
} from '../../shared/gather.ts'
import { gatherDueAt, needless, unsent } from '../../shared/gather-work.ts'
import { type Join, verdictOf } from '../../shared/join.ts'
import type { LegFailure } from '../../shared/leg-failure.ts'
import { limits } from '../../shared/limits.ts'

const start = Date.UTC(2026, 0, 1)
const id = gatherId('asker', undefined, 'dice')

function opening(more: Partial<GatherOpening> = {}): GatherOpening {
  return {
    id,
    owner: 'asker',
    contentHash: 'hash',
    head: {
      specversion: '1.0',
      id: `${id}-1`,
      source: 'asker',
      type: 'ask',
      time: '',
      correlationid: id,
    } as Gather['head'],
    hops: 0,
    join: { kind: 'all' },
    onTimeout: { kind: 'error' },
    timeoutMs: 30_000,
    path: [],
    agents: ['writer'],
    ...more,
  }
}

const opened = (more: Partial<GatherOpening> = {}) => openGather(undefined, opening(more), start).gather

/** A reply to the n-th message that the gather sent, as the broker carries it. */
const reply = (n: number, key = `reply-${n}`, by = 'writer'): Arrival => ({
  by,
  key,
  of: { id: `${id}-${n}`, source: 'asker' },
})
const death = (n: number, why: LegFailure['why'] = 'ended'): Arrival => ({
  ...reply(n, `death-${n}`),
  failure: { why, agent: 'writer', status: 'dead_lettered', reason: 'terminal' },
})

describe('a gather', () => {
  it('has an id of 130 bits that chance or the asker’s key gives, and that another asker’s key does not', () => {
    expect(isGatherId(id)).toBe(true)
    expect(gatherId('asker', 'k', 'x')).toBe(gatherId('asker', 'k', 'y'))
    expect(gatherId('asker', 'k', 'x')).not.toBe(gatherId('other', 'k', 'x'))
    expect(gatherId('asker', undefined, 'x')).not.toBe(gatherId('asker', undefined, 'y'))
    expect(gatherId('asker', undefined, 'k')).not.toBe(gatherId('asker', 'k', 'k'))
  })

  it('knows before anything is accepted whom it asks, under which message and in which delivery', () => {
    const [send] = unsent(opened())
    expect(send).toMatchObject({
      id: `${id}-1`,
      agent: 'writer',
      accepted: false,
      delivery: expect.stringMatching(/^writer_/),
    })
    expect(readGather(JSON.stringify(opened()))).toEqual(opened())
  })

  it('the first reply counts and resolves it; another is a duplicate, its repeat gets the same answer', () => {
    const [replied, standing] = arrive(opened(), reply(1), start + 5)
    expect([standing, replied.outcome]).toEqual(['counted', { status: 'replied', at: start + 5 }])
    expect(replied.told).toBe(true)
    const [again, repeated] = arrive(replied, reply(1), start + 6)
    expect([again === replied, repeated]).toEqual([true, 'counted'])
    const [more, second] = arrive(replied, reply(1, 'another'), start + 7)
    expect([second, more.outcome]).toEqual(['duplicate', replied.outcome])
  })

  it('a stranger is heard neither by hand nor with the broker’s word for another’s message', () => {
    const strangers: Arrival[] = [
      { by: 'mallory', key: 'm' },
      { by: 'mallory', key: 'm', causationid: `${id}-1` },
      { by: 'writer', key: 'm', of: { id: 'another', source: 'asker' } },
      { by: 'writer', key: 'm', of: { id: `${id}-1`, source: 'mallory' } },
    ]
    for (const one of strangers) {
      const gather = opened()
      expect(arrive(gather, one, start)).toEqual([gather, 'stranger'])
    }
    expect(arrive(opened(), { by: 'writer', key: 'by-hand' }, start)[1]).toBe('counted')
    // Whoever has its delivery by now: it was moved to another mailbox.
    expect(arrive(opened(), reply(1, 'moved', 'successor'), start)[1]).toBe('counted')
  })

  it('a leg that died has failed at once; of an older asking that says nothing', () => {
    const [failed] = arrive(opened(), death(1), start + 5)
    expect(failed.outcome).toMatchObject({ status: 'failed', failure: { why: 'ended', reason: 'terminal' } })
    const asked = elapse(opened({ onTimeout: { kind: 'retry', times: 1 } }), start + 30_000)
    expect(asked).toMatchObject({ rounds: 1, sent: 2, deadlineAt: start + 60_000 })
    expect(needless(asked).map((s) => s.delivery)).toEqual([asked.legs[0]?.sends[0]?.delivery])
    expect(arrive(asked, death(1), start + 30_001)[0]).toBe(asked)
    expect(arrive(asked, death(2), start + 30_001)[0].outcome?.status).toBe('failed')
    expect(arrive(asked, reply(1), start + 30_001)[0].outcome?.status).toBe('replied')
  })

  it('at the deadline it asks again as often as was said, then takes the default, or is timed out', () => {
    expect(elapse(opened(), start + 29_999).outcome).toBeUndefined()
    expect(elapse(opened(), start + 30_000)).toMatchObject({ outcome: { status: 'timed_out' }, told: false })
    const fallback = elapse(opened({ onTimeout: { kind: 'default', data: 1 } }), start + 30_000)
    expect(fallback).toMatchObject({ outcome: { status: 'replied', fallback: true }, told: false })
    let twice = opened({ onTimeout: { kind: 'retry', times: 2 } })
    for (const at of [30, 60]) twice = elapse(twice, start + at * 1_000)
    expect([twice.outcome, twice.rounds]).toEqual([undefined, 2])
    expect(elapse(twice, start + 90_000).outcome?.status).toBe('timed_out')
  })

  it('one that nobody got gives its key back; any other is found again, and other content is a conflict', () => {
    const refused = progressGather(
      opened(),
      { refused: [{ id: `${id}-1`, failure: { why: 'agent_not_found', agent: 'writer' } }] },
      start + 1,
    )
    expect(refused.outcome?.status).toBe('failed')
    expect(openGather(refused, opening(), start + 2)).toMatchObject({
      status: 'opened',
      gather: { openedAt: start + 2 },
    })
    const dead = arrive(opened(), death(1), start + 1)[0]
    expect(openGather(dead, opening(), start + 2).status).toBe('duplicate')
    // Somebody has still to be told of it, or to be called back.
    expect(openGather({ ...refused, told: false }, opening(), start + 2).status).toBe('duplicate')
    const twice = elapse(opened({ onTimeout: { kind: 'retry', times: 1 } }), start + 30_000)
    const failure = { why: 'backpressure', agent: 'writer' } as const
    const full = progressGather(twice, { refused: [{ id: `${id}-2`, failure }] }, start + 30_001)
    expect([full.outcome?.failure, openGather(full, opening(), start + 30_002).status]).toEqual([failure, 'duplicate'])
    expect(openGather(opened(), opening({ contentHash: 'other' }), start + 2).status).toBe('conflict')
  })

  it('G1: opened anew under its key, takes no word about what it sent before for one about what it sends now', () => {
    const failure = { why: 'backpressure', agent: 'writer' } as const
    const refused = progressGather(opened(), { refused: [{ id: `${id}-1`, failure }] }, start + 1)
    const { gather } = openGather(refused, opening(), start + 2)
    expect(unsent(gather).map((s) => s.id)).toEqual([`${id}-2`])
    const byHand = { by: 'writer', key: 'by-hand', causationid: `${id}-1` }
    for (const late of [reply(1), death(1), byHand]) expect(arrive(gather, late, start + 3)).toEqual([gather, 'late'])
    expect(progressGather(gather, { told: true, accepted: [`${id}-1`] }, start + 3)).toBe(gather)
    for (const stranger of [
      reply(3),
      { ...byHand, by: 'mallory' },
      { ...reply(1), of: { id: `${id}-1`, source: 'x' } },
    ])
      expect(arrive(gather, stranger, start + 3)).toEqual([gather, 'stranger'])
    expect(arrive(gather, reply(2), start + 3)[1]).toBe('counted')
    expect(arrive(gather, { ...byHand, causationid: `${id}-2` }, start + 3)[1]).toBe('counted')
  })

  it('is looked at while something is to be done, at its deadline, and when it may be forgotten (M6)', () => {
    const gather = opened()
    expect(gatherDueAt(gather, start)).toBe(start + 5_000)
    const accepted = progressGather(gather, { accepted: [`${id}-1`] }, start + 1)
    expect(gatherDueAt(accepted, start + 1)).toBe(start + 30_000)
    expect(progressGather(accepted, { accepted: [`${id}-1`] }, start + 2)).toBe(accepted)
    const timedOut = elapse(accepted, start + 30_000)
    expect(gatherDueAt(timedOut, start + 30_000)).toBe(start + 45_000)
    const told = progressGather(timedOut, { told: true }, start + 31_000)
    expect(gatherDueAt(told, start + 31_000)).toBe(start + 30_000 + gatherKeptMs)
    expect(needless(cancelGather(accepted, start + 2))).toHaveLength(1)
  })

  it('keeps so many replies that did not count, and counts the others', () => {
    let gather = arrive(opened(), reply(1), start)[0]
    for (let i = 0; i < limits.lateReplies + 5; i++) gather = arrive(gather, reply(1, `more-${i}`), start)[0]
    expect([gather.arrivals.length, gather.unkept]).toEqual([1 + limits.lateReplies, 5])
  })
})

describe('a join', () => {
  it('is over when what was asked for has come, or can no longer come', () => {
    const cases: [Join, [number, number, number], string][] = [
      [{ kind: 'all' }, [3, 2, 0], 'open'],
      [{ kind: 'all' }, [3, 3, 0], 'replied'],
      [{ kind: 'all' }, [3, 0, 1], 'failed'],
      [{ kind: 'any' }, [3, 1, 0], 'replied'],
      [{ kind: 'any' }, [3, 0, 2], 'open'],
      [{ kind: 'any' }, [3, 0, 3], 'failed'],
      [{ kind: 'quorum', count: 2 }, [3, 2, 0], 'replied'],
      [{ kind: 'quorum', count: 2 }, [3, 1, 1], 'open'],
      [{ kind: 'quorum', count: 2 }, [3, 1, 2], 'failed'],
      [{ kind: 'settled' }, [3, 1, 1], 'open'],
      [{ kind: 'settled' }, [3, 1, 2], 'replied'],
      [{ kind: 'settled' }, [3, 0, 3], 'failed'],
    ]
    for (const [join, [legs, replied, failed], verdict] of cases)
      expect([join.kind, legs, replied, failed, verdictOf(join, { legs, replied, failed })]).toEqual([
        join.kind,
        legs,
        replied,
        failed,
        verdict,
      ])
  })
})

type Happening = (gather: Gather, now: number) => Gather

const happening = fc.oneof(
  fc.tuple(fc.integer({ min: 1, max: 9 }), fc.constantFrom('a', 'b')).map(
    ([n, key]): Happening =>
      (gather, now) =>
        arrive(gather, reply(n, `${key}-${n}`), now)[0],
  ),
  fc.integer({ min: 1, max: 9 }).map(
    (n): Happening =>
      (gather, now) =>
        arrive(gather, death(n), now)[0],
  ),
  fc.integer({ min: 1, max: 9 }).map(
    (n): Happening =>
      (gather, now) =>
        progressGather(gather, { accepted: [`${id}-${n}`] }, now),
  ),
  fc.constant<Happening>((gather) => gather),
  fc.constant<Happening>((gather, now) => cancelGather(gather, now)),
)

const joins = fc.constantFrom<Join>(
  { kind: 'all' },
  { kind: 'any' },
  { kind: 'quorum', count: 2 },
  { kind: 'settled' },
  { kind: 'all', tolerated: 1 },
)
const timeouts = fc.constantFrom<Gather['onTimeout']>(
  { kind: 'error' },
  { kind: 'retry', times: 2 },
  { kind: 'default', data: null },
)

describe('whatever happens, in whatever order', () => {
  it('G1: it resolves exactly once, by its deadlines at the latest, and no reply that it was told of is forgotten', () => {
    fc.assert(
      fc.property(
        joins,
        timeouts,
        fc.integer({ min: 1, max: 4 }),
        fc.array(fc.tuple(happening, fc.integer({ min: 0, max: 20_000 })), { maxLength: 40 }),
        (join, onTimeout, count, story) => {
          const agents = Array.from({ length: count }, (_, i) => `agent-${i}`)
          let gather = openGather(undefined, opening({ join, onTimeout, agents }), start).gather
          let now = start
          let outcome: Gather['outcome']
          for (const [happen, ms] of story) {
            now += ms
            const before = gather
            gather = happen(elapse(gather, now), now)
            if (outcome !== undefined) expect(gather.outcome).toEqual(outcome)
            outcome ??= gather.outcome
            expect(gather.arrivals.slice(0, before.arrivals.length)).toEqual(before.arrivals)
            const firsts = gather.arrivals.filter((a) => a.standing === 'counted').map((a) => a.leg)
            expect(new Set(firsts).size).toBe(firsts.length)
            if (gather.outcome === undefined || !gather.told) expect(gatherDueAt(gather, now)).toBeGreaterThan(now)
            expect(readGather(JSON.stringify(gather))).toEqual(gather)
          }
          for (let i = 0; i < 3; i++) gather = elapse(gather, now + 30_000 * (i + 1))
          expect(gather.outcome).toBeDefined()
        },
      ),
      { numRuns: 500 },
    )
  })
})
