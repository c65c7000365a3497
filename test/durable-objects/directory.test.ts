/** The directory's laws on workerd's own SQLite. */
import { runInDurableObject } from 'cloudflare:test'
import { env } from 'cloudflare:workers'
import { describe, expect, it, vi } from 'vitest'
import { DirectoryObject } from '../../durable-objects/directory.ts'
import { agentEntry, agentKey, agentLaws, type Clock, keyLaws, type WithDirectory } from './directory.laws.ts'
import { subscriptionLaws } from './subscription.laws.ts'

const withDirectory: WithDirectory = (work) =>
  runInDurableObject(env.DIRECTORY.getByName(crypto.randomUUID()), (_object, state) => {
    const clock: Clock = { at: 1_000 }
    work(new DirectoryObject(state, env, { now: () => clock.at }), clock)
  })

describe('agents in the directory', () => agentLaws(withDirectory))
describe('keys in the directory', () => keyLaws(withDirectory))
describe('subscriptions in the directory', () => subscriptionLaws(withDirectory))

describe('what the directory costs', () => {
  it('an agent that is put again unchanged writes no row (the sweep does so every hour)', () =>
    withDirectoryAndSql((directory, written) => {
      directory.putAgent(agentEntry('ann'))
      // Its row, and the directory's version: who joins is told from who was there.
      expect(written()).toBe(2)
      directory.putAgent(agentEntry('ann'))
      expect(written()).toBe(0)
    }))

  it('a subscription put again unchanged writes no row; finding who is subscribed reads none but the version', () =>
    withDirectoryAndSql((directory, written, read) => {
      directory.putAgent(agentEntry('ann'))
      const put = () => directory.putSubscription('s', { agent: 'ann', topic: 'news' }, { max: 5 })
      written()
      put()
      // Its row, its place in the index, and the directory's version.
      expect(written()).toBe(3)
      put()
      expect(written()).toBe(0)
      const topic = { kind: 'topic', topic: 'news' } as const
      directory.candidates(topic, undefined, 10)
      read()
      for (let i = 0; i < 10; i++) directory.candidates(topic, undefined, 10)
      expect([read(), written()]).toEqual([10, 0])
    }))

  it('a stored key writes its row and its two places in the indexes', () =>
    withDirectoryAndSql((directory, written) => {
      directory.putKey(agentKey('ann', 1), { max: 20 })
      expect(written()).toBe(3)
      directory.findKey('hash-ann-1')
      expect(written()).toBe(0)
    }))
})

/** Counts the rows written, or read, since it was asked last, as the platform bills them. */
function withDirectoryAndSql(
  work: (directory: DirectoryObject, written: () => number, read: () => number) => void,
): Promise<void> {
  return runInDurableObject(env.DIRECTORY.getByName(crypto.randomUUID()), (_object, state) => {
    const directory = new DirectoryObject(state, env)
    const exec = vi.spyOn(state.storage.sql, 'exec')
    const counted = (what: 'rowsWritten' | 'rowsRead') => {
      let before = 0
      return () => {
        const sum = exec.mock.results.reduce((total, { value }) => total + value[what], 0)
        const since = sum - before
        before = sum
        return since
      }
    }
    work(directory, counted('rowsWritten'), counted('rowsRead'))
    exec.mockRestore()
  })
}
