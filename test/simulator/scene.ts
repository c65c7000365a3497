/**
 * One scene on the simulated platform: agents that a test registers, receivers that it writes, virtual time that it moves.
 * Without faults, unless it asks for them. Never here: an expectation.
 */
import type { AgentRecord } from '../../shared/agent.ts'
import { type Principal, resolvePermissions } from '../../shared/permissions.ts'
import type { PolicyInput } from '../../shared/policy.ts'
import type { Platform } from '../../shared/ports.ts'
import type { Receipt } from '../../shared/receipt.ts'
import { consume, type QueuedMessage } from '../../workers/consume.ts'
import type { AnyAgent } from '../../workers/define.ts'
import { enqueue } from '../../workers/enqueue.ts'
import { nudge } from '../../workers/nudge.ts'
import { publish } from '../../workers/publish.ts'
import { work } from '../../workers/work.ts'
import { Invocation, noFaults, SimPlatform } from './platform.ts'
import { World } from './world.ts'

export interface Call {
  readonly agent: string
  readonly at: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

export interface Reply {
  readonly status: number
  readonly body?: string
  readonly headers?: Readonly<Record<string, string>>
}

export type Receiver = (call: Call) => Promise<Reply> | Reply

export interface SceneOptions {
  readonly handlers?: readonly AnyAgent[]
  /** Laid over the ports of each invocation. */
  readonly ports?: (platform: Platform) => Partial<Platform>
  readonly seed?: number
}

export const never: Receiver = () => new Promise(() => undefined)
export const secret = 'whsec_c2VjcmV0c2VjcmV0c2VjcmV0'
export const admin: Principal = { kind: 'admin' }

/** A queue message that a test hands over by itself, and what became of it. */
export interface Held extends QueuedMessage {
  verdict: 'none' | 'acked' | { readonly retriedAfterSeconds: number }
}

export function held(body: unknown, attempts = 1): Held {
  // First call wins, as on the platform.
  const decide = (verdict: Held['verdict']) => {
    if (message.verdict === 'none') message.verdict = verdict
  }
  const message: Held = {
    body,
    attempts,
    verdict: 'none',
    ack: () => decide('acked'),
    retry: (options) => decide({ retriedAfterSeconds: options?.delaySeconds ?? 0 }),
  }
  return message
}

export class Scene {
  readonly world: World
  readonly sim: SimPlatform
  readonly calls: Call[] = []
  readonly logged: { step: string; ids: Readonly<Record<string, unknown>> }[] = []
  readonly handlers: ReadonlyMap<string, AnyAgent>
  readonly #receivers = new Map<string, Receiver>()
  readonly #ports: (platform: Platform) => Partial<Platform>

  constructor({ handlers = [], ports = () => ({}), seed = 1 }: SceneOptions = {}) {
    this.world = new World(seed)
    this.handlers = new Map(handlers.map((h) => [h.name, h]))
    this.#ports = ports
    this.sim = new SimPlatform(
      this.world,
      noFaults,
      ({ url, headers, body }) => this.#receive(url, headers, body),
      this.#onQueue,
    )
  }

  readonly #onQueue = async (queue: string, platform: Platform, messages: QueuedMessage[]): Promise<void> => {
    const laid = this.#laid(platform)
    if (queue === 'deliveries') await consume(laid, this.handlers, messages)
    else if (queue === 'work') await work(laid, messages)
    else await nudge(laid, messages)
  }

  /** The ports of one more invocation. */
  platform(invocation = new Invocation()): Platform {
    return this.#laid(this.sim.platform(invocation))
  }

  #laid(platform: Platform): Platform {
    const log: Platform['log'] = (step, ids) => void this.logged.push({ step, ids })
    return { ...platform, log, ...this.#ports({ ...platform, log }) }
  }

