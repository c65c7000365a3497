/** What an attempt used of a model: tokens, and what they cost. By its agent's word. Never here: who pays (shared/budget.ts). */
import * as z from 'zod'
import { isJsonObject } from './json-pointer.ts'
import { limits } from './limits.ts'

const tokens = z.int().min(0).max(limits.budgetTokens)

export const usageSchema = z.strictObject({
  inputTokens: tokens.optional(),
  outputTokens: tokens.optional(),
  costUsd: z.number().min(0).max(limits.budgetUsd).optional(),
})
export type Usage = z.infer<typeof usageSchema>

export const tokensOf = ({ inputTokens = 0, outputTokens = 0 }: Usage): number => inputTokens + outputTokens

/** Does it say what was used in our words? Models' own answers have a member of this name too. */
export function isUsage(value: unknown): boolean {
  return isJsonObject(value) && ('inputTokens' in value || 'outputTokens' in value || 'costUsd' in value)
}

/** Both together. */
export function plusUsage(a: Usage, b: Usage): Usage {
  const sum = (name: keyof Usage) =>
    a[name] === undefined && b[name] === undefined ? {} : { [name]: (a[name] ?? 0) + (b[name] ?? 0) }
  return { ...sum('inputTokens'), ...sum('outputTokens'), ...sum('costUsd') }
}
