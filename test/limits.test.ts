/**
 * Every limit of shared/limits.ts is reached by a test: a row of an input that has so much of it, or a test that is named here and
 * exists. Each disagreement is first planted and seen. Never here: reaching one.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { namesIn } from '../scripts/coverage-page.ts'
import { limits } from '../shared/limits.ts'
import { type Hit, measures, refusals } from './limits-table.ts'
import { inputBounds } from './shared/input-bounds.ts'

type Named = Readonly<Record<string, Hit>>

const rows = inputBounds.map((bound) => bound.limit)
const textOf = (file: string): string | undefined => {
  try {
    return readFileSync(join(import.meta.dirname, file), 'utf8')
  } catch {
    return undefined
  }
}

/** What is not so: a limit that nothing reaches, a limit that is none, a test that is not there. */
function breaches(
  all: readonly string[],
  byInput: readonly string[],
  named: Named,
  read: (file: string) => string | undefined = textOf,
): readonly string[] {
  const reached = new Set([...byInput, ...Object.keys(named)])
  return [
    ...all.filter((limit) => !reached.has(limit)).map((limit) => `${limit} is reached by no test`),
    ...[...reached].filter((limit) => !all.includes(limit)).map((limit) => `${limit} is no limit`),
    ...Object.entries(named)
      .filter(([, [file, name]]) => !namesIn(read(file) ?? '').some((one) => one.includes(name)))
      .map(([limit, [file, name]]) => `${limit}: ${file} has no test "${name}"`),
  ]
}

describe('every limit', () => {
  it('is reached by a test, and every test that is named for one is there', () => {
    expect(breaches(Object.keys(limits), rows, { ...refusals, ...measures })).toEqual([])
  })

  it('is either refused or measured, never both', () => {
    expect(Object.keys(refusals).filter((limit) => limit in measures)).toEqual([])
  })
})

describe('the check', () => {
  const file = (text: string) => () => text
  const there = file(`it('holds two', f)`)

  it.each([
    ['nothing when all agrees', ['a', 'b'], ['a'], { b: ['x.test.ts', 'holds two'] }, []],
    ['a limit that nothing reaches', ['a', 'b'], ['a'], {}, ['b is reached by no test']],
    ['a limit that is gone', ['a'], ['a', 'b'], {}, ['b is no limit']],
    ['a test that is gone', ['a'], [], { a: ['x.test.ts', 'three'] }, ['a: x.test.ts has no test "three"']],
  ] as const)('finds %s', (_, all, byInput, named, found) => {
    expect(breaches(all, byInput, named, there)).toEqual(found)
  })

  it('finds a file that is gone', () => {
    expect(breaches(['a'], [], { a: ['gone.test.ts', 'x'] })).toEqual(['a: gone.test.ts has no test "x"'])
  })
})
