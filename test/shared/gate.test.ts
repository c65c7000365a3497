/** The gate: how many may begin, by the breaker and by the rate. Never here: the breaker's own rules, the mail behind the gate. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type Breaker, defaultBreakerPolicy, newBreaker, tell } from '../../shared/breaker.ts'
import {
  began,
  type Gate,
  type Gated,
  gateAdmits,
  gateDueAt,
  gateElapsed,
  gateTold,
  isGateChanged,
  isGateShut,
  newGate,
  readGate,
  shutBecause,
  verdictOf,
} from '../../shared/gate.ts'
import type { Outcome } from '../../shared/outcome.ts'
import { type AgentKind, type PolicyInput, resolvePolicy } from '../../shared/policy.ts'
import { error, fail, gone, hold, later, minute, ok, retry, second, start, unsent } from './mailbox-fixtures.ts'

const agent = (policy: PolicyInput = {}, kind: AgentKind = 'webhook'): Gated => ({
  kind,
  policy: resolvePolicy(kind, policy),
})
const nobody = { current: 0, released: 0 }
const within = (breaker: Breaker): Gate => ({ ...newGate, breaker })
const failed = { kind: 'failure', cause: 'answered 500' } as const

const opened = tell(newBreaker, { ...defaultBreakerPolicy, failureThreshold: 1 }, 0, failed, start)
const open = within(opened)
const half = gateElapsed(open, start + minute)
const ramped = gateTold(half, agent(), half.breaker.epoch, { kind: 'success' }, start + minute)

describe('the breaker’s say', () => {
  it('closed: no limit of its own', () => {
    expect(gateAdmits(newGate, agent(), { current: 9, released: 9 }, start)).toBe(Number.POSITIVE_INFINITY)
    expect(isGateShut(newGate, agent())).toBe(false)
  })

  it('B1: open: nothing, whatever is in use', () => {
    expect(gateAdmits(open, agent(), nobody, start)).toBe(0)
    expect(gateAdmits(open, agent(), { current: 3, released: 0 }, start)).toBeLessThanOrEqual(0)
    expect(isGateShut(open, agent())).toBe(true)
  })

  it('B2: half open: its probes, less those that are out and those on their way', () => {
    const three = agent({ breaker: { probes: 3 } })
    expect(gateAdmits(half, three, nobody, start + minute)).toBe(3)
    expect(gateAdmits(half, three, { current: 1, released: 1 }, start + minute)).toBe(1)
    expect(gateAdmits(half, three, { current: 3, released: 0 }, start + minute)).toBe(0)
    expect(isGateShut(half, three)).toBe(false)
  })

  it('on the ramp: what the successes have earned, less what began since the recovery', () => {
    expect(gateAdmits(ramped, agent(), nobody, start + minute)).toBe(1)
    expect(gateAdmits(ramped, agent(), { current: 0, released: 1 }, start + minute)).toBe(0)
  })

  it('a pull agent has presence, no breaker: not even one that it has from when it was a webhook', () => {
    const puller = agent({}, 'pull')
    expect(gateAdmits(open, puller, nobody, start)).toBe(Number.POSITIVE_INFINITY)
    expect([isGateShut(open, puller), shutBecause(open, puller), gateDueAt(open, puller, start)]).toEqual([
      false,
      undefined,
      undefined,
    ])
    expect(gateTold(newGate, puller, 0, failed, start)).toBe(newGate)
  })

  it('says why mail is parked, and until when', () => {
    expect(shutBecause(newGate, agent())).toBeUndefined()
    expect(shutBecause(open, agent())).toBe(
      'breaker: a failure; the last: answered 500; open until 2026-01-01T00:01:00.000Z',
    )
    expect(shutBecause(half, agent())).toBe('breaker: half open; the rest waits for what becomes of a probe')
    const byPerson: Breaker = {
      ...opened,
      forced: 'open',
      history: [{ at: start, from: 'closed', to: 'open', cause: 'forced open by admin' }],
    }
    expect(shutBecause(within(byPerson), agent())).toBe('breaker: forced open by admin, until somebody closes it')
    expect(gateDueAt(within(byPerson), agent(), start)).toBeUndefined()
  })

  it('M6: wakes when the wait is over', () => {
    expect(gateDueAt(open, agent(), start)).toBe(start + minute)
    expect(gateElapsed(open, start + minute - 1)).toBe(open)
    expect(gateDueAt(half, agent(), start + minute)).toBeUndefined()
  })
})

describe('what an outcome says of the agent (A71)', () => {
  const says: [string, Outcome, string | undefined][] = [
    ['ok', ok(), 'success'],
    ['a 202', later, 'success'],
    ['an answer that is about the message', fail(), 'success'],
    ['a failure', retry(), 'failure'],
    ['429: the agent asks for quiet, and is neither well nor ill', hold(second), undefined],
    ['410', gone, undefined],
    ['never begun', unsent, undefined],
    ['a failure of the broker’s own', { kind: 'retry', error: error('broker', 'no body') }, undefined],
  ]
  it.each(says)('%s', (_, outcome, kind) => {
    expect(verdictOf(outcome)?.kind).toBe(kind)
  })

  it('a failure brings its cause and its Retry-After', () => {
    expect(verdictOf(retry({ retryAfterMs: 5_000 }))).toEqual({
      kind: 'failure',
      cause: 'answered 500',
      retryAfterMs: 5_000,
    })
  })

  it('what says nothing leaves the gate as it is', () => {
    expect(gateTold(newGate, agent(), 0, undefined, start)).toBe(newGate)
  })
})

// --- the rate -------------------------------------------------------------------------------------------------------------

const three = agent({ rate: { limit: 3, perSeconds: 10 } })
const beganAt = (who: Gated, ...times: readonly number[]): Gate =>
  times.reduce((gate, at) => began(gate, who.policy, at), newGate)

describe('a rate', () => {
  it('lets exactly its number begin, and the next when the first is as old as its period, to the millisecond (TB8)', () => {
    const gate = beganAt(three, start, start, start + second)
    expect(gateAdmits(gate, three, nobody, start + second)).toBe(0)
    expect(gateAdmits(gate, three, nobody, start + 10 * second - 1)).toBe(0)
    expect(gateAdmits(gate, three, nobody, start + 10 * second)).toBe(2)
    expect(gateAdmits(gate, three, nobody, start + 11 * second)).toBe(3)
  })

  it('counts what is on its way', () => {
    expect(gateAdmits(beganAt(three, start), three, { current: 1, released: 1 }, start)).toBe(1)
  })

  it('is not there unless asked for, and then nothing is written down', () => {
    expect(began(newGate, agent().policy, start)).toBe(newGate)
    expect(began(beganAt(three, start), agent().policy, start).starts).toEqual([])
  })

  it('holds for a pull agent too', () => {
    const puller = agent({ rate: { limit: 1, perSeconds: 10 } }, 'pull')
    expect(gateAdmits(beganAt(puller, start), puller, nobody, start + second)).toBe(0)
  })

  it('survives a rebuild', () => {
    const gate = beganAt(three, start, start + second)
    expect(readGate(JSON.stringify(gate))).toEqual(gate)
    expect(isGateChanged(newGate, gate)).toBe(true)
  })

  it('a lower limit counts what began under the higher one', () => {
    const gate = beganAt(three, start, start + 1 * second, start + 2 * second)
    const one = agent({ rate: { limit: 1, perSeconds: 10 } })
    expect(gateAdmits(gate, one, nobody, start + 11 * second)).toBeLessThanOrEqual(0)
    expect(gateDueAt(gate, one, start + 3 * second)).toBe(start + 12 * second)
    expect(gateAdmits(gate, one, nobody, start + 12 * second)).toBe(1)
  })

  it('never lets more begin in any window; M6: it is due when the next may begin, neither before nor after', () => {
    const aRate = fc.record({ limit: fc.integer({ min: 1, max: 5 }), perSeconds: fc.constantFrom(0.05, 1, 7) })
    fc.assert(
      fc.property(
        aRate,
        fc.array(fc.constantFrom(0, 1, 20, 50, 333, 1_000, 4_000), { maxLength: 80 }),
        (rate, pauses) => {
          const who = agent({ rate })
          const begun: number[] = []
          let gate = newGate
          let now = start
          for (const pause of pauses) {
            now += pause
            const due = gateDueAt(gate, who, now)
            const admitted = gateAdmits(gate, who, nobody, now)
            expect(due === undefined).toBe(admitted > 0)
            if (due !== undefined) {
              expect(gateAdmits(gate, who, nobody, due - 1)).toBeLessThanOrEqual(0)
              expect(gateAdmits(gate, who, nobody, due)).toBeGreaterThan(0)
              continue
            }
            gate = began(gate, who.policy, now)
            begun.push(now)
          }
          const perMs = rate.perSeconds * second
          for (const last of begun)
            expect(begun.filter((at) => last - perMs < at && at <= last).length).toBeLessThanOrEqual(rate.limit)
        },
      ),
    )
  })
})

// --- what is saved --------------------------------------------------------------------------------------------------------

describe('a gate is saved', () => {
  it.each([
    ['when the breaker moves', newGate, open, true],
    ['when a failure is counted', newGate, gateTold(newGate, agent(), 0, failed, start), true],
    ['when a person speaks', newGate, within({ ...newBreaker, forced: 'closed' }), true],
    [
      'not for a success that changes nothing but the window',
      newGate,
      gateTold(newGate, agent(), 0, { kind: 'success' }, start),
      false,
    ],
    ['not for itself', open, open, false],
  ] as [string, Gate, Gate, boolean][])('%s', (_, before, after, changed) => {
    expect(isGateChanged(before, after)).toBe(changed)
  })

  it('and read back as it was', () => {
    for (const gate of [newGate, open, half, ramped]) expect(readGate(JSON.stringify(gate))).toEqual(gate)
  })
})
