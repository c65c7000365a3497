/**
 * What is wrong with a definition, said where its author will find it: a definition is read with every "one or many" as many,
 * but its author may have written one. Never here: what is wrong.
 */
import type { Issue } from './fault.ts'
import { isJsonObject } from './json-pointer.ts'

/** How zod says it. */
interface Found {
  readonly code?: string
  readonly path: readonly PropertyKey[]
  readonly message: string
  readonly keys?: readonly string[]
  readonly issues?: readonly { readonly message: string }[]
}

/** What people bring along from elsewhere, and what does it here. */
const elsewhere: Readonly<Record<string, string>> = {
  invoke: 'actors are agents here: `send` them a message on entry, and let their answer be an event',
  cond: 'this is `guard` since XState 5',
  internal: 'this is `reenter` since XState 5',
  route: 'not known here: use `on`',
}

/** The first twenty, in the author's own paths. */
export function definitionIssues(found: readonly Found[], raw: unknown): readonly Issue[] {
  return found.flatMap((one) => told(one, raw)).slice(0, 20)
}

function told(found: Found, raw: unknown): readonly Issue[] {
  const path = asWritten(found.path, raw)
  if (found.code === 'unrecognized_keys')
    return (found.keys ?? []).map((key) => ({
      path: [path, key].filter((part) => part !== '').join('.'),
      message: (Object.hasOwn(elsewhere, key) ? elsewhere[key] : undefined) ?? 'this is no part of a statechart here',
    }))
  return [{ path, message: found.issues?.[0]?.message ?? found.message }]
}

// Follows the path into what was written, and leaves out what reading added to it.
function asWritten(path: readonly PropertyKey[], raw: unknown): string {
  const written: string[] = []
  let here: unknown = raw
  for (const [i, part] of path.entries()) {
    const isThere = typeof here === 'object' && here !== null && Object.hasOwn(here, part)
    // The last part of a path may name what is missing.
    if (!isThere && !(i === path.length - 1 && isJsonObject(here) && typeof part === 'string')) continue
    written.push(String(part))
    here = isThere ? (here as Record<PropertyKey, unknown>)[part] : undefined
  }
  return written.join('.')
}
