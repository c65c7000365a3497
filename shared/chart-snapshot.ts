/**
 * Where a chart stands, as JSON and back: stored and read back it goes on as if it had never left. The shared state is not in
 * it; the workflow keeps that beside it. Never here: moving on (shared/chart-step.ts).
 */
import type { AnyMachineSnapshot } from 'xstate'
import * as z from 'zod'
import { attempt, type BuiltChart, type ChartContext } from './chart-machine.ts'
import { err, type Result } from './result.ts'

/** XState's state value: the active child of each state, by name, down to those that have none. */
export type ChartValue = string | { readonly [region: string]: ChartValue }

/** Where a chart stands, as JSON. */
export interface ChartSnapshot {
  readonly v: 1
  readonly status: 'active' | 'done'
  readonly value: ChartValue
  /** The ids of the active states, in the order in which XState would come to them. */
  readonly active: readonly string[]
  /** By history state, the ids of the states that it remembers. */
  readonly history: Readonly<Record<string, readonly string[]>>
  readonly output?: unknown
}

export const chartValue: z.ZodType<ChartValue> = z.union([
  z.string(),
  z.record(
    z.string(),
    z.lazy(() => chartValue),
  ),
])
const chartSnapshot = z.strictObject({
  v: z.literal(1),
  status: z.enum(['active', 'done']),
  value: chartValue,
  active: z.array(z.string()),
  history: z.record(z.string(), z.array(z.string())),
  output: z.unknown().optional(),
})

/** As JSON. */
export function persisted(snapshot: AnyMachineSnapshot): ChartSnapshot {
  const history = Object.entries(snapshot.historyValue).map(
    ([id, nodes]) => [id, nodes.map((node) => node.id)] as const,
  )
  return {
    v: 1,
    status: snapshot.status === 'done' ? 'done' : 'active',
    value: snapshot.value,
    active: snapshot._nodes.map((node) => node.id),
    history: Object.fromEntries(history),
    ...(snapshot.output === undefined ? {} : { output: snapshot.output }),
  }
}

/** A snapshot that is none, or of another definition. */
interface Mismatch {
  readonly code: 'snapshot_mismatch'
  readonly detail: string
}

/**
 * From JSON, with the context that its step will see, or what about it is not of this definition.
 * XState's own way back from JSON forgets the order in which parallel regions came to be active, and would act in another order.
 */
export function restore(chart: BuiltChart, kept: unknown, context: ChartContext): Result<AnyMachineSnapshot, Mismatch> {
  const mismatch = (detail: string) => err({ code: 'snapshot_mismatch', detail } as const)
  const parsed = chartSnapshot.safeParse(kept)
  if (!parsed.success) return mismatch('this is no snapshot')
  const { value, status, active, history } = parsed.data
  const nodesOf = (ids: readonly string[]) => ids.map((id) => chart.nodes.get(id)).filter((node) => node !== undefined)
  const historyValue = Object.fromEntries(Object.entries(history).map(([id, ids]) => [id, nodesOf(ids)]))
  const resolved = attempt(
    (): AnyMachineSnapshot => chart.machine.resolveState({ value, status, context, historyValue }),
  )
  if (!resolved.ok) return mismatch(resolved.error)
  const nodes = nodesOf(active)
  const whole = new Set(resolved.value._nodes)
  const innermost = resolved.value._nodes.filter((node) => Object.keys(node.states).length === 0)
  const isOfIt = nodes.length === active.length && nodes.every((node) => whole.has(node))
  if (!isOfIt || innermost.some((node) => !nodes.includes(node)))
    return mismatch('its active states are not those of its value')
  // Where a history is entered from within its own parent beside a region that moves, XState loses the parent. It is active all the same.
  if (nodes.length === whole.size) resolved.value._nodes = nodes
  return resolved
}
