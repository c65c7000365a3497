/**
 * Where things begin and end in a text: headings, paragraphs, list items, table rows, comments, code; each with its first
 * and last line (counted from 0 within the text). Reads Markdown, plain text and the comments of common languages by
 * line; it is no parser of any of them. Never here: joining blocks to passages (passages.ts), sentences (sentences.ts).
 */

export type BlockKind = 'heading' | 'paragraph' | 'columns' | 'row' | 'comment' | 'code' | 'nothing'

export interface Block {
  readonly kind: BlockKind
  readonly first: number
  readonly last: number
  /** Of headings: 1 to 6, and the text. */
  readonly level?: number
  readonly title?: string
}

export type Format = 'text' | 'source' | 'data'

const slashLanguages = /\.([cm]?[jt]sx?|java|kt|c|h|cc|cpp|hpp|cs|go|rs|swift|scala|php|css|scss|less|proto|zig|dart)$/i
const hashLanguages =
  /(\.(py|rb|sh|bash|zsh|pl|r|jl|ya?ml|toml|tf|ex|exs|nix|conf|cfg|ini)|(^|\/)(Dockerfile|Makefile))$/i
const dashLanguages = /\.(sql|lua|hs|elm)$/i
const dataFiles = /\.(json[cl5]?|csv|tsv|svg|xml|html?|lock|map|log)$/i

export function formatOf(path: string): Format {
  if (dataFiles.test(path)) return 'data'
  return slashLanguages.test(path) || hashLanguages.test(path) || dashLanguages.test(path) ? 'source' : 'text'
}

/** What may stand before the words of a line: quote marks, list marks, check boxes; in source, comment marks. */
export const textMark = /^\s*(?:>\s?)*(?:(?:[-*+]|\d{1,3}[.)])\s+)?(?:\[[ xX]\]\s+)?/
const commentLead = String.raw`^\s*(?:\/\*+!?|\*+\/?|\/\/+[!/]?|#+!?|--+|"""|''')?\s*`
const listMark = String.raw`(?:[-*+]|\d{1,3}[.)])\s+`
export const commentMark = new RegExp(`${commentLead}(?:${listMark})?`)

/** Whether a line of a comment begins a list item. Its own mark goes first: the star of a comment is no bullet. */
export function isCommentItem(line: string): boolean {
  return new RegExp(`^${listMark}`).test(line.replace(new RegExp(commentLead), ''))
}

export function blocksOf(lines: readonly string[], path: string): Block[] {
  switch (formatOf(path)) {
    case 'text':
      return textBlocks(lines)
    case 'source':
      return sourceBlocks(lines, path)
    case 'data':
      return lines.length === 0 ? [] : [{ kind: 'code', first: 0, last: lines.length - 1 }]
  }
}

