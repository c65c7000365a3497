/** Accept: who is known, what is a duplicate, how much fits, and that a repeated call gets the same answer. Never here: who may publish. */
import { describe, expect, it } from 'vitest'
import { accept } from '../../shared/admission.ts'
import { readDelivery } from '../../shared/delivery.ts'
import { deliveryId, mid } from '../../shared/ids.ts'
import { limits } from '../../shared/limits.ts'
import { put } from '../../shared/mailbox.ts'
import { abandon, cancel } from '../../shared/upkeep.ts'
import { agentRecord, Box, day, fail, hour, incoming, iso, minute, ok, start } from './mailbox-fixtures.ts'

const idOf = (key: string, generation = 0) => deliveryId('ada', mid('eve', key, generation))
const cancelOf = (box: Box, id: string) => box.step((draft, now) => cancel(draft, id, box.stored, now))

describe('accept', () => {
  it('M1: what is accepted is stored, live and numbered, before anybody hears of it (A9)', () => {
    const box = new Box()
    expect(box.accept([incoming('a'), incoming('b')])).toEqual([
      { status: 'accepted', id: idOf('a') },
      { status: 'accepted', id: idOf('b') },
    ])
    expect([...box.mailbox.live.keys()]).toEqual([idOf('a'), idOf('b')])
    expect([box.delivery(idOf('a')).sequence, box.delivery(idOf('b')).sequence]).toEqual([1, 2])
    expect(JSON.parse(box.bodies.get(idOf('a')) ?? '')).toMatchObject({ id: 'a', data: { work: 1 } })
  })

  it('a mailbox that nobody registered answers unknown and stores nothing', () => {
    const box = new Box(null)
    expect(box.accept([incoming('a')])).toEqual([{ status: 'unknown' }])
    expect(box.rows.size).toBe(0)
  })

  it('keeps what the broker must know beside the message, and nothing of it in the message (T15)', () => {
    const box = new Box()
    const sent = incoming('a', { partitionkey: 'k', priority: 7, expirytime: iso(start + hour) })
    box.accept([sent])
    const delivery = box.delivery(idOf('a'))
    expect(delivery).toMatchObject({ partitionKey: 'k', priority: 7, expiresAt: start + hour, attempt: 0, leases: 0 })
    expect(box.bodies.get(idOf('a'))).toBe(sent.body)
    expect(delivery.head).not.toHaveProperty('data')
  })

  it('a message without a priority gets the middle one, and without a mode at_least_once', () => {
    const box = new Box()
    expect(box.delivery(box.put('a'))).toMatchObject({ priority: 4, mode: 'at_least_once' })
  })

  it('one refused message does not spoil its batch', () => {
    const box = new Box()
    box.put('a')
    const answers = box.accept([incoming('b'), incoming('a', { data: 'other' }), incoming('c')])
    expect(answers.map((a) => a.status)).toEqual(['accepted', 'conflict', 'accepted'])
  })
})

describe('a delay', () => {
  it('holds the message until its delivertime, and the alarm is due then (M6)', () => {
    const box = new Box()
    const id = box.put('a', { delivertime: iso(start + hour) })
    expect(box.released()).toEqual([])
    expect(box.due()).toBe(start + hour)
    expect(box.receipt(id)).toMatchObject({ status: 'held', nextAttemptAt: iso(start + hour) })
    box.tick(start + hour - 1)
    expect(box.released()).toEqual([])
    box.tick(start + hour)
    expect(box.released()).toEqual([id])
  })

  it('in the past is no delay, and does not jump the line', () => {
    const box = new Box()
    expect(box.delivery(box.put('a', { delivertime: iso(start - hour) }))).toMatchObject({
      dueAt: start,
      lineAt: start,
    })
  })
})

