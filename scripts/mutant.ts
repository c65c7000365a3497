/**
 * A mutant: one deliberate fault in our own code, and the tests that must notice it. Kept as find and replace, where `find`
 * occurs exactly once, so that a mutant whose code has moved on fails loudly (docs/decisions/0006). Never here: running it.
 */
import * as z from 'zod'

const lines = z
  .union([z.string().min(1), z.array(z.string()).min(1)])
  .transform((v) => (typeof v === 'string' ? v : v.join('\n')))

export const mutantSchema = z.strictObject({
  /** What it breaks: the name of an invariant or trap of docs/invariants.md, or a few words. */
  breaks: z.string().min(1),
  /** What the fault would do to a user. */
  why: z.string().min(1),
  file: z.string().min(1),
  find: lines,
  replace: z.union([z.string(), z.array(z.string())]).transform((v) => (typeof v === 'string' ? v : v.join('\n'))),
  /** The tests expected to go red, each a file. */
  tests: z.array(z.string().min(1)).min(1),
})
export type Mutant = z.infer<typeof mutantSchema>

/** The file with the fault in it, or why the mutant does not apply. */
export function mutate(text: string, mutant: Mutant): { readonly text: string } | { readonly stale: string } {
  const places = text.split(mutant.find).length - 1
  if (places !== 1) return { stale: `\`find\` occurs ${places} times in ${mutant.file}, not once` }
  if (mutant.find === mutant.replace) return { stale: '`replace` changes nothing' }
  return { text: text.replace(mutant.find, () => mutant.replace) }
}
