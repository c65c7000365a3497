/** A workflow's steps, one by one: versions, people, time, events, errors of agents, and that each step is whole. */
import { describe, expect, it } from 'vitest'
import { whyClosed } from '../../shared/asker.ts'
import type { Definition } from '../../shared/chart-definition.ts'
import { limits } from '../../shared/limits.ts'
import type { Outgoing, OutgoingName } from '../../shared/outgoing.ts'
import { parseDefinition } from '../../shared/statechart.ts'
import { type Draft, draftOf, type Opening, opened, publicWorkflow, readWorkflow } from '../../shared/workflow.ts'
import { chased, dueAt, withChase } from '../../shared/workflow-due.ts'
import { type Arrival, answeredBefore, type Knowledge, receive } from '../../shared/workflow-events.ts'
import { type WorkflowStatus, workflowStatus, workflowTable } from '../../shared/workflow-status.ts'
import { begin, cancel, drain, pause, purge, resume, settle, tick } from '../../shared/workflow-step.ts'
import { write } from '../../shared/workflow-write.ts'

const permissions = { send: ['*'], publish: ['*'], subscribe: [], readState: [], writeState: [], sources: [] }
const opening: Opening = { id: 'w', by: 'ada', permissions, creation: 'c', state: { n: 1 }, keptMs: 1_000 }

function chartOf(raw: unknown): Definition {
  const parsed = parseDefinition(raw)
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.error))
  return parsed.value
}

/** Of this very workflow. */
const own = ({ record: { incarnation } }: Draft) => ({ incarnation })

const send = (to: string) => ({ type: 'send', params: { to, type: 'x' } })
const walk = chartOf({
  initial: 'a',
  states: {
    a: {
      on: {
        go: 'b',
        end: 'z',
        fail: { actions: { type: 'update', params: { operations: [{ op: 'increment', path: '/text' }] } } },
      },
    },
    b: {
      entry: send('bob'),
      after: { 100: 'late' },
      meta: { switchboard: { retry: { times: 1 }, fallback: 'cyd', onExhausted: 'failed' } },
    },
    late: { on: { go: 'a' } },
    z: { type: 'final', output: 1 },
  },
})

/** A workflow whose drafts are kept as its object keeps them. */
class Bench {
  draft: Draft
  readonly effects = new Map<number, Outgoing>()
  readonly known: Knowledge
  now = 1_000
  #n = 0

  constructor(chart: Definition | undefined, state: object = {}) {
    this.known = { chart, effectOf: (n) => this.effects.get(n) }
    this.draft = opened(
      { ...opening, state: { ...state }, ...(chart === undefined ? {} : { definition: {} }) },
      this.now,
    )
    begin(this.draft, this.known, this.now)
    this.#keep()
  }

  step<T>(work: (draft: Draft) => T): T {
    const before = this.draft
    this.draft = draftOf(
      readWorkflow(JSON.stringify(before.record)),
      JSON.parse(JSON.stringify(before.state)),
      before.budget,
    )
    const answer = work(this.draft)
    this.#keep()
    return answer
  }

  tell(type: string, more: Partial<Arrival> & { readonly about?: number; readonly data?: unknown } = {}) {
    const { about, data, ...rest } = more
    const happening = {
      type,
      by: 'bob',
      ...(about === undefined ? {} : { about }),
      ...(data === undefined ? {} : { data }),
    }
    this.#n += 1
    const arrival: Arrival = { happening, operation: { id: `o${this.#n}`, content: 'c' }, ...rest }
    return this.step((draft) => receive(draft, this.known, arrival, this.now))
  }

  #keep(): void {
    this.draft.record = withChase(this.draft.record, this.now)
    for (const effect of this.draft.effects) this.effects.set(effect.n, effect)
  }

  get kinds() {
    return this.draft.entries.map((e) => e.entry.kind)
  }
}

