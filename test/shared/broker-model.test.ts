/**
 * The pure mailbox, held against the model of a broker (broker-model.ts): the same commands, the same answers, the same standing
 * after each of them. `MODEL_RUNS=<n>` tells more stories, `MODEL_SEED=<n>` others. Never here: the real object (test/workers/).
 */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type Delivery, isLive } from '../../shared/delivery.ts'
import { extend } from '../../shared/extend.ts'
import type { Outcome } from '../../shared/outcome.ts'
import { cancel, forceBreaker, pause, resume } from '../../shared/upkeep.ts'
import {
  type AnyCommand,
  anyCommand,
  type RealBroker,
  type Standing,
  stories,
  storyOf,
  tellBoth,
} from './broker-commands.ts'
import type { Breaker, ModelPolicy, Report, Wanted } from './broker-model.ts'
import { Box, fail, gone, hold, incoming, iso, ok, retry, second, start, unsent } from './mailbox-fixtures.ts'

const runs = Number(process.env.MODEL_RUNS ?? 400)
const seed = Number(process.env.MODEL_SEED ?? 6_000)

const policies: fc.Arbitrary<ModelPolicy> = fc.record({
  kind: fc.constantFrom('pull' as const, 'webhook' as const, 'webhook' as const),
  depth: fc.constantFrom(2, 10, 20),
  maxAttempts: fc.integer({ min: 1, max: 4 }),
  concurrency: fc.integer({ min: 1, max: 4 }),
  // What follows of a timeout of one second (shared/policy.ts).
  leaseMs: fc.constant(2 * second),
  dedupeMs: fc.constantFrom(second, 3_600 * second),
  backoffMs: fc.constant(second),
  failureThreshold: fc.constantFrom(1, 1, 3),
  openMs: fc.constant(2 * second),
  maxOpenMs: fc.constantFrom(2 * second, 6 * second),
  probes: fc.integer({ min: 1, max: 2 }),
})

/** The pure machines, as the object runs them. */
class PureBroker implements RealBroker {
  readonly #box: Box
  readonly #ids: string[] = []
  readonly #tokens = new Map<string, string>()

  constructor(policy: ModelPolicy) {
    const { kind, depth, maxAttempts, concurrency, dedupeMs, failureThreshold, openMs, maxOpenMs, probes } = policy
    this.#box = new Box({
      kind,
      policy: {
        ...{ depth, maxAttempts, concurrency, timeoutSeconds: 1, dedupeSeconds: dedupeMs / second },
        breaker: {
          ...{ failureThreshold, openSeconds: openMs / second, maxOpenSeconds: maxOpenMs / second, probes },
          // The model counts failures in a row, and nothing else.
          window: { seconds: 1, minimum: 1_000, ratio: 1 },
        },
      },
    })
  }

  publish(wanted: readonly Wanted[]): string[] {
    const { now } = this.#box
    const admissions = this.#box.accept(
      wanted.map(({ key, content, partition, priority, delayMs, lifeMs, exactlyOnce }) =>
        incoming(key, {
          ...{ data: content, priority },
          ...(exactlyOnce ? { deliverymode: 'exactly_once' as const } : {}),
          ...(partition === undefined ? {} : { partitionkey: partition }),
          ...(delayMs === undefined ? {} : { delivertime: iso(now + delayMs) }),
          ...(lifeMs === undefined ? {} : { expirytime: iso(now + (delayMs ?? 0) + lifeMs) }),
        }),
      ),
    )
    return admissions.map((admission) => {
      if (admission.status === 'full') return `full ${admission.depth} of ${admission.max}`
      if (!('id' in admission)) return admission.status
      if (admission.status === 'accepted') this.#ids.push(admission.id)
      return `${admission.status} ${this.#ids.indexOf(admission.id)}`
    })
  }

  pull(max: number, leaseMs: number): number[] {
    return this.#noted(this.#box.lease(max, leaseMs))
  }

  take(names: readonly number[], alone: boolean): number[] {
    return this.#noted(
      this.#box.take(
        names.map((name) => this.#id(name)),
        undefined,
        alone,
      ).grants,
    )
  }

  #noted(
    grants: readonly {
      readonly delivery: Delivery
      readonly lease: { readonly number: number; readonly token: string }
    }[],
  ) {
    return grants.map(({ delivery, lease }) => {
      this.#tokens.set(`${delivery.id} ${lease.number}`, lease.token)
      return this.#ids.indexOf(delivery.id)
    })
  }

  #id(name: number): string {
    return this.#ids[name] ?? 'ada_nobody'
  }

  report(name: number, n: number, report: Report, ours: boolean, pauseMs?: number): string {
    const id = this.#id(name)
    const token = this.#tokens.get(`${id} ${n}`) ?? 'none'
    const settled = this.#box.settle(id, outcomeOf(report, pauseMs), { token, external: !ours })
    return settled.status === 'already_settled' ? `already_settled ${settled.ended}` : settled.status
  }

  extend(name: number, n: number, leaseMs: number): string {
    const id = this.#id(name)
    const token = this.#tokens.get(`${id} ${n}`) ?? 'none'
    return this.#box.step((draft, now) => extend(draft, id, token, leaseMs, now)).status
  }

  carry(name: number): void {
    this.#box.carried(this.#id(name), [{ n: 1, state: { status: 'carried', deliveries: ['bob_1'] } }])
  }

  cancel(name: number): string {
    const { status, ...more } = this.#box.step((draft, now) => cancel(draft, this.#id(name), this.#box.stored, now))
    return 'ended' in more ? `${status} ${more.ended}` : status
  }

  redrive(name: number): string {
    return this.#box.redrive(this.#id(name)).status
  }

  pause(): void {
    this.#box.step((draft, now) => pause(draft, 'a test', undefined, now))
  }

  resume(): void {
    this.#box.step(resume)
  }

  force(to: Breaker['forced']): void {
    this.#box.step((draft, now) => forceBreaker(draft, to, 'a test', now))
  }

  clock(now: number): void {
    this.#box.now = start + now
    this.#box.tick()
  }

  restart(): void {
    const { mailbox } = this.#box
    this.#box.mailbox = { ...mailbox, releases: new Map(), chores: new Map() }
    this.#box.step(() => undefined)
  }

  standing(): Standing {
    const { mailbox } = this.#box
    const { breaker } = mailbox.gate
    return {
      items: this.#ids.map((id) => {
        const { state, attempt, dueAt } = this.#box.delivery(id)
        const waiting = this.#box.leaseOf(id) === undefined ? 'waiting' : 'leased'
        return { status: state.at === 'ended' ? state.status : waiting, attempt, dueAt: dueAt - start }
      }),
      depth: mailbox.depth,
      released: this.#box.released().map((id) => this.#ids.indexOf(id)),
      breaker: { at: breaker.state.at, forced: breaker.forced, epoch: breaker.epoch },
      wakesAt: this.#wakesAt(),
    }
  }

  #wakesAt(): number | undefined {
    const due = this.#box.due()
    return due === undefined ? undefined : due - start
  }

  /** Live in memory is what is live in storage. */
  get isWhole(): boolean {
    return [...this.#box.rows.values()].filter(isLive).every((row) => this.#box.mailbox.live.get(row.id) === row)
  }
}

