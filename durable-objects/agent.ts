/**
 * AgentObject: the memory of one agent. Its mailbox, leases and receipts. Every method is one step of shared/: read, compute
 * purely, save in one transaction with the alarm armed, and only then lay the result over memory. Never here: delivering or
 * publishing (workers/), any decision about mail (shared/), or what people do to it (durable-objects/operated-mailbox.ts).
 */
import { type Admission, accept, type Incoming } from '../shared/admission.ts'
import { isHere } from '../shared/agent.ts'
import type {
  AcceptAnswer,
  AgentPort,
  AskAnswer,
  FleetingAnswer,
  SettleAnswer,
  TakeAnswer,
} from '../shared/agent-port.ts'
import type { Arrived } from '../shared/arrival.ts'
import { awayOf } from '../shared/away.ts'
import { claimedCause } from '../shared/cause.ts'
import { extend } from '../shared/extend.ts'
import { beginFleeting, droppedBecause, type FleetingOutcome, recordFleeting } from '../shared/fleeting.ts'
import { type GatherOpened, type GatherOpening, progressGather, sendKey, wasRefused } from '../shared/gather.ts'
import { type Asking, newsOf } from '../shared/gather-leg.ts'
import type { GatherObjectPort } from '../shared/gather-port.ts'
import { unsent } from '../shared/gather-work.ts'
import { isOpen, leasedOf, unfinishedOf } from '../shared/handover.ts'
import { endKeeping } from '../shared/kept-mail.ts'
import type { ProgressInput } from '../shared/lease.ts'
import { limits } from '../shared/limits.ts'
import { agentOf, begin, type Draft, deliveryOf } from '../shared/mailbox.ts'
import { alertsOf, overdue } from '../shared/overdue.ts'
import type { Synchronous } from '../shared/ports.ts'
import { type Departed, type Departure, departed, departuresOf, leave } from '../shared/reassign.ts'
import { statusOf } from '../shared/receipt.ts'
import { lease, type References, releaseAndTake, take } from '../shared/release.ts'
import { isToCarry, noteArrived, type ReplyHere } from '../shared/reply-here.ts'
import { type Report, settle } from '../shared/settlement.ts'
import { buried, type CarriedEffect, carried, hand, recall, tick } from '../shared/upkeep.ts'
import { letGo } from '../shared/waiting.ts'
import { OperatedMailbox } from './operated-mailbox.ts'
import { sendGathers, sendReleases, sendWork } from './outbox.ts'

/** What became of messages in a step, before it is saved. */
interface Accepting {
  readonly admissions: readonly Admission[]
  readonly taken: TakeAnswer | undefined
}

/** A reply that comes to its request in a step. */
interface Reply {
  readonly id: string
  readonly reply: ReplyHere
  readonly standing: Arrived
}

export class AgentObject extends OperatedMailbox implements Synchronous<AgentPort> {
  // --- the message's way ----------------------------------------------------------------------------------------------

  accept(incoming: readonly Incoming[], token: string, takeToken?: string): AcceptAnswer {
    return this.#accepted(this.shell.step((draft, now) => this.#acceptInto(draft, incoming, token, takeToken, now)))
  }

