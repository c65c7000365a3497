/**
 * One story: agents of every temper, clients that try again, faults of every kind; then peace, in which everything must come
 * to rest. `simulate(seed)` tells it; the same seed tells the same one.
 */
import type { AgentObject } from '../../durable-objects/agent.ts'
import type { MailboxAudit } from '../../shared/audit.ts'
import type { Principal } from '../../shared/permissions.ts'
import { resolvePermissions } from '../../shared/permissions.ts'
import type { Policy, PolicyInput } from '../../shared/policy.ts'
import type { Platform } from '../../shared/ports.ts'
import type { Receipt } from '../../shared/receipt.ts'
import { consume, type QueuedMessage } from '../../workers/consume.ts'
import { atOnce } from '../../workers/express.ts'
import { nudge } from '../../workers/nudge.ts'
import { publish } from '../../workers/publish.ts'
import { settle } from '../../workers/settle.ts'
import { work } from '../../workers/work.ts'
import { Askers, checkGathers } from './askers.ts'
import { Audience } from './audience.ts'
import { BreakerWatch } from './breaker-watch.ts'
import { checkMailbox, checkStory, must, type Seen } from './invariants.ts'
import { type Faults, Invocation, noFaults, type ObjectCall, SimPlatform } from './platform.ts'
import { checkArmed, checkPublications } from './publication-checks.ts'
import type { SimStorage } from './storage.ts'
import { checkStep, checkVentures } from './venture-checks.ts'
import { mostTokens, Ventures } from './ventures.ts'
import { stored } from './workflow-checks.ts'
import { World } from './world.ts'

const second = 1_000
const hour = 3_600 * second

export interface Plan {
  readonly messages?: number
  readonly troubleMs?: number
  readonly faults?: Partial<Faults>
  readonly processCrashes?: number
  /** How likely a crowd of subscribers is. */
  readonly crowd?: number
}

type Temper = 'calm' | 'flaky' | 'slow' | 'busy' | 'later' | 'poison' | 'picky' | 'down'
const tempers: readonly Temper[] = [
  ...(['calm', 'calm', 'flaky', 'slow', 'busy', 'later', 'poison', 'picky'] as const),
  ...(['down', 'down'] as const),
]

/** A while in which an agent does nothing but fail, in one way. */
interface Outage {
  readonly from: number
  readonly to: number
  readonly way: 'refuses' | 'fails' | 'hangs'
}

/** What some messages ask for. */
const oddities = [
  { deliverymode: 'exactly_once' },
  { collapsekey: 'c1' },
  { collapsekey: 'c1', debounceseconds: 1 },
] as const

const byKey = { key: 'partitionkey' } as const

/** One of those that a call carries: all of a batch, or the one that it is for. */
interface Carried {
  readonly delivery: string
  readonly token: string
  readonly event: {
    readonly id: string
    readonly source: string
    readonly workflowid?: string
    readonly chain?: unknown
    readonly data?: { readonly depth?: number }
  }
}

export class Story {
  readonly world: World
  readonly platform: SimPlatform
  /** Deliveries whose publisher saw a success. */
  readonly accepted = new Set<string>()
  /** Message id → the source that was authenticated for it. */
  readonly spoken = new Map<string, string>()
  readonly starts = new Map<string, number>()
  readonly nonces = new Map<string, Set<string>>()
  readonly seen: Seen[] = []
  readonly #policies = new Map<string, Policy>()
  readonly #tempers = new Map<string, Temper>()
  readonly #outages = new Map<string, Outage>()
  readonly watches = new Map<string, BreakerWatch>()
  readonly audience: Audience
  readonly askers: Askers
  readonly ventures: Ventures
  readonly #workflows = new Map<string, SimStorage>()
  /** Who worked for which workflow. */
  readonly #workers = new Map<string, Set<string>>()
  /** Publications whose publisher saw a success. */
  readonly promised = new Set<string>()
  #peace = false
  #failure: unknown

