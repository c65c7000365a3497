/**
 * Crash test of workflows on real workerd: the process is killed on the way from one agent to the next, and started again on the
 * same storage. Every step is taken once, each message is sent once, and the workflow completes by itself.
 * Never here: simulated crashes (test/simulator/workflows.test.ts), which are many more.
 */
import { beforeAll, describe, expect, it } from 'vitest'
import { type WorkflowPoint, workflowPoints } from './crash-points.ts'
import { crashWorker, Run } from './crash-run.ts'
import type { Bundle } from './host.ts'

let worker: Bundle
beforeAll(async () => {
  worker = await crashWorker()
})

const ask = { type: 'send', params: { to: 'alpha', type: 'crash.work', data: { fate: 'do' } } }
const count = { type: 'update', params: { operations: [{ op: 'increment', path: '/answers' }] } }
const definition = {
  initial: 'first',
  states: {
    first: { entry: ask, on: { 'crash.work.reply': { target: 'second', actions: count } } },
    second: { entry: ask, on: { 'crash.work.reply': { target: 'done', actions: count } }, after: { 600000: 'late' } },
    done: { type: 'final' },
    late: { type: 'final' },
  },
}

interface Told {
  readonly status: string
  readonly version: number
  readonly value: string
  readonly state: { readonly answers: number }
}
interface Entry {
  readonly kind: string
  readonly version: number
  readonly effects?: readonly number[]
}
interface Receipt {
  readonly status: string
  readonly message: { readonly id: string }
}

/** Which of a point's calls kills: the first step, or the one from one agent to the next. */
const deaths: readonly (readonly [WorkflowPoint, number])[] = [
  ['workflow.created', 1],
  ['perform.before', 1],
  ['perform.before', 2],
  ['perform.after', 1],
  ['perform.after', 2],
  ['receive.before', 1],
  ['receive.after', 1],
  ['receive.after', 2],
]

describe('SIGKILL on the way of a workflow', () => {
  for (const [point, nth] of deaths)
    it(`${point}, the ${nth}. time: ${workflowPoints[point]}; after a restart it completes, each step once (W1, W3, M1, M2, E1)`, async () => {
      const run = await Run.start(worker, { point, nth })
      try {
        const created = run.ask('POST', '/v1/workflows', { id: 'crash', definition, state: { answers: 0 } })
        await run.killed()
        await run.startHost()
        expect((await created).status).toBeGreaterThanOrEqual(200)
        expect(await run.until<Told>('/v1/workflows/crash', (told) => told.status !== 'running')).toMatchObject({
          status: 'completed',
          version: 3,
          value: 'done',
          state: { answers: 2 },
        })
        const { items: entries } = await run.read<{ items: Entry[] }>('/v1/workflows/crash/history')
        expect(entries.map((e) => [e.kind, e.version, e.effects])).toEqual([
          ['created', 1, [1]],
          ['transition', 2, [2]],
          ['transition', 3, undefined],
        ])
        const { items: mail } = await run.read<{ items: Receipt[] }>('/v1/agents/alpha/deliveries')
        // One creation, whatever was repeated: its messages are numbered, and named after it.
        const named = mail.map((r) => [r.message.id.split('-'), r.status] as const)
        expect(new Set(named.map(([[workflow, creation]]) => `${workflow} ${creation}`)).size).toBe(1)
        expect(named.map(([[workflow, , n], status]) => [`${workflow}-${n}`, status]).sort()).toEqual([
          ['crash-1', 'completed'],
          ['crash-2', 'completed'],
        ])
        expect((await run.read<{ items: unknown[] }>('/v1/dead-letters')).items).toEqual([])
      } finally {
        await run.stop()
      }
    }, 120_000)
})
