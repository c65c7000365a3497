/** What a person lays down as a budget, and lays down anew. Never here: what is spent of it (shared/budget.ts). */
import * as z from 'zod'
import { limits } from './limits.ts'

const amount = { tokens: z.int().min(1).max(limits.budgetTokens), costUsd: z.number().positive().max(limits.budgetUsd) }

export const budgetLimits = z.strictObject({
  /** Deliveries that begin. */
  messages: z.int().min(1).max(limits.budgetMessages).optional(),
  /** The longest causal path: a guard (shared/lineage.ts). */
  hops: z.int().min(1).max(limits.hops).optional(),
  tokens: amount.tokens.optional(),
  costUsd: amount.costUsd.optional(),
  /** By the clock, since the workflow began. */
  seconds: z.number().positive().max(limits.budgetSeconds).optional(),
  /** What each lease sets aside. Without it an agent works on one message of the workflow at a time. */
  reserve: z.strictObject(amount).partial().optional(),
})
export type BudgetLimits = z.infer<typeof budgetLimits>

/** What a budget is counted in. */
export const budgetUnit = z.enum(['messages', 'tokens', 'costUsd', 'seconds'])
export type BudgetUnit = z.infer<typeof budgetUnit>

/** Other limits; `null` takes one away. */
export type BudgetPatch = { readonly [K in keyof BudgetLimits]?: BudgetLimits[K] | null | undefined }

export function amended(asked: BudgetLimits, patch: BudgetPatch): BudgetLimits {
  const said = Object.entries(patch).filter(([, value]) => value !== undefined)
  const entries = Object.entries({ ...asked, ...Object.fromEntries(said) }).filter(([, value]) => value !== null)
  return budgetLimits.parse(Object.fromEntries(entries))
}
