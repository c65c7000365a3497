/** at_most_once: admitted or dropped, bounded in flight like all else, and one row as its receipt. Never here: the queue. */
import { describe, expect, it } from 'vitest'
import { beginFleeting, type FleetingOutcome, fleetingReceipt } from '../../shared/fleeting.ts'
import { limits } from '../../shared/limits.ts'
import { insert } from '../../shared/mailbox.ts'
import { pause } from '../../shared/upkeep.ts'
import { Box, fail, gone, hold, incoming, later, minute, ok, retry, second, start, unsent } from './mailbox-fixtures.ts'

const begin = (box: Box, id: string, seen = false) => box.step((draft, now) => beginFleeting(draft, id, seen, now))

const record = (box: Box, id: string, outcome: FleetingOutcome, startedAt = box.now) => {
  box.step((draft, now) => {
    draft.fleeting.set(id, null)
    insert(draft, fleetingReceipt(draft, incoming('a'), id, startedAt, outcome, now), '')
  })
  return box.receipt(id)
}

describe('T17: at_most_once', () => {
  it('is admitted for as long as an attempt may take, and stores nothing before it', () => {
    const box = new Box({ policy: { timeoutSeconds: 30 } })
    expect(begin(box, 'ada_x')).toEqual({
      status: 'admitted',
      agent: box.mailbox.agent,
      token: 'fleeting.ada_x',
      deadlineAt: start + 40 * second,
    })
    expect([box.rows.size, box.mailbox.depth]).toEqual([0, 0])
  })

  it('starts once: a doubled copy is told so, during the attempt and after it', () => {
    const box = new Box()
    begin(box, 'ada_x')
    expect(begin(box, 'ada_x')).toEqual({ status: 'seen' })
    expect(begin(box, 'ada_y', true)).toEqual({ status: 'seen' })
    box.wait(minute)
    expect(begin(box, 'ada_x')).toEqual({ status: 'seen' })
  })

  it('is dropped, not kept, while the agent is parked', () => {
    const box = new Box()
    box.step((draft, now) => pause(draft, 'maintenance', undefined, now))
    expect(begin(box, 'ada_x')).toEqual({ status: 'dropped', reason: 'paused: maintenance' })
    expect(begin(new Box({ trusted: false }), 'ada_x')).toMatchObject({ status: 'dropped' })
    expect(box.mailbox.fleeting.size).toBe(0)
  })

  it('is unknown to a mailbox without an agent', () => {
    expect(begin(new Box(null), 'ada_x')).toEqual({ status: 'unknown' })
  })

  it('M5: takes a place in flight, and finds none where others have them', () => {
    const box = new Box({ policy: { concurrency: 2 } })
    begin(box, 'ada_x')
    const [a, b] = [box.put('a'), box.put('b')]
    expect(box.released()).toEqual([a])
    expect(begin(box, 'ada_y')).toEqual({ status: 'busy' })
    record(box, 'ada_x', ok())
    expect(box.released()).toEqual([a, b])
  })

  it('M6: gives its place back when nobody is heard of again, and who waits for it is woken', () => {
    const box = new Box({ policy: { concurrency: 1, timeoutSeconds: 30 } })
    begin(box, 'ada_x')
    const id = box.put('a')
    expect([box.released(), box.due()]).toEqual([[], start + 40 * second])
    box.tick(box.due())
    expect(box.released()).toEqual([id])
  })

  it('M6: a lost one does not keep the next one away, even if nothing else wakes the mailbox', () => {
    const box = new Box({ policy: { concurrency: 1, timeoutSeconds: 30 } })
    begin(box, 'ada_x')
    expect(box.due()).toBeUndefined()
    box.wait(40 * second - 1)
    expect(begin(box, 'ada_y')).toEqual({ status: 'busy' })
    box.wait(1)
    expect(begin(box, 'ada_y')).toMatchObject({ status: 'admitted' })
    expect([...box.mailbox.fleeting.keys()]).toEqual(['ada_y'])
  })
})

