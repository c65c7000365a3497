/**
 * A reply to a request that lies in the mailbox of whoever replies: it comes to its request in the step that journals it, and is
 * carried by that. Never here: preparing it (workers/answer.ts), whether it counts (shared/arrival.ts), the rows
 * (durable-objects/gathers.ts).
 */
import type { Arrived, ReplyHere } from './arrival.ts'
import { type Draft, deliveryOf } from './mailbox.ts'
import { carried } from './upkeep.ts'

/** Is this the reply that the delivery's journal has, and has not carried? */
export function isToCarry(draft: Draft, id: string, { n, arrival }: ReplyHere): boolean {
  const state = deliveryOf(draft, id)?.state
  if (state?.at !== 'ended') return false
  // What was refused when it was journaled is told by whoever carries the rest (E1): carried here, it would leave nothing to do.
  if (state.journal?.effects.some((one) => one.state.status === 'refused') === true) return false
  const effect = state.journal?.effects.find((e) => e.n === n)
  return effect?.kind === 'reply' && effect.state.status === 'pending' && effect.publish['id'] === arrival.key
}

/** It came to its request, and whether it counted is known. */
export function noteArrived(draft: Draft, id: string, { n }: ReplyHere, standing: Arrived, now: number): void {
  if (standing === 'stranger' || standing === 'unknown') return
  carried(draft, id, [{ n, state: { status: 'carried', deliveries: [], standing } }], now)
}
