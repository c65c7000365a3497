/**
 * What an operator asks of a mailbox first: how much, how old, what is going on. Never here: a change.
 */
import { parkedBecause } from './agent.ts'
import type { Breaker } from './breaker.ts'
import { hasEnded } from './delivery.ts'
import { gateElapsed, shutBecause } from './gate.ts'
import { begin, earliest, inFlight, type Mailbox, nextDueAt } from './mailbox.ts'

export interface Figures {
  readonly depth: number
  readonly inFlight: number
  readonly released: number
  readonly breaker: Breaker['state']['at']
  readonly parked?: string
  readonly oldestAt?: number
  readonly nextDueAt?: number
}

/** What an operator asks first: how much, how old, what is going on. */
export function figuresOf(mailbox: Mailbox, now: number): Figures {
  const draft = begin(mailbox)
  let oldestAt: number | undefined
  for (const d of mailbox.live.values()) if (!hasEnded(d)) oldestAt = earliest([oldestAt, d.acceptedAt])
  // Without mail no alarm rings: a wait that is over is over all the same, or nobody would choose this agent again.
  const gate = gateElapsed(mailbox.gate, now)
  const parked =
    mailbox.agent === undefined ? undefined : (parkedBecause(mailbox.agent, now) ?? shutBecause(gate, mailbox.agent))
  const due = nextDueAt(draft, mailbox.live.values(), now)
  return {
    depth: mailbox.depth,
    inFlight: inFlight(draft),
    released: mailbox.releases.size,
    breaker: gate.breaker.state.at,
    ...(parked === undefined ? {} : { parked }),
    ...(oldestAt === undefined ? {} : { oldestAt }),
    ...(due === undefined ? {} : { nextDueAt: due }),
  }
}
