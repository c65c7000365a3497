/**
 * Reads the documents of the demo: files as they are named, folders as far down as they go, text only. What does not fit one
 * message is cut to the parts that share most words with the question, and that is said. Never here: sending them.
 */
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join, relative } from 'node:path'
import type { Document } from '../../agents/research/messages.ts'
import { askedWords, stems } from '../../agents/research/terms.ts'

const partLength = 40_000
const fileBytes = 16_000_000
const filesMax = 5_000

const readable =
  /(^|\/)(README|LICENSE|Dockerfile|Makefile)$|\.(md|mdx|markdown|txt|text|rst|adoc|[cm]?[jt]sx?|py|go|rs|rb|java|kt|swift|c|h|cc|cpp|hpp|cs|php|sh|sql|toml|ya?ml|ini)$/i

export interface Reading {
  readonly documents: readonly Document[]
  /** One line for a person: what was read, and which share of it is sent. */
  readonly summary: string
}

/** At most `shareBytes` of the documents under these paths, as they will be cited by somebody who stands in `base`. */
export function readDocuments(paths: readonly string[], base: string, question: string, shareBytes: number): Reading {
  const files = [...new Set(paths.flatMap((path) => filesIn(path)))].slice(0, filesMax)
  const all = files.flatMap((file): Document[] => {
    const text = readText(file)
    return text === undefined ? [] : [{ path: cited(file, base), text, firstLine: 1 }]
  })
  if (all.length === 0) throw new Error(`no text to read in ${paths.join(', ')}`)
  const total = bytes(all)
  if (total <= shareBytes) return { documents: all, summary: `${count(all.length, 'document')}, ${kB(total)}` }
  const documents = mostShared(all.flatMap(parts), question, shareBytes)
  const sent = new Set(documents.map((d) => d.path)).size
  const summary =
    `${count(all.length, 'document')}, ${kB(total)}. That is more than is sent at once, so only the parts that share most words ` +
    `with the question are: ${kB(bytes(documents))} of ${kB(total)}, from ${count(sent, 'document')}. The rest is not read.`
  return { documents, summary }
}

function filesIn(path: string): string[] {
  if (!statSync(path).isDirectory()) return [path]
  return readdirSync(path, { withFileTypes: true })
    .toSorted((a, b) => a.name.localeCompare(b.name))
    .flatMap((entry) => {
      if (entry.name.startsWith('.') || entry.name === 'node_modules') return []
      const inner = join(path, entry.name)
      if (entry.isDirectory()) return filesIn(inner)
      return entry.isFile() && readable.test(inner) ? [inner] : []
    })
}

/** The text of a file; nothing when it is empty, too large, or not text in UTF-8. */
function readText(file: string): string | undefined {
  if (statSync(file).size > fileBytes) return undefined
  try {
    const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: false }).decode(readFileSync(file))
    return text.trim() === '' || text.includes('\0') ? undefined : text
  } catch {
    return undefined
  }
}

// As the asker would open it: from where they are, or, outside of that, from the root.
function cited(file: string, base: string): string {
  const path = relative(base, file)
  return path.startsWith('..') ? file : path
}

/** Whole lines, as many as make a part. */
function parts(document: Document): Document[] {
  const lines = document.text.split('\n')
  const found: Document[] = []
  let from = 0
  let length = 0
  for (let at = 0; at < lines.length; at++) {
    length += (lines[at]?.length ?? 0) + 1
    if (length < partLength && at < lines.length - 1) continue
    found.push({ path: document.path, text: lines.slice(from, at + 1).join('\n'), firstLine: from + 1 })
    from = at + 1
    length = 0
  }
  return found
}

function mostShared(all: readonly Document[], question: string, shareBytes: number): Document[] {
  const asked = askedWords(question).map((w) => w.stem)
  const found = all.map((part) => new Set(stems(part.text)))
  const rarity = new Map(asked.map((s) => [s, Math.log(1 + all.length / (1 + found.filter((f) => f.has(s)).length))]))
  const worth = found.map((own) => asked.reduce((sum, s) => sum + (own.has(s) ? (rarity.get(s) ?? 0) : 0), 0))
  const best = all.map((_, i) => i).sort((a, b) => (worth[b] ?? 0) - (worth[a] ?? 0))
  const chosen: number[] = []
  let used = 0
  for (const i of best) {
    const part = all[i]
    if (part === undefined || used + bytes([part]) > shareBytes) continue
    chosen.push(i)
    used += bytes([part])
  }
  return chosen.sort((a, b) => a - b).flatMap((i) => all[i] ?? [])
}

// As JSON in UTF-8, which is what the limit counts.
function bytes(documents: readonly Document[]): number {
  return Buffer.byteLength(JSON.stringify(documents))
}

const kB = (n: number) => `${Math.max(1, Math.round(n / 1_000))} kB`
const count = (n: number, noun: string) => `${n} ${noun}${n === 1 ? '' : 's'}`
