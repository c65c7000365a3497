/** Filters: every operator on every kind of value, the cost that bounds them, and what hostile ones may not do. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { costOf, type Filter, filterSchema, passes } from '../../shared/filter.ts'
import { limits } from '../../shared/limits.ts'

const message = {
  type: 'order.created',
  subject: 'eu/17',
  priority: 4,
  data: { total: 10, paid: true, note: null, region: 'eu', items: [{ sku: 'a' }, { sku: 'b' }], 'with.dot': 1, '': 7 },
}

const ok = (filter: unknown) => filterSchema.safeParse(filter).success

describe('each operator (A87)', () => {
  const table: readonly (readonly [Filter, boolean])[] = [
    [{ eq: ['type', 'order.created'] }, true],
    [{ eq: ['type', 'order'] }, false],
    [{ eq: ['data.total', 10] }, true],
    [{ eq: ['data.total', '10'] }, false],
    [{ eq: ['data.paid', true] }, true],
    [{ eq: ['data.note', null] }, true],
    [{ eq: ['data.absent', null] }, false],
    [{ eq: ['data.items.1.sku', 'b'] }, true],
    [{ in: ['data.region', ['us', 'eu']] }, true],
    [{ in: ['data.region', ['us']] }, false],
    [{ in: ['data.note', [null]] }, true],
    [{ in: ['data.absent', [null]] }, false],
    [{ prefix: ['subject', 'eu/'] }, true],
    [{ prefix: ['subject', 'us/'] }, false],
    [{ prefix: ['subject', ''] }, true],
    [{ prefix: ['data.total', '1'] }, false],
    [{ prefix: ['absent', ''] }, false],
    [{ exists: 'data.note' }, true],
    [{ exists: 'data.items.1' }, true],
    [{ exists: 'data.items.2' }, false],
    [{ exists: 'data.region.length' }, false],
    [{ range: ['data.total', { gte: 10 }] }, true],
    [{ range: ['data.total', { gt: 10 }] }, false],
    [{ range: ['data.total', { gt: 9, lte: 10 }] }, true],
    [{ range: ['data.total', { lt: 10 }] }, false],
    [{ range: ['data.total', { lte: 9 }] }, false],
    [{ range: ['data.region', { gt: 0 }] }, false],
    [{ range: ['data.absent', { lt: 5 }] }, false],
    [{ and: [{ exists: 'data' }, { eq: ['priority', 4] }] }, true],
    [{ and: [{ exists: 'data' }, { eq: ['priority', 5] }] }, false],
    [{ or: [{ exists: 'absent' }, { eq: ['priority', 4] }] }, true],
    [{ or: [{ exists: 'absent' }, { eq: ['priority', 5] }] }, false],
    [{ not: { exists: 'absent' } }, true],
    [{ not: { exists: 'data' } }, false],
  ]
  it.each(table)('%j: %s (A5)', (filter, expected) => {
    expect(ok(filter)).toBe(true)
    expect(passes(filter, message)).toBe(expected)
  })
})

describe('what is no filter (A87)', () => {
  it.each([
    [null],
    ['type'],
    [[]],
    [{}],
    [{ eq: ['type'] }],
    [{ eq: ['type', 'a', 'b'] }],
    [{ eq: ['type', { a: 1 }] }],
    [{ eq: ['', 'a'] }],
    [{ eq: ['type', 'a'], not: { exists: 'type' } }],
    [{ in: ['type', []] }],
    [{ prefix: ['type', 1] }],
    [{ exists: 7 }],
    [{ range: ['data.total', {}] }],
    [{ range: ['data.total', { gt: '1' }] }],
    [{ range: ['data.total', { above: 1 }] }],
    [{ and: [] }],
    [{ or: [{ exists: 'a' }, 'b'] }],
    [{ not: [] }],
    [{ matches: ['type', '(a+)+$'] }],
    [JSON.parse('{"__proto__": {"exists": "type"}}')],
    [JSON.parse('{"exists": "type", "__proto__": {}}')],
  ])('%j is refused when it is put', (filter) => {
    expect(ok(filter)).toBe(false)
  })
})

describe('the cost of a filter', () => {
  const leaf = (n: number): Filter => ({ eq: [`data.f${n}`, n] })
  const leaves = (n: number) => Array.from({ length: n }, (_, i) => leaf(i))

  it('is its number of parts, and of values it compares with', () => {
    expect(costOf(leaf(1))).toBe(1)
    expect(costOf({ not: leaf(1) })).toBe(2)
    expect(costOf({ and: leaves(3) })).toBe(4)
    expect(costOf({ in: ['type', ['a', 'b', 'c']] })).toBe(3)
  })

  it('is bounded, exactly (A87)', () => {
    const wide = (n: number): Filter => ({ and: [{ or: leaves(31) }, { or: leaves(n) }] })
    const atLimit = wide(limits.filterCost - 34)
    expect(costOf(atLimit)).toBe(limits.filterCost)
    expect(ok(atLimit)).toBe(true)
    expect(ok(wide(limits.filterCost - 33))).toBe(false)
    expect(ok({ in: ['type', Array.from({ length: limits.filterCost + 1 }, String)] })).toBe(false)
  })

  it('bounds its depth too: as deep as a request may be, it is still refused and nothing overflows', () => {
    let deep: Filter = leaf(1)
    for (let i = 0; i < limits.filterCost; i++) deep = { not: deep }
    expect(ok(deep)).toBe(false)
    expect('not' in deep && ok(deep.not)).toBe(true)
  })

  it('a part that claims to be three kinds at once does not multiply the work', () => {
    let many: unknown = { exists: 'a' }
    for (let i = 0; i < 20; i++) many = { and: [many], or: [{ exists: 'a' }], not: { exists: 'a' } }
    expect(ok(many)).toBe(false)
  })
})

describe('a path', () => {
  const everywhere = (path: string) =>
    [
      { exists: path },
      { eq: [path, 1] },
      { in: [path, [1]] },
      { prefix: [path, ''] },
      { range: [path, { lt: 1e9 }] },
    ] as Filter[]

  it.each([
    '__proto__',
    'constructor',
    'data.__proto__',
    'data.constructor.name',
    'toString',
    'data.items.map',
    'type.length',
  ])('%s leads nowhere: only what the message itself has is there', (path) => {
    for (const filter of everywhere(path)) expect(passes(filter, message)).toBe(false)
  })

  it('does not see what somebody put on the prototype of all objects', () => {
    const all = Object.prototype as Record<string, unknown>
    all.planted = 1
    try {
      expect(passes({ exists: 'planted' }, message)).toBe(false)
      expect(passes({ exists: 'data.planted' }, message)).toBe(false)
    } finally {
      delete all.planted
    }
  })

  it('finds an own member of an odd name, as JSON may have it', () => {
    const odd = JSON.parse('{"data": {"__proto__": {"x": 1}, "": 7}}') as Record<string, unknown>
    expect(passes({ eq: ['data.__proto__.x', 1] }, odd)).toBe(true)
    expect(passes({ eq: ['data.', 7] }, odd)).toBe(true)
  })
})

describe('a filter on any message', () => {
  const path = fc.oneof(
    fc.constantFrom('type', 'data', 'data.a', 'data.a.b', 'data.0', '__proto__', '.', 'a..b'),
    fc.string({ minLength: 1 }),
  )
  const scalar = fc.oneof(
    fc.string(),
    fc.double({ noNaN: true, noDefaultInfinity: true }),
    fc.boolean(),
    fc.constant(null),
  )
  const { filter } = fc.letrec<{ filter: Filter }>((tie) => ({
    filter: fc.oneof(
      { maxDepth: 4 },
      fc.tuple(path, scalar).map((eq): Filter => ({ eq })),
      fc.tuple(path, fc.array(scalar, { minLength: 1, maxLength: 3 })).map((one): Filter => ({ in: one })),
      fc.tuple(path, fc.string()).map((prefix): Filter => ({ prefix })),
      path.map((exists): Filter => ({ exists })),
      fc.tuple(path, fc.record({ gt: fc.integer(), lte: fc.integer() })).map((range): Filter => ({ range })),
      fc.array(tie('filter'), { minLength: 1, maxLength: 3 }).map((and): Filter => ({ and })),
      fc.array(tie('filter'), { minLength: 1, maxLength: 3 }).map((or): Filter => ({ or })),
      tie('filter').map((not): Filter => ({ not })),
    ),
  }))
  const anyMessage = fc.record({ type: fc.string(), data: fc.jsonValue() })

  it('never throws, says yes or no, and says the same again', () => {
    fc.assert(
      fc.property(filter, anyMessage, (one, on) => {
        expect(typeof passes(one, on)).toBe('boolean')
        expect(passes(one, on)).toBe(passes(one, on))
      }),
    )
  })

  it('`not`, `and` and `or` are what logic says', () => {
    fc.assert(
      fc.property(filter, filter, anyMessage, (a, b, on) => {
        expect(passes({ not: a }, on)).toBe(!passes(a, on))
        expect(passes({ and: [a, b] }, on)).toBe(passes(a, on) && passes(b, on))
        expect(passes({ not: { or: [a, b] } }, on)).toBe(passes({ and: [{ not: a }, { not: b }] }, on))
      }),
    )
  })

  it('survives being stored', () => {
    fc.assert(
      fc.property(filter, anyMessage, (one, on) => {
        expect(passes(JSON.parse(JSON.stringify(one)) as Filter, on)).toBe(passes(one, on))
      }),
    )
  })
})
