/**
 * A definition as a machine that XState runs: its guards as functions of `{ state, event, input }`, its actions as values that
 * are worked out when they run, its targets as ids. Built once for each definition.
 * Never here: a step (shared/statechart.ts).
 */
import {
  type AnyStateMachine,
  type AnyStateNode,
  and,
  assign,
  cancel,
  createMachine,
  not,
  or,
  raise,
  stateIn,
} from 'xstate'
import type { ChartAction, ChartTransition, Definition, GuardReference } from './chart-definition.ts'
import { askedState, childOf, type Tree, type TreeNode, targetOf, timerEvent, treeOf } from './chart-tree.ts'
import { type ChartEvent, type ChartScope, isSpent, type Meter, resolveValue } from './chart-values.ts'
import { type GuardExpression, holds } from './guard-expression.ts'
import { isJsonObject, type JsonObject } from './json-pointer.ts'
import { limits } from './limits.ts'
import { err, ok, type Result } from './result.ts'
import { stateOperations } from './state-operations.ts'
import { applyChange } from './versioned.ts'

/** What XState carries as the machine's context. The meter is one object for the whole step. */
export interface ChartContext {
  readonly state: JsonObject
  readonly input: unknown
  readonly meter: Meter
}

export interface BuiltChart {
  readonly tree: Tree
  readonly machine: AnyStateMachine
  readonly nodes: ReadonlyMap<string, AnyStateNode>
  /** The state that a timer's event belongs to. */
  readonly timers: ReadonlyMap<string, string>
}

/** What an action asks for, as XState hands it on when it runs. */
export interface Asked {
  readonly origin: string
  readonly params: JsonObject
}

const built = new WeakMap<Definition, BuiltChart>()

/** The machine of a definition. Building costs about as much as a step, so whoever keeps the definition keeps its machine. */
export function builtChart(definition: Definition): BuiltChart {
  const known = built.get(definition)
  if (known !== undefined) return known
  const chart = build(definition)
  built.set(definition, chart)
  return chart
}

function build(definition: Definition): BuiltChart {
  const tree = treeOf(definition)
  const parts: Parts = { tree, definition }
  const config = {
    ...nodeConfig(tree.root, parts),
    context: ({ input }: { input: unknown }) => input,
    // The library's own bound; without it a chart that feeds itself would never come back.
    options: { maxIterations: limits.chartMicrosteps },
  }
  // The configuration was made of a definition that was found sound: its types are the definition's, not XState's.
  const machine: AnyStateMachine = createMachine(config as unknown as Parameters<typeof createMachine>[0])
  const nodes = new Map<string, AnyStateNode>()
  const timers = new Map<string, string>()
  for (const node of tree.nodes) {
    nodes.set(node.id, nodeAt(machine.root, node))
    for (const key of Object.keys(node.given.after ?? {})) timers.set(timerEvent(node, key), node.id)
  }
  return { tree, machine, nodes, timers }
}

function nodeAt(root: AnyStateNode, node: TreeNode): AnyStateNode {
  // XState's tree has the shape of ours.
  return node.parent === undefined ? root : (nodeAt(root, node.parent).states[node.key] as AnyStateNode)
}

interface Parts {
  readonly tree: Tree
  readonly definition: Definition
}

// --- states and transitions -------------------------------------------------------------------------------------------

type Config = Readonly<Record<string, unknown>>

