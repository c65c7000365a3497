/** The receipt: every status that a delivery can show, why it waits, and its steps with their times. Never here: who may read it. */
import { describe, expect, it } from 'vitest'
import { extend } from '../../shared/extend.ts'
import type { ReceiptStatus } from '../../shared/receipt.ts'
import { cancel, pause } from '../../shared/upkeep.ts'
import { agentRecord, Box, fail, gone, hold, hour, iso, later, ok, retry, second, start } from './mailbox-fixtures.ts'

type Making = (box: Box) => string

const put: Making = (box) => box.put('a')
const taken: Making = (box) => {
  const id = box.put('a')
  box.take()
  return id
}
const settled =
  (outcome: Parameters<Box['settle']>[1]): Making =>
  (box) => {
    const id = taken(box)
    box.settle(id, outcome)
    return id
  }

const lives: [ReceiptStatus, string, ConstructorParameters<typeof Box>[0], Making, string | undefined][] = [
  [
    'held',
    'until its delivertime',
    {},
    (box) => box.put('a', { delivertime: iso(start + hour) }),
    `due at ${iso(start + hour)}`,
  ],
  ['held', 'until its next attempt', {}, settled(retry()), `due at ${iso(start + second)}`],
  [
    'held',
    'for a free place',
    { policy: { concurrency: 1 } },
    (box) => {
      box.put('running')
      return box.put('a')
    },
    'waiting for a free place among those in flight',
  ],
  [
    'held',
    'for its turn in its key',
    {},
    (box) => {
      box.put('first', { partitionkey: 'k' })
      return box.put('a', { partitionkey: 'k' })
    },
    'waiting for a free place among those in flight, in its turn within `k`',
  ],
  ['held', 'until somebody pulls it', { kind: 'pull' }, put, 'waiting to be leased'],
  [
    'parked',
    'while its agent is paused',
    {},
    (box) => {
      box.step((draft, now) => pause(draft, 'maintenance', undefined, now))
      return box.put('a')
    },
    'paused: maintenance',
  ],
  ['parked', 'while its agent is gone', {}, settled(gone), 'paused: the webhook answered 410 Gone'],
  [
    'parked',
    'while its agent asks for quiet',
    {},
    settled(hold(hour)),
    `held: the agent asked for quiet until ${iso(start + hour)}`,
  ],
  [
    'parked',
    'while its webhook is unverified',
    { trusted: false },
    put,
    'unverified: the webhook has not answered its challenge',
  ],
  ['queued', 'when it is released', {}, put, undefined],
  ['dispatched', 'when it is taken', {}, taken, undefined],
  ['delivered', 'after a 202 under ack: later', { policy: { ack: 'later' } }, settled(later), undefined],
  [
    'claimed',
    'when its lease was extended',
    {},
    (box) => {
      const id = taken(box)
      box.step((draft, now) => extend(draft, id, box.leaseOf(id)?.token ?? '', hour, now))
      return id
    },
    undefined,
  ],
  [
    'claimed',
    'when it was pulled',
    { kind: 'pull' },
    (box) => {
      const id = box.put('a')
      box.lease(1)
      return id
    },
    undefined,
  ],
  ['completed', 'after an ack', {}, settled(ok()), undefined],
  ['dead_lettered', 'after a terminal failure', {}, settled(fail()), undefined],
  [
    'expired',
    'after its expirytime',
    {},
    (box) => {
      const id = box.put('a', { expirytime: iso(start + second) })
      box.tick(start + second)
      return id
    },
    undefined,
  ],
  [
    'cancelled',
    'after a cancel',
    {},
    (box) => {
      const id = box.put('a')
      box.step((draft, now) => cancel(draft, id, box.stored, now))
      return id
    },
    undefined,
  ],
]

