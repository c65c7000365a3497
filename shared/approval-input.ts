/**
 * What a question to a person is made of, as whoever asks sends it: the question, what may be answered, until when, who is
 * asked, and what a time-out means. Never here: what becomes of it (shared/approval.ts).
 */
import * as z from 'zod'
import { agentName } from './ids.ts'
import { utf8Length } from './json.ts'
import { limits } from './limits.ts'

const timestamp = z.iso.datetime({ offset: true, error: 'must be an RFC 3339 time such as 2026-01-31T12:00:00Z' })

/** What a time-out may mean beside one of the options: words that are no option. */
const withoutChoice = ['expire', 'wait'] as const

/** One of the things that may be answered. It stands in links, in events and on buttons. */
const option = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9 ._-]{0,63}$/, 'an option is 1 to 64 of A-Z, a-z, 0-9, space, `.`, `_` and -')
  .refine((name) => !withoutChoice.some((word) => word === name), '`expire` and `wait` are no options')

/** Where somebody is reached: an agent, or a URL that is posted to as any callback is. */
const reached = z.union([
  agentName,
  z.strictObject({
    url: z.string().min(1).max(limits.urlLength).describe('Public and https, as any webhook.'),
    secret: z
      .string()
      .regex(/^whsec_[A-Za-z0-9+/]{32,88}={0,2}$/, 'a secret is `whsec_` and 24 to 64 bytes in base64')
      .exactOptional()
      .describe('What it is signed with. Without one a secret is made for this URL, and told when it is made.'),
  }),
])
export type Reached = z.infer<typeof reached>

const notify = z.array(reached).max(limits.approvalAsked)
const seconds = z.number().min(0.05).max(limits.approvalSeconds)
const afterwards = z.string().min(1).max(64)

export const onTimeout = z.union([
  afterwards,
  z.strictObject({
    escalate: z
      .array(z.strictObject({ notify: notify.min(1), expiresInSeconds: seconds }))
      .min(1)
      .max(limits.approvalStages)
      .describe('Who is asked next, one after the other, each for so long.'),
    finally: afterwards.default('expire').describe('What the last time-out means.'),
  }),
])

/** Without the checks across its fields: what is stored was checked when it came. */
export const approvalShape = z.strictObject({
  question: z.string().min(1).max(limits.approvalQuestionLength),
  options: z
    .array(option)
    .min(1)
    .max(limits.approvalOptions)
    .default(['approve', 'deny'])
    .describe('What may be answered.'),
  context: z
    .unknown()
    .refine(
      (c) => c === undefined || utf8Length(JSON.stringify(c)) <= limits.approvalContextBytes,
      `at most ${limits.approvalContextBytes} bytes`,
    )
    .optional()
    .describe('Any JSON that helps to decide: shown to whoever is asked.'),
  expiresAt: timestamp.exactOptional().describe('Until when it waits. Only one of this and `expiresInSeconds`.'),
  expiresInSeconds: seconds
    .exactOptional()
    .describe('For how long it waits. Without either: as long as any may, 30 days.'),
  onTimeout: onTimeout
    .default('expire')
    .describe(
      'What a time-out means. `expire`: it ends as `timed_out`, and nothing is chosen. One of the options: the same, and that one holds; nobody is said to have chosen it. `wait`: whoever asked is told that it is overdue, and it goes on waiting. `escalate`: others are asked.',
    ),
  notify: notify
    .default([])
    .describe('Who is asked: each gets a message with the question and links that decide it. An admin may decide too.'),
  replyto: z
    .string()
    .min(1)
    .max(limits.topicLength)
    .exactOptional()
    .describe('Where the outcome is sent: an agent, `topic:<topic>` or `workflow:<id>`.'),
  callback: z
    .strictObject({ url: z.string().min(1).max(limits.urlLength), secret: z.string().exactOptional() })
    .exactOptional()
    .describe('Where the outcome is posted, signed.'),
  workflowid: z
    .string()
    .regex(/^[A-Za-z0-9_-]{1,64}$/)
    .exactOptional()
    .describe('The workflow that gets the outcome as an event.'),
  correlationid: z.string().min(1).max(limits.idLength).exactOptional(),
})

export const approvalInput = approvalShape.superRefine((input, ctx) => {
  const issue = (path: (string | number)[], message: string) => ctx.addIssue({ code: 'custom', path, message })
  const { options, expiresAt, expiresInSeconds, onTimeout: timeout, replyto } = input
  if (new Set(options).size !== options.length) issue(['options'], 'each option is named once')
  if (expiresAt !== undefined && expiresInSeconds !== undefined)
    issue(['expiresAt'], 'only one of `expiresAt` and `expiresInSeconds`')
  const [last, path] =
    typeof timeout === 'string' ? [timeout, ['onTimeout']] : [timeout.finally, ['onTimeout', 'finally']]
  if (!withoutChoice.some((word) => word === last) && !options.includes(last))
    issue(path, `one of ${[...withoutChoice, ...options].join(', ')}`)
  if (replyto?.startsWith('gather:') === true || replyto?.startsWith('capability:') === true || replyto === '*')
    issue(['replyto'], 'an agent, topic:<topic> or workflow:<id>: a gather waits for whom it asked, and nobody else')
})
export type ApprovalInput = z.infer<typeof approvalInput>

/** The body of POST /v1/approvals/{approval}/decision. */
export const decisionInput = z.strictObject({
  option: z.string().min(1).max(64),
  note: z.string().max(limits.approvalNoteLength).exactOptional().describe('Why, in the words of whoever decides.'),
})
export type DecisionInput = z.infer<typeof decisionInput>

/** Who is asked in each stage, first to last. */
export function stagesOf({ notify: first, onTimeout: timeout }: Pick<ApprovalInput, 'notify' | 'onTimeout'>) {
  return [first, ...(typeof timeout === 'string' ? [] : timeout.escalate.map((next) => next.notify))]
}

/** What the time-out of the last stage means. */
export function lastTimeoutOf({ onTimeout: timeout }: Pick<ApprovalInput, 'onTimeout'>): string {
  return typeof timeout === 'string' ? timeout : timeout.finally
}
