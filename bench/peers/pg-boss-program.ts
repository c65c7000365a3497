/**
 * The program of the peer pg-boss: a PostgreSQL of its own, and the worker that posts each message. Never here: a publish.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { chownSync, existsSync, mkdirSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { type Boss, bossOf, type Database, type Job, notifying, queues, type Reply } from './pg-boss-queues.ts'
import { type Mail, poster } from './webhook.ts'

export interface PgBossOptions {
  readonly packages: string
  readonly folder: string
  readonly sink: string
}

let server: ChildProcess | undefined
// Killed, PostgreSQL would leave its shared memory behind. This process ends with it.
const shutDown = () => (server === undefined ? process.exit() : server.kill('SIGINT'))
process.on('disconnect', shutDown)
process.on('SIGTERM', shutDown)
process.on('exit', () => server?.kill('SIGINT'))

// Written by bench/peers/pg-boss.ts for this process alone.
const { packages, folder, sink } = JSON.parse(process.argv[2] ?? '') as PgBossOptions

const database: Database = { host: folder, user: 'bench' }
const identity = unprivileged()
await startPostgres()
const boss = bossOf(packages, database, 'worker')
await boss.start()
for (const name of Object.values(queues)) await boss.createQueue(name, { notify: notifying.includes(name) })
await work(boss)
process.send?.({ database, postgresql: version() })

async function work(own: Boss): Promise<void> {
  const post = poster(sink)
  // Half a second is the shortest that it takes.
  const options = {
    batchSize: 50,
    localConcurrency: 2,
    burstWhenBatchFull: true,
    perJobResults: true,
    pollingIntervalSeconds: 0.5,
  }
  const each =
    <Data>(one: (data: Data) => Promise<unknown>) =>
    async (jobs: readonly Job<Data>[]) =>
      Promise.all(
        jobs.map(async ({ id, data }) => {
          const done = await one(data).then(
            () => true,
            () => false,
          )
          return { id, status: done ? 'completed' : 'failed' }
        }),
      )
  for (const queue of [queues.notified, queues.polled])
    await own.work<Mail>(
      queue,
      options,
      each((mail) => post('/', mail)),
    )
  await own.work<Mail>(
    queues.ask,
    { ...options, localConcurrency: 1 },
    each(async (mail) => {
      const reply: Reply = { to: mail.id, text: await post('/reply', mail) }
      await own.send(queues.reply, reply)
    }),
  )
}

async function startPostgres(): Promise<void> {
  const data = join(folder, 'data')
  mkdirSync(data, { mode: 0o700 })
  if (identity !== undefined) for (const path of [folder, data]) chownSync(path, identity.uid, identity.gid)
  const initdb = ['-D', data, '-U', database.user, '--auth=trust', '--encoding=UTF8', '--no-locale']
  execFileSync(join(binaries(), 'initdb'), initdb, { ...identity, cwd: folder, stdio: ['ignore', 'ignore', 'inherit'] })
  // As it comes, and said aloud what it is compared for: a commit is on the disk before it is answered.
  const settings = ['fsync=on', 'synchronous_commit=on', 'full_page_writes=on', 'listen_addresses=']
  const words = ['-D', data, '-k', folder, ...settings.flatMap((setting) => ['-c', setting])]
  server = spawn(join(binaries(), 'postgres'), words, {
    ...identity,
    cwd: folder,
    stdio: ['ignore', 'inherit', 'inherit'],
  })
  server.once('error', () => process.exit(1))
  server.once('exit', (code) => process.exit(code ?? 1))
  while (!isReady()) await pause(50)
}

function isReady(): boolean {
  try {
    execFileSync(join(binaries(), 'pg_isready'), ['-h', folder, '-U', database.user], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}

/** As `15.18 (Debian 15.18-0+deb12u1)`. */
function version(): string {
  const text = execFileSync(join(binaries(), 'postgres'), ['--version'], { encoding: 'utf8' })
  return text.replace('postgres (PostgreSQL) ', '').trim()
}

/** Debian keeps the server's programs out of the path, by version. */
function binaries(): string {
  const root = '/usr/lib/postgresql'
  const found = existsSync(root)
    ? readdirSync(root)
        .map(Number)
        .sort((a, b) => b - a)
        .map((version) => join(root, String(version), 'bin'))
    : []
  const whole = found.find((folder) => existsSync(join(folder, 'initdb')))
  if (whole === undefined) throw new Error('PostgreSQL is not installed: apt-get install postgresql')
  return whole
}

/** PostgreSQL refuses to run as root; its package brings a user for it. */
function unprivileged(): { readonly uid: number; readonly gid: number } | undefined {
  if (process.getuid?.() !== 0) return undefined
  const idOf = (which: '-u' | '-g') => Number(execFileSync('id', [which, 'postgres'], { encoding: 'utf8' }))
  return { uid: idOf('-u'), gid: idOf('-g') }
}
