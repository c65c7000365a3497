/** The demo's output keeps to its width, and loses nothing for it. */
import { describe, expect, it } from 'vitest'
import type { Receipt } from '../../scripts/demo/answers.ts'
import { changeLine, markdownPage, receiptPage, title, widthOf, wrap } from '../../scripts/demo/page.ts'

const words = 'The mailbox decides what is released, and the queue carries what is released. '.repeat(5).trim()

describe('the page', () => {
  it('wraps at the width and keeps every word', () => {
    const text = wrap(words, 60, '  ')
    expect(text.split('\n').every((line) => line.length <= 60)).toBe(true)
    expect(text.split(/\s+/)).toEqual(words.split(' '))
  })

  it('does NOT break a word that is longer than the line (because it is there to be copied)', () => {
    expect(wrap(`a ${'x'.repeat(80)} b`, 60)).toBe(`a\n${'x'.repeat(80)}\nb`)
  })

  it('leaves headings whole and hangs list items', () => {
    expect(markdownPage(`# ${words}\n\n- ${words}`, 70).split('\n').slice(0, 4)).toEqual([
      `# ${words}`,
      '',
      '- The mailbox decides what is released, and the queue carries what is',
      '  released. The mailbox decides what is released, and the queue',
    ])
  })

  it.each([
    [undefined, 100],
    [80, 80],
    [300, 100],
    [10, 60],
  ])('of a terminal of %s columns is %d wide', (columns, width) => {
    expect(widthOf(columns)).toBe(width)
    expect(title('Report', width)).toHaveLength(width)
  })

  it('tells a change in one line, with its reason when there is one', () => {
    const change = { at: '2026-01-02T03:04:05.678Z', type: 'report', agent: 'desk', status: 'held' }
    expect(changeLine(change, 100)).toMatch(/^\d\d:04:05\.678 {2}report {13}desk {9}held$/)
    expect(changeLine({ ...change, detail: 'answered 429' }, 100)).toMatch(/held \(answered 429\)$/)
  })

  it('shows a receipt with who, what, how often and when', () => {
    const receipt: Receipt = {
      id: 'analyst_aaaaaaaaaaaaaaaaaaaaaaaaaa',
      agent: 'analyst',
      message: { id: 'm', type: 'analysis.request', source: 'researcher' },
      status: 'completed',
      steps: [
        { step: 'accepted', at: '2026-01-02T03:04:05.000Z' },
        { step: 'completed', at: '2026-01-02T03:04:06.500Z' },
      ],
      attempts: [
        { number: 1, outcome: 'retry' },
        { number: 2, outcome: 'ok' },
      ],
      effects: [],
    }
    expect(receiptPage([receipt], 100)).toMatch(
      /^analysis\.request {2}researcher → analyst {2}completed, 2 attempts\n {2}analyst_a{26}\n {2}accepted .*05\.000 · completed \+1\.500$/,
    )
  })
})