describe('a duplicate', () => {
  it.each(['waiting', 'leased', 'completed'])(
    'of a %s message is told the first one’s delivery, and stored once',
    (stage) => {
      const box = new Box()
      const id = box.put('a')
      if (stage !== 'waiting') box.take()
      if (stage === 'completed') box.settle(id, ok())
      expect(box.accept([incoming('a')])).toEqual([{ status: 'duplicate', id }])
      expect(box.rows.size).toBe(1)
    },
  )

  it('with other content is a conflict: the key is taken', () => {
    const box = new Box()
    const id = box.put('a')
    expect(box.accept([incoming('a', { data: 'other' })])).toEqual([{ status: 'conflict', id }])
  })

  it('is told by source and key, not by the message id alone', () => {
    const box = new Box()
    box.put('a')
    expect(box.accept([incoming('a', { source: 'mallory' })])[0]?.status).toBe('accepted')
    expect(box.accept([incoming('a', { key: 'another' })])[0]?.status).toBe('accepted')
    expect(box.accept([incoming('b', { key: 'a' })])).toEqual([{ status: 'duplicate', id: idOf('a') }])
  })

  it('within one batch is a duplicate of its neighbour', () => {
    const box = new Box()
    expect(box.accept([incoming('a'), incoming('a'), incoming('a', { data: 'other' })])).toEqual([
      { status: 'accepted', id: idOf('a') },
      { status: 'duplicate', id: idOf('a') },
      { status: 'conflict', id: idOf('a') },
    ])
  })

  it('in a full mailbox is still a duplicate, because nothing has to be stored for it', () => {
    const box = new Box({ policy: { depth: 1 } })
    const id = box.put('a')
    expect(box.accept([incoming('a')])).toEqual([{ status: 'duplicate', id }])
  })
})

describe('the same accept again', () => {
  const batch = [incoming('a'), incoming('a'), incoming('b')]

  it('gets the same answer, because the platform repeats calls (M1)', () => {
    const box = new Box()
    const first = box.accept(batch, 'call')
    expect(box.accept(batch, 'call')).toEqual(first)
    expect(box.rows.size).toBe(2)
  })

  it('gets it also after the message ended, and its key would be free', () => {
    const box = new Box()
    const [first] = box.accept([incoming('a')], 'call')
    box.run(idOf('a'), fail())
    expect(box.accept([incoming('a')], 'call')).toEqual([first])
    expect(box.rows.size).toBe(1)
  })

  it('with other content under the same token is a conflict: no call is repeated so', () => {
    const box = new Box()
    box.accept([incoming('a', { brokerMade: true })], 'same')
    const other = incoming('a', { brokerMade: true, data: 'other' })
    expect(box.accept([other], 'same')).toEqual([{ status: 'conflict', id: idOf('a') }])
  })

  it('gets it also when the mailbox is full by now', () => {
    const box = new Box({ policy: { depth: 2 } })
    const first = box.accept([incoming('a'), incoming('b')], 'call')
    expect(box.accept([incoming('a'), incoming('b')], 'call')).toEqual(first)
  })
})

