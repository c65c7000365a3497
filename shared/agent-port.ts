/**
 * What the verbs may ask of one agent's object, and what it answers. Never here: an implementation (durable-objects/agent.ts).
 */
import type { Admission, Incoming } from './admission.ts'
import type { AgentRecord, Registration } from './agent.ts'
import type { AgentText } from './agent-text.ts'
import type { MailboxAudit } from './audit.ts'
import type { Away } from './away.ts'
import type { BatchPolicy } from './batch-policy.ts'
import type { Breaker } from './breaker.ts'
import type { CatchUp } from './catch-up-policy.ts'
import type { DeadLetter } from './dead-letter.ts'
import type { Editing } from './edit.ts'
import type { Effect } from './effects.ts'
import type { Extended } from './extend.ts'
import type { Figures, MailboxStats } from './figures.ts'
import type { GatherOpened, GatherOpening } from './gather.ts'
import type { Asking } from './gather-leg.ts'
import type { GatherReport } from './gather-port.ts'
import type { Handshake, Shaken, Standing } from './handshake.ts'
import type { Alert } from './ladder.ts'
import type { ProgressInput } from './lease.ts'
import type { Lineage } from './lineage.ts'
import type { Head } from './message.ts'
import type { Outcome } from './outcome.ts'
import type { Principal } from './permissions.ts'
import type { Departed, Departure } from './reassign.ts'
import type { Receipt, ReceiptStatus } from './receipt.ts'
import type { Redriven } from './redrive.ts'
import type { References } from './release.ts'
import type { Report, Settlement } from './settlement.ts'
import type { Cancelled, CarriedEffect } from './upkeep.ts'

/** A lease as the consumer gets it: the delivery with its body, and what the agent's record says about how to deliver. */
export interface LeasedDelivery {
  readonly id: string
  readonly token: string
  readonly attempt: number
  readonly maxAttempts: number
  readonly sequence: number
  readonly hops: number
  /** What led to it; absent for a root. */
  readonly lineage?: Lineage
  readonly firstAcceptedAt: number
  /** As `Incoming.since`: of what follows from it. */
  readonly since?: number | undefined
  /** The message as JSON text, exactly as it will be sent. */
  readonly body: string
  readonly head: Head
  readonly deadlineAt: number
  /** To be run after its batch-mates have reported, by itself. */
  readonly alone: boolean
  /** Those of one number go to the agent in one call. */
  readonly batch?: number
  /** How a subscription has it share its call. */
  readonly batching?: BatchPolicy
  readonly previousError?: string
  /** The delivery that it replays. */
  readonly replays?: string
}

/** Effects to carry and burials to finish, read from the journal. */
export interface Unfinished {
  readonly id: string
  readonly hops: number
  readonly lineage?: Lineage
  readonly head: Head
  /** As `Incoming.since`: of what follows from it. */
  readonly since?: number | undefined
  readonly openedAt: number
  readonly effects: readonly Effect[]
  /** Of one that is passed on: the message as JSON text. */
  readonly body?: string
  readonly burial?: DeadLetter
}

export interface TakeAnswer {
  readonly agent: AgentText | undefined
  readonly leases: readonly LeasedDelivery[]
  readonly unfinished: readonly Unfinished[]
  /** To be taken when these are done: the answer would have been too large. */
  readonly rest: readonly string[]
  readonly references: References
}

export interface SettleAnswer {
  readonly settlements: readonly Settlement[]
  /** Replies that came to their requests with this very call (`Report.reply`), by delivery. */
  readonly arrived: readonly {
    readonly id: string
    readonly gather: string
    readonly standing: string
    readonly report?: GatherReport
  }[]
  readonly agent: AgentText | undefined
  readonly unfinished: readonly Unfinished[]
  readonly references: References
}

export interface AcceptAnswer {
  readonly admissions: readonly Admission[]
  /** Beside each admission that has a delivery: where it stands now, and the id of the message it was accepted with. */
  readonly known: readonly (
    | { readonly status: ReceiptStatus; readonly message: string; readonly away?: Away }
    | undefined
  )[]
  readonly references: References
  /** What was leased in the same step, for whoever named a token for it. */
  readonly taken?: TakeAnswer
}

