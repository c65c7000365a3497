/**
 * Pass: an agent did not take a message, or was passed over, and the next of the chain gets it: the whole message, as its sender
 * sent it and with the sender's authority, who named the chain. Never here: who is next (shared/chain.ts).
 */
import type { Incoming } from '../shared/admission.ts'
import type { Unfinished } from '../shared/agent-port.ts'
import { noHandler } from '../shared/chain.ts'
import { type Effect, type EffectStatus, type Ending, noticeOf, receiptNoticeOf } from '../shared/effects.ts'
import { digest } from '../shared/ids.ts'
import { limits } from '../shared/limits.ts'
import { printOf } from '../shared/lineage.ts'
import { awaitsAnswer, messageSchema } from '../shared/message.ts'
import type { Platform } from '../shared/ports.ts'
import { pathFrom } from '../shared/stop.ts'
import { continueTrace } from '../shared/trace.ts'
import { passSchema, type Tried } from '../shared/tried.ts'
import { effectGiveUpMs } from '../shared/upkeep.ts'
import { accept } from './accept.ts'
import { enqueue } from './enqueue.ts'

/** Tells whoever waits for an answer; undefined when it could not be told yet. */
export type Tell = (notice: Effect) => Promise<EffectStatus | undefined>

/** Undefined: it is tried again. What can never be passed on is told to whoever waits for it. */
export async function passOn(
  platform: Platform,
  one: Unfinished,
  effect: Effect,
  tell: Tell,
): Promise<EffectStatus | undefined> {
  const { to, chain = [], tried } = passSchema.parse(effect.publish)
  const asked: Tried[] = [...tried]
  const hops = one.hops + 1
  if (hops > limits.hops)
    return refused(one, tell, 'hop_limit', `the causal chain is longer than ${limits.hops}`, asked)
  for (const [place, next] of [to, ...chain].entries()) {
    const answer = await offer(platform, one, next, chain.slice(place), asked, hops)
    switch (answer?.status) {
      case 'accepted':
      case 'duplicate':
        return { status: 'carried', deliveries: [answer.id] }
      case 'unknown':
        asked.push({ agent: next, why: 'unknown' })
        continue
      // A dead letter already, which tells whoever waits.
      case 'stopped':
        return { status: 'refused', reason: answer.trip.reason, detail: answer.trip.detail, delivery: answer.id }
      // Only a publisher's own message is refused so.
      case 'refused':
      case 'full':
        if (platform.now() - one.openedAt < effectGiveUpMs) return undefined
        return refused(one, tell, 'backpressure', `${next} was full for a day`, asked)
      case 'conflict':
        return refused(one, tell, 'key_reused', `${answer.id} holds this key with other content`, asked)
      case undefined:
        return undefined
    }
  }
  return refused(one, tell, 'no_handler', noHandler(asked).message, asked)
}

async function offer(
  platform: Platform,
  one: Unfinished,
  to: string,
  chain: readonly string[],
  tried: readonly Tried[],
  hops: number,
) {
  const { chain: _asked, ...whole } = messageSchema.parse(JSON.parse(one.body ?? ''))
  const { traceparent, tracestate } = whole
  const trace = continueTrace({ traceparent, tracestate }, (n) => platform.hex(n))
  const message = {
    ...whole,
    ...{ to, traceparent: trace.traceparent },
    ...(chain.length === 0 ? {} : { chain: [...chain] }),
  }
  // No publisher can have used it: a publisher's key holds no control characters.
  const key = `${one.id}\npassed`
  const incoming: Incoming = {
    ...{ message, body: JSON.stringify(message), key, contentHash: digest(key), hops, tried },
    ...{ brokerMade: true, since: one.since, reserved: true },
    lineage: { ...one.lineage, path: pathFrom(one), print: printOf(message) },
  }
  const answer = await accept(platform, to, [incoming], `pass.${one.id}`)
  enqueue(platform, to, answer.references)
  return answer.admissions[0]
}

async function refused(
  { id, head }: Unfinished,
  tell: Tell,
  reason: string,
  detail: string,
  tried: readonly Tried[],
): Promise<EffectStatus | undefined> {
  const ending: Ending = { status: 'completed', reason: 'no_handler', error: { code: reason, message: detail }, tried }
  if (awaitsAnswer(head.replyto) && (await tell(noticeOf(id, head, 0, ending))) === undefined) return undefined
  // The way ends here, so its sender hears of it from here.
  const { receiptto } = head
  if (receiptto !== undefined && (await tell(receiptNoticeOf(id, head, 0, receiptto, ending))) === undefined)
    return undefined
  return { status: 'refused', reason, detail }
}
