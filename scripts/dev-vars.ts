/**
 * The development variables in .dev.vars: reads them, and makes a random admin key when there is none yet. Other lines are
 * never touched, and the file is readable by its owner only. Never here: production's secrets (`wrangler secret put`).
 */
import { randomBytes } from 'node:crypto'
import { chmodSync, existsSync, readFileSync, writeFileSync } from 'node:fs'

export const adminKeyName = 'SWITCHBOARD_ADMIN_KEY'

export interface AdminKey {
  readonly key: string
  readonly origin: 'environment' | 'file' | 'made'
}

/** The variables of a .dev.vars text: `NAME=value` lines, quotes and `export` allowed; the last of a name counts. */
export function parseVars(text: string): Map<string, string> {
  const vars = new Map<string, string>()
  for (const line of text.split(/\r?\n/)) {
    const [, name, raw] = /^\s*(?:export\s+)?([A-Za-z_]\w*)\s*=\s*(.*?)\s*$/.exec(line) ?? []
    if (name === undefined || raw === undefined) continue
    const quoted = /^(["'`])(.*)\1(?:\s+#.*)?$/.exec(raw)
    vars.set(name, quoted?.[2] ?? raw.replace(/(^|\s+)#.*$/, ''))
  }
  return vars
}

export function readVars(path: string): Map<string, string> {
  return existsSync(path) ? parseVars(readFileSync(path, 'utf8')) : new Map()
}

export function newKey(): string {
  return `dev_${randomBytes(24).toString('base64url')}`
}

/** The admin key in force: the environment's, else the file's, else a new one, which is added to the file. */
export function ensureAdminKey(path: string, env: Readonly<Record<string, string | undefined>>): AdminKey {
  const given = env[adminKeyName]
  if (given !== undefined && given !== '') return { key: given, origin: 'environment' }
  const kept = readVars(path).get(adminKeyName)
  if (kept !== undefined && kept !== '') return { key: kept, origin: 'file' }
  const key = newKey()
  const before = existsSync(path) ? readFileSync(path, 'utf8') : ''
  const seam = before === '' || before.endsWith('\n') ? '' : '\n'
  writeFileSync(path, `${before}${seam}${adminKeyName}=${key}\n`, { mode: 0o600 })
  // The mode above counts only for a new file.
  chmodSync(path, 0o600)
  return { key, origin: 'made' }
}
