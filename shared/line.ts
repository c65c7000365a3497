/**
 * The line: which deliveries may start now, and which of them goes first. Never here: how many may go (shared/mailbox.ts), or
 * letting them go (shared/release.ts).
 */
import { type Delivery, hasEnded, hasOpenJournal, isLeaving, isLive } from './delivery.ts'
import { type Draft, leaseOf, releaseOf } from './mailbox.ts'
import { byLine, WaitingLine } from './waiting-line.ts'

/** The first `count` deliveries that may start now, in order: priority with ageing, then the time they became due, then sequence. */
export function nextInLine(draft: Draft, count: number, now: number): Delivery[] {
  if (count <= 0) return []
  const isHead = headOfKeys(draft, now)
  const mayGo = (d: Delivery) => isReady(draft, d, now) && releaseOf(draft, d.id) === undefined && isHead(d)
  const ready = [...draft.deliveries.values()].filter((d) => isLive(d) && mayGo(d))
  // The first of each priority: no other can be among the first of all.
  for (const lane of WaitingLine.of(draft.base).lanes(now)) {
    let found = 0
    for (const delivery of lane) {
      if (draft.deliveries.has(delivery.id) || !mayGo(delivery)) continue
      ready.push(delivery)
      found += 1
      if (found >= count) break
    }
  }
  ready.sort((a, b) => rank(b, now) - rank(a, now) || inLine(a, b))
  return ready.slice(0, count)
}

/** All that is live, but for what becomes due later and is not in flight: that is not looked at, however much of it there is. */
export function* standing(draft: Draft, now: number): Generator<Delivery> {
  const { live, leases } = draft.base
  const line = WaitingLine.of(draft.base)
  const isOld = (delivery: Delivery | undefined): delivery is Delivery =>
    delivery !== undefined && !draft.deliveries.has(delivery.id)
  for (const lane of line.lanes(now)) for (const delivery of lane) if (isOld(delivery)) yield delivery
  for (const id of line.unfinished) {
    const delivery = live.get(id)
    if (isOld(delivery)) yield delivery
  }
  // In flight, and the clock stepped back meanwhile. Where nothing stops the walk it has come by them.
  for (const id of line.isOutOfTime ? [] : leases.keys()) {
    const delivery = live.get(id)
    if (isOld(delivery) && !hasEnded(delivery) && delivery.lineAt > now) yield delivery
  }
  for (const delivery of draft.deliveries.values()) if (isLive(delivery)) yield delivery
}

export function isReady(draft: Draft, delivery: Delivery, now: number): boolean {
  return (
    !hasEnded(delivery) &&
    !isLeaving(delivery) &&
    delivery.dueAt <= now &&
    !isExpired(delivery, now) &&
    leaseOf(draft, delivery.id) === undefined
  )
}

export function isExpired(delivery: Delivery, now: number): boolean {
  return delivery.expiresAt !== undefined && delivery.expiresAt <= now
}

/** Does it wait because its agent asked to be left alone? A retry's pause is its own, and not that. */
export function isOnHold(delivery: Delivery, now: number): boolean {
  return delivery.state.at === 'waiting' && delivery.dueAt > now && delivery.attempts.at(-1)?.outcome === 'hold'
}

/** One level gained per minute waited, so that no priority starves. */
export function rank(delivery: Delivery, now: number): number {
  return delivery.priority + Math.max(0, Math.floor((now - delivery.lineAt) / 60_000))
}

export const inLine = byLine

/** How many live deliveries bring a batch of their own, as they are after this draft. */
export function batchedAmong(draft: Draft): number {
  let { batched } = WaitingLine.of(draft.base)
  for (const [id, delivery] of draft.deliveries) {
    if (draft.base.live.get(id)?.batch !== undefined) batched -= 1
    if (isLive(delivery) && delivery.batch !== undefined) batched += 1
  }
  return batched
}

/**
 * M3: for each partition key, the one delivery that may go: the first in line. A predecessor in flight, or whose effects are
 * not yet carried, keeps its key to itself, even if the clock stepped back meanwhile. A message not yet due is not yet in line.
 */
function keysInUse(draft: Draft, now: number): Map<string, Delivery> {
  const heads = new Map<string, Delivery>()
  const holds = (delivery: Delivery) => hasEnded(delivery) || leaseOf(draft, delivery.id) !== undefined
  for (const delivery of standing(draft, now)) {
    const key = delivery.partitionKey
    if (key === undefined || (hasEnded(delivery) && !hasOpenJournal(delivery))) continue
    if (!holds(delivery) && delivery.lineAt > now) continue
    const head = heads.get(key)
    if (head === undefined || (holds(delivery) ? !holds(head) : !holds(head) && inLine(delivery, head) < 0))
      heads.set(key, delivery)
  }
  return heads
}

/** Which of those with a key may go. All that stands in line is looked at when the first of them is asked about, and not without need. */
export function headOfKeys(draft: Draft, now: number): (delivery: Delivery) => boolean {
  let heads: ReadonlyMap<string, Delivery> | undefined
  return ({ id, partitionKey }) => {
    if (partitionKey === undefined) return true
    heads ??= keysInUse(draft, now)
    return heads.get(partitionKey)?.id === id
  }
}
