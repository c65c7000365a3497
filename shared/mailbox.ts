/**
 * The mailbox of one agent: what is live, what is leased, what was released. The mailbox decides what is released; the queue
 * carries what is released. This file holds the state and the questions one may ask of it; the steps are in
 * shared/admission.ts (accept), shared/release.ts (release, take), shared/settlement.ts (settle) and shared/upkeep.ts.
 *
 * A step reads a mailbox and writes a `Draft` over it; it never changes the mailbox. The object saves the draft in one
 * transaction and only then lays it over its memory, so a failed save leaves nothing half done.
 *
 *  M1 accepted is never lost · M3 order within a partition key · M4 a hold burns no attempt · M5 depth and concurrency are
 *  bounds · M6 live things wake. Never here: storage, clocks, dice.
 */
import { type AgentRecord, unparkAt } from './agent.ts'
import { type Delivery, hasEnded, isChore, isLeaving, isLive } from './delivery.ts'
import { type Gate, gateAdmits, gateDueAt, gateTold, newGate } from './gate.ts'
import { overdueAtOf } from './ladder.ts'
import type { Batch, Lease } from './lease.ts'
import { parkedUntil, ripeAtOf } from './ripe.ts'
import { WaitingLine } from './waiting-line.ts'

/** A reference to it is on the queue, or was and may be lost. */
export interface Release {
  readonly at: number
  readonly tries: number
  readonly retryAt: number
  /** Those released with the same number go in one call. */
  readonly batch?: Batch
}

/** An `at_most_once` attempt that began: until when it may be heard of, and in which epoch of the breaker it began. */
export interface Fleeting {
  readonly until: number
  readonly epoch: number
}

/** Effects, a burial or a move that somebody was asked to finish. */
export interface Chore {
  readonly tries: number
  readonly retryAt: number
}

export interface Mailbox {
  readonly agent: AgentRecord | undefined
  readonly gate: Gate
  readonly live: ReadonlyMap<string, Delivery>
  /** Made of what is live, for those who need it in order. */
  readonly line?: WaitingLine
  readonly leases: ReadonlyMap<string, Lease>
  readonly releases: ReadonlyMap<string, Release>
  readonly chores: ReadonlyMap<string, Chore>
  /** `at_most_once` in flight. Memory only, as the mode promises nothing more. */
  readonly fleeting: ReadonlyMap<string, Fleeting>
  readonly sequence: number
  /** Live deliveries that have not ended: what depth counts (M5). */
  readonly depth: number
}

export const emptyMailbox: Mailbox = {
  agent: undefined,
  gate: newGate,
  live: new Map(),
  leases: new Map(),
  releases: new Map(),
  chores: new Map(),
  fleeting: new Map(),
  sequence: 0,
  depth: 0,
}

/** Changes over a mailbox. `null` in a map removes. */
export interface Draft {
  readonly base: Mailbox
  agent: AgentRecord | undefined | null
  gate: Gate
  readonly inserted: Map<string, string>
  /** Messages that were edited, as JSON text. */
  readonly edited: Map<string, string>
  readonly deliveries: Map<string, Delivery>
  readonly leases: Map<string, Lease | null>
  readonly releases: Map<string, Release | null>
  readonly chores: Map<string, Chore | null>
  readonly fleeting: Map<string, Fleeting | null>
  /** Lease rows to be written. */
  readonly slots: Set<number>
  sequence: number
  depth: number
}

export function begin(base: Mailbox): Draft {
  return {
    base,
    agent: undefined,
    gate: base.gate,
    inserted: new Map(),
    edited: new Map(),
    deliveries: new Map(),
    leases: new Map(),
    releases: new Map(),
    chores: new Map(),
    fleeting: new Map(),
    slots: new Set(),
    sequence: base.sequence,
    depth: base.depth,
  }
}

