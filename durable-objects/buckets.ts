/**
 * Where an agent's deliveries lie: a new table every sixth of the retention (a quiet mailbox: once in it), dropped whole once
 * all in it is past keeping, because a dropped table costs no row and a deleted row costs one (docs/decisions/0004, 0012).
 * Stragglers of a dropped bucket move to `kept`. Never here: what a delivery is (durable-objects/mailbox-store.ts).
 */
import type { Tally } from '../shared/audit.ts'
import type { Bucket, BucketsRecord, Ledger } from '../shared/bucket.ts'
import type { StoragePort } from '../shared/ports.ts'
import { columnOf, copy, deliveryColumns, homeOf, layOut, leastReach, type Reach } from './delivery-rows.ts'

const bucketsPerRetention = 6
const bucketPeriodMinMs = 600_000
// To open a table and to drop it costs six rows: too much for a few receipts, which may as well be kept twice as long.
const rowsWorthABucket = 1_000

export const keptTable = 'kept'

/** The table of stragglers. Its few live rows are found by an index, the only secondary one. */
export const createKept = [
  `CREATE TABLE ${keptTable} (${deliveryColumns})`,
  `CREATE INDEX kept_live ON ${keptTable} (live) WHERE live = 1`,
] as const

const tableOf = (n: number) => `deliveries_${n}`

export class Buckets {
  /** Of all tables. */
  readonly reach: Reach = { of: leastReach }
  readonly #sql: StoragePort['sql']
  /** Oldest first; the last is open. Empty until the first delivery: reading an unknown agent must leave no trace. */
  #list: Bucket[] = []
  #ledger: Ledger | undefined
  /** Whether anything ever moved to `kept`; undefined while nobody has looked. Most mailboxes have nothing there. */
  #keptUsed: boolean | undefined

  constructor(sql: StoragePort['sql']) {
    this.#sql = sql
  }

  load(record: BucketsRecord): void {
    this.reach.of = record.reach ?? leastReach
    this.#list = record.list
    this.#ledger = record.ledger
  }

