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

export interface ClientOptions {
  readonly signal: AbortSignal
  /** Whether a platform that is not there is waited for: one that was killed comes back. */
  readonly patient?: boolean
}

interface Call {
  readonly body?: unknown
  readonly headers?: Readonly<Record<string, string>>
  /** Answers beside 2xx that are no failures. */
  readonly takes?: readonly number[]
}

/** Calls until there is an answer. Every call may be repeated: each names what it makes. */
function askerOf(address: string, key: string, { signal, patient = false }: ClientOptions) {
  const url = address.replace(/\/+$/, '')
  return async (method: string, path: string, { body, headers = {}, takes = [] }: Call = {}): Promise<Response> => {
    for (let tried = 1; ; tried++) {
      const response = await fetch(`${url}${path}`, {
        method,
        headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json', ...headers },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
        signal: AbortSignal.any([signal, AbortSignal.timeout(60_000)]),
      }).catch((error: unknown) => {
        if (!patient || signal.aborted) throw error
      })
      if (response === undefined) {
        await pause(whileDownMs, undefined, { signal })
        continue
      }
      if (response.ok || takes.includes(response.status)) return response
      const pauseSeconds = Number(response.headers.get('retry-after'))
      const passes = response.status === 429 || response.status === 503 || (patient && response.status >= 500)
      if ((tried >= triesMax && !patient) || !passes || !(pauseSeconds <= 10))
        throw new Error(`${method} ${path} answered ${response.status}: ${(await response.text()).slice(0, 500)}`)
      await pause(Math.max(whileDownMs, pauseSeconds * 1_000), undefined, { signal })
    }
  }
}

export function clientOf(address: string, key: string, options: ClientOptions): Client {
  const ask = askerOf(address, key, options)
  const call = async <T>(method: string, path: string, shape: z.ZodType<T>, more?: Call): Promise<T> => {
    const text = await (await ask(method, path, more)).text()
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
      const response = await ask('PATCH', `${of(id)}/state`, { body: patch, headers, takes: [412] })
      const answer: unknown = await response.json()
      if (response.status === 412) {
        const { lastWriter, ...rest } = stale.parse(answer)
        return { status: 'stale', ...rest, lastWriter: lastWriter.by }
      }
      return { status: 'written', ...state.parse(answer) }
    },
    as: (other) => clientOf(address, other, options),
  }
}
