/**
 * Documents to passages: what is searched and handed on. A passage is whole source lines under one heading, so that a
 * citation needs no bookkeeping; only a line too long for that is cut into pieces. Never here: the search (retrieve.ts).
 */
import { type Block, blocksOf, cellsOf } from './blocks.ts'
import type { Document, Passage } from './messages.ts'

/** A passage before anybody has asked for it. */
export type Unranked = Omit<Passage, 'score'>

// Long enough to hold a thought with its neighbours, short enough that its score still says where the thought is.
const proseLength = 900
const codeLines = 40
/** No passage is longer: twenty of them must fit one message many times over. */
const passageLength = 4_000

interface Place {
  readonly path: string
  readonly lines: readonly string[]
  readonly firstLine: number
  readonly heading: string
  readonly section: string
  readonly columns: readonly string[]
}

export function passagesOf(document: Document): Unranked[] {
  const lines = document.text.split(/\r\n|\n|\r/)
  const passages: Unranked[] = []
  const trail: string[] = []
  let open: Block[] = []
  let columns: string[] = []
  const place = (): Place => ({
    path: document.path,
    lines,
    firstLine: document.firstLine,
    heading: trail.findLast((t) => t !== undefined) ?? '',
    section: trail.slice(0, 2).findLast((t) => t !== undefined) ?? '',
    columns,
  })
  const close = () => {
    if (open.length > 0) passages.push(...passagesFrom(open, place()))
    open = []
  }
  for (const block of blocksOf(lines, document.path)) {
    if (!joins(open, block, lines)) close()
    if (block.kind === 'heading') {
      trail.length = (block.level ?? 1) - 1
      trail.push(plain(block.title ?? ''))
    }
    if (block.kind === 'columns') columns = cellsOf(lines[block.first] ?? '').map(plain)
    if (said(block)) open.push(block)
    else if (block.kind !== 'nothing') columns = block.kind === 'columns' ? columns : []
  }
  close()
  return passages
}

function joins(open: readonly Block[], next: Block, lines: readonly string[]): boolean {
  const first = open[0]
  if (first === undefined) return true
  if (kindOf(first) !== kindOf(next) || !said(next)) return false
  if (kindOf(next) === 'code') return next.last - first.first < codeLines
  return lines.slice(first.first, next.last + 1).join('\n').length <= proseLength
}

function said(block: Block): boolean {
  return block.kind !== 'heading' && block.kind !== 'columns' && block.kind !== 'nothing'
}

function kindOf(block: Block): Passage['kind'] {
  return block.kind === 'row' ? 'table' : block.kind === 'code' ? 'code' : 'prose'
}

function passagesFrom(blocks: readonly Block[], place: Place): Unranked[] {
  const first = blocks[0]
  const last = blocks.at(-1)
  if (first === undefined || last === undefined) return []
  return pieces(place.lines, first.first, last.last).map(({ from, to, text }) => ({
    path: place.path,
    first: place.firstLine + from,
    last: place.firstLine + to,
    kind: kindOf(first),
    heading: place.heading,
    section: place.section,
    ...(kindOf(first) === 'table' && place.columns.length > 0 ? { columns: [...place.columns] } : {}),
    text,
  }))
}

interface Piece {
  readonly from: number
  readonly to: number
  readonly text: string
}

/** The lines as one piece, or, where they are too long together, as several; a line too long by itself is cut at sentences. */
function pieces(lines: readonly string[], first: number, last: number): Piece[] {
  const done: Piece[] = []
  let from = first
  let text = ''
  const flush = (to: number) => {
    if (text.trim() !== '') done.push({ from, to, text })
    text = ''
  }
  for (let at = first; at <= last; at++) {
    const line = lines[at] ?? ''
    if (at > from && text.length + line.length >= passageLength) {
      flush(at - 1)
      from = at
    }
    if (line.length > passageLength) {
      for (const part of cutLine(line)) done.push({ from: at, to: at, text: part })
      from = at + 1
    } else text = at === from ? line : `${text}\n${line}`
  }
  flush(last)
  return done
}

function cutLine(line: string): string[] {
  const parts: string[] = []
  let rest = line
  while (rest.length > passageLength) {
    const end = rest.lastIndexOf('. ', passageLength)
    const cut = end > passageLength / 2 ? end + 2 : passageLength
    parts.push(rest.slice(0, cut))
    rest = rest.slice(cut)
  }
  return rest.trim() === '' ? parts : [...parts, rest]
}

/** A heading as a person says it: without emphasis, code and link marks. */
function plain(title: string): string {
  return title
    .replace(/\[([^\]]*)\]\([^)]*\)/g, '$1')
    .replace(/[`*]|(?<!\w)_|_(?!\w)/g, '')
    .trim()
}
