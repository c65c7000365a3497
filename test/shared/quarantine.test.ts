/** Quarantine: what crashes its handler at once, twice in the same way, is taken out; nothing that an outage may look like is. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { put } from '../../shared/mailbox.ts'
import type { AttemptError, Outcome } from '../../shared/outcome.ts'
import type { PolicyInput } from '../../shared/policy.ts'
import { atOnceMs } from '../../shared/quarantine.ts'
import { Box, fail, hold, minute, ok, second } from './mailbox-fixtures.ts'

const crash = (message = 'x is not iterable', more: Partial<Extract<Outcome, { kind: 'retry' }>> = {}): Outcome => ({
  kind: 'retry',
  error: { code: 'handler', message },
  ...more,
})

/** A handler agent whose breaker and attempts end nothing before the quarantine could. */
const boxOf = (policy: PolicyInput = {}) =>
  new Box({ kind: 'handler', policy: { maxAttempts: 6, breaker: { failureThreshold: 100 }, ...policy } })

/** Lets its pause pass and runs it once more, for `tookMs`. */
function attempt(box: Box, id: string, outcome: Outcome, tookMs = 5): void {
  box.now = Math.max(box.now, box.delivery(id).dueAt)
  box.take([id])
  box.wait(tookMs)
  box.settle(id, outcome)
}

const reason = (box: Box, id: string) => {
  const { state } = box.delivery(id)
  return state.at === 'ended' ? (state.reason ?? state.status) : state.at
}

describe('a message that crashes its handler at once', () => {
  it('twice in a row in the same way is a dead letter, with attempts left; other mail goes on (TC13)', () => {
    const box = boxOf()
    const [bad, good] = [box.put('bad', { data: 'bad' }), box.put('good', { data: 'good' })]
    attempt(box, bad, crash('no title in message 17'))
    expect(reason(box, bad)).toBe('waiting')
    attempt(box, bad, crash('no title in message 18'))
    expect(reason(box, bad)).toBe('poison')
    expect(box.delivery(bad).attempt).toBe(2)
    attempt(box, good, ok())
    expect(reason(box, good)).toBe('completed')
  })

  it('is told on its receipt: how often, what of, and why no more', () => {
    const box = boxOf()
    const id = box.put('a')
    for (const _ of [1, 2]) attempt(box, id, crash())
    const { status, deadLetter, attempts, steps } = box.receipt(id)
    expect([status, deadLetter]).toEqual(['dead_lettered', { id, reason: 'poison' }])
    expect(attempts.map((a) => [a.outcome, a.crash === attempts[0]?.crash, a.error?.message])).toEqual([
      ['retry', true, 'x is not iterable'],
      ['retry', true, 'x is not iterable'],
    ])
    expect(attempts[0]?.crash).toMatch(/^[a-z2-7]{26}$/)
    expect(steps.slice(-2)).toMatchObject([
      { step: 'quarantined', detail: 'crashed at once in the same way twice in a row' },
      { step: 'dead_lettered', detail: 'poison' },
    ])
  })

  it('frees its partition key for the next in line (M3: dead counts as ended) (A84)', () => {
    const box = boxOf()
    const [first, next] = [box.put('a', { partitionkey: 'k' }), box.put('b', { partitionkey: 'k', data: 'b' })]
    for (const _ of [1, 2]) attempt(box, first, crash())
    expect(box.released()).toEqual([next])
  })

  it('takes with it what waits with its content after the same crash, and nothing else (TC13)', () => {
    const box = boxOf({ concurrency: 10 })
    const same = ['a', 'b'].map((id) => box.put(id))
    const [untried, otherwise, leased] = [box.put('untried'), box.put('otherwise'), box.put('leased')]
    for (const id of [...same, leased]) attempt(box, id, crash())
    attempt(box, otherwise, crash('another error'))
    box.now = box.delivery(leased).dueAt
    box.take([leased])
    attempt(box, same[0] ?? '', crash())
    expect([...same, untried, otherwise, leased].map((id) => reason(box, id))).toEqual([
      'poison',
      'poison',
      'waiting',
      'waiting',
      'waiting',
    ])
    expect(box.receipt(same[1] ?? '').steps.at(-2)?.detail).toBe(`has the content of ${same[0]} and crashed as it did`)
    expect(box.mailbox.depth).toBe(3)
    attempt(box, leased, ok())
    expect(reason(box, leased)).toBe('completed')
  })

  it('does NOT take with it what is on its way to another mailbox, where that is decided', () => {
    const box = boxOf({ concurrency: 10 })
    const [here, leaving] = [box.put('a'), box.put('b')]
    for (const id of [here, leaving]) attempt(box, id, crash())
    box.step((draft) => put(draft, { ...box.delivery(leaving), state: { at: 'waiting', leavingFor: 'bob' } }))
    attempt(box, here, crash())
    expect([here, leaving].map((id) => reason(box, id))).toEqual(['poison', 'waiting'])
  })

  it('has two more chances when it is redriven, because the crashes of an earlier life do NOT count', () => {
    const box = boxOf()
    const id = box.put('a')
    for (const _ of [1, 2]) attempt(box, id, crash())
    box.redrive(id)
    attempt(box, id, crash())
    expect(reason(box, id)).toBe('waiting')
    attempt(box, id, crash())
    expect(reason(box, id)).toBe('poison')
  })
})

