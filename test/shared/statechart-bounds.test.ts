/** What a definition cannot do: run for ever, grow without end, or reach out. Never here: what it can (test/shared/statechart.test.ts). */
import { describe, expect, it } from 'vitest'
import { limits } from '../../shared/limits.ts'
import { parseDefinition, startChart, stepChart } from '../../shared/statechart.ts'
import { defined, end, fault, raise, refused, say } from './chart-fixtures.ts'

const anyState = { exists: 'state' }

describe('a chart that feeds itself ends at the bound of microsteps, and says where it turned', () => {
  const turning = {
    initial: 'a',
    states: { a: { always: { target: 'b', guard: anyState } }, b: { always: { target: 'a', guard: anyState } } },
  }

  it('by an `always` with a guard that always holds', () => {
    expect(fault(turning)).toMatchObject({
      code: 'microstep_limit',
      limit: limits.chartMicrosteps,
      last: expect.arrayContaining([{ from: 'a', to: 'b', event: '' }]),
    })
  })

  it('in a step as well as at the start, and the snapshot before it still stands', () => {
    const chart = { ...turning, initial: 'rest', states: { ...turning.states, rest: { on: { go: 'a', stay: {} } } } }
    expect(fault(chart, 'go')).toMatchObject({ code: 'microstep_limit' })
    const definition = defined(chart)
    const start = startChart(definition, { state: {}, input: null })
    const kept = start.ok ? JSON.stringify(start.value.snapshot) : ''
    stepChart(definition, JSON.parse(kept), { type: 'go' }, { state: {}, input: null })
    expect(stepChart(definition, JSON.parse(kept), { type: 'stay' }, { state: {}, input: null })).toMatchObject({
      ok: true,
    })
  })

  it('by raising what it hears', () => {
    const chart = { initial: 'a', states: { a: { on: { ping: { actions: raise('ping') } } } } }
    expect(fault(chart, 'ping')).toMatchObject({ code: 'microstep_limit' })
  })

  it('by being done again and again', () => {
    const chart = {
      initial: 'a',
      states: { a: { initial: 'b', states: { b: { type: 'final' } }, onDone: { target: 'a', reenter: true } } },
    }
    expect(fault(chart)).toMatchObject({ code: 'microstep_limit' })
  })

  it('and one that comes to rest one microstep before does not', () => {
    const count = (most: number) => ({
      initial: 'a',
      states: {
        a: {
          always: {
            guard: { range: ['state.n', { lt: most }] },
            actions: { type: 'update', params: { operations: [{ op: 'increment', path: '/n' }] } },
          },
        },
      },
    })
    expect(end(count(limits.chartMicrosteps - 1), [], { state: { n: 0 } }).state).toEqual({
      n: limits.chartMicrosteps - 1,
    })
    expect(fault(count(limits.chartMicrosteps), undefined, { n: 0 })).toMatchObject({ code: 'microstep_limit' })
  })
})

describe('a step that makes too much of things comes to nothing', () => {
  const grow = (actions: unknown) => ({ initial: 'a', states: { a: { on: { e: { actions } } } } })

  it('a state that is put into itself again and again', () => {
    const double = { type: 'update', params: { patch: { a: { $from: 'state' }, b: { $from: 'state' } } } }
    expect(fault(grow(Array(40).fill(double)), 'e', { text: 'x'.repeat(1_000) })).toMatchObject({
      code: expect.stringMatching(/step_too_large|update_failed/),
    })
  })

  it('messages that each carry the whole state', () => {
    const whole = { type: 'send', params: { to: 'agent', type: 't', data: { $from: 'state' } } }
    expect(fault(grow(Array(20).fill(whole)), 'e', { text: 'x'.repeat(100_000) })).toEqual({
      code: 'step_too_large',
      limit: limits.chartStepBytes,
    })
  })

  it('an event that is raised with itself inside', () => {
    const twice = { type: 'raise', params: { event: { type: 'e', a: { $from: 'event' }, b: { $from: 'event' } } } }
    expect(fault(grow(twice), 'e')).toEqual({ code: 'step_too_large', limit: limits.chartStepBytes })
  })

  it('more actions than one step may have', () => {
    expect(said(limits.chartStepActions)).toBeUndefined()
    expect(said(limits.chartStepActions + 1)).toEqual({ code: 'too_many_actions', limit: limits.chartStepActions })
  })
  const said = (times: number) => fault(grow(Array(times).fill(say('t'))), 'e')
})

