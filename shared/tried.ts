/**
 * Who of a chain of responsibility was asked already, or was passed over, and why. Of the delivery, as its hops are: the message
 * stays as it was sent. Never here: who comes next (shared/chain.ts).
 */
import * as z from 'zod'

export const triedSchema = z.strictObject({
  agent: z.string(),
  /** `passed`: it was asked. `type`, `breaker`: it does not take such messages, or is down, and was not asked. `unknown`: there is no such agent. */
  why: z.enum(['passed', 'type', 'breaker', 'unknown']),
})
export type Tried = z.infer<typeof triedSchema>

/** The effect of passing a message on: to whom, who comes after, and who was asked before. */
export const passSchema = z.object({
  to: z.string(),
  chain: z.array(z.string()).optional(),
  tried: z.array(triedSchema),
})

const words: Readonly<Record<Tried['why'], string>> = {
  passed: 'passed',
  type: 'does not take this type',
  breaker: 'is down',
  unknown: 'does not exist',
}

/** In a sentence. */
export const triedText = (tried: readonly Tried[]): string =>
  tried.map(({ agent, why }) => `${agent} ${words[why]}`).join(', ')
