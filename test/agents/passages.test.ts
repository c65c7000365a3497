/** Documents to passages to sentences: where things begin and end, and that lines are never lost. */
import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { blocksOf, cellsOf } from '../../agents/research/blocks.ts'
import { passagesOf } from '../../agents/research/passages.ts'
import { sentencesOf, shapeOf } from '../../agents/research/sentences.ts'
import { stands } from './stands.ts'

const markdown = `---
title: front matter is not said
---
# Mail

A message waits in the mailbox. It is
delivered when the agent is back.

## Retries

- First item of the list.
- Second item, which goes on
  to another line.

| word | means |
|---|---|
| **parked** | Held because the agent is paused. |
| \`a|b\` | A bar in code does not part cells. |

\`\`\`ts
const code = 'is not said.'
# not a heading
\`\`\`

Set
===

> Quoted words stay words.

<!-- a comment
of two lines -->
    indented code
`

const said = (text: string, path = 'a.md') =>
  passagesOf({ path, text, firstLine: 1 }).flatMap((p) =>
    sentencesOf(p).map((s) => ({ ...s, path, heading: p.heading })),
  )

describe('blocks', () => {
  it('finds each kind of Markdown block where it stands', () => {
    const blocks = blocksOf(markdown.split('\n'), 'a.md').map((b) => `${b.kind} ${b.first + 1}-${b.last + 1}`)
    expect(blocks).toEqual([
      'nothing 1-3',
      'heading 4-4',
      'paragraph 6-7',
      'heading 9-9',
      'paragraph 11-11',
      'paragraph 12-13',
      'columns 15-15',
      'nothing 16-16',
      'row 17-17',
      'row 18-18',
      'code 20-23',
      'heading 25-26',
      'paragraph 28-28',
      'nothing 30-31',
      'code 32-32',
    ])
  })

  it('keeps an unclosed fence as code to the end (because what follows cannot be told from it)', () => {
    expect(blocksOf(['```', 'a', '', 'b'], 'a.md')).toEqual([{ kind: 'code', first: 0, last: 3 }])
  })

  it('reads the comments of source as words and the rest as code', () => {
    const source = ['/**', ' * Says what it is.', ' */', 'const a = 1', '// Why it is so.', 'f(a)', '']
    expect(blocksOf(source, 'a.ts').map((b) => `${b.kind} ${b.first}-${b.last}`)).toEqual([
      'comment 0-2',
      'code 3-3',
      'comment 4-4',
      'code 5-5',
    ])
    expect(blocksOf(['# Why.', 'a = 1'], 'a.py').map((b) => b.kind)).toEqual(['comment', 'code'])
    expect(blocksOf(['"""Says it."""', 'a = 1'], 'a.py').map((b) => b.kind)).toEqual(['comment', 'code'])
  })
})

describe('passages', () => {
  it('are whole source lines, whatever the document holds', () => {
    const line = fc.oneof(
      fc.constantFrom(
        '',
        '# T',
        '## U',
        '```',
        '| a | b |',
        '|---|---|',
        '- item',
        '> q',
        '---',
        '<!--',
        '-->',
        '    c',
      ),
      fc.string({ maxLength: 40 }),
      fc.string({ minLength: 300, maxLength: 700 }),
    )
    void fc.assert(
      fc.property(
        fc.array(line, { maxLength: 60 }),
        fc.constantFrom('a.md', 'a.ts', 'a.py', 'a.json'),
        (lines, path) => {
          const own = lines.map((l) => l.replace(/[\r\n]/g, ' '))
          for (const p of passagesOf({ path, text: own.join('\n'), firstLine: 1 }))
            expect(p.text).toBe(own.slice(p.first - 1, p.last).join('\n'))
        },
      ),
      { numRuns: 300 },
    )
  })

  it('lose no word of a paragraph that is longer than a passage', () => {
    const words = Array.from({ length: 3_000 }, (_, i) => `word${i}${i % 9 === 8 ? '.' : ''}`)
    const asOneLine = passagesOf({ path: 'a.txt', text: words.join(' '), firstLine: 1 })
    const asLines = passagesOf({ path: 'a.txt', text: words.join('\n'), firstLine: 1 })
    for (const all of [asOneLine, asLines]) {
      expect(all.length).toBeGreaterThan(3)
      expect(all.flatMap((p) => p.text.split(/\s+/).filter(Boolean))).toEqual(words)
      for (const p of all) expect(p.text.length).toBeLessThanOrEqual(4_000)
    }
    expect(new Set(asOneLine.map((p) => p.first))).toEqual(new Set([1]))
  })

  it('count lines from where their part of the file begins', () => {
    expect(passagesOf({ path: 'a.md', text: '\nHere it is.', firstLine: 41 })[0]).toMatchObject({ first: 42, last: 42 })
  })

  it('know the headings they stand under, without their marks', () => {
    const text = '# One `code`\n\n## Two\n\n### [Three](x)\n\nWords.\n\n## Four\n\nMore.'
    const places = passagesOf({ path: 'a.md', text, firstLine: 1 }).map((p) => [p.section, p.heading])
    expect(places).toEqual([
      ['Two', 'Three'],
      ['Four', 'Four'],
    ])
  })
})

describe('sentences', () => {
  it('are the words of prose, items, quotes and cells, and neither headings, code nor comments', () => {
    expect(said(markdown).map((s) => `${s.line}-${s.lastLine} ${s.label ?? ''}: ${s.text}`)).toEqual([
      '6-6 : A message waits in the mailbox.',
      '6-7 : It is delivered when the agent is back.',
      '11-11 : First item of the list.',
      '12-13 : Second item, which goes on to another line.',
      '17-17 **parked**, means: Held because the agent is paused.',
      '18-18 `a|b`, means: A bar in code does not part cells.',
      '28-28 : Quoted words stay words.',
    ])
  })

  it('stand word for word at their lines', () => {
    for (const s of said(markdown)) expect(stands(s, markdown), s.text).toBe(true)
  })

  it('do NOT end at abbreviations, or within code and brackets', () => {
    const text = 'Names (e.g. Ada. Also Bob.) and `f(). G` are whole, i.e. One. Then two.'
    expect(said(text).map((s) => s.text)).toEqual([
      'Names (e.g. Ada. Also Bob.) and `f(). G` are whole, i.e. One.',
      'Then two.',
    ])
  })

  it('of a comment are parted at its empty lines and items, and at no other line', () => {
    const source =
      '/**\n * One thing\n * goes on here.\n *\n * Another thing.\n * - A first item.\n * - A second.\n */\nf()'
    expect(said(source, 'a.ts').map((s) => `${s.line}-${s.lastLine} ${s.text}`)).toEqual([
      '2-3 One thing goes on here.',
      '5-5 Another thing.',
      '6-6 A first item.',
      '7-7 A second.',
    ])
  })

  it('cells are parted at bars, but not at escaped ones', () => {
    expect(cellsOf('| a \\| b | `c|d` |  | e |')).toEqual(['a \\| b', '`c|d`', '', 'e'])
  })

  it.each([
    ['The mailbox decides what is released.', 1],
    ['It decides what is released to the queue.', 0.75],
    ['refused while it has mail, unless told', 0.45],
    ['The following are the reasons for it:', 0.3],
    ['Two words.', 0],
    ['│ gateway │ ──► the queue of deliveries', 0],
    ['{ v: 1, a: [ ], b: {} } = { c } (d) [e]', 0],
  ])('the shape of %j is %d', (text, shape) => expect(shapeOf(text)).toBeCloseTo(shape, 5))
})
