/**
 * Killed at random under every kind of load, with receivers that flap, are slow, and die half open: a ledger outside of the process
 * must come out even. `LEDGER_SEED`, `LEDGER_KILLS` and `LEDGER_LIFE_MS` ask for other runs and longer ones (npm run proof).
 * Never here: kills at named points (test/system/crash.test.ts).
 */
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { allOf, faultsOf } from '../simulator/ledger.ts'
import { bundle } from './host.ts'
import { LedgerRun } from './ledger-run.ts'

const seed = Number(process.env['LEDGER_SEED'] ?? 41)
const kills = Number(process.env['LEDGER_KILLS'] ?? 1)
const lifeMs = Number(process.env['LEDGER_LIFE_MS'] ?? 2_000)

it(`seed ${seed}, ${kills} kills under load: nothing lost, doubled, out of order, over its attempts or over its probes (M1, M2, M3, M4, M6, E1, B2, G1, W1, A102)`, {
  timeout: 300_000 + kills * 30_000,
}, async () => {
  const worker = await bundle(join(import.meta.dirname, '../../workers/index.ts'))
  const plan = { seed, kills, leastLifeMs: lifeMs, moreLifeMs: lifeMs }
  const { ledger, complaints } = await LedgerRun.ledgerOf(worker, plan)
  expect([...complaints, ...allOf(faultsOf(ledger))], `LEDGER_SEED=${seed}`).toEqual([])
  // A run in which nothing happened would pass as well.
  const { promised, effects, kept } = ledger
  expect(promised.length).toBeGreaterThan(24)
  expect(effects.length).toBeGreaterThan(24)
  expect(kept.length).toBeGreaterThan(4)
  console.log(JSON.stringify({ accepted: promised.length, calls: ledger.seen.length, effects: effects.length }))
})
