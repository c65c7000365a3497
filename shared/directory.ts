/** What the directory holds: an index of agents, and the keys. An agent's truth is in its own object. Never here: key material, only its hash. */

import * as z from 'zod'
import type { AgentRecord } from './agent.ts'
import type { SweptAudit } from './audit.ts'
import { abilitiesOf } from './card.ts'
import { type Principal, permissionsSchema } from './permissions.ts'
import { agentKind } from './policy.ts'
import { publishRate } from './publish-rate.ts'
import type { Schema, SchemaInput, SchemasAnswer } from './schema.ts'
import type { Audience, Candidates, KnownSubscription, Subscription, SubscriptionInput } from './subscription.ts'
import type { Switch } from './switch.ts'

export const registeredAgent = z.strictObject({
  v: z.literal(1),
  agent: z.string(),
  kind: agentKind,
  capabilities: z.array(z.string()),
  /** Absent: none. */
  resources: z.array(z.string()).exactOptional(),
  incarnation: z.string(),
  /** Absent in older rows, until the sweep has put the agent again. */
  createdAt: z.number().exactOptional(),
  verified: z.boolean(),
  /** What its keys may do: narrowing an agent narrows the keys it already has. */
  permissions: permissionsSchema,
  updatedAt: z.number(),
})
export type RegisteredAgent = z.infer<typeof registeredAgent>

/** The index entry of an agent. */
export function indexEntry(agent: AgentRecord): RegisteredAgent {
  const { name, kind, resources, incarnation, createdAt, verified, permissions, updatedAt } = agent
  // What `capability:<skill>` finds it by.
  const capabilities = [...abilitiesOf(agent)]
  const entry = { agent: name, kind, capabilities, incarnation, createdAt, verified, permissions, updatedAt }
  return { v: 1, ...entry, ...(resources === undefined ? {} : { resources }) }
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
  /** Absent: the usual one. */
  rate: publishRate.exactOptional(),
  createdAt: z.number(),
  expiresAt: z.number().optional(),
})
export type KeyRecord = z.infer<typeof keyRecord>

/** A key as it is asked for, with the version of the schemas, so that whoever publishes with it need not ask for that too. */
export type FoundKey = KeyRecord & {
  /** Of an agent's: when that was registered. */
  readonly since?: number
  /** Absent: there was never one. */
  readonly schemasVersion?: number
  /** The deployment is stopped. Said here, it costs whoever has just asked for a key no call. */
  readonly stopped?: Switch
}

// What storage held is parsed as the network is: an old record must be recognised, never taken on trust.
export const readEntry = (stored: unknown): RegisteredAgent => registeredAgent.parse(JSON.parse(String(stored)))
export const readKey = (stored: unknown): KeyRecord => keyRecord.parse(JSON.parse(String(stored)))

/** Who a key speaks for. */
export function principalOf(key: FoundKey): Principal | undefined {
  const since = key.since === undefined ? {} : { since: key.since }
  const cut = key.owner.indexOf('/')
  const name = key.owner.slice(cut + 1)
  switch (key.owner.slice(0, cut)) {
    case 'agent':
      return { kind: 'agent', name, permissions: key.permissions, ...since }
    case 'app':
      return { kind: 'app', name, permissions: key.permissions }
    default:
      return undefined
  }
}

/** What may be seen of a key: never the key, and not its hash. */
export function publicKey({ id, owner, permissions, rate, createdAt, expiresAt }: KeyRecord) {
  return {
    id,
    owner,
    // An agent's key may do what its agent may, whatever it was made with.
    ...(owner.startsWith('app/') ? { permissions } : {}),
    ...(rate === undefined ? {} : { rate }),
    createdAt: new Date(createdAt).toISOString(),
    ...(expiresAt === undefined ? {} : { expiresAt: new Date(expiresAt).toISOString() }),
  }
}

