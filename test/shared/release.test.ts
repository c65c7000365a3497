/** Release and take: which delivery goes next, that a reference is only a hint, and what a lease is. Never here: outcomes. */
import { describe, expect, it } from 'vitest'
import { limits } from '../../shared/limits.ts'
import { rank } from '../../shared/line.ts'
import { releaseRetryMs } from '../../shared/release.ts'
import { cancel, pause, resume } from '../../shared/upkeep.ts'
import {
  agentRecord,
  Box,
  fail,
  hold,
  hour,
  incoming,
  iso,
  minute,
  ok,
  parkedMs,
  retry,
  second,
  start,
  unsent,
} from './mailbox-fixtures.ts'

const wide = { policy: { concurrency: 100 } }
const cancelOf = (box: Box, id: string) => box.step((draft, now) => cancel(draft, id, box.stored, now))

/** Takes one after the other as they are released with one place in flight, answering ok; the order they went in. */
function drain(box: Box): string[] {
  const order: string[] = []
  for (let ids = box.released(); ids.length > 0; ids = box.released()) {
    const [id = ''] = ids
    order.push(String(box.delivery(id).head.id))
    box.run(id, ok())
  }
  return order
}

describe('a release', () => {
  it('goes out with the accept, several in one reference', () => {
    const box = new Box()
    box.accept([incoming('a'), incoming('b')])
    expect(box.references).toEqual([{ deliveries: [...box.mailbox.live.keys()] }])
  })

  it('is repeated when nobody took it, after 5 s, doubling to 5 min: a queue that loses everything loses nothing (M1 M6)', () => {
    const box = new Box()
    const id = box.put('a')
    const pauses: number[] = []
    for (let tries = 0; tries < 9; tries++) {
      const due = box.due() ?? 0
      pauses.push((due - box.now) / second)
      box.now = due - 1
      box.step(() => undefined)
      expect(box.references).toEqual([])
      box.tick(due)
      expect(box.references).toEqual([{ deliveries: [id] }])
    }
    expect(pauses).toEqual([5, 10, 20, 40, 80, 160, 300, 300, 300])
    expect(releaseRetryMs(1_000)).toBe(5 * minute)
  })

  it('is not repeated once it was taken', () => {
    const box = new Box()
    box.put('a')
    box.take()
    box.tick(start + 10 * second)
    expect(box.references).toEqual([])
    expect(box.released()).toEqual([])
  })

  it('waits for the alarm when a message is not due, and is no delaySeconds of the queue', () => {
    const box = new Box()
    box.put('a', { delivertime: iso(start + 1) })
    expect(box.references).toEqual([])
    box.wait(1)
    box.tick()
    expect(box.references).toHaveLength(1)
  })

  it('is never made for a pull agent: its mail is leased, not sent', () => {
    const box = new Box({ kind: 'pull' })
    box.put('a')
    expect(box.references).toEqual([])
    expect(box.due()).toBe(start + parkedMs)
  })

  it('left from when the agent was a webhook does not keep a pull agent from its mail (M1)', () => {
    const box = new Box()
    const id = box.put('a')
    box.step((draft) => {
      draft.agent = agentRecord({ kind: 'pull' })
    })
    expect(box.lease(1).map((g) => g.delivery.id)).toEqual([id])
  })
})

