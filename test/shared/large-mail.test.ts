/** Mail too large for one answer: it is taken in parts, so that bodies of a megabyte never fill an isolate. */
import { describe, expect, it } from 'vitest'
import { limits } from '../../shared/limits.ts'
import { Box } from './mailbox-fixtures.ts'

const megabyte = 'x'.repeat(1_000_000)

describe('a take', () => {
  it('gives what one answer may carry, and names the rest, whose releases still hold their places', () => {
    const box = new Box()
    const ids = Array.from({ length: 10 }, (_, i) => box.put(`m${i}`, { data: megabyte }))
    const first = box.take(ids)
    const bytes = first.grants.reduce((sum, g) => sum + g.delivery.bodyBytes, 0)
    expect(bytes).toBeLessThanOrEqual(limits.leaseBytes)
    expect(first.grants.map((g) => g.delivery.id)).toEqual(ids.slice(0, 8))
    expect(first.rest).toEqual(ids.slice(8))
    const second = box.take(first.rest)
    expect(second.grants.map((g) => g.delivery.id)).toEqual(ids.slice(8))
    expect(second.rest).toEqual([])
  })

  it('repeated with its token gives the same leases and the same rest', () => {
    const box = new Box()
    const ids = Array.from({ length: 10 }, (_, i) => box.put(`m${i}`, { data: megabyte }))
    const first = box.take(ids, 'call')
    expect(box.take(ids, 'call').grants.map((g) => g.lease.token)).toEqual(
      expect.arrayContaining(first.grants.map((g) => g.lease.token)),
    )
  })
})
