/**
 * What requests, a workflow's step, a schedule's firing and the hourly sweep cost, counted as in counting.test.ts: from the call until
 * nothing is left to be done or forgotten. Never here: what it comes to (docs/cost.md).
 */
import { env } from 'cloudflare:workers'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { gatherPlace } from '../../shared/gather-place.ts'
import type { Platform } from '../../shared/ports.ts'
import { poll } from '../../workers/poll.ts'
import { Counted, dollars, hour, second, toldInTheDocs } from './counted.ts'
import { adminKey, freshName } from './gateway.ts'
import { newBill, queueOperations } from './ledger.ts'

let counted: Counted
beforeEach(async () => {
  // Ahead of the real clock, so that no alarm runs by itself.
  vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 24 * hour })
  vi.spyOn(Math, 'random').mockReturnValue(0.5)
  counted = new Counted({ captures: true, laterBy: 20 })
  await counted.watched
})
afterEach(async () => {
  const { evidence, stop } = await counted.watched
  stop()
  vi.restoreAllMocks()
  vi.useRealTimers()
  expect(evidence).toEqual({ calls: counted.bill.calls, sends: 0 })
})

// Two requests may share an object (1 in 32 do), whose alarm is run once all the same.
function alarmed(namespace: { getByName(name: string): unknown }, name: string): void {
  const stub = namespace.getByName(name) as DurableObjectStub<undefined>
  if (!counted.others.some(({ id }) => id.equals(stub.id))) counted.others.push(stub)
}

const replies = () => Response.json({ reply: { type: 'answer', data: { text: 'x'.repeat(500) } } })

async function asked(agent: string, headers: Readonly<Record<string, string>>) {
  const question = { to: agent, type: 'test.ask', data: { text: 'x'.repeat(500) }, timeoutSeconds: 20 }
  const answer = await counted.call('POST', '/v1/requests', question, headers)
  expect(gatherPlace(answer.body.id)).toEqual({ kind: 'mailbox', agent })
  return answer
}

async function answering(): Promise<string> {
  const agent = await counted.warmedUp()
  counted.key = adminKey
  counted.answer = replies
  alarmed(env.REQUESTS, 'admin')
  // The isolate knows by then that there are no schemas.
  await asked(agent, {})
  await counted.drain()
  await counted.pass(26 * hour)
  return agent
}

describe('a request', () => {
  it('by the express lane, whose caller waits, costs no queue operation', async () => {
    const agent = await answering()
    const bill = await counted.count(async () => {
      expect(await asked(agent, {})).toMatchObject({ status: 200, body: { status: 'replied' } })
      await counted.pass(26 * hour)
    })
    expect([bill.workerRequests, queueOperations(bill)]).toEqual([1, 0])
    // Opened, accepted and leased; settled, and its reply has come. One look at the directory for who calls is another isolate's memory.
    expect(bill.calls).toMatchObject({ AGENTS: 2 })
    expect(bill.calls).not.toHaveProperty('GATHERS')
    expect(dollars(bill)).toBeLessThan(14)
    await toldInTheDocs('request-express', bill)
  })

  it('by the queue, whose caller comes back once, costs the hop and its place on a list', async () => {
    const agent = await answering()
    const bill = await counted.count(async () => {
      const { status, body } = await asked(agent, { Prefer: 'respond-async' })
      expect(status).toBe(202)
      await counted.drain()
      expect((await counted.call('GET', `/v1/requests/${body.id}`)).body.status).toBe('replied')
      await counted.pass(26 * hour)
    })
    expect(dollars(bill)).toBeLessThan(24)
    await toldInTheDocs('request-by-queue', bill)
  })
})

describe('a workflow', () => {
  it('costs for a step that an event makes, with the message it sends and the answer that is its next event', async () => {
    const agent = await counted.warmedUp()
    counted.key = adminKey
    counted.answer = replies
    const id = freshName('w')
    const definition = {
      initial: 'resting',
      states: {
        resting: { on: { go: 'asking' } },
        asking: {
          entry: { type: 'send', params: { to: agent, type: 'test.ask', data: { text: 'x'.repeat(500) } } },
          on: { answer: 'resting' },
        },
      },
    }
    expect((await counted.call('POST', '/v1/workflows', { id, definition })).status).toBe(201)
    alarmed(env.WORKFLOWS, id)
    const step = async () => {
      const { status } = await counted.call('POST', `/v1/workflows/${id}/events`, { type: 'go' })
      expect(status).toBeLessThan(300)
      await counted.drain()
      await counted.pass(600 * second)
      expect((await counted.call('GET', `/v1/workflows/${id}`)).body.value).toBe('resting')
    }
    await step()
    const bill = await counted.count(step)
    // The look at where it stands is the test's.
    const looked = {
      ...bill,
      workerRequests: bill.workerRequests - 1,
      calls: { ...bill.calls, WORKFLOWS: (bill.calls['WORKFLOWS'] ?? 0) - 1 },
    }
    expect(dollars(looked)).toBeLessThan(25)
    await toldInTheDocs('workflow-step', looked)
    await counted.call('DELETE', `/v1/workflows/${id}`)
    await counted.drain()
  })
})

describe('a schedule', () => {
  it('costs for each firing the message, and what it takes to find and to note it', async () => {
    const agent = await counted.warmedUp()
    counted.key = adminKey
    alarmed(env.SCHEDULES, 'all')
    const name = freshName('hourly')
    const message = { to: agent, type: 'test.note', data: { text: 'x'.repeat(500) } }
    expect((await counted.call('PUT', `/v1/schedules/${name}`, { everySeconds: 3_600, message })).status).toBe(201)
    await counted.pass(1.5 * hour)
    const bill = await counted.count(() => counted.pass(10 * hour))
    await counted.call('DELETE', `/v1/schedules/${name}`)
    expect(dollars(bill) / 10).toBeLessThan(20)
    await toldInTheDocs('schedule-firing', bill, 10)
  })
})

describe('a caller who waits', () => {
  it('in vain for 30 seconds costs the call, and a question to one object about every second', async () => {
    let now = 0
    const clock = {
      now: () => now,
      after: (ms: number, then: () => void) => {
        now += ms
        queueMicrotask(then)
      },
    }
    let asked = 0
    const ask = async () => {
      asked += 1
    }
    const waiting = { seconds: 30, signal: new AbortController().signal }
    await poll(clock as unknown as Platform, waiting, ask, () => false)
    await toldInTheDocs('waiting-30-seconds', { ...newBill(), workerRequests: 1, calls: { AGENTS: asked } })
  })
})

describe('the hourly sweep', () => {
  it('costs a few calls for each agent, and one row for all: what the audit found', async () => {
    counted.key = adminKey
    const { items } = (await counted.call('GET', '/v1/agents?limit=100')).body
    for (let n = items.length; n < 20; n++)
      await counted.call('PUT', `/v1/agents/${freshName('swept')}`, { kind: 'pull' })
    await counted.sweep()
    await counted.pass(hour)
    const bill = await counted.count(() => counted.sweep())
    expect(bill.rows).toBe(1)
    await toldInTheDocs('sweep-of-20-agents', bill, 20)
  })
})
