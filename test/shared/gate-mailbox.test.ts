/**
 * The gate in front of the mail: what is released, taken, parked and probed while a breaker opens and heals, and what a rate does.
 * Never here: the breaker by itself (test/shared/breaker.test.ts), two hours of it (test/simulator/outage.test.ts).
 */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { enrol } from '../../shared/agent.ts'
import type { BreakerPolicy } from '../../shared/breaker.ts'
import { extend } from '../../shared/extend.ts'
import { figuresOf } from '../../shared/figures.ts'
import { beginFleeting, droppedBecause, recordFleeting } from '../../shared/fleeting.ts'
import { newGate } from '../../shared/gate.ts'
import type { Outcome } from '../../shared/outcome.ts'
import type { AgentKind, PolicyInput } from '../../shared/policy.ts'
import { abandon, buried, cancel, forceBreaker, pause, resume } from '../../shared/upkeep.ts'
import {
  Box,
  fail,
  gone,
  hold,
  hour,
  incoming,
  later,
  minute,
  ok,
  parkedMs,
  retry,
  second,
  start,
  unsent,
} from './mailbox-fixtures.ts'

/** Opens at the first failure, for a minute. */
const brittle = { failureThreshold: 1 } satisfies Partial<BreakerPolicy>
const policyOf = (breaker: Partial<BreakerPolicy>, more: PolicyInput = {}): PolicyInput => ({
  ...more,
  breaker: { ...brittle, ...breaker },
})

/** A mailbox with `waiting` behind a breaker that `first`'s failure opened. */
function opened(waiting: readonly string[] = ['a', 'b', 'c'], policy: PolicyInput = policyOf({})) {
  const box = new Box({ policy: { concurrency: 10, ...policy } })
  const first = box.put('first')
  box.run(first, retry())
  const ids = waiting.map((id) => box.put(id))
  return { box, first, ids }
}

const breakerOf = (box: Box) => box.mailbox.gate.breaker
/** The alarm rings when it is due, until the breaker is half open. */
function ringUntilHalfOpen(box: Box): void {
  for (let rings = 0; breakerOf(box).state.at !== 'half_open' && rings < 100; rings++) box.tick(box.due())
}

const put = (box: Box, kind: AgentKind, policy: PolicyInput = {}) =>
  box.step((draft, now) => {
    draft.agent = enrol(box.mailbox.agent, {
      name: 'ada',
      registration: { kind, ...(kind === 'webhook' ? { url: 'https://ada.example/inbox' } : {}), policy },
      freshIncarnation: 'none',
      freshSecret: 'none',
      trusted: true,
      now,
    })
  })

// --- open ---------------------------------------------------------------------------------------------------------------

