/**
 * AgentObject: the memory of one agent. Its mailbox, leases and receipts. Every method is one step of shared/: read, compute
 * purely, save in one transaction with the alarm armed, and only then lay the result over memory. Never here: delivering or
 * publishing (workers/), or any decision about mail (shared/).
 */
import { DurableObject } from 'cloudflare:workers'
import { accept, type Incoming } from '../shared/admission.ts'
import { type AgentRecord, enrol, parkedBecause, type Registration, rotateSecret } from '../shared/agent.ts'
import type { Delivery } from '../shared/delivery.ts'
import { beginFleeting, type FleetingOutcome, fleetingReceipt } from '../shared/fleeting.ts'
import { isOpen, leasedOf, unfinishedOf } from '../shared/handover.ts'
import { agentOf, apply, begin, type Draft, deliveryOf, figuresOf, type Mailbox, nextDueAt } from '../shared/mailbox.ts'
import type {
  AcceptAnswer,
  AgentPort,
  ChancePort,
  Enrolled,
  FleetingAnswer,
  QueuePort,
  SettleAnswer,
  StoragePort,
  TakeAnswer,
} from '../shared/ports.ts'
import { receiptOf, statusOf } from '../shared/receipt.ts'
import { type Reference, takeReferenceTo, type WorkReference } from '../shared/reference.ts'
import { lease, nextInLine, type References, release, take } from '../shared/release.ts'
import { type Report, settle } from '../shared/settlement.ts'
import {
  abandon,
  buried,
  type CarriedEffect,
  cancel,
  carried,
  extend,
  hand,
  pause,
  purge,
  redrive,
  resume,
  type Tick,
  tick,
} from '../shared/upkeep.ts'
import { chance } from './chance.ts'
import { MailboxStore } from './mailbox-store.ts'
import { patiently } from './patience.ts'

/** A port's methods as the object has them: within one object nothing waits, so nothing interleaves. */
type Synchronous<T> = {
  [K in keyof T]: T[K] extends (...args: infer A) => Promise<infer R> ? (...args: A) => R : never
}

interface AgentEnv {
  readonly DELIVERIES: QueuePort<Reference>
  readonly WORK: QueuePort<WorkReference>
}

interface ObjectContext {
  readonly id: { readonly name?: string }
  readonly storage: StoragePort
  blockConcurrencyWhile<T>(work: () => Promise<T>): Promise<T>
  abort(reason?: string): void
}

const alarmRetryMs = 5_000

export class AgentObject extends DurableObject<AgentEnv> implements Synchronous<AgentPort> {
  readonly #context: ObjectContext
  readonly #chance: Pick<ChancePort, 'now' | 'random'>
  readonly #store: MailboxStore
  #mailbox: Mailbox
  #alarmAt: number | null = null

  constructor(ctx: DurableObjectState, env: AgentEnv, ports: Pick<ChancePort, 'now' | 'random'> = chance) {
    super(ctx, env)
    // The narrow shape that is used; the platform's own class satisfies it.
    this.#context = ctx as unknown as ObjectContext
    this.#chance = ports
    this.#store = new MailboxStore(this.#context.storage)
    this.#mailbox = this.#store.load()
    this.#context
      .blockConcurrencyWhile(async () => {
        this.#alarmAt = await this.#context.storage.getAlarm()
        this.#armWhatIsOverdue()
      })
      .catch((error: unknown) => console.error(JSON.stringify({ step: 'agent.start', error: String(error) })))
  }

  // --- the message's way ----------------------------------------------------------------------------------------------

