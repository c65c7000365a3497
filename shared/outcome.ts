/**
 * The messy world, squeezed into one union at its edge. What an attempt came to decides what the mailbox does; nothing
 * past this file knows about HTTP. Never here: the request itself (workers/webhook.ts).
 */
import * as z from 'zod'
import { asksForEffects, effectsInput, passesAndMore } from './effects.ts'
import { deeperThan, utf8Length } from './json.ts'
import { isJsonObject } from './json-pointer.ts'
import { limits } from './limits.ts'
import { type ResourceReport, resourceReport } from './resource-report.ts'
import { usageSchema } from './usage.ts'

export const attemptError = z.strictObject({
  /** `http`, `timeout`, `network`, `handler`, `no_handler`, `nack`, `silence`, `resource`, … */
  code: z.string(),
  message: z.string(),
  httpStatus: z.int().optional(),
  /** The first bytes of the answer, as evidence. */
  body: z.string().optional(),
})
export type AttemptError = z.infer<typeof attemptError>

/** What it says of resources that its agent declares. */
const resources = z.array(resourceReport).optional()

export const outcomeSchema = z.discriminatedUnion('kind', [
  /** Done. `effects` is still raw: the mailbox expands it, so that it is journaled whatever it is. */
  z.strictObject({
    kind: z.literal('ok'),
    result: z.unknown().optional(),
    effects: z.unknown().optional(),
    httpStatus: z.int().optional(),
    resources,
  }),
  /** 202 under `ack: "later"`: the receiver has it and will settle with the token. */
  z.strictObject({
    kind: z.literal('later'),
    httpStatus: z.int(),
    /** The ack window of its agent. */
    goesOnMs: z.number().optional(),
    resources,
  }),
  /** Failed, may work next time. `delayMs` is a pause that the receiver asked for: exact, in place of the curve. */
  z.strictObject({
    kind: z.literal('retry'),
    error: attemptError,
    retryAfterMs: z.number().optional(),
    delayMs: z.number().optional(),
    /** What it used all the same. */
    usage: usageSchema.optional(),
    resources,
  }),
  /** Will never work for this message; the agent is fine. */
  z.strictObject({ kind: z.literal('fail'), error: attemptError, usage: usageSchema.optional(), resources }),
  /** The agent, or a resource that it needs, asks for quiet: all of its mail is held, no attempt burned (M4). */
  z.strictObject({ kind: z.literal('hold'), error: attemptError, holdMs: z.number(), resources }),
  /** 410: the agent is gone. It is paused and its mail parked. */
  z.strictObject({ kind: z.literal('gone'), error: attemptError }),
  /** Never started: no connection slot in time. Burns nothing. */
  z.strictObject({ kind: z.literal('unsent') }),
  /** Never started: a resource that the agent needs lets nobody through. Its mail is held that long, and nothing is burned. */
  z.strictObject({
    kind: z.literal('parked'),
    because: z.string(),
    holdMs: z.number(),
    /** It is this workflow that lets it not begin; the agent's other mail is not held. */
    workflow: z.string().optional(),
    /** The workflow has ended: it will never begin. */
    over: z.literal(true).optional(),
  }),
])
export type Outcome = z.infer<typeof outcomeSchema>

/** A receiver's answer, as plain data. `body` holds at most `limits.answerBytes`. */
export interface Answer {
  readonly status: number
  readonly retryAfter: string | null
  readonly body: string
  readonly truncated: boolean
  /** What it reported of resources. */
  readonly resources?: readonly ResourceReport[]
}

const terminal: ReadonlySet<number> = new Set([400, 409, 413, 415, 422])
/** Says that the request was wrong: whoever can tell is well. */
export const isAboutMessage = (status: number): boolean => terminal.has(status)
const throttling: ReadonlySet<number> = new Set([502, 503, 504])
const defaultHoldMs = 5_000
// A hold burns no attempt (M4), so a receiver that asks for no pause at all would be asked again in a tight loop for ever.
export const minHoldMs = 1_000

