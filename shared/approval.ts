/**
 * An approval: a durable question to a person. It says who was asked, who decided, when and how; and whom that has to be told.
 *
 *   pending ──► decided | timed_out | cancelled ──► told ──► forgotten after a week
 *     └─ time is up: others are asked (`escalate`), or it is overdue and goes on waiting (`wait`)
 *
 * A time-out is never a decision: what its asker wanted to hold in that case is said beside it, as nobody's choice. It ends
 * once. M6 while it is pending or owes news, `approvalWakeAt` says when. Never here: links (shared/approval-link.ts),
 * sending anything (workers/tell-approval.ts).
 */
import * as z from 'zod'
import { approvalShape, lastTimeoutOf, stagesOf } from './approval-input.ts'
import { effectStatus } from './effects.ts'
import { digest } from './ids.ts'
import { limits } from './limits.ts'
import { isMaker, type Principal, principalSchema } from './permissions.ts'

/** Who is told: an address as in a publish, or the mailbox of a URL. */
const target = z.strictObject({
  /** As it is shown: an agent, a URL, or where a reply goes. */
  who: z.string(),
  to: z.string(),
  /** Only the broker writes there. */
  callback: z.literal(true).exactOptional(),
})
export type ApprovalTarget = z.infer<typeof target>

const news = z.strictObject({
  n: z.int(),
  kind: z.enum(['ask', 'overdue', 'outcome']),
  target,
  at: z.number(),
  state: effectStatus,
})
export type ApprovalNews = z.infer<typeof news>

const outcome = z.discriminatedUnion('status', [
  z.strictObject({
    status: z.literal('decided'),
    at: z.number(),
    option: z.string(),
    /** A source, or whom the link was sent to. */
    by: z.string(),
    how: z.enum(['api', 'link']),
    note: z.string().exactOptional(),
  }),
  /** `option` holds because its asker said so beforehand: nobody chose it. */
  z.strictObject({ status: z.literal('timed_out'), at: z.number(), option: z.string().exactOptional() }),
  z.strictObject({ status: z.literal('cancelled'), at: z.number(), by: z.string() }),
])
export type ApprovalOutcome = z.infer<typeof outcome>

export const approvalRecord = z.strictObject({
  v: z.literal(1),
  id: z.string(),
  owner: z.string(),
  /** Under whose permissions it sends; an agent's are asked for anew. */
  creator: principalSchema,
  incarnation: z.string().exactOptional(),
  contentHash: z.string(),
  input: approvalShape,
  /** Whom each stage asks. */
  stages: z.array(z.array(target)),
  /** Who is told of the outcome. */
  askers: z.array(target),
  /** Where its links lead to, and what signs them. */
  origin: z.string(),
  secret: z.string(),
  openedAt: z.number(),
  stage: z.int(),
  /** When the present stage is over. */
  deadlineAt: z.number(),
  /** It ends then at the latest, and its links with it. */
  endsAt: z.number(),
  overdueAt: z.number().exactOptional(),
  escalatedAt: z.array(z.number()),
  outcome: outcome.exactOptional(),
  news: z.array(news),
  /** While news is pending: when it is asked for again, and how often it was asked in vain. */
  askAt: z.number().exactOptional(),
  tries: z.int(),
})
export type Approval = z.infer<typeof approvalRecord>

/** A stored record, parsed as the network is. */
export const readApproval = (stored: unknown): Approval => approvalRecord.parse(JSON.parse(String(stored)))

const prefix = 'ap-'

/** With a key always the same for one asker, so that a repeat finds the first one. */
export function approvalId(source: string, key: string | undefined, chance: string): string {
  return `${prefix}${key === undefined ? digest('approval', 'chance', chance) : digest('approval', 'key', source, key)}`
}

export const isApprovalId = (id: string): boolean => /^ap-[a-z2-7]{26}$/.test(id)

export const approvalKeptMs = 7 * 86_400_000
/** Whoever is asked to tell has so long before being asked again. */
export const approvalAskAgainMs = 5_000
const askAgainMaxMs = 300_000
/** News whose mailbox stays full is given up after a day. */
export const approvalGiveUpMs = 86_400_000

// --- opening ----------------------------------------------------------------------------------------------------------

export interface ApprovalOpening
  extends Pick<
    Approval,
    'id' | 'owner' | 'creator' | 'contentHash' | 'input' | 'stages' | 'askers' | 'origin' | 'secret'
  > {
  readonly incarnation?: string
  /** How long the first stage lasts. Objects keep their own time. */
  readonly waitsMs: number
}

