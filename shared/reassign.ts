/**
 * Reassign: a delivery moves to another agent's mailbox, because its agent is deleted or took too long.
 *
 *   waiting ──leave──► leaving ──there accepted──► cancelled here, with a step `reassigned`
 *                         └──unknown or full───► waiting, as before; a dead letter where its agent is gone
 *
 * Leaving is stored before anybody is asked, and fences whoever works on it: from then on nothing is released, taken or settled
 * here, so that what the other mailbox accepts is done once. A crash in between leaves a chore, which the alarm asks for (M1, M6).
 * Never here: asking the other mailbox (workers/reassign.ts).
 */
import type { Incoming } from './admission.ts'
import { type Delivery, end, endDead, hasEnded, isLeaving, step, withStart } from './delivery.ts'
import { parseDeliveryId } from './ids.ts'
import { limits } from './limits.ts'
import { inLine } from './line.ts'
import { agentOf, type Draft, deliveryOf, leaseOf, liveOf, put } from './mailbox.ts'
import { messageSchema } from './message.ts'
import { hand } from './upkeep.ts'

/** One that is to be accepted by the mailbox of `to`. */
export interface Departure {
  readonly id: string
  readonly to: string
  readonly incoming: Incoming
}

/** What became of a departure: the other mailbox's delivery, or why it stays. */
export type Departed =
  | { readonly id: string; readonly became: string }
  | { readonly id: string; readonly to: string; readonly stays: string }

/** Has the first `max` that have not ended, in the order of their line, leave for another mailbox. Those on their way already come first. */
export function leave(draft: Draft, to: string, max: number, now: number): readonly string[] {
  const all = [...liveOf(draft)].filter((d) => !hasEnded(d))
  const line = all.sort(
    (a, b) => Number(isLeaving(b)) - Number(isLeaving(a)) || a.lineAt - b.lineAt || a.sequence - b.sequence,
  )
  const leaving = line.slice(0, max)
  for (const delivery of leaving) {
    if (!isLeaving(delivery)) sendOff(draft, delivery, to)
    hand(draft, delivery.id, 0, now)
  }
  return leaving.map((d) => d.id)
}

/** Has it leave. Where nobody is at it, the alarm asks somebody to finish the move. */
export function sendOff(draft: Draft, delivery: Delivery, to: string): void {
  put(draft, { ...fenced(draft, delivery), state: { at: 'waiting', leavingFor: to } })
}

// The token is remembered as used, or the consumer's late `ok` would count.
function fenced(draft: Draft, delivery: Delivery): Delivery {
  const lease = leaseOf(draft, delivery.id)
  draft.leases.set(delivery.id, null)
  draft.releases.set(delivery.id, null)
  return lease === undefined
    ? delivery
    : { ...withStart(delivery, lease), leases: lease.number, closedToken: lease.token, closedBy: 'reassigned' }
}

/**
 * Those of `ids` that are leaving, with their messages, as far as one answer may carry them: in the order of their line, and each
 * behind what leaves before it, of its key and for the same agent, whoever else may be at that. So a key arrives in its order (M3),
 * also where the move of an earlier one was cut off.
 */
export function departuresOf(
  draft: Draft,
  ids: readonly string[],
  body: (id: string) => string | undefined,
): readonly Departure[] {
  const departures: Departure[] = []
  let bytes = 0
  for (const { delivery, to } of inTheirOrder(draft, ids)) {
    bytes += delivery.bodyBytes
    if (departures.length > 0 && (bytes > limits.leaseBytes || departures.length >= departuresMax)) break
    const text = body(delivery.id)
    if (text !== undefined) departures.push({ id: delivery.id, to, incoming: incomingOf(delivery, text, to) })
  }
  return departures
}

// The rest is asked for again by the alarm.
const departuresMax = 100

interface Leaving {
  readonly delivery: Delivery
  readonly to: string
}

function inTheirOrder(draft: Draft, ids: readonly string[]): Leaving[] {
  const asked = ids.flatMap((id) => leavingOf(deliveryOf(draft, id)))
  if (asked.length === 0) return []
  const lastOf = new Map<string, Delivery>()
  for (const { delivery, to } of asked) {
    const last = lastOf.get(lineOf(delivery, to))
    if (last === undefined || inLine(last, delivery) < 0) lastOf.set(lineOf(delivery, to), delivery)
  }
  const all = [...liveOf(draft)].flatMap(leavingOf).filter(({ delivery, to }) => {
    const last = lastOf.get(lineOf(delivery, to))
    return last !== undefined && inLine(delivery, last) <= 0
  })
  return all.sort((a, b) => inLine(a.delivery, b.delivery))
}

// What has no key is a line of its own. No agent's name holds a line break.
const lineOf = ({ id, partitionKey }: Delivery, to: string) =>
  partitionKey === undefined ? id : `${to}\n${partitionKey}`

function leavingOf(delivery: Delivery | undefined): Leaving[] {
  if (delivery?.state.at !== 'waiting' || delivery.state.leavingFor === undefined) return []
  return [{ delivery, to: delivery.state.leavingFor }]
}

/**
 * The same message at the other's door, with its id, conversation, key, order and times, addressed to its new agent. A repeat is a
 * duplicate there, because the key is made of the delivery's id; and no publisher can have used it, because a publisher's key
 * holds no control characters.
 */
function incomingOf(delivery: Delivery, text: string, to: string): Incoming {
  const stored = messageSchema.parse(JSON.parse(text))
  // Its agent may be gone by now, and its id still says whose it is.
  const from = parseDeliveryId(delivery.id)?.agent
  const { expirytime, ...rest } = stored.to === from ? { ...stored, to } : stored
  // A redrive took its expiry from it: it must not expire by it now.
  const message = delivery.expiresAt === undefined || expirytime === undefined ? rest : { ...rest, expirytime }
  return {
    message,
    body: JSON.stringify(message),
    key: `${delivery.id}\nreassigned`,
    contentHash: delivery.contentHash,
    // A fallback's own fallback may be the first: like every circle, theirs ends at `limits.hops`.
    hops: delivery.overdueAt === undefined ? delivery.hops : delivery.hops + 1,
    brokerMade: true,
    since: delivery.since,
    reserved: true,
    ...(delivery.tried === undefined ? {} : { tried: delivery.tried }),
    ...(delivery.lineage === undefined ? {} : { lineage: delivery.lineage }),
    ...(delivery.view === undefined ? {} : { view: delivery.view }),
    ...(delivery.batch === undefined ? {} : { batch: delivery.batch }),
  }
}

/** Writes down what became of those that left. What the other mailbox has accepted ends here, whatever was told meanwhile. */
export function departed(draft: Draft, news: readonly Departed[], now: number): void {
  for (const one of news) {
    const delivery = deliveryOf(draft, one.id)
    if (delivery === undefined || delivery.state.at === 'ended') continue
    if ('became' in one) {
      const moved = step(fenced(draft, delivery), { step: 'reassigned', at: now, detail: one.became })
      put(draft, end(moved, 'cancelled', now, { reassignedTo: one.became }))
    } else if (delivery.state.leavingFor === one.to) {
      const back = step({ ...delivery, state: { at: 'waiting' } }, { step: 'held', at: now, detail: one.stays })
      // Whoever has its name by now is somebody else.
      const isAtHome = agentOf(draft)?.incarnation === delivery.incarnation
      put(draft, isAtHome ? back : endDead(back, 'dead_lettered', 'agent_deleted', now))
    } else continue
    draft.chores.set(one.id, null)
  }
}
