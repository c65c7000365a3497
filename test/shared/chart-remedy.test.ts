/** Agents' errors: who is asked again, who instead, what is undone, and what becomes of the workflow. Never here: counting tries. */
import { describe, expect, it } from 'vitest'
import { type AgentError, policyOf, remedyFor } from '../../shared/chart-remedy.ts'
import { startChart } from '../../shared/statechart.ts'
import { defined, say } from './chart-fixtures.ts'

const undo = {
  compensate: [
    { type: 'update', params: { patch: { reserved: false, because: { $from: 'event.data.reason' } } } },
    {
      type: 'send',
      params: {
        to: 'stock',
        type: 'release',
        data: { of: { $from: 'state.order' }, because: { $from: 'state.because' } },
      },
    },
  ],
}

const chart = (policy: object | undefined, on: object = {}, around: object = {}) => ({
  id: 'm',
  initial: 'work',
  meta: { switchboard: around },
  states: {
    work: { entry: say('work'), on, ...(policy === undefined ? {} : { meta: { switchboard: policy } }) },
    sorry: { entry: say('sorry') },
  },
})

const state = { order: 7, reserved: true }
const failed: AgentError = {
  origin: 'm.work',
  retried: 0,
  fellBack: false,
  event: { type: 'agent_error', data: { agent: 'ada', reason: 'exhausted' } },
}

function remedy(raw: unknown, error: Partial<AgentError> = {}) {
  const definition = defined(raw)
  const start = startChart(definition, { state, input: null })
  const snapshot = start.ok ? start.value.snapshot : expect.unreachable()
  const found = remedyFor(definition, snapshot, { ...failed, ...error }, { state, input: null })
  return found.ok ? found.value : found.error
}

describe('an error of an agent whose state still waits for it (A24)', () => {
  it('is retried as often as the state says, after a pause that grows', () => {
    const raw = chart({ retry: { times: 3, delaySeconds: 2, factor: 3 }, fallback: 'bob' })
    expect([0, 1, 2].map((retried) => remedy(raw, { retried }))).toEqual([
      { do: 'retry', afterMs: 2_000 },
      { do: 'retry', afterMs: 6_000 },
      { do: 'retry', afterMs: 18_000 },
    ])
    expect(remedy(raw, { retried: 3 })).toEqual({ do: 'fallback', agent: 'bob' })
  })

  it('goes to the fallback agent once, and is not retried there', () => {
    const raw = chart({ retry: { times: 3 }, fallback: 'bob' })
    expect(remedy(raw, { retried: 1, fellBack: true })).toMatchObject({ do: 'pause' })
  })

  it('pauses the workflow by default when nothing is left', () => {
    expect(remedy(chart(undefined))).toMatchObject({ do: 'pause', step: { taken: false, value: 'work' } })
  })

  it('fails the workflow where the state says so', () => {
    expect(remedy(chart({ onExhausted: 'failed' }))).toMatchObject({ do: 'failed' })
  })

  it('goes on where the chart has a transition for it, whatever is said of exhaustion', () => {
    const step = remedy(chart({ onExhausted: 'failed' }, { agent_error: 'sorry' }))
    expect(step).toMatchObject({
      do: 'go_on',
      step: { taken: true, value: 'sorry', effects: [{ params: { type: 'sorry' } }] },
    })
  })

  it('runs the compensation first, in order, each on the state as it is by then', () => {
    expect(remedy(chart(undo, { agent_error: 'sorry' }))).toMatchObject({
      do: 'go_on',
      step: {
        state: { order: 7, reserved: false, because: 'exhausted' },
        effects: [
          { kind: 'send', origin: 'm.work', params: { to: 'stock', data: { of: 7, because: 'exhausted' } } },
          { params: { type: 'sorry' } },
        ],
      },
    })
  })

  it('compensates also when the workflow then pauses', () => {
    expect(remedy(chart(undo))).toMatchObject({
      do: 'pause',
      step: { state: { reserved: false }, effects: [{ params: { type: 'release' } }] },
    })
  })

  it('that compensation cannot undo is a fault, and changes nothing', () => {
    const wrong = { compensate: { type: 'update', params: { operations: [{ op: 'increment', path: '/reserved' }] } } }
    expect(remedy(chart(wrong))).toEqual({
      code: 'update_failed',
      origin: 'm.work',
      detail: 'what is there is no number',
    })
  })
})

describe('a policy', () => {
  it('is inherited from the states around, part by part', () => {
    const definition = defined(chart({ fallback: 'bob' }, {}, { retry: { times: 5 }, fallback: 'eve' }))
    const start = startChart(definition, { state, input: null })
    const snapshot = start.ok ? start.value.snapshot : expect.unreachable()
    expect(policyOf(definition, snapshot, 'm.work')).toEqual({ retry: { times: 5 }, fallback: 'bob' })
  })

  it('ends with its state: once that was left the event is all there is, and pauses nothing', () => {
    const raw = chart({ retry: { times: 3 }, onExhausted: 'failed', ...undo })
    expect(remedy(raw, { origin: 'm.sorry' })).toMatchObject({
      do: 'go_on',
      step: { taken: false, effects: [], state },
    })
  })

  it('is nobody’s, for a message that no state has sent', () => {
    const { origin: _, ...unknown } = failed
    const definition = defined(chart({ retry: { times: 3 } }))
    const start = startChart(definition, { state, input: null })
    const snapshot = start.ok ? start.value.snapshot : expect.unreachable()
    expect(remedyFor(definition, snapshot, unknown, { state, input: null })).toMatchObject({
      ok: true,
      value: { do: 'go_on' },
    })
  })
})
