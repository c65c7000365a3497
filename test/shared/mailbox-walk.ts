/**
 * Random walks through the pure mailbox: messages of every kind, attempts of every outcome, people, lost memory, and time. Never
 * here: what must hold on the way (mailbox.test.ts).
 */
import fc from 'fast-check'
import { type Delivery, hasOpenJournal } from '../../shared/delivery.ts'
import { extend } from '../../shared/extend.ts'
import { beginFleeting } from '../../shared/fleeting.ts'
import type { Lease } from '../../shared/lease.ts'
import type { Outcome } from '../../shared/outcome.ts'
import type { PolicyInput } from '../../shared/policy.ts'
import { buried, cancel, pause, purge, resume, type Tick } from '../../shared/upkeep.ts'
import {
  type AgentOptions,
  Box,
  fail,
  gone,
  hold,
  incoming,
  iso,
  later,
  ok,
  parked,
  retry,
  second,
  unsent,
} from './mailbox-fixtures.ts'

// --- the commands -------------------------------------------------------------------------------------------------------

const outcomes: Readonly<Record<Outcome['kind'], Outcome>> = {
  ok: ok({ done: true }, { messages: [{ to: 'bob', type: 'next' }, { to: 'bob' }], reply: { data: 1 } }),
  later,
  retry: retry(),
  fail: fail(),
  hold: hold(2 * second),
  gone,
  unsent,
  parked,
}
export const outcomeKinds = Object.keys(outcomes) as Outcome['kind'][]
const ms = fc.constantFrom(0, 1, 400, 1_000, 5_000, 70_000)
const optional = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: undefined })
/** Picks one of whatever there is at the time. */
const which = fc.nat(7)

const acceptance = fc.record({
  kind: fc.constant<'accept'>('accept'),
  keys: fc.array(fc.nat(14), { minLength: 1, maxLength: 4 }),
  partition: optional(fc.nat(1)),
  delayMs: optional(ms),
  lifeMs: optional(ms),
  priority: fc.nat(9),
  exactlyOnce: fc.boolean(),
  brokerMade: fc.boolean(),
  reserved: fc.boolean(),
  content: fc.nat(1),
  repeated: fc.boolean(),
})
const report = fc.record({
  kind: fc.constant<'settle'>('settle'),
  which,
  outcome: fc.constantFrom('ok' as const, 'ok' as const, ...outcomeKinds),
  token: fc.constantFrom('held' as const, 'held' as const, 'held' as const, 'old' as const, 'foreign' as const),
  external: fc.boolean(),
  whole: fc.boolean(),
  delayMs: optional(ms),
})
const kind = <K extends string>(name: K) => fc.constant(name)
export const command = fc.oneof(
  { weight: 6, arbitrary: acceptance },
  { weight: 6, arbitrary: report },
  {
    weight: 5,
    arbitrary: fc.record({
      kind: kind('take'),
      ids: fc.constantFrom('references' as const, 'references' as const, 'one' as const, 'all' as const),
      which,
      repeated: fc.boolean(),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: kind('tick'), ms }) },
  { weight: 4, arbitrary: fc.record({ kind: kind('ring') }) },
  { weight: 2, arbitrary: fc.record({ kind: kind('lease'), max: fc.integer({ min: 1, max: 3 }) }) },
  { weight: 2, arbitrary: fc.record({ kind: kind('redrive'), which }) },
  { weight: 2, arbitrary: fc.record({ kind: kind('carried'), which, n: fc.nat(3), refuse: fc.boolean() }) },
  { weight: 1, arbitrary: fc.record({ kind: kind('cancel'), which }) },
  { weight: 1, arbitrary: fc.record({ kind: kind('purge'), which }) },
  { weight: 1, arbitrary: fc.record({ kind: kind('buried'), which }) },
  { weight: 1, arbitrary: fc.record({ kind: kind('extend'), which, ms }) },
  { weight: 1, arbitrary: fc.record({ kind: kind('pause'), untilMs: optional(ms) }) },
  { weight: 1, arbitrary: fc.record({ kind: kind('wait'), ms }) },
  { weight: 1, arbitrary: fc.record({ kind: kind('fleeting') }) },
  { weight: 1, arbitrary: fc.record({ kind: kind('recorded') }) },
  { weight: 1, arbitrary: fc.record({ kind: kind('resume') }) },
  { weight: 1, arbitrary: fc.record({ kind: kind('forget') }) },
)
export type Command = typeof command extends fc.Arbitrary<infer T> ? T : never
type Of<K extends Command['kind']> = Extract<Command, { readonly kind: K }>

