/**
 * The platform, simulated: objects over real SQL that crash, calls that fail before or after taking effect, queues that lose,
 * double, reorder and delay, alarms early, late and twice, invocations that die between any two lines. Ours runs unchanged.
 */
import { AgentObject } from '../../durable-objects/agent.ts'
import { ApprovalsObject } from '../../durable-objects/approvals.ts'
import { DeadLettersObject } from '../../durable-objects/dead-letters.ts'
import { DirectoryObject } from '../../durable-objects/directory.ts'
import { DocumentObject } from '../../durable-objects/document.ts'
import { GatherObject } from '../../durable-objects/gather.ts'
import { PromiseObject } from '../../durable-objects/promise.ts'
import { PublicationObject } from '../../durable-objects/publication.ts'
import { RequestsObject } from '../../durable-objects/requests.ts'
import { ResourceObject } from '../../durable-objects/resource.ts'
import { SchedulesObject } from '../../durable-objects/schedules.ts'
import { WorkflowObject } from '../../durable-objects/workflow.ts'
import { WorkflowIndexObject } from '../../durable-objects/workflow-index.ts'
import { Bell } from '../../shared/bell.ts'
import type { Breaker } from '../../shared/breaker.ts'
import type { Gather } from '../../shared/gather.ts'
import { gatherPlace } from '../../shared/gather-place.ts'
import type { GatherReport } from '../../shared/gather-port.ts'
import { limits } from '../../shared/limits.ts'
import type { FetchedAnswer, Platform } from '../../shared/ports.ts'
import type { Publication } from '../../shared/publication.ts'
import { nothingKnown } from '../../shared/schema.ts'
import type { QueuedMessage } from '../../workers/consume.ts'
import { persistent } from '../../workers/platform.ts'
import { Audiences, remembering } from '../../workers/remember.ts'
import { SimStorage } from './storage.ts'
import type { World } from './world.ts'

export interface Faults {
  readonly callFailsBefore: number
  readonly callFailsAfter: number
  readonly objectCrash: number
  readonly invocationCrash: number
  readonly queueLoses: number
  readonly queueDoubles: number
  readonly queueSendFails: number
  readonly queueSendHangs: number
  readonly queueMaxDelayMs: number
  readonly alarmEarly: number
  readonly alarmTwice: number
  readonly alarmMaxLateMs: number
  readonly commitFails: number
}

export const noFaults: Faults = {
  callFailsBefore: 0,
  callFailsAfter: 0,
  objectCrash: 0,
  invocationCrash: 0,
  queueLoses: 0,
  queueDoubles: 0,
  queueSendFails: 0,
  queueSendHangs: 0,
  queueMaxDelayMs: 20,
  alarmEarly: 0,
  alarmTwice: 0,
  alarmMaxLateMs: 20,
  commitFails: 0,
}

type Instance = Record<string, (...args: unknown[]) => unknown> & { alarm?: () => Promise<void> }

interface Hosted {
  readonly storage: SimStorage
  instance: Instance | undefined
  ready: Promise<unknown>
  alarmEvent: { at: number; cancel: () => void } | undefined
}

type Kind =
  | 'agent'
  | 'directory'
  | 'dead-letters'
  | 'publication'
  | 'resource'
  | 'gather'
  | 'requests'
  | 'schedules'
  | 'approvals'
  | 'promise'
  | 'document'
  | 'workflow'
  | 'workflow-index'

/** One run of a Worker: when it dies, nothing it awaited ever comes back. */
export class Invocation {
  alive = true
}

/** One call of an agent's object, as it came and went. An alarm is none. */
export interface ObjectCall {
  readonly method: string
  readonly args: readonly unknown[]
  readonly answer: unknown
  /** The breaker as it stood before. */
  readonly breaker: Breaker | undefined
}

export type Peer = (call: {
  url: string
  headers: Record<string, string>
  body: string
}) => Promise<{ status: number; body: string; headers?: Record<string, string> }>

export type OnQueue = (
  queue: 'deliveries' | 'work' | 'dead-letters',
  platform: Platform,
  messages: QueuedMessage[],
) => Promise<void>

