/**
 * Random commands for a broker, each told to the model (broker-model.ts) and to a real one; after each of them both must have
 * answered the same, and stand the same. Never here: what a real one is made of (broker-model.test.ts, test/workers/).
 */
import fc from 'fast-check'
import { type Breaker, BrokerModel, type ModelPolicy, type Report, type Wanted } from './broker-model.ts'

/** How a broker stands, as far as a real one can be asked: what it leaves out is not compared. */
export interface Standing {
  readonly items: readonly { readonly status: string; readonly attempt: number; readonly dueAt?: number }[]
  readonly depth: number
  readonly released?: readonly number[]
  readonly breaker?: { readonly at: string; readonly forced: string; readonly epoch: number }
  /** When it will wake by itself: never later than it has to (M6). */
  readonly wakesAt?: number | undefined
}

type Soon<T> = T | Promise<T>

/** A real broker. Items are named as the model names them, by the order of their acceptance. */
export interface RealBroker {
  publish(wanted: readonly Wanted[]): Soon<readonly string[]>
  pull(max: number, leaseMs: number): Soon<readonly number[]>
  take(names: readonly number[], alone: boolean): Soon<readonly number[]>
  report(name: number, n: number, report: Report, ours: boolean, pauseMs?: number): Soon<string>
  extend(name: number, n: number, leaseMs: number): Soon<string>
  carry(name: number): Soon<void>
  cancel(name: number): Soon<string>
  redrive(name: number): Soon<string>
  pause(): Soon<void>
  resume(): Soon<void>
  force(to: Breaker['forced']): Soon<void>
  clock(now: number): Soon<void>
  restart(): Soon<void>
  standing(): Soon<Standing>
}

// --- the commands -----------------------------------------------------------------------------------------------------

const reports = [
  'ok',
  'ok',
  'ok',
  'ok_with_effects',
  'retry',
  'retry',
  'retry',
  'fail',
  'hold',
  'gone',
  'unsent',
] as const
const ms: fc.Arbitrary<number> = fc.constantFrom(0, 1, 500, 1_000, 2_000, 5_000, 70_000)
const optional = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: undefined })
/** One of whatever there is by then. */
const which = fc.nat(11)

const kind = <K extends string>(name: K) => fc.constant(name)

const wanted: fc.Arbitrary<Wanted> = fc.record({
  key: fc.nat(9).map((n) => `key-${n}`),
  content: fc.constantFrom(0, 0, 0, 1),
  partition: optional(fc.constantFrom('left', 'right')),
  priority: fc.constantFrom(4, 4, 4, 0, 9),
  delayMs: optional(ms),
  lifeMs: fc.option(
    ms.map((life) => life + 1),
    { nil: undefined, freq: 8 },
  ),
  exactlyOnce: fc.constantFrom(false, false, false, true),
})
/** Over HTTP all of a message is its content: here only `content` makes two of one key different. */
const sameByKey: fc.Arbitrary<Wanted> = fc
  .record({ n: fc.nat(9), content: fc.constantFrom(0, 0, 0, 1) })
  .map(({ n, content }) => ({
    ...{ key: `key-${n}`, content, exactlyOnce: n === 2 },
    partition: n < 4 ? 'left' : n < 6 ? 'right' : undefined,
    priority: n % 3 === 0 ? 4 : n,
    delayMs: n === 9 ? 3_600_000 : undefined,
  }))

const publish = (one: fc.Arbitrary<Wanted>) =>
  fc.record({ kind: kind('publish'), wanted: fc.array(one, { minLength: 1, maxLength: 3 }) })
const cancel = fc.record({ kind: kind('cancel'), which })
const redrive = fc.record({ kind: kind('redrive'), which })
const people = fc.constantFrom<{ kind: 'pause' } | { kind: 'resume' }>(
  { kind: 'pause' },
  ...Array.from({ length: 4 }, () => ({ kind: 'resume' as const })),
)
const restart = fc.record({ kind: kind('restart') })
const pull = (leaseMs: fc.Arbitrary<number>) =>
  fc.record({ kind: kind('pull'), max: fc.integer({ min: 1, max: 4 }), leaseMs })

