/**
 * docs/coverage.md: which test shows which row. The promises are written by hand; the files are those with a test whose name carries
 * the row's code. Never here: reading or writing files.
 */

export interface TestFile {
  readonly path: string
  readonly text: string
}

interface Row {
  readonly code: string
  readonly line: string
  readonly cells: readonly string[]
  readonly built: boolean
}

/** A row of FEATURES' kind: A27; a trap: T7; what users expect: TB5; what is new here: TC4. */
const code = /\b(?:A\d{1,3}|T[BC]?\d{1,2})\b/g
const row = /^\| (?:A\d{1,3}|T[BC]?\d{1,2}) \|.*\|$/
/** Bare B4 and up, and bare C, are no invariants: whoever writes one means TB4 or TC4. */
const misnamed = /\b(?:C\d{1,2}|B(?:[4-9]|\d\d))\b/g
const unbuilt = 'Not built'

/** The names of tests and of their groups, as they are written. */
export function namesIn(text: string): readonly string[] {
  const opening =
    /(?:\b(?:describe|it|test)(?:\.[a-z]+)*|\))\(\s*(?:'((?:\\.|[^'\\])*)'|"((?:\\.|[^"\\])*)"|`((?:\\.|[^`\\])*)`)/g
  return [...text.matchAll(opening)].map((match) => match[1] ?? match[2] ?? match[3] ?? '')
}

function codesIn(text: string): readonly string[] {
  return [...new Set(namesIn(text).flatMap((name) => name.match(code) ?? []))]
}

function rowsOf(page: string): readonly Row[] {
  let section = ''
  return page.split('\n').flatMap((line) => {
    if (line.startsWith('## ')) section = line.slice(3)
    if (!row.test(line)) return []
    const cells = line.split('|').map((cell) => cell.trim())
    return [{ code: cells[1] ?? '', line, cells, built: section !== unbuilt }]
  })
}

/** For each code, the files that show it, in order of path. */
function showing(tests: readonly TestFile[]): ReadonlyMap<string, readonly string[]> {
  const found = new Map<string, string[]>()
  for (const { path, text } of [...tests].sort((a, b) => (a.path < b.path ? -1 : 1)))
    for (const one of codesIn(text)) found.set(one, [...(found.get(one) ?? []), path])
  return found
}

/** The page with its last column as the tests have it. */
export function withFiles(page: string, tests: readonly TestFile[]): string {
  const shown = showing(tests)
  const lines = new Map(
    rowsOf(page)
      .filter(({ built }) => built)
      .map(({ code: name, line, cells }) => {
        const files = (shown.get(name) ?? []).map((path) => `\`${path}\``).join(', ')
        return [line, `| ${name} | ${cells[2] ?? ''} | ${files} |`]
      }),
  )
  return page
    .split('\n')
    .map((line) => lines.get(line) ?? line)
    .join('\n')
}

/** What is not so: a row that nothing shows, a file that does not show it, a code that the page does not tell, a row twice or out of order. */
export function coverageBreaches(page: string, tests: readonly TestFile[]): readonly string[] {
  const rows = rowsOf(page)
  const shown = showing(tests)
  const told = new Set(rows.map((one) => one.code))
  return [
    ...rows.flatMap((one) => rowBreaches(one, shown)),
    ...rows
      .filter((one, i) => rows.findIndex((other) => other.code === one.code) < i)
      .map((one) => `${one.code} stands twice`),
    ...rows
      .filter((one, i) => outOfOrder(rows[i - 1], one))
      .map((one) => `${one.code} stands after ${rows[rows.indexOf(one) - 1]?.code}`),
    ...[...shown]
      .filter(([name]) => !told.has(name))
      .map(
        ([name, files]) => `${name} is in no row, and ${files.join(', ')} shows it: say in one line what is promised`,
      ),
    ...tests.flatMap(({ path, text }) =>
      namesIn(text)
        .flatMap((name) => name.match(misnamed) ?? [])
        .map((name) => `${path} says ${name} and means T${name}`),
    ),
  ]
}

function rowBreaches({ code: name, cells, built }: Row, shown: ReadonlyMap<string, readonly string[]>): string[] {
  const files = shown.get(name) ?? []
  if (!built) return files.map((path) => `${name} is told as not built, and ${path} shows it`)
  const named = [...(cells[3] ?? '').matchAll(/`([^`]+)`/g)].map((match) => match[1] ?? '')
  return [
    ...(cells[2] === '' ? [`${name} promises nothing`] : []),
    ...(named.length === 0 ? [`${name} is shown by nothing`] : []),
    ...named.filter((path) => !files.includes(path)).map((path) => `${path} has no test whose name carries ${name}`),
  ]
}

/** Within a table, by letters and then by number. A row of another table begins anew. */
function outOfOrder(before: Row | undefined, one: Row): boolean {
  if (before === undefined || before.built !== one.built) return false
  const [series, number] = partsOf(one.code)
  const [last, lastNumber] = partsOf(before.code)
  return series === last ? number < lastNumber : series < last
}

function partsOf(name: string): readonly [string, number] {
  const letters = /^[A-Z]+/.exec(name)?.[0] ?? ''
  return [letters, Number(name.slice(letters.length))]
}
