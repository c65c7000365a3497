/** Whether a puller is still there: known by its asking for mail, told to its senders, and hardly ever written for its own sake. */
import { describe, expect, it } from 'vitest'
import { awayOf, quietMs } from '../../shared/away.ts'
import { figuresOf, isWell } from '../../shared/figures.ts'
import { isGateChanged, newGate, readGate } from '../../shared/gate.ts'
import { pause } from '../../shared/upkeep.ts'
import { agentRecord, Box, hour, iso, minute, ok, second, start } from './mailbox-fixtures.ts'

const puller = () => new Box({ kind: 'pull' })
const well = (box: Box) => isWell({ agent: box.mailbox.agent!, figures: figuresOf(box.mailbox, box.now) }, box.now)
const never = { why: 'quiet: it has never asked for its mail' }

describe('a puller', () => {
  it('that has never asked is away, once it has had the time to', () => {
    const box = puller()
    const id = box.put('a')
    box.wait(quietMs - 1)
    expect([box.receipt(id).away, well(box)]).toEqual([undefined, true])
    box.wait(1)
    expect([box.receipt(id).away, well(box)]).toEqual([never, false])
    expect(figuresOf(box.mailbox, box.now).quiet).toBe(never.why)
  })

  it('is there while it asks, also in vain, and away since it asked last', () => {
    const box = puller()
    for (let asked = 0; asked < 20; asked++) {
      box.wait(5 * minute)
      expect(box.lease(1)).toEqual([])
      expect(well(box)).toBe(true)
    }
    const last = box.now
    box.wait(quietMs)
    const id = box.put('a')
    expect(box.receipt(id).away).toEqual({ since: iso(last), why: 'quiet: it asks for no mail any more' })
    expect(well(box)).toBe(false)
    expect(box.lease(1)).toHaveLength(1)
    expect(well(box)).toBe(true)
  })

  it('is there while it works, however long that takes', () => {
    const box = puller()
    const [id, next] = [box.put('a'), box.put('b')]
    box.lease(1, 5 * hour)
    box.wait(4 * hour)
    expect([box.receipt(next).away, well(box)]).toEqual([undefined, true])
    box.settle(id, ok(), { external: true })
    expect(box.receipt(next).away).toMatchObject({ since: iso(start) })
  })

  it('that is paused is away because of that, and asking while it is shows that it is there', () => {
    const box = puller()
    box.put('a')
    box.step((draft, now) => pause(draft, 'night', undefined, now))
    box.wait(hour)
    expect(awayOf(box.mailbox.agent!, box.mailbox.gate, false, box.now)?.why).toBe('paused: night')
    expect(box.lease(1)).toEqual([])
    expect(box.mailbox.gate.seen?.at).toBe(box.now)
  })

  it('is not known by another one that had its name', () => {
    const { gate } = puller().mailbox
    const seen = { ...gate, seen: { at: start + hour } }
    const successor = { ...agentRecord({ kind: 'pull' }), createdAt: start + 2 * hour }
    expect(awayOf(successor, seen, false, start + 3 * hour)).toEqual(never)
  })

  it('alone has presence: of who is called it says nothing', () => {
    const box = new Box()
    box.put('a')
    box.wait(hour)
    expect(well(box)).toBe(true)
  })
})

describe('that a puller asked', () => {
  it('is written now and then where it got nothing, and with its leases where it got something', () => {
    const box = puller()
    let written = 0
    const poll = () => {
      box.wait(50 * second)
      const before = box.mailbox.gate
      box.lease(1)
      if (isGateChanged(before, box.mailbox.gate)) written += 1
    }
    while (box.now < start + hour) poll()
    expect(written).toBe(12)
    const before = written
    for (let n = 0; n < 20; n++) {
      const id = box.put(`m${n}`)
      poll()
      box.settle(id, ok(), { external: true })
    }
    expect(written).toBe(before)
  })

  it('is no part of a record of before', () => {
    const { seen: _, ...before } = { ...newGate, seen: { at: start } }
    expect(readGate(JSON.stringify(before))).toEqual(newGate)
  })
})
