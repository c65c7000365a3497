/** Memory's index of what waits (shared/waiting-line.ts), held against a look at all that is live. */
import fc from 'fast-check'
import { describe, expect, it, vi } from 'vitest'
import { type Delivery, hasEnded } from '../../shared/delivery.ts'
import { inLine, isReady, nextInLine, rank, standing } from '../../shared/line.ts'
import { begin, leaseOf, liveOf, releaseOf } from '../../shared/mailbox.ts'
import { WaitingLine } from '../../shared/waiting-line.ts'
import { Box, fail, incoming, iso, minute, ok } from './mailbox-fixtures.ts'

const all = (line: WaitingLine, now = 1_000): string[] =>
  [...line.lanes(now)].flatMap((lane) => [...lane].map((d) => d.id))

/** As it is without an index: all that is live, sorted. */
function naively(box: Box, count: number): string[] {
  const draft = begin(box.mailbox)
  const ready = [...liveOf(draft)].filter((d) => isReady(draft, d, box.now) && releaseOf(draft, d.id) === undefined)
  ready.sort((a, b) => rank(b, box.now) - rank(a, box.now) || inLine(a, b))
  return ready.slice(0, count).map((d) => d.id)
}

/** What has ended and is live still, what is in flight, and what is in line by now. */
function standingNaively(box: Box): string[] {
  const draft = begin(box.mailbox)
  const stands = (d: Delivery) => hasEnded(d) || leaseOf(draft, d.id) !== undefined || d.lineAt <= box.now
  return [...liveOf(draft)].filter(stands).map((d) => d.id)
}

describe('the line of a mailbox', () => {
  it('gives those that a look at all would give, in the same order, whatever happened before (M3)', () => {
    const step = fc.oneof(
      fc.record({
        do: fc.constant('accept' as const),
        priority: fc.integer({ min: 0, max: 9 }),
        n: fc.integer({ min: 1, max: 5 }),
        inMinutes: fc.constantFrom(0, 0, 1, 2, 5),
      }),
      fc.record({
        do: fc.constantFrom('work' as const, 'fail' as const, 'take' as const),
        n: fc.integer({ min: 1, max: 4 }),
      }),
      // The clock may step back.
      fc.record({ do: fc.constant('wait' as const), n: fc.constantFrom(1, 2, 3, -1) }),
    )
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const box = new Box({ policy: { concurrency: 3 } })
        let made = 0
        for (const one of steps) {
          if (one.do === 'accept') {
            const delivertime = iso(box.now + one.inMinutes * minute)
            const options = { priority: one.priority, ...(one.inMinutes === 0 ? {} : { delivertime }) }
            box.accept(Array.from({ length: one.n }, () => incoming(`m${made++}`, options)))
          } else if (one.do === 'wait') box.wait(one.n * minute)
          else
            for (const { delivery } of box.take(box.released().slice(0, one.n)).grants)
              if (one.do !== 'take') box.settle(delivery.id, one.do === 'work' ? ok() : fail())
          const stand = [...standing(begin(box.mailbox), box.now)].map((d) => d.id)
          expect(stand.sort()).toEqual(standingNaively(box).sort())
          for (const count of [1, 3, Number.POSITIVE_INFINITY])
            expect(nextInLine(begin(box.mailbox), count, box.now).map((d) => d.id)).toEqual(naively(box, count))
        }
      }),
      { numRuns: 100 },
    )
  })
})

describe('the index', () => {
  const delivery = (n: number, lineAt = 0): Delivery => {
    const box = new Box({ policy: { concurrency: 1 } })
    box.accept([incoming(`d${n}`)])
    const [made] = box.mailbox.live.values()
    return { ...made!, id: `d${n}`, sequence: n, lineAt, priority: 4 }
  }

  it('forgets those that are gone, wherever they stood, and goes on where a walk met them', () => {
    const live = new Map(Array.from({ length: 400 }, (_, n) => [`d${n}`, delivery(1)] as const))
    for (const [i, id] of [...live.keys()].entries()) live.set(id, { ...delivery(1), id, sequence: i })
    const line = WaitingLine.of({ live })
    for (let i = 1; i < 390; i++) {
      line.note(live.get(`d${i}`), undefined)
      live.delete(`d${i}`)
    }
    const left = ['d0', ...Array.from({ length: 10 }, (_, i) => `d${390 + i}`)]
    expect(all(line)).toEqual(left)
    expect(all(line)).toEqual(left)
  })

  it('does not look at what is not yet due, however much it is', () => {
    const live = new Map<string, Delivery>()
    const line = WaitingLine.of({ live })
    const later = delivery(0, 2_000)
    for (let n = 0; n < 400; n++) {
      const one = n === 399 ? { ...later, id: 'now', lineAt: 999, sequence: n } : { ...later, id: `d${n}`, sequence: n }
      live.set(one.id, one)
      line.note(undefined, one)
    }
    const looked = vi.spyOn(live, 'get')
    expect(all(line, 1_000)).toEqual(['now'])
    expect(looked.mock.calls.length).toBeLessThan(5)
    expect(all(line, 2_000)).toHaveLength(400)
  })

  it('puts what comes late by the time at which it became due', () => {
    const live = new Map<string, Delivery>()
    const line = WaitingLine.of({ live })
    for (const [n, lineAt] of [
      [1, 5],
      [2, 9],
      [3, 7],
      [4, 5],
      [5, 1],
    ] as const) {
      const one = delivery(n, lineAt)
      line.note(undefined, one)
      live.set(one.id, one)
    }
    expect(all(line)).toEqual(['d5', 'd1', 'd4', 'd3', 'd2'])
  })

  it('is made anew for a map that it does not know', () => {
    const live = new Map([['d1', delivery(1)]])
    const line = WaitingLine.of({ live })
    expect(WaitingLine.of({ live, line })).toBe(line)
    live.set('d2', delivery(2))
    expect(all(WaitingLine.of({ live, line }))).toEqual(['d1', 'd2'])
    expect(WaitingLine.of({ live: new Map(live), line })).not.toBe(line)
  })

  it('may be walked by one while another sweeps it, and gives each once', () => {
    const live = new Map(Array.from({ length: 400 }, (_, n) => [`d${n}`, { ...delivery(1), id: `d${n}`, sequence: n }]))
    const line = WaitingLine.of({ live })
    const [outer] = line.lanes(0)
    const seen: string[] = []
    for (const { id } of outer ?? []) {
      seen.push(id)
      if (id !== 'd300') continue
      for (let n = 1; n < 290; n++) {
        line.note(live.get(`d${n}`), undefined)
        live.delete(`d${n}`)
      }
      expect(all(line)).toHaveLength(111)
    }
    expect(seen).toEqual(Array.from({ length: 400 }, (_, n) => `d${n}`))
  })
})
