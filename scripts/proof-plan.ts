/**
 * What `npm run proof` runs, in order, for a seed; and its table. Never here: running it (scripts/proof.ts).
 */

export interface Part {
  readonly name: string
  readonly shows: string
  readonly project: 'pure' | 'workerd' | 'system'
  readonly files: readonly string[]
  readonly env: Readonly<Record<string, string>>
}

/** All parts together: what has not ended by then has failed, and what has not begun too. */
export const boundMs = 15 * 60_000

/** The parts of a seed: the cheapest first, so that what is plainly broken is told soon. */
export function partsOf(seed: number): readonly Part[] {
  const text = String(seed)
  return [
    {
      name: 'checkers',
      shows: 'the checkers tell known-bad histories and ledgers from good ones',
      project: 'pure',
      files: ['test/simulator/linearizable.test.ts', 'test/simulator/ledger.test.ts'],
      env: {},
    },
    {
      name: 'model',
      shows: 'the pure mailbox does as a model of a broker does, whatever is done to it and to its clock',
      project: 'pure',
      files: ['test/shared/broker-model.test.ts'],
      env: { MODEL_RUNS: '4000', MODEL_SEED: text },
    },
    {
      name: 'stories',
      shows: 'the simulated platform loses, doubles, reorders, delays and crashes, and every invariant holds',
      project: 'pure',
      files: ['test/simulator/simulator.test.ts', 'test/simulator/workflows.test.ts', 'test/shared/mailbox.test.ts'],
      env: { STORIES: '250', STORIES_FROM: text, WALKS: '500' },
    },
    {
      name: 'running',
      shows: 'the running Worker does as the model does, and answers many callers as if one by one',
      project: 'workerd',
      files: ['test/workers/broker-model.test.ts', 'test/workers/linearizable.test.ts'],
      env: { FUZZ_RUNS: '20', FUZZ_SEED: text },
    },
    {
      name: 'fuzz',
      shows: 'hostile calls to every operation are answered as the document tells, and change nothing',
      project: 'workerd',
      files: ['test/workers/fuzz.test.ts'],
      env: { FUZZ_RUNS: '8', FUZZ_SEED: text },
    },
    {
      name: 'crashes',
      shows: 'killed at each named point, at random, and with its disk full, it loses and doubles nothing',
      project: 'system',
      files: ['test/system/crash', 'test/system/disk.test.ts'],
      env: { CRASH_SEED: text },
    },
    {
      name: 'ledger',
      shows: 'killed five times under every kind of load, the ledger outside of it comes out even',
      project: 'system',
      files: ['test/system/ledger.test.ts'],
      env: { LEDGER_SEED: text, LEDGER_KILLS: '5', LEDGER_LIFE_MS: '2500' },
    },
  ]
}

/** What became of a part. */
export interface Ran {
  readonly part: Part
  readonly passed: number
  /** Tests that are red, each with the first line of why. */
  readonly red: readonly { readonly test: string; readonly why: string }[]
  /** It said nothing of any test: why. */
  readonly broken?: string
  readonly seconds: number
}

export const isGreen = ({ passed, red, broken }: Ran) => passed > 0 && red.length === 0 && broken === undefined

/** The command that runs a part of a seed again. */
export const repeatOf = (seed: number, { name }: Part) => `SEED=${seed} npm run proof -- ${name}`

/** One line for each part, and below what was found, with the command that repeats it. */
export function tableOf(seed: number, all: readonly Ran[]): readonly string[] {
  const rows = all.map((ran) => [
    isGreen(ran) ? 'holds' : 'FAILED',
    ran.part.name,
    `${ran.passed} of ${ran.passed + ran.red.length}`,
    `${ran.seconds.toFixed(0)} s`,
    ran.part.shows,
  ])
  const table = [['', 'part', 'tests', 'took', 'shows'], ...rows]
  const widths = [0, 1, 2, 3].map((column) => Math.max(...table.map((row) => row[column]?.length ?? 0)))
  const lines = table.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd(),
  )
  const found = all
    .filter((ran) => !isGreen(ran))
    .flatMap((ran) => [
      '',
      `${ran.part.name}: repeat it with  ${repeatOf(seed, ran.part)}`,
      ...ran.red.map(({ test, why }) => `  ${test}\n    ${why}`),
      ...(ran.broken === undefined ? [] : [`  ${ran.broken}`]),
    ])
  return [...lines, ...found]
}
