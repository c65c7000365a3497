/**
 * A chain of responsibility: one message, and several agents that are asked in turn until one takes it. Each hop is an ordinary
 * delivery; the one that passes journals the hop to the next, so that a chain survives what any effect survives (M2, E1).
 *
 *   asked ── takes it ──────────────► completed, and answers as to any message
 *     ├─── passes, or is passed over ──► completed, and the whole message goes to the next
 *     └─── the same, and is the last ──► whoever waits hears `no_handler`; else a dead letter
 *
 * Never here: carrying the message on (workers/pass.ts).
 */
import type { AgentRecord } from './agent.ts'
import { type Delivery, end, type Journal, step } from './delivery.ts'
import { type Effect, expandEffects, noticeOf } from './effects.ts'
import { type Gate, gateElapsed, isGateShut } from './gate.ts'
import { parseDeliveryId } from './ids.ts'
import { awaitsAnswer } from './message.ts'
import { topicMatches } from './topic.ts'
import { type Tried, triedText } from './tried.ts'

/** Is it passed over, unasked? Who declares what it accepts is not called for anything else, which saves what a call costs. */
export function passedOver(agent: AgentRecord, gate: Gate, delivery: Delivery, now: number): Tried['why'] | undefined {
  const { head, tried } = delivery
  if (head.chain === undefined && tried === undefined) return undefined
  const { accepts } = agent
  if (accepts.length > 0 && !accepts.some((type) => type === head.type || topicMatches(type, head.type))) return 'type'
  return head.chainopen === 'skip' && isGateShut(gateElapsed(gate, now), agent) ? 'breaker' : undefined
}

/** It does not take the message: the next is asked, or whoever waits is told that there is none. */
export function passOn(delivery: Delivery, why: Tried['why'], now: number): Delivery {
  const { id, head } = delivery
  const tried: readonly Tried[] = [...(delivery.tried ?? []), { agent: parseDeliveryId(id)?.agent ?? '', why }]
  // Whoever was asked is not asked again, whatever the chain says.
  const [next, ...rest] = (head.chain ?? []).filter((name) => tried.every(({ agent }) => agent !== name))
  if (next === undefined) return exhausted(delivery, tried, now)
  const publish = { to: next, ...(rest.length === 0 ? {} : { chain: rest }), tried }
  const told = step(delivery, {
    step: 'passed',
    at: now,
    detail: `${why === 'passed' ? '' : `${triedText(tried.slice(-1))}; `}on to ${next}`,
  })
  return end(told, 'completed', now, journal([{ n: 1, kind: 'pass', publish, state: { status: 'pending' } }], now))
}

function exhausted(delivery: Delivery, tried: readonly Tried[], now: number): Delivery {
  const { id, head, redrives } = delivery
  const error = noHandler(tried)
  const told = step(delivery, { step: 'passed', at: now, detail: 'nobody is left' })
  const { replyto } = head
  if (replyto === undefined) return end(told, 'dead_lettered', now, { reason: 'no_handler', buried: false, error })
  const effects = awaitsAnswer(replyto)
    ? [noticeOf(id, head, redrives, { status: 'completed', reason: 'no_handler', error, tried })]
    : expandEffects(id, head, { reply: { data: { error: error.code, tried } } })
  return end(told, 'completed', now, journal(effects, now))
}

/** What is said where nobody takes it. */
export const noHandler = (tried: readonly Tried[]) => ({
  code: 'no_handler',
  message: `nobody took it: ${triedText(tried)}`,
})

const journal = (effects: Effect[], openedAt: number): { journal: Journal } => ({ journal: { effects, openedAt } })
