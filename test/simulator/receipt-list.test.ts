/** The list of a mailbox: newest first, what is asked for and as much of it as was asked for, also while more comes. */
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { limits } from '../../shared/limits.ts'
import { cursorOf, newestFirst, readCursor } from '../../shared/newest-first.ts'
import type { Receipt, ReceiptStatus } from '../../shared/receipt.ts'
import { fail, incoming, ok } from '../shared/mailbox-fixtures.ts'
import { LoneMailbox } from './lone-mailbox.ts'

const day = 86_400_000

function mailbox() {
  const home = new LoneMailbox()
  home.enrol({ kind: 'pull', policy: { depth: 1_000, concurrency: 100 } })
  let sent = 0
  const send = () => {
    sent += 1
    const [told] = home.object.accept([incoming(`m${sent}`)], `call ${sent}`).admissions
    if (told?.status !== 'accepted') throw new Error(told?.status)
    return told.id
  }
  /** The next in line ends so. */
  const end = (outcome: ReturnType<typeof ok>) => {
    const [lease] = home.object.lease(1, 60_000, `take ${home.now}`).leases
    home.now += 1
    if (lease !== undefined) home.object.settle([{ id: lease.id, token: lease.token, outcome, external: true }])
    return lease?.id
  }
  const once = (id: string) => {
    home.now += 1
    const one = { ...incoming(id), message: { ...incoming(id).message, deliverymode: 'at_most_once' as const } }
    home.object.recordFleeting(one, `ada_${id.padEnd(26, 'a')}`, home.now, { kind: 'dropped', reason: 'busy' })
    return `ada_${id.padEnd(26, 'a')}`
  }
  return { home, send, end, once }
}

/** All pages of it. */
function listed({ object }: LoneMailbox, limit: number, status?: ReceiptStatus, between: () => void = () => undefined) {
  const pages: Receipt[][] = []
  let cursor: string | undefined
  do {
    const page = object.list(status, cursor, limit)
    pages.push([...page.items])
    cursor = page.cursor
    between()
  } while (cursor !== undefined && pages.length < 1_000)
  return pages
}
const ids = (receipts: readonly Receipt[]) => receipts.map(({ id }) => id)

it('is newest first, in whichever table its rows lie', () => {
  const { home, send, end } = mailbox()
  const sent: string[] = []
  for (let days = 0; days < 6; days++) {
    for (let n = 0; n < 3; n++) sent.unshift(send())
    end(fail())
    end(ok())
    home.now += day
    home.object.sweep()
  }
  // Receipts of work that was done went after their days; dead letters are kept, and moved.
  const there = new Set(ids(home.object.list(undefined, undefined, 100).items))
  expect(there.size).toBeLessThan(sent.length)
  expect(ids(listed(home, 4).flat())).toEqual(sent.filter((id) => there.has(id)))
  expect(ids(home.object.list(undefined, undefined, 2).items)).toEqual(sent.slice(0, 2))
  home.restart()
  expect(ids(listed(home, 4).flat())).toEqual(sent.filter((id) => there.has(id)))
})

it('with a status is a full page of those, as long as there are more of them', () => {
  const { home, send, end } = mailbox()
  for (let n = 0; n < 30; n++) send()
  const dead: string[] = []
  for (let n = 0; n < 20; n++) {
    const id = end(n % 7 === 0 ? fail() : ok()) ?? ''
    if (n % 7 === 0) dead.unshift(id)
  }
  expect(ids(home.object.list('dead_lettered', undefined, 1).items)).toEqual(dead.slice(0, 1))
  expect(listed(home, 2, 'dead_lettered').map(ids)).toEqual([dead.slice(0, 2), dead.slice(2)])
  expect(listed(home, 4, 'held').map(({ length }) => length)).toEqual([4, 4, 2])
  expect(listed(home, 10, 'completed').flat()).toHaveLength(17)
  expect(listed(home, 10, 'expired')).toEqual([[]])
})

it('shows nothing twice and leaves nothing out that was there, while more comes and dead letters live anew', () => {
  const { home, send, end } = mailbox()
  const sent = Array.from({ length: 12 }, send).reverse()
  const dead = end(fail()) ?? ''
  const seen = ids(
    listed(home, 3, undefined, () => {
      send()
      home.object.redrive(dead, 'again')
    }).flat(),
  )
  // The one that lives anew has become the newest, before its page came.
  expect(seen).toEqual(sent.filter((id) => id !== dead))
  expect(ids(home.object.list(undefined, undefined, 100).items)).toContain(dead)
})

it('has the receipts of `at_most_once` at their times among the others', () => {
  const { home, send, once } = mailbox()
  const sent = [once('z'), send(), once('b'), once('y'), once('c'), send(), once('a')].reverse()
  expect(ids(home.object.list(undefined, undefined, 100).items)).toEqual(sent)
  expect(ids(listed(home, 2).flat())).toEqual(sent)
  expect(ids(listed(home, 2, 'failed').flat())).toHaveLength(5)
})

it('ends a page early rather than outgrow one call', () => {
  const { home, send, end } = mailbox()
  for (let n = 0; n < 20; n++) send()
  for (let n = 0; n < 20; n++) end(ok('x'.repeat(limits.resultBytes - 100)))
  const pages = listed(home, 100, 'completed').map(({ length }) => length)
  expect([pages.length, pages[0]! + pages[1]!]).toEqual([2, 20])
})

it('a place is read back from its cursor, and comes after itself in no order', () => {
  const place = fc.record({
    sequence: fc.nat(1_000_000_000),
    at: fc.oneof(fc.constant(0), fc.nat(2_000_000_000_000)),
    id: fc.stringMatching(/^[a-z0-9-]{1,20}_[a-z2-7]{26}$/),
  })
  fc.assert(
    fc.property(place, place, (one, other) => {
      expect(readCursor(cursorOf(one))).toEqual(one)
      expect(newestFirst(one, one)).toBe(0)
      expect(Math.sign(newestFirst(one, other))).toBe(-Math.sign(newestFirst(other, one)) + 0)
      // As lists gave them before.
      expect(readCursor(one.id)).toBeUndefined()
    }),
  )
})
