/** An agent comes back: what it wants of the mail that came meanwhile, and what becomes of the rest. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { awayOf } from '../../shared/away.ts'
import type { CatchUp } from '../../shared/catch-up-policy.ts'
import { foundBy, inherit, keepMail } from '../../shared/kept-mail.ts'
import { limits } from '../../shared/limits.ts'
import { agentOf, begin, inFlight } from '../../shared/mailbox.ts'
import { pause, resume } from '../../shared/upkeep.ts'
import { type AgentOptions, Box, hour, incoming, iso, minute, ok, retry, second, start } from './mailbox-fixtures.ts'
import { command, must, Walk, world } from './mailbox-walk.ts'

const pauseBox = (box: Box, untilMs?: number) => box.step((draft, now) => pause(draft, 'holiday', untilMs, now))
const resumeBox = (box: Box, wanted?: CatchUp, token = box.token()) =>
  box.step((draft, now) => resume(draft, now, token, wanted))

function awayBox(options: AgentOptions = {}): Box {
  const box = new Box(options)
  pauseBox(box)
  return box
}

const ends = (box: Box, ids: readonly string[]) =>
  ids.map((id) => (box.delivery(id).state.at === 'waiting' ? 'live' : box.receipt(id).because))
const skipped = 'skipped_on_catch_up'

describe('a call that resumes', () => {
  it('is known when it is repeated, also after another one, and then does nothing (A116)', () => {
    const box = awayBox()
    resumeBox(box, 'skip', 'one')
    resumeBox(box, undefined, 'two')
    pauseBox(box)
    const id = box.put('a')
    for (const token of ['one', 'two']) {
      resumeBox(box, 'skip', token)
      expect(box.receipt(id).status).toBe('parked')
    }
    for (let n = 0; n < limits.resumesRemembered; n++) resumeBox(box, 'all', `other ${n}`)
    expect(agentOf(begin(box.mailbox))?.resumeTokens).toHaveLength(limits.resumesRemembered)
  })
})

describe('an agent that comes back', () => {
  it('gets all of its mail, unless it says otherwise (A116)', () => {
    for (const wanted of [undefined, 'all' as const]) {
      const box = awayBox()
      const ids = [box.put('a'), box.put('b')]
      resumeBox(box, wanted)
      expect(box.released().sort()).toEqual([...ids].sort())
    }
  })

  it('with `skip` gets nothing that was due, and each receipt says why (A116)', () => {
    const box = awayBox()
    const [old, timed] = [box.put('old'), box.put('timed', { delivertime: iso(start + hour) })]
    box.wait(minute)
    resumeBox(box, 'skip')
    expect(ends(box, [old, timed])).toEqual([skipped, 'live'])
    expect(box.receipt(old)).toMatchObject({ status: 'cancelled', because: skipped })
    expect(box.receipt(old).steps.map((s) => s.step)).toEqual(['accepted', 'skipped', 'cancelled'])
    expect(box.mailbox.depth).toBe(1)
    const fresh = box.put('fresh')
    expect(box.released()).toEqual([fresh])
  })

  it('with `latest-per-key` gets the newest of each key, and all that has none (A116)', () => {
    const box = awayBox()
    const [a1, b1, free, a2] = [
      box.put('a1', { partitionkey: 'a' }),
      box.put('b1', { partitionkey: 'b' }),
      box.put('free'),
      box.put('a2', { partitionkey: 'a' }),
    ]
    resumeBox(box, 'latest-per-key')
    expect(ends(box, [a1, b1, free, a2])).toEqual([skipped, 'live', 'live', 'live'])
    expect(box.released().sort()).toEqual([b1, free, a2].sort())
  })

  it('with `sinceSeconds` gets what became due within that time (A116)', () => {
    const box = awayBox()
    const old = box.put('old')
    box.wait(minute)
    const young = box.put('young')
    box.wait(10 * second)
    resumeBox(box, { sinceSeconds: 30 })
    expect(ends(box, [old, young])).toEqual([skipped, 'live'])
  })

  it('whose pause is over by its time gets what its policy wants, before anything is leased (A116)', () => {
    for (const kind of ['webhook', 'pull'] as const) {
      const box = new Box({ kind, policy: { catchUp: 'skip' } })
      pauseBox(box, minute)
      const id = box.put('a')
      expect(box.due()).toBe(start + minute)
      box.wait(2 * minute)
      if (kind === 'pull') expect(box.lease(10)).toEqual([])
      else expect(box.take([id]).grants).toEqual([])
      expect(ends(box, [id])).toEqual([skipped])
      expect(box.mailbox.agent?.paused).toBeUndefined()
    }
  })

  it('whose breaker closes gets what its policy wants of what was parked (A116)', () => {
    const breaker = { failureThreshold: 1, openSeconds: 60 }
    const box = new Box({ policy: { concurrency: 1, catchUp: 'skip', breaker } })
    const [probe, old] = [box.put('probe'), box.put('old')]
    box.run(probe, retry())
    expect(box.mailbox.gate.breaker.state.at).toBe('open')
    box.tick(start + minute)
    expect(box.released()).toEqual([old])
    box.run(old, ok())
    expect(ends(box, [probe])).toEqual([skipped])
    expect(box.released()).toEqual([])
  })

  it('leaves what is in flight alone: its ack counts (M2)', () => {
    const box = new Box({ policy: { concurrency: 1 } })
    const [flying, waiting] = [box.put('flying'), box.put('waiting')]
    box.take([flying])
    pauseBox(box)
    resumeBox(box, 'skip')
    expect(ends(box, [flying, waiting])).toEqual(['live', skipped])
    expect(box.settle(flying, ok()).status).toBe('settled')
  })

  it('puts aside only once for one call, however often the platform repeats it', () => {
    const box = awayBox()
    box.put('old')
    resumeBox(box, 'skip', 'call')
    const fresh = box.put('fresh')
    resumeBox(box, 'skip', 'call')
    expect(ends(box, [fresh])).toEqual(['live'])
    resumeBox(box, 'skip', 'another')
    expect(ends(box, [fresh])).toEqual([skipped])
  })

  it('does not get by a late repeat what it did not want (A91)', () => {
    const box = awayBox()
    const id = box.put('old')
    resumeBox(box, 'skip')
    expect(box.accept([incoming('old')])).toEqual([{ status: 'duplicate', id }])
  })
})

describe('a long line', () => {
  it('is put aside so many at a step; until the end nothing goes, and the alarm goes on at once (M6, A116)', () => {
    const n = limits.catchUpPerStep + 3
    const box = awayBox({ policy: { depth: 2 * n } })
    const ids = Array.from({ length: n }, (_, i) => box.put(`m${i}`))
    const left = () => ends(box, ids).filter((end) => end === 'live').length
    resumeBox(box, 'skip')
    expect([left(), box.released(), box.due()]).toEqual([3, [], box.now])
    expect(box.mailbox.agent?.catchingUp).toEqual({ how: 'skip', from: box.now })
    const fresh = box.put('fresh')
    expect([left(), box.delivery(fresh).state.at]).toEqual([0, 'waiting'])
    expect(box.released()).toEqual([fresh])
    expect(box.mailbox.agent?.catchingUp).toBeUndefined()
  })

  it('law: whatever it wants, what it wants is all still live, in order, and the rest is cancelled with its reason', () => {
    const mail = fc.array(fc.record({ key: fc.constantFrom(undefined, 'a', 'b'), gap: fc.nat(60) }), { maxLength: 12 })
    const wish: fc.Arbitrary<CatchUp> = fc.oneof(
      fc.constantFrom('all' as const, 'latest-per-key' as const, 'skip' as const),
      fc.record({ sinceSeconds: fc.nat(120) }),
    )
    fc.assert(
      fc.property(mail, wish, (messages, how) => {
        const box = awayBox()
        const put = messages.map(({ key, gap }, i) => {
          box.wait(gap * second)
          return { id: box.put(`m${i}`, key === undefined ? {} : { partitionkey: key }), key, at: box.now }
        })
        resumeBox(box, how)
        const wanted = put.filter(({ key, at }, i) => {
          if (how === 'all') return true
          if (how === 'skip') return false
          if (how === 'latest-per-key') return key === undefined || !put.slice(i + 1).some((later) => later.key === key)
          return at >= box.now - how.sinceSeconds * second
        })
        expect(put.filter(({ id }) => box.delivery(id).state.at === 'waiting')).toEqual(wanted)
        for (const { id } of put) expect([undefined, 'live', skipped]).toContain(ends(box, [id])[0])
        expect(box.mailbox.depth).toBe(wanted.length)
      }),
    )
  })
})

describe('on every walk of a mailbox', () => {
  it('M1 M5 M6: whoever leaves, comes back or catches up in between, all that was accepted ends, and nothing too much is in flight', () => {
    const between = fc.oneof(
      fc.record({ wanted: fc.constantFrom<CatchUp[]>('all', 'skip', 'latest-per-key', { sinceSeconds: 1 }) }),
      fc.record({ goneMs: fc.constantFrom(0, 1_000, 70_000) }),
    )
    const steps = fc.array(fc.oneof({ weight: 6, arbitrary: command }, { weight: 1, arbitrary: between }), {
      minLength: 1,
      maxLength: 60,
      size: 'max',
    })
    fc.assert(
      fc.property(world, steps, fc.nat(5), (options, all, quiet) => {
        const walk = new Walk({ ...options, policy: { ...options.policy, catchUp: 'latest-per-key' } })
        const { box } = walk
        const law = () => {
          for (const id of walk.accepted) must(box.rows.has(id), () => `${id} was accepted and is unknown`)
          must(inFlight(begin(box.mailbox)) <= walk.policy.concurrency, () => 'M5: too many in flight')
          must(box.mailbox.depth <= walk.policy.depth, () => 'M5: too deep')
        }
        for (const one of all) {
          if ('wanted' in one) resumeBox(box, one.wanted)
          else if ('goneMs' in one) leaveAndReturn(box, one.goneMs)
          else walk.run(one)
          law()
        }
        walk.finish(quiet, law)
        for (const id of walk.accepted) must(box.delivery(id).state.at === 'ended', () => `M1: ${id} has not ended`)
      }),
    )
  })
})

function leaveAndReturn(box: Box, goneMs: number): void {
  const { agent } = box.mailbox
  box.step((draft, now) => keepMail(draft, 2 * minute, now))
  box.tick(box.now + goneMs)
  box.step((draft, now) => {
    const found = foundBy(draft, now)
    if (agent !== undefined && found === undefined) draft.agent = { ...agent, incarnation: `of ${now}` }
    if (agent !== undefined) inherit(draft, agentOf(draft) ?? agent, now)
  })
}

describe('away', () => {
  const away = (box: Box) => awayOf(box.mailbox.agent!, box.mailbox.gate, false, box.now)

  it('is since the pause, with its reason (A116)', () => {
    const box = new Box()
    box.wait(minute)
    pauseBox(box)
    box.wait(minute)
    expect(away(box)).toEqual({ since: iso(start + minute), why: 'paused: holiday' })
    resumeBox(box)
    expect(away(box)).toBeUndefined()
  })

  it('is since the breaker first opened, however often it was tried (A116)', () => {
    const box = new Box({ policy: { breaker: { failureThreshold: 1, openSeconds: 60 } } })
    const id = box.put('a')
    box.run(id, retry())
    box.tick(start + 2 * minute)
    box.run(id, retry())
    expect(away(box)).toMatchObject({ since: iso(start), why: expect.stringContaining('breaker') })
    expect(box.receipt(id).away?.since).toBe(iso(start))
  })
})
