/**
 * Release and take. The mailbox alone decides which delivery goes, and when; a reference on the queue is only a hint.
 * A doubled reference takes nothing; a lost one is released again. Never here: sending references (workers/enqueue.ts).
 */
import { type AgentRecord, parkedBecause } from './agent.ts'
import { awayOf } from './away.ts'
import { batchesToGo, bytesOf, hasBatches, inTurn, nextBatch, releasedWith } from './batch.ts'
import { type Delivery, endDead, hasEnded, hasOpenJournal, isLeaving, isLive, isUnburied } from './delivery.ts'
import { gateElapsed, isGateShut, pulled } from './gate.ts'
import { type Grant, grant, grantTogether, type Terms } from './grant.ts'
import type { Lease } from './lease.ts'
import { limits } from './limits.ts'
import { headOfKeys, inLine, isExpired, isReady, nextInLine } from './line.ts'
import {
  agentOf,
  type Draft,
  deliveryOf,
  freePlaces,
  inFlight,
  leaseOf,
  leasesOf,
  liveOf,
  put,
  releaseOf,
  releasesOf,
} from './mailbox.ts'
import { narrowed } from './narrowing.ts'
import { leaseMs } from './policy.ts'
import { batchOf, parkedUntil } from './ripe.ts'

/** An untaken release is repeated after 5 s, doubling to 5 min. */
export function releaseRetryMs(tries: number): number {
  return Math.min(300_000, 5_000 * 2 ** Math.min(tries, 10))
}

/** References to enqueue. Several of one agent share a queue message; a suspect travels alone, so that it harms nobody. */
export type References = readonly { readonly deliveries: readonly string[]; readonly alone?: true }[]

/** Releases whatever may go now, and repeats releases that nobody took. Call at the end of every step: it is how freed places are filled. */
export function release(draft: Draft, now: number): References {
  const agent = agentOf(draft)
  if (agent === undefined) return []
  draft.gate = gateElapsed(draft.gate, now)
  if (agent.kind === 'pull' || isShut(draft, agent, now)) {
    // Nothing may be taken by reference now. A release left standing would be due for ever, and keep a puller from its mail (M6).
    for (const id of [...draft.base.releases.keys(), ...draft.releases.keys()]) draft.releases.set(id, null)
    return []
  }
  const chosen: Delivery[] = []
  for (const [id, before] of [...releasesOf(draft)]) {
    const delivery = deliveryOf(draft, id)
    if (before.retryAt > now || delivery === undefined || !isLive(delivery)) continue
    draft.releases.set(id, {
      at: before.at,
      tries: before.tries + 1,
      retryAt: now + releaseRetryMs(before.tries + 1),
      ...(before.batch === undefined ? {} : { batch: before.batch }),
    })
    chosen.push(delivery)
  }
  for (const together of nextToGo(draft, agent, now)) {
    const batch = together.length > 1 ? { batch: { n: nextBatch(draft), size: together.length } } : {}
    for (const delivery of together) {
      draft.releases.set(delivery.id, { at: now, tries: 0, retryAt: now + releaseRetryMs(0), ...batch })
      if (draft.inserted.has(delivery.id)) put(draft, { ...delivery, releasedAtAccept: true })
      chosen.push(delivery)
    }
  }
  return referencesTo(draft, chosen)
}

function referencesTo(draft: Draft, chosen: readonly Delivery[]): References {
  const together = chosen.filter((d) => !d.suspect)
  const alone = chosen.filter((d) => d.suspect).map((d) => ({ deliveries: [d.id], alone: true as const }))
  // A batch has a queue message of its own, so that two of them need not share an invocation.
  const byBatch = new Map<number | undefined, string[]>()
  for (const { id } of together) {
    const n = releaseOf(draft, id)?.batch?.n
    byBatch.set(n, [...(byBatch.get(n) ?? []), id])
  }
  return [...[...byBatch.values()].map((deliveries) => ({ deliveries })), ...alone]
}

/** Nothing may be taken: somebody paused it, it asked for quiet, it is not verified, or its breaker is open (B1). */
function isShut(draft: Draft, agent: AgentRecord, now: number): boolean {
  return parkedBecause(agent, now) !== undefined || isGateShut(draft.gate, agent)
}

