/**
 * Accept: is the agent known, is it a duplicate, is there room? What is stored here is the 202; nothing earlier is (M1).
 * Never here: who may publish (shared/permissions.ts), when it is released (shared/release.ts).
 */
import { type AgentRecord, isHere, takesBatches } from './agent.ts'
import type { BatchPolicy } from './batch-policy.ts'
import { passedOver, passOn } from './chain.ts'
import { collapse, collapsedBy, debounced } from './collapse.ts'
import { type Delivery, hasEnded, step } from './delivery.ts'
import { deliveryId, mid, unplacedMid } from './ids.ts'
import { utf8Length } from './json.ts'
import { limits } from './limits.ts'
import { judge, type Lineage, type Trip } from './lineage.ts'
import { agentOf, type Draft, deliveryOf, insert, put } from './mailbox.ts'
import { headOf, type Message } from './message.ts'
import { type Shut, type Turn, turnOf } from './on-open.ts'
import { brokerSource } from './permissions.ts'
import { publisherDepth } from './policy.ts'
import { stopOf, stopped } from './stop.ts'
import type { Tried } from './tried.ts'
import { type ViewRecord, viewOfMessage } from './view.ts'

/** A message at the mailbox's door. */
export interface Incoming {
  readonly message: Message
  /** The message as JSON text: what is stored and later delivered. */
  readonly body: string
  readonly key: string
  readonly contentHash: string
  readonly hops: number
  /** An effect, a reply, a leg of a publication: its id is never released. */
  readonly brokerMade: boolean
  /** Of what the broker made: when that began which it follows from. Under the same key, what follows from another is another message. */
  readonly since?: number | undefined
  /** May use the tenth of the mailbox that publishers may not. */
  readonly reserved?: true
  /** Of a chain: who was asked before. */
  readonly tried?: readonly Tried[]
  /** What led to it, if the broker knows. */
  readonly lineage?: Lineage
  /** What of its data the agent is handed. */
  readonly view?: ViewRecord
  /** Why it comes here, where its agent was chosen among several. */
  readonly why?: string
  /** How it shares its call with others. */
  readonly batch?: BatchPolicy
  /** Whom its publisher may send to, as patterns. Absent: anybody. */
  readonly sends?: readonly string[]
  /** Of a request whose asker is told at once, and would rather not have it wait for a breaker. */
  readonly whenOpen?: 'refuse'
}

export type Admission =
  /** `diverted`: stored here, and on its way to that agent. */
  | { readonly status: 'accepted'; readonly id: string; readonly diverted?: string }
  | { readonly status: 'duplicate'; readonly id: string }
  | { readonly status: 'conflict'; readonly id: string }
  /** A guard tripped: it is a dead letter. */
  | { readonly status: 'stopped'; readonly id: string; readonly trip: Pick<Trip, 'reason' | 'detail' | 'path'> }
  /** Its breaker is open, and whoever publishes is to hear of it. */
  | ({ readonly status: 'refused' } & Shut)
  | { readonly status: 'full'; readonly depth: number; readonly max: number; readonly retryAfterSeconds: number }
  | { readonly status: 'unknown' }

/** Reads a delivery that is no longer live, by its primary key; or by that which it had `before`, where such may be stored. */
export type Stored = (id: string, before?: () => string) => Delivery | undefined

// A key that died this often within its own window is an accident of the publisher's: the loop below stays short.
const generationsMax = 1_000

/**
 * Admits each message or says why not. `token` names the call: its repeat finds its own rows and gets the same answer.
 * One refused message never spoils its batch.
 */
export function accept(
  draft: Draft,
  incoming: readonly Incoming[],
  token: string,
  rows: number,
  stored: Stored,
  now: number,
): Admission[] {
  // What this call was answered `accepted` for. Its second message with the same key is no repeat of the call.
  const mine = new Set<string>()
  return incoming.map((one) => {
    const admission = acceptOne(draft, one, { token, mine }, rows, stored, now)
    if (admission.status === 'accepted' || admission.status === 'stopped') mine.add(admission.id)
    return admission
  })
}

