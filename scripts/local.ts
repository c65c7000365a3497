/**
 * Runs the platform on this machine: `wrangler dev` as a child process, waited for until it is ready, and stopped with all
 * that it started. Never here: what is printed, and who talks to it.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { randomInt } from 'node:crypto'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'

export const projectRoot = join(import.meta.dirname, '..')
export const devVarsPath = join(projectRoot, '.dev.vars')

/** What the environment may change for the Worker; an environment variable wins over .dev.vars. */
export const passedOn = ['SWITCHBOARD_ADMIN_KEY', 'OPENAI_BASE_URL', 'OPENAI_API_KEY', 'OPENAI_MODEL'] as const

export interface LocalOptions {
  readonly port: number
  readonly stateDir: string
  /** Files of `NAME=value` lines for the Worker; a later one wins; none means .dev.vars. Arguments would show secrets to `ps`. */
  readonly varFiles: readonly string[]
  readonly output: 'inherit' | ((chunk: string) => void)
}

export interface LocalPlatform {
  readonly url: string
  /** Resolves when `GET /healthz` answers 200; rejects when wrangler ends before. */
  readonly ready: Promise<void>
  /** Resolves to the exit code when wrangler has ended, for whatever reason. */
  readonly ended: Promise<number>
  /** SIGKILL to it and everything it started, all at once: nothing is finished, nothing is said. */
  kill(): Promise<void>
  /** Ends it and everything it started. May be called more than once. */
  stop(): Promise<void>
}

// A platform that is busy may not end by itself; what it has accepted is stored, so ending it hard loses nothing.
const stopMs = 4_000
const readyMs = 120_000

export function startLocal(options: LocalOptions): LocalPlatform {
  const url = `http://127.0.0.1:${options.port}`
  const child = spawnWrangler(options)
  const ended = new Promise<number>((resolve) => {
    child.once('error', () => resolve(1))
    child.once('exit', (code) => resolve(code ?? 1))
  })
  let stopping: Promise<void> | undefined
  const stop = () => {
    stopping ??= endTree(child, ended)
    return stopping
  }
  return { url, ready: untilReady(url, ended), ended, kill: () => killTree(child, ended), stop }
}

function spawnWrangler({ port, stateDir, varFiles, output }: LocalOptions): ChildProcess {
  const wrangler = join(projectRoot, 'node_modules/wrangler/bin/wrangler.js')
  const args = [
    ...['--import', join(import.meta.dirname, 'leash.ts'), wrangler, 'dev'],
    ...['--ip', '127.0.0.1', '--port', String(port), '--inspector-port', '0', '--persist-to', stateDir],
    ...varFiles.flatMap((file) => ['--env-file', file]),
    // Loopback http webhooks are allowed, and queue() returns at once because the local queue hands over one batch at a time.
    ...['--var', 'SWITCHBOARD_DEV:1', '--var', 'SWITCHBOARD_PATIENCE_SECONDS:0'],
    '--show-interactive-dev-session=false',
  ]
  // Not a process group of its own: what a terminal or a supervisor sends to the group must reach wrangler too.
  const child = spawn(process.execPath, args, {
    cwd: projectRoot,
    env: {
      ...process.env,
      CLOUDFLARE_CF_FETCH_ENABLED: 'false',
      CLOUDFLARE_LOAD_DEV_VARS_FROM_DOT_ENV: 'true',
      WRANGLER_SEND_METRICS: 'false',
      WRANGLER_HIDE_BANNER: 'true',
      // Other Workers on this machine are none of its business.
      WRANGLER_REGISTRY_PATH: join(stateDir, 'registry'),
    },
    stdio: output === 'inherit' ? ['ignore', 'inherit', 'inherit', 'ipc'] : ['ignore', 'pipe', 'pipe', 'ipc'],
  })
  if (output !== 'inherit')
    for (const stream of [child.stdout, child.stderr]) stream?.setEncoding('utf8').on('data', output)
  return child
}