function nodeConfig(node: TreeNode, parts: Parts): Config {
  const { given } = node
  const moves = (list: readonly ChartTransition[]) => list.map((one) => transitionConfig(one, node, parts))
  const keyed = (record: Readonly<Record<string, readonly ChartTransition[]>>) =>
    Object.fromEntries(Object.entries(record).map(([key, list]) => [key, moves(list)]))
  const output = outputOf(node)
  const slow = slowTimer(node)
  const config: Record<string, unknown> = {
    id: node.id,
    type: node.kind,
    entry: [...actionsOf(given.entry, node.id), ...slow.entry],
    exit: [...actionsOf(given.exit, node.id), ...slow.exit],
    ...(given.on === undefined ? {} : { on: keyed(given.on) }),
    ...(given.after === undefined ? {} : { after: keyed(given.after) }),
    ...(given.always === undefined ? {} : { always: moves(given.always) }),
    ...(given.onDone === undefined ? {} : { onDone: moves(given.onDone) }),
    ...(output === undefined ? {} : { output: ({ context, event }: Args) => resolved(output, context, event) }),
    ...(given.tags === undefined ? {} : { tags: given.tags }),
  }
  if (node.kind === 'history') {
    config['history'] = given.history === 'deep' ? 'deep' : 'shallow'
    if (given.target !== undefined) config['target'] = addresses(parts.tree, node, given.target)
  }
  if (node.kind === 'compound' && given.initial !== undefined) {
    const first = childOf(node, given.initial.target)
    const actions = actionsOf(given.initial.actions, first?.id ?? node.id)
    config['initial'] = { target: given.initial.target, actions }
  }
  if (node.children.length > 0)
    config['states'] = Object.fromEntries(node.children.map((child) => [child.key, nodeConfig(child, parts)]))
  return config
}

const slowPrefix = 'slow:'

/** What a timer's event says when a state has lasted too long. It is the workflow's, and never the chart's. */
export interface SlowEvent {
  readonly state: string
  readonly afterMs: number
}

/** Of a timer that watches a state; undefined for one of the chart's own. No id of theirs has a colon. */
export function slowEventOf(timer: { readonly id: string; readonly event: ChartEvent }): SlowEvent | undefined {
  const { state, afterMs } = timer.event
  if (!timer.id.startsWith(slowPrefix) || typeof state !== 'string' || typeof afterMs !== 'number') return undefined
  return { state, afterMs }
}

// A delayed event that each visit begins and its end takes back, so that XState says what a visit is.
function slowTimer({ id, kind, given }: TreeNode): { readonly entry: unknown[]; readonly exit: unknown[] } {
  const { slowAfterSeconds } = given.meta?.switchboard ?? {}
  if (slowAfterSeconds === undefined || kind === 'final' || kind === 'history') return { entry: [], exit: [] }
  const afterMs = Math.round(slowAfterSeconds * 1_000)
  const event = { type: 'switchboard.slow_state', state: id, afterMs }
  return { entry: [raise(event, { id: `${slowPrefix}${id}`, delay: afterMs })], exit: [cancel(`${slowPrefix}${id}`)] }
}

// XState wants the machine to say that its last state's output is its own. Nothing else could be meant by a chart that says nothing.
const outputOf = (node: TreeNode) =>
  node.given.output ?? (node.parent === undefined ? { $from: 'event.output' } : undefined)

const addresses = (tree: Tree, source: TreeNode, targets: readonly string[]) =>
  targets.map((target) => `#${targetOf(tree, source, target)?.id ?? target}`)

function transitionConfig(given: ChartTransition, source: TreeNode, parts: Parts): Config {
  const first = given.target?.[0]
  const target = first === undefined ? undefined : targetOf(parts.tree, source, first)
  return {
    ...(given.target === undefined ? {} : { target: addresses(parts.tree, source, given.target) }),
    ...(given.guard === undefined ? {} : { guard: guardOf(expressionOf(given.guard, parts.definition), parts.tree) }),
    ...(given.reenter === undefined ? {} : { reenter: given.reenter }),
    // What a transition sends is waited for where it leads.
    actions: actionsOf(given.actions, target?.id ?? source.id),
  }
}

// --- guards -----------------------------------------------------------------------------------------------------------

/** What XState hands to guards, actions and outputs. */
interface Args {
  readonly context: ChartContext
  readonly event: ChartEvent
}

/** A named guard is what stands under its name; the definition was held to have one. */
export function expressionOf(reference: GuardReference, { guards }: Definition): GuardExpression {
  const name = typeof reference === 'string' ? reference : 'type' in reference ? reference.type : undefined
  return name === undefined ? (reference as GuardExpression) : (guards?.[name] ?? { or: [] })
}

