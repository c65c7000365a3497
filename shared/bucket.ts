/** The record of an agent's delivery tables (docs/decisions/0004). Never here: the tables (durable-objects/buckets.ts). */
import * as z from 'zod'

const bucketSchema = z.strictObject({
  n: z.int(),
  since: z.number(),
  closedAt: z.number().exactOptional(),
  rows: z.int(),
  /** May hold live rows: a rebuilt mailbox looks there. */
  live: z.boolean(),
})
export type Bucket = z.infer<typeof bucketSchema>

const bucketsRecord = z.strictObject({ v: z.literal(1), list: z.array(bucketSchema).min(1) })
export type BucketsRecord = z.infer<typeof bucketsRecord>

/** A stored record, parsed as the network is. */
export const readBuckets = (stored: unknown): BucketsRecord => bucketsRecord.parse(JSON.parse(String(stored)))
