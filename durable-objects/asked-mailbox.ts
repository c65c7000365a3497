/**
 * The half of AgentObject by which mail comes in, and with it the requests that the agent is asked: they lie in its mailbox, so that what
 * opens one and what asks it, what is settled and what answers it, are one write each. Never here: what happens to mail that is there
 * (durable-objects/agent.ts), what is remembered of a request (durable-objects/gathers.ts).
 */
import { type Admission, accept, type Incoming } from '../shared/admission.ts'
import type { AcceptAnswer, AskAnswer, TakeAnswer } from '../shared/agent-port.ts'
import { agentText } from '../shared/agent-text.ts'
import type { Arrived, ReplyHere } from '../shared/arrival.ts'
import { awayOf } from '../shared/away.ts'
import { type GatherOpened, type GatherOpening, progressGather, sendKey, wasRefused } from '../shared/gather.ts'
import { type Asking, askedAs, newsOf } from '../shared/gather-leg.ts'
import type { GatherObjectPort } from '../shared/gather-port.ts'
import { unsent } from '../shared/gather-work.ts'
import { leasedOf } from '../shared/handover.ts'
import { agentOf, begin, type Draft, deliveryOf, inFlight } from '../shared/mailbox.ts'
import { statusOf } from '../shared/receipt.ts'
import { isCalledWithin, type References, releaseAndTake } from '../shared/release.ts'
import { isToCarry, noteArrived } from '../shared/reply-here.ts'
import type { Report, Settlement } from '../shared/settlement.ts'
import { hand } from '../shared/upkeep.ts'
import { OperatedMailbox } from './operated-mailbox.ts'

/** What became of messages in a step, before it is saved. */
interface Accepting {
  readonly admissions: readonly Admission[]
  readonly taken: TakeAnswer | undefined
}

/** What whoever calls takes with it: leased by this token, and only what is over in time where that is asked. */
interface Taking {
  readonly token: string
  readonly longestMs?: number | undefined
}

/** A reply that comes to its request in a step. */
interface Reply {
  readonly id: string
  readonly reply: ReplyHere
  readonly standing: Arrived
}

export abstract class AskedMailbox extends OperatedMailbox {
  abstract take(ids: readonly string[], token: string, alone?: boolean): TakeAnswer

  accept(incoming: readonly Incoming[], token: string, takeToken?: string, longestMs?: number): AcceptAnswer {
    const taking = takeToken === undefined ? undefined : { token: takeToken, longestMs }
    return this.#accepted(this.shell.step((draft, now) => this.#acceptInto(draft, incoming, token, taking, now)))
  }

  ask(opening: GatherOpening, asking: Asking, takeToken?: string): AskAnswer {
    const opened = this.gathers.opened(opening.id, opening)
    if (opened.status !== 'opened') return this.#askedBefore(opened, takeToken)
    const [send] = unsent(opened.gather)
    if (send === undefined) return { opened }
    const asked = askedAs(asking, send.id)
    const incoming = { ...asked, key: sendKey(opened.gather, send.id) }
    let { gather } = opened
    const stepped = this.shell.step(
      (draft, now) => {
        const taking = takeToken === undefined ? undefined : { token: takeToken }
        const told = this.#acceptInto(draft, [incoming], `gather.${incoming.key}`, taking, now)
        gather = progressGather(gather, newsOf(gather, send, told.admissions[0]), now)
        return told
      },
      // One that nobody got has given its key back, and is not worth a row. Its acceptance is not in it: until that is confirmed it is on
      // no list, and the alarm has it put there for a gateway that died.
      () => wasRefused(gather) || this.gathers.writeOpened(opened.gather, [asked.body]),
    )
    return { opened: { status: 'opened', gather }, accepted: this.#accepted(stepped) }
  }

  /** What is asked of one of the requests that lie here; whoever asks has its types (workers/platform.ts). */
  gather(method: keyof GatherObjectPort, ...args: unknown[]): unknown {
    return (this.gathers as unknown as Record<typeof method, (...all: unknown[]) => unknown>)[method](...args)
  }

  // --- inside ---------------------------------------------------------------------------------------------------------

  #acceptInto(
    draft: Draft,
    incoming: readonly Incoming[],
    token: string,
    taking: Taking | undefined,
    now: number,
  ): Accepting {
    const admissions = accept(draft, incoming, token, this.shell.store.rows(), this.shell.stored, now)
    // Whoever publishes is at it.
    for (const a of admissions) if (a.status === 'accepted' && a.diverted !== undefined) hand(draft, a.id, 0, now)
    const taken = taking === undefined ? undefined : this.#takeAtOnce(draft, admissions, taking, now)
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

  #takeAtOnce(draft: Draft, told: readonly Admission[], { token, longestMs }: Taking, now: number): TakeAnswer {
    const accepted = told.flatMap((a) => (a.status === 'accepted' ? [a.id] : []))
    const ids = longestMs === undefined ? accepted : accepted.filter((id) => isCalledWithin(draft, id, longestMs))
    const { taken, references } = releaseAndTake(draft, ids, token, now)
    // It is not stored before this step ends.
    const leases = leasedOf(draft, taken.grants, (id) => draft.inserted.get(id) ?? this.shell.body(id))
    return { agent: agentText(agentOf(draft)), leases, unfinished: [], rest: taken.rest, references }
  }

  // Of two replies to one request in one call the second goes the long way, after the first is written.
  protected arrive(
    draft: Draft,
    reports: readonly Report[],
    settlements: readonly Settlement[],
    writes: (() => void)[],
    now: number,
  ): Reply[] {
    const came = new Set<string>()
    return reports.flatMap(({ id, reply }, i) => {
      if (reply === undefined || came.has(reply.gather)) return []
      // One that did not count has nothing to say, whatever the journal has by then (M2).
      if (settlements[i]?.status !== 'settled' || !isToCarry(draft, id, reply)) return []
      const arrival = this.gathers.arrival(reply.gather, reply.arrival, reply.body)
      if (arrival === undefined || arrival.standing === 'stranger') return []
      came.add(reply.gather)
      writes.push(arrival.write)
      noteArrived(draft, id, reply, arrival.standing, now)
      return [{ id, reply, standing: arrival.standing }]
    })
  }

  protected arrived({ id, reply: { gather, tell }, standing }: Reply) {
    const report = tell ? this.gathers.report(gather) : undefined
    return { id, gather, standing, ...(report === undefined ? {} : { report }) }
  }

  #standing(draft: Draft, id: string) {
    const delivery = deliveryOf(draft, id) ?? this.shell.store.stored(id)
    if (delivery === undefined) return undefined
    const now = this.chance.now()
    const { agent, gate } = this.shell.mailbox
    const away =
      agent === undefined || delivery.state.at === 'ended' ? undefined : awayOf(agent, gate, inFlight(draft) > 0, now)
    const { status } = statusOf(draft, delivery, now)
    return { status, message: delivery.head.id, ...(away === undefined ? {} : { away }) }
  }
}