describe('a workflow', () => {
  it('begins at version 1, with one entry by its creator (W1)', () => {
    const { draft } = new Bench(undefined, { a: 1 })
    expect(draft.record.version).toBe(1)
    expect(draft.entries).toMatchObject([
      { entry: { n: 1, kind: 'created', version: 1, by: 'ada' }, difference: { fields: [] } },
    ])
  })

  it('whose statechart cannot begin has failed, and says why', () => {
    const loop = chartOf({
      initial: 'a',
      states: {
        a: { always: [{ guard: { exists: 'state.n' }, target: 'b' }] },
        b: { always: [{ guard: { exists: 'state.n' }, target: 'a' }] },
      },
    })
    const { draft } = new Bench(loop, { n: 1 })
    expect(draft.record).toMatchObject({ status: 'failed', version: 1, error: { code: 'microstep_limit' } })
  })

  it('may be asked by its creator, and by whoever is permitted', () => {
    const { record } = new Bench(undefined).draft
    const asked = [
      ['ada', false],
      ['bob', true],
      ['bob', false],
    ] as const
    const answers = asked.map(([source, permitted]) => whyClosed(record, { source, permitted }))
    expect(answers).toEqual([undefined, undefined, 'forbidden'])
    // Another agent of its creator's name, that was registered later, is not its creator.
    const since = [record.createdAt, record.createdAt + 1].map((at) => ({ source: 'ada', permitted: false, since: at }))
    expect(since.map((asker) => whyClosed(record, asker))).toEqual([undefined, 'forbidden'])
  })

  it('is meant by what it set off itself, and by nothing that another of its id did', () => {
    const { record } = new Bench(undefined).draft
    const { incarnation: _none, ...before } = record
    const by = (after: OutgoingName) => ({ source: 'bob', permitted: true, after })
    const own = { n: 1, incarnation: record.incarnation! }
    expect([whyClosed(record, by(own)), whyClosed(before, by({ n: 1 }))]).toEqual([undefined, undefined])
    for (const after of [{ n: 1 }, { n: 1, incarnation: 'other' }])
      expect(whyClosed(record, by(after)), JSON.stringify(after)).toBe('unknown')
    expect(whyClosed(before, by(own))).toBe('unknown')
  })

  it('shows neither its permissions nor the machine’s snapshot', () => {
    const shown = publicWorkflow(new Bench(walk).draft, 0)
    expect(Object.keys(shown)).not.toContain('permissions')
    expect(Object.keys(shown)).not.toContain('snapshot')
  })
})

describe('a write', () => {
  const asked = (version: number | 'any') => ({
    operation: { id: 'o', content: 'c' },
    by: 'bob',
    expectation: { version },
  })
  const change = { kind: 'merge' as const, patch: { n: 2 } }

  it('is the next version, and moves no statechart (W1)', () => {
    const bench = new Bench(walk)
    expect(bench.step((d) => write(d, change, asked(1), () => [], 2_000))).toEqual({
      status: 'written',
      version: 2,
      state: { n: 2 },
    })
    expect(bench.draft.record).toMatchObject({ version: 2, updatedBy: 'bob', updatedAt: 2_000, value: 'a' })
  })

  it('that is late changes nothing, not even the record (W2)', () => {
    const bench = new Bench(undefined)
    const before = bench.draft.record
    expect(bench.step((d) => write(d, change, asked(2), () => [], 2_000))).toMatchObject({
      status: 'stale',
      expected: 2,
      actual: 1,
    })
    expect([bench.draft.record, bench.draft.entries]).toEqual([before, []])
  })
})

describe('an event', () => {
  it('that is taken commits snapshot, effects, timers and history as one (W3)', () => {
    const bench = new Bench(walk)
    expect(bench.tell('go')).toEqual({ status: 'taken', version: 2, value: 'b', workflow: 'running' })
    const { record, entries, effects } = bench.draft
    expect(entries).toMatchObject([
      { entry: { n: 2, kind: 'transition', version: 2, by: 'bob', value: 'b', effects: [1] } },
    ])
    expect(effects).toMatchObject([{ n: 1, entry: 2, kind: 'send', message: { to: 'bob', type: 'x' } }])
    expect(record).toMatchObject({
      version: 2,
      value: 'b',
      open: 1,
      last: { entry: 2, effect: 1 },
      timers: [{ dueAt: 1_100 }],
    })
    expect(dueAt(record)).toBe(1_100)
  })

  it('that is not taken is recorded; asked for by name it is illegal, and leaves no trace (A20)', () => {
    const bench = new Bench(walk)
    expect(bench.tell('nothing')).toEqual({ status: 'ignored', version: 1, value: 'a', workflow: 'running' })
    expect(bench.kinds).toEqual(['ignored'])
    const before = bench.draft.record
    expect(bench.tell('nothing', { strict: true, mustTake: true })).toEqual({
      status: 'illegal',
      from: 'a',
      allowed: ['go', 'end', 'fail'],
    })
    expect([bench.kinds, bench.draft.record]).toEqual([[], before])
  })

  it('that makes an update impossible fails the workflow, never the object', () => {
    const bench = new Bench(walk, { text: 'x' })
    expect(bench.tell('fail')).toMatchObject({ status: 'taken', workflow: 'failed' })
    expect(bench.draft.record).toMatchObject({ status: 'failed', version: 1, error: { code: 'update_failed' } })
  })

  it('of the library’s own making is refused: it would be forged', () => {
    expect(new Bench(walk).tell('xstate.after.100.b')).toEqual({ status: 'reserved' })
  })

  it('after the end is ignored, or refused to whoever waits for the answer', () => {
    const bench = new Bench(walk)
    expect(bench.tell('end')).toMatchObject({ status: 'taken', workflow: 'completed' })
    expect(bench.draft.record).toMatchObject({ output: 1, endedAt: 1_000, timers: [] })
    expect(bench.tell('go')).toMatchObject({ status: 'ignored' })
    expect(bench.tell('go', { strict: true })).toEqual({ status: 'over', ended: 'completed' })
  })

  it('is answered a second time from the entry that it made', () => {
    const bench = new Bench(walk)
    const answer = bench.tell('go')
    const entry = bench.draft.entries[0]!.entry
    const arrival = { happening: { type: 'go', by: 'bob' }, operation: entry.operation! }
    expect(answeredBefore(entry, arrival)).toEqual({ ...answer, repeated: true })
    expect(answeredBefore(entry, { ...arrival, operation: { id: 'o1', content: 'other' } })).toEqual({
      status: 'conflict',
    })
  })

  it('beyond those that may wait is refused, until the workflow is resumed', () => {
    const bench = new Bench(walk)
    bench.step((d) => pause(d, 'ada', 'x', undefined, bench.now))
    bench.draft.record = { ...bench.draft.record, waiting: limits.deferredEvents }
    expect(bench.tell('go')).toEqual({ status: 'full' })
  })
})

