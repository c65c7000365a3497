/**
 * What an operator asks of a mailbox first: how much, how old, what is going on. Never here: a change.
 */
import { type AgentRecord, parkedBecause } from './agent.ts'
import { quietOf } from './away.ts'
import type { Breaker } from './breaker.ts'
import { hasEnded } from './delivery.ts'
import { gateElapsed, shutBecause } from './gate.ts'
import { begin, earliest, inFlight, type Mailbox, nextDueAt } from './mailbox.ts'
import { type ReceiptStatus, statusOf } from './receipt.ts'

/** The statuses of what has not ended, in the order of a delivery's way. */
const liveStatuses = ['held', 'parked', 'queued', 'dispatched', 'delivered', 'claimed'] as const
type LiveStatus = (typeof liveStatuses)[number]

export interface Figures {
  readonly depth: number
  /** Of `depth`, how many stand where. */
  readonly states: Readonly<Record<LiveStatus, number>>
  readonly inFlight: number
  readonly released: number
  /** Of `depth`, those with more than one attempt in their present life, counting the one that is under way. */
  readonly redelivered: number
  readonly breaker: Breaker['state']['at']
  readonly parked?: string
  /** Of a puller that asks for nothing (shared/away.ts). */
  readonly quiet?: string
  readonly oldestAt?: number
  readonly nextDueAt?: number
}

/** What an operator asks first: how much, how old, what is going on. */
export function figuresOf(mailbox: Mailbox, now: number): Figures {
  // Without mail no alarm rings: a wait that is over is over all the same, or nobody would choose this agent again.
  const gate = gateElapsed(mailbox.gate, now)
  const [draft, standing] = [begin(mailbox), begin({ ...mailbox, gate })]
  let oldestAt: number | undefined
  let redelivered = 0
  const states = { held: 0, parked: 0, queued: 0, dispatched: 0, delivered: 0, claimed: 0 }
  for (const delivery of mailbox.live.values()) {
    if (hasEnded(delivery)) continue
    oldestAt = earliest([oldestAt, delivery.acceptedAt])
    if (delivery.attempt + (mailbox.leases.has(delivery.id) ? 1 : 0) > 1) redelivered += 1
    const { status } = statusOf(standing, delivery, now)
    if (isLiveStatus(status)) states[status] += 1
  }
  const parked =
    mailbox.agent === undefined ? undefined : (parkedBecause(mailbox.agent, now) ?? shutBecause(gate, mailbox.agent))
  const { agent } = mailbox
  const quiet = agent === undefined || inFlight(draft) > 0 ? undefined : quietOf(agent, gate, now)?.why
  const due = nextDueAt(draft, mailbox.live.values(), now)
  return {
    depth: mailbox.depth,
    states,
    inFlight: inFlight(draft),
    released: mailbox.releases.size,
    redelivered,
    breaker: gate.breaker.state.at,
    ...(parked === undefined ? {} : { parked }),
    ...(quiet === undefined ? {} : { quiet }),
    ...(oldestAt === undefined ? {} : { oldestAt }),
    ...(due === undefined ? {} : { nextDueAt: due }),
  }
}

function isLiveStatus(status: string): status is LiveStatus {
  return liveStatuses.some((live) => live === status)
}

/** What a page of figures says of one mailbox. */
export interface MailboxStats {
  readonly kind: AgentRecord['kind']
  readonly figures: Figures
  /** How many of those that have not ended stand where. */
  readonly states: Readonly<Partial<Record<ReceiptStatus, number>>>
}

/** Looks at everything that is live: for those who ask now and then, never on the way of a message. */
export function statsOf(mailbox: Mailbox, now: number): MailboxStats | undefined {
  if (mailbox.agent === undefined) return undefined
  const draft = begin(mailbox)
  const states: Partial<Record<ReceiptStatus, number>> = {}
  for (const delivery of mailbox.live.values()) {
    if (hasEnded(delivery)) continue
    const { status } = statusOf(draft, delivery, now)
    states[status] = (states[status] ?? 0) + 1
  }
  return { kind: mailbox.agent.kind, figures: figuresOf(mailbox, now), states }
}

/** Does it take mail? Nobody paused it, its breaker is not open, and of a puller something was heard lately. */
export function isWell(
  { agent, figures }: { readonly agent: AgentRecord; readonly figures: Figures },
  now: number,
): boolean {
  return figures.breaker !== 'open' && figures.quiet === undefined && parkedBecause(agent, now) === undefined
}
