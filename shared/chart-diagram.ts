/**
 * A definition as a Mermaid state diagram, with the states that a workflow is in and those that it came through.
 * Names stand in quotes or as entities, so that no name can end a line or begin another. Never here: how it is shown.
 */
import type { Definition } from './chart-definition.ts'
import { expressionOf } from './chart-machine.ts'
import type { ChartValue } from './chart-snapshot.ts'
import type { ChartMove } from './chart-step.ts'
import { isBelow, type Placed, type Tree, type TreeNode, targetOf, transitionsOf, treeOf } from './chart-tree.ts'
import { guardText } from './guard-expression.ts'
import { escaped } from './mermaid-text.ts'

export interface Marks {
  readonly value?: ChartValue
  readonly path?: readonly ChartMove[]
}

/** Mermaid's `stateDiagram-v2` of a definition that was found sound. A transition that was taken is marked ✓. */
export function mermaid(definition: Definition, { value, path = [] }: Marks = {}): string {
  const tree = treeOf(definition)
  const names = new Map(tree.nodes.map((node, i) => [node, `s${i}`]))
  const drawing: Drawing = { tree, definition, name: (node) => names.get(node) ?? '', path }
  const current = value === undefined ? new Set<TreeNode>() : activeIn(tree.root, value)
  const values = path.flatMap(({ from, to }) => (from === null ? [to] : [from, to]))
  const seen = new Set(values.flatMap((one) => [...activeIn(tree.root, one)]))
  const lines = [
    'stateDiagram-v2',
    // Regions stand side by side only within a state.
    ...(tree.root.kind === 'parallel' ? stateOf(tree.root, drawing, '  ') : insideOf(tree.root, drawing, '  ')),
    ...tree.nodes.flatMap((node) => arrowsOf(node, drawing)),
    ...marked('current', 'fill:#1f6feb,color:#ffffff,stroke:#1f6feb', leaves(current), drawing),
    ...marked(
      'visited',
      'stroke-width:3px',
      leaves(seen).filter((node) => !current.has(node)),
      drawing,
    ),
  ]
  return `${lines.join('\n')}\n`
}

interface Drawing {
  readonly tree: Tree
  readonly definition: Definition
  readonly name: (node: TreeNode) => string
  readonly path: readonly ChartMove[]
}

const leaves = (nodes: ReadonlySet<TreeNode>) => [...nodes].filter((node) => node.children.length === 0)

function marked(name: string, style: string, nodes: readonly TreeNode[], drawing: Drawing): readonly string[] {
  if (nodes.length === 0) return []
  return [`  classDef ${name} ${style}`, `  class ${nodes.map(drawing.name).join(',')} ${name}`]
}

// --- states -----------------------------------------------------------------------------------------------------------

function insideOf(node: TreeNode, drawing: Drawing, indent: string): readonly string[] {
  const { name } = drawing
  if (node.kind === 'parallel') {
    const regions = node.children.filter((child) => child.kind !== 'history')
    const memory = node.children.filter((child) => child.kind === 'history')
    return [...regions, ...memory].flatMap((child, i) => {
      const isNext = i > 0 && child.kind !== 'history'
      return [...(isNext ? [`${indent}--`] : []), ...stateOf(child, drawing, indent)]
    })
  }
  const first = node.children.find((child) => child.key === node.given.initial?.target)
  return [
    ...(first === undefined ? [] : [`${indent}[*] --> ${name(first)}`]),
    ...node.children.flatMap((child) => stateOf(child, drawing, indent)),
    ...node.children.filter((child) => child.kind === 'final').map((child) => `${indent}${name(child)} --> [*]`),
  ]
}

function stateOf(node: TreeNode, drawing: Drawing, indent: string): readonly string[] {
  const star = node.given.history === 'deep' ? 'H*' : 'H'
  const label = node.kind === 'history' ? `${node.key} (${star})` : node.key
  const opening = `${indent}state "${escaped(label)}" as ${drawing.name(node)}`
  if (node.children.length === 0) return [opening]
  return [`${opening} {`, ...insideOf(node, drawing, `${indent}  `), `${indent}}`]
}

// --- transitions ------------------------------------------------------------------------------------------------------

function arrowsOf(node: TreeNode, drawing: Drawing): readonly string[] {
  const defaults =
    node.kind === 'history' ? (node.given.target ?? []).map((target) => arrows(node, target, drawing)) : []
  const moves = transitionsOf(node).flatMap((placed) =>
    (placed.transition.target ?? []).map((target) => arrows(node, target, drawing, placed)),
  )
  return [...defaults, ...moves].flat()
}