  accept(incoming: readonly Incoming[], token: string): AcceptAnswer {
    const [admissions, references] = this.#step((draft, now) =>
      accept(draft, incoming, token, this.#store.rows(), this.#stored, now),
    )
    const draft = begin(this.#mailbox)
    const known = admissions.map((a) => ('id' in a ? this.#standing(draft, a.id) : undefined))
    return { admissions, known, references }
  }

  take(ids: readonly string[], token: string): TakeAnswer {
    const [answer, references] = this.#step((draft, now) => {
      const taken = take(draft, ids, token, now)
      for (const id of taken.unfinished) hand(draft, id, 0, now)
      return {
        agent: agentOf(draft),
        leases: leasedOf(draft, taken.grants, this.#body),
        unfinished: unfinishedOf(draft, this.#name(), taken.unfinished),
      }
    })
    return { ...answer, references }
  }

  lease(max: number, durationMs: number, token: string): TakeAnswer {
    const [answer, references] = this.#step((draft, now) => ({
      agent: agentOf(draft),
      leases: leasedOf(draft, lease(draft, max, durationMs, token, now), this.#body),
      unfinished: [],
    }))
    return { ...answer, references }
  }

  settle(reports: readonly Report[]): SettleAnswer {
    const [answer, references] = this.#step((draft, now) => {
      const settlements = settle(draft, reports, this.#stored, now, this.#chance.random)
      const open = reports.map((r) => r.id).filter((id) => isOpen(draft, id))
      for (const id of open) hand(draft, id, 0, now)
      return { settlements, agent: agentOf(draft), unfinished: unfinishedOf(draft, this.#name(), open) }
    })
    return { ...answer, references }
  }

  extend(id: string, token: string, extendMs: number) {
    return this.#step((draft, now) => extend(draft, id, token, extendMs, now))[0]
  }

  unfinished(ids: readonly string[]) {
    const [answer, references] = this.#step((draft) => ({
      agent: agentOf(draft),
      unfinished: unfinishedOf(draft, this.#name(), ids),
    }))
    return { ...answer, references }
  }

  carried(id: string, news: readonly CarriedEffect[]) {
    const [, references] = this.#step((draft, now) => carried(draft, id, news, now))
    return { references }
  }

  buried(ids: readonly string[]) {
    const [, references] = this.#step((draft) => buried(draft, ids))
    return { references }
  }

