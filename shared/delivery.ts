/**
 * A delivery: one message on its way to one agent.
 *
 *            accept                    settle: ok ─────────────► completed
 *   ────────────────► waiting ──take──► leased ── retry ──► waiting (due later)
 *                     │  ▲  ▲             │  └─── fail ───────► dead_lettered
 *          cancel,    │  │  └─ redrive    └─ attempts exhausted ─► dead_lettered
 *          expiry ────┘  └──────────── dead_lettered, expired
 *
 * Stored is only `waiting` and `ended`: a release lives in memory (a lost one is repeated), a lease in its take's row
 * (shared/lease.ts). What a person sees (`held`, `parked`, `queued`, `dispatched`, …) is derived (shared/receipt.ts).
 * A settled result is never replaced (M2). Never here: which delivery goes first (shared/mailbox.ts).
 */
import * as z from 'zod'
import { batchPolicy } from './batch-policy.ts'
import { type DeadReason, deadReason } from './dead-reason.ts'
import { editsSchema } from './edit.ts'
import { effectSchema } from './effects.ts'
import type { Lease } from './lease.ts'
import { limits } from './limits.ts'
import { lineageSchema } from './lineage.ts'
import { deliveryMode, type Head } from './message.ts'
import { newsOf } from './news.ts'
import { type AttemptError, attemptError } from './outcome.ts'
import { triedSchema } from './tried.ts'
import { usageSchema } from './usage.ts'
import { viewRecord } from './view.ts'

export const stepSchema = z.strictObject({
  step: z.string(),
  at: z.number(),
  attempt: z.int().optional(),
  detail: z.string().optional(),
})
export type Step = z.infer<typeof stepSchema>

export const attemptSchema = z.strictObject({
  number: z.int(),
  startedAt: z.number(),
  endedAt: z.number(),
  /** `ok`, `retry`, `fail`, or what was not counted: `hold`, `gone`, `unsent`, `silence`. */
  outcome: z.string(),
  /** Whether it used one of the policy's attempts (M4). */
  counted: z.boolean(),
  error: attemptError.optional(),
  httpStatus: z.int().optional(),
  /** When it crashed at once (shared/quarantine.ts): the fingerprint of the error on this content. */
  crash: z.string().exactOptional(),
})
export type Attempt = z.infer<typeof attemptSchema>

/** Effects journaled with the ack. Open until each is carried or refused (E1). */
export const journalSchema = z.strictObject({
  effects: z.array(effectSchema),
  openedAt: z.number(),
  closedAt: z.number().optional(),
})
export type Journal = z.infer<typeof journalSchema>

export const endedStatus = z.enum(['completed', 'failed', 'dead_lettered', 'expired', 'cancelled'])
export type EndedStatus = z.infer<typeof endedStatus>

const waiting = z.strictObject({
  at: z.literal('waiting'),
  /** On its way to this agent's mailbox (shared/reassign.ts). */
  leavingFor: z.string().exactOptional(),
})
const ended = z.strictObject({
  at: z.literal('ended'),
  status: endedStatus,
  endedAt: z.number(),
  result: z.unknown().optional(),
  /** What the attempt that ended it says it used. */
  usage: usageSchema.exactOptional(),
  journal: journalSchema.optional(),
  /** Dead letters: why, and whether the index has it. Unburied ones stay live until it does. */
  reason: deadReason.optional(),
  error: attemptError.optional(),
  buried: z.boolean().optional(),
  /** Cancelled because another mailbox accepted it: the delivery there. */
  reassignedTo: z.string().exactOptional(),
  /** Cancelled because a newer message of its collapse key took its place: the delivery of that. */
  collapsedInto: z.string().exactOptional(),
  /** Cancelled because its agent came back and did not want it (shared/catch-up.ts). */
  skipped: z.literal(true).exactOptional(),
  /** A purged dead letter leaves its key, so that a late duplicate is still recognised. */
  purged: z.boolean().optional(),
})
export type Ended = z.infer<typeof ended>

