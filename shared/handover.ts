/**
 * What the mailbox hands to the consumer: leases with their bodies, and what is left to carry or bury. Views only.
 * Never here: the decision to hand something over (shared/release.ts, shared/settlement.ts).
 */

import type { LeasedDelivery, Unfinished } from './agent-port.ts'
import { deadLetterOf } from './dead-letter.ts'
import { hasEnded, hasOpenJournal, isPassing, isUnburied } from './delivery.ts'
import type { Grant } from './grant.ts'
import { agentOf, type Draft, deliveryOf, type Mailbox } from './mailbox.ts'
import { narrowed } from './narrowing.ts'
import { replayOf } from './replay.ts'
import { handed } from './view.ts'

/** Is anything of an ended delivery still to be carried or buried? */
export function isOpen(draft: Draft, id: string): boolean {
  const delivery = deliveryOf(draft, id)
  return delivery !== undefined && (hasOpenJournal(delivery) || isUnburied(delivery))
}

/** Each granted lease with the message that travels with it. `body` reads the stored text. */
export function leasedOf(
  draft: Draft,
  grants: readonly Grant[],
  body: (id: string) => string | undefined,
): LeasedDelivery[] {
  const agent = agentOf(draft)
  return grants.flatMap(({ delivery, lease }) => {
    const text = body(delivery.id)
    if (text === undefined || agent === undefined) return []
    const previousError = delivery.attempts.at(-1)?.error?.message
    const replays = replayOf(delivery.key)
    return [
      {
        id: delivery.id,
        token: lease.token,
        attempt: delivery.attempt + 1,
        maxAttempts: narrowed(agent.policy, delivery.head).maxAttempts,
        sequence: delivery.sequence,
        hops: delivery.hops,
        ...(delivery.lineage === undefined ? {} : { lineage: delivery.lineage }),
        firstAcceptedAt: delivery.acceptedAt,
        since: delivery.since,
        body: delivery.view === undefined ? text : handed(text, delivery.view),
        head: delivery.head,
        deadlineAt: lease.deadlineAt,
        alone: lease.alone,
        ...(lease.batch === undefined ? {} : { batch: lease.batch.n }),
        ...(delivery.batch === undefined ? {} : { batching: delivery.batch }),
        ...(previousError === undefined ? {} : { previousError }),
        ...(replays === undefined ? {} : { replays }),
      },
    ]
  })
}

/** Those of `ids` that have ended but are not finished, as somebody needs them to finish the job. */
export function unfinishedOf(
  draft: Draft,
  agentName: string,
  ids: readonly string[],
  body: (id: string) => string | undefined,
): Unfinished[] {
  const policy = agentOf(draft)?.policy
  const standing = policy === undefined ? undefined : { breaker: draft.gate.breaker.state.at, policy }
  return ids.flatMap((id) => {
    const delivery = deliveryOf(draft, id)
    if (delivery?.state.at !== 'ended' || !isOpen(draft, id)) return []
    const burial = isUnburied(delivery) ? deadLetterOf(agentName, delivery, standing) : undefined
    const journal = hasOpenJournal(delivery) ? delivery.state.journal : undefined
    const text = isPassing(delivery) ? body(id) : undefined
    return [
      {
        id,
        hops: delivery.hops,
        ...(delivery.lineage === undefined ? {} : { lineage: delivery.lineage }),
        head: delivery.head,
        since: delivery.since,
        openedAt: journal?.openedAt ?? delivery.state.endedAt,
        effects: journal?.effects ?? [],
        ...(text === undefined ? {} : { body: text }),
        ...(burial === undefined ? {} : { burial }),
      },
    ]
  })
}

/** What would be lost with the agent: mail that has not ended, and finished work whose effects are not yet carried. */
export function heldMail(mailbox: Mailbox): number {
  let held = 0
  for (const delivery of mailbox.live.values()) if (!hasEnded(delivery) || hasOpenJournal(delivery)) held += 1
  return held
}
