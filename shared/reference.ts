/**
 * What travels in the queues: references, with a version, because an old Worker's messages meet a new one's code.
 * Never here: bodies, except under at_most_once, which stores nothing.
 */
import * as z from 'zod'
import { auditTotal } from './audit.ts'
import { alertSchema } from './ladder.ts'
import { lineageSchema } from './lineage.ts'
import { messageSchema } from './message.ts'

/** On `deliveries`: take these from this agent's mailbox. `alone`: a suspect, to be run when its batch-mates are done. */
export const takeReference = z.strictObject({
  v: z.literal(1),
  agent: z.string(),
  deliveries: z.array(z.string()).min(1),
  alone: z.literal(true).optional(),
})

/** On `deliveries`, under at_most_once: the message itself. */
export const fleetingReference = z.strictObject({
  v: z.literal(1),
  agent: z.string(),
  fleeting: z.strictObject({
    id: z.string(),
    message: messageSchema,
    key: z.string(),
    contentHash: z.string(),
    hops: z.int(),
    lineage: lineageSchema.exactOptional(),
    /** How often it has come to the queue, when it found no place before. */
    tries: z.int().optional(),
  }),
})

export const reference = z.union([takeReference, fleetingReference])
export type Reference = z.infer<typeof reference>
export type TakeReference = z.infer<typeof takeReference>
export type FleetingReference = z.infer<typeof fleetingReference>

/** How far the hourly sweep got: through the agents, then the workflows that are open, and after whom. */
export const sweepSchema = z.strictObject({
  of: z.enum(['agents', 'running', 'paused']),
  cursor: z.string().exactOptional(),
  /** Agents, so far. */
  visited: z.int(),
  failed: z.int(),
  audit: auditTotal,
})
export type Sweep = z.infer<typeof sweepSchema>

/** On `work`: carry the effects and finish the burials of these; ask the webhook its challenge; go on with a publication or a gather; say how a breaker moved,
 * from one epoch to another. */
export const workReference = z.union([
  z.strictObject({ v: z.literal(1), agent: z.string(), deliveries: z.array(z.string()).min(1) }),
  z.strictObject({ v: z.literal(1), agent: z.string(), verify: z.literal(true) }),
  /** `after`: the agent whose leg was asked last. */
  z.strictObject({ v: z.literal(1), publication: z.string(), after: z.string().optional() }),
  // Carry out what a workflow has to send, and tell the index how it stands.
  z.strictObject({ v: z.literal(1), workflow: z.string() }),
  // Publish what is due of these.
  z.strictObject({ v: z.literal(1), schedules: z.array(z.string()).min(1) }),
  // Tell whom these questions to people concern.
  z.strictObject({ v: z.literal(1), approvals: z.array(z.string()).min(1) }),
  z.strictObject({ v: z.literal(1), gather: z.string() }),
  // Go on with the hourly sweep.
  z.strictObject({ v: z.literal(1), sweep: sweepSchema }),
  // Tell how a promise ended.
  z.strictObject({ v: z.literal(1), promise: z.string() }),
  z.strictObject({ v: z.literal(1), agent: z.string(), announce: z.strictObject({ after: z.int(), upTo: z.int() }) }),
  // Say that these are overdue, or since when the agent is paused.
  z.strictObject({ v: z.literal(1), agent: z.string(), overdue: z.array(alertSchema).min(1) }),
  z.strictObject({ v: z.literal(1), agent: z.string(), pausedSince: z.number() }),
  z.strictObject({
    v: z.literal(1),
    resource: z.string(),
    announce: z.strictObject({ after: z.int(), upTo: z.int() }),
  }),
])
export type WorkReference = z.infer<typeof workReference>

/** A release as the queue carries it. */
export function takeReferenceTo(
  agent: string,
  release: { readonly deliveries: readonly string[]; readonly alone?: true },
): TakeReference {
  return { v: 1, agent, deliveries: [...release.deliveries], ...(release.alone === undefined ? {} : { alone: true }) }
}
