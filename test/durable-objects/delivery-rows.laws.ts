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
  place,
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

/** Ids whose digests begin alike. */
const alike = (n: number) => `ada_${'k'.repeat(10)}${'abcdefghij'.charAt(n)}${'z'.repeat(15)}`

export function rowLaws(withSql: WithSql): void {
  it('of an id that begins like another`s is its own, in whichever order they came', () =>
    withSql((sql) => {
      made(sql, 'a')
      for (const n of [3, 0, 7, 1]) place(sql, 'a', row(alike(n)))
      for (const n of [3, 0, 7, 1]) expect(columnOf(sql, ['a'], 'record', alike(n))).toBe(`record of ${alike(n)}`)
      expect(columnOf(sql, ['a'], 'record', alike(2))).toBeUndefined()
      expect(homeOf(sql, ['a'], alike(2))).toBeUndefined()
    }))

  it('is refused, rather than written over another, when all eight numbers are taken', () =>
    withSql((sql) => {
      made(sql, 'a')
      for (let n = 0; n < 8; n++) place(sql, 'a', row(alike(n)))
      expect(() => place(sql, 'a', row(alike(8)))).toThrow('no place')
      expect(sql.exec('SELECT count(*) AS n FROM a').toArray()).toEqual([{ n: 8 }])
    }))

  it('moves to a table where its number is taken, and both are found there', () =>
    withSql((sql) => {
      made(sql, 'a', 'kept')
      place(sql, 'kept', row(alike(1)))
      place(sql, 'a', row(alike(2)))
      place(sql, 'a', row(alike(3), 0))
      place(sql, 'a', row(deliveryId('ada', digest('x'))))
      copy(sql, 'a', 'kept', 'live = 1')
      for (const id of [alike(1), alike(2), deliveryId('ada', digest('x'))])
        expect(homeOf(sql, ['kept'], id)).toBe('kept')
      expect(homeOf(sql, ['kept'], alike(3))).toBeUndefined()
    }))
}
