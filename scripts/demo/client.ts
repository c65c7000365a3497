/**
 * The few calls the demo makes, with their answers parsed. Never here: what the demo does with them.
 */
import { setTimeout as pause } from 'node:timers/promises'
import * as z from 'zod'
import {
  accepted,
  type BreakerSeen,
  breaker,
  created,
  entries,
  type HistoryEntry,
  type Leased,
  leased,
  type Receipt,
  type Registered,
  receipt,
  receipts,
  registered,
  type Sent,
  type StateSeen,
  sent,
  stale,
  state,
  type WorkflowSeen,
  workflow,
} from './answers.ts'

type Json = Readonly<Record<string, unknown>>

/** A write of the shared state: the next version, or that somebody else was faster, with what the state is by now. */
export type Written =
  | ({ readonly status: 'written' } & StateSeen)
  | {
      readonly status: 'stale'
      readonly expected: number
      readonly actual: number
      readonly lastWriter: string
      readonly state: Json
    }

export interface Client {
  /** Registers an agent and gives its own key; undefined when it was registered before. */
  register(agent: string, as: Json): Promise<Registered>
  /** Whether the subscription is a new one. */
  subscribe(id: string, as: Json): Promise<boolean>
  unsubscribe(id: string): Promise<void>
  /** The ids of the deliveries that the message became. */
  publish(message: Json): Promise<readonly string[]>
  receipt(delivery: string): Promise<Receipt>
  receiptsOf(agent: string, status?: string): Promise<readonly Receipt[]>
  lease(agent: string): Promise<readonly Leased[]>
  ack(delivery: string, token: string): Promise<void>
  remove(agent: string): Promise<void>
  breaker(agent: string): Promise<BreakerSeen>
  createWorkflow(as: Json): Promise<string>
  workflow(id: string): Promise<WorkflowSeen>
  history(id: string, after?: number): Promise<readonly HistoryEntry[]>
  sentBy(id: string): Promise<readonly Sent[]>
  state(id: string): Promise<StateSeen>
  patch(id: string, patch: Json, version: number): Promise<Written>
  /** The same calls with another key. */
  as(key: string): Client
}

const triesMax = 5
const whileDownMs = 150
/** Longer than the longest call, which is a lease that waits 10 s for mail. */
const longestAnswerMs = 20_000

export interface ClientOptions {
  readonly signal: AbortSignal
  /** Whether a platform that is not there is waited for: one that was killed comes back. */
  readonly patient?: boolean
  /** After how long a call without a whole answer has failed. */
  readonly answersWithinMs?: number
}

interface Call {
  readonly body?: unknown
  readonly headers?: Readonly<Record<string, string>>
  /** Answers beside 2xx that are no failures. */
  readonly takes?: readonly number[]
}

interface Answer {
  readonly status: number
  readonly text: string
  readonly retryAfterSeconds: number
}

