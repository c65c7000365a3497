/**
 * What an attempt says of a resource that it used: a model of a provider, an API, whatever several agents share and name alike.
 * Its name, the report, and the header that carries it. Never here: what a report means (shared/blame.ts), or what the resource
 * makes of it (shared/resource.ts).
 */
import * as z from 'zod'
import { limits } from './limits.ts'

/** Such as `openai/gpt-5`. Each part is a token of the topic on which it is announced. */
export const resourceName = z
  .string()
  .max(limits.resourceNameLength)
  .regex(
    /^[A-Za-z0-9_-]+(?:[./:][A-Za-z0-9_-]+)*$/,
    'a resource is parts of A-Z, a-z, 0-9, _ and -, joined by `/`, `.` or `:`',
  )

export const resourceNames = z
  .array(resourceName)
  .max(limits.resourcesPerAgent)
  .refine((names) => new Set(names).size === names.length, 'names a resource twice')

/** How the resource answered. `status` is an HTTP status; what did not answer at all is a 504. */
export const resourceReport = z.strictObject({
  name: resourceName,
  status: z.int().min(100).max(599),
  retryAfterMs: z
    .number()
    .min(0)
    .max(limits.resourceHoldSeconds * 1_000)
    .exactOptional(),
})
export type ResourceReport = z.infer<typeof resourceReport>

/** A report as a client makes it. */
export const resourceInput = resourceReport
  .omit({ retryAfterMs: true })
  .extend({ retryAfterSeconds: z.number().min(0).max(limits.resourceHoldSeconds).optional() })
  .describe('A resource that the agent declares, and how it answered: an error of it is not the agent’s fault.')

/** A report as a program makes it. A longer pause than is kept is cut; undefined when it is none. */
export function reportFrom(name: unknown, status: unknown, retryAfterSeconds?: unknown): ResourceReport | undefined {
  const seconds = typeof retryAfterSeconds === 'number' && retryAfterSeconds >= 0 ? retryAfterSeconds : undefined
  const retryAfterMs = seconds === undefined ? undefined : Math.min(seconds, limits.resourceHoldSeconds) * 1_000
  const parsed = resourceReport.safeParse({ name, status, ...(retryAfterMs === undefined ? {} : { retryAfterMs }) })
  return parsed.success ? parsed.data : undefined
}

export const resourceHeader = 'switchboard-resource-error'

/**
 * `switchboard-resource-error: openai/gpt-5 429 retry-after=20`, several joined by commas. What cannot be read is left out: an
 * answer must not be lost over a header beside it.
 */
export function readResourceHeader(value: string | null | undefined): ResourceReport[] {
  const items = (value ?? '').split(',').slice(0, limits.resourcesPerAgent)
  return items.flatMap((item) => {
    const found = /^\s*(\S+)\s+(\d{3})(?:\s+retry-after=(\d{1,9}(?:\.\d{1,9})?))?\s*$/i.exec(item)
    if (found === null) return []
    const seconds = found[3] === undefined ? undefined : Number(found[3])
    return reportFrom(found[1], Number(found[2]), seconds) ?? []
  })
}
