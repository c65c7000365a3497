/** What a receiver's answer comes to: the table of statuses, Retry-After, and how a body is split into result and effects. */
import fc from 'fast-check'
import { describe, expect, it, vi } from 'vitest'
import { limits } from '../../shared/limits.ts'
import {
  type Answer,
  outcomeOfAnswer,
  outcomeSchema,
  parseEffects,
  retryAfterMs,
  splitAnswer,
} from '../../shared/outcome.ts'
import { anyText } from './arbitraries.ts'

const now = Date.parse('2026-11-20T12:00:00.000Z')
const answer = (status: number, more: Partial<Answer> = {}): Answer => ({
  status,
  retryAfter: null,
  body: '',
  truncated: false,
  ...more,
})
const outcome = (status: number, more?: Partial<Answer>, ack: 'response' | 'later' = 'response') =>
  outcomeOfAnswer(answer(status, more), ack, now)

describe('statuses', () => {
  it.each([200, 201, 202, 203, 204, 205, 206, 226, 299])('%d is done (because any 2xx is the ack)', (status) => {
    expect(outcome(status)).toEqual({ kind: 'ok', httpStatus: status })
  })

  it.each([400, 409, 413, 415, 422])('%d ends the message at once (the agent is fine) (A71)', (status) => {
    expect(outcome(status)).toMatchObject({ kind: 'fail', error: { code: 'http', httpStatus: status } })
    expect(outcome(status, { retryAfter: '5' })).toMatchObject({ kind: 'fail' })
  })

  it.each([401, 403, 404, 405, 406, 408, 421, 425, 500, 501, 502, 503, 504, 507, 599])(
    '%d is tried again',
    (status) => {
      expect(outcome(status)).toEqual({
        kind: 'retry',
        error: { code: 'http', message: `answered ${status}`, httpStatus: status },
      })
    },
  )

  it.each([300, 301, 302, 303, 304, 307, 308])(
    '%d is a failure (because redirects are not followed) (TB17)',
    (status) => {
      expect(outcome(status)).toMatchObject({ kind: 'retry', error: { message: expect.stringContaining('redirects') } })
    },
  )

  it('410 means the agent is gone', () => {
    expect(outcome(410)).toMatchObject({ kind: 'gone', error: { httpStatus: 410 } })
  })

  it('429 holds the agent for as long as it asks, for 5 s when it does not say', () => {
    expect(outcome(429, { retryAfter: '7' })).toMatchObject({ kind: 'hold', holdMs: 7_000 })
    expect(outcome(429)).toMatchObject({ kind: 'hold', holdMs: 5_000 })
    expect(outcome(429, { retryAfter: 'soon' })).toMatchObject({ kind: 'hold', holdMs: 5_000 })
  })

  it.each([502, 503, 504])('%d with Retry-After holds the agent; without, it is an ordinary failure', (status) => {
    expect(outcome(status, { retryAfter: '7' })).toMatchObject({ kind: 'hold', holdMs: 7_000 })
    expect(outcome(status, { retryAfter: 'soon' })).toMatchObject({ kind: 'retry' })
  })

  it.each(['0', '0.001', 'Fri, 20 Nov 2026 11:00:00 GMT'])(
    'a hold lasts a second at least when Retry-After is %s (because a hold burns no attempt, so none would end: M4)',
    (retryAfter) => {
      for (const status of [429, 502, 503, 504])
        expect(outcome(status, { retryAfter })).toMatchObject({ kind: 'hold', holdMs: 1_000 })
    },
  )

  it('500 with Retry-After is tried again no sooner', () => {
    expect(outcome(500, { retryAfter: '7' })).toMatchObject({ kind: 'retry', retryAfterMs: 7_000 })
    expect(outcome(500)).not.toHaveProperty('retryAfterMs')
  })

  it('every status comes to an outcome that can be journaled, with evidence unless it is done', () => {
    fc.assert(
      fc.property(fc.integer({ min: 100, max: 599 }), anyText(), fc.option(anyText()), (status, body, retryAfter) => {
        const came = outcome(status, { body, retryAfter })
        expect(outcomeSchema.safeParse(came).success).toBe(true)
        if (came.kind !== 'ok') expect(came).toMatchObject({ error: { httpStatus: status } })
      }),
    )
  })

  it('keeps the beginning of a failed answer as evidence', () => {
    expect(outcome(500, { body: 'stack trace' })).toMatchObject({ error: { body: 'stack trace' } })
    expect(outcome(500, { body: 'x'.repeat(100_000) })).toMatchObject({
      error: { body: 'x'.repeat(limits.errorBodyBytes) },
    })
  })
})

describe('202', () => {
  it('under ack: later means that the receiver has it; its body is not the result', () => {
    expect(outcome(202, { body: '{"status":"accepted"}' }, 'later')).toEqual({ kind: 'later', httpStatus: 202 })
  })

  it('under ack: response is the ack like any 2xx', () => {
    expect(outcome(202, { body: '1' })).toEqual({ kind: 'ok', httpStatus: 202, result: 1 })
  })

  it('another 2xx under ack: later is the ack (because the receiver did not say later)', () => {
    expect(outcome(200, {}, 'later')).toEqual({ kind: 'ok', httpStatus: 200 })
  })
})

