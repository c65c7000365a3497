/**
 * What the rows of deliveries must do, over whatever SQLite they lie in: workerd's (test/durable-objects/delivery-rows.test.ts) and the
 * simulator's (test/simulator/delivery-rows.test.ts). Never here: a mailbox.
 */
import { expect, it } from 'vitest'
import {
  columnOf,
  copy,
  type DeliveryRow,
  deliveryColumns,
  homeOf,
  leastReach,
  place,
  type Reach,
} from '../../durable-objects/delivery-rows.ts'
import { deliveryId, digest } from '../../shared/ids.ts'
import type { StoragePort } from '../../shared/ports.ts'

type Sql = StoragePort['sql']

/** Runs `work` on a storage with nothing in it. */
export type WithSql = (work: (sql: Sql) => void) => Promise<void>

export const row = (id: string, live = 1): DeliveryRow => [id, live, 1, null, `record of ${id}`, null]

export function made(sql: Sql, ...names: string[]): void {
  for (const name of names) sql.exec(`CREATE TABLE ${name} (${deliveryColumns})`)
}

const usual = (): Reach => ({ of: leastReach })

/** Ids whose digests begin alike. */
const alike = (n: number) => `ada_${'k'.repeat(10)}${'abcdefghijklmnopqrstuvwxyz'.charAt(n)}${'z'.repeat(15)}`

export function rowLaws(withSql: WithSql): void {
  it('of an id that begins like another`s is its own, in whichever order they came', () =>
    withSql((sql) => {
      made(sql, 'a')
      for (const n of [3, 0, 7, 1]) place(sql, 'a', usual(), row(alike(n)))
      for (const n of [3, 0, 7, 1])
        expect(columnOf(sql, ['a'], usual(), 'record', alike(n))).toBe(`record of ${alike(n)}`)
      expect(columnOf(sql, ['a'], usual(), 'record', alike(2))).toBeUndefined()
      expect(homeOf(sql, ['a'], usual(), alike(2))).toBeUndefined()
    }))

  it('finds a place further on when all numbers within reach are taken, and all are looked for as far from then on', () =>
    withSql((sql) => {
      made(sql, 'a')
      const crowded: Reach = { of: leastReach }
      for (let n = 0; n < 8; n++) place(sql, 'a', crowded, row(alike(n)))
      expect(crowded.of).toBe(8)
      for (let n = 8; n < 20; n++) place(sql, 'a', crowded, row(alike(n)))
      expect(crowded.of).toBe(32)
      for (let n = 0; n < 20; n++)
        expect(columnOf(sql, ['a'], crowded, 'record', alike(n))).toBe(`record of ${alike(n)}`)
      expect(columnOf(sql, ['a'], crowded, 'record', alike(20))).toBeUndefined()
    }))

  it('is found in whichever of many tables it lies, and nowhere when it lies in none', () =>
    withSql((sql) => {
      // As many as there may be: a bucket for each sixth of the retention and the open one, some that are late to go, and `kept`.
      const tables = Array.from({ length: 12 }, (_, n) => `t${n}`)
      made(sql, ...tables)
      tables.forEach((table, n) => {
        place(sql, table, usual(), row(deliveryId('ada', digest(String(n)))))
      })
      tables.forEach((table, n) => {
        const id = deliveryId('ada', digest(String(n)))
        expect([homeOf(sql, tables, usual(), id), columnOf(sql, tables, usual(), 'record', id)]).toEqual([
          table,
          `record of ${id}`,
        ])
      })
      expect(homeOf(sql, tables, usual(), deliveryId('ada', digest('x')))).toBeUndefined()
      expect(columnOf(sql, [], usual(), 'record', deliveryId('ada', digest('0')))).toBeUndefined()
    }))

  it('moves to a table where its number is taken, and both are found there', () =>
    withSql((sql) => {
      made(sql, 'a', 'kept')
      place(sql, 'kept', usual(), row(alike(1)))
      place(sql, 'a', usual(), row(alike(2)))
      place(sql, 'a', usual(), row(alike(3), 0))
      place(sql, 'a', usual(), row(deliveryId('ada', digest('x'))))
      copy(sql, 'a', 'kept', usual(), 'live = 1')
      for (const id of [alike(1), alike(2), deliveryId('ada', digest('x'))])
        expect(homeOf(sql, ['kept'], usual(), id)).toBe('kept')
      expect(homeOf(sql, ['kept'], usual(), alike(3))).toBeUndefined()
    }))
}
