/**
 * DirectoryObject: the index of a deployment. Who is registered, who subscribes to what, and which keys exist. One instance,
 * named `all`. Every method may be repeated: the second call finds the first one's work. Never here: an agent's truth
 * (durable-objects/agent.ts) or a key itself, only its hash.
 */
import type { DirectoryPort, FoundKey } from '../shared/directory.ts'
import { isStaleEntry, type KeyRecord, type RegisteredAgent, readEntry, readKey } from '../shared/directory.ts'
import { limits } from '../shared/limits.ts'
import { covers, matches } from '../shared/permissions.ts'
import type { ChancePort, SqlValue, Synchronous } from '../shared/ports.ts'
import type { Audience, Candidate, KnownSubscription, Subscription, SubscriptionInput } from '../shared/subscription.ts'
import { nearest, slips } from '../shared/suggestion.ts'
import { chance } from './chance.ts'
import { StandingDirectory } from './standing-directory.ts'
import { SubscriptionStore } from './subscription-store.ts'

const tables = [
  // `since`: the directory's version when this incarnation joined. A publish to everybody does not meet who joined later.
  'CREATE TABLE IF NOT EXISTS agents (name TEXT PRIMARY KEY, since INTEGER NOT NULL, record TEXT NOT NULL) WITHOUT ROWID',
  `CREATE TABLE IF NOT EXISTS keys (
     hash TEXT PRIMARY KEY, id TEXT NOT NULL, owner TEXT NOT NULL, incarnation TEXT, expires_at INTEGER, record TEXT NOT NULL
   ) WITHOUT ROWID`,
  'CREATE UNIQUE INDEX IF NOT EXISTS keys_by_id ON keys (id)',
  'CREATE INDEX IF NOT EXISTS keys_by_owner ON keys (owner, id)',
]

// Of those that only the broker makes and writes to (shared/callback.ts).
const isNoCallback = "name NOT LIKE 'callback-%'"

/** Expired keys removed by one call that stores a key: more than it adds, so that they cannot pile up. */
const expiredPerCall = 20

export class DirectoryObject extends StandingDirectory implements Synchronous<DirectoryPort> {
  readonly #subscriptions: SubscriptionStore

  constructor(ctx: DurableObjectState, env: Env, ports: Pick<ChancePort, 'now'> = chance) {
    super(ctx, env, ports)
    for (const table of tables) this.storage.sql.exec(table)
    this.#subscriptions = new SubscriptionStore(this.storage.sql)
  }

  // --- agents ---------------------------------------------------------------------------------------------------------

  putAgent(agent: RegisteredAgent, only?: 'listed'): void {
    this.storage.transactionSync(() => {
      const known = this.findAgent(agent.agent)
      if (known === undefined ? only === 'listed' : isStaleEntry(agent, known)) return
      const record = JSON.stringify(agent)
      // The hourly sweep puts every agent again: what has not changed costs no row.
      if (known !== undefined && record === JSON.stringify(known)) return
      if (known?.incarnation === agent.incarnation) {
        this.#subscriptions.allow(known.permissions.subscribe, agent.permissions.subscribe)
        this.#rows('UPDATE agents SET record = ? WHERE name = ?', record, agent.agent)
        return
      }
      // Another incarnation inherits nothing, even if removing the one before died half way.
      this.#subscriptions.removeOf(agent.agent)
      const since = this.#subscriptions.nextVersion()
      this.#rows('INSERT OR REPLACE INTO agents (name, since, record) VALUES (?, ?, ?)', agent.agent, since, record)
    })
  }

  findAgent(name: string): RegisteredAgent | undefined {
    const [row] = this.#rows('SELECT record FROM agents WHERE name = ?', name)
    return row === undefined ? undefined : readEntry(row.record)
  }

