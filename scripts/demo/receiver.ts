/**
 * A webhook agent as a process of its own, which can be killed. It ends with the demo, however the demo ends.
 * Never here: what it does (webhook-agent.ts).
 */
import { spawn } from 'node:child_process'
import { join } from 'node:path'

export interface ReceiverOptions {
  readonly port: number
  readonly secret: string
  /** Which handler works; without, messages are only taken note of. */
  readonly agent?: 'analyst'
  /** How long it thinks before it answers. */
  readonly thinkMs?: number
  readonly env?: Readonly<Record<string, string | undefined>>
}

export interface Receiver {
  /** SIGKILL: no connection is closed politely, nothing is finished. */
  kill(): Promise<void>
  stop(): Promise<void>
  /** The deliveries it was asked about, and those it answered, in that order; one that came twice is there twice. */
  asked(): readonly string[]
  answered(): readonly string[]
}

export async function startReceiver({
  port,
  secret,
  agent,
  thinkMs = 0,
  env = {},
}: ReceiverOptions): Promise<Receiver> {
  const script = join(import.meta.dirname, 'webhook-agent.ts')
  const child = spawn(process.execPath, ['--import', join(import.meta.dirname, '../leash.ts'), script], {
    env: {
      ...process.env,
      ...env,
      ...{ PORT: String(port), SECRET: secret, THINK_MS: String(thinkMs) },
      ...(agent === undefined ? {} : { AGENT: agent }),
    },
    stdio: ['ignore', 'pipe', 'inherit', 'ipc'],
  })
  let text = ''
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()))
  const listening = new Promise<void>((resolve, reject) => {
    child.stdout?.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk
      if (text.includes('listening\n')) resolve()
    })
    child.once('exit', (code) => reject(new Error(`the webhook agent ended with ${code} before it listened`)))
  })
  const end = (signal: 'SIGKILL' | 'SIGTERM') => {
    child.kill(signal)
    return ended
  }
  const said = (word: string) =>
    text.split('\n').flatMap((line) => (line.startsWith(`${word} `) ? [line.slice(word.length + 1)] : []))
  await listening
  return {
    kill: () => end('SIGKILL'),
    stop: () => end('SIGTERM'),
    asked: () => said('asked'),
    answered: () => said('answered'),
  }
}
