/** A question as the tests of approvals open it. Never here: an expectation. */
import type { ApprovalOpening } from '../../shared/approval.ts'
import { approvalInput, stagesOf } from '../../shared/approval-input.ts'

/** `waitsMs` is how long the first stage lasts. */
export function approvalOpening(more: object = {}, waitsMs = 60_000): ApprovalOpening {
  const input = approvalInput.parse({ question: 'Go?', notify: ['pager'], ...more })
  return {
    ...{ id: 'ap-aaaaaaaaaaaaaaaaaaaaaaaaaa', owner: 'ada', creator: { kind: 'admin' }, contentHash: 'h', input },
    stages: stagesOf(input).map((s) => s.flatMap((who) => (typeof who === 'string' ? [{ who, to: who }] : []))),
    askers: [{ who: 'ada', to: 'ada' }],
    ...{ origin: 'https://switchboard.test', secret: 'ab'.repeat(32), waitsMs },
  }
}
