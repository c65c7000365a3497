/** Writes the last column of docs/coverage.md. Never here: what stands in it (scripts/coverage-page.ts). */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { coverageBreaches, withFiles } from './coverage-page.ts'

const root = join(import.meta.dirname, '..')
const tests = readdirSync(join(root, 'test'), { recursive: true, encoding: 'utf8' })
  .map((path) => `test/${path.replaceAll('\\', '/')}`)
  .filter((path) => /\.(?:test|laws)\.ts$/.test(path))
  .map((path) => ({ path, text: readFileSync(join(root, path), 'utf8') }))
const file = join(root, 'docs', 'coverage.md')
const page = withFiles(readFileSync(file, 'utf8'), tests)
writeFileSync(file, page)
for (const breach of coverageBreaches(page, tests)) console.log(breach)
