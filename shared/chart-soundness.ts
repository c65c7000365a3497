/**
 * Do the parts of a definition fit together? What is refused here, each with its place: targets and guards that name nothing,
 * states that cannot be what they say, an `always` that would be taken for ever, and charts that cost too much to run.
 * Never here: the shape of the parts (shared/chart-definition.ts).
 */
import type { ChartTransition, Definition, GuardReference } from './chart-definition.ts'
import {
  askedState,
  childOf,
  isBelow,
  type Placed,
  type Tree,
  type TreeNode,
  targetOf,
  transitionsOf,
  treeOf,
  upward,
} from './chart-tree.ts'
import type { Flaw, Path } from './chart-values.ts'
import { statesAsked } from './guard-expression.ts'
import { limits } from './limits.ts'

const issue = (path: Path, message: string): Flaw => ({ path, message })

/** What does not fit, the first things first; nothing when the definition can run. */
export function soundnessIssues(definition: Definition): Flaw[] {
  const tree = treeOf(definition)
  const tooLarge = sizeIssues(tree)
  // What is too large is not looked at more closely: looking costs as much as there is.
  if (tooLarge.length > 0) return tooLarge
  const issues = [...idIssues(tree), ...tree.nodes.flatMap((node) => nodeIssues(node, tree))]
  const asked = Object.entries(definition.guards ?? {}).flatMap(([name, guard]) =>
    askedIssues(tree, guard, ['guards', name]),
  )
  const edges = tree.nodes.flatMap((node) =>
    transitionsOf(node).flatMap((one) => placedIssues(tree, definition, node, one)),
  )
  const all = [...issues, ...asked, ...edges]
  return all.length > 0 ? all : eventlessCycles(tree)
}

function sizeIssues(tree: Tree): Flaw[] {
  const issues: Flaw[] = []
  const tooMany = (what: string, got: number, limit: number) => {
    if (got > limit) issues.push(issue([], `${got} ${what}; at most ${limit}`))
  }
  tooMany('states', tree.nodes.length - 1, limits.chartStates)
  tooMany('levels of states', Math.max(...tree.nodes.map((node) => node.depth)), limits.chartDepth)
  tooMany(
    'transitions',
    tree.nodes.reduce((sum, node) => sum + transitionsOf(node).length, 0),
    limits.chartTransitions,
  )
  tooMany('states active at once', leavesAtOnce(tree.root), limits.chartRegions)
  return issues
}

function idIssues(tree: Tree): Flaw[] {
  const twice = tree.nodes.filter((node, i) => tree.nodes.findIndex((other) => other.id === node.id) < i)
  return twice.map((node) => issue([...node.at, 'id'], `the id "${node.id}" is taken`))
}

function leavesAtOnce(node: TreeNode): number {
  const below = node.children.map(leavesAtOnce)
  return node.kind === 'parallel' ? below.reduce((sum, n) => sum + n, 0) : Math.max(1, ...below)
}

// --- states -----------------------------------------------------------------------------------------------------------

/** What each kind of state cannot have. */
const without: Readonly<Record<TreeNode['kind'], readonly (keyof TreeNode['given'])[]>> = {
  atomic: ['initial', 'states', 'onDone', 'history', 'target', 'output'],
  compound: ['history', 'target', 'output'],
  parallel: ['initial', 'history', 'target', 'output'],
  final: ['initial', 'states', 'onDone', 'history', 'target', 'on', 'always', 'after'],
  history: ['initial', 'states', 'onDone', 'on', 'always', 'after', 'entry', 'exit', 'output'],
}

function nodeIssues(node: TreeNode, tree: Tree): Flaw[] {
  const { given, kind, at } = node
  const isRoot = node.parent === undefined
  const stray = without[kind].filter((name) => {
    const value = given[name]
    // An empty list of states, and `history: false`, say nothing; the root's output is the workflow's.
    const isSaid = name === 'states' ? node.children.length > 0 : value !== undefined && value !== false
    return isSaid && !(isRoot && name === 'output')
  })
  const issues = stray.map((name) => issue([...at, name], `a ${kind} state has no \`${name}\``))
  const isWhole = kind === 'compound' || kind === 'parallel'
  if (isRoot && given.onDone !== undefined) issues.push(issue(['onDone'], 'a chart that is done has no transitions'))
  if (isRoot && !isWhole) return [...issues, issue(['states'], 'a chart has states')]
  if (isWhole && node.children.every((child) => child.kind === 'history'))
    return [...issues, issue([...at, 'states'], `a ${kind} state has states`)]
  if (kind === 'compound') issues.push(...initialIssues(node))
  if (kind === 'history') issues.push(...historyIssues(node, tree))
  return issues
}

function initialIssues(node: TreeNode): Flaw[] {
  const { initial } = node.given
  if (initial === undefined) return [issue([...node.at, 'initial'], 'a state with states says which is `initial`')]
  const first = childOf(node, initial.target)
  if (first === undefined) return [issue([...node.at, 'initial'], `there is no state "${initial.target}" in it`)]
  return first.kind === 'history' ? [issue([...node.at, 'initial'], 'a history state cannot be initial')] : []
}

function historyIssues(node: TreeNode, tree: Tree): Flaw[] {
  const { parent, given } = node
  if (parent === undefined) return []
  return (given.target ?? []).flatMap((target, i) => {
    const found = targetOf(tree, node, target)
    const at = [...node.at, 'target', i]
    if (found === undefined) return [issue(at, `there is no state "${target}"`)]
    return isBelow(found, parent) && found.kind !== 'history'
      ? []
      : [issue(at, 'must lie within the state that it is the history of')]
  })
}

