/** What a mailbox knows after its memory is gone: only its rows. Never here: queues, receivers, chance (simulator.test.ts). */
import { afterEach, describe, expect, it, vi } from 'vitest'
import { WorkflowObject } from '../../durable-objects/workflow.ts'
import type { Registration } from '../../shared/agent.ts'
import { limits } from '../../shared/limits.ts'
import type { Outcome } from '../../shared/outcome.ts'
import { fail, hour, incoming, later, minute, ok, retry, second, start } from '../shared/mailbox-fixtures.ts'
import { LoneMailbox } from './lone-mailbox.ts'
import { SimStorage } from './storage.ts'

const webhook = { kind: 'webhook', url: 'http://127.0.0.1/ada' } as const
const pull = { kind: 'pull' } as const

class Home extends LoneMailbox {
  constructor(registration: Registration) {
    super()
    this.enrol(registration)
  }

  /** The process dies, and what the object does by itself when it is made anew is done. */
  async comeBack(): Promise<void> {
    this.restart()
    await Promise.resolve()
    await Promise.resolve()
  }

  async ring(): Promise<void> {
    this.now = Math.max(this.now, this.storage.alarmAt ?? this.now)
    this.storage.alarmAt = null
    await this.object.alarm()
  }

  accept(id: string): string {
    const [admission] = this.object.accept([incoming(id)], `accept-${id}`).admissions
    if (admission?.status !== 'accepted') throw new Error(`${id} was not accepted`)
    return admission.id
  }

  take(id: string, token = 'take'): string {
    const [lease] = this.object.take([id], token).leases
    if (lease === undefined) throw new Error(`${id} was not taken`)
    return lease.token
  }

  settle(id: string, token: string, outcome: Outcome, external = false): string | undefined {
    return this.object.settle([{ id, token, outcome, external }]).settlements[0]?.status
  }

  status(id: string): string | undefined {
    return this.object.receipt(id)?.status
  }
}

