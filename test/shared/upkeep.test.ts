/** What moves a delivery besides its attempts: time, people, and the news that effects were carried. Never here: attempts. */
import { describe, expect, it } from 'vitest'
import type { EffectStatus } from '../../shared/effects.ts'
import { extend } from '../../shared/extend.ts'
import { figuresOf } from '../../shared/figures.ts'
import { deadLetterId } from '../../shared/ids.ts'
import type { ProgressInput } from '../../shared/lease.ts'
import { limits } from '../../shared/limits.ts'
import { abandon, buried, cancel, choreRetryMs, pause, purge, resume } from '../../shared/upkeep.ts'
import { Box, day, fail, hold, hour, incoming, iso, minute, ok, retry, second, start } from './mailbox-fixtures.ts'

const next = { to: 'bob', type: 'next', data: 1 }
const carriedTo = (delivery: string): EffectStatus => ({ status: 'carried', deliveries: [delivery] })
const refusedAs = (reason: string): EffectStatus => ({ status: 'refused', reason, detail: reason })

const cancelOf = (box: Box, id: string) => box.step((draft, now) => cancel(draft, id, box.stored, now))
const bury = (box: Box, ...ids: string[]) => box.step((draft) => buried(draft, ids))
const purgeOf = (box: Box, id: string) => box.step((draft) => purge(draft, id, box.stored))
const extendOf = (box: Box, id: string, ms: number, token = box.leaseOf(id)?.token ?? '') =>
  box.step((draft, now) => extend(draft, id, token, ms, now))

/** A dead one. */
function dead(options: ConstructorParameters<typeof Box>[0] = {}) {
  const box = new Box(options)
  const id = box.put('a')
  box.run(id, fail())
  return { box, id }
}

/** One that completed with `count` effects to carry. */
function journaled(count = 2) {
  const box = new Box()
  const id = box.put('a')
  box.run(id, ok('result', { messages: Array.from({ length: count }, () => next) }))
  const journal = () => {
    const { state } = box.delivery(id)
    return state.at === 'ended' ? state.journal : undefined
  }
  return { box, id, journal }
}

describe('expiry', () => {
  it('ends a message that waits, at its time and by the alarm alone (M6, TB4)', () => {
    const box = new Box({ policy: { concurrency: 1 } })
    box.put('running')
    box.take()
    const id = box.put('a', { expirytime: iso(start + second) })
    expect(box.due()).toBe(start + second)
    box.tick(start + second)
    expect(box.delivery(id).state).toMatchObject({ status: 'expired', reason: 'expired', buried: false })
    expect(box.receipt(id).deadLetter).toEqual({ id, reason: 'expired' })
  })

  it('ends one that was released and not taken, and gives its place back', () => {
    const box = new Box({ policy: { concurrency: 1 } })
    box.put('a', { expirytime: iso(start + second) })
    const b = box.put('b')
    box.tick(start + second)
    expect(box.released()).toEqual([b])
  })

  it('lets one in flight finish', () => {
    const box = new Box()
    const id = box.put('a', { expirytime: iso(start + second) })
    box.take()
    box.tick(start + second)
    expect(box.receipt(id).status).toBe('dispatched')
    box.settle(id, ok())
    expect(box.receipt(id).status).toBe('completed')
  })

  it('ends one that comes back from its flight held and expired', () => {
    const box = new Box()
    const id = box.put('a', { expirytime: iso(start + second) })
    box.take()
    box.wait(minute)
    box.settle(id, hold(hour))
    box.tick(box.due())
    expect(box.delivery(id).state).toMatchObject({ status: 'expired', endedAt: start + minute })
  })

  it('ends parked mail too', () => {
    const box = new Box()
    const id = box.put('a', { expirytime: iso(start + second) })
    box.step((draft, now) => pause(draft, 'maintenance', undefined, now))
    box.tick(box.due())
    expect([box.receipt(id).status, box.now]).toEqual(['expired', start + second])
  })
})

