/**
 * Where a gather lies. Requests are many and small: they share 32 objects, each in the one that the first character of the digest in
 * its id names. A scatter, the question to its reducer, and a request from before they shared have an object each, of their own name.
 * Never here: what an object does with them (durable-objects/gather.ts).
 */

/** Ids of gathers that share an object begin so. */
export const pooledPrefix = 'r-'

/** The name of the object that has this gather. */
export function gatherPlace(id: string): string {
  return id.startsWith(pooledPrefix) ? `pool-${id.charAt(pooledPrefix.length)}` : id
}