/** Calls until there is a whole answer. Every call may be repeated: each names what it makes. */
function askerOf(
  address: string,
  key: string,
  { signal, patient = false, answersWithinMs = longestAnswerMs }: ClientOptions,
) {
  const url = address.replace(/\/+$/, '')
  return async (method: string, path: string, { body, headers = {}, takes = [] }: Call = {}): Promise<Answer> => {
    const request = {
      method,
      headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json', ...headers },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    }
    for (let tried = 1; ; tried++) {
      const answer = await answerOf(`${url}${path}`, request, signal, answersWithinMs).catch((error: unknown) => {
        if (!patient || signal.aborted) throw error
      })
      if (answer === undefined) {
        await pause(whileDownMs, undefined, { signal })
        continue
      }
      const { status, text, retryAfterSeconds } = answer
      if ((status >= 200 && status < 300) || takes.includes(status)) return answer
      const passes = status === 429 || status === 503 || (patient && status >= 500)
      if ((tried >= triesMax && !patient) || !passes || !(retryAfterSeconds <= 10))
        throw new Error(`${method} ${path} answered ${status}: ${text.slice(0, 500)}`)
      await pause(Math.max(whileDownMs, retryAfterSeconds * 1_000), undefined, { signal })
    }
  }
}

/**
 * One call with its body, or an error when that takes too long. The timer is the call's own: the signal of
 * `AbortSignal.timeout` inside `AbortSignal.any` may be collected before it fires, and then the call waits forever
 * (https://github.com/nodejs/node/issues/57736).
 */
async function answerOf(url: string, request: RequestInit, signal: AbortSignal, withinMs: number): Promise<Answer> {
  signal.throwIfAborted()
  const call = new AbortController()
  const stop = () => call.abort(signal.reason)
  signal.addEventListener('abort', stop, { once: true })
  const timer = setTimeout(() => call.abort(new Error(`no answer within ${withinMs} ms from ${url}`)), withinMs)
  try {
    const response = await fetch(url, { ...request, signal: call.signal })
    const text = await response.text()
    return { status: response.status, text, retryAfterSeconds: Number(response.headers.get('retry-after')) }
  } finally {
    clearTimeout(timer)
    signal.removeEventListener('abort', stop)
  }
}

export function clientOf(address: string, key: string, options: ClientOptions): Client {
  const ask = askerOf(address, key, options)
  const call = async <T>(method: string, path: string, shape: z.ZodType<T>, more?: Call): Promise<T> => {
    const { text } = await ask(method, path, more)
    return shape.parse(text === '' ? undefined : JSON.parse(text))
  }
  const done = async (method: string, path: string, more?: Call) => void (await call(method, path, z.unknown(), more))
  const of = (id: string) => `/v1/workflows/${id}`

  return {
    register: (agent, as) => call('PUT', `/v1/agents/${agent}`, registered, { body: as }),
    subscribe: async (id, as) => (await ask('PUT', `/v1/subscriptions/${id}`, { body: as })).status === 201,
    unsubscribe: (id) => done('DELETE', `/v1/subscriptions/${id}`, { takes: [404] }),
    publish: async (message) => {
      const body = { id: crypto.randomUUID(), ...message }
      return (await call('POST', '/v1/messages', accepted, { body })).deliveries.map((d) => d.id)
    },
    receipt: (delivery) => call('GET', `/v1/deliveries/${delivery}`, receipt),
    receiptsOf: async (agent, status) =>
      (await call('GET', `/v1/agents/${agent}/deliveries${status === undefined ? '' : `?status=${status}`}`, receipts))
        .items,
    lease: async (agent) =>
      (await call('POST', `/v1/agents/${agent}/lease`, leased, { body: { max: 1, waitSeconds: 10 } })).deliveries,
    ack: (delivery, token) =>
      done('POST', `/v1/deliveries/${delivery}/ack`, { body: { token, result: { read: true } } }),
    remove: (agent) => done('DELETE', `/v1/agents/${agent}?mail=dead`, { takes: [404] }),
    breaker: (agent) => call('GET', `/v1/agents/${agent}/breaker`, breaker),
    createWorkflow: async (as) =>
      (
        await call('POST', '/v1/workflows', created, {
          body: { id: `demo-${crypto.randomUUID().replaceAll('-', '').slice(0, 12)}`, ...as },
        })
      ).id,
    workflow: (id) => call('GET', of(id), workflow),
    history: async (id, after = 0) => (await call('GET', `${of(id)}/history?after=${after}`, entries)).items,
    sentBy: async (id) => (await call('GET', `${of(id)}/messages`, sent)).items,
    state: (id) => call('GET', `${of(id)}/state`, state),
    patch: async (id, patch, version) => {
      const headers = { 'if-match': `"${version}"`, 'content-type': 'application/merge-patch+json' }
      const { status, text } = await ask('PATCH', `${of(id)}/state`, { body: patch, headers, takes: [412] })
      const answer: unknown = JSON.parse(text)
      if (status === 412) {
        const { lastWriter, ...rest } = stale.parse(answer)
        return { status: 'stale', ...rest, lastWriter: lastWriter.by }
      }
      return { status: 'written', ...state.parse(answer) }
    },
    as: (other) => clientOf(address, other, options),
  }
}
