/** What the directory holds: an index of agents, and the keys. An agent's truth is in its own object. Never here: key material, only its hash. */
import * as z from 'zod'
import type { AgentRecord } from './agent.ts'
import { type Principal, permissionsSchema } from './permissions.ts'
import { agentKind } from './policy.ts'

export const registeredAgent = z.strictObject({
  v: z.literal(1),
  agent: z.string(),
  kind: agentKind,
  capabilities: z.array(z.string()),
  incarnation: z.string(),
  verified: z.boolean(),
  /** What its keys may do: narrowing an agent narrows the keys it already has. */
  permissions: permissionsSchema,
  updatedAt: z.number(),
})
export type RegisteredAgent = z.infer<typeof registeredAgent>

/** The index entry of an agent. */
export function indexEntry(agent: AgentRecord): RegisteredAgent {
  const { name, kind, capabilities, incarnation, verified, permissions, updatedAt } = agent
  return { v: 1, agent: name, kind, capabilities, incarnation, verified, permissions, updatedAt }
}

/**
 * Which entry stays when two meet: calls may arrive late and twice. Only a registration takes `verified` back, and that
 * makes the entry newer, so at equal age a verified one is the newer of the two.
 */
export function isStaleEntry(entry: RegisteredAgent, known: RegisteredAgent): boolean {
  if (entry.updatedAt !== known.updatedAt) return entry.updatedAt < known.updatedAt
  return entry.incarnation === known.incarnation && known.verified && !entry.verified
}

export const keyRecord = z.strictObject({
  v: z.literal(1),
  id: z.string(),
  /** SHA-256 of the key, in hex. The key itself is shown once and kept nowhere. */
  hash: z.string(),
  /** `agent/<name>` or `app/<name>`. */
  owner: z.string(),
  /** An agent's key dies with the incarnation it was made for. */
  incarnation: z.string().optional(),
  /** An app's. An agent's key has what its agent has. */
  permissions: permissionsSchema,
  createdAt: z.number(),
  expiresAt: z.number().optional(),
})
export type KeyRecord = z.infer<typeof keyRecord>

// What storage held is parsed as the network is: an old record must be recognised, never taken on trust.
export const readEntry = (stored: unknown): RegisteredAgent => registeredAgent.parse(JSON.parse(String(stored)))
export const readKey = (stored: unknown): KeyRecord => keyRecord.parse(JSON.parse(String(stored)))

/** Who a key speaks for. */
export function principalOf(key: KeyRecord): Principal | undefined {
  const cut = key.owner.indexOf('/')
  const name = key.owner.slice(cut + 1)
  switch (key.owner.slice(0, cut)) {
    case 'agent':
      return { kind: 'agent', name, permissions: key.permissions }
    case 'app':
      return { kind: 'app', name, permissions: key.permissions }
    default:
      return undefined
  }
}

/** What may be seen of a key: never the key, and not its hash. */
export function publicKey({ id, owner, permissions, createdAt, expiresAt }: KeyRecord) {
  return {
    id,
    owner,
    // An agent's key may do what its agent may, whatever it was made with.
    ...(owner.startsWith('app/') ? { permissions } : {}),
    createdAt: new Date(createdAt).toISOString(),
    ...(expiresAt === undefined ? {} : { expiresAt: new Date(expiresAt).toISOString() }),
  }
}