  /** Lays all tables out as they are now, those of before by id. */
  layOut(): void {
    const [, index] = createKept
    for (const table of [keptTable, ...this.#list.map((b) => tableOf(b.n))]) layOut(this.#sql, table, this.reach)
    this.#sql.exec(index)
  }

  /** As it is to be stored, with the numbers that the mailbox has given. */
  record(sequence: number): BucketsRecord {
    if (this.#ledger !== undefined) this.#ledger = { ...this.#ledger, sequence }
    const { of } = this.reach
    return {
      v: 1,
      list: this.#list,
      ...(of > leastReach && { reach: of }),
      ...(this.#ledger === undefined ? {} : { ledger: this.#ledger }),
    }
  }

  /** Undefined before the first delivery, and in storage from before there was one. */
  get ledger(): Ledger | undefined {
    return this.#ledger
  }

  /** Begins the count with what is there: whatever the numbers say more was forgotten before anybody counted. */
  openLedger(sequence: number): void {
    const { numbered } = this.tally()
    this.#ledger = { sequence, forgotten: sequence - numbered, redriven: 0 }
  }

  countRedriven(n: number): void {
    if (this.#ledger !== undefined) this.#ledger = { ...this.#ledger, redriven: this.#ledger.redriven + n }
  }

  countForgotten(n: number): void {
    if (this.#ledger !== undefined) this.#ledger = { ...this.#ledger, forgotten: this.#ledger.forgotten + n }
  }

  /** The table that takes new deliveries; undefined before the first. */
  get open(): string | undefined {
    const last = this.#list.at(-1)
    return last === undefined ? undefined : tableOf(last.n)
  }

  /** Rows in the open table. */
  get openRows(): number {
    return this.#list.at(-1)?.rows ?? 0
  }

  /** Rows in all buckets. */
  get rows(): number {
    return this.#list.reduce((sum, b) => sum + b.rows, 0)
  }

  /** Every table that holds anything, newest first, so that the likely one is asked first. */
  get tables(): string[] {
    if (this.#list.length === 0) return []
    this.#keptUsed ??= this.#sql.exec(`SELECT 1 FROM ${keptTable} LIMIT 1`).toArray().length > 0
    const newestFirst = this.#list.map((b) => tableOf(b.n)).reverse()
    return this.#keptUsed ? [...newestFirst, keptTable] : newestFirst
  }

  /** Something is about to be written to `kept`. */
  useKept(): void {
    this.#keptUsed = true
  }

  /** The table that has the row of this id. */
  homeOf(id: string): string | undefined {
    return homeOf(this.#sql, this.tables, this.reach, id)
  }

  /** What its row says, in whichever table it is. */
  column(column: 'record' | 'body', id: string): unknown {
    return columnOf(this.#sql, this.tables, this.reach, column, id)
  }

  /** The tables in which something may be live. */
  get liveTables(): string[] {
    const last = this.#list.at(-1)
    return last === undefined
      ? []
      : [keptTable, ...this.#list.filter((b) => b.live || b === last).map((b) => tableOf(b.n))]
  }

  /** Are there rows that may have names of before (`unplacedMid`)? */
  get hasUnplaced(): boolean {
    return this.#list.some((b) => b.placed !== true)
  }

  begin(now: number): void {
    if (this.#list.length === 0) this.#ledger = { sequence: 0, forgotten: 0, redriven: 0 }
    const n = (this.#list.at(-1)?.n ?? 0) + 1
    this.#sql.exec(`CREATE TABLE ${tableOf(n)} (${deliveryColumns})`)
    this.#list = [...this.#list, { n, since: now, rows: 0, live: false, placed: true }]
  }

  /** Counts a row into the open table; or sets the count, when it was just read. */
  count(rows = this.openRows + 1): void {
    this.#list = this.#list.map((b, i) => (i === this.#list.length - 1 ? { ...b, rows } : b))
  }

  /**
   * Opens a new table when the open one is old enough, and drops those past keeping. `holdsLive` tells which tables still do.
   * Returns the dropped tables, or undefined when nothing changed.
   */
  rotate(retentionMs: number, holdsLive: (table: string) => boolean, now: number): readonly string[] | undefined {
    const before = JSON.stringify(this.#list)
    const last = this.#list.at(-1)
    if (last === undefined) return undefined
    const periodMs = last.rows >= rowsWorthABucket ? retentionMs / bucketsPerRetention : retentionMs
    if (last.rows > 0 && now - last.since >= Math.max(bucketPeriodMinMs, periodMs)) {
      this.#list = this.#list.map((b) => (b === last ? { ...b, closedAt: now } : b))
      this.begin(now)
    }
    this.#list = this.#list.map((b) => (b.closedAt === undefined ? b : { ...b, live: holdsLive(tableOf(b.n)) }))
    const past = this.#list.filter((b) => b.closedAt !== undefined && b.closedAt + retentionMs <= now)
    for (const bucket of past) this.#drop(tableOf(bucket.n), now)
    this.#list = this.#list.filter((b) => !past.includes(b))
    return JSON.stringify(this.#list) === before ? undefined : past.map((b) => tableOf(b.n))
  }

  /** Counts the rows of every table, by columns alone: what a record holds is not parsed. */
  tally(): Tally {
    const found = new Set(this.liveTables)
    let sum: Tally = { numbered: 0, fleeting: 0, waiting: 0, stranded: 0 }
    for (const table of this.tables) {
      const [row] = this.#sql
        .exec(
          `SELECT count(*) AS n, coalesce(sum(sequence > 0), 0) AS numbered, coalesce(sum(keep_until IS NULL), 0) AS waiting,
             coalesce(sum(keep_until IS NULL AND live = 0), 0) AS stranded FROM ${table}`,
        )
        .toArray()
      const [n, numbered, waiting] = [Number(row?.n), Number(row?.numbered), Number(row?.waiting)]
      sum = {
        numbered: sum.numbered + numbered,
        fleeting: sum.fleeting + n - numbered,
        waiting: sum.waiting + waiting,
        // A rebuilt mailbox would not look there.
        stranded: sum.stranded + (found.has(table) ? Number(row?.stranded) : waiting),
      }
    }
    return sum
  }

  #drop(table: string, now: number): void {
    // What has not ended has no time to be kept until: dropped by whatever mistake, it is not forgotten but missing.
    const [row] = this.#sql
      .exec(`SELECT count(*) AS n FROM ${table} WHERE sequence > 0 AND live = 0 AND keep_until <= ?`, now)
      .toArray()
    this.countForgotten(Number(row?.n))
    this.useKept()
    copy(this.#sql, table, keptTable, this.reach, 'live = 1 OR keep_until > ?', now)
    this.#sql.exec(`DROP TABLE ${table}`)
  }
}
