/**
 * Chooses the sentences that answer: by the question's words in them, by where they stand, and each for what it adds to
 * those chosen before (maximal marginal relevance), so that the same thing is not quoted twice. Never here: wording.
 */
import type { Finding, Passage, Term } from './messages.ts'
import { type Sentence, sentencesOf, shapeOf } from './sentences.ts'
import { stems } from './terms.ts'

const maxFindings = 10
/** What a further sentence loses for likeness to a chosen one, gains for asked words not yet spoken of, and must reach. */
const redundancyWeight = 0.3
const freshWeight = 0.5
const floor = 0.18
const addedShare = 0.4

interface Candidate {
  readonly finding: Finding
  readonly stems: ReadonlySet<string>
}

export function rank(passages: readonly Passage[], terms: readonly Term[]): Finding[] {
  const best = Math.max(...passages.map((p) => p.score), 1e-9)
  const candidates = passages.flatMap((passage) =>
    sentencesOf(passage).map((sentence) => candidate(passage, sentence, terms, passage.score / best)),
  )
  return choose(
    candidates.filter((c) => c.finding.score > 0),
    terms,
  )
}

function candidate(passage: Passage, sentence: Sentence, terms: readonly Term[], standing: number): Candidate {
  const own = new Set(stems(sentence.text))
  const around = new Set(stems(`${passage.heading} ${sentence.label ?? ''}`))
  const share = (key: string) => (own.has(key) ? 1 : around.has(key) ? 0.5 : 0)
  const spoken = coverage(terms, share)
  const opening = sentence.index === 0 ? 1.1 : 1
  const relevance = spoken === 0 ? 0 : spoken + addedShare * company(terms, share)
  const score = relevance * (0.6 + 0.4 * standing) * shapeOf(sentence.text) * opening
  const { index: _index, ...where } = sentence
  const theme = passage.section || passage.heading
  return { finding: { ...where, path: passage.path, theme, score }, stems: own }
}

/** The part of the question's weight that is spoken of, 0 to 1. Kin counts for the word it stands in for, at its own share. */
function coverage(terms: readonly Term[], share: (stem: string) => number): number {
  const asked = terms.filter((t) => t.origin === 'asked')
  const total = asked.reduce((sum, t) => sum + t.weight, 0)
  const spoken = asked.reduce((sum, t) => {
    const kin = terms.filter((k) => k.of === t.stem).map((k) => 0.6 * share(k.stem))
    return sum + t.weight * Math.max(share(t.stem), ...kin)
  }, 0)
  return total === 0 ? 0 : spoken / total
}

/** The part of the added words that stand in it too: they tell sentences apart, and answer nothing by themselves. */
function company(terms: readonly Term[], share: (stem: string) => number): number {
  const added = terms.filter((t) => t.origin === 'added')
  const total = added.reduce((sum, t) => sum + t.weight, 0)
  return total === 0 ? 0 : added.reduce((sum, t) => sum + t.weight * share(t.stem), 0) / total
}

function choose(candidates: readonly Candidate[], terms: readonly Term[]): Finding[] {
  const top = Math.max(...candidates.map((c) => c.finding.score), 0)
  const rest = [...candidates]
  const chosen: Candidate[] = []
  const spoken = new Set<string>()
  while (chosen.length < maxFindings && rest.length > 0) {
    const worth = rest.map((c) => {
      const like = Math.max(0, ...chosen.map((d) => likeness(c.stems, d.stems)))
      if (like > 0.8) return Number.NEGATIVE_INFINITY
      const fresh = coverage(terms, (key) => (c.stems.has(key) && !spoken.has(key) ? 1 : 0))
      return c.finding.score / top - redundancyWeight * like + freshWeight * fresh
    })
    const at = worth.indexOf(Math.max(...worth))
    const [next] = rest.splice(at, 1)
    if (next === undefined || (worth[at] ?? 0) < floor) break
    chosen.push(next)
    for (const key of next.stems) spoken.add(key)
  }
  return chosen.map((c) => c.finding)
}

/** How much two sentences share: 1 for the same words, 0 for none. */
export function likeness(a: ReadonlySet<string>, b: ReadonlySet<string>): number {
  if (a.size === 0 || b.size === 0) return 0
  const shared = [...a].filter((s) => b.has(s)).length
  return shared / Math.sqrt(a.size * b.size)
}
