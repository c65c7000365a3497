/**
 * What an operator may decide about batches: how many messages, how long, how many bytes, and which may share one. Never here:
 * which deliveries make a batch (shared/batch.ts).
 */
import * as z from 'zod'
import { limits } from './limits.ts'

const key = z.enum(['partitionkey', 'correlationid', 'type'])
const format = z.enum(['json', 'numbered-text'])
const day = 86_400

/** What `policy.batch` takes: every part optional. */
export const batchInput = z.strictObject({
  size: z.int().min(1).max(limits.batchDeliveries).optional(),
  waitSeconds: z.number().min(0).max(day).optional(),
  bytes: z.int().min(1).max(limits.leaseBytes).optional(),
  key: key.optional(),
  format: format.optional(),
})

/** The policy in force. */
export const batchPolicy = z.strictObject({
  /** Messages in one call at most: with so many it goes at once. */
  size: z.int(),
  /** It goes at the latest when its oldest message has waited so long since it was due. */
  waitSeconds: z.number(),
  /** Bytes of messages in one call at most. A larger message goes by itself. */
  bytes: z.int(),
  /** Messages that differ in this attribute never share a batch. Absent: any may. */
  key: key.exactOptional(),
  /** What a webhook gets: an array of events, or one event whose data is a numbered text. */
  format,
})
export type BatchPolicy = z.infer<typeof batchPolicy>

export function resolveBatch(input: z.infer<typeof batchInput>): BatchPolicy {
  return {
    size: input.size ?? 10,
    waitSeconds: input.waitSeconds ?? 1,
    bytes: input.bytes ?? limits.messageBytes,
    ...(input.key === undefined ? {} : { key: input.key }),
    format: input.format ?? 'json',
  }
}
