/**
 * What of the platform's answers the demo reads. Never here: asking for them.
 */
import * as z from 'zod'

const effectState = z.discriminatedUnion('status', [
  z.object({ status: z.literal('pending') }),
  z.object({ status: z.literal('carried'), deliveries: z.array(z.string()) }),
  z.object({ status: z.literal('refused'), reason: z.string(), detail: z.string() }),
])

const effect = z.object({
  n: z.number(),
  publish: z.object({ type: z.string().optional(), to: z.string().optional() }),
  state: effectState,
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
export const receipts = z.object({ items: z.array(receipt) })

export const accepted = z.object({ deliveries: z.array(z.object({ id: z.string() })) })
export const leased = z.object({
  deliveries: z.array(z.object({ id: z.string(), token: z.string(), message: z.object({ data: z.unknown() }) })),
})
export type Leased = z.infer<typeof leased>['deliveries'][number]

export const registered = z.object({ key: z.string().optional(), secret: z.string().optional() })

export type Registered = z.infer<typeof registered>

export const breaker = z.object({
  state: z.string(),
  history: z.array(z.object({ at: z.string(), from: z.string(), to: z.string(), cause: z.string() })),
})
export type BreakerSeen = z.infer<typeof breaker>

export const created = z.object({ id: z.string() })
export const workflow = z.object({
  id: z.string(),
  status: z.string(),
  value: z.unknown().optional(),
  version: z.number(),
  output: z.unknown().optional(),
  error: z.object({ code: z.string(), detail: z.string() }).optional(),
  paused: z.object({ reason: z.string() }).optional(),
})
export type WorkflowSeen = z.infer<typeof workflow>

export const historyEntry = z.object({
  n: z.number(),
  at: z.string(),
  by: z.string(),
  kind: z.string(),
  version: z.number(),
  status: z.string(),
  event: z.object({ type: z.string() }).optional(),
  path: z.array(z.object({ from: z.unknown(), to: z.unknown(), event: z.string() })).default([]),
  fields: z.array(z.string()).default([]),
  detail: z.string().optional(),
})
export type HistoryEntry = z.infer<typeof historyEntry>
export const entries = z.object({ items: z.array(historyEntry) })

export const sent = z.object({
  items: z.array(z.object({ n: z.number(), id: z.string(), type: z.unknown(), state: effectState })),
})
export type Sent = z.infer<typeof sent>['items'][number]

export const state = z.object({ version: z.number(), state: z.record(z.string(), z.unknown()) })
export type StateSeen = z.infer<typeof state>
export const stale = z.object({
  expected: z.number(),
  actual: z.number(),
  lastWriter: z.object({ by: z.string() }),
  state: z.record(z.string(), z.unknown()),
})
