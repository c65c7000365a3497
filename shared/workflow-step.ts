/**
 * What moves a workflow besides writes to its state: its beginning, people, and what became of its effects. Never here: saving
 * (durable-objects/workflow.ts).
 */
import type { Outgoing, Performed } from './outgoing.ts'
import { chased, commit, type Draft, forgetAt, isOwing, move } from './workflow.ts'
import type { Moved, PerformedNews, Purged } from './workflow-port.ts'
import { isOver } from './workflow-status.ts'

/** Version 1. */
export function begin(draft: Draft, now: number): void {
  commit(draft, draft.state, 'created', draft.record.createdBy, now)
}

/** Until somebody resumes it, or `forMs` have passed. What comes meanwhile waits. */
export function pause(draft: Draft, by: string, reason: string, forMs: number | undefined, now: number): Moved {
  const { status } = draft.record
  if (isOver(status)) return { status: 'over', ended: status }
  if (status === 'running') move(draft, 'paused', by, now, reason)
  const { paused } = draft.record
  if (paused !== undefined && forMs !== undefined)
    draft.record = { ...draft.record, paused: { ...paused, untilAt: now + forMs } }
  return movedOf(draft)
}

/** What waited has its turn in the order in which it came. */
export function resume(draft: Draft, by: string, now: number): Moved {
  const { status } = draft.record
  if (isOver(status)) return { status: 'over', ended: status }
  if (status === 'paused') move(draft, 'running', by, now)
  return movedOf(draft)
}

/** Its agents' work is not taken back; nothing moves it any more. Cancelling twice is cancelling once. */
export function cancel(draft: Draft, by: string, reason: string, now: number): Moved {
  const { status } = draft.record
  if (isOver(status) && status !== 'cancelled') return { status: 'over', ended: status }
  if (status !== 'cancelled') move(draft, 'cancelled', by, now, reason)
  return movedOf(draft)
}

const movedOf = ({ record, state }: Draft): Moved => ({ status: 'moved', workflow: { record, state } })

/** An ended one need not be kept any longer. */
export function purge(draft: Draft): Purged {
  if (!isOver(draft.record.status)) return { status: 'live', now: draft.record.status }
  draft.record = { ...draft.record, keptMs: 0, forgetting: true }
  return { status: 'purged' }
}

/** Writes down what became of what it owed. What was carried or refused before stays so. */
export function settle(
  draft: Draft,
  news: PerformedNews,
  effectOf: (n: number) => Outgoing | undefined,
): readonly Performed[] {
  const fresh = news.effects.filter(
    ({ n, state }) => state.status !== 'pending' && effectOf(n)?.state.status === 'pending',
  )
  for (const { n, state } of fresh) {
    const effect = effectOf(n)
    if (effect !== undefined) draft.effects.push({ ...effect, state })
  }
  const open = draft.record.open - fresh.length
  draft.record = { ...draft.record, open, ...(news.listed === undefined ? {} : { listed: news.listed }) }
  return fresh
}

/** What time alone brings. True when somebody is to be asked to do what it owes. */
export function tick(draft: Draft, now: number): boolean {
  if ((forgetAt(draft.record) ?? Number.POSITIVE_INFINITY) <= now && draft.record.forgetting === undefined)
    draft.record = { ...draft.record, forgetting: true }
  const chasing = isOwing(draft.record) && (draft.record.chaseAt ?? 0) <= now
  if (chasing) draft.record = chased(draft.record, now)
  return chasing
}
