/**
 * One mailbox in memory over its storage: every step computes on a draft, is saved in one transaction together with the alarm
 * that it needs, and only then becomes memory. Never here: a step (shared/), or an RPC method (durable-objects/agent.ts).
 */
import { catchUp, catchUpIfClosed } from '../shared/catch-up.ts'
import type { Delivery } from '../shared/delivery.ts'
import { isGateChanged } from '../shared/gate.ts'
import { nextInLine } from '../shared/line.ts'
import { agentOf, apply, begin, type Draft, deliveryOf, earliest, type Mailbox, nextDueAt } from '../shared/mailbox.ts'
import type { ChancePort, StoragePort } from '../shared/ports.ts'
import { type References, release } from '../shared/release.ts'
import { MailboxStore } from './mailbox-store.ts'
import { turn } from './turn.ts'

/** What is used of an object's state. */
export interface ObjectContext {
  readonly storage: StoragePort
  blockConcurrencyWhile<T>(work: () => Promise<T>): Promise<T>
  abort(reason?: string): void
}

// Also how far an alarm may be overdue before it is taken for lost.
const alarmRetryMs = 5_000

export class MailboxShell {
  readonly #context: ObjectContext
  readonly #chance: Pick<ChancePort, 'now'>
  readonly #moved: (after: number, upTo: number) => unknown
  readonly #paused: (since: number) => unknown
  readonly #besideDueAt: (isRetired: boolean) => number | undefined
  #store: MailboxStore
  #loaded: Mailbox | undefined
  #alarmAt: number | null = null
  /** How late the alarm was already when this object was made, and nothing had been read yet. */
  #lateMs = 0

  /**
   * `moved` and `paused` are called when a step that was saved has moved the breaker to a later epoch, or has paused the agent.
   * `besideDueAt`: when something is due that lies beside the mailbox and has the same alarm, or is nobody's any more.
   */
  constructor(
    context: ObjectContext,
    ports: Pick<ChancePort, 'now'>,
    moved: (after: number, upTo: number) => unknown = () => undefined,
    paused: (since: number) => unknown = () => undefined,
    besideDueAt: (isRetired: boolean) => number | undefined = () => undefined,
  ) {
    this.#context = context
    this.#chance = ports
    this.#moved = moved
    this.#paused = paused
    this.#besideDueAt = besideDueAt
    this.#store = new MailboxStore(context.storage)
    context
      .blockConcurrencyWhile(async () => {
        this.#alarmAt = await context.storage.getAlarm()
        const now = ports.now()
        // One that is past is why this object was made, or soon another one is.
        if (this.#alarmAt === null || this.#alarmAt > now) this.#armWhatIsOverdue()
        else this.#lateMs = now - this.#alarmAt
      })
      .catch((error: unknown) => console.error(JSON.stringify({ step: 'agent.start', error: String(error) })))
  }

  get store(): MailboxStore {
    return this.#store
  }

  get mailbox(): Mailbox {
    return this.#mailbox
  }

  // Read when it is first needed: what woke this object may have to wait for its turn.
  get #mailbox(): Mailbox {
    this.#loaded ??= this.store.load()
    return this.#loaded
  }

  readonly stored = (id: string, before?: () => string): Delivery | undefined => this.store.stored(id, before)
  readonly body = (id: string): string | undefined => this.store.body(id)

  /** One step: the work, then whatever it freed is released, then everything is saved as one, with what `beside` writes. */
  step<T>(work: (draft: Draft, now: number) => T, beside: () => void = () => undefined): [T, References] {
    return this.#step(work, false, beside)
  }

  /** A step that the alarm asked for: it looks at everything that is live, and arms the next alarm. */
  wake<T>(work: (draft: Draft, now: number) => T): [T, References] {
    this.#alarmAt = null
    return this.#step(work, true, () => undefined)
  }

  /** For an alarm, first of all: what was armed has rung, and whatever is due is armed anew. */
  rung(): void {
    this.#alarmAt = null
  }

  /** For an alarm, before it wakes anything. */
  async turn(dice: () => number): Promise<void> {
    const lateMs = this.#loaded === undefined ? this.#lateMs : 0
    this.#lateMs = 0
    await turn(lateMs, dice)
  }

  /** When waking failed: once more, soon. */
  wakeLater(): Promise<void> {
    // Noted as any: whatever is due later must not put it off.
    this.#alarmAt = this.#chance.now() + alarmRetryMs
    return this.#context.storage.setAlarm(this.#alarmAt)
  }

