/**
 * A mailbox to test by: builders of plain data, and a `Box` that runs the pure steps as the agent's object does (begin → step →
 * release → save → apply), with its rows in a map. Never here: expectations.
 */
import { type Admission, accept, type Incoming } from '../../shared/admission.ts'
import { type AgentRecord, enrol } from '../../shared/agent.ts'
import { catchUp, catchUpIfClosed } from '../../shared/catch-up.ts'
import { type Delivery, isLive } from '../../shared/delivery.ts'
import type { Editing } from '../../shared/edit.ts'
import type { Grant } from '../../shared/grant.ts'
import { digest } from '../../shared/ids.ts'
import type { Lease } from '../../shared/lease.ts'
import { apply, begin, type Draft, emptyMailbox, type Mailbox, nextDueAt } from '../../shared/mailbox.ts'
import type { Message } from '../../shared/message.ts'
import type { AttemptError, Outcome } from '../../shared/outcome.ts'
import type { AgentKind, PolicyInput } from '../../shared/policy.ts'
import { type Receipt, receiptOf } from '../../shared/receipt.ts'
import { type Redriven, redrive } from '../../shared/redrive.ts'
import { lease, type References, release, type Taken, take } from '../../shared/release.ts'
import { type Settlement, settle } from '../../shared/settlement.ts'
import { type CarriedEffect, carried, type Tick, tick } from '../../shared/upkeep.ts'

export const start = Date.UTC(2026, 0, 1)
export const second = 1_000
export const minute = 60 * second
export const hour = 60 * minute
export const day = 24 * hour
/** How long anything may wait by default. */
export const parkedMs = 30 * day

/** A retry's pause without chance: one second, two, four, …. */
export const steady = { initialSeconds: 1, factor: 2, capSeconds: 3_600, jitter: 'none' } as const

export interface AgentOptions {
  readonly kind?: AgentKind
  readonly policy?: PolicyInput
  readonly incarnation?: string
  readonly trusted?: boolean
}

/** An agent named `ada`: a verified webhook unless said otherwise. */
export function agentRecord(options: AgentOptions = {}): AgentRecord {
  const kind = options.kind ?? 'webhook'
  return enrol(undefined, {
    name: 'ada',
    registration: {
      kind,
      ...(kind === 'webhook' ? { url: 'https://ada.example/inbox' } : {}),
      policy: { backoff: steady, ...options.policy },
    },
    freshIncarnation: options.incarnation ?? 'first',
    freshSecret: 'whsec_c2VjcmV0c2VjcmV0c2VjcmV0',
    trusted: options.trusted ?? true,
    now: start,
  })
}

export type IncomingOptions = Partial<Message> & {
  /** The publisher's key, where it is not the id. */
  readonly key?: string
  readonly brokerMade?: boolean
  /** May use the tenth that publishers may not: an effect or a reply, if the broker made it and unless said otherwise. */
  readonly reserved?: boolean
  readonly hops?: number
  readonly sends?: readonly string[]
}

/** A message from `eve` at the mailbox's door. Its content is its `data`. */
export function incoming(id: string, options: IncomingOptions = {}): Incoming {
  const { key = id, brokerMade = false, reserved = brokerMade, hops = 0, sends, ...attributes } = options
  const message: Message = {
    specversion: '1.0',
    type: 'task',
    source: 'eve',
    time: iso(start),
    correlationid: id,
    data: { work: 1 },
    ...attributes,
    id,
  }
  const body = JSON.stringify(message)
  const contentHash = digest(JSON.stringify(message.data))
  const who = { brokerMade, ...(sends === undefined ? {} : { sends }), ...(reserved ? { reserved } : {}) }
  return { message, body, key, contentHash, hops, ...who }
}

export const iso = (at: number) => new Date(at).toISOString()

export const error = (code = 'http', message = 'answered 500'): AttemptError => ({ code, message })
export const ok = (result?: unknown, effects?: unknown): Outcome => ({
  kind: 'ok',
  httpStatus: 200,
  ...(result === undefined ? {} : { result }),
  ...(effects === undefined ? {} : { effects }),
})
export const retry = (more: { retryAfterMs?: number; delayMs?: number } = {}): Outcome => ({
  kind: 'retry',
  error: error(),
  ...more,
})
export const fail = (code = 'http'): Outcome => ({ kind: 'fail', error: error(code, 'answered 422') })
export const hold = (holdMs: number): Outcome => ({ kind: 'hold', error: error('http', 'answered 429'), holdMs })
export const gone: Outcome = { kind: 'gone', error: error('http', 'answered 410') }
export const unsent: Outcome = { kind: 'unsent' }
export const parked: Outcome = { kind: 'parked', because: 'the resource gpt is down', holdMs: 2 * second }
export const later: Outcome = { kind: 'later', httpStatus: 202 }

