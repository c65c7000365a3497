/**
 * Batches: which deliveries go to the agent in one call.
 *
 *   held ──size or bytes reached, or the oldest has waited──► released together ──take──► leased together
 *
 * One call is one place of the concurrency, one start of the rate and one verdict of the breaker; each delivery keeps its own
 * receipt, lease, attempts and outcome (docs/decisions/0024). Within a batch those of one partition key stand in their line's
 * order (M3). Never here: the agent's answer (shared/batch-answer.ts), sending it (workers/deliver-batch.ts).
 */
import { type Delivery, hasEnded, hasOpenJournal } from './delivery.ts'
import { canonical } from './json.ts'
import { batchedAmong, inLine, isReady, rank, standing } from './line.ts'
import { type Draft, deliveryOf, leaseOf, leasesOf, releaseOf, releasesOf } from './mailbox.ts'
import type { Policy } from './policy.ts'
import { batchOf, goesAlone, ripeAtOf } from './ripe.ts'

interface Candidate {
  readonly delivery: Delivery
  readonly rank: number
}

/** Does any of them share its call? Of a mailbox that batches nothing it costs no more than a look. */
export function hasBatches(draft: Draft, policy: Policy): boolean {
  if (policy.batch !== undefined) return true
  return batchedAmong(draft) > 0
}

/** At most `places` batches that may go now, the first in line first. None is empty, none mixes keys, nor what asked for another kind. */
export function batchesToGo(draft: Draft, policy: Policy, places: number, now: number): Delivery[][] {
  if (places <= 0) return []
  const groups = new Map<string, Delivery[]>()
  for (const { delivery } of candidates(draft, policy, now)) {
    const name = goesAlone(policy, delivery) ? `alone ${delivery.id}` : `with ${groupOf(policy, delivery)}`
    const group = groups.get(name)
    if (group === undefined) groups.set(name, [delivery])
    else group.push(delivery)
  }
  const going = [...groups.values()].flatMap((group) => cut(group, policy, now))
  return going.slice(0, places)
}

/** What those of one batch have in common: the kind of batch, and the key that it may not mix. */
function groupOf(policy: Policy, delivery: Delivery): string {
  const batch = batchOf(policy, delivery)
  return canonical([batch ?? null, batch?.key === undefined ? null : (delivery.head[batch.key] ?? null)])
}

// In order. A key's later ones never stand before its earlier ones, whatever their priority.
function candidates(draft: Draft, policy: Policy, now: number): Candidate[] {
  const mayGo = (d: Delivery) => isReady(draft, d, now) && releaseOf(draft, d.id) === undefined
  const found: Candidate[] = []
  for (const delivery of standing(draft, now))
    if (delivery.partitionKey === undefined && mayGo(delivery)) found.push({ delivery, rank: rank(delivery, now) })
  for (const line of linesOf(draft, now).values()) {
    let reached = Number.POSITIVE_INFINITY
    for (const delivery of together(line, policy, mayGo)) {
      reached = Math.min(reached, rank(delivery, now))
      found.push({ delivery, rank: reached })
    }
  }
  return found.sort((a, b) => b.rank - a.rank || inLine(a.delivery, b.delivery))
}

// From the head of a line as far as one call may carry it.
function together(
  line: readonly Delivery[],
  policy: Policy,
  mayGo: (delivery: Delivery) => boolean,
): readonly Delivery[] {
  const [head] = line
  if (head === undefined || !mayGo(head)) return []
  // Under `ack: "later"` each is settled by itself, whenever its agent likes: a second one of the key could end first.
  if (policy.ack === 'later' || goesAlone(policy, head)) return [head]
  const end = line.findIndex((d) => !mayGo(d) || goesAlone(policy, d) || groupOf(policy, d) !== groupOf(policy, head))
  return end === -1 ? line : line.slice(0, end)
}

/** Each partition key's waiting deliveries in the order of their line; none where one in flight, or its effects, still hold the key. */
export function linesOf(draft: Draft, now: number): ReadonlyMap<string, readonly Delivery[]> {
  const lines = new Map<string, Delivery[]>()
  const held = new Set<string>()
  for (const delivery of standing(draft, now)) {
    const key = delivery.partitionKey
    if (key === undefined || (hasEnded(delivery) && !hasOpenJournal(delivery))) continue
    if (hasEnded(delivery) || leaseOf(draft, delivery.id) !== undefined) held.add(key)
    else if (delivery.lineAt <= now) {
      const line = lines.get(key)
      if (line === undefined) lines.set(key, [delivery])
      else line.push(delivery)
    }
  }
  for (const key of held) lines.delete(key)
  for (const line of lines.values()) line.sort(inLine)
  return lines
}

// Full ones go, and the rest goes once its oldest has waited. A key that is in one batch has nothing in the next: it goes in turn.
function cut(group: readonly Delivery[], policy: Policy, now: number): Delivery[][] {
  const batch = group[0] === undefined ? undefined : batchOf(policy, group[0])
  if (batch === undefined) return group.map((delivery) => [delivery])
  const going: Delivery[][] = []
  const keys = new Set<string>()
  let open: Delivery[] = []
  let bytes = 0
  const close = () => {
    for (const { partitionKey } of open) if (partitionKey !== undefined) keys.add(partitionKey)
    if (open.length > 0) going.push(open)
    open = []
    bytes = 0
  }
  for (const delivery of group) {
    if (open.length > 0 && bytes + delivery.bodyBytes > batch.bytes) close()
    if (delivery.partitionKey !== undefined && keys.has(delivery.partitionKey)) continue
    open.push(delivery)
    bytes += delivery.bodyBytes
    if (open.length >= batch.size || bytes >= batch.bytes) close()
  }
  if (open.some((d) => ripeAtOf(policy, d) <= now)) close()
  return going
}

/** Those that were released as this batch, and not yet taken. */
export function releasedWith(draft: Draft, n: number): Delivery[] {
  return [...releasesOf(draft)].flatMap(([id, { batch }]) => (batch?.n === n ? (deliveryOf(draft, id) ?? []) : []))
}

export function bytesOf(deliveries: readonly Delivery[]): number {
  return deliveries.reduce((sum, d) => sum + d.bodyBytes, 0)
}

/** Those of a batch that may still start, now that it is taken: one whose predecessor stays behind stays too (M3). */
export function inTurn(draft: Draft, policy: Policy, mates: readonly Delivery[], now: number): Delivery[] {
  const lines = linesOf(draft, now)
  const going = new Set<string>()
  return mates.filter((delivery) => {
    if (!isReady(draft, delivery, now)) return false
    if (delivery.partitionKey !== undefined) {
      const line = lines.get(delivery.partitionKey) ?? []
      const place = line.findIndex((d) => d.id === delivery.id)
      const before = line[place - 1]?.id
      if (place < 0 || (before !== undefined && (policy.ack === 'later' || !going.has(before)))) return false
    }
    going.add(delivery.id)
    return true
  })
}

/** A number that no batch under way has. */
export function nextBatch(draft: Draft): number {
  let last = 0
  for (const [, { batch }] of releasesOf(draft)) last = Math.max(last, batch?.n ?? 0)
  for (const { batch } of leasesOf(draft)) last = Math.max(last, batch?.n ?? 0)
  return last + 1
}