  nudge(ids: readonly string[]) {
    // The platform lost patience, so the releases are void: whatever may still go is released anew by this very step.
    const [, references] = this.#step((draft) => {
      for (const id of ids) draft.releases.set(id, null)
    })
    return { references }
  }

  // --- at_most_once ---------------------------------------------------------------------------------------------------

  admitFleeting() {
    const agent = this.#mailbox.agent
    if (agent === undefined) return { status: 'unknown' } as const
    const reason = parkedBecause(agent, this.#chance.now())
    return reason === undefined ? ({ status: 'admitted' } as const) : ({ status: 'dropped', reason } as const)
  }

  beginFleeting(id: string): FleetingAnswer {
    return this.#step((draft, now) => beginFleeting(draft, id, this.#store.stored(id) !== undefined, now))[0]
  }

  recordFleeting(incoming: Incoming, id: string, startedAt: number, outcome: FleetingOutcome): void {
    const now = this.#chance.now()
    const draft = begin(this.#mailbox)
    draft.fleeting.set(id, null)
    const references = release(draft, now)
    this.#commit(draft, now, () => {
      if (this.#store.stored(id) === undefined)
        this.#store.record(fleetingReceipt(draft, incoming, id, startedAt, outcome, now), now)
    })
    void this.#send(references)
  }

  // --- people ---------------------------------------------------------------------------------------------------------

  cancel(id: string) {
    const [answer, references] = this.#step((draft, now) => cancel(draft, id, this.#stored, now))
    return { ...answer, references }
  }

  redrive(id: string, token: string) {
    const [answer, references] = this.#step((draft, now) => redrive(draft, id, token, this.#stored, now))
    return { ...answer, references }
  }

  purge(id: string): boolean {
    return this.#step((draft) => purge(draft, id, this.#stored))[0]
  }

  receipt(id: string) {
    const draft = begin(this.#mailbox)
    const delivery = deliveryOf(draft, id) ?? this.#store.stored(id)
    return delivery === undefined ? undefined : receiptOf(draft, delivery, this.#name(), this.#chance.now())
  }

  list(status: string | undefined, cursor: string | undefined, limit: number) {
    const now = this.#chance.now()
    const draft = begin(this.#mailbox)
    const page = this.#store.page(cursor ?? '', limit)
    const items = page
      .map((d) => deliveryOf(draft, d.id) ?? d)
      .filter((d) => status === undefined || statusOf(draft, d, now).status === status)
      .map((d) => receiptOf(draft, d, this.#name(), now))
    const last = page.at(-1)
    return { items, ...(page.length === limit && last !== undefined ? { cursor: last.id } : {}) }
  }

  describe() {
    const { agent } = this.#mailbox
    return agent === undefined ? undefined : { agent, figures: figuresOf(this.#mailbox, this.#chance.now()) }
  }

  enrol(
    registration: Registration,
    fresh: { name: string; incarnation: string; secret: string; trusted: boolean },
  ): Enrolled {
    const before = this.#mailbox.agent
    const [agent, references] = this.#step((draft, now) => {
      const agent = enrol(before, {
        name: fresh.name,
        registration,
        freshIncarnation: fresh.incarnation,
        freshSecret: fresh.secret,
        trusted: fresh.trusted,
        now,
      })
      draft.agent = { ...agent, sequence: draft.sequence }
      return agent
    })
    const mine = agent.secrets[0]?.secret === fresh.secret
    return {
      agent,
      created: agent.incarnation === fresh.incarnation,
      ...(mine ? { secret: fresh.secret } : {}),
      references,
    }
  }

  retire(mail: 'dead' | undefined) {
    if (this.#mailbox.agent === undefined) return { status: 'unknown' } as const
    if (this.#mailbox.depth > 0 && mail === undefined)
      return { status: 'has_mail', depth: this.#mailbox.depth } as const
    this.#step((draft, now) => {
      abandon(draft, now)
      draft.agent = null
    })
    return { status: 'retired' } as const
  }

  pause(reason: string, untilMs: number | undefined): AgentRecord | undefined {
    return this.#step((draft, now) => {
      pause(draft, reason, untilMs, now)
      return agentOf(draft)
    })[0]
  }

  resume() {
    const [agent, references] = this.#step((draft) => {
      resume(draft)
      return agentOf(draft)
    })
    return { agent, references }
  }

  rotateSecret(fresh: string, overlapMs: number): AgentRecord | undefined {
    return this.#step((draft, now) => {
      const agent = agentOf(draft)
      if (agent !== undefined && agent.secrets[0]?.secret !== fresh)
        draft.agent = rotateSecret(agent, fresh, overlapMs, now)
      return agentOf(draft)
    })[0]
  }

  verified(url: string) {
    const [, references] = this.#step((draft) => {
      const agent = agentOf(draft)
      // The answer may be late: it counts only for the url that gave it.
      if (agent !== undefined && agent.url === url) draft.agent = withoutVerifyAt({ ...agent, verified: true })
    })
    return { references }
  }

  // --- time -----------------------------------------------------------------------------------------------------------

  sweep() {
    const now = this.#chance.now()
    this.#context.storage.transactionSync(() => {
      this.#store.rotate(this.#mailbox, now)
      this.#store.tidy(now)
    })
    this.#armWhatIsOverdue()
    return { references: this.#step(() => undefined)[1] }
  }

  /** Never throws: a thrown alarm is retried six times and then forgotten, and with it everything live (M6). */
  override async alarm(): Promise<void> {
    this.#alarmAt = null
    try {
      const [due, references] = this.#step((draft, now) => tick(draft, now, this.#chance.random), true)
      await Promise.all([this.#send(references), this.#sendWork(due)])
    } catch (error) {
      console.error(JSON.stringify({ step: 'agent.alarm', agent: this.#name(), error: String(error) }))
      await this.#context.storage.setAlarm(this.#chance.now() + alarmRetryMs)
    }
  }

  // --- inside ---------------------------------------------------------------------------------------------------------

  readonly #stored = (id: string): Delivery | undefined => this.#store.stored(id)
  readonly #body = (id: string): string | undefined => this.#store.body(id)

  /** One step: the work, then whatever it freed is released, then everything is saved as one. */
  #step<T>(work: (draft: Draft, now: number) => T, everything = false): [T, References] {
    const now = this.#chance.now()
    const draft = begin(this.#mailbox)
    const value = work(draft, now)
    const references = release(draft, now)
    this.#commit(draft, now, () => this.#store.save(draft, now), everything)
    return [value, references]
  }

  #commit(draft: Draft, now: number, save: () => void, everything = false): void {
    try {
      this.#context.storage.transactionSync(() => {
        if (isChanged(draft) || draft.fleeting.size > 0) save()
        this.#arm(draft, now, everything)
      })
    } catch (error) {
      // Memory may be ahead of storage now: the next call must rebuild it.
      this.#context.abort(`save failed: ${String(error)}`)
      throw error
    }
    this.#mailbox = apply(draft)
  }

  // M6: in the transaction that made it so. An alarm armed early costs one visit; a late one costs a promise.
  #arm(draft: Draft, now: number, everything: boolean): void {
    const changed = everything ? this.#everything(draft) : changedOf(draft)
    const due = nextDueAt(draft, changed, now)
    if (due === undefined) return
    const armed = this.#alarmAt
    if (armed !== null && armed <= due && armed > now - alarmRetryMs) return
    const at = Math.max(due, now)
    void this.#context.storage.setAlarm(at)
    this.#alarmAt = at
  }

  *#everything(draft: Draft): Generator<Delivery> {
    for (const [id, delivery] of draft.base.live) if (!draft.deliveries.has(id)) yield delivery
    yield* draft.deliveries.values()
  }

  #armWhatIsOverdue(): void {
    const now = this.#chance.now()
    const draft = begin(this.#mailbox)
    // After a rebuild nothing is known to be released: what may go is released by the alarm, at once.
    const due = nextInLine(draft, 1, now).length > 0 ? now : nextDueAt(draft, this.#mailbox.live.values(), now)
    if (due === undefined || (this.#alarmAt !== null && this.#alarmAt <= Math.max(due, now + alarmRetryMs))) return
    void this.#context.storage.setAlarm(due)
    this.#alarmAt = due
  }

  #standing(draft: Draft, id: string) {
    const delivery = deliveryOf(draft, id) ?? this.#store.stored(id)
    return delivery === undefined
      ? undefined
      : { status: statusOf(draft, delivery, this.#chance.now()).status, message: delivery.head.id }
  }

  async #send(references: References): Promise<void> {
    const agent = this.#name()
    await Promise.all(references.map((r) => patiently(this.env.DELIVERIES.send(takeReferenceTo(agent, r)))))
  }

  async #sendWork(due: Tick): Promise<void> {
    const agent = this.#name()
    if (due.chores.length > 0) await patiently(this.env.WORK.send({ v: 1, agent, deliveries: [...due.chores] }))
    if (due.verify) await patiently(this.env.WORK.send({ v: 1, agent, verify: true }))
  }

  #name(): string {
    return this.#context.id.name ?? this.#mailbox.agent?.name ?? ''
  }
}

function isChanged(draft: Draft): boolean {
  return draft.agent !== undefined || draft.deliveries.size > 0 || draft.slots.size > 0
}

function* changedOf(draft: Draft): Generator<Delivery> {
  const ids = new Set([
    ...draft.deliveries.keys(),
    ...draft.leases.keys(),
    ...draft.releases.keys(),
    ...draft.chores.keys(),
  ])
  for (const id of ids) {
    const delivery = deliveryOf(draft, id)
    if (delivery !== undefined) yield delivery
  }
}

function withoutVerifyAt(agent: AgentRecord): AgentRecord {
  const { verifyAt: _verifyAt, ...rest } = agent
  return rest
}
