/** What was read lately is kept for a short time and in a bounded number. */
import { expect, it } from 'vitest'
import { Recent } from '../../workers/recent.ts'

it('a value is there until its time, and not at it', () => {
  const recent = new Recent<string>(10)
  recent.set('a', 'x', 1_000)
  expect([recent.get('a', 999), recent.get('a', 1_000), recent.get('b', 0)]).toEqual(['x', undefined, undefined])
})

it('the one set longest ago gives way when it is full, and setting one again makes it the youngest', () => {
  const recent = new Recent<number>(2)
  recent.set('a', 1, 9)
  recent.set('b', 2, 9)
  recent.set('a', 3, 9)
  recent.set('c', 4, 9)
  expect(['a', 'b', 'c'].map((name) => recent.get(name, 0))).toEqual([3, undefined, 4])
})
