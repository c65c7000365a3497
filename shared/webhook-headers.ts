/**
 * Headers of a webhook's own: what a receiver behind a gateway wants to see beside the signature, such as a bearer token. Their values
 * are secrets: stored, sent, and told to nobody. Never here: the headers of every call (workers/webhook.ts).
 */
import * as z from 'zod'
import { limits } from './limits.ts'

/** What every call says itself, and what belongs to the connection rather than to the message. */
const reserved =
  /^(?:webhook-.*|switchboard-.*|cf-.*|x-forwarded-.*|proxy-.*|content-.*|traceparent|tracestate|user-agent|host|connection|keep-alive|te|trailer|transfer-encoding|upgrade|expect|cookie|date)$/

const name = z
  .string()
  .max(limits.webhookHeaderName)
  .regex(/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/, 'is no name of a header: letters, digits and -')
  .transform((text) => text.toLowerCase())
  .refine((text) => !reserved.test(text), 'is a header that Switchboard or the connection sets')

// No end of a line, so that no value makes a header of its own; nothing that Latin-1 and UTF-8 write differently.
const value = z
  .string()
  .min(1)
  .max(limits.webhookHeaderValue)
  .regex(/^[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?$/, 'is printable ASCII, without blanks around it')

/** As they are registered. Names are told apart whatever their case. */
export const webhookHeaders = z
  .record(z.string(), value)
  .superRefine((headers, ctx) => {
    const names = new Set<string>()
    for (const key of Object.keys(headers)) {
      const read = name.safeParse(key)
      const message = read.success ? undefined : (read.error.issues[0]?.message ?? 'is no name of a header')
      if (message !== undefined) ctx.addIssue({ code: 'custom', path: [key], message })
      else if (names.has(key.toLowerCase())) ctx.addIssue({ code: 'custom', path: [key], message: 'is there twice' })
      names.add(key.toLowerCase())
    }
    if (names.size > limits.webhookHeaders)
      ctx.addIssue({ code: 'custom', message: `at most ${limits.webhookHeaders} headers` })
  })
  .transform((headers) => Object.fromEntries(Object.entries(headers).map(([key, text]) => [key.toLowerCase(), text])))

export type WebhookHeaders = Readonly<Record<string, string>>

/** What a registration leaves out stays, as a secret does that nobody can read back; but it is not sent to another url. */
export function headersInForce(
  asked: WebhookHeaders | undefined,
  kept: WebhookHeaders | undefined,
  sameUrl: boolean,
): { readonly headers?: WebhookHeaders } {
  const headers = asked ?? (sameUrl ? kept : undefined)
  return headers === undefined || Object.keys(headers).length === 0 ? {} : { headers }
}
