/**
 * Floor (c), a bare Worker: it calls the webhook and gives back what that answered; of several messages, it calls for each and answers when
 * all have come. Never here: a queue, or an object.
 */
import { post, published, type Sink } from './post.ts'

export default {
  async fetch(request: Request, env: Sink): Promise<Response> {
    if (request.method === 'GET') return new Response('ok')
    const answers = await Promise.all((await published(request)).map((mail) => post(env, mail)))
    return new Response(answers[0])
  },
}
