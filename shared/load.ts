/**
 * Load: how much an agent has to do, for the choice among those of one skill. Never here: asking anybody (workers/choose-capable.ts).
 */

export interface Load {
  readonly agent: string
  /** It takes mail (shared/figures.ts). */
  readonly well: boolean
  /** Deliveries that have not ended. */
  readonly depth: number
  /** How many it works on at once. */
  readonly concurrency: number
}

/** How full its places are: 1 is a delivery for each, more is a line. */
export function fullness({ depth, concurrency }: Pick<Load, 'depth' | 'concurrency'>): number {
  return depth / concurrency
}

/** What comes would begin at once, so nobody else could begin it sooner. */
export function hasPlace(load: Load): boolean {
  return load.well && load.depth < load.concurrency
}

/** Whom to ask first: the least loaded as far as remembered, and whoever nothing is known of; among equals as the dice fall. */
export function askingOrder(
  names: readonly string[],
  remembered: (name: string) => Load | undefined,
  dice: () => number,
): readonly string[] {
  const rank = (load: Load | undefined) =>
    load === undefined ? 0 : load.well ? fullness(load) : Number.POSITIVE_INFINITY
  const all = names.map((name) => ({ name, rank: rank(remembered(name)), weight: dice() }))
  return all
    .sort((a, b) => (a.rank === b.rank ? a.weight - b.weight : a.rank < b.rank ? -1 : 1))
    .map(({ name }) => name)
}

/** The least loaded of those that are well; the first of equals. */
export function lightest(loads: readonly Load[]): Load | undefined {
  const well = loads.filter((load) => load.well)
  return well.reduce<Load | undefined>(
    (best, load) => (best === undefined || fullness(load) < fullness(best) ? load : best),
    undefined,
  )
}

/** One more is on its way to it. */
export function withOneMore(load: Load): Load {
  return { ...load, depth: load.depth + 1 }
}

/** Why it was chosen, for people. */
export function whyChosen(
  skill: string,
  by: 'load' | 'key',
  load: Load | undefined,
  asked: number,
  of: number,
): string {
  const among = `for \`${skill}\` among ${of}, ${asked} of them asked`
  if (load === undefined) return `chosen ${among}: none of those asked is well, its mail waits`
  if (by === 'key') return `chosen ${among}: its partition key goes to it, and it is well`
  return `chosen ${among}: it is well, ${load.depth} to do at ${load.concurrency} places`
}