export const deliverySchema = z.strictObject({
  v: z.literal(1),
  id: z.string(),
  /** Which incarnation of the agent it was accepted for: a re-created agent inherits nothing. */
  incarnation: z.string(),
  sequence: z.int(),
  hops: z.int(),
  mode: deliveryMode,
  /** The publisher's key: with `head.source`, what a duplicate is recognised by. */
  key: z.string(),
  contentHash: z.string(),
  /** The token of the accept that stored it: the platform's repeat of that call is not a duplicate. */
  acceptToken: z.string(),
  /** Made by the broker: never released, and remembered at least a day after its maker's journal closed. */
  brokerMade: z.boolean(),
  acceptedAt: z.number(),
  /**
   * When that began which it is part of: a publish by somebody, or the legs of a publication. Its id may come round again, and what
   * follows from it then is told from what followed before. Absent in older rows.
   */
  since: z.number().exactOptional(),
  /** Its place among its partition key's: when it first became due. A retry keeps its place (M3). */
  lineAt: z.number(),
  /** When it was told that it had not come as far as the policy wants by then. */
  overdueAt: z.number().exactOptional(),
  /** Not before. A retry's pause moves it. */
  dueAt: z.number(),
  /** When its last attempt had it due again, by a pause of its own. Absent: it is due since `lineAt`. */
  dueSince: z.number().exactOptional(),
  /** Debounced: when the first of its series came. */
  debouncedSince: z.number().exactOptional(),
  expiresAt: z.number().optional(),
  priority: z.int(),
  partitionKey: z.string().optional(),
  head: z.custom<Head>((v) => typeof v === 'object' && v !== null),
  bodyBytes: z.int(),
  /** Leases that were closed: the fence. The lease in force is number `leases + 1`; any other is stale. */
  leases: z.int(),
  /** The token of the lease closed last: its repeated report gets the same answer. */
  closedToken: z.string().optional(),
  /** The kind of the report that closed it. */
  closedBy: z.string().optional(),
  /** Attempts that counted, in this life. */
  attempt: z.int(),
  attempts: z.array(attemptSchema),
  /** A lease ended in silence: released alone, and silence then counts. */
  suspect: z.boolean(),
  /** A call that carried it with others came to nothing: it goes in one of its own from now on. */
  single: z.literal(true).exactOptional(),
  /** Released in the same transaction that stored it, so that a lease of it may be missing from storage. */
  releasedAtAccept: z.boolean(),
  redrives: z.int(),
  redriveToken: z.string().optional(),
  /** What people changed of its message before a redrive. */
  edits: editsSchema.exactOptional(),
  /** Of a chain: who was asked before. Absent for one that came straight to this agent. */
  tried: z.array(triedSchema).exactOptional(),
  /** What led to it. Absent for a root, and for what nobody knows the cause of. */
  lineage: lineageSchema.exactOptional(),
  /** What of its data its agent is handed. Absent: all. */
  view: viewRecord.exactOptional(),
  /** How it shares its call, where a subscription said so. Absent: as its agent's policy does. */
  batch: batchPolicy.exactOptional(),
  /** Its workflow lets it not begin until then, or until it says otherwise. */
  withheld: z.strictObject({ workflow: z.string(), because: z.string() }).exactOptional(),
  /** Whoever asked for it waits no more: it is not begun again. */
  recalled: z.literal(true).exactOptional(),
  steps: z.array(stepSchema),
  truncated: z.boolean(),
  state: z.discriminatedUnion('at', [waiting, ended]),
})
export type Delivery = z.infer<typeof deliverySchema>

/** A stored record, parsed as the network is. */
export const readDelivery = (stored: unknown): Delivery => deliverySchema.parse(JSON.parse(String(stored)))

export function step(delivery: Delivery, entry: Step): Delivery {
  const steps = [...delivery.steps, entry]
  const over = steps.length - limits.stepsPerReceipt
  // The first step (accepted) always stays: it says when the story began.
  return over > 0
    ? { ...delivery, steps: [...steps.slice(0, 1), ...steps.slice(1 + over)], truncated: true }
    : { ...delivery, steps }
}

/** How a lease began, as steps. Memory knows it until the story goes on; then it is written, and only once. */
export function withStart(
  delivery: Delivery,
  lease: Pick<Lease, 'at' | 'phase' | 'queuedAt' | 'claimedAt' | 'batch'>,
): Delivery {
  const pulled = lease.phase === 'claimed' && lease.queuedAt === undefined && lease.claimedAt === undefined
  const attempt = delivery.attempt + 1
  const isStart = (s: Step) => (s.step === 'dispatched' || s.step === 'claimed') && s.at === lease.at
  const isTold = delivery.steps.some((s) => isStart(s) && s.attempt === attempt)
  const queued =
    isTold || lease.queuedAt === undefined ? delivery : step(delivery, { step: 'queued', at: lease.queuedAt })
  const detail = lease.batch === undefined ? {} : { detail: `in a batch of ${lease.batch.size}` }
  const begun = isTold
    ? delivery
    : step(queued, { step: pulled ? 'claimed' : 'dispatched', at: lease.at, attempt, ...detail })
  return withClaim(begun, lease.claimedAt, attempt)
}

