/** Schemas that messages are held to: which are sound, which messages they are for, and what does not fit, where (A42). */
import { describe, expect, it } from 'vitest'
import { judgeOf, schemaIssues } from '../../shared/json-schema.ts'
import { limits } from '../../shared/limits.ts'
import type { Message } from '../../shared/message.ts'
import { appliesTo, Rules, type Schema, schemaInput } from '../../shared/schema.ts'

const order = {
  type: 'object',
  required: ['title', 'count'],
  properties: {
    title: { type: 'string' },
    count: { $ref: '#/$defs/count' },
    lines: { type: 'array', items: { anyOf: [{ type: 'string' }, { type: 'number' }] } },
  },
  additionalProperties: false,
  $defs: { count: { type: 'integer', minimum: 1 } },
}
const mismatches = (data: unknown, thorough = true) =>
  judgeOf(order)(data, { thorough }).map((m) => [m.pointer, m.schemaPointer])

describe('data that does not fit', () => {
  it('is told where and by which part of the schema, as RFC 6901 pointers, and nothing twice (A42)', () => {
    expect(mismatches({ title: 1, count: 0 })).toEqual([
      ['/title', '/properties/title/type'],
      ['/count', '/properties/count/$ref/minimum'],
    ])
  })

  it('is pointed to with its name escaped, whatever it is called', () => {
    const told = judgeOf(order)({ title: 'a', count: 1, 'a/b~ ü': 1 }, { thorough: true })
    expect(told).toMatchObject([{ pointer: '/a~1b~0 ü', message: 'The schema has no place for this.' }])
  })

  it('that fits none of several is told with why it fits none', () => {
    expect(mismatches({ title: 'a', count: 1, lines: [true] })).toEqual([
      ['/lines/0', '/properties/lines/items/anyOf'],
      ['/lines/0', '/properties/lines/items/anyOf/0/type'],
      ['/lines/0', '/properties/lines/items/anyOf/1/type'],
    ])
  })

  it('in a thousand ways is told a bounded number of them; when it is large, the first', () => {
    const lines = Array.from({ length: 1_000 }, () => true)
    expect(mismatches({ title: 'a', count: 1, lines })).toHaveLength(limits.mismatches)
    expect(new Set(mismatches({ title: 'a', count: 1, lines }, false).map(([pointer]) => pointer))).toEqual(
      new Set(['/lines/0']),
    )
  })

  it('that fits is told nothing', () => {
    expect(mismatches({ title: 'a', count: 1, lines: ['x', 2] })).toEqual([])
  })

  it('in a recursive schema is judged as deep as it goes', () => {
    const tree = judgeOf({ type: 'object', properties: { child: { $ref: '#' } }, additionalProperties: false })
    expect(tree({ child: { child: {} } }, { thorough: true })).toEqual([])
    expect(tree({ child: { child: { chidl: 1 } } }, { thorough: true })).toMatchObject([
      { pointer: '/child/child/chidl' },
    ])
    const deep = Array.from({ length: 50_000 }).reduce<unknown>((child) => ({ child }), {})
    expect(tree(deep, { thorough: false })[0]?.message).toBe('is nested too deeply, and cannot be held to this schema')
  })

  it('tells of a name that no pointer can hold, in the data or in a schema of before, rather than fail', () => {
    const name = 'has a name with half a character in it (an unpaired surrogate)'
    for (const thorough of [true, false]) {
      expect(judgeOf({ additionalProperties: true })({ '\ud800': 1 }, { thorough })).toEqual([
        { pointer: '', schemaPointer: '', message: `${name}, and cannot be held to this schema` },
      ])
      expect(judgeOf({ properties: { '\ud800': true } })({}, { thorough })).toEqual([
        { pointer: '', schemaPointer: '/properties', message: `cannot be held to this schema, which ${name}` },
      ])
    }
  })

  it('leaves the schema as it was', () => {
    const before = structuredClone(order)
    judgeOf(order)({}, { thorough: true })
    expect(order).toEqual(before)
  })
})

