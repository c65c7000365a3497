/**
 * Suggest: to whoever named an agent that there is not, names nearly like it, of agents that the caller may send to. One call to the
 * directory, made only where the answer is 404 anyway. Never here: what is near (shared/suggestion.ts).
 */
import type { Fault } from '../shared/fault.ts'
import { limits } from '../shared/limits.ts'
import { matches, type Principal } from '../shared/permissions.ts'
import type { Platform } from '../shared/ports.ts'
import { nearest } from '../shared/suggestion.ts'

/**
 * The faults, with suggestions where an agent was not found; of many, the first few names are looked for. `own`: the agents of this
 * Worker's code, which the directory need not know yet. Whatever fails here leaves the faults as they are.
 */
export async function withSuggestions(
  platform: Platform,
  { principal, own }: { readonly principal: Principal; readonly own: Iterable<string> },
  faults: readonly Fault[],
): Promise<readonly Fault[]> {
  const missing = faults.flatMap((fault) => (fault.code === 'agent_not_found' ? [fault.agent] : []))
  const meant = [...new Set(missing)].slice(0, limits.suggestedFor)
  if (meant.length === 0) return faults
  const may = principal.kind === 'admin' ? ['*'] : principal.permissions.send
  const near = await platform
    .directory()
    .namesLike(meant, may)
    .catch((error: unknown) => {
      platform.log('suggest.failed', { error: String(error) })
      return []
    })
  const mine = [...own].filter((name) => may.some((pattern) => matches(pattern, name)))
  const found = new Map(meant.map((name, i) => [name, nearest(name, [...(near[i] ?? []), ...mine])]))
  return faults.map((fault) => {
    const suggestions = fault.code === 'agent_not_found' ? (found.get(fault.agent) ?? []) : []
    return suggestions.length === 0 ? fault : { ...fault, suggestions }
  })
}
