/**
 * Breaks the code on purpose and expects the tests to notice. Each mutant of test/mutants/ is applied to a copy of the tree,
 * its tests are run there, and the one that went red is printed. Never here: a change to the working tree.
 *
 *   npm run mutants             all of them
 *   npm run mutants -- M5       those whose name or `breaks` contains M5
 */
import { spawnSync } from 'node:child_process'
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join, relative } from 'node:path'
import { type Mutant, mutantSchema, mutate } from './mutant.ts'
import { vitestReport } from './test-report.ts'

const root = join(import.meta.dirname, '..')
/** A mutant that runs for ever is a bad mutant: it would be killed by impatience, not by a test. */
const patienceMs = 300_000

type Verdict =
  | { readonly kind: 'killed'; readonly by: string }
  /** The tests stayed green: something is not tested. */
  | { readonly kind: 'survived' }
  /** Says nothing about the tests: does not apply, does not compile, hangs, or its tests are red without it. */
  | { readonly kind: 'useless'; readonly because: string }

function readMutants(): readonly (Mutant & { readonly name: string })[] {
  const folder = join(root, 'test', 'mutants')
  const names = readdirSync(folder).filter((name) => name.endsWith('.json'))
  const all = names.sort().map((name) => ({
    ...mutantSchema.parse(JSON.parse(readFileSync(join(folder, name), 'utf8'))),
    name: basename(name, '.json'),
  }))
  const wanted = process.argv[2] ?? ''
  return all.filter((mutant) => mutant.name.includes(wanted) || mutant.breaks.includes(wanted))
}

function copyTree(): string {
  const copy = mkdtempSync(join(tmpdir(), 'switchboard-mutants-'))
  const left = new Set(['.git', 'node_modules', 'dist', '.wrangler', '.state', 'coverage', '.dev.vars'])
  cpSync(root, copy, { recursive: true, filter: (path) => !left.has(basename(path)) })
  symlinkSync(join(root, 'node_modules'), join(copy, 'node_modules'), 'dir')
  return copy
}

/** Runs test files in the copy. What went red first, or undefined when all is green. */
function firstRed(
  copy: string,
  tests: readonly string[],
): { readonly test?: string; readonly broken?: string } | undefined {
  const report = join(copy, 'vitest-report.json')
  rmSync(report, { force: true })
  const entry = join('node_modules', 'vitest', 'vitest.mjs')
  const args = ['run', '--bail=1', '--reporter=json', `--outputFile=${report}`, ...tests]
  const run = spawnSync(process.execPath, [entry, ...args], { cwd: copy, timeout: patienceMs, encoding: 'utf8' })
  if (run.error !== undefined) return { broken: `no end within ${patienceMs / 1_000} s` }
  const parsed = vitestReport.safeParse(readJson(report))
  if (!parsed.success) return { broken: `vitest wrote no report: ${run.stderr.slice(0, 500)}` }
  if (parsed.data.success) return undefined
  for (const file of parsed.data.testResults)
    for (const one of file.assertionResults)
      if (one.status === 'failed')
        return { test: `${relative(copy, file.name)} › ${one.fullName}${because(one.failureMessages?.[0])}` }
  const message = parsed.data.testResults.find((file) => file.status === 'failed')?.message
  return { broken: `no test failed, but the run did: ${message?.split('\n')[0] ?? 'no test was found'}` }
}

function because(message: string | undefined): string {
  const first = message?.split('\n')[0] ?? ''
  return first === '' ? '' : ` (${first.length > 120 ? `${first.slice(0, 120)}…` : first})`
}

function readJson(path: string): unknown {
  try {
    return JSON.parse(readFileSync(path, 'utf8'))
  } catch {
    return undefined
  }
}

function judge(copy: string, mutant: Mutant, redAnyway: ReadonlyMap<string, string>): Verdict {
  const red = mutant.tests.find((test) => redAnyway.has(test))
  if (red !== undefined) return { kind: 'useless', because: `without it, ${redAnyway.get(red)}` }
  const path = join(copy, mutant.file)
  const whole = readFileSync(path, 'utf8')
  const result = mutate(whole, mutant)
  if ('stale' in result) return { kind: 'useless', because: result.stale }
  writeFileSync(path, result.text)
  try {
    const found = firstRed(copy, mutant.tests)
    if (found === undefined) return { kind: 'survived' }
    if (found.test !== undefined) return { kind: 'killed', by: found.test }
    return { kind: 'useless', because: found.broken ?? 'red for no reason given' }
  } finally {
    writeFileSync(path, whole)
  }
}

/** Tests that are red before anything was broken could kill nothing. */
function redBefore(copy: string, tests: readonly string[]): ReadonlyMap<string, string> {
  if (firstRed(copy, tests) === undefined) return new Map()
  const red = new Map<string, string>()
  for (const test of tests) {
    const found = firstRed(copy, [test])
    if (found !== undefined) red.set(test, `${found.test ?? `${test}: ${found.broken}`} is red`)
  }
  return red
}

function say(mutant: Mutant & { readonly name: string }, verdict: Verdict, seconds: number): void {
  const told = verdict.kind === 'killed' ? verdict.by : verdict.kind === 'survived' ? mutant.why : verdict.because
  console.log(
    `${verdict.kind.padEnd(9)} ${mutant.name.padEnd(36)} ${mutant.breaks.padEnd(10)} ${seconds.toFixed(1).padStart(5)} s  ${told}`,
  )
}

const mutants = readMutants()
const copy = copyTree()
const count = { killed: 0, survived: 0, useless: 0 }
try {
  const redAnyway = redBefore(copy, [...new Set(mutants.flatMap((mutant) => mutant.tests))])
  for (const mutant of mutants) {
    const start = performance.now()
    const verdict = judge(copy, mutant, redAnyway)
    count[verdict.kind] += 1
    say(mutant, verdict, (performance.now() - start) / 1_000)
  }
} finally {
  rmSync(copy, { recursive: true, force: true })
}
console.log(`${count.killed} killed, ${count.survived} survived, ${count.useless} useless`)
if (mutants.length === 0) console.error(`no mutant matches \`${process.argv[2]}\``)
process.exitCode = count.killed === mutants.length && mutants.length > 0 ? 0 : 1
