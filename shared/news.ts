/**
 * News: who is told that a delivery ended, as effects that are journaled with the end itself, so that no crash comes between (M1, E1).
 * Whoever waits for its answer hears that there will be none; whom its sender named in `receiptto` hears of every end.
 * Never here: telling (workers/effects.ts).
 */
import { skippedOnCatchUp } from './catch-up-policy.ts'
import { type Effect, noticeOf, receiptNoticeOf } from './effects.ts'
import { awaitsAnswer, type Head } from './message.ts'

/** What of a delivery the news is about. */
interface Subject {
  readonly id: string
  readonly head: Head
  readonly redrives: number
  readonly recalled?: true
}

interface End {
  readonly status: string
  readonly reason?: string | undefined
  readonly error?: unknown
  readonly reassignedTo?: string
  readonly collapsedInto?: string
  readonly skipped?: true
  readonly journal?: { readonly effects: readonly Effect[] } | undefined
}

/** Numbered after what its journal has already. */
export function newsOf(subject: Subject, end: End): Effect[] {
  const known = end.journal?.effects ?? []
  // In another mailbox it goes on, and ends there.
  if (end.reassignedTo !== undefined || known.some(({ kind }) => kind === 'pass')) return []
  return [...forWhoWaits(subject, end), ...forItsSender(subject, end)].map((e, i) => ({
    ...e,
    n: known.length + 1 + i,
  }))
}

function forWhoWaits({ id, head, redrives, recalled }: Subject, { status, reason, error }: End): Effect[] {
  // Who called it back knows.
  if (status === 'completed' || recalled === true || !awaitsAnswer(head.replyto)) return []
  const ending = { status, ...(reason === undefined ? {} : { reason }), ...(error === undefined ? {} : { error }) }
  return [noticeOf(id, head, redrives, ending)]
}

function forItsSender({ id, head, redrives }: Subject, { status, reason, collapsedInto, skipped }: End): Effect[] {
  if (head.receiptto === undefined) return []
  const why = reason ?? (collapsedInto === undefined ? skipped && skippedOnCatchUp : 'collapsed')
  return [
    receiptNoticeOf(id, head, redrives, head.receiptto, { status, ...(why === undefined ? {} : { reason: why }) }),
  ]
}