describe('after a restart', () => {
  it('M1: what was accepted is still there, and released anew by the alarm (A8, A14)', async () => {
    const home = new Home(webhook)
    const id = home.accept('a')
    await home.comeBack()
    expect(home.object.describe()?.figures).toMatchObject({ depth: 1, inFlight: 0, released: 0 })
    await home.ring()
    expect(home.sent).toEqual([[id]])
  })

  it('M1: the repeat of an accept gets the same answer, and a second send is a duplicate (A14)', async () => {
    const home = new Home(webhook)
    const id = home.accept('a')
    await home.comeBack()
    expect(home.object.accept([incoming('a')], 'accept-a').admissions).toEqual([{ status: 'accepted', id }])
    expect(home.object.accept([incoming('a')], 'another').admissions).toEqual([{ status: 'duplicate', id }])
  })

  it('M2: a result is still there, and the report that gave it is still a repeat', async () => {
    const home = new Home(webhook)
    const id = home.accept('a')
    const token = home.take(id)
    home.settle(id, token, ok('first'))
    await home.comeBack()
    expect(home.settle(id, token, ok('second'))).toBe('settled')
    expect(home.object.receipt(id)).toMatchObject({ status: 'completed', result: 'first' })
  })

  it('E1: an open journal is asked for by the alarm', async () => {
    const home = new Home(webhook)
    const id = home.accept('a')
    home.settle(id, home.take(id), ok('r', { messages: [{ to: 'bob', type: 'next' }] }))
    await home.comeBack()
    await home.ring()
    expect(home.chores).toEqual([[id]])
    expect(home.object.unfinished([id]).unfinished).toMatchObject([{ id, effects: [{ n: 1 }] }])
  })

  it('M1: a dead letter that the index does not have is buried', async () => {
    const home = new Home(webhook)
    const id = home.accept('a')
    home.settle(id, home.take(id), fail())
    await home.comeBack()
    await home.ring()
    expect(home.object.unfinished([id]).unfinished).toMatchObject([{ id, burial: { reason: 'terminal' } }])
  })

  it('a lease that an outsider holds is in force, under the same token and until the same time', async () => {
    const home = new Home(pull)
    const id = home.accept('a')
    const [lease] = home.object.lease(1, minute, 'lease').leases
    await home.comeBack()
    expect(home.status(id)).toBe('claimed')
    home.now += 59 * second
    expect(home.settle(id, lease?.token ?? '', ok('done'), true)).toBe('settled')
  })

  it('that an extension made it claimed, and how far the work was, is still told', async () => {
    const home = new Home({ ...webhook, policy: { ack: 'later', ackSeconds: 60 } })
    const id = home.accept('a')
    const token = home.take(id)
    home.settle(id, token, later)
    home.now += second
    home.object.extend(id, token, minute, { percent: 40 })
    await home.comeBack()
    const told = home.object.receipt(id)
    expect(told).toMatchObject({ status: 'claimed', progress: { percent: 40 } })
    expect(told?.steps.map((s) => s.step)).toEqual(['accepted', 'queued', 'dispatched', 'delivered', 'claimed'])
  })

  it('so is the window of a 202', async () => {
    const home = new Home({ ...webhook, policy: { ack: 'later', ackSeconds: 60 } })
    const id = home.accept('a')
    const token = home.take(id)
    home.settle(id, token, later)
    await home.comeBack()
    expect(home.status(id)).toBe('delivered')
    expect(home.settle(id, token, ok(), true)).toBe('settled')
  })

  it('M4: a lease that was settled is not in force again: its token is used, and nobody waits for its silence', async () => {
    const home = new Home(pull)
    const id = home.accept('a')
    const [lease] = home.object.lease(1, minute, 'lease').leases
    home.settle(id, lease?.token ?? '', retry(), true)
    await home.comeBack()
    expect(home.status(id)).toBe('held')
    expect(home.settle(id, lease?.token ?? '', ok('late'), true)).toBe('stale')
    expect(home.object.receipt(id)?.attempt).toBe(1)
  })

  it('M4: a lease that was not yet written counts as one that fell silent: the next one goes alone', async () => {
    const home = new Home(webhook)
    const id = home.accept('a')
    home.take(id)
    await home.comeBack()
    expect(home.object.receipt(id)).toMatchObject({ status: 'held', attempt: 0 })
    expect(home.object.take([id], 'in company').leases).toEqual([])
    expect(home.object.take([id], 'again', true).leases).toMatchObject([{ id, alone: true, attempt: 1 }])
  })

  it('M2: the consumer’s ok under such a lease counts, because nobody has begun anew', async () => {
    const home = new Home(webhook)
    const id = home.accept('a')
    const token = home.take(id)
    await home.comeBack()
    expect(home.settle(id, token, ok('done'))).toBe('settled')
    expect(home.object.receipt(id)).toMatchObject({ status: 'completed', result: 'done' })
  })

  it('M4: a lease that the alarm has written is in force', async () => {
    const home = new Home(webhook)
    const id = home.accept('a')
    const token = home.take(id)
    await home.ring()
    expect(home.now).toBe(start + 5 * second)
    await home.comeBack()
    expect(home.status(id)).toBe('dispatched')
    expect(home.settle(id, token, retry())).toBe('settled')
  })

  it('M3: numbers go on where they were (A84)', async () => {
    const home = new Home(webhook)
    home.accept('a')
    await home.comeBack()
    expect(home.object.receipt(home.accept('b'))?.sequence).toBe(2)
  })

  it('M6: an alarm that was lost with it is armed again', async () => {
    const home = new Home(webhook)
    home.accept('a')
    home.storage.alarmAt = null
    await home.comeBack()
    expect(home.storage.alarmAt).toBe(home.now)
  })
})

describe('a key that was passed on', () => {
  it('is remembered as long as its new holder, so that a late duplicate is one (because a forgotten first row would let it in again)', () => {
    const home = new Home(pull)
    const first = home.accept('a')
    home.object.cancel(first)
    // The re-send comes shortly before the first row is dropped with its bucket, and is done.
    const sweepFor = (hours: number) => {
      for (let i = 0; i < hours; i++) {
        home.now += hour
        home.object.sweep()
      }
    }
    sweepFor(47)
    const [again] = home.object.accept([incoming('a')], 'again').admissions
    if (again?.status !== 'accepted') throw new Error('the re-send was not accepted')
    const [lease] = home.object.lease(1, minute, 'lease').leases
    home.object.settle([{ id: again.id, token: lease?.token ?? '', outcome: ok(), external: true }])
    // The first bucket is gone; the second row's day is not over.
    sweepFor(10)
    expect(home.object.accept([incoming('a')], 'late').admissions).toEqual([{ status: 'duplicate', id: again.id }])
  })
})

