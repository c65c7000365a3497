/** Mail that moves to another mailbox: what leaves, what is fenced, and what each repeat and each late word changes. */
import { describe, expect, it } from 'vitest'
import { begin } from '../../shared/mailbox.ts'
import { type Departed, departed, departuresOf, leave } from '../../shared/reassign.ts'
import { abandon, cancel } from '../../shared/upkeep.ts'
import { Box, fail, hour, incoming, iso, minute, ok, retry, second, start } from './mailbox-fixtures.ts'

const leaveOf = (box: Box, max = 100, to = 'bob') => box.step((draft, now) => leave(draft, to, max, now))
const departuresIn = (box: Box, ids: readonly string[]) =>
  departuresOf(begin(box.mailbox), ids, (id) => box.bodies.get(id))
const tell = (box: Box, ...news: Departed[]) => box.step((draft, now) => departed(draft, news, now))
const full = (id: string): Departed => ({ id, to: 'bob', stays: '`bob` is full' })

describe('what leaves', () => {
  it('is all that has not ended, in the order of its line, up to so many', () => {
    const box = new Box({ policy: { concurrency: 1 } })
    const late = box.put('late', { delivertime: iso(start + hour) })
    const [first, second] = [box.put('first'), box.put('second')]
    const done = box.put('done')
    box.run(first, retry())
    box.step((draft, now) => cancel(draft, done, box.stored, now))
    expect(leaveOf(box, 2)).toEqual([first, second])
    expect(leaveOf(box)).toEqual([first, second, late])
  })

  it('is the same message, addressed to its new agent, under a key that no publisher can have used', () => {
    const box = new Box({ policy: { concurrency: 1 } })
    const attributes = {
      to: 'ada',
      correlationid: 'talk',
      causationid: 'cause',
      partitionkey: 'k',
      delivertime: iso(start + minute),
      expirytime: iso(start + hour),
      hops: 3,
    }
    const id = box.put('a', attributes)
    const [departure] = departuresIn(box, leaveOf(box))
    const { hops, ...told } = attributes
    expect(departure).toMatchObject({
      id,
      to: 'bob',
      incoming: { key: `${id}\nreassigned`, hops, brokerMade: true, reserved: true },
    })
    const { message, body } = departure?.incoming ?? incoming('none')
    expect(message).toEqual({ ...incoming('a', told).message, to: 'bob' })
    expect(JSON.parse(body)).toEqual(message)
  })

  it('keeps the topic that it came by', () => {
    const box = new Box()
    box.put('a', { topic: 'news' })
    const [departure] = departuresIn(box, leaveOf(box))
    expect([departure?.incoming.message.topic, departure?.incoming.message.to]).toEqual(['news', undefined])
  })

  it('does not expire by a time that a redrive took from it', () => {
    const box = new Box({ policy: { maxAttempts: 1 } })
    const id = box.put('a', { expirytime: iso(start + minute) })
    box.run(id, fail())
    box.wait(hour)
    box.redrive(id)
    expect(departuresIn(box, leaveOf(box))[0]?.incoming.message.expirytime).toBeUndefined()
  })
})

describe('a delivery that is leaving', () => {
  const leaving = () => {
    const box = new Box()
    const id = box.put('a', { expirytime: iso(start + minute) })
    box.take()
    const token = box.leaseOf(id)?.token ?? ''
    leaveOf(box)
    return { box, id, token }
  }

  it('is held, and told where it goes', () => {
    const { box, id } = leaving()
    expect(box.receipt(id)).toMatchObject({ status: 'held', because: 'on its way to `bob`', attempt: 0 })
    expect(box.mailbox.depth).toBe(1)
  })

  it('is fenced: neither its agent nor the consumer can settle it any more', () => {
    const { box, id, token } = leaving()
    for (const external of [true, false])
      expect(box.settle(id, ok('late'), { token, external })).toEqual({ id, status: 'stale' })
  })

  it('is fenced too when its lease had ended in silence, though such late work would count otherwise', () => {
    const box = new Box()
    const id = box.put('a')
    box.take()
    const token = box.leaseOf(id)?.token ?? ''
    box.tick(box.leaseOf(id)?.deadlineAt)
    leaveOf(box)
    expect(box.settle(id, ok('late'), { token })).toEqual({ id, status: 'stale' })
  })

  it('is neither released nor taken nor leased nor expired nor cancelled: the other mailbox may have it', () => {
    const { box, id } = leaving()
    box.tick(start + hour)
    expect([box.released(), box.take([id]).grants]).toEqual([[], []])
    expect(box.step((draft, now) => cancel(draft, id, box.stored, now))).toMatchObject({ ended: 'reassigned' })
    const puller = new Box({ kind: 'pull' })
    puller.put('a')
    leaveOf(puller)
    expect(puller.lease(1)).toEqual([])
  })

  it('keeps its key: nothing of it overtakes', () => {
    const box = new Box({ kind: 'pull' })
    const first = box.put('a', { partitionkey: 'k' })
    box.put('b', { partitionkey: 'k' })
    expect(leaveOf(box, 1)).toEqual([first])
    expect(box.lease(10)).toEqual([])
  })

  it('is a chore that the alarm asks for, first when whoever began may have died, then ever more rarely (M6)', () => {
    const { box, id } = leaving()
    expect(box.due()).toBe(start + 5 * second)
    expect(box.tick(start + 5 * second).chores).toEqual([id])
    expect(box.due()).toBe(start + 15 * second)
    expect(departuresIn(box, [id])).toMatchObject([{ id, to: 'bob' }])
  })
})

