/**
 * RequestsObject: what one asker waits for, named by its source. A list to find gathers by; an entry that is over is dropped
 * when it is noticed, or when its deadline has passed. Never here: how a request stands (durable-objects/gather.ts).
 */
import { DurableObject } from 'cloudflare:workers'
import type { PendingRequest, RequestsPort } from '../shared/gather-port.ts'
import { limits } from '../shared/limits.ts'
import type { ChancePort, SqlValue, StoragePort, Synchronous } from '../shared/ports.ts'
import { chance } from './chance.ts'
import { type OutboxEnv, sendGathers } from './outbox.ts'

const table = `CREATE TABLE IF NOT EXISTS pending (
  id TEXT PRIMARY KEY, opened_at INTEGER NOT NULL, deadline_at INTEGER NOT NULL
) WITHOUT ROWID`

// Over by its own word at the deadline; kept a while longer, because whoever asks looks at the gather anyway.
const graceMs = 60_000
const tidyMs = 3_600_000
const wokenAtOnce = 100

export class RequestsObject extends DurableObject<OutboxEnv> implements Synchronous<RequestsPort> {
  readonly #storage: StoragePort
  readonly #chance: Pick<ChancePort, 'now'>

  constructor(ctx: DurableObjectState, env: OutboxEnv, ports: Pick<ChancePort, 'now'> = chance) {
    super(ctx, env)
    // The narrow shape that is used; the platform's own class satisfies it.
    this.#storage = ctx.storage as unknown as StoragePort
    this.#chance = ports
  }

  put({ id, openedAt, deadlineAt }: PendingRequest): void {
    const now = this.#chance.now()
    this.#storage.transactionSync(() => {
      const isFirst = !this.#hasTable()
      this.#storage.sql.exec(table)
      this.#rows(
        'INSERT OR REPLACE INTO pending (id, opened_at, deadline_at) VALUES (?, ?, ?)',
        id,
        openedAt,
        deadlineAt,
      )
      const over = Number(this.#rows('SELECT count(*) AS n FROM pending')[0]?.n) - limits.requestsListed
      if (over > 0)
        this.#rows('DELETE FROM pending WHERE id IN (SELECT id FROM pending ORDER BY deadline_at LIMIT ?)', over)
      if (isFirst) void this.#storage.setAlarm(now + tidyMs)
    })
  }

  remove(id: string): void {
    if (this.#hasTable()) this.#rows('DELETE FROM pending WHERE id = ?', id)
  }

  list(cursor: string | undefined, limit: number) {
    if (!this.#hasTable()) return { items: [] }
    const { at, id } = parseCursor(cursor)
    const rows = this.#rows(
      `SELECT id, opened_at, deadline_at FROM pending
       WHERE (opened_at, id) > (?, ?) AND deadline_at > ? ORDER BY opened_at, id LIMIT ?`,
      at,
      id,
      this.#chance.now() - graceMs,
      limit + 1,
    )
    const items = rows.slice(0, limit).map((row) => ({
      id: String(row.id),
      openedAt: Number(row.opened_at),
      deadlineAt: Number(row.deadline_at),
    }))
    const last = items.at(-1)
    return { items, ...(rows.length > limit && last !== undefined ? { cursor: `${last.openedAt}.${last.id}` } : {}) }
  }

  /**
   * Drops what is over. Whoever ends a gather takes it off the list: one that is still on it long after its deadline may have lost
   * its alarm, so somebody is sent to look. Never throws, and re-arms itself while there is anything (M6).
   */
  override async alarm(): Promise<void> {
    try {
      if (!this.#hasTable()) return
      const now = this.#chance.now()
      const over = this.#rows('SELECT id FROM pending WHERE deadline_at <= ? LIMIT ?', now - graceMs, wokenAtOnce)
      for (const { id } of over) {
        await sendGathers(this.env, [String(id)])
        this.#rows('DELETE FROM pending WHERE id = ?', String(id))
      }
      if (this.#rows('SELECT 1 FROM pending LIMIT 1').length > 0)
        await this.#storage.setAlarm(now + (over.length < wokenAtOnce ? tidyMs : graceMs))
      // All of it: an empty database would be stored, and paid, for ever.
      else await this.#storage.deleteAll()
    } catch (error) {
      console.error(JSON.stringify({ step: 'requests.alarm', error: String(error) }))
      await this.#storage.setAlarm(this.#chance.now() + tidyMs)
    }
  }

  #hasTable(): boolean {
    return this.#rows("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'pending'").length > 0
  }

  #rows(query: string, ...bindings: SqlValue[]): Record<string, unknown>[] {
    return this.#storage.sql.exec(query, ...bindings).toArray()
  }
}

function parseCursor(cursor: string | undefined): { readonly at: number; readonly id: string } {
  const [, at, id = ''] = /^(\d{1,15})\.([gr]-[a-z2-7]{26}(?:_[a-z0-9-]{1,64})?)$/.exec(cursor ?? '') ?? []
  return at === undefined ? { at: -1, id: '' } : { at: Number(at), id }
}
