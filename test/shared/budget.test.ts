/** W4: what a budget permits, counts and holds, whatever comes in whatever order. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  type Budget,
  type BudgetAsk,
  budgetDueAt,
  newBudget,
  permit,
  publicBudget,
  settleBudget,
  shortageOf,
  turnsOf,
  underLimits,
  warningsOf,
} from '../../shared/budget.ts'
import { amended, type BudgetLimits } from '../../shared/budget-limits.ts'
import { isUsage, plusUsage, tokensOf, type Usage } from '../../shared/usage.ts'

const minute = 60_000

/** A budget and what happens to it, at a time of its own. */
class Bench {
  now = 0
  budget: Budget
  #n = 0

  constructor(limits: BudgetLimits) {
    this.budget = newBudget(limits, 0)
  }

  ask(agent: string, more: Partial<BudgetAsk> & { over?: boolean } = {}) {
    this.#n += 1
    const { over = false, ...rest } = more
    const ticket = `t${this.#n}`
    const ask = { ticket, delivery: `d${this.#n}`, agent, attempt: 1, forMs: minute, ...rest }
    const [budget, [answer]] = permit(this.budget, [ask], over, this.now)
    this.budget = budget
    return { ...answer!, ticket: ask.ticket }
  }

  tell(ticket: string, usage?: Usage, key = ticket): void {
    this.budget = settleBudget(this.budget, [{ ticket, key, ...(usage === undefined ? {} : { usage }) }], this.now)
  }
}

describe('messages', () => {
  it('begin up to the limit; the next is held, and the budget is stopped (TC5)', () => {
    const bench = new Bench({ messages: 2 })
    expect([bench.ask('a').status, bench.ask('a').status]).toEqual(['permitted', 'permitted'])
    expect(bench.budget.stopped).toBeUndefined()
    expect(bench.ask('b')).toMatchObject({ status: 'held', because: expect.stringContaining('2 of 2 messages') })
    expect(bench.budget).toMatchObject({ stopped: 'messages', holding: ['b'], spent: { messages: 2 } })
  })

  it('are counted once though their lease ended in silence, however late the next begins', () => {
    const bench = new Bench({ messages: 2 })
    for (const now of [0, minute + 6_000, 3 * minute]) {
      bench.now = now
      expect(bench.ask('a', { delivery: 'd' }).status).toBe('permitted')
    }
    expect(bench.budget.spent.messages).toBe(1)
    // Begun in vain it is not counted at all.
    bench.now = 10 * minute
    const { ticket } = bench.ask('a', { delivery: 'd' })
    bench.budget = settleBudget(bench.budget, [{ ticket, key: 'k', unbegun: true }], bench.now)
    expect(bench.budget).toMatchObject({ spent: { messages: 0 }, silent: [] })
  })

  it('are counted when they begin, not when they are tried again, and not when they never began', () => {
    const bench = new Bench({ messages: 10 })
    const first = bench.ask('a', { delivery: 'd' })
    bench.tell(first.ticket)
    bench.ask('a', { delivery: 'd', attempt: 2 })
    expect(bench.budget.spent.messages).toBe(1)
    const { ticket } = bench.ask('a')
    bench.budget = settleBudget(bench.budget, [{ ticket, key: 'k', unbegun: true }], bench.now)
    expect(bench.budget.spent.messages).toBe(1)
  })

  it('whose lease ended in silence are the same message when they are asked for again', () => {
    const bench = new Bench({ messages: 10 })
    bench.ask('a', { delivery: 'd' })
    bench.ask('a', { delivery: 'd' })
    expect(bench.budget.spent.messages).toBe(1)
    expect(bench.budget.leases).toHaveLength(1)
  })
})

