/**
 * A resource that agents share: asked, told, and what time does to it. Never here: the breaker's own table (test/shared/breaker.test.ts).
 */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { ResourceVerdict } from '../../shared/blame.ts'
import { defaultBreakerPolicy } from '../../shared/breaker.ts'
import {
  elapsed,
  forceResource,
  isForgettable,
  isResourceChanged,
  type News,
  newResource,
  type Permit,
  permit,
  publicResource,
  type Resource,
  readResource,
  resourceDueAt,
  resourceKeptMs,
  tellResource,
} from '../../shared/resource.ts'

const second = 1_000
const failure: ResourceVerdict = { kind: 'failure', cause: 'ada was answered 503' }
const success: ResourceVerdict = { kind: 'success' }

/** One resource and its clock. */
class Case {
  resource: Resource = newResource('openai/gpt-5')
  now = 1_000_000
  #calls = 0
  ask(...tickets: string[]): Permit[] {
    return this.#ask(tickets, false)
  }
  askFromOutside(...tickets: string[]): Permit[] {
    return this.#ask(tickets, true)
  }
  #ask(tickets: string[], outside: boolean): Permit[] {
    const asks = tickets.map((ticket) => ({ ticket, forMs: 30 * second, outside }))
    const [next, answers] = permit(this.resource, asks, this.now)
    this.resource = next
    return answers
  }
  tell(news: News[], token = `call-${this.#calls++}`): void {
    this.resource = tellResource(this.resource, news, token, this.now)
  }
  /** Asks and reports at once. */
  attempt(verdict: ResourceVerdict): Permit {
    const [answer] = this.ask(`t${this.#calls}`)
    if (answer?.status === 'permitted') this.tell([{ ticket: answer.ticket, epoch: answer.epoch, verdict }])
    return answer!
  }
  fail(times: number): void {
    for (let i = 0; i < times; i++) this.attempt(failure)
  }
  get state() {
    return this.resource.breaker.state.at
  }
}

function opened(): Case {
  const c = new Case()
  c.fail(5)
  return c
}

function halfOpen(): Case {
  const c = opened()
  c.now += 60 * second
  return c
}

describe('a resource', () => {
  it('permits everything while nothing is wrong, and remembers none of it', () => {
    const c = new Case()
    const before = c.resource
    expect(c.ask('a', 'b').map((p) => p.status)).toEqual(['permitted', 'permitted'])
    expect(c.resource).toBe(before)
  })

  it('(A39) is shut by failures in a row, whoever had them; a success in between sets the count to 0', () => {
    const c = new Case()
    c.fail(4)
    c.attempt(success)
    c.fail(4)
    expect(c.state).toBe('closed')
    c.fail(1)
    expect(c.state).toBe('open')
  })

  it('B1: shut, it permits nobody, and says until when and why', () => {
    const c = opened()
    c.now += 10 * second
    const because = 'the resource openai/gpt-5 is down (5 failures in a row; the last: ada was answered 503)'
    expect(c.ask('x', 'y')).toEqual(
      ['x', 'y'].map((ticket) => ({ ticket, status: 'held', holdMs: 50 * second, because })),
    )
  })

  it('B2: half open, it permits one probe to all who ask, and the others wait for what becomes of it', () => {
    const c = halfOpen()
    expect(c.ask('x', 'y').map((p) => p.status)).toEqual(['permitted', 'held'])
    expect(c.ask('z')).toMatchObject([{ status: 'held', holdMs: 10 * second, because: /is being probed/ }])
  })

  it('B2: a probe that ends in silence shuts it for as long as before, and does not wedge it', () => {
    const c = halfOpen()
    c.ask('x')
    c.now += 30 * second
    expect(c.ask('y')).toMatchObject([{ status: 'held', holdMs: 60 * second }])
    c.now += 60 * second
    expect(c.ask('y')).toMatchObject([{ status: 'permitted' }])
  })

  it('a probe given back without a word makes room for another', () => {
    const c = halfOpen()
    const [probe] = c.ask('x')
    c.tell([{ ticket: 'x', epoch: probe?.status === 'permitted' ? probe.epoch : -1 }])
    expect([c.state, c.ask('y')[0]?.status]).toEqual(['half_open', 'permitted'])
  })

  it('a probe that fails shuts it for twice as long', () => {
    const c = halfOpen()
    c.attempt(failure)
    expect(c.ask('y')).toMatchObject([{ status: 'held', holdMs: 120 * second }])
  })

  it('after a probe that succeeds it lets through twice as many with each success', () => {
    const c = halfOpen()
    c.attempt(success)
    expect(c.ask('a', 'b').map((p) => p.status)).toEqual(['permitted', 'held'])
    expect(c.ask('b')).toMatchObject([{ holdMs: second, because: /has just recovered/ }])
    c.tell([{ ticket: 'a', verdict: success }])
    expect(c.ask('c', 'd', 'e').map((p) => p.status)).toEqual(['permitted', 'permitted', 'held'])
  })

  it('B3: a report of something permitted before it moved changes nothing', () => {
    const c = new Case()
    const [early] = c.ask('early')
    const epoch = early?.status === 'permitted' ? early.epoch : -1
    c.fail(5)
    c.now += 60 * second
    c.ask('probe')
    for (const verdict of [success, failure, { kind: 'hold', holdMs: 9 * second } as const]) {
      const { breaker, heldUntil } = c.resource
      c.tell([{ ticket: 'early', epoch, verdict }])
      expect([c.resource.breaker, c.resource.heldUntil]).toEqual([breaker, heldUntil])
    }
    expect(c.state).toBe('half_open')
  })
})

