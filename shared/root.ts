/**
 * A root: the first message of a causal tree, and how many messages it has set off. Asked once for all that one result emits, and
 * only from the second generation on: what most messages lead to is not worth a call. Rows are written for a burst ahead, so
 * that a count that is lost with memory is too high, never too low. Never here: storage (durable-objects/root-store.ts).
 */
import * as z from 'zod'

export const rootRecord = z.strictObject({
  v: z.literal(1),
  root: z.string(),
  /** Messages, or up to so many after a restart. */
  spent: z.int(),
  at: z.number(),
  /** Whoever asked lately: asked again, nothing is counted. */
  lately: z.array(z.string()),
})
export type Root = z.infer<typeof rootRecord>

/** A stored record, parsed as the network is. */
export const readRoot = (stored: unknown): Root => rootRecord.parse(JSON.parse(String(stored)))

export const newRoot = (root: string): Root => ({ v: 1, root, spent: 0, at: 0, lately: [] })

const latelyMax = 16

/** Counts `n` messages for `journal`, or none of them, if they would be more than `max`. */
export function spend(before: Root, journal: string, n: number, max: number, now: number): [Root, boolean] {
  if (before.lately.includes(journal)) return [before, true]
  if (before.spent + n > max) return [before, false]
  const lately = [...before.lately, journal].slice(-latelyMax)
  return [{ ...before, spent: before.spent + n, at: now, lately }, true]
}

/** How far ahead of a burst a row is written. */
export const rootBlock = 16
const burstMs = 5_000

/** What a row says, so that the next few of a burst need not be written. An object that is forgotten had been idle for longer. */
export function writtenAhead(root: Root, writtenAt: number): Root {
  return root.at - writtenAt < burstMs ? { ...root, spent: root.spent + rootBlock - 1 } : root
}

/** For so long after its last message a root is remembered. */
export const rootKeptMs = 7 * 86_400_000
