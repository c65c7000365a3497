/**
 * AgentObject: the memory of one agent. Its mailbox, leases and receipts. Every method is one step of shared/: read, compute
 * purely, save in one transaction with the alarm armed, and only then lay the result over memory. Never here: delivering or
 * publishing (workers/), or any decision about mail (shared/).
 */
import { DurableObject } from 'cloudflare:workers'
import { accept, type Incoming } from '../shared/admission.ts'
import { type AgentRecord, enrol, type Registration, rotateSecret, verify } from '../shared/agent.ts'
import type { Breaker } from '../shared/breaker.ts'
import { beginFleeting, droppedBecause, type FleetingOutcome, recordFleeting } from '../shared/fleeting.ts'
import { heldMail, isOpen, leasedOf, unfinishedOf } from '../shared/handover.ts'
import type { ProgressInput } from '../shared/lease.ts'
import { agentOf, begin, type Draft, deliveryOf, figuresOf } from '../shared/mailbox.ts'
import { overdue } from '../shared/overdue.ts'
import type {
  AcceptAnswer,
  AgentPort,
  ChancePort,
  Enrolled,
  FleetingAnswer,
  SettleAnswer,
  Synchronous,
  TakeAnswer,
} from '../shared/ports.ts'
import { type Departed, type Departure, departed, departuresOf, leave } from '../shared/reassign.ts'
import { receiptOf, statusOf } from '../shared/receipt.ts'
import { lease, take } from '../shared/release.ts'
import { type Report, settle } from '../shared/settlement.ts'
import {
  abandon,
  buried,
  type CarriedEffect,
  cancel,
  carried,
  extend,
  forceBreaker,
  hand,
  pause,
  purge,
  redrive,
  resume,
  tick,
} from '../shared/upkeep.ts'
import { chance } from './chance.ts'
import { MailboxShell, type ObjectContext } from './mailbox-shell.ts'
import { type OutboxEnv, sendMove, sendReleases, sendWork } from './outbox.ts'

export class AgentObject extends DurableObject<OutboxEnv> implements Synchronous<AgentPort> {
  readonly #chance: Pick<ChancePort, 'now' | 'random'>
  readonly #shell: MailboxShell
  readonly #name: string

  constructor(ctx: DurableObjectState, env: OutboxEnv, ports: Pick<ChancePort, 'now' | 'random'> = chance) {
    super(ctx, env)
    this.#chance = ports
    this.#name = ctx.id.name ?? ''
    // The narrow shape that is used; the platform's own class satisfies it.
    this.#shell = new MailboxShell(ctx as unknown as ObjectContext, ports, (...to) => sendMove(env, this.#name, ...to))
  }

  // --- the message's way ----------------------------------------------------------------------------------------------

