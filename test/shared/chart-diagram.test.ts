/** Diagrams: lines that Mermaid's state diagrams know, whatever the names, and the way marked. Never here: how they look. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { mermaid } from '../../shared/chart-diagram.ts'
import { parseDefinition, startChart } from '../../shared/statechart.ts'
import { anyChart } from './chart-arbitraries.ts'
import { defined, walk } from './chart-fixtures.ts'

/** The grammar of Mermaid's `stateDiagram-v2`, as far as a chart uses it; a label has no character that could end it. */
const state = /^ +state "[^"\n]+" as s\d+( \{)?$/
const arrow = /^ +(?:\[\*\]|s\d+) --> (?:\[\*\]|s\d+)(?: : [^:;\n"{}]*(?:#\d+;[^:;\n"{}]*)*)?$/
const other = /^ +(?:\}|--|classDef \w+ [\w#:,-]+|class s\d+(?:,s\d+)* \w+)$/
const isLine = (line: string) => [state, arrow, other].some((form) => form.test(line))

describe('a diagram', () => {
  const job = {
    id: 'job',
    initial: 'pending',
    guards: { good: { eq: ['event.data.ok', true] } },
    on: { agent_error: '.failed' },
    states: {
      pending: { on: { 'work.reply': [{ target: 'checks', guard: 'good' }, 'failed'] }, after: { 90000: 'failed' } },
      checks: {
        type: 'parallel',
        states: {
          facts: { initial: 'open', states: { open: { on: { ok: 'good' } }, good: { type: 'final' } } },
          style: {
            initial: 'open',
            states: { open: { always: { target: 'good', guard: { exists: 'state.style' } } }, good: { type: 'final' } },
          },
        },
        onDone: 'complete',
      },
      complete: { type: 'final' },
      failed: { type: 'final' },
    },
  }

  it('shows states in states, regions side by side, and every transition with what moves it', () => {
    expect(mermaid(defined(job)).split('\n')).toEqual([
      'stateDiagram-v2',
      '  [*] --> s1',
      '  state "pending" as s1',
      '  state "checks" as s2 {',
      '    state "facts" as s3 {',
      '      [*] --> s4',
      '      state "open" as s4',
      '      state "good" as s5',
      '      s5 --> [*]',
      '    }',
      '    --',
      '    state "style" as s6 {',
      '      [*] --> s7',
      '      state "open" as s7',
      '      state "good" as s8',
      '      s8 --> [*]',
      '    }',
      '  }',
      '  state "complete" as s9',
      '  state "failed" as s10',
      '  s9 --> [*]',
      '  s10 --> [*]',
      '  s1 --> s10 : agent_error',
      '  s2 --> s10 : agent_error',
      '  s1 --> s2 : work.reply [good]',
      '  s1 --> s10 : work.reply',
      '  s1 --> s10 : after 90 s',
      '  s2 --> s9 : done',
      '  s4 --> s5 : ok',
      '  s7 --> s8 : [state.style exists]',
      '',
    ])
  })

  it('marks where the workflow is, and the way that it came', () => {
    const steps = walk(job, [{ type: 'work.reply', data: { ok: true } }, 'agent_error'])
    const marks = { value: steps.at(-1)!.value, path: steps.flatMap((step) => step.path) }
    const lines = mermaid(defined(job), marks).split('\n')
    expect(lines.filter((line) => line.includes('✓'))).toEqual([
      '  s2 --> s10 : ✓ agent_error',
      '  s1 --> s2 : ✓ work.reply [good]',
    ])
    expect(lines.filter((line) => line.startsWith('  class '))).toEqual([
      '  class s10 current',
      '  class s1,s4,s7 visited',
    ])
  })

  it('draws no arrow between a state and one within it, which Mermaid cannot', () => {
    const raw = {
      initial: 'p',
      states: {
        p: {
          initial: 'a',
          on: { again: '.b', self: { target: 'p', reenter: true } },
          states: { a: { on: { up: '#(machine).p' } }, b: {} },
        },
      },
    }
    expect(
      mermaid(defined(raw))
        .split('\n')
        .filter((line) => line.includes(' : ')),
    ).toEqual(['  s2 --> s3 : again', '  s3 --> s2 : self', '  s2 --> s2 : up'])
  })

  it.each(['a: b; c', 'quote " and }', '#35; --> s1', '```', '<script>', 'état ✓ 中'])(
    '%j as an event cannot end its line',
    (type) => {
      const text = mermaid(defined({ initial: 'a', states: { a: { on: { [type]: 'b' } }, b: {} } }))
      expect(
        text
          .split('\n')
          .slice(1, -1)
          .filter((line) => !isLine(line)),
      ).toEqual([])
      expect(text.split('\n')).toHaveLength(6)
    },
  )

  it('of any chart is made of lines that Mermaid knows', () => {
    fc.assert(
      fc.property(anyChart, (chart) => {
        const definition = parseDefinition(chart)
        fc.pre(definition.ok)
        if (!definition.ok) return
        const start = startChart(definition.value, { state: { n: 0 }, input: {} })
        const marks = start.ok ? { value: start.value.value, path: start.value.path } : {}
        const [first, ...lines] = mermaid(definition.value, marks).trimEnd().split('\n')
        expect(first).toBe('stateDiagram-v2')
        expect(lines.filter((line) => !isLine(line))).toEqual([])
      }),
      { numRuns: 60 },
    )
  })
})
