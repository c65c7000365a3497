/**
 * What stands for a whole deployment, beside who is registered: schemas, the switch, and the last audit. The half of DirectoryObject that knows no
 * agent. Never here: agents, keys and subscriptions (durable-objects/directory.ts).
 */
import { DurableObject } from 'cloudflare:workers'
import { readSweptAudit, type SweptAudit } from '../shared/audit.ts'
import type { ChancePort, StoragePort } from '../shared/ports.ts'
import type { Schema, SchemaInput } from '../shared/schema.ts'
import { readSwitch, type Switch, untouched } from '../shared/switch.ts'
import { chance } from './chance.ts'
import { SchemaStore } from './schema-store.ts'

const tables = [
  'CREATE TABLE IF NOT EXISTS switch (one INTEGER PRIMARY KEY, record TEXT NOT NULL)',
  'CREATE TABLE IF NOT EXISTS audit (one INTEGER PRIMARY KEY, record TEXT NOT NULL)',
]

export abstract class StandingDirectory extends DurableObject<Env> {
  protected readonly storage: StoragePort
  protected readonly chance: Pick<ChancePort, 'now'>
  protected readonly schemaStore: SchemaStore

  constructor(ctx: DurableObjectState, env: Env, ports: Pick<ChancePort, 'now'> = chance) {
    super(ctx, env)
    // The narrow shape that is used; the platform's own class satisfies it.
    this.storage = ctx.storage as unknown as StoragePort
    this.chance = ports
    for (const table of tables) this.storage.sql.exec(table)
    this.schemaStore = new SchemaStore(this.storage.sql)
  }

  putSchema(name: string, input: SchemaInput, options: { readonly max: number; readonly maxBytes: number }) {
    return this.storage.transactionSync(() => this.schemaStore.put(name, input, options, this.chance.now()))
  }

  findSchema(name: string): Schema | undefined {
    return this.schemaStore.find(name)
  }

  removeSchema(name: string): boolean {
    return this.storage.transactionSync(() => this.schemaStore.remove(name))
  }

  schemas(cursor: string | undefined, limit: number) {
    return this.schemaStore.page(cursor ?? '', limit)
  }

  schemasSince(version: number | undefined) {
    return this.schemaStore.since(version)
  }

  /** Turned to where it is, with the same reason, it stays as it was: a repeat is no news. */
  turn(asked: Pick<Switch, 'state' | 'reason' | 'by'>): Switch {
    const before = this.turned()
    if (before.state === asked.state && before.reason === asked.reason) return before
    const next: Switch = { v: 1, ...asked, at: this.chance.now() }
    this.storage.sql.exec('INSERT OR REPLACE INTO switch (one, record) VALUES (1, ?)', JSON.stringify(next))
    return next
  }

  turned(): Switch {
    const [row] = this.storage.sql.exec('SELECT record FROM switch').toArray()
    return row === undefined ? untouched : readSwitch(row.record)
  }

  noteAudit(swept: SweptAudit): void {
    const last = this.lastAudit()
    if (last !== undefined && last.at >= swept.at) return
    this.storage.sql.exec('INSERT OR REPLACE INTO audit (one, record) VALUES (1, ?)', JSON.stringify(swept))
  }

  lastAudit(): SweptAudit | undefined {
    const [row] = this.storage.sql.exec('SELECT record FROM audit').toArray()
    return row === undefined ? undefined : readSweptAudit(row.record)
  }
}