describe('while the breaker is open', () => {
  it('B1: nothing is released and nothing is taken, by whatever reference', () => {
    const { box, first, ids } = opened()
    expect([box.references, box.released()]).toEqual([[], []])
    for (const id of [first, ...ids]) expect(box.take([id]).grants).toEqual([])
    box.wait(minute - 1)
    expect(box.take([first, ...ids]).grants).toEqual([])
    expect(box.mailbox.leases.size).toBe(0)
  })

  it('B1: what was released before is forgotten, so that its reference on the queue takes nothing', () => {
    const box = new Box({ policy: policyOf({}) })
    const [a, b] = [box.put('a'), box.put('b')]
    expect(box.released()).toEqual([a, b])
    box.run(a, retry())
    expect(box.released()).toEqual([])
    expect(box.take([b]).grants).toEqual([])
  })

  it('M4: mail is parked, at no attempt, and its receipt says why and until when (A70, TC1)', () => {
    const { box, ids } = opened()
    for (let rings = 0; rings < 20; rings++) box.tick(box.now + second)
    for (const id of ids)
      expect(box.receipt(id)).toMatchObject({
        status: 'parked',
        because: 'breaker: a failure; the last: answered 500; open until 2026-01-01T00:01:00.000Z',
        attempt: 0,
        attempts: [],
      })
    expect(figuresOf(box.mailbox, box.now)).toMatchObject({ breaker: 'open', parked: box.receipt(ids[0]!).because })
  })

  it('M6: the alarm rings when its time is over, and not before', () => {
    const { box } = opened()
    // The first one's pause ends earlier, and nothing comes of it.
    box.tick(box.due())
    expect([box.now, box.released()]).toEqual([start + second, []])
    expect(box.due()).toBe(start + minute)
    box.tick(box.due())
    expect([breakerOf(box).state.at, box.released().length]).toEqual(['half_open', 1])
  })

  it('M6: without mail nothing is due; the next message finds the wait over and is the probe', () => {
    const box = new Box({ policy: policyOf({}, { maxAttempts: 1 }) })
    const dead = box.put('dead')
    box.run(dead, retry())
    box.step((draft) => buried(draft, [dead]))
    expect([breakerOf(box).state.at, box.due()]).toEqual(['open', undefined])
    expect(figuresOf(box.mailbox, box.now).breaker).toBe('open')
    box.wait(hour)
    // Whoever chooses among agents looks here, and must not pass this one over for ever.
    expect(figuresOf(box.mailbox, box.now).breaker).toBe('half_open')
    const id = box.put('next')
    expect([breakerOf(box).state.at, box.released()]).toEqual(['half_open', [id]])
  })

  it('B3: what was under way when it opened counts for its delivery, and says nothing to the breaker', () => {
    const box = new Box({ policy: policyOf({}, { maxAttempts: 2 }) })
    const ids = [box.put('a'), box.put('b'), box.put('c')] as const
    box.take(ids)
    box.settle(ids[0], retry())
    const before = breakerOf(box)
    box.settle(ids[1], ok())
    box.settle(ids[2], retry())
    expect(breakerOf(box)).toBe(before)
    expect([box.receipt(ids[1]).status, box.receipt(ids[2]).attempt]).toEqual(['completed', 1])
  })

  it('what expires meanwhile expires', () => {
    const { box } = opened([])
    const id = box.put('a', { expirytime: new Date(start + 10 * second).toISOString() })
    box.tick(start + 10 * second)
    expect(box.receipt(id).status).toBe('expired')
  })
})

// --- half open ------------------------------------------------------------------------------------------------------------

