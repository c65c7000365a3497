/**
 * The directory's subscriptions as rows, and in memory for matching: a publish to a topic must not read and parse every row of
 * the deployment. Counts the directory's version, so that a publication under way can tell who came later. Never here: which
 * of them a message reaches (shared/subscription.ts).
 */
import { canonical } from '../shared/json.ts'
import { readPatterns } from '../shared/permissions.ts'
import type { SqlPort, SqlValue } from '../shared/ports.ts'
import {
  type Audience,
  type Candidate,
  candidatesOf,
  isCatching,
  isSilenced,
  type KnownSubscription,
  readSubscription,
  type Subscription,
  type SubscriptionInput,
} from '../shared/subscription.ts'

const tables = [
  'CREATE TABLE IF NOT EXISTS subscriptions (id TEXT PRIMARY KEY, agent TEXT NOT NULL, record TEXT NOT NULL) WITHOUT ROWID',
  'CREATE INDEX IF NOT EXISTS subscriptions_by_agent ON subscriptions (agent, id)',
  'CREATE TABLE IF NOT EXISTS directory_version (one INTEGER PRIMARY KEY, version INTEGER NOT NULL)',
]

/** Characters of records that are kept parsed in memory. More are read from their rows each time: slower, and no danger. */
const rememberedCharacters = 16_777_216

export class SubscriptionStore {
  readonly #sql: SqlPort
  /** All that are heard, until one changes, or what an agent may have. */
  #remembered: readonly Subscription[] | undefined

  constructor(sql: SqlPort) {
    this.#sql = sql
    for (const table of tables) sql.exec(table)
  }

  /** Puts it. Unchanged, nothing is written and its version stays. */
  put(
    id: string,
    input: SubscriptionInput & { readonly granted: boolean },
    before: KnownSubscription | undefined,
    now: number,
  ): Subscription {
    if (before !== undefined && isSame(before, input)) return before
    const { filter, granted, catchAll = false, ...rest } = input
    const version = this.nextVersion()
    // A new filter on the same topic is no new subscription: what is under way still meets it.
    const kept = before !== undefined && before.agent === input.agent && before.topic === input.topic
    const subscription: Subscription = {
      v: 1,
      id,
      ...rest,
      ...(filter === undefined ? {} : { filter }),
      ...(catchAll ? { catchAll } : {}),
      version,
      since: kept ? before.since : version,
      updatedAt: now,
      ...(granted ? { granted } : {}),
    }
    this.#remembered = undefined
    this.#rows(
      `INSERT INTO subscriptions (id, agent, record) VALUES (?, ?, ?)
       ON CONFLICT (id) DO UPDATE SET agent = excluded.agent, record = excluded.record`,
      id,
      input.agent,
      JSON.stringify(subscription),
    )
    return subscription
  }

  find(id: string): KnownSubscription | undefined {
    const [row] = this.#rows(`${known} WHERE s.id = ?`, id)
    return row === undefined ? undefined : readKnown(row)
  }

  /** An agent may subscribe to other patterns from now on: what it may not, is silenced. */
  allow(before: readonly string[], after: readonly string[]): void {
    if (canonical(before) === canonical(after)) return
    this.#remembered = undefined
    this.nextVersion()
  }

  remove(id: string): void {
    this.#remembered = undefined
    this.#rows('DELETE FROM subscriptions WHERE id = ?', id)
    this.nextVersion()
  }

  removeOf(agent: string): void {
    if (this.countOf(agent) === 0) return
    this.#remembered = undefined
    this.#rows('DELETE FROM subscriptions WHERE agent = ?', agent)
    this.nextVersion()
  }

  countOf(agent: string): number {
    return Number(this.#rows('SELECT count(*) AS n FROM subscriptions WHERE agent = ?', agent)[0]?.n)
  }

  page(agent: string | undefined, after: string, limit: number): KnownSubscription[] {
    const rows =
      agent === undefined
        ? this.#rows(`${known} WHERE s.id > ? ORDER BY s.id LIMIT ?`, after, limit)
        : this.#rows(`${known} WHERE s.agent = ? AND s.id > ? ORDER BY s.id LIMIT ?`, agent, after, limit)
    return rows.map(readKnown)
  }

  /** Who is subscribed to the topic, by name; or who catches what is published there. With a version: without those who came since. */
  subscribed(audience: Extract<Audience, { kind: 'topic' }>, version: number | undefined): Candidate[] {
    const all = this.#all()
    const met = version === undefined ? all : all.filter((s) => s.since <= version)
    return candidatesOf(met, audience.topic, isCatching(audience)).filter((c) => c.agent !== audience.except)
  }

  version(): number {
    return Number(this.#rows('SELECT version FROM directory_version')[0]?.version ?? 0)
  }

  nextVersion(): number {
    const [row] = this.#rows(
      `INSERT INTO directory_version (one, version) VALUES (1, 1)
       ON CONFLICT (one) DO UPDATE SET version = version + 1 RETURNING version`,
    )
    return Number(row?.version ?? 1)
  }

  #all(): readonly Subscription[] {
    if (this.#remembered !== undefined) return this.#remembered
    const rows = this.#rows(known)
    const all = rows.map(readKnown).filter((s) => s.silenced !== true)
    const characters = rows.reduce((sum, row) => sum + String(row.record).length, 0)
    if (characters <= rememberedCharacters) this.#remembered = all
    return all
  }

  #rows(query: string, ...bindings: SqlValue[]): Record<string, unknown>[] {
    return this.#sql.exec(query, ...bindings).toArray()
  }
}

/** Each with what its agent may subscribe to now; the directory keeps the agents. */
const known = `SELECT s.record, json_extract(a.record, '$.permissions.subscribe') AS allowed
  FROM subscriptions s JOIN agents a ON a.name = s.agent`

function readKnown(row: Record<string, unknown>): KnownSubscription {
  const subscription = readSubscription(row['record'])
  return isSilenced(subscription, readPatterns(row['allowed'])) ? { ...subscription, silenced: true } : subscription
}

function isSame(before: Subscription, input: SubscriptionInput & { readonly granted: boolean }): boolean {
  const { agent, topic, filter, select, maxBytes, batch, granted = false, catchAll = false } = before
  const known = { agent, topic, filter, select, maxBytes, batch, granted, catchAll }
  return canonical({ catchAll: false, ...input }) === canonical(known)
}
