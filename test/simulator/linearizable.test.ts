/** The checker of concurrent histories, held to histories that are known to be good or bad, and to trying every order. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  breakerModel,
  type Called,
  History,
  linearize,
  type StateAnswer,
  type StateCall,
  stateModel,
} from './linearizable.ts'

type Noted = Called<StateCall, StateAnswer>

const read = (startedAt: number, endedAt: number, version: number, value: string): Noted => ({
  call: { kind: 'read' },
  answer: { status: 'ok', version, value },
  startedAt,
  endedAt,
})
const write = (startedAt: number, endedAt: number, ifVersion: number, value: string, answer?: StateAnswer): Noted => ({
  call: { kind: 'write', ifVersion, value },
  ...(answer === undefined ? {} : { answer }),
  startedAt,
  endedAt,
})
const ok = (version: number, value: string): StateAnswer => ({ status: 'ok', version, value })
const late = (version: number, value: string): StateAnswer => ({ status: 'late', version, value })
const isGood = (history: readonly Noted[]) => linearize(history, stateModel(1, 'a')).linearizable
const never = Number.POSITIVE_INFINITY

describe('a history that is linearizable', () => {
  it.each<[string, readonly Noted[]]>([
    ['of nothing', []],
    ['of one after another', [write(0, 1, 1, 'b', ok(2, 'b')), read(2, 3, 2, 'b')]],
    ['in which a read beside a write sees what was before', [write(0, 3, 1, 'b', ok(2, 'b')), read(1, 2, 1, 'a')]],
    ['in which a read beside a write sees what came', [write(0, 3, 1, 'b', ok(2, 'b')), read(1, 2, 2, 'b')]],
    ['of two writers at once, one of them late', [write(0, 2, 1, 'b', ok(2, 'b')), write(1, 3, 1, 'c', late(2, 'b'))]],
    [
      'of a write that was never answered and happened',
      [write(0, never, 1, 'b'), read(1, 2, 1, 'a'), read(3, 4, 2, 'b')],
    ],
    ['of a write that was never answered and did not happen', [write(0, never, 1, 'b'), read(1, 2, 1, 'a')]],
  ])('%s is found to be', (_, history) => {
    expect(isGood(history)).toBe(true)
  })

  it('has its order told', () => {
    const [second, first] = [read(1, 4, 2, 'b'), write(0, 5, 1, 'b', ok(2, 'b'))]
    expect(linearize([second, first], stateModel(1, 'a'))).toEqual({ linearizable: true, order: [first, second] })
  })
})

describe('a history that is not', () => {
  it.each<[string, readonly Noted[]]>([
    ['a lost update', [write(0, 2, 1, 'b', ok(2, 'b')), write(1, 3, 1, 'c', ok(2, 'c'))]],
    ['a read of what was before, after the write was answered', [write(0, 1, 1, 'b', ok(2, 'b')), read(2, 3, 1, 'a')]],
    [
      'two reads that see a write come and go',
      [write(0, 9, 1, 'b', ok(2, 'b')), read(1, 2, 2, 'b'), read(3, 4, 1, 'a')],
    ],
    ['a read of what nobody wrote', [read(0, 1, 1, 'x')]],
    ['a write that was refused and happened', [write(0, 1, 3, 'b', late(1, 'a')), read(2, 3, 2, 'b')]],
    ['a write that was refused though it was in time', [write(0, 1, 1, 'b', late(1, 'a'))]],
    [
      'who was late told what was there before that',
      [write(0, 1, 1, 'b', ok(2, 'b')), write(2, 3, 1, 'c', late(1, 'a'))],
    ],
    ['a version that is skipped', [write(0, 1, 1, 'b', ok(3, 'b'))]],
    ['what was never answered seen before it was asked', [read(0, 1, 2, 'b'), write(2, never, 1, 'b')]],
  ])('%s is found to be none', (_, history) => {
    expect(isGood(history)).toBe(false)
  })

  it('is told as far as it goes, and what does not fit then', () => {
    const [good, bad] = [write(0, 1, 1, 'b', ok(2, 'b')), read(2, 3, 1, 'a')]
    expect(linearize([good, bad], stateModel(1, 'a'))).toEqual({ linearizable: false, longest: [good], stuck: [bad] })
  })

  it('of a breaker: one let through after it was forced open, or kept back after it was closed', () => {
    const force = (at: number, to: string) => ({
      call: { kind: 'force', to } as const,
      answer: { state: to, forced: to },
      startedAt: at,
      endedAt: at + 1,
    })
    const admit = (at: number, through: boolean) => ({
      call: { kind: 'admit' } as const,
      answer: through,
      startedAt: at,
      endedAt: at + 1,
    })
    const isRight = (...history: Parameters<typeof linearize>[0]) =>
      linearize(history as ReturnType<typeof admit>[], breakerModel).linearizable
    expect(isRight(force(0, 'open'), admit(2, false), force(4, 'closed'), admit(6, true))).toBe(true)
    expect(isRight(force(0, 'open'), admit(1, true))).toBe(true)
    expect(isRight(force(0, 'open'), admit(2, true))).toBe(false)
    expect(isRight(force(0, 'open'), force(2, 'closed'), admit(4, false))).toBe(false)
  })
})

// --- against trying every order ---------------------------------------------------------------------------------------

function orders<T>(items: readonly T[]): readonly (readonly T[])[] {
  if (items.length === 0) return [[]]
  return items.flatMap((item, i) =>
    orders([...items.slice(0, i), ...items.slice(i + 1)]).map((rest) => [item, ...rest]),
  )
}

function isGoodByTrying(history: readonly Noted[]): boolean {
  const model = stateModel(1, 'a')
  return orders(history).some((order) => {
    if (order.some((one, i) => order.slice(i + 1).some((later) => later.endedAt < one.startedAt))) return false
    let state: readonly [number, string] | undefined = model.initial
    for (const { call, answer } of order) state = state && model.after(state, call, answer)
    return state !== undefined
  })
}

const calls: fc.Arbitrary<StateCall> = fc.oneof(
  fc.constant<StateCall>({ kind: 'read' }),
  fc.record({
    kind: fc.constant('write' as const),
    ifVersion: fc.integer({ min: 1, max: 3 }),
    value: fc.constantFrom('b', 'c'),
  }),
)
const answers: fc.Arbitrary<StateAnswer> = fc.record({
  status: fc.constantFrom('ok', 'ok', 'late'),
  version: fc.integer({ min: 1, max: 3 }),
  value: fc.constantFrom('a', 'b', 'c'),
})

describe('whatever the history', () => {
  it('the verdict is that of trying every order', () => {
    const noted = fc
      .tuple(calls, answers, fc.nat(8), fc.nat(4))
      .map(([call, answer, startedAt, lasts]): Noted => ({ call, answer, startedAt, endedAt: startedAt + 0.5 + lasts }))
    fc.assert(
      fc.property(fc.array(noted, { maxLength: 4 }), (history) => {
        expect(isGood(history)).toBe(isGoodByTrying(history))
      }),
      { numRuns: 500 },
    )
  })

  it('what one register answered to callers that overlap is linearizable; with one answer changed to a lost update it is not', async () => {
    const run = async (asked: readonly (readonly [StateCall, number, number])[]) => {
      const history = new History<StateCall, StateAnswer>()
      let state: readonly [number, string] = [1, 'a']
      const pause = async (turns: number) => {
        for (let i = 0; i < turns; i++) await undefined
      }
      const answerTo = (call: StateCall): StateAnswer => {
        const isLate = call.kind === 'write' && call.ifVersion !== state[0]
        if (call.kind === 'write' && !isLate) state = [state[0] + 1, call.value]
        return { status: isLate ? 'late' : 'ok', version: state[0], value: state[1] }
      }
      await Promise.all(
        asked.map(([call, before, after]) =>
          history.note(call, async () => {
            await pause(before)
            const answer = answerTo(call)
            await pause(after)
            return answer
          }),
        ),
      )
      return history.calls
    }
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(calls, fc.nat(9), fc.nat(9)), { minLength: 1, maxLength: 12 }),
        async (asked) => {
          const noted = await run(asked)
          expect(isGood(noted)).toBe(true)
          const wrong = noted.map((one, i) => (i === 0 ? { ...one, answer: ok(99, 'lost') } : one))
          expect(isGood(wrong)).toBe(false)
        },
      ),
    )
  })
})