describe('an agent that comes back or leaves, after a restart', () => {
  it('M6: a long line that its agent does not want is put aside to the end by the alarm (A116)', async () => {
    const home = new Home({ ...pull, policy: { depth: 2 * limits.catchUpPerStep } })
    home.object.pause('holiday', undefined)
    const ids = Array.from({ length: limits.catchUpPerStep + 2 }, (_, i) => home.accept(`m${i}`))
    home.object.resume('call', 'skip')
    const live = () => ids.filter((id) => home.status(id) !== 'cancelled').length
    expect(live()).toBe(2)
    await home.comeBack()
    expect(home.object.describe()?.agent.catchingUp).toEqual({ how: 'skip', from: start })
    await home.ring()
    expect(live()).toBe(0)
    expect(home.object.describe()?.agent.catchingUp).toBeUndefined()
  })

  it('M1: kept mail is still kept, and buried when nobody came back in time (A101)', async () => {
    const home = new Home(webhook)
    const id = home.accept('a')
    expect(home.object.retire({ keepMs: minute })).toEqual({ status: 'retired' })
    await home.comeBack()
    expect([home.object.describe(), home.status(id)]).toEqual([undefined, 'parked'])
    home.now += minute
    await home.comeBack()
    await home.ring()
    expect(home.object.unfinished([id]).unfinished).toMatchObject([{ id, burial: { reason: 'agent_left' } }])
    expect(home.object.retire(undefined)).toEqual({ status: 'unknown' })
  })
})

describe('after a restart, an alarm that is late', () => {
  afterEach(() => void vi.useRealTimers())

  /** Woken for its alarm, so late that it waits for a second: half of two, by its dice. */
  async function woken(lateMs = minute): Promise<{ home: Home; id: string; rung: Promise<void> }> {
    const home = new Home(webhook)
    const id = home.accept('a')
    vi.useFakeTimers()
    home.now = (home.storage.alarmAt ?? 0) + lateMs
    await home.comeBack()
    home.storage.alarmAt = null
    return { home, id, rung: home.object.alarm() }
  }

  it('reads its mail when its turn comes, so that a thousand of them do not keep every call waiting', async () => {
    const { home, id, rung } = await woken()
    const read = vi.spyOn(home.storage.sql, 'exec')
    await vi.advanceTimersByTimeAsync(second - 1)
    expect([read.mock.calls.length, home.sent]).toEqual([0, []])
    await vi.advanceTimersByTimeAsync(1)
    await rung
    expect([home.sent, home.storage.alarmAt]).toEqual([[[id]], expect.any(Number)])
  })

  it('waits for nothing if it is late by less than a quarter of a second', async () => {
    const { home, id, rung } = await woken(249)
    await rung
    expect(home.sent).toEqual([[id]])
  })

  it('M6: sees to what a call before its turn left, and is armed for it', async () => {
    const { home, rung } = await woken()
    const b = home.accept('b')
    expect(home.status(b)).toBe('queued')
    await vi.advanceTimersByTimeAsync(second)
    await rung
    const armed = home.storage.alarmAt ?? 0
    expect(armed).toBeLessThanOrEqual(home.now + 5 * second)
    home.take(b)
    expect(home.storage.alarmAt).toBeLessThanOrEqual(home.now + 5 * second)
  })

  it('M6: waits once; a failure to read is tried again soon', async () => {
    const { home, rung, id } = await woken()
    const { exec } = home.storage.sql
    vi.spyOn(console, 'error').mockImplementationOnce(() => undefined)
    home.storage.sql.exec = () => {
      throw new Error('disk I/O error (simulated)')
    }
    await vi.advanceTimersByTimeAsync(second)
    await rung
    expect([home.sent, home.storage.alarmAt]).toEqual([[], home.now + 5 * second])
    home.storage.sql.exec = exec
    void home.ring()
    await vi.advanceTimersByTimeAsync(0)
    expect(home.sent).toEqual([[id]])
  })

  it('of a workflow waits too, unless somebody has called it meanwhile', async () => {
    vi.useFakeTimers()
    const storage = new SimStorage()
    const queue = { send: () => Promise.resolve() }
    const woken = () => {
      const context = { id: { name: 'w' }, storage } as unknown as DurableObjectState
      return new WorkflowObject(context, { DELIVERIES: queue, WORK: queue }, { now: () => start, random: () => 0.5 })
    }
    const permissions = { send: [], publish: [], subscribe: [], readState: [], writeState: [], sources: [] }
    woken().create({ id: 'w', by: 'admin', permissions, creation: 'c', state: {}, keptMs: minute, budget: {} })
    const read = vi.spyOn(storage.sql, 'exec')
    const late = { scheduledTime: start - minute }
    const rung = woken().alarm(late)
    await vi.advanceTimersByTimeAsync(second - 1)
    expect(read).not.toHaveBeenCalled()
    await vi.advanceTimersByTimeAsync(1)
    await rung
    expect(read).toHaveBeenCalled()
    const called = woken()
    called.read({ source: 'admin', permitted: true })
    await called.alarm(late)
  })
})
