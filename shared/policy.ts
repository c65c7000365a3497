/**
 * What an operator may decide per agent, with its defaults. Resolved once: past `resolvePolicy` nothing is optional.
 * Every number of seconds may be a fraction. Never here: what the mailbox does with it (shared/mailbox.ts).
 */
import * as z from 'zod'
import { batchInput, batchPolicy, resolveBatch } from './batch-policy.ts'
import { type BreakerPolicy, breakerPolicy, defaultBreakerPolicy } from './breaker.ts'
import { catchUpPolicy } from './catch-up-policy.ts'
import { headOfLineInput, headOfLinePolicy, resolveHeadOfLine } from './head-policy.ts'
import { agentName } from './ids.ts'
import { limits } from './limits.ts'

export const agentKind = z.enum(['webhook', 'handler', 'pull'])
export type AgentKind = z.infer<typeof agentKind>

const seconds = (max: number) => z.number().min(0).max(max)
const day = 86_400
const parkedDefaultSeconds = 30 * day

const backoffCurve = z.strictObject({
  initialSeconds: seconds(day),
  factor: z.number().min(1).max(100),
  capSeconds: seconds(30 * day),
  jitter: z.enum(['full', 'none']),
})
export type BackoffCurve = z.infer<typeof backoffCurve>

/**
 * Named curves. `quick`: calls that heal in seconds. `llm`: model providers, whose limits heal in minutes.
 * `webhook`: patient, close to the schedule that Standard Webhooks advises (5 s, 5 min, 30 min, 2 h, …).
 */
export const backoffPresets = {
  quick: { initialSeconds: 0.2, factor: 2, capSeconds: 5, jitter: 'full' },
  llm: { initialSeconds: 2, factor: 5, capSeconds: 1_800, jitter: 'full' },
  webhook: { initialSeconds: 5, factor: 20, capSeconds: 36_000, jitter: 'full' },
} as const satisfies Record<string, BackoffCurve>

const defaultBackoff: BackoffCurve = { initialSeconds: 1, factor: 2, capSeconds: 3_600, jitter: 'full' }

/** At most `limit` attempts begin within any `perSeconds`. */
const rateSchema = z.strictObject({ limit: z.int().min(1).max(1_000), perSeconds: z.number().min(0.05).max(day) })
export type Rate = z.infer<typeof rateSchema>

/** What has not come so far by then is told; with a fallback, it goes to that agent's mailbox. */
const alertSchema = z.strictObject({
  rung: z.enum(['dispatched', 'claimed', 'completed']),
  /** From when it became due. */
  afterSeconds: z
    .number()
    .min(0.05)
    .max(30 * day),
  fallback: agentName.exactOptional(),
})

/** What becomes of a publisher's message while the breaker is open (shared/on-open.ts). */
const onOpenSchema = z.union([z.enum(['park', 'reject']), z.strictObject({ divert: agentName })])

/** What PUT /v1/agents/{agent} takes as `policy`: every part optional. */
export const policyInput = z.strictObject({
  depth: z.int().min(1).max(100_000).optional(),
  maxAttempts: z.int().min(1).max(limits.attemptsPerReceipt).optional(),
  timeoutSeconds: z.number().min(0.05).max(limits.timeoutSeconds).optional(),
  ack: z.enum(['response', 'later']).optional(),
  ackSeconds: z.number().min(0.05).max(limits.claimSeconds).optional(),
  backoff: z.union([z.enum(['quick', 'llm', 'webhook']), backoffCurve.partial()]).optional(),
  concurrency: z.int().min(1).max(1_000).optional(),
  rate: rateSchema.optional(),
  batch: batchInput.optional(),
  breaker: breakerPolicy.partial().extend({ window: breakerPolicy.shape.window.partial().optional() }).optional(),
  onOpen: onOpenSchema.optional(),
  headOfLine: headOfLineInput.optional(),
  quarantine: z.boolean().optional(),
  alert: alertSchema.optional(),
  catchUp: catchUpPolicy.optional(),
  dedupeSeconds: seconds(7 * day).optional(),
  receiptSeconds: seconds(7 * day).optional(),
  parkedSeconds: z.number().min(0.05).max(limits.delaySeconds).optional(),
})
export type PolicyInput = z.infer<typeof policyInput>

