/**
 * The breaker by itself: random walks that may take only steps of its table, and must take all of them; then each rule by its edge.
 * Never here: the mail behind it (test/shared/gate-mailbox.test.ts).
 */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  admits,
  type Breaker,
  type BreakerEvent,
  type BreakerPolicy,
  breakerDueAt,
  breakerPolicy,
  breakerSchema,
  breakerTable,
  defaultBreakerPolicy,
  elapse,
  force,
  movesOf,
  newBreaker,
  tell,
  type Verdict,
} from '../../shared/breaker.ts'
import { minute, second, start } from './mailbox-fixtures.ts'

const policyOf = (more: Partial<BreakerPolicy> = {}): BreakerPolicy => ({ ...defaultBreakerPolicy, ...more })
const success: Verdict = { kind: 'success' }
const silence: Verdict = { kind: 'silence' }
const failure = (retryAfterMs?: number): Verdict => ({
  kind: 'failure',
  cause: 'answered 500',
  ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
})

/** A breaker with a clock, told in its present epoch. */
class Told {
  now = start
  breaker: Breaker = newBreaker
  readonly policy: BreakerPolicy

  constructor(more: Partial<BreakerPolicy> = {}) {
    this.policy = policyOf(more)
  }

  tell(...verdicts: readonly Verdict[]): this {
    for (const verdict of verdicts)
      this.breaker = tell(this.breaker, this.policy, this.breaker.epoch, verdict, this.now)
    return this
  }

  /** Lets time pass, and the breaker notice. */
  wait(ms: number): this {
    this.now += ms
    this.breaker = elapse(this.breaker, this.now)
    return this
  }

  /** Until it is half open. */
  waitOver(): this {
    return this.wait((breakerDueAt(this.breaker) ?? this.now) - this.now)
  }

  force(to: Breaker['forced'], by = 'admin'): this {
    this.breaker = force(this.breaker, this.policy, to, by, this.now)
    return this
  }

  get at() {
    return this.breaker.state.at
  }

  get waitedMs() {
    return (breakerDueAt(this.breaker) ?? Number.NaN) - this.now
  }
}

const times = <T>(count: number, value: T): T[] => Array.from({ length: count }, () => value)

// --- walks --------------------------------------------------------------------------------------------------------------

interface Command {
  readonly event: BreakerEvent
  readonly ms: number
  readonly retryAfterMs: number | undefined
  /** How many epochs ago the delivery was admitted. */
  readonly age: number
}

const aCommand: fc.Arbitrary<Command> = fc.record({
  event: fc.oneof(
    { weight: 6, arbitrary: fc.constantFrom<BreakerEvent>('success', 'failure', 'failure', 'silence', 'time', 'time') },
    { weight: 1, arbitrary: fc.constantFrom<BreakerEvent>('force_open', 'force_closed', 'force_auto') },
  ),
  ms: fc.constantFrom(0, 1, 999, 1_000, 2_000, 5_000, 60_000),
  retryAfterMs: fc.option(fc.constantFrom(0, 500, 3_000), { nil: undefined }),
  age: fc.constantFrom(0, 0, 0, 1, 2),
})
const aPolicy: fc.Arbitrary<BreakerPolicy> = fc.record({
  failureThreshold: fc.integer({ min: 1, max: 4 }),
  openSeconds: fc.constantFrom(0.05, 1, 2),
  maxOpenSeconds: fc.constantFrom(0.05, 4),
  probes: fc.integer({ min: 1, max: 3 }),
  window: fc.record({
    seconds: fc.constantFrom(1, 60),
    minimum: fc.integer({ min: 2, max: 6 }),
    ratio: fc.constantFrom(0.01, 0.5, 1),
  }),
})
const aWalk = fc.tuple(aPolicy, fc.array(aCommand, { minLength: 1, maxLength: 60, size: 'max' }))

interface Step {
  readonly before: Breaker
  readonly after: Breaker
  readonly command: Command
  readonly now: number
}

function walk([policy, commands]: readonly [BreakerPolicy, readonly Command[]]): Step[] {
  let breaker = newBreaker
  let now = start
  return commands.map((command) => {
    const before = breaker
    if (command.event === 'time') now += command.ms
    breaker = take(breaker, policy, command, now)
    return { before, after: breaker, command, now }
  })
}

