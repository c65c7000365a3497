/**
 * Statecharts, worked through by hand against the algorithm of SCXML (W3C, 2015): who exits and enters in what order, whose
 * transition wins, what history remembers. Never here: random charts (test/shared/statechart-law.test.ts), bounds
 * (test/shared/statechart-bounds.test.ts).
 */
import { describe, expect, it } from 'vitest'
import { isReservedEvent } from '../../shared/chart-definition.ts'
import { allowedEvents, startChart, stepChart } from '../../shared/statechart.ts'
import { defined, end, fault, raise, said, say, walk } from './chart-fixtures.ts'

describe('the order of things', () => {
  const nested = {
    initial: 'a',
    states: {
      a: {
        entry: say('in a'),
        exit: say('out a'),
        initial: 'a1',
        states: {
          a1: { entry: say('in a1'), exit: say('out a1'), on: { go: { target: '#b2', actions: say('going') } } },
        },
      },
      b: {
        entry: say('in b'),
        exit: say('out b'),
        initial: 'b1',
        states: { b1: { entry: say('in b1') }, b2: { id: 'b2', entry: say('in b2') } },
      },
    },
  }

  it('enters from the outside in', () => {
    expect(said(end(nested))).toEqual(['in a', 'in a1'])
  })

  it('exits from the inside out, then acts, then enters from the outside in', () => {
    const step = end(nested, ['go'])
    expect(said(step)).toEqual(['out a1', 'out a', 'going', 'in b', 'in b2'])
    expect(step.value).toEqual({ b: 'b2' })
  })

  it('runs the actions of `initial` after the entry of its state and before that of the child', () => {
    const chart = {
      initial: { target: 'a', actions: say('first') },
      entry: say('in root'),
      states: { a: { entry: say('in a') } },
    }
    expect(said(end(chart))).toEqual(['in root', 'first', 'in a'])
  })

  it('exits parallel regions in reverse document order and enters them in document order', () => {
    const region = (name: string) => ({ entry: say(`in ${name}`), exit: say(`out ${name}`) })
    const chart = {
      initial: 'p',
      states: {
        p: { type: 'parallel', states: { x: region('x'), y: region('y') }, on: { stop: 'z' } },
        z: {},
      },
    }
    const [start, stopped] = walk(chart, ['stop'])
    expect(said(start!)).toEqual(['in x', 'in y'])
    expect(said(stopped!)).toEqual(['out y', 'out x'])
  })

  it('hears raised events in the order in which they were raised, after every `always` and before the next step', () => {
    const chart = {
      initial: 'a',
      states: {
        a: { on: { go: { target: 'b', actions: [raise('one'), raise('two')] } } },
        b: { always: { target: 'c', actions: say('always') } },
        c: { on: { one: { actions: say('one') }, two: { actions: say('two') } } },
      },
    }
    expect(said(end(chart, ['go']))).toEqual(['always', 'one', 'two'])
  })

  it('takes regions in document order, after a reload as before it', () => {
    const isGo = { eq: ['event.type', 'go'] }
    const once = { type: 'update', params: { patch: { once: true } } }
    const chart = {
      type: 'parallel',
      states: {
        deep: { initial: 'x', states: { x: { always: { target: 'y', guard: isGo, actions: say('deep') } }, y: {} } },
        flat: { always: { guard: { and: [isGo, { not: { exists: 'state.once' } }] }, actions: [say('flat'), once] } },
      },
    }
    expect(said(end(chart, ['go']))).toEqual(['deep', 'flat'])
  })
})

