/**
 * A webhook receiver: a real HTTP server that writes down every call before it does as it was told with it. It checks the
 * signature as any receiver should. Outside of what it tests, so its record outlives every crash of that.
 * Never here: what a call should be answered (the test that owns it).
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Webhook } from 'standardwebhooks'

/** One call, as it came. */
export interface Call {
  readonly agent: string
  readonly delivery: string
  readonly attempt: number
  readonly token: string
  readonly message: { readonly id: string; readonly type: string; readonly source: string; readonly data?: unknown }
  /** A note of work done elsewhere, in a handler or by a puller: nobody delivered it here. */
  readonly noted: boolean
}

/** What becomes of a call. */
export type Reaction =
  | {
      readonly kind: 'answer'
      readonly status: number
      readonly body?: unknown
      readonly headers?: Readonly<Record<string, string>>
      readonly afterMs?: number
    }
  /** Takes the call and never answers; the caller has to give up. */
  | { readonly kind: 'hang' }
  /** Acks by token and, when that is done, answers as well. */
  | { readonly kind: 'twice'; readonly ack: unknown; readonly body: unknown }
  /** 202, then an ack by token. */
  | { readonly kind: 'later'; readonly ack: unknown; readonly afterMs?: number }

export interface ReceiverOptions {
  /** `earlier` counts the calls of this delivery before this one. */
  readonly react: (call: Call, earlier: number) => Reaction
  /** Settles by token over HTTP; for reactions that do. */
  readonly ack: (call: Call, body: unknown) => Promise<void>
}

export class Receiver {
  /** Everything that was received or noted, in order. */
  readonly calls: Call[] = []
  /** What no well-behaved sender would have done. */
  readonly complaints: string[] = []
  readonly #secrets = new Map<string, string>()
  readonly #counts = new Map<string, number>()
  readonly #server: Server
  readonly #options: ReceiverOptions

  private constructor(options: ReceiverOptions) {
    this.#options = options
    this.#server = createServer((request, response) => {
      this.#serve(request, response).catch((error: unknown) => {
        this.complaints.push(String(error))
        response.destroy()
      })
    })
  }

  static async start(options: ReceiverOptions): Promise<Receiver> {
    const receiver = new Receiver(options)
    await new Promise<void>((resolve) => receiver.#server.listen(0, '127.0.0.1', resolve))
    return receiver
  }

  get url(): string {
    const { port } = this.#server.address() as AddressInfo
    return `http://127.0.0.1:${port}`
  }

  /** From now on this agent's calls must be signed with this secret. */
  trust(agent: string, secret: string): void {
    this.#secrets.set(agent, secret)
  }

  /** How often work on this delivery was begun. */
  starts(delivery: string): number {
    return this.#counts.get(delivery) ?? 0
  }

  /** Writes down work that was begun elsewhere. */
  note(call: Omit<Call, 'noted'>): void {
    this.#record({ ...call, noted: true })
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections()
    await new Promise((resolve) => this.#server.close(resolve))
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const text = await bodyOf(request)
    const call = callOf(request, text)
    if (call.noted) {
      this.#record(call)
      response.writeHead(204).end()
      return
    }
    if (!this.#isSigned(request, call.agent, text)) {
      this.complaints.push(`${call.agent} was sent ${call.delivery} with a wrong signature`)
      response.writeHead(401).end()
      return
    }
    await this.#react(call, this.#record(call), response)
  }

  #isSigned(request: IncomingMessage, agent: string, text: string): boolean {
    const secret = this.#secrets.get(agent)
    if (secret === undefined) return true
    try {
      new Webhook(secret).verify(text, request.headers as Record<string, string>)
      return true
    } catch {
      return false
    }
  }

  #record(call: Call): number {
    const earlier = this.starts(call.delivery)
    this.#counts.set(call.delivery, earlier + 1)
    this.calls.push(call)
    return earlier
  }

  async #react(call: Call, earlier: number, response: ServerResponse): Promise<void> {
    const reaction = this.#options.react(call, earlier)
    switch (reaction.kind) {
      case 'answer': {
        const { status, headers, body, afterMs = 0 } = reaction
        if (afterMs > 0) await later(afterMs)
        answer(response, status, body, headers)
        return
      }
      case 'hang':
        return
      case 'twice':
        await this.#options.ack(call, reaction.ack)
        answer(response, 200, reaction.body)
        return
      case 'later':
        answer(response, 202, undefined)
        await later(reaction.afterMs ?? 0)
        await this.#options.ack(call, reaction.ack)
    }
  }
}

const later = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms))

function answer(response: ServerResponse, status: number, body: unknown, headers?: Readonly<Record<string, string>>) {
  // The caller may be gone, which is its right.
  if (response.destroyed) return
  response.writeHead(status, { 'content-type': 'application/json', ...headers })
  response.end(body === undefined ? '' : JSON.stringify(body))
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks).toString('utf8')
}

// `/<agent>` is a delivery, `/note/<agent>` a note.
function callOf(request: IncomingMessage, text: string): Call {
  const path = (request.url ?? '').split('/').filter((part) => part !== '')
  const header = (name: string) => String(request.headers[name] ?? '')
  return {
    agent: path.at(-1) ?? '',
    delivery: header('webhook-id'),
    attempt: Number(header('switchboard-attempt')),
    token: header('switchboard-token'),
    message: JSON.parse(text) as Call['message'],
    noted: path[0] === 'note',
  }
}