describe('is no poison', () => {
  const cases: readonly (readonly [string, PolicyInput, readonly (readonly [Outcome, number?])[]])[] = [
    ['what crashed in two ways', {}, [[crash('a')], [crash('b')], [crash('a')]]],
    ['what was held in between', {}, [[crash()], [hold(second)], [crash()]]],
    [
      'what took its time',
      {},
      [
        [crash(), atOnceMs + 1],
        [crash(), 5],
        [crash(), atOnceMs + 1],
      ],
    ],
    ['what asks for a pause', {}, [[crash('x', { retryAfterMs: 5 })], [crash('x', { retryAfterMs: 5 })]]],
    ['what has used its attempts anyway', { maxAttempts: 2 }, [[crash()], [crash()]]],
    ['what failed for good', {}, [[crash()], [fail('handler')]]],
    ['what the policy says is none', { quarantine: false }, [[crash()], [crash()], [crash()]]],
    ['what opened the breaker', { breaker: { failureThreshold: 2 } }, [[crash()], [crash()]]],
  ]
  it.each(cases)('%s', (_, policy, outcomes) => {
    const box = boxOf(policy)
    const id = box.put('a')
    for (const [outcome, tookMs] of outcomes) {
      box.wait(minute)
      attempt(box, id, outcome, tookMs)
    }
    expect(reason(box, id)).not.toBe('poison')
  })

  it('silence, because nobody knows when it fell silent, nor whether it was the broker that died', () => {
    const box = boxOf()
    const id = box.put('a')
    for (let i = 0; i < 20 && reason(box, id) === 'waiting'; i++) {
      box.now = Math.max(box.now, box.delivery(id).dueAt)
      box.take([id])
      box.tick(box.leaseOf(id)?.deadlineAt ?? box.now)
    }
    expect(reason(box, id)).toBe('attempts_exhausted')
  })

  it('what other mail of the agent does too, as long as nothing went well since', () => {
    const box = boxOf()
    const [a, b, c] = [box.put('a', { data: 'a' }), box.put('b', { data: 'b' }), box.put('c', { data: 'c' })]
    for (const id of [a, b, a]) attempt(box, id, crash())
    expect(reason(box, a)).toBe('waiting')
    attempt(box, c, ok())
    attempt(box, a, crash())
    expect(reason(box, a)).toBe('poison')
  })
})

describe('TC1: an outage never looks like poison', () => {
  const outageError: fc.Arbitrary<AttemptError> = fc.oneof(
    fc.record({
      code: fc.constant('http'),
      message: fc.constant('answered'),
      httpStatus: fc.integer({ min: 300, max: 599 }),
    }),
    fc.record({ code: fc.constantFrom('network', 'timeout', 'broker', 'nack', 'silence'), message: fc.string() }),
    // As a handler tells of its provider's outage: in whatever words, at once.
    fc.record({
      code: fc.constant('handler'),
      message: fc.constantFrom(
        'fetch failed',
        'Network connection lost.',
        'connect ECONNREFUSED 127.0.0.1:443',
        'The operation was aborted due to timeout',
        'Overloaded',
        '503 Service Unavailable',
        'the model answered 529',
        'Rate limit reached for requests',
        'socket hang up',
      ),
    }),
  )

  it('whatever the order of network errors, time-outs, HTTP statuses, and however quick they are', () => {
    fc.assert(
      fc.property(
        fc.array(outageError, { minLength: 1, maxLength: 2 }),
        fc.array(fc.tuple(fc.nat(), fc.constantFrom('a', 'b', 'c'), fc.integer({ min: 0, max: 2_000 })), {
          maxLength: 20,
        }),
        (errors, attempts) => {
          const box = boxOf({ maxAttempts: 50 })
          const ids = new Map(['a', 'b', 'c'].map((name) => [name, box.put(name)]))
          for (const [n, name, tookMs] of attempts) {
            const error = errors[n % errors.length]!
            attempt(box, ids.get(name)!, { kind: 'retry', error }, tookMs)
          }
          for (const id of ids.values()) expect(reason(box, id)).toBe('waiting')
        },
      ),
    )
  })

  it('not even in words that nobody foresaw, because it befalls all of the mail', () => {
    fc.assert(
      fc.property(fc.integer({ min: 2, max: 10 }), (n) => {
        const box = boxOf({ maxAttempts: 4 })
        const ids = Array.from({ length: n }, (_, i) => box.put(`m${i}`, { data: i }))
        for (let round = 0; round < 3; round++) for (const id of ids) attempt(box, id, crash('the moon is down'))
        for (const id of ids) expect(reason(box, id)).toBe('waiting')
      }),
    )
  })
})