describe('whose transition is taken', () => {
  const chart = (inner: unknown, outer: unknown) => ({
    initial: 'p',
    states: { p: { initial: 'c', on: { e: outer }, states: { c: { on: { e: inner } }, d: {} } }, q: {}, r: {} },
  })

  it("the child's, when the parent has one too", () => {
    expect(end(chart('#(machine).r', 'q'), ['e']).value).toBe('r')
  })

  it("the parent's, when the child's guard does not let it", () => {
    const inner = { target: '#(machine).r', guard: { eq: ['event.data', 1] } }
    expect(end(chart(inner, 'q'), [{ type: 'e', data: 2 }]).value).toBe('q')
  })

  it('nobody’s, when the child forbids it', () => {
    const step = end(chart({}, 'q'), ['e'])
    expect(step).toMatchObject({ value: { p: 'c' }, taken: false, path: [] })
  })

  it('of several with guards the first in order that holds, and no other', () => {
    const two = [
      { target: 'q', guard: { range: ['state.n', { gt: 5 }] } },
      { target: 'r', guard: { range: ['state.n', { gt: 1 }] } },
      { target: 'p' },
    ]
    const chart = { initial: 'p', states: { p: { on: { e: two } }, q: {}, r: {} } }
    expect([9, 3, 0].map((n) => end(chart, ['e'], { state: { n } }).value)).toEqual(['q', 'r', 'p'])
  })

  it('in parallel regions one of each, unless they exit the same states: then the first', () => {
    const region = (target: string) => ({ initial: '1', states: { 1: { on: { e: '2', leave: target } }, 2: {} } })
    const both = {
      initial: 'p',
      states: { p: { type: 'parallel', states: { x: region('#q'), y: region('#r') } }, q: { id: 'q' }, r: { id: 'r' } },
    }
    expect(end(both, ['e']).value).toEqual({ p: { x: '2', y: '2' } })
    expect(end(both, ['leave']).value).toBe('q')
  })

  it('an exact name before `name.*`, and that before `*`', () => {
    const on = {
      'job.done': { actions: say('exact') },
      'job.*': { actions: say('some') },
      '*': { actions: say('any') },
    }
    const chart = { initial: 'a', states: { a: { on } } }
    expect(['job.done', 'job.failed', 'other'].map((e) => said(end(chart, [e])))).toEqual([
      ['exact'],
      ['some'],
      ['any'],
    ])
  })

  it('an internal one leaves its state as it is; with `reenter` it exits and enters', () => {
    const chart = (reenter: boolean) => ({
      initial: 'p',
      states: {
        p: {
          entry: say('in p'),
          exit: say('out p'),
          on: { e: { target: '.d', reenter } },
          initial: 'c',
          states: { c: {}, d: {} },
        },
      },
    })
    expect(said(end(chart(false), ['e']))).toEqual([])
    expect(said(end(chart(true), ['e']))).toEqual(['out p', 'in p'])
  })
})

describe('history', () => {
  const chart = (history: 'shallow' | 'deep') => ({
    initial: 'work',
    states: {
      work: {
        initial: 'a',
        on: { pause: 'rest' },
        states: {
          a: { on: { next: 'b' } },
          b: { initial: 'b1', states: { b1: { on: { next: 'b2' } }, b2: {} } },
          back: { type: 'history', history, target: 'a' },
        },
      },
      rest: { on: { resume: 'work.back' } },
    },
  })

  it('shallow remembers the child, and enters it from its beginning', () => {
    expect(end(chart('shallow'), ['next', 'next', 'pause', 'resume']).value).toEqual({ work: { b: 'b1' } })
  })

  it('deep remembers all the way down, through JSON', () => {
    expect(end(chart('deep'), ['next', 'next', 'pause', 'resume']).value).toEqual({ work: { b: 'b2' } })
  })

  it('goes to its own target as long as there is none', () => {
    const never = { ...chart('deep'), initial: 'rest' }
    expect(end(never, ['resume']).value).toEqual({ work: 'a' })
  })

  it('entered from within its own parent, beside a region that moves, leaves a chart that goes on', () => {
    // Found by the law of statecharts: XState loses `one`, and what was stored could not be gone on with.
    const beside = {
      type: 'parallel',
      states: {
        one: {
          initial: 'a',
          on: { out: { actions: [say('out')] } },
          states: { a: { on: { again: 'back' } }, back: { type: 'history', target: 'a' } },
        },
        two: { on: { again: '#m.three' } },
        three: {},
      },
    }
    const steps = walk({ id: 'm', ...beside }, ['again', 'again', 'out'])
    expect(steps.map(({ value }) => value)).toEqual(steps.map(() => ({ one: 'a', two: {}, three: {} })))
    expect(said(steps.at(-1)!)).toEqual(['out'])
  })

  it('entered from within its own parent begins a delay anew, once', () => {
    const again = {
      id: 'm',
      initial: 'a',
      states: {
        a: {
          initial: 'a',
          states: { a: { on: { again: 'back' }, after: { 5: '#m.a' } }, back: { type: 'history', target: 'a' } },
        },
      },
    }
    const { timers } = end(again, ['again'])
    expect(timers.start).toMatchObject([{ id: 'xstate.after.5.m.a.a', afterMs: 5 }])
  })
})

