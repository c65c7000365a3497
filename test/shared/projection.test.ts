/** Projection: what is selected and nothing else, and what does not fit is marked (A40). */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { utf8Length } from '../../shared/json.ts'
import { project, selection } from '../../shared/projection.ts'

const value = {
  topic: 'queues',
  secret: 's',
  report: { title: 'T', body: 'B' },
  findings: [
    { quote: 'a', by: 1 },
    { quote: 'b', by: 2 },
  ],
  'a.b': 1,
}

describe('a projection (A40)', () => {
  const cases: readonly (readonly [readonly string[], unknown])[] = [
    [['topic'], { topic: 'queues' }],
    [['report.title', '/topic'], { topic: 'queues', report: { title: 'T' } }],
    [['/report'], { report: { title: 'T', body: 'B' } }],
    [['report', 'report.title'], { report: { title: 'T', body: 'B' } }],
    [['report.title', 'report'], { report: { title: 'T', body: 'B' } }],
    [['findings.*.quote'], { findings: [{ quote: 'a' }, { quote: 'b' }] }],
    [['findings.1'], { findings: [{ quote: 'b', by: 2 }] }],
    [['/a.b'], { 'a.b': 1 }],
    [['nothing', 'topic.deeper', 'report.none'], {}],
    [['constructor', '__proto__'], {}],
  ]
  it.each(cases)('%j', (select, picked) => {
    expect(project(value, select)).toEqual({ value: picked, truncated: false })
  })

  it('of nothing in particular is the whole', () => {
    expect(project(value, undefined)).toEqual({ value, truncated: false })
  })

  it('marks each part that does not fit, with its size, and keeps those that do', () => {
    const { value: picked, truncated } = project(value, ['topic', 'report', 'findings.*.by'], 12)
    expect(truncated).toBe(true)
    expect(picked).toEqual({ topic: 'queues', report: { $truncated: { bytes: 24 } }, findings: [{ by: 1 }, { by: 2 }] })
  })

  it('never holds more of the value than the cap', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.constantFrom('a', 'b', 'c'), fc.string()), fc.nat(20), (given, maxBytes) => {
        const { value: picked } = project(given, ['a', 'b', 'c'], maxBytes)
        const kept = Object.values(picked as object).filter((part) => typeof part === 'string')
        expect(kept.reduce((sum, part) => sum + utf8Length(JSON.stringify(part)), 0)).toBeLessThanOrEqual(maxBytes)
      }),
    )
  })

  it.each([[['a..b']], [['/a~2']], [[]], [['.a']], [['']]])('%j selects nothing that could be meant', (select) => {
    expect(selection.safeParse(select).success).toBe(false)
  })
})