describe('while it is half open', () => {
  it('B2: one probe is leased, however many references to the others are on the queue', () => {
    const names = Array.from({ length: 50 }, (_, n) => `m${n}`)
    const { box, first, ids } = opened(names)
    ringUntilHalfOpen(box)
    const probes = box.released()
    expect(probes).toHaveLength(1)
    const strays = [first, ...ids].filter((id) => !probes.includes(id))
    expect(box.take(strays).grants).toEqual([])
    expect(box.take([...strays, ...probes]).grants.map((g) => g.delivery.id)).toEqual(probes)
    expect(box.take(strays).grants).toEqual([])
    expect(box.mailbox.leases.size).toBe(1)
  })

  it('B2: a stray reference that is first to find the wait over is not the probe: the mailbox chooses it', () => {
    const { box, first, ids } = opened()
    box.wait(minute)
    expect(box.take([first]).grants).toEqual([])
    expect([breakerOf(box).state.at, box.released()]).toEqual(['half_open', [ids[0]]])
  })

  it('B2: as many probes as the policy says', () => {
    const { box, ids } = opened(['a', 'b', 'c', 'd'], policyOf({ probes: 3 }))
    ringUntilHalfOpen(box)
    expect(box.released()).toEqual(ids.slice(0, 3))
    expect(box.take(ids).grants).toHaveLength(3)
    expect(box.released()).toEqual([])
  })

  it('the probe is the oldest of those with the fewest attempts, so that nobody pays for every probe', () => {
    const { box, first, ids } = opened()
    const probes: string[] = []
    for (let n = 0; n < 7; n++) {
      ringUntilHalfOpen(box)
      const [probe = 'none'] = box.released()
      probes.push(probe)
      box.run(probe, retry())
    }
    expect(probes).toEqual([...ids, first, ...ids])
  })

  it('a priority does not make a probe of what has more attempts', () => {
    const { box, ids } = opened(['a'])
    ringUntilHalfOpen(box)
    box.run(ids[0]!, retry())
    const urgent = box.put('urgent', { priority: 9 })
    const calm = box.put('calm', { priority: 0 })
    ringUntilHalfOpen(box)
    expect(box.released()).toEqual([urgent])
    box.run(urgent, retry())
    ringUntilHalfOpen(box)
    expect(box.released()).toEqual([calm])
  })

  it('M3: of a line only its head can be the probe', () => {
    const { box, ids } = opened([], policyOf({}))
    const [head, next] = [box.put('head', { partitionkey: 'k' }), box.put('next', { partitionkey: 'k' })]
    ringUntilHalfOpen(box)
    box.run(head, retry())
    ringUntilHalfOpen(box)
    expect(box.released()).not.toContain(next)
    expect(ids).toEqual([])
  })

  it('B2: a lease from before that is still out does not keep the probe away', () => {
    const box = new Box({ policy: policyOf({}, { concurrency: 3, ack: 'later', ackSeconds: 3_600 }) })
    const [slow, failing, waiting] = [box.put('slow'), box.put('failing'), box.put('waiting')]
    box.run(slow, later)
    box.run(failing, retry())
    ringUntilHalfOpen(box)
    expect(box.leaseOf(slow)).toBeDefined()
    expect(box.released()).toEqual([waiting])
    expect(box.take([waiting]).grants).toHaveLength(1)
  })

  it('nor, after the recovery, those that the ramp lets through', () => {
    const box = new Box({ policy: policyOf({}, { concurrency: 4, ack: 'later', ackSeconds: 3_600 }) })
    const [slow, failing, a] = [box.put('slow'), box.put('failing'), box.put('a')]
    box.put('b')
    box.run(slow, later)
    box.run(failing, retry())
    ringUntilHalfOpen(box)
    box.run(a, ok())
    expect(breakerOf(box).state).toMatchObject({ at: 'closed', ramp: 1 })
    expect(box.released()).toEqual([failing])
  })

  it('M4: its probe is saved at once, so that a rebuilt mailbox counts it (B2)', () => {
    const box = new Box({ policy: policyOf({}, { maxAttempts: 1 }) })
    box.run(box.put('dead'), retry())
    box.wait(hour)
    const probe = box.put('probe')
    expect(box.delivery(probe).releasedAtAccept).toBe(true)
    box.take([probe])
    expect(box.leaseOf(probe)?.saved).toBe(true)
  })

  it('the rest says that it waits for the probe, which is on its way', () => {
    const { box, ids } = opened()
    ringUntilHalfOpen(box)
    const waits = { status: 'parked', because: 'breaker: half open; the rest waits for what becomes of a probe' }
    expect(ids.map((id) => box.receipt(id).status)).toEqual(['queued', 'parked', 'parked'])
    expect(box.receipt(ids[1]!)).toMatchObject(waits)
    box.take()
    expect(ids.map((id) => box.receipt(id).status)).toEqual(['dispatched', 'parked', 'parked'])
  })

  it.each<[string, (box: Box, probe: string) => void]>([
    ['falls silent', (box) => box.tick(box.now + hour)],
    ['is cancelled', (box, probe) => box.step((draft, now) => cancel(draft, probe, box.stored, now))],
    ['found no connection slot', (box, probe) => box.settle(probe, unsent)],
    ['was asked for quiet', (box, probe) => box.settle(probe, hold(second))],
    [
      'fails of our own fault',
      (box, probe) => box.settle(probe, { kind: 'retry', error: { code: 'broker', message: 'x' } }),
    ],
  ])('B2: a probe that %s does not wedge it: another one goes', (_, ends) => {
    const { box } = opened()
    ringUntilHalfOpen(box)
    const [probe = 'none'] = box.released()
    box.take([probe])
    ends(box, probe)
    for (let rings = 0; box.released().length === 0 && rings < 20; rings++) box.tick(box.due())
    expect(box.released()).toHaveLength(1)
    box.run(box.released()[0]!, ok())
    expect(breakerOf(box).state.at).toBe('closed')
  })

  it('B2: a probe whose holder extends it is a success: whoever extends is alive', () => {
    const { box } = opened()
    ringUntilHalfOpen(box)
    const [probe = 'none'] = box.released()
    box.take([probe])
    box.step((draft, now) => extend(draft, probe, box.leaseOf(probe)?.token ?? '', 24 * hour, now))
    expect(breakerOf(box).state.at).toBe('closed')
    expect(box.released()).toHaveLength(1)
  })

  it('a 410 pauses the agent; once somebody resumes it, a probe goes', () => {
    const { box, ids } = opened()
    ringUntilHalfOpen(box)
    box.run(ids[0]!, gone)
    expect([box.receipt(ids[1]!).because, breakerOf(box).state.at]).toEqual([
      'paused: the webhook answered 410 Gone',
      'half_open',
    ])
    box.step(resume)
    expect(box.released()).toHaveLength(1)
  })
})