describe('a pause that it asks for', () => {
  it('holds everybody until then, is no failure, and ends by itself', () => {
    const c = new Case()
    c.attempt({ kind: 'hold', holdMs: 20 * second })
    expect([c.state, c.resource.breaker.window]).toEqual(['closed', []])
    c.now += 5 * second
    expect(c.ask('x')).toMatchObject([{ status: 'held', holdMs: 15 * second, because: /asked for quiet/ }])
    c.now += 15 * second
    expect(c.ask('x')).toMatchObject([{ status: 'permitted' }])
    expect(elapsed(c.resource, c.now).heldUntil).toBeUndefined()
  })

  it('of a probe leaves it half open, and the next one probes after it', () => {
    const c = halfOpen()
    c.attempt({ kind: 'hold', holdMs: 20 * second })
    expect(c.ask('y')).toMatchObject([{ status: 'held', holdMs: 20 * second }])
    c.now += 20 * second
    expect([c.ask('y')[0]?.status, c.state]).toEqual(['permitted', 'half_open'])
  })

  it('stays the longer one of two', () => {
    const c = new Case()
    const given = c.ask('a', 'b')
    const epoch = given[0]?.status === 'permitted' ? given[0].epoch : -1
    c.tell([
      { ticket: 'a', epoch, verdict: { kind: 'hold', holdMs: 20 * second } },
      { ticket: 'b', epoch, verdict: { kind: 'hold', holdMs: second } },
    ])
    expect(c.resource.heldUntil).toBe(c.now + 20 * second)
  })
})

describe('a report from outside, which knows no epoch', () => {
  it('counts by its ticket, once, however late it comes', () => {
    const c = new Case()
    c.askFromOutside('a', 'b')
    c.now += 3_600 * second
    c.tell([{ ticket: 'a', verdict: failure }])
    c.tell([{ ticket: 'a', verdict: failure }])
    c.tell([{ ticket: 'never permitted', verdict: failure }])
    expect(c.resource.breaker.state).toMatchObject({ failures: 1 })
  })

  it('is forgotten when the breaker moved', () => {
    const c = new Case()
    c.askFromOutside('a')
    c.fail(5)
    expect(c.resource.permits).toEqual([])
  })
})

describe('the same call again', () => {
  it('asking is given the same permit, and takes no second place', () => {
    const c = halfOpen()
    const first = c.ask('x')
    expect(c.ask('x')).toEqual(first)
    expect(c.resource.permits).toHaveLength(1)
  })

  it('telling counts once', () => {
    const c = new Case()
    const news: News[] = [{ ticket: 'a', epoch: 0, verdict: failure }]
    for (let i = 0; i < 5; i++) c.tell(news, 'one call')
    expect(c.resource.breaker.state).toMatchObject({ at: 'closed', failures: 1 })
  })
})

describe('a person', () => {
  it('forces it open: nobody is permitted until told otherwise', () => {
    const c = new Case()
    c.resource = forceResource(c.resource, { to: 'open', by: 'admin' }, c.now)
    c.now += 3_600 * second
    expect(c.ask('x')).toMatchObject([{ status: 'held', holdMs: 60 * second, because: /forced open by admin/ }])
  })

  it('forces it closed: everybody is permitted, also within a pause', () => {
    const c = opened()
    c.resource = forceResource(c.resource, { to: 'closed', by: 'admin' }, c.now)
    c.resource = { ...c.resource, heldUntil: c.now + second }
    expect(c.ask('x', 'y').map((p) => p.status)).toEqual(['permitted', 'permitted'])
  })

  it('changes its policy, defaults filled in', () => {
    const c = new Case()
    c.resource = forceResource(c.resource, { policy: { failureThreshold: 1 }, by: 'admin' }, c.now)
    expect(c.resource.policy).toEqual({ ...defaultBreakerPolicy, failureThreshold: 1 })
    c.fail(1)
    expect(c.state).toBe('open')
  })

  it('sees it as it is now, though nobody asked since its wait was over', () => {
    const c = opened()
    expect(publicResource(c.resource, c.now)).toMatchObject({ resource: 'openai/gpt-5', state: 'open', epoch: 1 })
    const shown = publicResource(c.resource, c.now + 60 * second)
    expect(shown).toMatchObject({ state: 'half_open', policy: defaultBreakerPolicy })
    expect(shown).not.toHaveProperty('agent')
  })
})

