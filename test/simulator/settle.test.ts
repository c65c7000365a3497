/** Outcomes go back together when they come together, and alone when they do not. */
import { describe, expect, it } from 'vitest'
import type { Platform } from '../../shared/ports.ts'
import type { Report } from '../../shared/settlement.ts'
import { Scene } from './scene.ts'

const second = 1_000

/** How many reports each settle call carried. */
function counted() {
  const calls: number[] = []
  const ports = (platform: Platform): Partial<Platform> => ({
    agent: (name) =>
      new Proxy(platform.agent(name), {
        get: (port, key) => {
          const method = Reflect.get(port, key) as (...args: unknown[]) => unknown
          if (key !== 'settle') return method
          return (reports: readonly Report[]) => {
            calls.push(reports.length)
            return method(reports)
          }
        },
      }),
  })
  return { calls, ports }
}

/** Ten deliveries of one agent, taken together, of which the nth takes `ms(n)`. */
async function tenAt(ms: (n: number) => number) {
  const { calls, ports } = counted()
  const scene = new Scene({ ports })
  await scene.webhook('ada', async ({ body }) => {
    await scene.sleep(ms(JSON.parse(body).data))
    return { status: 200 }
  })
  const answers = await scene.publish(Array.from({ length: 10 }, (_, n) => ({ to: 'ada', type: 'x', data: n })))
  await scene.pass(60 * second)
  for (const answer of answers)
    expect(answer.ok && (await scene.receipt(answer.value.deliveries[0]!.id)).status).toBe('completed')
  return calls
}

describe('the outcomes of ten deliveries taken together', () => {
  it('that come at once travel in one call (because the commit is the price, not the row)', async () => {
    expect(await tenAt(() => 1)).toEqual([10])
  })

  it('that come one by one travel as they come (because a finished one frees a place)', async () => {
    // Alone in its batch, the agent has all four slots.
    expect(await tenAt(() => second)).toEqual([4, 4, 2])
  })

  it('do not wait for the slowest of them', async () => {
    const calls = await tenAt((n) => (n === 0 ? 20 * second : 1))
    expect(calls).toEqual([9, 1])
  })
})
