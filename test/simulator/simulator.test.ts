/**
 * Many seeded stories. A failing seed is printed; `SEED=<n> npx vitest run --project pure test/simulator` tells that one again,
 * `STORIES=<n>` tells more of them.
 */
import { beforeAll, describe, expect, it, vi } from 'vitest'
import { simulate } from './story.ts'

// The objects say on the console what a person should know; thousands of simulated failures would drown everything else.
beforeAll(() => {
  vi.spyOn(console, 'warn').mockImplementation(() => undefined)
  vi.spyOn(console, 'error').mockImplementation(() => undefined)
})

const only = process.env.SEED
const stories = Number(process.env.STORIES ?? 150)

describe('the simulated platform loses, doubles, reorders, delays and crashes, and', () => {
  it('M1 M2 M4 M5 M6 E1 S1 S2 hold in every story', async () => {
    const seeds = only === undefined ? Array.from({ length: stories }, (_, i) => i + 1) : [Number(only)]
    let accepted = 0
    for (const seed of seeds) accepted += (await simulate(seed)).accepted.size
    expect(accepted).toBeGreaterThan(seeds.length)
  }, 600_000)

  it('the same seed tells the same story', async () => {
    const [first, second] = [await simulate(7), await simulate(7)]
    expect([...second.accepted]).toEqual([...first.accepted])
    expect(second.platform.counts).toEqual(first.platform.counts)
    expect(second.seen).toEqual(first.seen)
  })

  it('M1: a queue that loses everything loses nothing', async () => {
    for (let seed = 1_000; seed < 1_010; seed++) {
      const story = await simulate(seed, { faults: { queueLoses: 1 } })
      expect(story.platform.counts.lost).toBeGreaterThan(0)
    }
  }, 60_000)
})
