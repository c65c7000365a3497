/**
 * docs/coverage.md and the names of the tests agree, both ways. Each disagreement is first planted and seen. Never here: whether a
 * test shows what its row promises, which is for whoever reads both.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { coverageBreaches, namesIn, withFiles } from '../scripts/coverage-page.ts'

const root = join(import.meta.dirname, '..')
const page = readFileSync(join(root, 'docs', 'coverage.md'), 'utf8')
const tests = readdirSync(import.meta.dirname, { recursive: true, encoding: 'utf8' })
  .map((path) => `test/${path.replaceAll('\\', '/')}`)
  .filter((path) => /\.(?:test|laws)\.ts$/.test(path) && path !== 'test/coverage.test.ts')
  .map((path) => ({ path, text: readFileSync(join(root, path), 'utf8') }))

const table = (...rows: readonly string[]) => ['# Coverage', '## Patterns', ...rows, ''].join('\n')
const named = (name: string, path = 'test/a.test.ts') => ({ path, text: `it('${name}', () => {})` })
const row = '| A2 | Twice two is four. | `test/a.test.ts` |'

describe('docs/coverage.md', () => {
  it('tells each row once, in order, with tests whose names carry it, and every code that a name carries', () => {
    expect(coverageBreaches(page, tests)).toEqual([])
  })

  it('has a promise and a test in every row but those that are not built', () => {
    const [built = '', notBuilt = ''] = page.split('## Not built')
    expect(built.match(/^\| (?:A|T)\w+ \| .+ \| `test\/.+` \|$/gm)?.length).toBeGreaterThan(100)
    expect(notBuilt).not.toContain('`test/')
  })
})

describe('docs/coverage.md, whole', () => {
  it.each([
    ['A', 136],
    ['T', 18],
    ['TB', 50],
    ['TC', 21],
  ])('leaves out no %s up to %i: what is not built says so', (series, last) => {
    const told = new Set([...page.matchAll(/^\| ([A-Z]+\d+) \|/gm)].map((match) => match[1]))
    const numbers = Array.from({ length: last }, (_, i) => `${series}${i + 1}`)
    expect(numbers.filter((code) => !told.has(code))).toEqual([])
  })
})

describe('the check', () => {
  it('finds the names of tests and groups, in every form', () => {
    const text = `describe("one", () => { it('two', f); it.each(table)(\n 'three %s', f); it(\`four\`, f) })
      describe.each(['no name'])('five it\\'s', f); f('not a test')`
    expect(namesIn(text)).toEqual(['one', 'two', 'three %s', 'four', "five it\\'s"])
  })

  it('is content with a page that agrees', () => {
    expect(coverageBreaches(table(row), [named('adds (A2)')])).toEqual([])
  })

  it.each([
    ['a row without a test', table('| A2 | Promised. | |'), [named('adds')], 'A2 is shown by nothing'],
    ['a file without the code', table(row), [named('adds')], 'test/a.test.ts has no test whose name carries A2'],
    ['a longer code for the shorter', table(row), [named('adds (A27)')], 'no test whose name carries A2'],
    ['a code in a comment', table(row), [{ path: 'test/a.test.ts', text: '// (A2)' }], 'carries A2'],
    ['a code that no row tells', table(row), [named('adds (A2) (T7)')], 'T7 is in no row'],
    ['a row twice', table(row, row), [named('adds (A2)')], 'A2 stands twice'],
    ['a row out of order', table(row.replace('A2', 'A10'), row), [named('adds (A2, A10)')], 'A2 stands after A10'],
    ['a row without a promise', table('| A2 | | `test/a.test.ts` |'), [named('adds (A2)')], 'A2 promises nothing'],
    [
      'a row that is built by now',
      ['## Not built', '| A2 | x | y |'].join('\n'),
      [named('adds (A2)')],
      'A2 is told as not built',
    ],
    ['a code with its table left out', table(row), [named('adds (A2, C16)')], 'says C16 and means TC16'],
  ])('sees %s', (_, planted, files, says) => {
    expect(coverageBreaches(planted, files).join('\n')).toContain(says)
  })

  it('fills in the files, in order of path, and leaves all else as it was', () => {
    const files = [named('b (A2)', 'test/b.test.ts'), named('a (A2)')]
    const empty = table('| A2 | Twice two is four. | |', 'words')
    expect(withFiles(empty, files)).toBe(
      table('| A2 | Twice two is four. | `test/a.test.ts`, `test/b.test.ts` |', 'words'),
    )
    expect(withFiles('## Not built\n| A2 | x | y |', files)).toBe('## Not built\n| A2 | x | y |')
  })
})
