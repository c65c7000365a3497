/**
 * The operations on approvals, with what goes in and comes out. Never here: what becomes of one (shared/approval.ts), what the
 * gateway may answer to anything (shared/api-operation.ts).
 */
import * as z from 'zod'
import { type Operation, type Parameter, pageOf, pageQuery } from './api-operation.ts'
import { type Approval, type ApprovalNews, type ApprovalTarget, approvalStatusOf } from './approval.ts'
import { approvalInput, approvalShape, decisionInput, type Reached } from './approval-input.ts'
import { limits } from './limits.ts'

// --- bodies -----------------------------------------------------------------------------------------------------------

const status = z
  .enum(['pending', 'decided', 'timed_out', 'cancelled'])
  .describe('`timed_out` is no decision, whatever `onTimeout` says: nobody chose.')

const outcomeAnswer = {
  status,
  option: z.string().optional().describe('What holds: what was chosen, or what `onTimeout` says of a time-out.'),
  decision: z
    .strictObject({
      option: z.string(),
      by: z.string().describe('A source; by a link, whom the link was sent to.'),
      how: z.enum(['api', 'link']),
      at: z.iso.datetime(),
      note: z.string().optional(),
    })
    .optional()
    .describe('Who chose, when and how. Only of a `decided` one.'),
  cancelledBy: z.string().optional(),
  endedAt: z.iso.datetime().optional(),
}

const toldAnswer = z.strictObject({
  who: z.string().describe('An agent, or a URL: to others than who asks and an admin its origin only.'),
  what: z.enum(['ask', 'overdue', 'outcome']),
  at: z.iso.datetime().describe('Since when it is owed.'),
  status: z.enum(['pending', 'carried', 'refused']),
  deliveries: z.array(z.string()).optional(),
  reason: z.string().optional(),
  detail: z.string().optional(),
})

export const approvalAnswer = z.strictObject({
  id: z.string(),
  ...outcomeAnswer,
  askedBy: z.string(),
  question: approvalShape.shape.question,
  options: approvalShape.shape.options,
  context: z.unknown().optional(),
  onTimeout: approvalShape.shape.onTimeout,
  replyto: z.string().optional(),
  workflowid: z.string().optional(),
  correlationid: z.string().optional(),
  askedAt: z.iso.datetime(),
  expiresAt: z.iso.datetime().describe('When the present stage is over.'),
  validUntil: z.iso.datetime().describe('It is over then at the latest, and its links with it.'),
  overdueAt: z.iso.datetime().optional(),
  escalatedAt: z.array(z.iso.datetime()).optional(),
  told: z.array(toldAnswer).describe('Who was told what.'),
  callbackSecrets: z
    .record(z.string(), z.string())
    .optional()
    .describe('Made by this call for URLs that had none. Shown once.'),
})

const iso = (at: number) => new Date(at).toISOString()

/** What is told of its outcome, to whoever asked. */
export function publicOutcome(approval: Approval) {
  const { id, outcome } = approval
  const head = { approval: id, status: approvalStatusOf(approval) }
  if (outcome === undefined) return head
  const ended = { ...head, endedAt: iso(outcome.at) }
  if (outcome.status === 'cancelled') return { ...ended, cancelledBy: outcome.by }
  if (outcome.status === 'timed_out')
    return { ...ended, ...(outcome.option === undefined ? {} : { option: outcome.option }) }
  const { option, by, how, at, note } = outcome
  return { ...ended, option, decision: { option, by, how, at: iso(at), ...(note === undefined ? {} : { note }) } }
}

/**
 * As one who did not ask may see it: a URL may have a secret in it that is between who asked and who is reached there, so of URLs
 * only the origin is told.
 */
export function withoutUrls(approval: Approval): Approval {
  const { input, news, outcome, stages } = approval
  const urls = new Set(stages.flat().flatMap(({ callback, who }) => (callback === undefined ? [] : [who])))
  const shown = (who: string) => (urls.has(who) ? originOf(who) : who)
  const { onTimeout } = input
  const next = typeof onTimeout === 'string' ? [] : onTimeout.escalate
  const escalate = next.map((stage) => ({ ...stage, notify: stage.notify.map(hidden) }))
  return {
    ...approval,
    input: { ...input, onTimeout: typeof onTimeout === 'string' ? onTimeout : { ...onTimeout, escalate } },
    news: news.map((one) => ({ ...one, target: withoutUrl(one.target) })),
    ...(outcome?.status === 'decided' ? { outcome: { ...outcome, by: shown(outcome.by) } } : {}),
  }
}

const originOf = (url: string): string => URL.parse(url)?.origin ?? ''
const hidden = (reached: Reached): Reached => (typeof reached === 'string' ? reached : { url: originOf(reached.url) })
const withoutUrl = (target: ApprovalTarget): ApprovalTarget =>
  target.callback === undefined ? target : { ...target, who: originOf(target.who) }