describe('parked mail', () => {
  const parked = () => {
    const box = new Box()
    const id = box.put('a')
    box.step((draft, now) => pause(draft, 'maintenance', undefined, now))
    return { box, id }
  }

  it('is not released while the agent is paused, and is at once when it is resumed', () => {
    const { box, id } = parked()
    box.put('b')
    expect(box.references).toEqual([])
    box.step(resume)
    expect(box.references).toEqual([{ deliveries: [id, ...[...box.mailbox.live.keys()].slice(1)] }])
  })

  it('leaves no release behind that would ring the alarm for ever (M6)', () => {
    const { box } = parked()
    box.wait(hour)
    expect(box.due()).toBe(start + parkedMs)
    expect(box.released()).toEqual([])
  })

  it('is not taken by a reference that was under way, and that burns nothing (M4)', () => {
    const { box, id } = parked()
    expect(box.take([id]).grants).toEqual([])
    expect(box.delivery(id)).toMatchObject({ attempt: 0, leases: 0, attempts: [] })
  })

  it('of a pause with an end is released then, by the alarm alone (M6, TB28)', () => {
    const box = new Box()
    box.step((draft, now) => pause(draft, 'lunch', hour, now))
    const id = box.put('a')
    expect(box.due()).toBe(start + hour)
    box.tick(start + hour)
    expect(box.references).toEqual([{ deliveries: [id] }])
  })

  it('of an agent that asked for quiet waits for its end, whatever else is due', () => {
    const box = new Box({ policy: { concurrency: 1 } })
    const [a, b] = [box.put('a'), box.put('b')]
    box.run(a, hold(minute))
    expect([box.references, box.due()]).toEqual([[], start + minute])
    expect(box.take([b]).grants).toEqual([])
    box.tick(start + minute)
    expect(box.references).toEqual([{ deliveries: [a] }])
  })

  it('waits until a webhook has answered its challenge', () => {
    const box = new Box({ trusted: false })
    box.put('a')
    expect(box.references).toEqual([])
    box.step((draft) => {
      draft.agent = agentRecord()
    })
    expect(box.references).toHaveLength(1)
  })
})

describe('the next in line', () => {
  it('is the one that became due first, then the one accepted first', () => {
    const box = new Box({ policy: { concurrency: 1 } })
    box.put('first')
    box.put('late', { delivertime: iso(start + 2 * second) })
    box.put('early', { delivertime: iso(start + second) })
    box.put('second')
    box.tick(start + 3 * second)
    expect(drain(box)).toEqual(['first', 'second', 'early', 'late'])
  })

  it('is the one of the highest priority (TB9)', () => {
    const box = new Box({ policy: { concurrency: 1 } })
    box.put('running')
    for (const [id, priority] of [
      ['low', 0],
      ['high', 9],
      ['plain', 4],
    ] as const)
      box.put(id, { priority })
    expect(drain(box)).toEqual(['running', 'high', 'plain', 'low'])
  })

  it('gains a level for each minute waited, so that no priority starves (TB9)', () => {
    const box = new Box({ policy: { concurrency: 1 } })
    box.put('running')
    const old = box.put('old', { priority: 0 })
    box.now = start + 9 * minute - 1
    box.put('fresh', { priority: 8 })
    expect(rank(box.delivery(old), box.now)).toBe(8)
    expect(drain(box)).toEqual(['running', 'old', 'fresh'])
    expect(rank(box.delivery(old), start + 9 * minute)).toBe(9)
  })

  it('does not age before it is due', () => {
    const box = new Box()
    const id = box.put('a', { delivertime: iso(start + hour), priority: 3 })
    expect([rank(box.delivery(id), start + minute), rank(box.delivery(id), start + hour + minute)]).toEqual([3, 4])
  })
})

