/**
 * The program of the peer Restate: its server, and the service that the server calls for each message. Never here: a publish.
 */
import { spawn } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import { type AddressInfo, createServer } from 'node:net'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { load } from './packages.ts'
import { type Mail, poster } from './webhook.ts'

/** The little of Restate's SDK that is used here. */
interface Sdk {
  service(definition: {
    readonly name: string
    readonly handlers: Readonly<Record<string, (context: unknown, mail: Mail) => Promise<unknown>>>
  }): unknown
  serve(options: { readonly services: readonly unknown[]; readonly port: number }): Promise<number>
}

export interface RestateOptions {
  readonly packages: string
  readonly folder: string
  readonly sink: string
}

const endAll = () => process.kill(-process.pid, 'SIGKILL')
process.on('disconnect', endAll)
process.on('SIGTERM', endAll)
process.on('exit', endAll)

// Written by bench/peers/restate.ts for this process alone.
const { packages, folder, sink } = JSON.parse(process.argv[2] ?? '') as RestateOptions

const [node, ingress, admin, service] = await Promise.all([freePort(), freePort(), freePort(), freePort()])
await serve()
startServer()
await answers(`http://127.0.0.1:${admin}/health`)
await register()
await answers(`http://127.0.0.1:${ingress}/restate/health`)
process.send?.({ ingress: `http://127.0.0.1:${ingress}` })

async function serve(): Promise<void> {
  // It would write two lines a message, which nobody reads.
  process.env['RESTATE_LOGGING'] = 'ERROR'
  const sdk = load<Sdk>(packages, '@restatedev/restate-sdk')
  const post = poster(sink)
  const handlers = {
    // Nothing is journaled around the post, because it is all there is to the handler: it is repeated as a whole.
    deliver: async (_: unknown, mail: Mail) => void (await post('/', mail)),
    ask: async (_: unknown, mail: Mail): Promise<unknown> => JSON.parse(await post('/reply', mail)),
  }
  await sdk.serve({ services: [sdk.service({ name: 'bench', handlers })], port: service })
}

function startServer(): void {
  mkdirSync(folder, { recursive: true })
  const binary = join(
    packages,
    'node_modules',
    '@restatedev',
    `restate-server-${process.platform}-${process.arch}`,
    'bin',
    'restate-server',
  )
  const address = (port: number) => `127.0.0.1:${port}`
  // All else is as it comes: one node, a log that is synced before a call is answered, and what is done is kept for a day.
  const server = spawn(binary, ['--base-dir', join(folder, 'restate'), '--listen-mode', 'tcp', '--no-logo'], {
    cwd: folder,
    stdio: ['ignore', 'inherit', 'inherit'],
    env: {
      ...process.env,
      TMPDIR: folder,
      RESTATE_NODE_NAME: 'bench',
      RESTATE_BIND_ADDRESS: address(node),
      RESTATE_ADVERTISED_ADDRESS: `http://${address(node)}`,
      RESTATE_INGRESS__BIND_ADDRESS: address(ingress),
      RESTATE_ADMIN__BIND_ADDRESS: address(admin),
      RESTATE_DISABLE_TELEMETRY: 'true',
      RESTATE_LOG_FILTER: 'warn',
    },
  })
  server.once('error', () => process.exit(1))
  server.once('exit', (code) => process.exit(code ?? 1))
}

async function register(): Promise<void> {
  const response = await fetch(`http://127.0.0.1:${admin}/deployments`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ uri: `http://127.0.0.1:${service}` }),
  })
  if (!response.ok) throw new Error(`not registered: ${response.status} ${await response.text()}`)
}

/** Whoever started this gives up when it takes too long. */
async function answers(url: string): Promise<void> {
  while ((await fetch(url).catch(() => undefined))?.ok !== true) await pause(50)
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer().once('error', reject)
    server.listen(0, '127.0.0.1', () => {
      // It listens on TCP.
      const { port } = server.address() as AddressInfo
      server.close(() => resolve(port))
    })
  })
}
