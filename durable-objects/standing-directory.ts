/**
 * What stands for a whole deployment, beside who is registered: schemas, and the switch. The half of DirectoryObject that knows no
 * agent. Never here: agents, keys and subscriptions (durable-objects/directory.ts).
 */
import { DurableObject } from 'cloudflare:workers'
import type { ChancePort, StoragePort } from '../shared/ports.ts'
import type { Schema, SchemaInput } from '../shared/schema.ts'
import { readSwitch, type Switch, untouched } from '../shared/switch.ts'
import { chance } from './chance.ts'
import { SchemaStore } from './schema-store.ts'

const switchTable = 'CREATE TABLE IF NOT EXISTS switch (one INTEGER PRIMARY KEY, record TEXT NOT NULL)'

export abstract class StandingDirectory extends DurableObject<Env> {
  protected readonly storage: StoragePort
  protected readonly chance: Pick<ChancePort, 'now'>
  protected readonly schemaStore: SchemaStore

  constructor(ctx: DurableObjectState, env: Env, ports: Pick<ChancePort, 'now'> = chance) {
    super(ctx, env)
    // The narrow shape that is used; the platform's own class satisfies it.
    this.storage = ctx.storage as unknown as StoragePort
    this.chance = ports
    this.storage.sql.exec(switchTable)
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
}