// XState's own guards, so that its algorithm, and not ours, says what "in a state" is in the middle of a microstep.
function guardOf(guard: GuardExpression, tree: Tree): unknown {
  if ('and' in guard) return and(guard.and.map((part) => asGuard(part, tree)))
  if ('or' in guard) return or(guard.or.map((part) => asGuard(part, tree)))
  if ('not' in guard) return not(asGuard(guard.not, tree))
  if ('stateIn' in guard) return stateIn(`#${askedState(tree, guard.stateIn)?.id ?? guard.stateIn}`)
  return ({ context, event }: Args) => !isSpent(context.meter) && holds(guard, scopeOf(context, event))
}

// `and`, `or` and `not` take guards of one machine's types; ours are all functions of the same arguments.
const asGuard = (guard: GuardExpression, tree: Tree) => guardOf(guard, tree) as Parameters<typeof not>[0]

const scopeOf = ({ state, input }: ChartContext, event: ChartEvent): ChartScope => ({ state, input, event })

// --- actions ----------------------------------------------------------------------------------------------------------

function resolved(value: unknown, context: ChartContext, event: ChartEvent): unknown {
  return resolveValue(value, scopeOf(context, event), context.meter)
}

function resolvedObject(value: unknown, context: ChartContext, event: ChartEvent): JsonObject {
  context.meter.leftActions -= 1
  const made = resolved(value, context, event)
  return isJsonObject(made) ? made : {}
}

const actionsOf = (actions: readonly ChartAction[] | undefined, origin: string) =>
  (actions ?? []).map((action) => actionOf(action, origin))

function actionOf(action: ChartAction, origin: string): unknown {
  switch (action.type) {
    case 'update':
      return assign((args) => {
        // XState knows its context only as some object; it is the one that `startChart` and `stepChart` give.
        const { context, event } = args as unknown as Args
        return updated(action.params, origin, context, event)
      })
    case 'raise': {
      const { event: template, delay, id } = action.params
      const event = ({ context, event }: Args) => raised(template, context, event)
      return raise(event as Parameters<typeof raise>[0], {
        ...(delay === undefined ? {} : { delay }),
        ...(id === undefined ? {} : { id }),
      })
    }
    case 'cancel':
      return cancel(action.params.id)
    default:
      return {
        type: action.type,
        params: ({ context, event }: Args): Asked => ({
          origin,
          params: resolvedObject(action.params, context, event),
        }),
      }
  }
}

/** When there is nothing left to spend the step has failed; what it still raises costs nothing. */
const noEvent: ChartEvent = { type: 'switchboard.spent' }

function raised(template: JsonObject, context: ChartContext, event: ChartEvent): ChartEvent {
  const made = resolvedObject(template, context, event)
  return isSpent(context.meter) ? noEvent : { ...made, type: String(template['type']) }
}

function updated(params: JsonObject, origin: string, context: ChartContext, event: ChartEvent): Partial<ChartContext> {
  const made = resolvedObject(params, context, event)
  if (isSpent(context.meter)) return {}
  const state = changedState(context.state, made)
  if (state.ok) return { state: state.value }
  context.meter.failed = { origin, detail: state.error }
  return {}
}

/** The state after an `update`, or why it cannot be made. */
export function changedState(state: JsonObject, params: JsonObject): Result<JsonObject, string> {
  if (isJsonObject(params['patch'])) return reasoned(applyChange(state, { kind: 'merge', patch: params['patch'] }))
  const operations = stateOperations.safeParse(params['operations'])
  if (!operations.success)
    return err(operations.error.issues.map((i) => `${i.path.join('.')}: ${i.message}`).join('; '))
  return reasoned(applyChange(state, { kind: 'operations', operations: operations.data }))
}

function reasoned(changed: ReturnType<typeof applyChange>): Result<JsonObject, string> {
  if (changed.ok) return changed
  return err(changed.error.code === 'patch_failed' ? changed.error.failure.reason : changed.error.code)
}

// --- the library ------------------------------------------------------------------------------------------------------

/** XState throws what it cannot do. Here that is an answer. */
export function attempt<T>(compute: () => T): Result<T, string> {
  try {
    return ok(compute())
  } catch (thrown) {
    return err(messageOf(thrown))
  }
}

export const messageOf = (thrown: unknown): string => (thrown instanceof Error ? thrown.message : String(thrown))
