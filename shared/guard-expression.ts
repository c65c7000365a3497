/**
 * Guards of a statechart, as plain JSON that cannot run away: a filter's tests (shared/filter.ts) on `state`, `event` and
 * `input`, two paths compared, and whether another part of the chart is in a state.
 *
 *   { "eq": ["event.data.accepted", true] }   in, prefix, exists, range: as in a subscription's filter
 *   { "compare": ["state.rounds", "lt", "input.maxRounds"] }         eq, lt, lte, gt, gte
 *   { "stateIn": "#review" }                                          a state's id, or its path from the root
 *   { "and": [ … ] }   { "or": [ … ] }   { "not": … }
 *
 * Never here: when a guard is asked (shared/chart-machine.ts).
 */
import { type ChartScope, type Flaw, lookUp, type Path, pathFlaw } from './chart-values.ts'
import { type Filter, filterNode, passes } from './filter.ts'
import { isJsonObject } from './json-pointer.ts'
import { limits } from './limits.ts'

const comparisons = ['eq', 'lt', 'lte', 'gt', 'gte'] as const
type Comparison = (typeof comparisons)[number]

/** A test of what is known, without a look at the chart. */
export type GuardTest = Exclude<Filter, { and: unknown } | { or: unknown } | { not: unknown }> | Compare
type Compare = { readonly compare: readonly [string, Comparison, string] }

export type GuardExpression =
  | GuardTest
  | { readonly stateIn: string }
  | { readonly and: readonly GuardExpression[] }
  | { readonly or: readonly GuardExpression[] }
  | { readonly not: GuardExpression }

const shape =
  'a guard is an object with exactly one of eq, in, prefix, exists, range, compare, stateIn, and, or, not, or the name of one under `guards`'

/** What is wrong with a guard, each with its place; with nothing wrong, it is a `GuardExpression`. */
export function guardIssues(raw: unknown, at: Path): Flaw[] {
  const issues = shapeIssues(raw, at)
  if (issues.length > 0 || costOfGuard(raw as GuardExpression) <= limits.filterCost) return issues
  return [{ path: at, message: `a guard may have at most ${limits.filterCost} parts` }]
}

function shapeIssues(raw: unknown, at: Path): Flaw[] {
  const flaw = (message: string) => [{ path: at, message }]
  const [name, ...more] = isJsonObject(raw) ? Object.keys(raw) : []
  if (!isJsonObject(raw) || name === undefined || more.length > 0) return flaw(shape)
  const operand = raw[name]
  if (name === 'and' || name === 'or') {
    if (!Array.isArray(operand) || operand.length === 0 || operand.length > 32)
      return flaw(`${name} takes 1 to 32 guards`)
    return operand.flatMap((part, i) => shapeIssues(part, [...at, name, i]))
  }
  if (name === 'not') return shapeIssues(operand, [...at, name])
  if (name === 'stateIn') return typeof operand === 'string' ? [] : flaw('stateIn takes the id or the path of a state')
  if (name === 'compare') return compareIssues(operand, [...at, name])
  const parsed = filterNode.safeParse(raw)
  if (!parsed.success) return flaw(shape)
  const path = Array.isArray(operand) ? operand[0] : operand
  const wrong = pathFlaw(path)
  return wrong === undefined ? [] : [{ path: [...at, name], message: wrong }]
}

function compareIssues(operand: unknown, at: Path): Flaw[] {
  if (!Array.isArray(operand) || operand.length !== 3)
    return [{ path: at, message: 'compare takes [path, operator, path]' }]
  if (!comparisons.some((known) => known === operand[1]))
    return [{ path: at, message: `the operator is one of ${comparisons.join(', ')}` }]
  return [operand[0], operand[2]]
    .map(pathFlaw)
    .filter((flaw) => flaw !== undefined)
    .map((message) => ({ path: at, message }))
}

/** The tests that asking it may take. */
export function costOfGuard(guard: GuardExpression): number {
  if ('and' in guard) return 1 + guard.and.reduce((sum, part) => sum + costOfGuard(part), 0)
  if ('or' in guard) return 1 + guard.or.reduce((sum, part) => sum + costOfGuard(part), 0)
  if ('not' in guard) return 1 + costOfGuard(guard.not)
  return 'in' in guard ? guard.in[1].length : 1
}

/** Every state that a guard asks about. */
export function statesAsked(guard: GuardExpression): readonly string[] {
  if ('and' in guard) return guard.and.flatMap(statesAsked)
  if ('or' in guard) return guard.or.flatMap(statesAsked)
  if ('not' in guard) return statesAsked(guard.not)
  return 'stateIn' in guard ? [guard.stateIn] : []
}

/** Does the test hold? A path that leads nowhere is simply absent, and what cannot be compared does not compare. */
export function holds(test: GuardTest, scope: ChartScope): boolean {
  if (!('compare' in test)) return passes(test, { ...scope })
  const [left, comparison, right] = test.compare
  return compares(lookUp(scope, left), comparison, lookUp(scope, right))
}

function compares(left: unknown, comparison: Comparison, right: unknown): boolean {
  if (comparison === 'eq') return left !== undefined && left === right
  const isNumbers = typeof left === 'number' && typeof right === 'number'
  if (!isNumbers && !(typeof left === 'string' && typeof right === 'string')) return false
  switch (comparison) {
    case 'lt':
      return left < right
    case 'lte':
      return left <= right
    case 'gt':
      return left > right
    default:
      return left >= right
  }
}

/** The guard in a few characters, for people. */
export function guardText(guard: GuardExpression): string {
  if ('and' in guard) return guard.and.map(guardText).join(' and ')
  if ('or' in guard) return `(${guard.or.map(guardText).join(' or ')})`
  if ('not' in guard) return `not ${guardText(guard.not)}`
  if ('stateIn' in guard) return `in ${guard.stateIn}`
  if ('compare' in guard) return guard.compare.join(' ')
  if ('eq' in guard) return `${guard.eq[0]} is ${JSON.stringify(guard.eq[1])}`
  if ('in' in guard) return `${guard.in[0]} in ${guard.in[1].map((v) => JSON.stringify(v)).join(', ')}`
  if ('prefix' in guard) return `${guard.prefix[0]} begins ${JSON.stringify(guard.prefix[1])}`
  if ('exists' in guard) return `${guard.exists} exists`
  const bounds = Object.entries(guard.range[1]).map(([name, value]) => `${name} ${value}`)
  return `${guard.range[0]} ${bounds.join(' and ')}`
}
