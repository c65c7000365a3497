/**
 * The floors: Workers that do no more than a message needs, in hosts like Switchboard's own. What they reach in a run is what the
 * platform gave in that run. Never here: what they do (bench/floors/).
 */
import { join } from 'node:path'
import { build } from 'esbuild'
import { type Bundle, Host } from '../test/system/host.ts'
import { Client } from './client.ts'
import { agentOf, type Contender, dataOf } from './contender.ts'
import type { Sink } from './sink.ts'
import type { BareState } from './state-cases.ts'

// Of what was tried the best for a floor (docs/performance.md).
const consumer = { maxBatchSize: 100, maxBatchTimeout: 0, maxRetries: 3 }
const queued = { queueProducers: { MAIL: { queueName: 'mail' } }, queueConsumers: { mail: consumer } }
const ownObject = (binding: string, className: string) => ({
  durableObjects: { [binding]: { className, useSQLite: true } },
})
const secret = 'a secret of thirty-two characters'

async function started(
  name: string,
  bindings: object,
  sink: Sink,
  path = '/',
): Promise<{ host: Host; client: Client }> {
  const host = new Host(await floor(name, bindings), { quiet: true })
  await host.start({ SINK: `${sink.url}${path}`, SECRET: secret })
  return { host, client: new Client(() => host.url ?? '') }
}

async function floor(name: string, bindings: object): Promise<Bundle> {
  const built = await build({
    entryPoints: [join(import.meta.dirname, 'floors', `${name}.ts`)],
    bundle: true,
    write: false,
    format: 'esm',
    target: 'es2024',
    external: ['cloudflare:*'],
    logLevel: 'silent',
  })
  return { script: built.outputFiles[0]?.text ?? '', worker: { compatibilityDate: '2026-10-23', ...bindings } }
}

const mailOf = (agents: number, text?: string) => (id: string) => ({
  id,
  agent: agents === 0 ? 'nobody' : agentOf(id, agents),
  body: JSON.stringify({ id, type: 'bench', data: dataOf(id, text) }),
})

/** (a) publish → queue → webhook → ack. */
export async function bareQueue(sink: Sink): Promise<Contender> {
  return publisher('queue', await started('queue', queued, sink))
}

/** (b) the same with one object write on publish, and two object calls for each delivery. */
export async function accounting(sink: Sink): Promise<Contender> {
  return publisher('accounting', await started('accounting', { ...queued, ...ownObject('LEDGERS', 'Ledger') }, sink))
}

/** (e) what (b) writes down, in as few calls as one agent's mail allows. */
export async function grouped(sink: Sink): Promise<Contender> {
  const bindings = {
    ...queued,
    ...ownObject('GROUPS', 'Group'),
    // As Switchboard has it: one batch does not wait for the deliveries of another.
    compatibilityFlags: ['queue_consumer_no_wait_for_wait_until'],
  }
  return publisher('grouped', await started('grouped', bindings, sink))
}

/** (c) a Worker that calls the webhook. */
export async function direct(sink: Sink): Promise<Contender> {
  const { host, client } = await started('direct', {}, sink, '/reply')
  return {
    ...publisher('direct', { host, client }),
    ask: async (id) => void (await client.post('/', mailOf(1)(id))),
  }
}

/** (d) one object call with one write, by name. */
export async function bareState(sink: Sink): Promise<BareState & Pick<Contender, 'stop'>> {
  const { host, client } = await started('state', ownObject('COUNTERS', 'Counter'), sink)
  return {
    cpuMs: () => host.cpuMs(),
    add: async (name) => void (await client.post('/', { name })),
    stop: () => stopped(host, client),
  }
}

function publisher(name: string, { host, client }: { host: Host; client: Client }): Contender {
  return {
    name,
    publish: async (ids, agents, text) => {
      const mail = ids.map(mailOf(agents, text))
      await client.post('/', mail.length === 1 ? mail[0] : mail)
    },
    residentBytes: (name) => host.residentBytes(name),
    cpuMs: () => host.cpuMs(),
    stop: () => stopped(host, client),
  }
}

async function stopped(host: Host, client: Client): Promise<void> {
  client.stop()
  await host.stop()
}
