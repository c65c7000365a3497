/**
 * What the rows of gathers must do, over whatever SQLite they lie in: workerd's (test/durable-objects/gather-rows.test.ts) and the
 * simulator's (test/simulator/gather-rows.test.ts). Never here: what becomes of a gather.
 */
import { expect, it } from 'vitest'
import { GatherStore } from '../../durable-objects/gather-store.ts'
import { type Arrival, arrive } from '../../shared/arrival.ts'
import { type Gather, gatherId, openGather } from '../../shared/gather.ts'
import { digest, rowKey } from '../../shared/ids.ts'
import type { StoragePort } from '../../shared/ports.ts'

type Sql = StoragePort['sql']

/** Runs `work` on a storage with nothing in it. */
export type WithStorage = (work: (storage: StoragePort) => void) => Promise<void>

const head = {
  specversion: '1.0',
  id: 'm',
  source: 'admin',
  type: 'x',
  time: '',
  correlationid: 'm',
  to: 'ada',
} as const

function opened(id: string, scatter?: Gather['scatter']): Gather {
  const opening = { id, owner: 'admin', contentHash: id, head, hops: 0, timeoutMs: 60_000, path: [] }
  const more = { join: { kind: 'all' }, onTimeout: { kind: 'error' } } as const
  const agents = scatter === undefined ? ['ada'] : ['ada', 'bob']
  return openGather(undefined, { ...opening, ...more, agents, ...(scatter === undefined ? {} : { scatter }) }, 0).gather
}

function replied(gather: Gather): Gather {
  const arrival: Arrival = { by: 'ada', key: 'k', delivery: 'd', of: { id: `${gather.id}-1`, source: 'admin' } }
  return arrive(gather, arrival, 1)[0]
}

/** Ids whose digests begin alike. */
const alike = (n: number, agent = '') => `r-${'k'.repeat(10)}${'abcdefghij'.charAt(n)}${'z'.repeat(15)}${agent}`
const some = [3, 0, 7, 1].map((n) => alike(n, n > 2 ? '_ada' : ''))

function storeOf(storage: StoragePort, ids: readonly string[] = []): GatherStore {
  const store = new GatherStore(storage)
  storage.transactionSync(() => {
    store.make()
    for (const id of ids) store.insert(opened(id), 10, [`asks ${id}`])
  })
  return store
}

const keyOf = (sql: Sql, id: string) =>
  Number(sql.exec('SELECT key FROM gathers WHERE id = ?', id).toArray()[0]?.['key'])
const tableOf = (sql: Sql) =>
  String(sql.exec("SELECT sql FROM sqlite_master WHERE name = 'gathers'").toArray()[0]?.['sql'])
const indexes = (sql: Sql) =>
  sql.exec("SELECT tbl_name AS name FROM sqlite_master WHERE type = 'index' AND name = 'gathers_by_due'").toArray()

/** Lays the rows out as they were before numbers. */
export function asBefore(sql: Sql): void {
  const statements = [
    'DROP INDEX gathers_by_due',
    'ALTER TABLE gathers RENAME TO numbered',
    `CREATE TABLE gathers (
       id TEXT PRIMARY KEY, due_at INTEGER NOT NULL, record TEXT NOT NULL, ask TEXT, reply TEXT
     ) WITHOUT ROWID`,
    'CREATE INDEX gathers_by_due ON gathers (due_at)',
    'INSERT INTO gathers SELECT id, due_at, record, ask, reply FROM numbered',
    'DROP TABLE numbered',
  ]
  for (const statement of statements) sql.exec(statement)
}

/** Are the rows found by numbers, each by that of its digest? */
export function expectNumbered(sql: Sql): void {
  expect(tableOf(sql)).toContain('key INTEGER PRIMARY KEY')
  expect(indexes(sql)).toEqual([{ name: 'gathers' }])
  for (const { id, key } of sql.exec('SELECT id, key FROM gathers').toArray())
    expect(Number(key) - rowKey(String(id).slice(2, 28))).toBeOneOf([0, 1, 2, 3, 4, 5, 6, 7])
}

