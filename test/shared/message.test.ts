/** What a message may be, what the broker fills in, and what makes two sends the same message. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { limits } from '../../shared/limits.ts'
import {
  composeMessage,
  contentHash,
  destinationOf,
  headOf,
  messageSchema,
  type PublishInput,
  publishInput,
  type Stamp,
} from '../../shared/message.ts'
import { requestInput } from '../../shared/request.ts'
import { scatterInput } from '../../shared/scatter.ts'

const least = { to: 'writer', type: 'draft' }
const stamp: Stamp = {
  source: 'researcher',
  freshId: 'fresh-1',
  now: Date.parse('2026-11-20T12:00:00.000Z'),
  traceparent: `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01`,
}
const pathsOf = (input: unknown) => publishInput.safeParse(input).error?.issues.map((issue) => issue.path.join('.'))
const accepted = (input: unknown) => expect(pathsOf(input)).toBeUndefined()
const refused = (input: unknown, path: string) => expect(pathsOf(input)).toContain(path)
const parse = (input: Record<string, unknown>): PublishInput => publishInput.parse({ ...least, ...input })

const anyInput = fc
  .record(
    {
      id: fc.stringMatching(/^[a-z0-9-]{1,12}$/),
      subject: fc.stringMatching(/^[a-z ]{1,12}$/),
      data: fc.jsonValue({ maxDepth: 3 }),
      time: fc.constantFrom('2026-01-31T12:00:00Z', '2026-01-31T13:00:00+01:00'),
      correlationid: fc.stringMatching(/^[a-z0-9]{1,12}$/),
      deliverymode: fc.constantFrom('at_least_once', 'at_most_once', 'exactly_once'),
      priority: fc.integer({ min: 0, max: 9 }),
      chain: fc.uniqueArray(fc.constantFrom('a', 'b', 'c'), { minLength: 1 }),
      myextension: fc.oneof(fc.boolean(), fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }), fc.constant('text')),
    },
    { requiredKeys: [] },
  )
  .map(parse)

describe('the recipient', () => {
  it('T1: a message with neither `to` nor `topic` is refused and never becomes a broadcast', () => {
    refused({ type: 'draft' }, 'to')
    refused({ type: 'draft', to: undefined, topic: undefined }, 'to')
    expect(publishInput.safeParse({ type: 'draft' }).error?.issues[0]?.message).toContain('does not mean everybody')
  })

  it('T1: an empty or null recipient is refused, not taken for everybody', () => {
    for (const nobody of ['', null, [], {}, false, 0]) {
      refused({ ...least, to: nobody }, 'to')
      refused({ type: 'draft', topic: nobody }, 'topic')
    }
  })

  it('T1: both `to` and `topic` are refused (because one of them would be overlooked)', () => {
    refused({ ...least, topic: 'news' }, 'to')
  })

  it('T1: only `*` and `capability:` reach many by `to`; any other name is that one agent, known or not', () => {
    expect(destinationOf({ to: 'writer' })).toEqual({ kind: 'agent', agent: 'writer' })
    expect(destinationOf({ to: '*' })).toEqual({ kind: 'all' })
    expect(destinationOf({ to: 'capability:summarise' })).toEqual({ kind: 'capability', skill: 'summarise' })
    expect(destinationOf({ topic: 'news.daily' })).toEqual({ kind: 'topic', topic: 'news.daily' })
    for (const one of ['**', 'wri*', '*.writer', 'capability', 'Capability:x', ' *'])
      expect(destinationOf({ to: one })).toEqual({ kind: 'agent', agent: one })
  })
})

describe('what a publisher may send', () => {
  it.each([
    least,
    { topic: 'news.daily', type: 'x' },
    { ...least, specversion: '1.0', id: '1', source: 'https://a.example/b' },
    { ...least, data: null },
    { ...least, data: false },
    { ...least, data_base64: 'AAEC' },
    { ...least, delivertime: '2026-01-31T12:00:00.123Z', expirytime: '2026-01-31T12:00:00+02:00' },
    { ...least, priority: 0, deliverymode: 'exactly_once', partitionkey: 'k', chain: ['a', 'b'] },
    { ...least, myextension: 'x', flag: true, count: -2147483648, x2: '' },
    { ...least, type: 't'.repeat(limits.typeLength) },
    { ...least, subject: 'grüß dich 😀' },
  ])('%j is taken (A5)', (input) => {
    accepted(input)
  })

  it.each([
    [{ to: 'writer' }, 'type'],
    [{ ...least, type: '' }, 'type'],
    [{ ...least, type: 't'.repeat(limits.typeLength + 1) }, 'type'],
    [{ ...least, specversion: '0.3' }, 'specversion'],
    [{ ...least, id: '' }, 'id'],
    [{ ...least, id: 'i'.repeat(limits.idLength + 1) }, 'id'],
    [{ ...least, id: 7 }, 'id'],
    [{ ...least, time: 'yesterday' }, 'time'],
    [{ ...least, time: '2026-01-31' }, 'time'],
    [{ ...least, time: '2026-01-31T12:00:00' }, 'time'],
    [{ ...least, time: '2026-02-30T12:00:00Z' }, 'time'],
    [{ ...least, delivertime: 1_790_000_000 }, 'delivertime'],
    [{ ...least, expirytime: 'P1D' }, 'expirytime'],
    [{ ...least, priority: 10 }, 'priority'],
    [{ ...least, priority: -1 }, 'priority'],
    [{ ...least, priority: 1.5 }, 'priority'],
    [{ ...least, priority: '5' }, 'priority'],
    [{ ...least, maxattempts: 0 }, 'maxattempts'],
    [{ ...least, timeoutseconds: 0.5 }, 'timeoutseconds'],
    [{ ...least, deliverymode: 'best_effort' }, 'deliverymode'],
    [{ ...least, chain: [] }, 'chain'],
    [{ ...least, chain: 'a,b' }, 'chain'],
    [{ ...least, chain: ['Not an agent'] }, 'chain'],
    [{ type: 'draft', topic: 'news', chain: ['a'] }, 'chain'],
    [{ ...least, to: 'capability:x', chain: ['a'] }, 'to'],
    [{ ...least, chainopen: 'skip' }, 'chainopen'],
    [{ ...least, chain: ['a'], chainopen: 'maybe' }, 'chainopen'],
    [{ ...least, chain: Array.from({ length: limits.hops + 1 }, () => 'a') }, 'chain'],
    [{ ...least, data: 1, data_base64: 'AAEC' }, 'data_base64'],
    [{ ...least, data_base64: 'not base64!' }, 'data_base64'],
    [{ ...least, replyto: '' }, 'replyto'],
  ])('%j is refused, at %s (A5)', (input, path) => {
    refused(input, path)
  })

  it.each(['userId', 'user_id', 'user-id', 'a'.repeat(21), 'ä', ''])(
    'a field named %j is refused (because it is no attribute name), and the reason points to data',
    (name) => {
      const issue = publishInput.safeParse({ ...least, [name]: 'x' }).error?.issues[0]
      expect(issue).toMatchObject({ path: [name], message: expect.stringContaining('`data`') })
    },
  )

  it.each([
    [{ nested: 1 }],
    [[1]],
    [null],
    [1.5],
    [2 ** 31],
    [-(2 ** 31) - 1],
    ['x'.repeat(limits.attributeLength + 1)],
  ])('an attribute of one’s own cannot be %j (because attributes are short scalars)', (value) => {
    refused({ ...least, mine: value }, 'mine')
  })

  it.each([
    [1.5, '32 bits'],
    [2 ** 31, '32 bits'],
    [{ nested: 1 }, '`data`'],
    [null, '`data`'],
    ['x'.repeat(limits.attributeLength + 1), String(limits.attributeLength)],
  ])('what is wrong with %j as an attribute of one’s own is said, and what to do', (value, says) => {
    const [issue] = publishInput.safeParse({ ...least, mine: value }).error?.issues ?? []
    expect(issue?.message).toContain(says)
  })

  it.each(['\n', '\0', '\u007f', '\u0085', '\ud800', '\ufffe'])(
    'an attribute with %j is refused (because a CloudEvents String holds none)',
    (character) => {
      for (const name of ['id', 'source', 'type', 'subject', 'partitionkey', 'mine'])
        refused({ ...least, [name]: `a${character}b` }, name)
      accepted({ ...least, data: { text: `a${character}b` } })
    },
  )

  it('at most so many attributes of one’s own (A118)', () => {
    const own = (count: number) => Object.fromEntries(Array.from({ length: count }, (_, i) => [`x${i}`, 'v']))
    accepted({ ...least, ...own(limits.extensionAttributes) })
    refused({ ...least, ...own(limits.extensionAttributes + 1) }, '')
  })
})

describe('composeMessage', () => {
  it('fills in what was left out, and only that', () => {
    expect(composeMessage(parse({ data: { text: 'hi' } }), stamp)).toEqual({
      to: 'writer',
      type: 'draft',
      data: { text: 'hi' },
      specversion: '1.0',
      id: 'fresh-1',
      source: 'researcher',
      time: '2026-11-20T12:00:00.000Z',
      correlationid: 'fresh-1',
      datacontenttype: 'application/json',
      traceparent: stamp.traceparent,
    })
  })

  it('keeps what the publisher chose', () => {
    const chosen = {
      id: 'mine',
      time: '2026-01-31T12:00:00Z',
      correlationid: 'c',
      datacontenttype: 'text/plain',
      data: 'x',
    }
    expect(composeMessage(parse(chosen), stamp)).toMatchObject(chosen)
  })

  it('a conversation begins with its first message’s own id (A7)', () => {
    expect(composeMessage(parse({ id: 'mine' }), stamp).correlationid).toBe('mine')
  })

  it('stamps the authenticated source over a claimed one (S1)', () => {
    expect(composeMessage(parse({ source: 'somebody-else' }), stamp).source).toBe('researcher')
  })

  it('takes the trace of this hop, and no tracestate that came with another', () => {
    const composed = composeMessage(parse({ traceparent: 'theirs', tracestate: 'foo=1' }), stamp)
    expect(composed.traceparent).toBe(stamp.traceparent)
    expect(composed).not.toHaveProperty('tracestate')
    expect(composeMessage(parse({}), { ...stamp, tracestate: 'foo=1' }).tracestate).toBe('foo=1')
  })

  it('says what kind of data there is only when there is data (null is data)', () => {
    expect(composeMessage(parse({}), stamp)).not.toHaveProperty('datacontenttype')
    expect(composeMessage(parse({ data_base64: 'AA==' }), stamp)).not.toHaveProperty('datacontenttype')
    expect(composeMessage(parse({ data: null }), stamp).datacontenttype).toBe('application/json')
  })

  it('T15: never touches the data, and puts nothing of the broker’s into it', () => {
    fc.assert(
      fc.property(anyInput, (input) => {
        const before = JSON.stringify(input)
        const composed = composeMessage(input, stamp)
        expect(JSON.stringify(input)).toBe(before)
        expect(composed.data).toBe(input.data)
      }),
    )
  })

  it('T15: names no attempt, sequence or hop count anywhere in the message (they belong to the delivery)', () => {
    const names = Object.keys(composeMessage(parse({ data: {} }), stamp))
    expect(names.filter((name) => /attempt|retry|sequence|hops/.test(name))).toEqual([])
    expect(composeMessage(parse({ sequence: '7' }), stamp)['sequence']).toBe('7')
  })

  it('T17: the mode that was asked for is kept, and one that was not asked for is not written in', () => {
    for (const deliverymode of ['at_most_once', 'at_least_once', 'exactly_once'])
      expect(composeMessage(parse({ deliverymode }), stamp).deliverymode).toBe(deliverymode)
    expect(composeMessage(parse({}), stamp)).not.toHaveProperty('deliverymode')
  })

  it('is total: whatever may be published becomes a message that storage can hold and read again (A13, A119)', () => {
    fc.assert(
      fc.property(anyInput, (input) => {
        const stored = JSON.parse(JSON.stringify(composeMessage(input, stamp)))
        expect(messageSchema.parse(stored)).toEqual(stored)
        expect(publishInput.safeParse(stored).success).toBe(true)
      }),
    )
  })
})

describe('headOf', () => {
  it('is the message less its data, however the data came', () => {
    const { data: _data, ...head } = composeMessage(parse({ data: 1 }), stamp)
    expect(headOf(composeMessage(parse({ data: 1 }), stamp))).toEqual(head)
    expect(headOf(composeMessage(parse({ data_base64: 'AA==' }), stamp))).not.toHaveProperty('data_base64')
  })
})

describe('contentHash', () => {
  it('is the same for a re-send: time, trace, id, source and specversion do not count', () => {
    fc.assert(
      fc.property(anyInput, (input) => {
        const again = parse({
          ...input,
          specversion: '1.0',
          id: 'another',
          source: 'another',
          time: '2031-01-01T00:00:00Z',
          traceparent: 'another',
          tracestate: 'foo=1',
        })
        expect(contentHash(again)).toBe(contentHash(input))
      }),
    )
  })

  it('does not depend on the order in which the fields were sent', () => {
    expect(contentHash(publishInput.parse({ type: 'draft', data: { b: 1, a: 2 }, to: 'writer' }))).toBe(
      contentHash(publishInput.parse({ to: 'writer', data: { a: 2, b: 1 }, type: 'draft' })),
    )
  })

  it.each([
    [{ data: 1 }, { data: 2 }],
    [{ data: null }, {}],
    [{ data: 'AA==' }, { data_base64: 'AA==' }],
    [{ to: 'writer' }, { to: 'editor' }],
    [{ type: 'a' }, { type: 'b' }],
    [{ subject: 'a' }, {}],
    [{ priority: 1 }, { priority: 2 }],
    [{ deliverymode: 'exactly_once' }, {}],
    [{ partitionkey: 'a' }, { partitionkey: 'b' }],
    [{ delivertime: '2030-01-01T00:00:00Z' }, {}],
    [{ correlationid: 'a' }, {}],
    [{ replyto: 'a' }, {}],
    [{ mine: 1 }, { mine: '1' }],
    [{ chain: ['a', 'b'] }, { chain: ['b', 'a'] }],
  ])('tells %j from %j (same key, other content is another message)', (a, b) => {
    expect(contentHash(parse(a))).not.toBe(contentHash(parse(b)))
  })
})

describe('the id of a request and of a scatter', () => {
  it('has the bounds of a message’s id: it names one as that does', () => {
    for (const body of [publishInput, requestInput, scatterInput]) {
      const pathsFor = (id: unknown) =>
        body.safeParse({ ...least, id }).error?.issues.map((issue) => issue.path.join('.'))
      for (const id of ['', 'a\nreassigned', 'a\u0000', '\ud800', 'x'.repeat(limits.idLength + 1), 7])
        expect([id, pathsFor(id)]).toEqual([id, ['id']])
      expect(pathsFor('x'.repeat(limits.idLength))).toBeUndefined()
      expect(pathsFor(undefined)).toBeUndefined()
    }
  })
})
