/**
 * Runs the project's scripts as a person does, and finds whatever they leave behind. Never here: what should come of it.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, realpathSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const root = join(import.meta.dirname, '../..')

/** A folder of a test's own. What is started with its `env` carries its name, so that it can be found again. */
export interface Ground {
  readonly dir: string
  readonly temporary: string
  readonly env: Readonly<Record<string, string>>
  remove(): void
}

export function newGround(): Ground {
  const dir = realpathSync(mkdtempSync(join(tmpdir(), 'switchboard-system-')))
  const temporary = join(dir, 'tmp')
  mkdirSync(temporary)
  return { dir, temporary, env: { TMPDIR: temporary }, remove: () => rmSync(dir, { recursive: true, force: true }) }
}

export interface Running {
  readonly child: ChildProcess
  /** Everything written so far, both streams. */
  readonly output: () => string
  readonly ended: Promise<number | null>
  /** Resolves when the output has this; rejects when the process ends without. */
  readonly says: (text: string | RegExp) => Promise<void>
}

export function run(
  script: string,
  args: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
): Running {
  // What npm and the machine's owner say must not decide a test.
  const {
    npm_lifecycle_event: _npm,
    INIT_CWD: _cwd,
    OPENAI_API_KEY: _key,
    OPENAI_BASE_URL: _url,
    ...rest
  } = process.env
  const child = spawn(process.execPath, [join(root, 'scripts', script), ...args], {
    cwd: root,
    env: { ...rest, ...env },
  })
  let text = ''
  const waiting = new Set<() => void>()
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk
      for (const look of waiting) look()
    })
  const ended = new Promise<number | null>((resolve) => child.once('close', resolve))
  const says = (wanted: string | RegExp) =>
    new Promise<void>((resolve, reject) => {
      const look = () => {
        if (typeof wanted === 'string' ? !text.includes(wanted) : !wanted.test(text)) return
        waiting.delete(look)
        resolve()
      }
      waiting.add(look)
      void ended.then((code) => reject(new Error(`ended with ${code} and never said ${wanted}:\n${text}`)))
      look()
    })
  return { child, output: () => text, ended, says }
}

/** The processes started on this ground that still run, as their command lines. */
export function leftOn(ground: Ground): string[] {
  if (!existsSync('/proc/self/environ'))
    return execFileSync('ps', ['-A', '-o', 'args='], { encoding: 'utf8' })
      .split('\n')
      .filter((line) => line.includes(ground.dir))
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .flatMap((pid) => {
      try {
        const isOurs = readFileSync(`/proc/${pid}/environ`, 'utf8').includes(ground.temporary)
        return isOurs ? [readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ')] : []
      } catch {
        // Gone between the listing and the look.
        return []
      }
    })
}
