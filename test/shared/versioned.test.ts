/** Versioned state: who is late, what never conflicts, and that every earlier version can be made again. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { JsonObject } from '../../shared/json-pointer.ts'
import { limits } from '../../shared/limits.ts'
import { applyOperations, type StateOperation } from '../../shared/state-operations.ts'
import {
  applyChange,
  difference,
  judge,
  matchesNone,
  parseIfMatch,
  retryAfterMs,
  touchedFields,
  undone,
} from '../../shared/versioned.ts'

const json = fc.jsonValue({ maxDepth: 3 })
const state = fc.dictionary(fc.string({ maxLength: 4 }), json, { maxKeys: 5 })
const asJson = <T>(value: T): T => JSON.parse(JSON.stringify(value))

describe('what a change replaced', () => {
  it('is enough to make the version before it again, whatever was changed (A33)', () => {
    fc.assert(
      fc.property(state, state, (a, b) => {
        const [before, after] = [asJson(a), asJson(b)]
        expect(undone(after, difference(before, after))).toEqual(before)
      }),
    )
  })

  it('names no field that is as it was', () => {
    expect(difference({ a: { x: 1, y: 2 }, b: 1 }, { a: { y: 2, x: 1 }, b: 2 }).fields).toEqual(['b'])
  })
})

describe('operations that never conflict (A32, TC16)', () => {
  const commutative = fc.oneof(
    fc.record({
      op: fc.constant('increment' as const),
      path: fc.constantFrom('/n', '/deep/n'),
      by: fc.integer({ min: -9, max: 9 }),
    }),
    fc.record({ op: fc.constant('max' as const), path: fc.constantFrom('/m', '/deep/m'), value: fc.integer() }),
  )
  it('come to the same in any order', () => {
    fc.assert(
      fc.property(
        fc.array(commutative, { maxLength: 8 }),
        fc.array(fc.nat(), { minLength: 8, maxLength: 8 }),
        (operations, dice) => {
          const shuffled = operations
            .map((o, i) => ({ o, at: dice[i]! }))
            .sort((a, b) => a.at - b.at)
            .map(({ o }) => o)
          expect(applyOperations({ n: 1 }, shuffled)).toEqual(applyOperations({ n: 1 }, operations))
        },
      ),
    )
  })

  const cases: readonly (readonly [StateOperation, JsonObject, JsonObject])[] = [
    [{ op: 'increment', path: '/n' }, {}, { n: 1 }],
    [{ op: 'increment', path: '/a/b/n', by: 2.5 }, { a: { x: 1 } }, { a: { x: 1, b: { n: 2.5 } } }],
    [{ op: 'append', path: '/list', value: { a: 1 } }, {}, { list: [{ a: 1 }] }],
    [{ op: 'append', path: '/list', value: 2 }, { list: [1] }, { list: [1, 2] }],
    [{ op: 'setIfAbsent', path: '/a', value: 1 }, { a: null }, { a: null }],
    [{ op: 'setIfAbsent', path: '/a', value: 1 }, {}, { a: 1 }],
    [{ op: 'max', path: '/a', value: 1 }, { a: 3 }, { a: 3 }],
    [{ op: 'increment', path: '/list/0' }, { list: [1, 5] }, { list: [2, 5] }],
  ]
  it.each(cases)('%j on %j is %j', (operation, before, after) => {
    expect(applyOperations(before, [operation])).toEqual({ ok: true, value: after })
  })

  it.each([
    [{ op: 'increment', path: '/a' }, { a: '1' }],
    [{ op: 'increment', path: '/a', by: Number.MAX_VALUE }, { a: Number.MAX_VALUE }],
    [{ op: 'append', path: '/a', value: 1 }, { a: {} }],
    [{ op: 'max', path: '/a', value: 1 }, { a: null }],
    [{ op: 'increment', path: '/a/b' }, { a: 1 }],
    [{ op: 'append', path: '/a/9', value: 1 }, { a: [] }],
  ] as const)('%j on %j is refused, and tells which and why', (operation, before) => {
    expect(applyOperations(before, [{ op: 'increment', path: '/ok' }, operation])).toMatchObject({
      ok: false,
      error: { index: 1 },
    })
  })
})

describe('a change', () => {
  it('that would make the state something else than an object is refused', () => {
    expect(applyChange({}, { kind: 'patch', operations: [{ op: 'replace', path: '', value: [] }] })).toEqual({
      ok: false,
      error: { code: 'state_not_object' },
    })
  })

  it('that would make it too large or too deep is refused, with its size', () => {
    const large = applyChange({}, { kind: 'merge', patch: { a: 'x'.repeat(limits.stateBytes) } })
    expect(large).toMatchObject({ ok: false, error: { code: 'state_too_large', gotBytes: limits.stateBytes + 8 } })
    const deep = JSON.parse(`${'{"a":'.repeat(limits.jsonDepth)}1${'}'.repeat(limits.jsonDepth)}`)
    expect(applyChange({}, { kind: 'merge', patch: { a: deep } })).toMatchObject({
      ok: false,
      error: { code: 'state_too_deep' },
    })
  })
})

describe('who is late (W2)', () => {
  const at = (version: number | 'any', fields?: true) => (fields === undefined ? { version } : { version, fields })
  const touched = (...names: string[]) => new Set(names)

  it('is who saw another version; `any` never is', () => {
    expect(judge(at(3), 3, undefined, touched('a'))).toBe('current')
    expect(judge(at('any'), 3, undefined, touched('a'))).toBe('current')
    expect(judge(at(2), 3, touched('b'), touched('a'))).toBe('stale')
    expect(judge(at(4), 3, touched(), touched('a'))).toBe('stale')
  })

  it('is who saw none of several versions', () => {
    expect(judge({ version: 4, beside: [3, 1] }, 3, undefined, touched('a'))).toBe('current')
    expect(judge({ version: 4, beside: [1] }, 3, undefined, touched('a'))).toBe('stale')
    expect(judge({ version: 2, beside: [1], fields: true }, 3, touched('b'), touched('a'))).toBe('merges')
  })

  it('by field: only who touches what was changed since, or when that is not known (A30)', () => {
    expect(judge(at(2, true), 3, touched('b'), touched('a'))).toBe('merges')
    expect(judge(at(2, true), 3, touched('a', 'b'), touched('a'))).toBe('stale')
    expect(judge(at(2, true), 3, undefined, touched('a'))).toBe('stale')
    expect(judge(at(2, true), 3, touched('b'), undefined)).toBe('stale')
    expect(judge(at(4, true), 3, touched(), touched('a'))).toBe('stale')
  })

  it('a change touches the fields that it reads, too', () => {
    const operations = [
      { op: 'move' as const, from: '/a/x', path: '/b' },
      { op: 'test' as const, path: '/c', value: 1 },
    ]
    expect(touchedFields({ kind: 'patch', operations })).toEqual(touched('a', 'b', 'c'))
    expect(touchedFields({ kind: 'patch', operations: [{ op: 'add', path: '', value: {} }] })).toBeUndefined()
    expect(touchedFields({ kind: 'merge', patch: { d: null } })).toEqual(touched('d'))
  })

  it('is told to wait the longer, the more were late lately (A32)', () => {
    expect([0, 1, 10, 1_000].map(retryAfterMs)).toEqual([20, 20, 200, 2_000])
  })
})

describe('the headers', () => {
  it.each([
    ['"3"', { version: 3 }],
    [' "12" ', { version: 12 }],
    ['*', { version: 'any' }],
    // What compresses an answer on its way, as Cloudflare does, weakens its ETag.
    ['W/"3"', { version: 3 }],
    ['"3", "4"', { version: 4, beside: [3] }],
    ['W/"2" ,, "7","2", "of-another"', { version: 7, beside: [2] }],
    ['3', undefined],
    ['w/"3"', undefined],
    ['"0"', undefined],
    ['"x"', undefined],
    ['"3", 4', undefined],
    ['"3", *', undefined],
    ['', undefined],
  ] as const)('If-Match: %s names %j', (header, expected) => {
    expect(parseIfMatch(header)).toEqual(expected)
  })

  it.each([
    ['"3"', true],
    ['W/"3"', true],
    ['"2", "3"', true],
    ['*', true],
    ['"2"', false],
    ['', false],
  ])('If-None-Match: %s matches version 3: %s', (header, does) => {
    expect(matchesNone(header, 3)).toBe(does)
  })
})
