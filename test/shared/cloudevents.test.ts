/** The wire forms, in and out, against the official SDK as the peer. Never here: what a valid message is (message.test.ts). */
import { CloudEvent, HTTP } from 'cloudevents'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { encodeHeader, readMessages, structured } from '../../shared/cloudevents.ts'
import type { Fault } from '../../shared/fault.ts'
import { limits } from '../../shared/limits.ts'
import { composeMessage, type Message, publishInput } from '../../shared/message.ts'
import { anyText, anyUnits } from './arbitraries.ts'

const utf8 = new TextEncoder()

function read(contentType: string | null, body: string | Uint8Array, headers: Record<string, string> = {}) {
  const held = new Headers(headers)
  return readMessages({
    contentType,
    header: (name) => held.get(name),
    headerNames: [...held.keys()],
    body: typeof body === 'string' ? utf8.encode(body) : body,
  })
}

function inputsOf(...request: Parameters<typeof read>): readonly unknown[] {
  const answer = read(...request)
  if (!answer.ok) throw new Error(JSON.stringify(answer.error))
  return answer.value.inputs
}

function faultOf(...request: Parameters<typeof read>): Fault {
  const answer = read(...request)
  if (answer.ok) throw new Error(`read as ${JSON.stringify(answer.value)}`)
  return answer.error
}

const event = { specversion: '1.0', id: '1', source: 'writer', type: 'greeting' }
const ceHeaders = { 'ce-specversion': '1.0', 'ce-id': '1', 'ce-source': 'writer', 'ce-type': 'greeting' }
const nested = (depth: number) => '['.repeat(depth) + ']'.repeat(depth)

describe('plain JSON', () => {
  it.each(['application/json', 'application/json; charset=utf-8', 'Application/JSON', null, ''])(
    'an object with Content-Type %s is one message, untouched',
    (contentType) => {
      const message = { to: 'writer', type: 'x', chain: ['a', 'b'], priority: 3, subject: null, data: { n: 1 } }
      expect(read(contentType, JSON.stringify(message))).toEqual({
        ok: true,
        value: { inputs: [message], batch: false },
      })
    },
  )

  it('an array is a batch, so that the route can refuse or take it', () => {
    expect(read('application/json', '[{"a":1},2,null]')).toEqual({
      ok: true,
      value: { inputs: [{ a: 1 }, 2, null], batch: true },
    })
    expect(read('application/json', '[]')).toEqual({ ok: true, value: { inputs: [], batch: true } })
  })

  it.each(['null', '"text"', '7', 'true'])('%s is handed on, and publishInput refuses it', (body) => {
    const [input] = inputsOf('application/json', body)
    expect(publishInput.safeParse(input).success).toBe(false)
  })

  it('a byte order mark in front is skipped', () => {
    expect(inputsOf('application/json', '\ufeff{"a":1}')).toEqual([{ a: 1 }])
  })
})

