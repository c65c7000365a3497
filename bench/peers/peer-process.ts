/**
 * The processes of a peer: a program of this folder, which leads a group, and all that it starts. Never here: which peer.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'

const readyMs = 60_000
const farewellMs = 5_000
const pageBytes = 4_096
const logMax = 1_500

export class PeerProcess {
  readonly #child: ChildProcess
  #log = ''

  private constructor(program: string, options: object) {
    this.#child = spawn(process.execPath, [join(import.meta.dirname, program), JSON.stringify(options)], {
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    })
    for (const stream of [this.#child.stdout, this.#child.stderr])
      stream?.setEncoding('utf8').on('data', (text: string) => {
        this.#log = (this.#log + text).slice(-logMax)
      })
  }

  /** Starts the program; what it says once it is ready is given back with it. Throws with its last words when it never is. */
  static async start<Ready>(program: string, options: object): Promise<{ process: PeerProcess; ready: Ready }> {
    const started = new PeerProcess(program, options)
    try {
      return { process: started, ready: await started.#ready<Ready>() }
    } catch (error) {
      await started.stop()
      throw error
    }
  }

  #ready<Ready>(): Promise<Ready> {
    return new Promise((resolve, reject) => {
      const fail = (why: string) => reject(new Error(`${why}: ${this.#log}`))
      const timer = setTimeout(() => fail(`not ready within ${readyMs} ms`), readyMs)
      // The first and only message of each of these programs.
      this.#child.once('message', (message) => resolve(message as Ready))
      this.#child.once('exit', (code) => fail(`ended with ${code}`))
      this.#child.once('exit', () => clearTimeout(timer))
      this.#child.once('message', () => clearTimeout(timer))
    })
  }

  residentBytes(): number {
    return this.#tree().reduce((sum, { residentPages }) => sum + residentPages * pageBytes, 0)
  }

  cpuMs(): number {
    return this.#tree().reduce((sum, { cpuMs }) => sum + cpuMs, 0)
  }

  /** Ends all of it: the program is asked to, and what is left of it after a while is killed. May be called more than once. */
  async stop(): Promise<void> {
    const tree = this.#tree()
    this.#child.kill('SIGTERM')
    const deadlineAt = Date.now() + farewellMs
    while (tree.some(({ pid }) => alive(pid))) {
      if (Date.now() > deadlineAt) for (const { pid } of tree) kill(pid)
      await pause(20)
    }
  }

  // By parents and not by group: each backend of PostgreSQL leads a group of its own.
  #tree(): Row[] {
    const rows = processes()
    const found: Row[] = []
    const seek = (pid: number | undefined) => {
      for (const row of rows) if (row.pid === pid) found.push(row)
      for (const row of rows) if (row.parent === pid) seek(row.pid)
    }
    seek(this.#child.pid)
    return found
  }
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch {
    // Gone already.
  }
}

// A killed process may stay behind as a zombie, where nobody buries orphans.
const alive = (pid: number) => processes().some((row) => row.pid === pid && row.state !== 'Z')

interface Row {
  readonly pid: number
  readonly parent: number
  readonly state: string
  readonly residentPages: number
  /** Its own, and that of its children that are gone, so that none is lost when one ends. */
  readonly cpuMs: number
}

/** All processes there are; none where there is no /proc. */
function processes(): Row[] {
  return pids().flatMap((pid) => {
    const [state = '', parent, ...rest] = fieldsOf(pid)
    if (state === '') return []
    // utime, stime, cutime and cstime, counted in hundredths of a second on every Linux there is; then the resident pages.
    const ticks = rest.slice(9, 13).reduce((sum, field) => sum + Number(field), 0)
    return [{ pid: Number(pid), parent: Number(parent), state, residentPages: Number(rest[19]), cpuMs: ticks * 10 }]
  })
}

function pids(): string[] {
  try {
    return readdirSync('/proc').filter((name) => /^\d+$/.test(name))
  } catch {
    return []
  }
}

/** What /proc says of a process after its name, which stands in parentheses. */
function fieldsOf(pid: string): string[] {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8')
    return text.slice(text.lastIndexOf(')') + 2).split(' ')
  } catch {
    return []
  }
}
