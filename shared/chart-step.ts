/**
 * One step of XState's algorithm, with nothing in its reach: what it would do to the world is collected and handed back as data,
 * each microstep is written down, and it ends within its bounds or comes to nothing.
 * Never here: which step (shared/statechart.ts).
 */
import { type AnyActorScope, type AnyMachineSnapshot, createEmptyActor, type InspectionEvent } from 'xstate'
import { type Asked, attempt, type ChartContext, messageOf } from './chart-machine.ts'
import { type ChartSnapshot, type ChartValue, persisted } from './chart-snapshot.ts'
import { isForbidding } from './chart-tree.ts'
import { type ChartEvent, isSpent } from './chart-values.ts'
import { isJsonObject, type JsonObject } from './json-pointer.ts'
import { limits } from './limits.ts'
import { err, ok, type Result } from './result.ts'

/** What a chart wants done. `origin` is the state that waits for it (shared/chart-remedy.ts). */
export interface ChartEffect {
  readonly kind: 'send' | 'publish' | 'scatter'
  readonly origin: string
  readonly params: JsonObject
}

/** A delayed event. One that starts under the id of another takes its place. */
export interface ChartTimer {
  readonly id: string
  readonly afterMs: number
  readonly event: ChartEvent
}

/** One microstep. `from` is null in the first; `event` is empty for an `always`, which waits for none. */
export interface ChartMove {
  readonly from: ChartValue | null
  readonly to: ChartValue
  readonly event: string
}

export interface ChartStep {
  readonly snapshot: ChartSnapshot
  readonly value: ChartValue
  readonly status: 'active' | 'done'
  readonly output?: unknown
  /** The event itself was taken. When not, the step may still have moved: by an `always` whose guard holds by now. */
  readonly taken: boolean
  readonly state: JsonObject
  readonly effects: readonly ChartEffect[]
  /** First cancel, then start. A chart that is done has no timers left. */
  readonly timers: { readonly start: readonly ChartTimer[]; readonly cancel: readonly string[] }
  readonly path: readonly ChartMove[]
}

/** Why there was no step. Whatever it is, the snapshot before it still stands. */
export type ChartFault =
  /** It did not come to rest; the last moves show where it turns. */
  | { readonly code: 'microstep_limit'; readonly limit: number; readonly last: readonly ChartMove[] }
  | { readonly code: 'step_too_large'; readonly limit: number }
  | { readonly code: 'too_many_actions'; readonly limit: number }
  | { readonly code: 'update_failed'; readonly origin: string; readonly detail: string }
  | { readonly code: 'snapshot_mismatch'; readonly detail: string }
  | { readonly code: 'reserved_event'; readonly type: string }
  | { readonly code: 'not_active'; readonly status: string }
  | { readonly code: 'engine_error'; readonly detail: string }

/** The shared state and the input that guards and actions see. */
export interface ChartGiven {
  readonly state: JsonObject
  readonly input: unknown
}

interface Action {
  readonly type: string
  readonly params?: unknown
}

export interface Run {
  readonly snapshot: AnyMachineSnapshot
  readonly moves: readonly ChartMove[]
  readonly actions: readonly Action[]
  readonly isTaken?: boolean
}

/** Lets XState compute, with nothing in its reach but lists to write on. */
export function ran(
  before: ChartValue | null,
  context: ChartContext,
  compute: (scope: AnyActorScope) => AnyMachineSnapshot,
): Result<Run, ChartFault> {
  const moves: ChartMove[] = []
  const actions: Action[] = []
  let microsteps = 0
  let isTaken: boolean | undefined
  let from = before
  const watch = (told: InspectionEvent) => {
    if (told.type !== '@xstate.microstep') return
    microsteps += 1
    const to: ChartValue = (told.snapshot as AnyMachineSnapshot).value
    const [taken] = told._transitions.filter((one) => !isForbidding(one))
    isTaken ??= taken !== undefined
    if (taken !== undefined) moves.push({ from, to, event: taken.eventType === '' ? '' : told.event.type })
    from = to
  }
  const self = createEmptyActor()
  self.system.inspect(watch)
  const scope: AnyActorScope = {
    self,
    system: self.system,
    id: '',
    sessionId: '',
    logger: () => {},
    defer: () => {},
    emit: () => {},
    stopChild: () => {},
    actionExecutor: (action) => actions.push(action),
  }
  const computed = attempt(() => compute(scope))
  const spent = spentFault(context)
  if (spent !== undefined) return err(spent)
  if (computed.ok && computed.value.status !== 'error')
    return ok({ snapshot: computed.value, moves, actions, ...(isTaken === undefined ? {} : { isTaken }) })
  // XState says that it met its bound only in words; the count says it without them.
  if (microsteps >= limits.chartMicrosteps)
    return err({ code: 'microstep_limit', limit: limits.chartMicrosteps, last: moves.slice(-8) })
  return err({ code: 'engine_error', detail: computed.ok ? messageOf(computed.value.error) : computed.error })
}

function spentFault({ meter }: ChartContext): ChartFault | undefined {
  if (!isSpent(meter)) return undefined
  if (meter.failed !== undefined) return { code: 'update_failed', ...meter.failed }
  if (meter.leftBytes < 0) return { code: 'step_too_large', limit: limits.chartStepBytes }
  return { code: 'too_many_actions', limit: limits.chartStepActions }
}

/** What the run came to, as data. */
export function stepOf({ snapshot, actions }: Run): Omit<ChartStep, 'taken' | 'path'> {
  const kept = persisted(snapshot)
  return {
    snapshot: kept,
    value: kept.value,
    status: kept.status,
    ...(kept.output === undefined ? {} : { output: kept.output }),
    state: (snapshot.context as ChartContext).state,
    effects: actions.flatMap(effectOf),
    timers: timersOf(actions, kept.status),
  }
}

function effectOf({ type, params }: Action): readonly ChartEffect[] {
  if (type !== 'send' && type !== 'publish' && type !== 'scatter') return []
  // Made by shared/chart-machine.ts.
  return [{ kind: type, ...(params as Asked) }]
}

// What was last said of an id holds: a state that is left and entered again in one step has its timer begin anew.
function timersOf(actions: readonly Action[], status: 'active' | 'done'): ChartStep['timers'] {
  const last = new Map<string, ChartTimer | undefined>()
  for (const { type, params } of actions) {
    if (!isJsonObject(params)) continue
    if (type === 'xstate.cancel') note(last, String(params['sendId']), undefined)
    if (type !== 'xstate.raise' || typeof params['delay'] !== 'number') continue
    // Made by shared/chart-machine.ts, or by XState for an `after`.
    const { id, event } = params as { id: string; event: ChartEvent }
    note(last, id, { id, afterMs: params['delay'], event })
  }
  const start = status === 'done' ? [] : [...last.values()].filter((timer) => timer !== undefined)
  return { start, cancel: [...last.keys()].filter((id) => status === 'done' || last.get(id) === undefined) }
}

// Timers that are due at once fire in the order in which they last began.
function note(last: Map<string, ChartTimer | undefined>, id: string, timer: ChartTimer | undefined): void {
  last.delete(id)
  last.set(id, timer)
}
