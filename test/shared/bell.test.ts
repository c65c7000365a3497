/** The bell of one invocation (shared/bell.ts). */
import { describe, expect, it } from 'vitest'
import { Bell } from '../../shared/bell.ts'
import type { GatherReport } from '../../shared/gather-port.ts'

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

  it('is told what was said, also of what rang before, and is known to wait', () => {
    const bell = new Bell()
    const report = { gather: { id: 'r-1' }, replies: [] } as unknown as GatherReport
    const heard: unknown[] = []
    expect(bell.isAwaited('r-1')).toBe(false)
    bell.listen('r-1', (said) => heard.push(said))
    expect([bell.isAwaited('r-1'), bell.isAwaited('r-2')]).toEqual([true, false])
    bell.ring('r-1', report)
    expect(bell.isAwaited('r-1')).toBe(false)
    bell.ring('r-1', report)
    bell.listen('r-1', (said) => heard.push(said))
    bell.listen('r-1', (said) => heard.push(said))
    bell.ring('r-1')
    expect(heard).toEqual([report, report, undefined])
  })

  it('hears nothing once it has stopped listening', () => {
    const bell = new Bell()
    let woken = 0
    bell.listen('g-1', () => woken++)()
    bell.ring('g-1')
    expect(woken).toBe(0)
  })
})