export class SimPlatform {
  readonly world: World
  faults: Faults
  readonly #hosted = new Map<string, Hosted>()
  readonly #invocations = new Set<Invocation>()
  readonly #onQueue: OnQueue
  readonly #peer: Peer
  /** Called after every call of an agent's object and after its alarm, to check what must always hold. */
  afterCall: (agent: string, object: AgentObject, storage: SimStorage, call?: ObjectCall) => void = () => undefined
  /** The same for a publication's object. */
  afterPublication: (object: PublicationObject, storage: SimStorage) => void = () => undefined
  /** The same for a resource's object. */
  afterResource: (object: ResourceObject, storage: SimStorage) => void = () => undefined
  /** The same for an object that has gathers. */
  afterGather: (report: ReportOf, storage: SimStorage) => void = () => undefined
  /** The same for a workflow's. */
  afterWorkflow: (name: string, storage: SimStorage, call?: Pick<ObjectCall, 'method' | 'answer'>) => void = () =>
    undefined
  readonly counts = { calls: 0, crashes: 0, sends: 0, lost: 0, alarms: 0 }
  #queued = new Map<string, { body: unknown; attempts: number }[]>()
  #epoch = 0
  /** One isolate's memory: every invocation runs in it. */
  #audiences = new Audiences()
  #isolate = { schemas: nothingKnown() }

  constructor(world: World, faults: Faults, peer: Peer, onQueue: OnQueue) {
    this.world = world
    this.faults = faults
    this.#peer = peer
    this.#onQueue = onQueue
  }