  constructor(seed: number, plan: Plan) {
    this.world = new World(seed)
    this.audience = new Audience(this.world, seed % 2 === 0 || seed % 5 === 1)
    this.askers = new Askers(this.world)
    this.ventures = new Ventures(this.world, (invocation) => this.platform.platform(invocation))
    this.platform = new SimPlatform(
      this.world,
      noFaults,
      (call) => this.#receive(call),
      async (queue, platform, messages) => {
        if (queue === 'deliveries') await consume(platform, new Map(), messages)
        else if (queue === 'work') await work(platform, messages as QueuedMessage[])
        else await nudge(platform, messages as QueuedMessage[])
      },
    )
    this.platform.afterCall = (agent, object, storage, call) => this.#check(agent, object, storage, call)
    this.platform.afterGather = (report, storage) => this.#guard(() => this.askers.watch(report, storage))
    this.platform.afterWorkflow = (name, storage) => {
      this.#workflows.set(name, storage)
      this.#guard(() => checkStep(name, storage, this.#workers.get(name)?.size ?? 0))
    }
    this.platform.afterPublication = (object, storage) =>
      this.#guard(() => checkArmed(object.report(), storage.alarmAt))
    this.#plan = plan
  }

  readonly #plan: Plan

  policyOf(agent: string): Policy {
    return this.#policies.get(agent) as Policy
  }

  // --- the tale -----------------------------------------------------------------------------------------------------------