// --- what does not open it ------------------------------------------------------------------------------------------------

describe('the breaker stays closed', () => {
  it('M4: when the agent asks for quiet: all its mail is held, at no attempt, and goes on by itself', () => {
    const box = new Box({ policy: policyOf({}) })
    const [a, b] = [box.put('a'), box.put('b')]
    box.run(a, hold(10 * second))
    expect([breakerOf(box).state.at, box.released()]).toEqual(['closed', []])
    expect(box.receipt(b)).toMatchObject({
      status: 'parked',
      because: 'held: the agent asked for quiet until 2026-01-01T00:00:10.000Z',
      attempt: 0,
    })
    expect(box.due()).toBe(start + 10 * second)
    box.tick(box.due())
    expect(box.released().toSorted()).toEqual([a, b].toSorted())
    expect(box.receipt(a).attempt).toBe(0)
  })

  it.each<[string, Outcome]>([
    ['an answer that is about the message', fail()],
    ['410', gone],
    ['no slot', unsent],
    ['a 202', later],
  ])('after %s', (_, outcome) => {
    const box = new Box({ policy: policyOf({}, { ack: 'later' }) })
    box.run(box.put('a'), outcome)
    expect(breakerOf(box).state.at).toBe('closed')
  })

  it('after silence, which is the broker’s failure first', () => {
    const box = new Box({ policy: policyOf({}) })
    box.take([box.put('a')])
    for (let rings = 0; rings < 4; rings++) {
      box.tick(box.now + minute)
      box.take()
    }
    expect(breakerOf(box).state.at).toBe('closed')
  })

  it('for a pull agent, whatever it nacks', () => {
    const box = new Box({ kind: 'pull', policy: policyOf({}) })
    const ids = [box.put('a'), box.put('b')]
    for (const { delivery } of box.lease(1)) box.settle(delivery.id, retry(), { external: true })
    expect(breakerOf(box)).toBe(newGate.breaker)
    expect(box.lease(9).map((g) => g.delivery.id)).toEqual([ids[1]])
  })

  it('and an open one is no matter any more once the agent pulls', () => {
    const { box, ids } = opened()
    put(box, 'pull')
    expect(box.lease(9).map((g) => g.delivery.id)).toEqual(ids)
    expect(figuresOf(box.mailbox, box.now).parked).toBeUndefined()
  })
})

// --- people ---------------------------------------------------------------------------------------------------------------