function outcomeOf(report: Report, pauseMs: number | undefined): Outcome {
  switch (report) {
    case 'ok':
      return ok()
    case 'ok_with_effects':
      return ok(undefined, { messages: [{ to: 'bob', type: 'next' }] })
    case 'retry':
      return retry(pauseMs === undefined ? {} : { delayMs: pauseMs })
    case 'fail':
      return fail()
    case 'hold':
      return hold(pauseMs ?? 0)
    case 'gone':
      return gone
    case 'unsent':
      return unsent
  }
}

describe('whatever is done to it', () => {
  it('M1 M2 M3 M4 M5 M6 B1 B2 B3: the mailbox answers and stands as the model of it does (A102)', async () => {
    await fc.assert(
      fc.asyncProperty(policies, stories(anyCommand, 120), async (policy, story) => {
        const real = new PureBroker(policy)
        await tellBoth(policy, real, story)
        expect(real.isWhole).toBe(true)
      }),
      { numRuns: runs, seed },
    )
  }, 900_000)
})

describe('stories that once told them apart', () => {
  const policy: ModelPolicy = {
    ...{ kind: 'webhook', depth: 2, maxAttempts: 1, concurrency: 1, leaseMs: 2 * second, dedupeMs: second },
    ...{ backoffMs: second, failureThreshold: 1, openMs: 2 * second, maxOpenMs: 2 * second, probes: 1 },
  }
  const one: Wanted = { key: 'k', content: 0, priority: 4, exactlyOnce: false }
  const publish: AnyCommand = { kind: 'publish', wanted: [one] }
  const take: AnyCommand = { kind: 'take', what: 'released', names: [0], alone: false }
  const report = (report: Report, pauseMs?: number): AnyCommand => ({
    ...{ kind: 'report', which: 0, report, lease: 'held', ours: true, pauseMs },
  })

  it.each<[string, readonly AnyCommand[]]>([
    [
      'a delivery that asked for quiet, and then found no slot, goes at once when somebody resumes its agent',
      [publish, take, report('hold', 0), take, report('unsent'), { kind: 'resume' }],
    ],
    [
      'a clock that steps back wakes nothing earlier, and nothing too late',
      [{ kind: 'publish', wanted: [{ ...one, delayMs: 5_000 }] }, { kind: 'clock', ms: -5_000 }, { kind: 'ring' }],
    ],
  ])('%s', async (_, commands) => {
    const real = new PureBroker(policy)
    await tellBoth(policy, real, storyOf(commands))
    expect(real.standing().items).toHaveLength(1)
  })

  it('a delivery that asked for quiet goes at once when somebody resumes its agent, though the clock stepped back meanwhile', async () => {
    const pulled: ModelPolicy = { ...policy, kind: 'pull' }
    const real = new PureBroker(pulled)
    const pull: AnyCommand = { kind: 'pull', max: 1, leaseMs: 500 }
    const hold: AnyCommand = { kind: 'report', which: 0, report: 'hold', lease: 'held', ours: false, pauseMs: 0 }
    await tellBoth(pulled, real, storyOf([publish, pull, hold, { kind: 'clock', ms: -1 }, { kind: 'resume' }, pull]))
    expect(real.standing().items).toHaveLength(1)
  })
})