  async tell(): Promise<void> {
    const { world } = this
    const names = ['ada', 'bob', 'cyd', 'pull'].slice(0, 2 + Math.floor(world.random() * 3))
    for (const name of names) this.#background(this.#enrol(name))
    // Now and then a crowd that hears every topic: more legs than are kept by name.
    const crowd = world.chance(this.#plan.crowd ?? 0.03)
      ? Array.from({ length: 130 }, (_, i) => `crowd-${i + 100}`)
      : []
    for (const name of crowd) this.#background(this.#enrol(name, true))
    await world.run(world.now + second)

    const troubleMs = this.#plan.troubleMs ?? 40 * second
    this.platform.faults = this.#faults()
    const start = world.now
    const count = this.#plan.messages ?? 4 + Math.floor(world.random() * 12)
    for (let i = 0; i < count; i++)
      world.in(world.random() * troubleMs * 0.7, () => this.#background(this.#client(names)))
    for (let i = 0; i < count / 3; i++)
      world.in(world.random() * troubleMs * 0.7, () =>
        this.#background(this.askers.ask(() => this.platform.platform(new Invocation()), this.audience.oneOf(names))),
      )
    this.ventures.begin(names, troubleMs * 0.6)
    for (let i = 0; i < (this.#plan.processCrashes ?? Math.floor(world.random() * 3)); i++) {
      world.in(world.random() * troubleMs, () => this.platform.crashEverything(world.chance(0.7)))
    }
    for (const name of names) if (world.chance(0.2)) this.#people(name, troubleMs)
    if (names.includes('pull'))
      for (let i = 0; i < 20; i++) world.in((i * troubleMs) / 10, () => this.#background(this.#pullWorker()))
    await this.#runUntil(start + troubleMs)

    // Peace: from here on everything works, and everything must come to rest.
    this.#peace = true
    this.platform.faults = noFaults
    for (const name of names) this.#background(this.platform.platform().agent(name).forceBreaker('auto', 'an operator'))
    this.#background(this.ventures.appease())
    // What a crowd's dead letters make the broker say comes to this one mailbox.
    const visits = crowd.length === 0 ? 300 : 1_300
    for (let i = 1; i <= visits && names.includes('pull'); i++)
      world.in(i * 5 * second, () => this.#background(this.#pullWorker()))
    for (const [i, name] of crowd.entries())
      for (let n = 1; n <= 22; n++) world.in((n * 300 + i) * second, () => this.#background(this.#pullWorker(name)))
    await this.#runUntil(world.now + 2 * hour)
    for (const name of names) this.#background(this.platform.platform().agent(name).sweep())
    await this.#runUntil(world.now + hour)
    await checkStory(this)
    const publications = new Map((await this.platform.publications()).map((p) => [p.id, p]))
    const [receipts, letters] = [await this.receipts(), await this.deadLetters()]
    checkPublications({ publications, promised: this.promised, receipts, letters, audience: this.audience })
    const gathers = await this.platform.gathers()
    checkGathers(gathers, this.askers.promised, receipts, letters)
    checkVentures({ ...this.ventures, gathers, receipts, ...(await this.#standing()) })
  }

  /** What is kept of questions, schedules and workflows that somebody was told are there. */
  async #standing() {
    const platform = this.platform.platform()
    const { approvals, schedules, workflows } = this.ventures
    const found = async <T>(ids: Iterable<string>, find: (id: string) => Promise<T>) => {
      const all = new Map<string, T>()
      for (const id of ids) this.#background(find(id).then((one) => all.set(id, one)))
      await this.#runUntil(this.world.now + second)
      return all
    }
    return {
      approvals: await found(approvals, (id) => platform.approvals().find(id)),
      schedules: await found(schedules, (id) => platform.schedules().find(id)),
      workflows: new Map([...workflows].map((id) => [id, this.workflow(id)])),
    }
  }

  scatteredBy(id: string): string | undefined {
    return this.ventures.scatteredBy(id)
  }

  /** As its rows have it. */
  workflow(id: string) {
    const storage = this.#workflows.get(id)
    return storage === undefined ? undefined : stored(storage)
  }

  #guard(check: () => void): void {
    try {
      check()
    } catch (error) {
      this.#failure ??= error
    }
  }

  async #runUntil(until: number): Promise<void> {
    await this.world.run(until)
    if (this.#failure !== undefined) throw this.#failure
  }

  #background(work: Promise<unknown>): void {
    work.catch(() => undefined)
  }

  #faults(): Faults {
    const { world } = this
    // Each story has its own mixture; a fault that is always on hides what its absence would show.
    const some = (max: number) => (world.chance(0.5) ? world.random() * max : 0)
    return {
      callFailsBefore: some(0.1),
      callFailsAfter: some(0.1),
      objectCrash: some(0.1),
      invocationCrash: some(0.02),
      queueLoses: world.chance(0.1) ? 1 : some(0.3),
      queueDoubles: some(0.3),
      queueSendFails: some(0.2),
      queueSendHangs: some(0.1),
      queueMaxDelayMs: world.chance(0.3) ? 20 * second : 100,
      alarmEarly: some(0.3),
      alarmTwice: some(0.3),
      alarmMaxLateMs: world.chance(0.3) ? 10 * second : 50,
      commitFails: some(0.03),
      ...this.#plan.faults,
    }
  }

  // --- the cast -----------------------------------------------------------------------------------------------------------

  async #enrol(name: string, crowd = false): Promise<void> {
    const { world } = this
    const pulls = name === 'pull' || crowd
    const temper = pulls ? 'calm' : world.pick(tempers)
    this.#tempers.set(name, temper)
    const from = world.now + world.random() * 15 * second
    const way = world.pick(['refuses', 'fails', 'hangs'] as const)
    if (temper === 'down') this.#outages.set(name, { from, to: from + world.random() * 30 * second, way })
    const policy: PolicyInput = {
      // A crowd is emptied in few visits.
      depth: world.pick(crowd ? [4, 100, 100] : [3, 10, 100]),
      maxAttempts: world.pick([1, 2, 4]),
      concurrency: crowd ? 5 : world.pick([1, 2, 5]),
      timeoutSeconds: world.pick([0.5, 2]),
      ack: temper === 'later' ? 'later' : 'response',
      ackSeconds: 3,
      backoff: 'quick',
      breaker: {
        failureThreshold: world.pick([1, 2, 3, 5]),
        openSeconds: world.pick([0.3, 1, 3]),
        maxOpenSeconds: world.pick([2, 6]),
        probes: world.pick([1, 1, 2]),
        window: { seconds: 5, minimum: world.pick([3, 10]), ratio: world.pick([0.5, 0.9]) },
      },
      ...(!pulls && world.chance(0.3)
        ? {
            maxAttempts: world.pick([2, 4]),
            batch: { size: world.pick([2, 4]), waitSeconds: world.pick([0, 0.3, 2]), ...world.pick([{}, byKey]) },
          }
        : {}),
      ...(world.chance(0.2) ? { rate: { limit: world.pick([1, 3]), perSeconds: world.pick([0.5, 3]) } } : {}),
    }
    const kind = pulls ? 'pull' : 'webhook'
    const capabilities = this.audience.skillsOf(name)
    const url = pulls ? {} : { url: `http://127.0.0.1/${name}` }
    const registration = { kind, ...url, policy, capabilities }
    const platform = this.platform.platform()
    const enrolled = await platform.agent(name).enrol(registration as never, {
      name,
      incarnation: world.unique('inc'),
      secret: 'whsec_c2VjcmV0c2VjcmV0c2VjcmV0',
      trusted: true,
    })
    this.#policies.set(name, enrolled.agent.policy)
    await this.audience.join(platform, enrolled.agent, crowd)
  }

  // A publisher that asks until it is told, with one id; sometimes it claims to be somebody else.
  async #client(names: readonly string[]): Promise<void> {
    const { world } = this
    const me = world.pick(['eve', 'ada'])
    const id = world.unique('message-')
    const principal: Principal = { kind: 'agent', name: me, permissions: resolvePermissions(me) }
    const destination = this.audience.pick(names)
    const input = {
      ...destination,
      ...this.ventures.pickWorkflow(),
      ...this.#chain(destination, names),
      id,
      type: 'test',
      data: { depth: world.pick([0, 1, 2, 3]) },
      ...(world.chance(0.3) ? { replyto: world.pick([...names, 'topic:news.a']) } : {}),
      ...(world.chance(0.2) ? { delivertime: new Date(world.now + world.random() * 10 * second).toISOString() } : {}),
      ...(world.chance(0.15)
        ? { expirytime: new Date(world.now + (11 + world.random() * 20) * second).toISOString() }
        : {}),
      ...world.pick([...oddities, {}, {}, {}]),
      ...(world.chance(0.4) ? { partitionkey: world.pick(['k1', 'k2']) } : {}),
    }
    const forged = await this.#publish(principal, { ...input, id: `${id}-forged`, source: 'somebody-else' })
    must(
      forged === undefined || (!forged.ok && forged.error.code === 'foreign_source'),
      'S1',
      () => `a foreign source was accepted: ${JSON.stringify(forged)}`,
    )
    this.spoken.set(id, me)
    for (let tries = 0; tries < 6; tries++) {
      const answer = await this.#publish(principal, input)
      if (answer?.ok) {
        const { deliveries, publication } = answer.value
        for (const d of deliveries) this.accepted.add(d.id)
        if (publication !== undefined) this.promised.add(publication)
        const [one] = deliveries
        if (one !== undefined && world.chance(0.1))
          this.#background(this.platform.platform().agent(one.agent).cancel(one.id))
        return
      }
      if (answer !== undefined && answer.error.code !== 'backpressure' && answer.error.code !== 'unavailable') return
      await world.sleep(second * (1 + world.random()))
    }
  }

  /** Who is asked next, and next, when the first does not take it. */
  #chain(destination: object, names: readonly string[]): object {
    const { world } = this
    if (!('to' in destination) || !names.some((name) => name === destination.to) || !world.chance(0.3)) return {}
    const chain = names.filter((name) => name !== destination.to)
    return { chain, ...(world.chance(0.3) ? { chainopen: 'skip' } : {}) }
  }

  async #publish(principal: Principal, input: unknown) {
    const platform = this.platform.platform(new Invocation())
    const options = this.world.chance(0.5) ? { atOnce: atOnce(platform, new Map()) } : {}
    const answer = publish(platform, principal, [input], options).then(
      (results) => results[0],
      () => undefined,
    )
    // The Worker may have died with the question: a client gives up waiting and asks again.
    return Promise.race([answer, this.world.sleep(3 * second).then(() => undefined)])
  }

  async #pullWorker(name = 'pull'): Promise<void> {
    const { world } = this
    const platform = this.platform.platform(new Invocation())
    const leased = await platform.agent(name).lease(5, 2 * second, world.unique('lease'))
    for (const lease of leased.leases) {
      this.#noteStart(name, lease.id, lease.head.id, lease.head.source, lease.token)
      if (!this.#peace && world.chance(0.3)) continue
      await world.sleep(world.random() * second)
      const nonce = this.#nonce(lease.id)
      await settle(platform, name, [
        { id: lease.id, token: lease.token, outcome: { kind: 'ok', result: { nonce } }, external: true },
      ])
    }
  }

  #nonce(delivery: string): string {
    const nonce = this.world.unique('nonce')
    this.nonces.set(delivery, (this.nonces.get(delivery) ?? new Set()).add(nonce))
    return nonce
  }