async function untilReady(url: string, ended: Promise<number>): Promise<void> {
  let code: number | undefined
  void ended.then((c) => {
    code = c
  })
  const deadlineAt = Date.now() + readyMs
  while (code === undefined && Date.now() < deadlineAt) {
    const answer = await fetch(`${url}/healthz`, { signal: AbortSignal.timeout(5_000) }).catch(() => undefined)
    await answer?.body?.cancel()
    if (answer?.status === 200) return
    await pause(100)
  }
  throw new Error(
    code === undefined
      ? `the platform was not ready after ${readyMs / 1_000} s (GET ${url}/healthz never answered 200)`
      : `wrangler dev ended with code ${code} before the platform was ready`,
  )
}

/** SIGTERM, and SIGKILL for whatever of it is still there after a while. */
async function endTree(child: ChildProcess, ended: Promise<number>): Promise<void> {
  // Taken before: once their parent is gone they are nobody's children.
  const tree = child.pid === undefined ? [] : descendants(child.pid)
  if (child.exitCode === null && child.signalCode === null) child.kill('SIGTERM')
  await Promise.race([ended, pause(stopMs, undefined, { ref: false })])
  const deadlineAt = Date.now() + stopMs / 2
  while (tree.some(isAlive) && Date.now() < deadlineAt) await pause(25)
  for (const pid of tree.filter(isAlive)) signal(pid, 'SIGKILL')
}

async function killTree(child: ChildProcess, ended: Promise<number>): Promise<void> {
  const tree = child.pid === undefined ? [] : descendants(child.pid)
  for (const pid of tree) signal(pid, 'SIGKILL')
  await ended
}

function descendants(root: number): number[] {
  let table: string
  try {
    table = execFileSync('ps', ['-A', '-o', 'pid=,ppid='], { encoding: 'utf8' })
  } catch {
    // Without ps (a bare container) only wrangler itself can be ended; it ends its own.
    return [root]
  }
  const rows = table.split('\n').map((row) => row.trim().split(/\s+/).map(Number))
  const found = [root]
  for (const pid of found) for (const [child = 0, parent = 0] of rows) if (parent === pid) found.push(child)
  return found
}

function isAlive(pid: number): boolean {
  return signal(pid, 0)
}

function signal(pid: number, name: NodeJS.Signals | 0): boolean {
  try {
    return process.kill(pid, name)
  } catch {
    return false
  }
}

/**
 * Calls `then` once when this process should end: on a signal, or when npm, which ran it, was told to end (npm passes a
 * signal on to its shell only, which dies of it and leaves us behind).
 */
export function whenTold(then: (by: string) => void): void {
  let told = false
  const once = (by: string) => {
    if (!told) then(by)
    told = true
  }
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, () => once(name))
  if (process.env.npm_lifecycle_event === undefined) return
  const parent = process.ppid
  setInterval(() => {
    if (process.ppid !== parent) once('the end of npm')
  }, 250).unref()
}

/** Whether nobody listens on this port of 127.0.0.1. */
export function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', () => resolve(false))
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)))
  })
}

/**
 * A port for something that ends and comes back. Not one of those that systems hand out by themselves (32768 and up): while it is
 * down, any connection of this machine could be given it, and it would not come back.
 */
export async function freePort(): Promise<number> {
  for (let tried = 0; tried < 100; tried++) {
    const port = randomInt(20_000, 32_000)
    if (await isFree(port)) return port
  }
  throw new Error('no port between 20000 and 32000 is free on 127.0.0.1')
}

/** `NAME=value` lines of the variables that the environment gives, for a var file that wins over .dev.vars. */
export function passedOnLines(env: Readonly<Record<string, string | undefined>>): string {
  return passedOn.flatMap((name) => (env[name] ? [`${name}=${quote(env[name])}\n`] : [])).join('')
}

// Wrangler expands `$` in var files, within any quotes, unless it is escaped.
function quote(value: string): string {
  const mark = ["'", '`', '"'].find((m) => !value.includes(m)) ?? "'"
  return `${mark}${value.replaceAll('$', '\\$')}${mark}`
}
