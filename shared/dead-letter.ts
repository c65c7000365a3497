/**
 * A dead letter: a delivery that ended badly, or an effect that was refused, with its reason and history. The index of all of
 * them is one object; the body stays in the mailbox. Never here: redriving (workers/exhume.ts).
 */
import * as z from 'zod'
import { type DeadReason, deadReason } from './dead-reason.ts'
import { attemptSchema, type Delivery, isDeadLetter } from './delivery.ts'
import { editsSchema, withoutData } from './edit.ts'
import type { Effect } from './effects.ts'
import { fingerprintOf } from './fingerprint.ts'
import { deadLetterId, effectDeadLetterId } from './ids.ts'
import type { Head } from './message.ts'
import { type AttemptError, attemptError } from './outcome.ts'

export const deadLetter = z.strictObject({
  v: z.literal(1),
  id: z.string(),
  /** The delivery that died, or whose effect was refused. */
  delivery: z.string(),
  agent: z.string(),
  /** What died: a delivery, an effect that was refused, or a publish to many that reached nobody. */
  kind: z.enum(['delivery', 'effect', 'publication']),
  reason: deadReason,
  error: attemptError.optional(),
  /** Of the error; of the reason where there was none. Letters written before there were fingerprints have none. */
  fingerprint: z.string().exactOptional(),
  attempts: z.array(attemptSchema),
  at: z.number(),
  /** Lives before this one. */
  redrives: z.int(),
  message: z.custom<Head>((v) => typeof v === 'object' && v !== null),
  /** For a refused effect: what was asked for. */
  effect: z.record(z.string(), z.unknown()).optional(),
  /** The mailbox's number for it: what died at once is redriven in this order. */
  sequence: z.int().exactOptional(),
  /** As they stood when the letter was written, which is when it died unless the broker crashed just then. */
  breaker: z.string().exactOptional(),
  /** As it was in force: policies change, and so does their form. */
  policy: z.record(z.string(), z.unknown()).exactOptional(),
  /** What people changed of its message in earlier lives. */
  edits: editsSchema.exactOptional(),
  /** For a message that a guard stopped: the deliveries that led to it. */
  path: z.array(z.string()).exactOptional(),
})
export type DeadLetter = z.infer<typeof deadLetter>

export interface DeadLetterFilter {
  readonly agent?: string | undefined
  /** Died then or later: an agent's own, and not those of another one that had its name. */
  readonly since?: number | undefined
  readonly reason?: string | undefined
  readonly fingerprint?: string | undefined
}

/** Dead letters that died of the same. */
export interface LetterGroup {
  readonly fingerprint: string
  readonly reason: DeadReason
  readonly count: number
  /** Some of the agents that have one, at most `agentsPerGroup`. */
  readonly agents: readonly string[]
  readonly newestAt: number
  readonly oldestAt: number
  readonly example: { readonly id: string; readonly error?: AttemptError | undefined }
}

export const agentsPerGroup = 10

/** What letters are grouped by. What died without an error (it expired, its agent was deleted) died of its reason. */
export function fingerprintFor(reason: DeadReason, error: AttemptError | undefined): string {
  return fingerprintOf(error ?? { code: reason, message: '' }, '').error
}

/** How its agent stood. */
export interface Standing {
  readonly breaker: string
  readonly policy: Readonly<Record<string, unknown>>
}

/** The index entry of a delivery that died. */
export function deadLetterOf(agent: string, delivery: Delivery, standing?: Standing): DeadLetter | undefined {
  if (!isDeadLetter(delivery) || delivery.state.reason === undefined) return undefined
  const { reason, error, endedAt } = delivery.state
  return {
    v: 1,
    id: deadLetterId(delivery.id, delivery.redrives),
    delivery: delivery.id,
    agent,
    kind: 'delivery',
    reason,
    ...(error === undefined ? {} : { error }),
    fingerprint: fingerprintFor(reason, error),
    attempts: delivery.attempts,
    at: endedAt,
    redrives: delivery.redrives,
    message: delivery.head,
    sequence: delivery.sequence,
    ...(standing === undefined ? {} : { breaker: standing.breaker, policy: { ...standing.policy } }),
    ...(delivery.edits === undefined ? {} : { edits: withoutData(delivery.edits) }),
    ...(isStop(reason) && delivery.lineage !== undefined ? { path: delivery.lineage.path.map(({ id }) => id) } : {}),
  }
}