describe('people', () => {
  const say = (box: Box, to: 'auto' | 'open' | 'closed') =>
    box.step((draft, now) => forceBreaker(draft, to, 'admin', now))

  it('force it open: everything parks, and nothing is due but the end of what waits too long', () => {
    const box = new Box()
    const id = box.put('a')
    say(box, 'open')
    expect([box.released(), box.due()]).toEqual([[], start + parkedMs])
    expect(box.receipt(id)).toMatchObject({
      status: 'parked',
      because: 'breaker: forced open by admin, until somebody closes it',
    })
    box.tick(start + 24 * hour)
    expect(box.released()).toEqual([])
    say(box, 'auto')
    expect(box.released()).toEqual([id])
  })

  it('force it closed: everything goes at once', () => {
    const { box, ids } = opened()
    say(box, 'closed')
    expect(box.released()).toEqual(ids)
  })

  it('pause for a while: it resumes by itself', () => {
    const box = new Box()
    box.step((draft, now) => pause(draft, 'lunch', 30 * second, now))
    const id = box.put('a')
    expect([box.released(), box.due()]).toEqual([[], start + 30 * second])
    box.tick(start + 30 * second - 1)
    expect(box.released()).toEqual([])
    box.tick(box.due())
    expect([box.released(), box.receipt(id).status]).toEqual([[id], 'queued'])
  })

  it('delete the agent: the next of its name inherits no breaker, no rate and no late report', () => {
    const { box, first, ids } = opened()
    ringUntilHalfOpen(box)
    box.take([ids[0]!])
    const token = box.leaseOf(ids[0]!)?.token ?? ''
    box.step((draft, now) => {
      abandon(draft, now)
      draft.agent = null
    })
    expect(box.mailbox.gate).toEqual(newGate)
    put(box, 'webhook', policyOf({}))
    for (const id of [first, ids[0]!]) box.settle(id, retry(), { token })
    expect(box.mailbox.gate).toEqual(newGate)
  })

  it('change the policy: it holds from then on', () => {
    const box = new Box({ policy: { concurrency: 1 } })
    const ids = [box.put('a'), box.put('b'), box.put('c'), box.put('d')]
    box.run(ids[0]!, retry())
    expect(breakerOf(box).state.at).toBe('closed')
    put(box, 'webhook', policyOf({ failureThreshold: 2, openSeconds: 5, probes: 2 }, { concurrency: 2 }))
    expect(box.released()).toHaveLength(2)
    box.run(ids[1]!, retry())
    expect(breakerOf(box).state).toMatchObject({ at: 'open', waitMs: 5 * second })
    box.tick(start + 5 * second)
    expect(box.released()).toHaveLength(2)
  })
})

// --- at_most_once ---------------------------------------------------------------------------------------------------------

describe('T17: at_most_once', () => {
  const begin = (box: Box, id: string) => box.step((draft, now) => beginFleeting(draft, id, false, now))
  const record = (box: Box, id: string, outcome: Outcome) =>
    box.step((draft, now) => recordFleeting(draft, incoming('x'), id, now, outcome, false, now))

  it('B1: is dropped behind an open breaker, which is said, and goes when its wait is over', () => {
    const { box } = opened([])
    const because = 'breaker: a failure; the last: answered 500; open until 2026-01-01T00:01:00.000Z'
    expect(begin(box, 'ada_x')).toEqual({ status: 'dropped', reason: because })
    expect(droppedBecause(box.mailbox.agent!, box.mailbox.gate, box.now)).toBe(because)
    box.wait(minute)
    expect(droppedBecause(box.mailbox.agent!, box.mailbox.gate, box.now)).toBeUndefined()
  })

  it('B2: is a probe like any other, and the only one if it was first', () => {
    const box = new Box({ policy: policyOf({}) })
    begin(box, 'ada_x')
    record(box, 'ada_x', retry())
    expect(breakerOf(box).state.at).toBe('open')
    box.wait(minute)
    expect(begin(box, 'ada_y').status).toBe('admitted')
    expect(begin(box, 'ada_z').status).toBe('busy')
    const id = box.put('a')
    expect([box.released(), box.take([id]).grants]).toEqual([[], []])
    record(box, 'ada_y', ok())
    expect([breakerOf(box).state.at, box.released()]).toEqual(['closed', [id]])
  })

  it('B2: one of which nobody is heard again does not wedge it', () => {
    const box = new Box({ policy: policyOf({}) })
    begin(box, 'ada_x')
    record(box, 'ada_x', retry())
    box.wait(minute)
    begin(box, 'ada_y')
    const id = box.put('a')
    box.tick(box.due())
    expect(breakerOf(box).history.at(-1)?.cause).toBe('a probe ended in silence')
    ringUntilHalfOpen(box)
    expect(box.released()).toEqual([id])
  })

  it('B3: one from before says nothing', () => {
    const box = new Box({ policy: policyOf({}) })
    begin(box, 'ada_x')
    begin(box, 'ada_y')
    record(box, 'ada_x', retry())
    const before = breakerOf(box)
    record(box, 'ada_y', ok())
    expect(breakerOf(box)).toBe(before)
  })

  it('holds the agent when it asks for quiet, and pauses it when it is gone', () => {
    const box = new Box()
    begin(box, 'ada_x')
    record(box, 'ada_x', hold(5 * second))
    expect(box.mailbox.agent?.heldUntil).toBe(start + 5 * second)
    box.wait(5 * second)
    begin(box, 'ada_y')
    record(box, 'ada_y', gone)
    expect(box.mailbox.agent?.paused?.reason).toBe('the webhook answered 410 Gone')
  })

  it('counts towards the rate', () => {
    const box = new Box({ policy: { rate: { limit: 2, perSeconds: 10 } } })
    expect(['x', 'y', 'z'].map((id) => begin(box, `ada_${id}`).status)).toEqual(['admitted', 'admitted', 'busy'])
    box.wait(10 * second)
    expect(begin(box, 'ada_z').status).toBe('admitted')
  })
})

