/**
 * An agent's mailbox that has the requests which the agent was asked: what opens one and what asks, what is settled and what arrives, are
 * one write each. Never here: what becomes of a request by HTTP (requests.test.ts), or in every story (askers.ts).
 */
import { describe, expect, it } from 'vitest'
import type { AskAnswer } from '../../shared/agent-port.ts'
import type { ReplyHere } from '../../shared/arrival.ts'
import { type GatherOpening, gatherAddress, gatherId, gatherKeptMs } from '../../shared/gather.ts'
import { askingOf } from '../../shared/gather-leg.ts'
import type { GatherReport } from '../../shared/gather-port.ts'
import { effectId } from '../../shared/ids.ts'
import { headOf } from '../../shared/message.ts'
import { type Principal, resolvePermissions } from '../../shared/permissions.ts'
import { ask } from '../../workers/request.ts'
import { hour, incoming, minute, ok, retry } from '../shared/mailbox-fixtures.ts'
import { LoneMailbox } from './lone-mailbox.ts'
import { gathersIn } from './platform.ts'
import { admin, Scene } from './scene.ts'

class Home extends LoneMailbox {
  constructor(policy: object = {}) {
    super()
    this.enrol({ kind: 'webhook', url: 'http://127.0.0.1/ada', policy })
  }

  opening(key: string, more: Partial<GatherOpening> = {}) {
    const id = gatherId('admin', key, '', 'ada')
    const { message } = incoming(`${id}-1`, { to: 'ada', replyto: gatherAddress(id), source: 'admin' })
    const opening: GatherOpening = {
      id,
      owner: 'admin',
      contentHash: key,
      head: headOf(message),
      hops: 0,
      join: { kind: 'all' },
      onTimeout: { kind: 'error' },
      timeoutMs: minute,
      path: [],
      agents: ['ada'],
      ...more,
    }
    return { opening, asking: askingOf(opening, { id: message.id, agent: 'ada' }, message) }
  }

  ask(key: string, take?: string, more: Partial<GatherOpening> = {}): AskAnswer {
    const { opening, asking } = this.opening(key, more)
    return this.object.ask(opening, asking, take)
  }

  leased(key: string, more: Partial<GatherOpening> = {}, take = 'mine') {
    const [lease] = this.ask(key, take, more).accepted?.taken?.leases ?? []
    return lease!
  }

  report(key: string): GatherReport | undefined {
    return this.object.gather('report', gatherId('admin', key, '', 'ada')) as GatherReport | undefined
  }

  /** As workers/answer.ts has it. */
  reply(key: string, delivery: string, more: Partial<ReplyHere> = {}): ReplyHere {
    const id = gatherId('admin', key, '', 'ada')
    const arrival = { by: 'ada', key: effectId(delivery, 1), delivery, of: { id: `${id}-1`, source: 'admin' } }
    return { n: 1, gather: id, arrival, body: `{"re":"${key}"}`, tell: true, ...more }
  }

  settle(lease: { id: string; token: string }, reply?: ReplyHere) {
    const outcome = ok(undefined, { reply: { data: 'yes' } })
    const { id, token } = lease
    return this.object.settle([{ id, token, outcome, external: false, ...(reply === undefined ? {} : { reply }) }])
  }

  effects(id: string) {
    return this.object.receipt(id)?.effects?.map(({ kind, state }) => ({ kind, ...state }))
  }

  /** What lies in it, whatever the memory says. */
  rows(): number {
    const tables = this.storage.sql.exec("SELECT name FROM sqlite_master WHERE type = 'table'").toArray()
    return tables.reduce(
      (sum, { name }) => sum + Number(this.storage.sql.exec(`SELECT count(*) AS n FROM "${name}"`).toArray()[0]?.['n']),
      0,
    )
  }
}

// What an object asks of its storage when it is made.
const started = () => new Promise((resolve) => setImmediate(resolve))

const carried = (standing: string) => [{ kind: 'reply', status: 'carried', deliveries: [], standing }]

