/** What `npm run proof` runs and prints. Never here: running it. */
import { existsSync, readdirSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { isGreen, type Part, partsOf, type Ran, tableOf } from '../../scripts/proof-plan.ts'

const root = join(import.meta.dirname, '../..')
const part = partsOf(7)[0] as Part
const green: Ran = { part, passed: 3, red: [], seconds: 1.2 }

/** A filter names a file, a folder, or how the names of files begin. */
const meetsSomething = (filter: string) =>
  existsSync(join(root, filter)) ||
  readdirSync(join(root, dirname(filter))).some((name) => name.startsWith(basename(filter)))

describe('the proof', () => {
  it('runs files that there are', () => {
    for (const { files } of partsOf(1)) for (const filter of files) expect(meetsSomething(filter), filter).toBe(true)
  })

  it('is the same for the same seed, and another for another', () => {
    expect(partsOf(7)).toEqual(partsOf(7))
    const seeded = partsOf(7).filter((one, i) => JSON.stringify(one.env) !== JSON.stringify(partsOf(8)[i]?.env))
    expect(seeded.map(({ name }) => name)).toEqual(['model', 'stories', 'running', 'fuzz', 'crashes', 'ledger'])
  })

  it.each<[string, Partial<Ran>]>([
    ['a red test', { red: [{ test: 'a › b', why: 'because' }] }],
    ['no end', { passed: 0, broken: 'no end within 30 s' }],
    ['a run that fails without a red test', { broken: 'no test failed, but the run did' }],
    ['no test at all', { passed: 0 }],
  ])('does not hold with %s, and tells the command that repeats it', (_, more) => {
    const ran = { ...green, ...more }
    expect(isGreen(ran)).toBe(false)
    const table = tableOf(7, [green, ran]).join('\n')
    expect(table).toContain('SEED=7 npm run proof -- checkers')
    expect(table.match(/^FAILED/gm)).toHaveLength(1)
    for (const { test, why } of ran.red) expect(table).toMatch(new RegExp(`${test}\n +${why}`))
  })

  it('that holds is a table and nothing else', () => {
    expect(tableOf(7, [green])).toEqual([
      '       part      tests   took  shows',
      `holds  checkers  3 of 3  1 s   ${part.shows}`,
    ])
  })
})
