/**
 * DeadLettersObject: the index of every dead letter of the deployment. One instance, named `all`. The body of a letter, and
 * whether it can still be redriven, are its mailbox's to know. Every method may be repeated and may come late: a letter that
 * was removed leaves a tombstone, so that a late burial does not bring it back. Never here: redriving (workers/exhume.ts).
 */
import { DurableObject } from 'cloudflare:workers'
import type { DeadLettersPort } from '../shared/dead-letter.ts'
import {
  agentsPerGroup,
  type DeadLetter,
  type DeadLetterFilter,
  deadLetterKeptMs,
  groupCursor,
  isNewsOf,
  type LetterCount,
  type LetterGroup,
  letterCursor,
  parseGroupCursor,
  parseLetterCursor,
  readLetter,
  tombstoneKeptMs,
} from '../shared/dead-letter.ts'
import { limits } from '../shared/limits.ts'
import type { ChancePort, SqlValue, StoragePort, Synchronous } from '../shared/ports.ts'
import { chance } from './chance.ts'

// A row is in exactly one of the two indexes: kept letters are listed by time, tombstones are only waiting to be dropped.
// The first index covers lists, filters and groups, so that grouping reads no record but one a group.
const tables = [
  `CREATE TABLE IF NOT EXISTS letters (
     id TEXT PRIMARY KEY, at INTEGER NOT NULL, agent TEXT NOT NULL, reason TEXT NOT NULL, removed_at INTEGER, record TEXT,
     fingerprint TEXT
   ) WITHOUT ROWID`,
  'DROP INDEX IF EXISTS letters_kept',
  'CREATE INDEX IF NOT EXISTS letters_by_time ON letters (at, id, agent, reason, fingerprint) WHERE removed_at IS NULL',
  'CREATE INDEX IF NOT EXISTS letters_removed ON letters (removed_at) WHERE removed_at IS NOT NULL',
]

/** Old rows dropped per burial, per letter buried: more than one, so that they shrink while new ones come. */
const droppedPerLetter = 4

/** A page ends early rather than outgrow what one call may carry (32 MiB). */
const pageCharacters = 4_194_304

/** Enough for a group's agents, with their commas, and the beginning of one more. */
const agentsCharacters = (agentsPerGroup + 1) * (limits.agentNameLength + 1)

export class DeadLettersObject extends DurableObject<Env> implements Synchronous<DeadLettersPort> {
  readonly #storage: StoragePort
  readonly #chance: Pick<ChancePort, 'now'>

  constructor(ctx: DurableObjectState, env: Env, ports: Pick<ChancePort, 'now'> = chance) {
    super(ctx, env)
    // The narrow shape that is used; the platform's own class satisfies it.
    this.#storage = ctx.storage as unknown as StoragePort
    this.#chance = ports
    this.#addFingerprint()
    for (const table of tables) this.#storage.sql.exec(table)
  }

  bury(letters: readonly DeadLetter[]): void {
    this.#storage.transactionSync(() => {
      this.#dropOld(letters.length * droppedPerLetter)
      for (const letter of letters) if (isNewsOf(letter, this.#known(letter.id))) this.#put(letter)
    })
  }

