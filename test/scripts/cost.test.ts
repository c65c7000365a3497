/** docs/cost.md against the bills that the counting tests hold. Never here: the counting (test/workers/counting.test.ts). */
import { readdirSync, readFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { type Bills, costPage, dollarsEach, shownBills } from '../../scripts/cost-page.ts'
import { freeCeiling } from '../../scripts/prices.ts'

const root = join(import.meta.dirname, '../..')
const folder = join(root, 'test/workers/bills')
const bills: Bills = Object.fromEntries(
  readdirSync(folder).map((file) => [basename(file, '.json'), JSON.parse(readFileSync(join(folder, file), 'utf8'))]),
)

describe('the page of costs', () => {
  it('is made of what the counting tests measured: `npm run cost`', () => {
    expect(readFileSync(join(root, 'docs/cost.md'), 'utf8')).toBe(costPage(bills))
  })

  it('shows every bill, and none that nobody measures', () => {
    expect(shownBills.toSorted()).toEqual(Object.keys(bills).toSorted())
    const tests = readdirSync(join(root, 'test/workers')).filter((file) => /^counting.*\.test\.ts$/.test(file))
    const text = tests.map((file) => readFileSync(join(root, 'test/workers', file), 'utf8')).join('')
    for (const name of shownBills) expect(text, name).toContain(`toldInTheDocs('${name}'`)
  })

  it('reckons by what one message of a bill costs, and by what the free plan has least of', () => {
    const billed = { messages: 10, workerRequests: 20, objectRequests: 0, rows: 30, queueOperations: 40 }
    // 2 × (0.30 + 2 × 0.02) + 3 × 1.00 + 4 × 0.40
    expect(dollarsEach(billed)).toBeCloseTo(5.28)
    expect(freeCeiling(billed)).toEqual({ messages: 2_500, by: 'queueOperations' })
    expect(freeCeiling({ ...billed, queueOperations: 0 })).toEqual({ messages: 33_333, by: 'rows' })
  })
})
