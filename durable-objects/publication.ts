/**
 * PublicationObject: one publish to many, named by its source and key. It remembers which legs are still to be accepted, and
 * asks for them to be until they are. Never here: asking the mailboxes (workers/expand.ts), or choosing the legs.
 */
import { DurableObject } from 'cloudflare:workers'
import type { ChancePort, PublicationPort, StoragePort, Synchronous } from '../shared/ports.ts'
import {
  type Opening,
  open,
  type Progress,
  type Publication,
  progress,
  publicationDueAt,
  publicationKeptMs,
  readPublication,
} from '../shared/publication.ts'
import { chance } from './chance.ts'
import { type OutboxEnv, sendExpansion } from './outbox.ts'

const alarmRetryMs = 5_000

export class PublicationObject extends DurableObject<OutboxEnv> implements Synchronous<PublicationPort> {
  readonly #storage: StoragePort
  readonly #chance: Pick<ChancePort, 'now'>
  readonly #name: string

  constructor(ctx: DurableObjectState, env: OutboxEnv, ports: Pick<ChancePort, 'now'> = chance) {
    super(ctx, env)
    // The narrow shape that is used; the platform's own class satisfies it.
    this.#storage = ctx.storage as unknown as StoragePort
    this.#chance = ports
    this.#name = ctx.id.name ?? ''
  }

  open(opening: Opening, body: string) {
    const opened = open(this.report(), opening, this.#chance.now())
    if (opened.status === 'opened') this.#save(opened.publication, body)
    return opened
  }

  unfinished() {
    const publication = this.report()
    if (publication === undefined || publication.closedAt !== undefined) return undefined
    const [row] = this.#rows('SELECT body FROM publication')
    return typeof row?.body === 'string' ? { publication, body: row.body } : undefined
  }

  progress(news: Progress): Publication | undefined {
    const publication = this.report()
    if (publication === undefined) return undefined
    const next = progress(publication, news, this.#chance.now())
    this.#save(next)
    return next
  }

  report(): Publication | undefined {
    if (!this.#hasTable()) return undefined
    const [row] = this.#rows('SELECT record FROM publication')
    return row === undefined ? undefined : readPublication(row.record)
  }

  /** Never throws, and re-arms itself while a leg is open (M6). */
  override async alarm(): Promise<void> {
    try {
      const publication = this.report()
      if (publication === undefined) return
      const now = this.#chance.now()
      if (publication.closedAt !== undefined && publication.closedAt + publicationKeptMs <= now) {
        this.#rows('DROP TABLE publication')
        return
      }
      await this.#storage.setAlarm(Math.max(publicationDueAt(publication), now + alarmRetryMs))
      if (publication.closedAt === undefined) await sendExpansion(this.env, this.#name)
    } catch (error) {
      console.error(JSON.stringify({ step: 'publication.alarm', publication: this.#name, error: String(error) }))
      await this.#storage.setAlarm(this.#chance.now() + alarmRetryMs)
    }
  }

  // --- inside ---------------------------------------------------------------------------------------------------------

  // The alarm is armed in the transaction that makes it needed. A closed one keeps its record, not its body.
  #save(publication: Publication, body?: string): void {
    this.#storage.transactionSync(() => {
      const record = JSON.stringify(publication)
      if (body !== undefined) {
        this.#rows(
          'CREATE TABLE IF NOT EXISTS publication (id TEXT PRIMARY KEY, record TEXT NOT NULL, body TEXT) WITHOUT ROWID',
        )
        this.#rows(
          'INSERT INTO publication (id, record, body) VALUES (?, ?, ?)',
          publication.id,
          record,
          publication.closedAt === undefined ? body : null,
        )
      } else if (publication.closedAt === undefined)
        this.#rows('UPDATE publication SET record = ? WHERE id = ?', record, publication.id)
      else this.#rows('UPDATE publication SET record = ?, body = NULL WHERE id = ?', record, publication.id)
      void this.#storage.setAlarm(Math.max(publicationDueAt(publication), this.#chance.now()))
    })
  }

  #hasTable(): boolean {
    return this.#rows("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'publication'").length > 0
  }

  #rows(query: string, ...bindings: (string | null)[]): Record<string, unknown>[] {
    return this.#storage.sql.exec(query, ...bindings).toArray()
  }
}
