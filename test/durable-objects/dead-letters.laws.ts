/**
 * What the index of dead letters must do, over whatever SQLite it stands on: workerd's (test/durable-objects/dead-letters.test.ts)
 * and the simulator's (test/simulator/objects.test.ts). Time is an argument. Never here: HTTP.
 */
import { expect, it } from 'vitest'
import type { DeadLettersObject } from '../../durable-objects/dead-letters.ts'
import { type DeadLetter, deadLetterKeptMs, tombstoneKeptMs } from '../../shared/dead-letter.ts'
import type { Clock } from './directory.laws.ts'

/** Runs `work` on an empty index. `rows` counts what storage holds, tombstones included. */
export type WithLetters = (
  work: (letters: DeadLettersObject, clock: Clock, rows: () => number) => void,
) => Promise<void>

const start = 1_800_000_000_000

export function letter(id: string, more: Partial<DeadLetter> = {}): DeadLetter {
  return {
    v: 1,
    id,
    delivery: id,
    agent: 'ann',
    kind: 'delivery',
    reason: 'attempts_exhausted',
    error: { code: 'http', message: 'answered 500', httpStatus: 500 },
    attempts: [],
    at: start,
    redrives: 0,
    message: {
      specversion: '1.0',
      id: 'm',
      source: 'bob',
      type: 't',
      time: '2027-01-15T08:00:00Z',
      correlationid: 'm',
    },
    ...more,
  }
}

const ids = (page: { readonly items: readonly DeadLetter[] }) => page.items.map((one) => one.id)

export function letterLaws(withLetters: WithLetters): void {
  const law = (name: string, work: Parameters<WithLetters>[0]) =>
    it(name, () =>
      withLetters((letters, clock, rows) => {
        clock.at = start
        work(letters, clock, rows)
      }),
    )

  law('a letter buried twice is one letter, the first', (letters) => {
    letters.bury([letter('a')])
    letters.bury([letter('a', { reason: 'terminal' })])
    expect(letters.list({}, undefined, 10)).toEqual({ items: [letter('a')] })
    expect(letters.get('a')).toEqual(letter('a'))
  })

  law('an agent’s are those since it was registered, listed and grouped', (letters) => {
    const fingerprint = 'a'.repeat(26)
    letters.bury([0, 1, 2].map((n) => letter(`l-${n}`, { at: start - n, fingerprint })))
    const of = { agent: 'ann', since: start - 1 }
    expect(ids(letters.list(of, undefined, 10))).toEqual(['l-0', 'l-1'])
    expect(letters.groups(of, undefined, 10).items).toMatchObject([{ count: 2, oldestAt: start - 1 }])
    expect(letters.groups({ agent: 'ann', since: start + 1 }, undefined, 10).items).toEqual([])
    expect(letters.list({ agent: 'ann', since: 0 }, undefined, 10).items).toHaveLength(3)
  })

  law('letters come newest first, and pages meet without gap or overlap', (letters) => {
    // Two died in one millisecond: the id decides, always in the same way.
    const all = ['a', 'b', 'c', 'd', 'e'].map((id, i) => letter(id, { at: start - Math.floor(i / 2) }))
    letters.bury(all)
    const seen: string[] = []
    let cursor: string | undefined
    do {
      // Pages of three end amid a pair.
      const page: ReturnType<DeadLettersObject['list']> = letters.list({}, cursor, 3)
      seen.push(...ids(page))
      cursor = page.cursor
    } while (cursor !== undefined)
    expect(seen).toEqual(['b', 'a', 'd', 'c', 'e'])
  })

  law('a cursor stays good while newer letters come and its own letter goes', (letters) => {
    letters.bury(['a', 'b', 'c', 'd'].map((id, i) => letter(id, { at: start - i })))
    const { cursor } = letters.list({}, undefined, 2)
    letters.bury([letter('new', { at: start + 1 })])
    letters.remove('b')
    expect(ids(letters.list({}, cursor, 2))).toEqual(['c', 'd'])
  })

  law('a cursor that is nonsense begins at the newest', (letters) => {
    letters.bury([letter('a')])
    for (const cursor of ['', 'nonsense', 'x.y', '.a']) expect(ids(letters.list({}, cursor, 10))).toEqual(['a'])
  })

  law('filters by agent, by reason and by both', (letters) => {
    letters.bury([
      letter('a', { agent: 'ann', reason: 'terminal' }),
      letter('b', { agent: 'bob', reason: 'terminal' }),
      letter('c', { agent: 'ann', reason: 'expired' }),
    ])
    expect(ids(letters.list({ agent: 'ann' }, undefined, 10))).toEqual(['c', 'a'])
    expect(ids(letters.list({ reason: 'terminal' }, undefined, 10))).toEqual(['b', 'a'])
    expect(ids(letters.list({ agent: 'ann', reason: 'expired' }, undefined, 10))).toEqual(['c'])
    expect(letters.list({ agent: 'ann' }, undefined, 1).cursor).toBeDefined()
  })

  law('a page ends early rather than outgrow one call, and goes on where it ended', (letters) => {
    const bulky = Array.from({ length: 50 }, (_, n) => ({
      number: n,
      startedAt: start,
      endedAt: start,
      outcome: 'retry',
      counted: true,
      error: { code: 'http', message: 'm', body: 'x'.repeat(4_096) },
    }))
    letters.bury(Array.from({ length: 30 }, (_, i) => letter(`l-${i}`, { at: start - i, attempts: bulky })))
    const first = letters.list({}, undefined, 30)
    expect(first.items.length).toBeLessThan(25)
    const second = letters.list({}, first.cursor, 30)
    expect(new Set([...ids(first), ...ids(second)]).size).toBe(30)
    expect(second.cursor).toBeUndefined()
  })
}

