/**
 * What people and their programs do to one agent's mailbox: register and retire, pause and resume, cancel, redrive, read.
 * The half of AgentObject that no message's way goes through. Never here: accept, take, settle (durable-objects/agent.ts).
 */
import { DurableObject } from 'cloudflare:workers'
import { type AgentRecord, enrol, isHere, type Registration, verify } from '../shared/agent.ts'
import type { AgentPort, Enrolled } from '../shared/agent-port.ts'
import { rotateSecret } from '../shared/agent-secret.ts'
import type { Breaker } from '../shared/breaker.ts'
import { isCallbackAgent, neededUntil } from '../shared/callback.ts'
import { cardOf, etagOf } from '../shared/card.ts'
import type { CatchUp } from '../shared/catch-up-policy.ts'
import { type Delivery, endedStatus } from '../shared/delivery.ts'
import type { Editing } from '../shared/edit.ts'
import { figuresOf, statsOf } from '../shared/figures.ts'
import { heldMail } from '../shared/handover.ts'
import { type Handshake, type Shaken, standingOf } from '../shared/handshake.ts'
import { foundBy, inherit, keepMail } from '../shared/kept-mail.ts'
import { agentOf, begin, type Draft, deliveryOf, earliest, liveOf } from '../shared/mailbox.ts'
import { cursorOf, newestFirst, type Place, placeOf, readCursor } from '../shared/newest-first.ts'
import { pageWithin } from '../shared/page.ts'
import type { Principal } from '../shared/permissions.ts'
import type { ChancePort, StoragePort } from '../shared/ports.ts'
import { concerns } from '../shared/reader.ts'
import { type ReceiptStatus, receiptOf, statusOf } from '../shared/receipt.ts'
import { redrive } from '../shared/redrive.ts'
import { abandon, cancel, forceBreaker, hand, pause, purge, resume } from '../shared/upkeep.ts'
import { chance } from './chance.ts'
import { correlatedIn } from './correlated.ts'
import { Gathers } from './gathers.ts'
import { HandshakeStore } from './handshake-store.ts'
import { MailboxShell, type ObjectContext } from './mailbox-shell.ts'
import { type OutboxEnv, sendMove, sendPause } from './outbox.ts'
import { newestIn } from './receipt-list.ts'
import { RootStore } from './root-store.ts'

/** How often what is left of a deleted agent is looked at. */
const tidyMs = 86_400_000

export abstract class OperatedMailbox extends DurableObject<OutboxEnv> {
  protected readonly chance: Pick<ChancePort, 'now' | 'random'>
  protected readonly shell: MailboxShell
  protected readonly handshakes: HandshakeStore
  protected readonly roots: RootStore
  /** The requests that this agent was asked. */
  protected readonly gathers: Gathers
  protected readonly name: string
  readonly #sql: StoragePort['sql']

  constructor(ctx: DurableObjectState, env: OutboxEnv, ports: Pick<ChancePort, 'now' | 'random'> = chance) {
    super(ctx, env)
    this.chance = ports
    this.name = ctx.id.name ?? ''
    // The narrow shapes that are used; the platform's own classes satisfy them.
    this.#sql = (ctx.storage as unknown as StoragePort).sql
    this.handshakes = new HandshakeStore(ctx.storage as unknown as StoragePort)
    this.roots = new RootStore(ctx.storage as unknown as StoragePort)
    this.shell = new MailboxShell(
      ctx as unknown as ObjectContext,
      ports,
      (...to) => sendMove(env, this.name, ...to),
      (since) => sendPause(env, this.name, since),
      (isRetired) => earliest([this.gathers.earliestDueAt(), isRetired ? this.#tidyAt() : undefined]),
    )
    this.gathers = new Gathers(ctx.storage as unknown as StoragePort, ports, {
      together: (write) => this.shell.together(write),
      arm: (dueAt, now) => this.shell.armBy(dueAt, now),
    })
  }

  cancel(id: string) {
    const [answer, references] = this.shell.step((draft, now) => cancel(draft, id, this.shell.stored, now))
    return { ...answer, references }
  }

  redrive(id: string, token: string, editing?: Editing) {
    const [answer, references] = this.shell.step((draft, now) => {
      const told = redrive(draft, id, token, this.shell.stored, now, editing)
      // Whoever sends it elsewhere is at it.
      if (editing?.to !== undefined) hand(draft, id, 0, now)
      return told
    })
    return { ...answer, references }
  }

  purge(id: string): boolean {
    return this.shell.step((draft) => purge(draft, id, this.shell.stored))[0]
  }

  body(id: string, reader?: Principal): string | undefined {
    return reader === undefined || this.#find(id, reader) !== undefined ? this.shell.body(id) : undefined
  }

  receipt(id: string, reader?: Principal) {
    const draft = begin(this.shell.mailbox)
    const delivery = this.#find(id, reader)
    return delivery === undefined ? undefined : receiptOf(draft, delivery, this.name, this.chance.now())
  }

  #find(id: string, reader: Principal | undefined): Delivery | undefined {
    const delivery = deliveryOf(begin(this.shell.mailbox), id) ?? this.shell.store.stored(id)
    return delivery !== undefined && this.#concerns(reader, delivery) ? delivery : undefined
  }

  #concerns(reader: Principal | undefined, delivery: Delivery): boolean {
    return concerns(reader, this.name, this.shell.mailbox.agent?.incarnation, delivery)
  }

