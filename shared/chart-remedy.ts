/**
 * What is done about an agent that failed. A message of a state ended badly; as long as the state is active, its policy
 * (`meta.switchboard`, inherited from the states around it, part by part) says what to do:
 *
 *   retry n times ──► the fallback agent ──► compensate ──► the event `agent_error` ──► taken: go on
 *                                                                                   └► not taken: pause | failed
 *
 * Once its state was left nobody waits for it: the event is all there is. Never here: counting tries, sending again.
 */
import type { Compensation, Definition, ErrorPolicy } from './chart-definition.ts'
import { builtChart, changedState } from './chart-machine.ts'
import type { ChartSnapshot } from './chart-snapshot.ts'
import type { ChartEffect, ChartFault, ChartGiven, ChartStep } from './chart-step.ts'
import { upward } from './chart-tree.ts'
import { type ChartEvent, type ChartScope, isSpent, newMeter, resolveValue } from './chart-values.ts'
import { isJsonObject, type JsonObject } from './json-pointer.ts'
import { limits } from './limits.ts'
import { err, ok, type Result } from './result.ts'
import { stepChart } from './statechart.ts'

export interface AgentError {
  /** The state whose message it was: its effect's `origin`. */
  readonly origin?: string
  /** How often this message was sent again already. */
  readonly retried: number
  /** It was the fallback agent that failed. */
  readonly fellBack: boolean
  /** `agent_error`, as the chart may see it. */
  readonly event: ChartEvent
}

export type Remedy =
  | { readonly do: 'retry'; readonly afterMs: number }
  | { readonly do: 'fallback'; readonly agent: string }
  /** The chart was told. `pause` and `failed`: it has no transition for it, and the step is to be saved all the same. */
  | { readonly do: 'go_on' | 'pause' | 'failed'; readonly step: ChartStep }

/** What to do about an agent's error now, with the step that the chart takes by it when nothing else is left. */
export function remedyFor(
  definition: Definition,
  snapshot: ChartSnapshot,
  error: AgentError,
  given: ChartGiven,
): Result<Remedy, ChartFault> {
  const policy = error.origin === undefined ? undefined : policyOf(definition, snapshot, error.origin)
  if (policy?.retry !== undefined && !error.fellBack && error.retried < policy.retry.times) {
    const { delaySeconds = 0, factor = 1 } = policy.retry
    const pauseSeconds = Math.min(delaySeconds * factor ** error.retried, limits.delaySeconds)
    return ok({ do: 'retry', afterMs: Math.round(pauseSeconds * 1_000) })
  }
  if (policy?.fallback !== undefined && !error.fellBack) return ok({ do: 'fallback', agent: policy.fallback })
  const undone = compensated(policy?.compensate ?? [], error.origin ?? '', { ...given, event: error.event })
  if (!undone.ok) return undone
  const step = stepChart(definition, snapshot, error.event, { state: undone.value.state, input: given.input })
  if (!step.ok) return step
  const whole = { ...step.value, effects: [...undone.value.effects, ...step.value.effects] }
  const isLeftAlone = policy === undefined || whole.taken
  return ok({ do: isLeftAlone ? 'go_on' : (policy.onExhausted ?? 'pause'), step: whole })
}

/** What holds for a state's messages: its own word, and where it says nothing that of the states around it. Undefined once it was left. */
export function policyOf(definition: Definition, snapshot: ChartSnapshot, origin: string): ErrorPolicy | undefined {
  const node = snapshot.active.includes(origin) ? builtChart(definition).tree.byId.get(origin) : undefined
  if (node === undefined) return undefined
  return Object.assign(
    {},
    ...upward(node)
      .map(({ given }) => given.meta?.switchboard)
      .reverse(),
  )
}

interface Undone {
  readonly state: JsonObject
  readonly effects: readonly ChartEffect[]
}

function compensated(actions: readonly Compensation[], origin: string, scope: ChartScope): Result<Undone, ChartFault> {
  const meter = newMeter()
  const effects: ChartEffect[] = []
  let { state } = scope
  for (const { type, params } of actions) {
    const made = resolveValue(params, { ...scope, state }, meter)
    if (isSpent(meter) || !isJsonObject(made)) return err({ code: 'step_too_large', limit: limits.chartStepBytes })
    if (type !== 'update') {
      effects.push({ kind: type, origin, params: made })
      continue
    }
    const changed = changedState(state, made)
    if (!changed.ok) return err({ code: 'update_failed', origin, detail: changed.error })
    state = changed.value
  }
  return ok({ state, effects })
}