/** What may be seen of one: no links, and nothing that signs them. `isOwn`: by who asked, or by an admin. */
export function publicApproval(whole: Approval, isOwn: boolean): z.infer<typeof approvalAnswer> {
  const approval = isOwn ? whole : withoutUrls(whole)
  const { owner, input, openedAt, deadlineAt, endsAt, overdueAt, escalatedAt, news } = approval
  const { question, options, context, onTimeout, replyto, workflowid, correlationid } = input
  const { approval: id, ...outcome } = publicOutcome(approval)
  return {
    id,
    ...outcome,
    ...{ askedBy: owner, question, options },
    ...(context === undefined ? {} : { context }),
    onTimeout,
    ...(replyto === undefined ? {} : { replyto }),
    ...(workflowid === undefined ? {} : { workflowid }),
    ...(correlationid === undefined ? {} : { correlationid }),
    ...{ askedAt: iso(openedAt), expiresAt: iso(deadlineAt), validUntil: iso(endsAt) },
    ...(overdueAt === undefined ? {} : { overdueAt: iso(overdueAt) }),
    ...(escalatedAt.length === 0 ? {} : { escalatedAt: escalatedAt.map(iso) }),
    told: news.map(publicNews),
  }
}

function publicNews({ kind, target, at, state }: ApprovalNews): z.infer<typeof toldAnswer> {
  const head = { who: target.who, what: kind, at: iso(at), status: state.status }
  if (state.status === 'pending') return head
  return state.status === 'carried'
    ? { ...head, deliveries: [...state.deliveries] }
    : { ...head, reason: state.reason, detail: state.detail }
}

export const approvalsQuery = z.object({
  ...pageQuery,
  status: z
    .enum(['pending', 'ended'])
    .default('pending')
    .describe('Those that wait, or those that ended within a week.'),
})
export const approvalQuery = z.object({
  waitSeconds: z.coerce.number().min(0).max(limits.waitSeconds).default(0).describe('Waits so long for it to be over.'),
})

const approvalKey: Parameter = {
  name: 'Idempotency-Key',
  description: 'Names the question: repeated, it is asked once.',
  schema: z.string().min(1).max(limits.idempotencyKeyLength),
}

// --- operations -------------------------------------------------------------------------------------------------------

const of = (method: Operation['method'], path: string, id: string, summary: string) =>
  ({ method, path: `/v1/approvals${path}`, id, tag: 'Approvals', who: 'judge', summary }) as const

const theApproval = { status: 200, description: 'The approval.', schema: approvalAnswer }

/** In the order of the reference page. */
export const approvalOperations: readonly Operation[] = [
  {
    ...of('post', '', 'askApproval', 'Ask a person'),
    who: 'sender',
    description:
      'Everybody in `notify` gets a message with the question and signed links. Reading a link decides nothing; the page behind it does, once. The outcome comes as a message to `replyto`, as an event `approval_decided`, `approval_timed_out` or `approval_cancelled` to the workflow, and to `callback`. A time-out is never shown as a denial.',
    headers: [approvalKey],
    body: { types: { 'application/json': approvalInput }, limitBytes: limits.requestBytes },
    answers: [
      {
        status: 201,
        description: 'Asked.',
        schema: approvalAnswer,
        headers: [{ name: 'Location', description: 'Where it is.', schema: z.string() }],
      },
      { status: 200, description: 'Asked before, under this key.', schema: approvalAnswer },
    ],
    faults: ['forbidden', 'agent_not_found', 'invalid_url', 'key_reused', 'too_many_approvals'],
  },
  {
    ...of('get', '', 'listApprovals', 'List approvals'),
    description: 'An admin sees all; others see what they asked and what they are asked. Oldest first.',
    query: approvalsQuery,
    answers: [{ status: 200, description: 'Approvals.', schema: pageOf(approvalAnswer) }],
    faults: [],
  },
  {
    ...of('get', '/{approval}', 'getApproval', 'Read an approval, and wait for its outcome'),
    query: approvalQuery,
    answers: [theApproval],
    faults: ['forbidden', 'not_found'],
  },
  {
    ...of('post', '/{approval}/decision', 'decideApproval', 'Decide'),
    description:
      'By an agent that was asked, or an admin. The first decision in time holds; the same one repeated is answered alike.',
    body: { types: { 'application/json': decisionInput }, limitBytes: limits.requestBytes },
    answers: [theApproval],
    faults: ['forbidden', 'not_found', 'approval_over'],
  },
  {
    ...of('delete', '/{approval}', 'cancelApproval', 'Withdraw a question'),
    description: 'By whoever asked it, or an admin.',
    answers: [theApproval],
    faults: ['forbidden', 'not_found', 'approval_over'],
  },
]