interface Call {
  readonly token: string
  readonly mine: ReadonlySet<string>
}

function acceptOne(draft: Draft, one: Incoming, call: Call, rows: number, stored: Stored, now: number): Admission {
  const agent = agentOf(draft)
  if (!isHere(agent)) return { status: 'unknown' }
  const found = findPlace(draft, agent, one, call, stored, now)
  if (found.status !== 'free') return repeatOf(found, deliveryOf(draft, found.id) ?? stored(found.id))

  const trip = tripOf(one, agent.name)
  const turn = trip === undefined ? turnOf(agent, draft.gate, one, now) : undefined
  if (turn?.kind === 'refused') {
    const { kind: _kind, ...shut } = turn
    return { status: 'refused', ...shut }
  }
  // They make room for it.
  const older = collapsedBy(draft, one.message)
  const max = one.reserved === true ? agent.policy.depth : publisherDepth(agent.policy)
  if ((trip === undefined && draft.depth - older.length >= max) || rows + draft.inserted.size >= limits.mailboxRows) {
    return {
      status: 'full',
      depth: draft.depth,
      max,
      retryAfterSeconds: Math.max(1, Math.ceil(agent.policy.backoff.initialSeconds)),
    }
  }
  // Its row is written again, and so kept as long as the new one's: forgotten first, it would let the key in a third time.
  if (found.before !== undefined) put(draft, step(found.before, { step: 'key_passed_on', at: now, detail: found.id }))
  draft.sequence += 1
  const { id } = found
  const delivery = newDelivery(id, agent, one, call.token, draft.sequence, older, now)
  if (trip !== undefined) {
    const dead = stopped(delivery, trip, now)
    insert(draft, dead, one.body)
    return repeatOf({ status: 'accepted', id }, dead)
  }
  insert(draft, turn === undefined ? delivery : turned(delivery, turn, now), one.body)
  for (const delivery of older) collapse(draft, delivery, found.id, now)
  if (turn?.kind === 'diverted') return { status: 'accepted', id, diverted: turn.to }
  const fresh = draft.deliveries.get(found.id)
  const why = fresh === undefined ? undefined : passedOver(agent, draft.gate, fresh, now)
  if (fresh !== undefined && why !== undefined) put(draft, passOn(fresh, why, now))
  return { status: 'accepted', id: found.id }
}

// Stored first, so that a crash on its way loses nothing and a repeat of its publish finds it here (M1).
function turned(delivery: Delivery, turn: Exclude<Turn, { kind: 'refused' }>, now: number): Delivery {
  const told = step(delivery, { step: turn.kind === 'diverted' ? 'diverted' : 'held', at: now, detail: turn.because })
  return turn.kind === 'diverted' ? { ...told, state: { at: 'waiting', leavingFor: turn.to } } : told
}

// What the broker itself says of a stop must not be stopped.
function tripOf({ message, lineage, hops }: Incoming, agent: string): Trip | undefined {
  return lineage === undefined || message.source === brokerSource ? undefined : judge(lineage, agent, hops)
}

// One that was stopped is told so again, or its repeat would be taken for delivered.
function repeatOf(found: Exclude<Place, { status: 'free' }>, holder: Delivery | undefined): Admission {
  const trip = holder === undefined || found.status === 'conflict' ? undefined : stopOf(holder)
  return trip === undefined ? found : { status: 'stopped', id: found.id, trip }
}

type Place =
  | { readonly status: 'free'; readonly id: string; readonly before?: Delivery }
  | Exclude<Extract<Admission, { id: string }>, { status: 'stopped' }>

