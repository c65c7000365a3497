/** Writes docs/cost.md of the bills that the counting tests have written. Never here: what the page says (scripts/cost-page.ts). */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { costPage } from './cost-page.ts'
import type { Billed } from './prices.ts'

const root = join(import.meta.dirname, '..')
const folder = join(root, 'test', 'workers', 'bills')
const bills = Object.fromEntries(
  readdirSync(folder).map((file): [string, Billed] => [
    basename(file, '.json'),
    JSON.parse(readFileSync(join(folder, file), 'utf8')),
  ]),
)
writeFileSync(join(root, 'docs', 'cost.md'), costPage(bills))
