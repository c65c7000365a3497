/** A chain of responsibility: who is asked, who is passed over, and how it ends where nobody takes it; on one mailbox, pure. */
import { describe, expect, it } from 'vitest'
import { force } from '../../shared/breaker.ts'
import { passedOver, passOn } from '../../shared/chain.ts'
import { type Delivery, isPassing, keepsBody } from '../../shared/delivery.ts'
import { passesAndMore } from '../../shared/effects.ts'
import { newGate } from '../../shared/gate.ts'
import { failureOf } from '../../shared/leg-failure.ts'
import { publishInput } from '../../shared/message.ts'
import { outcomeOfAnswer, parseEffects } from '../../shared/outcome.ts'
import { Box, incoming, start } from './mailbox-fixtures.ts'

const pass = { kind: 'ok', effects: { pass: true } } as const

/** A delivery in a mailbox of `ada`, as the message says. */
function accepted(attributes: Parameters<typeof incoming>[1], tried?: Delivery['tried']) {
  const box = new Box()
  const one = incoming('one', attributes)
  const [admission] = box.accept([{ ...one, ...(tried === undefined ? {} : { tried }) }])
  return { box, id: admission !== undefined && 'id' in admission ? admission.id : '' }
}

const effectsOf = (delivery: Delivery) => (delivery.state.at === 'ended' ? (delivery.state.journal?.effects ?? []) : [])

describe('what is said of a chain', () => {
  const names = (input: object) =>
    publishInput.safeParse({ to: 'a', type: 't', ...input }).error?.issues.map((i) => i.path[0])

  it('(A61) (T9) nobody is in it twice, the first included', () => {
    expect(names({ chain: ['b', 'c', 'b'] })).toEqual(['chain'])
    expect(names({ chain: ['b', 'a'] })).toEqual(['chain'])
    expect(names({ chain: ['b', 'c'] })).toBeUndefined()
  })

  it('(A59) `pass` is an answer by itself: whoever replies too has not passed it on', () => {
    expect(passesAndMore({ pass: true })).toBe(false)
    expect(parseEffects({ pass: true })).toEqual({ ok: true, value: { pass: true } })
    expect(parseEffects({ pass: true, reply: { data: 1 } })).toMatchObject({
      ok: false,
      reason: expect.stringContaining('pass'),
    })
    expect(parseEffects({ pass: false }).ok).toBe(false)
    const answer = { status: 200, retryAfter: null, body: '{"pass":true}', truncated: false }
    expect(outcomeOfAnswer(answer, 'response', start)).toMatchObject({ kind: 'ok', effects: { pass: true } })
  })
})

describe('an agent that passes', () => {
  it('(A59) (T9) has completed, and journals the hop to the next with the rest of the chain; the body stays until it is made', () => {
    const { box, id } = accepted({ chain: ['bob', 'cyd'] })
    box.run(id, pass)
    const delivery = box.delivery(id)
    expect(delivery.state).toMatchObject({ at: 'ended', status: 'completed' })
    expect(effectsOf(delivery)).toMatchObject([
      {
        kind: 'pass',
        publish: { to: 'bob', chain: ['cyd'], tried: [{ agent: 'ada', why: 'passed' }] },
        state: { status: 'pending' },
      },
    ])
    expect([isPassing(delivery), keepsBody(delivery)]).toEqual([true, true])
    box.carried(id, [{ n: 1, state: { status: 'carried', deliveries: ['bob_1'] } }])
    expect([isPassing(box.delivery(id)), keepsBody(box.delivery(id))]).toEqual([false, false])
  })

  it('(A61) whoever was asked already is not asked again, whatever the chain says', () => {
    const { box, id } = accepted({ chain: ['bob', 'cyd'] }, [{ agent: 'bob', why: 'passed' }])
    expect(effectsOf(passOn(box.delivery(id), 'passed', start))).toMatchObject([{ publish: { to: 'cyd' } }])
  })

  it('(A62) as the last leaves a dead letter where nobody waits, with who was asked', () => {
    const { box, id } = accepted({}, [{ agent: 'bob', why: 'type' }])
    const dead = passOn(box.delivery(id), 'passed', start)
    expect(dead.state).toMatchObject({
      status: 'dead_lettered',
      reason: 'no_handler',
      error: { code: 'no_handler', message: 'nobody took it: bob does not take this type, ada passed' },
    })
  })

  it('(A62) as the last replies `no_handler` to an agent that wants a reply', () => {
    const { box, id } = accepted({ replyto: 'eve' })
    const ended = passOn(box.delivery(id), 'passed', start)
    const tried = [{ agent: 'ada', why: 'passed' }]
    expect(effectsOf(ended)).toMatchObject([
      { kind: 'reply', publish: { to: 'eve', data: { error: 'no_handler', tried } } },
    ])
    expect(ended.state).toMatchObject({ status: 'completed' })
  })

  it('(A62) as the last tells a request that there will be no reply, with who was asked', () => {
    const { box, id } = accepted({ replyto: 'gather:g-x' })
    const [notice] = effectsOf(passOn(box.delivery(id), 'passed', start))
    expect(notice).toMatchObject({ kind: 'notice', publish: { to: 'gather:g-x', data: { reason: 'no_handler' } } })
    expect(failureOf('ada', id, notice!.publish['data'])).toMatchObject({
      why: 'no_reply',
      reason: 'no_handler',
      tried: [{ agent: 'ada', why: 'passed' }],
    })
  })
})

describe('an agent that is passed over', () => {
  const { box, id } = accepted({ chain: ['bob'] })
  const agent = box.mailbox.agent!
  const chained = box.delivery(id)

  it('(A60) declares what it accepts, by type or by pattern; one that declares nothing is asked', () => {
    const over = (accepts: string[], delivery = chained) => passedOver({ ...agent, accepts }, newGate, delivery, start)
    const { type } = chained.head
    expect(over([])).toBeUndefined()
    expect(over([type])).toBeUndefined()
    expect(over(['>'])).toBeUndefined()
    expect(over(['other'])).toBe('type')
    const { chain: _chain, ...alone } = chained.head
    expect(over(['other'], { ...chained, head: alone })).toBeUndefined()
    expect(over(['other'], { ...chained, head: alone, tried: [] })).toBe('type')
  })

  it('(A61) has an open breaker, if the message says `skip`; otherwise it waits for it', () => {
    const breaker = force(newGate.breaker, agent.policy.breaker, 'open', 'an operator', start)
    const open = { ...newGate, breaker }
    const skip = { ...chained, head: { ...chained.head, chainopen: 'skip' as const } }
    const asked = { ...agent, kind: 'webhook' as const }
    expect(passedOver(asked, open, skip, start)).toBe('breaker')
    expect(passedOver(asked, newGate, skip, start)).toBeUndefined()
    expect(passedOver(asked, open, chained, start)).toBeUndefined()
  })

  it('(A60) costs no attempt and no lease: it is over as it is accepted', () => {
    const picky = new Box()
    picky.mailbox = { ...picky.mailbox, agent: { ...agent, accepts: ['other'] } }
    const skipped = picky.delivery(picky.put('one', { chain: ['bob'] }))
    expect(picky.references).toEqual([])
    expect(picky.mailbox.depth).toBe(0)
    expect(skipped).toMatchObject({ attempt: 0, leases: 0, state: { status: 'completed' } })
    expect(effectsOf(skipped)).toMatchObject([{ publish: { to: 'bob', tried: [{ agent: 'ada', why: 'type' }] } }])
  })
})
