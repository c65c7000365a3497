/**
 * What waits again: after an attempt that did not end it, or because its workflow lets nothing begin. Never here: attempts
 * (shared/settlement.ts), the workflow's reasons (shared/budget.ts).
 */
import { type Delivery, end, endDead, hasEnded, isLeaving, step } from './delivery.ts'
import { inLine } from './line.ts'
import { type Draft, leaseOf, liveOf, put } from './mailbox.ts'
import type { Outcome } from './outcome.ts'

/** Waits until then. Nobody waits for one that was recalled: what was in flight then is not begun a second time. */
export function again(delivery: Delivery, now: number, dueAt: number, why: string): Delivery {
  if (delivery.recalled === true) return end(delivery, 'cancelled', now)
  return step({ ...delivery, dueAt, state: { at: 'waiting' } }, { step: 'held', at: now, detail: why })
}

/** It never began. Of an agent that is held it is due at once, so that whoever lifts the hold lets it go. */
export function parkedAgain(delivery: Delivery, outcome: Extract<Outcome, { kind: 'parked' }>, now: number): Delivery {
  const { because, holdMs, workflow, over } = outcome
  if (workflow === undefined) return again(delivery, now, now, because)
  if (over === true)
    return endDead(delivery, 'dead_lettered', 'budget_spent', now, { code: 'budget_spent', message: because })
  return again({ ...delivery, withheld: { workflow, because } }, now, now + holdMs, because)
}

/** A workflow lets the first `max` in line go on that were withheld for it. */
export function letGo(draft: Draft, workflow: string, max: number, now: number): void {
  const waiting = [...liveOf(draft)].filter(
    (d) => d.withheld?.workflow === workflow && !hasEnded(d) && !isLeaving(d) && leaseOf(draft, d.id) === undefined,
  )
  for (const { withheld: _withheld, ...rest } of waiting.sort(inLine).slice(0, max)) put(draft, { ...rest, dueAt: now })
}

/** Why its workflow keeps it waiting, if it does. */
export function withheldBecause({ withheld, dueAt }: Delivery, now: number): string | undefined {
  return withheld === undefined || dueAt <= now ? undefined : withheld.because
}
