/** Fingerprints: the same failure is recognised whatever differs from one time to the next, and no other is. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { fingerprintOf, normalised } from '../../shared/fingerprint.ts'

const of = (message: string, more: { code?: string; httpStatus?: number } = {}) =>
  fingerprintOf({ code: 'handler', message, ...more }, 'content').error

/** What may stand in a message and differ each time. */
const varying = {
  number: fc.oneof(fc.integer().map(String), fc.double({ noNaN: true, noDefaultInfinity: true }).map(String)),
  uuid: fc.uuid(),
  hex: fc.stringMatching(/^[0-9a-f]{16,64}$/),
  address: fc.stringMatching(/^0x[0-9a-f]{1,16}$/),
  delivery: fc.stringMatching(/^[a-z][a-z0-9-]{0,20}_[a-z2-7]{26}$/),
  request: fc.stringMatching(/^req_[0-9][A-Za-z0-9]{11,30}$/),
  time: fc
    .date({ min: new Date(0), max: new Date('2100-01-01'), noInvalidDate: true })
    .chain((at) => fc.constantFrom(at.toISOString(), at.toISOString().slice(0, 19))),
  httpDate: fc
    .date({ min: new Date(0), max: new Date('2100-01-01'), noInvalidDate: true })
    .map((at) => at.toUTCString()),
  quoted: fc.stringMatching(/^[A-Za-z0-9 ./:-]{0,60}$/).chain((s) => fc.constantFrom(`"${s}"`)),
  path: fc
    .array(fc.stringMatching(/^[a-z0-9_-]{1,12}$/), { minLength: 1, maxLength: 5 })
    .map((parts) => `/${parts.join('/')}.ts`),
  url: fc.array(fc.stringMatching(/^[a-z0-9]{1,9}$/), { minLength: 2 }).map((p) => `https://${p.join('/')}?a=1`),
} as const
const kinds = Object.keys(varying) as (keyof typeof varying)[]

const word = fc.stringMatching(/^[a-z]{1,11}$/)
const words = fc.array(word, { minLength: 1, maxLength: 12 })

describe('the same error', () => {
  it.each(kinds)('has the same fingerprint whichever %s it names', (kind) => {
    fc.assert(
      fc.property(words, words, varying[kind], varying[kind], (before, after, one, other) => {
        const told = (what: string) => of(`${before.join(' ')} ${what} ${after.join(' ')}`)
        expect(told(one)).toBe(told(other))
      }),
    )
  })

  it.each([
    ["Cannot read properties of undefined (reading 'title')", "Cannot read properties of undefined (reading 'x')"],
    ['Unexpected token } in JSON at position 17', 'Unexpected token } in JSON at position 4211'],
    ['ENOENT: no such file, open /data/a/1.pdf', 'ENOENT: no such file, open ./b.pdf'],
    ['took 12ms for user42', 'took 1,250.5ms for user7'],
    ['no room for a-0x0-_2aaa2a22a2222a2a2aa2a22222', 'no room for bob_a2aa2a2a2222aaaa2a22aaaaaa'],
    ["the agent can't read `a` of 3", "the agent can't read `b or c` of 14"],
    ['two\n  lines', 'two lines'],
  ])('%s = %s', (one, other) => {
    expect(of(one)).toBe(of(other))
  })
})

describe('another error', () => {
  it('has another fingerprint when its words differ', () => {
    fc.assert(
      fc.property(words, words, (one, other) => {
        fc.pre(one.join(' ') !== other.join(' '))
        expect(of(one.join(' '))).not.toBe(of(other.join(' ')))
      }),
    )
  })

  it('has another fingerprint when its code or HTTP status differs, whatever it says', () => {
    fc.assert(
      fc.property(fc.string(), (message) => {
        const told = [
          of(message),
          of(message, { code: 'nack' }),
          of(message, { code: 'http', httpStatus: 500 }),
          of(message, { code: 'http', httpStatus: 502 }),
        ]
        expect(new Set(told).size).toBe(4)
      }),
    )
  })

  it.each([
    ['Cannot read properties of undefined', 'Cannot read properties of null'],
    ["the agent can't go on because it's full", "the agent can't go on because it's empty"],
    ['x is not a function', 'x is not iterable'],
  ])('%s ≠ %s', (one, other) => {
    expect(of(one)).not.toBe(of(other))
  })
})

describe('a fingerprint', () => {
  it('of error and content differs with either, and from that of the error alone', () => {
    const [a, b] = [
      { code: 'handler', message: 'a' },
      { code: 'handler', message: 'b' },
    ]
    const whole = [fingerprintOf(a, 'x'), fingerprintOf(a, 'y'), fingerprintOf(b, 'x')].map((f) => f.whole)
    expect(new Set([...whole, fingerprintOf(a, 'x').error]).size).toBe(4)
    expect(fingerprintOf(a, 'x').error).toBe(fingerprintOf(a, 'y').error)
  })

  it('has 26 characters, and comes quickly of whatever a stranger writes', () => {
    for (const message of ['', "'".repeat(100_000), '/'.repeat(100_000), 'a/'.repeat(50_000), '"a'.repeat(50_000)]) {
      const before = performance.now()
      expect(of(message)).toMatch(/^[a-z2-7]{26}$/)
      expect(performance.now() - before).toBeLessThan(250)
    }
  })

  it('looks at the beginning of a long message only', () => {
    expect(normalised('word '.repeat(1_000)).length).toBeLessThanOrEqual(400)
    expect(of(`a ${'long '.repeat(500)} b`)).toBe(of(`a ${'long '.repeat(500)} c`))
  })
})
