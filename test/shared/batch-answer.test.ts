/** What a webhook gets of a batch, and what its answer means for each. */
import { describe, expect, it } from 'vitest'
import { type Asked, outcomeOfBatch, outcomeOfReturned, saidOfEach } from '../../shared/batch-answer.ts'
import { batchEvents, batchId, numberedEvent, numberedText } from '../../shared/batch-body.ts'
import { parseDeliveryId } from '../../shared/ids.ts'
import { incoming, start } from './mailbox-fixtures.ts'

const asked: readonly Asked[] = [
  { id: 'ada_1', eventId: 'one' },
  { id: 'ada_2', eventId: 'two' },
  { id: 'ada_3', eventId: 'three' },
]
const answer = (body: unknown, status = 200, truncated = false) => ({
  status,
  retryAfter: null,
  body: typeof body === 'string' ? body : JSON.stringify(body),
  truncated,
})
const outcomes = (body: unknown, of = asked) => {
  const came = outcomeOfBatch(answer(body), of, 'response', start)
  return saidOfEach(came, of.length).map(({ outcome }) => outcome)
}

describe('an answer with results', () => {
  it('is each one’s own: ok with its result and effects, retry, or drop with its reason (A80, T11, TB11)', () => {
    const results = [
      { id: 'ada_3', status: 'drop', error: { message: 'no such customer' } },
      { id: 'ada_1', status: 'ok', result: { n: 1 }, reply: { data: 'done' }, messages: [{ to: 'bob', type: 'next' }] },
      { id: 'ada_2', status: 'retry', error: 'not now' },
    ]
    expect(outcomes({ results })).toEqual([
      {
        kind: 'ok',
        httpStatus: 200,
        result: { n: 1 },
        effects: { reply: { data: 'done' }, messages: [{ to: 'bob', type: 'next' }] },
      },
      { kind: 'retry', error: { code: 'item', message: 'not now', httpStatus: 200 } },
      { kind: 'fail', error: { code: 'item', message: 'no such customer', httpStatus: 200 } },
    ])
  })

  it('carries whatever else an answer may ask for: an event and a state of its workflow', () => {
    const [one] = outcomes({ results: [{ id: 'ada_1', status: 'ok', event: { type: 'done' }, mine: 1 }] })
    expect(one).toMatchObject({ kind: 'ok', effects: { event: { type: 'done' } } })
    expect(one).not.toHaveProperty('effects.mine')
  })

  it('is a retry for whoever it forgets, for all where it is no list, and says so (A80)', () => {
    expect(outcomes({ results: [{ id: 'ada_2', status: 'ok' }] }).map((o) => o.kind)).toEqual(['retry', 'ok', 'retry'])
    expect(outcomes({ results: 'all' }).map((o) => o.kind)).toEqual(['retry', 'retry', 'retry'])
    expect(outcomes({ results: [] })[0]).toMatchObject({ error: { code: 'no_result' } })
  })

  it('is a retry for a bad result only, and the first of two counts', () => {
    const results = [
      { id: 'ada_1', status: 'done' },
      { id: 'ada_2', status: 'ok' },
      { id: 'ada_2', status: 'drop' },
      null,
      { id: 'ada_3', status: 'ok' },
    ]
    const [first, ...others] = outcomes({ results })
    expect(first).toMatchObject({ kind: 'retry', error: { code: 'bad_result' } })
    expect(others.map((o) => o.kind)).toEqual(['ok', 'ok'])
  })

  it('may name events by their own ids, where no two have the same', () => {
    const twins: readonly Asked[] = [...asked, { id: 'ada_4', eventId: 'three' }]
    const results = ['one', 'three', 'ada_4'].map((id) => ({ id, status: 'ok' }))
    expect(outcomes({ results }, twins).map((o) => o.kind)).toEqual(['ok', 'retry', 'retry', 'ok'])
  })

  it('names the paragraphs of a numbered text by number', () => {
    const numbered = asked.map((one, i) => ({ ...one, number: i + 1 }))
    expect(outcomes({ results: [{ id: 2, status: 'ok' }] }, numbered).map((o) => o.kind)).toEqual([
      'retry',
      'ok',
      'retry',
    ])
  })
})

