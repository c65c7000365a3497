/** Rows are found by a number that is made of their id, and two ids of one number are never taken for each other. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { after, isAfter, leastReach, place } from '../../durable-objects/delivery-rows.ts'
import { deliveryId, digest, mid, rowKey, unplacedMid } from '../../shared/ids.ts'
import { uuidv7 } from '../../workers/platform.ts'
import { made, row, rowLaws } from '../durable-objects/delivery-rows.laws.ts'
import { Scene } from './scene.ts'
import { SimStorage } from './storage.ts'

describe('a row', () => rowLaws(async (work) => work(new SimStorage().sql)))

it('numbers are ordered as ids are, so a list goes through all of them once', () => {
  const ids = fc.uniqueArray(
    fc.string().map((text) => deliveryId('ada', digest(text))),
    { maxLength: 40 },
  )
  fc.assert(
    fc.property(ids, (some) => {
      const { sql } = new SimStorage()
      made(sql, 'a')
      for (const id of some) place(sql, 'a', { of: leastReach }, row(id))
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

it('a message that was accepted before ids said when they were made is known by its key still', async () => {
  const scene = new Scene()
  await scene.pull('ada')
  const id = uuidv7(scene.world.now, new Uint8Array(10))
  const named = await scene.send('ada', { id })
  const { sql } = (await scene.sim.inspect('ada')).storage
  // As the version before this one had it.
  const unplaced = deliveryId('ada', unplacedMid('admin', id, 0))
  const [row] = sql.exec('SELECT record FROM deliveries_1').toArray()
  const record = String(row?.['record']).replaceAll(named, unplaced)
  sql.exec('UPDATE deliveries_1 SET key = ?, id = ?, record = ?', rowKey(unplaced), unplaced, record)
  sql.exec(`UPDATE meta SET value = replace(value, ',"placed":true', '') WHERE key = 'buckets'`)
  scene.sim.crashEverything(true)

  const [again] = await scene.publish([{ to: 'ada', type: 'test.note', id }])
  expect(again).toMatchObject({ ok: true, value: { duplicate: true, deliveries: [{ id: unplaced }] } })
  const [other] = await scene.publish([{ to: 'ada', type: 'another', id }])
  expect(other).toMatchObject({ ok: false, error: { code: 'key_reused' } })
  expect((await scene.sim.inspect('ada')).storage.sql.exec('SELECT count(*) AS n FROM deliveries_1').toArray()).toEqual(
    [{ n: 1 }],
  )
})

// Made up, with one source, so that their rows would have eight numbers between them.
const crowd = ['1a0bc2', '34a856', '1831cb', '2e8dfd', '0b6723', '331af6', '10122d', '2c32c5', '0c089f'].map(
  (end) => `019a8f3c-7b20-7000-8000-000000${end}`,
)

it('messages whose ids were made up to lie on each other are accepted, known and done like any others', async () => {
  const scene = new Scene()
  const calls: string[] = []
  await scene.webhook('ada', ({ body }) => {
    calls.push(JSON.parse(body).id)
    return { status: 200 }
  })
  const notes = crowd.map((id) => ({ to: 'ada', type: 'test.note', id, correlationid: 'crowd' }))
  const published = await scene.publish(notes)
  expect(published.filter((one) => one.ok)).toHaveLength(9)
  const { sql } = (await scene.sim.inspect('ada')).storage
  const [{ least, most } = {}] = sql.exec('SELECT min(key) AS least, max(key) AS most FROM deliveries_1').toArray()
  // Else this shows nothing.
  expect(Number(most) - Number(least)).toBeGreaterThanOrEqual(8)

  scene.sim.crashEverything(false)
  const again = await scene.publish(notes)
  expect(again.map((one) => one.ok && one.value.duplicate)).toEqual(crowd.map(() => true))
  await scene.pass(60_000)
  expect(calls.sort()).toEqual([...crowd].sort())
  const ids = crowd.map((id) => deliveryId('ada', mid('admin', id, 0)))
  for (const id of ids) expect(await scene.receipt(id)).toMatchObject({ status: 'completed' })

  const found: string[] = []
  for (let after: string | undefined = ''; after !== undefined; ) {
    const page: { readonly ids: readonly string[]; readonly cursor?: string } = await scene.done(
      scene.platform().agent('ada').correlated('crowd', after, 2),
    )
    found.push(...page.ids)
    after = page.cursor
  }
  expect(found.sort()).toEqual(ids.sort())
})
