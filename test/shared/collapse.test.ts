/** Collapse and debounce: the latest of a key counts, and nothing that is under way is touched. Pure. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { publishInput } from '../../shared/message.ts'
import { Box, type IncomingOptions, incoming, ok, retry, second, start } from './mailbox-fixtures.ts'

/** One place in flight, taken: whatever comes waits. */
function busy(policy = {}): Box {
  const box = new Box({ policy: { concurrency: 1, ...policy } })
  box.run(box.put('first'), retry({ delayMs: 0 }))
  box.take()
  return box
}
const keyed = (more: IncomingOptions = {}): IncomingOptions => ({ collapsekey: 'k', ...more })

describe('of messages with one collapse key', () => {
  it('the latest takes the place of what waits, which ends as collapsed with a link to it (TB13)', () => {
    const box = busy()
    const older = box.put('1', keyed())
    const newer = box.put('2', keyed({ data: 'new' }))
    expect(box.receipt(older)).toMatchObject({ status: 'cancelled', because: 'collapsed', collapsedInto: newer })
    expect(box.receipt(older).steps.at(-2)).toMatchObject({ step: 'collapsed', detail: newer })
    expect(box.receipt(newer).status).toBe('held')
    expect(box.mailbox.depth).toBe(2)
  })

  it('what is in flight goes on, and the latest goes after it (TB13)', () => {
    const box = new Box({ policy: { concurrency: 1 } })
    const older = box.put('1', keyed())
    box.take()
    const newer = box.put('2', keyed())
    expect(box.receipt(older).status).toBe('dispatched')
    box.settle(older, ok())
    expect(box.receipt(older).status).toBe('completed')
    expect(box.released()).toEqual([newer])
  })

  it('one that was released and not yet taken gives way: its reference takes nothing', () => {
    const box = new Box()
    const older = box.put('1', keyed())
    const newer = box.put('2', keyed())
    expect(box.take([older]).grants).toEqual([])
    expect(box.take([newer]).grants).toHaveLength(1)
  })

  it('those of another key, of another source, and of none, are left alone', () => {
    const box = busy()
    const others = [
      box.put('1', keyed({ collapsekey: 'other' })),
      box.put('2', keyed({ source: 'mallory' })),
      box.put('3'),
    ]
    box.put('4', keyed())
    expect(others.map((id) => box.receipt(id).status)).toEqual(['held', 'held', 'held'])
  })

  it('several in one call leave the last, and each is answered for (TB13)', () => {
    const box = busy()
    const admissions = box.accept([incoming('1', keyed()), incoming('2', keyed()), incoming('3', keyed())])
    expect(admissions.map((a) => a.status)).toEqual(['accepted', 'accepted', 'accepted'])
    const statuses = admissions.map((a) => ('id' in a ? box.receipt(a.id).status : 'none'))
    expect(statuses).toEqual(['cancelled', 'cancelled', 'held'])
  })

  it('the latest finds room where the older one had it, though the mailbox is full', () => {
    const box = busy({ depth: 2 })
    box.put('1', keyed())
    expect(box.accept([incoming('2')])[0]).toMatchObject({ status: 'full' })
    expect(box.accept([incoming('3', keyed())])[0]).toMatchObject({ status: 'accepted' })
  })

  it('one that gave way does not come back: its re-send is a duplicate, and leaves the latest alone (TB13)', () => {
    const box = busy()
    const older = box.put('1', keyed())
    const newer = box.put('2', keyed())
    expect(box.accept([incoming('1', keyed())])).toEqual([{ status: 'duplicate', id: older }])
    expect(box.receipt(newer).status).toBe('held')
  })
})

describe('a debounced message', () => {
  const debounce = (more: IncomingOptions = {}) => keyed({ debounceseconds: 5, ...more })

  it('waits until its key has been quiet for so long, and then goes once (TB13)', () => {
    const box = new Box()
    box.put('1', debounce())
    box.wait(4 * second)
    const last = box.put('2', debounce())
    box.tick(start + 5 * second)
    expect(box.references).toEqual([])
    expect(box.due()).toBe(start + 9 * second)
    box.tick(start + 9 * second)
    expect(box.references).toEqual([{ deliveries: [last] }])
  })

  it('waits no longer than its series may, however long that goes on (TB13)', () => {
    const box = new Box()
    let last = ''
    for (let i = 0; i < 5; i++) {
      last = box.put(`${i}`, debounce({ debouncemaxseconds: 12 }))
      box.wait(3 * second)
    }
    expect(box.delivery(last).dueAt).toBe(start + 12 * second)
    expect(box.references).toEqual([{ deliveries: [last] }])
  })

  it('lasts ten times its quiet where nothing is said', () => {
    const box = new Box()
    let last = ''
    for (let i = 0; i < 13; i++) {
      last = box.put(`${i}`, debounce())
      box.wait(4 * second)
    }
    expect(box.delivery(last).dueAt).toBe(start + 50 * second)
  })

  it('is never due before its delivertime', () => {
    const box = new Box()
    const id = box.put('1', debounce({ delivertime: new Date(start + 60 * second).toISOString() }))
    expect(box.delivery(id).dueAt).toBe(start + 60 * second)
  })
})

it('laws: of one key at most one waits; it is the last that was accepted; each of the others names a newer one', () => {
  const message = fc.record({ key: fc.constantFrom('a', 'b'), waitMs: fc.nat(3_000), take: fc.boolean() })
  fc.assert(
    fc.property(fc.array(message, { maxLength: 25 }), (messages) => {
      const box = new Box({ policy: { concurrency: 1 } })
      for (const [i, { key, waitMs, take }] of messages.entries()) {
        const id = box.put(`m${i}`, { collapsekey: key, debounceseconds: 1 })
        const waiting = [...box.rows.values()].filter((d) => d.state.at === 'waiting' && d.head.collapsekey === key)
        const free = waiting.filter((d) => box.leaseOf(d.id) === undefined)
        expect(free.map((d) => d.id)).toEqual([id])
        box.tick(box.now + waitMs)
        if (take) box.take()
      }
      for (const d of box.rows.values()) {
        if (d.state.at !== 'ended') continue
        const newer = box.delivery(d.state.collapsedInto ?? '')
        expect(newer.sequence).toBeGreaterThan(d.sequence)
        expect(newer.head.collapsekey).toBe(d.head.collapsekey)
      }
    }),
  )
})

describe('a publisher is told', () => {
  const issues = (more: object) => {
    const parsed = publishInput.safeParse({ to: 'ada', type: 't', ...more })
    return parsed.success ? [] : parsed.error.issues.map((i) => i.path.join('.'))
  }

  it('that exactly_once never gives way', () => {
    expect(issues({ collapsekey: 'k', deliverymode: 'exactly_once' })).toEqual(['collapsekey'])
    expect(issues({ collapsekey: 'k' })).toEqual([])
  })

  it('that a debounce needs a key, and its longest is no less than its quiet', () => {
    expect(issues({ debounceseconds: 1 })).toEqual(['debounceseconds'])
    expect(issues({ collapsekey: 'k', debouncemaxseconds: 1 })).toEqual(['debouncemaxseconds'])
    expect(issues({ collapsekey: 'k', debounceseconds: 2, debouncemaxseconds: 1 })).toEqual(['debouncemaxseconds'])
    expect(issues({ collapsekey: 'k', debounceseconds: 2, debouncemaxseconds: 2 })).toEqual([])
  })
})