describe('structured mode', () => {
  it.each([
    'application/cloudevents+json',
    'application/cloudevents+json; charset=UTF-8',
    'APPLICATION/CloudEvents+JSON',
  ])('with Content-Type %s the body is the event, whatever the headers say', (contentType) => {
    const sent = { ...event, to: 'writer', data: { text: 'hi' } }
    expect(read(contentType, JSON.stringify(sent), { 'ce-id': 'other', 'ce-specversion': '0.3' })).toEqual({
      ok: true,
      value: { inputs: [sent], batch: false },
    })
  })

  it('chain comes as a comma-separated string and leaves as the list that plain JSON has', () => {
    const [input] = inputsOf('application/cloudevents+json', JSON.stringify({ ...event, to: 'a', chain: 'b, c,d' }))
    expect(input).toMatchObject({ chain: ['b', 'c', 'd'] })
    expect(publishInput.safeParse(input).success).toBe(true)
  })

  it('an empty place in chain is refused by publishInput, not dropped', () => {
    const [input] = inputsOf('application/cloudevents+json', JSON.stringify({ ...event, to: 'a', chain: 'b,,c' }))
    expect(publishInput.safeParse(input).success).toBe(false)
  })

  it('priority may come as its canonical string', () => {
    const body = (priority: unknown) => JSON.stringify({ ...event, priority })
    expect(inputsOf('application/cloudevents+json', body('9'))).toMatchObject([{ priority: 9 }])
    expect(inputsOf('application/cloudevents+json', body(9))).toMatchObject([{ priority: 9 }])
    expect(inputsOf('application/cloudevents+json', body('high'))).toMatchObject([{ priority: 'high' }])
  })

  it('an attribute that is null is unset; data that is null is null', () => {
    const sent = { ...event, subject: null, time: null, data: null }
    expect(inputsOf('application/cloudevents+json', JSON.stringify(sent))).toEqual([{ ...event, data: null }])
  })

  it('data_base64 stays as it is', () => {
    const sent = { ...event, data_base64: 'AAEC' }
    expect(inputsOf('application/cloudevents+json', JSON.stringify(sent))).toEqual([sent])
  })

  it.each(['0.3', '1.0.2', '2.0', 1, null, undefined])(
    'specversion %s is refused (only 1.0 is spoken)',
    (specversion) => {
      expect(faultOf('application/cloudevents+json', JSON.stringify({ ...event, specversion }))).toMatchObject({
        code: 'invalid_request',
        issues: [{ path: 'specversion' }],
      })
    },
  )

  it.each(['[]', '"x"', 'null', '3'])('%s is refused (because it is not one event)', (body) => {
    expect(faultOf('application/cloudevents+json', body)).toMatchObject({ code: 'invalid_request' })
  })
})

describe('batch mode', () => {
  const batch = (body: unknown) => read('application/cloudevents-batch+json; charset=utf-8', JSON.stringify(body))

  it('gives each event by itself', () => {
    const sent = [
      { ...event, chain: 'a,b' },
      { ...event, id: '2', subject: null },
    ]
    expect(batch(sent)).toEqual({
      ok: true,
      value: {
        inputs: [
          { ...event, chain: ['a', 'b'] },
          { ...event, id: '2' },
        ],
        batch: true,
      },
    })
    expect(batch([])).toEqual({ ok: true, value: { inputs: [], batch: true } })
  })

  it('an item of another version, of none, or no event at all is refused alone and does NOT spoil the batch', () => {
    const { specversion: _gone, ...without } = event
    const items = [event, { ...event, specversion: '0.3' }, without, { ...event, specversion: null }, 'x', null]
    const answer = batch(items.map((item) => (typeof item === 'object' && item !== null ? { ...item, to: 'a' } : item)))
    const inputs = answer.ok ? answer.value.inputs : []
    expect(inputs.map((input) => publishInput.safeParse(input).success)).toEqual([
      true,
      false,
      false,
      false,
      false,
      false,
    ])
  })

  it('one object is refused (because a batch is an array)', () => {
    const answer = batch(event)
    expect(answer).toMatchObject({ ok: false, error: { code: 'invalid_request' } })
  })
})

