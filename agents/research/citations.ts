/**
 * Holds a model to the sources: a quotation must stand in the passage it is said to come from, and a statement must say no
 * more than the findings it cites. What does not hold is dropped and counted, never mended by guessing.
 */
import { cellsOf } from './blocks.ts'
import type { Finding, Passage, Term } from './messages.ts'
import { joinPassage, lineAt } from './sentences.ts'
import { stems } from './terms.ts'

const minQuoteLength = 12
const number = /\d+(?:[.,]\d+)*/g

/** Where a quotation stands. The model's own line number is not believed: the passage's is used. */
export function locate(
  quote: string,
  passage: Passage,
): { readonly text: string; readonly line: number; readonly lastLine: number } | undefined {
  const joined = joinPassage(passage)
  // Of a table row, what one cell says: the bars between cells are no words.
  const said = passage.kind === 'table' ? longest(cellsOf(quote)) : quote
  const wanted = said
    .trim()
    .replace(/^["“]|["”]$/g, '')
    .replace(/\s+/g, ' ')
  const at = wanted.length < minQuoteLength ? -1 : joined.text.indexOf(wanted)
  if (at < 0) return undefined
  return { text: wanted, line: lineAt(joined, at), lastLine: lineAt(joined, at + wanted.length - 1) }
}

function longest(texts: readonly string[]): string {
  return texts.reduce((best, text) => (text.length > best.length ? text : best), '')
}

/**
 * Whether a statement is borne out by what it cites: most of its words come from there (or from the question), and every
 * number and every `name` in it does. Words can be paraphrased; numbers and names cannot.
 */
export function isSupported(text: string, cited: readonly Finding[], terms: readonly Term[]): boolean {
  if (cited.length === 0) return false
  const source = cited.map((f) => `${f.theme} ${f.label ?? ''} ${f.text}`).join(' ')
  const known = new Set([...stems(source), ...terms.filter((t) => t.origin === 'asked').map((t) => t.stem)])
  const own = stems(text)
  const numbers = new Set(source.match(number))
  const names = [...text.matchAll(/`([^`]+)`/g)].map((m) => m[1] ?? '')
  if (names.some((n) => !source.includes(n)) || (text.match(number) ?? []).some((n) => !numbers.has(n))) return false
  return own.length > 0 && own.filter((s) => known.has(s)).length / own.length >= 0.5
}