// --- the rate -------------------------------------------------------------------------------------------------------------

describe('a rate', () => {
  it('releases what may begin within its period, and the rest when the alarm says so (TB8)', () => {
    const box = new Box({ policy: { rate: { limit: 2, perSeconds: 10 } } })
    const ids = ['a', 'b', 'c', 'd', 'e'].map((id) => box.put(id))
    expect(box.released()).toEqual(ids.slice(0, 2))
    box.take()
    for (const id of ids.slice(0, 2)) box.settle(id, ok())
    expect([box.released(), box.due()]).toEqual([[], start + 10 * second])
    box.tick(box.due())
    expect(box.released()).toEqual(ids.slice(2, 4))
  })

  it('a policy that came later holds for what is released already', () => {
    const box = new Box()
    const ids = ['a', 'b', 'c'].map((id) => box.put(id))
    put(box, 'webhook', { rate: { limit: 1, perSeconds: 10 } })
    expect(box.take(ids).grants).toHaveLength(1)
    box.tick(start + 10 * second)
    expect(box.take().grants).toHaveLength(1)
  })

  it('holds for a puller', () => {
    const box = new Box({ kind: 'pull', policy: { rate: { limit: 2, perSeconds: 10 } } })
    for (const id of ['a', 'b', 'c']) box.put(id)
    expect(box.lease(9)).toHaveLength(2)
    box.wait(10 * second - 1)
    expect(box.lease(9)).toHaveLength(0)
    box.wait(1)
    expect(box.lease(9)).toHaveLength(1)
  })

  it('in no window of its period do more begin, however takes, releases, strays and time fall', () => {
    const action = fc.oneof(
      fc.record({ kind: fc.constant('put' as const), n: fc.nat(3) }),
      fc.record({
        kind: fc.constant('take' as const),
        strays: fc.boolean(),
        outcome: fc.constantFrom(ok(), retry(), unsent),
      }),
      fc.record({ kind: fc.constant('tick' as const), ms: fc.constantFrom(0, 100, 900, 2_000, 6_000) }),
    )
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 3 }), fc.array(action, { maxLength: 60 }), (limit, actions) => {
        const box = new Box({ policy: { rate: { limit, perSeconds: 2 }, concurrency: 20, maxAttempts: 3 } })
        const begun: number[] = []
        let count = 0
        for (const one of actions) {
          if (one.kind === 'put') for (let n = 0; n <= one.n; n++) box.put(`m${count++}`)
          if (one.kind === 'tick') box.tick(box.now + one.ms)
          if (one.kind !== 'take') continue
          const { grants } = box.take(one.strays ? [...box.rows.keys()] : box.released())
          for (const { delivery } of grants) {
            begun.push(box.now)
            box.settle(delivery.id, one.outcome)
          }
        }
        for (const last of begun)
          expect(begun.filter((at) => last - 2 * second < at && at <= last).length).toBeLessThanOrEqual(limit)
      }),
    )
  })
})