// Each by itself, or in batches. In half-open the probe is the oldest of those with the fewest attempts, so that no single
// delivery pays for every probe; and it is one delivery, so that no batch does.
function nextToGo(draft: Draft, agent: AgentRecord, now: number): readonly (readonly Delivery[])[] {
  const places = freePlaces(draft, now)
  if (draft.gate.breaker.state.at === 'half_open' && places > 0) {
    const ready = nextInLine(draft, Number.POSITIVE_INFINITY, now)
    const probes = ready.sort((a, b) => a.attempt - b.attempt || inLine(a, b)).slice(0, places)
    return probes.map((d) => [d])
  }
  const { policy } = agent
  if (hasBatches(draft, policy)) return batchesToGo(draft, policy, places, now)
  return nextInLine(draft, places, now).map((d) => [d])
}

// --- take -------------------------------------------------------------------------------------------------------------

export interface Taken {
  readonly grants: readonly Grant[]
  /** Ended already, but with effects to carry or a burial to finish. */
  readonly unfinished: readonly string[]
  /** Would have made the answer too large: to be taken once these are done. */
  readonly rest: readonly string[]
}

/**
 * Leases those of `ids` that may start now, and says nothing of the others (done, cancelled, expired, held again, leased).
 * `token` names the call: its repeat is granted the same leases. `alone`: whoever asks runs nothing beside it.
 */
export function take(draft: Draft, ids: readonly string[], token: string, now: number, alone = false): Taken {
  const agent = agentOf(draft)
  const grants: Grant[] = []
  const unfinished: string[] = []
  const rest: string[] = []
  const isHead = headOfKeys(draft, now)
  draft.gate = gateElapsed(draft.gate, now)
  const parked = agent === undefined || isShut(draft, agent, now)
  const unique = withMates(draft, ids, token)
  let bytes = 0
  for (const id of unique) {
    const delivery = deliveryOf(draft, id)
    if (delivery === undefined || !isLive(delivery)) continue
    if (hasOpenJournal(delivery) || isUnburied(delivery)) {
      unfinished.push(id)
      continue
    }
    const held = leaseOf(draft, id)
    if (held !== undefined) {
      // By a mate of its batch, in this very call.
      if (grants.some((g) => g.delivery.id === id)) continue
      if (held.takeToken !== token) continue
      bytes += delivery.bodyBytes
      grants.push({ delivery, lease: held })
      continue
    }
    // A reference from before it was a suspect came in a batch with others' mail: it goes by one of its own, so that it harms nobody.
    if (delivery.suspect && (!alone || unique.size > 1)) continue
    if (grants.length > 0 && bytes + delivery.bodyBytes > limits.leaseBytes) {
      rest.push(id)
      continue
    }
    const before = releaseOf(draft, id)
    if (before?.batch !== undefined && agent !== undefined && batchOf(agent.policy, delivery) !== undefined) {
      const mates = releasedWith(draft, before.batch.n)
      const sum = bytesOf(mates)
      if (grants.length > 0 && bytes + sum > limits.leaseBytes) rest.push(id)
      else {
        bytes += sum
        grants.push(...takeTogether(draft, agent, mates, before.batch.n, parked, token, now))
      }
      continue
    }
    const released = before !== undefined
    if (released) draft.releases.set(id, null)
    // What waits for its batch to fill is not to be had by a reference that its mailbox has forgotten.
    if (!released && agent !== undefined && batchOf(agent.policy, delivery) !== undefined) continue
    if (parked || agent === undefined || !isReady(draft, delivery, now) || !isHead(delivery)) continue
    if (!hasPlace(draft, released, now)) continue
    bytes += delivery.bodyBytes
    grants.push({ delivery, lease: grant(draft, agent, delivery, termsOf(agent, delivery, token, before?.at), now) })
  }
  return { grants, unfinished, rest }
}

/** Whether it is a call of a webhook that no attempt lets last longer. */
export function isCalledWithin(draft: Draft, id: string, longestMs: number): boolean {
  const agent = agentOf(draft)
  const delivery = deliveryOf(draft, id)
  if (agent?.kind !== 'webhook' || delivery === undefined) return false
  return narrowed(agent.policy, delivery.head).timeoutSeconds * 1_000 <= longestMs
}

/**
 * Releases, and leases at once those of `ids` that this very release lets go by themselves. A repeat with its `token` is granted the
 * same leases. What is let go beside them is told as by any release.
 */
export function releaseAndTake(
  draft: Draft,
  ids: readonly string[],
  token: string,
  now: number,
): { readonly taken: Taken; readonly references: References } {
  const isOwn = (id: string) => ids.includes(id) && releaseOf(draft, id)?.batch === undefined
  const released = release(draft, now)
  const own = released.flatMap(({ deliveries, alone }) => (alone ? [] : deliveries.filter(isOwn)))
  const taken = take(draft, own, token, now)
  const references = released.flatMap((r) => {
    const deliveries = r.deliveries.filter((id) => !own.includes(id))
    return deliveries.length === 0 ? [] : [{ ...r, deliveries }]
  })
  return { taken, references }
}

