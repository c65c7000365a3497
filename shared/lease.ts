/**
 * A lease: the right to work on a delivery until a deadline, fenced by a token. Never here: who gets one (shared/release.ts),
 * or what its end means (shared/settlement.ts).
 */
import * as z from 'zod'
import { limits } from './limits.ts'

/** `dispatched`: the broker runs it. `delivered`: a 202 was answered. `claimed`: an agent holds it by token. */
export const leasePhase = z.enum(['dispatched', 'delivered', 'claimed'])
export type LeasePhase = z.infer<typeof leasePhase>

/** How far an agent says that its work is. */
export const progressInput = z
  .strictObject({
    percent: z.number().min(0).max(100).optional(),
    note: z.string().min(1).max(limits.progressNoteLength).optional(),
  })
  .refine(({ percent, note }) => percent !== undefined || note !== undefined, 'needs `percent` or `note`')
export type ProgressInput = z.infer<typeof progressInput>

/** The latest that was said, and when. It ends with its lease: the next one begins from nothing. */
const progressSchema = progressInput.safeExtend({ at: z.number() })
export type Progress = z.infer<typeof progressSchema>

const batchSchema = z.strictObject({ n: z.int(), size: z.int() })
export type Batch = z.infer<typeof batchSchema>

const leaseSchema = z
  .strictObject({
    id: z.string(),
    token: z.string(),
    /** The call that granted it: its repeat is granted the same lease. */
    takeToken: z.string(),
    /** Counts this delivery's leases: `delivery.leases + 1` while in force. */
    number: z.int(),
    /** The row that saves it, shared by the leases of one take. */
    slot: z.int(),
    /** When its reference was enqueued, where there was one. */
    queuedAt: z.number().exactOptional(),
    at: z.number(),
    deadlineAt: z.number(),
    phase: leasePhase,
    /** When a lease that began otherwise became claimed, by an extension. */
    claimedAt: z.number().exactOptional(),
    progress: progressSchema.exactOptional(),
    /** The breaker's epoch when it was granted: a report of an older one changes nothing (B3). */
    epoch: z.int(),
    /** Ran alone in its isolate as far as the mailbox can tell, so silence is its own doing. */
    alone: z.boolean(),
    /** The call that carries it with others: its number, and how many they are. Absent: a call of its own. */
    batch: batchSchema.exactOptional(),
    /** Written to storage. The first lease of a delivery released at its accept is written behind (docs/decisions/0003). */
    saved: z.boolean(),
  })
  .readonly()
export type Lease = z.infer<typeof leaseSchema>

/** The leases of one take, as one row keeps them. */
const leaseRow = z.strictObject({ v: z.literal(1), leases: z.array(leaseSchema) })

/** A stored row, parsed as the network is. */
export const readLeases = (stored: unknown): readonly Lease[] => leaseRow.parse(JSON.parse(String(stored))).leases
