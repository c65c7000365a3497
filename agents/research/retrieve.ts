/**
 * Finds the passages that speak of a question: BM25 over stems (MiniSearch), once with the words asked and once more with
 * the words that the first answers have in common, because documents seldom use the asker's words. Never here: sentences.
 */
import MiniSearch from 'minisearch'
import type { Passage, Term } from './messages.ts'
import type { Unranked } from './passages.ts'
import { askedWords, isStopWord, kinOf, stem, stems, words } from './terms.ts'

export interface Retrieved {
  readonly terms: readonly Term[]
  readonly passages: readonly Passage[]
}

const maxPassages = 20
/** All of them together: they are a message, and part of a workflow's state, in any script. */
const maxCharacters = 50_000
// Feedback: how many first answers are believed, how many words they may add, and how loudly those speak.
const believed = 6
const maxAdded = 8
const shares = { asked: 1, kin: 0.6, added: 0.3 } as const

export function retrieve(question: string, all: readonly Unranked[]): Retrieved {
  const index = indexOf(all)
  const frequency = frequencies(all)
  const known = (word: string, origin: Term['origin'], of?: string): Term => {
    const passages = frequency.get(stem(word)) ?? 0
    const weight = rarity(passages, all.length) * shares[origin]
    return { word, stem: stem(word), weight, origin, ...(of === undefined ? {} : { of }), passages }
  }
  const asked = askedWords(question).map(({ word }) => known(word, 'asked'))
  const kin = asked
    .flatMap((t) => kinOf(t.stem).map((word) => known(word, 'kin', t.stem)))
    .filter((t) => t.passages > 0 && !asked.some((a) => a.stem === t.stem))
  const first = search(index, all, [...asked, ...kin])
  const feedback = shared(first.slice(0, believed), new Set([...asked, ...kin].map((t) => t.stem)))
    .map(({ word, seen }) => ({ term: known(word, 'added'), seen }))
    .sort((a, b) => b.seen * b.term.weight - a.seen * a.term.weight)
    .slice(0, maxAdded)
  const terms = [...asked, ...kin, ...feedback.map((f) => f.term)]
  return { terms, passages: spread(search(index, all, terms)) }
}

function indexOf(all: readonly Unranked[]): MiniSearch {
  const index = new MiniSearch({
    fields: ['heading', 'text'],
    idField: 'id',
    tokenize: (text) => words(text),
    processTerm: (word) => (isStopWord(word) || word.length < 2 ? null : stem(word)),
  })
  index.addAll(all.map((p, id) => ({ id, heading: `${p.section} ${p.heading}`, text: p.text })))
  return index
}

function search(index: MiniSearch, all: readonly Unranked[], terms: readonly Term[]): Passage[] {
  const weights = new Map(terms.map((t) => [t.stem, shares[t.origin]]))
  const hits = index.search([...weights.keys()].join(' '), {
    tokenize: (text) => text.split(' '),
    processTerm: (key) => key,
    boost: { heading: 1.5 },
    boostTerm: (key) => weights.get(key) ?? 1,
    // Code names things without saying anything of them.
    boostDocument: (id) => (all[Number(id)]?.kind === 'code' ? 0.3 : 1),
  })
  return hits.flatMap((hit) => {
    const passage = all[Number(hit.id)]
    return passage === undefined ? [] : [{ ...passage, score: hit.score }]
  })
}

function frequencies(all: readonly Unranked[]): Map<string, number> {
  const found = new Map<string, number>()
  for (const passage of all)
    for (const key of new Set(stems(`${passage.heading} ${passage.text}`))) found.set(key, (found.get(key) ?? 0) + 1)
  return found
}

/** Inverse document frequency, as BM25 has it. */
function rarity(passages: number, total: number): number {
  return Math.log(1 + (total - passages + 0.5) / (passages + 0.5))
}

// Words that several of the first answers have in common, beyond those already known.
function shared(first: readonly Passage[], known: ReadonlySet<string>): { word: string; seen: number }[] {
  const found = new Map<string, { word: string; seen: number }>()
  for (const passage of first.filter((p) => p.kind !== 'code')) {
    for (const [key, word] of new Map(words(passage.text).map((w) => [stem(w), w]))) {
      if (known.has(key) || isStopWord(word) || word.length < 4 || /\d/.test(word)) continue
      found.set(key, { word, seen: (found.get(key)?.seen ?? 0) + 1 })
    }
  }
  return [...found.values()].filter((f) => f.seen >= 2)
}

/** The best passages, each further one of the same file at a growing discount, so that one long file cannot fill the list. */
function spread(ranked: readonly Passage[]): Passage[] {
  const rest = ranked.slice(0, maxPassages * 10)
  const taken = new Map<string, number>()
  const chosen: Passage[] = []
  let left = maxCharacters
  while (chosen.length < maxPassages && rest.length > 0) {
    const worth = rest.map((p) => p.score * 0.9 ** (taken.get(p.path) ?? 0))
    const [best] = rest.splice(worth.indexOf(Math.max(...worth)), 1)
    if (best === undefined) break
    if (best.text.length > left) continue
    left -= best.text.length
    taken.set(best.path, (taken.get(best.path) ?? 0) + 1)
    chosen.push(best)
  }
  return chosen
}
