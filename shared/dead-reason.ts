/**
 * Why a delivery became a dead letter. Never here: what each means to a person (shared/explanation.ts), ending one (shared/delivery.ts).
 */
import * as z from 'zod'

export const deadReason = z.enum([
  'attempts_exhausted',
  'terminal',
  'expired',
  'parked_too_long',
  'hop_limit',
  'loop_detected',
  'budget_spent',
  'no_handler',
  'agent_deleted',
  'agent_left',
  'effect_refused',
  'unroutable',
  'poison',
  'head_of_line',
  'rest_of_key',
])
export type DeadReason = z.infer<typeof deadReason>