export type ApprovalOpened = { readonly status: 'opened' | 'duplicate' | 'conflict'; readonly approval: Approval }

export function openApproval(
  current: Approval | undefined,
  { waitsMs, ...opening }: ApprovalOpening,
  now: number,
): ApprovalOpened {
  if (current !== undefined)
    return { status: current.contentHash === opening.contentHash ? 'duplicate' : 'conflict', approval: current }
  const deadlineAt = now + waitsMs
  const fresh: Approval = {
    v: 1,
    ...opening,
    ...{ openedAt: now, stage: 0, deadlineAt, endsAt: approvalEndsAt(opening.input, deadlineAt, now) },
    ...{ escalatedAt: [], news: [], tries: 0 },
  }
  return { status: 'opened', approval: tell(fresh, 'ask', opening.stages[0] ?? [], now, approvalAskAgainMs) }
}

/** It is over then at the latest, if its first stage is at `deadlineAt`. */
export function approvalEndsAt(input: Pick<Approval['input'], 'onTimeout'>, deadlineAt: number, now: number): number {
  const last = deadlineAt + later(input).reduce((sum, { expiresInSeconds }) => sum + expiresInSeconds * 1_000, 0)
  return lastTimeoutOf(input) === 'wait' ? Math.max(last, now + limits.approvalSeconds * 1_000) : last
}

const later = ({ onTimeout }: Pick<Approval['input'], 'onTimeout'>) =>
  typeof onTimeout === 'string' ? [] : onTimeout.escalate

// --- steps ------------------------------------------------------------------------------------------------------------

export type ApprovalStatus = 'pending' | ApprovalOutcome['status']

export const approvalStatusOf = ({ outcome: ended }: Approval): ApprovalStatus => ended?.status ?? 'pending'

/** What time brings: the next stage, that it is overdue, or its end. The same approval comes back when nothing is due. */
export function elapseApproval(approval: Approval, now: number): Approval {
  let current = approval
  while (current.outcome === undefined && current.deadlineAt <= now) current = timeOut(current, now)
  return current
}

function timeOut(approval: Approval, now: number): Approval {
  const { input, stage, stages, overdueAt, endsAt, deadlineAt } = approval
  const next = later(input)[stage]
  if (next !== undefined) {
    // From now on, and not from when it was due: whoever is asked has the whole time, however late the alarm came.
    const until = { deadlineAt: now + next.expiresInSeconds * 1_000, endsAt: endsAt + now - deadlineAt }
    const moved = { ...approval, ...until, stage: stage + 1, escalatedAt: [...approval.escalatedAt, now] }
    return tell(moved, 'ask', stages[stage + 1] ?? [], now, 0)
  }
  const meaning = lastTimeoutOf(input)
  if (meaning === 'wait' && overdueAt === undefined && endsAt > now)
    return tell({ ...approval, overdueAt: now, deadlineAt: endsAt }, 'overdue', approval.askers, now, 0)
  const chosen = input.options.includes(meaning) ? { option: meaning } : {}
  return end(approval, { status: 'timed_out', at: now, ...chosen }, now, 0)
}

/** Who decides, and how. */
export interface Decision {
  readonly option: string
  readonly by: string
  readonly how: 'api' | 'link'
  readonly note?: string
}

export type Decided =
  | { readonly status: 'decided' | 'over'; readonly approval: Approval }
  /** The same person said the same before. */
  | { readonly status: 'repeated'; readonly approval: Approval }
  | { readonly status: 'no_option'; readonly approval: Approval }

/** The first decision in time is the decision. By a link it cannot be repeated: a link decides once. */
export function decideApproval(approval: Approval, decision: Decision, now: number): Decided {
  const current = elapseApproval(approval, now)
  const { outcome: ended } = current
  if (!current.input.options.includes(decision.option)) return { status: 'no_option', approval: current }
  if (ended === undefined)
    return { status: 'decided', approval: end(current, { status: 'decided', at: now, ...decision }, now) }
  const isSame =
    ended.status === 'decided' &&
    decision.how === 'api' &&
    ended.how === 'api' &&
    ended.option === decision.option &&
    ended.by === decision.by
  return { status: isSame ? 'repeated' : 'over', approval: current }
}

export function cancelApproval(approval: Approval, by: string, now: number): Approval {
  const current = elapseApproval(approval, now)
  return current.outcome === undefined ? end(current, { status: 'cancelled', at: now, by }, now) : current
}

