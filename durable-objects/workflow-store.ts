/**
 * Where a workflow lives: the tables of its object (docs/storage.md). Reads and writes rows, and forgets the oldest when its
 * past has grown too long. Never here: what a step does (shared/workflow.ts), and no transaction of its own.
 */

import { type Budget, readBudget } from '../shared/budget.ts'
import type { ChartMove } from '../shared/chart-step.ts'
import type { JsonObject } from '../shared/json-pointer.ts'
import { limits } from '../shared/limits.ts'
import { type Outgoing, readOutgoing } from '../shared/outgoing.ts'
import type { SqlPort, SqlValue } from '../shared/ports.ts'
import { type Difference, undone } from '../shared/versioned.ts'
import {
  type Deferred,
  type Draft,
  draftOf,
  type NewEntry,
  readDeferred,
  readState,
  readWorkflow,
} from '../shared/workflow.ts'
import { type HistoryEntry, readDifference, readEntry } from '../shared/workflow-history.ts'

const tables = [
  'CREATE TABLE IF NOT EXISTS workflow (id TEXT PRIMARY KEY, record TEXT NOT NULL, state TEXT NOT NULL) WITHOUT ROWID',
  'CREATE TABLE IF NOT EXISTS definition (one INTEGER PRIMARY KEY, definition TEXT NOT NULL)',
  // `version` and `replaced`: only of an entry that is a commit; `replaced` goes before the entry does.
  'CREATE TABLE IF NOT EXISTS history (n INTEGER PRIMARY KEY, version INTEGER, operation TEXT, record TEXT NOT NULL, replaced TEXT)',
  'CREATE TABLE IF NOT EXISTS effects (n INTEGER PRIMARY KEY, record TEXT NOT NULL)',
  // Most have ended, and who carries them out asks for those that have not.
  "CREATE INDEX IF NOT EXISTS effects_open ON effects (n) WHERE json_extract(record, '$.state.status') = 'pending'",
  'CREATE TABLE IF NOT EXISTS deferred (n INTEGER PRIMARY KEY, record TEXT NOT NULL)',
  'CREATE UNIQUE INDEX IF NOT EXISTS history_by_operation ON history (operation) WHERE operation IS NOT NULL',
]

/** Made with the first budget. */
const budgetTable = 'CREATE TABLE IF NOT EXISTS budget (one INTEGER PRIMARY KEY, record TEXT NOT NULL)'

/** Entries forgotten at once, so that not every step pays for one. */
const forgottenAtOnce = 200
/** Entries that a diagram shows the way through. */
const pathEntries = 500
/** Rows read at once on the way back through the past. */
const pageRows = 50

export class WorkflowStore {
  readonly #sql: SqlPort
  /** Characters of all that changes replaced; counted once, then kept along. */
  #pastCharacters: number | undefined

  constructor(sql: SqlPort) {
    this.#sql = sql
  }

  load(): Draft | undefined {
    if (!this.#has('workflow')) return undefined
    const [row] = this.rows('SELECT record, state FROM workflow')
    return row === undefined ? undefined : draftOf(readWorkflow(row.record), readState(row.state), this.#budget())
  }

  /** Nothing is stored until there is something: asking for a workflow that does not exist leaves no trace. */
  #has(table: string): boolean {
    return this.rows("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?", table).length > 0
  }

  #budget(): Budget | undefined {
    const [row] = this.#has('budget') ? this.rows('SELECT record FROM budget') : []
    return row === undefined ? undefined : readBudget(row.record)
  }