describe('a request of an agent', () => {
  it('is opened, accepted and leased by one call, and is there after a restart', () => {
    const home = new Home()
    const { opened, accepted } = home.ask('a', 'mine')
    const [lease] = accepted?.taken?.leases ?? []
    expect(opened).toMatchObject({
      status: 'opened',
      gather: { legs: [{ sends: [{ delivery: lease?.id, accepted: true }] }] },
    })
    home.restart()
    const { gather, replies } = home.report('a')!
    expect([gather.legs[0]?.sends[0]?.delivery, gather.openedAt, replies]).toEqual([
      lease?.id,
      opened.gather.openedAt,
      [],
    ])
    expect(home.object.receipt(lease!.id)).toMatchObject({ message: { id: `${opened.gather.id}-1` } })
  })

  it('is in storage with its message, or neither is', () => {
    const home = new Home()
    const before = home.rows()
    home.storage.failNextCommit = true
    expect(() => home.ask('a', 'mine')).toThrow('disk')
    home.restart()
    expect([home.rows(), home.report('a'), home.object.list(undefined, undefined, 9).items]).toEqual([
      before,
      undefined,
      [],
    ])
    expect(home.ask('a', 'mine').accepted?.taken?.leases).toHaveLength(1)
  })

  it('is answered by the report of the attempt: nothing is left to carry, and who waits is told', () => {
    const home = new Home()
    const lease = home.leased('a')
    const { settlements, unfinished, arrived } = home.settle(lease, home.reply('a', lease.id))
    expect(settlements).toMatchObject([{ status: 'settled' }])
    expect(unfinished).toEqual([])
    expect(arrived).toMatchObject([
      { id: lease.id, standing: 'counted', report: { gather: { outcome: { status: 'replied' }, told: true } } },
    ])
    home.restart()
    expect(home.report('a')).toMatchObject({
      gather: { outcome: { status: 'replied' } },
      replies: [{ n: 1, body: '{"re":"a"}' }],
    })
    expect(home.effects(lease.id)).toEqual(carried('counted'))
  })

  it('is answered with its report, or neither is in storage (M2)', () => {
    const home = new Home()
    const lease = home.leased('a')
    home.storage.failNextCommit = true
    expect(() => home.settle(lease, home.reply('a', lease.id))).toThrow('disk')
    home.restart()
    expect(home.report('a')?.gather.outcome).toBeUndefined()
    expect(home.object.receipt(lease.id)?.status).not.toBe('completed')
    expect(home.settle(lease, home.reply('a', lease.id)).arrived).toMatchObject([{ standing: 'counted' }])
  })

  it('hears a repeated report as the first one: it has arrived once', () => {
    const home = new Home()
    const lease = home.leased('a')
    home.settle(lease, home.reply('a', lease.id))
    expect(home.settle(lease, home.reply('a', lease.id))).toMatchObject({
      settlements: [{ status: 'settled' }],
      unfinished: [],
    })
    expect(home.report('a')?.gather.arrivals).toHaveLength(1)
  })

  it('that is over keeps what comes late, and the receipt says so (G1)', () => {
    const home = new Home()
    const lease = home.leased('a')
    home.object.gather('cancel', gatherId('admin', 'a', '', 'ada'))
    expect(home.settle(lease, home.reply('a', lease.id)).unfinished).toEqual([])
    expect(home.effects(lease.id)).toEqual(carried('late'))
    expect(home.report('a')).toMatchObject({
      gather: { outcome: { status: 'cancelled' }, arrivals: [{ standing: 'late' }] },
    })
  })

  it('asked again by the same call, whose answer was lost, is leased to it again; to another call it is known', () => {
    const home = new Home()
    const { id } = home.leased('a')
    expect(home.ask('a', 'mine')).toMatchObject({
      opened: { status: 'duplicate' },
      accepted: { taken: { leases: [{ id }] } },
    })
    for (const other of ['another', undefined])
      expect(home.ask('a', other)).toEqual({ opened: expect.objectContaining({ status: 'duplicate' }) })
    expect(home.ask('a', 'mine', { contentHash: 'other' })).toEqual({
      opened: expect.objectContaining({ status: 'conflict' }),
    })
    expect(home.object.list(undefined, undefined, 9).items).toHaveLength(1)
  })
})

