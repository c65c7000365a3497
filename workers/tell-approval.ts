/**
 * Tell of an approval: who is asked gets the question with its links, whoever asked gets the outcome. Under the source and the
 * permissions of whoever asked; each message has an id of its own, so that one told twice is a duplicate downstream (M2).
 * Comes from the gateway, and from the `work` queue with the approvals' alarm as the net. Never here: what is to be told
 * (shared/approval.ts).
 */

import { publicOutcome } from '../shared/api-approvals.ts'
import { type Approval, type ApprovalNews, approvalGiveUpMs, pendingNews } from '../shared/approval.ts'
import { approvalLink } from '../shared/approval-link.ts'
import type { EffectStatus } from '../shared/effects.ts'
import { type Fault, problemOf } from '../shared/fault.ts'
import { replyDestination } from '../shared/message.ts'
import type { Principal } from '../shared/permissions.ts'
import type { Platform } from '../shared/ports.ts'
import type { Result } from '../shared/result.ts'
import { publish } from './publish.ts'
import type { PublishReceipt } from './route.ts'
import { speakerOf } from './speaker.ts'

/** Each by itself: what cannot be told now, its alarm asks for again. */
export async function tellApprovals(platform: Platform, ids: readonly string[]): Promise<void> {
  await Promise.all(
    ids.map((id) =>
      tellApproval(platform, id).catch((error: unknown) =>
        platform.log('approval.failed', { approval: id, error: String(error) }),
      ),
    ),
  )
}

/** Tells what is owed, and gives the approval as it then stands; undefined when there is none. */
export async function tellApproval(platform: Platform, id: string): Promise<Approval | undefined> {
  const approval = await platform.approvals().find(id)
  const owed = approval === undefined ? [] : pendingNews(approval)
  if (approval === undefined || owed.length === 0) return approval
  const speaker = await speakerOf(platform, approval, 'approval')
  const told = await Promise.all(
    owed.map(async (news): Promise<Pick<ApprovalNews, 'n' | 'state'>> => {
      const state = speaker.ok ? await say(platform, speaker.value, approval, news) : gone(speaker.error)
      platform.log('approval.told', { approval: id, n: news.n, kind: news.kind, status: state.status })
      return { n: news.n, state }
    }),
  )
  return platform.approvals().told(id, told)
}

const gone = (detail: string): EffectStatus => ({ status: 'refused', reason: 'creator_gone', detail })

async function say(
  platform: Platform,
  speaker: Principal,
  approval: Approval,
  news: ApprovalNews,
): Promise<EffectStatus> {
  const { target, at } = news
  // To the mailbox of a URL nobody may send but the broker; it speaks there for whoever asked.
  const [as, where] =
    target.callback === undefined
      ? [speaker, replyDestination(target.to)]
      : [{ kind: 'admin' } as const, { to: target.to, source: approval.owner }]
  const [answer] = await publish(platform, as, [{ ...where, ...messageOf(approval, news) }], { brokerMade: true })
  const ageMs = platform.now() - at
  return answer === undefined ? { status: 'pending' } : toldState(answer, ageMs)
}

function messageOf(approval: Approval, { n, kind, target }: ApprovalNews) {
  const { id, input, overdueAt } = approval
  const { correlationid = input.workflowid ?? id } = input
  const head = { id: `${id}-${n}`, correlationid, subject: id }
  // A statechart's events have no dots, so that its keys may.
  const type = (name: string) =>
    target.to.startsWith('workflow:') ? `approval_${name}` : `switchboard.approval.${name}`
  if (kind === 'ask') return { ...head, type: type('asked'), data: questionOf(approval, n) }
  if (kind === 'overdue')
    return { ...head, type: type('overdue'), data: { approval: id, status: 'pending', overdueAt: iso(overdueAt ?? 0) } }
  const outcome = publicOutcome(approval)
  return { ...head, type: type(outcome.status), data: outcome }
}

function questionOf(approval: Approval, n: number) {
  const { id, owner, input, openedAt, deadlineAt, endsAt } = approval
  const { question, options, context, workflowid } = input
  return {
    ...{ approval: id, question, options, askedBy: owner },
    ...(context === undefined ? {} : { context }),
    ...(workflowid === undefined ? {} : { workflow: workflowid }),
    ...{ askedAt: iso(openedAt), expiresAt: iso(deadlineAt) },
    // Reading a link decides nothing; the page behind it does, once, until `validUntil`.
    links: {
      validUntil: iso(endsAt),
      page: approvalLink(approval, n),
      options: Object.fromEntries(options.map((option) => [option, approvalLink(approval, n, option)])),
    },
  }
}

/** What a publish under an id of its own came to, for whoever owes the news. `ageMs`: for how long it is owed. */
export function toldState(answer: Result<PublishReceipt, Fault>, ageMs: number): EffectStatus {
  if (answer.ok) return { status: 'carried', deliveries: answer.value.deliveries.map((d) => d.id) }
  const { error } = answer
  // The id is this news' alone: it was said before, perhaps with another deadline.
  if (error.code === 'key_reused') return { status: 'carried', deliveries: [error.delivery] }
  const isLater = error.code === 'backpressure' || error.code === 'unavailable' || error.code === 'workflow_full'
  if (isLater && ageMs < approvalGiveUpMs) return { status: 'pending' }
  return { status: 'refused', reason: error.code, detail: problemOf(error).body.detail }
}

const iso = (at: number) => new Date(at).toISOString()
