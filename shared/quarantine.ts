/**
 * Quarantine: a message that crashes its handler at once, twice in a row in the same way, goes to the dead letters as `poison`
 * instead of burning the rest of its attempts; whatever waits with the same content and the same crash goes with it.
 * An outage must never look like that (docs/decisions/0013): what is not the handler's own crash, comes late, asks for a pause
 * or speaks of the network is none, nor is one that other mail shares. Never here: counting attempts (shared/settlement.ts).
 */
import type { AgentRecord } from './agent.ts'
import { type Attempt, type Delivery, endDead, hasEnded, isLeaving, step } from './delivery.ts'
import { fingerprintOf } from './fingerprint.ts'
import { type Draft, leaseOf, liveOf, put } from './mailbox.ts'
import { narrowed } from './narrowing.ts'
import type { Outcome } from './outcome.ts'

/** A handler that fails later than this did work first: what it met there may be gone next time. */
export const atOnceMs = 1_000

/** A handler's error is only words, and these say that somebody else is in trouble. Rather one too many than a burned outage. */
const soundsLikeOutage =
  /network|connect|socket|fetch|econn|enotfound|eai_again|\bdns\b|\btls\b|time[d ]*-?\s?out|deadline|abort|unavailable|overload|capacity|quota|rate.?limit|throttl|too many|try again|retry|gateway|internal (?:server )?error|\b(?:408|425|429|5\d\d)\b/i

/** Notes on the attempt that just ended whether it was a crash at once, and which. */
export function noteCrash(tried: Delivery, outcome: Extract<Outcome, { kind: 'retry' }>): Delivery {
  const last = tried.attempts.at(-1)
  if (last === undefined || !isCrash(outcome, last)) return tried
  const crash = fingerprintOf(outcome.error, tried.contentHash).whole
  return { ...tried, attempts: [...tried.attempts.slice(0, -1), { ...last, crash }] }
}

function isCrash({ error, retryAfterMs, delayMs }: Extract<Outcome, { kind: 'retry' }>, attempt: Attempt): boolean {
  return (
    error.code === 'handler' &&
    error.httpStatus === undefined &&
    // Whoever names a pause knows what it waits for.
    retryAfterMs === undefined &&
    delayMs === undefined &&
    attempt.endedAt - attempt.startedAt <= atOnceMs &&
    !soundsLikeOutage.test(error.message)
  )
}

/** Did it crash at once in the same way twice in a row, in this life, while nothing says that the agent is unwell? */
export function isPoison(draft: Draft, agent: AgentRecord, tried: Delivery): boolean {
  const crash = crashOf(tried)
  const { maxAttempts } = narrowed(agent.policy, tried.head)
  if (!agent.policy.quarantine || crash === undefined || tried.attempt < 2 || tried.attempt >= maxAttempts) return false
  return (
    tried.attempts.at(-2)?.crash === crash &&
    draft.gate.breaker.state.at === 'closed' &&
    !crashesWithOtherContent(draft, tried)
  )
}

// The mailbox sees an outage by this: other mail crashed too, and since then nothing went well.
function crashesWithOtherContent(draft: Draft, tried: Delivery): boolean {
  const wellAt = draft.gate.breaker.window.findLast((e) => !e.failed)?.at ?? Number.NEGATIVE_INFINITY
  for (const other of liveOf(draft)) {
    const last = other.attempts.at(-1)
    if (other.contentHash !== tried.contentHash && crashOf(other) !== undefined && (last?.endedAt ?? 0) >= wellAt)
      return true
  }
  return false
}

/** Ends it, and with it what waits with the same content after the same crash. */
export function quarantine(draft: Draft, tried: Delivery, now: number): void {
  const crash = crashOf(tried)
  for (const other of [...liveOf(draft)]) {
    if (other.id === tried.id || crashOf(other) !== crash) continue
    if (leaseOf(draft, other.id) !== undefined || isLeaving(other)) continue
    draft.releases.set(other.id, null)
    put(draft, dead(other, `has the content of ${tried.id} and crashed as it did`, now))
  }
  put(draft, dead(tried, 'crashed at once in the same way twice in a row', now))
}

function dead(delivery: Delivery, detail: string, now: number): Delivery {
  const error = delivery.attempts.at(-1)?.error
  return endDead(step(delivery, { step: 'quarantined', at: now, detail }), 'dead_lettered', 'poison', now, error)
}

/** How the latest attempt of this life crashed, where it waits; undefined when it did not. */
function crashOf(delivery: Delivery): string | undefined {
  return hasEnded(delivery) || delivery.attempt === 0 ? undefined : delivery.attempts.at(-1)?.crash
}
