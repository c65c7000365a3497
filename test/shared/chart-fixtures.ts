/** Walking through a chart by hand. Never here: expectations about charts. */
import { expect } from 'vitest'
import type { Definition } from '../../shared/chart-definition.ts'
import type { ChartFault, ChartStep } from '../../shared/chart-step.ts'
import type { ChartEvent } from '../../shared/chart-values.ts'
import type { JsonObject } from '../../shared/json-pointer.ts'
import { parseDefinition, startChart, stepChart } from '../../shared/statechart.ts'

export function defined(raw: unknown): Definition {
  const parsed = parseDefinition(raw)
  expect(parsed).toMatchObject({ ok: true })
  if (!parsed.ok) throw new Error('refused')
  return parsed.value
}

/** What a definition is refused for: path and message in one line each. */
export function refused(raw: unknown): readonly string[] {
  const parsed = parseDefinition(raw)
  return parsed.ok ? [] : parsed.error.map(({ path, message }) => `${path}: ${message}`)
}

const event = (one: string | ChartEvent): ChartEvent => (typeof one === 'string' ? { type: one } : one)

/** The steps of a chart, through JSON after each: the first, then one for each event. Every one of them must be made. */
export function walk(
  raw: unknown,
  events: readonly (string | ChartEvent)[] = [],
  given: { readonly state?: JsonObject; readonly input?: unknown } = {},
): readonly ChartStep[] {
  const definition = defined(raw)
  const { input = null } = given
  const steps = [made(startChart(definition, { state: given.state ?? {}, input }))]
  for (const one of events) {
    const { snapshot, state } = JSON.parse(JSON.stringify(steps.at(-1))) as ChartStep
    steps.push(made(stepChart(definition, snapshot, event(one), { state, input })))
  }
  return steps
}

function made(step: ReturnType<typeof startChart>): ChartStep {
  expect(step).toMatchObject({ ok: true })
  if (!step.ok) throw new Error(step.error.code)
  return step.value
}

/** Where the last event led. */
export const end = (...told: Parameters<typeof walk>): ChartStep => walk(...told).at(-1)!

/** Why there was no step, at the start or by the event. */
export function fault(raw: unknown, one?: string | ChartEvent, state: JsonObject = {}): ChartFault | undefined {
  const definition = defined(raw)
  const started = startChart(definition, { state, input: null })
  const step =
    one === undefined || !started.ok
      ? started
      : stepChart(definition, started.value.snapshot, event(one), { state: started.value.state, input: null })
  return step.ok ? undefined : step.error
}

/** An action whose running shows, by the type of its message. */
export const say = (type: string) => ({ type: 'send', params: { to: 'agent', type } })
export const said = (step: ChartStep): readonly unknown[] => step.effects.map(({ params }) => params['type'])
export const raise = (type: string) => ({ type: 'raise', params: { event: { type } } })
