/**
 * Newest first: the order in which a mailbox lists its deliveries, and the place in it where a page ended. By their numbers: what comes
 * later, or lives anew, has a higher one, so no page shows again what another one showed. The receipts of `at_most_once` share the number that
 * was given last, and stand in front of it by their time. Never here: reading rows (durable-objects/receipt-list.ts).
 */
import type { Delivery } from './delivery.ts'
import { isFleetingReceipt } from './fleeting.ts'

export interface Place {
  readonly sequence: number
  /** Of those that share a number; 0 of the one whose it is. */
  readonly at: number
  readonly id: string
}

export function placeOf(delivery: Delivery): Place {
  const { sequence, acceptedAt, id } = delivery
  return { sequence, at: isFleetingReceipt(delivery) ? acceptedAt : 0, id }
}

export function newestFirst(a: Place, b: Place): number {
  return b.sequence - a.sequence || b.at - a.at || (a.id < b.id ? 1 : a.id > b.id ? -1 : 0)
}

export const cursorOf = ({ sequence, at, id }: Place): string => `${sequence}:${at}:${id}`

/** Undefined: it is none of ours, such as one of before, which was an id. */
export function readCursor(cursor: string): Place | undefined {
  const [, sequence, at, id] = /^(\d{1,15}):(\d{1,15}):([^:]+)$/.exec(cursor) ?? []
  return id === undefined ? undefined : { sequence: Number(sequence), at: Number(at), id }
}
