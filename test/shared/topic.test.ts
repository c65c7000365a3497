/** Topics and patterns: the table of NATS, the same rule said in another way, and the broker's own prefix. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { limits } from '../../shared/limits.ts'
import { isReserved, moreSpecific, topicMatches, topicName, topicPattern } from '../../shared/topic.ts'

const token = fc.constantFrom('a', 'b', 'ab', 'A', '1', '-', '_', 'switchboard')
const topic = fc.array(token, { minLength: 1, maxLength: 5 }).map((parts) => parts.join('.'))
const pattern = fc
  .tuple(fc.array(fc.oneof(token, fc.constant('*')), { maxLength: 5 }), fc.boolean())
  .map(([parts, rest]) => [...parts, ...(rest || parts.length === 0 ? ['>'] : [])].join('.'))

/** The rule of NATS, said once more as a regular expression. */
function matchesByNats(of: string, name: string): boolean {
  const source = of
    .split('.')
    .map((part) => (part === '*' ? '[^.]+' : part === '>' ? '.+' : part))
    .join('\\.')
  return new RegExp(`^${source}$`).test(name)
}

describe('a pattern matches as a NATS subject does (A85)', () => {
  const table: readonly (readonly [string, string, boolean])[] = [
    ['orders', 'orders', true],
    ['orders', 'orders.eu', false],
    ['orders.eu', 'orders', false],
    ['orders.eu', 'orders.us', false],
    ['Orders', 'orders', false],
    ['orders.*', 'orders.eu', true],
    ['orders.*', 'orders', false],
    ['orders.*', 'orders.eu.new', false],
    ['orders.*.new', 'orders.eu.new', true],
    ['*.eu', 'orders.eu', true],
    ['*', 'orders', true],
    ['*', 'orders.eu', false],
    ['*.*', 'orders.eu', true],
    ['orders.>', 'orders.eu', true],
    ['orders.>', 'orders.eu.new', true],
    ['orders.>', 'orders', false],
    ['orders.*.>', 'orders.eu', false],
    ['orders.*.>', 'orders.eu.new.big', true],
    ['>', 'orders', true],
    ['>', 'orders.eu.new', true],
    ['*.>', 'orders', false],
    ['*.>', 'orders.eu', true],
  ]
  it.each(table)('%s and %s: %s', (of, name, expected) => {
    expect(topicMatches(of, name)).toBe(expected)
  })

  it('and so does every other pattern, on topics that are not the broker’s', () => {
    fc.assert(
      fc.property(pattern, topic, (of, name) => {
        fc.pre(!isReserved(name))
        expect(topicMatches(of, name)).toBe(matchesByNats(of, name))
      }),
    )
  })

  it('a topic is a pattern that matches itself, and no other topic', () => {
    fc.assert(fc.property(topic, topic, (a, b) => topicMatches(a, b) === (a === b)))
  })
})

describe('the broker’s own topics', () => {
  it('are matched only by patterns that name the prefix', () => {
    for (const of of ['>', '*.>', '*.agent.ada', '*.*.*']) expect(topicMatches(of, 'switchboard.agent.ada')).toBe(false)
    for (const of of ['switchboard.>', 'switchboard.*.ada', 'switchboard.agent.ada'])
      expect(topicMatches(of, 'switchboard.agent.ada')).toBe(true)
  })

  it('are those under the prefix, not those that only begin like it', () => {
    expect(['switchboard', 'switchboard.x', 'switchboard.>', 'switchboard.*'].map(isReserved)).toEqual(
      Array(4).fill(true),
    )
    expect(['switchboards', 'switchboards.x', 'x.switchboard', 'Switchboard.x', '*.x', '>'].map(isReserved)).toEqual(
      Array(6).fill(false),
    )
    expect(topicMatches('>', 'switchboards.x')).toBe(true)
  })

  it('whatever the pattern: without the prefix nothing of theirs is heard', () => {
    fc.assert(
      fc.property(pattern, topic, (of, name) => {
        if (isReserved(name) && !isReserved(of)) expect(topicMatches(of, name)).toBe(false)
      }),
    )
  })
})

describe('names', () => {
  it('a topic has no wildcards, no empty tokens and nothing but letters, digits, _ and -', () => {
    for (const good of ['a', 'a.b', 'A-1_z.9', 'a'.repeat(limits.topicLength)])
      expect(topicName.safeParse(good).success, good).toBe(true)
    const bad = ['', '.', 'a.', '.a', 'a..b', 'a.*', '*', '>', 'a.>', 'a b', 'ä', 'a/b', 'a*', 'a\n', 'a\0']
    for (const no of [...bad, 'a'.repeat(limits.topicLength + 1)])
      expect(topicName.safeParse(no).success, no).toBe(false)
  })

  it('a pattern has whole-token wildcards, and `>` only at the end', () => {
    for (const good of ['a', '*', '>', 'a.*', 'a.>', '*.b.*', '*.>'])
      expect(topicPattern.safeParse(good).success).toBe(true)
    for (const no of ['', '>.a', 'a.>.b', 'a*', 'a.b*', '**', 'a.>>', '.>', 'a..>', 'a.*.'])
      expect(topicPattern.safeParse(no).success, no).toBe(false)
  })

  it('every topic is a pattern', () => {
    fc.assert(fc.property(topic, (name) => topicPattern.safeParse(name).success))
  })
})

describe('the more specific of two patterns', () => {
  it('is the literal before `*`, `*` before `>`, from the left', () => {
    const inOrder = ['a.b.c', 'a.b.*', 'a.b.>', 'a.*.c', 'a.*.*', 'a.*.>', 'a.>', '*.b.c', '*.*.*', '*.>', '>']
    for (const seed of [1, 2, 3]) {
      const mixed = [...inOrder].sort((a, b) => ((a.length * seed) % 7) - ((b.length * seed) % 7))
      expect(mixed.sort(moreSpecific)).toEqual(inOrder)
    }
  })

  it('is the same one whichever way round they are asked, and equal ones only draw with themselves', () => {
    fc.assert(
      fc.property(pattern, pattern, topic, (a, b, name) => {
        expect(Math.sign(moreSpecific(a, b))).toBe(-Math.sign(moreSpecific(b, a)) + 0)
        if (topicMatches(a, name) && topicMatches(b, name) && moreSpecific(a, b) === 0) expect(a).toBe(b)
      }),
    )
  })

  it('orders any three', () => {
    fc.assert(
      fc.property(pattern, pattern, pattern, (a, b, c) => {
        if (moreSpecific(a, b) <= 0 && moreSpecific(b, c) <= 0) expect(moreSpecific(a, c)).toBeLessThanOrEqual(0)
      }),
    )
  })
})