describe('E1: news of effects', () => {
  it('closes the journal when each has ended, and then nothing is left to wake for', () => {
    const { box, id, journal } = journaled()
    box.wait(second)
    box.carried(id, [{ n: 1, state: carriedTo('bob_x') }])
    expect(journal()).not.toHaveProperty('closedAt')
    expect(box.mailbox.live.has(id)).toBe(true)
    box.carried(id, [{ n: 2, state: refusedAs('agent_not_found') }])
    expect(journal()).toMatchObject({ closedAt: start + second })
    expect([box.mailbox.live.size, box.due()]).toEqual([0, undefined])
    expect(box.receipt(id).steps.at(-1)).toMatchObject({ step: 'effects', detail: '1 carried, 1 refused' })
  })

  it('puts a refusal on the receipt, with its reason', () => {
    const { box, id } = journaled(1)
    box.carried(id, [{ n: 1, state: refusedAs('hop_limit') }])
    expect(box.receipt(id).effects).toMatchObject([{ n: 1, state: { status: 'refused', reason: 'hop_limit' } }])
  })

  it('is believed once: what was carried or refused stays so', () => {
    const { box, id, journal } = journaled()
    box.carried(id, [{ n: 1, state: carriedTo('bob_x') }])
    box.carried(id, [{ n: 1, state: refusedAs('late') }])
    expect(journal()?.effects[0]?.state).toEqual(carriedTo('bob_x'))
    box.carried(id, [{ n: 2, state: refusedAs('forbidden') }])
    box.carried(id, [{ n: 2, state: carriedTo('bob_y') }])
    expect(journal()?.effects[1]?.state).toEqual(refusedAs('forbidden'))
  })

  it('that says nothing closes a journal whose effects were all refused when it was written', () => {
    const box = new Box()
    const id = box.put('a')
    box.run(id, ok(undefined, { reply: { data: 1 } }))
    box.carried(id, [])
    expect(box.mailbox.live.has(id)).toBe(false)
  })

  it('about effects that do not exist, or of a delivery without any, changes nothing', () => {
    const { box, id } = journaled(1)
    box.carried(id, [{ n: 9, state: carriedTo('bob_x') }])
    expect(box.mailbox.live.has(id)).toBe(true)
    const waiting = box.put('b')
    const before = box.delivery(waiting)
    box.carried(waiting, [{ n: 1, state: carriedTo('bob_x') }])
    box.carried('ada_x', [{ n: 1, state: carriedTo('bob_x') }])
    expect(box.delivery(waiting)).toEqual(before)
  })
})

describe('a chore', () => {
  it.each([
    ['effects', () => journaled()],
    ['a burial', dead],
  ])('of %s that nobody finished is asked for again, after 5 s, doubling to 5 min (M6)', (_, make) => {
    const { box, id } = make()
    const pauses: number[] = []
    for (let tries = 0; tries < 8; tries++) {
      const due = box.due() ?? Number.NaN
      pauses.push((due - box.now) / second)
      expect(box.tick(due)).toEqual({ chores: [id], verify: false })
      expect(box.tick()).toEqual({ chores: [], verify: false })
    }
    expect(pauses).toEqual([0, 5, 10, 20, 40, 80, 160, 300])
    expect(choreRetryMs(1_000)).toBe(5 * minute)
  })

  it('is over when it is done', () => {
    const { box, id } = dead()
    box.tick()
    bury(box, id)
    expect([box.due(), box.mailbox.chores.size, box.mailbox.live.size]).toEqual([undefined, 0, 0])
  })

  it('outlives the agent: its burials still have to be finished', () => {
    const { box, id } = dead()
    box.step((draft, now) => {
      abandon(draft, now)
      draft.agent = null
    })
    expect(box.tick(box.due())).toEqual({ chores: [id], verify: false })
  })
})

