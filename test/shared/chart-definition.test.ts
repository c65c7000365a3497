/** Definitions: what is refused, and that the refusal names the place in its author's own words. Never here: bounds (test/shared/statechart-bounds.test.ts). */
import { describe, expect, it } from 'vitest'
import { parseDefinition } from '../../shared/statechart.ts'
import { defined, refused } from './chart-fixtures.ts'

const withState = (a: unknown, rest: object = {}) => ({ id: 'm', initial: 'a', states: { a, b: {} }, ...rest })
const on = (transition: unknown) => withState({ on: { e: transition } })
const act = (action: unknown) => withState({ entry: action })

describe('a refusal names the place as its author wrote it (A20)', () => {
  it.each([
    // actions
    ['an action that nobody knows', act({ type: 'mail' }), 'states.a.entry.type'],
    ['an action by name only', act('notify'), 'states.a.entry'],
    [
      'the second of several',
      withState({ exit: [{ type: 'cancel', params: { id: 'x' } }, { type: 'cancel' }] }),
      'states.a.exit.1.params',
    ],
    ['a message to nobody', act({ type: 'send', params: { type: 't' } }), 'states.a.entry.params.to'],
    ['a message without a type', act({ type: 'publish', params: { topic: 'x' } }), 'states.a.entry.params.type'],
    [
      'an attribute that no message has',
      act({ type: 'send', params: { to: 'x', type: 't', priority: 10 } }),
      'states.a.entry.params.priority',
    ],
    [
      'a selection that is none',
      act({ type: 'send', params: { to: 'x', type: 't', select: [''] } }),
      'states.a.entry.params.select',
    ],
    ['an update of nothing', act({ type: 'update', params: {} }), 'states.a.entry.params'],
    [
      'an update of both kinds',
      act({ type: 'update', params: { patch: {}, operations: [] } }),
      'states.a.entry.params',
    ],
    [
      'a raised event without a type',
      act({ type: 'raise', params: { event: { data: 1 } } }),
      'states.a.entry.params.event.type',
    ],
    [
      'a raised event of the library’s own',
      act({ type: 'raise', params: { event: { type: 'xstate.init' } } }),
      'states.a.entry.params.event.type',
    ],
    [
      'a delay without an id',
      act({ type: 'raise', params: { event: { type: 'x' }, delay: 5 } }),
      'states.a.entry.params.id',
    ],
    [
      'a path that begins nowhere',
      act({ type: 'send', params: { to: 'x', type: 't', data: { d: { $from: 'context.x' } } } }),
      'states.a.entry.params.data.d.$from',
    ],
    [
      'something beside `$from`',
      act({ type: 'send', params: { to: 'x', type: 't', data: { $from: 'state.x', or: 1 } } }),
      'states.a.entry.params.data.or',
    ],
    // guards
    ['a guard that is not under `guards`', on({ target: 'b', guard: 'ready' }), 'states.a.on.e.guard'],
    ['a guard of an unknown kind', on({ target: 'b', guard: { js: 'x' } }), 'states.a.on.e.guard'],
    [
      'a guard in a guard',
      on({ target: 'b', guard: { and: [{ exists: 'state.x' }, { gt: 1 }] } }),
      'states.a.on.e.guard.and.1',
    ],
    ['a named guard that is none', withState({}, { guards: { ready: { eq: ['state.x'] } } }), 'guards.ready'],
    ['a guard about a state that is not there', on({ target: 'b', guard: { stateIn: '#m.q' } }), 'states.a.on.e.guard'],
    // targets
    ['a target that is not there', on('q'), 'states.a.on.e'],
    ['the second of two', on([{ target: 'b' }, { target: '#q' }]), 'states.a.on.e.1.target'],
    ['a target of the root without its dot', withState({}, { on: { e: 'b' } }), 'on.e'],
    ['targets that cannot be active together', on({ target: ['b', '#m.a'] }), 'states.a.on.e.target'],
    ['an initial state that is not there', withState({ initial: 'q', states: { c: {} } }), 'states.a.initial'],
    ['no initial state', withState({ states: { c: {} } }), 'states.a.initial'],
    [
      'history of elsewhere',
      withState({ initial: 'c', states: { c: {}, h: { type: 'history', target: '#m.b' } } }),
      'states.a.states.h.target',
    ],
    [
      'history of a parallel state from within it',
      withState({ type: 'parallel', states: { x: { on: { e: 'h' } }, h: { type: 'history' } } }),
      'states.a.states.x.on.e',
    ],
    // states
    ['a final state that goes on', withState({ type: 'final', on: { e: 'b' } }), 'states.a.on'],
    ['an `onDone` of the chart itself', withState({}, { onDone: '.b' }), 'onDone'],
    ['an `onDone` of what is never done', withState({ onDone: 'b' }), 'states.a.onDone'],
    ['a parallel state without regions', withState({ type: 'parallel' }), 'states.a.states'],
    ['an id twice', { initial: 'a', states: { a: { id: 'x' }, b: { id: 'x' } } }, 'states.b.id'],
    ['a chart without states', { id: 'm' }, 'states'],
    ['a name with a dot', { initial: 'a', states: { a: {}, 'b.c': {} } }, 'states.b.c'],
    ['a name that the language has taken', { initial: 'a', states: { a: {}, constructor: {} } }, 'states.constructor'],
    // delays and events
    ['a delay by name', withState({ after: { soon: 'b' } }), 'states.a.after.soon'],
    ['a delay with a fraction', withState({ after: { '1.5': 'b' } }), 'states.a.after.1.5'],
    ['a delay of more than a year', withState({ after: { '99999999999': 'b' } }), 'states.a.after.99999999999'],
    ['an event of the library’s own', withState({ on: { 'xstate.init': 'b' } }), 'states.a.on.xstate.init'],
    ['a wildcard in the middle', withState({ on: { 'a.*.b': 'b' } }), 'states.a.on.a.*.b'],
    // what is not known here
    ['an actor', withState({ invoke: { src: 'x' } }), 'states.a.invoke'],
    ['the guard of older versions', on({ target: 'b', cond: 'x' }), 'states.a.on.e.cond'],
    [
      'a policy that says nothing known',
      withState({ meta: { switchboard: { retries: 3 } } }),
      'states.a.meta.switchboard.retries',
    ],
    [
      'compensation by raising',
      withState({ meta: { switchboard: { compensate: { type: 'raise', params: {} } } } }),
      'states.a.meta.switchboard.compensate.type',
    ],
  ])('%s', (_, raw, path) => {
    const told = refused(raw)
    expect(told).toHaveLength(1)
    expect(told[0]).toMatch(new RegExp(`^${path.replaceAll(/[.*$]/g, '\\$&')}: .{10}`))
  })

  it('says what to do instead of what XState has and a workflow has not', () => {
    expect(refused(withState({ invoke: {} }))[0]).toContain('`send` them a message on entry')
  })

  it('tells everything that is wrong at once, but no more than twenty', () => {
    expect(refused(withState({ entry: 'x', exit: 'y', after: { z: 'b' } }))).toHaveLength(3)
    expect(refused(withState({ entry: Array(30).fill('x') }))).toHaveLength(20)
  })

  it.each([undefined, null, 1, 'text', []])('%j is no definition', (raw) => {
    expect(parseDefinition(raw).ok).toBe(false)
  })
})

