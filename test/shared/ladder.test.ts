/** The receipt ladder: what counts as having come how far. Never here: how receipts come about (test/shared/receipt.test.ts). */
import { describe, expect, it } from 'vitest'
import { extend } from '../../shared/extend.ts'
import { hasMoved, hasReached, isAtEnd, type Rung, rung } from '../../shared/ladder.ts'
import { cancel } from '../../shared/upkeep.ts'
import { Box, fail, hour, later, ok, retry } from './mailbox-fixtures.ts'

const reached = (box: Box, id: string): Rung[] => rung.options.filter((one) => hasReached(box.receipt(id), one))

/** A webhook's delivery, taken. */
function taken(ack: 'response' | 'later' = 'response'): [Box, string] {
  const box = new Box({ policy: { ack } })
  const id = box.put('a')
  box.take()
  return [box, id]
}

describe('a delivery has reached', () => {
  it('nothing while it is held, and only the queue once it was released', () => {
    const box = new Box({ policy: { concurrency: 1 } })
    const [first, second] = [box.put('a'), box.put('b')]
    expect([reached(box, first), reached(box, second)]).toEqual([['queued'], []])
  })

  it('all but claimed when a webhook’s 2xx completed it: nobody took it upon himself', () => {
    const [box, id] = taken()
    expect(reached(box, id)).toEqual(['queued', 'dispatched'])
    box.settle(id, ok())
    expect(reached(box, id)).toEqual(['queued', 'dispatched', 'delivered', 'completed'])
  })

  it('delivered and NOT claimed by a 202, claimed by an extension of its lease (A17, TC2)', () => {
    const [box, id] = taken('later')
    box.settle(id, later)
    expect(reached(box, id)).toEqual(['queued', 'dispatched', 'delivered'])
    box.step((draft, now) => extend(draft, id, box.leaseOf(id)?.token ?? '', hour, now))
    expect(reached(box, id)).toEqual(['queued', 'dispatched', 'delivered', 'claimed'])
  })

  it('all below claimed when a puller leased it, though it was never on the queue', () => {
    const box = new Box({ kind: 'pull' })
    const id = box.put('a')
    box.lease(1)
    expect(reached(box, id)).toEqual(['queued', 'dispatched', 'delivered', 'claimed'])
    box.settle(id, ok())
    expect(reached(box, id)).toEqual(rung.options)
  })

  it('what it reached before, while its next attempt waits', () => {
    const [box, id] = taken()
    box.settle(id, retry())
    expect([box.receipt(id).status, reached(box, id)]).toEqual(['held', ['queued', 'dispatched']])
  })

  it('no rung of a former life: a redrive begins at the foot', () => {
    const box = new Box({ kind: 'pull' })
    const id = box.put('a')
    box.lease(1)
    box.settle(id, fail())
    expect(reached(box, id)).toEqual(['queued', 'dispatched', 'delivered', 'claimed'])
    box.redrive(id)
    expect(reached(box, id)).toEqual([])
  })

  it('not completion, by any other end; but it is at its end', () => {
    const box = new Box({ kind: 'pull' })
    const id = box.put('a')
    expect(isAtEnd(box.receipt(id))).toBe(false)
    box.step((draft, now) => cancel(draft, id, box.stored, now))
    expect([isAtEnd(box.receipt(id)), reached(box, id)]).toEqual([true, []])
  })
})

describe('a receipt has moved', () => {
  const step = (name: string, at = 1) => ({ step: name, at })
  const seen = { status: 'held', steps: [step('accepted'), step('held')] }

  it.each([
    ['by another status', { ...seen, status: 'queued' }],
    ['by a step more', { ...seen, steps: [...seen.steps, step('held', 2)] }],
    ['by another last step, where the oldest are left out', { ...seen, steps: [step('accepted'), step('held', 2)] }],
  ])('%s', (_, now) => {
    expect(hasMoved(now, seen)).toBe(true)
  })

  it('by nothing else (A17)', () => {
    expect(hasMoved({ ...seen, steps: [...seen.steps] }, seen)).toBe(false)
  })
})