function arrows(source: TreeNode, target: string, drawing: Drawing, placed?: Placed): readonly string[] {
  const found = targetOf(drawing.tree, source, target)
  if (found === undefined) return []
  const to = entryOf(found, source)
  return leaving(source, to).map((from) => {
    const wasTaken =
      placed !== undefined && drawing.path.some((move) => isMove(move, [source, from], found, placed, drawing))
    const label = [wasTaken ? '✓' : '', placed === undefined ? '' : labelOf(placed, drawing.definition)]
      .join(' ')
      .trim()
    return `  ${drawing.name(from)} --> ${drawing.name(to)}${label === '' ? '' : ` : ${escaped(label)}`}`
  })
}

// Mermaid cannot draw an arrow between a state and one within it. An arrow to a state around the source leads to what is
// initial there, and one from a state around the target comes from each state in it.
function entryOf(target: TreeNode, source: TreeNode): TreeNode {
  if (target.children.length === 0 || (target !== source && !isBelow(source, target))) return target
  const isInitial = (child: TreeNode) => child.key === target.given.initial?.target
  const isWay = (child: TreeNode) => child === source || isBelow(source, child)
  const next = target.children.find(target.kind === 'compound' ? isInitial : isWay) ?? target.children[0]
  return next === undefined ? target : entryOf(next, source)
}

function leaving(source: TreeNode, to: TreeNode): readonly TreeNode[] {
  if (source === to || !isBelow(to, source)) return [source]
  return source.children.flatMap((child) => {
    if (child === to || isBelow(to, child)) return child.children.length === 0 ? [] : leaving(child, to)
    return source.kind === 'parallel' || child.kind === 'final' || child.kind === 'history' ? [] : [child]
  })
}

function labelOf({ transition, trigger }: Placed, definition: Definition): string {
  const guard = transition.guard === undefined ? '' : ` [${guardName(transition.guard, definition)}]`
  return `${triggerText(trigger)}${guard}`.trim()
}

function triggerText(trigger: Placed['trigger']): string {
  switch (trigger.by) {
    case 'event':
      return trigger.key
    case 'after':
      return `after ${durationText(Number(trigger.key))}`
    case 'done':
      return 'done'
    default:
      return ''
  }
}

function guardName(guard: NonNullable<Placed['transition']['guard']>, definition: Definition): string {
  if (typeof guard === 'string') return guard
  return 'type' in guard ? guard.type : guardText(expressionOf(guard, definition))
}

/** Did this microstep take this transition? By what it left, where it led, and what moved it. */
function isMove(
  move: ChartMove,
  left: readonly TreeNode[],
  to: TreeNode,
  { trigger }: Placed,
  { tree }: Drawing,
): boolean {
  if (move.from === null) return false
  const before = activeIn(tree.root, move.from)
  if (!left.every((node) => before.has(node)) || !activeIn(tree.root, move.to).has(to)) return false
  switch (trigger.by) {
    case 'event':
      return hears(trigger.key, move.event)
    case 'after':
      return move.event === `xstate.after.${trigger.key}.${left[0]?.id}`
    case 'done':
      return move.event === `xstate.done.state.${left[0]?.id}`
    default:
      return move.event === ''
  }
}

const hears = (descriptor: string, event: string): boolean =>
  descriptor === event ||
  (descriptor === '*' && event !== '') ||
  (descriptor.endsWith('.*') && event.startsWith(descriptor.slice(0, -1)))

function activeIn(node: TreeNode, value: ChartValue): Set<TreeNode> {
  const active = new Set([node])
  const below = typeof value === 'string' ? [[value, {}] as const] : Object.entries(value)
  for (const [key, rest] of below) {
    const child = node.children.find((one) => one.key === key)
    if (child !== undefined) for (const one of activeIn(child, rest)) active.add(one)
  }
  return active
}

function durationText(ms: number): string {
  const units = [
    [86_400_000, 'd'],
    [3_600_000, 'h'],
    [60_000, 'min'],
    [1_000, 's'],
  ] as const
  const unit = units.find(([size]) => ms >= size && ms % size === 0)
  return unit === undefined ? `${ms} ms` : `${ms / unit[0]} ${unit[1]}`
}
