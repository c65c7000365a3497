/** What is overdue: when it is told, when it is not, and where it goes then. */
import { describe, expect, it } from 'vitest'
import { limits } from '../../shared/limits.ts'
import { overdue } from '../../shared/overdue.ts'
import type { PolicyInput } from '../../shared/policy.ts'
import { departed } from '../../shared/reassign.ts'
import { Box, day, fail, hour, iso, minute, ok, parkedMs, second, start } from './mailbox-fixtures.ts'

/** A puller whose mail is overdue a minute after it became due, unless said otherwise. */
const boxOf = (alert: Partial<NonNullable<PolicyInput['alert']>> = {}) =>
  new Box({ kind: 'pull', policy: { alert: { rung: 'claimed', afterSeconds: 60, ...alert } } })

/** As the alarm does it: at its time, and before the tick. */
const look = (box: Box, at = box.now): readonly string[] => {
  box.now = Math.max(box.now, at)
  return box.step(overdue)
}
const told = (box: Box, id: string) => box.receipt(id).steps.filter((s) => s.step === 'overdue')

describe('what has not reached its rung in time', () => {
  it('is told once, when the time is over and not before, and the alarm rings for it (M6, TC2)', () => {
    const box = boxOf()
    const id = box.put('a')
    expect(box.due()).toBe(start + minute)
    expect(look(box, start + minute - 1)).toEqual([])
    expect(look(box, start + minute)).toEqual([id])
    expect([look(box, start + hour), box.due()]).toEqual([[], start + parkedMs])
    expect(told(box, id)).toEqual([{ step: 'overdue', at: iso(start + minute), detail: 'not claimed within 60 s' }])
    expect(box.lease(1)).toHaveLength(1)
  })

  it('is timed from when it became due, not from its accept: later is what the sender wanted', () => {
    const box = boxOf()
    box.put('a', { delivertime: iso(start + day) })
    expect([look(box, start + hour), box.due()]).toEqual([[], start + day])
    expect(look(box, start + day + minute)).toHaveLength(1)
  })

  it('is told under lease too, and the lease’s own end is not forgotten', () => {
    const box = boxOf({ rung: 'completed' })
    const id = box.put('a')
    box.lease(1, 30 * second)
    expect(box.due()).toBe(start + 30 * second)
    box.step((draft) => draft.leases.set(id, { ...box.leaseOf(id)!, deadlineAt: start + hour }))
    expect(box.due()).toBe(start + minute)
    expect(look(box, start + minute)).toEqual([id])
    expect([box.due(), box.receipt(id).status]).toEqual([start + hour, 'claimed'])
  })

  it('is NOT told when it reached it, even if it fell back since', () => {
    const box = boxOf()
    box.put('a')
    box.lease(1, second)
    box.tick(start + second)
    expect([look(box, start + hour), box.due()]).toEqual([[], start + 2 * second + parkedMs])
  })

  it('is NOT told when it has ended', () => {
    const box = boxOf({ rung: 'completed' })
    const id = box.put('a')
    box.lease(1)
    box.settle(id, ok())
    expect(look(box, start + hour)).toEqual([])
  })

  it('has its time anew in a new life', () => {
    const box = boxOf({ rung: 'completed' })
    const id = box.put('a')
    look(box, start + minute)
    box.lease(1)
    box.settle(id, fail())
    box.wait(hour)
    box.redrive(id)
    expect(look(box)).toEqual([])
    expect(look(box, box.now + minute)).toEqual([id])
  })
})

describe('with a fallback, it', () => {
  it('is on its way there, as a chore of the same tick, and one hop further', () => {
    const box = boxOf({ fallback: 'bob' })
    const id = box.put('a', { hops: 2 })
    look(box, start + minute)
    expect(told(box, id)[0]?.detail).toBe('not claimed within 60 s: on to `bob`')
    expect(box.receipt(id).because).toBe('on its way to `bob`')
    expect(box.tick().chores).toEqual([id])
  })

  it('stays when the fallback does not take it, and is not sent again and again', () => {
    const box = boxOf({ fallback: 'bob' })
    const id = box.put('a')
    look(box, start + minute)
    box.step((draft, now) => departed(draft, [{ id, to: 'bob', stays: '`bob` is full' }], now))
    expect([look(box, start + hour), box.due()]).toEqual([[], start + parkedMs])
    expect(box.lease(1)).toHaveLength(1)
  })

  it('stays when it has come as far as a circle of fallbacks may send it, or when that is the agent itself', () => {
    const far = boxOf({ fallback: 'bob' })
    far.put('a', { hops: limits.hops })
    const self = boxOf({ fallback: 'ada' })
    self.put('a')
    for (const box of [far, self]) {
      expect(look(box, start + minute)).toHaveLength(1)
      expect(box.lease(1)).toHaveLength(1)
    }
  })
})