describe('the key of a request', () => {
  it('names it among those of its asker to that agent: with another agent it is another request, and so is anybody else’s', async () => {
    const scene = new Scene()
    for (const name of ['ada', 'bob']) await scene.pull(name)
    const asks = async (to: string, principal: Principal = admin) => {
      const asked = ask(scene.platform(), principal, { type: 'ask', to }, { waits: false, idempotencyKey: 'k' })
      const told = await scene.done(asked)
      if (!told.ok) throw new Error(JSON.stringify(told.error))
      return [told.value.gather.id, told.value.opened]
    }
    const [first] = await asks('ada')
    expect(await asks('ada')).toEqual([first, false])
    const others = [
      await asks('bob'),
      await asks('ada', { kind: 'agent', name: 'bob', permissions: resolvePermissions('bob') }),
    ]
    expect(others.map(([, opened]) => opened)).toEqual([true, true])
    expect(new Set([first, ...others.map(([id]) => id)]).size).toBe(3)
  })
})

describe('a reply that is reported with its attempt', () => {
  it('is left to the journal where it is not what the journal has, or the request does not expect it', () => {
    for (const [which, wrong] of [
      ['another effect', { n: 2 }],
      ['a request that is not here', { gather: gatherId('admin', 'b', '', 'ada') }],
      ['another message', { key: 'x' }],
      ['a stranger', { of: { id: 'x', source: 'admin' } }],
    ] as const) {
      const home = new Home()
      const lease = home.leased('a')
      const right = home.reply('a', lease.id)
      const reply = { ...right, ...wrong, arrival: { ...right.arrival, ...wrong } }
      const { arrived, unfinished } = home.settle(lease, reply)
      expect([which, arrived, unfinished.length]).toEqual([which, [], 1])
      expect(home.effects(lease.id)).toEqual([{ kind: 'reply', status: 'pending' }])
      expect(home.report('a')?.gather.arrivals).toEqual([])
    }
  })

  it('is left to the journal where another one came to its request with the same call', () => {
    const home = new Home()
    const more = { onTimeout: { kind: 'retry', times: 1 }, timeoutMs: minute } as const
    const first = home.leased('a', more)
    home.now += minute
    const again = home.report('a')!.gather.legs[0]!.sends[1]!
    const { asking } = home.opening('a', more)
    const message = { ...asking.message, id: again.id }
    const key = `${again.id}.${home.report('a')!.gather.openedAt}`
    const sent = { ...asking, message, key, body: JSON.stringify(message), brokerMade: true }
    const [second] = home.object.accept([sent], 'again', 'mine too').taken?.leases ?? []
    expect(second?.id).toBe(again.delivery)
    const reports = [first, second!].map(({ id, token }) => {
      const reply = home.reply('a', id)
      return { id, token, outcome: ok(undefined, { reply: { data: 'yes' } }), external: false, reply }
    })
    const { arrived, unfinished } = home.object.settle(reports)
    expect(arrived.map(({ id }) => id)).toEqual([first.id])
    expect(unfinished.map(({ id }) => id)).toEqual([second?.id])
  })

  it('of a run that lost its lease is not heard, while the reply that counts is still in the journal (M2)', () => {
    const home = new Home()
    const lost = home.leased('a')
    home.settle(lost)
    const said = { reply: { data: 'something else' } }
    const late = { id: lost.id, token: 'of another run', outcome: ok(undefined, said), external: false }
    const answer = home.object.settle([{ ...late, reply: home.reply('a', lost.id, { body: 'something else' }) }])
    expect(answer).toMatchObject({ settlements: [{ status: 'already_settled' }], arrived: [] })
    expect(home.report('a')?.gather.arrivals).toEqual([])
  })

  it('arrives by no report that does not count', () => {
    const home = new Home()
    const lease = home.leased('a')
    const reply = home.reply('a', lease.id)
    const stale = {
      id: lease.id,
      token: 'not mine',
      outcome: ok(undefined, { reply: { data: 1 } }),
      external: true,
      reply,
    }
    expect(home.object.settle([stale])).toMatchObject({ settlements: [{ status: 'stale' }], arrived: [] })
    const failed = { id: lease.id, token: lease.token, outcome: retry(), external: false, reply }
    expect(home.object.settle([failed])).toMatchObject({ settlements: [{ status: 'settled' }], arrived: [] })
    expect(home.report('a')?.gather.arrivals).toEqual([])
  })
})

