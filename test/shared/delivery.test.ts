/** A delivery's record: how its story grows and stays bounded, and when it is over. Never here: the mailbox that holds it. */
import { describe, expect, it } from 'vitest'
import {
  type Delivery,
  end,
  endDead,
  hasEnded,
  hasOpenJournal,
  isDeadLetter,
  isLive,
  isUnburied,
  keepsBody,
  readDelivery,
  step,
  withAttempt,
  withStart,
} from '../../shared/delivery.ts'
import { limits } from '../../shared/limits.ts'
import { Box, fail, ok, start } from './mailbox-fixtures.ts'

const fresh = (): Delivery => {
  const box = new Box()
  return box.delivery(box.put('a'))
}
const next = { to: 'bob', type: 'next' }
const journaled = (): Delivery => {
  const box = new Box()
  const id = box.put('a')
  box.run(id, ok('r', { messages: [next] }))
  return box.delivery(id)
}
const closed = (delivery: Delivery): Delivery => {
  const { state } = delivery
  if (state.at !== 'ended' || state.journal === undefined) throw new Error('no journal')
  return { ...delivery, state: { ...state, journal: { ...state.journal, closedAt: start } } }
}
const withState = (delivery: Delivery, more: object): Delivery => ({
  ...delivery,
  state: { ...delivery.state, ...more } as Delivery['state'],
})

const stages: [string, Delivery, { live: boolean; ended: boolean; body: boolean; open: boolean; unburied: boolean }][] =
  [
    ['waits', fresh(), { live: true, ended: false, body: true, open: false, unburied: false }],
    [
      'completed',
      end(fresh(), 'completed', start),
      { live: false, ended: true, body: false, open: false, unburied: false },
    ],
    ['completed, effects open', journaled(), { live: true, ended: true, body: false, open: true, unburied: false }],
    [
      'completed, effects carried',
      closed(journaled()),
      { live: false, ended: true, body: false, open: false, unburied: false },
    ],
    [
      'cancelled',
      end(fresh(), 'cancelled', start),
      { live: false, ended: true, body: false, open: false, unburied: false },
    ],
    ['failed', end(fresh(), 'failed', start), { live: false, ended: true, body: false, open: false, unburied: false }],
    [
      'died',
      endDead(fresh(), 'dead_lettered', 'terminal', start),
      { live: true, ended: true, body: true, open: false, unburied: true },
    ],
    [
      'expired',
      endDead(fresh(), 'expired', 'expired', start),
      { live: true, ended: true, body: true, open: false, unburied: true },
    ],
    [
      'died and buried',
      withState(endDead(fresh(), 'dead_lettered', 'terminal', start), { buried: true }),
      { live: false, ended: true, body: true, open: false, unburied: false },
    ],
    [
      'died and purged',
      withState(endDead(fresh(), 'dead_lettered', 'terminal', start), { buried: true, purged: true }),
      { live: false, ended: true, body: false, open: false, unburied: false },
    ],
  ]

describe('a delivery that', () => {
  it.each(stages)('%s: is live, has ended, keeps its body as it should (M1)', (_, delivery, is) => {
    expect({
      live: isLive(delivery),
      ended: hasEnded(delivery),
      body: keepsBody(delivery),
      open: hasOpenJournal(delivery),
      unburied: isUnburied(delivery),
    }).toEqual(is)
  })

  it('ended badly is a dead letter, one that was cancelled or failed fleetingly is none (T13)', () => {
    expect(stages.filter(([, delivery]) => isDeadLetter(delivery)).map(([name]) => name)).toEqual([
      'died',
      'expired',
      'died and buried',
      'died and purged',
    ])
  })

  it.each(stages)('%s: is read from storage as it was written', (_, delivery) => {
    expect(readDelivery(JSON.stringify(delivery))).toEqual(delivery)
  })

  it('comes from a future or a broken record is not read at all', () => {
    expect(() => readDelivery(JSON.stringify({ ...fresh(), v: 2 }))).toThrow()
    expect(() => readDelivery(JSON.stringify({ ...fresh(), attempt: 'one' }))).toThrow()
    expect(() => readDelivery('{}')).toThrow()
  })
})

describe('an end', () => {
  it('is the last step, with its reason', () => {
    const dead = endDead(fresh(), 'dead_lettered', 'no_handler', start + 1, { code: 'no_handler', message: 'none' })
    expect(dead.steps.at(-1)).toEqual({ step: 'dead_lettered', at: start + 1, detail: 'no_handler' })
    expect(dead.state).toEqual({
      at: 'ended',
      status: 'dead_lettered',
      endedAt: start + 1,
      reason: 'no_handler',
      buried: false,
      error: { code: 'no_handler', message: 'none' },
    })
  })
})

describe('the story', () => {
  it('is bounded: the first step stays, the oldest after it goes, and the record says so', () => {
    let delivery = fresh()
    for (let n = 1; n < limits.stepsPerReceipt; n++) delivery = step(delivery, { step: `s${n}`, at: start + n })
    expect([delivery.steps.length, delivery.truncated]).toEqual([limits.stepsPerReceipt, false])
    delivery = step(delivery, { step: 'last', at: start + 1_000 })
    expect([delivery.steps.length, delivery.truncated]).toEqual([limits.stepsPerReceipt, true])
    expect(delivery.steps.map((s) => s.step).slice(0, 2)).toEqual(['accepted', 's2'])
    expect(delivery.steps.at(-1)?.step).toBe('last')
  })

  it('keeps the newest attempts, and counts those that are gone as well (M4)', () => {
    let delivery = fresh()
    for (let number = 1; number <= limits.attemptsPerReceipt + 3; number++)
      delivery = withAttempt(delivery, {
        number,
        startedAt: start,
        endedAt: start,
        outcome: number % 2 === 0 ? 'hold' : 'retry',
        counted: number % 2 !== 0,
      })
    expect(delivery.attempts).toHaveLength(limits.attemptsPerReceipt)
    expect(delivery.attempts[0]?.number).toBe(4)
    expect(delivery).toMatchObject({ truncated: true, attempt: Math.ceil((limits.attemptsPerReceipt + 3) / 2) })
  })

  it('tells once how a lease began, whoever asks and however often', () => {
    const lease = { at: start + 2, queuedAt: start + 1, phase: 'dispatched' } as const
    const once = withStart(fresh(), lease)
    expect(once.steps.slice(1)).toEqual([
      { step: 'queued', at: start + 1 },
      { step: 'dispatched', at: start + 2, attempt: 1 },
    ])
    expect(withStart(once, { ...lease, phase: 'claimed' })).toEqual(once)
    expect(withStart(once, { at: start + 3, phase: 'claimed' }).steps.at(-1)).toEqual({
      step: 'claimed',
      at: start + 3,
      attempt: 1,
    })
  })

  it('is not written into the record that it was made from: a failed save must find it unchanged', () => {
    const box = new Box()
    const id = box.put('a')
    const before = box.delivery(id)
    const copy = structuredClone(before)
    box.run(id, fail())
    expect(before).toEqual(copy)
  })
})