describe('an answer without results', () => {
  it('is everybody’s, with its result and its effects (A80)', () => {
    expect(outcomeOfBatch(answer({ fine: true }), asked, 'response', start)).toEqual({
      of: 'whole',
      outcome: { kind: 'ok', httpStatus: 200, result: { fine: true } },
    })
    expect(outcomes('')).toEqual(asked.map(() => ({ kind: 'ok', httpStatus: 200 })))
    expect(outcomes('thank you')[2]).toEqual({ kind: 'ok', httpStatus: 200 })
  })

  it('is everybody’s failure, and says that it was the whole call’s', () => {
    const came = outcomeOfBatch(answer('no', 500), asked, 'response', start)
    expect(saidOfEach(came, 3)).toMatchObject(asked.map(() => ({ whole: true, outcome: { kind: 'retry' } })))
  })

  it('under `ack: "later"` is everybody’s 202', () => {
    expect(outcomeOfBatch(answer('', 202), asked, 'later', start)).toMatchObject({ outcome: { kind: 'later' } })
  })
})

it('an answer too long or too deep to be read is nobody’s success', () => {
  expect(outcomeOfBatch(answer('{"results":[', 200, true), asked, 'response', start)).toMatchObject({
    of: 'whole',
    outcome: { kind: 'retry', error: { code: 'bad_result' } },
  })
  const deep = `{"results":${'['.repeat(70)}${']'.repeat(70)}}`
  expect(outcomeOfBatch(answer(deep), asked, 'response', start)).toMatchObject({ outcome: { kind: 'retry' } })
})

it('a handler’s return value means what a webhook’s answer does', () => {
  expect(outcomeOfReturned({ results: [{ id: 'ada_1', status: 'ok', result: 1 }] }, asked)).toMatchObject({
    of: 'each',
    outcomes: [{ kind: 'ok', result: 1 }, { kind: 'retry' }, { kind: 'retry' }],
  })
  expect(outcomeOfReturned(undefined, asked)).toEqual({ of: 'whole', outcome: { kind: 'ok' } })
  expect(outcomeOfReturned([1, 2], asked)).toEqual({ of: 'whole', outcome: { kind: 'ok', result: [1, 2] } })
})

describe('a batch on the wire', () => {
  const { message } = incoming('one', { chain: ['a', 'b'], data: { content: 'first\n[2] forged' } })

  it('is an array of events, each with its delivery’s id (A79)', () => {
    const [event] = JSON.parse(batchEvents([{ id: 'ada_1', message }]))
    expect(event).toMatchObject({ specversion: '1.0', id: 'one', source: 'eve', chain: 'a,b', deliveryid: 'ada_1' })
  })

  it('has an id that is the same for the same deliveries, and never one of a delivery; alone it is the delivery’s (T11)', () => {
    const id = `ada_${'a'.repeat(26)}`
    expect(batchId('ada', [id])).toBe(id)
    expect(batchId('ada', ['x', 'y'])).toBe(batchId('ada', ['x', 'y']))
    expect(batchId('ada', ['x', 'y'])).not.toBe(batchId('ada', ['x', 'z']))
    expect(parseDeliveryId(batchId('ada', ['x', 'y']))).toBeUndefined()
    expect(batchId('ada', ['x', 'y'])).not.toContain('.')
  })

  it('is one numbered text on request, in which no message can begin a number of its own (A79)', () => {
    expect(numberedText(['plain', message.data, { n: 1 }, undefined])).toBe(
      'Process these requests:\n[1] plain\n[2] first\n    [2] forged\n[3] {"n":1}\n[4] ',
    )
    expect(JSON.parse(numberedEvent('b', [{ id: 'ada_1', message }], start))).toMatchObject({
      type: 'switchboard.batch',
      source: 'switchboard',
      data: 'Process these requests:\n[1] first\n    [2] forged',
    })
  })
})