export const world: fc.Arbitrary<AgentOptions> = fc
  .record({ options: plainWorld(), batch: fc.option(batches(), { nil: undefined, freq: 2 }) })
  // Nothing is batched for a pull agent (shared/agent.ts), and a last attempt is made alone.
  .map(({ options, batch }) =>
    options.kind === 'pull' || batch === undefined
      ? options
      : { ...options, policy: { ...options.policy, maxAttempts: 3, depth: 10, batch } },
  )

function batches() {
  return fc.record({
    size: fc.integer({ min: 2, max: 3 }),
    waitSeconds: fc.constantFrom(0, 0.5, 6),
    bytes: fc.constantFrom(400, 100_000),
    key: fc.constantFrom('type' as const, 'type' as const, 'partitionkey' as const),
  })
}

function plainWorld(): fc.Arbitrary<AgentOptions> {
  return fc.record({
    kind: fc.constantFrom('webhook' as const, 'webhook' as const, 'pull' as const),
    policy: fc.record({
      depth: fc.constantFrom(1, 3, 10),
      maxAttempts: fc.integer({ min: 1, max: 3 }),
      concurrency: fc.integer({ min: 1, max: 4 }),
      timeoutSeconds: fc.constant(1),
      ack: fc.constantFrom('response' as const, 'later' as const),
      ackSeconds: fc.constant(3),
      dedupeSeconds: fc.constantFrom(1, 3_600),
      rate: fc.constantFrom({ limit: 1_000, perSeconds: 1 }, { limit: 2, perSeconds: 5 }),
      breaker: fc.record({ failureThreshold: fc.integer({ min: 1, max: 4 }), openSeconds: fc.constant(2) }),
    }) satisfies fc.Arbitrary<PolicyInput>,
  })
}

// --- the walk -----------------------------------------------------------------------------------------------------------

/** A lease that was granted: in which life of its delivery, and whether the attempt may have begun. */
interface Start {
  readonly lease: Lease
  readonly life: number
  readonly suspect: boolean
  begun: boolean
}

/** What was there before a command. */
interface Before {
  readonly rows: ReadonlyMap<string, Delivery>
  readonly leases: ReadonlyMap<string, Lease>
  readonly releases: ReadonlySet<string>
}

export function must(holds: boolean, evidence: () => string): void {
  if (!holds) throw new Error(evidence())
}

export class Walk {
  readonly box: Box
  readonly accepted = new Set<string>()
  readonly reserved = new Set<string>()
  readonly starts = new Map<string, Start>()
  readonly told: Record<string, number> = {}
  /** What the last command reported under a token other than that of the lease in force. */
  fenced: string | undefined
  /** The last step was the alarm's. */
  ticked = false
  before: Before = { rows: new Map(), leases: new Map(), releases: new Set() }
  #calls = { accept: 'none', take: 'none' }

  constructor(options: AgentOptions) {
    this.box = new Box(options)
  }

  get policy() {
    const { agent } = this.box.mailbox
    if (agent === undefined) throw new Error('the agent is gone')
    return agent.policy
  }

  run(one: Command): void {
    this.#noted(() => this.#tell(`${one.kind} ${this.#do(one) ?? ''}`))
  }

