/**
 * Runs an agent that lives in this Worker. What it asks for is buffered: nothing leaves before its result is journaled.
 * Never here: webhooks (workers/webhook.ts).
 */

import type { AgentRecord } from '../shared/agent.ts'
import type { LeasedDelivery } from '../shared/agent-port.ts'
import { attributed } from '../shared/blame.ts'
import type { EffectsInput } from '../shared/effects.ts'
import { deeperThan } from '../shared/json.ts'
import { limits } from '../shared/limits.ts'
import { messageSchema } from '../shared/message.ts'
import type { Outcome } from '../shared/outcome.ts'
import type { Platform } from '../shared/ports.ts'
import { type ResourceReport, reportFrom } from '../shared/resource-report.ts'
import { plusUsage, type Usage, usageSchema } from '../shared/usage.ts'
import { noHandler } from './attempt.ts'
import type { AnyAgent, HandlerContext, HandlerMessage } from './define.ts'
import { inquirer } from './inquire.ts'
import { HandlerState } from './shared-state.ts'

/** Runs the handler until `deadlineAt`. Every way it can end is an outcome; it never throws. */
export async function runHandler(
  platform: Platform,
  agent: AnyAgent,
  record: AgentRecord,
  lease: LeasedDelivery,
  deadlineAt: number,
): Promise<Outcome> {
  const { handle } = agent
  if (handle === undefined) return noHandler(agent.name)
  const message = messageSchema.parse(JSON.parse(lease.body))
  const startedAt = platform.now()
  const controller = new AbortController()
  const effects: Buffered = { messages: [] }
  const reports: ResourceReport[] = []
  const request = inquirer(platform, record, lease, deadlineAt, controller.signal)
  const state = new HandlerState(platform, record, lease, controller.signal)
  const said = { effects, reports }
  const ctx = { ...contextOf(platform, agent, lease, deadlineAt, controller.signal, said), request, state }
  const told = (outcome: Outcome) => attributed(withUsage(outcome, effects.usage), reports, agent.resources)
  try {
    // Within: a schema is the user's code too, and may throw.
    const data = agent.accepts.safeParse(message.data)
    if (!data.success) return invalidData(data.error.issues)
    const given = { ...message, data: data.data } as unknown as HandlerMessage<never>
    const result = await within(
      platform,
      deadlineAt,
      controller,
      Promise.resolve().then(() => handle.call(agent, given, ctx)),
    )
    if (result === late)
      return told({
        kind: 'retry',
        error: { code: 'timeout', message: `the handler did not finish within ${deadlineAt - startedAt} ms` },
      })
    return told({ kind: 'ok', ...plain(result), ...buffered(effects) })
  } catch (error) {
    reports.push(...reportIn(error))
    return told(outcomeOfThrow(error))
  } finally {
    controller.abort()
  }
}

// What fails has been paid for too.
function withUsage(outcome: Outcome, usage: Usage | undefined): Outcome {
  if (usage === undefined || (outcome.kind !== 'retry' && outcome.kind !== 'fail')) return outcome
  return { ...outcome, usage }
}

// By name, not by class: a handler may bring its own copy of the module.
export function outcomeOfThrow(error: unknown): Outcome {
  const message = String(error instanceof Error ? error.message : error).slice(0, limits.errorMessageLength)
  const failed = { code: 'handler', message }
  if (!(error instanceof Error)) return { kind: 'retry', error: failed }
  if (error.name === 'TerminalError') return { kind: 'fail', error: failed }
  const seconds = error.name === 'RetryLater' && 'retryAfterSeconds' in error ? Number(error.retryAfterSeconds) : 0
  if (!(seconds > 0)) return { kind: 'retry', error: failed }
  return { kind: 'retry', error: failed, retryAfterMs: Math.min(seconds, limits.delaySeconds) * 1_000 }
}

// By shape, as above.
export function reportIn(error: unknown): ResourceReport[] {
  const said = error instanceof Error && 'resource' in error ? error.resource : undefined
  if (typeof said !== 'object' || said === null) return []
  const { name, status, retryAfterSeconds } = said as Readonly<Record<string, unknown>>
  const report = reportFrom(name, status, retryAfterSeconds)
  return report === undefined ? [] : [report]
}

export function invalidData(
  issues: readonly { readonly path: readonly PropertyKey[]; readonly message: string }[],
): Outcome {
  const where = issues.map((i) => `${['data', ...i.path.map(String)].join('.')}: ${i.message}`).join('; ')
  return { kind: 'fail', error: { code: 'invalid_data', message: where.slice(0, limits.errorMessageLength) } }
}

export const late = Symbol('late')

export function within<T>(
  platform: Platform,
  deadlineAt: number,
  controller: AbortController,
  work: Promise<T>,
): Promise<T | typeof late> {
  return new Promise((resolve, reject) => {
    const stop = platform.after(Math.max(0, deadlineAt - platform.now()), () => {
      controller.abort()
      resolve(late)
    })
    work.then(resolve, reject).finally(stop)
  })
}

interface Buffered {
  reply?: EffectsInput['reply']
  pass?: true
  usage?: Usage
  messages: unknown[]
}

/** What a handler says while it runs. */
interface Said {
  readonly effects: Buffered
  readonly reports: ResourceReport[]
}

function contextOf(
  platform: Platform,
  agent: AnyAgent,
  lease: LeasedDelivery,
  deadlineAt: number,
  signal: AbortSignal,
  { effects, reports }: Said,
): Omit<HandlerContext, 'request' | 'state'> {
  const traceparent = platform.tracing?.within(lease.id) ?? lease.head.traceparent
  const traced = traceparent === undefined ? {} : { traceparent }
  return {
    agent: agent.name,
    delivery: lease.id,
    attempt: lease.attempt,
    maxAttempts: lease.maxAttempts,
    isLast: lease.attempt >= lease.maxAttempts,
    deadline: new Date(deadlineAt),
    signal,
    ...(lease.previousError === undefined ? {} : { previousError: lease.previousError }),
    env: platform.bindings,
    reply: (data, type) => {
      effects.reply = { data, ...(type === undefined ? {} : { type }) }
    },
    pass: () => {
      effects.pass = true
    },
    usage: (used) => {
      effects.usage = plusUsage(effects.usage ?? {}, usageSchema.parse(used))
    },
    send: (message) => {
      effects.messages.push(message)
    },
    publish: (topic, type, data, more) => {
      effects.messages.push({ ...more, topic, type, data })
    },
    resource: (name, status, retryAfterSeconds) => {
      const report = reportFrom(name, status, retryAfterSeconds)
      if (report === undefined) throw new Error(`not a resource and a status: ${name} ${status}`)
      reports.push(report)
    },
    log: (note, fields) =>
      platform.log('handler', { agent: agent.name, delivery: lease.id, ...traced, note, ...fields }),
  }
}

// A result must survive storage: what JSON cannot carry fails loudly here rather than quietly later.
export function plain(result: unknown): { result?: unknown } {
  if (result === undefined) return {}
  const text = JSON.stringify(result)
  if (text === undefined) throw new Error(`the result must be JSON; a ${typeof result} is not`)
  const parsed: unknown = JSON.parse(text)
  if (deeperThan(parsed, limits.jsonDepth)) throw new Error(`the result is nested deeper than ${limits.jsonDepth}`)
  return { result: parsed }
}

function buffered({ messages, ...said }: Buffered): { effects?: unknown } {
  const effects = { ...said, ...(messages.length === 0 ? {} : { messages }) }
  if (Object.keys(effects).length === 0) return {}
  return { effects: JSON.parse(JSON.stringify(effects)) as unknown }
}
