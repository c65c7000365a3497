/**
 * The wire as it is: a real HTTP server that keeps every request byte for byte and answers what a test says, bytes and all; and
 * a client of a running Switchboard. Never here: an expectation.
 */
import { createServer, type IncomingHttpHeaders, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'

/** One request, with nothing read into it. */
export interface Raw {
  readonly path: string
  readonly method: string
  readonly headers: IncomingHttpHeaders
  readonly body: Buffer
  readonly at: number
}

export interface RawAnswer {
  readonly status: number
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string | Buffer
}

/** Answers, or leaves the caller waiting when it returns nothing. */
export type Answering = (raw: Raw, earlier: number) => RawAnswer | undefined | Promise<RawAnswer | undefined>

export class Wire {
  readonly received: Raw[] = []
  readonly #answers = new Map<string, Answering>()
  readonly #server: Server

  private constructor() {
    this.#server = createServer((request, response) => {
      const chunks: Buffer[] = []
      request.on('data', (chunk: Buffer) => chunks.push(chunk))
      request.on('end', () => {
        const { url = '', method = '', headers } = request
        const raw = { path: url, method, headers, body: Buffer.concat(chunks), at: Date.now() }
        this.#answer(raw, response).catch(() => response.destroy())
      })
    })
  }

  static async start(): Promise<Wire> {
    const wire = new Wire()
    await new Promise<void>((resolve) => wire.#server.listen(0, '127.0.0.1', resolve))
    return wire
  }

  /** The URL of a path, and what is answered there from now on. */
  at(path: string, answering: Answering = () => ({ status: 200 })): string {
    this.#answers.set(path, answering)
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}${path}`
  }

  of(path: string): Raw[] {
    return this.received.filter((raw) => raw.path === path)
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections()
    await new Promise((resolve) => this.#server.close(resolve))
  }

  async #answer(raw: Raw, response: ServerResponse): Promise<void> {
    const earlier = this.of(raw.path).length
    this.received.push(raw)
    const answering: Answering = this.#answers.get(raw.path) ?? (() => ({ status: 404 }))
    const answer = await answering(raw, earlier)
    if (answer === undefined || response.destroyed) return
    response.writeHead(answer.status, { 'content-type': 'application/json', ...answer.headers })
    response.end(answer.body)
  }
}

/** A port on which nobody listens. */
export async function closedPort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}

export interface Told {
  readonly status: number
  /** As loose as what JSON.parse gives: the test that asked looks into it. */
  readonly body: ReturnType<typeof JSON.parse>
}

/** Calls a running Switchboard. */
export class Client {
  readonly #url: string
  readonly #key: string

  constructor(url: string, key: string) {
    this.#url = url
    this.#key = key
  }

  async call(method: string, path: string, json?: unknown, headers: Record<string, string> = {}): Promise<Told> {
    const response = await fetch(`${this.#url}${path}`, {
      method,
      headers: { authorization: `Bearer ${this.#key}`, 'content-type': 'application/json', ...headers },
      ...(json === undefined ? {} : { body: JSON.stringify(json) }),
    })
    const text = await response.text()
    return { status: response.status, body: text === '' ? undefined : JSON.parse(text) }
  }

  async webhook(name: string, url: string, policy: object = {}): Promise<{ secret: string; key: string }> {
    const { status, body } = await this.call('PUT', `/v1/agents/${name}`, { kind: 'webhook', url, policy })
    if (status !== 201) throw new Error(`PUT ${name} answered ${status}: ${JSON.stringify(body)}`)
    return body
  }

  /** Publishes one and gives its delivery's id. */
  async send(to: string, more: object = {}, headers: Record<string, string> = {}): Promise<string> {
    const { status, body } = await this.call('POST', '/v1/messages', { to, type: 'test.note', ...more }, headers)
    if (status !== 202) throw new Error(`publish answered ${status}: ${JSON.stringify(body)}`)
    return body.deliveries[0].id
  }

  async receipt(id: string): Promise<Told['body']> {
    return (await this.call('GET', `/v1/deliveries/${id}`)).body
  }

  /** The receipt once it says so; the last one seen in the error otherwise. */
  async until(id: string, is: string | ((receipt: Told['body']) => boolean), withinMs = 15_000): Promise<Told['body']> {
    const deadlineAt = Date.now() + withinMs
    for (;;) {
      const receipt = await this.receipt(id)
      if (typeof is === 'string' ? receipt.status === is : is(receipt)) return receipt
      if (Date.now() > deadlineAt) throw new Error(`never came to be as expected: ${JSON.stringify(receipt)}`)
      await pause(20)
    }
  }
}