describe('a definition', () => {
  const whole = {
    id: 'review',
    version: '2',
    description: 'all that XState has a word for',
    context: { rounds: 0 },
    guards: { again: { compare: ['state.rounds', 'lt', 'input.most'] } },
    initial: { target: 'draft', actions: { type: 'update', params: { patch: { by: { $from: 'input.by' } } } } },
    on: { abort: { target: '.gone', description: 'from anywhere' } },
    states: {
      draft: {
        tags: 'open',
        meta: { owner: 'ada', switchboard: { retry: { times: 2 }, fallback: 'bob', onExhausted: 'failed' } },
        entry: [{ type: 'send', params: { to: { $from: 'input.writer' }, type: 'draft.request', select: ['topic'] } }],
        after: { 60000: 'gone' },
        on: { 'draft.reply': [{ target: 'check', guard: { type: 'again' } }, 'gone'], '*': {} },
      },
      check: {
        type: 'parallel',
        states: {
          facts: { initial: 'open', states: { open: { on: { ok: 'good' } }, good: { type: 'final' } } },
          style: {
            initial: 'open',
            states: {
              open: { always: { target: 'good', guard: { stateIn: '#review.check.facts.good' } } },
              good: { type: 'final' },
            },
          },
          last: { type: 'history', history: 'deep' },
        },
        onDone: 'gone',
      },
      gone: { type: 'final', output: { rounds: { $from: 'state.rounds' } } },
    },
  }

  it('in all of XState’s forms is taken, and what it is read as is taken again as the same', () => {
    const definition = defined(whole)
    expect(defined(JSON.parse(JSON.stringify(definition)))).toEqual(definition)
  })

  it('keeps its states in the order in which they were written, because that order has a meaning', () => {
    expect(Object.keys(defined({ initial: 'z', states: { z: {}, a: {}, m: {} } }).states ?? {})).toEqual([
      'z',
      'a',
      'm',
    ])
  })
})