describe('tokens and cost', () => {
  it('of which nobody knows what a lease will use: an agent works on one message at a time, others beside it', () => {
    const bench = new Bench({ tokens: 100 })
    const first = bench.ask('a')
    expect(bench.ask('a')).toMatchObject({ status: 'held', because: expect.stringContaining('works on this workflow') })
    expect(bench.budget.stopped).toBeUndefined()
    expect(bench.ask('b').status).toBe('permitted')
    bench.tell(first.ticket, { inputTokens: 10, outputTokens: 5 })
    expect(bench.budget.spent.tokens).toBe(15)
    expect(bench.ask('a').status).toBe('permitted')
  })

  it('that are set aside let as many begin as fit', () => {
    const bench = new Bench({ tokens: 100, reserve: { tokens: 30 } })
    expect(['a', 'a', 'a', 'a'].map((agent) => bench.ask(agent).status)).toEqual([
      ...Array(3).fill('permitted'),
      'held',
    ])
    // Another agent may begin its first with what is left, and not a second time.
    expect([bench.ask('b').status, bench.ask('c').status]).toEqual(['permitted', 'held'])
    expect(publicBudget(bench.budget, 0)).toMatchObject({ inFlight: 4, holding: ['a', 'c'] })
  })

  it('that are spent hold everything, and say so in the words of what is spent (TC5)', () => {
    const bench = new Bench({ costUsd: 1 })
    bench.tell(bench.ask('a').ticket, { costUsd: 1.25 })
    expect(bench.ask('b')).toMatchObject({
      ...{ status: 'held', because: 'the budget of its workflow is spent: 1.25 of 1 US dollars' },
    })
    expect(bench.ask('c', { over: true })).toMatchObject({ status: 'over' })
  })

  it('of a lease of which nobody heard: what was set aside is taken for spent', () => {
    const bench = new Bench({ tokens: 100, reserve: { tokens: 60 } })
    bench.ask('a')
    bench.now = 2 * minute
    bench.ask('b')
    expect(bench.budget.spent.tokens).toBe(60)
    expect(bench.budget.leases.map((l) => l.agent)).toEqual(['b'])
  })

  it('a lease that goes on keeps what it set aside', () => {
    const bench = new Bench({ tokens: 100 })
    const { ticket } = bench.ask('a')
    bench.budget = settleBudget(bench.budget, [{ ticket, key: '', goesOnMs: 10 * minute }], bench.now)
    bench.now = 5 * minute
    expect(bench.ask('a').status).toBe('held')
  })
})

describe('a report', () => {
  it('that is told again changes nothing, and so does an ask', () => {
    const bench = new Bench({ tokens: 100 })
    const { ticket } = bench.ask('a')
    expect(bench.ask('a', { ticket }).status).toBe('permitted')
    bench.tell(ticket, { inputTokens: 10 })
    bench.tell(ticket, { inputTokens: 10 })
    expect(bench.budget.spent).toEqual({ messages: 1, tokens: 10, costUsd: 0 })
  })

  it('that is told again after many others that used nothing counts once', () => {
    const bench = new Bench({ tokens: 1_000 })
    bench.tell(bench.ask('a').ticket, { inputTokens: 10 }, 'first')
    for (let n = 0; n < 256; n++) bench.tell(`other${n}`)
    bench.tell('t1', { inputTokens: 10 }, 'first')
    expect(bench.budget.spent.tokens).toBe(10)
  })

  it('lets whoever waited for that agent go on, and others only where something was set aside', () => {
    const alone = new Bench({ tokens: 100 })
    for (const agent of ['a', 'a', 'b', 'b']) alone.ask(agent)
    expect(turnsOf(alone.budget, ['a'])).toMatchObject([{ holding: ['b'] }, ['a']])
    const shared = new Bench({ tokens: 10, reserve: { tokens: 10 } })
    for (const agent of ['a', 'b']) shared.ask(agent)
    expect(turnsOf(shared.budget, ['a'])[1]).toEqual(['b'])
    expect(turnsOf({ ...shared.budget, stopped: 'tokens' }, ['a'])[1]).toEqual([])
  })
})

describe('time', () => {
  it('runs from the beginning of the workflow, and is over to the second', () => {
    const bench = new Bench({ seconds: 60 })
    expect(budgetDueAt(bench.budget)).toBe(48_000)
    bench.now = 59_999
    expect(bench.ask('a').status).toBe('permitted')
    bench.now = 60_000
    expect(bench.ask('a')).toMatchObject({ because: expect.stringContaining('60 of 60 seconds') })
    expect(budgetDueAt(bench.budget)).toBeUndefined()
  })

  it('that runs out while something else is spent wakes nobody: it was warned of, and it is stopped (M6)', () => {
    const bench = new Bench({ tokens: 10, seconds: 60 })
    bench.tell(bench.ask('a').ticket, { inputTokens: 10 })
    expect(bench.ask('a').status).toBe('held')
    expect(budgetDueAt(bench.budget)).toBe(48_000)
    const [warned] = warningsOf(bench.budget, 48_000)
    expect([warned.warned, budgetDueAt(warned)]).toEqual([['tokens', 'seconds'], undefined])
    expect(budgetDueAt(underLimits(warned, { tokens: 20, seconds: 60 }, 50_000))).toBe(60_000)
  })
})