function take(breaker: Breaker, policy: BreakerPolicy, { event, age, retryAfterMs }: Command, now: number): Breaker {
  switch (event) {
    case 'success':
    case 'silence':
      return tell(breaker, policy, breaker.epoch - age, { kind: event }, now)
    case 'failure':
      return tell(breaker, policy, breaker.epoch - age, failure(retryAfterMs), now)
    case 'time':
      return elapse(breaker, now)
    case 'force_open':
      return force(breaker, policy, 'open', 'ada', now)
    case 'force_closed':
      return force(breaker, policy, 'closed', 'ada', now)
    case 'force_auto':
      return force(breaker, policy, 'auto', 'ada', now)
  }
}

const isReport = (event: BreakerEvent) => event === 'success' || event === 'failure' || event === 'silence'
const isLate = ({ command }: Step) => isReport(command.event) && command.age > 0

describe('on every walk', () => {
  it('each step is one of the table, and every cell of the table is taken', () => {
    const taken = new Set<string>()
    const cells = Object.entries(breakerTable).flatMap(([from, row]) =>
      Object.entries(row).flatMap(([event, tos]) => tos.map((to) => `${from} ${event} ${to}`)),
    )
    fc.assert(
      fc.property(aWalk, (given) => {
        for (const step of walk(given)) {
          if (isLate(step)) continue
          const cell = `${step.before.state.at} ${step.command.event} ${step.after.state.at}`
          expect(cells).toContain(cell)
          taken.add(cell)
        }
      }),
      { numRuns: 400, seed: 11 },
    )
    expect([...taken].toSorted()).toEqual(cells.toSorted())
  })

  it('B1: open, it admits nothing, until its time is over to the millisecond, and for as long as it is forced', () => {
    fc.assert(
      fc.property(aWalk, (given) => {
        for (const { after, now } of walk(given)) {
          if (after.state.at !== 'open') continue
          expect(admits(after, given[0])).toBe(0)
          const { until } = after.state
          expect(elapse(after, Math.max(now, until - 1)).state.at).toBe(
            now >= until && after.forced !== 'open' ? 'half_open' : 'open',
          )
          expect(elapse(after, until).state.at).toBe(after.forced === 'open' ? 'open' : 'half_open')
        }
      }),
    )
  })

  it('B2: half open, it admits its probes and no more; and if every probe is lost it probes again, for ever', () => {
    fc.assert(
      fc.property(aWalk, (given) => {
        const [policy] = given
        const steps = walk(given)
        for (const { after } of steps)
          if (after.state.at === 'half_open') expect(admits(after, policy)).toBe(policy.probes)
        const last = steps.at(-1)
        if (last === undefined || last.after.forced === 'open') return
        let { after: breaker, now } = last
        for (let lost = 0; lost < 5; lost++) {
          now = Math.max(now, breakerDueAt(breaker) ?? now)
          breaker = elapse(breaker, now)
          expect(admits(breaker, policy)).toBeGreaterThan(0)
          breaker = tell(breaker, policy, breaker.epoch, silence, now)
        }
      }),
    )
  })

  it('B3: a report of an older epoch changes nothing at all', () => {
    let late = 0
    fc.assert(
      fc.property(aWalk, (given) => {
        for (const step of walk(given)) {
          if (!isLate(step)) continue
          late += 1
          expect(step.after).toBe(step.before)
        }
      }),
    )
    expect(late).toBeGreaterThan(100)
  })

  it('the epoch counts moves; the history tells them, and people’s words, newest last, and is bounded (A72)', () => {
    fc.assert(
      fc.property(aWalk, (given) => {
        for (const { before, after } of walk(given)) {
          const moved = before.state.at !== after.state.at
          expect(after.epoch - before.epoch).toBe(moved ? 1 : 0)
          if (after.history === before.history) expect([moved, after.forced]).toEqual([false, before.forced])
          else expect(after.history.at(-1)).toMatchObject({ from: before.state.at, to: after.state.at })
          expect(after.history.length).toBeLessThanOrEqual(100)
        }
      }),
    )
  })

  it('is read back from storage as it was written', () => {
    fc.assert(
      fc.property(aWalk, (given) => {
        for (const { after } of walk(given))
          expect(breakerSchema.parse(JSON.parse(JSON.stringify(after)))).toEqual(after)
      }),
      { numRuns: 20 },
    )
  })
})