describe('an agent that failed (A24)', () => {
  it('is asked again, then the fallback is, then the state’s policy decides', () => {
    const bench = new Bench(walk)
    bench.tell('go')
    const error = { data: { agent: 'bob', reason: 'terminal' } }
    bench.tell('agent_error', { about: 1, ...error })
    expect(bench.effects.get(2)).toMatchObject({
      message: { to: 'bob' },
      instead: 1,
      retried: 1,
      fellBack: false,
      entry: 3,
    })
    bench.tell('agent_error', { about: 2, ...error })
    expect(bench.effects.get(3)).toMatchObject({ message: { to: 'cyd' }, instead: 2, fellBack: true })
    expect(bench.kinds).toEqual(['remedy'])
    bench.tell('agent_error', { about: 3, data: { agent: 'cyd', reason: 'terminal', delivery: 'd' } })
    expect(bench.draft.record).toMatchObject({
      status: 'failed',
      error: { code: 'agent_error', detail: 'agent_error of cyd: terminal (d)' },
    })
  })

  it('whose state was left meanwhile moves nothing', () => {
    const bench = new Bench(walk)
    bench.tell('go')
    bench.now += 200
    bench.step((d) => tick(d, bench.known, [], bench.now))
    expect(bench.tell('agent_error', { about: 1 })).toMatchObject({ status: 'ignored', value: 'late' })
  })

  it('is not asked again when the message itself was refused: that would be refused again', () => {
    const bench = new Bench(walk)
    bench.tell('go')
    const refused = { status: 'refused' as const, reason: 'agent_not_found', detail: 'x' }
    bench.step((d) => settle(d, bench.known, { ...own(d), effects: [{ n: 1, state: refused }] }, bench.now))
    expect(bench.effects.get(1)?.state).toEqual(refused)
    expect(bench.effects.get(2)).toMatchObject({ message: { to: 'cyd' }, fellBack: true })
    expect(bench.draft.record.open).toBe(1)
  })
})

describe('time', () => {
  it('fires a timer late rather than early, once', () => {
    const bench = new Bench(walk)
    bench.tell('go')
    bench.now = 1_099
    bench.step((d) => tick(d, bench.known, [], bench.now))
    expect(bench.draft.record.value).toBe('b')
    bench.now = 1_500
    bench.step((d) => tick(d, bench.known, [], bench.now))
    expect(bench.draft.record).toMatchObject({ value: 'late', version: 3, timers: [], updatedBy: 'timer' })
  })

  it('lets a paused one wait, and what waited has its turn before the timers that became due', () => {
    const bench = new Bench(walk)
    bench.tell('go')
    bench.step((d) => pause(d, 'ada', 'x', 1_000, bench.now))
    expect(bench.tell('agent_error', { about: 1 })).toEqual({ status: 'deferred' })
    const [waiting] = bench.draft.deferred
    bench.now += 500
    bench.step((d) => tick(d, bench.known, [waiting!], bench.now))
    expect(bench.draft.record).toMatchObject({ status: 'paused', value: 'b', waiting: 1 })
    bench.now += 500
    bench.step((d) => tick(d, bench.known, [waiting!], bench.now))
    expect(bench.kinds).toEqual(['resumed', 'remedy', 'transition'])
    expect(bench.draft).toMatchObject({ record: { status: 'running', value: 'late', waiting: 0 }, drainedTo: 1 })
  })

  it('asks for what it owes at growing pauses, and steps in between do not put that off (M6)', () => {
    const bench = new Bench(walk)
    bench.tell('go')
    const { chaseAt } = bench.draft.record
    expect(chaseAt).toBe(6_000)
    bench.now = 5_000
    bench.tell('nothing')
    expect(bench.draft.record.chaseAt).toBe(6_000)
    expect([6_000, 61_000, 3_600_000].map((now) => chased(bench.draft.record, now).chaseAt! - now)).toEqual([
      5_000, 30_000, 300_000,
    ])
  })

  it('forgets an ended one only when the index has let go of it', () => {
    const bench = new Bench(undefined)
    bench.step((d) => settle(d, bench.known, { ...own(d), effects: [], listed: 'running' }, bench.now))
    expect(dueAt(bench.draft.record)).toBeUndefined()
    bench.step((d) => cancel(d, 'ada', 'x', bench.now))
    bench.step((d) => settle(d, bench.known, { ...own(d), effects: [], listed: 'cancelled' }, bench.now))
    expect(dueAt(bench.draft.record)).toBe(2_000)
    bench.now = 2_000
    expect(bench.step((d) => tick(d, bench.known, [], bench.now))).toBe(true)
    expect(bench.draft.record.forgetting).toBe(true)
    expect(dueAt(bench.draft.record)).toBeGreaterThan(2_000)
  })
})