describe('four fifths', () => {
  it('are said once of each unit, and anew under a higher limit (TC5)', () => {
    const bench = new Bench({ tokens: 100, messages: 5 })
    bench.tell(bench.ask('a').ticket, { inputTokens: 79 })
    expect(warningsOf(bench.budget, 0)[1]).toEqual([])
    bench.tell(bench.ask('a').ticket, { outputTokens: 1 })
    const [warned, said] = warningsOf(bench.budget, 0)
    expect(said).toEqual([{ unit: 'tokens', text: '80 of 100 tokens' }])
    expect(warningsOf(warned, 0)[1]).toEqual([])
    const raised = underLimits(warned, { tokens: 1_000 }, 0)
    expect(raised.warned).toEqual([])
  })
})

describe('another budget', () => {
  it('lets go on what is no longer spent, and nothing else', () => {
    const bench = new Bench({ tokens: 10 })
    bench.tell(bench.ask('a').ticket, { inputTokens: 20 })
    bench.ask('a')
    expect(shortageOf(bench.budget, 0)).toBe('20 of 10 tokens')
    expect(underLimits(bench.budget, { tokens: 20 }, 0).stopped).toBe('tokens')
    const enough = underLimits(bench.budget, { tokens: 21 }, 0)
    expect([enough.stopped, shortageOf(enough, 0)]).toEqual([undefined, undefined])
    expect(underLimits(bench.budget, {}, 0).stopped).toBeUndefined()
  })

  it('is the old one with what is said of it; null takes a limit away', () => {
    expect(amended({ tokens: 1, messages: 2 }, { tokens: 5, messages: null, seconds: undefined })).toEqual({
      tokens: 5,
    })
  })
})

describe('usage', () => {
  it('adds up, and is told from what models call so', () => {
    expect(plusUsage({ inputTokens: 1 }, { inputTokens: 2, costUsd: 0.5 })).toEqual({ inputTokens: 3, costUsd: 0.5 })
    expect(tokensOf({ inputTokens: 1, outputTokens: 2 })).toBe(3)
    expect([isUsage({ inputTokens: 1 }), isUsage({ prompt_tokens: 1 }), isUsage(3)]).toEqual([true, false, false])
  })
})

describe('whatever comes', () => {
  const agents = ['a', 'b', 'c'] as const
  const act = fc.oneof(
    fc.record({ do: fc.constant('ask' as const), agent: fc.constantFrom(...agents) }),
    fc.record({ do: fc.constant('tell' as const), which: fc.nat(5), use: fc.integer({ min: 0, max: 50 }) }),
    fc.record({ do: fc.constant('wait' as const), ms: fc.nat(40_000) }),
  )

  it('no more is spent past the budget than one lease of each agent (W4)', () => {
    fc.assert(
      fc.property(fc.array(act, { maxLength: 80 }), fc.option(fc.integer({ min: 1, max: 50 })), (acts, reserve) => {
        const limit = 100
        const bench = new Bench({ tokens: limit, ...(reserve === null ? {} : { reserve: { tokens: reserve } }) })
        // Those whose leases ran out are lost here: whoever holds one when it ends reports in time.
        const open: { ticket: string; agent: string; until: number }[] = []
        for (const one of acts) {
          if (one.do === 'wait') bench.now += one.ms
          while (open[0] !== undefined && open[0].until <= bench.now) bench.tell(open.shift()!.ticket, {})
          if (one.do === 'ask') {
            const answer = bench.ask(one.agent)
            if (answer.status === 'permitted')
              open.push({ ticket: answer.ticket, agent: one.agent, until: bench.now + minute })
          } else if (one.do === 'tell') {
            const [ended] = open.splice(one.which % Math.max(1, open.length), 1)
            // With a reserve an agent keeps to what it said.
            const use = reserve === null ? one.use : Math.min(one.use, reserve)
            if (ended !== undefined) bench.tell(ended.ticket, { outputTokens: use })
          }
        }
        const atMost = reserve === null ? 50 : reserve
        expect(bench.budget.spent.tokens).toBeLessThan(limit + agents.length * atMost)
      }),
    )
  })
})
