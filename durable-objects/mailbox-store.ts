/**
 * Where a mailbox lives: the tables of one agent's object (docs/storage.md). Parses what storage held, writes what a draft
 * changed. Never here: a decision about mail (shared/), or which table a delivery lies in (durable-objects/buckets.ts).
 */
import { readAgent } from '../shared/agent.ts'
import { auditOf, type MailboxAudit } from '../shared/audit.ts'
import { readBuckets } from '../shared/bucket.ts'
import { type Delivery, isDeadLetter, isLive, keepsBody, readDelivery } from '../shared/delivery.ts'
import { isGateChanged, newGate, readGate, seenAt } from '../shared/gate.ts'
import { type Lease, readLeases } from '../shared/lease.ts'
import { limits } from '../shared/limits.ts'
import { agentOf, type Draft, leasesOf, type Mailbox } from '../shared/mailbox.ts'
import type { StoragePort } from '../shared/ports.ts'
import { Buckets, createKept, keptTable } from './buckets.ts'
import { copy, isKeyedById, isRow, place, type Reach, rowAt } from './delivery-rows.ts'
import { dayMs, emptyMailboxOf, retentionOf, rowOf, withLostLeases } from './mailbox-rows.ts'
import { RecentBodies } from './recent-bodies.ts'

export class MailboxStore {
  readonly #storage: StoragePort
  readonly #buckets: Buckets
  #retentionMs = dayMs
  /** Which table each live delivery is in. */
  readonly #homes = new Map<string, string>()
  readonly #recent = new RecentBodies()

  constructor(storage: StoragePort) {
    this.#storage = storage
    this.#buckets = new Buckets(storage.sql)
  }

  // --- reading --------------------------------------------------------------------------------------------------------