/** Everything, with a clock that goes as it is told. */
export const anyCommand = fc.oneof(
  { weight: 8, arbitrary: publish(wanted) },
  { weight: 10, arbitrary: pull(fc.constantFrom(500, 2_000, 60_000)) },
  {
    weight: 12,
    arbitrary: fc.record({
      kind: kind('take'),
      // What is on its way; or references of before, doubled and late.
      what: fc.constantFrom('released' as const, 'released' as const, 'released' as const, 'strays' as const),
      names: fc.array(which, { minLength: 1, maxLength: 4 }),
      alone: fc.boolean(),
    }),
  },
  {
    weight: 20,
    arbitrary: fc.record({
      kind: kind('report'),
      which,
      report: fc.constantFrom<Report>(...reports),
      lease: fc.constantFrom<'held' | 'any'>('held', 'held', 'held', 'held', 'any'),
      ours: fc.boolean(),
      pauseMs: optional(ms),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: kind('extend'), which, leaseMs: ms }) },
  { weight: 4, arbitrary: fc.record({ kind: kind('carry'), which }) },
  { weight: 1, arbitrary: cancel },
  { weight: 2, arbitrary: redrive },
  { weight: 2, arbitrary: people },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: kind('force'),
      to: fc.constantFrom<Breaker['forced']>('auto', 'auto', 'open', 'closed'),
    }),
  },
  { weight: 4, arbitrary: fc.record({ kind: kind('ring') }) },
  { weight: 3, arbitrary: fc.record({ kind: kind('clock'), ms }) },
  { weight: 1, arbitrary: fc.record({ kind: kind('clock'), ms: fc.constantFrom(-1, -700, -5_000) }) },
  { weight: 1, arbitrary: restart },
)
export type AnyCommand = typeof anyCommand extends fc.Arbitrary<infer T> ? T : never

/** What a puller, a publisher and an operator can do over HTTP while the clock hardly moves. */
export const httpCommand: fc.Arbitrary<AnyCommand> = fc.oneof(
  { weight: 6, arbitrary: publish(sameByKey) },
  { weight: 5, arbitrary: pull(fc.constant(600_000)) },
  {
    weight: 7,
    arbitrary: fc.record({
      kind: kind('report'),
      which,
      report: fc.constantFrom('ok' as const, 'ok' as const, 'retry' as const, 'retry' as const, 'fail' as const),
      lease: fc.constantFrom('held' as const, 'held' as const, 'held' as const, 'any' as const),
      ours: fc.constant(false),
      pauseMs: fc.constantFrom<number>(0, 0, 3_600_000),
    }),
  },
  { weight: 1, arbitrary: cancel },
  { weight: 2, arbitrary: redrive },
  { weight: 2, arbitrary: people },
  { weight: 2, arbitrary: restart },
)

// --- holding one against the other ------------------------------------------------------------------------------------

class Told implements fc.AsyncCommand<BrokerModel, RealBroker> {
  readonly #one: AnyCommand

  constructor(one: AnyCommand) {
    this.#one = one
  }

