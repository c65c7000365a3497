/** What a workflow sends: the parts of its state that an agent gets, the ids, and what a refusal tells. */
import { describe, expect, it } from 'vitest'
import { messageOf, type Outgoing, outgoingName, ownMessage, publishOf, refusalOf } from '../../shared/outgoing.ts'

const effect: Outgoing = {
  ...{ v: 1, n: 7, kind: 'send', message: { to: 'ada', type: 'x' }, entry: 2, openedAt: 0, origin: 'a' },
  ...{ retried: 0, fellBack: false, state: { status: 'pending' } },
}

describe('the message of a send (A40)', () => {
  const state = { topic: 'queues', secret: 's', report: { title: 'T' } }

  it('brings the selected parts of the state beside the data that is given, which wins', () => {
    const params = { to: 'ada', type: 'x', select: ['topic', 'report.title'], data: { topic: 'mine', n: 1 } }
    expect(messageOf(params, state)).toEqual({
      ok: true,
      value: { to: 'ada', type: 'x', data: { topic: 'mine', n: 1, report: { title: 'T' } } },
    })
  })

  it('marks what is beyond its cap', () => {
    const made = messageOf({ to: 'ada', type: 'x', select: ['topic', 'report'], maxbytes: 8 }, state)
    expect(made).toMatchObject({ value: { data: { topic: 'queues', report: { $truncated: { bytes: 13 } } } } })
  })

  it('without `select` is what was asked for', () => {
    expect(messageOf({ to: 'ada', type: 'x', data: 1 }, state)).toEqual({
      ok: true,
      value: { to: 'ada', type: 'x', data: 1 },
    })
  })

  it.each([
    ['a selection that is none', { select: [''] }],
    ['a cap that is none', { select: ['a'], maxbytes: 0 }],
    ['data that parts cannot stand beside', { select: ['topic'], data: [1] }],
  ])('%s is refused with a reason', (_, params) => {
    expect(messageOf({ to: 'ada', type: 'x', ...params }, state).ok).toBe(false)
  })
})

describe('its ids', () => {
  it('say which message of which workflow it is, and nobody else’s are taken for its own', () => {
    expect(publishOf({ id: 'w-1', incarnation: 'k3' }, effect)['id']).toBe('w-1-k3-7')
    expect(outgoingName('w-1', 'w-1-k3-7')).toEqual({ n: 7, incarnation: 'k3' })
    for (const id of [
      undefined,
      'w-1',
      'w-1-',
      'w-1-x',
      'w-1-07',
      'w-17',
      'w-1-k3-07',
      'w-1-a-b-1',
      'w-1-K-1',
      'w-2-7',
    ])
      expect(outgoingName('w-1', id), id).toBeUndefined()
    expect(ownMessage('w', { id: 'w-k3-7', source: 'workflow/w' })).toEqual({ n: 7, incarnation: 'k3' })
    expect(ownMessage('w', { id: 'w-k3-7', source: 'mallory' })).toBeUndefined()
  })

  it('of a workflow that was stored before incarnations were told apart are as they were', () => {
    expect(publishOf({ id: 'w-1' }, effect)['id']).toBe('w-1-7')
    expect(outgoingName('w-1', 'w-1-7')).toEqual({ n: 7 })
  })

  it('and its conversation are the broker’s; where answers go is the workflow unless it said otherwise', () => {
    const publish = publishOf(
      { id: 'w' },
      {
        ...effect,
        message: { to: 'ada', type: 'x', id: 'forged', workflowid: 'other', replyto: 'bob' },
        causationid: 'm',
      },
    )
    expect(publish).toEqual({
      to: 'ada',
      type: 'x',
      id: 'w-7',
      workflowid: 'w',
      replyto: 'bob',
      correlationid: 'w',
      causationid: 'm',
    })
    expect(publishOf({ id: 'w' }, effect)).toMatchObject({ replyto: 'workflow:w', correlationid: 'w' })
  })

  it('a refusal tells what was to be sent, without its data', () => {
    const refused = refusalOf({ ...effect, message: { to: 'ada', type: 'x', data: 'secret' } }, 'forbidden', 'no')
    expect(refused).toEqual({ effect: 7, kind: 'send', to: 'ada', type: 'x', reason: 'forbidden', detail: 'no' })
  })
})
