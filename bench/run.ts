/**
 * Runs the benchmarks: `npm run bench` for all cases beside their floors, `npm run bench -- <word> …` for those that have a word in their
 * name, `npm run bench -- bulkhead` for that one. Each measures ratios within one run on one machine, and none is a promise about
 * another. Never here: a measurement.
 */
import { bulkhead } from './bulkhead.ts'
import { suite } from './suite.ts'

const words = process.argv.slice(2)
if (words[0] === 'bulkhead') await bulkhead()
else await suite(words)
