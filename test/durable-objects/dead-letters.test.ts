/** The dead letters' laws on workerd's own SQLite. */
import { runInDurableObject } from 'cloudflare:test'
import { env } from 'cloudflare:workers'
import { describe } from 'vitest'
import { DeadLettersObject } from '../../durable-objects/dead-letters.ts'
import { letterLaws, removalLaws, type WithLetters } from './dead-letters.laws.ts'
import type { Clock } from './directory.laws.ts'

const withLetters: WithLetters = (work) =>
  runInDurableObject(env.DEAD_LETTERS.getByName(crypto.randomUUID()), (_object, state) => {
    const clock: Clock = { at: 0 }
    const rows = () => Number(state.storage.sql.exec('SELECT count(*) AS n FROM letters').one().n)
    work(new DeadLettersObject(state, env, { now: () => clock.at }), clock, rows)
  })

describe('dead letters', () => letterLaws(withLetters))
describe('dead letters that go', () => removalLaws(withLetters))
