/** Floor (c), a bare Worker: it calls the webhook and gives back what that answered. Never here: a queue, or an object. */
import { post, published, type Sink } from './post.ts'

export default {
  async fetch(request: Request, env: Sink): Promise<Response> {
    if (request.method === 'GET') return new Response('ok')
    const [mail] = await published(request)
    return mail === undefined ? new Response(null, { status: 400 }) : new Response(await post(env, mail))
  },
}