// An extension writes the lease and not the delivery, so that it costs one row.
function withClaim(delivery: Delivery, claimedAt: number | undefined, attempt: number): Delivery {
  const isClaim = (s: Step) => s.step === 'claimed' && s.at === claimedAt && s.attempt === attempt
  return claimedAt === undefined || delivery.steps.some(isClaim)
    ? delivery
    : step(delivery, { step: 'claimed', at: claimedAt, attempt })
}

export function withAttempt(delivery: Delivery, attempt: Attempt): Delivery {
  const attempts = [...delivery.attempts, attempt]
  const over = attempts.length - limits.attemptsPerReceipt
  return {
    ...delivery,
    attempts: over > 0 ? attempts.slice(over) : attempts,
    truncated: delivery.truncated || over > 0,
    attempt: attempt.counted ? delivery.attempt + 1 : delivery.attempt,
  }
}

export function end(
  delivery: Delivery,
  status: EndedStatus,
  at: number,
  more: Omit<Ended, 'at' | 'status' | 'endedAt'> = {},
): Delivery {
  const detail = more.reason ?? undefined
  const told = newsOf(delivery, { status, ...more })
  const effects = [...(more.journal?.effects ?? []), ...told]
  const journal: Journal | undefined = effects.length === 0 ? undefined : { openedAt: at, ...more.journal, effects }
  return step(
    {
      ...delivery,
      state: { at: 'ended', status, endedAt: at, ...more, ...(journal === undefined ? {} : { journal }) },
    },
    { step: status, at, ...(detail === undefined ? {} : { detail }) },
  )
}

/** A bad end is a dead letter: unburied until the index has it. */
export function endDead(
  delivery: Delivery,
  status: 'dead_lettered' | 'expired',
  reason: DeadReason,
  at: number,
  error?: AttemptError,
): Delivery {
  return end(delivery, status, at, {
    reason,
    buried: false,
    ...(error === undefined ? {} : { error }),
  })
}

/** Has it ended, so that it no longer counts towards depth? */
export function hasEnded(delivery: Delivery): delivery is Delivery & { state: Ended } {
  return delivery.state.at === 'ended'
}

/** Is anything still to be done for it: not ended, effects open, or a dead letter unburied? Live things wake (M6). */
export function isLive(delivery: Delivery): boolean {
  if (delivery.state.at === 'waiting') return true
  return hasOpenJournal(delivery) || isUnburied(delivery)
}

/** Is it on its way to another mailbox? Nothing happens to it here until that is decided. */
export function isLeaving(delivery: Delivery): boolean {
  return delivery.state.at === 'waiting' && delivery.state.leavingFor !== undefined
}

export function hasOpenJournal(delivery: Delivery): boolean {
  return (
    delivery.state.at === 'ended' &&
    delivery.state.journal !== undefined &&
    delivery.state.journal.closedAt === undefined
  )
}

/** Has somebody outside the mailbox to finish it: carry its effects, bury it, move it? */
export function isChore(delivery: Delivery): boolean {
  return hasOpenJournal(delivery) || isUnburied(delivery) || isLeaving(delivery)
}

export function isUnburied(delivery: Delivery): boolean {
  return delivery.state.at === 'ended' && delivery.state.buried === false
}

/** Has it to be carried to the next of its chain? */
export function isPassing({ state }: Delivery): boolean {
  return (
    state.at === 'ended' &&
    state.journal?.effects.some((e) => e.kind === 'pass' && e.state.status === 'pending') === true
  )
}

/** A dead letter keeps its body, so that it can be redriven; what is passed on until the next has it. */
export function keepsBody(delivery: Delivery): boolean {
  return (
    delivery.state.at === 'waiting' || isPassing(delivery) || (isDeadLetter(delivery) && delivery.state.purged !== true)
  )
}

export function isDeadLetter(delivery: Delivery): delivery is Delivery & { state: Ended } {
  return delivery.state.at === 'ended' && delivery.state.reason !== undefined
}
