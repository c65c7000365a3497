/**
 * One story of workflows: a statechart that works through agents of every temper, writers who race for its state, people who
 * pause it, and every fault there is; then peace, in which everything must come to rest. The same seed tells the same story.
 */
import type { StateChange } from '../../shared/versioned.ts'
import type { Opening } from '../../shared/workflow.ts'
import { contentOf, operationId } from '../../shared/workflow-history.ts'
import { performSoon } from '../../workers/perform.ts'
import { must } from './invariants.ts'
import { type Faults, noFaults } from './platform.ts'
import { type Reply, Scene } from './scene.ts'
import type { SimStorage } from './storage.ts'
import { checkWorkflow, type Stored, stored } from './workflow-checks.ts'

const second = 1_000
const minute = 60 * second
const troubleMs = 3 * minute

const trouble: Faults = {
  ...noFaults,
  ...{ callFailsBefore: 0.03, callFailsAfter: 0.03, objectCrash: 0.03, invocationCrash: 0.002, commitFails: 0.02 },
  ...{ queueLoses: 0.2, queueDoubles: 0.1, queueSendFails: 0.05, queueSendHangs: 0.02, queueMaxDelayMs: 2_000 },
  ...{ alarmEarly: 0.1, alarmTwice: 0.1, alarmMaxLateMs: 3_000 },
}

const send = (to: string, type: string) => ({ type: 'send', params: { to, type, select: ['rounds'] } })
const count = (path: string) => ({ type: 'update', params: { operations: [{ op: 'increment', path }] } })
const branch = (to: string, type: string) => ({
  initial: 'waits',
  states: { waits: { entry: send(to, type), on: { [`${type}.reply`]: 'has' } }, has: { type: 'final' } },
})

/** Asks one agent, then two at once; begins anew a few times when it takes too long; agents' errors have every remedy. */
export const relay = {
  initial: 'first',
  meta: { switchboard: { retry: { times: 1, delaySeconds: 2 }, fallback: 'bob', onExhausted: 'failed' } },
  states: {
    first: {
      entry: send('ada', 'ask'),
      on: { 'ask.reply': { target: 'both', actions: count('/answers') }, poke: { actions: count('/pokes') } },
      after: { 60000: 'late' },
    },
    both: {
      type: 'parallel',
      states: { left: branch('ada', 'left'), right: branch('cyd', 'right') },
      onDone: 'done',
      after: { 90000: 'late' },
      on: { poke: { actions: count('/pokes') } },
    },
    late: {
      entry: count('/rounds'),
      always: [{ guard: { range: ['state.rounds', { lt: 3 }] }, target: 'first' }, { target: 'gave_up' }],
    },
    done: { type: 'final', output: { $from: 'state.answers' } },
    gave_up: { type: 'final' },
  },
}

const initial = { n: 0, rounds: 0, answers: 0, pokes: 0, ticks: 0 }
const admin = { source: 'admin', permitted: true }
const permissions = { send: ['*'], publish: ['*'], subscribe: [], readState: ['*'], writeState: ['*'], sources: [] }

export class WorkflowStory {
  readonly scene: Scene
  readonly ids: readonly string[]
  /** By workflow, what writers were told was written, what pokes were told were taken, and how often somebody was late. */
  readonly tally = new Map<string, { written: number; ticked: number; late: number }>()
  readonly #storages = new Map<string, SimStorage>()
  readonly #before = new Map<string, string>()
  #failure: unknown
  #trouble = true

  constructor(seed: number) {
    this.scene = new Scene({ seed })
    this.ids = ['w-1', 'w-2', 'w-3']
    for (const id of this.ids) this.tally.set(id, { written: 0, ticked: 0, late: 0 })
    this.scene.sim.afterWorkflow = (name, storage, call) => this.#look(name, storage, call)
  }

