/**
 * Lineage: the causal path that led to a message, and the guards that stop one that goes round. Of the delivery, as its hops are:
 * never in the message, whose data stay as they were sent. A trip stops the message and is told (E2).
 * Never here: counting what a root set off (shared/root.ts), stopping (shared/stop.ts), finding a cause (workers/follow.ts).
 */
import * as z from 'zod'
import { digest, parseDeliveryId } from './ids.ts'
import { canonical } from './json.ts'
import { limits } from './limits.ts'
import type { Message } from './message.ts'

/** When a guard trips. A workflow may have its own, for the messages that belong to it. */
export const guardsSchema = z.strictObject({
  /** The longest causal path. */
  hops: z.int().min(1).max(limits.hops),
  /** How often one agent may come again on it. */
  revisits: z.int().min(0).max(limits.hops),
  /** How often the same may be said to the same agent on it: the message that would be this one is stopped. */
  repeats: z
    .int()
    .min(2)
    .max(limits.hops + 1),
  /** How many messages one root may set off. */
  messages: z.int().min(1).max(limits.descendants),
})
export type Guards = z.infer<typeof guardsSchema>

export const defaultGuards: Guards = { hops: limits.hops, revisits: 4, repeats: 3, messages: 1_000 }

/** Some of them laid down anew, the others as they are. */
export type GuardsPatch = { readonly [K in keyof Guards]?: Guards[K] | undefined }

export const guardsWith = (before: Guards | undefined, { hops, revisits, repeats, messages }: GuardsPatch): Guards => {
  const base = before ?? defaultGuards
  return {
    hops: hops ?? base.hops,
    revisits: revisits ?? base.revisits,
    repeats: repeats ?? base.repeats,
    messages: messages ?? base.messages,
  }
}

const visit = z.strictObject({
  /** The delivery: its agent is in its name. */
  id: z.string(),
  /** What was said. Empty for a root, which nothing is compared with. */
  print: z.string(),
  /** It told of a message that was stopped: what follows from it is not told again. */
  told: z.literal(true).exactOptional(),
})
export type Visit = z.infer<typeof visit>

export const lineageSchema = z.strictObject({
  /** The deliveries that led to this message, the root first. No longer than the hops allow. */
  path: z.array(visit),
  print: z.string(),
  /** Where they are not the default. */
  guards: guardsSchema.exactOptional(),
  /** The guard that tripped before a mailbox was asked. */
  tripped: z.strictObject({ guard: z.literal('messages'), limit: z.int() }).exactOptional(),
})
export type Lineage = z.infer<typeof lineageSchema>

/** A message that is stopped, as it is told. */
export interface Trip {
  readonly reason: 'loop_detected' | 'hop_limit'
  readonly guard: keyof Guards
  readonly limit: number
  readonly detail: string
  /** The deliveries that led to it. */
  readonly path: readonly string[]
}

/** What a message says, less what does not change it: the order of its keys, letter case and white space. */
export function printOf({ type, data, data_base64 }: Pick<Message, 'type' | 'data' | 'data_base64'>): string {
  const said = canonical(data ?? data_base64 ?? null)
    .normalize('NFC')
    .toLowerCase()
  return digest('said', type, said.replaceAll(/(?:\\[nrt]|\s)+/g, ' ')).slice(0, printLength)
}

// 80 bits: two different things said on one path of 32 are never taken for one.
const printLength = 16

/** The path of whatever this delivery emits. */
export function pathAfter(delivery: { readonly id: string; readonly lineage?: Lineage }, told: boolean): Visit[] {
  const { id, lineage } = delivery
  return [...(lineage?.path ?? []), { id, print: lineage?.print ?? '', ...(told ? { told } : {}) }]
}

/** Names the first message of a path. */
export const rootOf = ({ path }: Lineage): string | undefined => path[0]?.id

const agentIn = ({ id }: Visit): string | undefined => parseDeliveryId(id)?.agent

/** May a message of this lineage come to this agent? The trip, if not. */
export function judge(lineage: Lineage, agent: string, hops: number): Trip | undefined {
  const { path, print, guards = defaultGuards, tripped } = lineage
  const ids = path.map(({ id }) => id)
  const trip = (guard: Trip['guard'], limit: number, detail: string): Trip => ({
    ...{ reason: guard === 'hops' ? 'hop_limit' : 'loop_detected', guard, limit, detail, path: ids },
  })
  if (tripped !== undefined) return trip(tripped.guard, tripped.limit, tooMany(tripped.limit, ids[0] ?? ''))
  if (hops > guards.hops) return trip('hops', guards.hops, tooLong(guards.hops))
  const visits = path.filter((one) => agentIn(one) === agent)
  // It was there once before it can come again.
  if (visits.length > guards.revisits)
    return trip('revisits', guards.revisits, `${agent} is on the way that led here ${times(visits.length)} already`)
  const same = visits.filter((one) => one.print === print).length
  if (same + 1 >= guards.repeats)
    return trip('repeats', guards.repeats, `${agent} was told the same ${times(same)} on the way that led here`)
  return undefined
}

const times = (n: number) => (n === 1 ? 'once' : n === 2 ? 'twice' : `${n} times`)
export const tooLong = (limit: number) => `the causal chain is longer than ${limit}`
export const tooMany = (limit: number, root: string) => `${root} has set off ${limit} messages already`
