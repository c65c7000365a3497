/** A head of a line that keeps failing, by its agent's policy. Never here: which delivery is the head (test/shared/release.test.ts). */
import { describe, expect, it } from 'vitest'
import type { HeadOfLine } from '../../shared/head-policy.ts'
import { policyInput } from '../../shared/policy.ts'
import { Box, fail, hold, minute, ok, retry, second } from './mailbox-fixtures.ts'

const key = { partitionkey: 'k' }
// High enough that failures of one line do not look like an outage.
const breaker = { failureThreshold: 100, window: { seconds: 60, minimum: 1_000, ratio: 1 } }

function line(headOfLine?: HeadOfLine, more: Parameters<typeof policyInput.parse>[0] & object = {}): Box {
  return new Box({ policy: { maxAttempts: 20, breaker, ...(headOfLine && { headOfLine }), ...more } })
}

const three = (box: Box) => ['a', 'b', 'c'].map((id) => box.put(id, key)) as [string, string, string]

/** Fails it at each time that it may be tried, until it has ended or so often. */
function failing(box: Box, id: string, times: number): void {
  for (let i = 0; i < times && box.delivery(id).state.at === 'waiting'; i++) {
    box.tick(Math.max(box.now, box.delivery(id).dueAt))
    box.run(id, retry())
  }
}

const statuses = (box: Box, ids: readonly string[]) => ids.map((id) => box.receipt(id).status)
const reasons = (box: Box, ids: readonly string[]) => ids.map((id) => box.receipt(id).deadLetter?.reason)

describe('the head of a line that keeps failing', () => {
  it('M3: holds its line until its attempts are over, unless the policy says otherwise (A84)', () => {
    for (const policy of [undefined, { onFailure: 'block' }] as const) {
      const box = line(policy, { maxAttempts: 3 })
      const ids = three(box)
      failing(box, ids[0], 2)
      expect(statuses(box, ids)).toEqual(['held', 'held', 'held'])
      failing(box, ids[0], 1)
      expect(reasons(box, ids)).toEqual(['attempts_exhausted', undefined, undefined])
      expect(box.released()).toEqual([ids[1]])
    }
  })

  it('is a dead letter after so many attempts under `skip-to-dlq`, and the line goes on (A84)', () => {
    const box = line({ onFailure: 'skip-to-dlq', attempts: 2 })
    const ids = three(box)
    failing(box, ids[0], 1)
    expect(box.receipt(ids[0]).status).toBe('held')
    failing(box, ids[0], 1)
    expect(reasons(box, ids)).toEqual(['head_of_line', undefined, undefined])
    expect(box.released()).toEqual([ids[1]])
    expect(box.receipt(ids[0]).steps.some((s) => s.detail === 'its line waited for 2 attempts')).toBe(true)
  })

  it('is a dead letter as soon as its next attempt would begin too long after its first failure (A84)', () => {
    const box = line({ onFailure: 'skip-to-dlq', seconds: 3 })
    const ids = three(box)
    const begun = box.now
    // After 1 s, then after 2 more; the next would be 4 s later.
    failing(box, ids[0], 2)
    expect(box.receipt(ids[0]).status).toBe('held')
    failing(box, ids[0], 1)
    expect([reasons(box, ids)[0], box.now - begun]).toEqual(['head_of_line', 3 * second])
  })

  it('is skipped after five minutes when the policy does not say when', () => {
    const box = line({ onFailure: 'skip-to-dlq' })
    expect(box.mailbox.agent?.policy.headOfLine).toEqual({ onFailure: 'skip-to-dlq', seconds: 300 })
  })

  it('counts anew after a redrive (A84)', () => {
    const box = line({ onFailure: 'skip-to-dlq', attempts: 9, seconds: 3 })
    const [a] = three(box)
    failing(box, a, 3)
    expect(reasons(box, [a])).toEqual(['head_of_line'])
    box.wait(minute)
    box.redrive(a)
    box.run(box.released()[0]!, ok())
    box.run(box.released()[0]!, ok())
    failing(box, a, 2)
    expect(box.receipt(a).status).toBe('held')
  })

  it('M4: an agent that is down is no fault of its head: behind an open breaker nothing is skipped (A84, TC1)', () => {
    const box = line(
      { onFailure: 'skip-to-dlq', attempts: 1, seconds: 1 },
      { breaker: { failureThreshold: 1, openSeconds: 60 } },
    )
    const ids = three(box)
    failing(box, ids[0], 1)
    expect(statuses(box, ids)).toEqual(['parked', 'parked', 'parked'])
    box.wait(minute)
    box.tick()
    box.run(ids[0], retry())
    expect(statuses(box, ids)).toEqual(['parked', 'parked', 'parked'])
  })

  it('asking for quiet is no failure, and without a key there is no line (A84)', () => {
    const box = line({ onFailure: 'skip-to-dlq', attempts: 1 })
    const [a] = three(box)
    box.run(a, hold(second))
    expect(box.receipt(a).status).toBe('parked')
    const free = line({ onFailure: 'skip-to-dlq', attempts: 1 })
    const id = free.put('x')
    failing(free, id, 3)
    expect(free.receipt(id).status).toBe('held')
  })
})

describe('under `dead-letter-rest-of-key`', () => {
  const rest = { onFailure: 'dead-letter-rest-of-key', attempts: 2 } as const

  it('what waits behind a head that died dies with it, in line order, and names it (A84)', () => {
    const box = line(rest)
    const ids = three(box)
    const other = box.put('d', { partitionkey: 'other' })
    const late = box.put('e', { ...key, delivertime: new Date(box.now + minute).toISOString() })
    failing(box, ids[0], 2)
    expect(reasons(box, [...ids, late, other])).toEqual([
      'head_of_line',
      'rest_of_key',
      'rest_of_key',
      'rest_of_key',
      undefined,
    ])
    expect(box.delivery(ids[1]).state).toMatchObject({
      error: { message: `\`${ids[0]}\`, before it in its line, is a dead letter (head_of_line)` },
    })
    expect(box.due()).toBe(box.now)
    expect(box.receipt(box.put('f', key)).status).toBe('queued')
  })

  it('however the head died of its work, but not when somebody took it back or its time was over (A84)', () => {
    const killed = line(rest)
    const ids = three(killed)
    killed.run(ids[0], fail())
    expect(reasons(killed, ids)).toEqual(['terminal', 'rest_of_key', 'rest_of_key'])
    const expired = line(rest)
    const first = expired.put('x', { ...key, expirytime: new Date(expired.now + second).toISOString() })
    expired.run(first, retry())
    const second_ = expired.put('y', key)
    expired.tick(expired.now + 2 * second)
    expect([expired.receipt(first).status, expired.receipt(second_).status]).toEqual(['expired', 'queued'])
  })

  it('a head that goes well takes nobody along', () => {
    const box = line(rest)
    const ids = three(box)
    box.run(ids[0], ok())
    expect(statuses(box, ids)).toEqual(['completed', 'queued', 'held'])
  })
})

describe('the policy', () => {
  it('refuses a limit for what waits without one (A84)', () => {
    expect(policyInput.safeParse({ headOfLine: { onFailure: 'block', seconds: 1 } }).success).toBe(false)
    expect(policyInput.safeParse({ headOfLine: { onFailure: 'block' } }).success).toBe(true)
  })
})
