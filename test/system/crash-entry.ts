/**
 * The Worker under the crash test: Switchboard as anybody builds it, with ports laid over the platform's that have the process
 * killed on the n-th call of the point that the bindings name. workerd cannot kill itself, so a port asks the test to, and
 * waits for ever. Never here: anything that stands in for what is tested.
 */
import * as z from 'zod'
import { AgentObject as Mailbox } from '../../durable-objects/agent.ts'
import { ApprovalsObject } from '../../durable-objects/approvals.ts'
import { DeadLettersObject } from '../../durable-objects/dead-letters.ts'
import { DirectoryObject } from '../../durable-objects/directory.ts'
import { GatherObject } from '../../durable-objects/gather.ts'
import { PromiseObject } from '../../durable-objects/promise.ts'
import { RequestsObject } from '../../durable-objects/requests.ts'
import { SchedulesObject } from '../../durable-objects/schedules.ts'
import { WorkflowObject } from '../../durable-objects/workflow.ts'
import { WorkflowIndexObject } from '../../durable-objects/workflow-index.ts'
import type { AgentPort } from '../../shared/agent-port.ts'
import type { ApprovalsPort } from '../../shared/approval-port.ts'
import type { DeadLettersPort } from '../../shared/dead-letter.ts'
import type { GatherPort } from '../../shared/gather-port.ts'
import type { Platform, QueuePort } from '../../shared/ports.ts'
import type { PromisePort } from '../../shared/promise.ts'
import { pendingOf, type SchedulesPort } from '../../shared/schedule.ts'
import type { WorkflowPort } from '../../shared/workflow-port.ts'
import { defineAgent } from '../../workers/define.ts'
import { createSwitchboard } from '../../workers/switchboard.ts'
import { type CrashPoint, workDone } from './crash-points.ts'

// --- dying ------------------------------------------------------------------------------------------------------------

interface CrashEnv {
  readonly CRASH_POINT?: string
  readonly CRASH_NTH?: string
  readonly KILL_URL?: string
  readonly RECEIVER_URL?: string
}

// One isolate serves every invocation and every object of a local Worker, so it can count for all of them.
const passed = new Map<CrashPoint, number>()

/** Is this the call on which to die? Counts it. */
function isLast(env: CrashEnv, point: CrashPoint): boolean {
  if (env.CRASH_POINT !== point) return false
  const count = (passed.get(point) ?? 0) + 1
  passed.set(point, count)
  return count === Number(env.CRASH_NTH)
}

/** Never returns. */
async function die(env: CrashEnv, where: string): Promise<never> {
  await fetch(`${env.KILL_URL}`, { method: 'POST', body: where }).catch(() => undefined)
  return new Promise(() => undefined)
}

async function pass(env: CrashEnv, point: CrashPoint, where: string): Promise<void> {
  if (isLast(env, point)) await die(env, where)
}

// --- ports ------------------------------------------------------------------------------------------------------------

type Call = () => Promise<unknown>
type Around<Port> = {
  readonly [Method in keyof Port]?: Port[Method] extends (...args: infer Args) => Promise<infer Answer>
    ? (call: () => Promise<Answer>, ...args: Args) => Promise<Answer>
    : never
}

/** The port, with something around some of its methods. */
function around<Port extends object>(port: Port, wrap: Around<Port>): Port {
  return new Proxy(port, {
    get: (target, method) => {
      // A port is nothing but asynchronous methods.
      const call = (...args: unknown[]) =>
        (target as Record<string | symbol, (...a: unknown[]) => Promise<unknown>>)[method]?.(...args)
      const wrapped = (
        wrap as Record<string | symbol, ((call: Call, ...a: unknown[]) => Promise<unknown>) | undefined>
      )[method]
      return (...args: unknown[]) =>
        wrapped === undefined ? call(...args) : wrapped(async () => call(...args), ...args)
    },
  })
}