describe('an `always` that would be taken for ever is refused at once', () => {
  const chart = (states: unknown, rest: object = {}) => ({ initial: 'a', ...rest, states })

  it.each([
    ['of two states', chart({ a: { always: 'b' }, b: { always: 'a' } }), 'states.a.always'],
    ['of a state and itself', chart({ a: { always: 'a' } }), 'states.a.always'],
    ['of a state around its target', chart({ a: {}, b: {} }, { always: '.b' }), 'always'],
    [
      'through what is initial in its target',
      chart({ a: { always: 'b' }, b: { initial: 'c', states: { c: { always: '#(machine).a' } } } }),
      'states.a.always',
    ],
    [
      'through the other region of a parallel state',
      chart({
        a: { always: 'p.x.x1' },
        p: { type: 'parallel', states: { x: { initial: 'x1', states: { x1: {} } }, y: { always: '#(machine).a' } } },
      }),
      'states.a.always',
    ],
  ])('%s', (_, raw, path) => {
    expect(refused(raw)).toEqual([
      `${path}: leads back to itself with no guard on the way, and would be taken for ever`,
    ])
  })

  it('without a target and a guard', () => {
    expect(refused(chart({ a: { always: { actions: say('x') } } }))).toEqual([
      'states.a.always: without target and guard it would be taken for ever',
    ])
  })

  it.each([
    ['that a guard breaks', chart({ a: { always: { target: 'b', guard: anyState } }, b: { always: 'a' } })],
    [
      'that a guard before it breaks',
      chart({ a: { always: [{ target: 'c', guard: anyState }, { target: 'b' }] }, b: { always: 'a' }, c: {} }),
    ],
    ['that comes to an end', chart({ a: { always: 'b' }, b: { always: 'c' }, c: {} })],
  ])('but not one %s', (_, raw) => {
    expect(refused(raw)).toEqual([])
  })
})

describe('a definition that is too large is refused', () => {
  const many = (n: number, state: unknown = {}) =>
    Object.fromEntries(Array.from({ length: n }, (_, i) => [`s${i}`, state]))
  const nested = (depth: number): object => (depth === 0 ? {} : { initial: 'a', states: { a: nested(depth - 1) } })

  it.each([
    [
      'states',
      { initial: 's0', states: many(limits.chartStates + 1) },
      `${limits.chartStates + 1} states; at most ${limits.chartStates}`,
    ],
    [
      'levels',
      nested(limits.chartDepth + 1),
      `${limits.chartDepth + 1} levels of states; at most ${limits.chartDepth}`,
    ],
    [
      'transitions',
      { initial: 's0', states: many(400, { on: { a: 's0', b: 's0', c: 's0' } }) },
      `1200 transitions; at most ${limits.chartTransitions}`,
    ],
    [
      'states at once',
      { type: 'parallel', states: many(limits.chartRegions + 1) },
      `${limits.chartRegions + 1} states active at once; at most ${limits.chartRegions}`,
    ],
  ])('%s', (_, raw, message) => {
    expect(refused(raw)).toEqual([`: ${message}`])
  })

  it('in characters, and in depth, before anything else is looked at', () => {
    expect(parseDefinition({ description: 'x'.repeat(limits.chartBytes) })).toMatchObject({
      ok: false,
      error: [{ path: '' }],
    })
    let deep: unknown = {}
    for (let i = 0; i < 100_000; i++) deep = { states: { a: deep } }
    expect(parseDefinition(deep)).toEqual({
      ok: false,
      error: [{ path: '', message: `nested deeper than ${limits.jsonDepth}` }],
    })
  })

  it('and the largest of each is not', () => {
    expect(refused({ initial: 's0', states: many(limits.chartStates) })).toEqual([])
    expect(refused(nested(limits.chartDepth))).toEqual([])
    expect(refused({ type: 'parallel', states: many(limits.chartRegions) })).toEqual([])
  })
})