describe('binary mode', () => {
  it('attributes come from ce- headers, the type of the data from Content-Type, the data from the body', () => {
    expect(
      inputsOf('application/json; charset=utf-8', '{"n":1}', {
        ...ceHeaders,
        'ce-to': 'writer',
        'ce-priority': '7',
        'ce-maxattempts': '2',
        'ce-timeoutseconds': '10',
        'ce-chain': 'a,b',
      }),
    ).toEqual([
      {
        ...event,
        to: 'writer',
        priority: 7,
        maxattempts: 2,
        timeoutseconds: 10,
        chain: ['a', 'b'],
        datacontenttype: 'application/json; charset=utf-8',
        data: { n: 1 },
      },
    ])
  })

  it('header names may come in any case', () => {
    const upper: Record<string, string> = { 'CE-SpecVersion': '1.0', 'CE-Type': 'greeting' }
    const answer = readMessages({
      contentType: 'text/plain',
      header: (name) => Object.entries(upper).find(([key]) => key.toLowerCase() === name)?.[1] ?? null,
      headerNames: Object.keys(upper),
      body: utf8.encode('hi'),
    })
    expect(answer).toMatchObject({
      ok: true,
      value: { inputs: [{ specversion: '1.0', type: 'greeting', data: 'hi' }] },
    })
  })

  it.each([
    ['application/json', '[1,2]', { data: [1, 2] }],
    ['application/json', '"text"', { data: 'text' }],
    ['application/json', 'null', { data: null }],
    ['application/vnd.acme+json', '{"a":1}', { data: { a: 1 } }],
    ['text/json', '{"a":1}', { data: { a: 1 } }],
    ['text/plain', 'grüß dich', { data: 'grüß dich' }],
    ['text/plain', '\ufeffmarked', { data: '\ufeffmarked' }],
    ['text/plain;charset="UTF-8"', 'x', { data: 'x' }],
    ['text/plain; charset=us-ascii', 'x', { data: 'x' }],
    ['text/csv', 'a,b', { data: 'a,b' }],
    ['application/xml', '<a/>', { data_base64: 'PGEvPg==' }],
    ['application/octet-stream', '\0', { data_base64: 'AA==' }],
    ['application/jsonish', '{}', { data_base64: 'e30=' }],
    ['text/plain; charset=iso-8859-1', 'x', { data_base64: 'eA==' }],
  ])('%s with %j is %j', (contentType, body, data) => {
    expect(inputsOf(contentType, body, ceHeaders)).toEqual([{ ...event, datacontenttype: contentType, ...data }])
  })

  it('text that is not UTF-8 keeps its bytes', () => {
    expect(inputsOf('text/plain', new Uint8Array([0xff, 0x61]), ceHeaders)).toEqual([
      { ...event, datacontenttype: 'text/plain', data_base64: '/2E=' },
    ])
  })

  it('an empty body is no data', () => {
    for (const contentType of ['application/json', 'text/plain', 'application/octet-stream'])
      expect(inputsOf(contentType, '', ceHeaders)).toEqual([{ ...event, datacontenttype: contentType }])
  })

  it('without a Content-Type the body is bytes, and nothing is assumed of them (JSON format 3.1.2)', () => {
    expect(inputsOf(null, '{"xyz": 123}', ceHeaders)).toEqual([{ ...event, data_base64: 'eyJ4eXoiOiAxMjN9' }])
    expect(inputsOf(null, '', ceHeaders)).toEqual([event])
  })

  it('a body larger than the engine’s argument limit is encoded whole', () => {
    const bytes = new Uint8Array(300_001).map((_, i) => i % 251)
    expect(inputsOf('image/png', bytes, ceHeaders)).toMatchObject([
      { data_base64: Buffer.from(bytes).toString('base64') },
    ])
  })

  it.each([
    ['100%25', '100%'],
    ['Euro%20%E2%82%AC%20%F0%9F%98%80', 'Euro € 😀'],
    ['%e2%82%ac', '€'],
    ['%41%42', 'AB'],
    ['%2525', '%25'],
    ['"quoted \\"word\\" and \\\\"', 'quoted "word" and \\'],
    ['"100%25"', '100%'],
    ['say "hi"', 'say "hi"'],
    ['"a" and "b"', '"a" and "b"'],
    ['100%', '100%'],
    ['%zz%2', '%zz%2'],
    ['a+b', 'a+b'],
  ])('the header value %s is %s', (value, text) => {
    expect(inputsOf(null, '', { ...ceHeaders, 'ce-subject': value })).toEqual([{ ...event, subject: text }])
  })

  it.each(['%C0%A0', '%ff', '%E2%82', '%ED%A0%80'])(
    'the header value %s is refused (because it is not UTF-8)',
    (value) => {
      expect(faultOf(null, '', { ...ceHeaders, 'ce-subject': value })).toMatchObject({
        code: 'invalid_request',
        issues: [{ path: 'ce-subject' }],
      })
    },
  )

  it('a header cannot stand in for the data', () => {
    for (const name of ['ce-data', 'ce-data_base64'])
      expect(faultOf('application/json', '{}', { ...ceHeaders, [name]: 'x' })).toMatchObject({
        issues: [{ path: name }],
      })
  })

  it('Content-Type wins over ce-datacontenttype, which the binding forbids', () => {
    expect(inputsOf('text/plain', 'x', { ...ceHeaders, 'ce-datacontenttype': 'image/png' })).toMatchObject([
      { datacontenttype: 'text/plain' },
    ])
  })

  it('a header cannot reach a prototype', () => {
    const [input] = inputsOf(null, '', { ...ceHeaders, 'ce-__proto__': 'x' })
    expect(Object.getPrototypeOf(input)).toBe(Object.prototype)
  })

  it('JSON with ce- headers but no ce-specversion is told so, not taken for plain JSON', () => {
    for (const contentType of ['application/json', null])
      expect(faultOf(contentType, '{"to":"a","type":"x"}', { 'ce-id': '1' })).toMatchObject({
        code: 'invalid_request',
        issues: [{ path: 'specversion' }],
      })
  })

  it('another version is refused', () => {
    expect(faultOf('text/plain', 'x', { ...ceHeaders, 'ce-specversion': '0.3' })).toMatchObject({
      code: 'invalid_request',
      issues: [{ path: 'specversion' }],
    })
  })
})