describe('what became of it', () => {
  it('accepted there, it ends here as cancelled, and names the new one', () => {
    const box = new Box()
    const id = box.put('a')
    leaveOf(box)
    for (let i = 0; i < 2; i++) tell(box, { id, became: 'bob_x' })
    expect(box.receipt(id).status).toBe('cancelled')
    expect(box.receipt(id).steps.slice(-2)).toMatchObject([
      { step: 'reassigned', detail: 'bob_x' },
      { step: 'cancelled' },
    ])
    expect(box.receipt(id).reassignedTo).toBe('bob_x')
    expect([box.mailbox.depth, box.due()]).toEqual([0, undefined])
  })

  it('keeps its publisher’s key while it goes on elsewhere: a re-send is a duplicate, not a second work', () => {
    const box = new Box()
    const id = box.put('a')
    leaveOf(box)
    tell(box, { id, became: 'bob_x' })
    expect(box.accept([incoming('a')])).toEqual([{ status: 'duplicate', id }])
  })

  it('refused there, it goes on here as before, at no attempt', () => {
    const box = new Box()
    const id = box.put('a')
    leaveOf(box)
    tell(box, full(id))
    expect(box.receipt(id)).toMatchObject({ status: 'queued', attempt: 0 })
    expect(box.run(id, ok())).toEqual({ id, status: 'settled' })
  })

  it('accepted there after all, it ends here though a refusal was told before, whoever works on it', () => {
    const box = new Box()
    const id = box.put('a')
    leaveOf(box)
    tell(box, full(id))
    box.take([id])
    const token = box.leaseOf(id)?.token ?? ''
    tell(box, { id, became: 'bob_x' })
    expect(box.settle(id, ok(), { token })).toMatchObject({ status: 'already_settled', ended: 'cancelled' })
  })

  it('a late refusal by one mailbox does not keep it from leaving for another', () => {
    const box = new Box()
    const id = box.put('a')
    leaveOf(box)
    tell(box, full(id))
    leaveOf(box, 1, 'carol')
    tell(box, full(id))
    expect(box.receipt(id).because).toBe('on its way to `carol`')
  })
})

describe('of an agent that is deleted meanwhile', () => {
  const deleted = () => {
    const box = new Box()
    const id = box.put('a', { to: 'ada' })
    leaveOf(box)
    box.step((draft, now) => {
      abandon(draft, now)
      draft.agent = null
    })
    return { box, id }
  }

  it('what is leaving does not die beside the work that the other mailbox may have: its move is finished (M2)', () => {
    const { box, id } = deleted()
    expect(box.receipt(id)).toMatchObject({ status: 'held', because: 'on its way to `bob`' })
    expect(box.tick(box.due()).chores).toEqual([id])
    const [departure] = departuresIn(box, [id])
    expect([departure?.to, departure?.incoming.message.to]).toEqual(['bob', 'bob'])
    tell(box, { id, became: 'bob_x' })
    expect(box.receipt(id)).toMatchObject({ status: 'cancelled', reassignedTo: 'bob_x' })
    expect([box.mailbox.depth, box.due()]).toEqual([0, undefined])
  })

  it('what the other mailbox refuses dies with it, and is buried (M1)', () => {
    const { box, id } = deleted()
    tell(box, full(id))
    expect(box.delivery(id).state).toMatchObject({ status: 'dead_lettered', reason: 'agent_deleted', buried: false })
    expect(box.tick(box.due()).chores).toEqual([id])
  })

  it('what the other mailbox refuses is not for whoever has the name by now', () => {
    const { box, id } = deleted()
    box.step((draft) => {
      draft.agent = new Box({ incarnation: 'second' }).mailbox.agent ?? null
    })
    tell(box, full(id))
    expect([box.released(), box.delivery(id).state]).toMatchObject([[], { reason: 'agent_deleted' }])
  })
})
