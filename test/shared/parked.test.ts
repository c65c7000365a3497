/** What waits too long: it ends as a dead letter that says so, at its time and not before, and whoever waits for it hears of that. */
import { describe, expect, it } from 'vitest'
import { keepMail } from '../../shared/kept-mail.ts'
import { policySchema, resolvePolicy } from '../../shared/policy.ts'
import { pause } from '../../shared/upkeep.ts'
import {
  Box,
  day,
  hold,
  hour,
  incoming,
  iso,
  minute,
  parked,
  parkedMs,
  retry,
  second,
  start,
} from './mailbox-fixtures.ts'

/** An hour, by a policy that tries for days. */
const policy = { parkedSeconds: 3_600, maxAttempts: 20 }
const webhook = () => new Box({ policy })

function paused(box: Box): Box {
  box.step((draft, now) => pause(draft, 'on leave', undefined, now))
  return box
}

/** How it stands after the alarms until then, each at its time. */
function until(box: Box, at: number): void {
  for (let due = box.due(); due !== undefined && due <= at; due = box.due()) box.tick(due)
  box.now = Math.max(box.now, at)
}

const endOf = (box: Box, id: string) => {
  const { state } = box.delivery(id)
  return state.at === 'ended' ? [state.status, state.reason, state.endedAt] : [state.at]
}
const ended = (at: number) => ['dead_lettered', 'parked_too_long', at]

describe('what waits longer than its agent’s policy allows', () => {
  it('is a dead letter then, by the alarm, with why it waited; not a moment before (M6)', () => {
    const box = paused(webhook())
    const id = box.put('a')
    expect(box.due()).toBe(start + hour)
    until(box, start + hour - 1)
    expect(endOf(box, id)).toEqual(['waiting'])
    until(box, start + hour)
    expect(endOf(box, id)).toEqual(ended(start + hour))
    expect(box.receipt(id).deadLetter).toMatchObject({ reason: 'parked_too_long' })
    const { state } = box.delivery(id)
    expect(state).toMatchObject({
      buried: false,
      error: { code: 'parked_too_long', message: 'it waited for 3600 s since it became due: paused: on leave' },
    })
  })

  it('is so too where nobody pulls, and makes room: a publisher is not told `full` for good', () => {
    const box = new Box({ kind: 'pull', policy: { depth: 2 } })
    const ids = [box.put('a'), box.put('b')]
    expect(box.accept([incoming('c')])).toMatchObject([{ status: 'full' }])
    until(box, start + parkedMs)
    expect(ids.map((id) => endOf(box, id))).toEqual(ids.map(() => ended(start + parkedMs)))
    box.put('d')
  })

  it('tells whoever waits for its answer, and whom its sender named, with the end itself (E1)', () => {
    const box = paused(webhook())
    const id = box.put('a', { replyto: 'gather:r-aaaaaaaaaaaaaaaaaaaaaaaaaa', receiptto: 'eve' })
    until(box, start + hour)
    const { state } = box.delivery(id)
    const effects = state.at === 'ended' ? state.journal?.effects : []
    expect(effects).toHaveLength(2)
    expect(JSON.stringify(effects)).toContain('parked_too_long')
  })

  it('is not what is only scheduled: its time begins when it becomes due', () => {
    const box = webhook()
    const id = box.put('a', { delivertime: iso(start + 300 * day) })
    expect(box.due()).toBe(start + 300 * day)
    until(box, start + 299 * day)
    expect(endOf(box, id)).toEqual(['waiting'])
    paused(box)
    until(box, start + 300 * day + hour - 1)
    expect(endOf(box, id)).toEqual(['waiting'])
    until(box, start + 300 * day + hour)
    expect(endOf(box, id)).toEqual(ended(start + 300 * day + hour))
  })

  it('is not what an attempt has wait: its time begins anew when its pause is over', () => {
    const box = webhook()
    const id = box.put('a')
    box.run(id, retry({ delayMs: 2 * hour }))
    until(box, start + 2 * hour - 1)
    expect(endOf(box, id)).toEqual(['waiting'])
    paused(box)
    until(box, start + 3 * hour)
    expect(endOf(box, id)).toEqual(ended(start + 3 * hour))
  })

  it('is what a resource, a workflow or the agent itself has wait again and again, at no attempt (M4)', () => {
    for (const outcome of [parked, hold(5 * minute)]) {
      const box = webhook()
      const id = box.put('a')
      for (let tries = 0; tries < 100 && box.now < start + hour; tries++) {
        box.take([id])
        if (box.leaseOf(id) !== undefined) box.settle(id, outcome)
        until(box, Math.min(box.now + 5 * minute, start + hour))
      }
      expect(endOf(box, id)).toEqual(ended(start + hour))
      expect(box.delivery(id).attempt).toBe(0)
    }
  })

  it('is not what is in flight: it may still finish', () => {
    const box = new Box({ kind: 'pull', policy })
    const id = box.put('a')
    box.lease(1, 3 * hour)
    until(box, start + 2 * hour)
    expect(endOf(box, id)).toEqual(['waiting'])
    expect(box.leaseOf(id)).toBeDefined()
  })

  it('has its time anew in a new life', () => {
    const box = paused(webhook())
    const id = box.put('a')
    until(box, start + hour)
    box.wait(day)
    box.redrive(id)
    const again = box.now
    until(box, again + hour - 1)
    expect(endOf(box, id)).toEqual(['waiting'])
    until(box, again + hour)
    expect(endOf(box, id)).toEqual(ended(again + hour))
  })

  it('is not the mail of who has left, which is kept as long as was said', () => {
    const box = webhook()
    const id = box.put('a')
    box.step((draft, now) => keepMail(draft, 2 * hour, now))
    until(box, start + hour + second)
    expect(endOf(box, id)).toEqual(['waiting'])
  })

  it('ends earlier by its own expiry, as that', () => {
    const box = paused(webhook())
    const id = box.put('a', { expirytime: iso(start + minute) })
    until(box, start + hour)
    expect(endOf(box, id)).toEqual(['expired', 'expired', start + minute])
  })
})

describe('the policy’s `parkedSeconds`', () => {
  it('is thirty days unless said otherwise, in records of before too', () => {
    expect(resolvePolicy('pull').parkedSeconds).toBe(30 * 86_400)
    const { parkedSeconds: _, ...before } = resolvePolicy('webhook')
    expect(policySchema.parse(before).parkedSeconds).toBe(30 * 86_400)
  })
})