/** Of letters by what they died of. `old` is a table as it was before letters had fingerprints, with one letter in it. */
export function groupLaws(withLetters: WithLetters, old: WithLetters): void {
  const on = (index: WithLetters, name: string, work: Parameters<WithLetters>[0]) =>
    it(name, () =>
      index((letters, clock, rows) => {
        clock.at = start
        work(letters, clock, rows)
      }),
    )
  const law = (name: string, work: Parameters<WithLetters>[0]) => on(withLetters, name, work)
  const [alike, other] = ['a'.repeat(26), 'b'.repeat(26)]
  const print = (id: string, fingerprint: string, more: Partial<DeadLetter> = {}) =>
    letter(id, { fingerprint, ...more })

  law('letters of one fingerprint and reason are one group, the newest first', (letters) => {
    letters.bury([
      print('a', alike, { at: start - 5 }),
      print('b', other, { at: start - 4 }),
      print('c', alike, { at: start - 3, agent: 'bob', error: { code: 'http', message: 'answered 502' } }),
      print('d', alike, { at: start - 9, reason: 'poison' }),
    ])
    expect(letters.groups({}, undefined, 10)).toEqual({
      items: [
        {
          fingerprint: alike,
          reason: 'attempts_exhausted',
          count: 2,
          agents: ['ann', 'bob'],
          newestAt: start - 3,
          oldestAt: start - 5,
          example: { id: 'c', error: { code: 'http', message: 'answered 502' } },
        },
        expect.objectContaining({ fingerprint: other, count: 1, newestAt: start - 4, oldestAt: start - 4 }),
        expect.objectContaining({ fingerprint: alike, reason: 'poison', count: 1, agents: ['ann'] }),
      ],
    })
  })

  law('of one agent, a group counts and shows that agent’s letters only', (letters) => {
    letters.bury([print('a', alike, { at: start - 1 }), print('b', alike, { agent: 'bob' })])
    const [group, ...more] = letters.groups({ agent: 'ann' }, undefined, 10).items
    expect(more).toEqual([])
    expect(group).toMatchObject({ count: 1, agents: ['ann'], newestAt: start - 1, example: { id: 'a' } })
    expect(letters.groups({ agent: 'eve' }, undefined, 10).items).toEqual([])
  })

  law('pages of groups meet without gap or overlap, also among those of one millisecond', (letters) => {
    const all = [...'abcdefg'].map((id, i) => print(id, id.repeat(26), { at: start - Math.floor(i / 3) }))
    letters.bury(all)
    const seen: string[] = []
    let cursor: string | undefined
    do {
      const page: ReturnType<DeadLettersObject['groups']> = letters.groups({}, cursor, 2)
      seen.push(...page.items.map((g) => g.example.id))
      cursor = page.cursor
    } while (cursor !== undefined)
    expect(seen).toEqual(['c', 'b', 'a', 'f', 'e', 'd', 'g'])
    for (const nonsense of ['', 'x', `${start}`, `.${alike}.poison`])
      expect(letters.groups({}, nonsense, 10).items).toHaveLength(7)
  })

  law('a group names ten agents however many it has', (letters) => {
    const names = Array.from({ length: 30 }, (_, i) => `${'n'.repeat(62)}${10 + i}`)
    letters.bury(names.map((agent) => print(agent, alike, { agent })))
    const [group] = letters.groups({}, undefined, 10).items
    expect(group?.count).toBe(30)
    expect(group?.agents).toHaveLength(10)
    expect(names).toEqual(expect.arrayContaining([...(group?.agents ?? [])]))
  })

  law('what was removed, or is past keeping, is in no group', (letters, clock) => {
    letters.bury([print('a', alike), print('b', alike, { at: start + 1 })])
    letters.remove('b')
    expect(letters.groups({}, undefined, 10).items).toMatchObject([{ count: 1, example: { id: 'a' } }])
    clock.at = start + deadLetterKeptMs
    expect(letters.groups({}, undefined, 10).items).toEqual([])
  })

  law('the list is filtered by fingerprint, alone and with the rest', (letters) => {
    letters.bury([print('a', alike), print('b', other), print('c', alike, { agent: 'bob' }), letter('d')])
    expect(ids(letters.list({ fingerprint: alike }, undefined, 10))).toEqual(['c', 'a'])
    expect(ids(letters.list({ fingerprint: alike, agent: 'bob' }, undefined, 10))).toEqual(['c'])
    expect(ids(letters.list({ fingerprint: other, reason: 'terminal' }, undefined, 10))).toEqual([])
  })

  on(
    old,
    'letters written before there were fingerprints are listed, in no group, and new ones join them',
    (letters) => {
      expect(ids(letters.list({}, undefined, 10))).toEqual(['old'])
      letters.bury([print('a', alike, { at: start + 1 })])
      expect(ids(letters.list({}, undefined, 10))).toEqual(['a', 'old'])
      expect(letters.groups({}, undefined, 10).items).toMatchObject([{ fingerprint: alike, count: 1 }])
    },
  )
}