  get(id: string): DeadLetter | undefined {
    const [row] = this.#rows(
      'SELECT record FROM letters WHERE id = ? AND removed_at IS NULL AND at > ?',
      id,
      this.#keptSince(),
    )
    return row === undefined ? undefined : readLetter(row.record)
  }

  list(filter: DeadLetterFilter, cursor: string | undefined, limit: number) {
    const before = parseLetterCursor(cursor)
    const rows = this.#rows(
      `SELECT record FROM letters
       WHERE removed_at IS NULL AND at > ? AND (at, id) < (?, ?) AND ${where('agent', filter.agent)} AND ${where('reason', filter.reason)}
         AND ${where('fingerprint', filter.fingerprint)}
       ORDER BY at DESC, id DESC LIMIT ?`,
      this.#after(filter.since),
      before.at,
      before.id,
      ...[filter.agent, filter.reason, filter.fingerprint].filter((value) => value !== undefined),
      limit + 1,
    )
    const items: DeadLetter[] = []
    let characters = 0
    for (const { record } of rows.slice(0, limit)) {
      characters += String(record).length
      if (items.length > 0 && characters > pageCharacters) break
      items.push(readLetter(record))
    }
    const last = items.at(-1)
    return { items, ...(rows.length > items.length && last !== undefined ? { cursor: letterCursor(last) } : {}) }
  }

  groups({ agent, since }: Pick<DeadLetterFilter, 'agent' | 'since'>, cursor: string | undefined, limit: number) {
    const before = parseGroupCursor(cursor)
    const rows = this.#rows(
      `SELECT fingerprint, reason, count(*) AS count, min(at) AS oldest, max(at) AS newest,
         substr(group_concat(DISTINCT agent), 1, ${agentsCharacters}) AS agents
       FROM letters WHERE removed_at IS NULL AND at > ? AND fingerprint IS NOT NULL AND ${where('agent', agent)}
       GROUP BY fingerprint, reason HAVING (max(at), fingerprint, reason) < (?, ?, ?)
       ORDER BY max(at) DESC, fingerprint DESC, reason DESC LIMIT ?`,
      this.#after(since),
      ...(agent === undefined ? [] : [agent]),
      before.at,
      before.fingerprint,
      before.reason,
      limit + 1,
    )
    const items = rows.slice(0, limit).flatMap((row) => this.#group(row, agent))
    const last = items.at(-1)
    return { items, ...(rows.length > limit && last !== undefined ? { cursor: groupCursor(last) } : {}) }
  }

  count(max: number): { counts: readonly LetterCount[]; counted: number } {
    const counts = this.#rows(
      `SELECT agent, reason, count(*) AS count FROM
         (SELECT agent, reason FROM letters WHERE removed_at IS NULL AND at > ? ORDER BY at DESC, id DESC LIMIT ?)
       GROUP BY agent, reason ORDER BY agent, reason`,
      this.#keptSince(),
      max,
    ).map((row) => ({ agent: String(row.agent), reason: String(row.reason), count: Number(row.count) }))
    return { counts, counted: counts.reduce((sum, { count }) => sum + count, 0) }
  }

  /** False when there was none; its burial may still be under way, so a tombstone is left all the same. */
  remove(id: string): boolean {
    return this.#storage.transactionSync(() => {
      const known = this.#known(id)
      const now = this.#chance.now()
      if (known === undefined)
        this.#rows("INSERT INTO letters (id, at, agent, reason, removed_at) VALUES (?, ?, '', '', ?)", id, now, now)
      else if (!known.removed) this.#rows('UPDATE letters SET removed_at = ?, record = NULL WHERE id = ?', now, id)
      return known !== undefined && !known.removed
    })
  }

  // --- inside ---------------------------------------------------------------------------------------------------------

  // A table made before letters had fingerprints: its letters are listed, and in no group.
  #addFingerprint(): void {
    const [table] = this.#rows("SELECT sql FROM sqlite_master WHERE type = 'table' AND name = 'letters'")
    if (table !== undefined && !String(table.sql).includes('fingerprint'))
      this.#rows('ALTER TABLE letters ADD COLUMN fingerprint TEXT')
  }

  #group(row: Record<string, unknown>, agent: string | undefined): LetterGroup[] {
    const [newest] = this.#rows(
      `SELECT record FROM letters
       WHERE removed_at IS NULL AND at = ? AND fingerprint = ? AND reason = ? AND ${where('agent', agent)}
       ORDER BY id DESC LIMIT 1`,
      Number(row.newest),
      String(row.fingerprint),
      String(row.reason),
      ...(agent === undefined ? [] : [agent]),
    )
    if (newest === undefined) return []
    const { id, error, reason } = readLetter(newest.record)
    return [
      {
        fingerprint: String(row.fingerprint),
        reason,
        count: Number(row.count),
        agents: agentsOf(String(row.agents)),
        newestAt: Number(row.newest),
        oldestAt: Number(row.oldest),
        example: { id, ...(error === undefined ? {} : { error }) },
      },
    ]
  }

  #known(id: string) {
    const [row] = this.#rows('SELECT at, removed_at FROM letters WHERE id = ?', id)
    return row === undefined ? undefined : { at: Number(row.at), removed: row.removed_at !== null }
  }

  #put(letter: DeadLetter): void {
    this.#rows(
      `INSERT INTO letters (id, at, agent, reason, removed_at, record, fingerprint) VALUES (?, ?, ?, ?, NULL, ?, ?)
       ON CONFLICT (id) DO UPDATE SET
         at = excluded.at, agent = excluded.agent, reason = excluded.reason, removed_at = NULL, record = excluded.record,
         fingerprint = excluded.fingerprint`,
      letter.id,
      letter.at,
      letter.agent,
      letter.reason,
      JSON.stringify(letter),
      letter.fingerprint ?? null,
    )
  }

  #dropOld(most: number): void {
    this.#rows(
      `DELETE FROM letters WHERE id IN
         (SELECT id FROM letters WHERE removed_at IS NULL AND at <= ? ORDER BY at LIMIT ?)`,
      this.#keptSince(),
      most,
    )
    this.#rows(
      `DELETE FROM letters WHERE id IN
         (SELECT id FROM letters WHERE removed_at IS NOT NULL AND removed_at <= ? ORDER BY removed_at LIMIT ?)`,
      this.#chance.now() - tombstoneKeptMs,
      most,
    )
  }

  /** Letters of that time and before are not looked at. */
  #after(since: number | undefined): number {
    return Math.max(this.#keptSince(), (since ?? 0) - 1)
  }

  #keptSince(): number {
    return this.#chance.now() - deadLetterKeptMs
  }

  #rows(query: string, ...bindings: SqlValue[]): Record<string, unknown>[] {
    return this.#storage.sql.exec(query, ...bindings).toArray()
  }
}

// An absent filter binds nothing, so that SQLite sees a plain condition and not one that may be anything.
function where(column: 'agent' | 'reason' | 'fingerprint', value: string | undefined): string {
  return value === undefined ? 'TRUE' : `${column} = ?`
}

// Cut off where it became too long, the last name may not be whole. A publication's letter is for no agent in particular.
function agentsOf(joined: string): string[] {
  const names = joined.split(',')
  const whole = joined.length < agentsCharacters ? names : names.slice(0, -1)
  return whole.filter((name) => name !== '').slice(0, agentsPerGroup)
}
