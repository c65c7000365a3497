/** The news of an end: who hears of it, and of which ends; on one mailbox, pure. */
import { describe, expect, it } from 'vitest'
import { passOn } from '../../shared/chain.ts'
import { type Delivery, end } from '../../shared/delivery.ts'
import { publishInput } from '../../shared/message.ts'
import { departed } from '../../shared/reassign.ts'
import { abandon, cancel, recall } from '../../shared/upkeep.ts'
import { Box, fail, hour, iso, ok, start } from './mailbox-fixtures.ts'

const newsIn = ({ state }: Delivery) =>
  (state.at === 'ended' ? (state.journal?.effects ?? []) : []).filter((e) => e.kind === 'notice')
const dataOf = (delivery: Delivery) => newsIn(delivery).map((e) => e.publish.data)

/** One in ann's mailbox whose sender wants to know. */
function asked(more: Parameters<Box['put']>[1] = {}) {
  const box = new Box()
  return { box, id: box.put('one', { receiptto: 'sue', ...more }) }
}

describe('whom `receiptto` names', () => {
  it('hears of a completion, journaled with its result and after its effects (TC2, M1)', () => {
    const { box, id } = asked({ replyto: 'joe' })
    box.run(id, ok(1, { reply: { data: 1 } }))
    const { state } = box.delivery(id)
    const effects = state.at === 'ended' ? state.journal?.effects : []
    expect(effects?.map((e) => [e.n, e.kind, e.publish.to, e.publish.id])).toEqual([
      [1, 'reply', 'joe', `${id}-1`],
      [2, 'notice', 'sue', `${id}-receipt`],
    ])
    expect(dataOf(box.delivery(id))).toEqual([{ delivery: id, agent: 'ada', status: 'completed' }])
  })

  const ends: readonly [string, string, (box: Box, id: string) => unknown, string?][] = [
    ['a dead letter', 'dead_lettered', (box, id) => box.run(id, fail()), 'terminal'],
    ['a cancellation', 'cancelled', (box, id) => box.step((draft, now) => cancel(draft, id, () => undefined, now))],
    ['being called back', 'cancelled', (box, id) => box.step((draft, now) => recall(draft, id, now))],
    ['its agent’s deletion', 'dead_lettered', (box) => box.step(abandon), 'agent_deleted'],
  ]
  for (const [what, status, doIt, reason] of ends)
    it(`hears of ${what} (TC2)`, () => {
      const { box, id } = asked()
      doIt(box, id)
      const told = { delivery: id, agent: 'ada', status, ...(reason === undefined ? {} : { reason }) }
      expect(dataOf(box.delivery(id))).toEqual([told])
    })

  it('hears of an expiry (TC2)', () => {
    const { box, id } = asked({ expirytime: iso(start + hour) })
    box.tick(start + hour)
    expect(dataOf(box.delivery(id))).toMatchObject([{ status: 'expired', reason: 'expired' }])
  })

  it('hears of each life under an id of its own, so that the second is no duplicate of the first', () => {
    const { box, id } = asked()
    box.run(id, fail())
    box.carried(id, [{ n: 1, state: { status: 'carried', deliveries: [] } }])
    box.redrive(id)
    box.run(id, ok())
    expect(newsIn(box.delivery(id)).map((e) => e.publish.id)).toEqual([`${id}-r1-receipt`])
  })

  it('hears nothing of what goes on elsewhere: it has not ended', () => {
    const { box, id } = asked()
    box.step((draft, now) => departed(draft, [{ id, became: 'bob_x' }], now))
    expect(box.delivery(id).state).toMatchObject({ status: 'cancelled', reassignedTo: 'bob_x' })
    expect(newsIn(box.delivery(id))).toEqual([])
    const chained = asked({ chain: ['bob'] })
    expect(newsIn(passOn(chained.box.delivery(chained.id), 'passed', start))).toEqual([])
    const last = asked()
    expect(dataOf(passOn(last.box.delivery(last.id), 'passed', start))).toMatchObject([
      { status: 'dead_lettered', reason: 'no_handler' },
    ])
  })

  it('hears of one that gave way to a newer of its key', () => {
    const { box, id } = asked()
    const older = end(box.delivery(id), 'cancelled', start, { collapsedInto: 'ada_y' })
    expect(dataOf(older)).toMatchObject([{ status: 'cancelled', reason: 'collapsed' }])
  })

  it('may be a topic; a topic that nobody hears is nobody’s trouble', () => {
    const { box, id } = asked({ receiptto: 'topic:ends' })
    box.run(id, ok())
    expect(newsIn(box.delivery(id))[0]?.publish).toMatchObject({ topic: 'ends', onunroutable: 'drop' })
    expect(newsIn(box.delivery(id))[0]?.publish).not.toHaveProperty('to')
  })

  it('is told beside whoever waits for the answer, each under an id of its own', () => {
    const { box, id } = asked({ replyto: 'gather:g-x' })
    box.run(id, fail())
    expect(newsIn(box.delivery(id)).map((e) => [e.n, e.publish.to, e.publish.id])).toEqual([
      [1, 'gather:g-x', `${id}-ended`],
      [2, 'sue', `${id}-receipt`],
    ])
  })

  it('costs nobody else anything: without it nothing is journaled', () => {
    const { box, id } = asked({ receiptto: undefined })
    box.run(id, ok())
    const { state } = box.delivery(id)
    expect(state.at === 'ended' && state.journal).toBe(undefined)
  })
})

describe('`receiptto`', () => {
  const issues = (input: object) =>
    publishInput.safeParse({ to: 'ada', type: 't', ...input }).error?.issues.map((i) => i.path[0])

  it('is an agent or a topic, and of nothing that makes no delivery', () => {
    for (const receiptto of ['sue', 'topic:ends.of.things']) expect(issues({ receiptto })).toBeUndefined()
    for (const receiptto of ['*', 'capability:x', 'gather:g-x', 'workflow:w', 'topic:', 'topic:a.*', 'Sue'])
      expect(issues({ receiptto })).toEqual(['receiptto'])
    for (const to of ['gather:g-x', 'workflow:w']) expect(issues({ to, receiptto: 'sue' })).toEqual(['receiptto'])
  })
})
