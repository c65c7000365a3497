/**
 * What a publish to a topic costs, by the number of its legs: each leg what a direct message costs, and beside it what the
 * publication itself does, which hardly grows. Counted as in counting.test.ts.
 */
import { runInDurableObject } from 'cloudflare:test'
import { env } from 'cloudflare:workers'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { indexEntry } from '../../shared/directory.ts'
import { Counted, dollars, hour, second, toldInTheDocs } from './counted.ts'
import { freshName } from './gateway.ts'
import { type Bill, queueOperations } from './ledger.ts'

/**
 * A thousand objects are a thousand files: a busy disk takes its time. Where it takes more than ten seconds from an accept to its take, the
 * runtime has evicted the object meanwhile, what was released goes alone (docs/decisions/0003), and the count is another one.
 */
const patienceMs = 240_000

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
  expect(evidence).toEqual({ calls: counted.bill.calls, sends: 0 })
})

async function subscribe(topic: string, size: number): Promise<void> {
  for (let i = 0; i < size; i += 50)
    await Promise.all(
      Array.from({ length: Math.min(50, size - i) }, async () => {
        const name = freshName('leg')
        counted.agents.push(name)
        const fresh = { name, incarnation: name, secret: 'whsec_eA==', trusted: true }
        const { agent } = await counted.env.AGENTS.getByName(name).enrol(
          { kind: 'webhook', url: `http://127.0.0.1/${name}` },
          fresh,
        )
        const directory = counted.env.DIRECTORY.getByName('all')
        await directory.putAgent(indexEntry(agent))
        await directory.putSubscription(name, { agent: name, topic }, { max: 1 })
      }),
    )
}

async function publish(topic: string): Promise<string> {
  const json = { topic, type: 'test.note', data: { text: 'x'.repeat(500) } }
  const { status, body } = await counted.call('POST', '/v1/messages', json)
  if (status !== 202) throw new Error(`publish answered ${status}`)
  await counted.drain()
  return body.publication
}

/** The bill of one publish, from the call to the last delivery and the alarms that were armed for them. */
async function billOf(size: number): Promise<{ readonly bill: Bill; readonly publication: string }> {
  const topic = freshName('topic')
  await subscribe(topic, size)
  // Everybody has had mail before, and the publisher's key was just used.
  const { body } = await counted.call('POST', '/v1/keys', { name: freshName('app') })
  counted.key = body.key
  await publish(topic)
  await counted.pass(60 * second)
  await counted.call('GET', '/v1/agents?limit=1')
  let publication = ''
  const bill = await counted.count(async () => {
    publication = await publish(topic)
    await counted.pass(4 * hour)
  })
  const report = await env.PUBLICATIONS.getByName(publication).report()
  counted.bill.calls['PUBLICATIONS'] = (counted.bill.calls['PUBLICATIONS'] ?? 0) + 1
  expect(report).toMatchObject({ accepted: size, refused: 0, closedAt: expect.any(Number) })
  return { bill, publication }
}

describe('a publish to a topic', () => {
  it('with one leg costs the direct message, and six rows and four calls for what makes it a publication', async () => {
    const { bill } = await billOf(1)
    expect(bill).toMatchObject({
      workerRequests: 2,
      // Who is subscribed; opened, and closed; accept, take, settle.
      calls: { DIRECTORY: 1, PUBLICATIONS: 2, AGENTS: 3 },
      alarms: 1,
      // The leg's three. The publication's table (two), its row, the alarm in case its legs are not accepted, its end, and the
      // alarm that forgets it.
      rows: 3 + 6,
    })
    expect(queueOperations(bill)).toBe(3)
    expect(dollars(bill)).toBeLessThan(12.1)
    await toldInTheDocs('topic-1-leg', bill)
  })

  it('with ten legs costs ten times the direct message, and as much beside it as with one', async () => {
    const { bill } = await billOf(10)
    expect(bill).toMatchObject({
      workerRequests: 2,
      calls: { DIRECTORY: 1, PUBLICATIONS: 2, AGENTS: 30 },
      alarms: 10,
      rows: 10 * 3 + 6,
    })
    expect(queueOperations(bill)).toBe(30)
    expect(dollars(bill) / 10).toBeLessThan(5.6)
    await toldInTheDocs('topic-10-legs', bill, 10)
  })

  it(
    'with a thousand legs costs 3.02 rows, 3.02 calls and 3 queue operations a leg: its pages cost a row each',
    async () => {
      const { bill } = await billOf(1_000)
      expect(bill).toMatchObject({
        // The first page came with the choice, and each is written down. Two more invocations begin by asking what is left.
        calls: { DIRECTORY: 10, PUBLICATIONS: 1 + 10 + 2, AGENTS: 3_000 },
        alarms: 1_000,
        rows: 1_000 * 3 + 6 + 9,
      })
      expect(queueOperations(bill)).toBe(3_000 + 2 * 3)
      // Batches of 25, and 400 legs to an invocation.
      expect(bill.workerRequests).toBe(1 + 40 + 2)
      expect(dollars(bill) / 1_000).toBeLessThan(4.9)
      await toldInTheDocs('topic-1000-legs', bill, 1_000)
    },
    patienceMs,
  )

  it('once more within five seconds costs one call fewer (because the isolate remembers who is subscribed)', async () => {
    const topic = freshName('topic')
    await subscribe(topic, 2)
    await publish(topic)
    const again = await counted.count(() => publish(topic).then(() => undefined))
    expect(again.calls).toMatchObject({ DIRECTORY: 0, PUBLICATIONS: 2, AGENTS: 6 })
    await counted.pass(4 * second)
    expect((await counted.count(() => publish(topic).then(() => undefined))).calls['DIRECTORY']).toBe(0)
    await counted.pass(1 * second)
    expect((await counted.count(() => publish(topic).then(() => undefined))).calls['DIRECTORY']).toBeGreaterThan(0)
  })

  it('again, as a duplicate, writes nothing', async () => {
    const topic = freshName('topic')
    await subscribe(topic, 2)
    const json = { topic, type: 'test.note', id: freshName('m') }
    await counted.call('POST', '/v1/messages', json)
    await counted.drain()
    const bill = await counted.count(async () => {
      expect((await counted.call('POST', '/v1/messages', json)).body.duplicate).toBe(true)
      await counted.drain()
    })
    expect([bill.rows, queueOperations(bill)]).toEqual([0, 0])
  })

  it('is forgotten a day later by one alarm, and leaves nothing stored', async () => {
    const { publication } = await billOf(1)
    counted.publications.push(publication)
    const bill = await counted.count(() => counted.pass(25 * hour))
    expect(bill.alarms).toBe(1)
    const left = await runInDurableObject(env.PUBLICATIONS.getByName(publication), (_, { storage }) =>
      storage.sql.exec("SELECT name FROM sqlite_master WHERE name = 'publication'").toArray(),
    )
    expect(left).toEqual([])
  })

  it('that reaches nobody costs a dead letter, and no leg', async () => {
    // The isolate has published before: it knows that there are no schemas.
    await publish(freshName('nobody'))
    const bill = await counted.count(() => publish(freshName('nobody')).then(() => undefined))
    // The directory is asked who listens, and then who catches what nobody hears.
    expect(bill.calls).toMatchObject({ DIRECTORY: 2, PUBLICATIONS: 2, DEAD_LETTERS: 1 })
    expect(bill.calls['AGENTS']).toBeFalsy()
  })
})
