/** The research workflow: what its definition promises, with the agents themselves, and without a broker. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { agents, workflows } from '../../agents/index.ts'
import { report as reportShape } from '../../agents/research/messages.ts'
import { createRequest } from '../../shared/api-workflow-bodies.ts'
import type { Definition } from '../../shared/chart-definition.ts'
import { remedyFor } from '../../shared/chart-remedy.ts'
import type { ChartStep } from '../../shared/chart-step.ts'
import { parseDefinition } from '../../shared/statechart.ts'
import { begin, next, runWorkflow, sentBy } from './run-workflow.ts'

const research = (): Definition => {
  const parsed = parseDefinition(workflows['research'])
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.error))
  return parsed.value
}

const documents = [
  { path: 'bees.md', firstLine: 1, text: '# Bees\n\nA bee hive has one queen. The queen lays eggs all summer.\n' },
  { path: 'cats.md', firstLine: 1, text: '# Cats\n\nA cat sleeps most of the day.\n' },
]
const input = { question: 'What does a queen do?', documents }

const inOrder = [
  ...['research_pending', 'research_complete', 'analysis_pending', 'analysis_complete'],
  ...['synthesis_pending', 'synthesis_complete'],
]
const pending = inOrder.filter((state) => state.endsWith('_pending'))

/** The chart as it stands in one of its pending states. */
function standing(state: string): ChartStep {
  let step = begin(research(), input)
  if (state === 'research_pending') return step
  step = next(research(), step, { type: 'research.complete', data: { searched: {}, terms: [], passages: [] } }, input)
  if (state === 'analysis_pending') return step
  return next(research(), step, { type: 'analysis.complete', data: { findings: [], dropped: 0, notes: [] } }, input)
}

describe('the workflow of the README', () => {
  it('is one that can be made as it stands there, and ends by the ack of its agent or too late', () => {
    const readme = readFileSync(join(import.meta.dirname, '../../README.md'), 'utf8')
    const [, json] = /\/v1\/workflows -H [^\n]* --json '([\s\S]*?)'\n/.exec(readme) ?? []
    const { definition: raw } = createRequest.parse(JSON.parse(json ?? ''))
    const parsed = parseDefinition(raw)
    if (!parsed.ok) throw new Error(JSON.stringify(parsed.error))
    const started = begin(parsed.value, {})
    expect(sentBy(started)).toEqual([{ to: 'reader', type: 'page.read', data: { page: 2 } }])
    const done = next(parsed.value, started, { type: 'page.read.reply', data: { words: 312 } }, {})
    expect([done.value, done.status, done.state]).toEqual(['done', 'done', { words: 312 }])
    const late = next(parsed.value, started, started.timers.start[0]!.event, {})
    expect([late.value, late.status]).toEqual(['late', 'done'])
  })
})

describe('the research workflow', () => {
  it('goes through its states in their order, and its output is the report (A21, A22, A23)', async () => {
    const { step, states } = await runWorkflow(agents, research(), input)
    expect(states).toEqual(inOrder)
    expect([step.status, step.value]).toEqual(['done', 'synthesis_complete'])
    const { report, ...rest } = step.output as { report: unknown }
    expect(reportShape.parse(report).markdown).toContain('The queen lays eggs all summer. [bees.md:3]')
    expect(rest).toEqual({})
  })

  it('gives each agent what it needs: documents to the researcher, passages to the analyst, findings to the synthesizer (A40)', async () => {
    const { sent, step } = await runWorkflow(agents, research(), input)
    expect(sent.map(({ to, type, data }) => [to, type, Object.keys(data).sort()])).toEqual([
      ['researcher', 'research.request', ['documents', 'question']],
      ['analyst', 'analysis.request', ['passages', 'question', 'searched', 'terms']],
      ['synthesizer', 'synthesis.request', ['dropped', 'findings', 'notes', 'question', 'searched', 'terms']],
    ])
    // The documents are in no version of the shared state, and the passages are gone when they have served.
    expect(Object.keys(step.state).sort()).toEqual(
      ['question', 'searched', 'terms', 'findings', 'dropped', 'notes', 'report'].sort(),
    )
  })

  it.each(pending)('%s: an agent that fails for good leads to failed, with who it was and why (A24)', (state) => {
    const failure = { agent: 'somebody', delivery: 'somebody_x', status: 'dead_lettered', reason: 'terminal' }
    const step = next(research(), standing(state), { type: 'agent_error', data: failure }, input)
    expect([step.value, step.status]).toEqual(['failed', 'done'])
    const error = { agent: 'somebody', delivery: 'somebody_x', reason: 'terminal' }
    expect(step.output).toEqual({ error })
  })

  it.each(pending)('%s: has a deadline, and says that it was missed (A26)', (state) => {
    const { timers } = standing(state)
    expect(timers.start).toHaveLength(1)
    const [timer] = timers.start
    expect(timer!.afterMs).toBeGreaterThanOrEqual(60_000)
    const step = next(research(), standing(state), timer!.event, input)
    expect([step.value, step.status]).toEqual(['failed', 'done'])
    expect(step.output).toMatchObject({ error: { reason: 'deadline', detail: expect.stringContaining(state) } })
  })

  it('cancels the deadline of a state that it leaves', () => {
    const first = standing('research_pending')
    const left = next(
      research(),
      first,
      { type: 'research.complete', data: { searched: {}, terms: [], passages: [] } },
      input,
    )
    expect(left.timers.cancel).toContain(first.timers.start[0]?.id)
    expect(next(research(), left, first.timers.start[0]!.event, input)).toMatchObject({ taken: false, path: [] })
  })

  it('hears the same answer twice as once (A23)', () => {
    const event = { type: 'research.complete', data: { searched: {}, terms: [], passages: [] } }
    const again = next(research(), standing('analysis_pending'), event, input)
    expect([again.taken, again.value, again.effects]).toEqual([false, 'analysis_pending', []])
  })

  it.each([
    ['research_pending', 'go_on'],
    ['analysis_pending', 'retry'],
    ['synthesis_pending', 'retry'],
  ])('%s: the first failure comes to %s (A24)', (state, remedy) => {
    const step = standing(state)
    const event = { type: 'agent_error', data: {} }
    const failed = (retried: number) => {
      const error = { origin: `research.${state}`, retried, fellBack: false, event }
      const found = remedyFor(research(), step.snapshot, error, { state: step.state, input })
      return found.ok ? found.value.do : found.error.code
    }
    expect([failed(0), failed(1)]).toEqual([remedy, 'go_on'])
  })

  it('pauses for a person when a message could not even be sent (A24)', () => {
    const step = standing('analysis_pending')
    const event = { type: 'effect_refused', data: { to: 'analyst', reason: 'agent_not_found' } }
    const error = { origin: 'research.analysis_pending', retried: Number.POSITIVE_INFINITY, fellBack: false, event }
    const found = remedyFor(research(), step.snapshot, error, { state: step.state, input })
    expect(found).toMatchObject({ ok: true, value: { do: 'pause' } })
  })

  it('asks another analyst when its input names one', () => {
    const named = { ...input, analyst: 'analyst-2' }
    const event = { type: 'research.complete', data: { searched: {}, terms: [], passages: [] } }
    const sent = sentBy(next(research(), begin(research(), named), event, named))
    expect(sent.map((one) => one.to)).toEqual(['analyst-2'])
  })
})