export function gatherRowLaws(withStorage: WithStorage): void {
  it('is numbered by the digest in its id alone, whatever begins the id and whichever agent ends it', () =>
    withStorage((storage) => {
      const digests = ['a', 'b', 'c', 'd', 'e'].map((text) => digest(text))
      const [r = '', s = '', g = '', ada = '', long = ''] = digests
      const ids = [`r-${r}`, `s-${s}`, `g-${g}`, `r-${ada}_ada`, `r-${long}_${'zz-7'.repeat(16)}`]
      storeOf(storage, ids)
      expect(ids.map((id) => keyOf(storage.sql, id))).toEqual(digests.map(rowKey))
      expectNumbered(storage.sql)
    }))

  it('of an id that begins like another’s is its own: read, written, put off and removed (S2)', () =>
    withStorage((storage) => {
      const store = storeOf(storage, some)
      const [one = '', two = '', three = '', four = ''] = some
      for (const id of some)
        expect([store.load(id)?.id, store.texts(id, 'ask')]).toEqual([id, [{ n: 1, body: `asks ${id}` }]])
      for (const other of [alike(2), alike(3), alike(0, '_ada')]) {
        expect([store.load(other), store.texts(other, 'ask'), store.reply(other, 1)]).toEqual([
          undefined,
          [],
          undefined,
        ])
        store.forget(other)
      }
      const before = opened(two)
      store.update(before, replied(before), 30, { n: 1, body: 'answers' })
      store.dueLater(three, 20)
      store.forget(one)
      expect(some.map((id) => store.load(id)?.outcome?.status)).toEqual([undefined, 'replied', undefined, undefined])
      expect(some.map((id) => store.reply(id, 1))).toEqual([undefined, 'answers', undefined, undefined])
      expect(some.map((id) => store.texts(id, 'ask').length)).toEqual([0, 0, 1, 1])
      expect([10, 20, 30].map((now) => store.due(now, 9))).toEqual([[four], [four, three], [four, three, two]])
      expect([store.holdsOnly([two, three, four]), store.holdsOnly([two, three])]).toEqual([true, false])
    }))

  it('takes the place of an earlier one of its id, with all that there was of it', () =>
    withStorage((storage) => {
      const id = alike(1)
      const store = storeOf(storage, [alike(0), id])
      const key = keyOf(storage.sql, id)
      store.keep(id, 'reply', 2, 'late')
      store.insert(opened(id), 50, ['asks again'])
      expect([keyOf(storage.sql, id), store.texts(id, 'ask'), store.texts(id, 'reply')]).toEqual([
        key,
        [{ n: 1, body: 'asks again' }],
        [],
      ])
      expect(store.due(50, 9)).toEqual([alike(0), id])
    }))

  it('is refused, rather than written over another, when all eight numbers are taken', () =>
    withStorage((storage) => {
      const store = storeOf(
        storage,
        Array.from({ length: 8 }, (_, n) => alike(n)),
      )
      expect(() => store.insert(opened(alike(8)), 10, [])).toThrow('no place')
      expect(store.due(10, 20)).toHaveLength(8)
    }))

  it('of before is laid out anew when it is first looked at, within a step that writes or not, and nothing is lost (M1)', () =>
    withStorage((storage) => {
      const { sql } = storage
      const ids = Array.from({ length: 200 }, (_, i) =>
        gatherId('admin', undefined, `dice ${i}`, i % 2 ? 'ada' : undefined, i),
      )
      const store = storeOf(storage, [...some, ...ids])
      const scatter = opened(`s-${digest('s')}`, {})
      store.insert(scatter, 5, ['common', 'one', 'two'])
      const before = opened(ids[0]!)
      store.update(before, replied(before), 40, { n: 1, body: 'answers' })
      const rows = () => sql.exec('SELECT id, due_at, record, ask, reply FROM gathers ORDER BY id').toArray()
      for (const look of [
        () => new GatherStore(storage).earliestDueAt(),
        () => storage.transactionSync(() => new GatherStore(storage).isMade()),
      ]) {
        const all = rows()
        asBefore(sql)
        look()
        const again = new GatherStore(storage)
        expect(again.isMade()).toBe(true)
        expect(rows()).toEqual(all)
        expectNumbered(sql)
        expect([again.load(scatter.id), again.texts(scatter.id, 'ask').map(({ body }) => body)]).toEqual([
          scatter,
          ['common', 'one', 'two'],
        ])
        for (const id of [...some, ...ids]) expect(again.load(id)?.id).toBe(id)
        expect([again.due(5, 9), again.reply(ids[0]!, 1)]).toEqual([[scatter.id], 'answers'])
      }
    }))
}
