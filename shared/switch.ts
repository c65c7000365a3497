/**
 * The deployment's switch: stopped, nothing new is taken from any mailbox, whoever it is for; publishes are accepted as before, and wait.
 * Never here: asking for it (workers/switch.ts).
 */
import * as z from 'zod'
import { limits } from './limits.ts'

export const switchState = z.enum(['running', 'stopped'])

export const switchRecord = z.strictObject({
  v: z.literal(1),
  state: switchState,
  reason: z.string().max(limits.errorMessageLength).exactOptional(),
  by: z.string(),
  at: z.number(),
})
export type Switch = z.infer<typeof switchRecord>

/** A stored record, parsed as the network is. */
export const readSwitch = (stored: unknown): Switch => switchRecord.parse(JSON.parse(String(stored)))

/** As long as nobody has touched it. */
export const untouched: Switch = { v: 1, state: 'running', by: '', at: 0 }

/** As it is shown. */
export function publicSwitch({ state, reason, by, at }: Switch) {
  return {
    state,
    ...(reason === undefined ? {} : { reason }),
    ...(at === 0 ? {} : { by, since: new Date(at).toISOString() }),
  }
}

/** How long an isolate may overlook that it was turned. */
export const switchRememberedMs = 5_000
