/**
 * A peer that speaks the chat completions API as OpenAI's own reference describes it (a POST of model and messages, choices
 * and usage back; errors as {"error":{"message"}}), with the ways of going wrong that providers have: nonsense, 429 with
 * Retry-After, 5xx, 401, and silence. It reads the prompts only as far as a model would need to. Never here: our own code.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'

export type Behaviour =
  | { readonly kind: 'json'; readonly answer: unknown }
  | { readonly kind: 'text'; readonly content: string }
  | { readonly kind: 'refuse'; readonly status: number; readonly retryAfter?: string; readonly echoKey?: boolean }
  | { readonly kind: 'garbage' }
  | { readonly kind: 'cut' }
  | { readonly kind: 'hang' }

export interface Seen {
  readonly authorization: string | undefined
  readonly path: string
  readonly model: string
  readonly prompt: string
}

export interface FakeModel {
  readonly url: string
  readonly seen: Seen[]
  /** How it answers; called once a request, with the text of the prompt and the number of the request, from 0. */
  behave: (prompt: string, number: number) => Behaviour
  close(): Promise<void>
}

export async function startFakeModel(behave: FakeModel['behave']): Promise<FakeModel> {
  const server = createServer((request, response) => void serve(request, response))
  const fake: FakeModel = {
    url: '',
    seen: [],
    behave,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
  async function serve(request: IncomingMessage, response: ServerResponse) {
    let text = ''
    for await (const chunk of request.setEncoding('utf8')) text += chunk
    const body = JSON.parse(text) as { model: string; messages: { content: string }[] }
    const prompt = body.messages.map((m) => m.content).join('\n')
    const { authorization } = request.headers
    fake.seen.push({ authorization, path: request.url ?? '', model: body.model, prompt })
    answer(response, fake.behave(prompt, fake.seen.length - 1), authorization ?? '')
  }
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  const port = typeof address === 'object' ? address?.port : 0
  return Object.assign(fake, { url: `http://127.0.0.1:${port}/v1` })
}

function answer(response: ServerResponse, behaviour: Behaviour, authorization: string): void {
  const send = (status: number, body: string, headers: Record<string, string> = {}) =>
    response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(body)
  switch (behaviour.kind) {
    case 'hang':
      return
    case 'garbage':
      return void send(200, '<html>gateway</html>')
    case 'refuse': {
      const message = behaviour.echoKey === true ? `Incorrect key: ${authorization}` : 'no'
      const headers = behaviour.retryAfter === undefined ? {} : { 'retry-after': behaviour.retryAfter }
      return void send(behaviour.status, JSON.stringify({ error: { message } }), headers)
    }
    default:
      return void send(200, JSON.stringify(completion(behaviour)))
  }
}

function completion(behaviour: Extract<Behaviour, { kind: 'json' | 'text' | 'cut' }>) {
  const content =
    behaviour.kind === 'json'
      ? JSON.stringify(behaviour.answer)
      : behaviour.kind === 'text'
        ? behaviour.content
        : '{"fi'
  return {
    id: 'chatcmpl-1',
    object: 'chat.completion',
    choices: [
      {
        index: 0,
        message: { role: 'assistant', content },
        finish_reason: behaviour.kind === 'cut' ? 'length' : 'stop',
      },
    ],
    usage: { prompt_tokens: 10, completion_tokens: 5, total_tokens: 15 },
  }
}

/** A model that does as it is told: quotes the first sentence of every passage, then says each finding in its own order. */
export function wellBehaved(prompt: string): Behaviour {
  if (prompt.includes('"quote"')) {
    const passages = [...prompt.matchAll(/^\[(\d+)\] .*\n(?:[-*] )?(.+?\.)(?:\s|$)/gm)]
    const findings = passages.map(([, number, quote]) => ({ passage: Number(number), quote, theme: 'Said outright' }))
    return { kind: 'json', answer: { findings } }
  }
  const findings = [...prompt.matchAll(/^\[(\d+)\] [^:]*:\s+(.*)$/gm)].slice(0, 2)
  return { kind: 'json', answer: { answer: findings.map(([, n, text]) => ({ text, findings: [Number(n)] })) } }
}
