/**
 * The Worker as `wrangler deploy` would upload it, in a host on this machine, and calls to its HTTP interface.
 * Never here: a measurement.
 */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Bundle, bundle, type Host, hostAdminKey } from '../test/system/host.ts'

const root = join(import.meta.dirname, '..')

/** Bundled by wrangler itself; its bindings are those of wrangler.toml. */
export async function deployable(): Promise<Bundle> {
  const folder = mkdtempSync(join(tmpdir(), 'switchboard-bench-'))
  const wrangler = join(root, 'node_modules', 'wrangler', 'bin', 'wrangler.js')
  execFileSync(process.execPath, [wrangler, 'deploy', '--dry-run', '--outdir', folder], {
    cwd: root,
    stdio: ['ignore', 'ignore', 'inherit'],
    env: { ...process.env, WRANGLER_SEND_METRICS: 'false' },
  })
  const script = readFileSync(join(folder, 'index.js'), 'utf8')
  rmSync(folder, { recursive: true })
  return { ...(await bundle(join(root, 'workers', 'index.ts'))), script }
}

/** Calls the host as its admin; anything but a 2xx is thrown, because a benchmark of errors measures nothing. */
export async function call<Answer>(host: Host, method: string, path: string, json?: unknown): Promise<Answer> {
  const response = await fetch(`${host.url}${path}`, {
    method,
    headers: { authorization: `Bearer ${hostAdminKey}`, 'content-type': 'application/json' },
    ...(json === undefined ? {} : { body: JSON.stringify(json) }),
  })
  const text = await response.text()
  if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text.slice(0, 500)}`)
  // What the routes answer is held by their own tests.
  return (text === '' ? undefined : JSON.parse(text)) as Answer
}

/** `width` at a time. */
export async function each<Item>(
  items: readonly Item[],
  width: number,
  work: (item: Item) => Promise<void>,
): Promise<void> {
  const left = items.values()
  const worker = async () => {
    for (const item of left) await work(item)
  }
  await Promise.all(Array.from({ length: width }, worker))
}
