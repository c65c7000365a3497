/**
 * The statechart of a workflow: a definition, a snapshot, an event; and what they come to. XState's algorithm decides, one
 * microstep after the other; what it would do to the world is handed back as data.
 *
 *   parseDefinition(json) → definition
 *   startChart(definition, { state, input })                    ┐ → { snapshot, value, state, effects, timers, path … }
 *   stepChart(definition, snapshot, event, { state, input })    ┘   or why there was no step
 *
 * The snapshot is JSON: stored and read back it goes on as if it had never left. `state`, the workflow's shared state, is the
 * chart's only context and is kept apart. Delayed events are timers in somebody's table, and come back as events.
 * Never here: a definition's shape (shared/chart-definition.ts), agents' errors (shared/chart-remedy.ts).
 */
import { getInitialMicrosteps } from 'xstate'
import { chartRoot, type Definition, isReservedEvent } from './chart-definition.ts'
import { builtChart, type ChartContext } from './chart-machine.ts'
import { definitionIssues } from './chart-reading.ts'
import { type ChartSnapshot, type ChartValue, restore } from './chart-snapshot.ts'
import { soundnessIssues } from './chart-soundness.ts'
import { type ChartFault, type ChartGiven, type ChartStep, ran, stepOf } from './chart-step.ts'
import { isForbidding, transitionsOf, upward } from './chart-tree.ts'
import { type ChartEvent, newMeter } from './chart-values.ts'
import type { Issue } from './fault.ts'
import { deeperThan } from './json.ts'
import { limits } from './limits.ts'
import { err, ok, type Result } from './result.ts'

/** A definition from JSON, or everything that is wrong with it, each with its place (the first twenty). */
export function parseDefinition(raw: unknown): Result<Definition, readonly Issue[]> {
  if (deeperThan(raw, limits.jsonDepth)) return err([{ path: '', message: `nested deeper than ${limits.jsonDepth}` }])
  const characters = JSON.stringify(raw)?.length ?? 0
  if (characters > limits.chartBytes)
    return err([{ path: '', message: `${characters} characters; at most ${limits.chartBytes}` }])
  const parsed = chartRoot.safeParse(raw)
  if (!parsed.success) return err(definitionIssues(parsed.error.issues, raw))
  const issues = soundnessIssues(parsed.data)
  return issues.length === 0 ? ok(parsed.data) : err(definitionIssues(issues, raw))
}

/** The first step. What the definition's `context` says and `state` does not is part of the state from here on. */
export function startChart(definition: Definition, { state, input }: ChartGiven): Result<ChartStep, ChartFault> {
  const { machine } = builtChart(definition)
  const given = (): ChartContext => ({ state: { ...definition.context, ...state }, input, meter: newMeter() })
  const context = given()
  const run = ran(null, context, (scope) => machine.getInitialSnapshot(scope, context))
  if (!run.ok) return run
  const [first] = run.value.moves
  // XState tells of every microstep but the first, so the first is made once more to see where it led.
  const entered = first === undefined ? run.value.snapshot : getInitialMicrosteps(machine, given())[0]?.[0]
  const to: ChartValue = entered?.value ?? run.value.snapshot.value
  const rest = run.value.moves.map((move, i) => (i === 0 ? { ...move, from: to } : move))
  return ok({ ...stepOf(run.value), taken: true, path: [{ from: null, to, event: 'xstate.init' }, ...rest] })
}

/**
 * The next step. A timer's event comes back as it was given; when its state was left meanwhile, it changes nothing. Other events
 * of the library's own making are refused: they would be forged.
 */
export function stepChart(
  definition: Definition,
  snapshot: unknown,
  event: ChartEvent,
  given: ChartGiven,
): Result<ChartStep, ChartFault> {
  const chart = builtChart(definition)
  const context: ChartContext = { ...given, meter: newMeter() }
  const restored = restore(chart, snapshot, context)
  if (!restored.ok) return restored
  const before = restored.value
  if (before.status !== 'active') return err({ code: 'not_active', status: before.status })
  if (isReservedEvent(event.type)) {
    const owner = chart.timers.get(event.type)
    if (owner === undefined) return err({ code: 'reserved_event', type: event.type })
    if (!before._nodes.some((node) => node.id === owner))
      return ok({ ...stepOf({ snapshot: before, moves: [], actions: [] }), taken: false, path: [] })
  }
  const run = ran(before.value, context, (scope) => chart.machine.transition(before, event, scope))
  if (!run.ok) return run
  return ok({ ...stepOf(run.value), taken: run.value.isTaken === true, path: run.value.moves })
}

/** What the chart would hear now: events by name, and `*` or `name.*` where it takes more. Whether a guard lets them is not asked. */
export function allowedEvents(definition: Definition, snapshot: ChartSnapshot): readonly string[] {
  const { tree } = builtChart(definition)
  const active = snapshot.active.map((id) => tree.byId.get(id)).filter((node) => node !== undefined)
  const heard = new Set<string>()
  for (const leaf of active.filter((node) => node.kind === 'atomic' || node.kind === 'final')) {
    const forbidden = new Set<string>()
    for (const { transition, trigger } of upward(leaf).flatMap(transitionsOf)) {
      if (trigger.by !== 'event' || forbidden.has(trigger.key)) continue
      if (!isForbidding(transition)) heard.add(trigger.key)
      else if (transition.guard === undefined) forbidden.add(trigger.key)
    }
  }
  return [...heard]
}