  /** SIGKILL: every invocation and every object's memory is gone; storage stays; the local queue is memory only. */
  crashEverything(losesQueue: boolean): void {
    this.counts.crashes += 1
    for (const invocation of this.#invocations) invocation.alive = false
    this.#audiences = new Audiences()
    this.#invocations.clear()
    this.#isolate = { schemas: nothingKnown() }
    for (const hosted of this.#hosted.values()) this.#dropInstance(hosted)
    if (losesQueue) {
      this.#queued = new Map()
      this.#epoch += 1
    }
  }

  /** A platform for one invocation. */
  platform(invocation = new Invocation()): Platform {
    this.#invocations.add(invocation)
    const { world } = this
    const mine = <T>(promise: Promise<T>): Promise<T> => this.#whileAlive(invocation, promise)
    const port = <P extends object>(kind: Kind, name: string, one?: { id: string; via?: string }) =>
      persistent<P>(
        kind,
        () => this.#stub(kind, name, invocation) as P,
        (tries) => mine(world.sleep(50 * tries)),
        one,
      )
    const platform: Platform = {
      // Whole milliseconds, as clocks have them.
      now: () => Math.floor(world.now),
      random: world.random,
      token: () => world.unique('token'),
      uuidv7: () => world.unique('uuid-'),
      hex: (n) =>
        Array.from({ length: n }, () =>
          Math.floor(world.random() * 256)
            .toString(16)
            .padStart(2, '0'),
        ).join(''),
      agent: (name) => port('agent', name),
      directory: () => remembering(port('directory', 'all'), this.#audiences, () => world.now),
      deadLetters: () => port('dead-letters', 'all'),
      publication: (id) => port('publication', id),
      resource: (name) => port('resource', name),
      schedules: () => port('schedules', 'all'),
      approvals: () => port('approvals', 'all'),
      promise: (id) => port('promise', id),
      document: (id) => port('document', id),
      gather: (id) => {
        const place = gatherPlace(id)
        return place.kind === 'mailbox'
          ? port('agent', place.agent, { id, via: 'gather' })
          : port('gather', place.name, { id })
      },
      workflow: (id) => port('workflow', id),
      workflowIndex: () => port('workflow-index', 'all'),
      requests: (owner) => port('requests', owner),
      deliveries: { send: (body) => mine(this.#send('deliveries', body)) },
      work: { send: (body) => mine(this.#send('work', body)) },
      fetch: (url, init) => mine(this.#fetch(invocation, url, init)),
      waitUntil: (work) => void work.catch(() => undefined),
      enrolHandler: () => Promise.resolve(false),
      enrolHandlers: () => Promise.resolve(),
      after: (ms, then) => world.in(ms, () => invocation.alive && then()),
      log: () => undefined,
      ended: () => undefined,
      isolate: this.#isolate,
      allowance: { legs: limits.legsPerInvocation },
      bell: new Bell(),
      settings: { adminKey: 'admin', development: true, patienceMs: 0 },
      bindings: {},
    }
    return platform
  }

  /** The object itself, for the invariants to read. */
  async inspect(name: string): Promise<{ object: AgentObject; storage: SimStorage }> {
    const hosted = await this.#live('agent', name)
    return { object: hosted.instance as unknown as AgentObject, storage: hosted.storage }
  }

  agents(): string[] {
    return [...this.#hosted.keys()].filter((key) => key.startsWith('agent/')).map((key) => key.slice(6))
  }

  /** Every publication that was opened. */
  async publications(): Promise<Publication[]> {
    const names = [...this.#hosted.keys()].filter((key) => key.startsWith('publication/')).map((key) => key.slice(12))
    const all = await Promise.all(names.map((name) => this.#live('publication', name)))
    return all.flatMap(({ instance }) => (instance as PublicationObject | undefined)?.report() ?? [])
  }

  #lookAtPublication({ instance, storage }: Hosted): void {
    if (instance !== undefined) this.afterPublication(instance as unknown as PublicationObject, storage)
  }

  /** Every gather that is kept. */
  async gathers(): Promise<Map<string, Gather>> {
    const places = [...this.#hosted.keys()].flatMap((key) => {
      const [kind, ...name] = key.split('/')
      return kind === 'gather' || kind === 'agent' ? [{ kind, name: name.join('/') } as const] : []
    })
    const all = await Promise.all(places.map(async ({ kind, name }) => ({ kind, ...(await this.#live(kind, name)) })))
    const kept = all.flatMap(({ kind, instance, storage }) =>
      gathersIn(storage).flatMap(({ id }) => reportOf(kind, instance)?.(id)?.gather ?? []),
    )
    return new Map(kept.map((gather) => [gather.id, gather]))
  }

  #lookAtGather(kind: Kind, { instance, storage }: Hosted): void {
    const report = reportOf(kind, instance)
    if (report !== undefined) this.afterGather(report, storage)
  }

  /** As if whatever bug had forgotten an object's alarm. */
  loseAlarm(name: string, kind: Kind = 'agent'): void {
    const hosted = this.#hosted.get(`${kind}/${name}`)
    if (hosted === undefined) return
    hosted.alarmEvent?.cancel()
    hosted.alarmEvent = undefined
    hosted.storage.alarmAt = null
  }

  // --- objects ----------------------------------------------------------------------------------------------------------

  #stub(kind: Kind, name: string, invocation: Invocation): object {
    return new Proxy(
      {},
      {
        get:
          (_, method) =>
          (...args: unknown[]) =>
            this.#whileAlive(invocation, this.#call(kind, name, String(method), args)),
      },
    )
  }

  async #call(kind: Kind, name: string, method: string, args: unknown[]): Promise<unknown> {
    const { world, faults } = this
    this.counts.calls += 1
    await world.sleep(world.random() * 5)
    if (world.chance(faults.callFailsBefore)) throw new Error('network lost before the call')
    const hosted = await this.#live(kind, name)
    if (world.chance(faults.commitFails)) hosted.storage.failNextCommit = true
    const breaker = kind === 'agent' ? agentIn(hosted)?.breaker() : undefined
    let answer: unknown
    try {
      answer = structuredClone(await this.#method(hosted, method)(...(structuredClone(args) as unknown[])))
    } finally {
      hosted.storage.failNextCommit = false
      this.#watchAlarm(kind, name, hosted)
    }
    const agent = kind === 'agent' ? agentIn(hosted) : undefined
    if (agent !== undefined) this.afterCall(name, agent, hosted.storage, { method, args, answer, breaker })
    if (kind === 'publication') this.#lookAtPublication(hosted)
    this.#lookAtGather(kind, hosted)
    if (kind === 'workflow') this.afterWorkflow(name, hosted.storage, { method, answer })
    if (kind === 'resource') this.afterResource(hosted.instance as unknown as ResourceObject, hosted.storage)
    if (world.chance(faults.objectCrash)) this.#dropInstance(hosted)
    if (world.chance(faults.callFailsAfter)) throw new Error('network lost after the call took effect')
    await world.sleep(world.random() * 5)
    return answer
  }

  #method(hosted: Hosted, method: string): (...args: unknown[]) => unknown {
    const { instance } = hosted
    if (instance === undefined) throw new Error('the object was reset')
    const found = instance[method]
    if (found === undefined) throw new Error(`no method ${method}`)
    return found.bind(instance)
  }

  async #live(kind: Kind, name: string): Promise<Hosted> {
    const key = `${kind}/${name}`
    let hosted = this.#hosted.get(key)
    if (hosted === undefined) {
      hosted = { storage: new SimStorage(), instance: undefined, ready: Promise.resolve(), alarmEvent: undefined }
      this.#hosted.set(key, hosted)
    }
    if (hosted.instance === undefined) this.#start(kind, name, hosted)
    await hosted.ready
    this.#watchAlarm(kind, name, hosted)
    return hosted
  }

  #start(kind: Kind, name: string, hosted: Hosted): void {
    const context = {
      id: { name },
      storage: hosted.storage,
      blockConcurrencyWhile: (work: () => Promise<unknown>) => {
        hosted.ready = work()
        return hosted.ready
      },
      abort: () => this.#dropInstance(hosted),
    } as unknown as DurableObjectState
    const env = {
      DELIVERIES: { send: (body: unknown) => this.#send('deliveries', body) },
      WORK: { send: (body: unknown) => this.#send('work', body) },
    } as unknown as Env
    const { world } = this
    const ports = { now: () => Math.floor(world.now), random: world.random }
    hosted.instance = (kind === 'agent'
      ? new AgentObject(context, env as never, ports)
      : kind === 'directory'
        ? new DirectoryObject(context, env, ports)
        : kind === 'publication'
          ? new PublicationObject(context, env as never, ports)
          : kind === 'resource'
            ? new ResourceObject(context, env as never, ports)
            : kind === 'gather'
              ? new GatherObject(context, env as never, ports)
              : kind === 'requests'
                ? new RequestsObject(context, env, ports)
                : kind === 'schedules'
                  ? new SchedulesObject(context, env as never, ports)
                  : kind === 'approvals'
                    ? new ApprovalsObject(context, env as never, ports)
                    : kind === 'promise'
                      ? new PromiseObject(context, env as never, ports)
                      : kind === 'document'
                        ? new DocumentObject(context, env, ports)
                        : kind === 'workflow'
                          ? new WorkflowObject(context, env as never, ports)
                          : kind === 'workflow-index'
                            ? new WorkflowIndexObject(context, env, ports)
                            : new DeadLettersObject(context, env, ports)) as unknown as Instance
  }

  #dropInstance(hosted: Hosted): void {
    hosted.instance = undefined
  }

  // --- alarms -----------------------------------------------------------------------------------------------------------

  #watchAlarm(kind: Kind, name: string, hosted: Hosted): void {
    const at = hosted.storage.alarmAt
    if (at === null || hosted.alarmEvent?.at === at) return
    hosted.alarmEvent?.cancel()
    const { world, faults } = this
    const early = world.chance(faults.alarmEarly) ? world.random() * Math.max(0, at - world.now) : 0
    const fireAt = Math.max(world.now, at - early) + world.random() * faults.alarmMaxLateMs
    const cancel = world.at(fireAt, () => void this.#fireAlarm(kind, name, hosted))
    hosted.alarmEvent = { at, cancel }
  }

  async #fireAlarm(kind: Kind, name: string, hosted: Hosted): Promise<void> {
    hosted.alarmEvent = undefined
    const twice = this.world.chance(this.faults.alarmTwice)
    // As on the platform: while the handler runs no alarm is set.
    hosted.storage.alarmAt = null
    await this.#live(kind, name)
    this.counts.alarms += 1
    await this.#handled(hosted)
    if (twice) await this.#handled(hosted)
    const agent = kind === 'agent' ? agentIn(hosted) : undefined
    if (agent !== undefined) this.afterCall(name, agent, hosted.storage)
    if (kind === 'publication') this.#lookAtPublication(hosted)
    this.#lookAtGather(kind, hosted)
    if (kind === 'workflow') this.afterWorkflow(name, hosted.storage)
    this.#watchAlarm(kind, name, hosted)
  }

  // An object waits for a queue that hangs by the real clock, which does not move here. What it armed before fires all the same.
  #handled({ instance }: Hosted): Promise<void> {
    return Promise.race([instance?.alarm?.(), this.world.sleep(6_000)]).then(() => undefined)
  }

  // --- queues -----------------------------------------------------------------------------------------------------------

  async #send(queue: string, body: unknown): Promise<void> {
    const { world, faults } = this
    this.counts.sends += 1
    await world.sleep(world.random() * 3)
    if (world.chance(faults.queueSendHangs)) return new Promise(() => undefined)
    if (world.chance(faults.queueSendFails)) throw new Error('Queue is overloaded')
    if (world.chance(faults.queueLoses)) {
      this.counts.lost += 1
      return
    }
    const copies = world.chance(faults.queueDoubles) ? 2 : 1
    for (let i = 0; i < copies; i++)
      this.#enqueue(queue, structuredClone(body), 1, world.random() * faults.queueMaxDelayMs)
  }

  #enqueue(queue: string, body: unknown, attempts: number, delayMs: number): void {
    const epoch = this.#epoch
    this.world.in(delayMs, () => {
      if (epoch !== this.#epoch) return
      const waiting = this.#queued.get(queue) ?? []
      waiting.push({ body, attempts })
      this.#queued.set(queue, waiting)
      if (waiting.length === 1) this.world.in(1, () => this.#pump(queue))
    })
  }

  #pump(queue: string): void {
    const waiting = this.#queued.get(queue) ?? []
    const batch = waiting.splice(0, 25)
    if (batch.length === 0) return
    // Whoever comes next only starts an empty queue.
    if (waiting.length > 0) this.world.in(1, () => this.#pump(queue))
    const verdicts = new Map<number, { retry?: number }>()
    const messages = batch.map(
      (m, i): QueuedMessage => ({
        body: m.body,
        attempts: m.attempts,
        ack: () => void (verdicts.has(i) || verdicts.set(i, {})),
        retry: (options) => void (verdicts.has(i) || verdicts.set(i, { retry: (options?.delaySeconds ?? 1) * 1_000 })),
      }),
    )
    const conclude = () => {
      batch.forEach((m, i) => {
        const retry = verdicts.get(i)?.retry
        if (retry === undefined) return
        if (m.attempts > 3) this.#enqueue('dead-letters', m.body, 1, 1_000)
        else this.#enqueue(queue, m.body, m.attempts + 1, retry)
      })
    }
    this.#onQueue(queue as 'deliveries', this.platform(), messages).then(conclude, conclude)
  }

  // --- the wire ---------------------------------------------------------------------------------------------------------

  async #fetch(
    invocation: Invocation,
    url: string,
    init: { headers: Record<string, string>; body: string; signal: AbortSignal },
  ): Promise<FetchedAnswer> {
    await this.world.sleep(this.world.random() * 3)
    if (!invocation.alive) return new Promise(() => undefined)
    const aborted = new Promise<never>((_, reject) =>
      init.signal.addEventListener('abort', () => reject(new Error('aborted'))),
    )
    aborted.catch(() => undefined)
    const answer = await Promise.race([this.#peer({ url, headers: init.headers, body: init.body }), aborted])
    const headers = new Map(Object.entries(answer.headers ?? {}))
    return {
      status: answer.status,
      headers: { get: (name) => headers.get(name) ?? null },
      body: answer.body === '' ? null : streamOf(answer.body),
      text: () => Promise.resolve(answer.body),
    }
  }

  // Each time something comes back the invocation may already be dead, or die of it.
  #whileAlive<T>(invocation: Invocation, promise: Promise<T>): Promise<T> {
    promise.catch(() => undefined)
    if (!invocation.alive) return new Promise(() => undefined)
    return new Promise((resolve, reject) => {
      const unlessDead = (then: () => void) => {
        if (this.world.chance(this.faults.invocationCrash)) invocation.alive = false
        if (invocation.alive) then()
      }
      promise.then(
        (value) => unlessDead(() => resolve(value)),
        (error) => unlessDead(() => reject(error)),
      )
    })
  }
}

/** A gather of one object, by its id. */
export type ReportOf = (id: string) => GatherReport | undefined

function reportOf(kind: Kind, instance: Instance | undefined): ReportOf | undefined {
  if (instance === undefined) return undefined
  if (kind === 'gather') return (id) => (instance as unknown as GatherObject).report(id)
  if (kind === 'agent')
    return (id) => (instance as unknown as AgentObject).gather('report', id) as GatherReport | undefined
  return undefined
}

// An agent's own object, as the invariants read it.
function agentIn(hosted: Hosted): AgentObject | undefined {
  return hosted.instance as AgentObject | undefined
}

/** The gathers of one object, as its rows have them. */
export function gathersIn({ sql }: SimStorage): { readonly id: string; readonly dueAt: number }[] {
  const isMade = sql.exec("SELECT 1 FROM sqlite_master WHERE name = 'gathers'").toArray().length > 0
  const rows = isMade ? sql.exec('SELECT id, due_at FROM gathers').toArray() : []
  return rows.map((row) => ({ id: String(row.id), dueAt: Number(row.due_at) }))
}

// Whole at once, without a macrotask of its own: the story must not depend on the machine.
function streamOf(text: string): ReadableStream<Uint8Array> {
  return new ReadableStream({
    start(controller) {
      controller.enqueue(new TextEncoder().encode(text))
      controller.close()
    },
  })
}
