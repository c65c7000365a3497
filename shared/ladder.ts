/**
 * The receipt ladder: how far a delivery has come on its way to being done, for whoever waits for a rung of it.
 *
 *   queued → dispatched → delivered → claimed → completed
 *
 * A rung once reached stays reached until the delivery is redriven: a new life begins at the foot. Rungs may be skipped (a puller's
 * mail is never queued), and whoever stands on one has passed those below, with one exception: claimed is only what an agent
 * held by its token. Never here: waiting (workers/poll.ts).
 */
import * as z from 'zod'
import { type Delivery, endedStatus, withStart } from './delivery.ts'
import type { Lease } from './lease.ts'

/** From the foot to the top. */
export const rung = z.enum(['queued', 'dispatched', 'delivered', 'claimed', 'completed'])
export type Rung = z.infer<typeof rung>

/** What of a receipt tells how far it came. */
export interface Climbed {
  readonly status: string
  readonly steps: readonly { readonly step: string }[]
}

/** Has the delivery, in its present life, come as far as this? */
export function hasReached(receipt: Climbed, asked: Rung): boolean {
  const life = receipt.steps.findLastIndex((s) => s.step === 'redriven') + 1
  const seen = new Set<string>([receipt.status, ...receipt.steps.slice(life).map((s) => s.step)])
  // An answer of 2xx, and a completion by one, say nothing of an agent that took the work upon itself.
  if (asked === 'claimed') return seen.has('claimed')
  return rung.options.slice(rung.options.indexOf(asked)).some((passed) => seen.has(passed))
}

/** Did it take a step since? A step is never taken back; where a receipt has too many, the oldest are left out. */
export function hasMoved(receipt: Climbed, before: Climbed): boolean {
  const last = ({ steps }: Climbed) => JSON.stringify(steps.at(-1))
  return (
    receipt.status !== before.status || receipt.steps.length !== before.steps.length || last(receipt) !== last(before)
  )
}

/** A rung that is to be reached in time: a policy's `alert`. */
export interface Deadline {
  readonly rung: Rung
  readonly afterSeconds: number
}

/** A delivery that did not reach its rung in time, as it is announced: ids, and no data (S2). */
export const alertSchema = z.strictObject({ delivery: z.string(), at: z.number(), rung })
export type Alert = z.infer<typeof alertSchema>

/** When a delivery that has not come so far is overdue; undefined when it has, or when that was told already. */
export function overdueAtOf(
  deadline: Deadline | undefined,
  delivery: Delivery,
  lease: Lease | undefined,
): number | undefined {
  if (deadline === undefined || delivery.overdueAt !== undefined) return undefined
  const climbed =
    lease === undefined
      ? { status: 'held', steps: delivery.steps }
      : { status: lease.phase, steps: withStart(delivery, lease).steps }
  return hasReached(climbed, deadline.rung) ? undefined : delivery.lineAt + deadline.afterSeconds * 1_000
}

/** Will it climb no further, unless somebody redrives it? */
export function isAtEnd({ status }: Pick<Climbed, 'status'>): boolean {
  return endedStatus.safeParse(status).success
}
