/**
 * A real Switchboard in processes of its own, on a state folder: started, killed with everything it consists of, started again
 * on the same storage. Reads wrangler.toml, so that queues, objects and flags are the deployed ones. Never here: a Worker.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { build } from 'esbuild'
import { unstable_getMiniflareWorkerOptions as readWorkerOptions } from 'wrangler'

const projectRoot = join(import.meta.dirname, '../..')

/** A Worker ready to run: one module, and what wrangler.toml says of its bindings. */
export interface Bundle {
  readonly script: string
  readonly worker: Readonly<Record<string, unknown>>
}

/** Bundles a Worker's entry file. Once per test file: every host can share it. */
export async function bundle(entry: string): Promise<Bundle> {
  const built = await build({
    entryPoints: [entry],
    bundle: true,
    write: false,
    format: 'esm',
    target: 'es2024',
    conditions: ['workerd', 'worker', 'browser'],
    external: ['cloudflare:*', 'node:*'],
    logLevel: 'silent',
  })
  const { modulesRules: _rules, ...worker } = readWorkerOptions(join(projectRoot, 'wrangler.toml')).workerOptions
  return { script: built.outputFiles[0]?.text ?? '', worker }
}

const readyMs = 30_000
const logLinesMax = 2_000

/** What every local platform is given (scripts/local.ts); a start may add to it. */
export const hostAdminKey = 'system-test-admin-key'
const localBindings = {
  SWITCHBOARD_ADMIN_KEY: hostAdminKey,
  SWITCHBOARD_DEV: '1',
  SWITCHBOARD_PATIENCE_SECONDS: '0',
}

/** Why a small disk cannot be made here, if it cannot: it takes a mount in a namespace of its own. */
export function smallDiskFault(): string | undefined {
  try {
    execFileSync('unshare', ['-Urm', 'mount', '-t', 'tmpfs', 'tmpfs', tmpdir()], { stdio: 'pipe' })
    return undefined
  } catch (error) {
    return String(error)
  }
}

interface Running {
  readonly child: ChildProcess
  readonly group: number
  readonly url: string
}

export interface HostOptions {
  /** What the Worker logs is thrown away unread: to read it costs about as much as to write it. */
  readonly quiet?: boolean
  readonly inspectorPort?: number
  /** Its state is on a disk of that size, which is gone with the process. */
  readonly diskMegabytes?: number
}

/** One Switchboard. Dead until started; may be started again after a kill. */
export class Host {
  readonly #bundle: Bundle
  readonly #own: Omit<HostOptions, 'diskMegabytes'>
  readonly #diskMegabytes: number | undefined
  readonly #folder = mkdtempSync(join(tmpdir(), 'switchboard-host-'))
  readonly #log: string[] = []
  #groups: number[] = []
  #running: Running | undefined

