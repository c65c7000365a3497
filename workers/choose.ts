/**
 * Choose: the legs of a publish to many, once. Up to a hundred by name; more by whom they are for and the directory's version,
 * to be expanded page by page. Never here: asking a mailbox to accept (workers/expand.ts).
 */
import { parkedBecause } from '../shared/agent.ts'
import type { Candidate } from '../shared/chunks.ts'
import { digest } from '../shared/ids.ts'
import { limits } from '../shared/limits.ts'
import { destinationOf, type Message } from '../shared/message.ts'
import type { Platform } from '../shared/ports.ts'
import type { Plan } from '../shared/publication.ts'
import { type Audience, type Candidates, reaches } from '../shared/subscription.ts'

/** A destination that is not one agent by name. */
export type Many = Audience | { readonly kind: 'capability'; readonly skill: string }

/** A sender does not receive its own broadcast (T2), whatever name it speaks under. */
export function everybodyBut(source: string, sender: string | undefined): Audience {
  return { kind: 'all', except: source, ...(sender === undefined || sender === source ? {} : { sender }) }
}

/** Whom a message is for, when it is not for one agent by name. `sender`: the agent that sent it, if it spoke under another name. */
export function manyOf(message: Message, sender?: string): Many | undefined {
  const to = destinationOf(message)
  if (to.kind === 'agent' || to.kind === 'gather' || to.kind === 'workflow') return undefined
  return to.kind === 'all' ? everybodyBut(message.source, sender) : to
}

export interface Chosen {
  readonly agents: readonly string[]
  readonly plan?: Omit<Plan, 'done'>
  readonly fanout: number
}

/** `page`: whom it may be for, or with a plan the first page of them, so that nobody has to ask for it again. */
export interface Choice {
  readonly chosen: Chosen
  readonly page?: Candidates
}

/** `atLeast`: the version of the directory that the caller has seen; what was read before it will not do. */
export async function choose(platform: Platform, many: Many, message: Message, atLeast?: number): Promise<Choice> {
  if (many.kind === 'capability') {
    const agent = await chooseCapable(platform, many.skill, message.partitionkey)
    return { chosen: agent === undefined ? { agents: [], fanout: 0 } : { agents: [agent], fanout: 1 } }
  }
  const page = await platform.directory().candidates(many, undefined, limits.legsNamed, undefined, atLeast)
  if (page.cursor !== undefined)
    return { chosen: { agents: [], plan: { audience: many, version: page.version }, fanout: page.total }, page }
  const agents = page.items.filter((c) => reaches(c, message)).map((c) => c.agent)
  return { chosen: { agents, fanout: agents.length }, page }
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
  const names = await capable(platform, skill)
  const weight = (name: string) => (partitionKey === undefined ? platform.random() : digest(name, partitionKey))
  const order = names.map((name) => ({ name, weight: weight(name) })).sort((a, b) => (a.weight < b.weight ? 1 : -1))
  for (const { name } of order.slice(0, healthChecks)) if (await isHealthy(platform, name)) return name
  return order[0]?.name
}

// A thousand agents of one skill: more of them share the work of those, by name.
const pagesOfCapable = 10

async function capable(platform: Platform, skill: string): Promise<string[]> {
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

async function isHealthy(platform: Platform, name: string): Promise<boolean> {
  try {
    const known = await platform.agent(name).describe()
    if (known === undefined || known.figures.breaker === 'open') return false
    return parkedBecause(known.agent, platform.now()) === undefined
  } catch (error) {
    // A mailbox that does not answer is one agent's trouble, and there are others.
    platform.log('choose.failed', { agent: name, error: String(error) })
    return false
  }
}

/** Agents with how much each has to do, as they are asked. `unknown`: the first of those named that is not registered. */
export interface Found {
  readonly candidates: readonly Candidate[]
  readonly unknown?: string
}

/** Those named, or the healthy ones that have the skill; all of them, where none is healthy. */
export async function findAgents(
  platform: Platform,
  wanted: { readonly names: readonly string[] } | { readonly skill: string },
): Promise<Found> {
  const names =
    'names' in wanted ? wanted.names : (await capable(platform, wanted.skill)).slice(0, limits.scatterAgents)
  const known: (Candidate & { readonly well: boolean })[] = []
  for (let i = 0; i < names.length; i += describedAtOnce) {
    const page = names.slice(i, i + describedAtOnce)
    const described = await Promise.all(page.map((name) => describe(platform, name)))
    const place = described.indexOf('unknown')
    if (place >= 0 && 'names' in wanted) return { candidates: [], unknown: page[place] ?? '' }
    known.push(...described.flatMap((one) => (one === 'unknown' ? [] : [one])))
  }
  const well = known.filter((one) => one.well)
  const chosen = 'names' in wanted || well.length === 0 ? known : well
  return { candidates: chosen.map(({ agent, load }) => ({ agent, load })) }
}

// Mailboxes asked at once: each is a subrequest.
const describedAtOnce = 20

async function describe(platform: Platform, agent: string) {
  const known = await platform.agent(agent).describe()
  const described = known ?? ((await platform.enrolHandler(agent)) ? await platform.agent(agent).describe() : undefined)
  if (described === undefined) return 'unknown' as const
  const { figures } = described
  const well = figures.breaker !== 'open' && parkedBecause(described.agent, platform.now()) === undefined
  return { agent, load: figures.depth, well }
}
