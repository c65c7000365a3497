/**
 * Breaks the code on purpose and expects the tests to notice. Each mutant of test/mutants/ is applied to a copy of the tree,
 * its tests are run there, and the one that went red is printed. There are as many copies as cores, and the tests run unbroken
 * first, so all of them take about half an hour on two. Never here: a change to the working tree.
 *
 *   npm run mutants             all of them
 *   npm run mutants -- M5       those whose name or `breaks` contains M5
 */
import { execFile } from 'node:child_process'
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { availableParallelism, tmpdir } from 'node:os'
import { basename, join, relative } from 'node:path'
import { type Mutant, mutantSchema, mutate } from './mutant.ts'
import { vitestReport } from './test-report.ts'

const root = join(import.meta.dirname, '..')
/** A mutant that runs for ever is a bad mutant: it would be killed by impatience, not by a test. */
const patienceMs = 300_000
/** All the tests of all mutants, unbroken. */
const unbrokenPatienceMs = 1_800_000

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

/** Runs test files in the copy. What is red, or undefined when all is green. */
async function runTests(copy: string, tests: readonly string[], options: readonly string[], timeout: number) {
  const path = join(copy, 'vitest-report.json')
  rmSync(path, { force: true })
  const entry = join('node_modules', 'vitest', 'vitest.mjs')
  const args = [entry, 'run', ...options, '--reporter=json', `--outputFile=${path}`, ...tests]
  const errors = await new Promise<string>((resolve) => {
    execFile(process.execPath, args, { cwd: copy, timeout, killSignal: 'SIGKILL', maxBuffer }, (error, _, stderr) =>
      resolve(error?.killed === true ? `no end within ${timeout / 1_000} s` : stderr.slice(0, 500)),
    )
  })
  const parsed = vitestReport.safeParse(readJson(path))
  return parsed.success ? { report: parsed.data } : { broken: `vitest wrote no report: ${errors}` }
}

const maxBuffer = 1 << 28

/** The first that went red, or why that cannot be told; undefined when all is green. */
async function firstRed(
  copy: string,
  tests: readonly string[],
): Promise<{ test?: string; broken?: string } | undefined> {
  const run = await runTests(copy, tests, ['--bail=1'], patienceMs)
  if ('broken' in run) return run
  if (run.report.success) return undefined
  for (const file of run.report.testResults)
    for (const one of file.assertionResults)
      if (one.status === 'failed')
        return { test: `${relative(copy, file.name)} › ${one.fullName}${because(one.failureMessages?.[0])}` }
  const message = run.report.testResults.find((file) => file.status === 'failed')?.message
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

async function judge(copy: string, mutant: Mutant, redAnyway: ReadonlySet<string>): Promise<Verdict> {
  const red = mutant.tests.find((test) => redAnyway.has(test))
  if (red !== undefined) return { kind: 'useless', because: `${red} is red without it` }
  const path = join(copy, mutant.file)
  const whole = readFileSync(path, 'utf8')
  const result = mutate(whole, mutant)
  if ('stale' in result) return { kind: 'useless', because: result.stale }
  writeFileSync(path, result.text)
  try {
    const found = await firstRed(copy, mutant.tests)
    if (found === undefined) return { kind: 'survived' }
    if (found.test !== undefined) return { kind: 'killed', by: found.test }
    return { kind: 'useless', because: found.broken ?? 'red for no reason given' }
  } finally {
    writeFileSync(path, whole)
  }
}

/** Tests that are red before anything was broken could kill nothing. */
async function redBefore(copy: string, tests: readonly string[]): Promise<ReadonlySet<string>> {
  const run = await runTests(copy, tests, [], unbrokenPatienceMs)
  if ('broken' in run) throw new Error(`the tests do not run unbroken: ${run.broken}`)
  const green = run.report.testResults
    .filter((file) => file.status === 'passed')
    .map(({ name }) => relative(copy, name))
  return new Set(tests.filter((test) => !green.includes(test)))
}

function say(mutant: Mutant & { readonly name: string }, verdict: Verdict, seconds: number): void {
  const told = verdict.kind === 'killed' ? verdict.by : verdict.kind === 'survived' ? mutant.why : verdict.because
  console.log(
    `${verdict.kind.padEnd(9)} ${mutant.name.padEnd(36)} ${mutant.breaks.padEnd(10)} ${seconds.toFixed(1).padStart(5)} s  ${told}`,
  )
}

const mutants = readMutants()
if (mutants.length === 0) {
  console.error(`no mutant matches \`${process.argv[2]}\``)
  process.exit(1)
}
const copies = Array.from({ length: Math.min(availableParallelism(), mutants.length) }, copyTree)
const count = { killed: 0, survived: 0, useless: 0 }
try {
  const redAnyway = await redBefore(copies[0] ?? root, [...new Set(mutants.flatMap((mutant) => mutant.tests))])
  const left = mutants.values()
  const worker = async (copy: string) => {
    for (const mutant of left) {
      const start = performance.now()
      const verdict = await judge(copy, mutant, redAnyway)
      count[verdict.kind] += 1
      say(mutant, verdict, (performance.now() - start) / 1_000)
    }
  }
  await Promise.all(copies.map(worker))
} finally {
  for (const copy of copies) rmSync(copy, { recursive: true, force: true })
}
console.log(`${count.killed} killed, ${count.survived} survived, ${count.useless} useless`)
process.exitCode = count.killed === mutants.length ? 0 : 1