describe('retryAfterMs', () => {
  it.each([
    ['0', 0],
    ['120', 120_000],
    [' 120 ', 120_000],
    ['1.5', 1_500],
    ['0.0001', 1],
    ['Fri, 20 Nov 2026 12:00:30 GMT', 30_000],
    ['Friday, 20-Nov-26 12:00:30 GMT', 30_000],
    ['Fri Nov 20 12:00:30 2026', 30_000],
    ['Fri, 20 Nov 2026 11:00:00 GMT', 0],
    ['99999999999', limits.delaySeconds * 1_000],
    ['Fri, 20 Nov 2099 12:00:30 GMT', limits.delaySeconds * 1_000],
  ])('%j is %d ms', (value, ms) => {
    expect(retryAfterMs(value, now)).toBe(ms)
  })

  it.each([
    null,
    '',
    ' ',
    'soon',
    'soon 3',
    'in 5 minutes',
    'March 7',
    '-5',
    '1e3',
    '0x10',
    '5s',
    'NaN',
    'Infinity',
    '2026-11-20T12:00:30Z',
    'Fri, 99 Nov 2026 12:00:30 GMT',
  ])('%j is as good as absent', (value) => {
    expect(retryAfterMs(value, now)).toBeUndefined()
  })

  it('does not depend on where the machine stands (asctime’s form names no zone, and means GMT)', () => {
    vi.stubEnv('TZ', 'America/New_York')
    expect(new Date(now).getTimezoneOffset()).toBe(300)
    expect(retryAfterMs('Fri Nov 20 12:00:30 2026', now)).toBe(30_000)
    vi.unstubAllEnvs()
  })

  it('is absent or whole milliseconds within a year, whatever is sent', () => {
    const numberLike = fc.double().map(String)
    fc.assert(
      fc.property(fc.oneof(anyText(), numberLike), (value) => {
        const ms = retryAfterMs(value, now) ?? 0
        expect(Number.isInteger(ms) && ms >= 0 && ms <= limits.delaySeconds * 1_000).toBe(true)
      }),
    )
  })
})

describe('the body of an ack', () => {
  it.each([
    ['', {}],
    ['  \n', {}],
    ['OK', {}],
    ['<html></html>', {}],
    ['{"broken', {}],
    ['{"pages":3}', { result: { pages: 3 } }],
    ['[1,2]', { result: [1, 2] }],
    ['"done"', { result: 'done' }],
    ['null', { result: null }],
    ['0', { result: 0 }],
    ['{}', { result: {} }],
    ['{"reply":{"data":1}}', { effects: { reply: { data: 1 } } }],
    ['{"messages":[],"result":7}', { effects: { messages: [] }, result: 7 }],
    ['{"reply":{"data":1},"result":null}', { effects: { reply: { data: 1 } }, result: null }],
    ['{"result":7}', { result: { result: 7 } }],
    ['[{"reply":1}]', { result: [{ reply: 1 }] }],
    ['{"reply":{"data":1},"oops":2}', { effects: { reply: { data: 1 }, oops: 2 } }],
  ])('%j is %j', (body, parts) => {
    expect(outcome(200, { body })).toEqual({ kind: 'ok', httpStatus: 200, ...parts })
  })

  it('that is too large leaves the work done, and is told as a refused effect', () => {
    const came = outcome(200, { body: '{"reply":', truncated: true })
    expect(came).toMatchObject({ kind: 'ok', effects: { refused: expect.stringContaining('bytes') } })
    expect(came.kind === 'ok' && parseEffects(came.effects)).toEqual({
      ok: false,
      reason: expect.stringMatching(/^the answer has more than \d+ bytes$/),
    })
  })

  it('that is too deep leaves the work done, and is told as a refused effect', () => {
    const nested = (depth: number) => `${'['.repeat(depth)}${']'.repeat(depth)}`
    expect(outcome(200, { body: nested(limits.jsonDepth) })).toHaveProperty('result')
    const came = outcome(200, { body: nested(limits.jsonDepth + 1) })
    expect(came.kind === 'ok' && parseEffects(came.effects)).toEqual({
      ok: false,
      reason: `the answer is nested deeper than ${limits.jsonDepth}`,
    })
  })

  it('loses nothing between result and effects', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        const parts = splitAnswer(value)
        if (!('effects' in parts)) expect(parts.result).toEqual(value)
        else expect({ ...(parts.effects as object), ...('result' in parts && { result: parts.result }) }).toEqual(value)
      }),
    )
  })
})

describe('parseEffects', () => {
  it('takes what effects may be, and nothing for none', () => {
    expect(parseEffects(undefined)).toEqual({ ok: true, value: {} })
    expect(parseEffects({ reply: { data: 1 } })).toEqual({ ok: true, value: { reply: { data: 1 } } })
  })

  it.each([
    [{ reply: 'x' }, /^reply: /],
    [{ messages: {} }, /^messages: /],
    [{ oops: 1 }, /^\(effects\): .*oops/],
    [7, /^\(effects\): /],
    [null, /^\(effects\): /],
  ])('%j is refused with a reason', (raw, reason) => {
    expect(parseEffects(raw)).toEqual({ ok: false, reason: expect.stringMatching(reason) })
  })

  it('is bounded in bytes, not in characters', () => {
    const frame = JSON.stringify({ reply: { data: '' } }).length
    const filled = (character: string, bytes: number) => ({
      reply: { data: character.repeat((bytes - frame) / Buffer.byteLength(character)) },
    })
    expect(parseEffects(filled('x', limits.effectsBytes)).ok).toBe(true)
    expect(parseEffects(filled('x', limits.effectsBytes + 1))).toMatchObject({ ok: false })
    expect(parseEffects(filled('€', limits.effectsBytes + 3))).toMatchObject({ ok: false })
  })
})
