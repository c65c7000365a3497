/**
 * "Park, don't burn" on real workerd: an agent is down for a minute, with 500 messages waiting in 20 lines, and half way the
 * broker itself dies by SIGKILL. Never here: two hours of it under the default policy (test/simulator/outage.test.ts).
 */
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { bundle, Host, hostAdminKey } from './host.ts'
import { Client, Wire } from './wire.ts'

const second = 1_000
const messages = 500
const keys = 20
const downMs = 60 * second
const drainMs = 60 * second
/** Ten in flight at most, and one of them was the fifth failure. */
const burnedAtFirstMax = 5 + 9
/** Times are short; everything else is as by default. */
const policy = { breaker: { openSeconds: 1, maxOpenSeconds: 4 } }

interface Done {
  readonly delivery: string
  readonly key: string
  readonly n: number
}
interface Attempt {
  readonly startedAt: string
  readonly outcome: string
  readonly counted: boolean
}
interface Receipt {
  readonly id: string
  readonly status: string
  readonly because?: string
  readonly attempts: readonly Attempt[]
}
interface Breaker {
  readonly state: string
  readonly epoch: number
  readonly history: readonly {
    readonly at: string
    readonly from: string
    readonly to: string
    readonly cause: string
  }[]
}

/** The agent: fails until it is up, then works for a moment, and knows how many it works on at once. */
class Agent {
  up = false
  calls = 0
  readonly done: Done[] = []
  /** How many were worked on when one began, and how many successes had been answered before. */
  readonly flights: { readonly flying: number; readonly earned: number }[] = []
  #flying = 0