describe('its receipt', () => {
  const failures: [string, FleetingOutcome, string][] = [
    ['a failure', retry(), 'http'],
    ['a terminal failure', fail(), 'http'],
    ['a hold', hold(minute), 'http'],
    ['a 410', gone, 'http'],
    ['no connection slot', unsent, 'unsent'],
  ]

  it.each(failures)('says failed after %s: nobody tries again', (_, outcome, code) => {
    const receipt = record(new Box(), 'ada_x', outcome)
    expect(receipt).toMatchObject({
      status: 'failed',
      attempt: 1,
      attempts: [{ outcome: outcome.kind, error: { code } }],
    })
    expect(receipt).not.toHaveProperty('deadLetter')
  })

  it.each([
    ['an ok', ok('done')],
    ['a 202', later],
  ] as [string, FleetingOutcome][])('says completed after %s', (_, outcome) => {
    const box = new Box()
    const receipt = record(box, 'ada_x', outcome, box.now - second)
    expect(receipt).toMatchObject({ status: 'completed', attempt: 1 })
    expect(receipt.steps.map((s) => s.step)).toEqual(['dispatched', 'completed'])
    expect(receipt.result).toBe(outcome.kind === 'ok' ? 'done' : undefined)
  })

  it('tells what the agent asked to follow, refused, and is over with that: nothing is left to carry', () => {
    const effects = { messages: [{ to: 'bob', type: 'x' }, { type: 'to nobody' }] }
    const box = new Box()
    const receipt = record(box, 'ada_x', { kind: 'ok', result: 1, effects })
    expect(receipt.effects).toMatchObject([
      { n: 1, kind: 'message', publish: { to: 'bob' }, state: { status: 'refused', reason: 'not_durable' } },
      { n: 2, kind: 'message', state: { status: 'refused', reason: 'invalid' } },
    ])
    expect([receipt.status, receipt.result, box.due(), box.mailbox.live.size]).toEqual(['completed', 1, undefined, 0])
  })

  it('keeps a result as large as any delivery may have, and of a larger one only that it came', () => {
    const fits = record(new Box(), 'ada_x', ok('x'.repeat(limits.resultBytes - 2)))
    expect([fits.status, typeof fits.result, fits.effects]).toEqual(['completed', 'string', undefined])
    const larger = record(new Box(), 'ada_x', ok('x'.repeat(limits.resultBytes - 1)))
    expect([larger.status, larger.result]).toEqual(['completed', undefined])
    expect(larger.effects).toMatchObject([
      {
        state: {
          status: 'refused',
          reason: 'invalid',
          detail: expect.stringContaining(`${limits.resultBytes + 1} bytes`),
        },
      },
    ])
  })

  it('says expired, without an attempt, where its time was over before', () => {
    const box = new Box()
    expect(record(box, 'ada_x', { kind: 'expired' })).toMatchObject({ status: 'expired', attempt: 0 })
    expect([box.mailbox.live.size, box.due()]).toEqual([0, undefined])
  })

  it('says failed of one that its agent passed on (because there is no chain)', () => {
    const receipt = record(new Box(), 'ada_x', { kind: 'ok', effects: { pass: true } })
    expect(receipt).toMatchObject({ status: 'failed', attempts: [{ error: { code: 'no_handler' } }] })
  })

  it('says why it was dropped, without an attempt', () => {
    const receipt = record(new Box(), 'ada_x', { kind: 'dropped', reason: 'paused: maintenance' })
    expect(receipt).toMatchObject({ status: 'failed', attempt: 0, attempts: [] })
    expect(receipt.steps[0]).toMatchObject({ step: 'dropped', detail: 'paused: maintenance' })
  })

  it('is one row, never live: no depth, no alarm, no redrive', () => {
    const box = new Box()
    record(box, 'ada_x', retry())
    expect([box.mailbox.live.size, box.mailbox.depth, box.due(), box.rows.size]).toEqual([0, 0, undefined, 1])
    expect(box.redrive('ada_x')).toEqual({ status: 'not_redrivable', ended: 'failed' })
  })
})