describe('a request whose row cannot be read', () => {
  it('keeps no report of its agent from being written, and its own reply is left to the journal', () => {
    const home = new Home()
    const leases = ['a', 'b'].map((key) => ({ key, lease: home.leased(key, {}, `for ${key}`) }))
    home.restart()
    home.storage.sql.exec("UPDATE gathers SET record = '{}' WHERE id = ?", gatherId('admin', 'a', '', 'ada'))
    const said = { outcome: ok(undefined, { reply: { data: 'yes' } }), external: false }
    const reports = leases.map(({ key, lease: { id, token } }) => ({ id, token, ...said, reply: home.reply(key, id) }))
    const { settlements, arrived, unfinished } = home.object.settle(reports)
    expect(settlements.map(({ status }) => status)).toEqual(['settled', 'settled'])
    expect([arrived.map(({ id }) => id), unfinished.map(({ id }) => id)]).toEqual([
      [leases[1]!.lease.id],
      [leases[0]!.lease.id],
    ])
    expect(home.report('b')?.gather.outcome?.status).toBe('replied')
  })
})

describe('a request that nobody got', () => {
  it('is told as refused and leaves nothing in storage: not where there is no such agent, where the mailbox is full, or where the breaker is open', () => {
    const nobody = new LoneMailbox()
    const { opening, asking } = new Home().opening('a')
    const refused = { status: 'failed', failure: { why: 'agent_not_found' } }
    expect(nobody.object.ask(opening, asking, 'mine')).toMatchObject({
      opened: { gather: { outcome: refused } },
      accepted: { admissions: [{ status: 'unknown' }] },
    })
    expect(nobody.storage.sql.exec('SELECT name FROM sqlite_master').toArray()).toEqual([])
    expect(nobody.storage.alarmAt).toBeNull()

    const full = new Home({ depth: 1 })
    full.ask('a')
    const before = full.rows()
    expect(full.ask('b').opened).toMatchObject({ gather: { outcome: { failure: { why: 'backpressure' } } } })
    expect([full.rows(), full.report('b')]).toEqual([before, undefined])

    const down = new Home()
    down.object.forceBreaker('open', 'somebody')
    const rows = down.rows()
    const { opening: one, asking: message } = down.opening('a')
    const told = down.object.ask(one, { ...message, whenOpen: 'refuse' }, 'mine').opened.gather
    expect(told.outcome?.failure).toMatchObject({ why: 'breaker_open', retryAfterSeconds: expect.any(Number) })
    expect([down.rows(), down.report('a')]).toEqual([rows, undefined])
    // Of one that may wait there is a row, and its message waits.
    expect(down.ask('a', 'mine')).toMatchObject({ opened: { gather: { legs: [{ state: { status: 'waiting' } }] } } })
  })
})

describe('a request that was refused when its message lay in the mailbox already', () => {
  it('is asked anew under another id, and what its first message comes to is late (G1)', () => {
    const home = new Home()
    const first = home.leased('a')
    const { gather } = home.report('a')!
    const failure = { why: 'breaker_open', agent: 'ada' } as const
    const legs = gather.legs.map((leg) => ({ ...leg, state: { status: 'failed', at: home.now, failure } }))
    const refused = { ...gather, legs, told: true, outcome: { status: 'failed', at: home.now, failure } }
    home.storage.sql.exec('UPDATE gathers SET record = ? WHERE id = ?', JSON.stringify(refused), gather.id)
    home.restart()
    home.now += minute
    const lease = home.leased('a', { contentHash: 'other' }, 'another')
    expect([lease.head.id, JSON.parse(lease.body)]).toMatchObject([`${gather.id}-2`, { id: `${gather.id}-2` }])
    expect(home.settle(first, home.reply('a', first.id)).arrived).toMatchObject([{ standing: 'late' }])
    expect([home.effects(first.id), home.report('a')?.gather.outcome]).toEqual([carried('late'), undefined])
    const right = home.reply('a', lease.id)
    const of = { id: lease.head.id, source: 'admin' }
    const { arrived } = home.settle(lease, { ...right, arrival: { ...right.arrival, of } })
    expect(arrived).toMatchObject([{ standing: 'counted' }])
  })
})

