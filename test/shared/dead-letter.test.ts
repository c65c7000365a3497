/** Dead letters: the entry that the index gets, what is news to it, and how its list is walked. Never here: the index itself. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  type DeadLetter,
  deadLetterOf,
  deadLetterOfEffect,
  groupCursor,
  isNewsOf,
  letterCursor,
  parseGroupCursor,
  parseLetterCursor,
  readLetter,
} from '../../shared/dead-letter.ts'
import type { Effect } from '../../shared/effects.ts'
import { fingerprintOf } from '../../shared/fingerprint.ts'
import { unfinishedOf } from '../../shared/handover.ts'
import { parseDeadLetterId } from '../../shared/ids.ts'
import { Box, day, fail, iso, ok, retry, second, start } from './mailbox-fixtures.ts'

const letterOf = (box: Box, id: string): DeadLetter => {
  const letter = deadLetterOf('ada', box.delivery(id))
  if (letter === undefined) throw new Error(`${id} is no dead letter`)
  return letter
}

describe('T13: the entry of a delivery that died', () => {
  it('says which, why, after which attempts, with the last error and the message without its data (A74)', () => {
    const box = new Box({ policy: { maxAttempts: 1 } })
    const id = box.put('a', { subject: 'invoice 7' })
    box.take()
    box.wait(second)
    box.settle(id, retry())
    expect(letterOf(box, id)).toEqual({
      v: 1,
      id,
      delivery: id,
      agent: 'ada',
      kind: 'delivery',
      reason: 'attempts_exhausted',
      error: { code: 'http', message: 'answered 500' },
      fingerprint: fingerprintOf({ code: 'http', message: 'answered 500' }, '').error,
      attempts: box.delivery(id).attempts,
      at: start + second,
      redrives: 0,
      message: box.delivery(id).head,
      sequence: 1,
    })
    expect(letterOf(box, id).attempts).toHaveLength(1)
    expect(letterOf(box, id).message).not.toHaveProperty('data')
  })

  it('says how its agent stood when it died, at no write: its breaker and the policy in force (A74)', () => {
    const box = new Box({ policy: { maxAttempts: 1, breaker: { failureThreshold: 1 } } })
    const id = box.put('a')
    box.run(id, retry())
    const [unfinished] = box.step((draft) => unfinishedOf(draft, 'ada', [id], () => undefined))
    expect(unfinished?.burial).toMatchObject({ breaker: 'open', policy: box.mailbox.agent!.policy })
    expect(readLetter(JSON.stringify(unfinished?.burial))).toEqual(unfinished?.burial)
    expect(JSON.stringify(box.delivery(id))).not.toContain('failureThreshold')
  })

  it('names each death of a delivery that was redriven by itself', () => {
    const box = new Box()
    const id = box.put('a')
    box.run(id, fail())
    const first = letterOf(box, id)
    box.redrive(id)
    box.run(id, fail())
    const second = letterOf(box, id)
    expect([first.id, second.id]).toEqual([id, `${id}-r1`])
    expect(parseDeadLetterId(second.id)).toEqual({ agent: 'ada', delivery: id, redrives: 1 })
  })

  it('exists for an expired one, and not for what lives, completed or was cancelled', () => {
    const box = new Box({ policy: { concurrency: 10 } })
    const expired = box.put('a', { expirytime: iso(start + second) })
    const [alive, done] = [box.put('b'), box.put('c')]
    box.run(done, ok())
    box.tick(start + second)
    expect(letterOf(box, expired).reason).toBe('expired')
    expect([alive, done].map((id) => deadLetterOf('ada', box.delivery(id)))).toEqual([undefined, undefined])
  })

  it('is read from storage as it was written', () => {
    const box = new Box()
    const id = box.put('a')
    box.run(id, fail())
    expect(readLetter(JSON.stringify(letterOf(box, id)))).toEqual(letterOf(box, id))
    expect(() => readLetter('{"v":2}')).toThrow()
  })

  it('is read all the same when it was written before there were fingerprints', () => {
    const box = new Box()
    const id = box.put('a')
    box.run(id, fail())
    const { fingerprint: _none, ...older } = letterOf(box, id)
    expect(readLetter(JSON.stringify(older))).toEqual(older)
  })

  it('has the fingerprint of its error, which is that of others who failed alike; without an error that of its reason', () => {
    const box = new Box({ policy: { concurrency: 10 } })
    const [a, b, c] = [box.put('a'), box.put('b'), box.put('c')]
    const expiring = ['d', 'e'].map((id) => box.put(id, { expirytime: iso(start + second) }))
    for (const id of [a, b]) box.run(id, fail())
    box.run(c, fail('nack'))
    box.tick(start + second)
    const prints = [a, b, c, ...expiring].map((id) => letterOf(box, id).fingerprint)
    expect(prints[0]).toBe(prints[1])
    expect(prints[3]).toBe(prints[4])
    expect(new Set(prints).size).toBe(3)
  })
})

describe('E1: the entry of an effect that was refused', () => {
  const effect = (state: Effect['state']): Effect => ({
    n: 3,
    kind: 'message',
    publish: { to: 'bob', type: 'next' },
    state,
  })
  const box = new Box()
  const id = box.put('a')
  const { head } = box.delivery(id)

  it('says which effect of which delivery, what was asked for and why not', () => {
    const refused = effect({ status: 'refused', reason: 'hop_limit', detail: 'too long' })
    expect(deadLetterOfEffect('ada', id, head, refused, start)).toEqual({
      v: 1,
      id: `${id}-e3`,
      delivery: id,
      agent: 'ada',
      kind: 'effect',
      reason: 'hop_limit',
      error: { code: 'hop_limit', message: 'too long' },
      fingerprint: fingerprintOf({ code: 'hop_limit', message: 'too long' }, '').error,
      attempts: [],
      at: start,
      redrives: 0,
      message: head,
      effect: { to: 'bob', type: 'next' },
    })
    expect(parseDeadLetterId(`${id}-e3`)).toMatchObject({ delivery: id, effect: 3 })
  })

  it('exists for no effect that is pending or carried', () => {
    for (const state of [{ status: 'pending' }, { status: 'carried', deliveries: ['bob_x'] }] as Effect['state'][])
      expect(deadLetterOfEffect('ada', id, head, effect(state), start)).toBeUndefined()
  })
})

describe('what is news to the index', () => {
  const letter = (kind: DeadLetter['kind'], at: number) => ({ kind, at }) as DeadLetter

  it.each([
    ['a death it does not know', 'delivery', 5, undefined, true],
    ['the same death again', 'delivery', 5, 5, false],
    ['an earlier death, told late', 'delivery', 4, 5, false],
    ['a later death under the same name', 'delivery', 6, 5, true],
    ['a refusal it does not know', 'effect', 5, undefined, true],
    ['the same refusal, dated anew by who tells it', 'effect', 6, 5, false],
  ] as const)('%s', (_, kind, at, known, news) => {
    expect(isNewsOf(letter(kind, at), known === undefined ? undefined : { at: known })).toBe(news)
  })
})

describe('a cursor', () => {
  it('leads back to its letter', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: start + 100 * day }),
        fc.stringMatching(/^[a-z0-9_.-]{1,60}$/),
        (at, id) => {
          expect(parseLetterCursor(letterCursor({ at, id } as DeadLetter))).toEqual({ at, id })
        },
      ),
    )
  })

  it('leads back to its group', () => {
    const print = fc.stringMatching(/^[a-z2-7]{26}$/)
    fc.assert(
      fc.property(fc.integer({ min: 0, max: start + 100 * day }), print, (at, fingerprint) => {
        const reason = 'agent_deleted'
        expect(parseGroupCursor(groupCursor({ newestAt: at, fingerprint, reason }))).toEqual({
          at,
          fingerprint,
          reason,
        })
      }),
    )
  })

  it.each([undefined, '', '.', 'x', 'x.y', '.ada_x'])('that is no cursor (%s) stands before everything', (cursor) => {
    expect(parseLetterCursor(cursor)).toEqual({ at: Number.MAX_SAFE_INTEGER, id: '' })
  })
})
