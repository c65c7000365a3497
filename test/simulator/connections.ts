/**
 * The platform's limit on connections, which nothing local enforces: six of one invocation wait for response headers; a
 * seventh is not begun, and nobody is told, while its deadline runs. Never here: our own limit (workers/slots.ts).
 */
import type { FetchedAnswer, Platform } from '../../shared/ports.ts'

export const platformConnections = 6

/** One invocation's connections. Also counts how many were asked for at once, those not begun included. */
export class Connections {
  /** The most that waited for headers at once, in all and by host and path. */
  peak = 0
  readonly peakByUrl = new Map<string, number>()
  readonly #asked = new Map<string, number>()
  #open = 0
  #queue: (() => void)[] = []

  /** A fetch with the limit in front. */
  limited(fetch: Platform['fetch']): Platform['fetch'] {
    return async (url, init) => {
      this.#count(url, 1)
      try {
        await this.#begin(init.signal)
        return await this.#headersOf(() => fetch(url, init))
      } finally {
        this.#count(url, -1)
      }
    }
  }

  async #headersOf(send: () => Promise<FetchedAnswer>): Promise<FetchedAnswer> {
    try {
      return await send()
    } finally {
      this.#open -= 1
      this.#queue.shift()?.()
    }
  }

  #begin(signal: AbortSignal): Promise<void> {
    if (this.#open < platformConnections) {
      this.#open += 1
      return Promise.resolve()
    }
    return new Promise((resolve, reject) => {
      const turn = () => {
        this.#open += 1
        resolve()
      }
      this.#queue.push(turn)
      signal.addEventListener('abort', () => {
        this.#queue = this.#queue.filter((one) => one !== turn)
        reject(new Error('aborted before it was begun'))
      })
    })
  }

  #count(url: string, change: number): void {
    const asked = (this.#asked.get(url) ?? 0) + change
    this.#asked.set(url, asked)
    this.peakByUrl.set(url, Math.max(this.peakByUrl.get(url) ?? 0, asked))
    this.peak = Math.max(
      this.peak,
      [...this.#asked.values()].reduce((sum, n) => sum + n, 0),
    )
  }
}