describe('M3: a partition key', () => {
  const keyed = (box: Box, id: string, more = {}) => box.put(id, { partitionkey: 'k', ...more })

  it('lets one go at a time, and others pass', () => {
    const box = new Box(wide)
    const [a, , other] = [keyed(box, 'a'), keyed(box, 'b'), box.put('c', { partitionkey: 'other' })]
    const free = box.put('d')
    expect(box.released()).toEqual([a, other, free])
  })

  it('releases the successor in the very step that ends its predecessor', () => {
    const box = new Box(wide)
    const [a, b] = [keyed(box, 'a'), keyed(box, 'b')]
    box.take()
    box.settle(a, ok())
    expect(box.references).toEqual([{ deliveries: [b] }])
  })

  it.each([
    ['dead', (box: Box, id: string) => box.run(id, fail())],
    ['cancelled', cancelOf],
  ])('counts a %s predecessor as ended', (_, end) => {
    const box = new Box(wide)
    const [a, b] = [keyed(box, 'a'), keyed(box, 'b')]
    end(box, a)
    expect(box.released()).toEqual([b])
  })

  it('keeps its place in a retry: the successor waits through the pause (A84)', () => {
    const box = new Box(wide)
    const [a, b] = [keyed(box, 'a'), keyed(box, 'b')]
    box.run(a, retry())
    expect(box.released()).toEqual([])
    expect(box.take([b]).grants).toEqual([])
    box.tick(start + second)
    expect(box.released()).toEqual([a])
  })

  it('is kept while the predecessor’s effects are open, and free when they are carried', () => {
    const box = new Box(wide)
    const [a, b] = [keyed(box, 'a'), keyed(box, 'b')]
    box.run(a, ok(undefined, { messages: [{ to: 'bob', type: 'next' }] }))
    expect(box.released()).toEqual([])
    expect(box.take([b]).grants).toEqual([])
    box.carried(a, [{ n: 1, state: { status: 'carried', deliveries: ['bob_x'] } }])
    expect(box.references).toEqual([{ deliveries: [b] }])
  })

  it('is not blocked by a message that is not yet due: it is not yet in line', () => {
    const box = new Box(wide)
    keyed(box, 'delayed', { delivertime: iso(start + hour) })
    const b = keyed(box, 'b')
    expect(box.released()).toEqual([b])
  })

  it('lines up by the time each became due, then by sequence', () => {
    const box = new Box({ policy: { concurrency: 1 } })
    box.put('running')
    keyed(box, 'late', { delivertime: iso(start + 2 * second) })
    keyed(box, 'early', { delivertime: iso(start + second) })
    keyed(box, 'now')
    box.tick(start + 3 * second)
    expect(drain(box)).toEqual(['running', 'now', 'early', 'late'])
  })

  it('is not broken by priority, which says which keys go first', () => {
    const box = new Box({ policy: { concurrency: 1 } })
    box.put('running')
    keyed(box, 'a', { priority: 0 })
    keyed(box, 'b', { priority: 9 })
    box.put('other', { partitionkey: 'other', priority: 5 })
    expect(drain(box)).toEqual(['running', 'other', 'a', 'b'])
  })

  it('puts a redriven delivery at the tail of the line', () => {
    const box = new Box({ policy: { concurrency: 1 } })
    const a = keyed(box, 'a')
    for (const id of ['b', 'c']) {
      box.wait(second)
      keyed(box, id)
    }
    box.run(a, fail())
    box.wait(second)
    box.redrive(a)
    expect(drain(box)).toEqual(['b', 'c', 'a'])
  })

  it('is not taken by a stray reference to a successor', () => {
    const box = new Box(wide)
    const [a, b] = [keyed(box, 'a'), keyed(box, 'b')]
    expect(box.take([b, a]).grants.map((g) => g.delivery.id)).toEqual([a])
    expect(box.take([b]).grants).toEqual([])
  })

  it('stays with the one in flight when the clock steps back', () => {
    const box = new Box(wide)
    keyed(box, 'a')
    box.take()
    box.now -= minute
    const b = keyed(box, 'b')
    expect(box.released()).toEqual([])
    expect(box.take([b]).grants).toEqual([])
  })

  it('holds for pull agents too', () => {
    const box = new Box({ kind: 'pull', policy: { concurrency: 100 } })
    const [a, b] = [keyed(box, 'a'), keyed(box, 'b')]
    const [first] = box.lease(10)
    expect(first?.delivery.id).toBe(a)
    expect(box.lease(10)).toEqual([])
    box.settle(a, ok(), { external: true })
    expect(box.lease(10).map((g) => g.delivery.id)).toEqual([b])
  })
})