  accept(incoming: readonly Incoming[], token: string): AcceptAnswer {
    const [admissions, references] = this.#shell.step((draft, now) =>
      accept(draft, incoming, token, this.#shell.store.rows(), this.#shell.stored, now),
    )
    const draft = begin(this.#shell.mailbox)
    const known = admissions.map((a) => ('id' in a ? this.#standing(draft, a.id) : undefined))
    return { admissions, known, references }
  }

  take(ids: readonly string[], token: string): TakeAnswer {
    const [answer, references] = this.#shell.step((draft, now) => {
      const taken = take(draft, ids, token, now)
      for (const id of taken.unfinished) hand(draft, id, 0, now)
      return {
        agent: agentOf(draft),
        leases: leasedOf(draft, taken.grants, this.#shell.body),
        unfinished: unfinishedOf(draft, this.#name, taken.unfinished),
        rest: taken.rest,
      }
    })
    return { ...answer, references }
  }

  lease(max: number, durationMs: number, token: string): TakeAnswer {
    const [answer, references] = this.#shell.step((draft, now) => ({
      agent: agentOf(draft),
      leases: leasedOf(draft, lease(draft, max, durationMs, token, now), this.#shell.body),
      unfinished: [],
      rest: [],
    }))
    return { ...answer, references }
  }

  settle(reports: readonly Report[]): SettleAnswer {
    const [answer, references] = this.#shell.step((draft, now) => {
      const settlements = settle(draft, reports, this.#shell.stored, now, this.#chance.random)
      const open = reports.map((r) => r.id).filter((id) => isOpen(draft, id))
      for (const id of open) hand(draft, id, 0, now)
      return { settlements, agent: agentOf(draft), unfinished: unfinishedOf(draft, this.#name, open) }
    })
    return { ...answer, references }
  }

  extend(id: string, token: string, extendMs: number, progress?: ProgressInput) {
    return this.#shell.step((draft, now) => extend(draft, id, token, extendMs, now, progress))[0]
  }

  unfinished(ids: readonly string[]) {
    const [answer, references] = this.#shell.step((draft) => ({
      agent: agentOf(draft),
      unfinished: unfinishedOf(draft, this.#name, ids),
      departures: departuresOf(draft, ids, this.#shell.body),
    }))
    return { ...answer, references }
  }

  leave(to: string, max: number): readonly Departure[] {
    const [ids] = this.#shell.step((draft, now) => leave(draft, to, max, now))
    return departuresOf(begin(this.#shell.mailbox), ids, this.#shell.body)
  }

  departed(news: readonly Departed[]) {
    return { references: this.#shell.step((draft, now) => departed(draft, news, now))[1] }
  }

  carried(id: string, news: readonly CarriedEffect[]) {
    return { references: this.#shell.step((draft, now) => carried(draft, id, news, now))[1] }
  }

  buried(ids: readonly string[]) {
    return { references: this.#shell.step((draft) => buried(draft, ids))[1] }
  }

  nudge(ids: readonly string[]) {
    // The platform lost patience, so the releases are void: whatever may still go is released anew by this very step.
    const [, references] = this.#shell.step((draft) => {
      for (const id of ids) draft.releases.set(id, null)
    })
    return { references }
  }

  // --- at_most_once ---------------------------------------------------------------------------------------------------

  admitFleeting() {
    const agent = this.#shell.mailbox.agent
    if (agent === undefined) return { status: 'unknown' } as const
    const reason = droppedBecause(agent, this.#shell.mailbox.gate, this.#chance.now())
    return reason === undefined ? ({ status: 'admitted' } as const) : ({ status: 'dropped', reason } as const)
  }

  beginFleeting(id: string): FleetingAnswer {
    return this.#shell.step((draft, now) =>
      beginFleeting(draft, id, this.#shell.store.stored(id) !== undefined, now),
    )[0]
  }

  recordFleeting(incoming: Incoming, id: string, startedAt: number, outcome: FleetingOutcome) {
    const [, references] = this.#shell.step((draft, now) =>
      recordFleeting(draft, incoming, id, startedAt, outcome, this.#shell.stored(id) !== undefined, now),
    )
    return { references }
  }

  // --- people ---------------------------------------------------------------------------------------------------------

  cancel(id: string) {
    const [answer, references] = this.#shell.step((draft, now) => cancel(draft, id, this.#shell.stored, now))
    return { ...answer, references }
  }

  redrive(id: string, token: string) {
    const [answer, references] = this.#shell.step((draft, now) => redrive(draft, id, token, this.#shell.stored, now))
    return { ...answer, references }
  }

  purge(id: string): boolean {
    return this.#shell.step((draft) => purge(draft, id, this.#shell.stored))[0]
  }

  receipt(id: string) {
    const draft = begin(this.#shell.mailbox)
    const delivery = deliveryOf(draft, id) ?? this.#shell.store.stored(id)
    return delivery === undefined ? undefined : receiptOf(draft, delivery, this.#name, this.#chance.now())
  }

  list(status: string | undefined, cursor: string | undefined, limit: number) {
    const now = this.#chance.now()
    const draft = begin(this.#shell.mailbox)
    const page = this.#shell.store.page(cursor ?? '', limit)
    const items = page.items
      .map((d) => deliveryOf(draft, d.id) ?? d)
      .filter((d) => status === undefined || statusOf(draft, d, now).status === status)
      .map((d) => receiptOf(draft, d, this.#name, now))
    const last = page.items.at(-1)
    return { items, ...(page.more && last !== undefined ? { cursor: last.id } : {}) }
  }

  describe() {
    const { agent } = this.#shell.mailbox
    return agent === undefined ? undefined : { agent, figures: figuresOf(this.#shell.mailbox, this.#chance.now()) }
  }

  enrol(registration: Registration, fresh: Parameters<AgentPort['enrol']>[1]): Enrolled {
    const { name, trusted, incarnation: freshIncarnation, secret } = fresh
    // Awake, because another policy may make any of its mail due earlier (M6).
    const [agent, references] = this.#shell.wake((draft, now) => {
      const agent = enrol(agentOf(draft), { name, registration, freshIncarnation, freshSecret: secret, trusted, now })
      draft.agent = { ...agent, sequence: draft.sequence }
      return agent
    })
    const mine = agent.secrets[0]?.secret === secret
    return { agent, created: agent.incarnation === freshIncarnation, ...(mine ? { secret } : {}), references }
  }

  retire(mail: 'dead' | undefined) {
    if (this.#shell.mailbox.agent === undefined) return { status: 'unknown' } as const
    const held = heldMail(this.#shell.mailbox)
    if (held > 0 && mail === undefined) return { status: 'has_mail', depth: held } as const
    this.#shell.step((draft, now) => {
      abandon(draft, now)
      draft.agent = null
    })
    return { status: 'retired' } as const
  }

  pause(reason: string, untilMs: number | undefined): AgentRecord | undefined {
    return this.#shell.step((draft, now) => {
      pause(draft, reason, untilMs, now)
      return agentOf(draft)
    })[0]
  }

  resume() {
    const [agent, references] = this.#shell.step((draft) => {
      resume(draft)
      return agentOf(draft)
    })
    return { agent, references }
  }

  breaker(): Breaker | undefined {
    return this.#shell.mailbox.agent === undefined ? undefined : this.#shell.mailbox.gate.breaker
  }

  forceBreaker(to: Breaker['forced'], by: string) {
    const [, references] = this.#shell.step((draft, now) => forceBreaker(draft, to, by, now))
    return { breaker: this.breaker(), references }
  }

  rotateSecret(fresh: string, overlapMs: number): AgentRecord | undefined {
    return this.#shell.step((draft, now) => {
      const agent = agentOf(draft)
      if (agent !== undefined && agent.secrets[0]?.secret !== fresh)
        draft.agent = rotateSecret(agent, fresh, overlapMs, now)
      return agentOf(draft)
    })[0]
  }

  verified(url: string) {
    const [, references] = this.#shell.step((draft) => {
      const agent = agentOf(draft)
      if (agent !== undefined) draft.agent = verify(agent, url)
    })
    return { references }
  }

  // --- time -----------------------------------------------------------------------------------------------------------

  sweep() {
    this.#shell.cleanUp()
    const [agent, references] = this.#shell.step(agentOf)
    return { agent, references }
  }

  /** Never throws: a thrown alarm is retried six times and then forgotten, and with it everything live (M6). */
  override async alarm(): Promise<void> {
    try {
      const [due, references] = this.#shell.wake((draft, now) => ({
        // First: what it sends to another mailbox is a chore of this very tick.
        overdue: overdue(draft, now),
        ...tick(draft, now, this.#chance.random),
      }))
      await Promise.all([sendReleases(this.env, this.#name, references), sendWork(this.env, this.#name, due)])
    } catch (error) {
      console.error(JSON.stringify({ step: 'agent.alarm', agent: this.#name, error: String(error) }))
      await this.#shell.wakeLater()
    }
  }

  // --- inside ---------------------------------------------------------------------------------------------------------

  #standing(draft: Draft, id: string) {
    const delivery = deliveryOf(draft, id) ?? this.#shell.store.stored(id)
    return delivery === undefined
      ? undefined
      : { status: statusOf(draft, delivery, this.#chance.now()).status, message: delivery.head.id }
  }
}