/** The policy in force. */
export const policySchema = z.strictObject({
  /** Deliveries that have not ended. A tenth is kept for effects, replies and redrives. */
  depth: z.int(),
  /** Attempts in all: 1 and its retries. */
  maxAttempts: z.int(),
  /** One attempt's deadline. */
  timeoutSeconds: z.number(),
  /** `response`: any 2xx is the ack. `later`: a 202 means "I will ack with the token". */
  ack: z.enum(['response', 'later']),
  /** How long after a 202 the ack may take, before extensions. */
  ackSeconds: z.number(),
  backoff: backoffCurve,
  /** Calls in flight at once: a batch is one. */
  concurrency: z.int(),
  /** Absent: no limit. */
  rate: rateSchema.exactOptional(),
  /** Absent: each message is a call of its own. */
  batch: batchPolicy.exactOptional(),
  breaker: breakerPolicy,
  /** Absent: `park`. */
  onOpen: onOpenSchema.exactOptional(),
  /** Absent: a line waits for its head. */
  headOfLine: headOfLinePolicy.exactOptional(),
  /** A message that crashes its handler at once, twice in a row in the same way, is a dead letter at once: `poison`. */
  quarantine: z.boolean().default(true),
  /** Absent: nobody is told how long anything takes. */
  alert: alertSchema.exactOptional(),
  /** What it wants of the mail that came while it was away. Absent: all. */
  catchUp: catchUpPolicy.exactOptional(),
  /** How long a publisher's key is remembered. */
  dedupeSeconds: z.number(),
  /** How long a receipt is kept after its delivery ended. */
  receiptSeconds: z.number(),
  /** How long a delivery may wait since it became due, whatever it waits for. */
  parkedSeconds: z.number().default(parkedDefaultSeconds),
})
export type Policy = z.infer<typeof policySchema>

export function resolvePolicy(kind: AgentKind, input: PolicyInput = {}): Policy {
  const backoff =
    typeof input.backoff === 'string'
      ? backoffPresets[input.backoff]
      : { ...defaultBackoff, ...defined(input.backoff ?? {}) }
  return {
    depth: input.depth ?? 1_000,
    maxAttempts: input.maxAttempts ?? 4,
    timeoutSeconds: input.timeoutSeconds ?? (kind === 'handler' ? 300 : 30),
    ack: input.ack ?? 'response',
    ackSeconds: input.ackSeconds ?? 300,
    backoff,
    concurrency: input.concurrency ?? 10,
    ...(input.rate === undefined ? {} : { rate: input.rate }),
    ...(input.batch === undefined ? {} : { batch: resolveBatch(input.batch) }),
    breaker: resolveBreaker(input.breaker),
    ...(input.onOpen === undefined ? {} : { onOpen: input.onOpen }),
    ...(input.headOfLine === undefined ? {} : { headOfLine: resolveHeadOfLine(input.headOfLine) }),
    quarantine: input.quarantine ?? true,
    ...(input.alert === undefined ? {} : { alert: input.alert }),
    ...(input.catchUp === undefined ? {} : { catchUp: input.catchUp }),
    dedupeSeconds: input.dedupeSeconds ?? day,
    receiptSeconds: input.receiptSeconds ?? day,
    parkedSeconds: input.parkedSeconds ?? parkedDefaultSeconds,
  }
}

/** The breaker in force, defaults filled in. */
export function resolveBreaker(input: PolicyInput['breaker'] = {}): BreakerPolicy {
  const { window, ...rest } = input
  return {
    ...defaultBreakerPolicy,
    ...defined(rest),
    window: { ...defaultBreakerPolicy.window, ...defined(window ?? {}) },
  }
}

function defined<T extends object>(value: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(value).filter(([, v]) => v !== undefined)) as {
    [K in keyof T]: Exclude<T[K], undefined>
  }
}

/** What ordinary publishers may fill; the rest of `depth` is for what the broker itself must place (section "Mailbox" of docs/protocol.md). */
export function publisherDepth(policy: Policy): number {
  return policy.depth - Math.floor(policy.depth / 10)
}

/**
 * A lease is the attempt's deadline plus a margin. Half of the margin is for waiting for a connection slot, the other half
 * for reporting back, so that an honest report never arrives after its lease.
 */
export function leaseMarginMs(policy: Policy): number {
  return Math.min(15_000, Math.max(1_000, (policy.timeoutSeconds * 1_000) / 3))
}

export function leaseMs(policy: Policy): number {
  return policy.timeoutSeconds * 1_000 + leaseMarginMs(policy)
}

/** How long a delivery may wait for a connection slot before it is given back `unsent`. */
export function slotWaitMs(policy: Policy): number {
  return leaseMarginMs(policy) / 2
}
