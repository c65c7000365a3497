/**
 * What the platform would bill, counted in two independent ways. Once on the bindings that a Switchboard of a test's own is
 * given; and once at the platform itself: at the classes of the objects, at their storage, at the queues. Where the two differ,
 * somebody used a binding that nobody wrapped. Never here: what it may cost (test/workers/counting.test.ts).
 */
import { runInDurableObject } from 'cloudflare:test'
import { DurableObject, env } from 'cloudflare:workers'
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

export interface Bill {
  workerRequests: number
  /** Calls by the binding they went through. */
  calls: Record<string, number>
  alarms: number
  /** Rows, deleted ones too, and alarms armed, which are billed as rows. */
  rows: number
  queueWrites: number
  queueReads: number
  queueDeletes: number
}

export const newBill = (): Bill => ({
  workerRequests: 0,
  calls: {},
  alarms: 0,
  rows: 0,
  queueWrites: 0,
  queueReads: 0,
  queueDeletes: 0,
})

export const objectCalls = (bill: Bill) => Object.values(bill.calls).reduce((sum, n) => sum + n, 0)
export const queueOperations = (bill: Bill) => bill.queueWrites + bill.queueReads + bill.queueDeletes

export function billSince(before: Bill, after: Bill): Bill {
  const names = new Set([...Object.keys(before.calls), ...Object.keys(after.calls)])
  return {
    workerRequests: after.workerRequests - before.workerRequests,
    calls: Object.fromEntries([...names].map((n) => [n, (after.calls[n] ?? 0) - (before.calls[n] ?? 0)])),
    alarms: after.alarms - before.alarms,
    rows: after.rows - before.rows,
    queueWrites: after.queueWrites - before.queueWrites,
    queueReads: after.queueReads - before.queueReads,
    queueDeletes: after.queueDeletes - before.queueDeletes,
  }
}

// --- the bindings that are given out ----------------------------------------------------------------------------------

const namespaces = {
  AGENTS: AgentObject,
  DIRECTORY: DirectoryObject,
  DEAD_LETTERS: DeadLettersObject,
  PUBLICATIONS: PublicationObject,
  GATHERS: GatherObject,
  REQUESTS: RequestsObject,
  RESOURCES: ResourceObject,
  SCHEDULES: SchedulesObject,
  WORKFLOWS: WorkflowObject,
  WORKFLOW_INDEX: WorkflowIndexObject,
  APPROVALS: ApprovalsObject,
  PROMISES: PromiseObject,
  DOCUMENTS: DocumentObject,
} as const
const queues = { DELIVERIES: 'deliveries', WORK: 'work' } as const

/** What was sent, kept: a test moves the queues itself, so that nothing is billed behind its back. */
export type Sent = { readonly queue: string; readonly body: unknown }

/** Bindings that count. One that is neither wrapped nor a plain variable cannot be had at all. */
export function wrappedEnv(bill: Bill, sent: Sent[], variables: Readonly<Record<string, string>>): Env {
  const wrapped: Record<string, unknown> = { ...variables }
  for (const name of Object.keys(namespaces) as (keyof typeof namespaces)[])
    wrapped[name] = { getByName: (object: string) => countedStub(bill, name, env[name].getByName(object)) }
  for (const [name, queue] of Object.entries(queues)) wrapped[name] = countedQueue(bill, queue, sent)
  return new Proxy(wrapped, {
    get: (target, name) => {
      if (Object.hasOwn(target, name)) return target[String(name)]
      const real = (env as unknown as Record<string | symbol, unknown>)[name]
      if (real === undefined || typeof real === 'string') return real
      throw new Error(`the binding ${String(name)} is not counted: wrap it here`)
    },
  }) as unknown as Env
}

function countedStub(bill: Bill, binding: string, stub: object): object {
  return new Proxy(stub, {
    get: (target, method) => {
      if (typeof method === 'symbol' || method === 'then') return Reflect.get(target, method)
      return (...args: unknown[]) => {
        bill.calls[binding] = (bill.calls[binding] ?? 0) + 1
        // Called as a method: `apply` would itself be taken for a remote method.
        return (target as Record<string, (...args: unknown[]) => unknown>)[method]?.(...args)
      }
    },
  })
}