// --- closed -------------------------------------------------------------------------------------------------------------

describe('a closed breaker', () => {
  it('opens at the fifth failure in a row, not at the fourth (A68)', () => {
    const told = new Told().tell(...times(4, failure()))
    expect([told.at, told.breaker.state]).toEqual(['closed', { at: 'closed', failures: 4 }])
    told.tell(failure())
    expect(told.breaker.state).toEqual({ at: 'open', openedAt: start, until: start + minute, waitMs: minute })
    expect(told.breaker.history).toEqual([
      { at: start, from: 'closed', to: 'open', cause: '5 failures in a row; the last: answered 500' },
    ])
  })

  it('T5: counts failures afresh after a success', () => {
    const told = new Told({ window: { seconds: 60, minimum: 1_000, ratio: 1 } })
    for (let n = 0; n < 20; n++) told.tell(...times(4, failure()), success)
    expect(told.breaker.state).toEqual({ at: 'closed', failures: 0 })
    expect(told.tell(...times(4, failure())).at).toBe('closed')
    expect(told.tell(failure()).at).toBe('open')
  })

  it('opens when half of ten within a minute failed, though never two in a row (A68)', () => {
    const told = new Told().tell(...times(4, [success, failure()]).flat(), success)
    expect(told.at).toBe('closed')
    told.tell(failure())
    expect([told.at, told.breaker.history.at(-1)?.cause]).toEqual([
      'open',
      '5 of 10 failed within 60 s; the last: answered 500',
    ])
  })

  it('does not open for fewer than ten, nor for less than half', () => {
    const few = new Told().tell(success, ...times(4, [failure(), success]).flat())
    expect(few.breaker.window).toHaveLength(9)
    expect(few.at).toBe('closed')
    const healthy = new Told().tell(
      ...times(6, success),
      ...times(2, [failure(), success]).flat(),
      ...times(2, failure()),
    )
    expect([healthy.breaker.window.length, healthy.at]).toEqual([12, 'closed'])
  })

  it('forgets what ended a minute ago, to the millisecond', () => {
    const old = () => new Told().tell(...times(4, [success, failure()]).flat(), success)
    expect(
      old()
        .wait(minute - 1)
        .tell(failure()).at,
    ).toBe('open')
    expect(old().wait(minute).tell(failure()).at).toBe('closed')
  })

  it('is not opened by a success, whatever the ratio says', () => {
    const told = new Told({ failureThreshold: 10, window: { seconds: 60, minimum: 8, ratio: 0.5 } })
    told.tell(...times(7, failure()), success)
    expect(told.at).toBe('closed')
    expect(told.tell(failure()).at).toBe('open')
  })

  it('learns nothing from silence, which is the broker’s failure first', () => {
    const told = new Told().tell(...times(4, failure()))
    const before = told.breaker
    expect(told.tell(silence, silence).breaker).toBe(before)
  })

  it('can be opened by the ratio under every policy that is taken (because it remembers as many as one may ask for)', () => {
    const greatest = {
      ...defaultBreakerPolicy,
      failureThreshold: 1_000,
      window: { seconds: 3_600, minimum: 1_000, ratio: 1 },
    }
    expect(breakerPolicy.safeParse(greatest).success).toBe(true)
    const more = { ...greatest, window: { ...greatest.window, minimum: 1_001 } }
    expect(breakerPolicy.safeParse(more).success).toBe(false)
    const told = new Told({ ...greatest, window: { ...greatest.window, ratio: 0.999 } })
    expect(told.tell(success, ...times(998, failure())).at).toBe('closed')
    expect(told.tell(failure()).at).toBe('open')
  })

  it('remembers no more than a thousand ends', () => {
    const told = new Told().tell(...times(1_500, success))
    expect(told.breaker.window).toHaveLength(1_000)
  })
})

// --- open and half open ---------------------------------------------------------------------------------------------------

