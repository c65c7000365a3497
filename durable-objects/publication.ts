/**
 * PublicationObject: one publish to many, named by its source and key. It remembers which legs are still to be accepted, and
 * asks for them to be until they are. Never here: asking the mailboxes (workers/expand.ts), or choosing the legs.
 */
import { DurableObject } from 'cloudflare:workers'
import type { ChancePort, StoragePort, Synchronous } from '../shared/ports.ts'
import type { PublicationPort } from '../shared/publication.ts'
import {
  isDead,
  type Opening,
  open,
  type Progress,
  type Publication,
  progress,
  publicationDueAt,
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
    return publication?.closedAt === undefined ? this.#withBody(publication) : undefined
  }

  unheard() {
    const publication = this.report()
    return publication !== undefined && isDead(publication) ? this.#withBody(publication) : undefined
  }

  purge(): boolean {
    if (this.unheard() === undefined) return false
    this.#rows('UPDATE publication SET body = NULL')
    return true
  }

  progress(news: Progress): Publication | undefined {
    const publication = this.report()
    if (publication === undefined) return undefined
    const next = progress(publication, news, this.#chance.now())
    if (next !== publication) this.#save(next)
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
      if (publication.closedAt !== undefined && publicationDueAt(publication, now) <= now) {
        // All of it: an empty database would be stored, and paid, for ever.
        await this.#storage.deleteAll()
        return
      }
      await this.#storage.setAlarm(publicationDueAt(publication, now))
      if (publication.closedAt === undefined) await sendExpansion(this.env, this.#name)
    } catch (error) {
      console.error(JSON.stringify({ step: 'publication.alarm', publication: this.#name, error: String(error) }))
      await this.#storage.setAlarm(this.#chance.now() + alarmRetryMs)
    }
  }

  // --- inside ---------------------------------------------------------------------------------------------------------

  // M6: the alarm is armed in the transaction that makes it needed: by the opening, and by the end. In between the alarm arms
  // itself anew, and a page that is written down need not pay for it.
  #save(publication: Publication, body?: string): void {
    const closed = publication.closedAt !== undefined
    const bodyless = closed && !isDead(publication)
    const record = JSON.stringify(publication)
    this.#storage.transactionSync(() => {
      if (body !== undefined) this.#insert(publication.id, record, bodyless ? null : body)
      // Its legs have bodies of their own by now.
      else if (bodyless)
        this.#rows('UPDATE publication SET record = ?, body = NULL WHERE id = ?', record, publication.id)
      else this.#rows('UPDATE publication SET record = ? WHERE id = ?', record, publication.id)
      if (body !== undefined || closed) void this.#storage.setAlarm(publicationDueAt(publication, this.#chance.now()))
    })
  }

  #insert(id: string, record: string, body: string | null): void {
    this.#rows(
      'CREATE TABLE IF NOT EXISTS publication (id TEXT PRIMARY KEY, record TEXT NOT NULL, body TEXT) WITHOUT ROWID',
    )
    this.#rows('INSERT OR REPLACE INTO publication (id, record, body) VALUES (?, ?, ?)', id, record, body)
  }

  #withBody(publication: Publication | undefined) {
    if (publication === undefined) return undefined
    const [row] = this.#rows('SELECT body FROM publication')
    return typeof row?.body === 'string' ? { publication, body: row.body } : undefined
  }

  #hasTable(): boolean {
    return this.#rows("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'publication'").length > 0
  }

  #rows(query: string, ...bindings: (string | null)[]): Record<string, unknown>[] {
    return this.#storage.sql.exec(query, ...bindings).toArray()
  }
}
