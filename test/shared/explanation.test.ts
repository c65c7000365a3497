/** What a receipt says in sentences: every status and every way to die has a headline and, where something can be done, what. */
import { describe, expect, it } from 'vitest'
import { receiptStatus } from '../../shared/api-bodies.ts'
import { deadReason } from '../../shared/dead-reason.ts'
import type { Effect } from '../../shared/effects.ts'
import { causeOf, explain, explainWorkflow } from '../../shared/explanation.ts'
import type { Head } from '../../shared/message.ts'
import { resolvePermissions } from '../../shared/permissions.ts'
import type { Receipt } from '../../shared/receipt.ts'
import { opened, type WorkflowRecord } from '../../shared/workflow.ts'

const id = `ann_${'a'.repeat(26)}`
const head: Head = {
  specversion: '1.0',
  id: 'm',
  source: 'bob',
  type: 'note',
  time: '2026-01-01T00:00:00Z',
  correlationid: 'm',
  to: 'ann',
}
const receipt = (more: Partial<Receipt>): Receipt => ({
  id,
  agent: 'ann',
  message: head,
  sequence: 1,
  hops: 0,
  status: 'held',
  attempt: 0,
  maxAttempts: 4,
  steps: [],
  attempts: [],
  redrives: 0,
  ...more,
})
const failure = {
  number: 2,
  startedAt: '2026-01-01T00:00:00Z',
  endedAt: '2026-01-01T00:00:01Z',
  outcome: 'retry',
  counted: true,
  error: { code: 'http_500', message: 'boom' },
} as Receipt['attempts'][number]

const effect = (n: number, state: Effect['state']): Effect => ({ n, kind: 'message', publish: {}, state })

describe('an explanation', () => {
  it.each(receiptStatus.options)('of a delivery that is %s says where it is', (status) => {
    const { headline, mood } = explain(receipt({ status }))
    expect(headline).toMatch(/^[A-Za-z].*\.$/)
    const bad = ['failed', 'dead_lettered', 'expired', 'cancelled']
    expect(mood).toBe(status === 'completed' ? 'good' : bad.includes(status) ? 'bad' : 'wait')
  })

  it.each(deadReason.options)('of a dead letter that died of %s says how it gets a new life', (reason) => {
    const { next } = explain(receipt({ status: 'dead_lettered', deadLetter: { id: `${id}-r1`, reason } }))
    expect(next).toContain(`POST /v1/dead-letters/${id}-r1/redrive`)
  })

  it('of a dead letter says the last error, and of a purged one that it cannot come back', () => {
    const { why, next } = explain(receipt({ status: 'dead_lettered', attempts: [failure] }))
    expect([why, next]).toEqual(['http_500: boom', 'It was purged, so it cannot come back: send it again.'])
  })

  it('of parked mail says why, and that it costs no attempt', () => {
    const { why, next } = explain(receipt({ status: 'parked', because: 'its breaker is open' }))
    expect([why, next]).toEqual(['its breaker is open', expect.stringContaining('no attempt')])
  })

  it('of mail between attempts says how many failed and when the next is', () => {
    const told = explain(receipt({ attempt: 2, nextAttemptAt: '2026-01-01T00:00:09Z' }))
    expect(told.next).toBe('2 of 4 attempts have failed; it is tried again at 2026-01-01T00:00:09Z.')
  })

  it('of work under way counts the attempt that is running', () => {
    expect(explain(receipt({ status: 'dispatched', attempt: 1 })).headline).toContain('attempt 2 of 4')
  })

  it('of what is done looks at its effects: a refused one needs somebody, a pending one does not', () => {
    const carried = effect(1, { status: 'carried', deliveries: [] })
    const pending = effect(2, { status: 'pending' })
    const refused = effect(3, { status: 'refused', reason: 'forbidden', detail: 'no' })
    const mood = (effects: Effect[]) => explain(receipt({ status: 'completed', effects })).mood
    expect([mood([carried]), mood([carried, pending]), mood([carried, pending, refused])]).toEqual([
      'good',
      'wait',
      'bad',
    ])
  })

  it('of a reassigned delivery says that it goes on elsewhere', () => {
    expect(explain(receipt({ status: 'cancelled', reassignedTo: `bob_${'a'.repeat(26)}` })).mood).toBe('wait')
  })
})

describe('the cause of a message', () => {
  const cause = (own: string, source: string) => causeOf({ ...head, id: own, source })

  it('is the delivery whose work emitted it, when the source is that agent', () => {
    expect(cause(`${id}-3`, 'ann')).toEqual({ kind: 'delivery', id })
    expect(cause(`${id}-ended`, 'ann')).toEqual({ kind: 'delivery', id })
    expect(cause(`${id}-r2-ended`, 'ann')).toEqual({ kind: 'delivery', id })
  })

  it('is the workflow that sent it, when the source is that workflow', () => {
    expect(cause('wf-research-7', 'workflow/wf-research')).toEqual({ kind: 'workflow', id: 'wf-research' })
  })

  it.each([
    [`${id}-3`, 'eve'],
    ['wf-research-7', 'eve'],
    ['order-17', 'bob'],
    [id, 'ann'],
  ])('is not known of %s from %s: anybody may choose such an id', (own, source) => {
    expect(cause(own, source)).toBeUndefined()
  })
})

describe('an explanation of a workflow', () => {
  const record = (more: Partial<WorkflowRecord>): WorkflowRecord => {
    const { record } = opened(
      { id: 'wf', by: 'admin', permissions: resolvePermissions('admin'), creation: 'c', state: {}, keptMs: 1 },
      0,
    )
    return { ...record, value: { a: 'b', c: { d: 'e' } }, ...more }
  }

  it('says where it runs, when its next timer is due and what is still to be carried', () => {
    const timer = (dueAt: number) => ({ id: `${dueAt}`, event: { type: 'x' }, dueAt })
    expect(explainWorkflow(record({ timers: [timer(9_000), timer(5_000)], open: 2 }))).toEqual({
      mood: 'wait',
      headline: 'Running in a.b + c.d.e.',
      next: 'Its next timer is due at 1970-01-01T00:00:05.000Z. 2 of its messages are still to be carried.',
    })
    expect(explainWorkflow(record({ value: 'a' }))).toEqual({ mood: 'wait', headline: 'Running in a.' })
  })

  it('says why it is paused, what waits, and how it goes on', () => {
    const told = explainWorkflow(
      record({ status: 'paused', paused: { at: 0, reason: 'lunch', untilAt: 60_000 }, waiting: 3 }),
    )
    expect(told).toMatchObject({ mood: 'bad', why: 'lunch' })
    expect(told.headline).toContain('3 events wait')
    expect(told.next).toBe('It goes on by itself at 1970-01-01T00:01:00.000Z, or with `POST /v1/workflows/wf/resume`.')
  })

  it('says what a failed one failed of, and that a completed one is done', () => {
    const error = { code: 'microstep_limit', detail: 'round and round' }
    expect(explainWorkflow(record({ status: 'failed', error }))).toMatchObject({
      mood: 'bad',
      why: 'microstep_limit: round and round',
    })
    expect(explainWorkflow(record({ status: 'completed' })).mood).toBe('good')
    expect(explainWorkflow(record({ status: 'cancelled' })).mood).toBe('bad')
  })
})