describe('an open breaker', () => {
  const opened = (more: Partial<BreakerPolicy> = {}, retryAfterMs?: number) =>
    new Told({ failureThreshold: 1, ...more }).tell(failure(retryAfterMs))

  it('T4: becomes half open when its time is over, and not a millisecond before (A36)', () => {
    expect(opened().wait(minute - 1).at).toBe('open')
    const half = opened().wait(minute)
    expect([half.at, half.breaker.epoch]).toEqual(['half_open', 2])
    expect(half.breaker.history.at(-1)).toEqual({
      at: start + minute,
      from: 'open',
      to: 'half_open',
      cause: 'the wait is over',
    })
  })

  it('T4: in half-open admits as many probes as its policy says, one unless told (A36)', () => {
    expect(admits(opened().waitOver().breaker, policyOf())).toBe(1)
    expect(admits(opened().waitOver().breaker, policyOf({ probes: 3 }))).toBe(3)
  })

  it('waits twice as long after each failed probe, up to the cap, and afresh once it was closed (A36, A69)', () => {
    const told = opened()
    const waits = times(7, 0).map(() => {
      const { waitedMs } = told
      told.waitOver().tell(failure())
      return waitedMs / second
    })
    expect(waits).toEqual([60, 120, 240, 480, 900, 900, 900])
    told.waitOver().tell(success).tell(failure())
    expect(told.waitedMs).toBe(minute)
  })

  it('waits no longer than the cap even at first', () => {
    const told = opened({ openSeconds: 10, maxOpenSeconds: 2 })
    expect(told.waitedMs).toBe(2 * second)
    expect(told.waitOver().tell(failure()).waitedMs).toBe(2 * second)
  })

  it.each([
    ['a longer Retry-After wins', 5 * minute, 5 * minute],
    ['a shorter one does not', 5 * second, minute],
  ])('%s', (_, askedMs, waitMs) => {
    expect(opened({}, askedMs).waitedMs).toBe(waitMs)
  })

  it('a Retry-After of a failed probe wins over the doubled wait too, and does not double itself (A69)', () => {
    const told = opened({}, 20 * minute)
    told.waitOver().tell(failure(10 * minute))
    expect(told.waitedMs).toBe(10 * minute)
    told.waitOver().tell(failure())
    expect(told.waitedMs).toBe(4 * minute)
  })

  it('learns nothing while it is open', () => {
    const told = opened()
    const before = told.breaker
    expect(told.tell(success, failure(), silence).breaker).toBe(before)
  })
})

describe('a half-open breaker', () => {
  const half = () => new Told({ failureThreshold: 1 }).tell(failure()).waitOver()

  it('is closed by a probe that succeeds', () => {
    const told = half().tell(success)
    expect(told.breaker.state).toEqual({ at: 'closed', failures: 0, ramp: 1 })
    expect(told.breaker.history.map((h) => h.cause).slice(1)).toEqual(['the wait is over', 'a probe succeeded'])
  })

  it('opens again by a probe that fails, and says of what', () => {
    expect(half().tell(failure()).breaker.history.at(-1)?.cause).toBe('a probe failed: answered 500')
  })

  it('B2: opens again by a probe that ends in silence, and waits no longer than before', () => {
    const told = half().tell(silence)
    expect([told.at, told.waitedMs, told.breaker.history.at(-1)?.cause]).toEqual([
      'open',
      minute,
      'a probe ended in silence',
    ])
    expect(told.waitOver().tell(failure()).waitedMs).toBe(2 * minute)
  })

  it('B3: of several probes the first decides; the others are of an older epoch', () => {
    const told = half()
    const { epoch } = told.breaker
    told.tell(success)
    const before = told.breaker
    expect(tell(before, told.policy, epoch, failure(), told.now)).toBe(before)
  })

  it('ramps up: 1, 2, 4, … in flight, doubling with each success, until there is no limit (A36)', () => {
    const told = half().tell(success)
    const seen = times(12, 0).map(() => {
      const admitted = admits(told.breaker, told.policy)
      told.tell(success)
      return admitted
    })
    expect(seen).toEqual([1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1_024, Number.POSITIVE_INFINITY])
    expect(told.breaker.state).toEqual({ at: 'closed', failures: 0 })
  })

  it('a failure on the ramp counts as one, and the ramp waits', () => {
    const told = half().tell(success, success)
    told.breaker = tell(told.breaker, policyOf(), told.breaker.epoch, failure(), told.now)
    expect(told.breaker.state).toEqual({ at: 'closed', failures: 1, ramp: 2 })
  })

  it('opens afresh from the ramp, without the failures from before the outage in its window', () => {
    const told = new Told({ failureThreshold: 3 })
      .tell(...times(3, failure()))
      .waitOver()
      .tell(success)
    expect(told.breaker.window).toEqual([])
  })
})