/** docs/protocol.md, "What a webhook may answer". A redirect is not followed and is a failure. */
export function outcomeOfAnswer(answer: Answer, ack: 'response' | 'later', now: number): Outcome {
  const { status } = answer
  if (status >= 200 && status < 300) {
    if (status === 202 && ack === 'later') return { kind: 'later', httpStatus: status }
    return { kind: 'ok', httpStatus: status, ...readAnswer(answer) }
  }
  const error: AttemptError = {
    code: 'http',
    message: status >= 300 && status < 400 ? `answered ${status}; redirects are not followed` : `answered ${status}`,
    httpStatus: status,
    ...(answer.body === '' ? {} : { body: answer.body.slice(0, limits.errorBodyBytes) }),
  }
  const askedMs = retryAfterMs(answer.retryAfter, now)
  if (status === 410) return { kind: 'gone', error }
  if (status === 429) return { kind: 'hold', error, holdMs: Math.max(minHoldMs, askedMs ?? defaultHoldMs) }
  if (throttling.has(status) && askedMs !== undefined)
    return { kind: 'hold', error, holdMs: Math.max(minHoldMs, askedMs) }
  if (terminal.has(status)) return { kind: 'fail', error }
  return { kind: 'retry', error, ...(askedMs === undefined ? {} : { retryAfterMs: askedMs }) }
}

/** RFC 9110, 10.2.3: seconds or an HTTP date. Bounded by a year; nonsense is as good as absent. */
export function retryAfterMs(value: string | null, now: number): number | undefined {
  const text = (value ?? '').trim()
  const ms = /^\d+(?:\.\d+)?$/.test(text) ? Number(text) * 1_000 : httpDate(text) - now
  return Number.isNaN(ms) ? undefined : Math.min(Math.max(0, Math.ceil(ms)), limits.delaySeconds * 1_000)
}

// Only what looks like an HTTP date, because engines make a date of nearly any words with a number behind. Of the three
// forms asctime's names no zone, and means GMT as the others do.
function httpDate(text: string): number {
  if (!/^[A-Z][a-z]{2}.*\d{2}:\d{2}:\d{2}/.test(text)) return Number.NaN
  return Date.parse(text.endsWith('GMT') ? text : `${text} GMT`)
}

// An empty or non-JSON answer is a plain ack. An object that names an effect is effects (and may carry a `result` beside
// them); any other JSON is the result. What is too large or too deep becomes a refused effect, told on the receipt, because
// the work is done.
function readAnswer(answer: Answer): { result?: unknown; effects?: unknown } {
  if (answer.truncated) return { effects: { refused: `the answer has more than ${limits.answerBytes} bytes` } }
  if (answer.body.trim() === '') return {}
  let parsed: unknown
  try {
    parsed = JSON.parse(answer.body)
  } catch {
    return {}
  }
  // Deeper, it could bring down whoever prints it, and with it the reports that travel beside it.
  if (deeperThan(parsed, limits.jsonDepth))
    return { effects: { refused: `the answer is nested deeper than ${limits.jsonDepth}` } }
  return splitAnswer(parsed)
}

/** Splits a JSON answer into its result and its effects. */
export function splitAnswer(parsed: unknown): { result?: unknown; effects?: unknown } {
  if (!isJsonObject(parsed) || !asksForEffects(parsed)) return { result: parsed }
  const { result, ...effects } = parsed
  return { effects, ...(result === undefined ? {} : { result }) }
}

/** Stands where effects would, when an answer could not be read: why there are none. */
const unread = z.strictObject({ refused: z.string() })

/** Parses raw effects; the reason for a refusal otherwise. */
export function parseEffects(
  raw: unknown,
): { ok: true; value: z.infer<typeof effectsInput> } | { ok: false; reason: string } {
  if (raw === undefined) return { ok: true, value: {} }
  const told = unread.safeParse(raw)
  if (told.success) return { ok: false, reason: told.data.refused }
  if (utf8Length(JSON.stringify(raw)) > limits.effectsBytes)
    return { ok: false, reason: `effects are limited to ${limits.effectsBytes} bytes` }
  const parsed = effectsInput.safeParse(raw)
  if (parsed.success && passesAndMore(parsed.data)) return { ok: false, reason: 'pass: stands alone' }
  if (parsed.success) return { ok: true, value: parsed.data }
  return {
    ok: false,
    reason: parsed.error.issues.map((i) => `${i.path.join('.') || '(effects)'}: ${i.message}`).join('; '),
  }
}
