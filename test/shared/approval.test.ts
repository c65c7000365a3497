/** A question to a person, step by step: it ends once, a time-out is nobody's choice, and whoever is owed news is known (TC11). */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { publicApproval, publicOutcome } from '../../shared/api-approvals.ts'
import {
  type Approval,
  approvalKeptMs,
  approvalTold,
  approvalWakeAt,
  askedOf,
  askForNews,
  cancelApproval,
  decideApproval,
  elapseApproval,
  isApprovalForgotten,
  mayDecide,
  openApproval,
  pendingNews,
  readApproval,
} from '../../shared/approval.ts'
import { approvalInput } from '../../shared/approval-input.ts'
import { limits } from '../../shared/limits.ts'
import { type Principal, resolvePermissions } from '../../shared/permissions.ts'
import { approvalOpening } from './approval-fixtures.ts'

const now = Date.UTC(2026, 0, 1)
const minute = 60_000
const opened = (more: object = {}) => openApproval(undefined, approvalOpening(more), now).approval
const agent = (name: string): Principal => ({ kind: 'agent', name, permissions: resolvePermissions(name) })
const byApi = (option: string, by = 'pager') => ({ option, by, how: 'api' }) as const
const carried: Approval['news'][number]['state'] = { status: 'carried', deliveries: ['d'] }
const allTold = (a: Approval) =>
  approvalTold(
    a,
    pendingNews(a).map(({ n }) => ({ n, state: carried })),
  )

describe('opening', () => {
  it('asks those of the first stage and nobody else', () => {
    const stages = { escalate: [{ notify: ['boss'], expiresInSeconds: 60 }] }
    const approval = opened({ onTimeout: stages })
    expect(pendingNews(approval).map((n) => [n.kind, n.target.to])).toEqual([['ask', 'pager']])
    expect([mayDecide(agent('pager'), approval), mayDecide(agent('boss'), approval)]).toEqual([true, false])
  })

  it('again finds it; other content is a conflict', () => {
    const approval = opened()
    expect(openApproval(approval, approvalOpening(), now).status).toBe('duplicate')
    expect(openApproval(approval, { ...approvalOpening(), contentHash: 'other' }, now).status).toBe('conflict')
  })
})

describe('a decision', () => {
  it('is the first one in time, by whom and how; then it is over', () => {
    const { approval } = decideApproval(opened(), byApi('deny'), now + 1)
    expect(approval.outcome).toEqual({ status: 'decided', at: now + 1, option: 'deny', by: 'pager', how: 'api' })
    expect(decideApproval(approval, byApi('approve', 'boss'), now + 2)).toEqual({ status: 'over', approval })
    expect(decideApproval(approval, byApi('deny'), now + 2)).toEqual({ status: 'repeated', approval })
    expect(decideApproval(approval, byApi('deny', 'boss'), now + 2).status).toBe('over')
  })

  it('by a link is never repeated: a link decides once (TC11)', () => {
    const byLink = { option: 'deny', by: 'pager', how: 'link' } as const
    const { approval, status } = decideApproval(opened(), byLink, now + 1)
    expect(status).toBe('decided')
    expect(decideApproval(approval, byLink, now + 1).status).toBe('over')
  })

  it('for what is no option is none', () => {
    expect(decideApproval(opened(), byApi('perhaps'), now).status).toBe('no_option')
  })

  it('a millisecond after the time-out comes too late, even before the alarm came', () => {
    const { status, approval } = decideApproval(opened(), byApi('approve'), now + minute)
    expect([status, approval.outcome?.status]).toEqual(['over', 'timed_out'])
    expect(decideApproval(opened(), byApi('approve'), now + minute - 1).status).toBe('decided')
  })

  it('ends the asking that was still owed, and is told to who asked', () => {
    const { approval } = decideApproval(opened(), byApi('approve'), now + 1)
    expect(approval.news.map((n) => [n.kind, n.state.status])).toEqual([
      ['ask', 'refused'],
      ['outcome', 'pending'],
    ])
  })
})

