/**
 * Stop: a message that a guard does not let through is a dead letter from its first moment, and both its ends are told: whoever
 * sent it, whoever it was for if the path led through them, and whoever would have been answered. A person may redrive it.
 * Never here: which message is stopped (shared/lineage.ts), telling (workers/stop.ts).
 */
import { type Delivery, endDead, type Journal } from './delivery.ts'
import type { Effect } from './effects.ts'
import { parseDeliveryId } from './ids.ts'
import { pathAfter, type Trip, type Visit } from './lineage.ts'
import { destinationOf, type Head } from './message.ts'
import { brokerSource } from './permissions.ts'

/** The type of what both ends are told. The broker's own: no guard stops it, and nothing that follows from it is told again. */
export const stopType = `${brokerSource}.error`

/** A delivery that was not let in, dead and to be told. */
export function stopped(delivery: Delivery, trip: Trip, now: number): Delivery {
  const dead = endDead(delivery, 'dead_lettered', trip.reason, now, { code: trip.reason, message: trip.detail })
  if (dead.state.at !== 'ended') return dead
  const known = dead.state.journal?.effects ?? []
  // Whoever published it by itself is told in the answer to that.
  const words = delivery.brokerMade ? wordsOf(delivery, trip) : []
  const effects = [...known, ...words].map((effect, i) => ({ ...effect, n: i + 1 }))
  const journal: Journal = { effects, openedAt: now }
  return { ...dead, state: { ...dead.state, ...(effects.length === 0 ? {} : { journal }) } }
}

/** Why a delivery was not let in, if it was not, and nobody has given it another life. */
export function stopOf({ state, redrives, lineage }: Delivery): Pick<Trip, 'reason' | 'detail' | 'path'> | undefined {
  if (state.at !== 'ended' || redrives > 0 || lineage === undefined) return undefined
  const { reason, error } = state
  if (reason !== 'loop_detected' && reason !== 'hop_limit') return undefined
  return { reason, detail: error?.message ?? '', path: lineage.path.map(({ id }) => id) }
}

/** The path of whatever a delivery emits. What follows from being told of a stop is not told again, or agents that always answer never end. */
export function pathFrom(delivery: { readonly id: string; readonly head: Head } & Pick<Delivery, 'lineage'>): Visit[] {
  return pathAfter(delivery, delivery.head.source === brokerSource && delivery.head.type === stopType)
}

// Ids only, no data: what was in the message is for its addressee.
function wordsOf({ id, head, lineage }: Delivery, { reason, guard, limit, detail, path }: Trip): Effect[] {
  if (lineage === undefined || lineage.path.some((visit) => visit.told === true)) return []
  const { type, correlationid, workflowid } = head
  const onTheWay = new Set(lineage.path.map((visit) => parseDeliveryId(visit.id)?.agent))
  const agent = parseDeliveryId(id)?.agent ?? ''
  const from = parseDeliveryId(lineage.path.at(-1)?.id ?? '')?.agent
  const answered = head.replyto === undefined ? undefined : destinationOf({ to: head.replyto })
  const told = new Set<string>([
    ...(from === undefined ? [] : [from]),
    ...(onTheWay.has(agent) ? [agent] : []),
    ...(answered?.kind === 'agent' ? [answered.agent] : []),
  ])
  return [...told].map((to) => ({
    n: 0,
    kind: 'notice',
    publish: {
      ...{ id: `${id}-stopped-${to}`, type: stopType, to, correlationid, causationid: head.id },
      ...(workflowid === undefined ? {} : { workflowid }),
      data: { code: reason, message: detail, guard, limit, delivery: id, type, from: from ?? null, to: agent, path },
    },
    state: { status: 'pending' },
  }))
}
