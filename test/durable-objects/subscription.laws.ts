/**
 * What a directory must do with subscriptions, over whatever SQLite it stands on. Never here: matching itself
 * (test/shared/topic.test.ts).
 */
import { expect, it } from 'vitest'
import type { DirectoryObject } from '../../durable-objects/directory.ts'
import type { Audience, SubscriptionInput } from '../../shared/subscription.ts'
import { agentEntry, type WithDirectory } from './directory.laws.ts'

const max = 5
const news: Audience = { kind: 'topic', topic: 'news.a' }
const all = (except = 'nobody'): Audience => ({ kind: 'all', except })

const put = (
  directory: DirectoryObject,
  id: string,
  agent: string,
  more: Partial<SubscriptionInput> = {},
  by?: string,
) => directory.putSubscription(id, { agent, topic: 'news.>', ...more }, { max, ...(by === undefined ? {} : { by }) })

function join(directory: DirectoryObject, ...names: string[]): void {
  for (const name of names) directory.putAgent(agentEntry(name))
}

const named = (page: { readonly items: readonly { readonly agent: string }[] }) => page.items.map((c) => c.agent)

export function subscriptionLaws(withDirectory: WithDirectory): void {
  const law = (name: string, work: Parameters<WithDirectory>[0]) => it(name, () => withDirectory(work))

  law('a subscription put twice is one, and nothing about it changes', (directory, clock) => {
    join(directory, 'ann')
    const first = put(directory, 's', 'ann', { filter: { exists: 'data' } })
    clock.at += 1_000
    const again = put(directory, 's', 'ann', { filter: { exists: 'data' } })
    expect(first).toMatchObject({ status: 'put', created: true })
    expect(again).toEqual({ ...first, created: false })
    expect(directory.subscriptions(undefined, undefined, 10).items).toHaveLength(1)
  })

  law(
    'one of an unknown agent is refused, and so is one too many; one that is changed is not one more',
    (directory) => {
      join(directory, 'ann', 'bob')
      expect(put(directory, 's', 'nobody').status).toBe('unknown')
      for (let i = 0; i < max; i++) expect(put(directory, `s${i}`, 'ann').status).toBe('put')
      expect(put(directory, 's9', 'ann').status).toBe('too_many')
      expect(put(directory, 's1', 'ann', { topic: 'other' }).status).toBe('put')
      expect(put(directory, 's9', 'bob').status).toBe('put')
      expect(put(directory, 's9', 'ann').status).toBe('too_many')
    },
  )

  law('another agent’s is not touched by an agent; an admin may', (directory) => {
    join(directory, 'ann', 'bob')
    put(directory, 's', 'ann', {}, 'ann')
    expect(put(directory, 's', 'bob', {}, 'bob').status).toBe('foreign')
    expect(directory.removeSubscription('s', 'bob')).toBe('foreign')
    expect(directory.findSubscription('s')?.agent).toBe('ann')
    expect(put(directory, 's', 'bob').status).toBe('put')
    expect(directory.removeSubscription('s', 'bob')).toBe('removed')
    expect(directory.removeSubscription('s', 'bob')).toBe('unknown')
  })

  law(
    'what an agent may no longer have is silenced, and the version says that somebody is not meant any more',
    (directory) => {
      join(directory, 'ann', 'bob')
      put(directory, 'a', 'ann', {}, 'ann')
      put(directory, 'b', 'bob')
      const found = () => named(directory.candidates(news, undefined, 10))
      expect(found()).toEqual(['ann', 'bob'])
      const narrow = (name: string, updatedAt: number, subscribe: string[]) => {
        const entry = agentEntry(name)
        directory.putAgent({ ...entry, updatedAt, permissions: { ...entry.permissions, subscribe } })
      }
      const { version } = directory.candidates(news, undefined, 10)
      narrow('ann', 2_000, ['sport.*'])
      // Whoever put it: what is within an agent's permissions stands and falls with them.
      narrow('bob', 2_000, ['news.a'])
      expect(found()).toEqual([])
      expect(directory.version()).toBe(version + 2)
      expect([
        directory.findSubscription('a')?.silenced,
        directory.subscriptions('bob', undefined, 1).items[0]?.silenced,
      ]).toEqual([true, true])
      narrow('ann', 3_000, ['news.*'])
      expect(found()).toEqual(['ann'])
      expect(directory.findSubscription('a')?.silenced).toBeUndefined()
    },
  )

  law(
    'what an admin gives beyond an agent’s permissions stays; put again by an admin, a silenced one is given',
    (directory) => {
      const entry = agentEntry('ann')
      const allowing = (updatedAt: number, subscribe: string[]) =>
        directory.putAgent({ ...entry, updatedAt, permissions: { ...entry.permissions, subscribe } })
      const found = (topic: string) => named(directory.candidates({ kind: 'topic', topic }, undefined, 10))
      allowing(1_000, ['news.*'])
      put(directory, 'own', 'ann')
      put(directory, 'given', 'ann', { topic: 'switchboard.>' })
      allowing(2_000, [])
      expect([found('news.a'), found('switchboard.agent.bob')]).toEqual([[], ['ann']])
      expect(put(directory, 'own', 'ann')).toMatchObject({ status: 'put', created: false })
      expect(found('news.a')).toEqual(['ann'])
    },
  )

  law('who is subscribed is found at once after each change', (directory) => {
    join(directory, 'ann', 'bob')
    const found = () => named(directory.candidates(news, undefined, 10))
    expect(found()).toEqual([])
    put(directory, 'a', 'ann')
    expect(found()).toEqual(['ann'])
    put(directory, 'b', 'bob', { topic: 'news.*' })
    expect(found()).toEqual(['ann', 'bob'])
    put(directory, 'a', 'ann', { topic: 'other' })
    expect(found()).toEqual(['bob'])
    directory.removeSubscription('b')
    expect(found()).toEqual([])
  })

  law('an agent that matches several times is one candidate, with all of its patterns', (directory) => {
    join(directory, 'ann')
    put(directory, 'a', 'ann')
    put(directory, 'b', 'ann', { topic: 'news.a', filter: { exists: 'data' } })
    put(directory, 'c', 'ann', { topic: 'other' })
    const { items, total } = directory.candidates(news, undefined, 10)
    expect([total, items.length, items[0]?.subscriptions.map((s) => s.topic).sort()]).toEqual([
      1,
      1,
      ['news.>', 'news.a'],
    ])
  })

  law('candidates come page by page in the order of names, without gap or overlap', (directory) => {
    const names = Array.from({ length: 25 }, (_, i) => `agent-${i + 10}`)
    join(directory, ...names)
    for (const name of [...names].reverse()) put(directory, name, name)
    for (const audience of [news, all()]) {
      const seen: string[] = []
      let cursor: string | undefined
      do {
        const page = directory.candidates(audience, cursor, 10)
        expect(page.total).toBe(25)
        seen.push(...named(page))
        cursor = page.cursor
      } while (cursor !== undefined)
      expect(seen).toEqual(names)
    }
  })

  law('everybody is every agent but one', (directory) => {
    join(directory, 'ann', 'bob', 'cyd')
    expect(named(directory.candidates(all('bob'), undefined, 10))).toEqual(['ann', 'cyd'])
    const under = { ...all('orders'), sender: 'cyd' }
    expect(named(directory.candidates(under, undefined, 10))).toEqual(['ann', 'bob'])
  })

  law(
    'with a version nobody is met who subscribed since; a new filter on the same topic is no new subscription',
    (directory) => {
      join(directory, 'ann', 'bob', 'cyd')
      put(directory, 'a', 'ann')
      put(directory, 'c', 'cyd', { topic: 'other' })
      const { version } = directory.candidates(news, undefined, 10)
      put(directory, 'b', 'bob')
      put(directory, 'a', 'ann', { filter: { exists: 'data' } })
      put(directory, 'c', 'cyd', { topic: 'news.a' })
      expect(named(directory.candidates(news, undefined, 10, version))).toEqual(['ann'])
      expect(named(directory.candidates(news, undefined, 10))).toEqual(['ann', 'bob', 'cyd'])
      directory.removeSubscription('a')
      put(directory, 'a', 'ann')
      expect(named(directory.candidates(news, undefined, 10, version))).toEqual([])
    },
  )

  law(
    'with a version nobody is met who joined since; one that registers again as the same is no new one',
    (directory) => {
      join(directory, 'ann', 'cyd')
      const { version } = directory.candidates(all(), undefined, 10)
      join(directory, 'bob')
      directory.putAgent(agentEntry('ann', { capabilities: ['more'], updatedAt: 2_000 }))
      directory.putAgent(agentEntry('cyd', { incarnation: 'cyd-2', updatedAt: 2_000 }))
      expect(named(directory.candidates(all(), undefined, 10, version))).toEqual(['ann'])
      expect(named(directory.candidates(all(), undefined, 10))).toEqual(['ann', 'bob', 'cyd'])
    },
  )

  law(
    'they go with their agent, and another incarnation inherits none even if the one before was never removed',
    (directory) => {
      join(directory, 'ann', 'bob')
      put(directory, 'a', 'ann')
      put(directory, 'b', 'bob')
      directory.removeAgent('ann')
      expect(directory.findSubscription('a')).toBeUndefined()
      directory.putAgent(agentEntry('bob', { incarnation: 'bob-2', updatedAt: 2_000 }))
      expect(named(directory.candidates(news, undefined, 10))).toEqual([])
      expect(directory.subscriptions('bob', undefined, 10).items).toEqual([])
    },
  )

  law('they are listed by id, all or one agent’s, page by page', (directory) => {
    join(directory, 'ann', 'bob')
    for (const id of ['d', 'a', 'c']) put(directory, id, 'ann')
    put(directory, 'b', 'bob')
    const ids = (agent?: string, cursor?: string) => directory.subscriptions(agent, cursor, 2).items.map((s) => s.id)
    expect([ids(), ids(undefined, 'b'), ids('ann'), ids('ann', 'c')]).toEqual([
      ['a', 'b'],
      ['c', 'd'],
      ['a', 'c'],
      ['d'],
    ])
    expect(directory.subscriptions('ann', 'c', 2)).not.toHaveProperty('cursor')
  })
}
