/**
 * Choose: the legs of a publish to many, once. Up to a hundred by name; more by whom they are for and the directory's version,
 * to be expanded page by page. Never here: asking a mailbox to accept (workers/expand.ts).
 */
import type { Candidate } from '../shared/chunks.ts'
import { isWell } from '../shared/figures.ts'
import { limits } from '../shared/limits.ts'
import { destinationOf, type Message } from '../shared/message.ts'
import type { Platform } from '../shared/ports.ts'
import type { Plan } from '../shared/publication.ts'
import { type Audience, type Candidates, catchingOf, reached } from '../shared/subscription.ts'
import { capable, chooseCapable } from './choose-capable.ts'

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
  /** Why this one, where one was chosen among several. */
  readonly why?: string
  /** They catch what reaches nobody else. */
  readonly caught?: true
}

/** `page`: whom it may be for, or with a plan the first page of them, so that nobody has to ask for it again. */
export interface Choice {
  readonly chosen: Chosen
  readonly page?: Candidates
}

/** `atLeast`: the version of the directory that the caller has seen; what was read before it will not do. */
export async function choose(platform: Platform, many: Many, message: Message, atLeast?: number): Promise<Choice> {
  if (many.kind === 'capability') {
    const found = await chooseCapable(platform, many.skill, message.partitionkey)
    return {
      chosen: found === undefined ? { agents: [], fanout: 0 } : { agents: [found.agent], fanout: 1, why: found.why },
    }
  }
  const heard = await chosenOf(platform, many, message, atLeast)
  // Who says `drop` or `reject` keeps its word: a catch-all stands in the place of the dead letter.
  const mayBeCaught = heard.chosen.fanout === 0 && (message.onunroutable ?? 'dead') === 'dead'
  const catching = mayBeCaught ? catchingOf(many) : undefined
  if (catching === undefined) return heard
  const caught = await chosenOf(platform, catching, message, Math.max(atLeast ?? 0, heard.page.version))
  return caught.chosen.fanout === 0 ? heard : { ...caught, chosen: { ...caught.chosen, caught: true } }
}

async function chosenOf(platform: Platform, audience: Audience, message: Message, atLeast?: number) {
  const page = await platform.directory().candidates(audience, undefined, limits.legsNamed, undefined, atLeast)
  if (page.cursor !== undefined)
    return { chosen: { agents: [], plan: { audience, version: page.version }, fanout: page.total }, page }
  const agents = reached(page, audience, message)
  return { chosen: { agents, fanout: agents.length }, page }
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
  return { agent, load: described.figures.depth, well: isWell(described, platform.now()) }
}

/** The least loaded of those that have the skill and are well, whoever else it may be. */
export async function leastLoadedOf(platform: Platform, skill: string, except: string): Promise<string | undefined> {
  const { candidates } = await findAgents(platform, { skill })
  const others = candidates.filter(({ agent }) => agent !== except)
  return others.sort((a, b) => a.load - b.load)[0]?.agent
}
