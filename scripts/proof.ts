/**
 * Faults of every kind, one part after the other, seeded and within 15 minutes; then a table of what was run and found. Never here:
 * what is run (scripts/proof-plan.ts), or a test.
 *
 *   npm run proof                      every part, with a seed of its own
 *   SEED=7 npm run proof               the same again
 *   SEED=7 npm run proof -- ledger     one part of it
 */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { boundMs, isGreen, type Part, partsOf, type Ran, repeatOf, tableOf } from './proof-plan.ts'
import { vitestReport } from './test-report.ts'

const root = join(import.meta.dirname, '..')
/** The longest that is shown of why a test is red: seeds and counter-examples come first. */
const whyLength = 400

process.exitCode = main()

function main(): number {
  const seed = Number(process.env.SEED ?? Math.floor(Math.random() * 1_000_000) + 1)
  if (!Number.isSafeInteger(seed) || seed < 1) return refuse(`SEED=${process.env.SEED} is not a whole number above 0.`)
  const all = partsOf(seed)
  const wanted = process.argv[2]
  const parts = wanted === undefined ? all : all.filter(({ name }) => name === wanted)
  if (parts.length === 0) return refuse(`There is no part \`${wanted}\`: ${all.map(({ name }) => name).join(', ')}.`)
  console.log(`SEED=${seed}`)
  const deadline = performance.now() + boundMs
  const ran = parts.map((part) => told(seed, run(part, deadline)))
  console.log(`\n${tableOf(seed, ran).join('\n')}`)
  return ran.every(isGreen) ? 0 : 1
}

function refuse(why: string): number {
  console.error(why)
  return 1
}

function told(seed: number, ran: Ran): Ran {
  const { part, passed, red, seconds } = ran
  const verdict = isGreen(ran) ? 'holds' : `FAILED; repeat it with  ${repeatOf(seed, part)}`
  console.log(`${part.name}: ${passed} passed, ${red.length} failed in ${seconds.toFixed(0)} s: ${verdict}`)
  return ran
}

function run(part: Part, deadline: number): Ran {
  const folder = mkdtempSync(join(tmpdir(), 'switchboard-proof-'))
  const report = join(folder, 'report.json')
  const begun = performance.now()
  const leftMs = Math.max(1, Math.floor(deadline - begun))
  try {
    const entry = join('node_modules', 'vitest', 'vitest.mjs')
    const args = ['run', '--project', part.project, '--reporter=json', `--outputFile=${report}`, ...part.files]
    // The stories read a SEED as the only one to be told.
    const { SEED: _seed, ...rest } = process.env
    const vitest = spawnSync(process.execPath, [entry, ...args], {
      cwd: root,
      env: { ...rest, ...part.env },
      timeout: leftMs,
      encoding: 'utf8',
    })
    const seconds = (performance.now() - begun) / 1_000
    if (vitest.error !== undefined)
      return {
        part,
        passed: 0,
        red: [],
        broken: `no end within the ${(leftMs / 1_000).toFixed(0)} s that were left`,
        seconds,
      }
    return { part, ...readReport(report, vitest.status, vitest.stderr), seconds }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

function readReport(path: string, status: number | null, stderr: string): Omit<Ran, 'part' | 'seconds'> {
  const report = vitestReport.safeParse(readJson(path))
  if (!report.success) return { passed: 0, red: [], broken: `the test runner wrote no report: ${stderr.slice(0, 500)}` }
  const tests = report.data.testResults.flatMap((file) =>
    file.assertionResults.map((one) => ({ ...one, file: relative(root, file.name) })),
  )
  const red = tests
    .filter((one) => one.status === 'failed')
    .map((one) => ({
      test: `${one.file} › ${one.fullName}`,
      why: (one.failureMessages?.[0] ?? '').slice(0, whyLength),
    }))
  const passed = tests.filter((one) => one.status === 'passed').length
  if (red.length > 0 || status === 0) return { passed, red }
  const unread = report.data.testResults.find((file) => file.status === 'failed')?.message
  return { passed, red, broken: `no test failed, but the run did: ${(unread ?? stderr).slice(0, 500)}` }
}

function readJson(path: string): unknown {
  try {
    return JSON.parse(readFileSync(path, 'utf8'))
  } catch {
    return undefined
  }
}