  async tell(): Promise<void> {
    const { scene } = this
    for (const name of ['ada', 'bob', 'cyd'])
      await scene.webhook(name, () => this.#answer(), { maxAttempts: 2, timeoutSeconds: 5, backoff: 'quick' })
    scene.sim.faults = trouble
    const going = this.ids.flatMap((id) => [
      this.#create(id),
      ...['a', 'b', 'c'].map((writer) => this.#race(id, writer)),
      this.#tick(id),
      this.#people(id),
    ])
    for (const part of [0.3, 0.7]) scene.world.in(part * troubleMs, () => scene.sim.crashEverything(true))
    await scene.pass(troubleMs)
    this.#trouble = false
    scene.sim.faults = noFaults
    await scene.done(Promise.all(going))
    for (const id of this.ids) await scene.done(this.#until(() => scene.platform().workflow(id).resume(admin)))
    await scene.pass(60 * minute)
    if (this.#failure !== undefined) throw this.#failure
  }

  found(id: string): Stored {
    const storage = this.#storages.get(id)
    const found = storage === undefined ? undefined : stored(storage)
    must(found !== undefined, 'W3', () => `${id} was made and is not there`)
    return found!
  }

  // --- what happens -----------------------------------------------------------------------------------------------------

  async #create(id: string): Promise<void> {
    await this.scene.world.sleep(this.scene.world.random() * minute)
    const opening: Opening = {
      ...{ id, by: 'admin', permissions, creation: 'c', definition: { name: 'relay', version: 1 } },
      ...{ state: initial, keptMs: 30 * 24 * 60 * minute },
    }
    await this.#until(async () => {
      const platform = this.scene.platform()
      await platform.workflow(id).create(opening, relay)
      performSoon(platform, id)
      return true
    })
  }

  /** Reads, adds one, writes; asks again with the same operation when nobody answered, and reads again when it was late. */
  async #race(id: string, writer: string): Promise<void> {
    const { world } = this.scene
    for (let i = 0; this.#trouble; i++) {
      await world.sleep(world.random() * 6 * second)
      const seen = await this.#until(() => this.scene.platform().workflow(id).state(admin))
      if (seen.status !== 'found') continue
      await world.sleep(world.random() * second)
      const change: StateChange = { kind: 'merge', patch: { n: Number(seen.state['n']) + 1, [writer]: i } }
      const answer = await this.#write(id, change, `${writer}-${i}`, { version: seen.version })
      if (answer.status === 'written') this.tally.get(id)!.written += 1
      if (answer.status === 'stale') this.tally.get(id)!.late += 1
    }
  }

  async #tick(id: string): Promise<void> {
    const { world } = this.scene
    for (let i = 0; this.#trouble; i++) {
      await world.sleep(world.random() * 30 * second)
      const change: StateChange = { kind: 'operations', operations: [{ op: 'increment', path: '/ticks' }] }
      const answer = await this.#write(id, change, `tick-${i}`, { version: 'any' })
      if (answer.status === 'written') this.tally.get(id)!.ticked += 1
    }
  }

  #write(id: string, change: StateChange, key: string, expectation: { version: number | 'any' }) {
    const operation = { id: operationId('admin', key), content: contentOf(change) }
    const by = 'admin'
    return this.#until(() => this.scene.platform().workflow(id).write(admin, change, { operation, by, expectation }))
  }

  /** They pause it, poke it meanwhile, each poke twice, and resume it or let it resume itself. */
  async #people(id: string): Promise<void> {
    const { world } = this.scene
    for (let i = 0; this.#trouble; i++) {
      await world.sleep(world.random() * 60 * second)
      const forMs = world.chance(0.5) ? world.random() * 20 * second : undefined
      await this.#until(() => this.scene.platform().workflow(id).pause(admin, 'a person', forMs))
      for (const again of [1, 2]) await this.#poke(id, `poke-${i}`, again)
      await world.sleep(world.random() * 10 * second)
      if (forMs === undefined) await this.#until(() => this.scene.platform().workflow(id).resume(admin))
    }
  }

  #poke(id: string, key: string, _again: number) {
    const arrival = {
      happening: { type: 'poke', by: 'admin' },
      operation: { id: operationId('admin', key), content: 'poke' },
    }
    return this.#until(() => this.scene.platform().workflow(id).receive(admin, arrival))
  }

  async #answer(): Promise<Reply> {
    const { world } = this.scene
    const luck = this.#trouble ? world.random() : 1
    if (luck < 0.25) return { status: 500 }
    if (luck < 0.5) return { status: 422 }
    if (luck < 0.55) return new Promise(() => undefined)
    await world.sleep(world.random() * (this.#trouble ? 4.5 : 1) * second)
    return { status: 200, body: JSON.stringify({ reply: { data: { ok: true } } }) }
  }

  /** As a client does: asks until somebody answers. A call whose invocation died never comes back. */
  async #until<T>(ask: () => Promise<T>): Promise<T> {
    const { world } = this.scene
    for (;;) {
      const answer = await Promise.race([ask().then((value) => ({ value })), world.sleep(10 * second)]).catch(
        () => undefined,
      )
      if (answer !== undefined) return answer.value
      await world.sleep(100)
    }
  }

  // --- what must hold ---------------------------------------------------------------------------------------------------

  #look(name: string, storage: SimStorage, call?: { readonly method: string; readonly answer: unknown }): void {
    this.#storages.set(name, storage)
    try {
      checkWorkflow(name, storage, initial)
      const now = JSON.stringify(stored(storage))
      const late = call?.method === 'write' && (call.answer as { status: string }).status === 'stale'
      if (late) must(now === this.#before.get(name), 'W2', () => `a stale write changed ${name}: ${now}`)
      this.#before.set(name, now)
    } catch (error) {
      this.#failure ??= error
    }
  }
}
