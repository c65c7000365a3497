/** JSON from strangers: what is read, how deep, and the one form to compare by. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { boundDepth, canonical, decodeUtf8, deeperThan, parseJson, utf8Length } from '../../shared/json.ts'
import { limits } from '../../shared/limits.ts'
import { anyUnits } from './arbitraries.ts'

const bytes = (text: string) => new TextEncoder().encode(text)
const nestedArrays = (depth: number) => JSON.parse('['.repeat(depth) + ']'.repeat(depth)) as unknown

describe('parseJson', () => {
  it('reads what JSON.stringify writes', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        const text = JSON.stringify(value)
        expect(parseJson(bytes(text))).toEqual({ ok: true, value: JSON.parse(text) })
      }),
    )
  })

  it('answers garbage with invalid_json and never throws', () => {
    fc.assert(
      fc.property(fc.uint8Array(), (garbage) => {
        const answer = parseJson(garbage)
        if (!answer.ok) expect(answer.error.code).toBe('invalid_json')
      }),
    )
  })

  it.each(['1e309', '-1e400', '[{"a":[1,-2E+999]}]', '9'.repeat(310), '1e0000000309'])(
    'refuses %s, because it would be stored as null (A13)',
    (text) => {
      expect(parseJson(bytes(text))).toMatchObject({ ok: false, error: { code: 'invalid_json' } })
    },
  )

  it.each(['1.7976931348623157e308', '1e-400', '"1e400"', `["${'7'.repeat(400)}"]`, '{"a":null}'])(
    'reads %s, which is what it says',
    (text) => {
      expect(parseJson(bytes(text))).toEqual({ ok: true, value: JSON.parse(text) })
    },
  )

  it('tells a reason without quoting the body (because faults may be logged, and bodies may not)', () => {
    const body = `{"note": "my secret", "more": oops, "padding": "${'x'.repeat(100)}"}`
    const answer = parseJson(bytes(body))
    expect(answer).toMatchObject({ ok: false, error: { reason: "Unexpected token 'o'" } })
  })
})

describe('decodeUtf8', () => {
  it('is undefined for what is not UTF-8', () => {
    for (const wrong of [[0xff], [0xc0, 0xa0], [0xed, 0xa0, 0x80], [0xe2, 0x82]])
      expect(decodeUtf8(Uint8Array.from(wrong), { keepBom: false })).toBeUndefined()
  })

  it('keeps or drops a byte order mark as asked', () => {
    expect(decodeUtf8(bytes('\ufeffa'), { keepBom: true })).toBe('\ufeffa')
    expect(decodeUtf8(bytes('\ufeffa'), { keepBom: false })).toBe('a')
  })
})

describe('depth', () => {
  it.each([
    ['a scalar', 7, 0],
    ['null', null, 0],
    ['an empty object', {}, 1],
    ['an object in an array', [{}], 2],
    ['the deepest branch, not the first', [1, [], { a: [[]] }], 4],
  ])('of %s is counted in arrays and objects', (_what, value, depth) => {
    expect(deeperThan(value, depth)).toBe(false)
    if (depth > 0) expect(deeperThan(value, depth - 1)).toBe(true)
  })

  it('at the limit passes and one deeper is too_deep', () => {
    expect(boundDepth(nestedArrays(limits.jsonDepth)).ok).toBe(true)
    expect(boundDepth(nestedArrays(limits.jsonDepth + 1))).toEqual({
      ok: false,
      error: { code: 'too_deep', limit: limits.jsonDepth },
    })
  })

  it('of a hundred thousand does not overflow the stack', () => {
    expect(deeperThan(nestedArrays(100_000), limits.jsonDepth)).toBe(true)
    expect(deeperThan(nestedArrays(100_000), 1_000_000)).toBe(false)
  })
})

describe('canonical', () => {
  // Rebuilds a value with the keys of every object in reverse order.
  const reversed = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(reversed)
    if (typeof value !== 'object' || value === null) return value
    return Object.fromEntries(
      Object.entries(value)
        .toReversed()
        .map(([k, v]) => [k, reversed(v)]),
    )
  }

  it('does not depend on the order of keys, at any depth', () => {
    expect(canonical({ b: 1, a: { d: [1, { z: 0, y: 0 }], c: 2 } })).toBe('{"a":{"c":2,"d":[1,{"y":0,"z":0}]},"b":1}')
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        expect(canonical(reversed(value))).toBe(canonical(value))
      }),
    )
  })

  it('is JSON of the same value, so that different values give different texts', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        expect(JSON.parse(canonical(value))).toEqual(JSON.parse(JSON.stringify(value)))
      }),
    )
  })

  it.each([
    [
      [1, 2],
      [2, 1],
    ],
    [{ a: null }, {}],
    ['1', 1],
    [[], {}],
    [[[]], []],
    [
      { a: 1, b: 2 },
      { a: 2, b: 1 },
    ],
    ['\ud800', '\ud801'],
  ])('tells %j from %j', (a, b) => {
    expect(canonical(a)).not.toBe(canonical(b))
  })

  it('treats undefined as JSON does: no member, null in an array', () => {
    expect(canonical({ a: undefined, b: [undefined] })).toBe('{"b":[null]}')
    expect(canonical(undefined)).toBe('null')
  })
})

describe('utf8Length', () => {
  it('is what an encoder would write, lone surrogates included', () => {
    fc.assert(
      fc.property(anyUnits, (text) => {
        expect(utf8Length(text)).toBe(bytes(text).length)
      }),
    )
  })

  it.each([
    ['', 0],
    ['a', 1],
    ['ß', 2],
    ['€', 3],
    ['😀', 4],
    ['\ud800', 3],
    ['\ud800ß', 5],
    ['\ud800\ud800', 6],
    ['\udc00\ud800', 6],
  ])('of %j is %d', (text, length) => {
    expect(utf8Length(text)).toBe(length)
  })
})
