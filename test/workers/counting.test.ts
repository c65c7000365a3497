/**
 * What a message costs, counted and not guessed: billed operations at list price, in the real runtime, over real storage. Time
 * is set, queues are moved by hand and alarms are run when they are due, so that no operation is missed and nothing sleeps.
 */
import { evictDurableObject, runInDurableObject } from 'cloudflare:test'
import { env } from 'cloudflare:workers'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { Counted, dollars, hour, second, toldInTheDocs } from './counted.ts'
import { newBill, queueOperations, wrappedEnv } from './ledger.ts'

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
  vi.restoreAllMocks()
  vi.useRealTimers()
  // Whatever reached an object or a queue came through a binding that was counted.
  const { calls } = counted.bill
  expect(evidence).toEqual({ calls, sends: 0 })
})

describe('a direct message', () => {
  it('alone costs 3 rows, 2 object calls and no queue operation, where its publisher’s call delivers it: under 4 dollars a million', async () => {
    const agent = await counted.warmedUp()
    const bill = await counted.count(async () => {
      await counted.send(agent)
      await counted.pass(4 * hour)
    })
    expect(bill).toEqual({
      workerRequests: 1,
      // Accept, with its lease; settle.
      calls: { AGENTS: 2, DIRECTORY: 0 },
      // Its lease, which was not needed any more.
      alarms: 1,
      // The delivery, its alarm, its end.
      rows: 3,
      queueWrites: 0,
      queueReads: 0,
      queueDeletes: 0,
    })
    expect(dollars(bill)).toBeLessThan(4)
    await toldInTheDocs('direct-alone', bill)
  })

  it('by the queue, because an attempt may take longer than 30 s, costs 3 rows, 3 object calls and 3 queue operations: under 6 dollars a million', async () => {
    const agent = await counted.warmedUp({ timeoutSeconds: 31 })
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
    await toldInTheDocs('direct-by-queue', bill)
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
    expect(bill).toMatchObject({ rows: 3, calls: { AGENTS: 2, DIRECTORY: 1 }, alarms: 1 })
    expect(dollars(bill)).toBeLessThan(4)
  })

  it('a second for twenty seconds costs less each, because one alarm serves several', async () => {
    // The same pauses each time, so that the alarms fall alike.
    vi.spyOn(Math, 'random').mockReturnValue(0.5)
    const agent = await counted.warmedUp()
    const bill = await counted.count(async () => {
      for (let i = 0; i < 20; i++) {
        await counted.send(agent)
        await counted.pass(second)
      }
      await counted.pass(4 * hour)
    })
    expect(bill.calls['AGENTS']).toBe(40)
    expect(queueOperations(bill)).toBe(0)
    // Two rows each, and an alarm for about five seconds of them.
    expect(bill.rows).toBeGreaterThanOrEqual(43)
    expect(bill.rows).toBeLessThanOrEqual(46)
    expect(bill.calls['DIRECTORY']).toBeLessThanOrEqual(4)
    expect(dollars(bill) / 20).toBeLessThan(3)
    await toldInTheDocs('direct-one-a-second', bill, 20)
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
    await toldInTheDocs('direct-ten-in-a-batch', bill, 10)
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
    await toldInTheDocs('direct-one-an-hour', bill, hours)
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
    await env.WORK.send('nobody can read this')
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