describe('what is refused whole', () => {
  it.each([
    ['application/cloudevents+avro', {}],
    ['application/cloudevents+xml', ceHeaders],
    ['application/cloudevents', ceHeaders],
    ['application/cloudevents-batch+avro', {}],
    ['application/cloudevents-batch', {}],
    ['text/plain', {}],
    ['text/plain', { 'ce-id': '1' }],
    ['application/x-www-form-urlencoded', {}],
    ['application/vnd.acme+json', {}],
    ['multipart/form-data; boundary=x', {}],
    ['application/json, text/plain', {}],
  ])('%s is 415 (with headers %j)', (contentType, headers) => {
    expect(faultOf(contentType, '{}', headers)).toMatchObject({
      code: 'unsupported_media_type',
      got: contentType.split(';')[0],
      supported: expect.arrayContaining(['application/json', 'application/cloudevents+json']),
    })
  })

  it.each([
    ['{"a": 1,}', /position 8/],
    ['{"a"', /position 4/],
    ['{"secret": hunter2}', /^Unexpected token 'h'$/],
    ['', /empty/],
    ['{', /position 1/],
  ])(
    'the body %j is invalid_json, with the position if it is known and without a quote from the body',
    (body, reason) => {
      for (const contentType of [
        'application/json',
        'application/cloudevents+json',
        'application/cloudevents-batch+json',
      ])
        expect(faultOf(contentType, body)).toEqual({ code: 'invalid_json', reason: expect.stringMatching(reason) })
    },
  )

  it('JSON data of a binary event that is not JSON is invalid_json', () => {
    expect(faultOf('application/json', '{', ceHeaders)).toMatchObject({ code: 'invalid_json' })
  })

  it('JSON that is not UTF-8 is invalid_json (because a replacement would change it without a word)', () => {
    const bytes = new Uint8Array([0x22, 0xff, 0x22])
    for (const contentType of ['application/json', 'application/cloudevents+json', null])
      expect(faultOf(contentType, bytes)).toMatchObject({
        code: 'invalid_json',
        reason: expect.stringContaining('UTF-8'),
      })
    expect(faultOf('application/json', bytes, ceHeaders)).toMatchObject({ code: 'invalid_json' })
  })

  it('deeper than the limit is too_deep, at the same depth in every form', () => {
    const deepest = nested(limits.jsonDepth - 1)
    const deeper = nested(limits.jsonDepth)
    const wrap = (data: string) => `{"specversion":"1.0","to":"a","type":"x","data":${data}}`
    const tooDeep = { code: 'too_deep', limit: limits.jsonDepth }
    for (const contentType of ['application/json', 'application/cloudevents+json']) {
      expect(read(contentType, wrap(deepest)).ok).toBe(true)
      expect(faultOf(contentType, wrap(deeper))).toEqual(tooDeep)
    }
    expect(read('application/json', deepest, ceHeaders).ok).toBe(true)
    expect(faultOf('application/json', deeper, ceHeaders)).toEqual(tooDeep)
  })

  it('an item of a batch that is too deep is handed on, to be refused alone (because one must not spoil the others)', () => {
    const body = `[{"a":1},{"data":${nested(limits.jsonDepth)}}]`
    for (const contentType of ['application/json', 'application/cloudevents-batch+json'])
      expect(inputsOf(contentType, body)).toHaveLength(2)
  })

  it('a nesting of a hundred thousand does not overflow the stack', () => {
    expect(faultOf('application/json', `{"data":${nested(100_000)}}`)).toMatchObject({ code: 'too_deep' })
  })

  it('garbage is answered, never thrown at', () => {
    const contentType = fc.option(
      fc.oneof(
        fc.constantFrom(
          'application/json',
          'application/cloudevents+json',
          'application/cloudevents-batch+json',
          'text/plain',
        ),
        anyText(),
      ),
    )
    const headers = fc.dictionary(fc.constantFrom('ce-specversion', 'ce-id', 'ce-chain', 'ce-data', 'x'), anyUnits)
    fc.assert(
      fc.property(contentType, headers, fc.uint8Array(), (type, given, body) => {
        const held = new Map(Object.entries(given))
        readMessages({ contentType: type, header: (n) => held.get(n) ?? null, headerNames: [...held.keys()], body })
      }),
    )
  })
})

