/**
 * Definitions by name: those that were put over HTTP, and those that are in this Worker's own code, which are stored under
 * their name when they are first asked for. Never here: what a definition may say (shared/statechart.ts).
 */
import { digest } from '../shared/ids.ts'
import { canonical } from '../shared/json.ts'
import { limits } from '../shared/limits.ts'
import type { Platform } from '../shared/ports.ts'
import { parseDefinition } from '../shared/statechart.ts'
import { definitionNamePattern, type NewDefinition, type StoredDefinition } from '../shared/workflow-index.ts'

/** The definitions of this Worker's own code, by name, and as what version each was stored, once this isolate knows. */
export interface Shipped {
  readonly definitions: ReadonlyMap<string, unknown>
  readonly stored: Map<string, StoredDefinition>
}

/** Throws at start-up, where a deployer sees it: a workflow that nobody can run must not go live. */
export function shippedOf(workflows: Readonly<Record<string, unknown>>): Shipped {
  for (const [name, definition] of Object.entries(workflows)) {
    const parsed = parseDefinition(definition)
    const issues = [
      ...(definitionNamePattern.test(name) ? [] : ['its name is not 1 to 64 of A-Z, a-z, 0-9, _ and -']),
      ...(parsed.ok ? [] : parsed.error.map((issue) => `${issue.path}: ${issue.message}`)),
    ]
    if (issues.length > 0)
      throw new Error(`The workflow definition \`${name}\` cannot be served: ${issues.join('; ')}.`)
  }
  return { definitions: new Map(Object.entries(workflows)), stored: new Map() }
}

/** The definition of that name, the latest unless a version is named; undefined when there is none. */
export async function definitionNamed(
  platform: Platform,
  shipped: Shipped,
  name: string,
  version?: number,
): Promise<StoredDefinition | undefined> {
  const known = shipped.stored.get(name)
  if (known !== undefined && (version === undefined || version === known.record.version)) return known
  const definition = shipped.definitions.get(name)
  if (definition !== undefined && known === undefined) {
    const put = await putDefinition(platform, name, definition, 'code')
    if (put.status === 'put') shipped.stored.set(name, { record: put.record, definition })
    if (version === undefined) return shipped.stored.get(name)
  }
  return platform.workflowIndex().definition(name, version)
}

/** The next version of its name, or the latest when that says the same. */
export function putDefinition(platform: Platform, name: string, definition: unknown, by: string) {
  const fresh: NewDefinition = { name, hash: digest(canonical(definition)), by, definition }
  return platform
    .workflowIndex()
    .putDefinition(fresh, { names: limits.workflowDefinitions, versions: limits.versionsPerDefinition })
}
