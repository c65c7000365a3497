/**
 * A definition as a tree that can be walked: every state with its id, its place and what it is, and where targets lead.
 * Never here: whether that makes sense (shared/chart-soundness.ts).
 */
import type { ChartNode, ChartTransition, Definition } from './chart-definition.ts'

export type NodeKind = 'atomic' | 'compound' | 'parallel' | 'history' | 'final'

export interface TreeNode {
  /** The `id` given, else the path from the root, dotted, as XState makes it. */
  readonly id: string
  readonly key: string
  readonly kind: NodeKind
  readonly parent: TreeNode | undefined
  readonly depth: number
  readonly children: readonly TreeNode[]
  readonly given: ChartNode
  /** Where it stands in the definition, for messages. */
  readonly at: readonly (string | number)[]
}

export interface Tree {
  readonly root: TreeNode
  /** Every state in document order, the root first. */
  readonly nodes: readonly TreeNode[]
  readonly byId: ReadonlyMap<string, TreeNode>
}

/** Of a chart that names none. XState's own word. */
const nameless = '(machine)'

export function treeOf(definition: Definition): Tree {
  const nodes: TreeNode[] = []
  const rootId = definition.id ?? nameless
  const grow = (given: ChartNode, key: string, path: readonly string[], parent: TreeNode | undefined): TreeNode => {
    const children: TreeNode[] = []
    const node: TreeNode = {
      id: given.id ?? [rootId, ...path].join('.'),
      key,
      kind: kindOf(given),
      parent,
      depth: path.length,
      children,
      given,
      at: path.flatMap((part) => ['states', part]),
    }
    nodes.push(node)
    for (const [name, child] of Object.entries(given.states ?? {}))
      children.push(grow(child, name, [...path, name], node))
    return node
  }
  const root = grow(definition, rootId, [], undefined)
  return { root, nodes, byId: new Map(nodes.map((node) => [node.id, node])) }
}

function kindOf(given: ChartNode): NodeKind {
  if (given.type !== undefined) return given.type
  if (Object.keys(given.states ?? {}).length > 0) return 'compound'
  return given.history === undefined || given.history === false ? 'atomic' : 'history'
}

export const childOf = (node: TreeNode, key: string): TreeNode | undefined => node.children.find((c) => c.key === key)

/** The node itself, then its parent, up to the root. */
export function upward(node: TreeNode): readonly TreeNode[] {
  return node.parent === undefined ? [node] : [node, ...upward(node.parent)]
}

export const isBelow = (node: TreeNode, ancestor: TreeNode): boolean =>
  node !== ancestor && upward(node).includes(ancestor)

/**
 * Where a target leads, as XState resolves it: `#id` with a path below it, `.child` of the state itself, else a path from its
 * parent (of the root: only the first two). Undefined when it leads nowhere.
 */
export function targetOf(tree: Tree, source: TreeNode, target: string): TreeNode | undefined {
  if (target.startsWith('#')) return byAddress(tree, target.slice(1))
  if (target.startsWith('.')) return below(source, target.slice(1))
  return source.parent === undefined ? undefined : below(source.parent, target)
}

/** Of a state that a guard asks about: `#id`, or a path from the root. */
export function askedState(tree: Tree, asked: string): TreeNode | undefined {
  return asked.startsWith('#') ? byAddress(tree, asked.slice(1)) : below(tree.root, asked)
}

function byAddress(tree: Tree, address: string): TreeNode | undefined {
  const whole = tree.byId.get(address)
  if (whole !== undefined) return whole
  const [id = '', ...path] = address.split('.')
  const start = tree.byId.get(id)
  return start === undefined ? undefined : below(start, path.join('.'))
}

function below(start: TreeNode, path: string): TreeNode | undefined {
  let here: TreeNode | undefined = start
  for (const key of path.split('.')) here = here && childOf(here, key)
  return here
}

/** Everything that moves a state, each with what moves it and where it stands in the definition. */
export interface Placed {
  readonly transition: ChartTransition
  readonly trigger: { readonly by: 'event' | 'after'; readonly key: string } | { readonly by: 'always' | 'done' }
  readonly at: readonly (string | number)[]
}

export function transitionsOf({ given, at }: TreeNode): readonly Placed[] {
  const keyed = (by: 'event' | 'after', name: 'on' | 'after') =>
    Object.entries(given[name] ?? {}).flatMap(([key, list]) =>
      list.map((transition, i) => ({ transition, trigger: { by, key }, at: [...at, name, key, i] })),
    )
  const plain = (by: 'always' | 'done', name: 'always' | 'onDone') =>
    (given[name] ?? []).map((transition, i) => ({ transition, trigger: { by }, at: [...at, name, i] }))
  return [...keyed('event', 'on'), ...keyed('after', 'after'), ...plain('always', 'always'), ...plain('done', 'onDone')]
}

/** Does it do anything? One that does not forbids its event to the states around it. */
export function isForbidding({ target, actions, reenter }: Doing): boolean {
  return target === undefined && (actions ?? []).length === 0 && reenter !== true
}

/** Of a transition, ours or XState's: what it does. */
interface Doing {
  readonly target?: readonly unknown[] | undefined
  readonly actions?: readonly unknown[]
  readonly reenter?: boolean
}

/** The event of the delay `key` of a state, which is also its timer's id. */
export const timerEvent = (node: TreeNode, key: string): string => `xstate.after.${key}.${node.id}`