/** The table of before, with a letter named `old`. */
export const oldTable = [
  `CREATE TABLE letters (
     id TEXT PRIMARY KEY, at INTEGER NOT NULL, agent TEXT NOT NULL, reason TEXT NOT NULL, removed_at INTEGER, record TEXT
   ) WITHOUT ROWID`,
  'CREATE INDEX letters_kept ON letters (at, id, agent, reason) WHERE removed_at IS NULL',
  `INSERT INTO letters VALUES ('old', ${start}, 'ann', 'attempts_exhausted', NULL, '${JSON.stringify(letter('old'))}')`,
]

export function removalLaws(withLetters: WithLetters): void {
  const law = (name: string, work: Parameters<WithLetters>[0]) =>
    it(name, () =>
      withLetters((letters, clock, rows) => {
        clock.at = start
        work(letters, clock, rows)
      }),
    )

  law('a removed letter is gone, and removing it again says so', (letters) => {
    letters.bury([letter('a')])
    expect(letters.remove('a')).toBe(true)
    expect(letters.get('a')).toBeUndefined()
    expect(letters.list({}, undefined, 10).items).toEqual([])
    expect(letters.remove('a')).toBe(false)
  })

  law('a late repeat of a burial does NOT bring a removed letter back', (letters, clock) => {
    letters.bury([letter('a')])
    clock.at += 60_000
    letters.remove('a')
    clock.at += tombstoneKeptMs - 1
    letters.bury([letter('a'), letter('other')])
    expect(ids(letters.list({}, undefined, 10))).toEqual(['other'])
  })

  law('a burial that comes after its own removal does NOT stay', (letters, clock) => {
    clock.at += 60_000
    expect(letters.remove('a')).toBe(false)
    letters.bury([letter('a')])
    expect(letters.get('a')).toBeUndefined()
  })

  law('a refused effect stays removed although its repeat bears a later date', (letters) => {
    const refused = letter('a-e1', { kind: 'effect', reason: 'effect_refused' })
    letters.bury([refused])
    letters.remove('a-e1')
    letters.bury([{ ...refused, at: start + 60_000 }])
    expect(letters.get('a-e1')).toBeUndefined()
  })

  law('another death under the same id is another letter (the agent was deleted and made anew)', (letters, clock) => {
    letters.bury([letter('a')])
    letters.bury([letter('a', { at: start + 1_000, reason: 'terminal' })])
    expect(letters.get('a')?.reason).toBe('terminal')
    letters.remove('a')
    clock.at += 10_000
    letters.bury([letter('a', { at: start + 5_000, reason: 'expired' })])
    expect(ids(letters.list({}, undefined, 10))).toEqual(['a'])
  })

  law('a letter is kept for 30 days and not shown after', (letters, clock) => {
    letters.bury([letter('a')])
    clock.at = start + deadLetterKeptMs - 1
    expect(letters.get('a')).toBeDefined()
    clock.at = start + deadLetterKeptMs
    expect(letters.get('a')).toBeUndefined()
    expect(letters.list({}, undefined, 10).items).toEqual([])
  })

  law('what is past keeping goes a bounded number at a time, faster than new letters come', (letters, clock, rows) => {
    for (let i = 0; i < 40; i++) letters.bury([letter(`old-${i}`)])
    for (let i = 0; i < 10; i++) letters.remove(`old-${i}`)
    expect(rows()).toBe(40)
    clock.at = start + deadLetterKeptMs
    letters.bury([letter('new-0', { at: clock.at })])
    // 4 letters and 4 tombstones gave way to 1.
    expect(rows()).toBe(33)
    for (let i = 1; i < 12; i++) letters.bury([letter(`new-${i}`, { at: clock.at })])
    expect(rows()).toBe(12)
  })
}
