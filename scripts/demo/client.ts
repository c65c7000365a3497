/**
 * The few calls the demo makes, with their answers parsed. Never here: what the demo does with them.
 */
import { setTimeout as pause } from 'node:timers/promises'
import * as z from 'zod'

const effect = z.object({
  n: z.number(),
  publish: z.object({ type: z.string().optional(), to: z.string().optional() }),
  state: z.discriminatedUnion('status', [
    z.object({ status: z.literal('pending') }),
    z.object({ status: z.literal('carried'), deliveries: z.array(z.string()) }),
    z.object({ status: z.literal('refused'), reason: z.string(), detail: z.string() }),
  ]),
})

export const receipt = z.object({
  id: z.string(),
  agent: z.string(),
  message: z.object({ id: z.string(), type: z.string(), source: z.string() }),
  status: z.string(),
  because: z.string().optional(),
  nextAttemptAt: z.string().optional(),
  steps: z.array(
    z.object({ step: z.string(), at: z.string(), attempt: z.number().optional(), detail: z.string().optional() }),
  ),
  attempts: z.array(
    z.object({ number: z.number(), outcome: z.string(), error: z.object({ message: z.string() }).optional() }),
  ),
  effects: z.array(effect).default([]),
  deadLetter: z.object({ id: z.string(), reason: z.string() }).optional(),
})
export type Receipt = z.infer<typeof receipt>

const accepted = z.object({ deliveries: z.array(z.object({ id: z.string() })).min(1) })
const leased = z.object({
  deliveries: z.array(z.object({ id: z.string(), token: z.string(), message: z.object({ data: z.unknown() }) })),
})
export type Leased = z.infer<typeof leased>['deliveries'][number]

export interface Client {
  registerPull(agent: string): Promise<void>
  /** The id of the delivery that the message became. */
  publish(message: Readonly<Record<string, unknown>>): Promise<string>
  receipt(delivery: string): Promise<Receipt>
  lease(agent: string): Promise<readonly Leased[]>
  ack(delivery: string, token: string): Promise<void>
  remove(agent: string): Promise<void>
}

const triesMax = 5

export function clientOf(address: string, key: string, signal: AbortSignal): Client {
  const url = address.replace(/\/+$/, '')
  const call = async <T>(method: string, path: string, body: unknown, shape: z.ZodType<T>): Promise<T> => {
    for (let tried = 1; ; tried++) {
      const response = await fetch(`${url}${path}`, {
        method,
        headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
        signal: AbortSignal.any([signal, AbortSignal.timeout(60_000)]),
      })
      const text = await response.text()
      if (response.ok) return shape.parse(text === '' ? undefined : JSON.parse(text))
      // Every call here may be repeated: the message is published under an id of our own.
      const pauseSeconds = Number(response.headers.get('retry-after'))
      if (tried === triesMax || !(response.status === 429 || response.status === 503) || !(pauseSeconds <= 10))
        throw new Error(`${method} ${path} answered ${response.status}: ${text.slice(0, 500)}`)
      await pause(pauseSeconds * 1_000, undefined, { signal })
    }
  }
  return {
    registerPull: async (agent) => void (await call('PUT', `/v1/agents/${agent}`, { kind: 'pull' }, z.unknown())),
    publish: async (message) => {
      const sent = { id: crypto.randomUUID(), ...message }
      return (await call('POST', '/v1/messages', sent, accepted)).deliveries[0]?.id ?? ''
    },
    receipt: (delivery) => call('GET', `/v1/deliveries/${delivery}`, undefined, receipt),
    lease: async (agent) =>
      (await call('POST', `/v1/agents/${agent}/lease`, { max: 1, waitSeconds: 10 }, leased)).deliveries,
    ack: async (delivery, token) =>
      void (await call('POST', `/v1/deliveries/${delivery}/ack`, { token, result: { read: true } }, z.unknown())),
    remove: async (agent) => void (await call('DELETE', `/v1/agents/${agent}?mail=dead`, undefined, z.unknown())),
  }
}
