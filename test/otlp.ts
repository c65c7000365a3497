/**
 * What a collector takes: `ExportTraceServiceRequest` of opentelemetry-proto in proto3's JSON form, with ids in hex, as the OTLP
 * specification asks; nothing else in it. And the spans of requests, as tests look at them. Never here: an expectation.
 */
import * as z from 'zod'

const value = z.union([
  z.strictObject({ stringValue: z.string() }),
  z.strictObject({ intValue: z.string().regex(/^-?\d+$/) }),
])
const attributes = z.array(z.strictObject({ key: z.string().min(1), value }))
const traceId = z.string().regex(/^(?!0{32})[0-9a-f]{32}$/)
const spanId = z.string().regex(/^(?!0{16})[0-9a-f]{16}$/)
const nanos = z.string().regex(/^\d{1,20}$/)

const span = z.strictObject({
  ...{ traceId, spanId, parentSpanId: spanId.optional(), name: z.string().min(1) },
  kind: z.int().min(1).max(5),
  ...{ startTimeUnixNano: nanos, endTimeUnixNano: nanos, attributes },
  links: z.array(z.strictObject({ traceId, spanId })).optional(),
  status: z.strictObject({ code: z.int().min(0).max(2), message: z.string().optional() }).optional(),
})
export type WireSpan = z.infer<typeof span>

const request = z.strictObject({
  resourceSpans: z.array(
    z.strictObject({
      resource: z.strictObject({ attributes }),
      scopeSpans: z.array(z.strictObject({ scope: z.strictObject({ name: z.string() }), spans: z.array(span).min(1) })),
    }),
  ),
})

/** The spans of these bodies; throws when one is not what a collector takes. */
export function spansIn(bodies: readonly string[]): WireSpan[] {
  return bodies.flatMap((body) =>
    request.parse(JSON.parse(body)).resourceSpans.flatMap((r) => r.scopeSpans.flatMap((s) => s.spans)),
  )
}

export function attributeOf({ attributes: all }: WireSpan, key: string): string | undefined {
  const found = all.find((one) => one.key === key)?.value
  return found === undefined ? undefined : 'intValue' in found ? found.intValue : found.stringValue
}
