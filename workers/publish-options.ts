/**
 * What a publish takes from its call beside the message: the key that names it, the caller's trace, and how much the caller may
 * publish. Never here: the message.
 */
import type { Context } from 'hono'
import { directoryVersion } from '../shared/api-operation.ts'
import type { App } from './context.ts'
import { idempotencyKeyOf } from './idempotency-key.ts'
import { meter } from './meter.ts'
import { refuse } from './problem.ts'
import type { PublishOptions } from './route.ts'

/** Whoever publishes comes by here, so here it is counted too. */
export function publishOptions(c: Context<App>, messages = 1): PublishOptions {
  const idempotencyKey = idempotencyKeyOf(c)
  meter(c, messages)
  const traceparent = c.req.header('traceparent')
  const tracestate = c.req.header('tracestate')
  const directoryVersion = seenVersion(c)
  return {
    ...(idempotencyKey === undefined ? {} : { idempotencyKey }),
    ...(traceparent === undefined ? {} : { traceparent }),
    ...(tracestate === undefined ? {} : { tracestate }),
    ...(directoryVersion === undefined ? {} : { directoryVersion }),
  }
}

function seenVersion(c: Context<App>): number | undefined {
  const text = c.req.header(directoryVersion.name)
  if (text === undefined) return undefined
  const parsed = directoryVersion.schema.safeParse(text)
  if (parsed.success) return Number(text)
  const message = 'the number that the answer to a change of the directory told in this header'
  return refuse({ code: 'invalid_request', issues: [{ path: directoryVersion.name, message }] })
}
