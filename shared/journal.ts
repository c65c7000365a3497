/**
 * What a completed attempt journals with its ack: its result, and the effects it asked for. Never here: carrying them out
 * (workers/effects.ts), when an attempt is complete (shared/settlement.ts).
 */
import { payerOf } from './budget.ts'
import type { Delivery } from './delivery.ts'
import { type Effect, type EffectsInput, expandEffects, noticeOf, usageEffect } from './effects.ts'
import { utf8Length } from './json.ts'
import { isJsonObject } from './json-pointer.ts'
import { limits } from './limits.ts'
import { awaitsAnswer, type Head } from './message.ts'
import { type Outcome, parseEffects } from './outcome.ts'
import { replayOf, withheld } from './replay.ts'
import type { Usage } from './usage.ts'

/** What cannot be kept is refused and told; the work itself is done and stays done (E1). */
export function journalOf(
  delivery: Pick<Delivery, 'id' | 'head' | 'redrives' | 'key'>,
  outcome: Done,
  ticket: string,
): { result?: unknown; usage?: Usage; effects: Effect[] } {
  const { id, head, redrives } = delivery
  const bytes = outcome.result === undefined ? 0 : utf8Length(JSON.stringify(outcome.result))
  const isKept = bytes <= limits.resultBytes
  const parsed = parseEffects(outcome.effects)
  const effects: Effect[] = []
  if (!parsed.ok) effects.push(refusedWhole(parsed.reason))
  else effects.push(...expandEffects(id, head, isKept ? answered(head, parsed.value, outcome.result) : parsed.value))
  if (!isKept) effects.push(refusedWhole(`the result has ${bytes} bytes; at most ${limits.resultBytes} are kept`))
  if (awaitsAnswer(head.replyto) && !effects.some((e) => e.kind === 'reply'))
    effects.push(noticeOf(id, head, redrives, { status: 'completed', reason: 'no_reply', error: noReply(effects) }))
  const usage = parsed.ok ? parsed.value.usage : undefined
  if (usage !== undefined && payerOf(head) !== undefined) effects.push(usageEffect(1, usage, ticket))
  return {
    ...(isKept ? { result: outcome.result } : {}),
    ...(usage === undefined ? {} : { usage }),
    effects: (replayOf(delivery.key) === undefined ? effects : withheld(effects)).map((e, i) => ({ ...e, n: i + 1 })),
  }
}

/** The workflow that has still to be told that this attempt is over: what it used is not in its journal. */
export function unjournaled({ head, state }: Delivery): { workflow?: string } {
  const told = state.at === 'ended' && state.journal?.effects.some((e) => e.kind === 'usage') === true
  const workflow = payerOf(head)
  return told || workflow === undefined ? {} : { workflow }
}

/** Of one that is passed on: what deciding that has used. */
export function charged(delivery: Delivery, { effects: asked }: Done, ticket: string): Delivery {
  const parsed = parseEffects(asked)
  const usage = parsed.ok ? parsed.value.usage : undefined
  const { head, state } = delivery
  if (usage === undefined || payerOf(head) === undefined || state.at !== 'ended') return delivery
  const effects = state.journal?.effects ?? []
  const journal = {
    openedAt: state.endedAt,
    ...state.journal,
    effects: [...effects, usageEffect(effects.length + 1, usage, ticket)],
  }
  return { ...delivery, state: { ...state, usage, journal } }
}

/** Does it say that it does not take the message? */
export function asksToPass({ effects }: Done): boolean {
  if (!isJsonObject(effects) || !('pass' in effects)) return false
  const parsed = parseEffects(effects)
  return parsed.ok && parsed.value.pass === true
}

type Done = Extract<Outcome, { kind: 'ok' }>

// Whoever waits for an answer is told the result, where nothing else was said.
function answered(head: Head, asked: EffectsInput, result: unknown): EffectsInput {
  return awaitsAnswer(head.replyto) && asked.reply === undefined ? { ...asked, reply: { data: result ?? null } } : asked
}

function noReply(effects: readonly Effect[]) {
  const [refused] = effects.flatMap((e) => (e.state.status === 'refused' ? [e.state.detail] : []))
  return { code: 'no_reply', message: refused ?? 'it was answered without a reply' }
}

function refusedWhole(reason: string): Effect {
  return { n: 1, kind: 'message', publish: {}, state: { status: 'refused', reason: 'invalid', detail: reason } }
}
