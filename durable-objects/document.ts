/**
 * DocumentObject: one document, named by its id, in chunks of at most a megabyte. It takes the chunks of one upload at a time, and
 * deletes all of it when its time is over. Never here: when that is (shared/document.ts), who may read it (workers/routes/documents.ts).
 */
import { DurableObject } from 'cloudflare:workers'
import {
  beginUpload,
  type DocumentPort,
  type DocumentRecord,
  isUnderWay,
  type KeptDocument,
  keptOf,
  readDocument,
  type Sealing,
  sealUpload,
} from '../shared/document.ts'
import type { ChancePort, SqlValue, StoragePort, Synchronous } from '../shared/ports.ts'
import { chance } from './chance.ts'

const tables = [
  'CREATE TABLE IF NOT EXISTS document (id TEXT PRIMARY KEY, record TEXT NOT NULL) WITHOUT ROWID',
  'CREATE TABLE IF NOT EXISTS chunk (n INTEGER PRIMARY KEY, bytes BLOB NOT NULL)',
]

const alarmRetryMs = 5_000

export class DocumentObject extends DurableObject implements Synchronous<DocumentPort> {
  readonly #storage: StoragePort
  readonly #chance: Pick<ChancePort, 'now'>
  readonly #name: string

  constructor(ctx: DurableObjectState, env: unknown, ports: Pick<ChancePort, 'now'> = chance) {
    // It uses no binding, so what the environment holds is nothing to it.
    super(ctx, env as Env)
    // The narrow shape that is used; the platform's own class satisfies it.
    this.#storage = ctx.storage as unknown as StoragePort
    this.#chance = ports
    this.#name = ctx.id.name ?? ''
  }

  begin(upload: string): KeptDocument | undefined {
    const [now, before] = [this.#chance.now(), this.#read()]
    const begun = beginUpload(before, { id: this.#name, upload }, now)
    if (begun !== before)
      this.#save(begun, () => {
        this.#rows('DELETE FROM chunk')
      })
    return keptOf(begun, now)
  }

  write(upload: string, n: number, bytes: Uint8Array): boolean {
    if (!isUnderWay(this.#read(), upload)) return false
    this.#rows('INSERT OR REPLACE INTO chunk (n, bytes) VALUES (?, ?)', n, bytes)
    return true
  }

  seal(sealing: Sealing): KeptDocument | undefined {
    const before = this.#read()
    const there = before === undefined ? 0 : Number(this.#rows('SELECT count(*) AS n FROM chunk')[0]?.['n'])
    const now = this.#chance.now()
    const sealed = sealUpload(before, sealing, there, now)
    if (sealed !== undefined && sealed !== before) this.#save(sealed)
    return keptOf(sealed, now)
  }

  find(): KeptDocument | undefined {
    return keptOf(this.#read(), this.#chance.now())
  }

  chunk(n: number, upload: string): Uint8Array | undefined {
    if (this.find()?.upload !== upload) return undefined
    const bytes = this.#rows('SELECT bytes FROM chunk WHERE n = ?', n)[0]?.['bytes']
    if (bytes instanceof ArrayBuffer) return new Uint8Array(bytes)
    return bytes instanceof Uint8Array ? bytes : undefined
  }

  keep(forMs: number): KeptDocument | undefined {
    const [now, before] = [this.#chance.now(), this.#read()]
    if (before === undefined || keptOf(before, now) === undefined) return undefined
    const after = { ...before, endsAt: now + forMs }
    this.#save(after)
    return keptOf(after, now)
  }

  remove(upload?: string): void {
    const before = this.#read()
    if (before === undefined || (upload !== undefined && !isUnderWay(before, upload))) return
    // What is left of it, the alarm deletes at once.
    this.#storage.transactionSync(() => {
      this.#rows('DELETE FROM chunk')
      this.#rows('DELETE FROM document')
      void this.#storage.setAlarm(this.#chance.now())
    })
  }

  /** Never throws (M6). */
  override async alarm(): Promise<void> {
    try {
      const at = this.#read()?.endsAt ?? 0
      // All of it: an empty database would be stored, and paid, for ever.
      if (at <= this.#chance.now()) await this.#storage.deleteAll()
      else await this.#storage.setAlarm(at)
    } catch (error) {
      console.error(JSON.stringify({ step: 'document.alarm', document: this.#name, error: String(error) }))
      await this.#storage.setAlarm(this.#chance.now() + alarmRetryMs)
    }
  }

  // --- inside ---------------------------------------------------------------------------------------------------------

  // An id that nobody stored anything under leaves nothing behind: its tables are made with its upload.
  #read(): DocumentRecord | undefined {
    if (this.#rows("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'document'").length === 0)
      return undefined
    const [row] = this.#rows('SELECT record FROM document')
    return row === undefined ? undefined : readDocument(row['record'])
  }

  // M6: the alarm is armed in the transaction that makes it needed.
  #save(record: DocumentRecord, more: () => void = () => undefined): void {
    this.#storage.transactionSync(() => {
      for (const table of tables) this.#rows(table)
      more()
      this.#rows('INSERT OR REPLACE INTO document (id, record) VALUES (?, ?)', record.id, JSON.stringify(record))
      void this.#storage.setAlarm(record.endsAt)
    })
  }

  #rows(query: string, ...bindings: SqlValue[]): Record<string, unknown>[] {
    return this.#storage.sql.exec(query, ...bindings).toArray()
  }
}
