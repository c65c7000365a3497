/** The steps of a promise, without a platform: it ends once, in time, and owes its news until they are told. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { EffectStatus } from '../../shared/effects.ts'
import { resolvePermissions } from '../../shared/permissions.ts'
import {
  askForTelling,
  elapsePromise,
  endPromise,
  isPromiseForgotten,
  isPromiseId,
  mayEndPromise,
  openPromise,
  type PromiseEnding,
  type PromiseRecord,
  promiseId,
  promiseKeptMs,
  promiseStatusOf,
  promiseTold,
  promiseWakeAt,
  readPromise,
} from '../../shared/promise.ts'

const opening = {
  ...{ id: 'pr-x', owner: 'ada', contentHash: 'h', resolvers: [], notify: 'ada', waitsMs: 1_000 },
  creator: { kind: 'admin' },
} as const
const made = (more: object = {}): PromiseRecord =>
  openPromise(undefined, { ...opening, resolvers: [], ...more }, 0).promise
const resolve = (value: unknown, by = 'bob'): PromiseEnding => ({ status: 'resolved', by, value })
const reject = (error: unknown): PromiseEnding => ({ status: 'rejected', by: 'bob', error })
const carried: EffectStatus = { status: 'carried', deliveries: ['ada_x'] }

describe('a promise', () => {
  it('ends exactly once, whatever is said of it and in whatever order, and answers the same end alike (A107, G1)', () => {
    const said = fc.oneof(
      fc.jsonValue().map((value): PromiseEnding => resolve(value)),
      fc.jsonValue().map((error): PromiseEnding => reject(error)),
    )
    const at = fc.integer({ min: 0, max: 2_000 })
    fc.assert(
      fc.property(fc.array(fc.tuple(at, said), { minLength: 1 }), (calls) => {
        let promise = made()
        let end: PromiseRecord['outcome']
        for (const [now, ending] of calls.sort(([a], [b]) => a - b)) {
          const answer = endPromise(promise, ending, now)
          promise = readPromise(JSON.stringify(answer.promise))
          if (now >= 1_000 && end === undefined) expect(promise.outcome?.status).toBe('timed_out')
          expect(answer.status === 'ended').toBe(end === undefined && now < 1_000)
          if (end !== undefined) expect(promise.outcome).toEqual(end)
          if (answer.status === 'repeated') expect(end?.status).toBe(ending.status)
          end = promise.outcome
        }
      }),
    )
  })

  it('takes the same value as the same in any order of its fields, and an error never as a value (A107)', () => {
    const { promise } = endPromise(made(), resolve({ a: 1, b: 2 }), 1)
    expect(endPromise(promise, resolve({ b: 2, a: 1 }, 'eve'), 2)).toEqual({ status: 'repeated', promise })
    for (const other of [resolve({ a: 1 }), reject({ a: 1, b: 2 }), resolve(null)])
      expect(endPromise(promise, other, 2)).toEqual({ status: 'over', promise })
    const late = endPromise(made(), resolve(null), 1_000)
    expect([late.status, promiseStatusOf(late.promise)]).toEqual(['over', 'timed_out'])
  })

  it('made again is the same one, and with other content a conflict; one owner’s name is not another’s (A107)', () => {
    const first = made()
    expect(openPromise(first, { ...opening, resolvers: [] }, 5)).toEqual({ status: 'duplicate', promise: first })
    expect(openPromise(first, { ...opening, resolvers: [], contentHash: 'i' }, 5).status).toBe('conflict')
    expect(promiseId('ada', { name: 'n' }, 'x')).toBe(promiseId('ada', { name: 'n', key: 'k' }, 'y'))
    expect(promiseId('ada', { name: 'n' }, 'x')).not.toBe(promiseId('bob', { name: 'n' }, 'x'))
    expect(promiseId('ada', { key: 'n' }, 'x')).toBe(promiseId('ada', { key: 'n' }, 'y'))
    expect(promiseId('ada', { key: 'n' }, 'x')).not.toBe(promiseId('bob', { key: 'n' }, 'x'))
    expect(promiseId('ada', { key: 'n' }, 'x')).not.toBe(promiseId('ada', { name: 'n' }, 'x'))
    expect(promiseId('ada', {}, 'x')).not.toBe(promiseId('ada', {}, 'y'))
    expect(isPromiseId(promiseId('ada', { name: 'n' }, 'x'))).toBe(true)
  })

  it('wakes for its deadline, then for its news at growing intervals, then to be forgotten (A107, M6)', () => {
    expect(promiseWakeAt(made())).toBe(1_000)
    let promise = elapsePromise(made(), 1_200)
    expect([promiseWakeAt(promise), promise.news]).toEqual([1_200, { status: 'pending' }])
    const waits = []
    for (let i = 0; i < 9; i++) {
      const now = promiseWakeAt(promise)
      promise = askForTelling(promise, now) ?? promise
      waits.push((promiseWakeAt(promise) - now) / 1_000)
    }
    expect(waits).toEqual([5, 10, 20, 40, 80, 160, 300, 300, 300])
    expect(isPromiseForgotten(promise, Number.MAX_SAFE_INTEGER)).toBe(false)
    const told = promiseTold(promise, carried)
    expect(promiseTold(told, { status: 'refused', reason: 'x', detail: '' })).toBe(told)
    expect(promiseWakeAt(told)).toBe(1_200 + promiseKeptMs)
    expect(isPromiseForgotten(told, 1_200 + promiseKeptMs)).toBe(true)
  })

  it('is ended by its owner, whom its owner names, and an admin; by nobody else (A107, S2)', () => {
    const agent = (name: string) => ({ kind: 'agent', name, permissions: resolvePermissions(name) }) as const
    const app = (name: string) => ({ kind: 'app', name, permissions: resolvePermissions(`app/${name}`) }) as const
    const named = made({ resolvers: ['cashier', 'app/bank-*'] })
    const may = [agent('ada'), agent('cashier'), app('bank-1'), { kind: 'admin' } as const]
    expect(may.map((who) => mayEndPromise(who, named))).toEqual([true, true, true, true])
    const mayNot = [agent('cashier2'), app('ban'), app('cashier'), agent('bank-1')]
    expect(mayNot.map((who) => mayEndPromise(who, named))).toEqual([false, false, false, false])
    expect(mayEndPromise(agent('eve'), made())).toBe(false)
    expect(mayEndPromise(agent('eve'), made({ resolvers: ['*'] }))).toBe(true)
  })
})
