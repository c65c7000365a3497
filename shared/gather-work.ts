/**
 * What is left to do for a gather, and when. Never here: what happens to it (shared/gather.ts), doing it (workers/gather.ts).
 */
import { type Gather, type GatherNews, gatherKeptMs, type Send } from './gather.ts'

/** Sends whose mailboxes have not answered: the latest of legs that wait. */
export function unsent(gather: Gather): (Send & { readonly n: number; readonly agent: string })[] {
  if (gather.outcome !== undefined) return []
  return gather.legs.flatMap(({ n, agent, sends, state }) => {
    const latest = sends.at(-1)
    return state.status !== 'waiting' || latest === undefined || latest.accepted ? [] : [{ ...latest, n, agent }]
  })
}

/** Deliveries that nobody need begin with any more: older sends, and all of them once it is over. */
export function needless(gather: Gather): { readonly agent: string; readonly delivery: string }[] {
  return gather.legs.flatMap(({ agent, sends, state }) => {
    if (state.status === 'replied') return []
    const past = gather.outcome === undefined ? sends.slice(0, -1) : sends
    return past.map(({ delivery }) => ({ agent, delivery }))
  })
}

/** When it wants to be looked at again: to go on, at intervals that grow with its age from 5 s to 5 min, or to be forgotten. */
export function gatherDueAt(gather: Gather, now: number): number {
  const { outcome, openedAt, deadlineAt, told, toldAt } = gather
  if (outcome !== undefined && told) return (toldAt ?? outcome.at) + gatherKeptMs
  const again = now + Math.min(retryMaxMs, Math.max(retryMinMs, (now - openedAt) / 2))
  if (outcome !== undefined) return again
  return unsent(gather).length > 0 ? Math.min(again, deadlineAt) : deadlineAt
}

/** News of a request that its sends were accepted, and no other: when the first look at it is still to come, or it is over. */
export function isWorthNoRow({ scatter, outcome, openedAt }: Gather, news: GatherNews, now: number): boolean {
  const { accepted = [], refused = [], ...rest } = news
  const isAcceptance = accepted.length > 0 && refused.length === 0 && Object.keys(rest).length === 0
  return isAcceptance && scatter === undefined && (outcome !== undefined || now - openedAt < retryMinMs)
}

const retryMinMs = 5_000
const retryMaxMs = 300_000
