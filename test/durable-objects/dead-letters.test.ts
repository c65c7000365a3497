/** The dead letters' laws on workerd's own SQLite. */
import { runInDurableObject } from 'cloudflare:test'
import { env } from 'cloudflare:workers'
import { describe } from 'vitest'
import { DeadLettersObject } from '../../durable-objects/dead-letters.ts'
import { groupLaws, letterLaws, oldTable, removalLaws, type WithLetters } from './dead-letters.laws.ts'
import type { Clock } from './directory.laws.ts'

const onTable =
  (before: readonly string[]): WithLetters =>
  (work) =>
    runInDurableObject(env.DEAD_LETTERS.getByName(crypto.randomUUID()), (_object, state) => {
      if (before.length > 0) state.storage.sql.exec('DROP TABLE letters')
      for (const statement of before) state.storage.sql.exec(statement)
      const clock: Clock = { at: 0 }
      const rows = () => Number(state.storage.sql.exec('SELECT count(*) AS n FROM letters').one().n)
      work(new DeadLettersObject(state, env, { now: () => clock.at }), clock, rows)
    })

const withLetters = onTable([])

describe('dead letters', () => letterLaws(withLetters))
describe('dead letters that go', () => removalLaws(withLetters))
describe('dead letters by what they died of', () => groupLaws(withLetters, onTable(oldTable)))