describe('what is final', () => {
  it('a parallel state is done when all its regions are, and then takes `onDone` (A26)', () => {
    const region = (event: string) => ({
      initial: 'on',
      states: { on: { on: { [event]: 'off' } }, off: { type: 'final' } },
    })
    const chart = {
      initial: 'p',
      states: { p: { type: 'parallel', states: { x: region('x'), y: region('y') }, onDone: 'after' }, after: {} },
    }
    const [, one, both] = walk(chart, ['x', 'y'])
    expect(one!.value).toEqual({ p: { x: 'off', y: 'on' } })
    expect(both!.value).toBe('after')
    expect(both!.path.map(({ event }) => event)).toEqual(['y', 'xstate.done.state.(machine).p'])
  })

  it("hands a final state's output to `onDone`, and the last one's out of the chart", () => {
    const chart = {
      initial: 'job',
      states: {
        job: {
          initial: 'run',
          states: {
            run: { on: { end: 'over' } },
            over: { type: 'final', output: { report: { $from: 'event.data.report' } } },
          },
          onDone: {
            target: 'all',
            actions: { type: 'update', params: { patch: { kept: { $from: 'event.output.report' } } } },
          },
        },
        all: { type: 'final', output: { of: { $from: 'state.kept' } } },
      },
    }
    const step = end(chart, [{ type: 'end', data: { report: 'R' } }])
    expect(step).toMatchObject({ status: 'done', output: { of: 'R' }, state: { kept: 'R' } })
    expect(step.snapshot).toMatchObject({ status: 'done', output: { of: 'R' } })
  })

  it("the chart's own `output` wins over the last state's", () => {
    const chart = {
      initial: 'a',
      output: { whole: { $from: 'event.output' } },
      states: { a: { type: 'final', output: 1 } },
    }
    expect(end(chart).output).toEqual({ whole: 1 })
  })

  it('takes no event any more', () => {
    expect(fault({ initial: 'a', states: { a: { type: 'final' } } }, 'e')).toEqual({
      code: 'not_active',
      status: 'done',
    })
  })
})

describe('delays (A26)', () => {
  const chart = {
    id: 'job',
    initial: 'a',
    states: {
      a: {
        after: { 1000: 'late', 50: { actions: say('soon') } },
        on: { go: 'b', again: { target: 'a', reenter: true } },
      },
      b: {},
      late: {},
    },
  }
  const id = 'xstate.after.1000.job.a'

  it('start with their state, under an id that is always the same', () => {
    expect(end(chart).timers).toEqual({
      start: [
        { id: 'xstate.after.50.job.a', afterMs: 50, event: { type: 'xstate.after.50.job.a' } },
        { id, afterMs: 1_000, event: { type: id } },
      ],
      cancel: [],
    })
  })

  it('come back as the event that they gave, and are cancelled by the step that leaves', () => {
    const step = end(chart, [{ type: id }])
    expect(step).toMatchObject({ value: 'late', taken: true })
    expect(step.timers.cancel).toContain(id)
  })

  it('are cancelled when their state is left, and begin anew when it is entered again', () => {
    expect(end(chart, ['go']).timers).toMatchObject({ start: [], cancel: expect.arrayContaining([id]) })
    expect(end(chart, ['again']).timers.start.map((timer) => timer.id)).toContain(id)
  })

  it('change nothing when their state was left meanwhile, even where `*` would be heard', () => {
    const wild = { ...chart, on: { '*': { actions: say('any') } } }
    const [, left, fired] = walk(wild, ['go', { type: id }])
    expect(fired).toMatchObject({ taken: false, path: [], effects: [], value: 'b' })
    expect(fired!.snapshot).toEqual(left!.snapshot)
  })

  it('a raised event with a delay waits under its id, and `cancel` takes it back', () => {
    const delayed = {
      type: 'raise',
      params: { event: { type: 'ring', data: { n: { $from: 'state.n' } } }, delay: 500, id: 'bell' },
    }
    const bell = {
      initial: 'a',
      states: {
        a: { on: { wind: { actions: delayed }, stop: { actions: { type: 'cancel', params: { id: 'bell' } } } } },
      },
    }
    const [, wound, stopped] = walk(bell, ['wind', 'stop'], { state: { n: 7 } })
    expect(wound!.timers.start).toEqual([{ id: 'bell', afterMs: 500, event: { type: 'ring', data: { n: 7 } } }])
    expect(stopped!.timers).toEqual({ start: [], cancel: ['bell'] })
  })

  it('are gone when the chart is done', () => {
    const ends = {
      initial: 'a',
      states: {
        a: { after: { 10: 'b' }, on: { go: 'b' } },
        b: { type: 'final', entry: { type: 'raise', params: { event: { type: 'x' }, delay: 1, id: 'x' } } },
      },
    }
    expect(end(ends, ['go']).timers).toEqual({ start: [], cancel: ['xstate.after.10.(machine).a', 'x'] })
  })
})

