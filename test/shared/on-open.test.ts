/** What becomes of a publisher's message while the breaker is open. Never here: when a breaker opens (test/shared/breaker.test.ts). */
import { describe, expect, it } from 'vitest'
import type { PolicyInput } from '../../shared/policy.ts'
import { departed, departuresOf } from '../../shared/reassign.ts'
import { Box, type IncomingOptions, incoming, ok, retry, second } from './mailbox-fixtures.ts'

const breaker = { failureThreshold: 1, openSeconds: 60 }

/** A mailbox whose agent has failed once, which opened its breaker. */
function open(policy: PolicyInput = {}): Box {
  const box = new Box({ policy: { breaker, ...policy } })
  box.run(box.put('first'), retry())
  return box
}

const offer = (box: Box, id: string, options: IncomingOptions = {}) => box.accept([incoming(id, options)])[0]

describe('while the breaker is open', () => {
  it('a message waits, unless the policy says otherwise (TC1)', () => {
    const box = open()
    expect(box.receipt(box.put('a')).status).toBe('parked')
  })

  it('a message is refused under `reject`, with when to come back, and nothing of it is stored (TC1)', () => {
    const box = open({ onOpen: 'reject' })
    const [rows, depth] = [box.rows.size, box.mailbox.depth]
    box.wait(10 * second)
    expect(offer(box, 'a')).toMatchObject({ status: 'refused', retryAfterSeconds: 50, openedAt: expect.any(Number) })
    expect([box.rows.size, box.mailbox.depth]).toEqual([rows, depth])
    box.wait(50 * second)
    expect(offer(box, 'a')).toMatchObject({ status: 'accepted' })
  })

  it('a message that asks for it is refused whatever the policy, and only then (TC1)', () => {
    const box = open({ onOpen: { divert: 'bob' } })
    expect(offer(box, 'a', { onopen: 'reject' })?.status).toBe('refused')
    const closed = new Box({ policy: { breaker } })
    expect(offer(closed, 'a', { onopen: 'reject' })?.status).toBe('accepted')
  })

  it('the repeat of one that was accepted before is a duplicate, and never refused (TC1)', () => {
    const box = new Box({ policy: { breaker, onOpen: 'reject' } })
    const id = box.put('a')
    box.run(id, retry())
    expect(offer(box, 'a')).toEqual({ status: 'duplicate', id })
  })

  it('what the broker brings waits, and so does a chain: nobody could be told (TC1)', () => {
    for (const onOpen of ['reject', { divert: 'bob' }] as const) {
      const box = open({ onOpen })
      for (const [id, options] of Object.entries({ a: { brokerMade: true }, b: { chain: ['bob'] } })) {
        const admission = offer(box, id, options)
        expect(admission).toEqual({ status: 'accepted', id: expect.any(String) })
        expect(box.receipt('id' in admission! ? admission.id : '').status).toBe('parked')
      }
    }
  })

  it('what the broker brings for somebody who waits to be told is refused, whatever the policy; a chain’s goes on (TC1)', () => {
    const asked = (box: Box, id: string, options: IncomingOptions = {}) =>
      box.accept([{ ...incoming(id, { brokerMade: true, ...options }), whenOpen: 'refuse' }])[0]?.status
    for (const onOpen of ['park', { divert: 'bob' }] as const) {
      const box = open({ onOpen })
      expect([asked(box, 'a'), asked(box, 'b', { chain: ['bob'] })]).toEqual(['refused', 'accepted'])
    }
    expect(asked(new Box({ policy: { breaker } }), 'a')).toBe('accepted')
  })

  it('a pull agent has no breaker, so nothing of it is refused or diverted', () => {
    const box = new Box({ kind: 'pull', policy: { breaker, onOpen: 'reject' } })
    expect(offer(box, 'a')?.status).toBe('accepted')
  })
})

describe('under `divert`', () => {
  it('M1: it is stored first, goes on to the other agent, and its receipt says where and why (TC1)', () => {
    const box = open({ onOpen: { divert: 'bob' } })
    const admission = offer(box, 'a', { to: 'ada' })
    expect(admission).toMatchObject({ status: 'accepted', diverted: 'bob' })
    const id = admission !== undefined && 'id' in admission ? admission.id : ''
    expect(box.receipt(id)).toMatchObject({ status: 'held', because: 'on its way to `bob`' })
    expect(box.receipt(id).steps.at(-1)?.detail).toMatch(/^breaker: .*: on to `bob`$/)
    // Whoever crashes now leaves a chore behind, for which the alarm rings.
    expect(box.due()).toBe(box.now)
    const [departure] = box.step((draft) => departuresOf(draft, [id], (one) => box.bodies.get(one)))
    expect(departure).toMatchObject({ to: 'bob', incoming: { brokerMade: true, message: { to: 'bob', id: 'a' } } })
    box.step((draft, now) => departed(draft, [{ id, became: 'bob_x' }], now))
    expect(box.receipt(id)).toMatchObject({ status: 'cancelled', reassignedTo: 'bob_x' })
    expect(offer(box, 'a', { to: 'ada' })).toEqual({ status: 'duplicate', id })
  })

  it('it stays and waits where the other agent cannot take it (TC1)', () => {
    const box = open({ onOpen: { divert: 'bob' } })
    const admission = offer(box, 'a')
    const id = admission !== undefined && 'id' in admission ? admission.id : ''
    box.step((draft, now) => departed(draft, [{ id, to: 'bob', stays: 'no agent is registered as `bob`' }], now))
    expect(box.receipt(id)).toMatchObject({ status: 'parked' })
  })

  it('it stays where its sender may not send to the other agent, and is told so (TC1)', () => {
    const box = open({ onOpen: { divert: 'bob' } })
    const admission = offer(box, 'a', { sends: ['ada', 'b-*'] })
    expect(admission).toEqual({ status: 'accepted', id: expect.any(String) })
    const receipt = box.receipt(admission !== undefined && 'id' in admission ? admission.id : '')
    expect(receipt.status).toBe('parked')
    expect(receipt.steps.at(-1)?.detail).toBe('not diverted: its sender may not send to `bob`')
    expect(offer(box, 'b', { sends: ['ada', 'bo*'] })).toMatchObject({ diverted: 'bob' })
  })

  it('one hop is all: what was diverted here is not diverted again, and nobody diverts to itself (TC1)', () => {
    const box = open({ onOpen: { divert: 'bob' } })
    expect(offer(box, 'a', { brokerMade: true })).not.toHaveProperty('diverted')
    expect(offer(open({ onOpen: { divert: 'ada' } }), 'a')).not.toHaveProperty('diverted')
  })

  it('nothing is diverted once the breaker lets a probe through (TC1)', () => {
    const box = open({ onOpen: { divert: 'bob' } })
    box.wait(60 * second)
    expect(offer(box, 'a')).not.toHaveProperty('diverted')
    box.tick()
    const [probe] = box.released()
    box.run(probe!, ok())
    expect(offer(box, 'b')).not.toHaveProperty('diverted')
  })
})
