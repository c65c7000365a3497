/**
 * Where all messages of a benchmark end: a webhook that answers at once and writes down when each came. `/` answers empty, `/reply`
 * with a reply, as Switchboard's agents give it. Never here: a check of signatures, which are other tests' matter.
 */
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'

const mark = '"bench":"'
const reply = '{"reply":{"data":{"pong":1}}}'
const patienceMs = 60_000

export class Sink {
  /** When each first came, by its mark. */
  readonly #cameAt = new Map<string, number>()
  readonly #server: Server
  #awaited: { readonly count: number; readonly done: () => void } | undefined

  private constructor() {
    this.#server = createServer((request, response) => {
      const chunks: Buffer[] = []
      request.on('data', (chunk: Buffer) => chunks.push(chunk))
      request.on('end', () => {
        const replies = request.url?.startsWith('/reply') === true
        const answer = replies ? reply : ''
        // As most frameworks do, it says how long its answer is.
        response.writeHead(200, { 'content-type': 'application/json', 'content-length': answer.length })
        response.end(answer)
        this.#note(request.url ?? '', Buffer.concat(chunks).toString('utf8'))
      })
    })
    this.#server.keepAliveTimeout = 600_000
  }

  static async start(): Promise<Sink> {
    const sink = new Sink()
    await new Promise<void>((resolve) => sink.#server.listen(0, '127.0.0.1', resolve))
    return sink
  }

  get url(): string {
    // It listens on TCP.
    const { port } = this.#server.address() as AddressInfo
    return `http://127.0.0.1:${port}`
  }

  cameAt(id: string): number {
    return this.#cameAt.get(id) ?? Number.NaN
  }

  /** Forgets all that came, so that the next run counts its own. */
  forget(): void {
    this.#cameAt.clear()
  }

  /** Resolves when so many different ones have come since the last `forget`; no later than its patience is over, or it throws. */
  async came(count: number, forMs: number = patienceMs): Promise<void> {
    if (this.#cameAt.size >= count) return
    let timer: NodeJS.Timeout | undefined
    await new Promise<void>((resolve, reject) => {
      this.#awaited = { count, done: resolve }
      const late = () => reject(new Error(`of ${count} messages ${this.#cameAt.size} came within ${forMs / 1_000} s`))
      timer = setTimeout(late, forMs)
    })
    clearTimeout(timer)
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections()
    await new Promise((resolve) => this.#server.close(resolve))
  }

  // A batch is one call with several marks; one message to many is several calls with one mark, and their paths differ.
  #note(path: string, text: string): void {
    const now = performance.now()
    if (path.startsWith('/fan-')) this.#cameAt.set(path, now)
    else
      for (let at = text.indexOf(mark); at >= 0; at = text.indexOf(mark, at + mark.length)) {
        const id = text.slice(at + mark.length, text.indexOf('"', at + mark.length))
        if (!this.#cameAt.has(id)) this.#cameAt.set(id, now)
      }
    if (this.#awaited !== undefined && this.#cameAt.size >= this.#awaited.count) {
      this.#awaited.done()
      this.#awaited = undefined
    }
  }
}
