/** Trace context, hop by hop. The cases follow the W3C's own validation suite, told as a table. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { continueTrace } from '../../shared/trace.ts'
import { anyText } from './arbitraries.ts'

const traceId = '4bf92f3577b34da6a3ce929d0e0e4736'
const parentId = '00f067aa0ba902b7'
const valid = `00-${traceId}-${parentId}-01`
const spanId = 'a'.repeat(16)
const freshTraceId = 'b'.repeat(32)
// Tells by length which of the two ids was asked for.
const hex = (bytes: number) => (bytes === 8 ? spanId : 'b'.repeat(bytes * 2))

const continued = (traceparent: string) => continueTrace({ traceparent }, hex).traceparent
const carried = (tracestate: string) => continueTrace({ traceparent: valid, tracestate }, hex).tracestate

describe('traceparent', () => {
  it('keeps the trace and gives this hop a span of its own (A112)', () => {
    expect(continued(valid)).toBe(`00-${traceId}-${spanId}-01`)
  })

  it('begins a sampled trace when there is none', () => {
    expect(continueTrace({}, hex)).toEqual({ traceparent: `00-${freshTraceId}-${spanId}-01` })
    expect(continueTrace({ traceparent: undefined, tracestate: undefined }, hex)).toEqual({
      traceparent: `00-${freshTraceId}-${spanId}-01`,
    })
  })

  it.each([
    ['00', '00'],
    ['01', '01'],
    ['02', '02'],
    ['03', '03'],
    ['ff', '03'],
    ['04', '00'],
    ['09', '01'],
  ])('flags %s go out as %s (sampled and random stay, what is not defined is zero)', (flags, kept) => {
    expect(continued(`00-${traceId}-${parentId}-${flags}`)).toBe(`00-${traceId}-${spanId}-${kept}`)
  })

  it.each([
    `cc-${traceId}-${parentId}-01`,
    `cc-${traceId}-${parentId}-01-what-the-future-will-be-like`,
    `01-${traceId}-${parentId}-01-`,
  ])('reads %s, a later version, as far as version 00 goes, and sends version 00 on', (traceparent) => {
    expect(continued(traceparent)).toBe(`00-${traceId}-${spanId}-01`)
  })

  it.each([
    ['empty', ''],
    ['not a context', 'hello'],
    ['version ff', `ff-${traceId}-${parentId}-01`],
    ['version too long', `000-${traceId}-${parentId}-01`],
    ['version too short', `0-${traceId}-${parentId}-01`],
    ['version not hex', `0.-${traceId}-${parentId}-01`],
    ['version in upper case', `CC-${traceId}-${parentId}-01`],
    ['trace id of zeros', `00-${'0'.repeat(32)}-${parentId}-01`],
    ['trace id too short', `00-${traceId.slice(1)}-${parentId}-01`],
    ['trace id too long', `00-${traceId}0-${parentId}-01`],
    ['trace id in upper case', `00-${traceId.toUpperCase()}-${parentId}-01`],
    ['trace id not hex', `00-.${traceId.slice(1)}-${parentId}-01`],
    ['parent id of zeros', `00-${traceId}-${'0'.repeat(16)}-01`],
    ['parent id too short', `00-${traceId}-${parentId.slice(1)}-01`],
    ['parent id too long', `00-${traceId}-${parentId}0-01`],
    ['parent id in upper case', `00-${traceId}-${'F'.repeat(16)}-01`],
    ['flags too short', `00-${traceId}-${parentId}-1`],
    ['flags too long', `00-${traceId}-${parentId}-001`],
    ['flags not hex', `00-${traceId}-${parentId}-.0`],
    ['no flags', `00-${traceId}-${parentId}`],
    ['version 00 with more behind it', `${valid}-more`],
    ['version 00 with a dash behind it', `${valid}-`],
    ['a later version with more behind no dash', `cc-${traceId}-${parentId}-01.more`],
    ['two headers joined', `${valid}, ${valid}`],
    ['two headers of a later version joined', `cc${valid.slice(2)}, cc${valid.slice(2)}`],
    ['a space before', ` ${valid}`],
    ['a newline after', `${valid}\n`],
  ])('begins a new trace and drops tracestate when it is invalid: %s', (_why, traceparent) => {
    expect(continueTrace({ traceparent, tracestate: 'foo=1' }, hex)).toEqual({
      traceparent: `00-${freshTraceId}-${spanId}-01`,
    })
  })

  it('drops a tracestate without a traceparent', () => {
    expect(continueTrace({ tracestate: 'foo=1' }, hex)).not.toHaveProperty('tracestate')
  })

  it('gives a valid context whatever comes in, and the same trace through any number of hops', () => {
    const shape = /^00-[0-9a-f]{32}-[0-9a-f]{16}-0[0-3]$/
    const span = fc.integer({ min: 1 }).map((n) => n.toString(16).padStart(16, '0'))
    fc.assert(
      fc.property(
        fc.oneof(anyText(), fc.constant(valid)),
        anyText(),
        fc.array(span, { minLength: 1, maxLength: 5 }),
        (traceparent, tracestate, spans) => {
          const first = continueTrace({ traceparent, tracestate }, hex)
          expect(first.traceparent).toMatch(shape)
          let hop = first
          for (const span of spans) {
            hop = continueTrace(hop, () => span)
            expect(hop.traceparent.slice(0, 35)).toBe(first.traceparent.slice(0, 35))
            expect(hop.traceparent.slice(36, 52)).toBe(span)
          }
          expect(hop.tracestate).toBe(first.tracestate)
        },
      ),
    )
  })
})

describe('tracestate', () => {
  const key256 = 'z'.repeat(256)
  const many = (count: number) => Array.from({ length: count }, (_, i) => `k${i}=v`).join(',')
  const keyCharacters = 'abcdefghijklmnopqrstuvwxyz0123456789_-*/'
  const printable = Array.from({ length: 0x7f - 0x20 }, (_, i) => String.fromCharCode(0x20 + i)).join('')
  const valueCharacters = printable.replace(',', '').replace('=', '')

  it.each([
    ['one member', 'foo=1'],
    ['several, in their order', 'zoo=1,bar=2,abc=3'],
    ['a key of level 1 with its system', 'tenant@vendor=1'],
    ['at signs anywhere but in front (level 2)', 'foo@=1,foo@@bar=1,foo@bar@baz=1'],
    ['a key that begins with a digit', '0foo=1'],
    ['the longest key', `${key256}=1`],
    ['the longest value', `foo=${'v'.repeat(256)}`],
    ['every character of a key', `${keyCharacters}=1`],
    ['every character of a value', `foo=${valueCharacters}`],
    ['spaces and tabs around members', ' foo=1 \t , \t bar=2, \t baz=3 '],
    ['a value with spaces in front and inside', 'foo=  a b'],
    ['empty members, left by joined headers', 'foo=1,,bar=2, ,'],
    ['the same key twice', 'foo=1,foo=2'],
    ['32 members', many(32)],
    ['512 characters', `${key256}=1,bar=${'v'.repeat(249)}`],
  ])('passes unchanged: %s', (_why, tracestate) => {
    expect(carried(tracestate)).toBe(tracestate)
  })

  it.each([
    ['empty', ''],
    ['nothing but separators', ' , ,'],
    ['no value', 'foo'],
    ['an empty value', 'foo='],
    ['an empty key', '=1'],
    ['upper case in the key', 'FOO=1'],
    ['a dot in the key', 'foo.bar=1'],
    ['a space in the key', 'foo =1'],
    ['an at sign in front', '@foo=1,bar=2'],
    ['a key of 257', `${key256}z=1`],
    ['a value of 257', `foo=${'v'.repeat(257)}`],
    ['= in the value', 'foo=bar=baz'],
    ['a tab in the value', 'foo=a\tb'],
    ['a newline, which would begin another header', 'foo=1\r\nx-evil: 1'],
    ['letters that are not ASCII', 'foo=é'],
    ['33 members', many(33)],
    ['513 characters', `${key256}=1,bar=${'v'.repeat(250)}`],
  ])('is dropped, and the trace goes on: %s', (_why, tracestate) => {
    expect(continueTrace({ traceparent: valid, tracestate }, hex)).toEqual({
      traceparent: `00-${traceId}-${spanId}-01`,
    })
  })
})
