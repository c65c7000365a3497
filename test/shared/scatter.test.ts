/** What a scatter is cut into, who gets which part, when it is over, and what is told of it: pure. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type Arrival, arrive } from '../../shared/arrival.ts'
import { assigned, balanced, ofAtMost, tokensOf, withinTokens } from '../../shared/chunks.ts'
import { elapse, type Gather, type GatherOpening, openGather, progressGather, readGather } from '../../shared/gather.ts'
import { changedLegs, readLeg, trunkOf, withLegs } from '../../shared/gather-rows.ts'
import { gatherDueAt, needless, unsent } from '../../shared/gather-work.ts'
import type { LegFailure } from '../../shared/leg-failure.ts'
import { limits } from '../../shared/limits.ts'
import { isScatterId, joinOf, scatterId, scatterInput, splitScatter } from '../../shared/scatter.ts'
import { resultsOf, scatterStatusOf } from '../../shared/scatter-results.ts'

const start = Date.UTC(2026, 0, 1)
const day = 86_400_000
const id = scatterId('asker', undefined, 'dice')

function opened(more: Partial<GatherOpening> = {}): Gather {
  const opening: GatherOpening = {
    ...{ id, owner: 'asker', contentHash: 'hash', hops: 0, timeoutMs: 30_000, path: [], agents: ['a', 'b', 'c'] },
    head: { specversion: '1.0', id, source: 'asker', type: 'work', time: '', correlationid: id },
    join: { kind: 'all' },
    onTimeout: { kind: 'error' },
    scatter: {},
    ...more,
  }
  return openGather(undefined, opening, start).gather
}

const reply = (index: number): Arrival => ({
  by: 'x',
  key: `reply-${index}`,
  of: { id: `${id}.map.${index}`, source: 'asker' },
})
const failure: LegFailure = { why: 'ended', agent: 'x', status: 'dead_lettered', reason: 'terminal' }
const death = (index: number): Arrival => ({ ...reply(index), key: `death-${index}`, failure })
const heard = (gather: Gather, ...arrivals: Arrival[]) =>
  arrivals.reduce((g, arrival, i) => arrive(g, arrival, start + i + 1)[0], gather)

const items = fc.array(fc.integer(), { minLength: 1, maxLength: 200 })

describe('chunks', () => {
  it('(T8) (A54) are never empty, differ by one at most, are no more than items or agents, and lose nothing', () => {
    fc.assert(
      fc.property(items, fc.integer({ min: 1, max: 50 }), (work, agents) => {
        const chunks = balanced(work, agents)
        const sizes = chunks.map((chunk) => chunk.length)
        expect(chunks.flat()).toEqual(work)
        expect(chunks).toHaveLength(Math.min(work.length, agents))
        expect(Math.min(...sizes)).toBeGreaterThan(0)
        expect(Math.max(...sizes) - Math.min(...sizes)).toBeLessThanOrEqual(1)
      }),
    )
  })

  it('(A54) of at most so many items, or about so many tokens, are balanced or filled, and lose nothing', () => {
    fc.assert(
      fc.property(items, fc.integer({ min: 1, max: 50 }), (work, most) => {
        const bySize = ofAtMost(work, most)
        expect(bySize.flat()).toEqual(work)
        for (const chunk of bySize) expect(chunk.length).toBeLessThanOrEqual(most)
        const byTokens = withinTokens(work, most)
        expect(byTokens.flat()).toEqual(work)
        for (const chunk of byTokens) {
          const tokens = chunk.reduce((sum, item) => sum + tokensOf(item), 0)
          expect(chunk.length === 1 || tokens <= most).toBe(true)
        }
      }),
    )
  })

  it('(A53) go to whoever has least to do by then, or to each in turn', () => {
    const candidates = [
      { agent: 'busy', load: 3 },
      { agent: 'idle', load: 0 },
    ]
    expect(assigned(5, candidates, 'least_loaded')).toEqual(['idle', 'idle', 'idle', 'busy', 'idle'])
    expect(assigned(3, candidates, 'rotate')).toEqual(['busy', 'idle', 'busy'])
  })
})

describe('what an asker sends', () => {
  const base = { to: ['a', 'b'], type: 'work' }
  const issues = (more: object) => scatterInput.safeParse({ ...base, ...more }).error?.issues.map((i) => i.path[0])

  it('is refused with the place where it contradicts itself', () => {
    expect(issues({ items: [1], chunks: [[1]] })).toEqual(['chunks'])
    expect(issues({ itemsPerChunk: 2 })).toEqual(['items'])
    expect(issues({ items: [1], itemsPerChunk: 2, maxTokensPerChunk: 2 })).toEqual(['maxTokensPerChunk'])
    expect(issues({ items: [1], data: 'text' })).toEqual(['data'])
    expect(issues({ join: 'any', tolerance: { count: 1 } })).toEqual(['tolerance'])
    expect(issues({ to: ['a', 'a'] })).toEqual(['to'])
    expect(issues({ join: 'most' })).toEqual(['join'])
    const data = { text: 'x'.repeat(limits.contextBytes) }
    expect(issues({ reduce: { to: 'r', type: 'join', data } })).toEqual(['reduce'])
    expect(issues({ items: [1], data: {}, join: 'quorum:1' })).toBeUndefined()
  })

  it('(A56) (A58) says with a join and a tolerance what suffices of so many legs', () => {
    const joined = (more: object, legs: number) =>
      joinOf(splitScatter(scatterInput.parse({ ...base, ...more })).own, legs)
    expect(joined({}, 3)).toEqual({ ok: true, value: { kind: 'all' } })
    expect(joined({ tolerance: { count: 2 } }, 3)).toEqual({ ok: true, value: { kind: 'all', tolerated: 2 } })
    expect(joined({ tolerance: { percent: 50 } }, 3)).toEqual({ ok: true, value: { kind: 'all', tolerated: 1 } })
    expect(joined({ join: 'quorum:2' }, 3)).toEqual({ ok: true, value: { kind: 'quorum', count: 2 } })
    expect(joined({ join: 'quorum:4' }, 3).ok).toBe(false)
  })
})

describe('a scatter', () => {
  it('(A55) has an id of its own kind, and children named by their place', () => {
    expect([isScatterId(id), isScatterId(id.replace('s-', 'g-'))]).toEqual([true, false])
    expect(scatterId('asker', 'k', 'x')).toBe(scatterId('asker', 'k', 'y'))
    expect(unsent(opened()).map((send) => send.id)).toEqual([0, 1, 2].map((i) => `${id}.map.${i}`))
  })

  it('(A58) with a tolerance ends when each has replied or failed, and at once when too many have failed', () => {
    const tolerant = opened({ join: { kind: 'all', tolerated: 1 } })
    expect(heard(tolerant, reply(0), reply(1)).outcome).toBeUndefined()
    expect(heard(tolerant, reply(0), death(1), reply(2)).outcome?.status).toBe('replied')
    expect(heard(tolerant, death(0), death(1)).outcome?.status).toBe('failed')
  })

  it('(A56) at its deadline is over with what came, if that suffices, and timed out if not', () => {
    const at = start + 30_000
    const ended = (join: Gather['join'], ...arrivals: Arrival[]) =>
      elapse(heard(opened({ join }), ...arrivals), at).outcome?.status
    expect(ended({ kind: 'settled' }, reply(0))).toBe('replied')
    expect(ended({ kind: 'settled' }, death(0))).toBe('timed_out')
    expect(ended({ kind: 'all', tolerated: 2 }, reply(1))).toBe('replied')
    expect(ended({ kind: 'all', tolerated: 1 }, reply(1))).toBe('timed_out')
    expect(ended({ kind: 'all' }, reply(1), reply(2))).toBe('timed_out')
  })

  it('(A57) is reducing until its reducer has ended, once; without one it is over with its join', () => {
    const reduce = { agent: 'r', type: 'join', onEmpty: 'skip', timeoutMs: 1_000 } as const
    const plain = heard(opened(), reply(0), reply(1), reply(2))
    expect(scatterStatusOf(plain)).toBe('completed')
    const reducing = heard(opened({ scatter: { reduce } }), reply(0), reply(1), reply(2))
    expect([scatterStatusOf(reducing), reducing.told]).toEqual(['reducing', false])
    const reduced = progressGather(reducing, { reduction: { status: 'replied', at: start } }, start)
    expect(scatterStatusOf(reduced)).toBe('completed')
    const again = progressGather(reduced, { reduction: { status: 'failed', at: start } }, start)
    expect(again).toBe(reduced)
    const failed = heard(opened({ scatter: { reduce } }), death(0))
    expect(scatterStatusOf(failed)).toBe('failed')
    const empty = heard(opened({ scatter: { reduce: { ...reduce, onEmpty: 'call' } } }), death(0))
    expect(scatterStatusOf(empty)).toBe('reducing')
  })

  it('(A56) tells each leg as ok, failed or missing, and marks what does not fit', () => {
    const gather = heard(opened({ join: { kind: 'settled' } }), reply(2), death(1))
    const body = JSON.stringify({ ...gather.head, data: 'x'.repeat(100) })
    const told = (maxBytes: number) => resultsOf(gather, gather.legs, new Map([[1, body]]), maxBytes)
    expect(told(1_000)).toMatchObject({
      ok: [{ index: 2, agent: 'c', data: 'x'.repeat(100) }],
      failed: [{ index: 1, agent: 'b', error: { why: 'ended', reason: 'terminal' } }],
      missing: [{ index: 0, agent: 'a' }],
    })
    expect(told(50).ok).toEqual([{ index: 2, agent: 'c', delivery: expect.any(String), omitted: true }])
  })

  it('is kept for a day after its end was told, however long its reducer took', () => {
    const over = heard(opened({ scatter: { replyto: 'x' } }), reply(0), reply(1), reply(2))
    const told = progressGather(over, { told: true }, start + 3 * day)
    expect(gatherDueAt(told, start + 3 * day)).toBe(start + 4 * day)
  })

  it('lies in rows of which a reply writes one, and is read from them as it was', () => {
    const before = opened({ agents: Array.from({ length: 50 }, (_, i) => `agent-${i}`) })
    const next = heard(before, reply(7))
    expect(changedLegs(before, next).map((row) => row.n)).toEqual([8])
    const rows = changedLegs(undefined, next).map((row) => readLeg(row.record))
    expect(withLegs(readGather(JSON.stringify(trunkOf(next))), rows)).toEqual(next)
    expect(trunkOf(next).legs).toEqual([])
  })

  it('once over nobody else need be asked', () => {
    const any = heard(opened({ join: { kind: 'any' } }), reply(1))
    expect(needless(any).map((one) => one.agent)).toEqual(['a', 'c'])
  })
})
