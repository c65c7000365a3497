/**
 * A client that costs little, because it shares two cores with what it measures: node:http with connections that are kept. Never
 * here: what is called.
 */
import { Agent, request } from 'node:http'

export interface Answer {
  readonly status: number
  readonly text: string
}

export class Client {
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 64 })
  readonly #base: () => string
  readonly #headers: Readonly<Record<string, string>>

  /** `base` is asked at each call: a host that was restarted has another port. */
  constructor(base: () => string, headers: Readonly<Record<string, string>> = {}) {
    this.#base = base
    this.#headers = headers
  }

  send(method: string, path: string, json?: unknown, headers: Readonly<Record<string, string>> = {}): Promise<Answer> {
    const body = json === undefined ? '' : JSON.stringify(json)
    return new Promise((resolve, reject) => {
      const call = request(
        `${this.#base()}${path}`,
        {
          method,
          agent: this.#agent,
          headers: {
            'content-type': 'application/json',
            'content-length': Buffer.byteLength(body),
            ...this.#headers,
            ...headers,
          },
        },
        (response) => {
          const chunks: Buffer[] = []
          response.on('data', (chunk: Buffer) => chunks.push(chunk))
          response.on('error', reject)
          response.on('end', () =>
            resolve({ status: response.statusCode ?? 0, text: Buffer.concat(chunks).toString('utf8') }),
          )
        },
      )
      // A connection that was kept may be closed by the other side just when it is used again; the call never began then.
      call.on('error', (error: NodeJS.ErrnoException) => {
        if (call.reusedSocket && error.code === 'ECONNRESET')
          this.send(method, path, json, headers).then(resolve, reject)
        else reject(error)
      })
      call.end(body)
    })
  }

  /** Anything but a 2xx is thrown, because a benchmark of errors measures nothing. */
  async post(path: string, json: unknown): Promise<string> {
    const { status, text } = await this.send('POST', path, json)
    if (status < 200 || status > 299) throw new Error(`POST ${path}: ${status} ${text.slice(0, 500)}`)
    return text
  }

  stop(): void {
    this.#agent.destroy()
  }
}