// It ends once: whoever calls this has looked that it has not.
function end(approval: Approval, ended: ApprovalOutcome, now: number, graceMs = approvalAskAgainMs): Approval {
  // Nobody need be asked any more.
  const { askAt: _askAt, ...rest } = approval
  const known = approval.news.map((one) => (one.state.status === 'pending' ? { ...one, state: needless } : one))
  return tell({ ...rest, news: known, outcome: ended }, 'outcome', approval.askers, now, graceMs)
}

// Whoever was telling it meanwhile may have told it: their word counts when it comes.
const needless = { status: 'refused', reason: 'over', detail: 'it ended before it was known to be said' } as const
const isNeedless = ({ state }: ApprovalNews) => state.status === 'refused' && state.reason === needless.reason

// What a caller brought about the caller's own gateway tells at once, and has this long for it; what time brought, nobody does.
function tell(
  approval: Approval,
  kind: ApprovalNews['kind'],
  targets: readonly ApprovalTarget[],
  now: number,
  graceMs: number,
): Approval {
  if (targets.length === 0) return approval
  const known = approval.news.length
  const added = targets.map(
    (one, i): ApprovalNews => ({ n: known + i + 1, kind, target: one, at: now, state: { status: 'pending' } }),
  )
  return { ...approval, news: [...approval.news, ...added], askAt: now + graceMs, tries: 0 }
}

/** What became of news. What has ended stays so; news that is none gives the same approval back. */
export function approvalTold(approval: Approval, told: readonly Pick<ApprovalNews, 'n' | 'state'>[]): Approval {
  let changed = false
  const next = approval.news.map((one) => {
    const state = told.find(({ n }) => n === one.n)?.state
    if (state === undefined || state.status === 'pending') return one
    if (one.state.status !== 'pending' && !(isNeedless(one) && state.status === 'carried')) return one
    changed = true
    return { ...one, state }
  })
  if (!changed) return approval
  const { askAt, ...rest } = approval
  const owes = next.some(({ state }) => state.status === 'pending')
  return { ...rest, news: next, ...(owes && askAt !== undefined ? { askAt } : {}) }
}

/** It is asked for again, later each time. Undefined: it is not time, or nothing is owed. */
export function askForNews(approval: Approval, now: number): Approval | undefined {
  const { askAt, tries } = approval
  if (askAt === undefined || askAt > now) return undefined
  return {
    ...approval,
    tries: tries + 1,
    askAt: now + Math.min(approvalAskAgainMs * 2 ** Math.min(tries, 10), askAgainMaxMs),
  }
}

// --- questions --------------------------------------------------------------------------------------------------------

export const pendingNews = ({ news: all }: Approval): ApprovalNews[] => all.filter((n) => n.state.status === 'pending')

/** When its object must wake (M6). */
export function approvalWakeAt(approval: Approval): number {
  const { outcome: ended, deadlineAt, askAt } = approval
  if (ended === undefined) return Math.min(deadlineAt, askAt ?? Number.POSITIVE_INFINITY)
  return askAt ?? ended.at + approvalKeptMs
}

export function isApprovalForgotten({ outcome: ended, askAt }: Approval, now: number): boolean {
  return ended !== undefined && askAt === undefined && ended.at + approvalKeptMs <= now
}

/** Whoever was asked so far. Who comes later in an escalation has nothing to say yet. */
export function askedOf({ stages, stage }: Pick<Approval, 'stages' | 'stage'>): ApprovalTarget[] {
  return stages.slice(0, stage + 1).flat()
}

/** Whoever is asked may decide, and an admin; whoever asks may not, though it be the agent of somebody (S1). */
export function mayDecide(principal: Principal, approval: Approval): boolean {
  if (principal.kind === 'admin') return true
  if (principal.kind !== 'agent') return false
  return askedOf(approval).some(({ to, callback }) => callback === undefined && to === principal.name)
}

/** Who may read it: who asks, who is asked, and an admin (S2). */
export function mayReadApproval(principal: Principal, approval: Approval): boolean {
  return isMaker(principal, { source: approval.owner, at: approval.openedAt }) || mayDecide(principal, approval)
}

/** Whom the question is for, as far as these ask themselves: nobody approves what is their own. */
export function askedThemselves(owner: string, input: Parameters<typeof stagesOf>[0]): boolean {
  return stagesOf(input).some((stage) => stage.includes(owner))
}
