/**
 * How an agent of the research tells what it found, whichever way the work came to it: whoever asked is answered, be it a workflow,
 * a request or another agent; where nobody waits, it is told to whoever subscribes to the topic. Never here: what is told.
 */
import type { HandlerContext, HandlerMessage } from '../../workers/define.ts'

/** `event` is the type of the answer, and the topic where there is nobody to answer. */
export function tell(
  ctx: HandlerContext,
  message: Pick<HandlerMessage<unknown>, 'replyto'>,
  event: string,
  data: unknown,
): void {
  if (message.replyto !== undefined) ctx.reply(data, event)
  // Nobody need listen: the result stands on the receipt all the same.
  else ctx.publish(event, event, data, { onunroutable: 'drop' })
}