// --- a person's word ------------------------------------------------------------------------------------------------------

describe('a person’s word', () => {
  it('open: nothing goes, however long, until another word is said', () => {
    const told = new Told().force('open').wait(24 * 60 * minute)
    expect([told.at, admits(told.breaker, told.policy), breakerDueAt(told.breaker)]).toEqual(['open', 0, undefined])
    expect(told.force('auto').wait(0).at).toBe('half_open')
  })

  it('open: said of a breaker that is open, it keeps it open past its time', () => {
    const told = new Told({ failureThreshold: 1 }).tell(failure()).force('open').wait(minute)
    expect([told.at, told.breaker.epoch]).toEqual(['open', 1])
  })

  it('closed: everything goes at once, and nothing that comes back counts', () => {
    const told = new Told({ failureThreshold: 1 }).tell(failure()).force('closed')
    expect([told.at, admits(told.breaker, told.policy)]).toEqual(['closed', Number.POSITIVE_INFINITY])
    expect(told.tell(...times(50, failure())).at).toBe('closed')
    expect(told.force('auto').tell(failure()).at).toBe('open')
  })

  it('closed: there is no ramp, not even one that was begun', () => {
    const told = new Told({ failureThreshold: 1 }).tell(failure()).waitOver().tell(success)
    expect(admits(told.breaker, told.policy)).toBe(1)
    expect(admits(told.force('closed').breaker, told.policy)).toBe(Number.POSITIVE_INFINITY)
  })

  it('B3: a probe that is out when somebody speaks is of an older epoch', () => {
    const told = new Told({ failureThreshold: 1 }).tell(failure()).waitOver()
    const { epoch } = told.breaker
    told.force('open')
    const before = told.breaker
    expect(tell(before, told.policy, epoch, success, told.now)).toBe(before)
  })

  it('is in the history with who said it, once, also where it moves nothing', () => {
    const told = new Told().force('auto').force('closed', 'ada').force('closed', 'ada').force('open').force('auto')
    expect(told.breaker.history.map((h) => [h.from, h.to, h.cause])).toEqual([
      ['closed', 'closed', 'forced closed by ada'],
      ['closed', 'open', 'forced open by admin'],
      ['open', 'open', 'left to itself by admin'],
    ])
  })
})

describe('the history', () => {
  it('gives each move the epoch that it began, whatever people said in between that moved nothing', () => {
    fc.assert(
      fc.property(aWalk, (given) => {
        const began: number[] = []
        for (const { before, after } of walk(given)) {
          if (after.epoch > before.epoch) began.push(after.epoch)
          const moves = movesOf(after)
          expect(moves.map(({ epoch }) => epoch)).toEqual(moves.length === 0 ? [] : began.slice(-moves.length))
          if (before.history.length < 100 && after.epoch > before.epoch)
            expect(moves.at(-1)).toMatchObject({ from: before.state.at, to: after.state.at })
        }
      }),
    )
    const told = new Told().force('open').force('auto')
    expect(movesOf(told.breaker).map(({ to, epoch }) => [to, epoch])).toEqual([['open', told.breaker.epoch]])
  })

  it('keeps the last hundred, with causes that are cut to what an operator reads (A72)', () => {
    const told = new Told({ failureThreshold: 1, openSeconds: 1, maxOpenSeconds: 1 })
    const long: Verdict = { kind: 'failure', cause: 'x'.repeat(5_000) }
    for (let n = 0; n < 80; n++) told.tell(long).waitOver()
    expect(told.breaker.history).toHaveLength(100)
    expect(told.breaker.history.at(-1)).toMatchObject({ at: told.now, to: 'half_open' })
    expect(Math.max(...told.breaker.history.map((h) => h.cause.length))).toBe(300)
  })
})
