/**
 * Passages to sentences, each with its exact source lines. The text of a sentence is the source's, word for word: only
 * what stands before the words of a line (quote, list and comment marks, table bars) is left out, and a line break is a
 * space. Never here: which sentence is worth quoting (rank.ts), beyond how well formed it is.
 */
import { type Block, blocksOf, cellsOf, commentMark, formatOf, isCommentItem, textMark } from './blocks.ts'
import type { Passage } from './messages.ts'

export interface Sentence {
  readonly text: string
  readonly line: number
  readonly lastLine: number
  readonly label?: string
  /** Its place in its paragraph, from 0. */
  readonly index: number
}

/** A text put together from source lines, which still knows where each part of it came from. */
export interface Joined {
  readonly text: string
  readonly starts: readonly { readonly offset: number; readonly line: number }[]
}

export function sentencesOf(passage: Pick<Passage, 'path' | 'first' | 'text' | 'kind' | 'columns'>): Sentence[] {
  if (passage.kind === 'code') return []
  const lines = passage.text.split('\n')
  return blocksOf(lines, passage.path).flatMap((block) => blockSentences(block, lines, passage))
}

type Around = Pick<Passage, 'first' | 'columns'>

function blockSentences(block: Block, lines: readonly string[], around: Around): Sentence[] {
  const number = (at: number) => around.first + at
  switch (block.kind) {
    case 'paragraph':
      return split(join(lines, block.first, block.last, number, textMark))
    case 'comment':
      return runs(lines, block).flatMap(([from, to]) => split(join(lines, from, to, number, commentMark)))
    case 'row':
      return rowSentences(lines[block.first] ?? '', number(block.first), around.columns ?? [])
    default:
      return []
  }
}

/** Joins source lines to one text, their marks left out, white space as single spaces. */
export function join(
  lines: readonly string[],
  first: number,
  last: number,
  number: (at: number) => number,
  mark: RegExp,
): Joined {
  const starts: { offset: number; line: number }[] = []
  let text = ''
  for (let at = first; at <= last; at++) {
    // A list mark on a later line of a paragraph would be a minus or a number of the sentence itself.
    const own = (lines[at] ?? '').replace(at === first || mark === commentMark ? mark : /^\s*(?:>\s?)*/, '')
    const words = (mark === commentMark ? own.replace(/\s*(?:\*\/|"""|''')\s*$/, '') : own).trim().replace(/\s+/g, ' ')
    if (words === '') continue
    if (text !== '') text += ' '
    starts.push({ offset: text.length, line: number(at) })
    text += words
  }
  return { text, starts }
}

/** The source line of a place in a joined text. */
export function lineAt(joined: Joined, offset: number): number {
  return joined.starts.findLast((s) => s.offset <= offset)?.line ?? joined.starts[0]?.line ?? 1
}

/** A whole passage as one joined text, code too, to look quotations up in. */
export function joinPassage(passage: Pick<Passage, 'path' | 'first' | 'text'>): Joined {
  const lines = passage.text.split('\n')
  const mark = formatOf(passage.path) === 'source' ? commentMark : textMark
  return join(lines, 0, lines.length - 1, (at) => passage.first + at, mark)
}

// A comment's paragraphs and list items: parted by lines that hold nothing but the comment mark, or begin with a list mark.
function runs(lines: readonly string[], block: Block): [number, number][] {
  const found: [number, number][] = []
  let from = block.first
  for (let at = block.first; at <= block.last; at++) {
    const text = lines[at] ?? ''
    const isEmpty = text.replace(commentMark, '').trim() === ''
    if (at > from && (isEmpty || isCommentItem(text))) {
      found.push([from, at - 1])
      from = at
    }
  }
  found.push([from, block.last])
  return found
}

// The first cell names the row, if it is short; the column is named before the first sentence of a cell.
function rowSentences(row: string, line: number, columns: readonly string[]): Sentence[] {
  const cells = cellsOf(row)
  const name = cells.length > 1 && (cells[0]?.length ?? 0) <= 60 ? (cells[0] ?? '') : ''
  return cells.flatMap((cell, at) => {
    if (name !== '' && at === 0) return []
    return split({ text: cell, starts: [{ offset: 0, line }] }).map((sentence) => {
      const label = [name, sentence.index === 0 ? (columns[at] ?? '') : ''].filter((l) => l !== '').join(', ')
      return label === '' ? sentence : { ...sentence, label }
    })
  })
}

const segmenter = new Intl.Segmenter('en', { granularity: 'sentence' })
const abbreviation = /(?:^|[\s(])(?:e\.g|i\.e|cf|vs|etc|approx|no|fig|sec|dr|mr|mrs|ms|st|incl|resp|al)\.\s*$/i

function split(joined: Joined): Sentence[] {
  const found: Sentence[] = []
  let start = 0
  let text = ''
  const push = (end: number) => {
    const words = text.trim()
    const from = start + (text.length - text.trimStart().length)
    if (words !== '')
      found.push({
        text: words,
        line: lineAt(joined, from),
        lastLine: lineAt(joined, from + words.length - 1),
        index: found.length,
      })
    start = end
    text = ''
  }
  for (const { segment, index } of segmenter.segment(joined.text)) {
    text += segment
    if (isWhole(text)) push(index + segment.length)
  }
  push(joined.text.length)
  return found
}

// The segmenter also stops at abbreviations, and at full stops within code and brackets.
function isWhole(text: string): boolean {
  if (abbreviation.test(text)) return false
  const words = text.replace(/`[^`]*`/g, '')
  const count = (c: string) => words.split(c).length - 1
  const isEmphasis = /(?:^|[\s(])\*{1,2}\S/.test(words) && (count('*') % 2 === 1 || count('**') % 2 === 1)
  const isOpen = count('`') > 0 || count('(') > count(')') || isEmphasis
  return !isOpen || text.length > 600
}

// Boxes, arrowheads: the lines of a picture.
const drawing = /[\u2500-\u25ff]/

/**
 * How well formed a sentence is, from 0 (not worth reading alone) to 1. Prefers what begins and ends as a sentence, and
 * does not lean on the one before it.
 */
export function shapeOf(text: string): number {
  const count = text.split(/\s+/).length
  const letters = text.match(/\p{L}/gu)?.length ?? 0
  if (count < 4 || text.length > 600 || letters / text.length < 0.55 || drawing.test(text)) return 0
  let shape = 1
  if (!/^["'“‘(*_`[]*[\p{Lu}\p{N}`]/u.test(text)) shape *= 0.6
  if (!/[.!?…]["'”’)*_`\]]*$/.test(text)) shape *= text.endsWith(':') ? 0.3 : 0.75
  if (text.endsWith('?')) shape *= 0.4
  if (/^(this|that|these|those|it|they|he|she|there|such|here|so|but|and|then|otherwise|however|both)\b/i.test(text))
    shape *= 0.75
  if (count < 6) shape *= 0.8
  if (text.length > 350) shape *= 0.8
  if (/https?:\/\/\S{30,}|\[[^\]]*\]\([^)]*\)/.test(text)) shape *= 0.8
  return shape
}