// Walks the generations of a key to the one that is live, remembered, or free.
function findPlace(draft: Draft, agent: AgentRecord, one: Incoming, call: Call, stored: Stored, now: number): Place {
  let id = ''
  let { key } = one
  let before: Delivery | undefined
  for (let generation = 0; generation < generationsMax; generation++) {
    const named = [one.message.source, key, generation] as const
    id = deliveryId(agent.name, mid(...named))
    const holder = deliveryOf(draft, id) ?? stored(id, () => deliveryId(agent.name, unplacedMid(...named)))
    if (holder === undefined) return { status: 'free', id, ...(before === undefined ? {} : { before }) }
    id = holder.id
    if (isOfAnother(holder, one) && key === one.key) {
      // From here on a key of its own: that of the first one stays with it, and a repeat comes this way again.
      key = `${one.key}\n${one.since}`
      before = holder
      generation = -1
      continue
    }
    if (holder.acceptToken === call.token && holder.contentHash === one.contentHash && !call.mine.has(id))
      return { status: 'accepted', id }
    if (isKeyReleased(holder, agent, now)) {
      before = holder
      continue
    }
    return { status: holder.contentHash === one.contentHash ? 'duplicate' : 'conflict', id }
  }
  return { status: 'conflict', id }
}

// What names its cause may come round again when that was forgotten, and the mailbox may remember longer than who forgot.
function isOfAnother(holder: Delivery, { brokerMade, since }: Incoming): boolean {
  const isTold = since !== undefined && holder.since !== undefined
  return brokerMade && holder.brokerMade && isTold && holder.since !== since
}

/**
 * A publisher's key is free again when its message died, so that a re-send works, and after the dedupe window; but never under
 * exactly_once, where only a redrive revives it. Ids made by the broker are never released.
 */
export function isKeyReleased(holder: Delivery, agent: AgentRecord, now: number): boolean {
  if (!hasEnded(holder)) return false
  if (holder.incarnation !== agent.incarnation) return true
  if (holder.brokerMade) return false
  if (holder.mode === 'exactly_once') return false
  // What goes on in another mailbox did not die: a re-send would double it. And what gave way to something newer, or was not wanted
  // any more, must not come back after it.
  const { status, reassignedTo, collapsedInto, skipped } = holder.state
  const died = reassignedTo === undefined && collapsedInto === undefined && skipped === undefined
  if (status !== 'completed' && died) return true
  return holder.acceptedAt + agent.policy.dedupeSeconds * 1_000 <= now
}

function newDelivery(
  id: string,
  agent: AgentRecord,
  one: Incoming,
  token: string,
  sequence: number,
  older: readonly Delivery[],
  now: number,
): Delivery {
  const { message } = one
  const quiet = debounced(message, older, now)
  const dueAt = Math.max(quiet?.until ?? now, message.delivertime === undefined ? now : Date.parse(message.delivertime))
  return {
    v: 1,
    id,
    incarnation: agent.incarnation,
    sequence,
    hops: one.hops,
    mode: message.deliverymode ?? 'at_least_once',
    key: one.key,
    contentHash: one.contentHash,
    acceptToken: token,
    brokerMade: one.brokerMade,
    acceptedAt: now,
    since: one.since ?? now,
    lineAt: dueAt,
    dueAt,
    ...(quiet === undefined ? {} : { debouncedSince: quiet.since }),
    ...(message.expirytime === undefined ? {} : { expiresAt: Date.parse(message.expirytime) }),
    priority: message.priority ?? 4,
    ...(message.partitionkey === undefined ? {} : { partitionKey: message.partitionkey }),
    head: headOf(message),
    bodyBytes: utf8Length(one.body),
    leases: 0,
    attempt: 0,
    attempts: [],
    suspect: false,
    releasedAtAccept: false,
    redrives: 0,
    ...(one.tried === undefined ? {} : { tried: [...one.tried] }),
    ...(one.lineage === undefined ? {} : { lineage: one.lineage }),
    ...viewed(one),
    ...(one.batch === undefined || !takesBatches(agent) ? {} : { batch: one.batch }),
    steps: [{ step: 'accepted', at: now, ...(one.why === undefined ? {} : { detail: one.why }) }],
    truncated: false,
    state: { at: 'waiting' },
  }
}

// What a subscription asked for was measured with what the message allows; a message that came by itself is measured here.
function viewed({ view, message }: Incoming): { readonly view?: ViewRecord } {
  const asked = view ?? viewOfMessage(message)
  return asked === undefined ? {} : { view: asked }
}