  /** Rotates buckets, forgets what is past keeping, and arms an alarm that was lost (M6). */
  cleanUp(): void {
    const now = this.#chance.now()
    this.#save(() => {
      this.store.rotate(this.#mailbox, now)
      this.store.tidy(this.#mailbox, now)
      this.store.openLedger(this.#mailbox)
      this.#armWhatIsOverdue()
    })
  }

  /** Forgets all that the object has: an empty database would be stored, and paid, for ever. */
  forget(): void {
    // Not awaited: it is gone for whoever comes next, and the output gate waits for it.
    void this.#context.storage.deleteAll()
    this.#store = new MailboxStore(this.#context.storage)
    this.#loaded = undefined
    this.#alarmAt = null
  }

  /** Saves what lies beside the mailbox. */
  together(write: () => void): void {
    this.#save(write)
  }

  /** Inside what is being saved: the alarm rings then, or earlier. */
  armBy(dueAt: number, now: number): void {
    const armed = this.#alarmAt
    // Long overdue, it is taken for lost; it stood for everything live, not only for what is due now.
    if (armed !== null && armed <= now - alarmRetryMs) this.#setAlarm(now)
    else if (armed === null || armed > dueAt) this.#setAlarm(Math.max(dueAt, now))
  }

  #step<T>(work: (draft: Draft, now: number) => T, everything: boolean, beside: () => void): [T, References] {
    const now = this.#chance.now()
    const draft = begin(this.#mailbox)
    catchUp(draft, now)
    const value = work(draft, now)
    catchUpIfClosed(draft, now)
    const references = release(draft, now)
    this.#save(() => {
      if (isChanged(draft)) this.store.save(draft, now)
      beside()
      this.#arm(draft, now, everything)
    })
    const { epoch } = draft.base.gate.breaker
    const before = draft.base.agent?.paused?.since
    this.#loaded = apply(draft)
    const since = this.#mailbox.agent?.paused?.since
    if (since !== undefined && since !== before) this.#paused(since)
    if (draft.gate.breaker.epoch > epoch) this.#moved(epoch, draft.gate.breaker.epoch)
    return [value, references]
  }

  #save(write: () => void): void {
    try {
      this.#context.storage.transactionSync(write)
    } catch (error) {
      // Memory may be ahead of storage now: the next call must rebuild it.
      this.#context.abort(`save failed: ${String(error)}`)
      throw error
    }
  }

  // M6: in the transaction that made it so. An alarm armed early costs one visit; a late one costs a promise.
  #arm(draft: Draft, now: number, everything: boolean): void {
    const own = nextDueAt(draft, everything ? everyDelivery(draft) : changedDeliveries(draft), now)
    const due = everything ? earliest([own, this.#besideDueAt(agentOf(draft) === undefined)]) : own
    if (due !== undefined) this.armBy(due, now)
    else if (this.#alarmAt !== null) this.armBy(this.#alarmAt, now)
  }

  // After a rebuild nothing is known to be released: what may go is released by the alarm, at once.
  #armWhatIsOverdue(): void {
    const now = this.#chance.now()
    const draft = begin(this.#mailbox)
    const own = nextInLine(draft, 1, now).length > 0 ? now : nextDueAt(draft, this.#mailbox.live.values(), now)
    const due = earliest([own, this.#besideDueAt(this.#mailbox.agent === undefined)])
    if (due === undefined || (this.#alarmAt !== null && this.#alarmAt <= Math.max(due, now))) return
    this.#setAlarm(Math.max(due, now))
  }

  #setAlarm(at: number): void {
    // Not awaited: it belongs to the transaction that is being written, and the output gate waits for that.
    void this.#context.storage.setAlarm(at)
    this.#alarmAt = at
  }
}

function isChanged(draft: Draft): boolean {
  const own = draft.agent !== undefined || isGateChanged(draft.base.gate, draft.gate)
  return own || draft.deliveries.size > 0 || draft.slots.size > 0
}

function* everyDelivery(draft: Draft): Generator<Delivery> {
  for (const [id, delivery] of draft.base.live) if (!draft.deliveries.has(id)) yield delivery
  yield* draft.deliveries.values()
}

function* changedDeliveries(draft: Draft): Generator<Delivery> {
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
