/** E2: a message that is stopped at the mailbox's door: dead at once, told to both ends, the same whenever it comes again. */
import { describe, expect, it } from 'vitest'
import type { Incoming } from '../../shared/admission.ts'
import { claimedCause } from '../../shared/cause.ts'
import { isUnburied } from '../../shared/delivery.ts'
import { deliveryId, digest, mid } from '../../shared/ids.ts'
import type { Visit } from '../../shared/lineage.ts'
import { begin } from '../../shared/mailbox.ts'
import { brokerSource } from '../../shared/permissions.ts'
import { pathFrom, stopType } from '../../shared/stop.ts'
import { Box, type IncomingOptions, incoming } from './mailbox-fixtures.ts'

const at = (agent: string, n: number): Visit => ({ id: deliveryId(agent, digest(String(n))), print: String(n) })
/** One on whose way `ada` is five times, sent by `bob`. */
const circle = Array.from({ length: 10 }, (_, n) => at(n % 2 === 0 ? 'ada' : 'bob', n))

const following = (id: string, path = circle, options: IncomingOptions = {}): Incoming => ({
  ...incoming(id, { brokerMade: true, ...options }),
  lineage: { path, print: 'p' },
})

describe('a message that a guard stops', () => {
  it('is a dead letter with its path, and takes no room, even where there is none (TC4)', () => {
    const box = new Box({ policy: { depth: 1 } })
    box.put('other', { brokerMade: true })
    const [admission] = box.accept([following('m')])
    expect(admission).toMatchObject({ status: 'stopped', trip: { reason: 'loop_detected' } })
    const id = admission?.status === 'stopped' ? admission.id : ''
    expect(box.receipt(id)).toMatchObject({
      ...{ status: 'dead_lettered', attempt: 0, attempts: [], path: circle.map((one) => one.id) },
      deadLetter: { id, reason: 'loop_detected' },
    })
    expect(isUnburied(box.delivery(id))).toBe(true)
    expect(box.mailbox.depth).toBe(1)
    expect(box.due()).toBe(box.now)
  })

  it('is told as stopped again when its call is repeated, by its token and by its id', () => {
    const box = new Box()
    const [first] = box.accept([following('m')], 'call')
    expect(box.accept([following('m')], 'call')).toEqual([first])
    expect(box.accept([following('m')], 'another call')).toEqual([first])
  })

  it('may be given another life by a person, and is delivered then', () => {
    const box = new Box()
    const [admission] = box.accept([following('m')])
    const id = admission?.status === 'stopped' ? admission.id : ''
    expect(box.redrive(id)).toEqual({ status: 'redriven' })
    expect(box.released()).toEqual([id])
    expect(box.accept([following('m')])).toEqual([{ status: 'duplicate', id }])
  })

  it('spoils none that come with it', () => {
    const box = new Box()
    const admissions = box.accept([following('m'), incoming('n'), following('o', circle.slice(2))])
    expect(admissions.map((one) => one.status)).toEqual(['stopped', 'accepted', 'accepted'])
  })

  it('of the broker itself does not exist: what it says of a stop gets through', () => {
    const box = new Box()
    const [admission] = box.accept([following('m', circle, { source: brokerSource, type: stopType })])
    expect(admission?.status).toBe('accepted')
  })
})

describe('who is told of it', () => {
  const toldOf = (path = circle, options: IncomingOptions = {}) => {
    const box = new Box()
    const [admission] = box.accept([following('m', path, { data: { secret: 'x' }, ...options })])
    const id = admission?.status === 'stopped' ? admission.id : ''
    return box.receipt(id).effects ?? []
  }

  it('whoever sent it, and whoever it was for: ids, and no data (S2)', () => {
    const effects = toldOf()
    expect(effects.map((e) => [e.kind, e.publish['to'], e.publish['type']])).toEqual([
      ['notice', 'bob', stopType],
      ['notice', 'ada', stopType],
    ])
    expect(new Set(effects.map((e) => e.publish['id'])).size).toBe(2)
    expect(JSON.stringify(effects)).not.toContain('secret')
  })

  it('whoever would have been answered: an agent by mail, a request by the news of its end', () => {
    expect(toldOf(circle, { replyto: 'cyd' }).map((e) => e.publish['to'])).toEqual(['bob', 'ada', 'cyd'])
    expect(toldOf(circle, { replyto: 'gather:g' }).map((e) => [e.n, e.publish['to'], e.publish['type']])).toEqual([
      [1, 'gather:g', 'switchboard.delivery.ended'],
      [2, 'bob', stopType],
      [3, 'ada', stopType],
    ])
  })

  it('nobody, where it follows from being told: agents that always answer would never end', () => {
    const [first, ...rest] = circle
    expect(toldOf([{ ...first!, told: true }, ...rest])).toEqual([])
  })

  it('nobody by mail, where its publisher is told in the answer', () => {
    expect(toldOf(circle, { brokerMade: false })).toEqual([])
  })

  it('what follows from being told is marked as that, and from nothing else', () => {
    const head = incoming('m', { source: brokerSource, type: stopType }).message
    expect(pathFrom({ id: 'a', head }).at(-1)).toMatchObject({ told: true })
    expect(pathFrom({ id: 'a', head: { ...head, source: 'eve' } }).at(-1)).not.toHaveProperty('told')
  })
})

describe('a cause that an agent names', () => {
  const named = (box: Box, id: string) => claimedCause(begin(box.mailbox), 'ada', id, box.stored)?.id

  it('is what it is at work on, by the id of the message or of the delivery', () => {
    const box = new Box()
    const id = box.put('m1')
    expect(named(box, 'm1')).toBeUndefined()
    box.take()
    expect(named(box, 'm1')).toBe(id)
    expect(named(box, id)).toBe(id)
  })

  it('is what it had, by the delivery’s id or by an id that the broker made', () => {
    const box = new Box()
    const emitted = `${deliveryId('bob', digest('d'))}-2`
    const id = box.put(emitted, { source: 'bob', brokerMade: true })
    expect(id).toBe(deliveryId('ada', mid('bob', emitted, 0)))
    box.run(id, { kind: 'ok' })
    expect(named(box, id)).toBe(id)
    expect(named(box, emitted)).toBe(id)
  })

  it('is none, where it never came to it', () => {
    const box = new Box()
    box.put('m1')
    expect(named(box, deliveryId('bob', digest('d')))).toBeUndefined()
    expect(named(box, `${deliveryId('bob', digest('d'))}-1`)).toBeUndefined()
    expect(named(box, 'anything')).toBeUndefined()
  })
})
