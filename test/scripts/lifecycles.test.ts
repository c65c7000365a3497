/** docs/lifecycles.md against the tables in the code. Never here: the machines themselves (test/shared/). */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { lifecyclePage, machines } from '../../scripts/lifecycle-page.ts'

describe('the page of lifecycles', () => {
  it('is printed from the tables as they stand: `npm run lifecycles`', () => {
    const page = readFileSync(join(import.meta.dirname, '../../docs/lifecycles.md'), 'utf8')
    expect(page).toBe(lifecyclePage(machines))
  })

  it('draws an arrow for each way between states, and tells every cell', () => {
    const table = {
      asleep: { call: ['awake'], rain: ['asleep', 'awake'] },
      awake: { call: ['awake'], rain: ['awake'] },
    }
    const page = lifecyclePage([{ title: 'Cat', file: 'shared/cat.ts', says: 'a cat.', table }])
    expect(page).toContain('```mermaid\nstateDiagram-v2\n  [*] --> asleep\n  asleep --> awake: call, rain\n```')
    expect(page).toContain(
      '| from | call | rain |\n|---|---|---|\n| **asleep** | awake | asleep or awake |\n| **awake** | awake | awake |',
    )
  })
})