describe('take', () => {
  it('grants a lease until the attempt’s deadline and a margin', () => {
    const box = new Box({ policy: { timeoutSeconds: 30 } })
    const id = box.put('a')
    const [grant] = box.take([id], 'call').grants
    expect(grant?.lease).toMatchObject({
      id,
      takeToken: 'call',
      number: 1,
      at: start,
      deadlineAt: start + 40 * second,
      phase: 'dispatched',
      alone: false,
    })
    expect(box.due()).toBeLessThanOrEqual(start + 40 * second)
  })

  it('takes nothing by a doubled reference', () => {
    const box = new Box()
    const id = box.put('a')
    expect(box.take([id, id]).grants).toHaveLength(1)
    expect(box.take([id]).grants).toEqual([])
  })

  it('grants the same lease to the same call again', () => {
    const box = new Box()
    const ids = [box.put('a'), box.put('b')]
    const first = box.take(ids, 'call')
    box.wait(second)
    expect(box.take(ids, 'call')).toEqual(first)
  })

  it('grants what one answer may carry, also to a repeat, and names the rest, which keep their places', () => {
    const box = new Box()
    const half = 'x'.repeat(limits.leaseBytes / 2)
    const ids = ['a', 'b', 'c'].map((id) => box.put(id, { data: half }))
    const first = box.take(ids, 'call')
    expect([first.grants.map((g) => g.delivery.id), first.rest]).toEqual([ids.slice(0, 1), ids.slice(1)])
    expect(box.take(ids, 'call')).toEqual(first)
    expect(box.released()).toEqual(ids.slice(1))
  })

  it('gives each lease of a delivery a number and a token of its own', () => {
    const box = new Box()
    const id = box.put('a')
    const tokens = new Set<string>()
    for (let n = 1; n <= 3; n++) {
      box.take([id])
      expect(box.leaseOf(id)?.number).toBe(n)
      tokens.add(box.leaseOf(id)?.token ?? '')
      box.settle(id, unsent)
      box.tick(box.now + second)
    }
    expect(tokens.size).toBe(3)
  })

  it.each([
    ['completed', (box: Box, id: string) => box.run(id, ok())],
    ['cancelled', cancelOf],
    ['expired and not yet ended', (box: Box) => box.wait(minute)],
    ['held again', (box: Box, id: string) => box.run(id, retry())],
    ['never heard of', () => undefined],
  ])('says nothing of a delivery that is %s', (what, make) => {
    const box = new Box()
    const id = box.put('a', { expirytime: iso(start + minute) })
    make(box, id)
    expect(box.take([what === 'never heard of' ? 'ada_x' : id])).toEqual({ grants: [], unfinished: [], rest: [] })
  })

  it('names what has ended and is not finished: effects to carry, a burial to do', () => {
    const box = new Box()
    const [a, b] = [box.put('a'), box.put('b')]
    box.run(a, ok(undefined, { messages: [{ to: 'bob', type: 'next' }] }))
    box.run(b, fail())
    expect(box.take([a, b])).toEqual({ grants: [], unfinished: [a, b], rest: [] })
  })

  it('keeps the first lease of a fresh delivery in memory for a while, and the alarm writes it (M6)', () => {
    const box = new Box()
    const id = box.put('a')
    box.take()
    expect(box.leaseOf(id)?.saved).toBe(false)
    expect(box.due()).toBe(start + 5 * second)
    box.tick(start + 5 * second)
    expect(box.leaseOf(id)?.saved).toBe(true)
    expect(box.due()).toBe(box.leaseOf(id)?.deadlineAt)
  })

  it.each([
    ['of an agent that acks later', { policy: { ack: 'later' } }],
    ['of a pull agent', { kind: 'pull' }],
  ] as const)('writes at once the lease %s: an outsider holds it by token', (_, options) => {
    const box = new Box(options)
    const id = box.put('a')
    if ('kind' in options) box.lease(1)
    else box.take([id])
    expect(box.leaseOf(id)?.saved).toBe(true)
  })

  it('writes a second lease at once: there may have been a start before it (M4)', () => {
    const box = new Box()
    const id = box.put('a')
    box.run(id, unsent)
    box.tick(start + second)
    box.take()
    expect(box.leaseOf(id)).toMatchObject({ number: 2, saved: true })
  })
})

describe('M5: concurrency', () => {
  const three = { policy: { concurrency: 3 } }
  const filled = () => {
    const box = new Box(three)
    const ids = ['a', 'b', 'c', 'd', 'e'].map((id) => box.put(id))
    return { box, ids }
  }

  it('bounds what is released and untaken, which already has a claim on its place', () => {
    const { box, ids } = filled()
    expect(box.released()).toEqual(ids.slice(0, 3))
  })

  it('bounds what is leased and released together (A81)', () => {
    const { box, ids } = filled()
    box.take(ids.slice(0, 2))
    expect([box.mailbox.leases.size, box.released()]).toEqual([2, ids.slice(2, 3)])
    box.settle(ids[0] ?? '', ok())
    expect([box.mailbox.leases.size, box.released()]).toEqual([1, ids.slice(2, 4)])
  })

  it('T12: a place is not free before the work is settled, or its lease ended (A83, A128)', () => {
    const { box } = filled()
    box.take()
    box.tick(start + 30 * second)
    expect([box.mailbox.leases.size, box.released()]).toEqual([3, []])
    box.tick(start + 40 * second)
    expect(box.mailbox.leases.size).toBe(0)
    expect(box.released()).toHaveLength(3)
  })

  it('is not exceeded by a stray reference, even when nothing is leased yet', () => {
    const { box, ids } = filled()
    expect(box.take(ids.slice(3)).grants).toEqual([])
    box.take(ids.slice(0, 3))
    expect(box.take(ids.slice(3)).grants).toEqual([])
  })

  it('is not exceeded by what was released before an operator lowered it', () => {
    const { box, ids } = filled()
    box.mailbox = { ...box.mailbox, agent: agentRecord({ policy: { concurrency: 1 } }) }
    expect(box.take(ids.slice(0, 3)).grants).toHaveLength(1)
  })

  it('lets a stray reference use a free place', () => {
    const box = new Box(three)
    const id = box.put('a')
    // As after a rebuild: nothing is known to be released.
    box.mailbox = { ...box.mailbox, releases: new Map() }
    expect(box.take([id]).grants).toHaveLength(1)
  })

  it('bounds pull leases', () => {
    const box = new Box({ kind: 'pull', ...three })
    for (const id of ['a', 'b', 'c', 'd', 'e']) box.put(id)
    expect(box.lease(2)).toHaveLength(2)
    expect(box.lease(10)).toHaveLength(1)
    expect(box.lease(10)).toHaveLength(0)
  })
})