  /** Rebuilds the mailbox: the agent, what is live, and which leases are in force. */
  load(): Mailbox {
    if (!this.#hasTables()) return emptyMailboxOf()
    const stored = this.#meta('agent')
    const agent = stored === undefined ? undefined : readAgent(stored)
    const gate = this.#meta('gate')
    const buckets = this.#meta('buckets')
    if (buckets !== undefined) this.#buckets.load(readBuckets(buckets))
    if (this.#isOfOldLayout) this.#storage.transactionSync(() => this.#buckets.layOut())
    const live = new Map<string, Delivery>()
    let sequence = Math.max(agent?.sequence ?? 0, this.#buckets.ledger?.sequence ?? 0)
    for (const table of this.#buckets.liveTables) {
      for (const row of this.#all(`SELECT record FROM ${table} WHERE live = 1`)) {
        const delivery = readDelivery(row.record)
        live.set(delivery.id, delivery)
        this.#homes.set(delivery.id, table)
      }
    }
    const { open } = this.#buckets
    if (open !== undefined) {
      const [row] = this.#all(`SELECT max(sequence) AS top, count(*) AS n FROM ${open}`)
      sequence = Math.max(sequence, Number(row?.top ?? 0))
      this.#buckets.count(Number(row?.n ?? 0))
    }
    for (const delivery of live.values()) sequence = Math.max(sequence, delivery.sequence)
    const { leases, latest } = this.#leases(live)
    const known = gate === undefined ? newGate : readGate(gate)
    return {
      ...emptyMailboxOf(),
      agent,
      gate: agent?.kind === 'pull' ? seenAt(known, latest) : known,
      live: withLostLeases(live, leases),
      leases,
      sequence,
      depth: [...live.values()].filter((d) => d.state.at === 'waiting').length,
    }
  }

  /** A delivery by its id, live or not. `before`: the id that it had if it was accepted before ids said when they were made. */
  stored(id: string, before?: () => string): Delivery | undefined {
    const record = this.#buckets.column('record', id)
    if (record !== undefined) return readDelivery(record)
    return before !== undefined && this.#buckets.hasUnplaced ? this.stored(before()) : undefined
  }

  /** The message as JSON text; undefined once it was dropped. */
  body(id: string): string | undefined {
    const body = this.#recent.get(id) ?? this.#buckets.column('body', id)
    return typeof body === 'string' ? body : undefined
  }

  /** Is anything stored at all? */
  exists(): boolean {
    return this.#hasTables()
  }

  readonly tables = (): readonly string[] => this.#buckets.tables
  readonly reach = (): Reach => this.#buckets.reach

  readonly rows = (): number => this.#buckets.rows
  /** Is no delivery kept, live or ended? */
  readonly isEmpty = () => this.tables().every((table) => this.#all(`SELECT 1 FROM ${table} LIMIT 1`).length === 0)

  /** Does what was accepted add up with the rows that are there? Reads each of them, and writes nothing. */
  audit({ sequence, depth }: Mailbox): MailboxAudit {
    if (this.#buckets.open === undefined)
      return auditOf(sequence, depth, { sequence: 0, forgotten: 0, redriven: 0 }, this.#buckets.tally())
    const { ledger, rows } = this.#buckets
    if (rows > limits.auditRows) return { verdict: 'not_counted', why: 'too_large' }
    if (ledger === undefined) return { verdict: 'not_counted', why: 'not_begun' }
    return auditOf(sequence, depth, ledger, this.#buckets.tally())
  }

  // --- writing (inside the caller's transaction) ----------------------------------------------------------------------

  /** Writes what changed. */
  save(draft: Draft, now: number): void {
    this.#createTables()
    const { of: reached } = this.#buckets.reach
    this.#retentionMs = retentionOf(agentOf(draft))
    if (draft.agent !== undefined) {
      if (draft.agent === null) this.#storage.sql.exec('DELETE FROM meta WHERE key = ?', 'agent')
      else this.#putMeta('agent', { ...draft.agent, sequence: draft.sequence })
    }
    for (const [id, delivery] of draft.deliveries) {
      const body = draft.inserted.get(id)
      if (body === undefined) this.#update(delivery, now)
      else this.#insert(delivery, keepsBody(delivery) ? body : null, now)
    }
    for (const [id, body] of draft.edited) {
      this.#recent.drop(id)
      this.#storage.sql.exec(
        `UPDATE ${this.#homes.get(id) ?? keptTable} SET body = ? WHERE ${isRow}`,
        body,
        ...rowAt(id, this.#buckets.reach),
      )
    }
    if (draft.slots.size > 0) this.#saveLeases(draft)
    this.#saveLedger(draft)
    if (this.#buckets.reach.of > reached) this.#putBuckets(draft.sequence)
    if (isGateChanged(draft.base.gate, draft.gate)) this.#putMeta('gate', draft.gate)
  }

  /** Starts a new bucket and drops old ones, as they are due. `agent.sequence` is saved first, since the rows that show it go. */
  rotate(mailbox: Mailbox, now: number): void {
    const homes = new Set(this.#homes.values())
    const dropped = this.#buckets.rotate(retentionOf(mailbox.agent), (table) => homes.has(table), now)
    if (dropped === undefined) return
    for (const [id, home] of this.#homes) if (dropped.includes(home)) this.#homes.set(id, keptTable)
    if (mailbox.agent !== undefined) this.#putMeta('agent', { ...mailbox.agent, sequence: mailbox.sequence })
    this.#putBuckets(mailbox.sequence)
  }

  /** Removes what `kept` need not keep any longer, a bounded number at a time. */
  tidy({ sequence }: Mailbox, now: number): void {
    if (!this.#hasTables()) return
    const gone = this.#all(`SELECT key, sequence FROM ${keptTable} WHERE live = 0 AND keep_until <= ? LIMIT 500`, now)
    if (gone.length === 0) return
    for (const row of gone) this.#storage.sql.exec(`DELETE FROM ${keptTable} WHERE key = ?`, Number(row.key))
    this.#buckets.countForgotten(gone.filter((row) => Number(row.sequence) > 0).length)
    this.#putBuckets(sequence)
  }

  /** Begins the count of a mailbox whose storage is from before there was one. */
  openLedger({ sequence }: Mailbox): void {
    const { open, ledger, rows } = this.#buckets
    if (open === undefined || ledger !== undefined || rows > limits.auditRows) return
    this.#buckets.openLedger(sequence)
    this.#putBuckets(sequence)
  }

  // --- inside ---------------------------------------------------------------------------------------------------------

  #insert(delivery: Delivery, body: string | null, now: number): void {
    if (this.#buckets.open === undefined) {
      this.#buckets.begin(now)
      this.#putBuckets(0)
    }
    const table = this.#buckets.open ?? keptTable
    place(this.#storage.sql, table, this.#buckets.reach, [...rowOf(delivery, this.#retentionMs, now), body])
    this.#buckets.count()
    if (!isLive(delivery)) return
    this.#homes.set(delivery.id, table)
    if (body !== null) this.#recent.keep(delivery.id, body)
  }

  #update(delivery: Delivery, now: number): void {
    const home = this.#homes.get(delivery.id) ?? this.#buckets.homeOf(delivery.id)
    if (home === undefined) throw new Error(`no row for ${delivery.id}`)
    const [, live, sequence, keepUntil, record] = rowOf(this.#trimmed(delivery, home), this.#retentionMs, now)
    const dropBody = keepsBody(delivery) ? '' : ', body = NULL'
    if (dropBody !== '') this.#recent.drop(delivery.id)
    // A dead letter that lives again may lie in a bucket that a rebuild no longer scans: it moves to `kept`, which it does.
    const table = live === 1 && !this.#homes.has(delivery.id) ? this.#toKept(delivery.id, home) : home
    this.#storage.sql.exec(
      `UPDATE ${table} SET live = ?, sequence = ?, keep_until = ?, record = ?${dropBody} WHERE ${isRow}`,
      live,
      sequence,
      keepUntil,
      record,
      ...rowAt(delivery.id, this.#buckets.reach),
    )
    if (live === 1) this.#homes.set(delivery.id, table)
    else this.#homes.delete(delivery.id)
  }

  #toKept(id: string, home: string): string {
    if (home !== keptTable) {
      this.#buckets.useKept()
      const at = rowAt(id, this.#buckets.reach)
      copy(this.#storage.sql, home, keptTable, this.#buckets.reach, isRow, ...at)
      this.#storage.sql.exec(`DELETE FROM ${home} WHERE ${isRow}`, ...at)
    }
    return keptTable
  }

  // Rows are bounded by bytes too: in a crowded bucket a receipt keeps its end and its key, not its story.
  #trimmed(delivery: Delivery, home: string): Delivery {
    const crowded = home === this.#buckets.open && this.#buckets.openRows > limits.detailedReceiptsPerBucket
    if (!crowded || isLive(delivery) || isDeadLetter(delivery)) return delivery
    return { ...delivery, steps: delivery.steps.slice(-1), attempts: [], truncated: true }
  }

  // The number of a new life may be in no row of the open bucket, where a rebuild looks for the last one.
  #saveLedger(draft: Draft): void {
    const { sequence } = draft.base
    const revived = [...draft.deliveries.values()].filter((d) => d.sequence > sequence && !draft.inserted.has(d.id))
    if (revived.length === 0) return
    this.#buckets.countRedriven(revived.length)
    this.#putBuckets(draft.sequence)
  }

  #saveLeases(draft: Draft): void {
    const bySlot = new Map<number, Lease[]>()
    for (const slot of draft.slots) bySlot.set(slot, [])
    for (const lease of leasesOf(draft)) bySlot.get(lease.slot)?.push({ ...lease, saved: true })
    for (const [slot, leases] of bySlot) {
      this.#storage.sql.exec(
        'INSERT INTO leases (slot, leases) VALUES (?, ?) ON CONFLICT (slot) DO UPDATE SET leases = excluded.leases',
        slot,
        JSON.stringify({ v: 1, leases }),
      )
    }
  }

  // A saved lease is in force only while it is its delivery's newest: rows are reused, never cleaned. `latest`: when one was granted last.
  #leases(live: ReadonlyMap<string, Delivery>): { readonly leases: Map<string, Lease>; readonly latest: number } {
    const leases = new Map<string, Lease>()
    let latest = 0
    for (const row of this.#all('SELECT leases FROM leases')) {
      for (const lease of readLeases(row.leases)) {
        latest = Math.max(latest, lease.at)
        const delivery = live.get(lease.id)
        const newest = leases.get(lease.id)
        if (
          delivery?.state.at !== 'waiting' ||
          lease.number <= delivery.leases ||
          (newest !== undefined && newest.number >= lease.number)
        )
          continue
        leases.set(lease.id, lease)
      }
    }
    return { leases, latest }
  }

  #ready = false
  #isOfOldLayout = false

  #hasTables(): boolean {
    if (this.#ready) return true
    const [kept] = this.#all("SELECT sql FROM sqlite_master WHERE type = 'table' AND name = ?", keptTable)
    this.#ready = kept !== undefined
    this.#isOfOldLayout = kept !== undefined && isKeyedById(String(kept.sql))
    return this.#ready
  }

  #createTables(): void {
    if (this.#hasTables()) return
    this.#storage.sql.exec('CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID')
    this.#storage.sql.exec('CREATE TABLE leases (slot INTEGER PRIMARY KEY, leases TEXT NOT NULL)')
    for (const statement of createKept) this.#storage.sql.exec(statement)
  }

  #meta(key: string): unknown {
    return this.#all('SELECT value FROM meta WHERE key = ?', key)[0]?.value
  }

  #putBuckets(sequence: number): void {
    this.#putMeta('buckets', this.#buckets.record(sequence))
  }

  #putMeta(key: string, value: unknown): void {
    this.#storage.sql.exec(
      'INSERT INTO meta (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value',
      key,
      JSON.stringify(value),
    )
  }

  #all(query: string, ...bindings: (string | number)[]): Record<string, unknown>[] {
    return this.#storage.sql.exec(query, ...bindings).toArray()
  }
}