/** Which queue an object means. A reference to deliveries might be for either. */
function queueOf(body: unknown): string {
  if (typeof body !== 'object' || body === null || 'deliveries' in body)
    throw new Error(`for which queue is ${JSON.stringify(body)}?`)
  return queues.WORK
}

// A queue message is billed once for each 64 KB.
const operationBytes = 64_000
export const operationsOf = (body: unknown) => Math.ceil(Math.max(1, JSON.stringify(body).length) / operationBytes)

function countedQueue(bill: Bill, queue: string, sent: Sent[]): { send(body: unknown): Promise<void> } {
  return {
    send: (body) => {
      bill.queueWrites += operationsOf(body)
      sent.push({ queue, body: structuredClone(body) })
      return Promise.resolve()
    },
  }
}

// --- the platform's own evidence --------------------------------------------------------------------------------------

interface Evidence {
  /** Calls that reached an object, by binding. */
  readonly calls: Record<string, number>
  /** Sends through a queue that nobody wrapped. */
  sends: number
}

type Patched = Record<string, (...args: unknown[]) => unknown>
type Cursor = { readonly rowsWritten: number }

/** Every method of a class and of what it extends, up to the platform's own class, each where it is defined. */
function ownMethods(prototype: object): [object, string][] {
  if (prototype === DurableObject.prototype) return []
  const names = Object.getOwnPropertyNames(prototype).filter((name) => name !== 'constructor')
  return [...names.map((name): [object, string] => [prototype, name]), ...ownMethods(Object.getPrototypeOf(prototype))]
}

/**
 * Counts at the objects' classes, their storage and the queues themselves. For the whole isolate, until `stop`. With `sent`, what
 * objects send from their alarms goes there, on the bill, instead of to the real queue.
 */
export async function watchPlatform(
  bill: Bill,
  captured?: Sent[],
): Promise<{ readonly evidence: Evidence; stop(): void }> {
  const evidence: Evidence = { calls: {}, sends: 0 }
  const undo: (() => void)[] = []
  const patch = (target: object, name: string, around: (real: Patched[string]) => Patched[string]) => {
    const holder = target as Patched
    const real = holder[name] as Patched[string]
    holder[name] = around(real)
    undo.push(() => {
      holder[name] = real
    })
  }
  // An object that calls a method of its own is not called from outside.
  let inside = false
  for (const [binding, kind] of Object.entries(namespaces)) {
    for (const [prototype, name] of ownMethods(kind.prototype)) {
      patch(
        prototype,
        name,
        (real) =>
          function (this: unknown, ...args) {
            if (inside) return real.apply(this, args)
            if (name === 'alarm') bill.alarms += 1
            else evidence.calls[binding] = (evidence.calls[binding] ?? 0) + 1
            inside = true
            try {
              return real.apply(this, args)
            } finally {
              inside = false
            }
          },
      )
    }
  }
  await runInDurableObject(env.AGENTS.getByName('any'), (_, state) => {
    const { storage } = state
    patch(
      Object.getPrototypeOf(storage.sql),
      'exec',
      (real) =>
        function (this: unknown, ...args) {
          const cursor = real.apply(this, args)
          // A statement that writes has run to its end when exec returns.
          bill.rows += (cursor as Cursor).rowsWritten
          return cursor
        },
    )
    patch(
      Object.getPrototypeOf(storage),
      'setAlarm',
      (real) =>
        function (this: unknown, ...args) {
          bill.rows += 1
          return real.apply(this, args)
        },
    )
  })
  for (const name of ['send', 'sendBatch'])
    patch(
      Object.getPrototypeOf(env.DELIVERIES),
      name,
      (real) =>
        function (this: unknown, ...args) {
          if (captured !== undefined) return countedQueue(bill, queueOf(args[0]), captured).send(args[0])
          evidence.sends += 1
          return real.apply(this, args)
        },
    )
  return {
    evidence,
    stop: () => {
      for (const one of undo) one()
    },
  }
}