/** Lays a saved draft over its mailbox. Linear in the changes: the maps belong to the caller, who gave up the old mailbox. */
export function apply(draft: Draft): Mailbox {
  const { base } = draft
  const [live, line] = [base.live as Map<string, Delivery>, WaitingLine.of(base)]
  for (const [id, delivery] of draft.deliveries) {
    line.note(live.get(id), isLive(delivery) ? delivery : undefined)
    if (isLive(delivery)) live.set(id, delivery)
    else live.delete(id)
  }
  return {
    agent: draft.agent === null ? undefined : (draft.agent ?? base.agent),
    gate: draft.gate,
    live,
    line,
    leases: laid(base.leases, draft.leases),
    releases: laid(base.releases, draft.releases),
    chores: laid(base.chores, draft.chores),
    fleeting: laid(base.fleeting, draft.fleeting),
    sequence: draft.sequence,
    depth: draft.depth,
  }
}

function laid<T>(under: ReadonlyMap<string, T>, over: ReadonlyMap<string, T | null>): ReadonlyMap<string, T> {
  const map = under as Map<string, T>
  for (const [id, value] of over) {
    if (value === null) map.delete(id)
    else map.set(id, value)
  }
  return map
}

// --- reading through a draft ------------------------------------------------------------------------------------------

export function agentOf(draft: Draft): AgentRecord | undefined {
  return draft.agent === null ? undefined : (draft.agent ?? draft.base.agent)
}

export function deliveryOf(draft: Draft, id: string): Delivery | undefined {
  return draft.deliveries.get(id) ?? draft.base.live.get(id)
}

export function leaseOf(draft: Draft, id: string): Lease | undefined {
  return through(draft.leases, draft.base.leases, id)
}

export function releaseOf(draft: Draft, id: string): Release | undefined {
  return through(draft.releases, draft.base.releases, id)
}

function through<T>(over: ReadonlyMap<string, T | null>, under: ReadonlyMap<string, T>, id: string): T | undefined {
  const value = over.get(id)
  return value === null ? undefined : (value ?? under.get(id))
}

export function* liveOf(draft: Draft): Generator<Delivery> {
  for (const [id, delivery] of draft.base.live) if (!draft.deliveries.has(id)) yield delivery
  for (const delivery of draft.deliveries.values()) if (isLive(delivery)) yield delivery
}

export function* leasesOf(draft: Draft): Generator<Lease> {
  for (const [id, lease] of draft.base.leases) if (!draft.leases.has(id)) yield lease
  for (const lease of draft.leases.values()) if (lease !== null) yield lease
}

export function* releasesOf(draft: Draft): Generator<[string, Release]> {
  for (const [id, release] of draft.base.releases) if (!draft.releases.has(id)) yield [id, release]
  for (const [id, release] of draft.releases) if (release !== null) yield [id, release]
}

export function fleetingOf(draft: Draft): [string, Fleeting][] {
  if (draft.fleeting.size + draft.base.fleeting.size === 0) return []
  const untouched = [...draft.base.fleeting].filter(([id]) => !draft.fleeting.has(id))
  return [...untouched, ...draft.fleeting].filter((entry): entry is [string, Fleeting] => entry[1] !== null)
}

// --- writing into a draft ---------------------------------------------------------------------------------------------

/** Puts a changed or new delivery, keeping count of what has not ended. */
export function put(draft: Draft, delivery: Delivery): void {
  const before = deliveryOf(draft, delivery.id)
  const was = before !== undefined && !hasEnded(before) ? 1 : 0
  draft.depth += (hasEnded(delivery) ? 0 : 1) - was
  draft.deliveries.set(delivery.id, delivery)
}

export function insert(draft: Draft, delivery: Delivery, body: string): void {
  draft.inserted.set(delivery.id, body)
  put(draft, delivery)
}

/** Gives back the places of `at_most_once` attempts of which nobody will hear again. */
export function endFleeting(draft: Draft, now: number): void {
  const agent = agentOf(draft)
  for (const [id, { until, epoch }] of fleetingOf(draft)) {
    if (until > now) continue
    draft.fleeting.set(id, null)
    if (agent !== undefined) draft.gate = gateTold(draft.gate, agent, epoch, { kind: 'silence' }, now)
  }
}

// --- questions --------------------------------------------------------------------------------------------------------