// A reference to one of a batch takes all of it. A repeat of this call gets what it got, whatever it was told of.
function withMates(draft: Draft, ids: readonly string[], token: string): ReadonlySet<string> {
  const granted = [...leasesOf(draft)].filter((l) => l.takeToken === token).map((l) => l.id)
  return new Set([...granted, ...ids])
}

function takeTogether(
  draft: Draft,
  agent: AgentRecord,
  mates: readonly Delivery[],
  n: number,
  parked: boolean,
  token: string,
  now: number,
): Grant[] {
  const at = new Map(mates.map(({ id }) => [id, releaseOf(draft, id)?.at]))
  for (const { id } of mates) draft.releases.set(id, null)
  if (parked || !hasPlace(draft, true, now)) return []
  const wanted = inTurn(draft, agent.policy, mates, now).map((delivery) => ({
    delivery,
    terms: termsOf(agent, delivery, token, at.get(delivery.id)),
  }))
  return wanted.length === 0 ? [] : grantTogether(draft, agent, wanted, n, now)
}

function termsOf(agent: AgentRecord, { head }: Delivery, token: string, queuedAt: number | undefined): Terms {
  return { token, durationMs: leaseMs(narrowed(agent.policy, head)), phase: 'dispatched', queuedAt }
}

// An untaken release holds its place; a stray reference (its release forgotten) may only use a free one (M5), and none in
// half-open, where the mailbox chooses the probe (B2).
function hasPlace(draft: Draft, released: boolean, now: number): boolean {
  if (released) return freePlaces(draft, now, 0) > 0
  return draft.gate.breaker.state.at !== 'half_open' && freePlaces(draft, now) > 0
}

/** A pull agent's lease: the next in line, up to `max`, to its concurrency, and to what one answer may carry. */
export function lease(draft: Draft, max: number, durationMs: number, token: string, now: number): readonly Grant[] {
  const agent = agentOf(draft)
  if (agent === undefined || agent.kind !== 'pull') return []
  const grants = leased(draft, agent, max, durationMs, token, now)
  draft.gate = pulled(draft.gate, agent, grants.length > 0, now)
  return grants
}

function leased(
  draft: Draft,
  agent: AgentRecord,
  max: number,
  durationMs: number,
  token: string,
  now: number,
): readonly Grant[] {
  if (parkedBecause(agent, now) !== undefined) return []
  const repeated = [...leasesOf(draft)].filter((l) => l.takeToken === token)
  if (repeated.length > 0) return repeated.flatMap((l) => pair(deliveryOf(draft, l.id), l))
  const free = Math.min(max, freePlaces(draft, now))
  return withinBytes(nextInLine(draft, free, now), limits.leaseBytes).map((delivery) => ({
    delivery,
    lease: grant(draft, agent, delivery, { token, durationMs, phase: 'claimed' }, now),
  }))
}

// The first always fits, so that no message is too large to be leased.
function withinBytes(line: readonly Delivery[], max: number): readonly Delivery[] {
  let bytes = 0
  const over = line.findIndex((delivery, i) => {
    bytes += delivery.bodyBytes
    return i > 0 && bytes > max
  })
  return over === -1 ? line : line.slice(0, over)
}

function pair(delivery: Delivery | undefined, held: Lease): Grant[] {
  return delivery === undefined ? [] : [{ delivery, lease: held }]
}

/** Ends what expired while it waited, and what waited too long. In flight it may still finish. */
export function expire(draft: Draft, now: number): void {
  const agent = agentOf(draft)
  for (const delivery of [...liveOf(draft)]) {
    if (hasEnded(delivery) || isLeaving(delivery) || leaseOf(draft, delivery.id) !== undefined) continue
    const until = parkedUntil(agent, delivery)
    const isParked = until !== undefined && until <= now
    if (!isExpired(delivery, now) && !isParked) continue
    draft.releases.set(delivery.id, null)
    if (isExpired(delivery, now)) put(draft, endDead(delivery, 'expired', 'expired', now))
    else if (agent !== undefined) put(draft, endParked(draft, agent, delivery, now))
  }
}

function endParked(draft: Draft, agent: AgentRecord, delivery: Delivery, now: number): Delivery {
  const why = awayOf(agent, draft.gate, inFlight(draft) > 0, now)?.why ?? 'nobody took it'
  const message = `it waited for ${agent.policy.parkedSeconds} s since it became due: ${why}`
  return endDead(delivery, 'dead_lettered', 'parked_too_long', now, { code: 'parked_too_long', message })
}
