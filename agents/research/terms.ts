/**
 * Words as the search sees them: split, lower-cased and lightly stemmed, so that `deliveries`, `delivered` and `delivery`
 * meet. Light on purpose: a stem is only a key to compare by and is never shown. Never here: what a word is worth.
 */

const wordPattern = /[\p{L}\p{N}]+/gu
// Between a small letter and a capital: `causationId` is two words, as `causation_id` is.
const camelSeam = /(\p{Ll})(?=\p{Lu})/gu

/** The words of a text, in order, lower-cased. */
export function words(text: string): string[] {
  return (text.replace(camelSeam, '$1 ').match(wordPattern) ?? []).map((w) => w.toLowerCase())
}

// Function words, and the words a question is built of. A missing one here costs precision, a wrong one costs an answer.
const stopWords = new Set(
  `a about all also am an and any are as at be because been being between both but by can could did do does doing done each
  ever every for from get gets give given had has have having he her here his how i if in into is it its just kind let
  make makes many may me might more most much must my no nor not of off on once one only or other our out over own per please same
  shall she should so some such sure tell than that the their them then there these they this those through to too under until
  up us use used using very want was way we were what when where whether which while who whom whose why will with within
  without would you your happen happens happened happening explain describe mean means show`.split(/\s+/),
)

export function isStopWord(word: string): boolean {
  return stopWords.has(word)
}

const vowel = /[aeiouy]/

/** Takes English endings off a lower-case word. Words of three letters or less, and those with digits, stay as they are. */
export function stem(word: string): string {
  if (word.length <= 3 || /\d/.test(word)) return word
  return trimTail(withoutVerbEnding(withoutPlural(word)))
}

function withoutPlural(w: string): string {
  if (w.endsWith('ies') || w.endsWith('ied')) return `${w.slice(0, -3)}y`
  if (w.endsWith('sses') || w.endsWith('xes') || w.endsWith('ches') || w.endsWith('shes')) return w.slice(0, -2)
  if (w.endsWith('s') && !/(ss|us|is)$/.test(w)) return w.slice(0, -1)
  return w
}

function withoutVerbEnding(w: string): string {
  const cut = w.endsWith('ing') ? 3 : (w.endsWith('ed') && !w.endsWith('eed')) || /[vkt]en$/.test(w) ? 2 : 0
  const base = w.slice(0, w.length - cut)
  if (cut === 0 || base.length < 3 || !vowel.test(base)) return w
  // `dropped` and `dropping` are `drop`; `called` and `passed` keep both letters, as `call` and `pass` do.
  return /([^aeioulsz])\1$/.test(base) ? base.slice(0, -1) : base
}

function trimTail(w: string): string {
  if (w.length > 5 && w.endsWith('ly')) return w.slice(0, -2)
  if (w.length > 5 && w.endsWith('y')) return w.slice(0, -1)
  return w.length > 4 && w.endsWith('e') ? w.slice(0, -1) : w
}

/** The stems of a text that mean something. */
export function stems(text: string): string[] {
  return words(text)
    .filter((w) => w.length > 1 && !stopWords.has(w))
    .map(stem)
}

// Everyday words that documents use for one another. Short on purpose: a wrong relative answers another question.
const kin = [
  'down offline unavailable unreachable outage crashed fails',
  'twice duplicate doubled repeated',
  'lost lose loss forgets forgotten dropped',
  'delete remove purge erase',
  'create register add',
  'start begin launch',
  'stop halt pause end',
  'limit maximum most bound',
  'cost price billed',
  'fast speed latency',
  'error failure fault problem',
  'password credential secret key',
  'wait delay hold',
  'large size bytes',
  'install setup deploy',
]
const kinByStem = new Map<string, string[]>()
for (const family of kin.map((f) => f.split(' ')))
  for (const word of family) kinByStem.set(stem(word), [...(kinByStem.get(stem(word)) ?? []), ...family])

/** Words that may stand in for this one. */
export function kinOf(key: string): string[] {
  return (kinByStem.get(key) ?? []).filter((w) => stem(w) !== key)
}

/** The words a question asks about, each once, as they were written (in lower case) and by their stem. */
export function askedWords(question: string): { readonly word: string; readonly stem: string }[] {
  const found = new Map<string, string>()
  for (const word of words(question)) {
    if (word.length < 2 || stopWords.has(word)) continue
    const key = stem(word)
    if (!found.has(key)) found.set(key, word)
  }
  return [...found].map(([key, word]) => ({ word, stem: key }))
}
