/** The two standard patches, by the RFCs' own cases; and what a patch can never do to us. */
import { describe, expect, it } from 'vitest'
import { applyJsonPatch, applyMergePatch, jsonPatch, type PatchOperation } from '../../shared/json-patch.ts'
import { parsePointer, pointerOf, valueAt } from '../../shared/json-pointer.ts'
import { limits } from '../../shared/limits.ts'

const op = (operation: unknown) => operation as PatchOperation

describe('JSON Pointer (RFC 6901)', () => {
  const document = {
    foo: ['bar', 'baz'],
    '': 0,
    'a/b': 1,
    'c%d': 2,
    'e^f': 3,
    'g|h': 4,
    'i\\j': 5,
    'k"l': 6,
    ' ': 7,
    'm~n': 8,
  }
  const cases: readonly (readonly [string, unknown])[] = [
    ['', document],
    ['/foo', ['bar', 'baz']],
    ['/foo/0', 'bar'],
    ['/', 0],
    ['/a~1b', 1],
    ['/c%d', 2],
    ['/e^f', 3],
    ['/g|h', 4],
    ['/i\\j', 5],
    ['/k"l', 6],
    ['/ ', 7],
    ['/m~0n', 8],
  ]
  it.each(cases)('section 5: %j', (pointer, value) => {
    expect(valueAt(document, parsePointer(pointer)!)).toEqual(value)
    expect(pointerOf(parsePointer(pointer)!)).toBe(pointer)
  })

  it.each(['foo', '/a~2', '/~'])('%j is none', (text) => {
    expect(parsePointer(text)).toBeUndefined()
  })

  it('`~01` is `~1`, not `/`', () => {
    expect(parsePointer('/~01')).toEqual(['~1'])
  })

  it('an index has no leading zero and no sign, and what an object inherits is not there', () => {
    for (const pointer of ['/a/00', '/a/-1', '/a/+0', '/a/-', '/a/1e0', '/a/length', '/constructor', '/__proto__'])
      expect(valueAt({ a: ['x', 'y'] }, parsePointer(pointer)!), pointer).toBeUndefined()
  })
})