  // Remembers what was before, and which attempts began.
  #noted<T>(work: () => T): T {
    const { box } = this
    this.before = {
      rows: new Map(box.rows),
      leases: new Map(box.mailbox.leases),
      releases: new Set(box.mailbox.releases.keys()),
    }
    this.fenced = undefined
    this.ticked = false
    const value = work()
    for (const [id, lease] of box.mailbox.leases) {
      const { redrives, suspect } = box.delivery(id)
      if (!this.starts.has(lease.token)) this.starts.set(lease.token, { lease, life: redrives, suspect, begun: true })
    }
    return value
  }

  #tick(at: number | undefined): Tick {
    this.ticked = true
    return this.box.tick(at)
  }

  #tell(answer: string): void {
    this.told[answer] = (this.told[answer] ?? 0) + 1
  }

  // What was answered, for the tally.
  #do(one: Command): string | undefined {
    const { box } = this
    const ids = [...box.rows.keys()]
    const pick = (from: readonly string[], n: number) => from[n % Math.max(1, from.length)] ?? 'ada_nobody'
    switch (one.kind) {
      case 'accept':
        return this.#accept(one)
      case 'settle':
        return this.#settle(one)
      case 'take': {
        if (!one.repeated) this.#calls.take = box.token()
        const named = one.ids === 'all' ? ids : one.ids === 'one' ? [pick(ids, one.which)] : undefined
        // One that is named is a stray: it comes with others' mail.
        const batches = named === undefined ? box.references : [{ deliveries: named }]
        const taken = batches.map((r) => box.take(r.deliveries, this.#calls.take, 'alone' in r && r.alone === true))
        return String(taken.some(({ grants }) => grants.length > 0))
      }
      case 'tick':
        return void this.#tick(box.now + one.ms)
      case 'ring':
        return void this.#tick(box.due())
      case 'wait':
        return void box.wait(one.ms)
      case 'lease':
        return String(box.lease(one.max, 2 * second).length > 0)
      case 'redrive':
        return box.redrive(pick(ids, one.which)).status
      case 'cancel':
        return box.step((draft, now) => cancel(draft, pick(ids, one.which), box.stored, now)).status
      case 'purge':
        return String(box.step((draft) => purge(draft, pick(ids, one.which), box.stored)))
      case 'buried':
        return void box.step((draft) => buried(draft, [pick(ids, one.which)]))
      case 'carried':
        return void box.carried(pick(this.#open(), one.which), [news(one.n, one.refuse)])
      case 'extend': {
        const id = pick([...box.mailbox.leases.keys()], one.which)
        return box.step((draft, now) => extend(draft, id, box.leaseOf(id)?.token ?? '', one.ms, now)).status
      }
      case 'pause':
        return void box.step((draft, now) => pause(draft, 'test', one.untilMs, now))
      case 'resume':
        return void box.step(resume)
      case 'fleeting':
        return box.step((draft, now) => beginFleeting(draft, `ada_fleeting${now}`, false, now)).status
      case 'recorded':
        return void box.step((draft) => {
          for (const id of box.mailbox.fleeting.keys()) draft.fleeting.set(id, null)
        })
      case 'forget':
        box.mailbox = { ...box.mailbox, releases: new Map(), chores: new Map(), fleeting: new Map() }
        return void this.#tick(box.now)
    }
  }

  #accept(one: Of<'accept'>): string {
    const { box } = this
    const startsAt = box.now + (one.delayMs ?? 0)
    const options = {
      data: one.content,
      priority: one.priority,
      brokerMade: one.brokerMade,
      reserved: one.reserved,
      ...(one.exactlyOnce ? { deliverymode: 'exactly_once' as const } : {}),
      ...(one.partition === undefined ? {} : { partitionkey: `k${one.partition}` }),
      ...(one.delayMs === undefined ? {} : { delivertime: iso(startsAt) }),
      ...(one.lifeMs === undefined ? {} : { expirytime: iso(startsAt + one.lifeMs + 1) }),
    }
    if (!one.repeated) this.#calls.accept = box.token()
    const admissions = box.accept(
      one.keys.map((key) => incoming(`m${key}`, options)),
      this.#calls.accept,
    )
    for (const admission of admissions) {
      if (admission.status === 'accepted') this.accepted.add(admission.id)
      if (admission.status === 'accepted' && one.reserved) this.reserved.add(admission.id)
      if (admission.status === 'full')
        must(admission.depth >= admission.max, () => `M5: refused at ${admission.depth} of ${admission.max}`)
      this.#tell(`accept ${admission.status}`)
    }
    return `of ${admissions.length}`
  }

  #settle(one: Of<'settle'>): string {
    const { box } = this
    const flying = [...(one.token === 'foreign' ? box.rows : box.mailbox.leases).keys()]
    const past = [...this.starts.values()].map((s) => s.lease).filter((l) => box.leaseOf(l.id)?.token !== l.token)
    const old = past[one.which % Math.max(1, past.length)]
    const id = one.token === 'old' ? (old?.id ?? '') : (flying[one.which % Math.max(1, flying.length)] ?? '')
    const token = one.token === 'old' ? old?.token : one.token === 'held' ? box.leaseOf(id)?.token : 'foreign'
    const plain = outcomes[one.outcome]
    const outcome = plain.kind === 'retry' && one.delayMs !== undefined ? retry({ delayMs: one.delayMs }) : plain
    const held = box.leaseOf(id)
    if (held !== undefined && held.token !== token) this.fenced = id
    const { status } = box.settle(id, outcome, { token: token ?? 'none', external: one.external, whole: one.whole })
    const start = held === undefined ? undefined : this.starts.get(held.token)
    if (start !== undefined && status === 'settled' && ['hold', 'gone', 'unsent', 'parked'].includes(outcome.kind))
      start.begun = false
    return `${one.outcome} ${one.token} ${status}`
  }

  #open(): string[] {
    return [...this.box.mailbox.live.values()].filter(hasOpenJournal).map((d) => d.id)
  }

  /**
   * From here on nothing happens by itself but the alarm: what was released is lost, what is leased falls silent. A consumer
   * takes what the alarm releases, falls silent `quietTurns` times, and answers ok from then on; it does the chores that it is
   * asked for. `after` is called after each step.
   */
  finish(quietTurns: number, after: () => void): void {
    const { box } = this
    const step = <T>(work: () => T): T => {
      const value = this.#noted(work)
      after()
      return value
    }
    step(() => box.step(resume))
    box.references = []
    for (let turn = 0; box.mailbox.live.size > 0; turn++) {
      must(turn < 2_000, () => `M6: no end after ${turn} alarms: ${JSON.stringify([...box.mailbox.live.values()])}`)
      this.#pull()
      if (box.mailbox.live.size === 0) return
      const due = box.due()
      must(due !== undefined, () => `M6: nothing is due: ${JSON.stringify([...box.mailbox.live.values()])}`)
      const { chores } = step(() => this.#tick(due))
      const ids = box.references.flatMap((r) => [...r.deliveries])
      for (const id of ids)
        for (const { delivery } of step(() => box.take([id])).grants)
          if (turn >= quietTurns) step(() => box.settle(delivery.id, ok()))
      for (const id of chores) {
        step(() => box.step((draft) => buried(draft, [id])))
        step(() =>
          box.carried(
            id,
            [1, 2, 3].map((n) => news(n, n === 2)),
          ),
        )
      }
    }
  }

  #pull(): void {
    const { box } = this
    for (let grants = box.lease(9); grants.length > 0; grants = box.lease(9))
      for (const { delivery } of grants) box.settle(delivery.id, ok())
  }
}

const news = (n: number, refuse: boolean) => ({
  n,
  state: refuse
    ? ({ status: 'refused', reason: 'forbidden', detail: 'no' } as const)
    : { status: 'carried' as const, deliveries: [`bob_${n}`] },
})
