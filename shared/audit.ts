/**
 * The audit: accepted = ended + live, proved from what a mailbox's storage holds.
 *
 *   numbers given = numbered rows + rows forgotten past keeping + further lives of dead letters
 *
 * Every delivery is given a number when it is accepted (`sequence`), and another one with each new life; nothing else takes one. So
 * the highest number is a count of what was accepted that costs no row of its own, and a row that is gone without having been
 * counted as forgotten is missing. One that moved to another mailbox has ended here and was accepted there; `at_most_once` has no
 * number, because nothing is promised of it. Never here: counting rows (durable-objects/buckets.ts), asking mailboxes
 * (workers/audit.ts).
 */
import * as z from 'zod'
import type { Ledger } from './bucket.ts'
import { limits } from './limits.ts'

/** Rows as they lie in a mailbox's tables. */
export interface Tally {
  /** Rows of deliveries that were given a number: all but the receipts of `at_most_once`. */
  readonly numbered: number
  readonly fleeting: number
  /** Those that have not ended. */
  readonly waiting: number
  /** Of those, how many a rebuilt mailbox would not find. */
  readonly stranded: number
}

const count = z.int().min(0)

export const countedMailbox = z.strictObject({
  verdict: z.enum(['sound', 'mismatch']),
  accepted: count.describe('Deliveries that were ever accepted by this mailbox.'),
  ended: count.describe('Completed, dead-lettered, expired or cancelled; `forgotten` ones too.'),
  live: count.describe('Not ended.'),
  forgotten: z
    .int()
    .describe('Of those that ended, how many are past keeping. All that was gone before the count began is in it.'),
  redriven: count.describe('Times that a dead letter was given a new life.'),
  fleeting: count.describe('Receipts of `at_most_once`, which are no part of the sum: nothing is promised of them.'),
  missing: z.int().describe('`accepted` less `ended` and `live`. Anything but 0 is a mismatch.'),
  stranded: count.describe('Live ones that the mailbox would not find after a restart. Anything but 0 is a mismatch.'),
  untracked: z
    .int()
    .describe('Live ones in storage, less those that the mailbox knows of. Anything but 0 is a mismatch.'),
})

export const notCountedMailbox = z.strictObject({
  verdict: z.literal('not_counted'),
  why: z
    .enum(['too_large', 'not_begun'])
    .describe(
      `\`too_large\`: it holds more than ${limits.auditRows} rows. \`not_begun\`: its storage is from before there was an audit; the next hourly sweep begins to count.`,
    ),
})

export const mailboxAudit = z.discriminatedUnion('verdict', [countedMailbox, notCountedMailbox])
export type MailboxAudit = z.infer<typeof mailboxAudit>

/** Does it add up? `sequence`: numbers given. `depth`: what the mailbox knows that has not ended. */
export function auditOf(sequence: number, depth: number, { forgotten, redriven }: Ledger, tally: Tally): MailboxAudit {
  const accepted = sequence - redriven
  const live = tally.waiting
  const ended = tally.numbered - live + forgotten
  const missing = accepted - ended - live
  const untracked = live - depth
  const sound = missing === 0 && tally.stranded === 0 && untracked === 0
  const { fleeting, stranded } = tally
  const figures = { accepted, ended, live, forgotten, redriven, fleeting, missing, stranded, untracked }
  return { verdict: sound ? 'sound' : 'mismatch', ...figures }
}

// --- all mailboxes ----------------------------------------------------------------------------------------------------

export interface NamedAudit {
  readonly agent: string
  readonly audit: MailboxAudit
}

export const auditTotal = z.strictObject({
  mailboxes: count.describe('That were counted.'),
  accepted: count,
  ended: count,
  live: count,
  mismatched: z
    .array(z.string())
    .describe(`Agents whose mailbox does not add up, the first ${limits.auditMismatchesNamed} of them.`),
  notCounted: count.describe('Mailboxes that are too large, or whose count has not begun.'),
  unavailable: count.describe('Mailboxes that did not answer.'),
})
export type AuditTotal = z.infer<typeof auditTotal>

export const nothingAudited: AuditTotal = {
  ...{ mailboxes: 0, accepted: 0, ended: 0, live: 0 },
  ...{ mismatched: [], notCounted: 0, unavailable: 0 },
}

/** The total with one mailbox more; `undefined`: it did not answer. */
export function withMailbox(total: AuditTotal, agent: string, audit: MailboxAudit | undefined): AuditTotal {
  if (audit === undefined) return { ...total, unavailable: total.unavailable + 1 }
  if (audit.verdict === 'not_counted') return { ...total, notCounted: total.notCounted + 1 }
  const { mismatched } = total
  const named = audit.verdict === 'mismatch' && mismatched.length < limits.auditMismatchesNamed
  return {
    ...total,
    mailboxes: total.mailboxes + 1,
    accepted: total.accepted + audit.accepted,
    ended: total.ended + audit.ended,
    live: total.live + audit.live,
    mismatched: named ? [...mismatched, agent] : mismatched,
  }
}

/** What the last hourly sweep found, as the directory keeps it. */
export const sweptAudit = z.strictObject({ v: z.literal(1), at: z.number(), total: auditTotal })
export type SweptAudit = z.infer<typeof sweptAudit>

/** A stored record, parsed as the network is. */
export const readSweptAudit = (stored: unknown): SweptAudit => sweptAudit.parse(JSON.parse(String(stored)))

export const sweptAuditAnswer = z.strictObject({
  at: z.iso.datetime(),
  sound: z.boolean().describe('Every mailbox that was counted adds up.'),
  ...auditTotal.shape,
})

/** As it is shown. */
export function publicSwept({ at, total }: SweptAudit): z.infer<typeof sweptAuditAnswer> {
  return { at: new Date(at).toISOString(), sound: total.mismatched.length === 0, ...total }
}

export const auditAnswer = z.strictObject({
  at: z.iso.datetime(),
  total: auditTotal.describe('Of this page.'),
  items: z.array(
    z.discriminatedUnion('verdict', [
      countedMailbox.extend({ agent: z.string() }),
      notCountedMailbox.extend({ agent: z.string() }),
    ]),
  ),
  unavailable: z.array(z.string()).describe('Agents whose mailbox did not answer.'),
  lastSweep: sweptAuditAnswer
    .optional()
    .describe('What the hourly sweep found in all of them. Absent before the first.'),
  cursor: z.string().optional().describe('There is more: ask again with this cursor.'),
})
export type AuditAnswer = z.infer<typeof auditAnswer>
