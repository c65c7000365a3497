/**
 * What the verbs may ask of one workflow's object, and what it answers. Every changing call names its operation: repeated, it
 * gets the same answer. Never here: an implementation (durable-objects/workflow.ts).
 */
import type { Asker } from './asker.ts'
import type { BudgetAsk, BudgetNews, BudgetPermit } from './budget.ts'
import type { ChartValue } from './chart-snapshot.ts'
import type { ChartMove } from './chart-step.ts'
import type { JsonObject } from './json-pointer.ts'
import type { Outgoing, Performed } from './outgoing.ts'
import type { StateChange } from './versioned.ts'
import type { Opening, Shown, WorkflowRecord } from './workflow.ts'
import type { Amendment, OwedDone, Terms } from './workflow-budget.ts'
import type { Arrival, Received } from './workflow-events.ts'
import type { HistoryEntry } from './workflow-history.ts'
import type { WorkflowStatus } from './workflow-status.ts'
import type { Write, Written } from './workflow-write.ts'

/** What is asked of a workflow that may not exist, by somebody who may not ask. */
export type Asked<T> = T | { readonly status: 'unknown' } | { readonly status: 'forbidden' }

export type Workflow = Shown

export interface StateFound {
  readonly status: 'found'
  readonly version: number
  readonly state: JsonObject
  /** The entry that the operation asked about has made already. */
  readonly done?: HistoryEntry
}

export interface HistoryFound {
  readonly status: 'found'
  readonly entries: readonly HistoryEntry[]
  readonly ended: boolean
}

/** Its definition, with where its statechart is and the way that it took. */
export interface DefinitionFound {
  readonly status: 'found'
  readonly definition: unknown
  readonly marks: { readonly value?: ChartValue; readonly path: readonly ChartMove[] }
  readonly workflow: Workflow
}

export interface MessagesFound {
  readonly status: 'found'
  /** Of the workflow that sent them: part of their ids. */
  readonly incarnation: string | undefined
  readonly messages: readonly Outgoing[]
}

export type Moved =
  | { readonly status: 'moved'; readonly workflow: Workflow }
  | { readonly status: 'over'; readonly ended: WorkflowStatus }
  /** Its budget is spent: nobody resumes it as it is. */
  | { readonly status: 'spent'; readonly reason: string }

export type Purged = { readonly status: 'purged' } | { readonly status: 'live'; readonly now: WorkflowStatus }

/** What a workflow owes: messages to send, and an index to tell, or to be taken out of. */
export interface Unfinished {
  readonly record: WorkflowRecord
  readonly effects: readonly Outgoing[]
  readonly unlisted: boolean
  /** Its time is over: the index first, then itself. */
  readonly forgettable: boolean
}

export interface PerformedNews {
  /** Whose effects these are. */
  readonly incarnation?: string | undefined
  readonly effects: readonly Performed[]
  /** The index knows this status now. */
  readonly listed?: WorkflowStatus
  readonly owed?: OwedDone
}

export interface WorkflowPort {
  create(
    opening: Opening,
    definition?: unknown,
  ): Promise<{ readonly status: 'created' | 'exists' | 'conflict'; readonly workflow: Workflow }>
  /** Undefined when there is no such workflow. */
  terms(): Promise<Terms | undefined>
  read(asker: Asker): Promise<Asked<{ readonly status: 'found'; readonly workflow: Workflow }>>
  /** The state as it is, or as it was at a version; `operation`: has it been made already? */
  state(
    asker: Asker,
    version?: number,
    operation?: string,
  ): Promise<Asked<StateFound | { readonly status: 'forgotten' }>>
  /** `retryAfterMs`: for one that was late, how long to wait. */
  write(asker: Asker, change: StateChange, asked: Write): Promise<Asked<Written & { readonly retryAfterMs?: number }>>
  /** An event comes to it. The same operation is answered as the first time. */
  receive(asker: Asker, arrival: Arrival): Promise<Asked<Received>>
  /** Its definition, as it was given. */
  definition(asker: Asker): Promise<Asked<DefinitionFound>>
  history(asker: Asker, after: number, limit: number): Promise<Asked<HistoryFound>>
  /** What it sent, by number after that one, and what became of each. */
  messages(asker: Asker, after: number, limit: number): Promise<Asked<MessagesFound>>
  pause(asker: Asker, reason: string, forMs?: number): Promise<Asked<Moved>>
  resume(asker: Asker): Promise<Asked<Moved>>
  cancel(asker: Asker, reason: string): Promise<Asked<Moved>>
  /** Ended ones only: it is forgotten as soon as the index has let go of it. */
  purge(asker: Asker): Promise<Asked<Purged>>
  /** Other guards, another budget. A workflow that was paused for want of it goes on when it is enough. */
  amend(asker: Asker, asked: Amendment): Promise<Asked<Moved>>
  /** May these leases begin? Without a budget all may. A ticket that is asked for again gets the same answer. */
  permit(asks: readonly BudgetAsk[]): Promise<readonly BudgetPermit[]>
  /** What came of permits. Gives the agents whose mail may go on, so many of each. A report that is told again changes nothing. */
  account(news: readonly BudgetNews[]): Promise<{ readonly turns: readonly string[]; readonly each: number }>
  /** What somebody has to do for it, effects by number after that one; undefined when there is no such workflow. */
  unfinished(after: number): Promise<Unfinished | undefined>
  /** What became of that. `more`: there is something left to do. Undefined when there is no such workflow any more. */
  performed(news: PerformedNews): Promise<{ readonly more: boolean } | undefined>
  /** Hourly: what is overdue because an alarm was lost wakes (M6). False when nothing was. */
  sweep(): Promise<boolean>
  /** Its own storage goes, if its time has come. */
  forget(): Promise<boolean>
}