describe('what it remembers', () => {
  it('is written when it must outlive the object, and not for each success', () => {
    const c = new Case()
    const before = c.resource
    c.attempt(success)
    expect(isResourceChanged(before, c.resource)).toBe(false)
    c.attempt(failure)
    expect(isResourceChanged(before, c.resource)).toBe(true)
    expect(readResource(JSON.stringify(c.resource))).toEqual(c.resource)
  })

  it('M6: is looked at again when its wait is over, when a probe is lost, and when a move was not announced', () => {
    const c = opened()
    expect(resourceDueAt(c.resource, c.now)).toBe(c.now + 60 * second)
    c.resource = { ...c.resource, announced: 9, changedAt: c.now }
    expect(resourceDueAt(c.resource, c.now)).toBe(c.now + 60 * second)
    c.now += 60 * second
    c.ask('probe')
    expect(resourceDueAt(c.resource, c.now)).toBe(c.now + 30 * second)
  })

  it('is forgotten after 30 days, unless a person said something of it, or it is not well', () => {
    const c = new Case()
    const later = c.now + resourceKeptMs
    const kept = (resource: Resource) => isForgettable({ ...resource, changedAt: c.now }, later)
    expect(kept(c.resource)).toBe(true)
    expect(isForgettable({ ...c.resource, changedAt: c.now }, later - 1)).toBe(false)
    expect(kept(opened().resource)).toBe(false)
    for (const asked of [{ to: 'closed' as const }, { policy: {} }])
      expect(kept(forceResource(c.resource, { ...asked, by: 'admin' }, c.now))).toBe(false)
  })
})

describe('whatever happens', () => {
  type Turn = {
    readonly what: 'ask' | 'outside' | 'success' | 'failure' | 'hold' | 'nothing' | 'pass'
    readonly n: number
  }
  const turn: fc.Arbitrary<Turn> = fc.record({
    what: fc.constantFrom('ask', 'outside', 'success', 'failure', 'hold', 'nothing', 'pass'),
    n: fc.nat(20),
  })

  it('B1, B2: no more permits of one half-open epoch are out than its probes, none while it is shut, and it recovers', () => {
    fc.assert(
      fc.property(fc.array(turn, { maxLength: 200 }), fc.integer({ min: 1, max: 3 }), (turns, probes) => {
        const c = new Case()
        c.resource = forceResource(c.resource, { policy: { probes, failureThreshold: 2 }, by: 'admin' }, c.now)
        const out = new Map<string, { epoch: number; until: number; state: string }>()
        turns.forEach(({ what, n }, i) => {
          if (what === 'pass') c.now += n * 7 * second
          else if (what === 'ask' || what === 'outside') {
            const tickets = Array.from({ length: (n % 3) + 1 }, (_, k) => `${i}-${k}`)
            const answers = what === 'ask' ? c.ask(...tickets) : c.askFromOutside(...tickets)
            for (const a of answers) {
              if (a.status === 'held') expect(a.holdMs).toBeGreaterThan(0)
              else {
                expect(c.state).not.toBe('open')
                expect(c.resource.heldUntil).toBeUndefined()
                out.set(a.ticket, { epoch: a.epoch, until: c.now + 30 * second, state: c.state })
              }
            }
          } else {
            const chosen = [...out][n % Math.max(1, out.size)]
            if (chosen === undefined) return
            const [ticket, { epoch }] = chosen
            out.delete(ticket)
            const verdict =
              what === 'hold' ? { kind: what, holdMs: 5 * second } : what === 'success' ? success : failure
            c.tell([{ ticket, epoch, ...(what === 'nothing' ? {} : { verdict }) }])
          }
          const probing = [...out.values()].filter(
            (p) => p.state === 'half_open' && p.epoch === c.resource.breaker.epoch && p.until > c.now,
          )
          expect(probing.length).toBeLessThanOrEqual(probes)
        })
        c.now += 86_400 * second
        expect(c.attempt(success).status).toBe('permitted')
        expect(c.state).toBe('closed')
      }),
    )
  })
})
