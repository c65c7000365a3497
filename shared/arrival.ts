/**
 * An arrival: what comes to a gather's address, and whether it counts. A reply is known by the message that it answers: the
 * broker says so of an answer that it carries, and of one that is sent by hand the agent must be the one that was asked.
 * Never here: when a gather is over (shared/gather.ts).
 */
import { decide, failSend, type Gather, type GatherLeg, isOver, type Standing, withLeg } from './gather.ts'
import type { LegFailure } from './leg-failure.ts'
import { limits } from './limits.ts'

/** What comes to a gather's address. */
export interface Arrival {
  /** Who says it, as authenticated. */
  readonly by: string
  /** Its id: a repeat is answered as the first was. */
  readonly key: string
  /** The delivery that it answers, and the message of that: the broker's own word, not the replier's. */
  readonly delivery?: string
  readonly of?: { readonly id: string; readonly source: string }
  /** Without the broker's word: which message it says that it answers. */
  readonly causationid?: string
  /** Not a reply: the news that there will be none. */
  readonly failure?: LegFailure
}

/** A reply to a request that lies in the mailbox of whoever replies, as it is reported with its attempt. `n`: its effect in the journal. */
export interface ReplyHere {
  readonly n: number
  readonly gather: string
  readonly arrival: Arrival
  readonly body: string
  /** Somebody waits for the request where the reply is reported, and is told how it stands then. */
  readonly tell: boolean
}

export type Arrived = Standing | 'stranger' | 'unknown'

/** A leg's first reply counts while the gather is open. What comes later is kept beside it, what nobody asked for is not. */
export function arrive(gather: Gather, arrival: Arrival, now: number): [Gather, Arrived, number?] {
  const { by, key, delivery, failure } = arrival
  const known = gather.arrivals.find((a) => a.by === by && a.key === key)
  if (known !== undefined) return [gather, known.standing]
  // G1: it comes too late for what it answers, and answers nothing else.
  if (isOfBefore(gather, arrival)) return [gather, 'late']
  const target = legOf(gather, arrival)
  if (target === undefined) return [gather, 'stranger']
  if (failure !== undefined) {
    const next = failSend(gather, arrival.of?.id ?? '', failure, now)
    return [next, next === gather ? 'late' : 'counted']
  }
  const answered = target.state.status === 'replied'
  const standing: Standing = answered ? 'duplicate' : isOver(gather, target) ? 'late' : 'counted'
  if (standing !== 'counted' && gather.arrivals.length >= gather.legs.length + limits.lateReplies)
    return [{ ...gather, unkept: gather.unkept + 1 }, standing]
  const n = gather.arrivals.length + 1
  const record = { n, leg: target.n, by, key, at: now, standing, ...(delivery === undefined ? {} : { delivery }) }
  const next = { ...gather, arrivals: [...gather.arrivals, record] }
  if (standing !== 'counted') return [next, standing, n]
  return [decide(withLeg(next, target, { status: 'replied', at: now, arrival: n }), now), standing, n]
}

// Does it answer a message that an earlier opening of this gather sent?
function isOfBefore({ id, sent, owner, legs }: Gather, { by, of, causationid }: Arrival): boolean {
  const isKnown = of === undefined ? legs.some((l) => l.agent === by) : of.source === owner
  const answered = (of === undefined ? causationid : of.id) ?? ''
  if (!isKnown || legs.some((l) => l.sends.some((s) => s.id === answered))) return false
  const n = answered.startsWith(`${id}-`) ? answered.slice(id.length + 1) : ''
  return /^[1-9]\d{0,8}$/.test(n) && Number(n) <= sent
}

// The broker's word counts when the delivery is of a message that this gather sent, whoever has it by now. By hand only the
// agent that was asked may answer.
function legOf(gather: Gather, { by, of, causationid }: Arrival): GatherLeg | undefined {
  const asked = (l: GatherLeg, id: string | undefined) => l.sends.some((s) => s.id === id)
  if (of !== undefined) return of.source === gather.owner ? gather.legs.find((l) => asked(l, of.id)) : undefined
  const own = gather.legs.filter((l) => l.agent === by)
  return own.find((l) => asked(l, causationid)) ?? own.find((l) => l.state.status === 'waiting') ?? own[0]
}