describe('a burial', () => {
  it('keeps the dead letter live until the index has it (M1)', () => {
    const { box, id } = dead()
    expect([box.mailbox.live.has(id), box.mailbox.depth]).toEqual([true, 0])
    bury(box, id)
    expect(box.mailbox.live.has(id)).toBe(false)
    expect(box.delivery(id).state).toMatchObject({ status: 'dead_lettered', buried: true })
  })

  it('reported twice, or of what is not dead, changes nothing', () => {
    const { box, id } = dead()
    const alive = box.put('b')
    bury(box, id, id, alive, 'ada_x')
    const before = [box.delivery(id), box.delivery(alive)]
    bury(box, id, alive)
    expect([box.delivery(id), box.delivery(alive)]).toEqual(before)
    expect(box.delivery(alive).state).toEqual({ at: 'waiting' })
  })

  it('that arrives after a redrive does not bury the new life', () => {
    const { box, id } = dead()
    box.redrive(id)
    bury(box, id)
    expect(box.delivery(id).state).toEqual({ at: 'waiting' })
  })
})

describe('cancel', () => {
  it('ends what waits, at once and for good', () => {
    const box = new Box()
    const id = box.put('a')
    expect(cancelOf(box, id)).toEqual({ status: 'cancelled' })
    expect(box.receipt(id).status).toBe('cancelled')
    expect([box.mailbox.live.size, box.mailbox.depth, box.released()]).toEqual([0, 0, []])
  })

  it('is no dead letter: nobody has to bury it', () => {
    const box = new Box()
    const id = box.put('a')
    cancelOf(box, id)
    expect(box.receipt(id)).not.toHaveProperty('deadLetter')
    expect(box.redrive(id)).toEqual({ status: 'not_redrivable', ended: 'cancelled' })
  })

  it('ends what is in flight, and gives the place back (M5)', () => {
    const box = new Box({ policy: { concurrency: 1 } })
    const [a, b] = [box.put('a'), box.put('b')]
    box.take()
    cancelOf(box, a)
    expect([box.mailbox.leases.size, box.released()]).toEqual([0, [b]])
  })

  it('said twice is the same cancel', () => {
    const box = new Box()
    const id = box.put('a')
    expect([cancelOf(box, id), cancelOf(box, id)]).toEqual([{ status: 'cancelled' }, { status: 'cancelled' }])
    expect(box.delivery(id).steps).toHaveLength(2)
  })

  it('M2: after completion is refused, and the result and its effects stay', () => {
    const { box, id, journal } = journaled()
    const before = box.delivery(id)
    expect(cancelOf(box, id)).toEqual({ status: 'already_settled', ended: 'completed' })
    expect(box.delivery(id)).toEqual(before)
    expect(journal()?.effects).toHaveLength(2)
  })

  it('of something unknown is told so', () => {
    expect(cancelOf(new Box(), 'ada_x')).toEqual({ status: 'unknown' })
  })
})

