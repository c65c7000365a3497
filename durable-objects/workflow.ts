/**
 * WorkflowObject: one workflow. Shared state with a version, its statechart, its history, and what it has to send. It parses
 * what storage held, has the step computed, and saves the whole of it with its alarm in one transaction (W3). Never here: what a
 * step does (shared/workflow.ts), or sending anything (workers/perform.ts).
 */
import { DurableObject } from 'cloudflare:workers'
import { type Asker, whyClosed } from '../shared/asker.ts'
import type { BudgetAsk, BudgetNews } from '../shared/budget.ts'
import type { Definition } from '../shared/chart-definition.ts'
import type { ChancePort, StoragePort, Synchronous } from '../shared/ports.ts'
import { parseDefinition } from '../shared/statechart.ts'
import { retryAfterMs, type StateChange } from '../shared/versioned.ts'
import { type Draft, marksOf, type Opening, opened, shownOf } from '../shared/workflow.ts'
import { type Amendment, account, amend, ask, releaseMail, type Terms, termsOf } from '../shared/workflow-budget.ts'
import { dueAt, isForgettable, isOwing, isUnlisted, withChase } from '../shared/workflow-due.ts'
import { type Arrival, answeredBefore, type Knowledge, type Received, receive } from '../shared/workflow-events.ts'
import type { Asked, Moved, PerformedNews, WorkflowPort } from '../shared/workflow-port.ts'
import { isOver } from '../shared/workflow-status.ts'
import { begin, cancel, drain, movedOf, pause, purge, resume, settle, tick } from '../shared/workflow-step.ts'
import { type Write, type Written, write } from '../shared/workflow-write.ts'
import { chance } from './chance.ts'
import { type OutboxEnv, sendPerformance } from './outbox.ts'
import { turn } from './turn.ts'
import { WorkflowStore } from './workflow-store.ts'

const alarmRetryMs = 5_000
// So long after its time an alarm is taken for lost.
const overdueMs = 60_000
const effectsAtOnce = 25
const deferredAtOnce = 50
/** Messages of one agent that go on when one of them has ended. */
const turnsEach = 4

// What does not exist lays nothing down.
const unknownMay = ({ ticket }: BudgetAsk) => ({ ticket, status: 'permitted' }) as const

export class WorkflowObject extends DurableObject<OutboxEnv> implements Synchronous<WorkflowPort> {
  readonly #storage: StoragePort
  readonly #store: WorkflowStore
  readonly #chance: Pick<ChancePort, 'now' | 'random'>
  readonly #name: string
  /** When writers were late, within the last second: what the next one is told to wait is made of it. */
  #late: number[] = []
  #chart: Definition | undefined
  /** Nobody has called it yet. */
  #isFresh = true

  constructor(ctx: DurableObjectState, env: OutboxEnv, ports: Pick<ChancePort, 'now' | 'random'> = chance) {
    super(ctx, env)
    // The narrow shape that is used; the platform's own class satisfies it.
    this.#storage = ctx.storage as unknown as StoragePort
    this.#store = new WorkflowStore(this.#storage.sql)
    this.#chance = ports
    this.#name = ctx.id.name ?? ''
  }

  // --- beginning and reading --------------------------------------------------------------------------------------------