describe('what others see of it (S2)', () => {
  it('has no URL, also where somebody decided by a link that was sent to one', () => {
    const url = 'https://hooks.example.com/T1/SECRET'
    const target = { who: url, to: 'callback-x', callback: true } as const
    const opening = { ...approvalOpening(), stages: [[target, { who: 'pager', to: 'pager' }]], askers: [target] }
    const { approval } = openApproval(undefined, opening, now)
    const decided = decideApproval(approval, { option: 'deny', by: url, how: 'link' }, now + 1).approval
    expect(JSON.stringify(publicApproval(decided, true))).toContain('SECRET')
    const seen = publicApproval(decided, false)
    expect(seen.decision?.by).toBe('https://hooks.example.com')
    expect(seen.told.map((t) => t.who)).toEqual(['https://hooks.example.com', 'pager', 'https://hooks.example.com'])
    expect(JSON.stringify(seen)).not.toContain('SECRET')
    const byHand = decideApproval(approval, byApi('deny'), now + 1).approval
    expect(publicApproval(byHand, false).decision?.by).toBe('pager')
  })
})

describe('a time-out', () => {
  it('is never a decision: with and without what was agreed beforehand (TC11)', () => {
    for (const [onTimeout, option] of [
      ['expire', undefined],
      ['deny', 'deny'],
      ['approve', 'approve'],
    ] as const) {
      const approval = elapseApproval(opened({ onTimeout }), now + minute)
      expect(approval.outcome).toEqual({ status: 'timed_out', at: now + minute, ...(option && { option }) })
      expect(publicOutcome(approval)).not.toHaveProperty('decision')
      expect(publicApproval(approval, true).status).toBe('timed_out')
    }
  })

  it('with wait is overdue, told once, and ends when nobody answers for 30 days', () => {
    const overdue = elapseApproval(allTold(opened({ onTimeout: 'wait' })), now + minute)
    expect([overdue.outcome, overdue.overdueAt]).toEqual([undefined, now + minute])
    expect(pendingNews(overdue).map((n) => [n.kind, n.target.to])).toEqual([['overdue', 'ada']])
    expect(elapseApproval(overdue, now + 2 * minute)).toBe(overdue)
    expect(decideApproval(overdue, byApi('approve'), now + 10 * minute).status).toBe('decided')
    const ended = elapseApproval(overdue, now + limits.approvalSeconds * 1_000)
    expect(ended.outcome).toEqual({ status: 'timed_out', at: now + limits.approvalSeconds * 1_000 })
  })

  it('with escalate asks one stage after the other, each for its whole time however late the alarm came (TC11)', () => {
    const stages = [
      { notify: ['boss'], expiresInSeconds: 60 },
      { notify: ['chief'], expiresInSeconds: 60 },
    ]
    const first = opened({ onTimeout: { escalate: stages, finally: 'deny' } })
    const late = now + 60 * minute
    const second = elapseApproval(first, late)
    expect([second.stage, second.outcome, second.deadlineAt]).toEqual([1, undefined, late + minute])
    expect(askedOf(second).map((t) => t.to)).toEqual(['pager', 'boss'])
    expect(mayDecide(agent('pager'), second)).toBe(true)
    const third = elapseApproval(second, late + minute)
    expect(third.escalatedAt).toEqual([late, late + minute])
    const ended = elapseApproval(third, late + 2 * minute)
    expect(ended.outcome).toMatchObject({ status: 'timed_out', option: 'deny' })
    expect(ended.endsAt).toBe(late + 2 * minute)
  })

  it('of one that was withdrawn does not come', () => {
    const gone = cancelApproval(opened(), 'ada', now + 1)
    expect(elapseApproval(gone, now + minute)).toBe(gone)
    expect(cancelApproval(gone, 'admin', now + 2)).toBe(gone)
  })
})