describe('what is told of a step', () => {
  const job = {
    initial: 'pending',
    states: {
      pending: { entry: say('work'), on: { 'work.reply': 'complete' } },
      complete: { always: 'next' },
      next: { entry: say('more') },
    },
  }

  it('every state on the way, transient ones too (A41)', () => {
    const [start, step] = walk(job, ['work.reply'])
    expect(start!.path).toEqual([{ from: null, to: 'pending', event: 'xstate.init' }])
    expect(step!.path).toEqual([
      { from: 'pending', to: 'complete', event: 'work.reply' },
      { from: 'complete', to: 'next', event: '' },
    ])
  })

  it('a start that does not stay where it begins', () => {
    const eager = { ...job, initial: 'complete' }
    expect(end(eager).path).toEqual([
      { from: null, to: 'complete', event: 'xstate.init' },
      { from: 'complete', to: 'next', event: '' },
    ])
    expect(said(end(eager))).toEqual(['more'])
  })

  it('whether the event was taken, and where one would have been (A20)', () => {
    const step = end(job, ['unheard'])
    expect(step).toMatchObject({ taken: false, path: [], effects: [] })
    expect(allowedEvents(defined(job), step.snapshot)).toEqual(['work.reply'])
  })

  it('the move of an `always` whose guard holds by now, although the event itself was not taken', () => {
    const definition = defined({
      initial: 'a',
      states: { a: { always: { target: 'b', guard: { exists: 'state.ready' } } }, b: {} },
    })
    const start = startChart(definition, { state: {}, input: null })
    const snapshot = start.ok ? start.value.snapshot : undefined
    const step = stepChart(definition, snapshot, { type: 'any' }, { state: { ready: true }, input: null })
    expect(step).toMatchObject({
      ok: true,
      value: { taken: false, value: 'b', path: [{ from: 'a', to: 'b', event: '' }] },
    })
  })

  it('whose message it is: the state that enters with it, or the one that the transition leads to', () => {
    const chart = {
      id: 'm',
      initial: 'a',
      states: {
        a: {
          entry: say('1'),
          exit: say('2'),
          on: { go: { target: 'b', actions: say('3') }, stay: { actions: say('4') } },
        },
        b: {},
      },
    }
    const origins = (step: ReturnType<typeof end>) =>
      step.effects.map(({ params, origin }) => `${params['type']} ${origin}`)
    expect(walk(chart, ['stay', 'go']).map(origins)).toEqual([['1 m.a'], ['4 m.a'], ['2 m.a', '3 m.b']])
  })
})

describe('values', () => {
  it('come from the event, the state as it is by then, and the input; what is absent is left out', () => {
    const params = {
      to: { $from: 'input.agent' },
      type: 'go',
      data: {
        n: { $from: '/state/n' },
        absent: { $from: 'state.none' },
        or: { $from: 'state.none', default: 0 },
        list: [{ $from: 'event.x' }],
        as: { $literal: { $from: 'x' } },
      },
    }
    const update = {
      type: 'update',
      params: { operations: [{ op: 'increment', path: '/n', by: { $from: 'event.by' } }] },
    }
    const chart = {
      context: { n: 1, other: true },
      initial: 'a',
      states: { a: { on: { e: { actions: [update, { type: 'send', params }] } } } },
    }
    const step = end(chart, [{ type: 'e', by: 4 }], { state: { n: 2 }, input: { agent: 'ada' } })
    expect(step.state).toEqual({ n: 6, other: true })
    expect(step.effects[0]!.params).toEqual({
      to: 'ada',
      type: 'go',
      data: { n: 6, or: 0, list: [null], as: { $from: 'x' } },
    })
  })

  it('an `update` that cannot be made fails the step and names its state', () => {
    const update = { type: 'update', params: { operations: [{ op: 'increment', path: '/n' }] } }
    const chart = { id: 'm', initial: 'a', states: { a: { on: { e: { actions: update } } } } }
    expect(fault(chart, 'e', { n: 'text' })).toEqual({
      code: 'update_failed',
      origin: 'm.a',
      detail: 'what is there is no number',
    })
  })
})

describe('what is not believed', () => {
  const chart = { id: 'm', initial: 'a', states: { a: { onDone: 'b', initial: 'c', states: { c: {} } }, b: {} } }

  it.each(['xstate.done.state.m.a', 'xstate.init', 'xstate.stop', 'xstate.error.actor.x', 'xstate.after.1.m.a', '*'])(
    '%s, an event of the library’s own making',
    (type) => {
      expect(isReservedEvent(type)).toBe(true)
      expect(fault(chart, type)).toEqual({ code: 'reserved_event', type })
    },
  )

  it.each([
    ['nothing', undefined],
    ['a snapshot of another definition', { v: 1, status: 'active', value: 'q', active: ['m', 'm.q'], history: {} }],
    [
      'active states that are not those of the value',
      { v: 1, status: 'active', value: 'b', active: ['m', 'm.a'], history: {} },
    ],
  ])('%s, in place of a snapshot', (_, snapshot) => {
    const step = stepChart(defined(chart), snapshot, { type: 'e' }, { state: {}, input: null })
    expect(step).toMatchObject({ ok: false, error: { code: 'snapshot_mismatch' } })
  })
})
