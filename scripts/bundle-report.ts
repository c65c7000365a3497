/**
 * What the deployable Worker weighs and what it costs to start, against the platform's limits. Builds it the way
 * `wrangler deploy` does and needs no account. Never here: deploying.
 *
 *   npm run report:bundle
 */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import * as z from 'zod'

/** Cloudflare, "Workers limits": script size, and the time that global scope may take. */
const scriptBytesMax = 64 * 1_024 * 1_024
const startupMsMax = 1_000

/** The profiler samples every few milliseconds on a machine that does other things too: the median of a few runs. */
const profiles = 3

const cpuProfile = z.object({
  nodes: z.array(z.object({ id: z.int(), callFrame: z.object({ functionName: z.string() }) })),
  samples: z.array(z.int()),
  timeDeltas: z.array(z.number()),
})

function wrangler(...args: string[]): void {
  const entry = join('node_modules', 'wrangler', 'bin', 'wrangler.js')
  // Offline, wrangler would otherwise wait for a telemetry host and a geolocation host before it goes on.
  const env = { ...process.env, WRANGLER_SEND_METRICS: 'false', CLOUDFLARE_CF_FETCH_ENABLED: 'false' }
  try {
    execFileSync(process.execPath, [entry, ...args], { env, stdio: ['ignore', 'pipe', 'pipe'] })
  } catch (thrown) {
    const { stdout, stderr } = thrown as { stdout?: Buffer; stderr?: Buffer }
    throw new Error(`wrangler ${args[0]} failed\n${stdout ?? ''}${stderr ?? ''}`)
  }
}

/** Milliseconds in which the profile saw anything but idleness. */
function activeMs(path: string): number {
  const profile = cpuProfile.parse(JSON.parse(readFileSync(path, 'utf8')))
  const idle = new Set(profile.nodes.filter((n) => n.callFrame.functionName === '(idle)').map((n) => n.id))
  const microseconds = profile.samples.reduce(
    (sum, id, i) => sum + (idle.has(id) ? 0 : Math.max(0, profile.timeDeltas[i] ?? 0)),
    0,
  )
  return microseconds / 1_000
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN
}

function line(what: string, value: string, share: number): void {
  console.log(`${what.padEnd(22)} ${value.padStart(12)}   ${(share * 100).toFixed(2)} % of the limit`)
}

const folder = mkdtempSync(join(tmpdir(), 'switchboard-bundle-'))
try {
  wrangler('deploy', '--dry-run', '--outdir', folder)
  const script = readFileSync(join(folder, 'index.js'))
  const profile = join(folder, 'startup.cpuprofile')
  const runs = Array.from({ length: profiles }, () => {
    wrangler('check', 'startup', '--outfile', profile)
    return activeMs(profile)
  })
  const startupMs = median(runs)

  line('script', `${(script.length / 1_024).toFixed(1)} KiB`, script.length / scriptBytesMax)
  console.log(`${'script, gzipped'.padEnd(22)} ${`${(gzipSync(script).length / 1_024).toFixed(1)} KiB`.padStart(12)}`)
  line(`start-up, of ${profiles} runs`, `${startupMs.toFixed(1)} ms`, startupMs / startupMsMax)
  console.log('Start-up is CPU time on this machine, not on the platform.')
  if (script.length > scriptBytesMax || !(startupMs <= startupMsMax)) {
    console.error('Over a limit: the platform would refuse this Worker.')
    process.exitCode = 1
  }
} finally {
  rmSync(folder, { recursive: true })
}
