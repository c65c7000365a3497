/**
 * Many seeded stories. A failing seed is printed; `SEED=<n> npx vitest run --project pure test/simulator` tells that one again,
 * `STORIES=<n>` tells more of them, `STORIES_FROM=<n>` others.
 */
import { beforeAll, describe, expect, it, vi } from 'vitest'
import { linesOf } from './invariants.ts'
import { simulate } from './story.ts'

// The objects say on the console what a person should know; thousands of simulated failures would drown everything else.
beforeAll(() => {
  vi.spyOn(console, 'warn').mockImplementation(() => undefined)
  vi.spyOn(console, 'error').mockImplementation(() => undefined)
})

const only = process.env.SEED
const stories = Number(process.env.STORIES ?? 120)
const from = Number(process.env.STORIES_FROM ?? 1)

describe('the simulated platform loses, doubles, reorders, delays and crashes, and', () => {
  it('M1 M2 M3 M4 M5 M6 E1 B1 B2 B3 W1 W3 W4 G1 S1 S2 hold in every story (A102)', async () => {
    const seeds = only === undefined ? Array.from({ length: stories }, (_, i) => from + i) : [Number(only)]
    const told = {
      accepted: 0,
      openings: 0,
      probes: 0,
      late: 0,
      inLine: 0,
      legs: 0,
      unheard: 0,
      caught: 0,
      replied: 0,
      uncounted: 0,
      deadLegs: 0,
      timedOut: 0,
      batched: 0,
      collapsed: 0,
      passed: 0,
      scattered: 0,
      questions: 0,
      fired: 0,
      overBudget: 0,
      charted: 0,
    }
    for (const seed of seeds) {
      const story = await simulate(seed)
      told.accepted += story.accepted.size
      const receipts = await story.receipts()
      for (const line of linesOf(receipts)) told.inLine += line.length - 1
      for (const { collapsedInto, effects, message } of receipts.values()) {
        told.collapsed += collapsedInto === undefined ? 0 : 1
        told.passed += effects?.some((e) => e.kind === 'pass') === true ? 1 : 0
        told.fired += message.id.startsWith('tick') ? 1 : 0
      }
      told.scattered += story.ventures.scatters.size
      told.questions += story.ventures.approvals.size
      for (const id of story.ventures.workflows) {
        const entries = story.workflow(id)?.entries.map(({ entry }) => entry) ?? []
        told.overBudget += entries.some((e) => e.kind === 'budget_warning') ? 1 : 0
        told.charted += entries.some((e) => e.kind === 'transition') ? 1 : 0
      }
      told.batched += story.seen.length - new Set(story.seen.map((one) => one.call)).size
      for (const { fanout, caught } of await story.platform.publications()) {
        told.caught += caught === true ? 1 : 0
        if (fanout === 0) told.unheard += 1
        else told.legs += fanout
      }
      for (const { outcome, arrivals } of (await story.platform.gathers()).values()) {
        if (outcome?.status === 'replied') told.replied += 1
        if (outcome?.status === 'timed_out' || outcome?.fallback === true) told.timedOut += 1
        if (outcome?.failure !== undefined) told.deadLegs += 1
        told.uncounted += arrivals.filter((a) => a.standing !== 'counted').length
      }
      for (const { tally } of story.watches.values()) {
        told.openings += tally.openings
        told.probes += tally.probes
        told.late += tally.late
      }
    }
    // Stories in which nothing happened would hold as well.
    if (only === undefined)
      for (const [what, count] of Object.entries(told)) expect(count, what).toBeGreaterThan(seeds.length / 15)
  }, 600_000)

  it('M2 (TC11): a question that is decided before its teller has noted that it was told (seed 175)', async () => {
    const { ventures } = await simulate(175)
    expect(ventures.approvals.size).toBeGreaterThan(0)
  })

  it.each([187, 333])('W4: whoever is warned of a budget uses nothing of it (seed %i)', async (seed) => {
    const { ventures } = await simulate(seed)
    expect(ventures.workflows.size).toBeGreaterThan(0)
  })

  it('M1 M2 S2: a publish to more than are kept by name reaches each of them once', async () => {
    let planned = 0
    for (let seed = 2_000; seed < 2_006; seed++) {
      const story = await simulate(seed, { crowd: 1 })
      planned += (await story.platform.publications()).filter((p) => p.plan !== undefined).length
    }
    expect(planned).toBeGreaterThan(3)
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
  }, 600_000)
})