describe('a schema that cannot be used', () => {
  const cases: readonly (readonly [string, unknown, string])[] = [
    ['that refers elsewhere', { $ref: 'https://example.com/schema' }, '/$ref'],
    ['that refers to nothing', { properties: { a: { $ref: '#/$defs/a' } } }, '/properties/a/$ref'],
    ['that comes back to itself at once', { $ref: '#' }, ''],
    [
      'that comes back to itself by detours',
      { $ref: '#/$defs/a', $defs: { a: { allOf: [{ $ref: '#/$defs/b' }] }, b: { if: { $ref: '#/$defs/a' } } } },
      '',
    ],
    ['of a type that does not exist', { items: { type: 'strin' } }, '/items/type'],
    ['with a pattern that is none', { pattern: '(' }, '/pattern'],
    ['with names by a pattern that is none', { patternProperties: { '(': true } }, '/patternProperties'],
    ['that is no schema in a place for one', { properties: { a: 5 } }, '/properties/a'],
    ['with a list where schemas by name belong', { properties: [] }, '/properties'],
    ['of another draft', { $schema: 'http://json-schema.org/draft-07/schema#' }, '/$schema'],
    ['with another draft’s words', { definitions: {} }, '/definitions'],
    ['with a scope of its own within', { items: { $id: 'https://example.com/x' } }, '/items/$id'],
    ['with a dynamic reference', { $dynamicRef: '#x' }, '/$dynamicRef'],
    ['with a bound that is no number', { minLength: -1 }, '/minLength'],
    [
      'nested too deeply',
      Array.from({ length: limits.schemaDepth }).reduce<unknown>((inner) => ({ not: inner }), { not: {} }),
      '',
    ],
    ['with half a character in a name', { properties: { '\ud800': true } }, '/properties'],
    ['with half a character in a name where no keyword is', { x: [{ '\udfff': 1e-320 }] }, '/x/0'],
    ['too large', { description: 'x'.repeat(limits.schemaBytes) }, ''],
  ]
  for (const [what, schema, pointer] of cases)
    it(`${what}: is refused at ${pointer || 'the whole'} (A42)`, () => {
      expect(schemaIssues(schema)[0]?.pointer).toBe(pointer)
    })

  it('is none of these', () => {
    for (const schema of [
      true,
      {},
      order,
      {
        $schema: 'https://json-schema.org/draft/2020-12/schema',
        $id: 'orders',
        type: ['null', 'string'],
        format: 'email',
      },
    ])
      expect(schemaIssues(schema)).toEqual([])
  })

  it('may name properties as keywords are named', () => {
    expect(
      schemaIssues({ properties: { $ref: { type: 'string' }, type: true, definitions: {}, pattern: {} } }),
    ).toEqual([])
    expect(schemaIssues({ enum: [{ $ref: 'x', type: 5 }], const: { properties: 5 } })).toEqual([])
  })
})

describe('which messages', () => {
  const matches = (match: object, message: object) =>
    appliesTo({ match } as Schema, { type: 'orders.new', ...message } as Message)

  it('by type, by topic, and by both when both are there', () => {
    expect([matches({ type: 'orders.*' }, {}), matches({ type: 'orders' }, {}), matches({ type: '>' }, {})]).toEqual([
      true,
      false,
      true,
    ])
    expect([matches({ topic: 'shop.>' }, { topic: 'shop.eu.1' }), matches({ topic: 'shop.>' }, {})]).toEqual([
      true,
      false,
    ])
    expect(matches({ type: 'orders.*', topic: 'shop' }, { topic: 'other' })).toBe(false)
  })

  it('not the broker’s own, unless it is named', () => {
    const told = { type: 'switchboard.delivery.ended' }
    expect([matches({ type: '>' }, told), matches({ type: 'switchboard.>' }, told)]).toEqual([false, true])
  })

  it('neither type nor topic, or a pattern that is none, is refused', () => {
    for (const match of [{}, { type: 'a..b' }, { type: 'a.>.b' }, { topic: 'a.>.b' }, { type: '' }])
      expect(schemaInput.safeParse({ match, schema: true }).success, JSON.stringify(match)).toBe(false)
  })
})

describe('rules', () => {
  const schema = (name: string, more: object): Schema =>
    ({
      v: 1,
      name,
      version: 1,
      updatedAt: 0,
      match: { type: 'orders.*' },
      schema: order,
      enforce: 'reject',
      ...more,
    }) as Schema
  const message = (more: object) =>
    ({
      specversion: '1.0',
      id: 'm',
      source: 's',
      type: 'orders.new',
      time: '',
      correlationid: 'm',
      to: 'ada',
      ...more,
    }) as Message
  const rules = new Rules({
    version: 1,
    items: [schema('orders', {}), schema('all', { match: { type: '>' }, schema: { type: 'object' } })],
  })

  it('name each schema that a message does not fit, with pointers that begin at the message', () => {
    expect(rules.violations(message({ data: { title: 'a' } }), 100)).toMatchObject([
      { schema: { name: 'orders' }, mismatches: [{ pointer: '/data', schemaPointer: '/required' }] },
    ])
    expect(rules.violations(message({ data: 5 }), 100).map((v) => v.schema.name)).toEqual(['orders', 'all'])
    expect(rules.violations(message({ type: 'other', data: {} }), 100)).toEqual([])
  })

  it('want JSON: no data, and bytes, fit no schema', () => {
    for (const more of [{}, { data_base64: 'AAAA' }])
      expect(rules.violations(message(more), 100)[0]?.mismatches).toMatchObject([{ pointer: '/data' }])
  })
})
