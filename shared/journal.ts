/**
 * What a completed attempt journals with its ack: its result, and the effects it asked for. Never here: carrying them out
 * (workers/effects.ts), when an attempt is complete (shared/settlement.ts).
 */
import type { Delivery } from './delivery.ts'
import { type Effect, expandEffects, noticeOf } from './effects.ts'
import { utf8Length } from './json.ts'
import { limits } from './limits.ts'
import { awaitsAnswer } from './message.ts'
import { type Outcome, parseEffects } from './outcome.ts'

/** What cannot be kept is refused and told; the work itself is done and stays done (E1). */
export function journalOf(
  delivery: Delivery,
  outcome: Extract<Outcome, { kind: 'ok' }>,
): { result?: unknown; effects: Effect[] } {
  const { id, head } = delivery
  const bytes = outcome.result === undefined ? 0 : utf8Length(JSON.stringify(outcome.result))
  const tooLarge = bytes > limits.resultBytes
  const parsed = parseEffects(outcome.effects)
  const waits = parsed.ok && parsed.value.reply === undefined && !tooLarge && awaitsAnswer(head.replyto)
  // Whoever waits for an answer is told the result, where nothing else was said.
  const asked =
    parsed.ok && waits ? { ...parsed.value, reply: { data: outcome.result ?? null } } : parsed.ok && parsed.value
  const effects = asked ? expandEffects(id, head, asked) : [refusedWhole(parsed.ok ? '' : parsed.reason)]
  if (tooLarge)
    effects.push(
      numbered(effects, refusedWhole(`the result has ${bytes} bytes; at most ${limits.resultBytes} are kept`)),
    )
  if (awaitsAnswer(head.replyto) && !effects.some((e) => e.kind === 'reply')) {
    const refused = effects.find((e) => e.state.status === 'refused')
    const message = refused?.state.status === 'refused' ? refused.state.detail : 'it was answered without a reply'
    const error = { code: 'no_reply', message }
    effects.push(
      numbered(effects, noticeOf(id, head, delivery.redrives, { status: 'completed', reason: 'no_reply', error })),
    )
  }
  return tooLarge ? { effects } : { result: outcome.result, effects }
}

const numbered = (effects: readonly Effect[], effect: Effect): Effect => ({ ...effect, n: effects.length + 1 })

function refusedWhole(reason: string): Effect {
  return { n: 1, kind: 'message', publish: {}, state: { status: 'refused', reason: 'invalid', detail: reason } }
}
