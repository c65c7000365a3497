/** Whose fault it was: what reports on resources change of an outcome, and what each side is told. Never here: counting. */
import { describe, expect, it } from 'vitest'
import { attributed, isResourceTrouble, resourceVerdict, verdictOn } from '../../shared/blame.ts'
import { verdictOf } from '../../shared/gate.ts'
import type { Outcome } from '../../shared/outcome.ts'

const gpt = 'openai/gpt-5'
const report = (status: number, retryAfterMs?: number) => ({
  name: gpt,
  status,
  ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
})
const failed: Outcome = { kind: 'retry', error: { code: 'http', message: 'answered 500', httpStatus: 500 } }
const reported = (outcome: Outcome, ...reports: ReturnType<typeof report>[]) => attributed(outcome, reports, [gpt])

describe('what a status says of a resource', () => {
  it.each([200, 302, 400, 409, 413, 415, 422])('%i: it is well, because whoever can say that is', (status) => {
    expect(resourceVerdict(report(status))).toEqual({ kind: 'success' })
  })

  it.each([401, 403, 404, 408, 429, 500, 503, 529])('%i: it failed', (status) => {
    expect(resourceVerdict(report(status))).toEqual({ kind: 'failure', cause: `answered ${status}` })
  })

  it('429 with a pause: it is held, at least for a second, and has not failed', () => {
    expect(resourceVerdict(report(429, 20_000))).toEqual({ kind: 'hold', holdMs: 20_000 })
    expect(resourceVerdict(report(429, 0))).toEqual({ kind: 'hold', holdMs: 1_000 })
  })

  it('503 with a pause: it failed, and says for how long', () => {
    expect(resourceVerdict(report(503, 20_000))).toMatchObject({ kind: 'failure', retryAfterMs: 20_000 })
  })
})

describe('an attempt that failed of a resource', () => {
  it('(A39) is not the agent’s fault: its own breaker hears that it is well', () => {
    const outcome = reported(failed, report(503))
    expect(verdictOf(failed)).toMatchObject({ kind: 'failure' })
    expect(verdictOf(outcome)).toEqual({ kind: 'success' })
    expect(isResourceTrouble(outcome)).toBe(true)
  })

  it('is tried again as one that failed, and its error names the resource', () => {
    expect(reported(failed, report(503, 7_000))).toEqual({
      kind: 'retry',
      error: { code: 'resource', message: `${gpt} answered 503; answered 500`, httpStatus: 500 },
      retryAfterMs: 7_000,
      resources: [report(503, 7_000)],
    })
  })

  it('keeps the longer pause of two', () => {
    expect(reported({ ...failed, retryAfterMs: 9_000 }, report(503, 7_000))).toMatchObject({ retryAfterMs: 9_000 })
  })

  it('is held where the resource asked for a pause', () => {
    expect(reported(failed, report(429, 20_000))).toMatchObject({ kind: 'hold', holdMs: 20_000 })
    const quiet: Outcome = { kind: 'hold', error: { code: 'http', message: 'answered 429' }, holdMs: 5_000 }
    expect(reported(quiet, report(429, 20_000))).toMatchObject({ kind: 'hold', holdMs: 20_000 })
    expect(reported({ ...quiet, holdMs: 30_000 }, report(429, 20_000))).toMatchObject({ kind: 'hold', holdMs: 30_000 })
  })

  it('is the agent’s own fault when the resource answered well', () => {
    const outcome = reported(failed, report(200))
    expect(outcome).toEqual({ ...failed, resources: [report(200)] })
    expect(verdictOf(outcome)).toMatchObject({ kind: 'failure' })
  })

  it('is the agent’s own fault when it does not declare the resource, and the receipt says so', () => {
    const outcome = attributed(failed, [report(503)], ['another'])
    expect(outcome).toMatchObject({ kind: 'retry', error: { code: 'http' } })
    expect('error' in outcome && outcome.error.message).toBe(`answered 500; it does not declare the resource ${gpt}`)
    expect(verdictOf(outcome)).toMatchObject({ kind: 'failure' })
    expect(verdictOn(gpt, outcome)).toBeUndefined()
  })
})

describe('an attempt that did not fail', () => {
  it('may report trouble beside its result: the work is done, and the resource hears of it', () => {
    const outcome = reported({ kind: 'ok', result: 1 }, report(503))
    expect(outcome).toEqual({ kind: 'ok', result: 1, resources: [report(503)] })
    expect(verdictOn(gpt, outcome)).toMatchObject({ kind: 'failure' })
  })

  it('says without a word that its resources are well', () => {
    expect(verdictOn(gpt, { kind: 'ok' })).toEqual({ kind: 'success' })
  })

  it('stays a dead letter when it is one', () => {
    const fail: Outcome = { kind: 'fail', error: { code: 'http', message: 'answered 422' } }
    expect(reported(fail, report(503))).toEqual({ ...fail, resources: [report(503)] })
  })

  it.each<Outcome>([
    { kind: 'unsent' },
    { kind: 'parked', because: 'x', holdMs: 1 },
    { kind: 'gone', error: { code: 'http', message: 'answered 410' } },
  ])('says nothing when it is $kind', (outcome) => {
    expect(reported(outcome, report(503))).toEqual(outcome)
    expect(verdictOn(gpt, outcome)).toBeUndefined()
    expect(verdictOf(outcome)).toBeUndefined()
  })

  it('is as it was without a report', () => {
    expect(attributed(failed, [], [gpt])).toBe(failed)
  })
})
