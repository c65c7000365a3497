/**
 * Recorded: what a handler of a replay asks in the middle of its work, others have answered before, and are not asked again.
 * Never here: asking (workers/inquire.ts).
 */
import { parseDeliveryId } from '../shared/ids.ts'
import { limits } from '../shared/limits.ts'
import type { Platform } from '../shared/ports.ts'
import { replyOf, requestId } from '../shared/request.ts'
import { RequestError } from './define.ts'

/**
 * The answer that the delivery `original` was given to its `question`-th question, asked of `to` in the same words; it is kept for a day.
 * Throws when there is none.
 */
export async function recorded(platform: Platform, original: string, question: string, to: string) {
  const source = parseDeliveryId(original)?.agent ?? ''
  for (let tries = limits.attemptsPerReceipt; tries >= 1; tries--) {
    const id = requestId(source, `${original}/${question}/${tries}`, '', to)
    const report = await platform.gather(id).report()
    const reply = report === undefined ? undefined : replyOf(report)
    if (reply !== undefined) return { ...reply, data: reply.data }
  }
  throw new RequestError('not_recorded', `${original} asked nobody this, or the answer is not kept any more`)
}