describe('a receipt says', () => {
  it.each(lives)('%s: %s', (status, _, options, make, because) => {
    const box = new Box(options)
    const receipt = box.receipt(make(box))
    expect(receipt.status).toBe(status)
    expect(receipt.because).toBe(because)
  })

  it('which agent, which message (without its data), which place and how many hops', () => {
    const box = new Box()
    box.put('before')
    const id = box.put('a', { hops: 3, subject: 'invoice 7' })
    expect(box.receipt(id)).toMatchObject({
      id,
      agent: 'ada',
      sequence: 2,
      hops: 3,
      message: { id: 'a', source: 'eve', type: 'task', subject: 'invoice 7' },
    })
    expect(box.receipt(id).message).not.toHaveProperty('data')
  })

  it('when the next attempt is, while one is to come and not yet due', () => {
    const box = new Box()
    const id = settled(retry())(box)
    expect(box.receipt(id)).toMatchObject({ attempt: 1, maxAttempts: 4, nextAttemptAt: iso(start + second) })
    box.tick(start + second)
    expect(box.receipt(id)).not.toHaveProperty('nextAttemptAt')
    box.run(id, ok())
    expect(box.receipt(id)).not.toHaveProperty('nextAttemptAt')
  })

  it('T13: which attempts there were, what each came to and why (TB19)', () => {
    const box = new Box({ policy: { maxAttempts: 2 } })
    const id = settled(retry())(box)
    box.tick(start + second)
    box.take()
    box.wait(second)
    box.settle(id, retry())
    const error = { code: 'http', message: 'answered 500' }
    expect(box.receipt(id).attempts).toEqual([
      { number: 1, startedAt: iso(start), endedAt: iso(start), outcome: 'retry', counted: true, error },
      {
        number: 2,
        startedAt: iso(start + second),
        endedAt: iso(start + 2 * second),
        outcome: 'retry',
        counted: true,
        error,
      },
    ])
    expect(box.receipt(id).deadLetter).toEqual({ id, reason: 'attempts_exhausted' })
  })

  it('the result, also one that is null, and none where none was given', () => {
    const of = (result: unknown) => {
      const box = new Box()
      return box.receipt(settled(ok(result))(box))
    }
    expect(of({ answer: 42 }).result).toEqual({ answer: 42 })
    expect(of(null)).toHaveProperty('result', null)
    expect(of(undefined)).not.toHaveProperty('result')
  })

  it('the attempts that it had, when its agent and the policy are gone', () => {
    const box = new Box()
    const id = settled(fail())(box)
    box.step((draft) => {
      draft.agent = null
    })
    expect(box.receipt(id)).toMatchObject({ status: 'dead_lettered', attempt: 1, maxAttempts: 1 })
  })
})

describe('the steps', () => {
  const stepsOf = (box: Box, id: string) =>
    box.receipt(id).steps.map((s) => [s.step, (Date.parse(s.at) - start) / second])

  it('of a delivery that went well: accepted, queued, dispatched, delivered, completed, each at its time (A17)', () => {
    const box = new Box()
    const id = box.put('a')
    box.wait(second)
    box.take()
    box.wait(second)
    box.settle(id, ok())
    expect(stepsOf(box, id)).toEqual([
      ['accepted', 0],
      ['queued', 0],
      ['dispatched', 1],
      ['delivered', 2],
      ['completed', 2],
    ])
  })

  it('are the same while it is under way as when it has ended', () => {
    const box = new Box()
    const id = box.put('a')
    const seen = [stepsOf(box, id)]
    box.wait(second)
    box.take()
    seen.push(stepsOf(box, id))
    box.settle(id, ok())
    const end = stepsOf(box, id)
    for (const before of seen) expect(end.slice(0, before.length)).toEqual(before)
    expect(seen.map((s) => s.length)).toEqual([2, 3])
  })

  it('of a pulled delivery say claimed', () => {
    const box = new Box({ kind: 'pull' })
    const id = box.put('a')
    box.lease(1)
    expect(stepsOf(box, id).map(([name]) => name)).toEqual(['accepted', 'claimed'])
    box.settle(id, ok(), { external: true })
    expect(stepsOf(box, id).map(([name]) => name)).toEqual(['accepted', 'claimed', 'completed'])
  })

  it('of a 202 say delivered once, and completed at the ack', () => {
    const box = new Box({ policy: { ack: 'later' } })
    const id = settled(later)(box)
    expect(stepsOf(box, id).map(([name]) => name)).toEqual(['accepted', 'queued', 'dispatched', 'delivered'])
    box.wait(second)
    box.settle(id, ok(), { external: true })
    expect(stepsOf(box, id)).toEqual([
      ['accepted', 0],
      ['queued', 0],
      ['dispatched', 0],
      ['delivered', 0],
      ['completed', 1],
    ])
  })

  it('of a delivery that was redriven tell both lives', () => {
    const box = new Box()
    const id = settled(fail())(box)
    box.redrive(id)
    box.run(id, ok())
    const names = stepsOf(box, id).map(([name]) => name)
    expect(
      names.filter((name) => ['accepted', 'dead_lettered', 'redriven', 'completed'].includes(String(name))),
    ).toEqual(['accepted', 'dead_lettered', 'redriven', 'completed'])
  })

  it('of an agent that changes its policy keep the facts', () => {
    const box = new Box()
    const id = settled(ok())(box)
    box.step((draft) => {
      draft.agent = agentRecord({ policy: { maxAttempts: 9 } })
    })
    expect(box.receipt(id)).toMatchObject({ status: 'completed', attempt: 1, maxAttempts: 9 })
  })
})