describe('a loop that nobody bounded', () => {
  it('pauses when it has sent too much, and goes on as far again when a person lets it', () => {
    const ping = chartOf({
      initial: 'a',
      states: { a: { entry: send('bob'), on: { again: { target: 'a', reenter: true } } } },
    })
    const bench = new Bench(ping)
    bench.draft.record = { ...bench.draft.record, effectsUntil: 2 }
    bench.tell('again')
    expect(bench.draft.record.status).toBe('running')
    bench.tell('again')
    expect(bench.draft.record).toMatchObject({ status: 'paused', last: { effect: 3 } })
    bench.step((d) => resume(d, 'ada', bench.now))
    expect(bench.draft.record).toMatchObject({ status: 'running', effectsUntil: 3 + limits.workflowEffects })
  })
})

describe('the table of statuses', () => {
  const inStatus = (status: WorkflowStatus): Bench => {
    const bench = new Bench(walk)
    if (status === 'paused') bench.step((d) => pause(d, 'ada', 'x', undefined, bench.now))
    if (status === 'cancelled') bench.step((d) => cancel(d, 'ada', 'x', bench.now))
    if (status === 'completed') bench.tell('end')
    if (status === 'failed') {
      bench.draft.state = { text: 'x' }
      bench.tell('fail')
    }
    expect(bench.draft.record.status).toBe(status)
    return bench
  }
  const ways: Readonly<Record<string, readonly ((bench: Bench) => unknown)[]>> = {
    event: [
      (b) => b.tell('go'),
      (b) => b.tell('end'),
      (b) => {
        b.draft.state = { text: 'x' }
        return b.tell('fail')
      },
      (b) => {
        b.draft.record = { ...b.draft.record, effectsUntil: 0 }
        return b.tell('go')
      },
    ],
    timer: [(b) => b.step((d) => tick(d, b.known, [], b.now + 1_000_000))],
    write: [
      (b) =>
        b.step((d) =>
          write(
            d,
            { kind: 'merge', patch: {} },
            { operation: { id: 'x', content: 'c' }, by: 'a', expectation: { version: 'any' } },
            () => [],
            1,
          ),
        ),
    ],
    pause: [(b) => b.step((d) => pause(d, 'ada', 'x', undefined, b.now))],
    resume: [
      (b) => b.step((d) => resume(d, 'ada', b.now)),
      ...['end', 'fail', 'go'].map((type) => (b: Bench) => {
        if (b.draft.record.status === 'paused') b.tell(type)
        const deferred = b.draft.deferred
        if (type === 'fail') b.draft.state = { text: 'x' }
        if (type === 'go') b.draft.record = { ...b.draft.record, effectsUntil: -limits.workflowEffects }
        return b.step((d) => {
          if (resume(d, 'ada', b.now).status === 'moved') drain(d, b.known, deferred, b.now)
        })
      }),
    ],
    cancel: [(b) => b.step((d) => cancel(d, 'ada', 'x', b.now))],
  }

  it('tells every way that there is, and no other', () => {
    for (const status of workflowStatus.options)
      for (const [event, tries] of Object.entries(ways)) {
        const row = workflowTable[status] as Readonly<Record<string, readonly WorkflowStatus[]>>
        for (const attempt of tries) {
          const bench = inStatus(status)
          attempt(bench)
          expect(row[event], `${status}, ${event}`).toContain(bench.draft.record.status)
        }
      }
  })

  it('purges only what has ended', () => {
    for (const status of workflowStatus.options) {
      const over = status !== 'running' && status !== 'paused'
      expect(inStatus(status).step(purge).status).toBe(over ? 'purged' : 'live')
    }
  })
})
