/**
 * The head of a line, the line being the messages of one partition key: what is done when it keeps failing, by its agent's policy
 * `headOfLine`. Judged when an attempt has failed, and only while the breaker is closed: an agent that is down is no fault of its
 * mail (docs/decisions/0035). Never here: which delivery is the head (shared/line.ts).
 */
import type { DeadReason } from './dead-reason.ts'
import { type Delivery, endDead, hasEnded, isLeaving, step } from './delivery.ts'
import type { Gate } from './gate.ts'
import { inLine } from './line.ts'
import { agentOf, type Draft, leaseOf, liveOf, put } from './mailbox.ts'
import type { AttemptError } from './outcome.ts'
import type { Policy } from './policy.ts'

/** Why it is not tried again, `nextAt`, although it has attempts left: its line has waited for it long enough. */
export function givenUp({ headOfLine }: Policy, gate: Gate, tried: Delivery, nextAt: number): string | undefined {
  if (headOfLine === undefined || tried.partitionKey === undefined || gate.breaker.state.at !== 'closed')
    return undefined
  const { attempts, seconds } = headOfLine
  if (attempts !== undefined && tried.attempt >= attempts) return `its line waited for ${tried.attempt} attempts`
  const failedAt = firstFailureOf(tried)
  if (seconds === undefined || failedAt === undefined || nextAt <= failedAt + seconds * 1_000) return undefined
  return `its line would wait for more than ${seconds} s`
}

// Of this life: a redrive begins anew.
function firstFailureOf({ attempt, attempts }: Delivery): number | undefined {
  const counted = attempts.filter((a) => a.counted)
  return counted.slice(-attempt)[0]?.endedAt
}

/** Ends the head, so that its line goes on. */
export function endAtHead(tried: Delivery, why: string, now: number, error: AttemptError): Delivery {
  return endDead(step(tried, { step: 'held', at: now, detail: why }), 'dead_lettered', 'head_of_line', now, error)
}

/** What a head dies of that says something of those behind it. Who expired, or was deleted with its agent, says nothing. */
const telling: ReadonlySet<DeadReason> = new Set([
  'attempts_exhausted',
  'terminal',
  'poison',
  'no_handler',
  'head_of_line',
])

/** Where the policy wants it, what waits in the line of a head that died in this step dies too, in its order. What is in flight may finish. */
export function endRestOfKeys(draft: Draft, now: number): void {
  if (agentOf(draft)?.policy.headOfLine?.onFailure !== 'dead-letter-rest-of-key') return
  for (const head of [...draft.deliveries.values()]) {
    const reason = head.partitionKey === undefined ? undefined : diedNow(draft, head)
    if (reason === undefined) continue
    const rest = [...liveOf(draft)].filter(
      (d) =>
        d.partitionKey === head.partitionKey && !hasEnded(d) && !isLeaving(d) && leaseOf(draft, d.id) === undefined,
    )
    const message = `\`${head.id}\`, before it in its line, is a dead letter (${reason})`
    for (const delivery of rest.sort(inLine)) {
      draft.releases.set(delivery.id, null)
      put(draft, endDead(delivery, 'dead_lettered', 'rest_of_key', now, { code: 'rest_of_key', message }))
    }
  }
}

// Why, if it died in this step of what tells something.
function diedNow(draft: Draft, head: Delivery): DeadReason | undefined {
  const before = draft.base.live.get(head.id)
  if (!hasEnded(head) || before === undefined || hasEnded(before)) return undefined
  const { reason } = head.state
  return reason !== undefined && telling.has(reason) ? reason : undefined
}