describe('the key of a message that ended', () => {
  const endings: [string, (box: Box, id: string) => unknown][] = [
    ['dead', (box, id) => box.run(id, fail())],
    ['cancelled', cancelOf],
    ['expired', (box) => box.tick(start + minute)],
  ]

  it.each(endings)('is free again when it is %s, so that a re-send works (A91)', (_, end) => {
    const box = new Box()
    const id = box.put('a', { expirytime: iso(start + minute) })
    end(box, id)
    expect(box.accept([incoming('a', { data: 'mended' })])).toEqual([{ status: 'accepted', id: idOf('a', 1) }])
    expect(box.accept([incoming('a', { data: 'mended' })])).toEqual([{ status: 'duplicate', id: idOf('a', 1) }])
  })

  it.each(endings)('is not free when it is %s under exactly_once: only a redrive revives it (T17)', (_, end) => {
    const box = new Box()
    const id = box.put('a', { deliverymode: 'exactly_once', expirytime: iso(start + minute) })
    end(box, id)
    expect(box.accept([incoming('a')])).toEqual([{ status: 'duplicate', id }])
  })

  it('is not free after the dedupe window either under exactly_once, while it is remembered (T17)', () => {
    const box = new Box({ policy: { dedupeSeconds: 60 } })
    const id = box.put('a', { deliverymode: 'exactly_once' })
    box.run(id, ok())
    box.wait(30 * day)
    expect(box.accept([incoming('a')])).toEqual([{ status: 'duplicate', id }])
  })

  it.each(endings)('is never free when it is %s and the broker made it (M2)', (_, end) => {
    const box = new Box({ policy: { dedupeSeconds: 60 } })
    const id = box.put('a', { brokerMade: true, expirytime: iso(start + minute) })
    end(box, id)
    box.wait(30 * day)
    expect(box.accept([incoming('a', { brokerMade: true })])).toEqual([{ status: 'duplicate', id }])
  })

  it('is remembered for the dedupe window after completion, and free when that is over (A91)', () => {
    const box = new Box({ policy: { dedupeSeconds: 60 } })
    const id = box.put('a')
    box.run(id, ok())
    box.now = start + minute - 1
    expect(box.accept([incoming('a')])).toEqual([{ status: 'duplicate', id }])
    box.now = start + minute
    expect(box.accept([incoming('a')])).toEqual([{ status: 'accepted', id: idOf('a', 1) }])
  })

  it('is not free while the message lives, however long that takes', () => {
    const box = new Box({ policy: { dedupeSeconds: 60 } })
    const id = box.put('a')
    box.wait(day)
    expect(box.accept([incoming('a')])).toEqual([{ status: 'duplicate', id }])
  })

  it('is free for another incarnation of the agent, which inherits nothing', () => {
    const box = new Box()
    const id = box.put('a', { brokerMade: true })
    box.step((draft, now) => {
      abandon(draft, now)
      draft.agent = null
    })
    box.step((draft) => {
      draft.agent = agentRecord({ incarnation: 'second' })
    })
    expect(box.accept([incoming('a', { brokerMade: true })])).toEqual([{ status: 'accepted', id: idOf('a', 1) }])
    expect([box.delivery(id).incarnation, box.delivery(idOf('a', 1)).incarnation]).toEqual(['first', 'second'])
  })

  it('lives through many deaths, each with a delivery of its own', () => {
    const box = new Box()
    for (let generation = 0; generation < 12; generation++) {
      const id = box.put('a')
      expect(id).toBe(idOf('a', generation))
      box.run(id, fail())
    }
    expect(new Set(box.rows.keys()).size).toBe(12)
  })
})

describe('what the broker made under a key that came round again', () => {
  const made = (since: number | undefined, more: object = {}) => ({
    ...incoming('a', { brokerMade: true, ...more }),
    since,
  })

  it.each(['waiting', 'completed'])(
    'is another message, though the first one is %s, and a repeat of either is one (M2)',
    (stage) => {
      const box = new Box()
      box.accept([made(1)], 'same')
      if (stage === 'completed') box.run(idOf('a'), ok())
      const ids = [idOf('a'), idOf('a\n2'), idOf('a\n3')]
      for (const [place, since] of [2, 3].entries())
        expect(box.accept([made(since, { data: since })], 'same')).toEqual([{ status: 'accepted', id: ids[place + 1] }])
      for (const token of ['same', 'another'])
        for (const [place, id] of ids.entries()) {
          const again = made(place + 1, place === 0 ? {} : { data: place + 1 })
          expect(box.accept([again], token)).toEqual([{ status: token === 'same' ? 'accepted' : 'duplicate', id }])
        }
      expect(box.rows.size).toBe(3)
    },
  )

  it('keeps the first one’s row with it: forgotten before, it would let a repeat in once more', () => {
    const box = new Box()
    box.accept([made(1)])
    box.run(idOf('a'), ok())
    const written = box.delivery(idOf('a'))
    box.accept([made(2)])
    expect(box.delivery(idOf('a')).steps.slice(written.steps.length)).toMatchObject([
      { step: 'key_passed_on', detail: idOf('a\n2') },
    ])
  })

  it('is the same one where nobody says since when, as of what was stored before that was told', () => {
    const box = new Box()
    box.accept([made(1)])
    expect(box.accept([made(undefined)])).toEqual([{ status: 'duplicate', id: idOf('a') }])
    const { since: _since, ...before } = box.delivery(idOf('a'))
    expect(readDelivery(JSON.stringify(before))).toEqual(before)
    box.step((draft) => put(draft, before))
    expect(box.accept([made(2)])).toEqual([{ status: 'duplicate', id: idOf('a') }])
  })

  it('is no way around a publisher’s key', () => {
    const box = new Box()
    box.put('a')
    expect(box.accept([made(5)])).toEqual([{ status: 'duplicate', id: idOf('a') }])
    expect(box.accept([{ ...incoming('a'), since: 6 }])).toEqual([{ status: 'duplicate', id: idOf('a') }])
  })
})

