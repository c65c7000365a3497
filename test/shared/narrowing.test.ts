/** A message may narrow its agent's policy, never widen it (A96): the two numbers, and what honours them in a mailbox. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { narrowed, unheeded } from '../../shared/narrowing.ts'
import { resolvePolicy } from '../../shared/policy.ts'
import { Box, ok, retry, second, start } from './mailbox-fixtures.ts'

const asked = fc.record(
  { maxattempts: fc.integer({ min: 1, max: 50 }), timeoutseconds: fc.integer({ min: 1, max: 840 }) },
  { requiredKeys: [] },
)
const policy = fc
  .record({ maxAttempts: fc.integer({ min: 1, max: 50 }), timeoutSeconds: fc.integer({ min: 1, max: 840 }) })
  .map((given) => resolvePolicy('webhook', given))

describe('what a message asks for', () => {
  it('is the smaller of the two, whatever is asked, and changes nothing else of the policy (A96)', () => {
    fc.assert(
      fc.property(policy, asked, (inForce, message) => {
        const { maxAttempts, timeoutSeconds, ...rest } = narrowed(inForce, message)
        const { maxAttempts: most, timeoutSeconds: longest, ...others } = inForce
        expect(maxAttempts).toBe(Math.min(most, message.maxattempts ?? most))
        expect(timeoutSeconds).toBe(Math.min(longest, message.timeoutseconds ?? longest))
        expect(rest).toEqual(others)
      }),
    )
  })

  it('is told when it would widen the policy, and only then', () => {
    fc.assert(
      fc.property(policy, asked, (inForce, message) => {
        const { maxAttempts, timeoutSeconds } = narrowed(inForce, message)
        const given = { maxattempts: maxAttempts, timeoutseconds: timeoutSeconds }
        const lost = Object.entries(message).filter(([name, value]) => value > given[name as keyof typeof given])
        const told = unheeded('webhook', inForce, message).map((u) => [u.attribute, u.asked])
        expect(told).toEqual(['maxattempts', 'timeoutseconds'].flatMap((n) => lost.filter(([name]) => name === n)))
      }),
    )
  })

  it('of time means nothing to an agent that pulls, and that is told (because its lease is as long as it says)', () => {
    expect(unheeded('pull', resolvePolicy('pull'), { timeoutseconds: 1 })).toEqual([
      { attribute: 'timeoutseconds', asked: 1 },
    ])
  })
})

describe('a delivery', () => {
  it('dies after the attempts that its message allows, and says so before', () => {
    const box = new Box({ policy: { maxAttempts: 4 } })
    const [one, all] = [box.put('one', { maxattempts: 1 }), box.put('all', { maxattempts: 9 })]
    expect([box.receipt(one).maxAttempts, box.receipt(all).maxAttempts]).toEqual([1, 4])
    expect([box.receipt(one).unheeded, box.receipt(all).unheeded]).toEqual([
      undefined,
      [{ attribute: 'maxattempts', asked: 9, inForce: 4 }],
    ])
    box.run(one, retry())
    expect(box.receipt(one)).toMatchObject({ status: 'dead_lettered', attempt: 1 })
    for (let attempt = 1; attempt < 4; attempt++) {
      box.run(all, retry())
      expect(box.receipt(all)).toMatchObject({ status: 'held', attempt })
      expect(box.receipt(all).steps.at(-1)?.detail).toContain(`attempt ${attempt} of 4 failed`)
      box.tick(box.delivery(all).dueAt)
    }
    box.run(all, retry())
    expect(box.receipt(all)).toMatchObject({ status: 'dead_lettered', attempt: 4 })
  })

  it('is leased for the time that its message allows, beside one that has all of it', () => {
    const box = new Box({ policy: { timeoutSeconds: 30 } })
    const [short, long] = [box.put('short', { timeoutseconds: 3 }), box.put('long', { timeoutseconds: 300 })]
    box.take()
    expect([box.leaseOf(short)?.deadlineAt, box.leaseOf(long)?.deadlineAt]).toEqual([
      start + 4 * second,
      start + 40 * second,
    ])
    box.settle(long, ok())
  })

  it('has what is in force now: a policy that is narrowed while it waits counts', () => {
    const box = new Box({ policy: { maxAttempts: 4 } })
    const id = box.put('a', { maxattempts: 3 })
    const agent = box.mailbox.agent!
    box.mailbox = { ...box.mailbox, agent: { ...agent, policy: { ...agent.policy, maxAttempts: 2 } } }
    expect(box.receipt(id)).toMatchObject({
      maxAttempts: 2,
      unheeded: [{ attribute: 'maxattempts', asked: 3, inForce: 2 }],
    })
  })
})
