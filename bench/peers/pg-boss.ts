/**
 * pg-boss as a contender: its library in the publisher, as its users have it, and a worker that posts to the webhook. It has no
 * requests, so one is a job to a queue and its reply a job to another. It is two contenders, by how its worker hears of jobs: one is
 * quick to begin, the other accepts more. Never here: a measurement.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Contender } from '../contender.ts'
import type { Sink } from '../sink.ts'
import { installed, type Peer, versions } from './packages.ts'
import { PeerProcess } from './peer-process.ts'
import type { PgBossOptions } from './pg-boss-program.ts'
import { type Boss, bossOf, type Database, queues, type Reply } from './pg-boss-queues.ts'
import { mailOf } from './webhook.ts'

interface Ready {
  readonly database: Database
  readonly postgresql: string
}

/** Throws where it cannot be installed, where there is no PostgreSQL, or where that does not start. */
export async function pgBoss(sink: Sink): Promise<Peer> {
  const packages = await installed('pg-boss')
  // Its socket is in it, whose path may not be long.
  const folder = mkdtempSync(join(tmpdir(), 'pg-boss-'))
  const options: PgBossOptions = { packages, folder, sink: sink.url }
  const { process: own, ready } = await PeerProcess.start<Ready>('pg-boss-program.ts', options)
  const boss = bossOf(packages, ready.database, 'publisher')
  await boss.start()
  const costs = { residentBytes: () => own.residentBytes(), cpuMs: () => own.cpuMs() }
  const notified: Contender = {
    ...costs,
    name: 'pg-boss',
    publish: (ids, agents) => publish(boss, ids, agents === 0 ? queues.nobody : queues.notified),
    ask: await asker(boss),
    stop: async () => {
      await boss.stop({ graceful: false })
      await own.stop()
      rmSync(folder, { recursive: true, force: true, maxRetries: 5 })
    },
  }
  const polled: Contender = {
    ...costs,
    name: 'pg-boss, polled',
    publish: (ids) => publish(boss, ids, queues.polled),
    stop: () => Promise.resolve(),
  }
  return { contenders: [notified, polled], versions: { ...versions['pg-boss'], postgresql: ready.postgresql } }
}

async function publish(boss: Boss, ids: readonly string[], queue: string): Promise<void> {
  const [first] = ids
  if (ids.length === 1 && first !== undefined) await boss.send(queue, mailOf(first))
  else
    await boss.insert(
      queue,
      ids.map((id) => ({ data: mailOf(id) })),
    )
}

async function asker(boss: Boss): Promise<(id: string) => Promise<void>> {
  const waiting = new Map<string, (text: string) => void>()
  await boss.work<Reply>(queues.reply, { batchSize: 50, pollingIntervalSeconds: 0.5 }, async (jobs) => {
    for (const { data } of jobs) waiting.get(data.to)?.(data.text)
  })
  return async (id) => {
    const reply = new Promise<string>((resolve) => waiting.set(id, resolve))
    await boss.send(queues.ask, mailOf(id))
    const text = await reply
    waiting.delete(id)
    if (!text.includes('"pong":1')) throw new Error(`no reply: ${text}`)
  }
}