describe('M5 T3: the bound of a mailbox', () => {
  const fill = (box: Box, count: number) => {
    for (let i = 0; i < count; i++) box.put(`m${i}`, { brokerMade: true })
  }

  it('is exact: the last place is given, the next message is refused with evidence (A15)', () => {
    const box = new Box({ policy: { depth: 5 } })
    fill(box, 4)
    expect(box.accept([incoming('last'), incoming('over')])).toEqual([
      { status: 'accepted', id: idOf('last') },
      { status: 'full', depth: 5, max: 5, retryAfterSeconds: 1 },
    ])
    expect(box.mailbox.depth).toBe(5)
  })

  it('leaves a tenth to the broker’s own: publishers are refused where effects still fit (A15)', () => {
    const box = new Box({ policy: { depth: 20 } })
    for (let i = 0; i < 18; i++) box.put(`m${i}`)
    expect(box.accept([incoming('over')])).toEqual([{ status: 'full', depth: 18, max: 18, retryAfterSeconds: 1 }])
    const own = ['x', 'y', 'z'].map((id) => incoming(id, { brokerMade: true }))
    expect(box.accept(own).map((a) => a.status)).toEqual(['accepted', 'accepted', 'full'])
    expect(box.accept([incoming('q', { brokerMade: true })])).toEqual([
      { status: 'full', depth: 20, max: 20, retryAfterSeconds: 1 },
    ])
  })

  it('leaves it to what answers somebody, not to the legs of a publication, which the broker makes too', () => {
    const box = new Box({ policy: { depth: 10 } })
    for (let i = 0; i < 9; i++) box.put(`m${i}`)
    expect(box.accept([incoming('leg', { brokerMade: true, reserved: false })])[0]).toMatchObject({
      status: 'full',
      max: 9,
    })
    expect(box.accept([incoming('reply', { brokerMade: true })])[0]?.status).toBe('accepted')
  })

  it('counts leased, delayed and parked mail alike, and no longer what has ended', () => {
    const box = new Box({ policy: { depth: 3, concurrency: 1 } })
    const leased = box.put('leased')
    box.take()
    box.put('delayed', { delivertime: iso(start + day) })
    box.put('waiting')
    expect(box.accept([incoming('over')])[0]?.status).toBe('full')
    box.settle(leased, ok())
    expect(box.mailbox.depth).toBe(2)
    expect(box.accept([incoming('over')])[0]?.status).toBe('accepted')
  })

  it('does not count a completed delivery whose effects are still open', () => {
    const box = new Box({ policy: { depth: 1 } })
    box.run(box.put('a'), ok(undefined, { messages: [{ to: 'bob', type: 'next' }] }))
    expect(box.mailbox.live.size).toBe(1)
    expect(box.accept([incoming('b')])[0]?.status).toBe('accepted')
  })

  it('asks publishers to come back after the policy’s first pause, a second at least', () => {
    const patient = { initialSeconds: 7.2, factor: 2, capSeconds: 60, jitter: 'none' } as const
    const box = new Box({ policy: { depth: 1, backoff: patient } })
    box.put('a')
    expect(box.accept([incoming('b')])[0]).toMatchObject({ retryAfterSeconds: 8 })
    const hasty = new Box({ policy: { depth: 1, backoff: 'quick' } })
    hasty.put('a')
    expect(hasty.accept([incoming('b')])[0]).toMatchObject({ retryAfterSeconds: 1 })
  })

  it('holds for remembered rows too: a mailbox cannot grow without end on what has ended', () => {
    const box = new Box()
    const answers = box.step((draft, now) =>
      accept(draft, [incoming('a'), incoming('b')], 'call', limits.mailboxRows - 1, box.stored, now),
    )
    expect(answers.map((a) => a.status)).toEqual(['accepted', 'full'])
  })
})
