/** Connection slots: who gets one, who waits, who is passed over. */
import { describe, expect, it } from 'vitest'
import { Slots, slotsInAll, slotsPerAgent } from '../../workers/slots.ts'
import { World } from './world.ts'

function stage(forOne = false) {
  const world = new World(1)
  const slots = new Slots((ms, then) => world.in(ms, then), forOne)
  const got: string[] = []
  const back = new Map<string, () => void>()
  /** Asks for one; notes who got it, or that nobody came. */
  const ask = (agent: string, label = agent, waitMs = 1_000) =>
    void slots.acquire(agent, waitMs).then((giveBack) => {
      got.push(giveBack === undefined ? `${label} none` : label)
      if (giveBack !== undefined) back.set(label, giveBack)
    })
  const pass = (ms: number) => world.run(world.now + ms)
  return { ask, got, back, pass }
}

describe('the slots of one invocation', () => {
  it('are four in all and two for one agent', async () => {
    const { ask, got, pass } = stage()
    for (const label of ['a1', 'a2', 'a3']) ask('a', label)
    for (const agent of ['b', 'c', 'd']) ask(agent)
    await pass(0)
    expect([slotsInAll, slotsPerAgent]).toEqual([4, 2])
    expect(got).toEqual(['a1', 'a2', 'b', 'c'])
  })

  it('are four for the one agent of an invocation that has no other, in turn', async () => {
    const { ask, got, back, pass } = stage(true)
    for (const label of ['a1', 'a2', 'a3', 'a4', 'a5']) ask('a', label)
    await pass(0)
    expect(got).toEqual(['a1', 'a2', 'a3', 'a4'])
    back.get('a2')?.()
    await pass(0)
    expect(got).toEqual(['a1', 'a2', 'a3', 'a4', 'a5'])
  })

  it('go to who came first, except that an agent that has one is passed over for one that has none', async () => {
    const { ask, got, back, pass } = stage()
    for (const label of ['a1', 'a2', 'a3']) ask('a', label)
    for (const agent of ['b', 'c', 'd', 'e']) ask(agent)
    await pass(0)
    back.get('b')?.()
    await pass(0)
    back.get('a1')?.()
    await pass(0)
    expect(got).toEqual(['a1', 'a2', 'b', 'c', 'd', 'e'])
    for (const label of ['c', 'd']) back.get(label)?.()
    await pass(0)
    expect(got.at(-1)).toBe('a3')
  })

  it('leave one for an agent that has none: two that never answer do NOT keep the others waiting', async () => {
    const { ask, got, back, pass } = stage()
    for (const label of ['a1', 'a2', 'a3']) ask('a', label)
    for (const label of ['b1', 'b2']) ask('b', label)
    await pass(0)
    expect(got).toEqual(['a1', 'a2', 'b1'])
    for (const agent of ['c', 'd', 'e']) {
      ask(agent)
      await pass(0)
      expect(got.at(-1)).toBe(agent)
      back.get(agent)?.()
      await pass(0)
    }
    expect(got).toEqual(['a1', 'a2', 'b1', 'c', 'd', 'e'])
  })

  it('are waited for only so long, and who gave up takes no slot later', async () => {
    const { ask, got, back, pass } = stage()
    for (const agent of ['a', 'b', 'c', 'd']) ask(agent)
    ask('late', 'late', 500)
    ask('patient', 'patient', 5_000)
    await pass(600)
    back.get('a')?.()
    await pass(0)
    expect(got).toEqual(['a', 'b', 'c', 'd', 'late none', 'patient'])
  })

  it('given back twice are given back once (because headers and the end both do it)', async () => {
    const { ask, got, back, pass } = stage()
    for (const agent of ['a', 'b', 'c', 'd', 'e', 'f']) ask(agent)
    await pass(0)
    back.get('a')?.()
    back.get('a')?.()
    await pass(0)
    expect(got).toEqual(['a', 'b', 'c', 'd', 'e'])
  })
})