function mailboxPort(port: AgentPort, env: CrashEnv, agent: string): AgentPort {
  return around<AgentPort>(port, {
    accept: async (call, _incoming, token) => {
      if (token.startsWith('effects.')) return acceptEffects(call, env, agent, token)
      const answer = await call()
      if (token.startsWith('gather.')) await pass(env, 'leg.accepted', agent)
      if (token.startsWith('scatter.')) await pass(env, 'scatter.told', agent)
      if (answer.admissions.some((a) => a.status === 'accepted')) await pass(env, 'accept.after', agent)
      const leased = answer.taken?.leases ?? []
      if (leased.length > 0) await pass(env, 'take.after', leased.map((l) => l.id).join(' '))
      return answer
    },
    ask: async (call) => {
      const answer = await call()
      if (answer.opened.status === 'opened') await pass(env, 'ask.after', agent)
      return answer
    },
    take: async (call) => {
      const answer = await call()
      if (answer.leases.length > 0) await pass(env, 'take.after', answer.leases.map((l) => l.id).join(' '))
      return answer
    },
    settle: async (call, reports) => {
      const where = reports.map((r) => r.id).join(' ')
      const external = reports.some((r) => r.external)
      if (!external) await pass(env, 'settle.before', where)
      if (reports.some((r) => r.reply !== undefined)) await pass(env, 'reply.before', where)
      if (!external && isLast(env, 'settle.underway')) {
        call().catch(() => undefined)
        return die(env, where)
      }
      const answer = await call()
      if (answer.arrived.length > 0) await pass(env, 'reply.after', where)
      if (answer.unfinished.some((u) => u.effects.length > 0))
        await pass(env, external ? 'ack.after' : 'settle.after', where)
      return answer
    },
    carried: async (call, id) => {
      await pass(env, 'carried.before', id)
      return call()
    },
  })
}

let torn: string | undefined

// Several mailboxes are asked at once. Of the journal that is torn only the first one is.
async function acceptEffects<Answer>(
  call: () => Promise<Answer>,
  env: CrashEnv,
  agent: string,
  token: string,
): Promise<Answer> {
  if (token === torn) return new Promise(() => undefined)
  if (!isLast(env, 'effects.between')) return call()
  torn = token
  await call()
  return die(env, `${token} at ${agent}`)
}

function gatherPort(port: GatherPort, env: CrashEnv, gather: string): GatherPort {
  return around<GatherPort>(port, {
    open: async (call, opening) => {
      const answer = await call()
      await pass(env, opening.reduces === undefined ? 'gather.opened' : 'scatter.reducing', gather)
      return answer
    },
    arrive: async (call) => {
      await pass(env, 'arrive.before', gather)
      const answer = await call()
      await pass(env, 'arrive.after', gather)
      return answer
    },
    progress: async (call, news) => {
      if (news.reduction !== undefined) await pass(env, 'scatter.reduced', gather)
      if (news.told === true) await pass(env, 'gather.telling', gather)
      return call()
    },
  })
}

function workflowPort(port: WorkflowPort, env: CrashEnv, workflow: string): WorkflowPort {
  return around<WorkflowPort>(port, {
    create: async (call) => {
      const answer = await call()
      await pass(env, 'workflow.created', workflow)
      return answer
    },
    unfinished: async (call) => {
      const owed = await call()
      if (owed !== undefined && owed.effects.length > 0) await pass(env, 'perform.before', workflow)
      return owed
    },
    performed: async (call, news) => {
      if (news.effects.length > 0) await pass(env, 'perform.after', workflow)
      return call()
    },
    receive: async (call) => {
      await pass(env, 'receive.before', workflow)
      const received = await call()
      await pass(env, 'receive.after', workflow)
      return received
    },
  })
}

function promisePort(port: PromisePort, env: CrashEnv, promise: string): PromisePort {
  return around<PromisePort>(port, {
    end: async (call) => {
      const answer = await call()
      await pass(env, 'promise.ended', promise)
      return answer
    },
    told: async (call) => {
      await pass(env, 'promise.telling', promise)
      return call()
    },
  })
}

function approvalsPort(port: ApprovalsPort, env: CrashEnv): ApprovalsPort {
  return around<ApprovalsPort>(port, {
    open: async (call) => {
      const answer = await call()
      await pass(env, 'approval.opened', 'approvals')
      return answer
    },
    told: async (call, id) => {
      await pass(env, 'approval.telling', id)
      return call()
    },
    decide: async (call, id) => {
      const answer = await call()
      await pass(env, 'approval.decided', id)
      return answer
    },
  })
}

