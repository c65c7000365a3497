/**
 * What a message costs, counted and not guessed: billed operations at list price, in the real runtime, over real storage. Time
 * is set, queues are moved by hand and alarms are run when they are due, so that no operation is missed and nothing sleeps.
 */
import {
  createExecutionContext,
  createMessageBatch,
  evictDurableObject,
  getQueueResult,
  runDurableObjectAlarm,
  runInDurableObject,
  waitOnExecutionContext,
} from 'cloudflare:test'
import { env } from 'cloudflare:workers'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { createSwitchboard } from '../../workers/switchboard.ts'
import { adminKey, freshName } from './gateway.ts'
import {
  type Bill,
  billSince,
  newBill,
  objectCalls,
  operationsOf,
  queueOperations,
  type Sent,
  watchPlatform,
  wrappedEnv,
} from './ledger.ts'

const second = 1_000
const hour = 3_600 * second

/** List price in US dollars for a million of each, from Cloudflare's pricing pages for Workers, Durable Objects and Queues. */
const price = { workerRequest: 0.3, cpuMs: 0.02, objectRequest: 0.15, row: 1, queueOperation: 0.4, objectMs: 0.0016 }
/** Allowances for what a test cannot measure: processor time of a publish and of a batch, and how long a call keeps an object awake. */
const allowed = { cpuMs: 2, objectMs: 5 }

/** Dollars for a million times what is on the bill. An alarm that runs is a request to its object. */
function dollars(bill: Bill): number {
  const requests = objectCalls(bill) + bill.alarms
  return (
    bill.workerRequests * (price.workerRequest + allowed.cpuMs * price.cpuMs) +
    requests * (price.objectRequest + allowed.objectMs * price.objectMs) +
    bill.rows * price.row +
    queueOperations(bill) * price.queueOperation
  )
}

type Asked = Parameters<ReturnType<typeof createSwitchboard>['fetch']>[0]

/** A Switchboard whose time, queues and alarms a test moves. */
class Counted {
  readonly bill = newBill()
  readonly sent: Sent[] = []
  readonly agents: string[] = []
  key = adminKey
  readonly #env = wrappedEnv(this.bill, this.sent, {
    SWITCHBOARD_ADMIN_KEY: adminKey,
    SWITCHBOARD_DEV: '1',
    SWITCHBOARD_PATIENCE_SECONDS: '840',
  })
  readonly #worker = createSwitchboard({
    agents: [],
    ports: (platform) => ({ ...platform, fetch: async () => new Response(null, { status: 204 }) }),
  })
  readonly watched = watchPlatform(this.bill)

  async call(method: string, path: string, json?: unknown) {
    this.bill.workerRequests += 1
    const body = json === undefined ? null : JSON.stringify(json)
    const headers = { Authorization: `Bearer ${this.key}`, 'Content-Type': 'application/json' }
    const request = new Request(`http://switchboard.test${path}`, { method, headers, body })
    const ctx = createExecutionContext()
    // The handler's type wants the request as workerd made it; one that a test makes has no `cf`.
    const response = await this.#worker.fetch(request as Asked, this.#env, ctx)
    await waitOnExecutionContext(ctx)
    const text = await response.text()
    return { status: response.status, body: text === '' ? undefined : JSON.parse(text) }
  }

  /** Hands over what was sent, until nothing is left. */
  async drain(): Promise<void> {
    while (this.sent.length > 0) {
      const queue = this.sent[0]?.queue ?? ''
      const mine = this.sent.filter((s) => s.queue === queue).slice(0, 25)
      for (const one of mine) this.sent.splice(this.sent.indexOf(one), 1)
      await this.#consume(queue, mine)
    }
  }

  async #consume(queue: string, sent: readonly Sent[]): Promise<void> {
    this.bill.workerRequests += 1
    const messages = sent.map(({ body }, i) => ({ id: `m${i}`, timestamp: new Date(), attempts: 1, body }))
    const batch = createMessageBatch(queue, messages)
    const ctx = createExecutionContext()
    await this.#worker.queue(batch, this.#env, ctx)
    const result = await getQueueResult(batch, ctx)
    if (result.retryMessages.length > 0) throw new Error(`retried: ${JSON.stringify(result.retryMessages)}`)
    for (const { body } of sent) {
      this.bill.queueReads += operationsOf(body)
      this.bill.queueDeletes += operationsOf(body)
    }
  }

  /** Lets time pass, and runs each alarm when it is due. */
  async pass(ms: number): Promise<void> {
    const until = Date.now() + ms
    for (;;) {
      const due = await this.#nextAlarm()
      if (due === undefined || due.at > until) break
      vi.setSystemTime(Math.max(Date.now(), due.at))
      await runDurableObjectAlarm(env.AGENTS.getByName(due.agent))
      await this.drain()
    }
    vi.setSystemTime(until)
  }

  async #nextAlarm(): Promise<{ agent: string; at: number } | undefined> {
    let next: { agent: string; at: number } | undefined
    for (const agent of this.agents) {
      const at = await runInDurableObject(env.AGENTS.getByName(agent), (_, state) => state.storage.getAlarm())
      if (at !== null && (next === undefined || at < next.at)) next = { agent, at }
    }
    return next
  }

  /** What the hourly sweep does with each agent. */
  async visit(agent: string): Promise<void> {
    const { references } = await this.#env.AGENTS.getByName(agent).sweep()
    expect(references).toEqual([])
  }

  /** A webhook agent that has had mail before, and a publisher whose key was just used. */
  async warmedUp(): Promise<string> {
    const name = freshName('counted')
    this.key = adminKey
    await this.call('PUT', `/v1/agents/${name}`, { kind: 'webhook', url: `http://127.0.0.1/${name}` })
    this.agents.push(name)
    const { body } = await this.call('POST', '/v1/keys', { name: freshName('app') })
    this.key = body.key
    await this.send(name)
    await this.pass(60 * second)
    // Asks for the key anew, so that it is remembered for the next five seconds.
    await this.call('GET', `/v1/agents/${name}`)
    return name
  }

  async send(agent: string): Promise<string> {
    const { status, body } = await this.call('POST', '/v1/messages', {
      to: agent,
      type: 'test.note',
      data: { text: 'x'.repeat(500) },
    })
    if (status !== 202) throw new Error(`publish answered ${status}`)
    await this.drain()
    return body.deliveries[0].id
  }

  /** What happens meanwhile, from warm to quiet. */
  async count(work: () => Promise<void>): Promise<Bill> {
    const before = structuredClone(this.bill)
    await work()
    return billSince(before, this.bill)
  }
}

