/** Policies: the defaults that DESIGN promises, what an operator may write, and the times derived of them. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  backoffPresets,
  leaseMarginMs,
  leaseMs,
  policyInput,
  policySchema,
  publisherDepth,
  resolvePolicy,
  slotWaitMs,
} from '../../shared/policy.ts'

describe('defaults', () => {
  it('are a mailbox of 1,000, 4 attempts, 30 s, 10 in flight, a day of dedupe and of receipts (A15, A73)', () => {
    expect(resolvePolicy('webhook')).toMatchObject({
      depth: 1_000,
      maxAttempts: 4,
      timeoutSeconds: 30,
      ack: 'response',
      ackSeconds: 300,
      backoff: { initialSeconds: 1, factor: 2, capSeconds: 3_600, jitter: 'full' },
      concurrency: 10,
      dedupeSeconds: 86_400,
      quarantine: true,
      receiptSeconds: 86_400,
    })
  })

  it('give a handler 5 minutes', () => {
    expect(resolvePolicy('handler').timeoutSeconds).toBe(300)
    expect(resolvePolicy('pull').timeoutSeconds).toBe(30)
  })
})

describe('resolvePolicy', () => {
  it('keeps what was given, zero included, and fills in the rest', () => {
    const given = { depth: 5, maxAttempts: 1, timeoutSeconds: 0.25, dedupeSeconds: 0, receiptSeconds: 0 } as const
    expect(resolvePolicy('webhook', given)).toEqual({ ...resolvePolicy('webhook'), ...given })
  })

  it.each(['quick', 'llm', 'webhook'] as const)('takes the curve named %s (A75)', (name) => {
    expect(resolvePolicy('webhook', { backoff: name }).backoff).toEqual(backoffPresets[name])
  })

  it('completes a partial curve from the default one', () => {
    expect(resolvePolicy('webhook', { backoff: { factor: 3 } }).backoff).toEqual({
      initialSeconds: 1,
      factor: 3,
      capSeconds: 3_600,
      jitter: 'full',
    })
    expect(resolvePolicy('webhook', { backoff: {} }).backoff).toEqual(resolvePolicy('webhook').backoff)
  })

  it('makes of every input that may be written a policy that may be stored, and resolving is idempotent', () => {
    const optional = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: undefined })
    const input = fc.record(
      {
        depth: optional(fc.integer({ min: 1, max: 100_000 })),
        maxAttempts: optional(fc.integer({ min: 1, max: 50 })),
        timeoutSeconds: optional(fc.double({ min: 0.05, max: 840, noNaN: true })),
        ack: optional(fc.constantFrom('response', 'later')),
        backoff: optional(fc.constantFrom('quick', 'llm', 'webhook', {}, { capSeconds: 9 })),
        concurrency: optional(fc.integer({ min: 1, max: 1_000 })),
      },
      { requiredKeys: [] },
    )
    fc.assert(
      fc.property(fc.constantFrom('webhook', 'handler', 'pull'), input, (kind, raw) => {
        const resolved = resolvePolicy(kind, policyInput.parse(raw))
        expect(policySchema.parse(resolved)).toEqual(resolved)
        expect(resolvePolicy(kind, policyInput.parse(resolved))).toEqual(resolved)
      }),
    )
  })
})

describe('what an operator may write', () => {
  it.each([
    {},
    { timeoutSeconds: 0.05 },
    { timeoutSeconds: 840 },
    { backoff: 'llm' },
    { backoff: { initialSeconds: 0, factor: 1, capSeconds: 0.5, jitter: 'none' } },
    { dedupeSeconds: 0.5 },
    { concurrency: 1, depth: 1, maxAttempts: 1 },
  ])('%j is taken', (input) => {
    expect(policyInput.safeParse(input).success).toBe(true)
  })

  it.each([
    [{ depth: 0 }, 'depth'],
    [{ depth: 1.5 }, 'depth'],
    [{ maxAttempts: 0 }, 'maxAttempts'],
    [{ maxAttempts: 51 }, 'maxAttempts'],
    [{ timeoutSeconds: 0 }, 'timeoutSeconds'],
    [{ timeoutSeconds: 841 }, 'timeoutSeconds'],
    [{ timeoutSeconds: Number.NaN }, 'timeoutSeconds'],
    [{ timeoutSeconds: Number.POSITIVE_INFINITY }, 'timeoutSeconds'],
    [{ ack: 'never' }, 'ack'],
    [{ ackSeconds: 86_401 }, 'ackSeconds'],
    [{ backoff: 'slow' }, 'backoff'],
    [{ backoff: { factor: 0.5 } }, 'backoff'],
    [{ backoff: { initialSeconds: -1 } }, 'backoff'],
    [{ backoff: { base: 2 } }, 'backoff'],
    [{ concurrency: 0 }, 'concurrency'],
    [{ dedupeSeconds: -1 }, 'dedupeSeconds'],
  ])('%j is refused, at %s', (input, path) => {
    expect(policyInput.safeParse(input).error?.issues[0]?.path[0]).toBe(path)
  })

  it('a misspelt part is refused, not ignored', () => {
    expect(policyInput.safeParse({ max_attempts: 3 }).success).toBe(false)
  })
})

describe('publisherDepth', () => {
  it.each([
    [1, 1],
    [9, 9],
    [10, 9],
    [19, 18],
    [1_000, 900],
    [100_000, 90_000],
  ])('of a mailbox of %d is %d (a tenth is kept for effects, replies and redrives)', (depth, publishers) => {
    expect(publisherDepth(resolvePolicy('webhook', { depth }))).toBe(publishers)
  })
})

describe('leases', () => {
  it.each([
    [0.05, 1_050],
    [3, 4_000],
    [30, 40_000],
    [300, 315_000],
    [840, 855_000],
  ])('of an attempt of %d s lasts %d ms (a third more, within 1 s and 15 s)', (timeoutSeconds, ms) => {
    expect(leaseMs(resolvePolicy('webhook', { timeoutSeconds }))).toBe(ms)
  })

  it('outlasts the longest wait for a slot and the whole attempt after it, with as much left to report', () => {
    fc.assert(
      fc.property(fc.double({ min: 0.05, max: 840, noNaN: true }), (timeoutSeconds) => {
        const policy = resolvePolicy('webhook', { timeoutSeconds })
        const left = leaseMs(policy) - slotWaitMs(policy) - timeoutSeconds * 1_000
        expect(left).toBeCloseTo(slotWaitMs(policy), 6)
        expect(left).toBeGreaterThanOrEqual(499.9)
        expect(leaseMarginMs(policy)).toBeLessThanOrEqual(15_000)
      }),
    )
  })
})