/** The index entry of an effect that was refused for good (E1). */
export function deadLetterOfEffect(
  agent: string,
  delivery: string,
  head: Head,
  effect: Effect,
  now: number,
): DeadLetter | undefined {
  if (effect.state.status !== 'refused') return undefined
  // What a guard stopped lies in its addressee's mailbox, and is a dead letter there.
  if (effect.state.delivery !== undefined) return undefined
  const error = { code: effect.state.reason, message: effect.state.detail }
  return {
    v: 1,
    id: effectDeadLetterId(delivery, effect.n),
    delivery,
    agent,
    kind: 'effect',
    reason: isStop(effect.state.reason) ? effect.state.reason : 'effect_refused',
    error,
    fingerprint: fingerprintFor('effect_refused', error),
    attempts: [],
    at: now,
    redrives: 0,
    message: head,
    effect: effect.publish,
  }
}

const isStop = (reason: string): reason is 'hop_limit' | 'loop_detected' =>
  reason === 'hop_limit' || reason === 'loop_detected'

/** What storage held is parsed as the network is: an old record must be recognised, never taken on trust. */
export const readLetter = (stored: unknown): DeadLetter => deadLetter.parse(JSON.parse(String(stored)))

/** A place in the list of groups, newest first. Opaque to callers. */
export function groupCursor(group: Pick<LetterGroup, 'newestAt' | 'fingerprint' | 'reason'>): string {
  return `${group.newestAt}.${group.fingerprint}.${group.reason}`
}

/** Where to go on; without a cursor, or with nonsense, before everything. */
export function parseGroupCursor(cursor: string | undefined): {
  readonly at: number
  readonly fingerprint: string
  readonly reason: string
} {
  const [, at, fingerprint = '', reason = ''] = /^(\d{1,15})\.([a-z2-7]+)\.([a-z_]+)$/.exec(cursor ?? '') ?? []
  return at === undefined
    ? { at: Number.MAX_SAFE_INTEGER, fingerprint: '', reason: '' }
    : { at: Number(at), fingerprint, reason }
}

/** How long a dead letter is kept, in the index as in its mailbox. */
export const deadLetterKeptMs = 30 * 86_400_000

/** How long a removed letter is remembered: longer than anybody tries to bury it (`effectGiveUpMs`, and a day for the road). */
export const tombstoneKeptMs = 2 * 86_400_000

/**
 * Is a burial news, given what is known under its id? A repeat is not, and neither is a late one of a letter that was
 * removed. A delivery's letter that died later than the known one is another death under the same name (the agent was
 * deleted and made anew), and so is a publication's that was opened later. A refused effect is dated by who buries it, so its
 * repeat may look younger and is still a repeat.
 */
export function isNewsOf(letter: DeadLetter, known: { readonly at: number } | undefined): boolean {
  return known === undefined || (letter.kind !== 'effect' && letter.at > known.at)
}

/** A place in the list, newest first. Opaque to callers. */
export function letterCursor(letter: DeadLetter): string {
  return `${letter.at}.${letter.id}`
}

/** Where to go on; without a cursor, or with nonsense, before everything. */
export function parseLetterCursor(cursor: string | undefined): { readonly at: number; readonly id: string } {
  const cut = cursor?.indexOf('.') ?? -1
  const at = cut > 0 ? Number(cursor?.slice(0, cut)) : Number.NaN
  return Number.isFinite(at) && cursor !== undefined
    ? { at, id: cursor.slice(cut + 1) }
    : { at: Number.MAX_SAFE_INTEGER, id: '' }
}

export interface DeadLettersPort {
  bury(letters: readonly DeadLetter[]): Promise<void>
  get(id: string): Promise<DeadLetter | undefined>
  list(
    filter: DeadLetterFilter,
    cursor: string | undefined,
    limit: number,
  ): Promise<{ readonly items: readonly DeadLetter[]; readonly cursor?: string }>
  /** By fingerprint and reason, the one with the newest letter first. */
  groups(
    of: Pick<DeadLetterFilter, 'agent' | 'since'>,
    cursor: string | undefined,
    limit: number,
  ): Promise<{ readonly items: readonly LetterGroup[]; readonly cursor?: string }>
  remove(id: string): Promise<boolean>
  /** The newest `max` of them, by agent and reason. */
  count(max: number): Promise<{ readonly counts: readonly LetterCount[]; readonly counted: number }>
}

/** How many there are of one agent and reason. A publication's is for no agent: its name is empty. */
export interface LetterCount {
  readonly agent: string
  readonly reason: string
  readonly count: number
}
