/**
 * Choose one agent of a skill: one that is well and, among those, the least loaded. How much the others have to do is remembered by
 * the isolate, as their mailboxes said it at most `rememberedMs` ago; the one that is chosen was asked just now
 * (docs/decisions/0034). Never here: what load is (shared/load.ts), publishes to more than one (workers/choose.ts).
 */
import { isWell } from '../shared/figures.ts'
import { digest } from '../shared/ids.ts'
import { limits } from '../shared/limits.ts'
import { askingOrder, hasPlace, type Load, lightest, whyChosen, withOneMore } from '../shared/load.ts'
import type { Isolate, Platform } from '../shared/ports.ts'
import { Recent } from './recent.ts'

/** How many are asked before the best of them is taken, and none of them asked twice. */
const asksMax = 5
const rememberedMs = 5_000
const capacity = 2_000

const memories = new WeakMap<Isolate, Recent<Load>>()

function memoryOf({ isolate }: Platform): Recent<Load> {
  const memory = memories.get(isolate) ?? new Recent<Load>(capacity)
  memories.set(isolate, memory)
  return memory
}

export interface Capable {
  readonly agent: string
  readonly why: string
}

/**
 * One agent that has the skill. With a partition key always the same while the set stays the same (rendezvous hashing: Thaler and
 * Ravishankar, 1998). Without one the least loaded; one with a free place is as good as any, so in the common case one is asked.
 */
export async function chooseCapable(
  platform: Platform,
  skill: string,
  partitionKey: string | undefined,
): Promise<Capable | undefined> {
  const names = await capable(platform, skill)
  const memory = memoryOf(platform)
  const order =
    partitionKey === undefined
      ? askingOrder(names, (name) => memory.get(name, platform.now()), platform.random)
      : rendezvous(names, partitionKey)
  const by = partitionKey === undefined ? 'load' : 'key'
  const asked: Load[] = []
  for (const name of order.slice(0, asksMax)) {
    const load = await ask(platform, name)
    asked.push(load)
    memory.set(name, load, platform.now() + rememberedMs)
    if (by === 'key' ? load.well : hasPlace(load)) break
  }
  const best = lightest(asked)
  const agent = best?.agent ?? order[0]
  if (agent === undefined) return undefined
  // Until its mailbox is asked again, this isolate counts what it sends there.
  if (best !== undefined) memory.set(agent, withOneMore(best), platform.now() + rememberedMs)
  return { agent, why: whyChosen(skill, by, best, asked.length, names.length) }
}

function rendezvous(names: readonly string[], key: string): readonly string[] {
  const weighed = names.map((name) => ({ name, weight: digest(name, key) }))
  return weighed.sort((a, b) => (a.weight < b.weight ? 1 : -1)).map(({ name }) => name)
}

// A thousand agents of one skill: more of them share the work of those, by name.
const pagesOfCapable = 10

/** The names of those that have the skill. */
export async function capable(platform: Platform, skill: string): Promise<string[]> {
  const names: string[] = []
  let cursor: string | undefined
  for (let page = 0; page < pagesOfCapable; page++) {
    const found = await platform.directory().agents(skill, cursor, limits.pageSize)
    names.push(...found.items.map((a) => a.agent))
    cursor = found.cursor
    if (cursor === undefined) break
  }
  return names
}

const nobody = { well: false, depth: 0, concurrency: 1 }

async function ask(platform: Platform, agent: string): Promise<Load> {
  try {
    const known = await platform.agent(agent).describe()
    if (known === undefined) return { agent, ...nobody }
    const { figures, agent: record } = known
    const well = isWell(known, platform.now())
    return { agent, well, depth: figures.depth, concurrency: record.policy.concurrency }
  } catch (error) {
    // A mailbox that does not answer is one agent's trouble, and there are others.
    platform.log('choose.failed', { agent, error: String(error) })
    return { agent, ...nobody }
  }
}
