/**
 * Where a gather lies. The request of one agent lies in that agent's mailbox, which its id names: what opens it and what asks, what
 * answers it and what it answers, are one write each. Other requests are many and small too, and share 32 objects, each in the one that
 * the first character of the digest in its id names. A scatter, the question to its reducer, and a request from before they shared have
 * an object each, of their own name. Never here: what an object does with them (durable-objects/gathers.ts).
 */

import { placeOf } from './ids.ts'

// Ids of gathers that lie with others begin so.
const pooledPrefix = 'r-'

export type GatherPlace =
  /** In the object of this agent. */
  | { readonly kind: 'mailbox'; readonly agent: string }
  /** In the object of gathers of this name. */
  | { readonly kind: 'gathers'; readonly name: string }

/**
 * The id of one that lies with others: in the mailbox of this agent, or else in the object that the first character chooses, which stays
 * that of the digest. `now`: those that are opened together lie together in their object (docs/decisions/0054).
 */
export function placedId(digest: string, agent: string | undefined, now?: number): string {
  const time = now === undefined ? '' : placeOf(now)
  const head = agent === undefined ? digest.charAt(0) + time : time
  return `${pooledPrefix}${head}${digest.slice(head.length)}${agent === undefined ? '' : `_${agent}`}`
}

/** `r-<digest>_<agent>` is with that agent, `r-<digest>` with others, anything else by itself. */
export function gatherPlace(id: string): GatherPlace {
  if (!id.startsWith(pooledPrefix)) return { kind: 'gathers', name: id }
  const cut = id.indexOf('_')
  if (cut !== -1) return { kind: 'mailbox', agent: id.slice(cut + 1) }
  return { kind: 'gathers', name: `pool-${id.charAt(pooledPrefix.length)}` }
}

const digestLength = 26

/** The digest in the id of any gather, with the time in it. */
export function digestIn(id: string): string {
  return id.slice(pooledPrefix.length, pooledPrefix.length + digestLength)
}
