/**
 * Values in a statechart that are taken from what is known when an action runs. Nothing in them is executable.
 *
 *   { "$from": "event.data.report" }                    what lies there: a dotted path, or a JSON Pointer (`/event/data/report`)
 *   { "$from": "input.depth", "default": 3 }            the same, or else this
 *   { "$literal": { "$from": "is only a word here" } }  JSON as it stands
 *
 * A path begins with `state`, `event` or `input`. What is absent is left out of an object and is null in an array.
 * Never here: what the values are for (shared/chart-definition.ts).
 */
import { isJsonObject, type JsonObject, parsePointer, valueAt } from './json-pointer.ts'
import { limits } from './limits.ts'

/** An event as the statechart sees it. */
export type ChartEvent = Readonly<{ type: string }> & JsonObject

/** What guards and actions see. */
export interface ChartScope {
  readonly state: JsonObject
  readonly input: unknown
  readonly event: ChartEvent
}

/** What one step may still spend. A step that spends more comes to nothing, so no definition can make a state or a step explode. */
export interface Meter {
  leftBytes: number
  leftActions: number
  /** The first thing that went wrong in an action, with the state that it belongs to. */
  failed?: { readonly origin: string; readonly detail: string }
}

export const newMeter = (): Meter => ({ leftBytes: limits.chartStepBytes, leftActions: limits.chartStepActions })

export const isSpent = (meter: Meter): boolean =>
  meter.leftBytes < 0 || meter.leftActions < 0 || meter.failed !== undefined

/** A place in a definition. */
export type Path = readonly (string | number)[]

/** What is wrong there. */
export interface Flaw {
  readonly path: Path
  readonly message: string
}

const roots: ReadonlySet<string | undefined> = new Set(['state', 'event', 'input'])

/** What is wrong with a path, if anything. */
export function pathFlaw(path: unknown): string | undefined {
  if (typeof path !== 'string' || path.length > limits.attributeLength) return 'a path is a text'
  const tokens = tokensOf(path)
  if (tokens === undefined) return 'not a JSON Pointer'
  if (!roots.has(tokens[0])) return `a path begins with state, event or input, not with "${tokens[0]}"`
  return !path.startsWith('/') && tokens.includes('') ? 'a dotted path has no empty part' : undefined
}

const tokensOf = (path: string) => (path.startsWith('/') ? parsePointer(path) : path.split('.'))

/** What lies there, undefined when nothing does. */
export function lookUp(scope: ChartScope, path: string): unknown {
  return valueAt(scope, tokensOf(path) ?? [''])
}

/** What is wrong with a value, each with its place. */
export function valueIssues(value: unknown, at: Path): Flaw[] {
  if (Array.isArray(value)) return value.flatMap((item, i) => valueIssues(item, [...at, i]))
  if (!isJsonObject(value)) return []
  if (Object.hasOwn(value, '$from')) {
    const flaw = pathFlaw(value['$from'])
    const stray = Object.keys(value).find((name) => name !== '$from' && name !== 'default')
    return [
      ...(flaw === undefined ? [] : [{ path: [...at, '$from'], message: flaw }]),
      ...(stray === undefined ? [] : [{ path: [...at, stray], message: 'beside `$from` only `default` may stand' }]),
    ]
  }
  if (Object.hasOwn(value, '$literal')) {
    const isAlone = Object.keys(value).length === 1
    return isAlone ? [] : [{ path: at, message: '`$literal` stands alone' }]
  }
  return Object.entries(value).flatMap(([name, member]) => valueIssues(member, [...at, name]))
}

/** Does it stand as it is, whatever is known? */
export function isLiteral(value: unknown): boolean {
  if (Array.isArray(value)) return value.every(isLiteral)
  if (!isJsonObject(value)) return true
  return !Object.hasOwn(value, '$from') && !Object.hasOwn(value, '$literal') && Object.values(value).every(isLiteral)
}

/** The value with every `$from` in it replaced; undefined when it is one itself and nothing lies there. */
export function resolveValue(value: unknown, scope: ChartScope, meter: Meter): unknown {
  if (isSpent(meter)) return undefined
  if (Array.isArray(value)) return value.map((item) => resolveValue(item, scope, meter) ?? null)
  if (!isJsonObject(value)) return spent(meter, value)
  if (typeof value['$from'] === 'string') {
    const found = lookUp(scope, value['$from'])
    return spent(meter, found === undefined ? value['default'] : found)
  }
  if (Object.hasOwn(value, '$literal')) return spent(meter, value['$literal'])
  const members = Object.entries(value).map(([name, member]) => [name, resolveValue(member, scope, meter)] as const)
  return Object.fromEntries(members.filter(([, member]) => member !== undefined))
}

function spent(meter: Meter, value: unknown): unknown {
  meter.leftBytes = leftAfter(value, meter.leftBytes)
  return meter.leftBytes < 0 ? undefined : value
}

// Characters of JSON, about; stops counting when there is nothing left, so that what is too large costs no more than the limit.
function leftAfter(value: unknown, left: number): number {
  if (typeof value === 'string') return left - value.length - 2
  if (typeof value !== 'object' || value === null) return left - 6
  let rest = left - 2
  if (Array.isArray(value)) {
    for (const item of value) {
      if (rest < 0) return rest
      rest = leftAfter(item, rest - 1)
    }
    return rest
  }
  for (const [name, member] of Object.entries(value)) {
    if (rest < 0) return rest
    rest = leftAfter(member, rest - name.length - 4)
  }
  return rest
}
