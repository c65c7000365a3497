/**
 * What becomes of a scatter's replies: whether a reducer makes one result of them, what it came to, and who is told the end.
 * A part of its gather's record. Never here: the replies (shared/gather.ts), what is said of them (shared/scatter-results.ts).
 */
import * as z from 'zod'
import { legFailure } from './leg-failure.ts'

/** How the question to the reducer ended. */
export const reductionSchema = z.strictObject({
  status: z.enum(['replied', 'failed', 'timed_out', 'cancelled']),
  at: z.number(),
  failure: legFailure.exactOptional(),
})
export type Reduction = z.infer<typeof reductionSchema>

export const scatterPlan = z.strictObject({
  /** The id or key under which its asker sent it, if any. */
  asked: z.string().exactOptional(),
  reduce: z
    .strictObject({
      /** Chosen when the scatter was opened, so that every repeat asks the same one. */
      agent: z.string(),
      type: z.string(),
      /** Beside the summary, in the message to it. */
      data: z.record(z.string(), z.unknown()).exactOptional(),
      /** Without any reply: is it asked all the same? */
      onEmpty: z.enum(['skip', 'call']),
      timeoutMs: z.number(),
    })
    .exactOptional(),
  /** Who is told how it ended, and by which type. */
  replyto: z.string().exactOptional(),
  replytype: z.string().exactOptional(),
  /** Those that nobody need ask any more were called back. */
  recalled: z.literal(true).exactOptional(),
  reduction: reductionSchema.exactOptional(),
})
export type ScatterPlan = z.infer<typeof scatterPlan>

export interface PlanNews {
  readonly recalled?: true
  readonly reduction?: Reduction
}

/** Writes down how far it got. The first reduction stays (G1); news that is no news gives the same plan back. */
export function planTold(plan: ScatterPlan, { recalled, reduction }: PlanNews): ScatterPlan {
  const isRecalled = recalled === true && plan.recalled === undefined
  const isReduced = reduction !== undefined && plan.reduction === undefined
  if (!isRecalled && !isReduced) return plan
  return { ...plan, ...(isRecalled ? { recalled } : {}), ...(isReduced ? { reduction } : {}) }
}

/** What the replies, and who failed to, came to: does a reducer have a say in it now? */
export function isReducible(plan: ScatterPlan | undefined, ended: string | undefined, replied: number): boolean {
  if (plan?.reduce === undefined || ended === undefined || ended === 'cancelled') return false
  return ended === 'replied' || (replied === 0 && plan.reduce.onEmpty === 'call')
}