let counted: Counted
beforeEach(async () => {
  // Ahead of the real clock, so that no alarm runs by itself.
  vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 24 * hour })
  counted = new Counted()
  await counted.watched
})
afterEach(async () => {
  const { evidence, stop } = await counted.watched
  stop()
  vi.useRealTimers()
  // Whatever reached an object or a queue came through a binding that was counted.
  const { calls } = counted.bill
  expect(evidence).toEqual({ calls, sends: 0 })
})

describe('a direct message', () => {
  it('alone costs 3 rows, 3 object calls and 3 queue operations: under 6 dollars a million', async () => {
    const agent = await counted.warmedUp()
    const bill = await counted.count(async () => {
      await counted.send(agent)
      await counted.pass(4 * hour)
    })
    expect(bill).toEqual({
      // The publish, and the batch of one.
      workerRequests: 2,
      // Accept, take, settle.
      calls: { AGENTS: 3, DIRECTORY: 0 },
      // Its lease, or its repeat: neither was needed any more.
      alarms: 1,
      // The delivery, its alarm, its end. Its lease left no row (docs/decisions/0003), and its clean-up costs none (0004).
      rows: 3,
      queueWrites: 1,
      queueReads: 1,
      queueDeletes: 1,
    })
    expect(dollars(bill)).toBeLessThan(6)
  })

  it('alone costs no more when its object was evicted meanwhile, and the publisher’s key is asked for anew', async () => {
    const agent = await counted.warmedUp()
    await counted.pass(hour)
    await evictDurableObject(env.AGENTS.getByName(agent))
    await evictDurableObject(env.DIRECTORY.getByName('all'))
    const bill = await counted.count(async () => {
      await counted.send(agent)
      await counted.pass(4 * hour)
    })
    expect(bill).toMatchObject({ rows: 3, calls: { AGENTS: 3, DIRECTORY: 1 }, alarms: 1 })
    expect(dollars(bill)).toBeLessThan(6)
  })

  it('a second for twenty seconds costs less each, because one alarm serves several', async () => {
    const agent = await counted.warmedUp()
    const bill = await counted.count(async () => {
      for (let i = 0; i < 20; i++) {
        await counted.send(agent)
        await counted.pass(second)
      }
      await counted.pass(4 * hour)
    })
    expect(bill.calls['AGENTS']).toBe(60)
    expect(queueOperations(bill)).toBe(60)
    // Two rows each, and an alarm for about five seconds of them.
    expect(bill.rows).toBeGreaterThanOrEqual(43)
    expect(bill.rows).toBeLessThanOrEqual(46)
    expect(bill.calls['DIRECTORY']).toBeLessThanOrEqual(4)
    expect(dollars(bill) / 20).toBeLessThan(5)
  })

  it('is one of ten in a batch to one agent: 2.1 rows and three tenths of the rest, under 3 dollars a million', async () => {
    const agent = await counted.warmedUp()
    const bill = await counted.count(async () => {
      const messages = Array.from({ length: 10 }, (_, n) => ({ to: agent, type: 'test.note', data: { n } }))
      const { status, body } = await counted.call('POST', '/v1/messages/batch', messages)
      expect([status, body.results.length]).toEqual([200, 10])
      await counted.drain()
      await counted.pass(4 * hour)
    })
    expect(bill).toMatchObject({
      workerRequests: 2,
      calls: { AGENTS: 3, DIRECTORY: 0 },
      alarms: 1,
      rows: 21,
      queueWrites: 1,
      queueReads: 1,
      queueDeletes: 1,
    })
    expect(dollars(bill) / 10).toBeLessThan(3)
  })
})