describe('redrive', () => {
  it('gives the same message a new life, with attempts afresh and its history kept', () => {
    const box = new Box({ policy: { maxAttempts: 1 } })
    const id = box.put('a')
    box.run(id, retry())
    expect(box.redrive(id)).toEqual({ status: 'redriven' })
    expect(box.delivery(id)).toMatchObject({
      attempt: 0,
      redrives: 1,
      suspect: false,
      sequence: 2,
      attempts: [{ outcome: 'retry' }],
    })
    expect(box.released()).toEqual([id])
    box.run(id, ok('at last'))
    expect(box.receipt(id)).toMatchObject({ status: 'completed', result: 'at last', redrives: 1 })
  })

  it('works on one that is buried and no longer live', () => {
    const { box, id } = dead()
    bury(box, id)
    expect(box.redrive(id)).toEqual({ status: 'redriven' })
    expect([box.mailbox.live.has(id), box.mailbox.depth]).toEqual([true, 1])
  })

  it('takes away the expiry that killed it', () => {
    const box = new Box()
    const id = box.put('a', { expirytime: iso(start + second) })
    box.tick(start + second)
    box.redrive(id)
    box.tick(start + hour)
    expect(box.receipt(id).status).toBe('queued')
  })

  it('repeated by the same call is the same life; another call finds it alive', () => {
    const { box, id } = dead()
    expect([box.redrive(id, 'call'), box.redrive(id, 'call')]).toEqual([{ status: 'redriven' }, { status: 'redriven' }])
    expect(box.delivery(id).redrives).toBe(1)
    expect(box.redrive(id, 'another')).toEqual({ status: 'not_redrivable', ended: 'still alive' })
  })

  it('may use the reserved tenth, and not more than the depth (M5)', () => {
    const { box, id } = dead({ policy: { depth: 10 } })
    for (let i = 0; i < 9; i++) box.put(`m${i}`)
    expect(box.redrive(id)).toEqual({ status: 'redriven' })
    expect(box.mailbox.depth).toBe(10)
    const full = dead({ policy: { depth: 1 } })
    full.box.put('b')
    expect(full.box.redrive(full.id)).toEqual({ status: 'full', depth: 1, max: 1 })
  })

  it('names its deaths apart', () => {
    const { box, id } = dead()
    box.redrive(id)
    box.run(id, fail())
    expect(box.receipt(id).deadLetter).toEqual({ id: deadLetterId(id, 1), reason: 'terminal' })
    expect(deadLetterId(id, 1)).not.toBe(id)
  })

  it('fences off the leases of the life before', () => {
    const box = new Box()
    const id = box.put('a')
    box.take()
    const token = box.leaseOf(id)?.token ?? ''
    box.settle(id, fail())
    box.redrive(id)
    expect(box.settle(id, ok('late'), { token, external: true })).toMatchObject({ status: 'stale' })
    box.take()
    expect(box.leaseOf(id)?.number).toBe(2)
  })

  it('is refused to what completed, and to another incarnation’s mail', () => {
    const { box, id } = journaled()
    expect(box.redrive(id)).toEqual({ status: 'not_redrivable', ended: 'completed' })
    const other = dead()
    other.box.step((draft) => {
      draft.agent = { ...other.box.mailbox.agent!, incarnation: 'second' }
    })
    expect(other.box.redrive(other.id)).toEqual({ status: 'not_redrivable', ended: 'dead_lettered' })
    expect(new Box().redrive('ada_x')).toEqual({ status: 'unknown' })
    expect(new Box(null).redrive('ada_x')).toEqual({ status: 'unknown' })
  })
})

describe('purge', () => {
  it('forgets a dead letter for good: it cannot be redriven, and its key stays remembered under exactly_once (T17)', () => {
    const box = new Box()
    const id = box.put('a', { deliverymode: 'exactly_once' })
    box.run(id, fail())
    expect(purgeOf(box, id)).toBe(true)
    expect(box.mailbox.live.has(id)).toBe(false)
    expect(box.redrive(id)).toEqual({ status: 'not_redrivable', ended: 'dead_lettered' })
    expect(box.accept([incoming('a')])).toEqual([{ status: 'duplicate', id }])
  })

  it('is refused to what is no dead letter', () => {
    const { box, id } = journaled()
    expect([purgeOf(box, id), purgeOf(box, box.put('b')), purgeOf(box, 'ada_x')]).toEqual([false, false, false])
    expect(box.mailbox.live.has(id)).toBe(true)
  })
})