  async #receive(url: string, headers: Record<string, string>, body: string) {
    const agent = url.slice(url.lastIndexOf('/') + 1)
    const call = { agent, at: this.world.now, headers, body }
    this.calls.push(call)
    const receiver: Receiver = this.#receivers.get(agent) ?? (() => ({ status: 200 }))
    const reply = await receiver(call)
    return { status: reply.status, body: reply.body ?? '', headers: { ...reply.headers } }
  }

  callsOf(agent: string): Call[] {
    return this.calls.filter((c) => c.agent === agent)
  }

  /** What came to a webhook, by its id or type; each as often as it was another delivery. */
  arrived(agent: string, by: 'id' | 'type'): string[] {
    const calls = this.callsOf(agent).map((c) => [c.headers['webhook-id'], String(JSON.parse(c.body)[by])] as const)
    return [...new Map(calls).values()]
  }

  // --- time -------------------------------------------------------------------------------------------------------------

  /** Lets this much time pass. */
  async pass(ms: number): Promise<void> {
    const until = this.world.now + ms
    this.world.at(until, () => undefined)
    await this.world.run(until)
  }

  /** The answer of work that needs time to pass; a day at most. */
  async done<T>(work: Promise<T>): Promise<T> {
    let over = false
    const ended = work.finally(() => {
      over = true
    })
    ended.catch(() => undefined)
    const until = this.world.now + 86_400_000
    for (let step = 1; !over && this.world.now < until; step = Math.min(step * 2, 10_000)) await this.pass(step)
    if (!over) throw new Error('not done within a day')
    return ended
  }

  sleep(ms: number): Promise<void> {
    return this.world.sleep(ms)
  }

  // --- what most scenes begin with --------------------------------------------------------------------------------------

  async webhook(
    name: string,
    receiver: Receiver = () => ({ status: 200 }),
    policy: PolicyInput = {},
    resources: readonly string[] = [],
  ): Promise<AgentRecord> {
    this.#receivers.set(name, receiver)
    return this.#enrol(name, { kind: 'webhook', url: `http://127.0.0.1/${name}`, policy, resources: [...resources] })
  }

  receiver(name: string, receiver: Receiver): void {
    this.#receivers.set(name, receiver)
  }

  async handler(name: string, policy: PolicyInput = {}): Promise<AgentRecord> {
    const { resources = [] } = this.handlers.get(name) ?? {}
    return this.#enrol(name, { kind: 'handler', policy, resources: [...resources] })
  }

  async pull(name: string, policy: PolicyInput = {}): Promise<AgentRecord> {
    return this.#enrol(name, { kind: 'pull', policy })
  }

  async #enrol(
    name: string,
    registration: Parameters<ReturnType<Platform['agent']>['enrol']>[0],
  ): Promise<AgentRecord> {
    const fresh = { name, incarnation: this.world.unique('inc'), secret, trusted: true }
    const platform = this.platform()
    const enrolled = await this.done(platform.agent(name).enrol(registration, fresh))
    enqueue(platform, name, enrolled.references)
    return enrolled.agent
  }

  /** Publishes as `from` (the admin when left out) and gives the answers, in order. */
  async publish(inputs: readonly unknown[], options: Parameters<typeof publish>[3] = {}, from?: string) {
    const principal: Principal =
      from === undefined ? admin : { kind: 'agent', name: from, permissions: resolvePermissions(from) }
    return this.done(publish(this.platform(), principal, inputs, options))
  }

  /** Publishes one and gives its delivery's id. */
  async send(to: string, more: Readonly<Record<string, unknown>> = {}): Promise<string> {
    const [answer] = await this.publish([{ to, type: 'test.note', ...more }])
    if (answer?.ok !== true) throw new Error(`refused: ${JSON.stringify(answer)}`)
    return answer.value.deliveries[0]!.id
  }

  /** Resumes an agent as the route does. */
  async resume(name: string): Promise<void> {
    const platform = this.platform()
    const { references } = await this.done(platform.agent(name).resume(platform.token()))
    enqueue(platform, name, references)
  }

  async receipt(id: string): Promise<Receipt> {
    const agent = id.slice(0, id.lastIndexOf('_'))
    const receipt = await this.done(this.platform().agent(agent).receipt(id))
    if (receipt === undefined) throw new Error(`no receipt of ${id}`)
    return receipt
  }

  async agent(name: string): Promise<AgentRecord> {
    const described = await this.done(this.platform().agent(name).describe())
    if (described === undefined) throw new Error(`no agent ${name}`)
    return described.agent
  }

  async letters() {
    return (await this.done(this.platform().deadLetters().list({}, undefined, 100))).items
  }
}