/** A request as it stands, and what its mailbox said to its message: nothing, of one that stood before. */
export interface AskAnswer {
  readonly opened: GatherOpened
  readonly accepted?: AcceptAnswer
}

export interface Enrolled {
  readonly agent: AgentRecord
  readonly created: boolean
  /** Set when this call, or the repeat of it, made the secret. */
  readonly secret?: string
  readonly references: References
}

/** A delivery that made its agent publish something. */
export type Cause = Pick<Unfinished, 'id' | 'hops' | 'lineage' | 'head'>

export type FleetingAnswer =
  | { readonly status: 'admitted'; readonly agent: AgentRecord; readonly token: string; readonly deadlineAt: number }
  | { readonly status: 'dropped'; readonly reason: string }
  | { readonly status: 'busy' }
  | { readonly status: 'seen' }
  | { readonly status: 'expired' }
  | { readonly status: 'unknown' }

/** What the verbs may ask of one agent's object. Every changing call carries a token: the same token gets the same answer. */
export interface AgentPort {
  /**
   * `takeToken`: the caller delivers at once what the very step that accepts it lets go, and leases it as by a take of this token.
   * `longestMs`: only webhooks, and only where no attempt may take longer.
   */
  accept(incoming: readonly Incoming[], token: string, takeToken?: string, longestMs?: number): Promise<AcceptAnswer>
  /**
   * Opens a request of this agent and accepts its message, both or neither: one that is refused is not kept, and told with the refusal
   * in it. A repeat with its `takeToken` is leased what the first call was.
   */
  ask(opening: GatherOpening, asking: Asking, takeToken?: string): Promise<AskAnswer>
  /** `alone`: the caller runs nothing beside it. A suspect is given to no other. */
  take(ids: readonly string[], token: string, alone?: boolean): Promise<TakeAnswer>
  lease(max: number, durationMs: number, token: string): Promise<TakeAnswer>
  settle(reports: readonly Report[]): Promise<SettleAnswer>
  extend(id: string, token: string, extendMs: number, progress?: ProgressInput): Promise<Extended>
  /**
   * What whoever works here names as the cause of a message: the id of a message it holds a lease on, of a delivery of its own, or
   * one that the broker made and that came here. In the order that they were asked for.
   */
  causes(ids: readonly string[]): Promise<readonly (Cause | undefined)[]>
  /** Counts messages that a root among this mailbox's deliveries has set off. False: they would be more than `max`. */
  spend(root: string, journal: string, n: number, max: number): Promise<boolean>
  unfinished(
    ids: readonly string[],
  ): Promise<Omit<SettleAnswer, 'settlements' | 'arrived'> & { readonly departures: readonly Departure[] }>
  /** Has the first `max` in line leave for another mailbox; what was on its way already comes first. */
  leave(to: string, max: number): Promise<readonly Departure[]>
  departed(news: readonly Departed[]): Promise<{ readonly references: References }>
  carried(id: string, news: readonly CarriedEffect[]): Promise<{ readonly references: References }>
  buried(ids: readonly string[]): Promise<{ readonly references: References }>
  /** A workflow lets so many go on that were withheld for it. */
  letGo(workflow: string, max: number): Promise<{ readonly references: References }>
  /** What was released and not taken is released anew. */
  renew(): Promise<{ readonly references: References }>
  /** The platform gave up on references: release what is still due. */
  nudge(ids: readonly string[]): Promise<{ readonly references: References }>
  cancel(id: string): Promise<Cancelled & { readonly references?: References }>
  /** Nobody waits for them any more: each ends unless it is in flight, and is not begun again. */
  recall(
    ids: readonly string[],
  ): Promise<{ readonly statuses: readonly (Cancelled['status'] | 'in_flight')[]; readonly references: References }>
  /** Of a topic that is not for this agent any more: at most `max` that wait end. `more`: there are others. */
  withdraw(topic: string, max: number): Promise<{ readonly more: boolean; readonly references: References }>
  /** Is this lease in force? The fence of what a handler does at once. */
  holds(id: string, token: string): Promise<boolean>
  /** `editing`: what a person changed of its message. Of one token, the first call counts. */
  redrive(id: string, token: string, editing?: Editing): Promise<Redriven & { readonly references?: References }>
  purge(id: string): Promise<boolean>
  /** Of `reader`: unless it has nothing to do with it (shared/reader.ts). */
  receipt(id: string, reader?: Principal): Promise<Receipt | undefined>
  /** The whole message as JSON text, as long as its delivery may still be delivered. */
  body(id: string, reader?: Principal): Promise<string | undefined>
  /** Newest first (shared/newest-first.ts). */
  list(
    status: ReceiptStatus | undefined,
    cursor: string | undefined,
    limit: number,
    reader?: Principal,
  ): Promise<{ readonly items: readonly Receipt[]; readonly cursor?: string }>
  describe(): Promise<{ readonly agent: AgentRecord; readonly figures: Figures } | undefined>
  /** The figures, and how many stand where. */
  stats(): Promise<MailboxStats | undefined>
  /** Does what was accepted add up with what is stored? Reads every row; undefined without an agent. */
  audit(): Promise<MailboxAudit | undefined>
  /** Deliveries whose message is of this conversation. A call looks at so many rows of each table, by id after `after`. */
  correlated(
    correlationid: string,
    after: string | undefined,
    rows: number,
  ): Promise<{ readonly ids: readonly string[]; readonly cursor?: string }>
  enrol(
    registration: Registration,
    /** `neededMs`: of a callback's mailbox, for how long somebody may have something to be told there. */
    fresh: {
      readonly name: string
      readonly incarnation: string
      readonly secret: string
      readonly trusted: boolean
      readonly neededMs?: number
    },
  ): Promise<Enrolled>
  /** `keepMs`: its mail is kept for so long (shared/kept-mail.ts). */
  retire(
    mail: 'dead' | { readonly keepMs: number } | undefined,
  ): Promise<{ readonly status: 'retired' | 'unknown' } | { readonly status: 'has_mail'; readonly depth: number }>
  pause(reason: string, untilMs: number | undefined): Promise<AgentRecord | undefined>
  /** `catchUp`: what it wants of the mail that came meanwhile; left out, what its policy says if it was paused. */
  resume(
    token: string,
    catchUp?: CatchUp,
  ): Promise<{ readonly agent: AgentRecord | undefined; readonly references: References }>
  breaker(): Promise<Breaker | undefined>
  /** A person's word: open, closed, or auto. `by` is kept in the history. */
  forceBreaker(
    to: Breaker['forced'],
    by: string,
  ): Promise<{ readonly breaker: Breaker | undefined; readonly references: References }>
  /** `named`: by whom and under which key it is asked for. What they were given before under it is not replaced. */
  rotateSecret(fresh: string, overlapMs: number, named: string | undefined): Promise<AgentRecord | undefined>
  /** Keeps a handshake for so long; one of its id stays as it is. Undefined when the agent it was made with is gone. */
  shake(
    shaken: Shaken,
    inForceMs: number,
  ): Promise<{ readonly handshake: Handshake; readonly standing: Standing } | undefined>
  handshake(id: string): Promise<{ readonly handshake: Handshake; readonly standing: Standing } | undefined>
  verified(url: string): Promise<{ readonly references: References }>
  admitFleeting(): Promise<
    | { readonly status: 'admitted' }
    | { readonly status: 'dropped'; readonly reason: string }
    /** `pull`: nobody calls it, and nothing would keep the message until it asks. */
    | { readonly status: 'unknown' | 'pull' }
  >
  beginFleeting(id: string, expiresAt: number | undefined): Promise<FleetingAnswer>
  recordFleeting(
    incoming: Incoming,
    id: string,
    startedAt: number,
    outcome: Outcome | { readonly kind: 'dropped'; readonly reason: string } | { readonly kind: 'expired' },
  ): Promise<{ readonly references: References }>
  /** Hourly: re-arms, rotates and cleans up (M6). */
  sweep(): Promise<{
    readonly agent: AgentRecord | undefined
    readonly references: References
    /** The latest that were found overdue. */
    readonly alerts: readonly Alert[]
    /** As of `audit`. */
    readonly audit?: MailboxAudit
  }>
}