describe('JSON Patch (RFC 6902), appendix A', () => {
  const cases: readonly (readonly [string, unknown, readonly unknown[], unknown])[] = [
    ['A.1 an object member', { foo: 'bar' }, [{ op: 'add', path: '/baz', value: 'qux' }], { baz: 'qux', foo: 'bar' }],
    [
      'A.2 an array element',
      { foo: ['bar', 'baz'] },
      [{ op: 'add', path: '/foo/1', value: 'qux' }],
      { foo: ['bar', 'qux', 'baz'] },
    ],
    ['A.3 removing a member', { baz: 'qux', foo: 'bar' }, [{ op: 'remove', path: '/baz' }], { foo: 'bar' }],
    [
      'A.4 removing an element',
      { foo: ['bar', 'qux', 'baz'] },
      [{ op: 'remove', path: '/foo/1' }],
      { foo: ['bar', 'baz'] },
    ],
    [
      'A.5 replacing',
      { baz: 'qux', foo: 'bar' },
      [{ op: 'replace', path: '/baz', value: 'boo' }],
      { baz: 'boo', foo: 'bar' },
    ],
    [
      'A.6 moving a value',
      { foo: { bar: 'baz', waldo: 'fred' }, qux: { corge: 'grault' } },
      [{ op: 'move', from: '/foo/waldo', path: '/qux/thud' }],
      { foo: { bar: 'baz' }, qux: { corge: 'grault', thud: 'fred' } },
    ],
    [
      'A.7 moving an element',
      { foo: ['all', 'grass', 'cows', 'eat'] },
      [{ op: 'move', from: '/foo/1', path: '/foo/3' }],
      { foo: ['all', 'cows', 'eat', 'grass'] },
    ],
    [
      'A.8 a test that holds',
      { baz: 'qux', foo: ['a', 2, 'c'] },
      [
        { op: 'test', path: '/baz', value: 'qux' },
        { op: 'test', path: '/foo/1', value: 2 },
      ],
      { baz: 'qux', foo: ['a', 2, 'c'] },
    ],
    [
      'A.10 a nested object',
      { foo: 'bar' },
      [{ op: 'add', path: '/child', value: { grandchild: {} } }],
      { foo: 'bar', child: { grandchild: {} } },
    ],
    [
      'A.11 members that are not known',
      { foo: 'bar' },
      [{ op: 'add', path: '/baz', value: 'qux', xyz: 123 }],
      { foo: 'bar', baz: 'qux' },
    ],
    ['A.14 escapes', { '/': 9, '~1': 10 }, [{ op: 'test', path: '/~01', value: 10 }], { '/': 9, '~1': 10 }],
    [
      'A.16 an array as the value',
      { foo: ['bar'] },
      [{ op: 'add', path: '/foo/-', value: ['abc', 'def'] }],
      { foo: ['bar', ['abc', 'def']] },
    ],
    ['4.1 add replaces a member', { a: 1 }, [{ op: 'add', path: '/a', value: null }], { a: null }],
    ['4.1 add of the whole', { a: 1 }, [{ op: 'add', path: '', value: { b: 2 } }], { b: 2 }],
    ['4.4 a move onto itself', { a: { b: 1 } }, [{ op: 'move', from: '/a', path: '/a' }], { a: { b: 1 } }],
    ['4.5 a copy', { a: { b: 1 } }, [{ op: 'copy', from: '/a', path: '/c' }], { a: { b: 1 }, c: { b: 1 } }],
    [
      '4.6 a test of objects by value, in any order',
      { a: { b: 1, c: [2] } },
      [{ op: 'test', path: '/a', value: { c: [2], b: 1 } }],
      { a: { b: 1, c: [2] } },
    ],
  ]
  it.each(cases)('%s', (_, before, patch, after) => {
    expect(applyJsonPatch(before, jsonPatch.parse(patch))).toEqual({ ok: true, value: after })
  })

  const failing: readonly (readonly [string, unknown, readonly unknown[], number])[] = [
    ['A.9 a test that fails', { baz: 'qux' }, [{ op: 'test', path: '/baz', value: 'bar' }], 0],
    ['A.12 a place whose holder is not there', { foo: 'bar' }, [{ op: 'add', path: '/baz/bat', value: 'qux' }], 0],
    ['A.15 a string is no number', { '/': 9, '~1': 10 }, [{ op: 'test', path: '/~01', value: '10' }], 0],
    ['4.2 removing what is not there', { a: 1 }, [{ op: 'remove', path: '/b' }], 0],
    ['4.3 replacing what is not there', { a: 1 }, [{ op: 'replace', path: '/b', value: 1 }], 0],
    ['4.4 moving into itself', { a: { b: 1 } }, [{ op: 'move', from: '/a', path: '/a/c' }], 0],
    ['4.1 beyond the end of an array', { a: [1] }, [{ op: 'add', path: '/a/2', value: 1 }], 0],
    ['4.6 null is not the same as absent', { a: 1 }, [{ op: 'test', path: '/b', value: null }], 0],
    [
      '5 the first that fails fails all',
      { a: 1 },
      [
        { op: 'add', path: '/b', value: 1 },
        { op: 'test', path: '/a', value: 2 },
      ],
      1,
    ],
  ]
  it.each(failing)('%s', (_, before, patch, index) => {
    const text = JSON.stringify(before)
    const applied = applyJsonPatch(before, jsonPatch.parse(patch))
    expect(applied).toMatchObject({ ok: false, error: { index } })
    expect(JSON.stringify(before)).toBe(text)
  })

  it('A.13: an operation without its value, or one nobody knows, is no patch', () => {
    expect(jsonPatch.safeParse([{ op: 'add', path: '/a' }]).success).toBe(false)
    expect(jsonPatch.safeParse([{ op: 'spam', path: '/a', value: 1 }]).success).toBe(false)
    expect(jsonPatch.safeParse([{ op: 'add', path: 'a', value: 1 }]).success).toBe(false)
  })

  it('copies that double the whole again and again are refused before they fill the memory', () => {
    const patch = Array.from({ length: limits.patchOperations }, (_, i) => op({ op: 'copy', from: '', path: `/c${i}` }))
    expect(applyJsonPatch({ a: 'x'.repeat(1_000) }, patch)).toMatchObject({ ok: false, error: { op: 'copy' } })
  })

  it('a member called __proto__ is a member like any other, and changes nobody’s prototype', () => {
    const patch = [{ op: 'add', path: '/__proto__', value: { admin: true } }]
    const applied = applyJsonPatch({}, jsonPatch.parse(patch))
    expect(JSON.stringify(applied)).toBe('{"ok":true,"value":{"__proto__":{"admin":true}}}')
    expect(({} as { admin?: boolean }).admin).toBeUndefined()
    expect(JSON.stringify(applyMergePatch({}, JSON.parse('{"__proto__":{"a":1}}')))).toBe('{"__proto__":{"a":1}}')
  })
})

describe('JSON Merge Patch (RFC 7396), appendix A', () => {
  const cases: readonly (readonly [unknown, unknown, unknown])[] = [
    [{ a: 'b' }, { a: 'c' }, { a: 'c' }],
    [{ a: 'b' }, { b: 'c' }, { a: 'b', b: 'c' }],
    [{ a: 'b' }, { a: null }, {}],
    [{ a: 'b', b: 'c' }, { a: null }, { b: 'c' }],
    [{ a: ['b'] }, { a: 'c' }, { a: 'c' }],
    [{ a: 'c' }, { a: ['b'] }, { a: ['b'] }],
    [{ a: { b: 'c' } }, { a: { b: 'd', c: null } }, { a: { b: 'd' } }],
    [{ a: [{ b: 'c' }] }, { a: [1] }, { a: [1] }],
    [
      ['a', 'b'],
      ['c', 'd'],
      ['c', 'd'],
    ],
    [{ a: 'b' }, ['c'], ['c']],
    [{ a: 'foo' }, null, null],
    [{ a: 'foo' }, 'bar', 'bar'],
    [{ e: null }, { a: 1 }, { e: null, a: 1 }],
    [[1, 2], { a: 'b', c: null }, { a: 'b' }],
    [{}, { a: { bb: { ccc: null } } }, { a: { bb: {} } }],
  ]
  it.each(cases)('%j patched with %j is %j', (target, patch, result) => {
    expect(applyMergePatch(target, patch)).toEqual(result)
  })
})