export interface DirectoryPort {
  /** An entry older than the one that is there changes nothing: calls may arrive late and twice. */
  /** `listed`: only if its name is there already. */
  putAgent(agent: RegisteredAgent, only?: 'listed'): Promise<void>
  findAgent(name: string): Promise<RegisteredAgent | undefined>
  /** For each, names of agents that are nearly it and that these permissions to send cover; `limits.suggestions` at most. */
  namesLike(meant: readonly string[], maySend: readonly string[]): Promise<readonly (readonly string[])[]>
  /** Removes the entry and its keys. With an incarnation, only if the entry is still of it. */
  removeAgent(name: string, incarnation?: string): Promise<void>
  /** By name after `cursor`. `hide`: without the mailboxes of callbacks, which the broker makes (shared/callback.ts). */
  agents(
    capability: string | undefined,
    cursor: string | undefined,
    limit: number,
    hide?: 'callbacks',
  ): Promise<{ readonly items: readonly RegisteredAgent[]; readonly cursor?: string }>
  /** Every resource that an agent declares, by name after `cursor`, with how many declare it. */
  resources(
    cursor: string | undefined,
    limit: number,
  ): Promise<{
    readonly items: readonly { readonly resource: string; readonly agents: number }[]
    readonly cursor?: string
  }>
  /** How many agents declare it. */
  declaring(resource: string): Promise<number>
  /**
   * Stores a key unless its owner (in this incarnation) has `max` already. `first` only when the owner has none. `known`: its id is
   * that of another one.
   */
  putKey(
    key: KeyRecord,
    options: { readonly first?: boolean; readonly max: number },
  ): Promise<'stored' | 'has_keys' | 'too_many' | 'known'>
  /** An agent's key comes with the permissions its agent has now, and not at all once that incarnation is gone. */
  findKey(hash: string): Promise<FoundKey | undefined>
  /** At most `limit` (`limits.pageSize`) by id; `cursor` is the last id of the page before. */
  keys(owner: string | undefined, cursor?: string, limit?: number): Promise<readonly KeyRecord[]>
  removeKey(id: string, owner?: string): Promise<boolean>
  removeKeysOf(owner: string): Promise<void>
  /** At most `max` an agent. `by` is the agent that asks, which may not change another's; left out, an admin asks. */
  putSubscription(
    id: string,
    input: SubscriptionInput,
    options: { readonly max: number; readonly by?: string },
  ): Promise<
    | { readonly status: 'put'; readonly subscription: Subscription; readonly created: boolean }
    | { readonly status: 'foreign' | 'unknown' | 'too_many' }
  >
  /** At most `max`, of `maxBytes` in all. */
  putSchema(
    name: string,
    input: SchemaInput,
    options: { readonly max: number; readonly maxBytes: number },
  ): Promise<
    { readonly status: 'put'; readonly schema: Schema; readonly created: boolean } | { readonly status: 'too_many' }
  >
  findSchema(name: string): Promise<Schema | undefined>
  removeSchema(name: string): Promise<boolean>
  schemas(
    cursor: string | undefined,
    limit: number,
  ): Promise<{ readonly items: readonly Schema[]; readonly cursor?: string }>
  /** The deployment's switch, turned to where it is to be. */
  turn(asked: Pick<Switch, 'state' | 'reason' | 'by'>): Promise<Switch>
  turned(): Promise<Switch>
  /** What the hourly sweep found in all mailboxes; an older one changes nothing. */
  noteAudit(swept: SweptAudit): Promise<void>
  lastAudit(): Promise<SweptAudit | undefined>
  /** All of them, or only their version when it is the one that is known. */
  schemasSince(version: number | undefined): Promise<SchemasAnswer>
  findSubscription(id: string): Promise<KnownSubscription | undefined>
  removeSubscription(id: string, by?: string): Promise<'removed' | 'unknown' | 'foreign'>
  subscriptions(
    agent: string | undefined,
    cursor: string | undefined,
    limit: number,
  ): Promise<{ readonly items: readonly KnownSubscription[]; readonly cursor?: string }>
  /**
   * Whom a publish may be for, by agent name after `cursor`. With a version: without who subscribed or joined since. `atLeast`:
   * an answer from before the directory had this version will not do (workers/remember.ts).
   */
  candidates(
    audience: Audience,
    cursor: string | undefined,
    limit: number,
    version?: number,
    atLeast?: number,
  ): Promise<Candidates>
  /** Grows whenever somebody may be meant who was not before, or is not any more. */
  version(): Promise<number>
}