function schedulesPort(port: SchedulesPort, env: CrashEnv): SchedulesPort {
  return around<SchedulesPort>(port, {
    put: async (call, { id }) => {
      const answer = await call()
      await pass(env, 'schedule.put', id)
      return answer
    },
    find: async (call, id) => {
      const found = await call()
      if (found !== undefined && pendingOf(found).length > 0) await pass(env, 'schedule.due', id)
      return found
    },
    report: async (call, id) => {
      await pass(env, 'schedule.published', id)
      return call()
    },
  })
}

function indexPort(port: DeadLettersPort, env: CrashEnv): DeadLettersPort {
  return around<DeadLettersPort>(port, {
    bury: async (call, letters) => {
      const where = letters.map((l) => l.id).join(' ')
      await pass(env, 'bury.before', where)
      await call()
      await pass(env, 'bury.after', where)
    },
    remove: async (call, id) => {
      await pass(env, 'redrive.between', id)
      return call()
    },
  })
}

/** The queue as the gateway and the consumer write to it. It forgets everything when only an alarm is to send. */
function queuePort<Body>(queue: QueuePort<Body>, env: CrashEnv): QueuePort<Body> {
  return {
    send: async (body) => {
      if (env.CRASH_POINT?.startsWith('alarm.')) return undefined
      await pass(env, 'enqueue.before', JSON.stringify(body))
      return queue.send(body)
    },
  }
}

function ports(platform: Platform, env: CrashEnv): Platform {
  return {
    ...platform,
    agent: (name) => mailboxPort(platform.agent(name), env, name),
    gather: (id) => gatherPort(platform.gather(id), env, id),
    promise: (id) => promisePort(platform.promise(id), env, id),
    workflow: (id) => workflowPort(platform.workflow(id), env, id),
    approvals: () => approvalsPort(platform.approvals(), env),
    schedules: () => schedulesPort(platform.schedules(), env),
    deadLetters: () => indexPort(platform.deadLetters(), env),
    deliveries: queuePort(platform.deliveries, env),
    fetch: async (url, init) => {
      const where = init.headers['webhook-id'] ?? ''
      await pass(env, 'deliver.before', where)
      const answer = await platform.fetch(url, init)
      await pass(env, 'deliver.underway', where)
      return answer
    },
  }
}

// --- the objects ------------------------------------------------------------------------------------------------------

/** The mailbox sends by its own hand only when its alarm wakes it, through a binding and not a port of the verbs. */
export class AgentObject extends Mailbox {
  constructor(ctx: DurableObjectState, env: Env & CrashEnv) {
    super(ctx, { DELIVERIES: alarmQueue(env.DELIVERIES, env), WORK: env.WORK })
  }
}

function alarmQueue<Body>(queue: QueuePort<Body>, env: CrashEnv): QueuePort<Body> {
  return {
    send: async (body) => {
      const where = JSON.stringify(body)
      await pass(env, 'alarm.before', where)
      const sent = await queue.send(body)
      await pass(env, 'alarm.after', where)
      return sent
    },
  }
}

// As in workers/index.ts: where the platform looks for them.
export {
  ApprovalsObject,
  DeadLettersObject,
  DirectoryObject,
  GatherObject,
  PromiseObject,
  RequestsObject,
  SchedulesObject,
  WorkflowIndexObject,
  WorkflowObject,
}

// --- a handler --------------------------------------------------------------------------------------------------------

const crafter = defineAgent({
  name: 'crafter',
  accepts: z.looseObject({}),
  policy: { timeoutSeconds: 2, maxAttempts: 6, backoff: 'quick' },
  async handle(message, ctx) {
    const env: CrashEnv = ctx.env
    const nonce = crypto.randomUUID()
    const headers = { 'webhook-id': ctx.delivery, 'switchboard-attempt': String(ctx.attempt) }
    const note = JSON.stringify({ ...message, data: { nonce } })
    await fetch(`${env.RECEIVER_URL}/note/crafter`, { method: 'POST', headers, body: note })
    await pass(env, 'handler.underway', ctx.delivery)
    const { result, reply, messages } = workDone(nonce)
    ctx.reply(reply.data)
    for (const one of messages) ctx.send(one)
    return result
  },
})

// The generated Env knows nothing of a test's bindings.
export default createSwitchboard({
  agents: [crafter],
  ports: (platform, env) => ports(platform, env as Env & CrashEnv),
})
