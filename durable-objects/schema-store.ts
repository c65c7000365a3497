/**
 * The directory's schemas as rows, with one version for all of them together, so that an isolate can tell whether what it
 * remembers still holds. Never here: judging a message (shared/schema.ts).
 */
import { canonical, utf8Length } from '../shared/json.ts'
import type { SqlPort, SqlValue } from '../shared/ports.ts'
import { readSchema, type Schema, type SchemaInput, type SchemasAnswer } from '../shared/schema.ts'

const tables = [
  'CREATE TABLE IF NOT EXISTS schemas (name TEXT PRIMARY KEY, bytes INTEGER NOT NULL, record TEXT NOT NULL) WITHOUT ROWID',
  'CREATE TABLE IF NOT EXISTS schemas_version (one INTEGER PRIMARY KEY, version INTEGER NOT NULL)',
]

export class SchemaStore {
  readonly #sql: SqlPort

  constructor(sql: SqlPort) {
    this.#sql = sql
    for (const table of tables) sql.exec(table)
  }

  /** 0 until there is the first one. */
  version(): number {
    return Number(this.#rows('SELECT version FROM schemas_version')[0]?.version ?? 0)
  }

  /** Puts it. Unchanged, nothing is written and the version stays. */
  put(
    name: string,
    input: SchemaInput,
    limits: { readonly max: number; readonly maxBytes: number },
    now: number,
  ): { readonly status: 'put'; readonly schema: Schema; readonly created: boolean } | { readonly status: 'too_many' } {
    const before = this.find(name)
    if (before !== undefined && isSame(before, input)) return { status: 'put', schema: before, created: false }
    const bytes = utf8Length(JSON.stringify(input))
    const [others] = this.#rows('SELECT count(*) AS n, sum(bytes) AS bytes FROM schemas WHERE name <> ?', name)
    if (Number(others?.n) >= limits.max || Number(others?.bytes ?? 0) + bytes > limits.maxBytes)
      return { status: 'too_many' }
    const schema: Schema = { v: 1, name, ...input, version: this.#nextVersion(), updatedAt: now }
    this.#rows(
      `INSERT INTO schemas (name, bytes, record) VALUES (?, ?, ?)
       ON CONFLICT (name) DO UPDATE SET bytes = excluded.bytes, record = excluded.record`,
      name,
      bytes,
      JSON.stringify(schema),
    )
    return { status: 'put', schema, created: before === undefined }
  }

  find(name: string): Schema | undefined {
    const [row] = this.#rows('SELECT record FROM schemas WHERE name = ?', name)
    return row === undefined ? undefined : readSchema(row.record)
  }

  remove(name: string): boolean {
    if (this.find(name) === undefined) return false
    this.#rows('DELETE FROM schemas WHERE name = ?', name)
    this.#nextVersion()
    return true
  }

  page(after: string, limit: number): { readonly items: readonly Schema[]; readonly cursor?: string } {
    const rows = this.#rows('SELECT record FROM schemas WHERE name > ? ORDER BY name LIMIT ?', after, limit + 1)
    const items = rows.slice(0, limit).map((row) => readSchema(row.record))
    const last = items.at(-1)
    return { items, ...(rows.length > limit && last !== undefined ? { cursor: last.name } : {}) }
  }

  since(known: number | undefined): SchemasAnswer {
    const version = this.version()
    if (version === known) return { version }
    const rows = this.#rows('SELECT record FROM schemas ORDER BY name')
    return { version, items: rows.map((row) => readSchema(row.record)) }
  }

  #nextVersion(): number {
    const [row] = this.#rows(
      `INSERT INTO schemas_version (one, version) VALUES (1, 1)
       ON CONFLICT (one) DO UPDATE SET version = version + 1 RETURNING version`,
    )
    return Number(row?.version ?? 1)
  }

  #rows(query: string, ...bindings: SqlValue[]): Record<string, unknown>[] {
    return this.#sql.exec(query, ...bindings).toArray()
  }
}

function isSame({ match, schema, enforce }: Schema, input: SchemaInput): boolean {
  return canonical({ match, schema, enforce }) === canonical({ ...input })
}