const heading = /^ {0,3}(#{1,6})\s+(.*?)\s*#*\s*$/
const fence = /^\s*(`{3,}|~{3,})/
const row = /^\s*\|/
const item = /^\s*(?:>\s?)*(?:[-*+]|\d{1,3}[.)])\s+\S/
const rule = /^\s*([-*_=])(?:\s*\1){2,}\s*$/
const underline = /^\s*(=+|-{2,})\s*$/
const markup = /^\s*(?:<\/?[a-z!][^>]*>|\[[^\]]+\]:\s|!\[|\[!\[)/i
const indented = /^(?: {4}|\t)/

function textBlocks(lines: readonly string[]): Block[] {
  const blocks: Block[] = []
  let at = frontMatterEnd(lines)
  if (at > 0) blocks.push({ kind: 'nothing', first: 0, last: at - 1 })
  let inList = false
  while (at < lines.length) {
    const text = lines[at] ?? ''
    if (text.trim() === '') {
      at += 1
      continue
    }
    const block = textBlock(lines, at, inList)
    inList = item.test(text) || (inList && /^\s/.test(text))
    blocks.push(block)
    at = block.last + 1
  }
  return blocks
}

function textBlock(lines: readonly string[], at: number, inList: boolean): Block {
  const text = lines[at] ?? ''
  if (fence.test(text)) return { kind: 'code', first: at, last: fenceEnd(lines, at) }
  if (/^\s*<!--/.test(text)) return { kind: 'nothing', first: at, last: lineWith(lines, at, '-->') }
  const title = heading.exec(text)
  if (title !== null)
    return { kind: 'heading', first: at, last: at, level: title[1]?.length ?? 1, title: title[2] ?? '' }
  if (row.test(text)) return { kind: rowKind(lines, at), first: at, last: at }
  if (rule.test(text) || markup.test(text)) return { kind: 'nothing', first: at, last: at }
  if (indented.test(text) && !inList && !item.test(text))
    return { kind: 'code', first: at, last: whileLines(lines, at, (l) => indented.test(l)) }
  const mark = underline.exec(lines[at + 1] ?? '')
  if (mark !== null && !item.test(text))
    return { kind: 'heading', first: at, last: at + 1, level: mark[1]?.startsWith('=') ? 1 : 2, title: text.trim() }
  return { kind: 'paragraph', first: at, last: whileLines(lines, at, continuesParagraph) }
}

function continuesParagraph(text: string): boolean {
  return ![heading, fence, row, item, rule].some((p) => p.test(text)) && text.trim() !== ''
}

function rowKind(lines: readonly string[], at: number): BlockKind {
  const delimiter = /^\s*\|?(\s*:?-+:?\s*\|)+\s*:?-*:?\s*$/
  if (delimiter.test(lines[at] ?? '')) return 'nothing'
  return delimiter.test(lines[at + 1] ?? '') ? 'columns' : 'row'
}

/** The cells of a Markdown table row. A bar within backticks, or after a backslash, is part of a cell. */
export function cellsOf(row: string): string[] {
  const cells: string[] = []
  let cell = ''
  let inCode = false
  for (let i = 0; i < row.length; i++) {
    const c = row[i] ?? ''
    if (c === '`') inCode = !inCode
    if (c === '|' && !inCode && row[i - 1] !== '\\') {
      cells.push(cell)
      cell = ''
    } else cell += c
  }
  const all = [...cells, cell].map((c) => c.trim().replace(/\s+/g, ' '))
  return all.slice(all[0] === '' ? 1 : 0, all.at(-1) === '' ? -1 : undefined)
}

function frontMatterEnd(lines: readonly string[]): number {
  if (lines[0]?.trimEnd() !== '---') return 0
  const end = lines.findIndex((l, i) => i > 0 && l.trimEnd() === '---')
  return end < 0 ? 0 : end + 1
}

function fenceEnd(lines: readonly string[], at: number): number {
  const open = fence.exec(lines[at] ?? '')?.[1] ?? '```'
  const end = lines.findIndex((l, i) => i > at && l.trim().startsWith(open) && /^[`~]+$/.test(l.trim()))
  return end < 0 ? lines.length - 1 : end
}

function lineWith(lines: readonly string[], at: number, mark: string): number {
  const end = lines.findIndex((l, i) => i >= at && l.includes(mark))
  return end < 0 ? lines.length - 1 : end
}

/** The last line of the run that begins at `at`, of which every later line passes. */
function whileLines(lines: readonly string[], at: number, passes: (line: string) => boolean): number {
  let last = at
  while (last + 1 < lines.length && passes(lines[last + 1] ?? '')) last += 1
  return last
}

// --- source -----------------------------------------------------------------------------------------------------------

function sourceBlocks(lines: readonly string[], path: string): Block[] {
  const blocks: Block[] = []
  let at = 0
  while (at < lines.length) {
    const text = lines[at] ?? ''
    if (text.trim() === '') {
      at += 1
      continue
    }
    const block = sourceBlock(lines, at, path)
    blocks.push(block)
    at = block.last + 1
  }
  return blocks
}

function sourceBlock(lines: readonly string[], at: number, path: string): Block {
  const text = (lines[at] ?? '').trim()
  if (text.startsWith('/*')) return { kind: 'comment', first: at, last: lineWith(lines, at, '*/') }
  const quotes = /^("""|''')/.exec(text)?.[1]
  if (quotes !== undefined) {
    const closesHere = text.length > 5 && text.endsWith(quotes)
    return { kind: 'comment', first: at, last: closesHere ? at : lineWith(lines, at + 1, quotes) }
  }
  if (isCommentLine(text, path))
    // An empty comment line ends a paragraph, as an empty line does.
    return {
      kind: 'comment',
      first: at,
      last: whileLines(lines, at, (l) => isCommentLine(l.trim(), path) && l.replace(commentMark, '') !== ''),
    }
  return {
    kind: 'code',
    first: at,
    last: whileLines(lines, at, (l) => l.trim() !== '' && !l.trim().startsWith('/*') && !isCommentLine(l.trim(), path)),
  }
}

function isCommentLine(text: string, path: string): boolean {
  if (slashLanguages.test(path)) return text.startsWith('//')
  return hashLanguages.test(path) ? text.startsWith('#') : text.startsWith('--')
}
