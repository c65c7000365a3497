/** Subscriptions: who is meant by a topic, that nobody is meant twice, and who may subscribe to what. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type Filter, passes } from '../../shared/filter.ts'
import { maySubscribe, type Principal, resolvePermissions } from '../../shared/permissions.ts'
import {
  type Candidate,
  candidatesOf,
  catchingOf,
  reached,
  reaches,
  readSubscription,
  type Subscription,
  subscriptionId,
  subscriptionInput,
} from '../../shared/subscription.ts'
import { topicMatches } from '../../shared/topic.ts'

const subscription = (id: string, agent: string, topic: string, filter?: Filter): Subscription => ({
  v: 1,
  id,
  agent,
  topic,
  ...(filter === undefined ? {} : { filter }),
  version: 1,
  since: 1,
  updatedAt: 0,
})

const never: Filter = { exists: 'nothing.of.the.kind' }
const message = { type: 'trace.completed', data: { n: 1 } }

describe('whom a topic means', () => {
  it('every agent with a pattern that matches, in the order of names', () => {
    const all = [
      subscription('1', 'bob', 'spans.>'),
      subscription('2', 'ada', 'spans.eu'),
      subscription('3', 'cyd', 'logs.>'),
      subscription('4', 'dan', '*.eu'),
    ]
    expect(candidatesOf(all, 'spans.eu').map((c) => c.agent)).toEqual(['ada', 'bob', 'dan'])
  })

  it('an agent that matches by several patterns once', () => {
    const all = ['spans.>', 'spans.eu', '*.eu', '>'].map((topic, i) => subscription(`${i}`, 'ada', topic))
    const [only, ...others] = candidatesOf(all, 'spans.eu')
    expect([only?.agent, only?.subscriptions.length, others]).toEqual(['ada', 4, []])
  })

  it('nobody by `>` for what the broker says of itself', () => {
    const all = [subscription('1', 'ada', '>'), subscription('2', 'bob', 'switchboard.>')]
    expect(candidatesOf(all, 'switchboard.agent.ada').map((c) => c.agent)).toEqual(['bob'])
  })
})

describe('whoever catches what reaches nobody else', () => {
  const catching = (of: Subscription): Subscription => ({ ...of, catchAll: true })
  const all = [
    subscription('1', 'ada', 'spans.eu'),
    catching(subscription('2', 'bob', '>')),
    catching(subscription('3', 'cyd', 'switchboard.>')),
    catching(subscription('4', 'eve', 'spans.>', never)),
  ]
  const named = (topic: string, catches = false) => candidatesOf(all, topic, catches).map((c) => c.agent)

  it('is not among those who listen, and they are not among those who catch (A11)', () => {
    expect([named('spans.eu'), named('spans.eu', true)]).toEqual([['ada'], ['bob', 'eve']])
  })

  it('catches nothing that it sent itself, nor what its filter keeps out (A11)', () => {
    const audience = { kind: 'topic', topic: 'spans.eu', catching: true } as const
    const page = { version: 1, total: 2, items: candidatesOf(all, 'spans.eu', true) }
    expect(reached(page, audience, { ...message, source: 'ann' })).toEqual(['bob'])
    expect(reached(page, audience, { ...message, source: 'bob' })).toEqual([])
    expect(reached(page, { kind: 'topic', topic: 'spans.eu' }, { ...message, source: 'bob' })).toEqual(['bob'])
  })

  it('is for topics only, and for none of the broker’s own (A11)', () => {
    expect(catchingOf({ kind: 'topic', topic: 'a' })).toEqual({ kind: 'topic', topic: 'a', catching: true })
    expect(catchingOf({ kind: 'topic', topic: 'a', catching: true })).toBeUndefined()
    expect(catchingOf({ kind: 'topic', topic: 'switchboard.agent.ada' })).toBeUndefined()
    expect(catchingOf({ kind: 'all', except: 'ada' })).toBeUndefined()
    const put = (topic: string) => subscriptionInput.safeParse({ agent: 'ada', topic, catchAll: true }).success
    expect([put('>'), put('switchboard.>')]).toEqual([true, false])
  })
})

describe('whom a message reaches', () => {
  const reached = (...of: (readonly [string, Filter?])[]) =>
    reaches(
      { agent: 'ada', subscriptions: of.map(([topic, filter]) => ({ topic, ...(filter && { filter }) })) },
      message,
    )

  it('whoever needs no pattern: everybody', () => {
    expect(reached()).toBe(true)
  })

  it('whoever has a pattern without a filter, or whose filter it passes', () => {
    expect(reached(['a'])).toBe(true)
    expect(reached(['a', { eq: ['type', 'trace.completed'] }])).toBe(true)
    expect(reached(['a', never])).toBe(false)
  })

  it('by another pattern when the most specific one’s filter keeps it out', () => {
    expect(reached(['a.b', never], ['a.>'])).toBe(true)
    expect(reached(['a.>'], ['a.b', never])).toBe(true)
    expect(reached(['a.b', never], ['a.>', never])).toBe(false)
  })

  const filter = fc.constantFrom<Filter | undefined>(undefined, never, { exists: 'data' }, { eq: ['type', 'x'] })
  const some = fc.array(
    fc.tuple(fc.constantFrom('ada', 'bob', 'cyd'), fc.constantFrom('a', 'a.b', 'a.*', '*.b', 'a.>', '>', '*'), filter),
    { maxLength: 8 },
  )
  it('is whoever has one subscription that matches and lets it through, each once, whatever the order of the rest', () => {
    fc.assert(
      fc.property(some, fc.constantFrom('a', 'a.b', 'a.c', 'b'), (list, topic) => {
        const all = list.map(([agent, of, f], i) => subscription(String(i), agent, of, f))
        const meant = (subscriptions: readonly Subscription[]) =>
          candidatesOf(subscriptions, topic)
            .filter((c: Candidate) => reaches(c, message))
            .map((c) => c.agent)
        const expected = all
          .filter((s) => topicMatches(s.topic, topic) && (s.filter === undefined || passes(s.filter, message)))
          .map((s) => s.agent)
        expect(meant(all)).toEqual([...new Set(expected)].sort())
        expect(meant([...all].reverse())).toEqual(meant(all))
      }),
    )
  })
})

describe('what is put', () => {
  it('names an agent, a pattern and perhaps a filter, and nothing else', () => {
    const good = { agent: 'ada', topic: 'a.>', filter: { exists: 'data' } }
    expect(subscriptionInput.safeParse(good).success).toBe(true)
    for (const change of [
      { agent: 'Ada' },
      { agent: 'admin' },
      { topic: 'a.>.b' },
      { topic: '' },
      { filter: {} },
      { extra: 1 },
    ])
      expect(subscriptionInput.safeParse({ ...good, ...change }).success, JSON.stringify(change)).toBe(false)
  })

  it('has an id that fits into a path', () => {
    for (const good of ['a', 'A_1-z', 'x'.repeat(64)]) expect(subscriptionId.safeParse(good).success).toBe(true)
    for (const no of ['', 'a.b', 'a/b', 'ä', ' ', 'x'.repeat(65), 'a\n'])
      expect(subscriptionId.safeParse(no).success, no).toBe(false)
  })

  it('is read back as it was stored, and a record of another kind is not taken on trust', () => {
    const stored = subscription('1', 'ada', 'a', { eq: ['type', 'x'] })
    expect(readSubscription(JSON.stringify(stored))).toEqual(stored)
    expect(() => readSubscription(JSON.stringify({ ...stored, v: 2 }))).toThrow()
  })
})

describe('who may subscribe', () => {
  const agent = (subscribe?: string[]): Principal => ({
    kind: 'agent',
    name: 'ada',
    permissions: resolvePermissions('ada', subscribe && { subscribe }),
  })

  it('an admin anybody to anything; an agent itself; an app nobody', () => {
    expect(maySubscribe({ kind: 'admin' }, 'ada', 'switchboard.>')).toBe(true)
    expect(maySubscribe(agent(), 'ada', 'a.>')).toBe(true)
    expect(maySubscribe(agent(), 'bob', 'a.>')).toBe(false)
    expect(maySubscribe({ kind: 'app', name: 'ada', permissions: resolvePermissions('app/ada') }, 'ada', 'a')).toBe(
      false,
    )
  })

  it('only within its permissions: a pattern that reaches further than they do is refused', () => {
    const narrow = agent(['spans.*', 'logs'])
    for (const pattern of ['spans.eu', 'spans.*', 'spans.>', 'logs'])
      expect(maySubscribe(narrow, 'ada', pattern)).toBe(true)
    for (const pattern of ['>', '*', '*.eu', 'logs.>', 'logs.eu', 'spans'])
      expect(maySubscribe(narrow, 'ada', pattern)).toBe(false)
    expect(maySubscribe(agent([]), 'ada', 'a')).toBe(false)
  })

  it('to what the broker says of itself only by a permission that names it: the default `*` does not', () => {
    for (const pattern of ['switchboard.>', 'switchboard.agent.ada']) {
      expect(maySubscribe(agent(), 'ada', pattern)).toBe(false)
      expect(maySubscribe(agent(['*', 's*']), 'ada', pattern)).toBe(false)
      expect(maySubscribe(agent(['switchboard.*']), 'ada', pattern)).toBe(true)
    }
    expect(maySubscribe(agent(['switchboard.agent.*']), 'ada', 'switchboard.>')).toBe(false)
    expect(maySubscribe(agent(['switchboard.agent.*']), 'ada', 'switchboard.agent.bob')).toBe(true)
  })
})
