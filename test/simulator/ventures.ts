/**
 * What a story's clients do beside sending and asking: they scatter work, ask people, make schedules, and run workflows under a
 * budget, through whatever goes wrong. Never here: what must hold of it all (venture-checks.ts), who answers (story.ts).
 */
import { approvalInput } from '../../shared/approval-input.ts'
import { type Incarnate, outgoingId, workflowSource } from '../../shared/outgoing.ts'
import { type Principal, resolvePermissions } from '../../shared/permissions.ts'
import type { Platform } from '../../shared/ports.ts'
import { scatterId } from '../../shared/scatter.ts'
import { scheduleInput } from '../../shared/schedule-input.ts'
import type { Opening } from '../../shared/workflow.ts'
import { askApproval } from '../../workers/ask-approval.ts'
import { askLegs } from '../../workers/gather.ts'
import { performSoon } from '../../workers/perform.ts'
import { publish } from '../../workers/publish.ts'
import { scatter } from '../../workers/scatter.ts'
import { tellApproval } from '../../workers/tell-approval.ts'
import { asker } from './invariants.ts'
import { Invocation } from './platform.ts'
import type { World } from './world.ts'

const second = 1_000
const admin: Principal = { kind: 'admin' }
const person = { source: 'admin', permitted: true }

/** Whoever works for a workflow uses so many tokens at most. */
export const mostTokens = 20
const smallBudgets = [
  { tokens: 15 },
  { tokens: 15 },
  { tokens: 40, reserve: { tokens: mostTokens } },
  { messages: 2 },
] as const
const largeBudget = { tokens: 1_000_000, messages: 1_000_000 }

/** The state of every workflow when it begins. */
export const initialState = { answers: 0, gathered: 0 }

const count = (path: string) => ({ type: 'update', params: { operations: [{ op: 'increment', path }] } })

/** Asks one, then has two work at once; who takes too long is not waited for. */
const chart = {
  initial: 'asks',
  states: {
    asks: {
      entry: { type: 'send', params: { to: 'ada', type: 'ask' } },
      on: { 'ask.reply': { target: 'maps', actions: count('/answers') }, agent_error: 'maps' },
      after: { 120000: 'maps' },
    },
    maps: {
      entry: { type: 'scatter', params: { to: ['ada', 'bob'], type: 'map', join: 'settled', deadlineSeconds: 60 } },
      on: { 'map.gathered': { target: 'done', actions: count('/gathered') }, agent_error: 'done' },
      after: { 600000: 'done' },
    },
    done: { type: 'final' },
  },
}

export class Ventures {
  readonly #world: World
  readonly #makePlatform: (invocation: Invocation) => Platform
  /** What whoever made it was told is there. */
  readonly scatters = new Set<string>()
  readonly approvals = new Set<string>()
  readonly schedules = new Set<string>()
  readonly workflows = new Set<string>()
  readonly #asked = new Set<string>()
  readonly #made: Incarnate[] = []
  #peace = false

  constructor(world: World, makePlatform: (invocation: Invocation) => Platform) {
    this.#world = world
    this.#makePlatform = makePlatform
  }

  /** Some of each, begun in this time. */
  begin(names: readonly string[], withinMs: number): void {
    const world = this.#world
    const some = (chance: number, most: number, ms: number, venture: () => Promise<void>) => {
      if (!world.chance(chance)) return
      const times = 1 + Math.floor(world.random() * most)
      for (let i = 0; i < times; i++) world.in(world.random() * ms, () => void venture().catch(() => undefined))
    }
    some(0.35, 2, withinMs, () => this.#scatter(names))
    some(0.35, 2, withinMs, () => this.#askPeople(names))
    some(0.3, 1, withinMs, () => this.#schedule(names))
    // Soon, so that others' messages may belong to it.
    some(0.4, 2, withinMs / 10, () => this.#workflow(names))
  }

  /** A workflow that a message may belong to. */
  pickWorkflow(): { workflowid?: string } {
    const ids = [...this.workflows]
    return ids.length === 0 || this.#world.chance(0.4) ? {} : { workflowid: this.#world.pick(ids) }
  }

  /** From now on whoever pays pays: every budget is raised, and what a person paused goes on. */
  async appease(): Promise<void> {
    this.#peace = true
    for (const id of this.workflows) {
      await this.#until(async (platform) => {
        const moved = await platform.workflow(id).amend(person, { budget: largeBudget })
        performSoon(platform, id)
        return moved
      })
      await this.#until(async (platform) => {
        const moved = await platform.workflow(id).resume(person)
        performSoon(platform, id)
        return moved
      })
    }
  }

