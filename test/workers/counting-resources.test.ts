/**
 * What declaring a resource costs, counted as test/workers/counting.test.ts counts: who declares none pays nothing (there).
 */
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { Counted, hour } from './counted.ts'
import { adminKey } from './gateway.ts'

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

async function declaring(resources: readonly string[]): Promise<string> {
  const agent = await counted.warmedUp()
  const { key } = counted
  counted.key = adminKey
  await counted.call('PUT', `/v1/agents/${agent}`, { kind: 'webhook', url: `http://127.0.0.1/${agent}`, resources })
  counted.key = key
  await counted.call('GET', `/v1/agents/${agent}`)
  return agent
}

describe('a message to an agent that declares resources', () => {
  it.each([1, 3])('costs one question and one report for each of %i more, and no row while all is well', async (n) => {
    const agent = await declaring(Array.from({ length: n }, (_, i) => `counted/${i}`))
    const bill = await counted.count(async () => {
      await counted.send(agent)
      await counted.pass(4 * hour)
    })
    expect(bill).toMatchObject({ calls: { AGENTS: 2, RESOURCES: 2 * n }, rows: 3, queueWrites: 0 })
  })

  it('costs as many for ten in a batch', async () => {
    const agent = await declaring(['counted/batch'])
    const bill = await counted.count(async () => {
      const messages = Array.from({ length: 10 }, (_, i) => ({ to: agent, type: 'test.note', data: { i } }))
      await counted.call('POST', '/v1/messages/batch', messages)
      await counted.drain()
      await counted.pass(4 * hour)
    })
    expect(bill).toMatchObject({ calls: { AGENTS: 3, RESOURCES: 2 }, rows: 21 })
  })
})
