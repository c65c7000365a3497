/**
 * Runs the benchmarks: `npm run bench` for all cases beside their floors, `npm run bench -- <word> …` for those that have a word in their
 * name, `npm run bench -- bulkhead`, `load`, `peers` or `soak [minutes] [seed]` for those. Each measures within one run on one machine, and
 * none is a promise about another. Never here: a measurement.
 */
import { bulkhead } from './bulkhead.ts'
import { load } from './load.ts'
import { besidePeers } from './peers/beside.ts'
import { soak } from './soak.ts'
import { suite } from './suite.ts'

const words = process.argv.slice(2)
const [first, minutes, seed] = words
if (first === 'bulkhead') await bulkhead()
else if (first === 'load') await load(words[1])
else if (first === 'peers') await besidePeers(words.slice(1))
else if (first === 'soak') await soak(Number(minutes ?? 10), Number(seed ?? 1))
else await suite(words)
