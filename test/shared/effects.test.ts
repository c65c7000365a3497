/** What an attempt asks for: numbered, under the broker's own ids, inheriting the conversation; refused alone and told (E1). */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type EffectsInput, effectSchema, effectsInput, expandEffects } from '../../shared/effects.ts'
import { limits } from '../../shared/limits.ts'
import { composeMessage, headOf, publishInput } from '../../shared/message.ts'

const delivery = 'writer_aaaaaaaaaaaaaaaaaaaaaaaaaa'
const headWith = (attributes: Record<string, unknown> = {}) =>
  headOf(
    composeMessage(publishInput.parse({ to: 'writer', type: 'draft', id: 'm1', correlationid: 'c1', ...attributes }), {
      source: 'researcher',
      freshId: 'unused',
      now: 0,
      traceparent: 'unused',
    }),
  )
const expand = (input: EffectsInput, attributes?: Record<string, unknown>) =>
  expandEffects(delivery, headWith(attributes), input)

describe('what may be asked for', () => {
  it('an unknown effect is refused, not ignored', () => {
    expect(effectsInput.safeParse({ mesages: [] }).success).toBe(false)
    expect(effectsInput.safeParse({ reply: { data: 1, to: 'x' } }).success).toBe(false)
  })

  it('at most so many messages per attempt', () => {
    const messages = (count: number) => ({ messages: Array.from({ length: count }, () => ({})) })
    expect(effectsInput.safeParse(messages(limits.effectsPerAttempt)).success).toBe(true)
    expect(effectsInput.safeParse(messages(limits.effectsPerAttempt + 1)).success).toBe(false)
  })

  it('nothing asked for is no effect', () => {
    expect(expand({})).toEqual([])
    expect(expand({ messages: [] })).toEqual([])
  })
})

describe('a reply', () => {
  it('goes to replyto, in the conversation, caused by the message it answers (A7)', () => {
    expect(expand({ reply: { data: { text: 'done' } } }, { replyto: 'researcher' })).toEqual([
      {
        n: 1,
        kind: 'reply',
        publish: {
          to: 'researcher',
          type: 'draft.reply',
          data: { text: 'done' },
          id: `${delivery}-1`,
          correlationid: 'c1',
          causationid: 'm1',
        },
        state: { status: 'pending' },
      },
    ])
  })

  it('may choose its type', () => {
    expect(expand({ reply: { type: 'draft.done', data: 1 } }, { replyto: 'a' })[0]?.publish['type']).toBe('draft.done')
  })

  it('to the longest type still has a type that may be published', () => {
    const [effect] = expand({ reply: { data: 1 } }, { replyto: 'a', type: 't'.repeat(limits.typeLength) })
    expect(publishInput.safeParse(effect?.publish).success).toBe(true)
    expect(effect?.publish['type']).toMatch(/t\.reply$/)
  })

  it('T1: without a replyto is refused and told, and has no recipient that could be taken for everybody', () => {
    const [effect] = expand({ reply: { data: 1 } })
    expect(effect?.state).toMatchObject({ status: 'refused', reason: 'no_replyto' })
    expect(effect?.publish).not.toHaveProperty('to')
    expect(publishInput.safeParse(effect?.publish).success).toBe(false)
  })
})

