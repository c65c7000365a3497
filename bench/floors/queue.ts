/**
 * Floor (a), the bare queue: publish → queue → webhook → ack. Nothing is recorded: what was published is known to the queue alone,
 * and a publish that is repeated is delivered twice. Never here: an object.
 */
import { type Mail, post, published, type Sink } from './post.ts'

interface QueueEnv extends Sink {
  readonly MAIL: Queue<Mail>
}

export default {
  async fetch(request: Request, env: QueueEnv): Promise<Response> {
    if (request.method === 'GET') return new Response('ok')
    const mail = await published(request)
    const [first] = mail
    if (mail.length === 1 && first !== undefined) await env.MAIL.send(first)
    else await env.MAIL.sendBatch(mail.map((body) => ({ body })))
    return new Response(null, { status: 202 })
  },

  async queue(batch: MessageBatch<Mail>, env: QueueEnv): Promise<void> {
    await Promise.all(
      batch.messages.map(async (message) => {
        try {
          await post(env, message.body)
          message.ack()
        } catch {
          message.retry()
        }
      }),
    )
  },
}