  namesLike(meant: readonly string[], maySend: readonly string[]) {
    return meant.map((name) => {
      // Callbacks' mailboxes are nobody's to send to. Where there are too many, those of the same first letter are looked at first.
      const rows = this.#rows(
        `SELECT name FROM agents WHERE length(name) BETWEEN ? AND ? AND ${isNoCallback}
         ORDER BY substr(name, 1, 1) = ? DESC, name LIMIT ?`,
        name.length - slips(name),
        name.length + slips(name),
        name.slice(0, 1),
        limits.namesCompared,
      )
      const known = rows.map((row) => String(row.name))
      return nearest(
        name,
        known.filter((one) => maySend.some((pattern) => matches(pattern, one))),
      )
    })
  }

  removeAgent(name: string, incarnation?: string): void {
    this.storage.transactionSync(() => {
      const known = this.findAgent(name)
      if (known === undefined || (incarnation !== undefined && known.incarnation !== incarnation)) return
      this.#rows('DELETE FROM agents WHERE name = ?', name)
      this.#subscriptions.removeOf(name)
      this.#rows('DELETE FROM keys WHERE owner = ? AND incarnation = ?', `agent/${name}`, known.incarnation)
    })
  }

  agents(capability: string | undefined, cursor: string | undefined, limit: number, hide?: 'callbacks') {
    const rows = this.#rows(
      `SELECT record FROM agents
       WHERE name > ? ${hide === undefined ? '' : `AND ${isNoCallback}`}
         AND (? IS NULL OR EXISTS (SELECT 1 FROM json_each(record, '$.capabilities') WHERE value = ?))
       ORDER BY name LIMIT ?`,
      cursor ?? '',
      capability ?? null,
      capability ?? null,
      limit + 1,
    )
    const items = rows.slice(0, limit).map((row) => readEntry(row.record))
    const last = items.at(-1)
    return { items, ...(rows.length > limit && last !== undefined ? { cursor: last.agent } : {}) }
  }

  // --- resources --------------------------------------------------------------------------------------------------------

  resources(cursor: string | undefined, limit: number) {
    const rows = this.#rows(
      `SELECT value AS resource, count(*) AS agents FROM agents, json_each(record, '$.resources')
       WHERE value > ? GROUP BY value ORDER BY value LIMIT ?`,
      cursor ?? '',
      limit + 1,
    )
    const items = rows.slice(0, limit).map((row) => ({ resource: String(row.resource), agents: Number(row.agents) }))
    const last = items.at(-1)
    return { items, ...(rows.length > limit && last !== undefined ? { cursor: last.resource } : {}) }
  }

  declaring(resource: string): number {
    return this.#count("SELECT count(*) AS n FROM agents, json_each(record, '$.resources') WHERE value = ?", resource)
  }

  // --- keys -----------------------------------------------------------------------------------------------------------

  putKey(key: KeyRecord, options: { readonly first?: boolean; readonly max: number }) {
    return this.storage.transactionSync(() => {
      if (this.#key(key.hash) !== undefined) return 'stored'
      this.#dropDead(key)
      // A call that named its key by an Idempotency-Key, once more: the key that it made can be shown to nobody again.
      if (this.#rows('SELECT 1 FROM keys WHERE id = ?', key.id).length > 0) return 'known'
      const held = this.#count('SELECT count(*) AS n FROM keys WHERE owner = ?', key.owner)
      if (options.first === true && held > 0) return 'has_keys'
      if (held >= options.max) return 'too_many'
      this.#rows(
        'INSERT INTO keys (hash, id, owner, incarnation, expires_at, record) VALUES (?, ?, ?, ?, ?, ?)',
        key.hash,
        key.id,
        key.owner,
        key.incarnation ?? null,
        key.expiresAt ?? null,
        JSON.stringify(key),
      )
      return 'stored'
    })
  }

  findKey(hash: string): FoundKey | undefined {
    const key = this.#key(hash)
    if (key === undefined) return undefined
    const version = this.schemaStore.version()
    const turned = this.turned()
    const stands = {
      ...(version === 0 ? {} : { schemasVersion: version }),
      ...(turned.state === 'stopped' ? { stopped: turned } : {}),
    }
    if (key.incarnation === undefined) return { ...key, ...stands }
    const agent = this.findAgent(key.owner.slice('agent/'.length))
    if (agent?.incarnation !== key.incarnation) return undefined
    const since = agent.createdAt === undefined ? {} : { since: agent.createdAt }
    return { ...key, permissions: agent.permissions, ...since, ...stands }
  }

  keys(owner: string | undefined, after = '', limit: number = limits.pageSize): readonly KeyRecord[] {
    const rows =
      owner === undefined
        ? this.#rows('SELECT record FROM keys WHERE id > ? ORDER BY id LIMIT ?', after, limit)
        : this.#rows('SELECT record FROM keys WHERE owner = ? AND id > ? ORDER BY id LIMIT ?', owner, after, limit)
    return rows.map((row) => readKey(row.record))
  }

  removeKey(id: string, owner?: string): boolean {
    const removed =
      owner === undefined
        ? this.#rows('DELETE FROM keys WHERE id = ? RETURNING id', id)
        : this.#rows('DELETE FROM keys WHERE id = ? AND owner = ? RETURNING id', id, owner)
    return removed.length > 0
  }

  removeKeysOf(owner: string): void {
    this.#rows('DELETE FROM keys WHERE owner = ?', owner)
  }

  // --- subscriptions --------------------------------------------------------------------------------------------------

  putSubscription(id: string, input: SubscriptionInput, options: { readonly max: number; readonly by?: string }) {
    return this.storage.transactionSync(() => {
      const before = this.#subscriptions.find(id)
      if (isForeign(before, options.by)) return { status: 'foreign' } as const
      const agent = this.findAgent(input.agent)
      if (agent === undefined) return { status: 'unknown' } as const
      if (before?.agent !== input.agent && this.#subscriptions.countOf(input.agent) >= options.max)
        return { status: 'too_many' } as const
      const granted = options.by === undefined && !covers(agent.permissions.subscribe, input.topic)
      const subscription = this.#subscriptions.put(id, { ...input, granted }, before, this.chance.now())
      return { status: 'put', subscription, created: before === undefined } as const
    })
  }

  findSubscription(id: string): KnownSubscription | undefined {
    return this.#subscriptions.find(id)
  }

  removeSubscription(id: string, by?: string) {
    return this.storage.transactionSync(() => {
      const before = this.#subscriptions.find(id)
      if (before === undefined) return 'unknown'
      if (isForeign(before, by)) return 'foreign'
      this.#subscriptions.remove(id)
      return 'removed'
    })
  }

  subscriptions(agent: string | undefined, cursor: string | undefined, limit: number) {
    const found = this.#subscriptions.page(agent, cursor ?? '', limit + 1)
    const items = found.slice(0, limit)
    const last = items.at(-1)
    return { items, ...(found.length > limit && last !== undefined ? { cursor: last.id } : {}) }
  }

  candidates(audience: Audience, cursor: string | undefined, limit: number, version?: number) {
    const all =
      audience.kind === 'topic'
        ? this.#subscriptions.subscribed(audience, version)
        : this.#everybody(audience.except, audience.sender ?? audience.except, version)
    const items = all.filter((c) => cursor === undefined || c.agent > cursor)
    const page = items.slice(0, limit)
    const last = page.at(-1)
    return {
      version: this.#subscriptions.version(),
      total: all.length,
      items: page,
      ...(items.length > limit && last !== undefined ? { cursor: last.agent } : {}),
    }
  }

  version(): number {
    return this.#subscriptions.version()
  }

  #everybody(except: string, sender: string, version: number | undefined): Candidate[] {
    const rows = this.#rows(
      // Callbacks' mailboxes are the broker's own, and nobody.
      `SELECT name FROM agents WHERE name NOT IN (?, ?) AND since <= ? AND ${isNoCallback} ORDER BY name`,
      except,
      sender,
      version ?? Number.MAX_SAFE_INTEGER,
    )
    return rows.map((row) => ({ agent: String(row.name), subscriptions: [] }))
  }

  // --- inside ---------------------------------------------------------------------------------------------------------

  #key(hash: string): KeyRecord | undefined {
    const [row] = this.#rows('SELECT record FROM keys WHERE hash = ?', hash)
    return row === undefined ? undefined : readKey(row.record)
  }

  // Neither an earlier incarnation's keys nor expired ones may take a living key's place.
  #dropDead(key: KeyRecord): void {
    const now = this.chance.now()
    this.#rows('DELETE FROM keys WHERE owner = ? AND expires_at <= ?', key.owner, now)
    this.#rows(
      'DELETE FROM keys WHERE hash IN (SELECT hash FROM keys WHERE expires_at <= ? LIMIT ?)',
      now,
      expiredPerCall,
    )
    if (key.incarnation !== undefined)
      this.#rows('DELETE FROM keys WHERE owner = ? AND incarnation IS NOT ?', key.owner, key.incarnation)
  }

  #count(query: string, ...bindings: SqlValue[]): number {
    return Number(this.#rows(query, ...bindings)[0]?.n)
  }

  #rows(query: string, ...bindings: SqlValue[]): Record<string, unknown>[] {
    return this.storage.sql.exec(query, ...bindings).toArray()
  }
}

// `by`: the agent that asks; an admin has none.
function isForeign(subscription: Subscription | undefined, by: string | undefined): boolean {
  return subscription !== undefined && by !== undefined && subscription.agent !== by
}