describe('extend', () => {
  const flying = () => {
    const box = new Box()
    const id = box.put('a')
    box.take()
    return { box, id }
  }

  it('moves the deadline to that long from now, and makes the lease claimed', () => {
    const { box, id } = flying()
    box.wait(10 * second)
    expect(extendOf(box, id, minute)).toEqual({ status: 'extended', deadlineAt: start + 70 * second })
    expect(box.leaseOf(id)).toMatchObject({ phase: 'claimed', saved: true })
    expect([box.receipt(id).status, box.due()]).toEqual(['claimed', start + 70 * second])
  })

  it('lasts a day in all, however often (TC7)', () => {
    const { box, id } = flying()
    box.wait(30 * second)
    expect(extendOf(box, id, limits.claimSeconds * 1_000)).toEqual({ status: 'extended', deadlineAt: start + day })
    box.wait(23 * hour)
    expect(extendOf(box, id, 2 * hour)).toEqual({ status: 'extended', deadlineAt: start + day })
  })

  it('is refused to a foreign token, an ended lease and an unknown delivery', () => {
    const { box, id } = flying()
    const token = box.leaseOf(id)?.token
    expect(extendOf(box, id, hour, 'foreign')).toEqual({ status: 'stale' })
    expect(extendOf(box, 'ada_x', hour)).toEqual({ status: 'stale' })
    box.tick(box.leaseOf(id)?.deadlineAt)
    expect(extendOf(box, id, hour, token)).toEqual({ status: 'stale' })
  })

  it('that makes a lease claimed is told once, where it happened, though only the lease is written', () => {
    const { box, id } = flying()
    const row = box.delivery(id)
    box.wait(second)
    extendOf(box, id, hour)
    box.wait(second)
    extendOf(box, id, hour)
    expect(box.delivery(id)).toBe(row)
    const claimed = { step: 'claimed', at: iso(start + second), attempt: 1 }
    expect(box.receipt(id).steps.slice(-2)).toEqual([{ step: 'dispatched', at: iso(start), attempt: 1 }, claimed])
    box.settle(id, ok())
    expect(box.receipt(id).steps.filter((s) => s.step === 'claimed')).toEqual([claimed])
  })

  it('keeps the latest progress on the receipt, until the lease ends: the next begins from nothing', () => {
    const { box, id } = flying()
    const say = (progress?: ProgressInput, token = box.leaseOf(id)?.token ?? '') =>
      box.step((draft, now) => extend(draft, id, token, hour, now, progress))
    say({ percent: 10, note: 'reading' })
    box.wait(second)
    say({ percent: 40 })
    say({ percent: 99 }, 'foreign')
    say()
    expect(box.receipt(id).progress).toEqual({ percent: 40, at: iso(start + second) })
    box.settle(id, retry({ delayMs: 0 }))
    box.take([id])
    expect([box.receipt(id).status, box.receipt(id).progress]).toEqual(['dispatched', undefined])
  })

  it('keeps the lease through the deadline it had before (M4)', () => {
    const { box, id } = flying()
    extendOf(box, id, hour)
    box.tick(start + 40 * second)
    expect(box.receipt(id).status).toBe('claimed')
  })
})

describe('pause and resume', () => {
  it('leave what is in flight alone', () => {
    const box = new Box()
    const id = box.put('a')
    box.take()
    box.step((draft, now) => pause(draft, 'maintenance', undefined, now))
    box.settle(id, ok())
    expect(box.receipt(id).status).toBe('completed')
  })

  it('a resume lifts a hold too: who says resume means now', () => {
    const box = new Box({ policy: { concurrency: 1 } })
    const [a, b] = [box.put('a'), box.put('b')]
    box.run(a, hold(hour))
    box.step(resume)
    expect(box.mailbox.agent).not.toHaveProperty('heldUntil')
    // The one that was answered 429 waits no longer than the others, in its place in line and at no attempt (M4).
    expect(box.released()).toEqual([a])
    box.run(a, ok())
    expect(box.receipt(a)).toMatchObject({ status: 'completed', attempt: 1 })
    expect(box.released()).toEqual([b])
  })

  it('a resume does NOT cut the pause of a retry short (because that is the delivery’s own)', () => {
    const box = new Box()
    const [held, failed] = [box.put('a'), box.put('b')]
    box.run(failed, retry({ delayMs: hour }))
    box.run(held, hold(hour))
    box.step(resume)
    expect(box.released()).toEqual([held])
    expect(box.delivery(failed).dueAt).toBe(start + hour)
  })

  it('say nothing to a mailbox without an agent', () => {
    const box = new Box(null)
    box.step((draft, now) => pause(draft, 'maintenance', undefined, now))
    box.step(resume)
    expect(box.mailbox.agent).toBeUndefined()
  })
})

