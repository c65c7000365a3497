/**
 * Chunks: items, in parts that are balanced and never empty (T8), and who gets which. Never here: sending them.
 */
import { utf8Length } from './json.ts'

/** So many parts, in order, whose sizes differ by one at most; fewer where there are fewer items. */
export function balanced<T>(items: readonly T[], parts: number): T[][] {
  const count = Math.min(parts, items.length)
  const size = Math.floor(items.length / count)
  const longer = items.length % count
  return Array.from({ length: count }, (_, i) => {
    const from = i * size + Math.min(i, longer)
    return items.slice(from, from + size + (i < longer ? 1 : 0))
  })
}

/** Parts of at most so many items, balanced too. */
export function ofAtMost<T>(items: readonly T[], perPart: number): T[][] {
  return balanced(items, Math.ceil(items.length / perPart))
}

// What models' tokens come to in English and in JSON, as their makers say.
const bytesPerToken = 4

/** About how many tokens a value has: its JSON, at four bytes each. */
export const tokensOf = (value: unknown): number => Math.ceil(utf8Length(JSON.stringify(value) ?? '') / bytesPerToken)

/** Parts, in order, of at most about so many tokens. One item alone may be more. */
export function withinTokens<T>(items: readonly T[], perPart: number): T[][] {
  const parts: T[][] = []
  let tokens = 0
  for (const item of items) {
    const own = tokensOf(item)
    const last = parts.at(-1)
    if (last === undefined || tokens + own > perPart) {
      parts.push([item])
      tokens = own
    } else {
      last.push(item)
      tokens += own
    }
  }
  return parts
}

/** Somebody to give a part to, and how much it has to do already. */
export interface Candidate {
  readonly agent: string
  readonly load: number
}

export type Assignment = 'least_loaded' | 'rotate'

/** Who gets each of `count` parts: whoever has least to do by then, or each in turn. The first of equals wins. */
export function assigned(count: number, candidates: readonly Candidate[], rule: Assignment): string[] {
  const loads = candidates.map(({ load }) => load)
  return Array.from({ length: count }, (_, i) => {
    const place = rule === 'rotate' ? i % candidates.length : loads.indexOf(Math.min(...loads))
    loads[place] = (loads[place] ?? 0) + 1
    return candidates[place]?.agent ?? ''
  })
}
