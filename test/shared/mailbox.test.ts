/**
 * The mailbox's invariants, by name, over random walks through the pure machine: messages of every kind, attempts of every
 * outcome, people, lost memory, and time. After each command every law is asked; at the end the alarms alone must bring everything
 * to an end. Never here: examples (the files beside this one), storage and queues (test/simulator/).
 */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type Delivery, hasOpenJournal, isLive, isUnburied } from '../../shared/delivery.ts'
import { beginFleeting } from '../../shared/fleeting.ts'
import { effectId } from '../../shared/ids.ts'
import type { Lease } from '../../shared/lease.ts'
import type { Outcome } from '../../shared/outcome.ts'
import { type PolicyInput, publisherDepth } from '../../shared/policy.ts'
import { buried, cancel, extend, pause, purge, resume } from '../../shared/upkeep.ts'
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
}
const outcomeKinds = Object.keys(outcomes) as Outcome['kind'][]
const ms = fc.constantFrom(0, 1, 400, 1_000, 5_000, 70_000)
const optional = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: undefined })
/** Picks one of whatever there is at the time. */
const which = fc.nat(7)

const acceptance = fc.record({
  kind: fc.constant<'accept'>('accept'),
  key: fc.nat(9),
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
  delayMs: optional(ms),
})
const kind = <K extends string>(name: K) => fc.constant(name)
const command = fc.oneof(
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
  { weight: 4, arbitrary: fc.record({ kind: kind('tick'), ms }) },
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
type Command = typeof command extends fc.Arbitrary<infer T> ? T : never
type Of<K extends Command['kind']> = Extract<Command, { readonly kind: K }>

const world: fc.Arbitrary<AgentOptions> = fc.record({
  kind: fc.constantFrom('webhook' as const, 'webhook' as const, 'pull' as const),
  policy: fc.record({
    depth: fc.constantFrom(1, 3, 10, 20),
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

function must(holds: boolean, evidence: () => string): void {
  if (!holds) throw new Error(evidence())
}

class Walk {
  readonly box: Box
  readonly accepted = new Set<string>()
  readonly reserved = new Set<string>()
  readonly starts = new Map<string, Start>()
  readonly told: Record<string, number> = {}
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
    const { box } = this
    this.before = {
      rows: new Map(box.rows),
      leases: new Map(box.mailbox.leases),
      releases: new Set(box.mailbox.releases.keys()),
    }
    const answer = this.#do(one)
    this.told[`${one.kind} ${answer ?? ''}`] = (this.told[`${one.kind} ${answer ?? ''}`] ?? 0) + 1
    for (const [id, lease] of box.mailbox.leases) {
      const { redrives, suspect } = box.delivery(id)
      if (!this.starts.has(lease.token)) this.starts.set(lease.token, { lease, life: redrives, suspect, begun: true })
    }
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
        const batches = named === undefined ? box.references.map((r) => r.deliveries) : [named]
        return String(batches.map((batch) => box.take(batch, this.#calls.take).grants.length > 0).includes(true))
      }
      case 'tick':
        return void box.tick(box.now + one.ms)
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
        return void box.tick()
    }
  }

  #accept(one: Of<'accept'>): string {
    const { box } = this
    const startsAt = box.now + (one.delayMs ?? 0)
    const message = incoming(`m${one.key}`, {
      data: one.content,
      priority: one.priority,
      brokerMade: one.brokerMade,
      reserved: one.reserved,
      ...(one.exactlyOnce ? { deliverymode: 'exactly_once' } : {}),
      ...(one.partition === undefined ? {} : { partitionkey: `k${one.partition}` }),
      ...(one.delayMs === undefined ? {} : { delivertime: iso(startsAt) }),
      ...(one.lifeMs === undefined ? {} : { expirytime: iso(startsAt + one.lifeMs + 1) }),
    })
    if (!one.repeated) this.#calls.accept = box.token()
    const [admission] = box.accept([message], this.#calls.accept)
    if (admission?.status === 'accepted') this.accepted.add(admission.id)
    if (admission?.status === 'accepted' && one.reserved) this.reserved.add(admission.id)
    if (admission?.status === 'full')
      must(box.mailbox.depth >= admission.max, () => `M5: refused at ${box.mailbox.depth} of ${admission.max}`)
    return admission?.status ?? ''
  }

  #settle(one: Of<'settle'>): string {
    const { box } = this
    const flying = [...box.mailbox.leases.keys()]
    const past = [...this.starts.values()].map((s) => s.lease).filter((l) => box.leaseOf(l.id)?.token !== l.token)
    const old = past[one.which % Math.max(1, past.length)]
    const id = one.token === 'old' ? (old?.id ?? '') : (flying[one.which % Math.max(1, flying.length)] ?? '')
    const token = one.token === 'old' ? old?.token : one.token === 'held' ? box.leaseOf(id)?.token : 'foreign'
    const plain = outcomes[one.outcome]
    const outcome = plain.kind === 'retry' && one.delayMs !== undefined ? retry({ delayMs: one.delayMs }) : plain
    const held = box.leaseOf(id)
    const { status } = box.settle(id, outcome, { token: token ?? 'none', external: one.external })
    const start = held === undefined ? undefined : this.starts.get(held.token)
    if (start !== undefined && status === 'settled' && ['hold', 'gone', 'unsent'].includes(outcome.kind))
      start.begun = false
    return `${one.outcome} ${one.token} ${status}`
  }

  #open(): string[] {
    return [...this.box.mailbox.live.values()].filter(hasOpenJournal).map((d) => d.id)
  }

  /**
   * From here on nothing happens by itself but the alarm: what was released is lost, what is leased falls silent. A consumer
   * takes what the alarm releases and answers ok, and does the chores that it asks for.
   */
  finish(): void {
    const { box } = this
    box.step(resume)
    box.references = []
    for (let turn = 0; box.mailbox.live.size > 0; turn++) {
      must(turn < 2_000, () => `M6: no end after ${turn} alarms: ${JSON.stringify([...box.mailbox.live.values()])}`)
      this.#pull()
      if (box.mailbox.live.size === 0) return
      const due = box.due()
      must(due !== undefined, () => `M6: nothing is due: ${JSON.stringify([...box.mailbox.live.values()])}`)
      const { chores } = box.tick(due)
      const references = box.references.flatMap((r) => r.deliveries.map((id) => ({ id, alone: r.alone })))
      for (const { id } of references) if (box.take([id]).grants.length > 0) box.settle(id, ok())
      for (const id of chores) {
        box.step((draft) => buried(draft, [id]))
        box.carried(
          id,
          [1, 2, 3].map((n) => news(n, n === 2)),
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

type Law = (walk: Walk) => void

/** `WALKS=<n>` walks more of them. */
const walks = Number(process.env.WALKS ?? 120)

/** Walks, and asks the law after each command, after the end, and once more of the whole. */
function holdsOnEveryWalk(law: Law, atTheEnd: Law = () => undefined): void {
  fc.assert(
    fc.property(world, fc.array(command, { minLength: 1, maxLength: 80, size: 'max' }), (options, commands) => {
      const walk = new Walk(options)
      for (const one of commands) {
        walk.run(one)
        law(walk)
      }
      walk.finish()
      atTheEnd(walk)
    }),
    { numRuns: walks },
  )
}

// --- the laws -----------------------------------------------------------------------------------------------------------

/** M1: it is stored, and live as long as anything is to be done for it; what lives is counted. */
const nothingVanishes: Law = ({ box, accepted }) => {
  for (const id of accepted) must(box.rows.has(id), () => `${id} was accepted and is unknown`)
  for (const row of box.rows.values())
    must(
      isLive(row) ? box.mailbox.live.get(row.id) === row : !box.mailbox.live.has(row.id),
      () => `${row.id} is stored as ${JSON.stringify(row.state)} and live as ${box.mailbox.live.get(row.id)?.state.at}`,
    )
  for (const id of box.mailbox.leases.keys())
    must(box.delivery(id).state.at === 'waiting', () => `${id} is leased and over`)
  for (const id of box.mailbox.releases.keys()) must(box.mailbox.live.has(id), () => `${id} is released and over`)
}

/** M2: what completed stays completed, with its result and its effects, which end once. */
const doneOnce: Law = ({ box, before }) => {
  for (const was of before.rows.values()) {
    const is = box.delivery(was.id)
    if (was.state.at !== 'ended') continue
    if (is.state.at === 'waiting') {
      must(was.state.reason !== undefined && is.redrives === was.redrives + 1, () => `${was.id} lives again unasked`)
      continue
    }
    const { journal: journalWas, ...restWas } = was.state
    const { journal: journalIs, ...restIs } = is.state
    const same =
      JSON.stringify({ ...restWas, buried: 0, purged: 0 }) === JSON.stringify({ ...restIs, buried: 0, purged: 0 })
    must(same, () => `${was.id}: ${JSON.stringify(restWas)} became ${JSON.stringify(restIs)}`)
    must(journalWas?.effects.length === journalIs?.effects.length, () => `${was.id}: the effects changed`)
    journalWas?.effects.forEach((effect, place) => {
      const now = journalIs?.effects[place]
      const kept = effect.state.status === 'pending' || JSON.stringify(effect.state) === JSON.stringify(now?.state)
      must(
        kept && JSON.stringify(effect.publish) === JSON.stringify(now?.publish),
        () => `${was.id}: effect ${effect.n}`,
      )
    })
  }
}

/** M3: nothing is released or leased while one before it in its key has not ended, or has effects open. */
const inLine: Law = ({ box, before }) => {
  const fresh = [...box.mailbox.releases.keys()].filter((id) => !before.releases.has(id))
  for (const [id, lease] of box.mailbox.leases) if (before.leases.get(id)?.token !== lease.token) fresh.push(id)
  for (const id of fresh) {
    const mine = box.delivery(id)
    for (const other of box.rows.values()) {
      if (other.id === id || other.partitionKey === undefined || other.partitionKey !== mine.partitionKey) continue
      const first = other.lineAt < mine.lineAt || (other.lineAt === mine.lineAt && other.sequence < mine.sequence)
      const ahead = other.state.at === 'waiting' && other.lineAt <= box.now && first
      must(!ahead, () => `${id} went before ${other.id}`)
      must(!hasOpenJournal(other), () => `${id} went while the effects of ${other.id} were open`)
      must(box.leaseOf(other.id) === undefined, () => `${id} went while ${other.id} was in flight`)
    }
  }
}

/** M3: a retry keeps its place in line; only a redrive gives a new one, at the tail. */
const placesKept: Law = ({ box, before }) => {
  for (const was of before.rows.values()) {
    const is = box.delivery(was.id)
    if (is.redrives === was.redrives)
      must(is.lineAt === was.lineAt && is.sequence === was.sequence, () => `${is.id} lost its place`)
    else
      must(
        is.lineAt === box.now && [...box.rows.values()].every((d) => d.sequence <= is.sequence),
        () => `${is.id} did not join the tail`,
      )
  }
}

/** M4: attempts are counted within the policy; what is held burns none; starts are one more at most. */
const attemptsCounted: Law = ({ box, policy, starts, before }) => {
  for (const is of box.rows.values()) {
    must(is.attempt <= policy.maxAttempts, () => `${is.id} counts ${is.attempt} of ${policy.maxAttempts}`)
    for (const a of is.attempts)
      must(
        a.counted || ['hold', 'gone', 'silence'].includes(a.outcome),
        () => `${is.id}: an attempt that came to ${a.outcome} was not counted`,
      )
    for (const a of is.attempts)
      must(
        !a.counted || !['hold', 'gone', 'unsent'].includes(a.outcome),
        () => `${is.id}: ${a.outcome} burned an attempt`,
      )
    const was = before.rows.get(is.id)
    if (was !== undefined && was.redrives === is.redrives)
      must(is.suspect || !was.suspect, () => `${is.id} is no suspect any more`)
  }
  const begun = new Map<string, number>()
  for (const start of starts.values()) {
    if (!start.begun) continue
    const life = `${start.lease.id} life ${start.life}`
    begun.set(life, (begun.get(life) ?? 0) + 1)
  }
  for (const [life, count] of begun)
    must(
      count <= policy.maxAttempts + 1,
      () => `${life} was started ${count} times; the policy has ${policy.maxAttempts}`,
    )
}

/** M4: a suspect travels alone and is leased as such. */
const suspectsAlone: Law = ({ box, starts }) => {
  for (const reference of box.references) {
    const suspects = reference.deliveries.filter((id) => box.delivery(id).suspect)
    must(
      suspects.length === 0 || (reference.deliveries.length === 1 && reference.alone === true),
      () => `${suspects} travel in company`,
    )
  }
  for (const { lease, suspect } of starts.values())
    must(
      lease.alone === suspect || lease.phase !== 'dispatched',
      () => `${lease.id} is leased as alone: ${lease.alone}`,
    )
}

/** M5: depth and concurrency are bounds, whoever asks. */
const bounded: Law = ({ box, policy, before, reserved }) => {
  const { depth, leases, releases, fleeting } = box.mailbox
  must(depth === [...box.rows.values()].filter((d) => d.state.at === 'waiting').length, () => `depth says ${depth}`)
  must(depth <= policy.depth, () => `${depth} of ${policy.depth}`)
  const newcomers = [...box.rows.values()].filter((d) => !before.rows.has(d.id) && !reserved.has(d.id))
  must(
    newcomers.length === 0 || depth <= publisherDepth(policy),
    () => `a publisher took place ${depth} of ${policy.depth}`,
  )
  const used = leases.size + releases.size + fleeting.size
  must(used <= policy.concurrency, () => `${leases.size} leased, ${releases.size} released, ${fleeting.size} fleeting`)
}

/** B1, B2 and the rate: an open breaker lets nothing through, a half-open one its probes, and a window its limit. */
const gated: Law = ({ box, policy, before, starts }) => {
  const { breaker } = box.mailbox.gate
  const leases = [...box.mailbox.leases.values()]
  const fresh = leases.filter((lease) => before.leases.get(lease.id)?.token !== lease.token)
  must(breaker.state.at !== 'open' || fresh.length === 0, () => `${fresh.length} taken while the breaker is open`)
  const probes = leases.filter((lease) => lease.epoch === breaker.epoch).length
  must(breaker.state.at !== 'half_open' || probes <= policy.breaker.probes, () => `${probes} probes`)
  const { rate } = policy
  if (rate === undefined) return
  const began = [...starts.values()].filter(({ lease }) => lease.at > box.now - rate.perSeconds * second).length
  must(began <= rate.limit, () => `${began} began within ${rate.perSeconds} s; ${rate.limit} may`)
}

/** M6: the alarm leaves nothing behind that is due already. */
const alarmProgresses: Law = (walk) => {
  const { box } = walk
  walk.before = { rows: new Map(box.rows), leases: new Map(box.mailbox.leases), releases: new Set() }
  box.tick()
  const due = box.due()
  must(due === undefined || due > box.now, () => `due ${due}, now ${box.now}: the alarm would ring for ever`)
}

/** E1: every effect has a number of its own in order, an id that follows from it, and in the end an end. */
const effectsEnd: Law = ({ box }) => {
  for (const row of box.rows.values()) {
    if (row.state.at !== 'ended') continue
    row.state.journal?.effects.forEach((effect, place) => {
      must(effect.n === place + 1, () => `${row.id}: effect ${effect.n} stands at ${place}`)
      const id = effect.publish.id ?? effectId(row.id, effect.n)
      must(id === effectId(row.id, effect.n), () => `${row.id}: effect ${effect.n} is named ${id}`)
      must(effect.state.status !== 'pending', () => `${row.id}: effect ${effect.n} never ended`)
    })
    must(!hasOpenJournal(row) && !isUnburied(row), () => `${row.id} is unfinished`)
  }
}

describe('on every walk', () => {
  it('M1: what was accepted is live or has ended, never gone; and the alarms alone bring all of it to an end', () => {
    holdsOnEveryWalk(nothingVanishes, ({ box, accepted }) => {
      for (const id of accepted) must(box.delivery(id).state.at === 'ended', () => `${id} never ended`)
      must(box.mailbox.depth === 0 && box.mailbox.leases.size === 0, () => 'something is left')
    })
  })

  it('M2: a settled result is never replaced: not by repeats, late reports, foreign tokens or a cancel', () => {
    holdsOnEveryWalk(doneOnce)
  })

  it('M3: within a key nothing goes while one before it has not ended or has effects open', () => {
    holdsOnEveryWalk(inLine)
  })

  it('M3: a retry keeps its place in line, and a redrive joins the tail', () => {
    holdsOnEveryWalk(placesKept)
  })

  it('M4: attempts stay within the policy, a hold burns none, and starts are at most one more', () => {
    holdsOnEveryWalk(attemptsCounted, attemptsCounted)
  })

  it('M4: a suspect goes alone, for good', () => {
    holdsOnEveryWalk(suspectsAlone)
  })

  it('M5 T3: depth and concurrency are never exceeded, at_most_once and what is released included', () => {
    holdsOnEveryWalk(bounded)
  })

  it('B1 B2: nothing passes an open breaker, only probes a half-open one, and no more than the rate', () => {
    holdsOnEveryWalk(gated)
  })

  it('M6: after each alarm the next one is later, so that it rings on and never spins', () => {
    holdsOnEveryWalk(alarmProgresses)
  })

  it('E1: every effect ends as carried or refused, under a number and an id that never change', () => {
    holdsOnEveryWalk(() => undefined, effectsEnd)
  })
})

describe('the walks', () => {
  it('go everywhere: each answer of each step is seen', () => {
    const told: Record<string, number> = {}
    const sample = fc.sample(fc.tuple(world, fc.array(command, { minLength: 60, maxLength: 80, size: 'max' })), {
      numRuns: 400,
      seed: 7,
    })
    for (const [options, commands] of sample) {
      const walk = new Walk(options)
      for (const one of commands) walk.run(one)
      for (const [answer, count] of Object.entries(walk.told)) told[answer] = (told[answer] ?? 0) + count
    }
    const seen = Object.keys(told)
    for (const status of ['accepted', 'duplicate', 'conflict', 'full']) expect(seen).toContain(`accept ${status}`)
    for (const kind of outcomeKinds) expect(seen).toContain(`settle ${kind} held settled`)
    for (const status of ['stale', 'already_settled', 'settled']) expect(seen).toContain(`settle ok old ${status}`)
    for (const status of ['redriven', 'not_redrivable', 'full']) expect(seen).toContain(`redrive ${status}`)
    for (const status of ['cancelled', 'already_settled']) expect(seen).toContain(`cancel ${status}`)
    for (const status of ['admitted', 'busy', 'dropped']) expect(seen).toContain(`fleeting ${status}`)
    for (const answer of ['take true', 'take false', 'lease true', 'lease false', 'extend extended', 'purge true'])
      expect(seen).toContain(answer)
  })
})