  #noteStart(agent: string, delivery: string, messageId: string, source: string, call: string): void {
    this.starts.set(delivery, (this.starts.get(delivery) ?? 0) + 1)
    this.seen.push({ at: this.world.now, agent, delivery, messageId, source, call })
  }

  // A receiver: answers well, badly, late, twice, or never, by temper.
  async #receive(call: {
    url: string
    headers: Record<string, string>
    body: string
  }): Promise<{ status: number; body: string; headers?: Record<string, string> }> {
    const { world } = this
    const agent = call.url.slice(call.url.lastIndexOf('/') + 1)
    const carried = carriedBy(call)
    const temper = this.#peace
      ? this.#tempers.get(agent) === 'later'
        ? 'later'
        : 'calm'
      : (this.#tempers.get(agent) ?? 'calm')
    if (temper === 'busy' && world.chance(0.4)) return { status: 429, body: '', headers: { 'retry-after': '1' } }
    const outage = this.#outageOf(agent)
    if (outage?.way === 'refuses') throw new Error('connection refused')
    const name = world.unique('call')
    for (const { workflowid } of carried.map(({ event }) => event))
      if (workflowid !== undefined)
        this.#workers.set(workflowid, (this.#workers.get(workflowid) ?? new Set()).add(agent))
    for (const { delivery, event } of carried) this.#noteStart(agent, delivery, event.id, event.source, name)
    await world.sleep(world.random() * 50)
    if (outage?.way === 'fails') return { status: 500, body: 'down' }
    if (outage?.way === 'hangs') return new Promise(() => undefined)
    if (temper === 'flaky' && world.chance(0.5)) return { status: world.pick([500, 503, 404]), body: 'no' }
    if (temper === 'picky' && world.chance(0.3)) return { status: 422, body: '{"error":"no"}' }
    if (temper === 'slow' && world.chance(0.5)) await world.sleep(world.random() * 6 * second)
    if (temper === 'poison' && world.chance(0.4)) this.platform.crashEverything(true)
    if (temper === 'later') {
      for (const one of carried)
        if (this.#peace || world.chance(0.7))
          world.in(world.random() * (this.#peace ? 1 : 5) * second, () => this.#background(this.#ackLater(agent, one)))
      return { status: 202, body: '' }
    }
    const [one] = carried
    if (one !== undefined && one.token !== '' && world.chance(0.05)) await this.#ackLater(agent, one)
    return { status: 200, body: JSON.stringify(this.#answerTo(call, carried)) }
  }

  #answerTo(call: { readonly body: string }, carried: readonly Carried[]): unknown {
    const [one] = carried
    if (!call.body.startsWith('[')) {
      const answer = one === undefined ? {} : this.#answer(one)
      // Without effects an answer is itself the result.
      return Object.keys(answer).join() === 'result' ? answer.result : answer
    }
    const { world } = this
    // Now and then it forgets one, or has not managed it; and answers as it likes.
    const kept = this.#peace ? carried : carried.filter(() => !world.chance(0.1))
    const results = kept.map((one) => {
      const status = this.#peace || !world.chance(0.15) ? 'ok' : world.pick(['retry', 'drop'])
      return { id: one.delivery, status, ...this.#answer(one) }
    })
    return { results: this.#peace ? results : results.toSorted(() => world.random() - 0.5) }
  }

  #outageOf(agent: string): Outage | undefined {
    const outage = this.#outages.get(agent)
    const { now } = this.world
    return outage === undefined || this.#peace || now < outage.from || now > outage.to ? undefined : outage
  }

  // Operators say something, and something else a while later.
  #people(agent: string, troubleMs: number): void {
    const { world } = this
    for (let n = 0; n < 2; n++) {
      const word = world.pick(['open', 'closed', 'auto'] as const)
      world.in(world.random() * troubleMs, () =>
        this.#background(this.platform.platform(new Invocation()).agent(agent).forceBreaker(word, 'an operator')),
      )
    }
  }

  #ackLater(agent: string, { delivery, token }: Carried): Promise<unknown> {
    return settle(this.platform.platform(new Invocation()), agent, [
      { id: delivery, token, outcome: { kind: 'ok', result: { nonce: this.#nonce(delivery) } }, external: true },
    ])
  }

  #answer({ delivery, event }: Carried): {
    readonly result?: unknown
    readonly pass?: true
    readonly messages?: readonly unknown[]
  } {
    const { world } = this
    if (event.chain !== undefined && world.chance(0.5)) return { pass: true }
    const depth = event.data?.depth ?? 0
    const usage =
      event.workflowid === undefined ? {} : { usage: { outputTokens: Math.floor(world.random() * (mostTokens + 1)) } }
    const result = { nonce: this.#nonce(delivery) }
    if (depth <= 0) return { result, ...usage }
    const targets = world.chance(0.1) ? ['nobody'] : this.platform.agents()
    const messages = Array.from({ length: 1 + Math.floor(world.random() * 2) }, () => ({
      ...this.audience.pick(targets),
      type: 'test',
      data: { depth: depth - 1 },
    }))
    return { result, messages, ...usage, ...(world.chance(0.3) ? { reply: { data: { depth: 0 } } } : {}) }
  }

  // --- what the invariants read -------------------------------------------------------------------------------------------

  #check(agent: string, object: AgentObject, storage: SimStorage, call: ObjectCall | undefined): void {
    const described = object.describe()
    const breaker = object.breaker()
    try {
      if (described !== undefined && breaker !== undefined) {
        const watch = this.watches.get(agent) ?? new BreakerWatch(agent)
        this.watches.set(agent, watch)
        const { released } = described.figures
        const statusOf = (id: string) => object.receipt(id)?.status
        watch.check(
          { breaker, released, policy: described.agent.policy, now: Math.floor(this.world.now), statusOf },
          call,
        )
      }
      checkMailbox(
        this,
        agent,
        described === undefined
          ? undefined
          : {
              figures: described.figures,
              depthMax: described.agent.policy.depth,
              concurrency: described.agent.policy.concurrency,
            },
        storage.alarmAt,
      )
    } catch (error) {
      this.#failure ??= error
    }
  }

  async receipts(): Promise<Map<string, Receipt>> {
    const all = new Map<string, Receipt>()
    for (const name of this.platform.agents()) {
      const { object } = await this.platform.inspect(name)
      if (object.describe() === undefined) continue
      let cursor: string | undefined
      do {
        const page = object.list(undefined, cursor, 100)
        for (const receipt of page.items) all.set(receipt.id, receipt)
        cursor = page.cursor
      } while (cursor !== undefined)
    }
    return all
  }

  async audits(): Promise<Map<string, MailboxAudit>> {
    const all = new Map<string, MailboxAudit>()
    for (const name of this.platform.agents()) {
      const audit = (await this.platform.inspect(name)).object.audit()
      if (audit !== undefined) all.set(name, audit)
    }
    return all
  }

  async deadLetters(): Promise<Set<string>> {
    const platform: Platform = this.platform.platform()
    const ids = new Set<string>()
    let cursor: string | undefined
    let page: Awaited<ReturnType<ReturnType<Platform['deadLetters']>['list']>> | undefined
    do {
      platform
        .deadLetters()
        .list({}, cursor, 100)
        .then(
          (answer) => {
            page = answer
          },
          () => undefined,
        )
      await this.world.run(this.world.now + second)
      for (const letter of page?.items ?? []) ids.add(letter.id)
      cursor = page?.cursor
    } while (cursor !== undefined)
    return ids
  }
}

function carriedBy({ headers, body }: { readonly headers: Record<string, string>; readonly body: string }): Carried[] {
  const parsed = JSON.parse(body) as (Carried['event'] & { readonly deliveryid: string })[] | Carried['event']
  const tokens = (headers['switchboard-token'] ?? '').split(',')
  if (!Array.isArray(parsed)) return [{ delivery: headers['webhook-id'] ?? '', token: tokens[0] ?? '', event: parsed }]
  return parsed.map((event, i) => ({ delivery: event.deliveryid, token: tokens[i] ?? '', event }))
}

/** Tells the story of a seed. Throws InvariantBroken, with the seed in its message. */
export async function simulate(seed: number, plan: Plan = {}): Promise<Story> {
  const story = new Story(seed, plan)
  try {
    await story.tell()
  } catch (error) {
    if (error instanceof Error) error.message = `seed ${seed}: ${error.message}`
    throw error
  }
  return story
}
