/**
 * Whom a story's messages are for: agents that subscribe, or have a skill; and whom each publish to many must reach, said once
 * more and simply. Never here: what the broker's own matching says of it.
 */
import type { AgentRecord } from '../../shared/agent.ts'
import { indexEntry } from '../../shared/directory.ts'
import type { Filter } from '../../shared/filter.ts'
import type { Head } from '../../shared/message.ts'
import type { Platform } from '../../shared/ports.ts'
import type { World } from './world.ts'

/** Each pattern with what it means, spelled out for the few topics of a story. */
const patterns: readonly { readonly topic: string; readonly filter?: Filter; readonly hears: readonly string[] }[] = [
  { topic: 'news.a', hears: ['news.a'] },
  { topic: 'news.*', hears: ['news.a', 'news.b'] },
  { topic: 'news.>', hears: ['news.a', 'news.b', 'news.b.late'] },
  { topic: '>', hears: ['news.a', 'news.b', 'news.b.late', 'quiet'] },
  { topic: 'news.b', filter: { exists: 'data.never' }, hears: [] },
  { topic: '*.b.late', filter: { eq: ['type', 'test'] }, hears: ['news.b.late'] },
  { topic: 'switchboard.>', hears: ['switchboard'] },
]
/** What reaches nobody else goes to this one, in stories in which it catches. */
const catcher = 'ada'
const topics = ['news.a', 'news.b', 'news.b.late', 'quiet'] as const
const skill = 'sums'

type Destination =
  | { readonly to: string; readonly onunroutable?: string }
  | { readonly topic: string; readonly onunroutable?: string }

export class Audience {
  readonly #world: World
  readonly #hears = new Map<string, Set<string>>()
  readonly #isCatching: boolean
  readonly #catches = new Set<string>()
  readonly #skilled = new Set<string>()

  /** `catches`: one of them is there for what reaches nobody else. */
  constructor(world: World, catches: boolean) {
    this.#world = world
    this.#isCatching = catches
  }

  /** What an agent can do, chosen when it registers. */
  skillsOf(agent: string): string[] {
    if (this.#world.chance(0.4)) this.#skilled.add(agent)
    return this.#skilled.has(agent) ? [skill] : []
  }

  /** One of these agents by its name, or whoever has the skill. */
  oneOf(names: readonly string[]): string {
    return this.#world.chance(0.25) ? `capability:${skill}` : this.#world.pick(names)
  }

  /** Puts an agent into the index, subscribed to this or that; `always` for the crowd, which hears everything once. */
  async join(platform: Platform, agent: AgentRecord, always = false): Promise<void> {
    const { world, directory } = { world: this.#world, directory: platform.directory() }
    const mine = always ? patterns.filter((p) => p.topic === 'news.>') : patterns.filter(() => world.chance(0.35))
    this.#hears.set(agent.name, new Set(mine.flatMap((p) => p.hears)))
    await directory.putAgent(indexEntry(agent))
    for (const { topic, filter } of mine) {
      const id = `${agent.name}-${world.unique('s')}`
      await directory.putSubscription(id, { agent: agent.name, topic, ...(filter && { filter }) }, { max: 100 })
    }
    if (!this.#isCatching || agent.name !== catcher) return
    this.#catches.add(agent.name)
    for (const topic of topics) {
      const id = `${agent.name}-${world.unique('s')}`
      await directory.putSubscription(id, { agent: agent.name, topic, catchAll: true }, { max: 100 })
    }
  }

  /** An agent by name mostly; otherwise many. */
  pick(names: readonly string[]): Destination {
    const { world } = this
    if (!world.chance(0.35)) return { to: world.pick(names) }
    const unroutable = world.chance(0.4) ? { onunroutable: world.pick(['dead', 'drop', 'reject']) } : {}
    if (world.chance(0.6)) return { topic: world.pick(topics), ...unroutable }
    return { to: world.pick(['*', `capability:${skill}`, 'capability:none']), ...unroutable }
  }

  get world(): World {
    return this.#world
  }

  /** Whom it must reach; of those with a skill any one. */
  meantBy({ to, topic, source, onunroutable = 'dead' }: Head): {
    readonly agents: readonly string[]
    readonly anyOne: boolean
  } {
    const everybody = [...this.#hears.keys()].sort()
    if (to === '*') return { agents: everybody.filter((name) => name !== source), anyOne: false }
    // What the broker says of an agent, it does not say to that agent.
    if (topic?.startsWith('switchboard.')) {
      const about = topic.slice('switchboard.agent.'.length)
      const listening = everybody.filter((name) => name !== about && this.#hears.get(name)?.has('switchboard') === true)
      return { agents: listening, anyOne: false }
    }
    if (to !== undefined) return { agents: to.endsWith(skill) ? [...this.#skilled].sort() : [], anyOne: true }
    const listening = everybody.filter((name) => this.#hears.get(name)?.has(topic ?? '') === true)
    const isCaught = listening.length === 0 && onunroutable === 'dead'
    return { agents: isCaught ? [...this.#catches].filter((name) => name !== source).sort() : listening, anyOne: false }
  }
}
