/**
 * A platform of the demo's own: started for the occasion with a state and a key of its own, killed and started again if asked to,
 * and gone without a trace afterwards. Never here: what is done on it.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { adminKeyName, newKey, readVars } from '../dev-vars.ts'
import { devVarsPath, freePort, type LocalPlatform, passedOn, passedOnLines, startLocal } from '../local.ts'

export type Vars = Readonly<Record<string, string | undefined>>

export interface OwnPlatform {
  readonly url: string
  readonly key: string
  ready(): Promise<void>
  /** SIGKILL, to the runtime and to everything around it. */
  kill(): Promise<void>
  /** The same address, the same state. Resolves when it is ready. */
  startAgain(): Promise<void>
  /** The last lines that it wrote. */
  lastLines(): string
  remove(): Promise<void>
}

/** The environment's and .dev.vars' model, and a key for this run only. */
export function ownVars(): Vars {
  const kept = readVars(devVarsPath)
  return {
    ...Object.fromEntries(passedOn.map((name) => [name, process.env[name] || kept.get(name)])),
    [adminKeyName]: newKey(),
  }
}

export async function startOwn(vars: Vars): Promise<OwnPlatform> {
  const scratch = mkdtempSync(join(tmpdir(), 'switchboard-demo-'))
  const file = join(scratch, 'demo.vars')
  writeFileSync(file, passedOnLines(vars), { mode: 0o600 })
  const port = await freePort()
  let log = ''
  const output = (chunk: string) => {
    log = (log + chunk).slice(-8_000)
  }
  const begin = (): LocalPlatform => startLocal({ port, stateDir: join(scratch, 'state'), varFiles: [file], output })
  let local = begin()
  // Nobody may be waiting for it when it ends.
  local.ready.catch(() => undefined)
  return {
    url: local.url,
    key: vars[adminKeyName] ?? '',
    ready: () => local.ready,
    kill: () => local.kill(),
    startAgain: () => {
      local = begin()
      return local.ready
    },
    lastLines: () => log.trimEnd().split('\n').slice(-12).join('\n'),
    remove: async () => {
      await local.stop()
      rmSync(scratch, { recursive: true, force: true })
    },
  }
}