  list(status: ReceiptStatus | undefined, cursor: string | undefined, limit: number, reader?: Principal) {
    const now = this.chance.now()
    const draft = begin(this.shell.mailbox)
    const from = cursor === undefined ? undefined : readCursor(cursor)
    const ended = endedStatus.safeParse(status).data
    const { items, more } =
      status !== undefined && ended === undefined
        ? this.#standing(draft, status, from, limit, now)
        : newestIn(this.shell.store.tables(), this.#sql, from, limit, ended)
    const last = items.at(-1)
    const seen = items.filter((d) => this.#concerns(reader, d))
    return {
      items: seen.map((d) => receiptOf(draft, deliveryOf(draft, d.id) ?? d, this.name, now)),
      ...(more && last !== undefined ? { cursor: cursorOf(placeOf(last)) } : {}),
    }
  }

  // Where one stands that has not ended, only memory knows; and it has all of them.
  #standing(draft: Draft, status: ReceiptStatus, from: Place | undefined, limit: number, now: number) {
    const standing = [...liveOf(draft)].filter((d) => statusOf(draft, d, now).status === status)
    const sorted = standing.map((d) => ({ ...placeOf(d), delivery: d })).sort(newestFirst)
    const left = from === undefined ? sorted : sorted.filter((place) => newestFirst(from, place) < 0)
    const { rows, more } = pageWithin(left, limit, ({ delivery }) => JSON.stringify(delivery).length)
    return { items: rows.map(({ delivery }) => delivery), more }
  }

  describe() {
    const { agent } = this.shell.mailbox
    return !isHere(agent) ? undefined : { agent, figures: figuresOf(this.shell.mailbox, this.chance.now()) }
  }

  stats() {
    return statsOf(this.shell.mailbox, this.chance.now())
  }

  audit() {
    return this.shell.mailbox.agent === undefined ? undefined : this.shell.store.audit(this.shell.mailbox)
  }

  correlated(correlationid: string, after: string | undefined, rows: number) {
    return correlatedIn(
      this.shell.store.tables(),
      this.shell.store.reach(),
      this.#sql,
      correlationid,
      after ?? '',
      rows,
    )
  }

  enrol(registration: Registration, fresh: Parameters<AgentPort['enrol']>[1]): Enrolled {
    const { name, trusted, incarnation: freshIncarnation, secret, neededMs } = fresh
    // Awake, because another policy may make any of its mail due earlier (M6).
    const [agent, references] = this.shell.wake((draft, now) => {
      const found = foundBy(draft, now)
      const asked = {
        name,
        registration,
        freshIncarnation,
        freshSecret: secret,
        trusted,
        now,
        ...(neededMs === undefined ? {} : { neededMs }),
      }
      draft.agent = { ...enrol(found, asked), sequence: draft.sequence }
      inherit(draft, draft.agent, now)
      return draft.agent
    })
    const mine = agent.secrets[0]?.secret === secret
    return { agent, created: agent.incarnation === freshIncarnation, ...(mine ? { secret } : {}), references }
  }

  retire(mail: Parameters<AgentPort['retire']>[0]) {
    if (this.shell.mailbox.agent === undefined) return { status: 'unknown' } as const
    const held = heldMail(this.shell.mailbox)
    if (held > 0 && mail === undefined) return { status: 'has_mail', depth: held } as const
    this.shell.step((draft, now) => {
      if (held > 0 && typeof mail === 'object') return keepMail(draft, mail.keepMs, now)
      abandon(draft, now)
      draft.agent = null
    })
    this.handshakes.clear()
    this.roots.clear()
    this.tidyRetired()
    return { status: 'retired' } as const
  }

  /** Of a callback's mailbox: is it over? One that is, and in which nothing is kept any more, leaves nothing behind. */
  protected forgetWhenNeedless(): void {
    const { agent } = this.shell.mailbox
    if (agent === undefined || !isCallbackAgent(this.name)) return
    const now = this.chance.now()
    const until = agent.neededUntil
    // One of before, when nobody wrote down what was asked.
    if (until === undefined) {
      this.shell.step((draft) => {
        draft.agent = { ...agent, neededUntil: neededUntil(agent, 0, now) }
      })
      return
    }
    if (until <= now) this.#forgetIfEmpty()
  }

  /** Of an agent that was deleted: nobody visits it any more, so it sees itself to what is past keeping, until nothing is left. */
  protected readonly tidyRetired = (): void => {
    if (this.shell.mailbox.agent !== undefined || !this.shell.store.exists()) return
    this.shell.cleanUp()
    this.#forgetIfEmpty()
  }

  // Where nothing is stored there was never anybody.
  #tidyAt(): number | undefined {
    return this.shell.store.exists() ? this.chance.now() + tidyMs : undefined
  }

