/**
 * WorkflowIndexObject: which workflows there are, and the definitions by name and version. One instance, named `all`. Every
 * method may be repeated: the second call finds the first one's work. Never here: a workflow's truth (durable-objects/workflow.ts).
 */
import { DurableObject } from 'cloudflare:workers'
import { limits } from '../shared/limits.ts'
import type { ChancePort, SqlValue, StoragePort, Synchronous } from '../shared/ports.ts'
import type { StateDuration, Stays } from '../shared/stays.ts'
import {
  type DefinitionRecord,
  isNewer,
  type ListedWorkflow,
  type NewDefinition,
  readDefinitionRecord,
  readListed,
  type StoredDefinition,
  type WorkflowIndexPort,
} from '../shared/workflow-index.ts'
import { chance } from './chance.ts'

const tables = [
  // `n` orders them by creation. Not the key of a row that is replaced: it keeps its place.
  `CREATE TABLE IF NOT EXISTS workflows (
     n INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, status TEXT NOT NULL, definition TEXT, record TEXT NOT NULL
   )`,
  `CREATE TABLE IF NOT EXISTS definitions (
     name TEXT NOT NULL, version INTEGER NOT NULL, record TEXT NOT NULL, definition TEXT NOT NULL, PRIMARY KEY (name, version)
   ) WITHOUT ROWID`,
  `CREATE TABLE IF NOT EXISTS durations (
     definition TEXT NOT NULL, state TEXT NOT NULL, visits INTEGER NOT NULL, total_ms INTEGER NOT NULL, longest_ms INTEGER NOT NULL,
     PRIMARY KEY (definition, state)
   ) WITHOUT ROWID`,
]

export class WorkflowIndexObject extends DurableObject<unknown> implements Synchronous<WorkflowIndexPort> {
  readonly #storage: StoragePort
  readonly #chance: Pick<ChancePort, 'now'>

  constructor(ctx: DurableObjectState, env: unknown, ports: Pick<ChancePort, 'now'> = chance) {
    super(ctx, env)
    // The narrow shape that is used; the platform's own class satisfies it.
    this.#storage = ctx.storage as unknown as StoragePort
    this.#chance = ports
    for (const table of tables) this.#rows(table)
  }

  // --- workflows --------------------------------------------------------------------------------------------------------