export interface ReportOptions {
  readonly token?: string
  readonly external?: boolean
  readonly whole?: boolean
  readonly dice?: number
}

/** One mailbox and its rows, at a time of its own. */
export class Box {
  now = start
  mailbox: Mailbox
  /** Every delivery ever saved, as storage has them. */
  readonly rows = new Map<string, Delivery>()
  readonly bodies = new Map<string, string>()
  /** What the last step released. */
  references: References = []
  #tokens = 0

  /** `null`: nobody is registered here. */
  constructor(options: AgentOptions | null = {}) {
    this.mailbox = { ...fresh(), agent: options === null ? undefined : agentRecord(options) }
  }

  /** As the object steps: what was freed is released by the same step, and everything is saved as one. */
  step<T>(work: (draft: Draft, now: number) => T): T {
    const draft = begin(this.mailbox)
    catchUp(draft, this.now)
    const value = work(draft, this.now)
    catchUpIfClosed(draft, this.now)
    this.references = release(draft, this.now)
    for (const [id, delivery] of draft.deliveries) this.rows.set(id, delivery)
    for (const [id, body] of [...draft.inserted, ...draft.edited]) this.bodies.set(id, body)
    this.mailbox = apply(draft)
    return value
  }

  readonly stored = (id: string): Delivery | undefined => this.rows.get(id)

  token(): string {
    this.#tokens += 1
    return `token-${this.#tokens}`
  }

  // --- the message's way ------------------------------------------------------------------------------------------------

  accept(messages: readonly Incoming[], token = this.token()): Admission[] {
    return this.step((draft, now) => accept(draft, messages, token, this.rows.size, this.stored, now))
  }

  /** Accepts one and gives its delivery's id. */
  put(id: string, options: IncomingOptions = {}): string {
    const [admission] = this.accept([incoming(id, options)])
    if (admission?.status !== 'accepted') throw new Error(`${id} was not accepted: ${JSON.stringify(admission)}`)
    return admission.id
  }

  take(ids: readonly string[] = this.released(), token = this.token(), alone = ids.length === 1): Taken {
    return this.step((draft, now) => take(draft, ids, token, now, alone))
  }

  lease(max: number, durationMs = minute, token = this.token()): readonly Grant[] {
    return this.step((draft, now) => lease(draft, max, durationMs, token, now))
  }

  /** Reports under the lease in force, unless another token is named. */
  settle(id: string, outcome: Outcome, options: ReportOptions = {}): Settlement {
    const token = options.token ?? this.leaseOf(id)?.token ?? 'none'
    const whole = options.whole === true ? { whole: true as const } : {}
    const report = { id, token, outcome, external: options.external ?? false, ...whole }
    return this.step((draft, now) => settle(draft, [report], this.stored, now, () => options.dice ?? 0.5)[0]!)
  }

  /** Takes and settles, as a consumer that is told of it alone. */
  run(id: string, outcome: Outcome, options: ReportOptions = {}): Settlement {
    if (this.leaseOf(id) === undefined) this.take([id])
    return this.settle(id, outcome, options)
  }

  redrive(id: string, token = this.token(), editing?: Editing): Redriven {
    return this.step((draft, now) => redrive(draft, id, token, this.stored, now, editing))
  }

  carried(id: string, news: readonly CarriedEffect[]): void {
    this.step((draft, now) => carried(draft, id, news, now))
  }

  /** The alarm, at its time or later. */
  tick(at = this.now, dice = 0.5): Tick {
    this.now = Math.max(this.now, at)
    return this.step((draft, now) => tick(draft, now, () => dice))
  }

  /** Lets time pass without a step. */
  wait(ms: number): void {
    this.now += ms
  }

  // --- questions --------------------------------------------------------------------------------------------------------

  delivery(id: string): Delivery {
    const row = this.rows.get(id)
    if (row === undefined) throw new Error(`${id} is not stored`)
    return row
  }

  leaseOf(id: string): Lease | undefined {
    return this.mailbox.leases.get(id)
  }

  /** Released and not yet taken. */
  released(): string[] {
    return [...this.mailbox.releases.keys()]
  }

  receipt(id: string): Receipt {
    return receiptOf(begin(this.mailbox), this.delivery(id), 'ada', this.now)
  }

  /** When the alarm has to ring, over everything. */
  due(): number | undefined {
    return nextDueAt(begin(this.mailbox), [...this.rows.values()].filter(isLive), this.now)
  }
}

/** A mailbox owns its maps, so each gets its own. */
export function fresh(): Mailbox {
  return {
    ...emptyMailbox,
    live: new Map(),
    leases: new Map(),
    releases: new Map(),
    chores: new Map(),
    fleeting: new Map(),
  }
}