  /** Whose a scatter is: an asker's, or a statechart's, which names it by its own effect. */
  scatteredBy(id: string): string | undefined {
    if (this.#asked.has(id)) return asker
    const made = (workflow: Incarnate) =>
      [1, 2, 3, 4].map((n) => scatterId(workflowSource(workflow.id), outgoingId(workflow, n), ''))
    const maker = this.#made.find((one) => made(one).includes(id))
    return maker === undefined ? undefined : workflowSource(maker.id)
  }

  // --- what they do -----------------------------------------------------------------------------------------------------

  async #scatter(names: readonly string[]): Promise<void> {
    const world = this.#world
    const eve: Principal = { kind: 'agent', name: asker, permissions: resolvePermissions(asker) }
    const json = {
      ...{ to: names, id: world.unique('scatter-'), type: 'test', data: { depth: world.pick([0, 0, 1]) } },
      ...(world.chance(0.6)
        ? { items: Array.from({ length: 1 + Math.floor(world.random() * 8) }, (_, i) => i), itemsPerChunk: 2 }
        : {}),
      ...{ join: world.pick(['all', 'any', 'settled', 'quorum:1']), deadlineSeconds: world.pick([3, 20, 120]) },
      ...(world.chance(0.5)
        ? { reduce: { to: world.pick(names), type: 'test', onEmpty: world.pick(['skip', 'call']), timeoutSeconds: 60 } }
        : {}),
      ...(world.chance(0.5) ? { replyto: world.pick(names) } : {}),
      ...this.pickWorkflow(),
    }
    this.#asked.add(scatterId(asker, json.id, ''))
    const id = await this.#until(async (platform) => {
      const answer = await scatter(platform, eve, json, {})
      if (!answer.ok) return undefined
      const { gather, bodies } = answer.value
      if (bodies !== undefined) void askLegs(platform, gather, bodies).catch(() => undefined)
      return gather.id
    })
    if (id !== undefined) this.scatters.add(id)
    if (id !== undefined && world.chance(0.1)) await this.#until((platform) => platform.gather(id).cancel())
  }

  async #askPeople(names: readonly string[]): Promise<void> {
    const world = this.#world
    const later = { escalate: [{ notify: [world.pick(names)], expiresInSeconds: 30 }] }
    const input = approvalInput.parse({
      ...{ question: 'Go?', notify: [world.pick(names)], replyto: world.pick(names) },
      ...{ expiresInSeconds: world.pick([5, 30, 300]), onTimeout: world.pick<unknown>(['expire', 'deny', later]) },
    })
    const key = world.unique('question-')
    const id = await this.#until(async (platform) => {
      const answer = await askApproval(platform, admin, input, { origin: 'https://s.test', key })
      if (!answer.ok) return undefined
      void tellApproval(platform, answer.value.approval.id).catch(() => undefined)
      return answer.value.approval.id
    })
    if (id === undefined) return
    this.approvals.add(id)
    // Two people, of whom one is later.
    for (const option of ['approve', 'deny'].filter(() => world.chance(0.4))) {
      await world.sleep(world.random() * 20 * second)
      await this.#until((platform) => platform.approvals().decide(id, { option, by: 'a person', how: 'api' }))
    }
  }

  async #schedule(names: readonly string[]): Promise<void> {
    const world = this.#world
    const id = world.unique('tick')
    const input = scheduleInput.parse({
      ...{ everySeconds: world.pick([2, 7]), endAt: new Date(world.now + 20 * second).toISOString() },
      ...{ overlap: world.pick(['skip', 'buffer_one', 'allow']), catchUp: 'all' },
      message: {
        ...world.pick([{ to: world.pick(names) }, { to: world.pick(names) }, { topic: 'news.a' }, { to: 'nobody' }]),
        ...{ type: 'test', data: { depth: world.pick([0, 1]) } },
      },
    })
    const founding = { id, owner: 'admin', creator: admin }
    const put = await this.#until((platform) => platform.schedules().put(founding, input, { max: 10, maxOfOwner: 10 }))
    if (put.status === 'put') this.schedules.add(id)
  }

  /** One with a budget that will not do, or one with a statechart; people pause it meanwhile. */
  async #workflow(names: readonly string[]): Promise<void> {
    const world = this.#world
    const id = world.unique('wf')
    const charted = world.chance(0.5)
    const opening: Opening = {
      ...{ id, by: 'admin', permissions: resolvePermissions('admin'), creation: 'c', state: initialState },
      keptMs: 30 * 86_400 * second,
      ...(charted ? { definition: { name: 'chart', version: 1 } } : {}),
      ...(world.chance(charted ? 0.5 : 1) ? { budget: world.pick(smallBudgets) } : {}),
    }
    const { workflow } = await this.#until(async (platform) => {
      const created = await platform.workflow(id).create(opening, ...(charted ? [chart] : []))
      performSoon(platform, id)
      return created
    })
    this.workflows.add(id)
    this.#made.push(workflow.record)
    // Much at once for one of its agents.
    if (world.chance(0.8)) await this.#rush(id, world.pick(names))
    if (!world.chance(0.3)) return
    await world.sleep(world.random() * 10 * second)
    if (!this.#peace) await this.#until((platform) => platform.workflow(id).pause(person, 'a person', 5 * second))
  }

  async #rush(workflowid: string, to: string): Promise<void> {
    const inputs = Array.from({ length: 6 }, (_, i) => ({ to, type: 'test', data: { depth: 0, i }, workflowid }))
    const named = inputs.map((input) => ({ ...input, id: this.#world.unique('rush') }))
    await this.#until((platform) => publish(platform, admin, named))
  }

  /** As a client does: asks until somebody answers. A call whose invocation died never comes back. */
  async #until<T>(ask: (platform: Platform) => Promise<T>): Promise<T> {
    const world = this.#world
    for (;;) {
      const asked = ask(this.#makePlatform(new Invocation())).then((value) => ({ value }))
      const answer = await Promise.race([asked, world.sleep(3 * second)]).catch(() => undefined)
      if (answer !== undefined) return answer.value
      await world.sleep(100)
    }
  }
}