describe('the challenge', () => {
  it('is due an hour after registration, and every hour until it is answered (M6)', () => {
    const box = new Box({ trusted: false })
    expect(box.due()).toBe(start + hour)
    expect(box.tick(start + hour)).toEqual({ chores: [], verify: true })
    expect(box.tick()).toEqual({ chores: [], verify: false })
    expect(box.due()).toBe(start + 2 * hour)
  })
})

describe('abandon', () => {
  it('M1: nothing of a deleted agent’s mail vanishes: it dies as agent_deleted, and is buried', () => {
    const box = new Box({ policy: { concurrency: 1 } })
    const [flying, waiting] = [box.put('a'), box.put('b')]
    box.take()
    box.step((draft, now) => {
      abandon(draft, now)
      draft.agent = null
    })
    for (const id of [flying, waiting])
      expect(box.delivery(id).state).toMatchObject({ status: 'dead_lettered', reason: 'agent_deleted', buried: false })
    expect([box.mailbox.leases.size, box.released(), box.mailbox.depth]).toEqual([0, [], 0])
    expect([...box.tick(box.due()).chores].sort()).toEqual([flying, waiting].sort())
  })

  it('leaves alone what had ended (M2)', () => {
    const { box, id } = journaled()
    const before = box.delivery(id)
    box.step((draft, now) => abandon(draft, now))
    expect(box.delivery(id)).toEqual(before)
  })
})

describe('figures', () => {
  it('say how much there is, how old, what is in flight and when something is due (A94)', () => {
    const box = new Box({ policy: { concurrency: 2 } })
    box.put('a')
    box.take()
    box.wait(second)
    for (const id of ['b', 'c']) box.put(id)
    expect(figuresOf(box.mailbox, box.now)).toMatchObject({
      depth: 3,
      states: { held: 1, parked: 0, queued: 1, dispatched: 1, delivered: 0, claimed: 0 },
      inFlight: 1,
      released: 1,
      oldestAt: start,
      nextDueAt: start + 5 * second,
    })
    box.step((draft, now) => pause(draft, 'maintenance', undefined, now))
    expect(figuresOf(box.mailbox, box.now)).toMatchObject({
      parked: 'paused: maintenance',
      released: 0,
      states: { held: 0, parked: 2, queued: 0, dispatched: 1 },
    })
  })

  it('say how many are tried once more: with more than one attempt, and not for a mere hold (A94)', () => {
    const box = new Box({ policy: { concurrency: 3 } })
    const [a, b] = [box.put('a'), box.put('b')]
    const redelivered = () => figuresOf(box.mailbox, box.now).redelivered
    box.take()
    expect(redelivered()).toBe(0)
    box.settle(a, retry())
    expect(redelivered()).toBe(0)
    box.tick(box.now + second)
    box.take()
    expect(redelivered()).toBe(1)
    box.settle(a, retry())
    expect(redelivered()).toBe(1)
    box.tick(box.now + 2 * second)
    box.run(a, ok())
    expect(redelivered()).toBe(0)
    box.settle(b, hold(second))
    box.tick(box.now + second)
    box.take([b])
    expect([box.leaseOf(b) === undefined, redelivered()]).toEqual([false, 0])
  })

  it('of an empty mailbox are zero', () => {
    expect(figuresOf(new Box(null).mailbox, start)).toMatchObject({ depth: 0, inFlight: 0, released: 0 })
  })
})
