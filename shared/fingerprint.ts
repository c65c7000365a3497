/**
 * What two failures have in common: a fingerprint of an error, less all that differs from one time to the next, and one of
 * the error together with the content that met it. Groups dead letters, and recognises a poison (shared/quarantine.ts).
 * Never here: a decision about a delivery.
 */
import { digest } from './ids.ts'
import type { AttemptError } from './outcome.ts'

/** How much of a message is looked at, and how much of what is left of it counts. */
const readCharacters = 2_048
const keptCharacters = 400

// In this order: what is quoted or names a place may hold anything, and an id may hold a number. Ids and numbers become
// the same, because some ids are numbers now and then.
const varying: readonly (readonly [RegExp, string])[] = [
  // Not the apostrophe of a word: an opening quote has no letter before it, a closing one none behind it.
  [/(?<![A-Za-z0-9])(["'`])(?:(?!\1).){0,1000}\1(?![A-Za-z0-9])/g, '<text>'],
  [/[“‘«][^”’»]{0,1000}[”’»]/g, '<text>'],
  [/\b[a-z][a-z0-9+.-]{1,15}:\/\/[^\s"'`<>)]+/gi, '<path>'],
  [/(?<![\w/\\.])(?:[A-Za-z]:|\.{1,2}|~)?[\\/](?:[^\s:,;"'`()<>]+)/g, '<path>'],
  [/(?<![\w/])[\w.@-]+(?:\/[\w.@-]+){2,}/g, '<path>'],
  [/\b\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?)?(?:Z|[+-]\d\d:?\d\d)?/g, '<time>'],
  [/\b(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d? [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d(?: GMT| [+-]\d{4})?/g, '<time>'],
  // A delivery's id: its agent's name may hold whatever is looked for below.
  [/(?<![\w-])[a-z0-9-]{1,64}_[a-z2-7]{26}(?![\w-])/g, '<n>'],
  [/\b[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}\b/gi, '<n>'],
  [/(?<![\w.-])[-+]?\d+(?:[.,:]\d+)*(?:e[-+]?\d+)?(?![\w-]|[.,:]\d)/gi, '<n>'],
  [/\b0x[0-9a-f]+\b/gi, '<n>'],
  [/\b(?=[a-f]*\d)[0-9a-f]{8,}\b|\b[0-9a-f]{16,}\b/gi, '<n>'],
  // A long word with a digit in it; and the digest of an id, which may happen to have none.
  [/\b(?=[A-Za-z_-]*\d)[A-Za-z0-9_-]{12,}\b|\b(?:[a-z0-9-]{1,64}_)?[a-z2-7]{26}\b/g, '<n>'],
  [/[-+]?\d+(?:[.,:]\d+)*(?:e[-+]?\d+)?/gi, '<n>'],
  [/\s+/g, ' '],
]

/** A message less what differs from one time to the next: quoted text, paths, times, ids and numbers. */
export function normalised(message: string): string {
  let text = message.slice(0, readCharacters)
  for (const [pattern, instead] of varying) text = text.replace(pattern, instead)
  return text.trim().slice(0, keptCharacters)
}

/** `error`: alike whatever message it befell. `whole`: this error on this content. */
export function fingerprintOf(
  error: AttemptError,
  contentHash: string,
): { readonly error: string; readonly whole: string } {
  const alike = digest('error', error.code, String(error.httpStatus ?? ''), normalised(error.message))
  return { error: alike, whole: digest('whole', alike, contentHash) }
}