  create(opening: Opening, definition?: unknown) {
    return this.#storage.transactionSync(() => {
      const known = this.#store.load()
      if (known !== undefined) {
        const { record } = known
        const same = record.creation === opening.creation && record.createdBy === opening.by
        return { status: same ? 'exists' : 'conflict', workflow: shownOf(known) } as const
      }
      const now = this.#chance.now()
      const draft = opened(opening, now)
      this.#store.create(draft.record.id, definition)
      this.#store.saveBudget(draft.budget)
      begin(draft, this.#knowledge(draft), now)
      this.#save(draft)
      return { status: 'created', workflow: shownOf(draft) } as const
    })
  }

  terms(): Terms | undefined {
    const draft = this.#store.load()
    return draft === undefined ? undefined : termsOf(draft)
  }

  read(asker: Asker) {
    return this.#asked(asker, (draft) => ({ status: 'found', workflow: shownOf(draft) }) as const)
  }

  state(asker: Asker, version?: number, operation?: string) {
    return this.#asked(asker, (draft) => {
      const state = this.#store.stateAt(draft, version ?? draft.record.version)
      if (state === undefined) return { status: 'forgotten' } as const
      const done = operation === undefined ? undefined : this.#store.byOperation(operation)
      const found = { status: 'found', version: version ?? draft.record.version, state } as const
      return done === undefined ? found : { ...found, done }
    })
  }

  definition(asker: Asker) {
    return this.#asked(asker, ({ record, state }) => {
      const definition = record.definition === undefined ? undefined : this.#store.definition()
      const marks = marksOf(record, this.#store.path())
      return { status: 'found', definition, marks, workflow: { record, state } } as const
    })
  }

  history(asker: Asker, after: number, limit: number) {
    return this.#asked(asker, ({ record }) => {
      const entries = this.#store.history(after, limit)
      const ended = isOver(record.status) && (entries.at(-1)?.n ?? after) >= record.last.entry
      return { status: 'found', entries, ended } as const
    })
  }

  messages(asker: Asker, after: number, limit: number) {
    return this.#asked(asker, ({ record: { incarnation } }) => {
      return { status: 'found', incarnation, messages: this.#store.effects(after, limit) } as const
    })
  }

  // --- writing ----------------------------------------------------------------------------------------------------------

  write(asker: Asker, change: StateChange, asked: Write): Asked<Written & { readonly retryAfterMs?: number }> {
    return this.#asked(asker, (draft) => {
      const known = this.#store.byOperation(asked.operation.id)
      if (known?.operation !== undefined) {
        if (known.operation.content !== asked.operation.content) return { status: 'conflict' } as const
        const state = this.#store.stateAt(draft, known.version)
        return { status: 'written', version: known.version, ...(state === undefined ? {} : { state }) } as const
      }
      const now = this.#chance.now()
      const written = write(draft, change, asked, (version) => this.#store.since(version), now)
      return written.status === 'stale' ? { ...written, retryAfterMs: this.#noteLate(now) } : written
    })
  }

  // --- events -----------------------------------------------------------------------------------------------------------

  receive(asker: Asker, arrival: Arrival): Asked<Received> {
    return this.#asked(asker, (draft) => {
      const known = this.#store.byOperation(arrival.operation.id)
      if (known !== undefined) return answeredBefore(known, arrival)
      return receive(draft, this.#knowledge(draft), arrival, this.#chance.now())
    })
  }

  // --- people -----------------------------------------------------------------------------------------------------------

  pause(asker: Asker, reason: string, forMs?: number) {
    return this.#asked(asker, (draft) => pause(draft, asker.source, reason, forMs, this.#chance.now()))
  }

  resume(asker: Asker) {
    return this.#asked(asker, (draft) => this.#goOn(draft, asker.source, this.#chance.now()))
  }

  cancel(asker: Asker, reason: string) {
    return this.#asked(asker, (draft) => cancel(draft, asker.source, reason, this.#chance.now()))
  }

  amend(asker: Asker, asked: Amendment): Asked<Moved> {
    return this.#asked(asker, (draft) => {
      const { status } = draft.record
      if (isOver(status)) return { status: 'over', ended: status } as const
      const now = this.#chance.now()
      return amend(draft, asked, asker.source, now) ? this.#goOn(draft, asker.source, now) : movedOf(draft)
    })
  }

  purge(asker: Asker) {
    return this.#asked(asker, purge)
  }

  // --- its budget -------------------------------------------------------------------------------------------------------

  permit(asks: readonly BudgetAsk[]) {
    return this.#step((draft) => ask(draft, asks, this.#chance.now())) ?? asks.map(unknownMay)
  }

  account(news: readonly BudgetNews[]) {
    const turns = this.#step((draft) => account(draft, news, this.#chance.now()))
    return { turns: turns ?? [], each: turnsEach }
  }

  // --- what it owes -----------------------------------------------------------------------------------------------------

  unfinished(after: number) {
    const draft = this.#store.load()
    if (draft === undefined) return undefined
    const { record } = draft
    const effects = record.open > 0 ? this.#store.openEffects(after, effectsAtOnce) : []
    return { record, effects, unlisted: isUnlisted(record), forgettable: isForgettable(record) }
  }

  performed(news: PerformedNews) {
    return this.#step((draft) => {
      settle(draft, this.#knowledge(draft), news, this.#chance.now())
      return { more: isOwing(draft.record) }
    })
  }

  sweep(): boolean {
    const draft = this.#store.load()
    const due = draft === undefined ? undefined : dueAt(draft.record, draft.budget)
    const now = this.#chance.now()
    if (due === undefined || due > now - overdueMs) return false
    void this.#storage.setAlarm(now)
    return true
  }

  forget(): boolean {
    const draft = this.#store.load()
    if (draft === undefined || !isForgettable(draft.record)) return false
    // All of it: an empty database would be stored, and paid, for ever.
    void this.#storage.deleteAll()
    this.#chart = undefined
    return true
  }

  /** Never throws, and re-arms itself while something is due (M6). */
  override async alarm(info?: Pick<AlarmInvocationInfo, 'scheduledTime'>): Promise<void> {
    try {
      if (this.#isFresh && info !== undefined) await turn(this.#chance.now() - info.scheduledTime, this.#chance.random)
      const now = this.#chance.now()
      const asking = this.#step((draft) => {
        const deferred = draft.record.waiting > 0 ? this.#store.deferred(deferredAtOnce) : []
        const chasing = tick(draft, this.#knowledge(draft), deferred, now)
        this.#arm(draft)
        return chasing
      })
      if (asking === true) await sendPerformance(this.env, this.#name)
    } catch (error) {
      console.error(JSON.stringify({ step: 'workflow.alarm', workflow: this.#name, error: String(error) }))
      await this.#storage.setAlarm(this.#chance.now() + alarmRetryMs)
    }
  }

  #goOn(draft: Draft, by: string, now: number): Moved {
    const moved = resume(draft, by, now)
    if (moved.status !== 'moved') return moved
    drain(draft, this.#knowledge(draft), this.#store.deferred(deferredAtOnce), now)
    return movedOf(draft)
  }

  // --- inside -----------------------------------------------------------------------------------------------------------

  #asked<T>(asker: Asker, work: (draft: Draft) => T): Asked<T> {
    const answer = this.#step((draft) => {
      const closed = whyClosed(draft.record, asker)
      return closed === undefined ? work(draft) : { status: closed }
    })
    return answer ?? { status: 'unknown' }
  }

  /** Undefined when there is no such workflow. What the step changed is saved with it; a step that throws changes nothing. */
  #step<T>(work: (draft: Draft) => T): T | undefined {
    this.#isFresh = false
    return this.#storage.transactionSync(() => {
      const draft = this.#store.load()
      if (draft === undefined) return undefined
      const { record, budget } = draft
      const answer = work(draft)
      if (isOver(draft.record.status) && !isOver(record.status)) releaseMail(draft)
      if (draft.budget !== budget) this.#store.saveBudget(draft.budget)
      if (draft.record !== record) this.#save(draft)
      else if (draft.budget !== budget) this.#arm(draft)
      return answer
    })
  }

  // W3, and M6: the alarm is armed in the transaction that makes something due.
  #save(draft: Draft): void {
    draft.record = withChase(draft.record, this.#chance.now())
    this.#store.save(draft)
    this.#arm(draft)
  }

  #arm(draft: Draft): void {
    const due = dueAt(draft.record, draft.budget)
    if (due !== undefined) void this.#storage.setAlarm(due)
  }

  #knowledge({ record }: Draft): Knowledge {
    const chart = record.definition === undefined ? undefined : this.#parsed()
    return { chart, effectOf: (n) => this.#store.effect(n) }
  }

  // Parsing costs as much as many steps. It was sound when it was stored, and never changes.
  #parsed(): Definition | undefined {
    if (this.#chart === undefined) {
      const parsed = parseDefinition(this.#store.definition())
      this.#chart = parsed.ok ? parsed.value : undefined
    }
    return this.#chart
  }

  #noteLate(now: number): number {
    this.#late = [...this.#late.filter((at) => at > now - 1_000), now].slice(-100)
    return retryAfterMs(this.#late.length)
  }
}
