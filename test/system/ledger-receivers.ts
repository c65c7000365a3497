/**
 * The receivers of the ledger's run: one that is well, one that flaps, one that is slow, one whose connections die half open, one
 * that takes batches, and one to whom all work leads. Each call is written down before anything is done with it. Never here: what
 * must hold (test/simulator/ledger.ts).
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Effect, Seen } from '../simulator/ledger.ts'

export const tempers = ['steady', 'flappy', 'slow', 'broken', 'batcher'] as const
export type Temper = (typeof tempers)[number]

/** What a message of the run says of itself. */
interface Event {
  readonly id: string
  readonly type: string
  readonly deliveryid?: string
  readonly data?: { readonly of: string; readonly nonce: string }
}

type Way = 'well' | 'fail' | 'hold' | 'late' | 'hang' | 'half' | 'reset'

export class Receivers {
  readonly seen: Seen[] = []
  readonly effects: Effect[] = []
  readonly complaints: string[] = []
  /** From then on all are well. */
  healed = false
  readonly #dice: () => number
  readonly #server: Server
  #calls = 0
  #flaps = 0

  private constructor(dice: () => number) {
    this.#dice = dice
    this.#server = createServer((request, response) => {
      this.#serve(request, response).catch((error: unknown) => {
        this.complaints.push(String(error))
        response.destroy()
      })
    })
  }

  static async start(dice: () => number): Promise<Receivers> {
    const receivers = new Receivers(dice)
    await new Promise<void>((resolve) => receivers.#server.listen(0, '127.0.0.1', resolve))
    return receivers
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections()
    await new Promise((resolve) => this.#server.close(resolve))
  }

  nextCall(): number {
    this.#calls += 1
    return this.#calls
  }

  /** Writes down that work on this delivery begins. */
  note(delivery: string, call: number, at = Date.now(), held = false): void {
    this.seen.push({ at, call, delivery, ...(held ? { held: true } : {}) })
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const at = Date.now()
    const text = await bodyOf(request)
    const who = (request.url ?? '/').slice(1)
    const delivery = String(request.headers['webhook-id'] ?? '')
    const said = JSON.parse(text) as Event | readonly Event[]
    if (who === 'tally') {
      const { of, nonce } = (said as Event).data ?? { of: '', nonce: '' }
      this.effects.push({ of, nonce, delivery })
      answer(response, 200, {})
      return
    }
    const events = (Array.isArray(said) ? said : [said]) as readonly Event[]
    const carried = events.map((event) => ({ event, id: event.deliveryid ?? delivery }))
    const call = this.nextCall()
    const way = this.#wayOf(who as Temper)
    for (const { id } of carried) this.note(id, call, at, way === 'hold')
    await this.#answerIn(way, response, Array.isArray(said) ? batchDone(carried) : workDone(delivery, said as Event))
  }

  #wayOf(who: Temper): Way {
    if (this.healed) return 'well'
    const throwOf = this.#dice()
    switch (who) {
      case 'flappy':
        // A while down, a while up: long enough to open its breaker, each time.
        this.#flaps += 1
        return Math.floor((this.#flaps - 1) / 5) % 2 === 0 ? 'fail' : throwOf < 0.9 ? 'well' : 'hold'
      case 'slow':
        return throwOf < 0.5 ? 'late' : 'well'
      case 'broken':
        return throwOf < 0.2 ? 'hang' : throwOf < 0.35 ? 'half' : throwOf < 0.5 ? 'reset' : 'well'
      default:
        return 'well'
    }
  }

  async #answerIn(way: Way, response: ServerResponse, body: unknown): Promise<void> {
    switch (way) {
      case 'well':
        return answer(response, 200, body)
      case 'fail':
        return answer(response, 500, {})
      case 'hold':
        response.setHeader('retry-after', '1')
        return answer(response, 429, {})
      case 'late':
        // Around its deadline: before, after, and at it.
        await later(700 + this.#dice() * 800)
        return answer(response, 200, body)
      case 'hang':
        return
      case 'half':
        // Says that it is well, and falls silent in the middle of why.
        response.writeHead(200, { 'content-type': 'application/json' })
        response.write(JSON.stringify(body).slice(0, 20))
        return
      case 'reset':
        response.socket?.resetAndDestroy()
    }
  }
}

const later = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms))

function answer(response: ServerResponse, status: number, body: unknown): void {
  // The caller may be gone, which is its right.
  if (response.destroyed) return
  response.writeHead(status, { 'content-type': 'application/json' })
  response.end(JSON.stringify(body))
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks).toString('utf8')
}

/** What every piece of work ends with: a result, a reply if it was asked, and one message to whom all work leads. */
export function workDone(delivery: string, event: Pick<Event, 'type'>) {
  const nonce = crypto.randomUUID()
  if (event.type === 'ledger.ask') return { result: { nonce }, reply: { data: { nonce } } }
  if (event.type !== 'ledger.work') return { result: { nonce } }
  return { result: { nonce }, messages: [{ to: 'tally', type: 'ledger.done', data: { of: delivery, nonce } }] }
}

const batchDone = (carried: readonly { readonly id: string; readonly event: Event }[]) => ({
  results: carried.map(({ id, event }) => ({ id, status: 'ok', ...workDone(id, event) })),
})
