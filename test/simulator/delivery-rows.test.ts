/** Rows are found by a number that is made of their id, and two ids of one number are never taken for each other. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  after,
  columnOf,
  copy,
  type DeliveryRow,
  deliveryColumns,
  homeOf,
  isAfter,
  place,
} from '../../durable-objects/delivery-rows.ts'
import { deliveryId, digest, rowKey } from '../../shared/ids.ts'
import { Scene } from './scene.ts'
import { SimStorage } from './storage.ts'

const row = (id: string, live = 1): DeliveryRow => [id, live, 1, null, `record of ${id}`, null]

function tables(...names: string[]) {
  const storage = new SimStorage()
  for (const name of names) storage.sql.exec(`CREATE TABLE ${name} (${deliveryColumns})`)
  return storage.sql
}

/** Ids whose digests begin alike. */
const alike = (n: number) => `ada_${'k'.repeat(10)}${'abcdefghij'.charAt(n)}${'z'.repeat(15)}`

describe('a row', () => {
  it('of an id that begins like another`s is its own, in whichever order they came', () => {
    const sql = tables('a')
    for (const n of [3, 0, 7, 1]) place(sql, 'a', row(alike(n)))
    for (const n of [3, 0, 7, 1]) expect(columnOf(sql, ['a'], 'record', alike(n))).toBe(`record of ${alike(n)}`)
    expect(columnOf(sql, ['a'], 'record', alike(2))).toBeUndefined()
    expect(homeOf(sql, ['a'], alike(2))).toBeUndefined()
  })

  it('is refused, rather than written over another, when all eight numbers are taken', () => {
    const sql = tables('a')
    for (let n = 0; n < 8; n++) place(sql, 'a', row(alike(n)))
    expect(() => place(sql, 'a', row(alike(8)))).toThrow('no place')
    expect(sql.exec('SELECT count(*) AS n FROM a').toArray()).toEqual([{ n: 8 }])
  })

  it('moves to a table where its number is taken, and both are found there', () => {
    const sql = tables('a', 'kept')
    place(sql, 'kept', row(alike(1)))
    place(sql, 'a', row(alike(2)))
    place(sql, 'a', row(alike(3), 0))
    place(sql, 'a', row(deliveryId('ada', digest('x'))))
    copy(sql, 'a', 'kept', 'live = 1')
    for (const id of [alike(1), alike(2), deliveryId('ada', digest('x'))])
      expect(homeOf(sql, ['kept'], id)).toBe('kept')
    expect(homeOf(sql, ['kept'], alike(3))).toBeUndefined()
  })
})

it('numbers are ordered as ids are, so a list goes through all of them once', () => {
  const ids = fc.uniqueArray(
    fc.string().map((text) => deliveryId('ada', digest(text))),
    { maxLength: 40 },
  )
  fc.assert(
    fc.property(ids, (some) => {
      const sql = tables('a')
      for (const id of some) place(sql, 'a', row(id))
      const listed: string[] = []
      for (;;) {
        const page = sql.exec(`SELECT id FROM a WHERE ${isAfter} ORDER BY key LIMIT 3`, ...after(listed.at(-1) ?? ''))
        const found = page.toArray().map(({ id }) => String(id))
        if (found.length === 0) break
        listed.push(...found)
      }
      expect(listed).toEqual([...some].sort())
      for (const id of some) expect(rowKey(id)).toBeLessThan(2 ** 50)
    }),
  )
})

it('tables of before, keyed by id, are laid out anew when the mailbox wakes, and nothing in them is lost', async () => {
  const scene = new Scene()
  const calls: string[] = []
  await scene.webhook('ada', ({ body }) => {
    calls.push(JSON.parse(body).data)
    return { status: 200 }
  })
  const done = await scene.send('ada', { data: 'done' })
  await scene.pass(1_000)
  const later = await scene.send('ada', {
    data: 'later',
    delivertime: new Date(scene.world.now + 60_000).toISOString(),
  })
  const { sql } = (await scene.sim.inspect('ada')).storage
  for (const table of ['kept', 'deliveries_1']) {
    sql.exec(`CREATE TABLE old AS SELECT id, live, sequence, keep_until, record, body FROM ${table}`)
    sql.exec(`DROP TABLE ${table}`)
    sql.exec(
      `CREATE TABLE ${table} (id TEXT PRIMARY KEY, live INTEGER NOT NULL, sequence INTEGER NOT NULL, keep_until INTEGER,
         record TEXT NOT NULL, body TEXT) WITHOUT ROWID; INSERT INTO ${table} SELECT * FROM old; DROP TABLE old`,
    )
  }
  sql.exec('CREATE INDEX kept_live ON kept (id) WHERE live = 1')
  scene.sim.crashEverything(true)
  await scene.pass(120_000)
  expect(calls).toEqual(['done', 'later'])
  for (const id of [done, later]) expect(await scene.receipt(id)).toMatchObject({ status: 'completed' })
  const made = sql.exec("SELECT name FROM sqlite_master WHERE sql LIKE '%id TEXT PRIMARY KEY%live%'").toArray()
  expect(made).toEqual([])
})