describe('a pull lease', () => {
  const pull = () => {
    const box = new Box({ kind: 'pull', policy: { concurrency: 100 } })
    const ids = ['a', 'b', 'c'].map((id) => box.put(id))
    return { box, ids }
  }

  it('is claimed from the start, for as long as was asked', () => {
    const { box, ids } = pull()
    const [grant] = box.lease(1, 90 * second)
    expect(grant?.lease).toMatchObject({ id: ids[0], phase: 'claimed', deadlineAt: start + 90 * second })
  })

  it('is granted again to the same call, and nothing beside it', () => {
    const { box } = pull()
    const first = box.lease(2, minute, 'call')
    expect(box.lease(3, minute, 'call')).toEqual(first)
  })

  it('is refused to an agent of another kind, and while it is paused', () => {
    const webhook = new Box()
    webhook.put('a')
    expect(webhook.lease(1)).toEqual([])
    const { box } = pull()
    box.step((draft, now) => pause(draft, 'maintenance', undefined, now))
    expect(box.lease(1)).toEqual([])
  })

  it('carries what one answer may, and always one', () => {
    const box = new Box({ kind: 'pull' })
    const half = 'x'.repeat(limits.leaseBytes / 2)
    for (const id of ['a', 'b', 'c']) box.put(id, { data: half })
    expect(box.lease(10)).toHaveLength(1)
    box.put('huge', { data: half + half, priority: 9 })
    expect(box.lease(10).map((g) => g.delivery.head.id)).toEqual(['huge'])
  })
})

describe('a suspect', () => {
  /** `count` deliveries that were in flight together when their leases ended in silence. */
  function suspects(count: number) {
    const box = new Box(wide)
    const ids = Array.from({ length: count }, (_, i) => box.put(`m${i}`))
    box.take()
    box.tick(start + 40 * second)
    return { box, ids }
  }

  it('is released in a reference of its own, so that it harms nobody (M4)', () => {
    const { box, ids } = suspects(2)
    const fresh = box.put('fresh')
    expect(box.references).toEqual([{ deliveries: [fresh] }])
    box.tick(start + 50 * second)
    expect(box.references).toEqual([
      { deliveries: [fresh] },
      ...ids.map((id) => ({ deliveries: [id], alone: true as const })),
    ])
  })

  it('is leased as one that runs alone', () => {
    const { box, ids } = suspects(1)
    box.take(ids)
    expect(box.leaseOf(ids[0] ?? '')?.alone).toBe(true)
  })

  it('is not taken in company by a reference from before it was one', () => {
    const { box, ids } = suspects(2)
    const fresh = box.put('fresh')
    expect(box.take([...ids, fresh]).grants.map((g) => g.delivery.id)).toEqual([fresh])
    expect(ids.map((id) => box.take([id]).grants.length)).toEqual([1, 1])
  })

  it('is not taken by a stray reference to it alone (because others’ mail came in the same batch), and keeps its release', () => {
    const { box, ids } = suspects(1)
    expect(box.take(ids, 'stray', false).grants).toEqual([])
    expect(box.released()).toEqual(ids)
    expect(box.take(ids, 'its own', true).grants).toHaveLength(1)
  })
})
