/**
 * Runs a workflow of these agents as plain code: what its statechart sends goes to the agent at once, and the agent's answer
 * comes back as the next event, through JSON, as the broker would have it. Never here: a broker, time.
 */
import type { Definition } from '../../shared/chart-definition.ts'
import type { ChartMove, ChartStep } from '../../shared/chart-step.ts'
import type { ChartEvent } from '../../shared/chart-values.ts'
import type { JsonObject } from '../../shared/json-pointer.ts'
import { messageOf } from '../../shared/outgoing.ts'
import { startChart, stepChart } from '../../shared/statechart.ts'
import type { AnyAgent } from '../../workers/define.ts'
import { runAgent } from './run-agent.ts'

export interface Sent {
  readonly to: string
  readonly type: string
  readonly data: JsonObject
}

export interface Walk {
  readonly step: ChartStep
  /** Every state in the order in which it was entered. */
  readonly states: readonly unknown[]
  readonly sent: readonly Sent[]
}

const reload = <T>(value: T): T => JSON.parse(JSON.stringify(value)) as T

export const begin = (definition: Definition, input: JsonObject): ChartStep => {
  const started = startChart(definition, { state: {}, input })
  if (!started.ok) throw new Error(JSON.stringify(started.error))
  return started.value
}

export const next = (definition: Definition, before: ChartStep, event: ChartEvent, input: JsonObject): ChartStep => {
  const stepped = stepChart(definition, reload(before.snapshot), event, { state: before.state, input })
  if (!stepped.ok) throw new Error(JSON.stringify(stepped.error))
  return stepped.value
}

export const sentBy = (step: ChartStep): Sent[] =>
  step.effects.map(({ params }) => {
    const made = messageOf(params, step.state)
    if (!made.ok) throw new Error(made.error)
    return reload(made.value) as unknown as Sent
  })

/** Until the chart is done, or nobody it asked answers. */
export async function runWorkflow(
  agents: readonly AnyAgent[],
  definition: Definition,
  input: JsonObject,
): Promise<Walk> {
  let step = begin(definition, input)
  const path: ChartMove[] = [...step.path]
  const sent: Sent[] = []
  for (let asked = sentBy(step); step.status === 'active' && asked[0] !== undefined; asked = sentBy(step)) {
    const [message] = asked
    sent.push(...asked)
    const agent = agents.find((one) => one.name === message.to)
    const { reply } = await runAgent(agent!, message.data, { replyto: 'workflow:w' })
    step = next(definition, step, { ...reply!, source: message.to } as ChartEvent, input)
    path.push(...step.path)
  }
  return { step, states: path.map((move) => move.to), sent }
}