  /** Can it be told at all? Of a shrunk story some cannot any more. */
  check(model: Readonly<BrokerModel>): boolean {
    const { kind } = this.#one
    if (kind === 'pull' || kind === 'take' || kind === 'force')
      if ((kind === 'pull') !== (model.policy.kind === 'pull')) return false
    if (this.#one.kind === 'take') return (this.#one.what === 'released' ? model.released : model.items).length > 0
    if (this.#one.kind === 'report') return leasesOf(model, this.#one.lease === 'held').length > 0
    if (kind === 'extend') return leasesOf(model, true).length > 0
    if (kind === 'pull') return !model.paused
    if (kind === 'carry') return model.items.some((i) => i.effectsOpen)
    if (kind === 'redrive') return model.items.some((i) => i.status === 'dead_lettered' || i.status === 'expired')
    if (kind === 'ring') return model.nextAt() !== undefined
    return kind !== 'cancel' || model.items.length > 0
  }

  async run(model: BrokerModel, real: RealBroker): Promise<void> {
    const [expected, actual] = this.#tell(model, real)
    const answer = await actual
    same('answered', expected ?? null, answer ?? null)
    model.settleDown()
    compare(model, await real.standing())
  }

  #tell(model: BrokerModel, real: RealBroker): readonly [unknown, unknown] {
    const one = this.#one
    const any = (n: number) => n % model.items.length
    switch (one.kind) {
      case 'publish':
        return [model.publish(one.wanted), real.publish(one.wanted)]
      case 'pull':
        return [model.pull(one.max, one.leaseMs), real.pull(one.max, one.leaseMs)]
      case 'take': {
        const names = one.what === 'released' ? [...model.released] : [...new Set(one.names.map(any))]
        const alone = one.alone && names.length === 1
        return [model.take(names, alone), real.take(names, alone)]
      }
      case 'report': {
        const held = leasesOf(model, true)
        const leases = one.lease === 'held' ? held : leasesOf(model, false)
        const [name, n] = leases[one.which % leases.length] ?? [0, 1]
        const pauseMs = one.report === 'retry' || one.report === 'hold' ? one.pauseMs : undefined
        const kind = one.report === 'hold' && pauseMs === undefined ? 'unsent' : one.report
        return [model.report(name, n, kind, one.ours, pauseMs), real.report(name, n, kind, one.ours, pauseMs)]
      }
      case 'extend': {
        const leases = leasesOf(model, true)
        const [name, n] = leases[one.which % leases.length] ?? [0, 1]
        return [model.extend(name, n, one.leaseMs), real.extend(name, n, one.leaseMs)]
      }
      case 'carry': {
        const open = [...model.items.keys()].filter((name) => model.items[name]?.effectsOpen)
        const name = open[one.which % open.length] ?? 0
        return [model.carry(name), real.carry(name)]
      }
      case 'cancel':
        return [model.cancel(any(one.which)), real.cancel(any(one.which))]
      case 'redrive': {
        const dead = [...model.items.keys()].filter((n) =>
          ['dead_lettered', 'expired'].includes(model.items[n]?.status ?? ''),
        )
        const name = dead[one.which % dead.length] ?? 0
        return [model.redrive(name), real.redrive(name)]
      }
      case 'pause':
        return [model.pause(), real.pause()]
      case 'resume':
        return [model.resume(), real.resume()]
      case 'force':
        return [model.force(one.to), real.force(one.to)]
      case 'ring':
      case 'clock': {
        const now = one.kind === 'ring' ? (model.nextAt() ?? model.now) : model.now + one.ms
        return [model.clock(now), real.clock(now)]
      }
      case 'restart':
        return [model.restart(), real.restart()]
    }
  }

  toString(): string {
    return JSON.stringify(this.#one)
  }
}

/** Leases that there were, by item and number; those in force, or all. */
function leasesOf(model: Readonly<BrokerModel>, held: boolean): [number, number][] {
  return model.items.flatMap(({ lease, leases }, name): [number, number][] => {
    if (held) return lease === undefined ? [] : [[name, lease.n]]
    return Array.from({ length: leases }, (_, n) => [name, n + 1])
  })
}

function compare(model: BrokerModel, real: Standing): void {
  same('depth', model.depth(), real.depth)
  for (const [name, item] of model.items.entries()) {
    const is = real.items[name]
    same(`item ${name}`, [item.status, item.attempt], [is?.status, is?.attempt])
    if (item.status === 'waiting' && is?.dueAt !== undefined) same(`item ${name} is due`, item.dueAt, is.dueAt)
  }
  if (real.released !== undefined) same('released', model.released.toSorted(byNumber), real.released.toSorted(byNumber))
  const { at, forced, epoch } = model.breaker
  if (real.breaker !== undefined) same('breaker', { at, forced, epoch }, real.breaker)
  if (!('wakesAt' in real)) return
  const next = model.nextAt()
  const isLate = next !== undefined && (real.wakesAt === undefined || real.wakesAt > Math.max(next, model.now))
  if (isLate) throw new Error(`M6: it has to wake at ${next} and wakes at ${real.wakesAt}`)
}

const byNumber = (a: number, b: number) => a - b

function same(what: string, expected: unknown, actual: unknown): void {
  const [e, a] = [JSON.stringify(expected), JSON.stringify(actual)]
  if (e !== a) throw new Error(`${what}: the model says ${e}, the broker ${a}`)
}

/** Stories of up to `length` commands. */
export const stories = (one: fc.Arbitrary<AnyCommand>, length: number) =>
  fc.commands([one.map((command) => new Told(command))], { maxCommands: length, size: 'max' })

/** Tells one story to both. Rejects at the first difference. */
export async function tellBoth(
  policy: ModelPolicy,
  real: RealBroker,
  story: Iterable<fc.AsyncCommand<BrokerModel, RealBroker>>,
): Promise<void> {
  await fc.asyncModelRun(() => ({ model: new BrokerModel(policy), real }), story)
}

/** A story that once told them apart, by its commands. */
export const storyOf = (commands: readonly AnyCommand[]) => commands.map((command) => new Told(command))