  readonly answer = async ({ headers, body }: { headers: Record<string, unknown>; body: Buffer }) => {
    this.calls += 1
    if (!this.up) return { status: 500 }
    this.#flying += 1
    this.flights.push({ flying: this.#flying, earned: this.done.length })
    await pause(50)
    const { data } = JSON.parse(body.toString('utf8')) as { data: { key: string; n: number } }
    this.done.push({ delivery: String(headers['webhook-id']), ...data })
    this.#flying -= 1
    return { status: 200 }
  }
}

let host: Host
let wire: Wire
const agent = new Agent()
const seen: {
  parked: Receipt[]
  beforeDeath: Breaker
  afterDeath: Breaker
  receipts: Receipt[]
  letters: unknown[]
  breaker: Breaker
} = {
  parked: [],
  beforeDeath: { state: '', epoch: 0, history: [] },
  afterDeath: { state: '', epoch: 0, history: [] },
  receipts: [],
  letters: [],
  breaker: { state: '', epoch: 0, history: [] },
}

const client = () => new Client(host.url ?? '', hostAdminKey)
const breaker = async () => (await client().call('GET', '/v1/agents/down/breaker')).body as Breaker

beforeAll(async () => {
  host = new Host(await bundle(join(import.meta.dirname, '../../workers/index.ts')))
  wire = await Wire.start()
  await host.start()
  await client().webhook('down', wire.at('/down', agent.answer), policy)
  const downAt = Date.now()
  await publishAll()
  await pause(downAt + downMs / 3 - Date.now())
  seen.parked = await receipts()
  await pause(downAt + downMs / 2 - Date.now())
  seen.beforeDeath = await breaker()
  host.kill()
  await host.dead()
  await host.start()
  seen.afterDeath = await breaker()
  await pause(Math.max(0, downAt + downMs - Date.now()))
  agent.up = true
  const givenUpAt = Date.now() + drainMs
  while (agent.done.length < messages && Date.now() < givenUpAt) await pause(100)
  // The last reports are still on their way home.
  await pause(second)
  seen.receipts = await receipts()
  seen.letters = (await client().call('GET', '/v1/dead-letters')).body.items
  seen.breaker = await breaker()
}, 180_000)
afterAll(async () => {
  await host.stop()
  await wire.stop()
})

async function publishAll(): Promise<void> {
  for (let from = 0; from < messages; from += 100) {
    const batch = Array.from({ length: 100 }, (_, i) => {
      const [n, key] = [from + i, `key-${(from + i) % keys}`]
      return { to: 'down', type: 'test.work', partitionkey: key, data: { key, n } }
    })
    const { body } = await client().call('POST', '/v1/messages/batch', batch)
    for (const result of body.results) if (result.status !== 202) throw new Error(JSON.stringify(result))
  }
}

async function receipts(): Promise<Receipt[]> {
  const all: Receipt[] = []
  let cursor = ''
  do {
    const { body } = await client().call('GET', `/v1/agents/down/deliveries?cursor=${encodeURIComponent(cursor)}`)
    all.push(...body.items)
    cursor = body.cursor ?? ''
  } while (cursor !== '')
  return all
}

const burned = (receipt: Receipt) =>
  receipt.attempts.filter((a) => a.counted && a.outcome !== 'ok').map((a) => Date.parse(a.startedAt))

/** From each move to `to` until the next move. */
function spans(to: string): { from: number; until: number }[] {
  const { history } = seen.breaker
  return history.flatMap((entry, i) =>
    entry.to === to ? [{ from: Date.parse(entry.at), until: Date.parse(history[i + 1]?.at ?? '9999-01-01') }] : [],
  )
}

describe('an agent that is down for a minute, and a broker that is killed half way', () => {
  it('lose nothing: no dead letter, all 500 done, each once (TC1)', () => {
    expect(seen.letters).toEqual([])
    expect(seen.receipts.filter((r) => r.status !== 'completed')).toEqual([])
    expect(seen.receipts).toHaveLength(messages)
    expect(agent.done.map((d) => d.delivery).toSorted()).toEqual(seen.receipts.map((r) => r.id).toSorted())
  })

  it('M3: keep each line in its order', () => {
    for (let k = 0; k < keys; k++) {
      const line = agent.done.filter((d) => d.key === `key-${k}`).map((d) => d.n)
      expect(line).toEqual(Array.from({ length: messages / keys }, (_, i) => i * keys + k))
    }
  })

  it('B1 M4: burn nothing while the breaker is open: mail is parked and says why', () => {
    for (const receipt of seen.parked) {
      expect(receipt.status).toMatch(/^(parked|queued|dispatched)$/)
      if (receipt.status === 'parked') expect(receipt.because).toMatch(/^breaker: /)
    }
    const open = spans('open')
    expect(open.length).toBeGreaterThan(8)
    for (const at of seen.receipts.flatMap(burned))
      expect(open.filter(({ from, until }) => from < at && at < until)).toEqual([])
  })

  it('B2: send one probe a window', () => {
    const began = seen.receipts.flatMap((r) => r.attempts.map((a) => Date.parse(a.startedAt)))
    const windows = spans('half_open')
    expect(windows.length).toBeGreaterThan(8)
    for (const { from, until } of windows)
      expect(began.filter((at) => from <= at && at < until).length).toBeLessThanOrEqual(1)
    // The kill may hit a probe: then it is sent again.
    expect(agent.calls - messages).toBeLessThanOrEqual(burnedAtFirstMax + windows.length + 1)
    expect(Math.max(...seen.receipts.map((r) => burned(r).length))).toBeLessThan(4)
  })

  it('the breaker stands after the restart where it stood when it was killed', () => {
    const { epoch, history } = seen.beforeDeath
    expect(epoch).toBeGreaterThan(3)
    expect(seen.afterDeath.epoch).toBeGreaterThanOrEqual(epoch)
    expect(seen.afterDeath.history.slice(0, history.length)).toEqual(history)
  })

  it('come back by a ramp: one at first, at most twice as many for each success (TC1)', () => {
    expect(agent.flights[0]).toEqual({ flying: 1, earned: 0 })
    for (const { flying, earned } of agent.flights) expect(flying).toBeLessThanOrEqual(2 ** Math.max(0, earned - 1))
    expect(Math.max(...agent.flights.map((f) => f.flying))).toBeGreaterThan(2)
    expect(seen.breaker.state).toBe('closed')
  })
})