describe('the alarm of a mailbox with requests', () => {
  const confirmed = (home: Home, id: string) => home.object.gather('progress', id, { accepted: [`${id}-1`] })
  const recordOf = (home: Home, id: string) =>
    home.storage.sql.exec('SELECT record FROM gathers WHERE id = ?', id).toArray()[0]?.['record']

  it('M6: has a request that nobody confirmed gone on with after five seconds, one that was confirmed at its deadline; that costs no row', async () => {
    const home = new Home()
    home.object.pause('later', undefined)
    const [dead, fine, forgotten] = ['a', 'b', 'c'].map((key) => home.ask(key).opened.gather.id)
    const before = recordOf(home, fine!)
    const goneOnWithUntil = async (until: number) => {
      home.asked.length = 0
      while (home.storage.alarmAt !== null && home.storage.alarmAt <= until) {
        home.now = Math.max(home.now, home.storage.alarmAt)
        home.storage.alarmAt = null
        await home.object.alarm()
      }
      return [...home.asked].sort()
    }
    const openedAt = home.now
    confirmed(home, forgotten!)
    home.restart()
    await started()
    confirmed(home, fine!)
    expect(recordOf(home, fine!)).toBe(before)
    expect(await goneOnWithUntil(openedAt + 5_000)).toEqual([dead, forgotten].sort())
    // Whoever goes on with it says so when it is no longer young: that is written.
    for (const id of [dead!, forgotten!]) confirmed(home, id)
    home.restart()
    await started()
    expect(await goneOnWithUntil(openedAt + minute - 1)).toEqual([])
    expect(await goneOnWithUntil(openedAt + minute)).toHaveLength(3)
    expect(home.report('b')?.gather.outcome?.status).toBe('timed_out')
  })

  it('M6: rings for whichever is due first, and is armed again for the other, also after a restart', async () => {
    const home = new Home()
    home.object.pause('later', undefined)
    const { id } = home.ask('a', undefined, { timeoutMs: 10 * minute }).opened.gather
    const { alarmAt } = home.storage
    home.restart()
    await started()
    home.ask('b', undefined, { timeoutMs: 20 * minute })
    expect(home.storage.alarmAt).toBeLessThanOrEqual(alarmAt!)
    const [until, rings] = [home.now + 21 * minute, [] as (string | undefined)[]]
    while (home.storage.alarmAt !== null && home.storage.alarmAt <= until && rings.length < 100) {
      home.now = Math.max(home.now, home.storage.alarmAt)
      home.storage.alarmAt = null
      await home.object.alarm()
      rings.push(home.report('b')?.gather.outcome?.status)
    }
    expect([home.report('a')?.gather.outcome?.status, rings[0], rings.at(-1)]).toEqual([
      'timed_out',
      undefined,
      'timed_out',
    ])
    expect(home.asked).toContain(id)
  })

  it('M6: that failed rings again soon, whatever is due later by then', async () => {
    const home = new Home()
    home.object.pause('later', undefined)
    home.ask('a')
    home.restart()
    await started()
    home.now += 2 * minute
    home.storage.alarmAt = null
    const { exec } = home.storage.sql
    home.storage.sql.exec = (query, ...bindings) => {
      if (query.includes('due_at <=')) throw new Error('disk I/O error (simulated)')
      return exec(query, ...bindings)
    }
    await home.object.alarm()
    home.storage.sql.exec = exec
    const again = home.now + 5_000
    expect(home.storage.alarmAt).toBe(again)
    home.object.accept([incoming('x', { delivertime: new Date(home.now + 10 * hour).toISOString() })], 'later')
    expect(home.storage.alarmAt).toBe(again)
  })

  it('M6: that was lost is armed again by the sweep', () => {
    const home = new Home()
    home.object.pause('later', undefined)
    home.ask('a')
    home.storage.alarmAt = null
    home.restart()
    home.now += hour
    home.object.sweep()
    expect(home.storage.alarmAt).toBe(home.now)
  })

  it('forgets a request a day after its end, and keeps the agent', async () => {
    const home = new Home()
    const lease = home.leased('a')
    home.settle(lease, home.reply('a', lease.id))
    home.now += gatherKeptMs + 2 * hour
    home.storage.alarmAt = null
    await home.object.alarm()
    expect([home.report('a'), gathersIn(home.storage)]).toEqual([undefined, []])
    expect(home.object.describe()?.agent.name).toBe('ada')
  })

  it('rings for the requests of an agent that was deleted: whoever asked is told, and may read it for a day', async () => {
    const home = new Home()
    home.object.pause('later', undefined)
    home.ask('a')
    home.object.retire('dead')
    home.restart()
    home.now += minute
    home.storage.alarmAt = null
    await home.object.alarm()
    expect(home.report('a')?.gather.outcome?.status).toBe('timed_out')
    expect(home.asked).toContain(gatherId('admin', 'a', '', 'ada'))
  })
})
