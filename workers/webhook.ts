/**
 * One signed POST to a webhook, under a deadline. Standard Webhooks: `webhook-id` is the delivery's and stays the same across
 * attempts, the timestamp is this attempt's, the raw bytes are signed. Redirects are not followed.
 * Never here: what the answer means (shared/outcome.ts), whether there is a slot (workers/slots.ts).
 */
import type { AgentRecord } from '../shared/agent.ts'
import { liveSecrets } from '../shared/agent-secret.ts'
import { limits } from '../shared/limits.ts'
import type { Answer, AttemptError } from '../shared/outcome.ts'
import type { FetchedAnswer, Platform } from '../shared/ports.ts'
import { readResourceHeader, resourceHeader } from '../shared/resource-report.ts'
import { sign } from '../shared/signature.ts'
import { continueTrace } from '../shared/trace.ts'
import { checkWebhookUrl } from '../shared/webhook-url.ts'

export interface WebhookCall {
  readonly id: string
  readonly body: string
  readonly traceparent?: string
  readonly tracestate?: string
  /** The span of this very call, when it is recorded: the receiver's own hang on it. */
  readonly hop?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly timeoutMs: number
  /** How much of the answer is read. */
  readonly answerBytes?: number
  /** Called when response headers came: the connection no longer counts against the platform's limit. */
  readonly onHeaders?: () => void
}

export type Posted =
  | { readonly ok: true; readonly answer: Answer }
  | { readonly ok: false; readonly error: AttemptError }

/** Posts and reads the answer. Every failure of the wire is a value. */
export async function postWebhook(platform: Platform, agent: AgentRecord, call: WebhookCall): Promise<Posted> {
  const url = allowedUrl(agent, platform.settings.development)
  if (!url.ok) return { ok: false, error: { code: 'invalid_url', message: 'the registered url is not allowed' } }
  const controller = new AbortController()
  let stop: () => void = () => undefined
  const expired = new Promise<never>((_, reject) => {
    stop = platform.after(call.timeoutMs, () => {
      controller.abort()
      reject(new Error('aborted'))
    })
  })
  // Raced against only once there are headers.
  expired.catch(() => undefined)
  try {
    const response = await platform.fetch(url.value, {
      method: 'POST',
      headers: headersOf(platform, agent, call),
      body: call.body,
      redirect: 'manual',
      signal: controller.signal,
    })
    call.onHeaders?.()
    const { text, truncated } = await readBounded(response, call.answerBytes ?? limits.answerBytes, expired)
    const { status, headers } = response
    const [retryAfter, resources] = [headers.get('retry-after'), readResourceHeader(headers.get(resourceHeader))]
    return {
      ok: true,
      answer: { status, retryAfter, body: text, truncated, ...(resources.length > 0 && { resources }) },
    }
  } catch (error) {
    if (controller.signal.aborted)
      return { ok: false, error: { code: 'timeout', message: `no answer within ${call.timeoutMs} ms` } }
    return { ok: false, error: { code: 'network', message: String(error).slice(0, limits.errorMessageLength) } }
  } finally {
    stop()
    call.onHeaders?.()
  }
}

// Checked again here, not only at registration: the rules may have become stricter since. Once for all that one call has taken.
const checked = new WeakMap<AgentRecord, ReturnType<typeof checkWebhookUrl>>()
function allowedUrl(agent: AgentRecord, development: boolean) {
  const known = checked.get(agent) ?? checkWebhookUrl(agent.url ?? '', { development })
  checked.set(agent, known)
  return known
}

function headersOf(platform: Platform, agent: AgentRecord, call: WebhookCall): Record<string, string> {
  const now = platform.now()
  const timestampSeconds = Math.floor(now / 1_000)
  const trace = continueTrace({ traceparent: call.traceparent, tracestate: call.tracestate }, (bytes) =>
    platform.hex(bytes),
  )
  return {
    ...agent.headers,
    'content-type': 'application/cloudevents+json; charset=utf-8',
    'user-agent': 'switchboard',
    'webhook-id': call.id,
    'webhook-timestamp': String(timestampSeconds),
    'webhook-signature': sign(liveSecrets(agent, now), call.id, timestampSeconds, call.body),
    traceparent: call.hop ?? trace.traceparent,
    ...(trace.tracestate === undefined ? {} : { tracestate: trace.tracestate }),
    ...call.headers,
  }
}

// Reads at most `limitBytes`; a receiver that streams for ever is cut by the deadline or by the limit, whichever is first.
async function readBounded(
  response: FetchedAnswer,
  limitBytes: number,
  expired: Promise<never>,
): Promise<{ text: string; truncated: boolean }> {
  if (response.body === null) return { text: '', truncated: false }
  // No longer than it says, unless it was compressed. To read it whole costs a fraction of reading it in chunks.
  const { headers } = response
  const length = headers.get('content-encoding') === null ? headers.get('content-length') : null
  // To read even nothing is a turn of the event loop.
  if (length === '0') return { text: '', truncated: false }
  if (length !== null && Number(length) <= limitBytes)
    return { text: await Promise.race([response.text(), expired]), truncated: false }
  const reader = response.body.getReader()
  const decoder = new TextDecoder()
  let text = ''
  let bytes = 0
  for (;;) {
    const { done, value } = await Promise.race([reader.read(), expired])
    if (done) return { text: text + decoder.decode(), truncated: false }
    text += decoder.decode(value.subarray(0, limitBytes - bytes), { stream: true })
    bytes += value.byteLength
    if (bytes > limitBytes) {
      await reader.cancel().catch(() => undefined)
      return { text, truncated: true }
    }
  }
}
