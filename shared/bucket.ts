/** The record of an agent's delivery tables (docs/decisions/0004). Never here: the tables (durable-objects/buckets.ts). */
import * as z from 'zod'

const bucketSchema = z.strictObject({
  n: z.int(),
  since: z.number(),
  closedAt: z.number().exactOptional(),
  rows: z.int(),
  /** May hold live rows: a rebuilt mailbox looks there. */
  live: z.boolean(),
  /** Its rows are named by the time of their keys (`mid`). Absent in one from before. */
  placed: z.literal(true).exactOptional(),
})
export type Bucket = z.infer<typeof bucketSchema>

/**
 * What the audit adds to the rows that are there (shared/audit.ts). Kept in this record because it is written whenever rows go, so
 * that the count costs no message a row.
 */
const ledgerSchema = z.strictObject({
  /** Numbers given when this was written: what a rebuild cannot see in the open bucket is in here. */
  sequence: z.int(),
  /** Deliveries whose rows were dropped past keeping. */
  forgotten: z.int(),
  /** Dead letters that were given a new life, and with it another number. */
  redriven: z.int(),
})
export type Ledger = z.infer<typeof ledgerSchema>

const bucketsRecord = z.strictObject({
  v: z.literal(1),
  list: z.array(bucketSchema).min(1),
  /** Among how many numbers a row lies, where that is more than usual. */
  reach: z.int().exactOptional(),
  /** Absent in a record from before there was an audit: the next sweep begins one. */
  ledger: ledgerSchema.exactOptional(),
})
export type BucketsRecord = z.infer<typeof bucketsRecord>

/** A stored record, parsed as the network is. */
export const readBuckets = (stored: unknown): BucketsRecord => bucketsRecord.parse(JSON.parse(String(stored)))