describe('messages', () => {
  it('are numbered after the reply, each under its own id (M2: a repeat has the same ones)', () => {
    const ask = {
      reply: { data: 1 },
      messages: [
        { to: 'a', type: 'x' },
        { to: 'b', type: 'y' },
      ],
    }
    const first = expand(ask, { replyto: 'researcher' })
    expect(first.map((effect) => [effect.n, effect.kind, effect.publish['id']])).toEqual([
      [1, 'reply', `${delivery}-1`],
      [2, 'message', `${delivery}-2`],
      [3, 'message', `${delivery}-3`],
    ])
    expect(expand(ask, { replyto: 'researcher' })).toEqual(first)
  })

  it('inherit conversation and workflow, unless they begin another', () => {
    const [inherited, own] = expand(
      {
        messages: [
          { to: 'a', type: 'x' },
          { to: 'a', type: 'x', correlationid: 'c2', workflowid: 'w2' },
        ],
      },
      { workflowid: 'w1' },
    )
    expect(inherited?.publish).toMatchObject({ correlationid: 'c1', workflowid: 'w1', causationid: 'm1' })
    expect(own?.publish).toMatchObject({ correlationid: 'c2', workflowid: 'w2', causationid: 'm1' })
  })

  it('choose neither their id, their source nor their cause (because those are the broker’s word)', () => {
    const [effect] = expand({ messages: [{ to: 'a', type: 'x', id: 'mine', source: 'admin', causationid: 'other' }] })
    expect(effect?.publish).toMatchObject({ id: `${delivery}-1`, causationid: 'm1' })
    expect(effect?.publish).not.toHaveProperty('source')
  })

  it('T17: are durable, so at_most_once is refused', () => {
    const [effect] = expand({ messages: [{ to: 'a', type: 'x', deliverymode: 'at_most_once' }] })
    expect(effect?.state).toMatchObject({
      status: 'refused',
      reason: 'invalid',
      detail: expect.stringContaining('durable'),
    })
  })

  it('T1: one without a recipient is refused, never sent to everybody', () => {
    const [effect] = expand({ messages: [{ type: 'x', data: 'private' }] })
    expect(effect?.state).toMatchObject({
      status: 'refused',
      reason: 'invalid',
      detail: expect.stringMatching(/^to: /),
    })
  })

  it('one that cannot be sent is refused alone, with what was asked for (E1), and does NOT spoil its neighbours', () => {
    const bad = { to: 'a', type: '', userId: 7 }
    const effects = expand({ messages: [{ to: 'a', type: 'x' }, bad, 'nonsense', { to: 'b', type: 'y' }] })
    expect(effects.map((effect) => effect.state.status)).toEqual(['pending', 'refused', 'refused', 'pending'])
    expect(effects[1]?.publish).toEqual({ asked: bad })
    expect(effects[1]?.state).toMatchObject({ detail: expect.stringMatching(/type: .*; userId: /) })
  })

  it('T15: carry the data as it was given, and nothing of the broker’s in it', () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 3 }), (data) => {
        const [effect] = expand({ messages: [{ to: 'a', type: 'x', data }] })
        expect(effect?.publish['data']).toEqual(data)
      }),
    )
  })
})

it('whatever is asked for: every effect is numbered in turn, may be journaled, and what is pending may be published', () => {
  const message = fc.record(
    {
      to: fc.constantFrom('a', '', '*', undefined, 7),
      topic: fc.constantFrom('t', undefined),
      type: fc.constantFrom('x', '', undefined),
      data: fc.jsonValue({ maxDepth: 2 }),
      priority: fc.integer({ min: -1, max: 11 }),
      deliverymode: fc.constantFrom('at_least_once', 'at_most_once', 'exactly_once', 'x'),
    },
    { requiredKeys: [] },
  )
  const input = fc.record(
    {
      reply: fc.record({ data: fc.jsonValue({ maxDepth: 2 }) }),
      messages: fc.array(fc.oneof(message, fc.jsonValue())),
    },
    { requiredKeys: [] },
  )
  const plain = (value: unknown) => JSON.parse(JSON.stringify(value)) as unknown
  fc.assert(
    fc.property(input, fc.option(fc.constant('researcher')), (asked, replyto) => {
      const effects = expand(asked, replyto === null ? {} : { replyto })
      expect(effects.map((effect) => effect.n)).toEqual(effects.map((_, i) => i + 1))
      for (const effect of effects) {
        expect(effectSchema.parse(plain(effect))).toEqual(plain(effect))
        if (effect.state.status === 'pending') expect(publishInput.safeParse(effect.publish).success).toBe(true)
      }
    }),
  )
})
