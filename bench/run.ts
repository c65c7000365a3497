/**
 * Runs a benchmark: `npm run bench -- <name>`. Each measures ratios within one run on one machine, and none is a promise about
 * another. Never here: a measurement.
 */
import { bulkhead } from './bulkhead.ts'

const benchmarks: Readonly<Record<string, () => Promise<void>>> = { bulkhead }

const name = process.argv[2] ?? ''
const benchmark = Object.hasOwn(benchmarks, name) ? benchmarks[name] : undefined
if (benchmark === undefined) {
  console.error(`npm run bench -- <name>, one of: ${Object.keys(benchmarks).join(', ')}`)
  process.exitCode = 1
} else await benchmark()