  ask(opening: GatherOpening, asking: Asking, takeToken?: string): AskAnswer {
    const opened = this.gathers.opened(opening.id, opening)
    if (opened.status !== 'opened') return this.#askedBefore(opened, takeToken)
    const [send] = unsent(opened.gather)
    if (send === undefined) return { opened }
    const incoming = { ...asking, key: sendKey(opened.gather, send.id) }
    let { gather } = opened
    const stepped = this.shell.step(
      (draft, now) => {
        const told = this.#acceptInto(draft, [incoming], `gather.${incoming.key}`, takeToken, now)
        gather = progressGather(gather, newsOf(gather, send, told.admissions[0]), now)
        return told
      },
      // One that nobody got has given its key back, and is not worth a row.
      () => wasRefused(gather) || this.gathers.writeOpened(gather, [asking.body]),
    )
    return { opened: { status: 'opened', gather }, accepted: this.#accepted(stepped) }
  }

  /** What is asked of one of the requests that lie here; whoever asks has its types (workers/platform.ts). */
  gather(method: keyof GatherObjectPort, ...args: unknown[]): unknown {
    return (this.gathers as unknown as Record<typeof method, (...all: unknown[]) => unknown>)[method](...args)
  }

  take(ids: readonly string[], token: string, alone = false): TakeAnswer {
    const [answer, references] = this.shell.step((draft, now) => {
      const taken = take(draft, ids, token, now, alone)
      for (const id of taken.unfinished) hand(draft, id, 0, now)
      return {
        agent: agentOf(draft),
        leases: leasedOf(draft, taken.grants, this.shell.body),
        unfinished: unfinishedOf(draft, this.name, taken.unfinished, this.shell.body),
        rest: taken.rest,
      }
    })
    return { ...answer, references }
  }

  lease(max: number, durationMs: number, token: string): TakeAnswer {
    const [answer, references] = this.shell.step((draft, now) => ({
      agent: agentOf(draft),
      leases: leasedOf(draft, lease(draft, max, durationMs, token, now), this.shell.body),
      unfinished: [],
      rest: [],
    }))
    return { ...answer, references }
  }

  settle(reports: readonly Report[]): SettleAnswer {
    const writes: (() => void)[] = []
    const [{ replies, ...answer }, references] = this.shell.step(
      (draft, now) => {
        const settlements = settle(draft, reports, this.shell.stored, now, this.chance.random)
        const replies = this.#arrive(draft, reports, writes, now)
        const open = reports.map((r) => r.id).filter((id) => isOpen(draft, id))
        for (const id of open) hand(draft, id, 0, now)
        const unfinished = unfinishedOf(draft, this.name, open, this.shell.body)
        return { settlements, agent: agentOf(draft), unfinished, replies }
      },
      () => {
        for (const write of writes) write()
      },
    )
    return { ...answer, references, arrived: replies.map((reply) => this.#arrived(reply)) }
  }

  extend(id: string, token: string, extendMs: number, progress?: ProgressInput) {
    return this.shell.step((draft, now) => extend(draft, id, token, extendMs, now, progress))[0]
  }

  causes(ids: readonly string[]) {
    const draft = begin(this.shell.mailbox)
    return ids.map((id) => claimedCause(draft, this.name, id, this.shell.stored))
  }

  spend(root: string, journal: string, n: number, max: number): boolean {
    // Of an agent that was deleted nothing is kept.
    return this.shell.mailbox.agent === undefined || this.roots.spend(root, journal, n, max, this.chance.now())
  }

  unfinished(ids: readonly string[]) {
    const [answer, references] = this.shell.step((draft) => ({
      agent: agentOf(draft),
      unfinished: unfinishedOf(draft, this.name, ids, this.shell.body),
      departures: departuresOf(draft, ids, this.shell.body),
    }))
    return { ...answer, references }
  }

  leave(to: string, max: number): readonly Departure[] {
    const [ids] = this.shell.step((draft, now) => leave(draft, to, max, now))
    return departuresOf(begin(this.shell.mailbox), ids, this.shell.body)
  }

  departed(news: readonly Departed[]) {
    return { references: this.shell.step((draft, now) => departed(draft, news, now))[1] }
  }

  carried(id: string, news: readonly CarriedEffect[]) {
    return { references: this.shell.step((draft, now) => carried(draft, id, news, now))[1] }
  }

  buried(ids: readonly string[]) {
    return { references: this.shell.step((draft) => buried(draft, ids))[1] }
  }

  letGo(workflow: string, max: number) {
    return { references: this.shell.step((draft, now) => letGo(draft, workflow, max, now))[1] }
  }

  renew() {
    return this.nudge([...this.shell.mailbox.releases.keys()])
  }

  nudge(ids: readonly string[]) {
    // The platform lost patience, so the releases are void: whatever may still go is released anew by this very step.
    const [, references] = this.shell.step((draft) => {
      for (const id of ids) draft.releases.set(id, null)
    })
    return { references }
  }

  recall(ids: readonly string[]) {
    const [statuses, references] = this.shell.step((draft, now) => ids.map((id) => recall(draft, id, now).status))
    return { statuses, references }
  }

  holds(id: string, token: string): boolean {
    return this.shell.mailbox.leases.get(id)?.token === token
  }

  // --- at_most_once ---------------------------------------------------------------------------------------------------

  admitFleeting() {
    const agent = this.shell.mailbox.agent
    if (!isHere(agent)) return { status: 'unknown' } as const
    const reason = droppedBecause(agent, this.shell.mailbox.gate, this.chance.now())
    return reason === undefined ? ({ status: 'admitted' } as const) : ({ status: 'dropped', reason } as const)
  }

  beginFleeting(id: string): FleetingAnswer {
    return this.shell.step((draft, now) => beginFleeting(draft, id, this.shell.store.stored(id) !== undefined, now))[0]
  }

  recordFleeting(incoming: Incoming, id: string, startedAt: number, outcome: FleetingOutcome) {
    const [, references] = this.shell.step((draft, now) =>
      recordFleeting(draft, incoming, id, startedAt, outcome, this.shell.stored(id) !== undefined, now),
    )
    return { references }
  }

  // --- time -----------------------------------------------------------------------------------------------------------

  sweep() {
    this.shell.cleanUp()
    this.handshakes.tidy(this.chance.now())
    this.roots.tidy(this.chance.now())
    const [agent, references] = this.shell.step(agentOf)
    const alerts = alertsOf(begin(this.shell.mailbox), 0).slice(0, limits.alertsRepeated)
    const audit = this.audit()
    return { agent, references, alerts, ...(audit === undefined ? {} : { audit }) }
  }

  /** Never throws: a thrown alarm is retried six times and then forgotten, and with it everything live (M6). */
  override async alarm(): Promise<void> {
    try {
      await this.shell.turn(this.chance.random)
      const { work, over } = this.gathers.visit(this.chance.now())
      this.gathers.forget(over)
      const [due, references] = this.shell.wake((draft, now) => ({
        // What nobody came back for is buried by this very tick.
        isOver: endKeeping(draft, now),
        // First: what it sends to another mailbox is a chore of this very tick.
        overdue: overdue(draft, now),
        alerts: alertsOf(draft, now),
        ...tick(draft, now, this.chance.random),
      }))
      await Promise.all([
        sendReleases(this.env, this.name, references),
        sendWork(this.env, this.name, due),
        sendGathers(this.env, work),
      ])
    } catch (error) {
      console.error(JSON.stringify({ step: 'agent.alarm', agent: this.name, error: String(error) }))
      await this.shell.wakeLater()
    }
  }

  // --- inside ---------------------------------------------------------------------------------------------------------

  #acceptInto(
    draft: Draft,
    incoming: readonly Incoming[],
    token: string,
    takeToken: string | undefined,
    now: number,
  ): Accepting {
    const admissions = accept(draft, incoming, token, this.shell.store.rows(), this.shell.stored, now)
    // Whoever publishes is at it.
    for (const a of admissions) if (a.status === 'accepted' && a.diverted !== undefined) hand(draft, a.id, 0, now)
    const taken = takeToken === undefined ? undefined : this.#takeAtOnce(draft, admissions, takeToken, now)
    return { admissions, taken }
  }

  #accepted([{ admissions, taken }, references]: [Accepting, References]): AcceptAnswer {
    const draft = begin(this.shell.mailbox)
    const known = admissions.map((a) => ('id' in a ? this.#standing(draft, a.id) : undefined))
    if (taken === undefined) return { admissions, known, references }
    const { references: beside, ...leased } = taken
    return { admissions, known, references: [...beside, ...references], taken: { ...leased, references: [] } }
  }

  // The first call may have been this one, whose answer was lost: then what it leased is its own.
  #askedBefore(opened: GatherOpened, takeToken: string | undefined): AskAnswer {
    const ids = opened.gather.legs.flatMap((leg) => leg.sends.map((send) => send.delivery))
    const mine = ids.filter((id) => this.shell.mailbox.leases.get(id)?.takeToken === takeToken)
    if (opened.status === 'conflict' || takeToken === undefined || mine.length === 0) return { opened }
    const taken = this.take(mine, takeToken)
    return {
      opened,
      accepted: { admissions: [], known: [], references: taken.references, taken: { ...taken, references: [] } },
    }
  }

  #takeAtOnce(draft: Draft, told: readonly Admission[], token: string, now: number): TakeAnswer {
    const ids = told.flatMap((a) => (a.status === 'accepted' ? [a.id] : []))
    const { taken, references } = releaseAndTake(draft, ids, token, now)
    // It is not stored before this step ends.
    const leases = leasedOf(draft, taken.grants, (id) => draft.inserted.get(id) ?? this.shell.body(id))
    return { agent: agentOf(draft), leases, unfinished: [], rest: taken.rest, references }
  }

  // Of two replies to one request in one call the second goes the long way, after the first is written.
  #arrive(draft: Draft, reports: readonly Report[], writes: (() => void)[], now: number): Reply[] {
    const came = new Set<string>()
    return reports.flatMap(({ id, reply }) => {
      if (reply === undefined || came.has(reply.gather) || !isToCarry(draft, id, reply)) return []
      const arrival = this.gathers.arrival(reply.gather, reply.arrival, reply.body)
      if (arrival === undefined || arrival.standing === 'stranger') return []
      came.add(reply.gather)
      writes.push(arrival.write)
      noteArrived(draft, id, reply, arrival.standing, now)
      return [{ id, reply, standing: arrival.standing }]
    })
  }

  #arrived({ id, reply: { gather, tell }, standing }: Reply) {
    const report = tell ? this.gathers.report(gather) : undefined
    return { id, gather, standing, ...(report === undefined ? {} : { report }) }
  }

  #standing(draft: Draft, id: string) {
    const delivery = deliveryOf(draft, id) ?? this.shell.store.stored(id)
    if (delivery === undefined) return undefined
    const now = this.chance.now()
    const { agent, gate } = this.shell.mailbox
    const away = agent === undefined || delivery.state.at === 'ended' ? undefined : awayOf(agent, gate, now)
    const { status } = statusOf(draft, delivery, now)
    return { status, message: delivery.head.id, ...(away === undefined ? {} : { away }) }
  }
}
