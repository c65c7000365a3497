/**
 * A receipt: what became of a delivery, step by step. Derived from the stored record and from what the mailbox holds in
 * memory; the status is a view, never stored. Never here: who may read it (shared/permissions.ts).
 */
import { type AgentRecord, parkedBecause } from './agent.ts'
import { type Away, awayOf } from './away.ts'
import { skippedOnCatchUp } from './catch-up-policy.ts'
import { type Delivery, hasEnded, isDeadLetter, withStart } from './delivery.ts'
import { publicEdits } from './edit.ts'
import type { Effect } from './effects.ts'
import { shutBecause } from './gate.ts'
import { deadLetterId } from './ids.ts'
import { agentOf, type Draft, inFlight, leaseOf, releaseOf } from './mailbox.ts'
import type { Head } from './message.ts'
import { narrowed, type Unheeded, unheeded } from './narrowing.ts'
import type { AttemptError } from './outcome.ts'
import { ripeAtOf } from './ripe.ts'
import type { Tried } from './tried.ts'
import type { Usage } from './usage.ts'
import type { ViewRecord } from './view.ts'
import { withheldBecause } from './waiting.ts'

export type ReceiptStatus =
  | 'held'
  | 'parked'
  | 'queued'
  | 'dispatched'
  | 'delivered'
  | 'claimed'
  | 'completed'
  | 'failed'
  | 'dead_lettered'
  | 'expired'
  | 'cancelled'

export interface Receipt {
  readonly id: string
  readonly agent: string
  readonly message: Head
  readonly sequence: number
  readonly hops: number
  readonly status: ReceiptStatus
  /** Why it waits, when it does. */
  readonly because?: string
  /** While it has not ended: since when its agent takes no mail, and why, when it does not. */
  readonly away?: Away
  readonly attempt: number
  readonly maxAttempts: number
  /** What its message asked for and does not get: it may narrow the policy, never widen it. */
  readonly unheeded?: readonly Unheeded[]
  readonly nextAttemptAt?: string
  /** What the holder of its lease said last. */
  readonly progress?: { readonly percent?: number; readonly note?: string; readonly at: string }
  readonly steps: readonly {
    readonly step: string
    readonly at: string
    readonly attempt?: number
    readonly detail?: string
  }[]
  readonly attempts: readonly {
    readonly number: number
    readonly startedAt: string
    readonly endedAt: string
    readonly outcome: string
    readonly counted: boolean
    readonly httpStatus?: number
    readonly error?: AttemptError
    readonly crash?: string
  }[]
  readonly result?: unknown
  /** What the attempt that ended it says it used. */
  readonly usage?: Usage
  readonly effects?: readonly Effect[]
  /** Of a chain: who was asked before. */
  readonly tried?: readonly Tried[]
  /** The deliveries that led to it, the root first; absent for a root. */
  readonly path?: readonly string[]
  /** What of its data the agent is handed, and how much that spares it. */
  readonly view?: ViewRecord
  /** The delivery that goes on in another mailbox. */
  readonly reassignedTo?: string
  /** The delivery of the newer message that took its place. */
  readonly collapsedInto?: string
  readonly deadLetter?: { readonly id: string; readonly reason: string }
  /** What people changed of its message before a redrive, and what its publisher had sent. */
  readonly edits?: ReturnType<typeof publicEdits>
  readonly redrives: number
  readonly truncated?: true
}

const iso = (at: number) => new Date(at).toISOString()

