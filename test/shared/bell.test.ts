/** The bell of one invocation (shared/bell.ts). */
import { describe, expect, it } from 'vitest'
import { Bell } from '../../shared/bell.ts'

describe('who listens for one thing', () => {
  it('is woken once by its ring, and by nobody else’s', () => {
    const bell = new Bell()
    const woken: string[] = []
    bell.listen('g-1', () => woken.push('g-1'))
    bell.ring('g-2')
    expect(woken).toEqual([])
    bell.ring('g-1')
    bell.ring('g-1')
    expect(woken).toEqual(['g-1'])
  })

  it('is woken at once by what rang while it was asking, and not twice', () => {
    const bell = new Bell()
    let woken = 0
    bell.ring('g-1')
    bell.listen('g-1', () => woken++)
    expect(woken).toBe(1)
    bell.listen('g-1', () => woken++)
    expect(woken).toBe(1)
  })

  it('hears nothing once it has stopped listening', () => {
    const bell = new Bell()
    let woken = 0
    bell.listen('g-1', () => woken++)()
    bell.ring('g-1')
    expect(woken).toBe(0)
  })
})
