/** Writes docs/lifecycles.md. Never here: what the page says (scripts/lifecycle-page.ts). */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { lifecyclePage, machines } from './lifecycle-page.ts'

writeFileSync(join(import.meta.dirname, '..', 'docs', 'lifecycles.md'), lifecyclePage(machines))