  put(entry: ListedWorkflow, stays: Stays = {}): void {
    this.#storage.transactionSync(() => {
      const [row] = this.#rows('SELECT record FROM workflows WHERE id = ?', entry.id)
      const known = row === undefined ? undefined : readListed(row.record)
      if (known !== undefined && !isNewer(entry, known)) return
      // Another workflow, of an id that was purged: it has a place of its own.
      if (known !== undefined && known.createdAt < entry.createdAt) this.remove(known.id, known.createdAt)
      this.#rows(
        `INSERT INTO workflows (id, status, definition, record) VALUES (?, ?, ?, ?)
         ON CONFLICT (id) DO UPDATE SET status = excluded.status, record = excluded.record`,
        entry.id,
        entry.status,
        entry.definition?.name ?? null,
        JSON.stringify(entry),
      )
      // In the same transaction: told again, it is older than what is there.
      if (entry.definition?.name !== undefined) this.#addStays(entry.definition.name, stays)
    })
  }

  durations(): StateDuration[] {
    return this.#rows('SELECT * FROM durations ORDER BY definition, state').map((row) => ({
      definition: String(row.definition),
      state: String(row.state),
      visits: Number(row.visits),
      totalMs: Number(row.total_ms),
      longestMs: Number(row.longest_ms),
    }))
  }

  #addStays(definition: string, stays: Stays): void {
    for (const [state, { visits, totalMs, longestMs }] of Object.entries(stays))
      this.#rows(
        `INSERT INTO durations (definition, state, visits, total_ms, longest_ms)
         SELECT ?1, ?2, ?3, ?4, ?5 WHERE (SELECT count(*) FROM durations) < ?6
           OR EXISTS (SELECT 1 FROM durations WHERE definition = ?1 AND state = ?2)
         ON CONFLICT (definition, state) DO UPDATE SET visits = visits + excluded.visits,
           total_ms = total_ms + excluded.total_ms, longest_ms = max(longest_ms, excluded.longest_ms)`,
        definition,
        state,
        visits,
        totalMs,
        longestMs,
        limits.durationsKept,
      )
  }

  remove(id: string, createdAt: number): void {
    this.#rows("DELETE FROM workflows WHERE id = ? AND json_extract(record, '$.createdAt') <= ?", id, createdAt)
  }

  list(
    { status, definition }: { readonly status?: string; readonly definition?: string },
    cursor: string | undefined,
    limit: number,
  ) {
    const before = cursor === undefined ? Number.MAX_SAFE_INTEGER : Number(cursor)
    const rows = this.#rows(
      `SELECT n, record FROM workflows
       WHERE n < ?1 AND (?2 IS NULL OR status = ?2) AND (?3 IS NULL OR definition = ?3) ORDER BY n DESC LIMIT ?4`,
      Number.isNaN(before) ? 0 : before,
      status ?? null,
      definition ?? null,
      limit + 1,
    )
    const last = rows.length > limit ? rows[limit - 1] : undefined
    const items = rows.slice(0, limit).map((row) => readListed(row.record))
    return { items, ...(last === undefined ? {} : { cursor: String(last.n) }) }
  }

  // --- definitions ------------------------------------------------------------------------------------------------------

  putDefinition(fresh: NewDefinition, max: { readonly names: number; readonly versions: number }) {
    return this.#storage.transactionSync(() => {
      const { definition, ...named } = fresh
      const latest = this.#latest(fresh.name)
      if (latest?.hash === fresh.hash) return { status: 'put', record: latest, created: false } as const
      if (latest === undefined && this.#names() >= max.names) return { status: 'too_many' } as const
      const version = (latest?.version ?? 0) + 1
      const record: DefinitionRecord = { v: 1, ...named, version, at: this.#chance.now() }
      this.#rows(
        'INSERT INTO definitions (name, version, record, definition) VALUES (?, ?, ?, ?)',
        record.name,
        version,
        JSON.stringify(record),
        JSON.stringify(definition),
      )
      // A workflow that runs by an older one has its own copy.
      this.#rows('DELETE FROM definitions WHERE name = ? AND version <= ?', record.name, version - max.versions)
      return { status: 'put', record, created: true } as const
    })
  }

  definition(name: string, version?: number): StoredDefinition | undefined {
    const [row] =
      version === undefined
        ? this.#rows('SELECT record, definition FROM definitions WHERE name = ? ORDER BY version DESC LIMIT 1', name)
        : this.#rows('SELECT record, definition FROM definitions WHERE name = ? AND version = ?', name, version)
    if (row === undefined) return undefined
    return { record: readDefinitionRecord(row.record), definition: JSON.parse(String(row.definition)) }
  }

  definitions(cursor: string | undefined, limit: number) {
    const rows = this.#rows(
      `SELECT record FROM definitions AS d WHERE name > ?
       AND version = (SELECT max(version) FROM definitions WHERE name = d.name) ORDER BY name LIMIT ?`,
      cursor ?? '',
      limit + 1,
    )
    const items = rows.slice(0, limit).map((row) => readDefinitionRecord(row.record))
    const last = items.at(-1)
    return { items, ...(rows.length > limit && last !== undefined ? { cursor: last.name } : {}) }
  }

  #latest(name: string): DefinitionRecord | undefined {
    const [row] = this.#rows('SELECT record FROM definitions WHERE name = ? ORDER BY version DESC LIMIT 1', name)
    return row === undefined ? undefined : readDefinitionRecord(row.record)
  }

  #names(): number {
    return Number(this.#rows('SELECT count(DISTINCT name) AS n FROM definitions')[0]?.n)
  }

  #rows(query: string, ...bindings: SqlValue[]): Record<string, unknown>[] {
    return this.#storage.sql.exec(query, ...bindings).toArray()
  }
}
