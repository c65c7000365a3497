/**
 * Choose: the legs of a publish to many, once. Up to a hundred by name; more by whom they are for and the directory's version,
 * to be expanded page by page. Never here: asking a mailbox to accept (workers/expand.ts).
 */
import { parkedBecause } from '../shared/agent.ts'
import { digest } from '../shared/ids.ts'
import { limits } from '../shared/limits.ts'
import type { Message } from '../shared/message.ts'
import type { Platform } from '../shared/ports.ts'
import type { Plan } from '../shared/publication.ts'
import { type Audience, reaches } from '../shared/subscription.ts'

/** A destination that is not one agent by name. */
export type Many = Audience | { readonly kind: 'capability'; readonly skill: string }

export interface Chosen {
  readonly agents: readonly string[]
  readonly plan?: Omit<Plan, 'done'>
  readonly fanout: number
}

export async function choose(platform: Platform, many: Many, message: Message): Promise<Chosen> {
  if (many.kind === 'capability') {
    const agent = await chooseCapable(platform, many.skill, message.partitionkey)
    return agent === undefined ? { agents: [], fanout: 0 } : { agents: [agent], fanout: 1 }
  }
  const found = await platform.directory().candidates(many, undefined, limits.legsNamed)
  if (found.cursor !== undefined)
    return { agents: [], plan: { audience: many, version: found.version }, fanout: found.total }
  const agents = found.items.filter((c) => reaches(c, message)).map((c) => c.agent)
  return { agents, fanout: agents.length }
}

// How many are asked for their health before one is taken as it is: its mail would only wait.
const healthChecks = 5

/**
 * One healthy agent that has the skill. With a partition key always the same while the set stays the same (rendezvous hashing:
 * Thaler and Ravishankar, 1998), without one by chance, which spreads as well as turns do and needs no memory.
 */
async function chooseCapable(
  platform: Platform,
  skill: string,
  partitionKey: string | undefined,
): Promise<string | undefined> {
  const { items } = await platform.directory().agents(skill, undefined, limits.pageSize)
  const names = items.map((a) => a.agent)
  const weight = (name: string) => (partitionKey === undefined ? platform.random() : digest(name, partitionKey))
  const order = names.map((name) => ({ name, weight: weight(name) })).sort((a, b) => (a.weight < b.weight ? 1 : -1))
  for (const { name } of order.slice(0, healthChecks)) if (await isHealthy(platform, name)) return name
  return order[0]?.name
}

async function isHealthy(platform: Platform, name: string): Promise<boolean> {
  const known = await platform.agent(name).describe()
  return (
    known !== undefined && parkedBecause(known.agent, platform.now()) === undefined && known.figures.breaker !== 'open'
  )
}
