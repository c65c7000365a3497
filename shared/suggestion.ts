/**
 * Suggestions: which names are nearly the one that was meant. Never here: which names a caller may know of (whoever asks passes those).
 */
import { limits } from './limits.ts'

/** The nearest first, at most `max`; none that is further off than a slip of the fingers. */
export function nearest(meant: string, names: Iterable<string>, max: number = limits.suggestions): readonly string[] {
  const bound = slips(meant)
  const near: { readonly name: string; readonly off: number }[] = []
  for (const name of new Set(names)) {
    const off = distance(meant, name, bound)
    if (off <= bound && name !== meant) near.push({ name, off })
  }
  near.sort((a, b) => a.off - b.off || (a.name < b.name ? -1 : 1))
  return near.slice(0, max).map(({ name }) => name)
}

/** How many letters may be wrong: one in three, three at most. A name of another length by more than that is no candidate. */
export function slips(meant: string): number {
  return Math.min(3, Math.max(1, Math.floor(meant.length / 3)))
}

/**
 * Letters left out, put in, replaced, or swapped with their neighbour (optimal string alignment), or more than `bound`, found out
 * within a band of that width.
 */
export function distance(a: string, b: string, bound: number): number {
  if (Math.abs(a.length - b.length) > bound) return bound + 1
  const far = bound + 1
  let before: number[] = []
  let above = Array.from({ length: b.length + 1 }, (_, j) => j)
  for (let i = 1; i <= a.length; i++) {
    const row: number[] = new Array<number>(b.length + 1).fill(far)
    row[0] = i
    for (let j = Math.max(1, i - bound); j <= Math.min(b.length, i + bound); j++) {
      const same = a[i - 1] === b[j - 1] ? 0 : 1
      const swapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]
      row[j] = Math.min(
        (above[j - 1] ?? far) + same,
        (above[j] ?? far) + 1,
        (row[j - 1] ?? far) + 1,
        swapped ? (before[j - 2] ?? far) + 1 : far,
      )
    }
    if (Math.min(...row) > bound) return far
    before = above
    above = row
  }
  return Math.min(above[b.length] ?? far, far)
}

/** As a sentence of a problem's detail, with a space before it; empty when there is nothing to suggest. */
export function didYouMean(suggestions: readonly string[] = []): string {
  return suggestions.length === 0 ? '' : ` Did you mean ${suggestions.map((name) => `\`${name}\``).join(' or ')}?`
}
