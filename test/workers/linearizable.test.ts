/**
 * Many callers at once over real HTTP, and whether all that they were told is as one after another would have been told it.
 * Never here: the checker (test/simulator/linearizable.ts).
 */
import fc from 'fast-check'
import { describe, expect, inject, it } from 'vitest'
import {
  type BreakerAnswer,
  type BreakerCall,
  breakerModel,
  History,
  linearize,
  type StateAnswer,
  type StateCall,
  stateModel,
} from '../simulator/linearizable.ts'
import { type Answered, call, freshName, receipt } from './gateway.ts'

const { seed } = inject('fuzz')
const callers = 8

/** Drawn once for each caller: what it does, one thing after the other. */
function plans<T>(steps: fc.Arbitrary<T>, length: number): readonly (readonly T[])[] {
  return fc.sample(fc.array(steps, { minLength: length, maxLength: length }), { numRuns: callers, seed })
}

/** Anything else is no answer of the object's: the call may have happened or not. */
function expectStatus({ status, body }: Answered, ...those: readonly number[]): void {
  if (!those.includes(status)) throw new Error(`${status} ${JSON.stringify(body)}`)
}

describe('many callers at once', () => {
  it('that read and write one state under If-Match are answered as if they came one after another (W2)', {
    timeout: 30_000,
  }, async () => {
    const id = freshName('w')
    await call('POST', '/v1/workflows', { json: { id, state: { by: 'nobody' } } })
    const history = new History<StateCall, StateAnswer>()
    const path = `/v1/workflows/${id}/state`
    const read = async (): Promise<StateAnswer> => {
      const got = await call('GET', path)
      expectStatus(got, 200)
      return { status: 'ok', version: got.body.version, value: got.body.state.by }
    }
    const write = async (ifVersion: number, value: string): Promise<StateAnswer> => {
      const got = await call('PATCH', path, { json: { by: value }, headers: { 'If-Match': `"${ifVersion}"` } })
      expectStatus(got, 200, 412)
      const { version, actual, state } = got.body
      return got.status === 200
        ? { status: 'ok', version, value: state.by }
        : { status: 'late', version: actual, value: state.by }
    }
    // Mostly with the version that was seen last; sometimes an older or a coming one.
    const steps = fc.record({ reads: fc.boolean(), off: fc.constantFrom(0, 0, 0, -1, 1) })
    await Promise.all(
      plans(steps, 12).map(async (plan, caller) => {
        let seen = 1
        for (const [n, { reads, off }] of plan.entries()) {
          const value = `${caller}.${n}`
          const asked: StateCall = reads
            ? { kind: 'read' }
            : { kind: 'write', ifVersion: Math.max(1, seen + off), value }
          const answer = await history.note(asked, () =>
            asked.kind === 'read' ? read() : write(asked.ifVersion, asked.value),
          )
          seen = answer?.version ?? seen
        }
      }),
    )
    const answered = history.calls.filter(({ answer }) => answer !== undefined)
    expect(answered).toHaveLength(callers * 12)
    // Both really happened: a history in which nobody was late would show nothing.
    expect(new Set(answered.map(({ answer }) => answer?.status))).toEqual(new Set(['ok', 'late']))
    expect(linearize(history.calls, stateModel(1, 'nobody'))).toMatchObject({ linearizable: true })
  })

  it('that force a breaker, read it and send past it see one breaker: what is let through is what it says at that moment (B1)', {
    timeout: 30_000,
  }, async () => {
    const name = freshName('hook')
    // Nobody listens there; what fails must not move the breaker beside people's word.
    const policy = {
      concurrency: 1,
      breaker: { failureThreshold: 1_000, window: { seconds: 3_600, minimum: 1_000, ratio: 1 } },
    }
    await call('PUT', `/v1/agents/${name}`, { json: { kind: 'webhook', url: 'http://127.0.0.1:9/hook', policy } })
    const history = new History<BreakerCall, BreakerAnswer>()
    const underway: string[] = []
    const path = `/v1/agents/${name}/breaker`
    const stands = (got: Answered) => {
      expectStatus(got, 200)
      return { state: got.body.state, forced: got.body.forced }
    }
    const answerTo = async (asked: BreakerCall): Promise<BreakerAnswer> => {
      if (asked.kind === 'read') return stands(await call('GET', path))
      if (asked.kind === 'force') return stands(await call('PUT', path, { json: { force: asked.to } }))
      const json = { to: name, type: 't', deliverymode: 'at_most_once' }
      const got = await call('POST', '/v1/messages', { json })
      expectStatus(got, 202)
      const [{ id, status }] = got.body.deliveries
      if (status === 'queued') underway.push(id)
      return status === 'queued'
    }
    const steps = fc.oneof(
      fc.constant<BreakerCall>({ kind: 'read' }),
      { weight: 2, arbitrary: fc.constant<BreakerCall>({ kind: 'admit' }) },
      fc.record({ kind: fc.constant('force' as const), to: fc.constantFrom('open', 'closed', 'auto') }),
    )
    await Promise.all(
      plans<BreakerCall>(steps, 10).map(async (plan) => {
        for (const asked of plan) await history.note(asked, () => answerTo(asked))
      }),
    )
    const admissions = history.calls.filter(({ call: { kind } }) => kind === 'admit').map(({ answer }) => answer)
    expect(new Set(admissions)).toEqual(new Set([true, false]))
    expect(linearize(history.calls, breakerModel)).toMatchObject({ linearizable: true })
    // The runner closes its worker after this: what was let through must not be at work any more.
    await expect
      .poll(async () => (await Promise.all(underway.map(receipt))).map(({ status }) => status), { timeout: 20_000 })
      .toEqual(underway.map(() => 'failed'))
  })
})
