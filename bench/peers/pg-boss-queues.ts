/** What the two sides of the peer pg-boss have in common: its library's shape, the database, and the queues. Never here: a side. */
import { load } from './packages.ts'

export interface Job<Data> {
  readonly id: string
  readonly data: Data
}

interface WorkOptions {
  readonly batchSize: number
  readonly localConcurrency?: number
  readonly burstWhenBatchFull?: boolean
  readonly perJobResults?: boolean
  readonly pollingIntervalSeconds: number
}

/** The little of pg-boss that is used here. */
export interface Boss {
  on(event: 'error', listener: (error: Error) => void): void
  start(): Promise<unknown>
  stop(options: { readonly graceful: boolean }): Promise<void>
  createQueue(name: string, options: { readonly notify: boolean }): Promise<void>
  send(name: string, data: object): Promise<string | null>
  insert(name: string, jobs: readonly { readonly data: object }[]): Promise<unknown>
  work<Data>(
    name: string,
    options: WorkOptions,
    handler: (jobs: readonly Job<Data>[]) => Promise<unknown>,
  ): Promise<string>
}

/** Where PostgreSQL listens: a folder with its socket in it, and its superuser. */
export interface Database {
  readonly host: string
  readonly user: string
}

/** What a worker says of a message that asked. */
export interface Reply {
  readonly to: string
  readonly text: string
}

export const queues = { notified: 'notified', polled: 'polled', ask: 'ask', reply: 'reply', nobody: 'nobody' } as const

/** Those that wake their worker by NOTIFY: at once, but commits that notify pass one after the other, each with its own sync. */
export const notifying: readonly string[] = [queues.notified, queues.ask, queues.reply]

export function bossOf(packages: string, database: Database, role: 'publisher' | 'worker'): Boss {
  const { PgBoss } = load<{ readonly PgBoss: new (options: object) => Boss }>(packages, 'pg-boss')
  const upkeep = role === 'worker'
  const boss = new PgBoss({
    ...database,
    database: 'postgres',
    useListenNotify: true,
    supervise: upkeep,
    schedule: false,
  })
  boss.on('error', (error) => process.stderr.write(`pg-boss: ${error.message}\n`))
  return boss
}