// --- the official SDK -------------------------------------------------------------------------------------------------

// Attribute strings as the specification allows them: no control characters and no noncharacters.
const attributeText = anyText({ minLength: 1, maxLength: 30 }).map((t) => `v${t.replace(/[\p{Cc}\p{NChar}]/gu, '')}`)
const jsonData = fc.jsonValue({ maxDepth: 3 }).filter((value) => value !== null && JSON.stringify(value) !== '-0')
const sdkEvent = fc
  .record({
    id: attributeText,
    source: attributeText,
    type: attributeText,
    subject: attributeText,
    extension: attributeText,
    flag: fc.boolean(),
    count: fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }),
    at: fc.date({ min: new Date('1990-01-01'), max: new Date('2100-01-01'), noInvalidDate: true }),
    data: fc.dictionary(fc.string(), jsonData),
  })
  .map(
    ({ extension, flag, count, at, ...rest }) =>
      // Not strict: the SDK's schema takes only URIs for a source, the specification any URI reference.
      new CloudEvent(
        {
          ...rest,
          myextension: extension,
          myflag: flag,
          mycount: count,
          time: at.toISOString(),
          datacontenttype: 'application/json',
        },
        false,
      ),
  )

const plain = (value: unknown) => JSON.parse(JSON.stringify(value))

describe('events made by the official SDK (A92)', () => {
  it('structured ones arrive as they were', () => {
    fc.assert(
      fc.property(sdkEvent, (made) => {
        const { headers, body } = HTTP.structured(made)
        expect(inputsOf(String(headers['content-type']), String(body))).toEqual([plain(made)])
      }),
    )
  })

  it('a batch of them arrives one by one', () => {
    fc.assert(
      fc.property(fc.array(sdkEvent, { maxLength: 4 }), (made) => {
        expect(inputsOf('application/cloudevents-batch+json', JSON.stringify(made))).toEqual(made.map(plain))
      }),
    )
  })

  it('binary ones arrive as they were, their attributes as strings', () => {
    fc.assert(
      fc.property(sdkEvent, (made) => {
        const { headers, body } = HTTP.binary(made)
        // The SDK leaves the percent-encoding that the binding demands to whoever sets the header.
        const wire = Object.entries(headers).map(([name, value]) => [name.toLowerCase(), encodeHeader(String(value))])
        const { 'content-type': contentType = '', ...rest } = Object.fromEntries(wire)
        const { myflag, mycount, ...strings } = plain(made)
        expect(inputsOf(contentType, String(body), rest)).toEqual([
          { ...strings, myflag: String(myflag), mycount: String(mycount) },
        ])
      }),
    )
  })

  it('binary data arrives byte for byte, in both modes (A4)', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 1 }), (bytes) => {
        const made = new CloudEvent({ ...event, data: bytes, datacontenttype: 'application/octet-stream' })
        const base64 = Buffer.from(bytes).toString('base64')
        const whole = HTTP.structured(made)
        expect(inputsOf('application/cloudevents+json', String(whole.body))).toMatchObject([{ data_base64: base64 }])
        const { headers, body } = HTTP.binary(made)
        const { 'content-type': contentType, ...rest } = headers as Record<string, string>
        expect(inputsOf(contentType ?? null, body as Uint8Array, rest)).toMatchObject([{ data_base64: base64 }])
      }),
    )
  })
})