// --- transitions ------------------------------------------------------------------------------------------------------

function placedIssues(tree: Tree, definition: Definition, source: TreeNode, { transition, at }: Placed): Flaw[] {
  const issues = guardReferenceIssues(tree, definition, transition.guard, [...at, 'guard'])
  const found: TreeNode[] = []
  for (const [i, target] of (transition.target ?? []).entries()) {
    const node = targetOf(tree, source, target)
    if (node === undefined)
      issues.push(issue([...at, 'target', i], `there is no state "${target}"${hint(source, target)}`))
    else found.push(node)
    if (node !== undefined && isOwnHistory(node, source))
      issues.push(issue([...at, 'target', i], 'the history of a parallel state is entered from outside it'))
  }
  if (found.some((one, i) => found.slice(i + 1).some((other) => !areOrthogonal(one, other))))
    issues.push(
      issue(
        [...at, 'target'],
        'these cannot be active together: several targets lie in different regions of a parallel state',
      ),
    )
  return issues
}

const hint = (source: TreeNode, target: string) =>
  source.parent === undefined && !/^[#.]/.test(target) ? `: from the root, say ".${target}"` : ''

// By the algorithm of SCXML the regions would be entered without the parallel state around them.
const isOwnHistory = ({ kind, parent }: TreeNode, source: TreeNode): boolean =>
  kind === 'history' && parent?.kind === 'parallel' && isBelow(source, parent)

function areOrthogonal(one: TreeNode, other: TreeNode): boolean {
  const around = upward(other)
  const common = upward(one).find((node) => around.includes(node))
  return common?.kind === 'parallel' && one !== common && other !== common
}

function guardReferenceIssues(tree: Tree, definition: Definition, guard: GuardReference | undefined, at: Path): Flaw[] {
  if (guard === undefined) return []
  const name = typeof guard === 'string' ? guard : 'type' in guard ? guard.type : undefined
  // A name is looked up; an expression has been looked at, but for the states that it asks about.
  if (name === undefined) return askedIssues(tree, guard as Exclude<GuardReference, string | { type: string }>, at)
  return Object.hasOwn(definition.guards ?? {}, name) ? [] : [issue(at, `there is no guard "${name}" under \`guards\``)]
}

function askedIssues(tree: Tree, guard: Parameters<typeof statesAsked>[0], at: Path): Flaw[] {
  return statesAsked(guard)
    .filter((asked) => askedState(tree, asked) === undefined)
    .map((asked) => issue(at, `there is no state "${asked}"`))
}

// --- what would be taken for ever -------------------------------------------------------------------------------------

/**
 * An `always` is certain when it is the first of its state and has no guard. A certain one without a target is taken again
 * and again; and so are certain ones that lead into each other. What a guard or a `raise` does not end, the bound on microsteps does.
 */
function eventlessCycles(tree: Tree): Flaw[] {
  const next = new Map<TreeNode, readonly TreeNode[]>()
  for (const node of tree.nodes) {
    const certain = certainOf(node)
    if (certain === undefined) continue
    const entered = enteredBy(tree, node, certain)
    if (entered.length === 0)
      return [issue([...node.at, 'always', 0], 'without target and guard it would be taken for ever')]
    const active = new Set(entered.flatMap(upward))
    next.set(
      node,
      [...active].filter((one) => certainOf(one) !== undefined),
    )
  }
  const onCycle = [...next.keys()].find((start) => reaches(next, start))
  if (onCycle === undefined) return []
  return [
    issue([...onCycle.at, 'always', 0], 'leads back to itself with no guard on the way, and would be taken for ever'),
  ]
}

const certainOf = ({ given }: TreeNode): ChartTransition | undefined =>
  given.always?.[0]?.guard === undefined ? given.always?.[0] : undefined

function reaches(next: ReadonlyMap<TreeNode, readonly TreeNode[]>, start: TreeNode): boolean {
  const seen = new Set<TreeNode>()
  const open = [...(next.get(start) ?? [])]
  for (let node = open.pop(); node !== undefined; node = open.pop()) {
    if (node === start) return true
    if (seen.has(node)) continue
    seen.add(node)
    open.push(...(next.get(node) ?? []))
  }
  return false
}

/** The states that are entered by it: its targets, what is initial below them, and the other regions on the way down. */
function enteredBy(tree: Tree, source: TreeNode, { target = [] }: ChartTransition): readonly TreeNode[] {
  const targets = target.map((one) => targetOf(tree, source, one)).filter((one) => one !== undefined)
  const entered = new Set<TreeNode>()
  for (const node of targets) {
    if (node.kind === 'history') for (const one of defaultOf(tree, node)) enter(one, entered)
    else enter(node, entered)
    const around = upward(node).filter((one) => !upward(source).includes(one))
    for (const one of around)
      if (one.parent?.kind === 'parallel' && !upward(source).includes(one.parent))
        for (const region of one.parent.children)
          if (region !== one && region.kind !== 'history') enter(region, entered)
  }
  return [...entered]
}

function defaultOf(tree: Tree, history: TreeNode): readonly TreeNode[] {
  const { given, parent } = history
  if (given.target !== undefined)
    return given.target.map((one) => targetOf(tree, history, one)).filter((one) => one !== undefined)
  return parent === undefined ? [] : [parent]
}

function enter(node: TreeNode, entered: Set<TreeNode>): void {
  if (entered.has(node)) return
  entered.add(node)
  const initial = node.kind === 'compound' ? childOf(node, node.given.initial?.target ?? '') : undefined
  const below = node.kind === 'parallel' ? node.children.filter((child) => child.kind !== 'history') : [initial]
  for (const child of below) if (child !== undefined) enter(child, entered)
}
