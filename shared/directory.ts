/** What the directory holds: an index of agents, and the keys. An agent's truth is in its own object. Never here: key material, only its hash. */
import * as z from 'zod'
import { permissionsSchema } from './permissions.ts'
import { agentKind } from './policy.ts'

export const registeredAgent = z.strictObject({
  v: z.literal(1),
  agent: z.string(),
  kind: agentKind,
  capabilities: z.array(z.string()),
  incarnation: z.string(),
  verified: z.boolean(),
  updatedAt: z.number(),
})
export type RegisteredAgent = z.infer<typeof registeredAgent>

export const keyRecord = z.strictObject({
  v: z.literal(1),
  id: z.string(),
  /** SHA-256 of the key, in hex. The key itself is shown once and kept nowhere. */
  hash: z.string(),
  /** `agent/<name>` or `app/<name>`. */
  owner: z.string(),
  permissions: permissionsSchema,
  createdAt: z.number(),
  expiresAt: z.number().optional(),
})
export type KeyRecord = z.infer<typeof keyRecord>