describe('structured()', () => {
  const stamp = {
    source: 'researcher',
    freshId: 'fresh',
    now: 0,
    traceparent: `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01`,
  }
  const compose = (input: Record<string, unknown>): Message =>
    composeMessage(publishInput.parse({ to: 'writer', type: 'draft.ready', ...input }), stamp)

  it('is the message as it is, but chain is a comma-separated string (because attributes are scalars)', () => {
    const message = compose({ chain: ['editor', 'printer'], priority: 7, data: { text: 'ok' }, mine: true })
    expect(JSON.parse(structured(message))).toEqual({ ...message, chain: 'editor,printer' })
    expect(Object.keys(JSON.parse(structured(message)))).toEqual(Object.keys(message))
    expect(message.chain).toEqual(['editor', 'printer'])
    const unchained = compose({ data: [1] })
    expect(structured(unchained)).toBe(JSON.stringify(unchained))
  })

  it('is what the official SDK reads', () => {
    fc.assert(
      fc.property(attributeText, fc.dictionary(fc.string(), jsonData), (subject, data) => {
        const message = compose({ subject, data, chain: ['editor', 'printer'], workflowid: 'w1', priority: 2 })
        const read = HTTP.toEvent({
          headers: { 'content-type': 'application/cloudevents+json' },
          body: structured(message),
        })
        const [parsed] = Array.isArray(read) ? read : [read]
        expect(plain(parsed)).toEqual(plain({ ...message, chain: 'editor,printer' }))
        expect((parsed as CloudEvent).validate()).toBe(true)
      }),
    )
  })

  it('comes back through readMessages as the same message (A92)', () => {
    fc.assert(
      fc.property(attributeText, fc.jsonValue({ maxDepth: 3 }), (subject, data) => {
        const message = compose({ subject, data, chain: ['editor', 'printer'], priority: 0 })
        const [input] = inputsOf('application/cloudevents+json', structured(message))
        expect(publishInput.parse(input)).toEqual(plain(message))
      }),
    )
  })
})

describe('encodeHeader', () => {
  it.each([
    ["plain-text_1.0~!*'()", "plain-text_1.0~!*'()"],
    ['Euro € 😀', 'Euro%20%E2%82%AC%20%F0%9F%98%80'],
    ['"100%"', '%22100%25%22'],
    ['a\r\nx-evil: 1', 'a%0D%0Ax-evil:%201'],
    ['\u007f\u0080\0', '%7F%C2%80%00'],
    ['\ud800', '%EF%BF%BD'],
    ['', ''],
  ])('%j is %s', (value, encoded) => {
    expect(encodeHeader(value)).toBe(encoded)
  })

  it('gives printable ASCII that reads back as what it was', () => {
    fc.assert(
      fc.property(anyUnits, (value) => {
        const encoded = encodeHeader(value)
        expect(encoded).toMatch(/^[\x21\x23-\x7e]*$/)
        expect(inputsOf(null, '', { ...ceHeaders, 'ce-subject': encoded })).toEqual([
          { ...event, subject: value.toWellFormed() },
        ])
      }),
    )
  })
})