export function sizeThrough<T>(over: ReadonlyMap<string, T | null>, under: ReadonlyMap<string, T>): number {
  let size = under.size
  for (const [id, value] of over) size += (value === null ? 0 : 1) - (under.has(id) ? 1 : 0)
  return size
}

/** Calls to the agent that go on now, fleeting ones included (M5). */
export function inFlight(draft: Draft): number {
  return callsAmong(leasesOf(draft)) + sizeThrough(draft.fleeting, draft.base.fleeting)
}

/** A batch is one call, however many it carries (docs/decisions/0024). */
function callsAmong(all: Iterable<{ readonly batch?: Batch }>): number {
  const batches = new Set<number>()
  let calls = 0
  for (const { batch } of all) {
    if (batch === undefined) calls += 1
    else batches.add(batch.n)
  }
  return calls + batches.size
}

/**
 * How many more may be released: `released`, untaken, already have a claim on their place (M5). The gate's say is in it: an open
 * breaker lets nothing through (B1), a half-open one its probes (B2).
 */
export function freePlaces(draft: Draft, now: number, released = releasedCount(draft)): number {
  const agent = agentOf(draft)
  if (agent === undefined) return 0
  return Math.min(
    agent.policy.concurrency - inFlight(draft) - released,
    gateAdmits(draft.gate, agent, { current: current(draft), released }, now),
  )
}

function releasedCount(draft: Draft): number {
  return callsAmong([...releasesOf(draft)].map(([, release]) => release))
}

/** In flight that began in the breaker's present epoch. */
function current(draft: Draft): number {
  const isCurrent = ({ epoch }: { readonly epoch: number }) => epoch === draft.gate.breaker.epoch
  return callsAmong([...leasesOf(draft)].filter(isCurrent)) + fleetingOf(draft).filter(([, f]) => isCurrent(f)).length
}

/** An unsaved lease is written at the latest then (docs/decisions/0003). */
export const writeBehindMs = 5_000

/** When something of this delivery is due; undefined when only an outside event can move it. */
export function dueAtOf(draft: Draft, delivery: Delivery, now: number): number | undefined {
  if (hasEnded(delivery) || isLeaving(delivery)) {
    const chore = through(draft.chores, draft.base.chores, delivery.id)
    return isChore(delivery) ? (chore?.retryAt ?? now) : undefined
  }
  const lease = leaseOf(draft, delivery.id)
  const policy = agentOf(draft)?.policy
  const overdueAt = overdueAtOf(policy?.alert, delivery, lease)
  if (lease !== undefined)
    return earliest([overdueAt, lease.deadlineAt, lease.saved ? undefined : lease.at + writeBehindMs])
  const ripeAt = policy === undefined ? undefined : ripeAtOf(policy, delivery)
  return earliest([
    overdueAt,
    delivery.expiresAt,
    parkedUntil(agentOf(draft), delivery),
    releaseOf(draft, delivery.id)?.retryAt,
    delivery.dueAt > now ? delivery.dueAt : undefined,
    ripeAt !== undefined && ripeAt > now ? ripeAt : undefined,
  ])
}

/** The next instant at which this mailbox has something to do, over the given deliveries (M6). */
export function nextDueAt(draft: Draft, deliveries: Iterable<Delivery>, now: number): number | undefined {
  const agent = agentOf(draft)
  let next: number | undefined
  if (agent !== undefined)
    next = earliest([
      agent.verified ? undefined : agent.verifyAt,
      agent.left?.until,
      // What waits may wait for the end of a hold, for the gate, or for a place that a lost `at_most_once` attempt still has.
      ...(draft.depth > 0
        ? [unparkAt(agent, now), gateDueAt(draft.gate, agent, now), ...fleetingOf(draft).map(([, { until }]) => until)]
        : []),
    ])
  for (const delivery of deliveries) next = earliest([next, dueAtOf(draft, delivery, now)])
  return next
}

export function earliest(times: readonly (number | undefined)[]): number | undefined {
  let first: number | undefined
  for (const at of times) if (at !== undefined && (first === undefined || at < first)) first = at
  return first
}
