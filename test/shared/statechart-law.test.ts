/**
 * The law of statecharts: a chart that is stored as JSON after every step and read again, with its delays in a table of our own,
 * does what XState's own actor does with the same JSON: the same values, the same state, the same messages in the same order.
 * Never here: what that is (test/shared/statechart.test.ts).
 */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { assign, cancel, createActor, createMachine, enqueueActions, not, stateIn } from 'xstate'
import type { ChartStep } from '../../shared/chart-step.ts'
import type { ChartEvent } from '../../shared/chart-values.ts'
import { limits } from '../../shared/limits.ts'
import { parseDefinition, startChart, stepChart } from '../../shared/statechart.ts'
import { anyChart, type Happening, happenings, type Json } from './chart-arbitraries.ts'

const input = { most: 6 }

/** What can be seen of a chart from outside. */
interface Seen {
  readonly status: string
  readonly value?: unknown
  readonly n?: unknown
  readonly output?: unknown
  readonly sent: readonly unknown[]
}

interface Subject {
  readonly send: (event: ChartEvent) => void
  readonly wait: (ms: number) => void
  readonly seen: () => Seen
}

/** Fires what is due one by one, in the order of its time and then of its beginning. */
class Timetable<T> {
  now = 0
  #begun = 0
  readonly due = new Map<unknown, { readonly at: number; readonly begun: number; readonly what: T }>()

  begin(id: unknown, afterMs: number, what: T): void {
    this.#begun += 1
    this.due.set(id, { at: this.now + afterMs, begun: this.#begun, what })
  }

  wait(ms: number, fire: (what: T) => void): void {
    const until = this.now + ms
    for (;;) {
      const [next] = [...this.due]
        .filter(([, { at }]) => at <= until)
        .sort(([, a], [, b]) => a.at - b.at || a.begun - b.begun)
      if (next === undefined) break
      this.due.delete(next[0])
      this.now = next[1].at
      fire(next[1].what)
    }
    this.now = until
  }
}

/** XState's own actor, with the very JSON and the actions and guards written by hand. */
function theirs(chart: Json): Subject {
  const sent: unknown[] = []
  const clock = new Timetable<() => void>()
  type Given = { readonly context: { state: { n: number } }; readonly event: ChartEvent }
  const implementations = {
    guards: {
      few: ({ context }: Given) => context.state.n < 4,
      flagged: ({ event }: Given) => (event['data'] as Json | undefined)?.['flag'] === true,
      elsewhere: not(stateIn('#m.a')),
      odd: ({ context }: Given) => [1, 3, 5, 7].includes(context.state.n) || context.state.n > input.most,
    },
    actions: {
      send: ({ context }: Given, params: Json) => sent.push([params['type'], context.state.n]),
      update: assign(({ context }: never) => ({ state: { n: (context as Given['context']).state.n + 1 } })),
      raise: enqueueActions(({ enqueue }, params: { event: ChartEvent; delay?: number; id?: string }) => {
        const { event, ...options } = params
        // Ours takes the place of one under the same id; XState would forget the older one and fire it all the same.
        if (params.id !== undefined) enqueue.cancel(params.id)
        enqueue.raise(event as never, options as never)
      }),
      cancel: cancel(((_: unknown, params: { id: string }) => params.id) as never),
    },
  }
  const config = {
    ...chart,
    context: { state: { n: 0 } },
    output: ({ event }: Given) => event['output'],
    options: { maxIterations: limits.chartMicrosteps },
  }
  const actor = createActor(createMachine(config as never, implementations as never), {
    clock: {
      setTimeout: (fire, ms) => {
        const id = Symbol()
        clock.begin(id, ms, fire)
        return id
      },
      clearTimeout: (id) => clock.due.delete(id),
    },
  })
  actor.subscribe({ error: () => {} })
  actor.start()
  const isOver = () => actor.getSnapshot().status !== 'active'
  return {
    send: (event) => {
      if (!isOver()) actor.send(event as never)
    },
    wait: (ms) => clock.wait(ms, (fire) => fire()),
    seen: () => {
      const snapshot = actor.getSnapshot() as unknown as Json & Given
      if (snapshot['status'] === 'error') return { status: 'error', sent: [] }
      const { status, value, output } = snapshot
      return { status: String(status), value, n: snapshot.context.state.n, output, sent }
    },
  }
}

/** Ours: nothing is kept between two steps but what went through JSON. */
function ours(chart: Json): Subject | undefined {
  const parsed = parseDefinition(structuredClone(chart))
  if (!parsed.ok) return undefined
  const sent: unknown[] = []
  const table = new Timetable<string>()
  let kept = '' // { snapshot, state }, or the word `error`
  const take = (step: ReturnType<typeof startChart>) => {
    kept = step.ok ? JSON.stringify({ snapshot: step.value.snapshot, state: step.value.state }) : 'error'
    if (step.ok) keep(step.value)
    else table.due.clear()
  }
  const keep = ({ timers, effects }: ChartStep) => {
    for (const id of timers.cancel) table.due.delete(id)
    for (const { id, afterMs, event } of timers.start) table.begin(id, afterMs, JSON.stringify(event))
    for (const { params } of effects) sent.push([params['type'], (params['data'] as Json)['n']])
  }
  const send = (event: ChartEvent) => {
    if (kept === 'error') return
    const { snapshot, state } = JSON.parse(kept)
    // Another copy of the definition, so that nothing that a machine remembers can help.
    const definition = structuredClone(parsed.value)
    if (snapshot.status === 'active') take(stepChart(definition, snapshot, event, { state, input }))
  }
  take(startChart(parsed.value, { state: { n: 0 }, input }))
  return {
    send,
    wait: (ms) => table.wait(ms, (event) => send(JSON.parse(event))),
    seen: () => {
      if (kept === 'error') return { status: 'error', sent: [] }
      const { snapshot, state } = JSON.parse(kept)
      return { status: snapshot.status, value: snapshot.value, n: state.n, output: snapshot.output, sent }
    },
  }
}

function happen(subject: Subject, happening: Happening): void {
  if (happening.do === 'event') subject.send(happening.event)
  else subject.wait(happening.ms)
}

describe('a chart that goes through JSON after every step', () => {
  it("does what XState's own actor does, whatever the chart and whatever happens to it", () => {
    const came = { toAnEnd: 0, toTheLimit: 0 }
    fc.assert(
      fc.property(anyChart, happenings, (chart, story) => {
        const mine = ours(chart)
        fc.pre(mine !== undefined)
        if (mine === undefined) return
        const other = theirs(chart)
        expect(mine.seen()).toEqual(other.seen())
        for (const happening of story) {
          happen(mine, happening)
          happen(other, happening)
          expect(mine.seen()).toEqual(other.seen())
        }
        const { status } = mine.seen()
        if (status === 'done') came.toAnEnd += 1
        if (status === 'error') came.toTheLimit += 1
      }),
      { numRuns: 100 },
    )
    // A law that only ever saw charts which stand still would say nothing.
    expect(came.toAnEnd).toBeGreaterThan(0)
    expect(came.toTheLimit).toBeGreaterThan(0)
  })
})
