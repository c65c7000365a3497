/**
 * Restate as a contender: a message is a one-way call of a handler that posts to the webhook, a request is a call that waits. Never
 * here: a measurement.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Client } from '../client.ts'
import type { Contender } from '../contender.ts'
import type { Sink } from '../sink.ts'
import { installed, type Peer, versions } from './packages.ts'
import { PeerProcess } from './peer-process.ts'
import type { RestateOptions } from './restate-program.ts'
import { mailOf } from './webhook.ts'

/** Throws where it cannot be installed or does not start. */
export async function restate(sink: Sink): Promise<Peer> {
  const packages = await installed('restate')
  const folder = mkdtempSync(join(tmpdir(), 'switchboard-restate-'))
  const options: RestateOptions = { packages, folder, sink: sink.url }
  const { process: own, ready } = await PeerProcess.start<{ ingress: string }>('restate-program.ts', options)
  const client = new Client(() => ready.ingress)
  const send = async (id: string, agents: number) => {
    // For nobody: kept for later, as mail in a mailbox that nobody reads.
    await client.post(`/bench/deliver/send${agents === 0 ? '?delay=PT24H' : ''}`, mailOf(id))
  }
  const contender: Contender = {
    name: 'restate',
    // It takes one message a call, so a batch is as many calls at once.
    publish: async (ids, agents) => void (await Promise.all(ids.map((id) => send(id, agents)))),
    ask: async (id) => {
      const text = await client.post('/bench/ask', mailOf(id))
      if (!text.includes('"pong":1')) throw new Error(`no reply: ${text}`)
    },
    residentBytes: () => own.residentBytes(),
    cpuMs: () => own.cpuMs(),
    stop: async () => {
      client.stop()
      await own.stop()
      rmSync(folder, { recursive: true, force: true })
    },
  }
  return { contenders: [contender], versions: versions.restate }
}