  constructor(worker: Bundle, { diskMegabytes, ...options }: HostOptions = {}) {
    this.#bundle = worker
    this.#own = options
    this.#diskMegabytes = diskMegabytes
    mkdirSync(this.#state)
    writeFileSync(join(this.#folder, 'worker.js'), worker.script)
    mkdirSync(join(this.#folder, 'tmp'))
  }

  /** Where it is served now; undefined while it is dead. Another after each start. */
  get url(): string | undefined {
    return this.#running?.url
  }

  get #state(): string {
    return join(this.#folder, 'state')
  }

  /** A file beside its state, as it sees it: its disk may be its own. */
  beside(name: string): string {
    return join(`/proc/${this.#running?.group}/root`, this.#state, name)
  }

  /** What the Worker has logged, newest last. */
  get log(): readonly string[] {
    return this.#log
  }

  /** Starts on whatever the state folder holds. Resolves when `GET /healthz` answers 200. */
  async start(bindings: Readonly<Record<string, string>> = {}): Promise<void> {
    const optionsPath = join(this.#folder, 'options.json')
    writeFileSync(optionsPath, JSON.stringify(this.#options(bindings)))
    const [command = '', ...args] = this.#command()
    const child = spawn(command, [...args, join(import.meta.dirname, 'host-child.ts'), optionsPath], {
      detached: true,
      env: {
        ...process.env,
        CLOUDFLARE_CF_FETCH_ENABLED: 'false',
        // A killed process cleans nothing up; the folder goes as a whole.
        TMPDIR: join(this.#folder, 'tmp'),
      },
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    })
    const group = child.pid
    if (group === undefined) throw new Error('the host could not be started')
    this.#groups.push(group)
    for (const stream of [child.stdout, child.stderr]) stream?.setEncoding('utf8').on('data', (t) => this.#note(t))
    const url = await this.#addressOf(child)
    this.#running = { child, group, url }
    await this.#untilHealthy(url)
  }

  /** What its processes hold in memory, all together, or those of one name; 0 while it is dead. */
  residentBytes(name?: string): number {
    const group = this.#running?.group
    const rows = processTable('pgid=,rss=,comm=').filter(
      ([own, , comm]) => Number(own) === group && (name === undefined || comm === name),
    )
    return rows.reduce((sum, [, kilobytes]) => sum + Number(kilobytes) * 1_024, 0)
  }

  /** Processor time that its processes have used, all together; 0 while it is dead or where there is no /proc. */
  cpuMs(): number {
    const group = this.#running?.group
    const pids = processTable('pgid=,pid=').filter(([own]) => Number(own) === group)
    return pids.reduce((sum, [, pid = '']) => sum + cpuMsOf(pid), 0)
  }

  /** SIGKILL to all of it, at once. Only sends: see `dead`. */
  kill(): void {
    const group = this.#running?.group
    this.#running = undefined
    if (group !== undefined) signalGroup(group)
  }

  /** Resolves when nothing of what was ever started is left. */
  async dead(): Promise<void> {
    const deadlineAt = Date.now() + readyMs
    while (livingGroups().some((group) => this.#groups.includes(group))) {
      if (Date.now() > deadlineAt) throw new Error('the killed host is still there')
      await pause(10)
    }
    this.#groups = []
  }

  /** Kills what runs and removes the state folder. May be called at any time, and more than once. */
  async stop(): Promise<void> {
    this.#running = undefined
    for (const group of this.#groups) signalGroup(group)
    await this.dead()
    rmSync(this.#folder, { recursive: true, force: true })
  }

  #command(): string[] {
    if (this.#diskMegabytes === undefined) return [process.execPath]
    const mount = `mount -t tmpfs -o size=${this.#diskMegabytes}m tmpfs "$0" && exec "$@"`
    return ['unshare', '-Urm', 'sh', '-c', mount, this.#state, process.execPath]
  }

  #options(bindings: Readonly<Record<string, string>>): Record<string, unknown> {
    return {
      ...this.#own,
      ...this.#bundle.worker,
      name: 'switchboard',
      rootPath: this.#folder,
      modules: [{ type: 'ESModule', path: join(this.#folder, 'worker.js') }],
      bindings: { ...localBindings, ...bindings },
      host: '127.0.0.1',
      port: 0,
      cf: false,
      resourcePersistencePath: join(this.#state, 'objects'),
      // Other Workers on this machine are none of its business.
      unsafeDevRegistryPath: join(this.#folder, 'registry'),
    }
  }

  #note(text: string): void {
    this.#log.push(...text.split('\n').filter((line) => line !== ''))
    this.#log.splice(0, this.#log.length - logLinesMax)
  }

  #addressOf(child: ChildProcess): Promise<string> {
    return new Promise((resolve, reject) => {
      // The first and only message of test/system/host-child.ts.
      child.once('message', (message) => resolve((message as { url: string }).url))
      child.once('error', reject)
      child.once('exit', (code) => reject(new Error(`the host ended with ${code}: ${this.#log.slice(-5).join('\n')}`)))
    })
  }

  async #untilHealthy(url: string): Promise<void> {
    const deadlineAt = Date.now() + readyMs
    for (;;) {
      const answer = await fetch(`${url}/healthz`, { signal: AbortSignal.timeout(5_000) }).catch(() => undefined)
      await answer?.body?.cancel()
      // An armed host may be dead again before it was ever seen healthy.
      if (answer?.status === 200 || this.#running === undefined) return
      if (Date.now() > deadlineAt) throw new Error(`${url}/healthz did not answer 200 within ${readyMs} ms`)
      await pause(10)
    }
  }
}

function signalGroup(group: number): void {
  try {
    process.kill(-group, 'SIGKILL')
  } catch {
    // Gone already.
  }
}

// Not by signal 0: where nobody buries orphans, a killed workerd stays behind as a zombie that still answers to it.
function livingGroups(): number[] {
  return processTable('pgid=,stat=')
    .filter(([, state = 'Z']) => !state.startsWith('Z'))
    .map(([group]) => Number(group))
}

// utime and stime, after the name in its parentheses; counted in hundredths of a second on every Linux there is.
function cpuMsOf(pid: string): number {
  const path = `/proc/${pid}/stat`
  if (!existsSync(path)) return 0
  const fields = readFileSync(path, 'utf8')
    .replace(/^.*\) /s, '')
    .split(' ')
  return (Number(fields[11]) + Number(fields[12])) * 10
}

function processTable(columns: string): string[][] {
  const table = execFileSync('ps', ['-A', '-o', columns], { encoding: 'utf8' })
  return table.split('\n').map((row) => row.trim().split(/\s+/))
}
