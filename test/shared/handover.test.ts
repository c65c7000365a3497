/** What the consumer is handed: leases with their messages, and what is left to carry or bury. Never here: who gets a lease. */
import { describe, expect, it } from 'vitest'
import { deadLetterOf } from '../../shared/dead-letter.ts'
import { isOpen, leasedOf, unfinishedOf } from '../../shared/handover.ts'
import { begin } from '../../shared/mailbox.ts'
import { Box, fail, ok, retry, second, start } from './mailbox-fixtures.ts'

const next = { to: 'bob', type: 'next', data: 1 }

function flying(body?: (id: string) => string | undefined) {
  const box = new Box()
  const id = box.put('a', { hops: 2 })
  const { grants } = box.take()
  const leased = () => leasedOf(begin(box.mailbox), grants, body ?? ((one) => box.bodies.get(one)))
  return { box, id, leased }
}

describe('a lease handed over', () => {
  it('brings the message as it was stored, and all that delivering needs', () => {
    const { box, id, leased } = flying()
    expect(leased()).toEqual([
      {
        id,
        token: box.leaseOf(id)?.token,
        attempt: 1,
        maxAttempts: 4,
        sequence: 1,
        hops: 2,
        firstAcceptedAt: start,
        since: start,
        body: box.bodies.get(id),
        head: box.delivery(id).head,
        deadlineAt: start + 40 * second,
        alone: false,
      },
    ])
  })

  it('T15: brings the same message at each attempt; the attempt and the last error are beside it', () => {
    const box = new Box()
    const id = box.put('a')
    const seen = [1, 2].map(() => {
      box.tick(Math.max(box.now, box.delivery(id).dueAt))
      const { grants } = box.take()
      const leased = leasedOf(begin(box.mailbox), grants, (one) => box.bodies.get(one))[0]
      box.settle(id, retry())
      return leased
    })
    expect(seen[1]?.body).toBe(seen[0]?.body)
    expect(seen.map((one) => [one?.attempt, one?.previousError])).toEqual([
      [1, undefined],
      [2, 'answered 500'],
    ])
  })

  it('is left out when its message is gone: there is nothing to deliver', () => {
    expect(flying(() => undefined).leased()).toEqual([])
  })
})

describe('what is unfinished', () => {
  it('E1: is each open journal, with its effects and when it was opened', () => {
    const { box, id } = flying()
    box.wait(second)
    box.settle(id, ok('r', { messages: [next] }))
    const draft = begin(box.mailbox)
    expect(isOpen(draft, id)).toBe(true)
    expect(unfinishedOf(draft, 'ada', [id], () => undefined)).toEqual([
      {
        id,
        hops: 2,
        head: box.delivery(id).head,
        openedAt: start + second,
        since: start,
        effects: [expect.objectContaining({ n: 1, state: { status: 'pending' } })],
      },
    ])
  })

  it('M1: is each dead letter that the index does not have', () => {
    const { box, id } = flying()
    box.settle(id, fail())
    const burial = expect.objectContaining(deadLetterOf('ada', box.delivery(id)))
    expect(unfinishedOf(begin(box.mailbox), 'ada', [id], () => undefined)).toEqual([
      expect.objectContaining({ id, effects: [], burial }),
    ])
  })

  it('is nothing that waits, that is done, or that nobody knows', () => {
    const { box, id } = flying()
    const waiting = box.put('b')
    box.settle(id, ok())
    const draft = begin(box.mailbox)
    expect(unfinishedOf(draft, 'ada', [id, waiting, 'ada_x'], () => undefined)).toEqual([])
    expect([id, waiting, 'ada_x'].map((one) => isOpen(draft, one))).toEqual([false, false, false])
  })
})
