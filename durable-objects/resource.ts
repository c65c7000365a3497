/**
 * ResourceObject: the memory of one resource that agents share, named by it. Its breaker, and who was permitted to use it. Nothing
 * is stored before there is something to remember. Never here: what a permit is given for (shared/resource.ts), parking mail.
 */
import { DurableObject } from 'cloudflare:workers'
import type { ChancePort, StoragePort, Synchronous } from '../shared/ports.ts'
import {
  type Ask,
  elapsed,
  type Forcing,
  forceResource,
  isForgettable,
  isResourceChanged,
  type News,
  newResource,
  permit,
  type Resource,
  type ResourcePort,
  readResource,
  resourceDueAt,
  tellResource,
} from '../shared/resource.ts'
import { chance } from './chance.ts'
import { type OutboxEnv, sendResourceMove } from './outbox.ts'

// Also how far an alarm may be overdue before it is taken for lost.
const alarmRetryMs = 5_000

export class ResourceObject extends DurableObject<OutboxEnv> implements Synchronous<ResourcePort> {
  readonly #storage: StoragePort
  readonly #chance: Pick<ChancePort, 'now'>
  readonly #name: string
  readonly #abort: (reason: string) => void
  #resource: Resource | undefined
  /** Not known of a rebuilt object: it is armed anew with the next change. */
  #alarmAt: number | undefined

  constructor(ctx: DurableObjectState, env: OutboxEnv, ports: Pick<ChancePort, 'now'> = chance) {
    super(ctx, env)
    // The narrow shape that is used; the platform's own class satisfies it.
    this.#storage = ctx.storage as unknown as StoragePort
    this.#chance = ports
    this.#name = ctx.id.name ?? ''
    this.#abort = (reason) => ctx.abort(reason)
    this.#resource = this.#stored()
  }

  permit(asks: readonly Ask[]) {
    return this.#step((resource, now) => permit(resource, asks, now))
  }

  tell(news: readonly News[], token: string): void {
    this.#step((resource, now) => [tellResource(resource, news, token, now), undefined])
  }

  force(asked: Forcing): Resource {
    this.#step((resource, now) => [forceResource(resource, asked, now), undefined])
    return this.#known()
  }

  announced(upTo: number): void {
    this.#step((resource) => [{ ...resource, announced: Math.max(resource.announced, upTo) }, undefined])
  }

  report(): Resource | undefined {
    return this.#resource
  }

  /** Never throws, and re-arms itself while it remembers anything (M6). */
  override async alarm(): Promise<void> {
    this.#alarmAt = undefined
    try {
      if (this.#resource === undefined) return
      const now = this.#chance.now()
      if (isForgettable(this.#resource, now)) {
        // All of it: an empty database would be stored, and paid, for ever.
        await this.#storage.deleteAll()
        this.#resource = undefined
        return
      }
      const { epoch } = this.#resource.breaker
      this.#step((resource) => [elapsed(resource, now), undefined])
      await this.#storage.setAlarm(resourceDueAt(this.#known(), now))
      this.#alarmAt = resourceDueAt(this.#known(), now)
      // What moved just now was sent with the step.
      if (this.#known().announced < epoch) await sendResourceMove(this.env, this.#name, this.#known().announced, epoch)
    } catch (error) {
      console.error(JSON.stringify({ step: 'resource.alarm', resource: this.#name, error: String(error) }))
      await this.#storage.setAlarm(this.#chance.now() + alarmRetryMs)
    }
  }

  // --- inside ---------------------------------------------------------------------------------------------------------

  #known(): Resource {
    return this.#resource ?? newResource(this.#name)
  }

  #step<T>(work: (resource: Resource, now: number) => [Resource, T]): T {
    const now = this.#chance.now()
    const before = this.#known()
    const [next, answer] = work(before, now)
    if (!isResourceChanged(before, next)) {
      // What need not outlive the object: the window, and which calls were heard.
      if (this.#resource !== undefined || next !== before) this.#resource = next
      return answer
    }
    const changed = { ...next, changedAt: now }
    this.#save(changed, now)
    this.#resource = changed
    if (changed.breaker.epoch > before.breaker.epoch)
      void sendResourceMove(this.env, this.#name, before.breaker.epoch, changed.breaker.epoch)
    return answer
  }

  // M6: the alarm is armed in the transaction that makes it needed. One armed early costs a visit.
  #save(resource: Resource, now: number): void {
    try {
      this.#storage.transactionSync(() => {
        this.#rows('CREATE TABLE IF NOT EXISTS resource (name TEXT PRIMARY KEY, record TEXT NOT NULL) WITHOUT ROWID')
        this.#rows('INSERT OR REPLACE INTO resource (name, record) VALUES (?, ?)', this.#name, JSON.stringify(resource))
        const due = resourceDueAt(resource, now)
        if (this.#alarmAt !== undefined && this.#alarmAt <= due && this.#alarmAt > now - alarmRetryMs) return
        void this.#storage.setAlarm(due)
        this.#alarmAt = due
      })
    } catch (error) {
      // Memory may be ahead of storage now: the next call must rebuild it.
      this.#abort(`save failed: ${String(error)}`)
      throw error
    }
  }

  #stored(): Resource | undefined {
    const tables = this.#rows("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'resource'")
    const [row] = tables.length === 0 ? [] : this.#rows('SELECT record FROM resource')
    return row === undefined ? undefined : readResource(row.record)
  }

  #rows(query: string, ...bindings: string[]): Record<string, unknown>[] {
    return this.#storage.sql.exec(query, ...bindings).toArray()
  }
}