describe('cleaning up', () => {
  /** An hour and its visit, of this agent alone: others' storage is in the same deployment. */
  const anHour = async (agent: string) => {
    await counted.pass(hour)
    await counted.visit(agent)
  }
  const tablesOf = (agent: string) =>
    runInDurableObject(env.AGENTS.getByName(agent), (_, { storage }) =>
      storage.sql.exec("SELECT name FROM sqlite_master WHERE name LIKE 'deliveries_%'").toArray(),
    )

  it('costs an hourly visit no row while nothing is due', async () => {
    const agent = await counted.warmedUp()
    await counted.send(agent)
    const bill = await counted.count(() => anHour(agent))
    expect(bill).toMatchObject({ rows: 0, calls: { AGENTS: 1 }, queueWrites: 0 })
    const next = await counted.count(() => anHour(agent))
    expect(next).toMatchObject({ rows: 0, calls: { AGENTS: 1 }, alarms: 0 })
  })

  it('costs the same six rows for however many receipts (because a table is dropped whole)', async () => {
    const rowsOf = async (messages: number) => {
      const agent = await counted.warmedUp()
      for (let i = 0; i < messages; i++) await counted.send(agent)
      await counted.pass(60 * second)
      const before = await tablesOf(agent)
      const bill = await counted.count(async () => {
        for (let hours = 0; hours < 50; hours++) await anHour(agent)
      })
      // The table that held them is gone, and an empty one is open.
      expect([before.length, (await tablesOf(agent)).length]).toEqual([1, 1])
      expect(await tablesOf(agent)).not.toEqual(before)
      return bill.rows
    }
    expect([await rowsOf(1), await rowsOf(40)]).toEqual([6, 6])
  })

  it('included, a message an hour costs under 4 rows each', async () => {
    const agent = await counted.warmedUp()
    const hours = 4 * 24
    const bill = await counted.count(async () => {
      for (let i = 0; i < hours; i++) {
        await counted.send(agent)
        await anHour(agent)
      }
    })
    expect(bill.rows / hours).toBeGreaterThan(3)
    expect(bill.rows / hours).toBeLessThan(3.3)
  })
})

describe('the count itself', () => {
  it('notices a call through a binding that nobody wrapped', async () => {
    const agent = await counted.warmedUp()
    const { evidence } = await counted.watched
    const before = evidence.calls['AGENTS'] ?? 0
    expect(before).toBe(counted.bill.calls['AGENTS'])
    await env.AGENTS.getByName(agent).describe()
    expect(evidence.calls['AGENTS']).toBe(before + 1)
    counted.bill.calls['AGENTS'] = before + 1
    await env.DEAD_LETTERS_QUEUE.send('nobody reads this')
    expect(evidence.sends).toBe(1)
    evidence.sends = 0
  })

  it('gives out no binding that it does not count', () => {
    const given = wrappedEnv(newBill(), [], {}) as unknown as Record<string, unknown>
    const kept = Object.entries(env).filter(([, value]) => typeof value !== 'string')
    expect(kept.length).toBeGreaterThanOrEqual(6)
    for (const [name, value] of kept) {
      // The test runner's own may not be had at all.
      if (name.startsWith('__VITEST')) expect(() => given[name]).toThrow('is not counted')
      else expect(given[name], name).not.toBe(value)
    }
  })

  it('counts a row for each statement as the platform does', async () => {
    const { bill } = counted
    const rows = await runInDurableObject(env.AGENTS.getByName('rows'), (_, { storage }) => {
      const of = (statement: string) => {
        const before = bill.rows
        storage.sql.exec(statement)
        return bill.rows - before
      }
      return [
        of('CREATE TABLE t (id TEXT PRIMARY KEY, a TEXT) WITHOUT ROWID'),
        of("INSERT INTO t VALUES ('a', 'x'), ('b', 'x')"),
        of("UPDATE t SET a = 'y' WHERE id = 'a'"),
        of("DELETE FROM t WHERE id = 'a'"),
        of('DROP TABLE t'),
      ]
    })
    expect(rows).toEqual([2, 2, 1, 1, 0])
  })
})
