/**
 * The peers' packages: installed when they are first measured, into this user's cache, in these versions. They are no part of the
 * project: whoever only builds or tests it never loads them (docs/decisions/0043). Never here: what is done with them.
 */
import { execFile } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { Contender } from '../contender.ts'

export const versions = {
  restate: { '@restatedev/restate-server': '1.7.12', '@restatedev/restate-sdk': '1.17.2' },
  'pg-boss': { 'pg-boss': '12.35.0' },
} as const

/** A peer that runs. It may be several contenders, by how it is set. */
export interface Peer {
  readonly contenders: readonly Contender[]
  /** What of it runs, with versions. */
  readonly versions: Readonly<Record<string, string>>
}

const cache = join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'switchboard-bench')
const patienceMs = 300_000

/** The folder in which a peer's packages are. Throws what npm said when they cannot be installed. */
export async function installed(peer: keyof typeof versions): Promise<string> {
  const dependencies: Readonly<Record<string, string>> = versions[peer]
  const folder = join(cache, `${peer}-${Object.values(dependencies).join('-')}`)
  if (existsSync(folder)) return folder
  mkdirSync(cache, { recursive: true })
  // Only what is whole gets the name: an install that was broken off is begun again.
  const fresh = mkdtempSync(join(cache, 'installing-'))
  writeFileSync(join(fresh, 'package.json'), JSON.stringify({ private: true, dependencies }))
  // No scripts of theirs: none is needed, and one of them only reports the install to its makers.
  const words = ['install', '--ignore-scripts', '--no-audit', '--no-fund', '--no-package-lock']
  try {
    await promisify(execFile)('npm', words, { cwd: fresh, timeout: patienceMs })
    renameSync(fresh, folder)
  } finally {
    rmSync(fresh, { recursive: true, force: true })
  }
  return folder
}

/** A package out of such a folder. Its shape is the caller's to say: there are no types where it is not installed. */
export function load<Shape>(folder: string, name: string): Shape {
  return createRequire(join(folder, 'package.json'))(name) as Shape
}