  #forgetIfEmpty(): void {
    const { live, fleeting } = this.shell.mailbox
    if (live.size + fleeting.size > 0 || !this.shell.store.isEmpty() || this.gathers.holdsAny()) return
    this.roots.clear()
    this.gathers.gone()
    this.shell.forget()
  }

  pause(reason: string, untilMs: number | undefined): AgentRecord | undefined {
    return this.shell.step((draft, now) => {
      pause(draft, reason, untilMs, now)
      return agentOf(draft)
    })[0]
  }

  resume(token: string, catchUp?: CatchUp) {
    const [agent, references] = this.shell.step((draft, now) => {
      resume(draft, now, token, catchUp)
      return agentOf(draft)
    })
    return { agent, references }
  }

  breaker(): Breaker | undefined {
    return this.shell.mailbox.agent === undefined ? undefined : this.shell.mailbox.gate.breaker
  }

  forceBreaker(to: Breaker['forced'], by: string) {
    const [, references] = this.shell.step((draft, now) => forceBreaker(draft, to, by, now))
    return { breaker: this.breaker(), references }
  }

  rotateSecret(fresh: string, overlapMs: number, named: string | undefined): AgentRecord | undefined {
    return this.shell.step((draft, now) => {
      const agent = agentOf(draft)
      const rotated = agent === undefined ? undefined : rotateSecret(agent, fresh, overlapMs, now, named)
      if (rotated !== undefined && rotated !== agent) draft.agent = rotated
      return agentOf(draft)
    })[0]
  }

  shake(shaken: Shaken, inForceMs: number) {
    // Whoever was negotiated with may have been deleted meanwhile, and another one registered under its name.
    if (this.shell.mailbox.agent?.incarnation !== shaken.incarnation) return undefined
    return this.#inForce(this.handshakes.keep(shaken, inForceMs, this.chance.now()))
  }

  handshake(id: string) {
    const handshake = this.handshakes.find(id)
    return handshake === undefined ? undefined : this.#inForce(handshake)
  }

  #inForce(handshake: Handshake) {
    const { agent } = this.shell.mailbox
    if (agent?.incarnation !== handshake.incarnation) return undefined
    return { handshake, standing: standingOf(handshake, etagOf(cardOf(agent)), this.chance.now()) }
  }

  verified(url: string) {
    const [, references] = this.shell.step((draft) => {
      const agent = agentOf(draft)
      if (agent !== undefined) draft.agent = verify(agent, url)
    })
    return { references }
  }
}