describe('news', () => {
  it('is asked for again, later each time, until it is told; what was told stays so', () => {
    let approval = opened()
    const pauses = []
    for (let i = 0; i < 9; i++) {
      const at: number = approval.askAt ?? 0
      expect(askForNews(approval, at - 1)).toBeUndefined()
      approval = askForNews(approval, at) ?? approval
      pauses.push((approval.askAt ?? 0) - at)
    }
    expect(pauses.slice(0, 4)).toEqual([5_000, 10_000, 20_000, 40_000])
    expect(Math.max(...pauses)).toBe(300_000)
    const told = allTold(approval)
    expect([told.askAt, pendingNews(told)]).toEqual([undefined, []])
    expect(approvalTold(told, [{ n: 1, state: { status: 'refused', reason: 'x', detail: 'x' } }])).toBe(told)
  })

  it('was told after all, when who told it says so after who heard of it has decided; what was never told stays so (TC11)', () => {
    const { approval } = decideApproval(opened(), byApi('approve', 'boss'), now)
    expect(approval.news[0]?.state).toMatchObject({ status: 'refused', reason: 'over' })
    const failed = { n: 1, state: { status: 'refused', reason: 'agent_not_found', detail: 'x' } } as const
    expect(approvalTold(approval, [failed])).toBe(approval)
    const carried = { status: 'carried' as const, deliveries: ['boss_x'] }
    const told = approvalTold(approval, [{ n: 1, state: carried }])
    expect(told.news[0]?.state).toEqual(carried)
    expect(approvalTold(told, [failed])).toBe(told)
  })

  it('without anybody to be told is none, and it is forgotten after a week', () => {
    const quiet = { ...opened({ notify: [] }), askers: [] }
    const { approval } = decideApproval(quiet, byApi('approve', 'admin'), now)
    expect([approval.news, approval.askAt, approvalWakeAt(approval)]).toEqual([[], undefined, now + approvalKeptMs])
    expect(isApprovalForgotten(approval, now + approvalKeptMs)).toBe(true)
    expect(isApprovalForgotten(approval, now + approvalKeptMs - 1)).toBe(false)
  })
})

describe('whatever happens', () => {
  const step = fc.oneof(
    fc.record({ kind: fc.constant('pass' as const), ms: fc.integer({ min: 0, max: 3 * minute }) }),
    fc.record({
      kind: fc.constant('decide' as const),
      option: fc.constantFrom('approve', 'deny'),
      how: fc.constantFrom('api' as const, 'link' as const),
    }),
    fc.record({ kind: fc.constant('cancel' as const) }),
    fc.record({ kind: fc.constant('told' as const), n: fc.integer({ min: 1, max: 6 }) }),
    fc.record({ kind: fc.constant('ask' as const) }),
  )
  const meaning = fc.constantFrom<unknown>('expire', 'deny', 'approve', 'wait', {
    escalate: [{ notify: ['boss'], expiresInSeconds: 60 }],
    finally: 'wait',
  })

  it('it ends once, is told once for each who is told, and always knows when to wake (M6, TC11)', () => {
    fc.assert(
      fc.property(meaning, fc.array(step, { maxLength: 30 }), (onTimeout, steps) => {
        let approval = opened({ onTimeout })
        let at = now
        for (const one of steps) {
          const before = approval
          if (one.kind === 'pass') {
            at += one.ms
            approval = elapseApproval(approval, at)
          } else if (one.kind === 'decide')
            approval = decideApproval(approval, { option: one.option, how: one.how, by: 'pager' }, at).approval
          else if (one.kind === 'cancel') approval = cancelApproval(approval, 'ada', at)
          else if (one.kind === 'told') approval = approvalTold(approval, [{ n: one.n, state: carried }])
          else approval = askForNews(approval, at) ?? approval
          if (before.outcome !== undefined) expect(approval.outcome).toBe(before.outcome)
          expect(approval.news.filter((n) => n.kind === 'outcome').length).toBe(approval.outcome === undefined ? 0 : 1)
          expect(approval.news.map((n) => n.n)).toEqual(approval.news.map((_, i) => i + 1))
          if (pendingNews(approval).length > 0) expect(approval.askAt).toBeDefined()
          if (approval.outcome === undefined) expect(approvalWakeAt(approval)).toBeLessThanOrEqual(approval.deadlineAt)
          if (approval.outcome?.status === 'decided') expect(approval.outcome.by).toBe('pager')
          expect(readApproval(JSON.stringify(approval))).toEqual(approval)
        }
      }),
    )
  })
})

it('an answer that a time-out stands for must be an option, and no option is called as a time-out is', () => {
  const parsed = (more: object) => approvalInput.safeParse({ question: 'Go?', ...more }).success
  expect(parsed({ options: ['yes'], onTimeout: 'yes' })).toBe(true)
  expect(parsed({ options: ['yes'], onTimeout: 'no' })).toBe(false)
  expect(parsed({ options: ['expire'] })).toBe(false)
  expect(parsed({ onTimeout: { escalate: [{ notify: ['boss'], expiresInSeconds: 1 }], finally: 'maybe' } })).toBe(false)
})
