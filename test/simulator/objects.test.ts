/** The directory's and the dead letters' laws on the simulator's SQLite: what it stands for must behave the same. */
import { describe } from 'vitest'
import { DeadLettersObject } from '../../durable-objects/dead-letters.ts'
import { DirectoryObject } from '../../durable-objects/directory.ts'
import { groupLaws, letterLaws, oldTable, removalLaws, type WithLetters } from '../durable-objects/dead-letters.laws.ts'
import { agentLaws, type Clock, keyLaws, type WithDirectory } from '../durable-objects/directory.laws.ts'
import { subscriptionLaws } from '../durable-objects/subscription.laws.ts'
import { SimStorage } from './storage.ts'

const withDirectory: WithDirectory = async (work) => {
  const clock: Clock = { at: 1_000 }
  const state = { storage: new SimStorage() } as unknown as DurableObjectState
  work(new DirectoryObject(state, {} as Env, { now: () => clock.at }), clock)
}

const onTable =
  (before: readonly string[]): WithLetters =>
  async (work) => {
    const clock: Clock = { at: 0 }
    const storage = new SimStorage()
    const state = { storage } as unknown as DurableObjectState
    for (const statement of before) storage.sql.exec(statement)
    const rows = () => Number(storage.sql.exec('SELECT count(*) AS n FROM letters').toArray()[0]?.n)
    work(new DeadLettersObject(state, {} as Env, { now: () => clock.at }), clock, rows)
  }

describe('the directory, simulated', () => {
  agentLaws(withDirectory)
  keyLaws(withDirectory)
  subscriptionLaws(withDirectory)
})
describe('the dead letters, simulated', () => {
  letterLaws(onTable([]))
  groupLaws(onTable([]), onTable(oldTable))
  removalLaws(onTable([]))
})