  /** In a row of its own: it changes with every message, and the state need not be written again for that. */
  saveBudget(budget: Budget | undefined): void {
    if (budget === undefined && !this.#has('budget')) return
    this.rows(budgetTable)
    if (budget === undefined) this.rows('DELETE FROM budget')
    else this.rows('INSERT OR REPLACE INTO budget (one, record) VALUES (1, ?)', JSON.stringify(budget))
  }

  create(id: string, definition: unknown): void {
    // Of the one that had this id before.
    this.#pastCharacters = undefined
    for (const table of tables) this.rows(table)
    if (definition !== undefined)
      this.rows('INSERT INTO definition (one, definition) VALUES (1, ?)', JSON.stringify(definition))
    this.rows('INSERT INTO workflow (id, record, state) VALUES (?, ?, ?)', id, '{}', '{}')
  }

  save(draft: Draft): void {
    const { record, state } = draft
    this.rows(
      'UPDATE workflow SET record = ?, state = ? WHERE id = ?',
      JSON.stringify(record),
      JSON.stringify(state),
      record.id,
    )
    for (const one of draft.entries) this.#append(one)
    for (const one of draft.effects)
      this.rows('INSERT OR REPLACE INTO effects (n, record) VALUES (?, ?)', one.n, JSON.stringify(one))
    if (draft.effects.length > 0) this.#forgetEffects(record.last.effect)
    for (const one of draft.deferred)
      this.rows('INSERT INTO deferred (n, record) VALUES (?, ?)', one.n, JSON.stringify(one))
    if (draft.drainedTo !== undefined) this.rows('DELETE FROM deferred WHERE n <= ?', draft.drainedTo)
    if (draft.entries.length > 0) this.#forget()
  }

  definition(): unknown {
    const [row] = this.rows('SELECT definition FROM definition')
    return row === undefined ? undefined : JSON.parse(String(row.definition))
  }

  // --- effects and deferred events --------------------------------------------------------------------------------------

  effect(n: number): Outgoing | undefined {
    const [row] = this.rows('SELECT record FROM effects WHERE n = ?', n)
    return row === undefined ? undefined : readOutgoing(row.record)
  }

  openEffects(after: number, limit: number): Outgoing[] {
    return this.rows(
      "SELECT record FROM effects WHERE json_extract(record, '$.state.status') = 'pending' AND n > ? ORDER BY n LIMIT ?",
      after,
      limit,
    ).map((row) => readOutgoing(row.record))
  }

  effects(after: number, limit: number): Outgoing[] {
    return this.rows('SELECT record FROM effects WHERE n > ? ORDER BY n LIMIT ?', after, limit).map((row) =>
      readOutgoing(row.record),
    )
  }

  deferred(limit: number): Deferred[] {
    return this.rows('SELECT record FROM deferred ORDER BY n LIMIT ?', limit).map((row) => readDeferred(row.record))
  }

  // --- the past ---------------------------------------------------------------------------------------------------------

  /** The entry that this operation made. */
  byOperation(operation: string): HistoryEntry | undefined {
    const [row] = this.rows('SELECT record FROM history WHERE operation = ?', operation)
    return row === undefined ? undefined : readEntry(row.record)
  }

  history(after: number, limit: number): HistoryEntry[] {
    return this.rows('SELECT record FROM history WHERE n > ? ORDER BY n LIMIT ?', after, limit).map((row) =>
      readEntry(row.record),
    )
  }

  /** The way of the statechart, through the last entries that are kept of it. */
  path(): ChartMove[] {
    const rows = this.rows(
      'SELECT record FROM (SELECT n, record FROM history WHERE version IS NOT NULL ORDER BY n DESC LIMIT ?) ORDER BY n',
      pathEntries,
    )
    return rows.flatMap((row) => readEntry(row.record).path ?? [])
  }

  /** What every commit after `version` replaced, newest first; undefined when that is no longer known. */
  since(version: number): Difference[] | undefined {
    const found: Difference[] = []
    let before = Number.MAX_SAFE_INTEGER
    for (;;) {
      const rows = this.rows(
        'SELECT n, version, replaced FROM history WHERE n < ? AND version IS NOT NULL ORDER BY n DESC LIMIT ?',
        before,
        pageRows,
      )
      for (const row of rows) {
        if (Number(row.version) <= version) return found
        if (row.replaced === null) return undefined
        found.push(readDifference(row.replaced))
        before = Number(row.n)
      }
      if (rows.length < pageRows) return undefined
    }
  }

  /** The state as it was at a version; undefined when that can no longer be made again. */
  stateAt({ record, state }: Draft, version: number): JsonObject | undefined {
    if (version === record.version) return state
    if (version > record.version || version < 1) return undefined
    return this.since(version)?.reduce(undone, state)
  }

  #append({ entry, difference }: NewEntry): void {
    const replaced = difference === undefined ? null : JSON.stringify(difference)
    if (this.#pastCharacters !== undefined) this.#pastCharacters += replaced?.length ?? 0
    this.rows(
      'INSERT INTO history (n, version, operation, record, replaced) VALUES (?, ?, ?, ?, ?)',
      entry.n,
      difference === undefined ? null : entry.version,
      entry.operation?.id ?? null,
      JSON.stringify(entry),
      replaced,
    )
  }

  #forget(): void {
    const [range] = this.rows('SELECT min(n) AS first, max(n) AS last FROM history')
    const first = Number(range?.first)
    if (Number(range?.last) - first >= limits.historyEntries + forgottenAtOnce) {
      this.rows('DELETE FROM history WHERE n < ?', first + forgottenAtOnce)
      this.#pastCharacters = undefined
    }
    while (this.#past() > limits.historyBytes && this.#forgetReplaced());
  }

  #forgetEffects(last: number): void {
    if (last % forgottenAtOnce !== 0) return
    this.rows(
      "DELETE FROM effects WHERE n <= ? AND json_extract(record, '$.state.status') <> 'pending'",
      last - limits.effectsKept,
    )
  }

  #past(): number {
    this.#pastCharacters ??= Number(this.rows('SELECT total(length(replaced)) AS sum FROM history')[0]?.sum)
    return this.#pastCharacters
  }

  // The oldest go first, but never the newest page: the next writer that is late needs it.
  #forgetReplaced(): boolean {
    const oldest = this.rows(
      `SELECT n FROM history WHERE replaced IS NOT NULL AND n <= (SELECT max(n) FROM history) - ? ORDER BY n LIMIT ?`,
      pageRows / 10,
      pageRows,
    )
    const last = oldest.at(-1)
    if (last === undefined) return false
    this.rows('UPDATE history SET replaced = NULL WHERE n <= ? AND replaced IS NOT NULL', Number(last.n))
    this.#pastCharacters = undefined
    return true
  }

  rows(query: string, ...bindings: SqlValue[]): Record<string, unknown>[] {
    return this.#sql.exec(query, ...bindings).toArray()
  }
}