export function receiptOf(draft: Draft, delivery: Delivery, agentName: string, now: number): Receipt {
  const agent = agentOf(draft)
  const { status, because } = statusOf(draft, delivery, now)
  const ended = delivery.state.at === 'ended' ? delivery.state : undefined
  return {
    id: delivery.id,
    agent: agentName,
    message: delivery.head,
    sequence: delivery.sequence,
    hops: delivery.hops,
    status,
    ...(because === undefined ? {} : { because }),
    ...(ended === undefined && agent !== undefined ? awayIn(awayOf(agent, draft.gate, inFlight(draft) > 0, now)) : {}),
    attempt: delivery.attempt,
    ...allowanceOf(agent, delivery),
    ...(ended === undefined && delivery.dueAt > now ? { nextAttemptAt: iso(delivery.dueAt) } : {}),
    ...progressOf(draft, delivery),
    steps: liveSteps(draft, delivery).map((s) => ({ ...s, at: iso(s.at) })) as Receipt['steps'],
    attempts: delivery.attempts.map((a) => ({
      ...a,
      startedAt: iso(a.startedAt),
      endedAt: iso(a.endedAt),
    })) as Receipt['attempts'],
    ...(ended?.result === undefined ? {} : { result: ended.result }),
    ...(ended?.usage === undefined ? {} : { usage: ended.usage }),
    ...(ended?.reassignedTo === undefined ? {} : { reassignedTo: ended.reassignedTo }),
    ...(ended?.collapsedInto === undefined ? {} : { collapsedInto: ended.collapsedInto }),
    ...(delivery.tried === undefined ? {} : { tried: delivery.tried }),
    ...(delivery.lineage === undefined ? {} : { path: delivery.lineage.path.map((visit) => visit.id) }),
    ...(delivery.view === undefined ? {} : { view: delivery.view }),
    ...(ended?.journal === undefined ? {} : { effects: ended.journal.effects }),
    ...(isDeadLetter(delivery) && ended?.reason !== undefined
      ? { deadLetter: { id: deadLetterId(delivery.id, delivery.redrives), reason: ended.reason } }
      : {}),
    ...(delivery.edits === undefined ? {} : { edits: publicEdits(delivery.edits) }),
    redrives: delivery.redrives,
    ...(delivery.truncated ? { truncated: true } : {}),
  }
}

const awayIn = (away: Away | undefined) => (away === undefined ? {} : { away })

function allowanceOf(agent: AgentRecord | undefined, { attempt, head }: Delivery) {
  if (agent === undefined) return { maxAttempts: attempt }
  const refused = unheeded(agent.kind, agent.policy, head)
  return {
    maxAttempts: narrowed(agent.policy, head).maxAttempts,
    ...(refused.length === 0 ? {} : { unheeded: refused }),
  }
}

function progressOf(draft: Draft, { id }: Delivery): Pick<Receipt, 'progress'> {
  const told = leaseOf(draft, id)?.progress
  if (told === undefined) return {}
  const { percent, note, at } = told
  const said = { ...(percent === undefined ? {} : { percent }), ...(note === undefined ? {} : { note }) }
  return { progress: { ...said, at: iso(at) } }
}

// What happened since the row was last written is known to memory only.
function liveSteps(draft: Draft, delivery: Delivery) {
  const lease = leaseOf(draft, delivery.id)
  if (lease !== undefined) return withStart(delivery, lease).steps
  const release = releaseOf(draft, delivery.id)
  return release === undefined ? delivery.steps : [...delivery.steps, { step: 'queued', at: release.at }]
}

/** docs/protocol.md, "Statuses". */
export function statusOf(
  draft: Draft,
  delivery: Delivery,
  now: number,
): { readonly status: ReceiptStatus; readonly because?: string } {
  if (delivery.state.at === 'ended') {
    const { status, collapsedInto, skipped } = delivery.state
    const because = collapsedInto === undefined ? skipped && skippedOnCatchUp : 'collapsed'
    return { status, ...(because === undefined ? {} : { because }) }
  }
  const lease = leaseOf(draft, delivery.id)
  if (lease !== undefined) return { status: lease.phase }
  if (delivery.state.leavingFor !== undefined)
    return { status: 'held', because: `on its way to \`${delivery.state.leavingFor}\`` }
  // Before what parks the others: a probe of a half-open breaker is on its way.
  if (releaseOf(draft, delivery.id) !== undefined) return { status: 'queued' }
  const agent = agentOf(draft)
  const parked =
    agent === undefined || hasEnded(delivery)
      ? undefined
      : (withheldBecause(delivery, now) ?? parkedBecause(agent, now) ?? shutBecause(draft.gate, agent))
  if (parked !== undefined) return { status: 'parked', because: parked }
  if (delivery.dueAt > now) return { status: 'held', because: `due at ${iso(delivery.dueAt)}` }
  const ripeAt = agent === undefined ? now : ripeAtOf(agent.policy, delivery)
  if (ripeAt > now)
    return { status: 'held', because: `waiting for its batch to fill, until ${iso(ripeAt)} at the latest` }
  return { status: 'held', because: heldBecause(agent, delivery) }
}

function heldBecause(agent: AgentRecord | undefined, delivery: Delivery): string {
  const place = agent?.kind === 'pull' ? 'waiting to be leased' : 'waiting for a free place among those in flight'
  return delivery.partitionKey === undefined ? place : `${place}, in its turn within \`${delivery.partitionKey}\``
}
