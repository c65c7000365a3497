/**
 * AgentObject: the memory of one agent. Its mailbox, leases and receipts. Every method is one step of shared/: read, compute
 * purely, save in one transaction with the alarm armed, and only then lay the result over memory. Never here: delivering or
 * publishing (workers/), any decision about mail (shared/), how mail comes in (durable-objects/asked-mailbox.ts), or what people do
 * to it (durable-objects/operated-mailbox.ts).
 */
import type { Incoming } from '../shared/admission.ts'
import { isHere } from '../shared/agent.ts'
import type { AgentPort, FleetingAnswer, SettleAnswer, TakeAnswer } from '../shared/agent-port.ts'
import { agentText } from '../shared/agent-text.ts'
import { claimedCause } from '../shared/cause.ts'
import { extend } from '../shared/extend.ts'
import { beginFleeting, droppedBecause, type FleetingOutcome, recordFleeting } from '../shared/fleeting.ts'
import { isOpen, leasedOf, unfinishedOf } from '../shared/handover.ts'
import { endKeeping } from '../shared/kept-mail.ts'
import type { ProgressInput } from '../shared/lease.ts'
import { limits } from '../shared/limits.ts'
import { agentOf, begin } from '../shared/mailbox.ts'
import { alertsOf, overdue } from '../shared/overdue.ts'
import type { Synchronous } from '../shared/ports.ts'
import { type Departed, type Departure, departed, departuresOf, leave } from '../shared/reassign.ts'
import { lease, take } from '../shared/release.ts'
import { type Report, settle } from '../shared/settlement.ts'
import { buried, type CarriedEffect, carried, hand, recall, tick, withdraw } from '../shared/upkeep.ts'
import { letGo } from '../shared/waiting.ts'
import { AskedMailbox } from './asked-mailbox.ts'
import { sendGathers, sendReleases, sendWork } from './outbox.ts'

export class AgentObject extends AskedMailbox implements Synchronous<AgentPort> {
  // --- the message's way ----------------------------------------------------------------------------------------------

  take(ids: readonly string[], token: string, alone = false): TakeAnswer {
    const [answer, references] = this.shell.step((draft, now) => {
      const taken = take(draft, ids, token, now, alone)
      for (const id of taken.unfinished) hand(draft, id, 0, now)
      return {
        agent: agentText(agentOf(draft)),
        leases: leasedOf(draft, taken.grants, this.shell.body),
        unfinished: unfinishedOf(draft, this.name, taken.unfinished, this.shell.body),
        rest: taken.rest,
      }
    })
    return { ...answer, references }
  }

  lease(max: number, durationMs: number, token: string): TakeAnswer {
    const [answer, references] = this.shell.step((draft, now) => ({
      agent: agentText(agentOf(draft)),
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
        const replies = this.arrive(draft, reports, settlements, writes, now)
        const open = reports.map((r) => r.id).filter((id) => isOpen(draft, id))
        for (const id of open) hand(draft, id, 0, now)
        const unfinished = unfinishedOf(draft, this.name, open, this.shell.body)
        return { settlements, agent: agentText(agentOf(draft)), unfinished, replies }
      },
      () => {
        for (const write of writes) write()
      },
    )
    return { ...answer, references, arrived: replies.map((reply) => this.arrived(reply)) }
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
      agent: agentText(agentOf(draft)),
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

  withdraw(topic: string, max: number) {
    const [more, references] = this.shell.step((draft, now) => withdraw(draft, topic, max, now))
    return { more, references }
  }

  holds(id: string, token: string): boolean {
    return this.shell.mailbox.leases.get(id)?.token === token
  }

  // --- at_most_once ---------------------------------------------------------------------------------------------------

  admitFleeting() {
    const agent = this.shell.mailbox.agent
    if (!isHere(agent)) return { status: 'unknown' } as const
    if (agent.kind === 'pull') return { status: 'pull' } as const
    const reason = droppedBecause(agent, this.shell.mailbox.gate, this.chance.now())
    return reason === undefined ? ({ status: 'admitted' } as const) : ({ status: 'dropped', reason } as const)
  }

  beginFleeting(id: string, expiresAt: number | undefined): FleetingAnswer {
    const seen = this.shell.store.stored(id) !== undefined
    return this.shell.step((draft, now) => beginFleeting(draft, id, seen, now, expiresAt))[0]
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
    this.forgetWhenNeedless()
    const [agent, references] = this.shell.step(agentOf)
    const alerts = alertsOf(begin(this.shell.mailbox), 0).slice(0, limits.alertsRepeated)
    const audit = this.audit()
    return { agent, references, alerts, ...(audit === undefined ? {} : { audit }) }
  }

  /** Never throws: a thrown alarm is retried six times and then forgotten, and with it everything live (M6). */
  override async alarm(): Promise<void> {
    try {
      await this.shell.turn(this.chance.random)
      this.shell.rung()
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
      this.tidyRetired()
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
}
